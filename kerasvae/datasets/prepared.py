"""Data sets that come from files: fetched once, checked, and kept as one array on disk in the order of the factor grid.

Where things lie. `data_dir` is that of tensorflow_datasets unless you name another: the environment's TFDS_DATA_DIR, or
~/tensorflow_datasets.

    data_dir/downloads/manual/  the files as they were published. Those that are here already are not downloaded; where
                                they lie elsewhere, name their folder as `manual_dir`. Missing ones are put there.
    data_dir/BUILDER/           what tensorflow_datasets makes of them (records in no particular order)
    data_dir/kerasvae/NAME/     images.npy, the array, and table.json, what it holds. Later uses open it at once and
                                need neither the files nor the records nor tensorflow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import math
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
from rich.console import Console

from kerasvae import files
from kerasvae.datasets.image_table import ImageTable
from kerasvae.datasets.published_files import SourceFile, fetch, progress
from kerasvae.datasets.statistics import image_sums

try:
    import fcntl
except ImportError:  # Windows: the table is still written whole or not at all, but two processes may both write it.
    fcntl = None

_TABLE, _DESCRIPTION, _FORMAT = "images.npy", "table.json", 1


@dataclasses.dataclass(frozen=True)
class TableSource:
    """How the records of tensorflow_datasets become the rows of one array in the order of the factor grid.

    Args:
        name: of the table, and of its folder.
        builder: name under which tensorflow_datasets knows the builder, with its config if it has any.
        factor_names, factor_sizes: of the F factors.
        labels: the records' feature that holds each factor, (F,).
        row_shape: shape of a row of the array.
        split: of the records.
        rows: from images as recorded, uint8 (n, height, width, channels), to rows, uint8 (n, *row_shape); the default
            leaves them as they are.
        values: for a label that takes other values than 0..size - 1: those that it takes, in increasing order.
        arguments: further arguments of the builder.
    """

    name: str
    builder: str
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    labels: tuple[str, ...]
    row_shape: tuple[int, ...] = (64, 64, 3)
    split: str = "train"
    rows: Callable[[np.ndarray], np.ndarray] = lambda images: images
    values: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    arguments: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        return (math.prod(self.factor_sizes), *self.row_shape)


class PreparedImages(ImageTable):
    """An `ImageTable` that is memory-mapped from disk; the first use prepares it, see `kerasvae.datasets.prepared`.

    Copies and pickles hold the place on disk, not the images.

    Args:
        source: what the table is made of.
        data_dir: folder of prepared data. Default None: that of tensorflow_datasets.
        manual_dir: folder of the files as published. Default None: downloads/manual in `data_dir`.
        mean, std: published channel constants; None (default) for those measured while preparing.

    Raises:
        ValueError: for a manual_dir that is no folder, a file that is not the published one, or a damaged table.
        OSError: when a file is neither there nor to be downloaded (it says which, from where, to put where), or the
            table cannot be written.
    """

    def __init__(self, source: TableSource, data_dir=None, manual_dir=None, mean=None, std=None):
        table, description = open_table(source, data_dir, manual_dir)
        super().__init__(
            table,
            source.factor_names,
            source.factor_sizes,
            description["mean"] if mean is None else mean,
            description["std"] if std is None else std,
        )
        self.path = Path(table.filename)

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "table"}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.table = np.load(self.path, mmap_mode="r")


def dsprites_table(data_dir=None, manual_dir=None) -> np.memmap:
    """The images of the original dSprites file, 8 pixels to a byte.

    Args:
        data_dir, manual_dir: as for `PreparedImages`.

    Returns:
        Memory-mapped uint8 (737280, 512), in the order of the grid: shape, scale, orientation, position x, position y,
        the last fastest. A row holds the 4096 pixels of its image row by row, the first in the highest bit.

    Raises:
        ValueError, OSError: as for `PreparedImages`.
    """
    return open_table(DSPRITES, data_dir, manual_dir)[0]


def packed_bits(images: np.ndarray) -> np.ndarray:
    """Images of 0 and anything else as bits: (n, height, width, 1) to uint8 (n, height · width / 8)."""
    return np.packbits(images.reshape(len(images), -1) != 0, axis=1)


DSPRITES = TableSource(
    name="dsprites",
    builder="dsprites",
    factor_names=("shape", "scale", "orientation", "position_x", "position_y"),
    factor_sizes=(3, 6, 40, 32, 32),
    labels=("label_shape", "label_scale", "label_orientation", "label_x_position", "label_y_position"),
    row_shape=(512,),
    rows=packed_bits,
)


def resized(images: np.ndarray, size: int = 64) -> np.ndarray:
    """Images shrunk by Pillow's bilinear filter, which is antialiased: uint8 (n, H, W, C) to (n, size, size, C)."""
    from PIL import Image

    pictures = (Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image) for image in images)
    shrunk = [np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR)) for picture in pictures]
    return np.stack(shrunk).reshape(len(images), size, size, images.shape[-1])


