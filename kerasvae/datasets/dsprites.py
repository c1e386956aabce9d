"""dSprites: sprites of three shapes at all scales, orientations and positions; rendered, or the original file."""

from __future__ import annotations

import functools
import math
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from keras import ops

from kerasvae.archives import array_header, checked_zip, read_npz
from kerasvae.checks import check_choice
from kerasvae.datasets import dsprites_rendering
from kerasvae.datasets.ground_truth import GroundTruthData
from kerasvae.datasets.prepared import OtherForm, TableSource, open_table

SIZE = 64
PACKED = SIZE * SIZE // 8
# Images handled at once: few enough for the processor's cache.
_CHUNK = 1024
# Table 2 of "Overlooked Implications" for the original file, and the same constants of the rendered images.
_MEAN = {"original": 0.042494423521890, "rendered": 128_328_864 / (737_280 * 4096)}
_STD = {"original": 0.195166458806261, "rendered": 0.19516645451018924}


class DSprites(GroundTruthData):
    """White sprites on black: a square, an ellipse or a heart, 6 scales, 40 orientations, 32 x 32 positions.

    Args:
        source: "rendered" (default), drawn from the outlines, nothing to download; or "original", the published file,
            downloaded at the first use. The rendered images equal the original in all 413 images that could be
            compared and in the mean to 1e-9 (2 pixels of 3.0e9), but are not proven equal everywhere.
        data_dir, manual_dir: for "original" alone, see `kerasvae.datasets.prepared`: the folder of prepared data, and
            the folder of files that you downloaded yourself, the .hdf5 or the .npz of dSprites. Default None.

    The factors are shape (square, ellipse, heart), scale (0.5 to 1), orientation (0 to 2π with both ends: the last
    repeats the first), position_x and position_y; 737 280 images of 64 x 64 pixels, 0 or 255, one channel. `mean` and
    `std` are the published constants, or the same of the rendered images; std is the mean over images of each image's
    own unbiased standard deviation.

    The rendered images are made at the first use, in about a second, as a table of 86 MB that all instances of a
    process share; the original is memory-mapped.

    Raises:
        ValueError: for another source.
        OSError: when the original cannot be had; it says which file to put where.

    Example:
        >>> data = DSprites()
        >>> len(data), data.image_shape, data.images([0]).sum() // 255
        (737280, (64, 64, 1), 100)

    Source: Matthey et al. 2017, https://github.com/deepmind/dsprites-dataset.
    """

    factor_names = ("shape", "scale", "orientation", "position_x", "position_y")
    factor_sizes = (3, 6, 40, 32, 32)
    image_shape = (SIZE, SIZE, 1)

    def __init__(self, source: str = "rendered", data_dir=None, manual_dir=None):
        check_choice(source, "source", ("rendered", "original"))
        self.source, self.data_dir, self.manual_dir = source, data_dir, manual_dir
        self.mean, self.std = np.array([_MEAN[source]]), np.array([_STD[source]])
        if source == "original":
            self._original()

    def _original(self) -> np.ndarray:
        # Not an attribute: copies and pickles of a data set would then hold its images.
        return _original_table(self.data_dir, self.manual_dir)

    def images(self, indices, draws=None):
        return unpack(self.packed(indices))

    def render(self, factors):
        return self.images(self.index(factors))

    def packed(self, indices=None) -> np.ndarray:
        """Images as bits, for tables on a device; `unpack` gives the images back.

        Args:
            indices: integers in 0..len - 1, (n,); the default is every image, in order (377 MB).

        Returns:
            uint8 (n, 512): the 4096 pixels of an image row by row, 8 to a byte, the first in the highest bit.

        Raises:
            ValueError: as for `images`.
        """
        if indices is not None:
            indices = self.check_indices(indices)
            return self._original()[indices] if self.source == "original" else _rendered(indices)
        everything = np.empty((len(self), PACKED), "uint8")
        for start in range(0, len(self), _CHUNK):
            part = slice(start, start + _CHUNK)
            everything[part] = self.packed(np.arange(start, min(start + _CHUNK, len(self))))
        return everything

    def device_table(self):
        """All images as bits, 377 MB."""
        return self.packed()

    def device_images(self, indices, table, draws=None):
        bytes_ = ops.cast(ops.take(table, indices, axis=0), "int32")
        bits = ops.bitwise_and(ops.right_shift(bytes_[..., None], ops.arange(7, -1, -1, dtype="int32")), 1)
        return ops.cast(255 * ops.reshape(bits, (-1, SIZE, SIZE, 1)), "uint8")


