"""What is known of every model: one file a family, a tuple `ENTRIES`. Imports nothing heavy."""
