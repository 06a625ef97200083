"""Export bugs made on purpose: each leaves a real file that is wrong in one way, which verification must refuse."""
