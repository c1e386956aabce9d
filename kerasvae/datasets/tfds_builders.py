"""The package's data sets for tensorflow_datasets, which knows them after `import kerasvae.datasets.tfds_builders`.

    >>> import tensorflow_datasets as tfds
    >>> import kerasvae.datasets.tfds_builders
    >>> records = tfds.load("kerasvae_xysquares", split="train")

The names are kerasvae_xysquares (a config for each grid spacing, spacing_8 to spacing_1), kerasvae_xyobject (configs
xyobject and shaded), kerasvae_dsprites (rendered), kerasvae_cars3d (as published, 128 x 128 pixels) and kerasvae_mpi3d
(configs toy, realistic and real). Each has one split, train, in the order of the factor grid (Cars3D car after car); a
record has `image`, `index` in the grid, and a `label_NAME` for each factor. The package's own data sets do not need
them: `kerasvae.datasets.Cars3D()` reads the published archive itself.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from kerasvae.datasets import cars3d, mpi3d
from kerasvae.datasets.dsprites import DSprites
from kerasvae.datasets.published_files import fetch
from kerasvae.datasets.xyobject import XYObject, XYObjectShaded
from kerasvae.datasets.xysquares import XYSquares

# Images rendered at once.
_CHUNK = 1024


class _GridBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Builder of one split, train, whose records are `image`, `index` and a `label_NAME` for each factor."""

    VERSION = tfds.core.Version("1.0.0")
    HOMEPAGE: str
    # Without it tensorflow_datasets gives a builder no manual_dir.
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Published files are taken from manual_dir; missing ones are downloaded to it."

    @abc.abstractmethod
    def grid(self) -> tuple[dict[str, int], tuple[int, int, int]]:
        """The factors' names with their numbers of values, and the shape of an image."""

    @abc.abstractmethod
    def batches(self, folder: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Factors (n, F) and images (n, height, width, channels), batch after batch; published files are in `folder`.

        What can fail early, such as fetching files, fails when this is called.
        """

    def _info(self) -> tfds.core.DatasetInfo:
        factors, shape = self.grid()
        labels = {f"label_{name}": tfds.features.ClassLabel(num_classes=size) for name, size in factors.items()}
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict(
                {"image": tfds.features.Image(shape=shape), "index": np.int64, **labels}
            ),
            homepage=self.HOMEPAGE,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        try:
            folder = dl_manager.manual_dir
        except AssertionError:  # there is no such folder, or nothing in it
            folder = dl_manager.download_dir / "manual"
        return {"train": self._generate_examples(self.batches(Path(folder)))}

    def _generate_examples(self, batches):
        factors, _ = self.grid()
        for values, images in batches:
            indices = np.ravel_multi_index(tuple(values.T), tuple(factors.values()))
            for index, image, row in zip(indices.tolist(), images, values.tolist(), strict=True):
                labels = {f"label_{name}": label for name, label in zip(factors, row, strict=True)}
                yield index, {"image": image, "index": index, **labels}


class _GeneratedBuilder(_GridBuilder, skip_registration=True):
    """Builder of a data set that this package renders."""

    @abc.abstractmethod
    def data(self):
        """The data set."""

    def grid(self):
        data = self.data()
        return dict(zip(data.factor_names, data.factor_sizes, strict=True)), data.image_shape

    def batches(self, folder):
        data = self.data()
        for start in range(0, len(data), _CHUNK):
            indices = np.arange(start, min(start + _CHUNK, len(data)))
            yield data.factors(indices), data.images(indices)


class XYSquaresBuilder(_GeneratedBuilder):
    """Three squares, red, green and blue, each moving over its own 8 x 8 grid: `kerasvae.datasets.XYSquares`.

    The config is the spacing of the grid in pixels: spacing_8 (default) to spacing_1.
    """

    name = "kerasvae_xysquares"
    HOMEPAGE = "https://github.com/nmichlo/disent"
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name=f"spacing_{spacing}", description=f"{spacing} pixels between positions")
        for spacing in range(8, 0, -1)
    ]

    def data(self):
        return XYSquares(grid_spacing=int(self.builder_config.name.removeprefix("spacing_")))


class XYObjectBuilder(_GeneratedBuilder):
    """One coloured square of varying place and size: `kerasvae.datasets.XYObject` and `XYObjectShaded`.

    Both configs have the same images: in xyobject (default) hue and intensity are one factor, in shaded they are two.
    """

    name = "kerasvae_xyobject"
    HOMEPAGE = "https://github.com/nmichlo/disent"
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="xyobject", description="factors x, y, scale and color"),
        tfds.core.BuilderConfig(name="shaded", description="factors x, y, scale, intensity and color"),
    ]

    def data(self):
        return XYObjectShaded() if self.builder_config.name == "shaded" else XYObject()


class DSpritesBuilder(_GeneratedBuilder):
    """Rendered dSprites, pixels 0 or 255: `kerasvae.datasets.DSprites`."""

    name = "kerasvae_dsprites"
    HOMEPAGE = "https://github.com/deepmind/dsprites-dataset"

    def data(self):
        return DSprites()


class Cars3DBuilder(_GridBuilder):
    """Renderings of 183 car models from 4 elevations and 24 azimuths, the objects numbered as in the archive's list."""

    name = "kerasvae_cars3d"
    HOMEPAGE = "http://www.scottreed.info"

    def grid(self):
        return cars3d.FACTORS, (128, 128, 3)

    def batches(self, folder):
        return cars3d.read_archive(fetch([cars3d.ARCHIVE], folder))


class MPI3DBuilder(_GridBuilder):
    """A robot arm that holds an object, rendered simply (toy, default) or realistically, or photographed (real).

    Args:
        md5: digest that the file must have; None for that of the file as first published.
        **arguments: as for every builder.
    """

    name = "kerasvae_mpi3d"
    HOMEPAGE = "https://github.com/rr-learning/disentanglement_dataset"
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="toy", description="simple renderings"),
        tfds.core.BuilderConfig(name="realistic", description="realistic renderings"),
        tfds.core.BuilderConfig(name="real", description="photographs"),
    ]

    def __init__(self, md5=None, **arguments):
        super().__init__(**arguments)
        self.md5 = md5

    def grid(self):
        return mpi3d.FACTORS, (64, 64, 3)

    def batches(self, folder):
        file = mpi3d.FILES[self.builder_config.name]
        file = dataclasses.replace(file, digest=f"md5:{self.md5}") if self.md5 else file
        return mpi3d.read_images(fetch([file], folder), tuple(mpi3d.FACTORS.values()))
