"""SmallNORB: photographs of toys, from the published files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from keras import ops

from kerasvae import random_numbers
from kerasvae.checks import check_choice
from kerasvae.datasets.prepared import OtherForm, PreparedImages, TableSource, resized
from kerasvae.datasets.random_parts import check_draws, check_seed, uniform
from kerasvae.files import regular_file

FACTORS = {"category": 5, "instance": 10, "elevation": 9, "azimuth": 18, "lighting": 6}
# The toys of each category that a split shows.
INSTANCES = {"train": (4, 6, 7, 8, 9), "test": (0, 1, 2, 3, 5), "all": tuple(range(10))}
# Of the hash of random parts; the data sets' streams begin at a million.
_INSTANCE = 1_000_010
# The files of a part: images, categories, and the four other labels.
_KINDS = ("dat", "cat", "info")
# Its numbers are multiples of one over this.
_PRECISION = 2**24


def read_matrices(paths: list[Path], sizes: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Factors and images by the left camera, of the three files of a part or the six of both, as `OtherForm` says."""
    for start in range(0, len(paths), len(_KINDS)):
        images, categories, others = (_matrix(path) for path in paths[start : start + len(_KINDS)])
        path = paths[start]
        if images.ndim != 4 or images.shape[1:] != (2, 96, 96) or categories.shape != images.shape[:1]:
            raise ValueError(f"{str(path)!r} must hold pairs of images of 96 x 96 pixels, it has {images.shape}")
        if others.shape != (len(images), 4):
            raise ValueError(f"{str(paths[start + 2])!r} must be {(len(images), 4)}, it is {others.shape}")
        for first in range(0, len(images), 1024):
            part = slice(first, first + 1024)
            instance, elevation, azimuth, lighting = others[part].T
            yield (
                np.stack([categories[part], instance, elevation, azimuth // 2, lighting], axis=1),
                np.asarray(images[part, 0])[..., None],
            )


def _matrix(path: Path) -> np.ndarray:
    """An array in NORB's binary format, mapped into memory."""
    with regular_file(path).open("rb") as stream:
        start = np.frombuffer(stream.read(20), "<i4")
        dtype = {0x1E3D4C55: np.dtype("uint8"), 0x1E3D4C54: np.dtype("<i4")}.get(int(start[0]) if start.size else 0)
        axes = int(start[1]) if start.size == 5 else 0
        if dtype is None or not 1 <= axes <= 4:
            raise ValueError(f"{str(path)!r} is no file of SmallNORB, unzipped")
        sizes = [*start[2:5], *np.frombuffer(stream.read(4 * max(0, axes - 3)), "<i4")][:axes]
        offset, found = stream.tell(), path.stat().st_size
    shape = tuple(map(int, sizes))
    if min(shape) < 1 or offset + math.prod(shape) * dtype.itemsize != found:
        raise ValueError(f"{str(path)!r} is cut short or damaged: it claims {dtype} of {shape} and has {found} bytes")
    return np.memmap(path, dtype, "r", offset, shape)


def _names(split: str) -> tuple[str, ...]:
    """Names of the published files of a split, unzipped."""
    parts = {"train": ("training",), "test": ("testing",), "all": ("training", "testing")}[split]
    toys = {"training": "46789", "testing": "01235"}
    return tuple(f"smallnorb-5x{toys[part]}x9x18x6x2x96x96-{part}-{kind}.mat" for part in parts for kind in _KINDS)


class SmallNORB(PreparedImages):
    """Grey photographs of 50 toys of five categories on a turntable, by the left camera, shrunk to 64 x 64 pixels.

    Args:
        split: "train" (default) or "test", of 24 300 images each, or "all" of them.
        factors: 5 (default), the form of the paper: category, instance, elevation, azimuth and lighting, where instance
            counts the toys of a category in the split (5, or 10 with "all") in the order of their published numbers;
            train has toys 4, 6, 7, 8, 9 and test 0, 1, 2, 3, 5. Or 4, the form of disentanglement_lib (with "all"):
            without instance, which is then random, a function of the seed and the draw.
        seed: of the random instance with 4 factors, an integer in 0..2³¹ - 1. Default 0.
        data_dir, manual_dir: where the prepared images and the published files are, see `kerasvae.datasets.prepared`.
            Default None: the places of tensorflow_datasets.

    `mean` and `std` are the published constants for "train", measured in the same way for the others. Images are shrunk
    from 96 x 96 by an antialiased bilinear filter, as in the paper; disentanglement_lib used a Lanczos filter. The
    first use downloads 263 MB; the published files are also taken unzipped (.mat), as disentanglement_lib keeps them.

    With 4 factors `table` still has a row for each combination of the five.

    Raises:
        ValueError: for another split, number of factors or seed, or as for `PreparedImages`.
        OSError: as for `kerasvae.datasets.prepared.PreparedImages`.

    Source: LeCun, Huang and Bottou 2004, https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/, through tensorflow_datasets;
    constants: Table 2 of "Overlooked Implications".
    """

    source = TableSource(
        name="smallnorb",
        builder="smallnorb",
        factor_names=tuple(FACTORS),
        factor_sizes=tuple(FACTORS.values()),
        labels=("label_category", "instance", "label_elevation", "label_azimuth", "label_lighting"),
        row_shape=(64, 64, 1),
        rows=resized,
    )

    def __init__(self, split: str = "train", factors: int = 5, seed: int = 0, data_dir=None, manual_dir=None):
        check_choice(split, "split", INSTANCES)
        if isinstance(factors, bool) or factors not in (4, 5):
            raise ValueError(f"factors must be 5 or 4, got {factors!r}")
        self.split, self.seed = split, check_seed(seed)
        sizes = dict(zip(FACTORS, self.source.factor_sizes, strict=True)) | {"instance": len(INSTANCES[split])}
        source = dataclasses.replace(
            self.source,
            name=f"smallnorb_{split}",
            split="train+test" if split == "all" else split,
            factor_sizes=tuple(sizes.values()),
            values={"instance": INSTANCES[split]},
            forms=(OtherForm(_names(split), read_matrices),),
        )
        published = {"mean": (0.752091840108860,), "std": (0.095638790168273,)} if split == "train" else {}
        super().__init__(source, data_dir, manual_dir, **published)
        self._table_sizes = self.factor_sizes
        if factors == 4:
            del sizes["instance"]
            self.factor_names, self.factor_sizes, self.random = tuple(sizes), tuple(sizes.values()), True

    def images(self, indices, draws=None):
        if not self.random:
            return super().images(indices)
        return self.render(self.factors(indices), indices if draws is None else draws)

    def render(self, factors, draws=None):
        """Images of factor values; with 4 factors `draws`, integers (n,), decide on the instance (default: indices)."""
        if not self.random:
            return super().render(factors)
        indices = self.index(factors)
        draws = check_draws(indices if draws is None else draws, len(indices))
        numbers = uniform(self.seed, draws, np.arange(1), _INSTANCE)[:, 0]
        return np.asarray(self.table[self._table_rows(indices, (numbers * _PRECISION).astype("int64"))])

    def _table_rows(self, indices, numbers):
        """Rows of the table for indices, with instances from numbers in 0..2²⁴ - 1, in integers that 32 bits hold."""
        instances, others = self._table_sizes[1], math.prod(self._table_sizes[2:])
        category, other = indices // others, indices % others
        return (category * instances + numbers * instances // _PRECISION) * others + other

    def device_table(self):
        return np.asarray(self.table)

    def device_images(self, indices, table, draws=None):
        if self.random:
            draws = ops.cast(indices if draws is None else draws, "int32")[:, None]
            numbers = random_numbers.uniform(self.seed, draws, ops.arange(1, dtype="int32"), _INSTANCE)[:, 0]
            indices = self._table_rows(ops.cast(indices, "int32"), ops.cast(numbers * _PRECISION, "int32"))
        return ops.take(table, indices, axis=0)
