"""Other people's names for the parts of a network: one file for each layout in which checkpoints are published."""
