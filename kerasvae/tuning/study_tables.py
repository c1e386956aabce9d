"""The results of a study as a table that `kerasvae.analysis.study` reads, and the codes beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from kerasvae.analysis import study
from kerasvae.archives import read_npz
from kerasvae.tuning.checks import check_folder, check_study_rows
from kerasvae.tuning.results import ERROR, RESULTS, row_folder, stored_result
from kerasvae.tuning.search import FailedRowsError, search
from kerasvae.tuning.study_run import CODES, OBJECTIVE, StudyRun

# In the folder of a study: that of `search`.
SEARCH = "search"
# Runs of a setting that UDR compares.
_FEWEST = 3
_SETTING = ("dataset", "method", "strength_name", "strength")


def run_study(rows: list[dict], folder, run=None, **options):
    """Run the rows of a study, or go on with them, and write `results.csv`: a line a run, a column a metric.

    Args:
        rows: of `kerasvae.tuning.studies`, as they are or changed.
        folder: of the study. `search` works in the folder "search" within; `results.csv` is also what
            `kerasvae report` takes.
        run: a `StudyRun`. Default None: `StudyRun()`.
        **options: of `kerasvae.tuning.search`: workers, verbose, chief, role, timeout, on_wait.

    Returns:
        The table, a `kerasvae.analysis.study.ResultsTable` with UDR beside what runs found themselves, and what went
        wrong with rows, a text, or None. Failed rows are tried again by the next call.

    Raises:
        ValueError, RuntimeError, OSError: as `kerasvae.tuning.search`.
    """
    folder, failures = check_folder(folder), None
    try:
        search(StudyRun() if run is None else run, rows, folder / SEARCH, OBJECTIVE, **options)
    except FailedRowsError as error:
        failures = str(error)
    table = study_table(folder, rows)
    table.to_wide().to_csv(folder / RESULTS)
    return table, failures


def study_table(folder, rows: list[dict]):
    """The table of a study's runs so far, with UDR of the settings of which three runs or more are finished.

    Args:
        folder, rows: as for `run_study`.

    Returns:
        A `kerasvae.analysis.study.ResultsTable`; runs that are still to come have the status "running".
    """
    place = check_folder(folder) / SEARCH
    table, codes = study.load(study_results(place, rows)), StudyCodes(place, rows)
    most = max(Counter(table.ok().cell_code.tolist()).values(), default=0)
    return study.add_udr(table, codes, progress=False) if most >= _FEWEST else table


def study_results(folder, rows: list[dict]) -> list[dict]:
    """The rows of a study with what they came to, as `kerasvae.analysis.study.load` reads it.

    Args:
        folder: that `kerasvae.tuning.search` was given.
        rows: of `kerasvae.tuning.studies`.

    Returns:
        A dictionary a row, in their order: `study`, `dataset`, `method`, `strength_name`, `strength`, `seed`, `run_id`
        (the number of the row, from 1, with the study's name), `status` ("ok", "diverged", "failed" or "running": begun
        or still to come), `hp.NAME` of those other fields in which rows of one data set, method and strength differ,
        the metrics, `seconds` and `steps`.
    """
    folder, rows = check_folder(folder), check_study_rows(rows, *_SETTING, "study", "seed", "steps")
    others = [name for name in rows[0] if name not in (*_SETTING, "study", "seed")]
    seen = {}
    for row in rows:
        seen.setdefault(tuple(row[name] for name in _SETTING), []).append(row)
    varying = [name for name in others if any(len({row[name] for row in group}) > 1 for group in seen.values())]
    results = []
    for number, row in enumerate(rows, start=1):
        stored, place = stored_result(folder, row), row_folder(folder, row)
        result = {"study": row["study"], **{name: row[name] for name in _SETTING}, "seed": row["seed"]}
        result |= {"run_id": run_id(row, number), "status": "running"}
        result |= {f"hp.{name}": row[name] for name in varying}
        if stored:
            metrics = dict(stored["metrics"])
            result["status"] = "diverged" if metrics.pop("diverged") else "ok"
            result |= {**metrics, "seconds": stored["seconds"], "steps": row["steps"]}
        elif (place / ERROR).is_file():
            result["status"] = "failed"
        results.append(result)
    return results


def run_id(row: dict, number: int) -> str:
    return f"{row['study']}-{number}"


class StudyCodes(Mapping):
    """{run_id: mean codes, float32 (images, latents)} of the runs of a study that are finished, read when asked for.

    They are of the same images for all rows of a data set: what `kerasvae.analysis.study.add_udr` compares.

    Args:
        folder, rows: as for `study_results`.
    """

    def __init__(self, folder, rows: list[dict]):
        folder, rows = check_folder(folder), check_study_rows(rows, "study")
        paths = {run_id(row, number): row_folder(folder, row) / CODES for number, row in enumerate(rows, start=1)}
        self._paths: dict[str, Path] = {name: path for name, path in paths.items() if path.is_file()}

    def __getitem__(self, name: str) -> np.ndarray:
        path = self._paths[name]
        try:
            return read_npz(path, ["mean"])[0]["mean"]
        except (KeyError, ValueError) as error:
            raise ValueError(f"{str(path)!r} holds no codes that can be read ({error})") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
