"""Rendered dSprites for tensorflow_datasets."""
