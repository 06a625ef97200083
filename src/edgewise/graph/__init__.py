"""Captured programs: what counting and exporting both start from."""
