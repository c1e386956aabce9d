"""A user's own image files in a folder, of any sizes, with or without a CSV of factors."""

from __future__ import annotations

import contextlib
import csv
import math
import os
import posixpath
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from kerasvae.checks import check_choice, check_integer, is_integer
from kerasvae.datasets.from_arrays import FromArrays
from kerasvae.files import check_writable, checked_path, read_json, regular_file, replacing, why_no_file, write_json
from kerasvae.image_files import FITS, USUAL_ENDINGS, endings, is_grey, nearly_black, read_image, why_not_taken

# Decoded images above this size are not kept in memory.
_LARGEST_IN_MEMORY = 2 * 1024**3
_IMAGES, _CONTENTS = "images.npy", "contents.json"
# No image is resized to more.
_LARGEST_SIDE = 16_384
# Of contents.json: some hundred bytes for each file.
_LARGEST_CONTENTS = 4 * 1024**3


class FromFolder(FromArrays):
    """Your own images: every image file in a folder and its subfolders, decoded once and resized to one size.

    All files are read when the data set is made, on all processors, so that broken ones are found before training and
    batches are as fast as those of an array. Files are taken in the order of their paths; names that begin with a dot
    are passed over.

    Args:
        path: the folder. Its images are the files whose names end as those that Pillow, with the plugins that are
            registered with it, decodes: .png, .jpg, .webp, .tif, .bmp, .gif, .avif, .jp2, .ppm, .tga and others. Images
            that it cannot read here, such as .heic or .svg, are left out with a warning, and are in `skipped`.
        factors_csv: a CSV file with a header: a column `file` (path relative to the folder) and one column per factor,
            numbers or strings; see `FromArrays` for what becomes of them. None (default): no factors.
        image_size: side of the images in pixels, or (height, width). Default 64.
        channels: 1 for grey, 3 for RGB, None (default) for 1 if all files are grey, otherwise 3. RGB becomes grey by
            its luma (ITU-R 601).
        fit: how other proportions become those of `image_size`. "crop" (default): what lies too far out on the longer
            side is cut off, the same on both ends; "pad": the whole image, with `background` on both ends; "stretch".
            Resizing is antialiased and bilinear.
        background: grey level 0..255 behind transparent pixels and padding. Default 255, white.
        on_error: "raise" (default): a ValueError that lists every file that cannot be read, and with `factors_csv`
            every file without a row and row without a file; "skip": the same list as one warning, and the rest is used.
        cache: a folder to keep the decoded images in, where the next data set of the same files and arguments opens
            them at once, memory-mapped. None (default): they are decoded each time and kept in memory, up to 2 GiB.
        mean, std: as for `FromArrays`.
        progress: show a progress bar when stderr is a terminal. Default True.

    Attributes:
        files: path, relative to the folder, of each index's image, a tuple of str.
        skipped: dict of path to reason, of what `on_error="skip"` left out, and of images of kinds that are not read.
        fit, background: as given; serving prepares files alike.
        factor_values, rows, complete: as for `FromArrays`.

    Orientation follows EXIF, CMYK and LAB become RGB, and of several frames or pages the first is taken. 16 bits become
    8: 65535 is white; a warning says where all files end far below that. Values without a known range (floats, 32 bits,
    with signs) are errors. Large JPEGs are decoded at the scale that leaves at least twice `image_size`, several times
    faster.

    Raises:
        FileNotFoundError: when the folder or `factors_csv` does not exist.
        ValueError: for a folder without images, a CSV without `file` or factors or with values missing, files that
            cannot be read (`on_error="raise"`), more than 2 GiB without `cache`, or an argument not allowed.

    Example:

    ```python
    data = FromFolder("photos", image_size=64, on_error="skip")
    data.skipped   # {"holiday/0012.jpg": "broken data stream when reading image file"}
    ```
    """

    def __init__(
        self,
        path,
        factors_csv=None,
        image_size: int | tuple[int, int] = 64,
        channels: int | None = None,
        *,
        fit: str = "crop",
        background: int = 255,
        on_error: str = "raise",
        cache=None,
        mean=None,
        std=None,
        progress: bool = True,
    ):
        size = image_size if isinstance(image_size, tuple | list) else (image_size, image_size)
        if len(size) != 2 or not all(is_integer(side) and 1 <= side <= _LARGEST_SIDE for side in size):
            raise ValueError(
                f"image_size must be an integer, at least 1, or (height, width), got {image_size!r}; at most "
                f"{_LARGEST_SIDE} are allowed"
            )
        if channels is not None and not (is_integer(channels) and channels in (1, 3)):
            raise ValueError(f"channels must be 1, 3 or None, got {channels!r}")
        check_choice(fit, "fit", FITS)
        check_integer(background, "background", 0, 255)
        check_choice(on_error, "on_error", ("raise", "skip"))
        folder = checked_path(path)
        if factors_csv is not None:
            factors_csv = checked_path(factors_csv, "factors_csv")
        if cache is not None:
            cache = checked_path(cache, "cache")
        files, foreign = _image_files(folder)
        names, table, troubles = None, None, {}
        if factors_csv is not None:
            names, table = _read_factors(factors_csv)
            troubles = {file: f"no row in {factors_csv}" for file in files if file not in table}
            troubles |= {
                file: f"no such image, though it is in {factors_csv}"
                for file in table.keys() - set(files) - set(foreign)
            }
            if troubles and on_error == "raise":
                raise ValueError(_report(folder, troubles, on_error))
            files = [file for file in files if file in table]
        settings = {
            "image_size": [int(side) for side in size],
            "channels": None if channels is None else int(channels),
            "fit": fit,
            "background": int(background),
        }
        images, broken, highest = _decoded_images(folder, files, settings, cache, progress)
        troubles |= broken
        if troubles and on_error == "raise":
            raise ValueError(_report(folder, troubles, on_error))
        files = [file for file in files if file not in broken]
        if not files:
            raise ValueError(f"path: no image is left of {str(folder)!r}. " + _report(folder, troubles, on_error))
        troubles |= foreign
        if troubles:
            warnings.warn(_report(folder, troubles, "skip"), UserWarning, stacklevel=2)
        if notice := nearly_black(highest):
            warnings.warn(f"{str(folder)!r}: {notice}", UserWarning, stacklevel=2)
        self.path, self.skipped = folder, dict(sorted(troubles.items()))
        self.fit, self.background = fit, int(background)
        factors = None
        if table is not None:
            factors = {name: _numbers_if_all_are([table[file][k] for file in files]) for k, name in enumerate(names)}
        super().__init__(images, factors, mean=mean, std=std)
        self.files = tuple(files[row] for row in self.rows)


