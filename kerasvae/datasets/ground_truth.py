"""The interface of every ground-truth data set: a grid of factors, and images by index."""

from __future__ import annotations

import math
import reprlib
import zlib

import keras
import numpy as np

from kerasvae.checks import is_integer

# What a data set must have, and the form of it.
_ATTRIBUTES = {
    "factor_names": "the names of its F factors, such as ('x', 'y')",
    "factor_sizes": "the number of values of each factor, (F,)",
    "image_shape": "(height, width, channels)",
    "mean": "the mean of each channel in units of 0..1, NumPy (channels,)",
    "std": "the standard deviation of each channel in units of 0..1, above 0, NumPy (channels,)",
}


class GroundTruthData:
    """A complete grid of factor values with one image for each point; data sets are subclasses.

    A subclass sets in its constructor:

        factor_names: names of the F factors.
        factor_sizes: number of values of each, (F,).
        image_shape: (height, width, channels).
        mean, std: per-channel constants in units of 0..1, NumPy float64 (channels,), used to standardise; std is never
            0 (a channel that is constant gets 1).

    and defines `render(factors)`. Images are in the order of the grid, the last factor varying fastest.

    Attributes:
        complete: whether each combination of factor values has exactly one index. False for a user's images without
            factors or with some combinations missing or repeated (`FromArrays`, `FromFolder`): what needs the grid
            (`index`, `render`, pairs, traversals) then raises a ValueError that says so.
        random: whether images have parts that no factor determines, such as a noisy background. `render` and `images`
            then take `draws`, integers (n,): the random parts are functions of the data set's seed and the draw.
            Without `draws` an image's draw is its index.
    """

    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    image_shape: tuple[int, int, int]
    mean: np.ndarray
    std: np.ndarray
    complete = True
    random = False

    def __getattr__(self, name):
        # Called for what is missing only.
        if name in _ATTRIBUTES:
            raise AttributeError(f"{type(self).__name__} must set `{name}`: {_ATTRIBUTES[name]}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def render(self, factors: np.ndarray) -> np.ndarray:
        """Images of checked factor values: integer (n, F) to uint8 (n, height, width, channels).

        With `random` it is `render(factors, draws=None)`.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `render`")

    def __len__(self) -> int:
        return math.prod(self.factor_sizes)

    def images(self, indices, draws=None) -> np.ndarray:
        """Images of the given indices.

        Args:
            indices: integers in 0..len - 1, (n,).
            draws: integers (n,), at least 0, for data with random parts; the default is `indices`. Others ignore it.

        Returns:
            uint8 0..255, (n, height, width, channels).

        Raises:
            ValueError: for indices that are not integers, not one-dimensional or out of range.
        """
        factors = self.factors(indices)
        images = self.render(factors, indices if draws is None else draws) if self.random else self.render(factors)
        self._check_rendered(images, len(factors))
        return images

    def _check_rendered(self, images, count: int) -> None:
        dtype, shape = getattr(images, "dtype", type(images).__name__), tuple(np.shape(images))
        if dtype != np.uint8 or shape != (count, *self.image_shape):
            raise ValueError(
                f"{type(self).__name__}.render must return uint8 images 0..255 of shape "
                f"{(count, *self.image_shape)}, got {dtype} of shape {shape}"
            )

    def check(self) -> None:
        """ValueError, naming the class and what is wrong, unless the data set has what it must have in the right form.

        The pipelines call it, so that a data set of one's own fails before anything is trained.
        """
        if self.__dict__.get("_checked"):
            return
        for name, form in _ATTRIBUTES.items():
            if getattr(self, name, None) is None:
                raise ValueError(f"{type(self).__name__} must set `{name}`: {form}")
        names, sizes, shape = tuple(self.factor_names), tuple(self.factor_sizes), tuple(self.image_shape)
        whole = all(is_integer(size) and size >= 1 for size in (*sizes, *shape))
        if not whole or len(names) != len(sizes) or len(shape) != 3:
            raise ValueError(
                f"{type(self).__name__}: factor_names and factor_sizes must be as many, and factor_sizes and "
                f"image_shape (height, width, channels) positive integers; got {names}, {sizes} and {shape}"
            )
        for name, least in (("mean", -math.inf), ("std", 0.0)):
            value = np.asarray(getattr(self, name))
            number = np.issubdtype(value.dtype, np.number)
            if value.shape != shape[2:] or not number or not np.isfinite(value).all() or not (value > least).all():
                raise ValueError(
                    f"{type(self).__name__}.{name} must be {_ATTRIBUTES[name]}, here {shape[2:]}, got {value!r}"
                )
        if len(self):
            GroundTruthData._check_rendered(self, self.images(np.zeros(1, "int64")), 1)
        self._checked = True

    def factors(self, indices) -> np.ndarray:
        """Factor values of the given indices, integer (n, F); arguments and errors as for `images`."""
        return np.stack(np.unravel_index(self.check_indices(indices), self.factor_sizes), axis=1)

    def check_indices(self, indices) -> np.ndarray:
        """The indices as int64 (n,); ValueError as for `images`."""
        indices = _array("indices", indices)
        if indices.ndim != 1 or (indices.size and not np.issubdtype(indices.dtype, np.integer)):
            raise ValueError(
                f"indices must be a one-dimensional array of integers, got {indices.dtype} of shape {indices.shape}"
            )
        if indices.size and (indices.min() < 0 or indices.max() >= len(self)):
            raise ValueError(f"indices must lie in 0..{len(self) - 1}, got {indices.min()}..{indices.max()}")
        return indices.astype("int64")

    def index(self, factors) -> np.ndarray:
        """Indices of the given factor values.

        Args:
            factors: integers (n, F), column k in 0..factor_sizes[k] - 1.

        Returns:
            int64 (n,).

        Raises:
            ValueError: for another shape, values that are not integers, or out of range.
        """
        factors = _array("factors", factors)
        if (
            factors.ndim != 2
            or factors.shape[1] != len(self.factor_sizes)
            or not np.issubdtype(factors.dtype, np.integer)
        ):
            raise ValueError(
                f"factors must be integers of shape (n, {len(self.factor_sizes)}), got {factors.dtype} of shape "
                f"{factors.shape}"
            )
        outside = (factors < 0) | (factors >= np.asarray(self.factor_sizes))
        if outside.any():
            row, column = np.argwhere(outside)[0]
            raise ValueError(
                f"factors: {self.factor_names[column]} must lie in 0..{self.factor_sizes[column] - 1}, got "
                f"{factors[row, column]} in row {row}"
            )
        return np.ravel_multi_index(tuple(factors.T.astype("int64")), self.factor_sizes)

    def check_complete(self, purpose: str) -> None:
        """ValueError, naming the purpose, unless each combination of factor values has exactly one index."""
        if not self.complete:
            raise ValueError(
                f"{purpose}: data must hold one image for each combination of its factors, and {self!r} does not"
            )

    def device_table(self) -> np.ndarray | dict[str, np.ndarray] | None:
        """What `device_images` looks images up in, an array or several by name, or None: here all images, uint8.

        With `on_device=True` it is put on the device once; it must fit there.
        """
        return self.images(np.arange(len(self)))

    def device_images(self, indices, table, draws=None):
        """Images on the device the model trains on, as `images` gives them: called in its compiled step.

        Args:
            indices: int32 tensor (n,).
            table: what `device_table` returned, as tensors; or None.
            draws: int32 tensor (n,) for data with random parts, otherwise None.

        Returns:
            uint8 tensor (n, height, width, channels), by operations of `keras.ops`.
        """
        return keras.ops.take(table, indices, axis=0)

    def standardize(self, images) -> np.ndarray:
        """uint8 images as float32 (image/255 - mean)/std, the form in which models are trained."""
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim < 3 or images.shape[-1:] != self.image_shape[-1:]:
            raise ValueError(
                f"images must be uint8 with {self.image_shape[-1]} channels, got {images.dtype} of shape {images.shape}"
            )
        # In this order the compiler of no backend can merge the two operations, which would round differently.
        center, scale = (255.0 * self.mean).astype("float32"), (1.0 / (255.0 * self.std)).astype("float32")
        return (images.astype("float32") - center) * scale

    def fingerprint(self) -> dict:
        """What distinguishes this data set from others, JSON-able: class, shape, factors, constants, and arguments.

        A run keeps it, to notice when it would go on with other data. Arguments are the attributes with public names
        that are numbers, texts, or small arrays. Data sets whose images are stored add what the images hold; where
        files lie does not matter.
        """
        stated = {name: _stated(value) for name, value in vars(self).items() if name[0] != "_"}
        return {
            "class": type(self).__name__,
            "images": len(self),
            "factors": dict(zip(self.factor_names, map(int, self.factor_sizes), strict=True)),
            **{name: value for name, value in stated.items() if value is not None and name not in _NOT_STATED},
        }

    def __repr__(self):
        factors = ", ".join(f"{name} {size}" for name, size in zip(self.factor_names, self.factor_sizes, strict=True))
        return f"<{type(self).__name__}: {len(self)} images {self.image_shape}, factors {factors}>"


def check_data_set(data, constants: bool = True) -> None:
    """ValueError unless `data` is a data set: an object with images, factors and, in the right form, channel constants.

    Args:
        data: what a caller gave.
        constants: False where it is about to be asked for them, which it may have to measure.
    """
    if isinstance(data, GroundTruthData):
        if constants:
            data.check()
        return
    wanted = ("images", "factor_names", "factor_sizes", "image_shape")
    if isinstance(data, type) or not all(hasattr(data, name) for name in wanted):
        given = (
            f"the class {data.__name__}, to be called"
            if isinstance(data, type)
            else f"{type(data).__name__}: {reprlib.repr(data)}"
        )
        if isinstance(data, np.ndarray):
            given = f"an array of shape {data.shape}, which FromArrays makes a data set"
        raise ValueError(f"data must be a data set such as kerasvae.datasets.XYSquares(), got {given}")


def _array(argument: str, values) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise ValueError(f"{argument} must be integers in an array, got {reprlib.repr(values)}") from error


# Attributes that a fingerprint holds otherwise, or that say where files lie.
_NOT_STATED = ("factor_names", "factor_sizes", "data_dir", "manual_dir")
_SMALL = 2**20
# Of stored images at most so many bytes are read for a fingerprint.
_BYTES_READ = 2**28


def _stated(value):
    """A plain attribute as JSON has it, a small array as its checksum; None for anything else."""
    if isinstance(value, GroundTruthData):
        return value.fingerprint()
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and value.size <= 100:
            # Not all digits: machines may differ in the last ones.
            return [float(f"{number:.9g}") for number in value.ravel().tolist()]
        return checksum(value) if value.dtype.kind in "biu" and value.nbytes <= _SMALL else None
    if isinstance(value, tuple | list) and len(value) <= 1000:
        parts = [_stated(part) for part in value]
        return None if None in parts else parts
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, bool | int | str | float) else None


def checksum(array: np.ndarray) -> str:
    """CRC-32 of an array's numbers, in hexadecimal."""
    return f"{zlib.crc32(np.ascontiguousarray(array)):08x}"


def images_checksum(data) -> str:
    """CRC-32 of a data set's images; of more than 256 MiB, of as many that lie evenly among them."""
    bytes_each = math.prod(data.image_shape)
    read = min(len(data), max(_BYTES_READ // bytes_each, 1))
    chosen, found = np.linspace(0, len(data) - 1, read).round().astype("int64"), 0
    for start in range(0, read, 256):
        found = zlib.crc32(np.ascontiguousarray(data.images(chosen[start : start + 256])), found)
    return f"{found:08x}"
