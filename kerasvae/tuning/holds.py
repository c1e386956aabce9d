"""A worker's hold on the row that it does, and what others see of it."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import shutil
import signal
import threading
import time
import uuid
from pathlib import Path

import keras_tuner as kt

try:
    import fcntl
except ImportError:  # Windows: there, beats alone say who lives.
    fcntl = None

FILE = ".worker"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class LostRowError(kt.errors.FatalRuntimeError):
    """This worker was not heard from for so long that its row was given to another."""


class RowHold:
    """Context manager: the right to do a row, from when no living process has it.

    A lock on the file `.worker` in the row's folder, which ends with the process, says that the holder lives to all who
    share its operating system, and on most file systems to other machines. For the rest the file's text changes every
    quarter of `timeout` seconds. Where a lock is no hindrance and another worker writes its own name into the file,
    this one has lost the row: it is interrupted like with Ctrl-C, and `check` raises `LostRowError`.

    Args:
        folder: of the row; it exists.
        timeout: seconds after which others count a silent holder as lost.
        on_wait: called once if another process has the row.
    """

    def __init__(self, folder, timeout: float, on_wait=lambda: None):
        self.folder, self.beat_every, self.on_wait = Path(folder), timeout / 4, on_wait
        self.name, self.beats, self.lost, self.access = uuid.uuid4().hex, 0, False, threading.Lock()

    def __enter__(self):
        self.file = os.open(self.folder / FILE, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if _lock(self.file) is False:
                self.on_wait()
                while _lock(self.file) is False:
                    time.sleep(0.2)
            os.ftruncate(self.file, 0)
            _remove_unfinished_files(self.folder)
            self._beat()
        except BaseException:
            os.close(self.file)
            raise
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._keep_beating, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, kind, error, traceback):
        self.ended.set()
        self.thread.join()
        lost = self.lost or self._taken()
        with contextlib.suppress(OSError):
            if not lost:
                os.ftruncate(self.file, 0)
        os.close(self.file)
        if lost and (kind is None or issubclass(kind, Exception | KeyboardInterrupt)):
            raise LostRowError(
                f"row {self.folder.name} was given to another worker, since this one was not heard from for too long"
            ) from error

    def check(self) -> None:
        """Raise LostRowError if another has the row now."""
        if self.lost or self._taken():
            self.lost = True
            raise LostRowError(f"row {self.folder.name} was given to another worker")

    def _text(self):
        # As long every time, so that it is written over in place.
        return json.dumps({"worker": self.name, "machine": machine(), "beat": f"{self.beats:012d}"}).encode()

    def _beat(self):
        with self.access:
            self.beats += 1
            os.lseek(self.file, 0, os.SEEK_SET)
            os.write(self.file, self._text())

    def _taken(self):
        try:
            with self.access:
                return _read(self.file) != self._text()
        except OSError:
            return False

    def _keep_beating(self):
        while not self.ended.wait(self.beat_every):
            if self._taken():
                self.lost = True
                _interrupt()
                return
            # A full disk or an absent server: the next beat may arrive.
            with contextlib.suppress(OSError):
                self._beat()


class RowWatch:
    """What somebody else can tell about the holder of a row, by looking at its folder again and again."""

    def __init__(self, folder):
        self.path, self.text = Path(folder) / FILE, None

    def look(self) -> str:
        """ "held": somebody lives; "free": nobody does; "silent": no change since the last look."""
        try:
            file = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return "free"
        try:
            text, locked = _read(file), _lock(file)
        finally:
            os.close(file)
        if locked is False:
            return "held"
        if not text or (locked and _machine_of(text) == machine()):
            return "free"
        changed, self.text = text != self.text, text
        return "held" if changed else "silent"


def _remove_unfinished_files(folder: Path) -> None:
    """Take away what a holder that was killed had not written to the end; see `kerasvae.files.replacing`."""
    for pattern in (".partial-*", ".probe-*"):
        for path in folder.glob(pattern):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def machine() -> str:
    """Name of the running operating system, which all containers on it share as they do its locks."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return f"{platform.node()}-{uuid.getnode():x}"


def _machine_of(text: bytes):
    try:
        return json.loads(text)["machine"]
    except (ValueError, KeyError, TypeError):
        return None


def _lock(file: int) -> bool | None:
    """Lock an open file until it is closed: False if another process has it, None where there are no locks."""
    if fcntl is None:
        return None
    try:
        # Not flock: forks of the holder would keep that.
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _interrupt() -> None:
    """Have KeyboardInterrupt raised in the main thread, also where it sleeps."""
    thread = threading.main_thread().ident
    if not callable(signal.getsignal(signal.SIGINT)):
        # A shell has processes in the background of a script ignore Ctrl-C. Raised as soon as no call is waited for.
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))
    elif hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread, signal.SIGINT)
    else:
        signal.raise_signal(signal.SIGINT)


def _read(file: int) -> bytes:
    os.lseek(file, 0, os.SEEK_SET)
    return os.read(file, 4096)
