"""The package's data sets for tensorflow_datasets: after `import kerasvae.datasets.builders` it knows them by name.

    >>> import tensorflow_datasets as tfds
    >>> import kerasvae.datasets.builders
    >>> records = tfds.load("kerasvae_xysquares", split="train")

The names are kerasvae_xysquares (a config for each grid spacing, spacing_8 to spacing_1), kerasvae_xyobject (configs
xyobject and shaded), kerasvae_dsprites (rendered), kerasvae_cars3d (as published, 128 x 128 pixels) and kerasvae_mpi3d
(configs toy, realistic and real). Each has one split, train, in the order of the factor grid (Cars3D car after car); a
record has `image`, `index` in the grid, and a `label_NAME` for each factor.
"""

# Importing a builder is what makes it known.
from kerasvae.datasets.builders.kerasvae_cars3d import kerasvae_cars3d_dataset_builder
from kerasvae.datasets.builders.kerasvae_dsprites import kerasvae_dsprites_dataset_builder
from kerasvae.datasets.builders.kerasvae_mpi3d import kerasvae_mpi3d_dataset_builder
from kerasvae.datasets.builders.kerasvae_xyobject import kerasvae_xyobject_dataset_builder
from kerasvae.datasets.builders.kerasvae_xysquares import kerasvae_xysquares_dataset_builder

__all__ = [
    "kerasvae_cars3d_dataset_builder",
    "kerasvae_dsprites_dataset_builder",
    "kerasvae_mpi3d_dataset_builder",
    "kerasvae_xyobject_dataset_builder",
    "kerasvae_xysquares_dataset_builder",
]