def pack(images: np.ndarray) -> np.ndarray:
    """Images of 0 and anything else as bits, as `DSprites.packed` returns them: (n, 64, 64, 1) to uint8 (n, 512)."""
    return np.packbits(images.reshape(len(images), -1) != 0, axis=1)


def unpack(packed) -> np.ndarray:
    """Images from what `DSprites.packed` returns: uint8 (n, 512) to uint8 0 or 255, (n, 64, 64, 1)."""
    bits = np.unpackbits(packed, axis=-1)
    np.negative(bits, out=bits)  # 1 wraps to 255
    return bits.reshape(-1, SIZE, SIZE, 1)


def _rendered(indices: np.ndarray) -> np.ndarray:
    windows = dsprites_rendering.sprite_rows().reshape(-1, dsprites_rendering.WINDOW)[indices]
    left, top = (dsprites_rendering.WINDOW_START[number] for number in (indices // 32 % 32, indices % 32))
    # A row of 64 pixels is one integer: the window's leftmost pixel goes to its top bit, then as far right as it lies.
    rows = (windows.astype("uint64") << np.uint64(32)) >> left.astype("uint64")[:, None]
    canvas = np.zeros((len(indices), SIZE), "uint64")
    canvas[np.arange(len(indices))[:, None], top[:, None] + np.arange(dsprites_rendering.WINDOW)] = rows
    return canvas.astype(">u8").view("uint8")


@functools.cache
def _original_table(data_dir, manual_dir) -> np.ndarray:
    """Memory-mapped uint8 (737280, 512): every image of the published file, as of `DSprites.packed`."""
    return open_table(ORIGINAL, data_dir, manual_dir)[0]


def read_npz_file(paths: list[Path], sizes: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Factors (n, 5) and images (n, 64, 64, 1) of the npz file of dSprites; arguments as of `OtherForm.read`."""
    (path,) = paths
    count = math.prod(sizes)
    try:
        classes = read_npz(path, ["latents_classes"], most=count * 6 * 8)[0]["latents_classes"]
        with checked_zip(path) as archive, archive.open("imgs.npy") as stream:
            shape, column_order, dtype = array_header(stream)
            if (shape, column_order, dtype, classes.shape) != ((count, 64, 64), False, np.uint8, (count, 6)):
                raise ValueError(
                    f"imgs must be uint8 of shape {(count, 64, 64)} with latents_classes {(count, 6)}, got {dtype} of "
                    f"{shape} and {classes.shape}"
                )
            pixels = 0
            for start in range(0, count, 1024):
                factors = classes[start : start + 1024, 1:]
                images = np.frombuffer(stream.read(len(factors) * 4096), np.uint8).reshape(-1, 64, 64, 1)
                pixels += np.count_nonzero(images)
                yield factors, images
            stream.read(1)  # the end is where the checksum is compared
    except (KeyError, OSError, EOFError, NotImplementedError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{str(path)!r} cannot be read as the npz file of dSprites: {error}") from error
    if count == 737_280 and pixels != 128_328_862:
        raise ValueError(f"{str(path)!r} is not dSprites: {pixels} pixels are white, of the published 128328862")


ORIGINAL = TableSource(
    name="dsprites",
    factor_names=("shape", "scale", "orientation", "position_x", "position_y"),
    factor_sizes=(3, 6, 40, 32, 32),
    builder="dsprites",
    labels=("label_shape", "label_scale", "label_orientation", "label_x_position", "label_y_position"),
    row_shape=(512,),
    rows=pack,
    forms=(OtherForm(("dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",), read_npz_file),),
)
