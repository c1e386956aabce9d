"""Ground-truth data whose images are the rows of one array."""

from __future__ import annotations

import math

import numpy as np

from kerasvae.datasets.ground_truth import GroundTruthData


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
        if not isinstance(table, np.ndarray):
            raise ValueError(f"table must be a NumPy array, got {type(table).__name__}")
        if isinstance(factor_names, str) or np.ndim(factor_sizes) != 1:
            raise ValueError(
                f"factor_names and factor_sizes must be lists, one entry per factor, got {factor_names!r} and "
                f"{factor_sizes!r}"
            )
        if table.dtype != np.uint8 or table.ndim != 4:
            raise ValueError(
                f"table must be uint8 of shape (images, height, width, channels), got {table.dtype} of {table.shape}"
            )
        self.factor_names, self.factor_sizes = tuple(factor_names), tuple(map(int, factor_sizes))
        if len(self.factor_names) != len(self.factor_sizes) or math.prod(self.factor_sizes) != len(table):
            raise ValueError(
                f"factor_names and factor_sizes must fit a table of {len(table)} images, got {self.factor_names} and "
                f"{self.factor_sizes}"
            )
        self.table, self.image_shape = table, tuple(map(int, table.shape[1:]))
        self.mean, self.std = np.asarray(mean, "float64"), np.asarray(std, "float64")
        if self.mean.shape != self.image_shape[-1:] or self.std.shape != self.mean.shape or not (self.std > 0).all():
            raise ValueError(f"mean and std must hold one number a channel, std above 0, got {mean!r} and {std!r}")

    def images(self, indices, draws=None):
        return np.asarray(self.table[self.check_indices(indices)])

    def render(self, factors):
        return self.images(self.index(factors))

    def device_table(self):
        return np.asarray(self.table)
