"""MPI3D: a robot arm that holds an object, from the published files."""

from __future__ import annotations

import dataclasses
import math
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kerasvae.archives import array_header, checked_zip
from kerasvae.checks import check_choice
from kerasvae.datasets.prepared import PreparedImages, TableSource
from kerasvae.datasets.published_files import SourceFile

FACTORS = {
    "object_color": 6,
    "object_shape": 6,
    "object_size": 2,
    "camera_height": 3,
    "background_color": 3,
    "horizontal_axis": 40,
    "vertical_axis": 40,
}
# The digests are those of the files as first published; that address is gone, and this is where the data set's authors
# have put the files since.
FILES = {
    variant: SourceFile(
        f"mpi3d_{variant}.npz",
        f"https://huggingface.co/datasets/waleedgondal/mpi3d/resolve/main/mpi3d_{variant}.npz",
        f"md5:{digest}",
    )
    for variant, digest in {
        "toy": "55889cb7c7dfc655d6e0277beee88868",
        "realistic": "59a6225b88b635365f70c91b3e52f70f",
        "real": "0f33f609918fb5c97996692f91129802",
    }.items()
}
_CHUNK = 1024


def read_images(paths: list[Path], sizes: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Factors and images of a published file, some at a time, in the order of the grid.

    Args:
        paths: of the npz file alone, whose array `images` is uint8 (n, 64, 64, 3), with an image for each combination
            of factors.
        sizes: of the factors.

    Yields:
        Factors, int64 (m, 7), and images, uint8 (m, 64, 64, 3).

    Raises:
        ValueError: naming the file, when it cannot be read or holds another array.
    """
    (path,) = paths
    expected = math.prod(sizes), 64, 64, 3
    try:
        # np.load would take the whole array into memory.
        with checked_zip(path) as archive, archive.open("images.npy") as file:
            shape, column_order, dtype = array_header(file)
            if (shape, column_order, dtype) != (expected, False, np.uint8):
                raise ValueError(f"images must be uint8 of shape {expected} in row order, got {dtype} of {shape}")
            for start in range(0, shape[0], _CHUNK):
                count = min(_CHUNK, shape[0] - start)
                images = np.frombuffer(file.read(count * 64 * 64 * 3), np.uint8).reshape(count, 64, 64, 3)
                yield np.stack(np.unravel_index(np.arange(start, start + count), sizes), axis=1), images
            file.read(1)  # the end of the file is where its checksum is compared
    except (OSError, EOFError, KeyError, NotImplementedError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{str(path)!r} cannot be read as a file of MPI3D: {error}") from error


class MPI3D(PreparedImages):
    """A robot arm that holds an object in front of a camera: rendered simply, rendered realistically, or photographed.

    The factors are object_color, object_shape, object_size, camera_height, background_color, horizontal_axis and
    vertical_axis (the arm's first and second degree of freedom): 1 036 800 images of 64 x 64 pixels in three channels.
    `mean` and `std` are measured while preparing. An older toy file with 4 colours and 4 shapes, which
    disentanglement_lib reads, is another data set.

    The first use downloads 12.7 GB, takes a quarter of an hour or more, and writes another 12.7 GB; later ones
    open it at once.

    Args:
        variant: "toy" (default), "realistic" or "real".
        data_dir, manual_dir: where the prepared images and the published file are, see `kerasvae.datasets.prepared`.
            Default None: the places of tensorflow_datasets.
        md5: digest that the file must have, 32 hexadecimal digits. Default None: that of the file as first published.
            Give another one for the same images packed in another way, if you trust them.

    Raises:
        ValueError: for another variant, or as for `PreparedImages`.
        OSError: as for `kerasvae.datasets.prepared.PreparedImages`.

    Source: Gondal et al. 2019, https://github.com/rr-learning/disentanglement_dataset.
    """

    source = TableSource(
        name="mpi3d",
        factor_names=tuple(FACTORS),
        factor_sizes=tuple(FACTORS.values()),
        read=read_images,
    )

    def __init__(self, variant: str = "toy", data_dir=None, manual_dir=None, md5: str | None = None):
        check_choice(variant, "variant", FILES)
        if md5 is not None:
            if not re.fullmatch("[0-9a-fA-F]{32}", str(md5)):
                raise ValueError(f"md5 must be 32 hexadecimal digits, got {md5!r}")
            md5 = md5.lower()
        self.variant = variant
        source = dataclasses.replace(
            self.source,
            name=f"{self.source.name}_{variant}",
            published=(FILES[variant] if md5 is None else dataclasses.replace(FILES[variant], digest=f"md5:{md5}"),),
        )
        super().__init__(source, data_dir, manual_dir)
