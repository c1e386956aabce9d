"""A user's own images in an array, with or without factors, complete grid or not."""

from __future__ import annotations

import copy
import math
import numbers
import zlib

import numpy as np

from kerasvae.datasets.ground_truth import GroundTruthData, checksum, images_checksum
from kerasvae.datasets.statistics import channel_statistics


class FromArrays(GroundTruthData):
    """Your own images and, where you know them, the values of the factors behind each.

    Everything that needs images alone (training, reconstruction, export) works without factors; scores need factors;
    pairs, traversals, `index` and `render` need a complete grid, that is each combination of the factors' values once.

    Args:
        images: uint8 0..255 of shape (n, height, width, channels) or, grey, (n, height, width); any size. A NumPy
            array, in memory or memory-mapped (`np.load(path, mmap_mode="r")`); it is never copied as a whole.
        factors: None (default), or the value of each factor for each image: an array (n, F) or (n,), a list of rows, or
            a mapping of names to columns (n,), such as a dictionary or a pandas DataFrame. Values are numbers or
            strings; a factor's distinct values in sorted order become 0, 1, 2, ...
        factor_names: names of the F factors. Default: the keys of a mapping, otherwise factor_0, factor_1, ...
        mean, std: channel constants in units of 0..1, (channels,) or one number; None (default) to measure them when
            they are first asked for, in the published convention (`channel_statistics`).

    Attributes:
        factor_values: for each factor its distinct values, sorted: `factor_values[k][factors[i, k]]` is what you gave.
        rows: int64 (n,), the row of `images` that each index shows. For a complete grid given in any order the indices
            follow the grid, the last factor varying fastest; otherwise they are the rows.
        complete: whether the factors form a complete grid. Where they do not, `factors` and `images` still work, and
            `index` and `render` raise a ValueError that says which combinations are missing or repeated.

    Raises:
        ValueError: for images of another dtype (it says how to convert them) or shape, factors that do not fit the
            images, missing values, names that are not unique, or constants that do not fit.

    Example:
        >>> images = np.zeros((6, 32, 32, 3), "uint8")
        >>> data = FromArrays(images, {"shape": ["cube", "ball"] * 3, "x": [0, 0, 10, 10, 20, 20]})
        >>> data
        <FromArrays: 6 images (32, 32, 3), factors shape 2, x 3>
        >>> data.complete, data.factor_values[0].tolist(), data.rows.tolist()
        (True, ['ball', 'cube'], [1, 3, 5, 0, 2, 4])
    """

    def __init__(self, images, factors=None, factor_names=None, mean=None, std=None):
        self._table = _checked_images(images)
        self.image_shape = tuple(map(int, self._table.shape[1:]))
        columns, self.factor_names = _checked_columns(factors, factor_names, len(self._table))
        self.factor_values, classes = [], np.zeros((len(self._table), len(columns)), "int64")
        for position, (name, column) in enumerate(zip(self.factor_names, columns, strict=True)):
            values, classes[:, position] = _distinct(name, column)
            self.factor_values.append(values)
        self.factor_values = tuple(self.factor_values)
        self.factor_sizes = tuple(map(len, self.factor_values))
        self._why_incomplete, order = self._grid_order(classes)
        self.complete = self._why_incomplete is None
        self.rows = order if self.complete else np.arange(len(self._table))
        self._classes = classes[self.rows]
        self._mean, self._std = (
            None if constants is None else _checked_constants(argument, constants, self.image_shape[-1])
            for argument, constants in (("mean", mean), ("std", std))
        )
        self._given = [None if constants is None else constants.tolist() for constants in (self._mean, self._std)]

    def __len__(self):
        return len(self._table)

    def images(self, indices, draws=None):
        return np.asarray(self._table[self.rows[self.check_indices(indices)]])

    def factors(self, indices):
        return self._classes[self.check_indices(indices)]

    def check_complete(self, purpose):
        if not self.complete:
            raise ValueError(
                f"{purpose}: data must hold one image for each combination of its factors, and {self!r} does not: "
                f"{self._why_incomplete}"
            )

    def index(self, factors):
        self.check_complete("index")
        return super().index(factors)

    def render(self, factors):
        self.check_complete("render")
        return self.images(super().index(factors))

    @property
    def mean(self):
        if self._mean is None:
            self._measure()
        return self._mean.copy()

    @property
    def std(self):
        if self._std is None:
            self._measure()
        return self._std.copy()

    def fingerprint(self):
        stored = {"pixels": images_checksum(self), "constants": self._given}
        if self.factor_names:
            stored["factor_table"] = checksum(self._classes)
            stored["factor_values"] = [zlib.crc32(repr(values.tolist()).encode()) for values in self.factor_values]
        if len(files := getattr(self, "files", ())) > 1000:
            # Fewer are named, in the order of the images.
            stored["files"] = f"{zlib.crc32(chr(0).join(files).encode(errors='surrogateescape')):08x}"
        return {**super().fingerprint(), **stored}

    def __repr__(self):
        return super().__repr__() if self.factor_names else super().__repr__().replace(", factors >", ", no factors>")

    def __deepcopy__(self, memo):
        # Nothing changes the images, and Keras Tuner copies what a callback holds for each of its runs.
        return copy.copy(self)

    def _measure(self):
        measured = channel_statistics(self)
        if self._mean is None:
            self._mean = measured.mean
        if self._std is None:
            self._std = np.where(measured.std_of_images > 0, measured.std_of_images, 1.0)

    def _grid_order(self, classes: np.ndarray) -> tuple[str | None, np.ndarray]:
        """Why the factors are no complete grid (None when they are), and the images' order along the grid."""
        if not self.factor_names:
            return "there are no factors", np.arange(len(classes))
        order = np.lexsort(classes.T[::-1])
        repeated = np.flatnonzero((classes[order[1:]] == classes[order[:-1]]).all(axis=1)) + 1
        combinations = np.delete(classes[order], repeated, axis=0)
        reasons, total = [], math.prod(self.factor_sizes)
        if len(combinations) < total:
            # The first place where the sorted combinations leave the grid. Digits, not indices: these may need more
            # than 64 bits.
            grid = _digits(np.arange(len(combinations)), self.factor_sizes)
            left = np.flatnonzero((combinations != grid).any(axis=1))
            first = _digits(left[:1] if len(left) else np.array([len(combinations)]), self.factor_sizes)[0]
            reasons.append(
                f"{total - len(combinations)} of {total} combinations are missing, first: {self._described(first)}"
            )
        if len(repeated):
            first, second = sorted(order[repeated[0] - 1 : repeated[0] + 1].tolist())
            reasons.append(
                f"{len(repeated)} images repeat a combination, first: {self._described(classes[first])} in images "
                f"{first} and {second}"
            )
        return "; ".join(reasons) or None, order

    def _described(self, factors: np.ndarray) -> str:
        named = zip(self.factor_names, self.factor_values, factors, strict=True)
        return ", ".join(f"{name}={values[k]}" for name, values, k in named)


