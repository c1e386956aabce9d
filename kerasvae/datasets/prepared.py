"""Data sets that come from files: fetched once, checked, and kept as one array on disk in the order of the factor grid.

Where things lie. `data_dir` is that of tensorflow_datasets unless you name another: the environment's TFDS_DATA_DIR, or
~/tensorflow_datasets.

    data_dir/downloads/manual/  the files as they were published, here or in a subfolder. Those that are here already
                                are not downloaded; where they lie elsewhere, name their folder as `manual_dir`.
                                Missing ones are put there. Other forms in which people have a data set are taken, too:
                                the npz file of dSprites, the extracted folder of Cars3D, unzipped files of SmallNORB.
    data_dir/BUILDER/           what tensorflow_datasets makes of dSprites, Shapes3D and SmallNORB (records in no order)
    data_dir/kerasvae/NAME/     images.npy, the array, and table.json, what it holds. Later uses open it at once and
                                need neither the files nor the records nor tensorflow.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
from rich.console import Console

from kerasvae import files
from kerasvae.datasets.image_table import ImageTable
from kerasvae.datasets.published_files import SourceFile, fetch, progress
from kerasvae.datasets.statistics import image_sums
from kerasvae.extras import require

try:
    import fcntl
except ImportError:  # Windows: the table is still written whole or not at all, but two processes may both write it.
    fcntl = None

_TABLE, _DESCRIPTION, _FORMAT = "images.npy", "table.json", 1
# Of files that could be meant for those of a data set.
_ENDINGS = (".npz", ".npy", ".h5", ".hdf5", ".mat", ".gz", ".tar", ".zip", ".tgz")


@dataclasses.dataclass(frozen=True)
class OtherForm:
    """A form of a data set's files other than the one that is published, checked by what they hold and not by a digest.

    Args:
        names: of the files, or of the folder that holds them, relative to where published files are looked for.
        read: from their paths and the sizes of the factors to (factors (n, F), images as recorded (n, height, width,
            channels)), some at a time; ValueError, naming the file, for one that is damaged or something else.
    """

    names: tuple[str, ...]
    read: Callable[[list[Path], tuple[int, ...]], Iterator[tuple[np.ndarray, np.ndarray]]]


@dataclasses.dataclass(frozen=True)
class TableSource:
    """How published files, or the records of tensorflow_datasets, become one array in the order of the factor grid.

    Args:
        name: of the table, and of its folder.
        factor_names, factor_sizes: of the F factors.
        builder: of records: the name under which tensorflow_datasets knows the builder.
        labels: of records: their feature that holds each factor, (F,).
        published, read: where there is no builder: the files, and what reads them, as `OtherForm.read`.
        row_shape: shape of a row of the array.
        split: of the records.
        rows: from images as recorded, uint8 (n, height, width, channels), to rows, uint8 (n, *row_shape); the default
            leaves them as they are.
        values: for a factor that takes other values than 0..size - 1: those that it takes, in increasing order.
        forms: other forms of the published files, the first that is there is taken.
    """

    name: str
    factor_names: tuple[str, ...]
    factor_sizes: tuple[int, ...]
    builder: str | None = None
    labels: tuple[str, ...] = ()
    published: tuple[SourceFile, ...] = ()
    read: Callable[[list[Path], tuple[int, ...]], Iterator[tuple[np.ndarray, np.ndarray]]] | None = None
    row_shape: tuple[int, ...] = (64, 64, 3)
    split: str = "train"
    rows: Callable[[np.ndarray], np.ndarray] = lambda images: images
    values: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    forms: tuple[OtherForm, ...] = ()

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
        self.table = np.load(files.regular_file(self.path), mmap_mode="r")


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
    for argument, value in (("data_dir", data_dir), ("manual_dir", manual_dir)):
        if value is not None:
            files.checked_path(value, argument)
    home = Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()
    downloads = home / "downloads" / "manual"
    if manual_dir is not None:
        downloads = Path(manual_dir).expanduser()
        if not downloads.is_dir():
            raise ValueError(f"manual_dir must be a folder that holds the published files, got {str(manual_dir)!r}")
    folder = home / "kerasvae" / source.name
    if not folder.exists():
        files.check_writable(folder, "data_dir")
        with _only_process(folder.with_name(f".lock-{source.builder or source.name}"), source.name):
            # Another process may have prepared it while this one waited.
            if not folder.exists():
                _prepare(source, home, downloads, folder)
    return _opened(source, folder)


def _opened(source: TableSource, folder: Path) -> tuple[np.memmap, dict]:
    try:
        description = files.read_json(folder / _DESCRIPTION)
        table = np.load(files.regular_file(folder / _TABLE), mmap_mode="r")
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
    records = None
    if source.builder is not None:
        require(f"preparing {source.name}", ["tensorflow_datasets", "tensorflow"])
        import tensorflow_datasets as tfds

        records = tfds.builder(source.builder, data_dir=str(home))
    published = list(source.published) if records is None else _source_files(records)
    origin = {"digests": {file.name: file.digest for file in published}}
    if records is not None:
        origin["builder"] = records.info.full_name
    form = None
    if records is None or not Path(records.data_dir).exists():
        downloads = _place_of([file.name for file in published], downloads) or downloads
        form = _form_in(source, published, downloads)
        if form is not None:
            origin = {"read_from": [str(path) for path in form[1]]}
        elif records is None:
            with _saying_what_else(source, published, downloads):
                form = OtherForm(tuple(file.name for file in published), source.read), fetch(published, downloads)
        else:
            with _saying_what_else(source, published, downloads):
                _make_records(source, records, published, downloads, folder)
    with files.replacing(folder, "data_dir") as temporary:
        temporary.mkdir()
        table = np.lib.format.open_memmap(temporary / _TABLE, "w+", np.uint8, source.shape)
        if hasattr(os, "posix_fallocate"):
            # A disk that fills up under a memory map ends the process.
            with open(temporary / _TABLE, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        if form is None:
            where, remedy = f"the records in {records.data_dir!r}", "delete that folder to make them again"
            if (count := records.info.splits[source.split].num_examples) != len(table):
                raise ValueError(f"{where} do not fit {source.name}: there are {count}, not {len(table)}; {remedy}")
            batches = _batches_of(source, records)
        else:
            where, remedy = f"the images of {str(form[1][0])!r}", "put the published files there"
            batches = form[0].read(form[1], source.factor_sizes)
        measured = _fill(table, source, batches, where, remedy)
        description = {
            "format": _FORMAT,
            "factor_names": list(source.factor_names),
            "factor_sizes": list(source.factor_sizes),
            **measured,
            **origin,
        }
        table.flush()
        del table  # Windows renames no folder with an open file
        files.write_json(temporary / _DESCRIPTION, description)


def _make_records(source: TableSource, records, published, downloads: Path, folder: Path) -> None:
    """The records of tensorflow_datasets, from the published files in `downloads`."""
    import tensorflow_datasets as tfds

    fetch(published, downloads)
    scratch = folder.with_name(f".partial-{os.getpid()}-{source.name}-extracted")
    try:
        _leave_gpus_alone()
        records.download_and_prepare(
            download_dir=str(scratch),
            download_config=tfds.download.DownloadConfig(manual_dir=str(downloads), try_download_gcs=False),
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def _saying_what_else(source: TableSource, published, downloads: Path):
    """Have the error of files that cannot be downloaded say what else is taken, and what is there that is not."""
    try:
        yield
    except OSError as error:
        if "cannot be downloaded" not in str(error):
            raise
        wanted = {file.name for file in published}
        strange = sorted(
            path.name for path in downloads.glob("*") if path.name.endswith(_ENDINGS) and path.name not in wanted
        )
        message = str(error)
        for form in source.forms:
            more = f" and {len(form.names) - 1} more" * (len(form.names) > 1)
            message += f"\n    or {form.names[0]}{more}, in which form it is taken, too"
        if strange:
            listed = ", ".join(strange[:5]) + ", ..." * (len(strange) > 5)
            message += f"\nThere are, and are not read as {source.name}: {listed}"
        raise OSError(message) from error


def _place_of(names: list[str], folder: Path) -> Path | None:
    """The folder, or the first of its subfolders, that holds all of the files; None when none does."""
    subfolders = sorted(path for path in folder.glob("*/") if not path.name.startswith("."))
    return next((place for place in (folder, *subfolders) if all((place / name).exists() for name in names)), None)


def _form_in(source: TableSource, published, downloads: Path) -> tuple[OtherForm, list[Path]] | None:
    """Another form of the data set and its files, where there are none of the published ones."""
    if any((downloads / file.name).is_file() for file in published):
        return None
    for form in source.forms:
        if place := _place_of(list(form.names), downloads):
            return form, [place / name for name in form.names]
    return None


def _batches_of(source: TableSource, records) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Factors and images of the records."""
    import tensorflow_datasets as tfds

    _leave_gpus_alone()
    batches = tfds.as_numpy(
        records.as_dataset(
            split=source.split,
            batch_size=256,
            shuffle_files=False,
            read_config=tfds.ReadConfig(try_autocache=False),
        )
    )
    for batch in batches:
        yield np.stack([batch[label] for label in source.labels], axis=1), batch["image"]


