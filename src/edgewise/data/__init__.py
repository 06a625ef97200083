"""Data sets from folders and archives to batches: reading, checking, decoding, augmenting, loading."""
