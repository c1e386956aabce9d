"""Codes of many image files: decoded ahead in threads, in bounded memory, and resumed after an interruption."""

from __future__ import annotations

import collections
import contextlib
import csv
import os
import shutil
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasvae import locks
from kerasvae.checks import check_choice, check_integer
from kerasvae.files import check_writable, checked_path, replacing
from kerasvae.image_files import USUAL_ENDINGS, endings, nearly_black
from kerasvae.serving import code_files
from kerasvae.serving.bundle import Bundle, processors
from kerasvae.serving.images import LARGEST_PIXEL_LIMIT, PIXEL_LIMIT, ImageError
from kerasvae.serving.unfinished_codes import UnfinishedCodes

ON_ERROR = ("report", "stop")
_BATCHES_AHEAD = 2
_ROWS_IN_MEMORY = 8192


@dataclass(frozen=True)
class EncodedFiles:
    """What `encode_files` did.

    Attributes:
        out: the file of codes.
        count: number of files with codes.
        broken: number of files that could not be used.
        errors: the CSV file that lists these with reasons; None when there are none.
        first_broken: (file, reason) of the first ten of them.
    """

    out: Path
    count: int
    broken: int
    errors: Path | None
    first_broken: tuple[tuple[str, str], ...]


def encode_files(
    bundle,
    files,
    out,
    *,
    batch_size: int = 256,
    logvar: bool = False,
    recursive: bool = False,
    resume: bool = False,
    on_error: str = "report",
    threads: int | None = None,
    pixel_limit: int = PIXEL_LIMIT,
    progress: bool = True,
) -> EncodedFiles:
    """Write the codes of image files to one file, in the order of the files.

    `out` appears when it is complete. Until then the results are in `<out>.unfinished`, from which an interrupted run
    goes on; it then ends with the same bytes as a run that was not interrupted. Columns of .csv and .parquet: `file`, a
    latent's mean under its name, with `logvar` a `logvar_<name>` each, and `outside`, 1 or true when a mean is outside
    the range of the training data (not for a bundle that was written without data). Arrays of .npz: `file` (n,);
    `mean`, `logvar` and `outside` (n, latents); `latent_names`. Files that cannot be used have no row; they are listed
    in `<out>.errors.csv` (`file`, `reason`). In names, bytes that are no UTF-8 are written as \\xff, and carriage
    returns as \\r.

    Args:
        bundle: a Bundle, or the path of one.
        files: paths of image files, and of folders, whose image files are taken in the order of their names; names that
            begin with a dot are passed over.
        out: path ending in .csv, .npz or .parquet (which needs pyarrow). An earlier file is replaced.
        batch_size: files that are encoded at a time. Three batches of images are in memory.
        logvar: also write the log-variances.
        recursive: also take the image files in the folders' subfolders.
        resume: go on where an interrupted run with the same arguments stopped, with the list of files that it began
            with. Without such a run a new one begins.
        on_error: "report" (default): files that cannot be used are listed at the end; "stop": the first ends the run,
            which can be resumed.
        threads: that decode files, and of the network. Default: one per processor that this process may use. An open
            bundle keeps its own.
        pixel_limit: files of more pixels cannot be used; at most 178956970, where Pillow ends. A thread needs up to 10
            bytes a pixel.
        progress: show a progress bar when stderr is a terminal.

    Returns:
        EncodedFiles.

    Raises:
        ValueError: for an argument not allowed, no files, and, a BundleError, a bundle that cannot be used.
        ImageError: a ValueError, for a file that cannot be used with `on_error="stop"`.
        ImportError: when onnxruntime is missing, or pyarrow for .parquet.
        BlockingIOError: an OSError, when another process writes `out`, before anything is encoded.
        OSError: when `out` cannot be written or the disk has no room for it, before anything is encoded; when its
            folder was removed in the meantime.

    Example:

    ```python
    kv.serving.encode_files("bundles/quickstart", ["photos"], "codes.csv", recursive=True)
    ```
    """
    if not isinstance(files, str | os.PathLike | list | tuple):
        raise TypeError(f"files must be a path or a list of paths, got {type(files).__name__}")
    files = [files] if isinstance(files, str | os.PathLike) else files
    if not files:
        raise ValueError("files: there is no image in an empty list; give a path of a file or folder")
    for k, file in enumerate(files):
        checked_path(file, f"files[{k}]")
    files = [os.fspath(file) for file in files]
    out = checked_path(out, "out")
    threads = processors() if threads is None else threads
    for value, name in ((batch_size, "batch_size"), (threads, "threads")):
        check_integer(value, name, 1)
    check_integer(pixel_limit, "pixel_limit", 1, LARGEST_PIXEL_LIMIT)
    check_choice(on_error, "on_error", ON_ERROR)
    code_files.check_ending(out)
    for file in files:
        if not os.path.exists(file):
            raise ValueError(f"files: there is no file or folder {file!r}")
    errors = out.with_name(f"{out.name}.errors.csv")
    for file in (out, errors):
        if file.is_dir():
            raise OSError(f"out: {str(file)!r} is a folder, which no file replaces; name another")
    check_writable(out, "out")
    with locks.file_lock(out, "out") as lock:
        locks.remove_unfinished(out.parent, (out.name, errors.name))
        return _encode_files(
            bundle,
            files,
            out,
            errors,
            lock,
            batch_size,
            logvar,
            recursive,
            resume,
            on_error,
            threads,
            pixel_limit,
            progress,
        )


