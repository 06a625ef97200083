"""The training loop and everything it turns on."""
