"""Images as they come, arrays or files, to the uint8 batches that an encoder takes: prepared as in training."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from kerasvae import image_files
from kerasvae.files import why_no_file

# What one image may cost in memory before it is resized; Pillow only warns of more.
PIXEL_LIMIT = Image.MAX_IMAGE_PIXELS
# Pillow opens no image of more.
LARGEST_PIXEL_LIMIT = 2 * PIXEL_LIMIT
# Some formats are read whole before their size is known.
_LARGEST_FILE = 1024**3


class ImageError(ValueError):
    """An image file that cannot be used.

    Attributes:
        file: its path.
        reason: why, in a few words.
    """

    def __init__(self, file, reason: str):
        super().__init__(f"images: {str(file)!r} cannot be used: {reason}")
        self.file, self.reason = file, reason

    def __reduce__(self):
        return type(self), (self.file, self.reason)


@dataclass(frozen=True)
class Preparation:
    """How images of any kind become those that an encoder takes.

    Attributes:
        image_shape: (height, width, channels) of the encoder's images; channels 1 or 3.
        fit, background: as for `kerasvae.datasets.FromFolder`.
    """

    image_shape: tuple[int, int, int]
    fit: str
    background: int

    def read(self, file, pixel_limit: int = PIXEL_LIMIT, note: Callable[[int], None] | None = None) -> np.ndarray:
        """The image in a file: upright, resized, the same bits as in training.

        Args:
            file: path of a regular file, or a binary file object. All that `FromFolder` takes is read, whatever the
                name ends in; of several frames the first.
            pixel_limit: refuse an image of more pixels before it is decoded.
            note: called with the largest value, 0..65535, of a file of 16 bits.

        Returns:
            uint8 `image_shape`.

        Raises:
            ImageError: for a file that is broken, too large, or no image.
        """
        label = "<bytes>" if hasattr(file, "read") else os.fspath(file)
        try:
            if not hasattr(file, "read"):
                # Opening a pipe would wait for its writer.
                if reason := why_no_file(file):
                    raise ImageError(label, reason)
                if os.stat(file).st_size > _LARGEST_FILE:
                    raise ImageError(label, f"it has more than {_LARGEST_FILE // 1024**3} GiB")
                if os.fspath(file).lower().endswith(image_files.endings()[1]):
                    raise ImageError(label, image_files.why_not_taken(os.fspath(file)))
            with image_files.opened(file) as image:
                width, height = image.size
            if width * height > pixel_limit:
                raise ImageError(label, f"{width} x {height} are more than {pixel_limit} pixels")
            if hasattr(file, "seek"):
                file.seek(0)
            height, width, channels = self.image_shape
            return image_files.read_image(file, (height, width), channels, self.fit, self.background, note)
        except ImageError:
            raise
        except Exception as error:  # Pillow raises almost anything for a broken file
            raise ImageError(label, reason_of(error)) from error

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 images (n, h, w, 1 or 3) to uint8 (n, *image_shape)."""
        height, width, channels = self.image_shape
        if pixels.shape[1:3] == (height, width) and pixels.shape[3] <= channels:
            # A view; grey becomes RGB by repetition.
            return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:3], channels)))
        images = np.empty((len(pixels), *self.image_shape), "uint8")
        for k, image in enumerate(pixels):
            # Read as the file that holds these pixels would be, so that both give the same bits.
            kind, (rows, columns) = (5 if image.shape[2] == 1 else 6), image.shape[:2]
            file = io.BytesIO(b"P%d %d %d 255\n" % (kind, columns, rows) + image.tobytes())
            images[k] = self.read(file, pixel_limit=LARGEST_PIXEL_LIMIT)
        return images

    def batches(
        self, images, batch_size: int, value_range=None, pixel_limit: int = PIXEL_LIMIT
    ) -> Iterator[np.ndarray]:
        """Batches of prepared images, uint8 (m, *image_shape), m at most `batch_size`; arguments as `Bundle.encode`.

        Raises:
            ValueError, TypeError: at once or at the batch that holds what is refused.
        """
        if isinstance(images, str | os.PathLike):
            images = [images]
        if isinstance(images, list | tuple) and images and isinstance(images[0], str | os.PathLike):
            if not all(isinstance(file, str | os.PathLike) for file in images):
                raise TypeError("images must be paths or arrays, not both in one list")
            if value_range is not None:
                raise ValueError(f"range is for arrays, not for image files, got {value_range!r}")
            largest = []
            for start in range(0, len(images), batch_size):
                block = images[start : start + batch_size]
                yield np.stack([self.read(file, pixel_limit, largest.append) for file in block])
            if notice := image_files.nearly_black(largest):
                warnings.warn(f"images: {notice}", UserWarning, stacklevel=3)  # whoever called Bundle.encode
        elif isinstance(images, list | tuple) and images and all(isinstance(image, np.ndarray) for image in images):
            # They may be of different sizes.
            arrays = [self._one_with_four_axes(image, f"images[{k}]") for k, image in enumerate(images)]
            for start in range(0, len(arrays), batch_size):
                block = arrays[start : start + batch_size]
                yield np.concatenate([self.prepare(to_pixels(array, value_range)) for array in block])
        else:
            array = self._with_four_axes(_as_array(images))
            for start in range(0, len(array), batch_size):
                yield self.prepare(to_pixels(array[start : start + batch_size], value_range))

    def _one_with_four_axes(self, array: np.ndarray, name: str) -> np.ndarray:
        """(1, h, w, c) of an image of 2 or 3 axes."""
        if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] not in (1, 3)):
            raise ValueError(f"{name} must be (h, w), (h, w, 1) or (h, w, 3), channels last, got {array.shape}")
        return array.reshape(1, *array.shape[:2], -1)

    def _with_four_axes(self, array: np.ndarray) -> np.ndarray:
        """(n, h, w, c) of an array of 2 to 4 axes."""
        shape, channels = array.shape, self.image_shape[2]
        if array.ndim == 2:
            array = array[None, :, :, None]
        elif array.ndim == 3 and shape[-1] in (1, 3):
            array = array[None]
        elif array.ndim == 3 and shape[-1] not in (2, 4) and not (shape[0] == 3 == channels):
            array = array[..., None]
        if array.ndim != 4 or array.shape[3] not in (1, 3) or 0 in array.shape[1:]:
            raise ValueError(
                f"images must be (n, h, w, 1), (n, h, w, 3), (h, w, 3), (n, h, w) or (h, w), channels last and without "
                f"alpha, got {shape}; say (n, h, w, 1) where that could be misread"
            )
        return array