def _encode_files(
    bundle, files, out, errors, lock, batch_size, logvar, recursive, resume, on_error, threads, pixel_limit, progress
) -> EncodedFiles:
    """`encode_files` with its arguments checked, by the one process that writes `out`."""
    if not isinstance(bundle, Bundle):
        bundle = Bundle(bundle, threads=threads)
    code_files.check_columns(out, bundle.latent_names, logvar)
    settings = {
        "bundle": f"{bundle.name} {bundle.version} ({bundle.digest[:16]})",
        "files": files,
        "working folder": os.getcwd(),
        "recursive": recursive,
        "logvar": logvar,
        "batch_size": int(batch_size),
        "pixel_limit": int(pixel_limit),
    }
    unfinished = out.with_name(f"{out.name}.unfinished")
    with UnfinishedCodes(unfinished, settings, image_files_of(files, recursive), resume=resume) as results:
        _check_room(out, results, bundle.latents * (2 if logvar else 1))
        _encode_all(bundle, results, batch_size, logvar, on_error, threads, pixel_limit, progress)
        results.commit()
        lock.check()
        encoded = _write(bundle, results, out, errors, logvar)
    # It is no longer needed, now that all is written.
    unfinished.unlink(missing_ok=True)
    return encoded


def image_files_of(files: list[str], recursive: bool) -> Iterator[str]:
    """Paths of files as they are, and of the image files in folders, sorted as `FromFolder` does.

    Raises:
        ValueError: at the end, when there were none. OSError: for a folder that cannot be listed.
    """
    found_any = False
    for file in files:
        for found in _image_files_in(file, recursive) if os.path.isdir(file) else [file]:
            found_any = True
            yield found
    if not found_any:
        folders = ", ".join(files[:3]) + ", ..." * (len(files) > 3)
        raise ValueError(
            f"files: there is no image in {folders}; files ending in {' '.join(USUAL_ENDINGS)} count, and others that "
            "Pillow reads"
        )


def _image_files_in(folder: str, recursive: bool) -> Iterator[str]:
    # Images that cannot be read here are not passed over: they are listed with the reason.
    looks_like_one = sum(endings(), ())
    visited = {os.path.realpath(folder)}
    waiting = [_entries(folder)]
    while waiting:
        name, path = next(waiting[-1], (None, None))
        if name is None:
            waiting.pop()
        elif not name.endswith("/"):
            if name.lower().endswith(looks_like_one):
                yield path
        # A link may lead back up.
        elif recursive and (real := os.path.realpath(path)) not in visited:
            visited.add(real)
            waiting.append(_entries(path))


def _entries(folder: str) -> Iterator[tuple[str, str]]:
    """(name, path) of what is in a folder. Folders' names end in a slash, so that the order is that of whole paths."""
    try:
        with os.scandir(folder) as entries:
            # Of an entry itself, a link that leads to itself say, the others know nothing.
            found = [entry.name + "/" * os.path.isdir(entry.path) for entry in entries if entry.name[0] != "."]
    except OSError as error:
        raise OSError(f"files: cannot list the folder {folder!r} ({error.strerror or error})") from error
    return iter([(name, (Path(folder) / name).as_posix()) for name in sorted(found)])