def open_table(source: TableSource, data_dir=None, manual_dir=None) -> tuple[np.memmap, dict]:
    """The table, memory-mapped, and its description; prepared first if it is not there. Arguments as `PreparedImages`.

    The description has factor_names, factor_sizes, and for images mean and std: per channel in units of 0..1, std the
    mean over images of each image's own unbiased standard deviation, 1 where that is 0.
    """
    home = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    downloads = home / "downloads" / "manual"
    if manual_dir is not None:
        downloads = Path(manual_dir).expanduser()
        if not downloads.is_dir():
            raise ValueError(f"manual_dir must be a folder that holds the published files, got {str(manual_dir)!r}")
    folder = home / "kerasvae" / source.name
    if not folder.exists():
        files.check_writable(folder, "data_dir")
        with _only_process(folder.with_name(f".lock-{source.builder.split('/')[0]}"), source.name):
            # Another process may have prepared it while this one waited.
            if not folder.exists():
                _prepare(source, home, downloads, folder)
    return _opened(source, folder)


def _opened(source: TableSource, folder: Path) -> tuple[np.memmap, dict]:
    try:
        description = files.read_json(folder / _DESCRIPTION)
        table = np.load(folder / _TABLE, mmap_mode="r")
        wanted = (_FORMAT, list(source.factor_names), list(source.factor_sizes), source.shape, np.dtype("uint8"))
        found = *(description[key] for key in ("format", "factor_names", "factor_sizes")), table.shape, table.dtype
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"data_dir: {str(folder)!r} is damaged ({error}); delete it to prepare it again") from error
    if found != wanted:
        raise ValueError(
            f"data_dir: {str(folder)!r} is not the table of {source.name} that this version reads (found {found}, "
            f"expected {wanted}); delete it to prepare it again"
        )
    return table, description


def _prepare(source: TableSource, home: Path, downloads: Path, folder: Path) -> None:
    needed, free = math.prod(source.shape), shutil.disk_usage(folder.parent).free
    if free < needed:
        raise OSError(
            f"data_dir: the images of {source.name} take {needed / 1e9:.1f} GB in {str(folder.parent)!r}, where "
            f"{free / 1e9:.1f} GB are free; free some or name another data_dir"
        )
    import tensorflow_datasets as tfds

    # The package's own builders are known to tensorflow_datasets once they are imported.
    importlib.import_module("kerasvae.datasets.builders")
    builder = tfds.builder(source.builder, data_dir=str(home), **source.arguments)
    if not Path(builder.data_dir).exists():
        if hasattr(builder, "source_files"):
            builder.folder = downloads  # the package's own builders fetch for themselves
        else:
            fetch(_source_files(builder), downloads)
        _leave_gpus_alone()
        scratch = folder.with_name(f".partial-{os.getpid()}-{source.name}-extracted")
        try:
            builder.download_and_prepare(
                download_dir=str(scratch),
                download_config=tfds.download.DownloadConfig(manual_dir=str(downloads), try_download_gcs=False),
            )
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    with files.replacing(folder, "data_dir") as temporary:
        temporary.mkdir()
        table = np.lib.format.open_memmap(temporary / _TABLE, "w+", np.uint8, source.shape)
        description = {
            "format": _FORMAT,
            "factor_names": list(source.factor_names),
            "factor_sizes": list(source.factor_sizes),
            **_fill(table, source, builder),
            "builder": builder.info.full_name,
            "digests": {file.name: file.digest for file in _source_files(builder)},
        }
        table.flush()
        del table  # Windows renames no folder with an open file
        files.write_json(temporary / _DESCRIPTION, description)


