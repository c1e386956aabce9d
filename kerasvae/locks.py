"""One writer at a time: locks on files that end with the process that holds them, however it dies."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import re
import shutil
import threading
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None
try:
    import msvcrt
except ImportError:
    msvcrt = None

# What `kerasvae.files` names its temporary files: kind, number of the process, and the file that they stand for.
_TEMPORARY = re.compile(r"\.(partial|probe|replaced)-(\d+)-(.+)")
# Windows keeps others from reading what is locked, so the byte that is locked lies behind the text.
_LOCKED_BYTE = 2**30
_open_files: set[int] = set()


class Lock:
    """Context manager: the right to write at a place, which no other process or thread has in the meantime.

    The operating system's lock (`flock`) on a small file that says who holds it. It ends with the process, also by
    kill -9; the file goes when the lock is given back, and the next holder takes over one that a kill has left. On a
    file system without locks nobody is kept out.

    Args:
        path: of the file; its folder is made.
        argument: what the caller calls the place, for the error.
        place: that the lock is for, as in the error. Default: the folder of `path`.

    Raises:
        BlockingIOError: on entering, saying who holds the lock and since when.
    """

    def __init__(self, path, argument: str = "folder", place=None):
        self.path, self.argument = Path(path), argument
        self.place = self.path.parent if place is None else Path(place)

    def __enter__(self) -> Lock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            if not _lock(file):
                holder = _holder(file)
                os.close(file)
                raise BlockingIOError(
                    f"{self.argument}: {str(self.place)!r} is in use by {holder}; wait for its end, or name another"
                )
            self._file, self._process = file, os.getpid()
            if self._is_there():
                break
            # The holder before has taken the file away in this very moment.
            os.close(file)
        _open_files.add(file)
        os.ftruncate(file, 0)
        os.write(file, json.dumps(_this_process()).encode())
        return self

    def __exit__(self, *exception) -> None:
        if os.getpid() != self._process:  # a fork, which has no lock
            return
        # Taken away first: whoever opens the file later than that makes a new one, and whoever has it open will see.
        if self._is_there() and msvcrt is None:
            self.path.unlink(missing_ok=True)
        _open_files.discard(self._file)
        os.close(self._file)
        if msvcrt is not None:
            with contextlib.suppress(OSError):  # another has it open
                self.path.unlink(missing_ok=True)

    def check(self) -> None:
        """FileNotFoundError when the place was removed, or replaced by another, since the lock was taken."""
        if not self._is_there():
            folder = self.path.parent
            left = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
            what = f"of it are left: {', '.join(left)}" if left else "nothing of it is left"
            written = "it was being written" if folder == self.place else f"{self.place.name!r} was being written to it"
            raise FileNotFoundError(f"{self.argument}: {str(folder)!r} was removed while {written}; {what}")

    def _is_there(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._file))
        except OSError:
            return False


def folder_lock(folder, argument: str = "folder") -> Lock:
    """The lock of a folder whose files one process writes, `.lock` in it."""
    return Lock(Path(folder) / ".lock", argument)


def file_lock(path, argument: str = "path") -> Lock:
    """The lock of a file, or of a folder that is replaced as a whole: `.NAME.lock` next to it."""
    path = Path(path).absolute()
    return Lock(path.with_name(f".{path.name}.lock"), argument, path)


def remove_unfinished(folder, names) -> None:
    """Take away temporary files that killed processes have left in a folder; see `kerasvae.files.replacing`.

    Args:
        folder: where they are.
        names: of the files and folders that none but the caller writes, as it holds the lock; theirs go whoever began
            them. Temporary files of others go when the process that began them is dead.
    """
    for path in sorted(Path(folder).glob(".*-*-*")):
        if (found := _TEMPORARY.fullmatch(path.name)) is None:
            continue
        kind, process, name = found.groups()
        target = path.with_name(name)
        while found := _TEMPORARY.fullmatch(name):
            name = found[3]
        if name not in names and _is_alive(int(process)):
            continue
        if kind == "replaced" and not target.exists():
            # The process died after the old folder had stepped aside, and before the new one took its place.
            os.replace(path, target)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _lock(file: int) -> bool:
    """Lock an open file; False if another has it."""
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
            try:
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(file, 0, os.SEEK_SET)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:  # no locks on this file system
        return True
    return True


def _this_process() -> dict:
    return {
        "process": os.getpid(),
        "machine": platform.node(),
        "thread": threading.current_thread().name,
        "since": datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds"),
    }


def _holder(file: int) -> str:
    """Who has locked a file, from its text."""
    try:
        holder = json.loads(os.read(file, 4096))
        if holder["process"] == os.getpid() and holder["machine"] == platform.node():
            return f"thread {holder['thread']!r} of this process since {holder['since']}"
        return f"process {holder['process']} on {holder['machine']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        # It has not written its name yet.
        return "another process"


def _is_alive(process: int) -> bool:
    if msvcrt is not None:  # where signal 0 would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _close_in_fork() -> None:
    """A fork that outlives its parent must not keep the parent's locks."""
    for file in _open_files:
        with contextlib.suppress(OSError):
            os.close(file)
    _open_files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_fork)
