"""Cars3D for tensorflow_datasets."""