def _fill(table: np.ndarray, source: TableSource, batches, where: str, remedy: str) -> dict:
    """Write each image to its row; the channel constants of the rows, if they are images."""
    records = f"{where} do not fit {source.name}"
    written, total, deviations, count = np.zeros(len(table), bool), 0, 0.0, 0
    with progress(f"Writing {source.name}", len(table)) as advance:
        for factors, images in batches:
            count += len(images)
            columns = [_factor(source, factors[:, k], name) for k, name in enumerate(source.factor_names)]
            try:
                indices = np.ravel_multi_index(columns, source.factor_sizes)
            except ValueError as error:
                raise ValueError(f"{records}: a label is out of range; {remedy}") from error
            rows = source.rows(images)
            table[indices], written[indices] = rows, True
            if rows.ndim == 4:
                sums, squares = image_sums(rows)
                pixels = rows.shape[1] * rows.shape[2]
                total += sums.sum(axis=0)
                spread = (pixels * squares - sums**2) / (pixels * max(pixels - 1, 1))
                deviations += np.sqrt(spread).sum(axis=0)
            advance(len(rows))
    if count != len(table):
        raise ValueError(f"{records}: there are {count}, not {len(table)}; {remedy}")
    if not written.all():
        raise ValueError(f"{records}: {len(table) - written.sum()} combinations of factors are missing; {remedy}")
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


def _source_files(records) -> list[SourceFile]:
    """The published files that a builder of tensorflow_datasets wants."""
    return [
        SourceFile(info.filename or address.rsplit("/", 1)[-1], address, f"sha256:{info.checksum}", int(info.size))
        for address, info in (records.url_infos or {}).items()
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
