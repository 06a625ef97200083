"""What a network costs, read off its captured graph."""
