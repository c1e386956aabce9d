"""Files of data sets as their authors published them: found in a folder or downloaded to it, and checked by digest."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import threading
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from kerasvae import files

# Seconds until a host that does not answer counts as out of reach, and until a stalled download is given up.
CONNECT_SECONDS, STALL_SECONDS = 10, 60
_BLOCK = 1 << 20


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """A file as its authors publish it.

    Args:
        name: of the file.
        address: where it can be downloaded.
        digest: "sha256:..." or "md5:...", of the whole file, in hexadecimal digits.
        size: in bytes; None if it is not known.
    """

    name: str
    address: str
    digest: str
    size: int | None = None


def fetch(sources: list[SourceFile], folder) -> list[Path]:
    """Files of a data set as they were published: those in `folder` are checked, missing ones are downloaded to it.

    Args:
        sources: the files.
        folder: where they are, or are put; it is made if need be.

    Returns:
        Their paths.

    Raises:
        ValueError: for a file with another digest, naming it, the digest expected and the one found. What was
            downloaded is deleted then, a file that was there before stays.
        OSError: when a file is missing and cannot be downloaded, naming each missing file, its address and the folder.
    """
    folder = Path(folder)
    missing = [source for source in sources if not (folder / source.name).is_file()]
    for source in sources:
        path = folder / source.name
        if source not in missing:
            size = path.stat().st_size
            with open(path, "rb") as file, progress(f"Checking {source.name}", size, True) as advance:
                _check(source, path, size, _digest(source, file, advance), "put the right file there, or delete it")
    for source in missing:
        path = files.check_writable(folder / source.name, "manual_dir")
        with files.replacing(path, "manual_dir") as temporary:
            try:
                digest = _download(source, temporary)
            except (OSError, HTTPException) as error:
                needed = [file for file in missing if not (folder / file.name).is_file()]
                raise OSError(
                    f"{source.name} cannot be downloaded ({getattr(error, 'reason', None) or error}). Download where "
                    f"there is a network, and put into {str(folder)!r} or into a folder that you name as manual_dir:"
                    + "".join(f"\n    {file.name} from {file.address}" for file in needed)
                ) from error
            _check(source, path, temporary.stat().st_size, digest, "try again, or put the right file there yourself")
    return [folder / source.name for source in sources]


def _check(source: SourceFile, path: Path, size: int, digest: str, remedy: str) -> None:
    if digest != source.digest:
        expected = "" if source.size is None else f" ({source.size} bytes)"
        raise ValueError(
            f"{str(path)!r} is not the file that was published at {source.address}: expected {source.digest}{expected},"
            f" found {digest} ({size} bytes); {remedy}"
        )


def _digest(source: SourceFile, file, advance, copy=None) -> str:
    """Digest of an open file, in the form of `source.digest`, while it is copied to another one if that is given."""
    algorithm = source.digest.split(":")[0]
    digest = hashlib.new(algorithm, usedforsecurity=False)
    while block := file.read(_BLOCK):
        digest.update(block)
        if copy is not None:
            copy.write(block)
        advance(len(block))
    return f"{algorithm}:{digest.hexdigest()}"


def _download(source: SourceFile, path: Path) -> str:
    """Download the file to `path`; its digest."""
    with _connected(source.address) as response, open(path, "wb") as file:
        size = source.size or int(response.headers.get("Content-Length") or 0) or None
        with progress(f"Downloading {source.name} from {source.address}", size, True) as advance:
            return _digest(source, response, advance, copy=file)


def _connected(address: str):
    """The host's response. A host that cannot be reached is an OSError within `CONNECT_SECONDS`."""
    outcome, given_up = [], threading.Event()

    def connect():
        try:
            request = urllib.request.Request(address, headers={"User-Agent": "kerasvae"})
            outcome.append(urllib.request.urlopen(request, timeout=STALL_SECONDS))
        except Exception as error:
            outcome.append(error)
        if given_up.is_set() and hasattr(outcome[0], "close"):
            outcome[0].close()

    # In a thread, because nothing else limits the time that looking up the host's name takes.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(CONNECT_SECONDS)
    if not outcome:
        given_up.set()
        raise TimeoutError(f"no answer within {CONNECT_SECONDS} s")
    if isinstance(outcome[0], Exception):
        if isinstance(outcome[0], HTTPError):
            outcome[0].close()
        raise outcome[0]
    return outcome[0]


@contextlib.contextmanager
def progress(description: str, total: int | None, in_bytes: bool = False):
    """Show a bar on a terminal, a line elsewhere; yields the function that is called with each amount done."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(description, highlight=False)
    done = (DownloadColumn(), TransferSpeedColumn()) if in_bytes else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(), *done, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=total)
        yield lambda amount: progress.advance(task, amount)
