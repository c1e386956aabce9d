"""The folder of a bundle: where one may be put, what is in it, and its check in a process without Keras."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from kerasvae import files, locks
from kerasvae.serving.manifest import CHECKSUM, FILE_NAME, FORMAT, NAME


def check_name(argument: str, value) -> str:
    """A name or version that a server may show; ValueError otherwise."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(
            f"{argument} must be 1 to 100 of the characters A-Z a-z 0-9 . _ -, the first no dot, got {value!r}"
        )
    return value


def check_place(path: Path, overwrite: bool) -> None:
    """Unless a bundle may be written there: a new or empty folder, or to overwrite it, a bundle and nothing else.

    Raises:
        FileExistsError: for a file, a folder that holds anything else, or a bundle that is not to be overwritten.
        OSError: when it cannot be written.
    """
    if path.is_dir() and any(path.iterdir()):
        try:
            manifest = files.read_json(path / FILE_NAME)
            known = {FILE_NAME, CHECKSUM, *manifest["files"]} if manifest["format"] == FORMAT else set()
        except (OSError, ValueError, KeyError, TypeError):
            known = set()
        others = sorted(set(_names(path)) - known)
        if others or not known:
            shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
            raise FileExistsError(
                f"path must be a new folder or that of an earlier bundle, got {str(path)!r}, which holds other files: "
                f"{shown}"
            )
        if not overwrite:
            raise FileExistsError(
                f"path: there is a bundle at {str(path)!r} already; name another place, or pass overwrite=True to "
                "replace it"
            )
    elif path.exists() and not path.is_dir():
        raise FileExistsError(f"path must be a folder, got the file {str(path)!r}")
    files.check_writable(path)


@contextlib.contextmanager
def only_writer(path: Path, overwrite: bool):
    """Hold the lock of the place of a bundle, which is checked, and free of what killed processes left; yield it.

    Raises:
        BlockingIOError: when another process writes a bundle there.
        ValueError, OSError: as `check_place`.
    """
    files.check_writable(path)
    with locks.file_lock(path) as lock:
        locks.remove_unfinished(path.parent, (path.name,))
        check_place(path, overwrite)
        yield lock


def stated_files(folder: Path) -> dict[str, dict]:
    """Size in bytes and SHA-256 of all files in a folder without a manifest, by their paths with forward slashes."""
    stated = {}
    for name in sorted(_names(folder)):
        contents = (folder / name).read_bytes()
        stated[name] = {"bytes": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}
    return stated


def write_manifest(folder: Path, manifest: dict) -> None:
    """Write what the bundle says of itself, and its SHA-256 as `sha256sum` does."""
    files.write_json(folder / FILE_NAME, manifest)
    digest = hashlib.sha256((folder / FILE_NAME).read_bytes()).hexdigest()
    (folder / CHECKSUM).write_text(f"{digest}  {FILE_NAME}\n", encoding="ascii", newline="\n")


def verify(folder: Path) -> None:
    """Open the bundle, and run its test, in a process that may import neither Keras nor TensorFlow.

    Raises:
        RuntimeError: with what that process said, when it failed.
    """
    package = os.fspath(Path(files.__file__).parents[1])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.run(
        [sys.executable, "-m", "kerasvae.serving.verify", os.fspath(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    if process.returncode != 0:
        said = (process.stderr.strip() or process.stdout.strip() or f"exit status {process.returncode}").splitlines()
        raise RuntimeError(f"the bundle does not pass its test in a process without Keras: {said[-1]}")


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