def _check_room(out: Path, results: UnfinishedCodes, numbers: int) -> None:
    # Each number takes 4 bytes until the end, and up to 14 in a CSV file; a path is written three times.
    needed = (results.count - results.done) * (18 * numbers + 64) + 3 * int(results.bytes_of_paths)
    free = shutil.disk_usage(out.absolute().parent).free
    if needed > free:
        raise OSError(
            f"out: the codes of {results.count} files may take {needed / 1024**2:.0f} MiB, and the disk of "
            f"{str(out)!r} has {free / 1024**2:.0f} MiB free"
        )


def _encode_all(bundle, results, batch_size, logvar, on_error, threads, pixel_limit, progress) -> None:
    """Encode the files that have no results, batch by batch, while the next batches are decoded."""

    largest = []

    def read(file: str) -> np.ndarray | ImageError:
        try:
            return bundle.preparation.read(file, pixel_limit, largest.append)
        except ImageError as error:
            return error

    pool = ThreadPoolExecutor(threads)
    waiting: collections.deque[list[Future]] = collections.deque()
    batches = results.batches(batch_size)
    try:
        with warnings.catch_warnings(), _shown(progress, results) as advance:
            # What Pillow warns of (odd metadata) is no reason not to use an image.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            for _ in range(1 + _BATCHES_AHEAD):
                waiting.append([pool.submit(read, file) for file in next(batches, ())])
            while any(waiting):
                # Of each batch the same files, whenever the run was interrupted: so its codes have the same bits.
                found = [future.result() for future in waiting.popleft()]
                results.add(_results(bundle, found, logvar, on_error))
                advance(len(found), sum(isinstance(image, ImageError) for image in found))
                waiting.append([pool.submit(read, file) for file in next(batches, ())])
    finally:
        # Ctrl-C waits for the files at hand alone.
        pool.shutdown(cancel_futures=True)
    if notice := nearly_black(largest):
        warnings.warn(f"files: {notice}", UserWarning, stacklevel=3)  # whoever called encode_files


def _results(bundle: Bundle, found: list, logvar: bool, on_error: str) -> list[tuple]:
    images = [image for image in found if not isinstance(image, ImageError)]
    if on_error == "stop" and len(images) < len(found):
        raise next(image for image in found if isinstance(image, ImageError))
    codes = iter(zip(*bundle.encode_prepared(np.stack(images)), strict=True)) if images else iter(())
    results = []
    for image in found:
        if isinstance(image, ImageError):
            results.append((None, None, image.reason))
        else:
            mean, log_variance = next(codes)
            results.append((mean, log_variance if logvar else None, None))
    return results


def _write(bundle: Bundle, results: UnfinishedCodes, out: Path, errors: Path, logvar: bool) -> EncodedFiles:
    def blocks():
        for rows in results.codes(_ROWS_IN_MEMORY):
            paths, *codes = zip(*rows, strict=True)
            mean, log_variance = (
                np.frombuffer(b"".join(part), "<f4").reshape(-1, bundle.latents) if is_wanted else None
                for part, is_wanted in zip(codes, (True, logvar), strict=True)
            )
            yield code_files.Block([_as_text(path) for path in paths], mean, log_variance, bundle.outside(mean))

    table = code_files.Table(bundle.latent_names, results.readable(), logvar, bundle.quantile_range is not None, blocks)
    count, first = 0, []
    with replacing(out, "out") as temporary:
        code_files.write(temporary, out.suffix.lower(), table)
    with replacing(errors, "out") as temporary:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            rows = csv.writer(stream, lineterminator="\n")
            rows.writerow(["file", "reason"])
            for path, reason in results.troubles():
                rows.writerow([_as_text(path), reason])
                count += 1
                if len(first) < 10:
                    first.append((_as_text(path), reason))
    if not count:
        errors.unlink()
    return EncodedFiles(out, table.rows, count, errors if count else None, tuple(first))


def _as_text(path: str) -> str:
    """A path that may be any bytes, as text that can be written as UTF-8, and in CSV."""
    return os.fsencode(path).decode("utf-8", "backslashreplace").replace("\r", "\\r")


@contextlib.contextmanager
def _shown(progress: bool, results: UnfinishedCodes):
    """A progress bar, as a function of the files done and those broken among them."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not (progress and console.is_terminal)
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task, broken = bar.add_task("images encoded", total=results.count, completed=results.done), 0

        def advance(files: int, broken_files: int) -> None:
            nonlocal broken
            broken += broken_files
            bar.update(task, advance=files, description="images encoded" + f", {broken} broken" * (broken > 0))

        yield advance
