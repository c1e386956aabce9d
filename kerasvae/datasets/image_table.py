"""Ground-truth data whose images are the rows of one array."""

from __future__ import annotations

import math
import reprlib

import numpy as np

from kerasvae.checks import is_integer
from kerasvae.datasets.ground_truth import GroundTruthData, images_checksum


class ImageTable(GroundTruthData):
    """A complete grid of factor values whose images lie in one array, in memory or memory-mapped.

    Args:
        table: uint8 0..255, (images, height, width, channels), in the order of the grid, the last factor fastest.
        factor_names, factor_sizes: of the F factors; the sizes multiply to the number of images.
        mean, std: channel constants in units of 0..1, (channels,).

    Raises:
        ValueError: for an array of another dtype or shape, or names, sizes or constants that do not fit it.
    """

    def __init__(self, table, factor_names, factor_sizes, mean, std):
        dtype, shape = getattr(table, "dtype", None), getattr(table, "shape", ())
        if dtype != np.uint8 or len(shape) != 4:
            given = reprlib.repr(table) if dtype is None else f"{dtype} of {shape}"
            raise ValueError(f"table must be uint8 of shape (images, height, width, channels), got {given}")
        names, sizes = (
            tuple(given) if np.iterable(given) and not isinstance(given, str) else ()
            for given in (factor_names, factor_sizes)
        )
        if not all(isinstance(name, str) for name in names) or len({*names}) < len(names) or not names:
            raise ValueError(f"factor_names must be a tuple of different names, got {factor_names!r}")
        if not all(is_integer(size) and size >= 1 for size in sizes):
            raise ValueError(f"factor_sizes must be a tuple of integers, at least 1, got {factor_sizes!r}")
        self.factor_names, self.factor_sizes = names, tuple(map(int, sizes))
        if len(self.factor_names) != len(self.factor_sizes) or math.prod(self.factor_sizes) != len(table):
            raise ValueError(
                f"factor_names and factor_sizes must fit a table of {len(table)} images, got {self.factor_names} and "
                f"{self.factor_sizes}"
            )
        self.table, self.image_shape = table, tuple(map(int, table.shape[1:]))
        allowed = f"mean and std must hold a finite number for each channel, std above 0, got {mean!r} and {std!r}"
        try:
            self.mean, self.std = np.asarray(mean, "float64"), np.asarray(std, "float64")
        except (TypeError, ValueError) as error:
            raise ValueError(allowed) from error
        fit = self.mean.shape == self.image_shape[-1:] and self.std.shape == self.mean.shape
        if not fit or not np.isfinite([self.mean, self.std]).all() or not (self.std > 0).all():
            raise ValueError(allowed)

    def images(self, indices, draws=None):
        return np.asarray(self.table[self.check_indices(indices)])

    def render(self, factors):
        return self.images(self.index(factors))

    def device_table(self):
        return np.asarray(self.table)

    def fingerprint(self):
        return {**super().fingerprint(), "pixels": images_checksum(self)}
