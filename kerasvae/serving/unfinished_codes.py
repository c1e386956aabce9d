"""The codes of a run that is not finished: one SQLite file, which a kill or a full disk leaves whole."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

# A kill costs the work of a second; each commit waits for the disk.
_SECONDS_BETWEEN_COMMITS = 1.0
_TABLES = {
    "settings": "content text not null",
    "files": "position integer primary key, path blob not null",
    "results": "position integer primary key, mean blob, logvar blob, reason text",
}


class UnfinishedCodes:
    """The list of a run's files, and the results of the first of them. A context manager; without results none stays.

    Args:
        path: of the SQLite file; this process keeps it locked.
        settings: what the run was begun with, a dict for JSON.
        files: paths, in order; a run that goes on takes those that it began with.
        resume: go on with the results in the file, if there are any.

    Attributes:
        count: number of files.
        done: how many of them, from the first, have results.
        bytes_of_paths: of all files.

    Raises:
        FileExistsError: when there are results already and `resume` is False.
        ValueError: when the results are of a run with other settings.
        OSError: when the file cannot be written or is damaged, or another process is writing it.
    """

    def __init__(self, path: Path, settings: dict, files: Iterable[str], *, resume: bool):
        self.path, self._committed = path, time.monotonic()
        was_there = path.exists()
        with self._errors():
            self._database = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            with self._errors():
                # Until this process ends, however it does.
                self._database.execute("pragma locking_mode = exclusive")
                self._database.execute("pragma synchronous = normal")
                self._database.execute("begin exclusive")
                if not self._goes_on(settings, resume):
                    self._begin(settings, files)
                self._database.execute("commit")
                self.count, self.bytes_of_paths = self._row("select count(*), total(length(path)) from files")
                (self.done,) = self._row("select count(*) from results")
        except BaseException:
            self._database.close()
            if not was_there:
                path.unlink(missing_ok=True)
            raise

    def _goes_on(self, settings: dict, resume: bool) -> bool:
        """Whether there is a run with results to go on with."""
        if self._row("select count(*) from sqlite_master where name = 'results'") == (0,):
            return False
        (done,) = self._row("select count(*) from results")
        if not done:
            return False
        if not resume:
            raise FileExistsError(
                f"out: an interrupted run left {done} results in {str(self.path)!r}: go on with it (resume), or remove "
                "that file to start again"
            )
        began = json.loads(*self._row("select content from settings"))
        for name, value in settings.items():
            if began.get(name) != value:
                raise ValueError(
                    f"resume: the run in {str(self.path)!r} began with {name} {_shortened(began.get(name))}, not "
                    f"{_shortened(value)}; give it the same, or remove that file to start again"
                )
        return True

    def _begin(self, settings: dict, files: Iterable[str]) -> None:
        for table, definition in _TABLES.items():
            self._database.execute(f"drop table if exists {table}")
            self._database.execute(f"create table {table} ({definition})")
        self._database.execute("insert into settings values (?)", [json.dumps(settings)])
        # Paths as the bytes that they are: not all are text.
        self._database.executemany(
            "insert into files values (?, ?)", ((k, os.fsencode(file)) for k, file in enumerate(files))
        )

    def __enter__(self) -> UnfinishedCodes:
        return self

    def __exit__(self, *exception) -> None:
        try:
            self.commit()
        finally:
            self._database.close()
            if not self.done:  # nothing to go on with
                self.path.unlink(missing_ok=True)

    def batches(self, size: int) -> Iterator[list[str]]:
        """Files that have no results yet, in order, `size` at a time."""
        for start in range(self.done, self.count, size):
            with self._errors():
                rows = self._database.execute(
                    "select path from files where position >= ? and position < ? order by position",
                    [start, start + size],
                ).fetchall()
            yield [os.fsdecode(path) for (path,) in rows]

    def add(self, results: list[tuple[np.ndarray | None, np.ndarray | None, str | None]]) -> None:
        """Results (mean, logvar, reason) of the next files: the codes, or why there are none."""
        with self._errors():
            if not self._database.in_transaction:
                self._database.execute("begin")
            self._database.executemany(
                "insert into results values (?, ?, ?, ?)",
                (
                    (
                        self.done + k,
                        *(None if codes is None else codes.astype("<f4").tobytes() for codes in row),
                        reason,
                    )
                    for k, (*row, reason) in enumerate(results)
                ),
            )
        self.done += len(results)
        if time.monotonic() - self._committed > _SECONDS_BETWEEN_COMMITS:
            self.commit()

    def commit(self) -> None:
        """Make what was added safe from a kill."""
        self._committed = time.monotonic()
        if self._database.in_transaction:
            with self._errors():
                self._database.execute("commit")

    def readable(self) -> int:
        """How many files have codes."""
        with self._errors():
            return self._row("select count(*) from results where reason is null")[0]

    def codes(self, rows: int) -> Iterator[list[tuple[str, bytes, bytes | None]]]:
        """(path, mean, logvar) of the files that have codes, in order, `rows` at a time."""
        query = "select path, mean, logvar from results join files using (position) where reason is null"
        return self._blocks(query, rows)

    def troubles(self) -> Iterator[tuple[str, str]]:
        """(path, reason) of the files that have none."""
        query = "select path, reason from results join files using (position) where reason is not null"
        return (row for block in self._blocks(query, 1000) for row in block)

    def _blocks(self, query: str, rows: int):
        with self._errors():
            found = self._database.execute(f"{query} order by position")
            while block := found.fetchmany(rows):
                yield [(os.fsdecode(path), *rest) for path, *rest in block]

    def _row(self, query: str) -> tuple:
        return self._database.execute(query).fetchone()

    @contextlib.contextmanager
    def _errors(self):
        """SQLite's errors as those of a file."""
        try:
            yield
        except sqlite3.Error as error:
            reason = str(error)
            if "locked" in reason:
                reason = "another process is writing it"
            elif isinstance(error, sqlite3.DatabaseError) and ("malformed" in reason or "not a database" in reason):
                reason = f"it is damaged ({reason}); remove it to start again"
            raise OSError(f"out: cannot use {str(self.path)!r}: {reason}") from error


def _shortened(value) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."
