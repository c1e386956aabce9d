"""XYSquares for tensorflow_datasets."""
