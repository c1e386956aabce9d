"""Cars3D: renderings of car models, from the published archive."""

from __future__ import annotations

import io
import posixpath
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kerasvae.datasets.prepared import OtherForm, PreparedImages, TableSource, resized
from kerasvae.datasets.published_files import SourceFile
from kerasvae.files import regular_file

FACTORS = {"elevation": 4, "azimuth": 24, "object": 183}
# The digest is that of the file which the authors of "Overlooked Implications" used.
ARCHIVE = SourceFile(
    "nips2015-analogy-data.tar.gz",
    "http://www.scottreed.info/files/nips2015-analogy-data.tar.gz",
    "md5:4e866a7919c1beedf53964e6f7a23686",
)
# An array of a car's images takes 5 MB.
_LARGEST_MEMBER = 64 * 1024**2


def read_folder(paths: list[Path], sizes: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Factors and images of the cars in the folder of the archive, extracted: list.txt and one .mat file per car.

    `OtherForm` says what is given, `read_archive` what is yielded.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    (folder,) = paths
    path = folder / "list.txt"
    try:
        names = [line.strip() for line in regular_file(path).read_text(encoding="utf-8").splitlines() if line.strip()]
        for number, name in enumerate(names):
            path = regular_file(folder / f"{name}.mat")
            if path.stat().st_size > _LARGEST_MEMBER:
                raise ValueError(f"it has more than {_LARGEST_MEMBER} bytes")
            yield _factors_and_images(loadmat(path, variable_names=["im"]), number)
    except (OSError, EOFError, KeyError, ValueError, TypeError, MatReadError, zlib.error) as error:
        raise ValueError(f"{str(path)!r} cannot be read as a file of Cars3D: {error}") from error


def _factors_and_images(content: dict, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the contents of a car's .mat file, and its number."""
    images = content["im"].transpose(4, 3, 0, 1, 2)
    elevation, azimuth = np.indices(images.shape[:2]).reshape(2, -1)
    factors = np.stack([elevation, azimuth, np.full(len(azimuth), number)], axis=1)
    return factors, images.reshape(-1, *images.shape[2:])


def read_archive(paths: list[Path], sizes: tuple[int, ...] = ()) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Factors and images of the cars in the published archive, one car after another, in no particular order.

    Args:
        paths: of the tar.gz file alone. It holds data/cars/list.txt, one name per line, and for each name
            data/cars/NAME.mat with the array `im`, uint8 (128, 128, 3, azimuths, elevations).
        sizes: not needed; `OtherForm` says why it is there.

    Yields:
        Factors elevation, azimuth and object, int64 (n, 3), and images, uint8 (n, 128, 128, 3).

    Raises:
        ValueError: naming the archive, when it cannot be read or lacks the list, a listed car, or its array.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    (path,) = paths
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if posixpath.normpath(member.name) == "data/cars/list.txt":
                    lines = _contents(archive, member).decode("utf-8").splitlines()
                    break
            else:
                raise ValueError("it holds no data/cars/list.txt")
        names = [line.strip() for line in lines if line.strip()]
        remaining = {f"data/cars/{name}.mat": number for number, name in enumerate(names)}
        # A second time from the start: in a compressed archive going on is cheap and going back is not.
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                number = remaining.pop(posixpath.normpath(member.name), None)
                if number is not None:
                    content = io.BytesIO(_contents(archive, member))
                    yield _factors_and_images(loadmat(content, variable_names=["im"]), number)
        if remaining:
            raise ValueError(f"it lacks {len(remaining)} of the cars in its list.txt, the first {min(remaining)}")
    except (OSError, EOFError, KeyError, ValueError, TypeError, MatReadError, tarfile.TarError, zlib.error) as error:
        raise ValueError(f"{str(path)!r} cannot be read as the archive of Cars3D: {error}") from error


class Cars3D(PreparedImages):
    """Renderings of 183 car models from 4 elevations and 24 azimuths, shrunk to 64 x 64 pixels.

    The factors are elevation, azimuth and object: 17 568 images in three channels. `mean` and `std` are the published
    constants. The objects are numbered as in the archive's list.txt, as in the paper; disentanglement_lib numbers them
    as its file system lists them, so that its objects have other numbers. Images are shrunk from 128 x 128 by an
    antialiased bilinear filter, as in the paper; disentanglement_lib used a Lanczos filter.

    Args:
        data_dir, manual_dir: where the prepared images and the published archive are, see `kerasvae.datasets.prepared`.
            Default None: the places of tensorflow_datasets. The archive is also taken extracted: data/cars or cars.

    Raises:
        ValueError, OSError: as for `kerasvae.datasets.prepared.PreparedImages`.

    Source: Reed et al. 2015, "Deep Visual Analogy-Making", http://www.scottreed.info; constants: Table 2 of
    "Overlooked Implications".
    """

    source = TableSource(
        name="cars3d",
        factor_names=tuple(FACTORS),
        factor_sizes=tuple(FACTORS.values()),
        published=(ARCHIVE,),
        read=read_archive,
        rows=resized,
        forms=tuple(OtherForm((folder,), read_folder) for folder in ("data/cars", "cars")),
    )

    def __init__(self, data_dir=None, manual_dir=None):
        super().__init__(
            self.source,
            data_dir,
            manual_dir,
            mean=(0.897667614997663, 0.889165802006751, 0.885147515814868),
            std=(0.225031955315030, 0.239946127898126, 0.247921063196844),
        )


def _contents(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if not member.isfile() or member.size > _LARGEST_MEMBER:
        raise ValueError(f"{member.name} in it must be a file of at most {_LARGEST_MEMBER} bytes, it has {member.size}")
    return archive.extractfile(member).read()