def _digits(flat: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Points of a grid in its order, the last factor fastest; unlike np.unravel_index for grids of any size."""
    digits = []
    for size in reversed(sizes):
        flat, digit = np.divmod(flat, size)
        digits.append(digit)
    return np.stack(digits[::-1], axis=1)


def _checked_images(images) -> np.ndarray:
    """The images as a view of four dimensions."""
    if not isinstance(images, np.ndarray):
        raise ValueError(f"images must be a NumPy array, in memory or memory-mapped, got {type(images).__name__}")
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8 with values 0..255, got {images.dtype}; {_advice(images)}")
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise ValueError(
            "images must have the shape (n, height, width, channels) or (n, height, width), nothing of it 0, got "
            f"{images.shape}"
        )
    if images.ndim == 4 and images.shape[1] in (1, 3) and images.shape[3] > 4:
        raise ValueError(f"images must have their channels last, got {images.shape}; pass np.moveaxis(images, 1, -1)")
    return images if images.ndim == 4 else images[..., None]


def _advice(images: np.ndarray) -> str:
    """How to make uint8 of images of another dtype."""
    kind = images.dtype.kind
    if kind == "f":
        return "for values 0..1 pass np.rint(images * 255).astype('uint8'), for 0..255 np.rint(images).astype('uint8')"
    if kind == "b":
        return "pass images.astype('uint8') * 255"
    if kind not in "iu":
        return "see NumPy's astype"
    # Of some of them: they may lie on a disk, and take long to read.
    some = images[:: max(1, len(images) // 256)] if images.ndim and images.size else images
    largest = int(some.max()) if some.size else 0
    if largest < 256:
        more = ", for 16 bits (images // 257).astype('uint8')" if images.dtype == np.uint16 else ""
        return f"for values 0..255 pass images.astype('uint8'){more}"
    found = f"values go up to {largest}"
    if largest >= 2**14:
        return f"{found}: for 16 bits pass (images // 257).astype('uint8')"
    bits = largest.bit_length()
    return f"{found}: for {bits} bits pass (images >> {bits - 8}).astype('uint8')"


def _checked_columns(factors, names, count: int) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """One array (count,) a factor, and the names."""
    if factors is None:
        if names is not None and len(names):
            raise ValueError(f"factor_names needs factors, got {names!r} without any")
        return [], ()
    if isinstance(factors, str):
        raise ValueError(f"factors must be an array, a list of rows or a mapping, got {factors!r:.80}")
    if hasattr(factors, "items"):
        items = list(factors.items())
        columns = [column for _, column in items]
        names = [str(name) for name, _ in items] if names is None else names
    elif hasattr(factors, "__array__"):
        factors = np.asarray(factors)
        columns = list(factors.T) if factors.ndim == 2 else [factors]
    else:
        # Through objects, or NumPy would make strings of numbers that stand next to strings.
        try:
            rows = np.array(list(factors), dtype=object)
        except (TypeError, ValueError):
            rows = np.empty(())
        if rows.ndim == 0 or (rows.ndim == 1 and any(isinstance(row, list | tuple | np.ndarray) for row in rows)):
            raise ValueError(f"factors must be rows of the same length, got {type(factors).__name__}")
        columns = list(rows.T) if rows.ndim == 2 else [rows]
    columns = [
        np.array(list(column), dtype=object) if isinstance(column, list | tuple) else np.asarray(column)
        for column in columns
    ]
    shapes = {column.shape for column in columns}
    if not columns or shapes != {(count,)}:
        raise ValueError(
            f"factors must hold one value or more for each of the {count} images, got columns of shape "
            f"{', '.join(map(str, sorted(shapes))) or 'none'}"
        )
    names = tuple(f"factor_{k}" for k in range(len(columns))) if names is None else names
    if isinstance(names, str) or not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"factor_names must be a list of strings, none empty, got {names!r}")
    if len(names) != len(columns) or len(set(names)) != len(names):
        raise ValueError(f"factor_names must be {len(columns)} different names, got {names!r}")
    return columns, tuple(names)


def _distinct(name: str, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sorted distinct values of a factor, and the position of each image's value among them."""
    if column.dtype.kind == "O":
        strings = sum(isinstance(value, str) for value in column)
        real = sum(isinstance(value, numbers.Real | np.bool_) for value in column)
        if len(column) not in (strings, real):
            raise ValueError(f"factors: the values of {name} must be all numbers or all strings, none missing")
        column = np.array(column.tolist())
    if column.dtype.kind not in "biufUT":
        raise ValueError(f"factors: the values of {name} must be numbers or strings, got {column.dtype}")
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        raise ValueError(
            f"factors: {name} must be finite, got {column[~np.isfinite(column)][0]} in row "
            f"{np.flatnonzero(~np.isfinite(column))[0]}"
        )
    return np.unique(column, return_inverse=True)


def _checked_constants(argument: str, constants, channels: int) -> np.ndarray:
    try:
        array = np.broadcast_to(np.asarray(constants, "float64"), (channels,)).copy()
    except (TypeError, ValueError):
        array = np.array([np.nan])
    if not np.isfinite(array).all() or (argument == "std" and array.min() <= 0):
        above = ", above 0" * (argument == "std")
        raise ValueError(f"{argument} must be one number{above}, or one per channel ({channels}), got {constants!r}")
    return array
