"""Files appear whole or not at all: they are written under a temporary name and renamed."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
from pathlib import Path


@contextlib.contextmanager
def replacing(path, argument: str = "path"):
    """Yield a temporary path beside `path`; on success it takes its place, on failure nothing is left of it.

    A file replaces a file and a folder replaces a folder; neither replaces the other.

    Args:
        path: the file or folder to write. Missing parent folders are made.
        argument: what the caller calls it, for the error.

    Raises:
        OSError: naming `argument` and `path` when the place cannot be written or holds the other kind.
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
    finally:
        _remove(temporary)


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
        raise OSError(
            f"{argument}: cannot write {str(path)!r} ({error.strerror or error}); name a place in a folder that exists "
            "or can be made, and that you may write to"
        ) from error
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


def read_json(path):
    """What `write_json` wrote to `path`; FileNotFoundError when there is no such file."""
    return json.loads(Path(path).read_text(encoding="utf-8"))