def to_pixels(array: np.ndarray, value_range=None) -> np.ndarray:
    """uint8 pixels 0..255 of numbers in a range, rounded.

    Args:
        array: of integers or floats, any shape.
        value_range: (value of black, value of white). Default (0, 255).

    Raises:
        ValueError: for a value that is outside, NaN or infinite, and for a range that is none.
        TypeError: for an array of anything else.
    """
    if array.dtype.kind not in "uif":
        raise TypeError(f"images must be of integers or floats, got {array.dtype}")
    low, high = _checked_range(value_range)
    if array.dtype == np.uint8 and (low, high) == (0, 255):
        return array
    if not array.size:
        return array.astype("uint8")
    least, largest = array.min(), array.max()
    if not (low <= least and largest <= high):  # also for NaN
        raise ValueError(
            f"images must lie in {low:g}..{high:g} without NaN, got values from {least} to {largest}; name another "
            "range with range=, or clip"
        )
    if value_range is None and array.dtype.kind == "f" and 0 < largest <= 1 and (array % 1).any():
        warnings.warn(
            f"images are floats of at most {largest:.3g}, read as pixels 0..255, which is nearly black; if they are "
            "from 0 to 1 say range=(0, 1), else range=(0, 255)",
            UserWarning,
            stacklevel=4,  # whoever called Bundle.encode
        )
    if high - low >= 65535 and 0 < largest - low < (high - low) / 16:
        warnings.warn(
            f"images use 1/16 of the range {low:g}..{high:g} or less, up to {largest}, and become nearly black; say "
            f"what white is: range=({low:g}, {low + 2 ** int(largest - low).bit_length() - 1:g}) maybe",
            UserWarning,
            stacklevel=4,  # whoever called Bundle.encode
        )
    if (low, high) != (0, 255):
        array = (array.astype("float64") - low) * (255 / (high - low))
    return np.rint(array).astype("uint8") if array.dtype.kind == "f" else array.astype("uint8")


def _checked_range(value_range) -> tuple[float, float]:
    if value_range is None:
        return 0, 255
    try:
        low, high = (float(end) for end in value_range)
    except (TypeError, ValueError):
        low = high = 0.0
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(
            f"range must be two finite numbers, (black, white), the first the smaller, got {value_range!r}"
        )
    return low, high


def _as_array(images) -> np.ndarray:
    if isinstance(images, Image.Image):
        raise TypeError("images must be arrays or paths, got an image of Pillow; use np.asarray(image.convert('RGB'))")
    if images is None or isinstance(images, dict | set | bytes | int | float):
        raise TypeError(f"images must be a path, a list of paths, or an array of images, got {type(images).__name__}")
    if isinstance(images, list | tuple) and not images:
        raise ValueError("images must be at least one image or path, got an empty list")
    try:
        return np.asarray(images)
    except ValueError as error:
        raise ValueError(f"images must be a path, a list of paths, or an array of images ({error})") from error


def reason_of(error: Exception) -> str:
    """Why a file cannot be used, in a few words."""
    if isinstance(error, ImageError):
        return error.reason
    if isinstance(error, MemoryError):
        return "there is not enough memory for it"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or f"it is broken ({type(error).__name__})"
