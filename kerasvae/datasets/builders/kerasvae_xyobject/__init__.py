"""XYObject for tensorflow_datasets."""
