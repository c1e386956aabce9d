"""What the builders share: records of a factor grid, from images that are generated or read from published files."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

# Images rendered at once.
_CHUNK = 1024


class GridBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Builder of one split, train, whose records are `image`, `index` and a `label_NAME` for each factor.

    A subclass is named `Builder`, in a module named NAME_dataset_builder, and defines `grid` and `batches`.

    Attributes:
        folder: where the published files are, or are downloaded to; None for the manual_dir of the download.
    """

    VERSION = tfds.core.Version("1.0.0")
    HOMEPAGE: str
    # Without it tensorflow_datasets does not tell a builder the manual_dir.
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Published files are taken from manual_dir; missing ones are downloaded to it."
    folder: Path | None = None

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
        folder = self.folder
        if folder is None:
            try:
                folder = dl_manager.manual_dir
            except AssertionError:  # there is no such folder, or nothing in it
                folder = dl_manager.download_dir / "manual"
        return {"train": self._generate_examples(self.batches(Path(folder)))}

    def _generate_examples(self, batches):
        factors, _ = self.grid()
        for values, images in batches:
            indices = np.ravel_multi_index(tuple(values.T), tuple(factors.values()))
            for index, image, labels in zip(indices.tolist(), images, values.tolist(), strict=True):
                yield (
                    index,
                    {
                        "image": image,
                        "index": index,
                        **{f"label_{name}": label for name, label in zip(factors, labels, strict=True)},
                    },
                )


class GeneratedBuilder(GridBuilder, skip_registration=True):
    """Builder of a data set that this package renders. A subclass is as for `GridBuilder` but defines `data` alone."""

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
