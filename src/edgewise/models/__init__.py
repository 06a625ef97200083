"""Families as tables of rows, the catalogue, building, weights."""
