"""Files of codes: CSV, NPZ and Parquet, written block by block, the same bytes for the same codes."""

from __future__ import annotations

import contextlib
import csv
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kerasvae.extras import require

FORMATS = (".csv", ".npz", ".parquet")


@dataclass(frozen=True)
class Block:
    """Some rows of a table.

    Attributes:
        files: list of str.
        mean, logvar: float32 (rows, latents); `logvar` None when it is not asked for.
        outside: bool (rows, latents); None when the bundle was written without data.
    """

    files: list[str]
    mean: np.ndarray
    logvar: np.ndarray | None
    outside: np.ndarray | None


@dataclass(frozen=True)
class Table:
    """Codes of files.

    Attributes:
        latent_names: a tuple of str.
        rows: their number.
        logvar, outside: whether the blocks have them.
        blocks: a function that gives all blocks, in order; it can be called again.
    """

    latent_names: tuple[str, ...]
    rows: int
    logvar: bool
    outside: bool
    blocks: Callable[[], Iterator[Block]]


def check_ending(path: Path) -> None:
    """ValueError for an ending that is none of FORMATS; ImportError for .parquet without pyarrow."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"out must end in {', '.join(FORMATS)}, got {str(path)!r}")
    if suffix == ".parquet":
        require("out: .parquet (unlike .csv and .npz)", ["pyarrow"])


def check_columns(path: Path, latent_names: tuple[str, ...], logvar: bool) -> None:
    """ValueError when two columns of the file would have one name."""
    names = columns(latent_names, logvar, outside=True)
    if path.suffix.lower() != ".npz" and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"out: two columns would be named {twice!r}, as a latent is; name an .npz file instead")


def columns(latent_names: tuple[str, ...], logvar: bool, outside: bool) -> list[str]:
    """Names of the columns of CSV and Parquet."""
    return [
        "file",
        *latent_names,
        *(f"logvar_{name}" for name in latent_names if logvar),
        *["outside"] * outside,
    ]


def write(path: Path, suffix: str, table: Table) -> None:
    """Write a table to `path` in the format of `suffix`."""
    {".csv": _write_csv, ".npz": _write_npz, ".parquet": _write_parquet}[suffix](path, table)


def _write_csv(path: Path, table: Table) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(columns(table.latent_names, table.logvar, table.outside))
        for block in table.blocks():
            # As text NumPy gives the shortest number that reads back as the same float32.
            parts = [np.array(block.files, dtype=object)[:, None], block.mean.astype(str)]
            if table.logvar:
                parts.append(block.logvar.astype(str))
            if table.outside:
                parts.append(block.outside.any(axis=1, keepdims=True).astype(int))
            rows.writerows(np.concatenate([part.astype(object) for part in parts], axis=1).tolist())


def _write_npz(path: Path, table: Table) -> None:
    latents = len(table.latent_names)
    with zipfile.ZipFile(path, "w") as archive:
        longest = max((len(file) for block in table.blocks() for file in block.files), default=1)
        text = np.dtype(f"<U{longest}")
        with _member(archive, "file", (table.rows,), text) as stream:
            for block in table.blocks():
                stream.write(np.array(block.files, text).tobytes())
        wanted = {"mean": True, "logvar": table.logvar, "outside": table.outside}
        for name in (name for name, is_wanted in wanted.items() if is_wanted):
            dtype = np.dtype("|b1" if name == "outside" else "<f4")
            with _member(archive, name, (table.rows, latents), dtype) as stream:
                for block in table.blocks():
                    stream.write(np.ascontiguousarray(getattr(block, name), dtype).tobytes())
        names = np.array(table.latent_names)
        with _member(archive, "latent_names", names.shape, names.dtype) as stream:
            stream.write(names.tobytes())


@contextlib.contextmanager
def _member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype):
    """A stream for the contents of an array in an archive, after its header."""
    # ZipInfo's own date is a constant, that of `archive.open(name)` is not.
    info = zipfile.ZipInfo(f"{name}.npy")
    # Names of files repeat each other, and take four bytes a character; numbers do not shrink.
    info.compress_type = zipfile.ZIP_DEFLATED if dtype.kind in "Ub" else zipfile.ZIP_STORED
    with archive.open(info, "w", force_zip64=True) as stream:
        description = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, description)
        yield stream


def _write_parquet(path: Path, table: Table) -> None:
    import pyarrow
    import pyarrow.parquet

    names = columns(table.latent_names, table.logvar, table.outside)
    kinds = [pyarrow.string(), *[pyarrow.float32()] * (len(table.latent_names) * (1 + table.logvar))]
    schema = pyarrow.schema(list(zip(names, kinds + [pyarrow.bool_()] * table.outside, strict=True)))
    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        for block in table.blocks():
            values = [block.files, *block.mean.T, *(block.logvar.T if table.logvar else ())]
            if table.outside:
                values.append(block.outside.any(axis=1))
            arrays = [pyarrow.array(column, kind) for column, kind in zip(values, schema.types, strict=True)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
