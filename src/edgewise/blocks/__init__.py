"""Small modules that take plain values and know nothing of specs, names, weights or configs."""
