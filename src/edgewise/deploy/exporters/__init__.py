"""Exporters: one file per format, each going straight from one captured program."""
