"""Files appear whole or not at all: they are written under a temporary name and renamed. Pipes are not waited for."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import shutil
import stat
from pathlib import Path

# Why a place cannot be written, whoever tried.
_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_WRITABLE = _FULL | {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.EFBIG, errno.EIO}
# Of errors without a number: HDF5, Arrow and NumPy say it in words.
_NO_SPACE = re.compile(r"No space left on device|Disk quota exceeded|\d+ requested and \d+ written")
# What a file of JSON may have; none that is written here comes near it.
_LARGEST_JSON = 64 * 1024**2


def checked_path(value, argument: str = "path") -> Path:
    """`value` as a Path; TypeError for what is no path, ValueError for an empty one, naming `argument`."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{argument} must be a path, a str or os.PathLike, got {type(value).__name__} {value!r:.80}")
    if not os.fspath(value):
        raise ValueError(f"{argument} must be a path, got an empty one: {value!r}")
    return Path(value)


def why_no_file(path) -> str | None:
    """Why there is no regular file at `path`, None where there is one. It is not opened: a pipe would be waited for."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return "No such file or directory" + ": it is a link to nothing" * os.path.islink(path)
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    kinds = {
        stat.S_IFREG: None,
        stat.S_IFDIR: "it is a folder",
        stat.S_IFIFO: "it is no file but a pipe",
        stat.S_IFSOCK: "it is no file but a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "it is no file but a device")


def regular_file(path, argument: str = "path") -> Path:
    """`path`, where there is a regular file or a link to one; FileNotFoundError otherwise, naming `argument` and it.

    TypeError and ValueError as `checked_path`.
    """
    checked_path(path, argument)
    if reason := why_no_file(path):
        because = "" if reason == "No such file or directory" else f" ({reason})"
        raise FileNotFoundError(f"{argument}: there is no file {os.fspath(path)!r}{because}")
    return Path(path)


@contextlib.contextmanager
def replacing(path, argument: str = "path"):
    """Yield a temporary path next to `path`; on success it takes its place, on failure nothing is left of it.

    A file replaces a file and a folder replaces a folder; neither replaces the other.

    Args:
        path: the file or folder to write. Missing parent folders are made.
        argument: what the caller calls it, for the error.

    Raises:
        OSError: naming `argument` and `path` when the place cannot be written, has no room left, or holds the other
            kind.
    """
    path = Path(path)
    check_writable(path, argument)
    temporary = path.with_name(f".partial-{os.getpid()}-{path.name}")
    aside = path.with_name(f".replaced-{os.getpid()}-{path.name}")
    # A process of the same number (they repeat in containers) may have been killed here.
    _remove(temporary)
    try:
        yield temporary
        if path.exists() and temporary.exists() and path.is_dir() != temporary.is_dir():
            kind, other = ("folder", "file") if path.is_dir() else ("file", "folder")
            raise OSError(
                f"{argument}: {str(path)!r} is a {kind}, which no {other} replaces; remove it or name another"
            )
        if path.is_dir() and temporary.is_dir():
            # A folder cannot be renamed over a folder that holds something: the two change places, or, where the
            # system cannot do that in one step, the old one steps aside first.
            _remove(aside)
            if not _exchanged(temporary, path):
                os.replace(path, aside)
                os.replace(temporary, path)
                _remove(aside)
        else:
            os.replace(temporary, path)
    except (OSError, RuntimeError) as error:
        if (named := _with_path(error, path, temporary, argument)) is None:
            raise
        raise named from error
    finally:
        _remove(temporary)


def _with_path(error: OSError | RuntimeError, path: Path, temporary: Path, argument: str) -> OSError | None:
    """The error of whoever wrote to `temporary` as one that names `path`; None for one of something else."""
    # HDF5 also raises RuntimeError, which has neither.
    number, file = getattr(error, "errno", None), getattr(error, "filename", None)
    is_of_place = number in _NOT_WRITABLE and (file is None or str(file).startswith(str(temporary)))
    words = _NO_SPACE.search(str(error))
    if not is_of_place and not (number is None and words and repr(str(path)) not in str(error)):
        return None
    number = number or errno.ENOSPC
    remedy = "make room" if number in _FULL else "name a place in a folder that you may write to"
    named = OSError(f"{argument}: cannot write {str(path)!r} ({os.strerror(number)}); {remedy}")
    # Whoever asks for it finds it here too; as an argument it would change the text.
    named.errno = number
    return named


def _exchanged(first: Path, second: Path) -> bool:
    """Exchange two paths, neither of which is missing at any time; False where the system cannot."""
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    at_working_directory, exchange = -100, 2
    names = os.fsencode(first), os.fsencode(second)
    return renameat2(at_working_directory, names[0], at_working_directory, names[1], exchange) == 0


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def check_writable(path, argument: str = "path") -> Path:
    """Make the parent folders of `path` and prove that something can be written there; OSError otherwise."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = path.with_name(f".probe-{os.getpid()}-{path.name}")
        probe.touch()
        probe.unlink(missing_ok=True)  # another thread's probe has the same name
    except OSError as error:
        named = OSError(
            f"{argument}: cannot write {str(path)!r} ({error.strerror or error}); name a place in a folder that exists "
            "or can be made, and that you may write to"
        )
        named.errno = error.errno
        raise named from error
    return path


def write_text(path, text: str, argument: str = "path") -> None:
    """Write `text` to `path`, whole or not at all."""
    with replacing(path, argument) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, value, argument: str = "path") -> None:
    """Write `value` as indented JSON to `path`, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n", argument)


def write_figure(path, figure, dpi: int) -> None:
    """Write a Matplotlib figure to a file ending in .png, whole or not at all; ValueError for another ending."""
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"path must end in .png, got {str(path)!r}")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=dpi)


def read_json(path, most: int = _LARGEST_JSON):
    """What `write_json` wrote to `path`, a file of `most` bytes or fewer.

    Raises:
        FileNotFoundError: when there is no such file, naming it.
        ValueError: for a file that is damaged, no JSON, or far too large, naming it.
    """
    path = regular_file(path)
    if path.stat().st_size > most:
        raise ValueError(f"{str(path)!r} has more than {most} bytes, which such a file never has")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError(f"{str(path)!r} is no JSON that can be read: it is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"{str(path)!r} is damaged, or no JSON ({error})") from error
