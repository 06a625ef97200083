"""From a trained module to a file that a runtime runs: export, quantise, verify, load."""
