"""Whole jobs made of the lower floors: fit, train, predict, validate, export, report."""