def _image_files(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Paths of the image files below a folder, relative to it, with forward slashes, sorted; and reasons by path of
    images that are not taken."""
    if not folder.is_dir():
        raise FileNotFoundError(f"path: there is no folder {str(folder)!r}")
    taken, others = endings()
    files, foreign, visited = [], {}, set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        # A link may lead back up.
        if (real := os.path.realpath(parent)) in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            file = (Path(parent) / name).relative_to(folder).as_posix()
            if name.startswith("."):
                continue
            if name.lower().endswith(taken):
                files.append(file)
            elif name.lower().endswith(others):
                foreign[file] = why_not_taken(name)
        # A folder that is named as an image, with nothing in it, is none.
        if parent != str(folder) and parent.lower().endswith(taken) and not folders and not names:
            files.append(Path(parent).relative_to(folder).as_posix())
    if not files:
        kinds = f", but {len(foreign)} of kinds that are not read, such as {min(foreign)!r}" if foreign else ""
        usual = " ".join(ending for ending in USUAL_ENDINGS if ending in taken)
        raise ValueError(
            f"path: there is no image in {str(folder)!r}{kinds}; files ending in {usual} count, and others that Pillow "
            "reads"
        )
    return sorted(files), foreign


def _read_factors(path: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Names of the factors, and the text of their values by file."""
    regular_file(path, "factors_csv")
    # Spreadsheet programs begin their files with a byte order mark.
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.reader(stream)
        try:
            header = [name.strip() for name in next(rows, [])]
            if "file" not in header or len(header) < 2 or len(set(header)) != len(header) or "" in header:
                raise ValueError(
                    f"factors_csv: the header of {str(path)!r} must name a column 'file' and one or more factors, all "
                    f"different, with commas between, got {header}"
                )
            column, table = header.index("file"), {}
            for row in filter(None, rows):
                values = [value.strip() for value in row]
                if len(values) != len(header) or "" in values:
                    raise ValueError(
                        f"factors_csv: line {rows.line_num} of {str(path)!r} must hold {len(header)} values, none "
                        f"empty, got {row}"
                    )
                file = posixpath.normpath(values.pop(column).replace("\\", "/"))
                if file in table:
                    raise ValueError(f"factors_csv: line {rows.line_num} of {str(path)!r} names {file!r} again")
                table[file] = values
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"factors_csv: {str(path)!r} is no CSV file in UTF-8 ({error})") from error
    return [name for name in header if name != "file"], table


def _numbers_if_all_are(texts: list[str]) -> np.ndarray:
    """The values of a factor: integers if all are, else floats if all are, else strings."""
    # Python reads 1_2 as 12.
    if not any("_" in text for text in texts):
        for dtype, number in (("int64", int), ("float64", float)):
            try:
                return np.array([number(text) for text in texts], dtype)
            except (ValueError, OverflowError):
                continue
    return np.array(texts)


def _report(folder: Path, troubles: dict[str, str], on_error: str) -> str:
    lines = [f"  {file}: {reason}" for file, reason in sorted(troubles.items())]
    if len(lines) > 10:
        lines = lines[:10] + [f"  and {len(lines) - 10} more"]
    subject = f"{len(troubles)} file{'s' if len(troubles) > 1 else ''} in {str(folder)!r}"
    if on_error == "skip":
        return "\n".join([f"{subject} cannot be used and {'are' if len(troubles) > 1 else 'is'} left out:", *lines])
    return "\n".join([f"{subject} cannot be used; mend, remove or leave out with on_error='skip':", *lines])


