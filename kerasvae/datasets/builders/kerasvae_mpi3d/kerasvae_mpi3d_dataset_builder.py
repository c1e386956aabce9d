"""MPI3D for tensorflow_datasets."""

import dataclasses
from typing import ClassVar

import tensorflow_datasets as tfds

from kerasvae.datasets import mpi3d
from kerasvae.datasets.builders.grid_builder import GridBuilder
from kerasvae.datasets.published_files import fetch


class Builder(GridBuilder):
    """A robot arm that holds an object, rendered simply (toy, default) or realistically, or photographed (real).

    Args:
        md5: digest that the file must have; None for that of the file as first published.
        **arguments: as for every builder.
    """

    HOMEPAGE = "https://github.com/rr-learning/disentanglement_dataset"
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="toy", description="simple renderings"),
        tfds.core.BuilderConfig(name="realistic", description="realistic renderings"),
        tfds.core.BuilderConfig(name="real", description="photographs"),
    ]

    def __init__(self, md5=None, **arguments):
        super().__init__(**arguments)
        self.md5 = md5

    @property
    def source_files(self):
        file = mpi3d.FILES[self.builder_config.name]
        return [dataclasses.replace(file, digest=f"md5:{self.md5}") if self.md5 else file]

    def grid(self):
        return mpi3d.FACTORS, (64, 64, 3)

    def batches(self, folder):
        (path,) = fetch(self.source_files, folder)
        return mpi3d.read_images(path)
