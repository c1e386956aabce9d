"""Archives and compressed files, checked before anything in them is inflated.

A file of some kilobytes can claim to hold gigabytes. What is claimed stands in headers, which cost nothing to read;
what is then inflated never exceeds it. Files that are larger than they can honestly be are refused, whoever made them.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

# Of networks: they are stored as they are, and floats shrink little even where somebody compresses them.
_TIMES_OF_MODELS, _ALWAYS_OF_MODELS = 20, 16 * 1024**2
# Of JSON in a model: what is parsed takes twenty times its length in memory.
_LARGEST_CONFIG = 4 * 1024**2
# Of arrays: masks and the factors of a grid shrink hundreds of times, but then they are not large.
_TIMES_OF_ARRAYS, _ALWAYS_OF_ARRAYS = 100, 128 * 1024**2
# Of text: JSON that repeats its keys shrinks up to a hundred times, and deflate ends near a thousand.
_TIMES_OF_TEXT, _ALWAYS_OF_TEXT, _LARGEST_TEXT = 200, 16 * 1024**2, 512 * 1024**2
_BLOCK = 1 << 20


@contextlib.contextmanager
def checked_zip(path) -> Iterator[zipfile.ZipFile]:
    """A zip file to read; BadZipFile for members that cannot be read, have one name, or lead out of a folder."""
    with zipfile.ZipFile(path) as archive:
        names = set()
        for member in archive.infolist():
            name = member.orig_filename
            if member.flag_bits & 0x1:
                raise zipfile.BadZipFile(f"{name!r} in it is encrypted; write it without a password")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise zipfile.BadZipFile(f"{name!r} in it is compressed in a way that is not read; store or deflate it")
            if re.search(r"[\x00\\]|^/|^[A-Za-z]:|(^|/)\.\.(/|$)", name):
                raise zipfile.BadZipFile(f"the name {name!r} in it leads out of it")
            if name in names:
                raise zipfile.BadZipFile(f"{name!r} is in it twice")
            names.add(name)
        yield archive


def check_model_archive(path) -> None:
    """Whether a `.keras` file is whole, and no larger than it seems; nothing large is kept in memory.

    Raises:
        zipfile.BadZipFile: with the reason, for a file that is no zip file, is damaged, lacks a part, or claims to hold
            more than networks of its size can.
    """
    try:
        with checked_zip(path) as archive:
            members = {member.filename: member for member in archive.infolist()}
            held, stored = sum(member.file_size for member in members.values()), os.path.getsize(path)
            if held > _ALWAYS_OF_MODELS + _TIMES_OF_MODELS * stored:
                raise zipfile.BadZipFile(
                    f"its {_size(stored)} claim to hold {_size(held)}, more than networks of that size can"
                )
            for name, member in members.items():
                if name.endswith(".json") and member.file_size > _LARGEST_CONFIG:
                    raise zipfile.BadZipFile(f"{name} in it is larger than {_size(_LARGEST_CONFIG)}")
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} is damaged")
            for name in ("config.json", "model.weights.h5"):
                if name not in members:
                    raise zipfile.BadZipFile(f"{name} is missing")
            _check_hdf5(io.BytesIO(archive.read("model.weights.h5")), "model.weights.h5")
    except (EOFError, NotImplementedError, UnicodeDecodeError, zlib.error) as error:
        raise zipfile.BadZipFile(str(error) or "it is cut short") from error


def _check_hdf5(file, name: str) -> None:
    """BadZipFile where datasets claim to hold more than networks of the file's size can."""
    import h5py

    held, stored = 0, len(file.getbuffer())

    def add(_, item):
        nonlocal held
        if isinstance(item, h5py.Dataset) and item.shape is not None:
            held += math.prod(item.shape) * item.dtype.itemsize

    try:
        with h5py.File(file, "r") as content:
            content.visititems(add)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return  # who reads it says what is wrong with it
    if held > _ALWAYS_OF_MODELS + _TIMES_OF_MODELS * stored:
        raise zipfile.BadZipFile(f"{name} in it claims to hold {_size(held)} in {_size(stored)}")


def read_npz(path, names, most: int | None = None) -> tuple[dict[str, np.ndarray], list[str]]:
    """Arrays of an npz file.

    Args:
        path: of the file; a regular one, see `files.regular_file`.
        names: of the arrays that are wanted; those that are not there are left out, others are not read.
        most: bytes that the wanted arrays may take together. None (default): what is stored in the file a hundred times
            over, or 128 MiB, whichever is more.

    Returns:
        {name: array} and the names of all arrays.

    Raises:
        ValueError: with the reason and without the path, for a file that is no npz file or is damaged, arrays of
            objects, and arrays that claim to be larger than they can be; before they are read.
    """
    with open(path, "rb") as file:
        if file.read(6) == b"\x93NUMPY":
            raise ValueError("it is a single array")
    try:
        with checked_zip(path) as archive:
            members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
            wanted = {name: members[name] for name in names if name in members}
            held = loose = 0
            for name, member in wanted.items():
                size = _array_size(archive, member, name)
                held += size
                loose += size if size > _TIMES_OF_ARRAYS * member.compress_size else 0
            if (most is None and loose > _ALWAYS_OF_ARRAYS) or (most is not None and held > most):
                raise ValueError(
                    f"its {_size(os.path.getsize(path))} claim to hold {_size(held)}, "
                    + (f"where {_size(most)} are allowed" if most is not None else "more than such arrays can")
                )
            arrays = {}
            for name, member in wanted.items():
                with archive.open(member) as stream:
                    arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
                    stream.read(1)  # the end is where the checksum is compared
            return arrays, list(members)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OverflowError, zlib.error) as error:
        raise ValueError(str(error) or "it is cut short") from error


def array_header(stream) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and dtype of an array in .npy form; ValueError for another file."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of the .npy format is not read")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def _array_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> int:
    """Bytes of the array in a member, as its own header says; ValueError where that is not what the archive says."""
    with archive.open(member) as stream:
        shape, _, dtype = array_header(stream)
        start = stream.tell()
    if dtype.hasobject:
        raise ValueError(f"{name} is an array of Python objects (dtype {dtype}), numbers are wanted")
    size = math.prod(map(int, shape)) * dtype.itemsize
    if start + size != member.file_size:
        raise ValueError(
            f"{name} claims the shape {shape} of {dtype}, {size} bytes, and has {member.file_size - start}"
        )
    return size


def inflated(contents: bytes) -> bytes:
    """What the contents of a gzip file of text inflate to.

    Raises:
        ValueError: with the reason, for contents that are damaged or cut short, or inflate to more than text can; then
            no more than some megabytes have been in memory.
    """
    stored = len(contents)
    allowed = min(max(_ALWAYS_OF_TEXT, _TIMES_OF_TEXT * stored), _LARGEST_TEXT)
    parts, found = [], 0
    try:
        # A first time only to count, so that what is refused takes no memory.
        for is_counting in (True, False):
            with gzip.open(io.BytesIO(contents)) as stream:
                while block := stream.read(_BLOCK):
                    if is_counting:
                        found += len(block)
                        if found > allowed:
                            raise ValueError(
                                f"its {_size(stored)} inflate to more than {_size(allowed)}, more than text of that "
                                "size can, or than is read at once"
                            )
                    else:
                        parts.append(block)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"cut short or damaged: {error}") from error
    return b"".join(parts)


def _size(count: int) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.4g} {unit}" if unit != "bytes" else f"{count} bytes"
        count /= 1024
