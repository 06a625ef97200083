"""Families as tables: one file of rows each, a mapping `SPECS` from name to `ModelSpec`."""
