"""MPI3D for tensorflow_datasets."""