def _fill(table: np.ndarray, source: TableSource, builder) -> dict:
    """Write each record's image to its row; the channel constants of the rows, if they are images."""
    import tensorflow_datasets as tfds

    records = f"the records in {builder.data_dir!r} do not fit {source.name}"
    remedy = "delete that folder to make them anew"
    count = builder.info.splits[source.split].num_examples
    if count != len(table):
        raise ValueError(f"{records}: there are {count}, not {len(table)}; {remedy}")
    _leave_gpus_alone()
    batches = tfds.as_numpy(
        builder.as_dataset(
            split=source.split,
            batch_size=256,
            shuffle_files=False,
            read_config=tfds.ReadConfig(try_autocache=False),
        )
    )
    written, total, deviations = np.zeros(count, bool), 0, 0.0
    with progress(f"Writing {source.name}", count) as advance:
        for batch in batches:
            factors = [_factor(source, batch[label], label) for label in source.labels]
            try:
                indices = np.ravel_multi_index(factors, source.factor_sizes)
            except ValueError as error:
                raise ValueError(f"{records}: a label is out of range; {remedy}") from error
            rows = source.rows(batch["image"])
            table[indices], written[indices] = rows, True
            if rows.ndim == 4:
                sums, squares = image_sums(rows)
                pixels = rows.shape[1] * rows.shape[2]
                total += sums.sum(axis=0)
                spread = (pixels * squares - sums**2) / (pixels * max(pixels - 1, 1))
                deviations += np.sqrt(spread).sum(axis=0)
            advance(len(rows))
    if not written.all():
        raise ValueError(f"{records}: {count - written.sum()} combinations of factors are missing; {remedy}")
    if table.ndim != 4:
        return {}
    std = deviations / (count * 255)
    return {
        "mean": (total / (count * pixels * 255)).tolist(),
        "std": np.where(std > 0, std, 1.0).tolist(),
    }


def _factor(source: TableSource, labels: np.ndarray, name: str) -> np.ndarray:
    if name not in source.values:
        return labels
    factors = np.searchsorted(source.values[name], labels)
    known = np.isin(labels, source.values[name])
    return np.where(known, factors, -1)


def _source_files(builder) -> list[SourceFile]:
    if hasattr(builder, "source_files"):
        return builder.source_files
    return [
        SourceFile(info.filename or address.rsplit("/", 1)[-1], address, f"sha256:{info.checksum}", int(info.size))
        for address, info in (builder.url_infos or {}).items()
    ]


def _leave_gpus_alone() -> None:
    """Keep TensorFlow, which only reads and writes records here, from taking the memory of another backend's GPUs."""
    if keras.config.backend() != "tensorflow":
        import tensorflow as tf

        with contextlib.suppress(RuntimeError):  # it is running already, with whatever devices it has
            tf.config.set_visible_devices([], "GPU")


@contextlib.contextmanager
def _only_process(lock: Path, name: str):
    """Hold the lock, which ends with the process, and clear away what killed processes have left in its folder."""
    with open(lock, "w", encoding="utf-8") as file:
        if _lock(file, name):
            for remains in lock.parent.glob(f".partial-*-{name}*"):
                shutil.rmtree(remains, ignore_errors=True)
        yield


def _lock(file, name: str) -> bool:
    """Wait for the lock on an open file; False where the system or the file system has no locks."""
    if fcntl is None:
        return False
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            Console(stderr=True).print(f"Waiting for another process that prepares {name}", highlight=False)
            fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        return False
    return True