def _decoded_images(folder: Path, files: list[str], settings: dict, cache, progress: bool):
    """uint8 images of the files that can be read, in their order; a dict of reasons for those that cannot; and the
    largest value of each file of 16 bits."""
    if cache is None:
        return _decode(folder, files, settings, progress, None)
    if cache.exists() and not (cache / _CONTENTS).is_file() and (not cache.is_dir() or any(cache.iterdir())):
        # It would be replaced as a whole.
        raise ValueError(f"cache must be a new folder or one that an earlier FromFolder wrote, got {str(cache)!r}")
    check_writable(cache, "cache")
    stated = []
    for file in files:
        try:
            status = os.stat(folder / file)
            stated.append([file, status.st_size, status.st_mtime_ns])
        except OSError:
            stated.append([file, None, None])
    made_from = {"settings": settings, "files": stated}
    try:
        contents = read_json(cache / _CONTENTS, _LARGEST_CONTENTS)
        if contents["made_from"] == made_from:
            images = np.load(regular_file(cache / _IMAGES), mmap_mode="r")
            return images, contents["broken"], contents["largest_of_16_bits"]
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        pass  # No cache yet, or a damaged one: it is made again.
    with replacing(cache, "cache") as temporary:
        temporary.mkdir()
        _, broken, highest = _decode(folder, files, settings, progress, temporary / _IMAGES)
        contents = {"made_from": made_from, "broken": broken, "largest_of_16_bits": highest}
        write_json(temporary / _CONTENTS, contents)
    if len(broken) == len(files):
        return np.empty((0, *settings["image_size"], 1), "uint8"), broken, highest  # Nothing cannot be mapped.
    return np.load(cache / _IMAGES, mmap_mode="r"), broken, highest


def _decode(folder: Path, files: list[str], settings: dict, progress: bool, path: Path | None):
    """As `_decoded_images`; with `path` the images are written there as .npy instead of kept."""
    (height, width), channels = settings["image_size"], settings["channels"]
    broken, highest = {}, []
    if channels is None:
        grey = _in_threads(is_grey, folder, files, "Reading the headers of the images", progress, broken)
        channels = 1 if all(is_one for _, is_one in grey) else 3
    readable = [file for file in files if file not in broken]
    shape = (len(readable), height, width, channels)
    if path is None and math.prod(shape) > _LARGEST_IN_MEMORY:
        raise ValueError(
            f"cache must name a folder for {len(readable)} images of {height} x {width} x {channels}: they take "
            f"{math.prod(shape) / 1024**3:.1f} GiB, and no more than {_LARGEST_IN_MEMORY / 1024**3:g} GiB are kept in "
            "memory"
        )

    def read(file):
        # From several threads; which file it is of is of no interest.
        return read_image(file, (height, width), channels, settings["fit"], settings["background"], highest.append)

    decoded = _in_threads(read, folder, readable, "Decoding the images", progress, broken)
    if path is None:
        images, count = np.empty(shape, "uint8"), 0
        with contextlib.closing(decoded):
            for _, image in decoded:
                images[count] = image
                count += 1
        return images[:count], broken, highest
    # Written, not mapped: a full disk is then an error and not the end of the process.
    with contextlib.closing(decoded), path.open("wb") as stream:
        _write_header(stream, shape)
        start, count = stream.tell(), 0
        for _, image in decoded:
            stream.write(image.tobytes())
            count += 1
        # How many images there are is only known now; NumPy leaves room for the number.
        stream.seek(0)
        _write_header(stream, (count, *shape[1:]))
        assert stream.tell() == start
    return None, broken, highest


def _write_header(stream, shape):
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _in_threads(function, folder: Path, files: list[str], what: str, progress: bool, broken: dict[str, str]):
    """Yield (file, function of its path) in the order of the files; those that raise go to `broken` with the reason."""

    def attempt(file):
        if reason := why_no_file(folder / file):
            return None, reason
        try:
            return function(folder / file), None
        except Exception as error:  # Pillow raises almost anything for a broken file
            return None, _reason(error)

    console = Console(stderr=True)
    # As many as there are processors: each holds a decoded photograph, 72 MB at 24 megapixels.
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, 32))
    # In blocks: a million files at once would be a million waiting jobs.
    blocks = (files[start : start + 1024] for start in range(0, len(files), 1024))
    results = (result for block in blocks for result in pool.map(attempt, block))
    try:
        with warnings.catch_warnings():
            # What Pillow warns of (odd metadata, 90 megapixels and more) is no reason not to use an image.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            for file, (result, reason) in track(
                zip(files, results, strict=True),
                what,
                total=len(files),
                console=console,
                transient=True,
                disable=not (progress and console.is_terminal),
            ):
                if reason is None:
                    yield file, result
                else:
                    broken[file] = reason
    finally:
        # Ctrl-C waits for the files at hand alone.
        pool.shutdown(cancel_futures=True)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
