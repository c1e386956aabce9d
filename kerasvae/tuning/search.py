"""search: run the rows of a study, each in a folder of its own, and go on after a kill."""

from __future__ import annotations

import contextlib
import json
import math
import numbers
import time
import traceback
from pathlib import Path

import keras_tuner as kt
from rich.console import Console
from rich.text import Text

from kerasvae import files
from kerasvae.tuning.oracle import RowOracle
from kerasvae.tuning.results import (
    ERROR,
    RESULT,
    RESULTS,
    collect,
    number_text,
    row_folder,
    stored_result,
    write_results,
)
from kerasvae.tuning.rows import RESULT_FIELDS, check_rows, row_name

try:
    import fcntl
except ImportError:  # Windows: two processes on one folder are then not found out.
    fcntl = None

STUDY = "study.json"


class FailedRowsError(RuntimeError):
    """Some rows of a study failed; the others are finished.

    Attributes:
        rows: the failed rows.
        results: as `search` returns them, with the failed rows among them.
    """

    def __init__(self, rows: list[dict], results: list[dict], folder):
        self.rows, self.results = rows, results
        lines = [f"{len(rows)} of {len(results)} rows failed; the same search again retries them:"]
        for row in rows:
            path = row_folder(folder, row) / ERROR
            text = path.read_text(encoding="utf-8").strip() if path.is_file() else "could not even write its error"
            lines.append(f"  {row_name(row)}: {text.splitlines()[-1]} ({path})")
        super().__init__("\n".join(lines))


def search(run, rows, folder, objective=("mig", "max"), *, verbose: int = 1) -> list[dict]:
    """Run every row of a list once, through Keras Tuner; called again, go on where it was interrupted.

    The folder gets `results.csv`, replaced after every row, with the finished rows in the order of `rows`; a folder
    `rows/beta=…,seed=…` for each row, with its `result.json`, or `error.txt` with the traceback if it failed; `tuner`,
    Keras Tuner's state; and `study.json`, what the study began with. Rows that have a `result.json` are never run
    again: delete a row's folder to have it done anew. A row that was interrupted, also by kill -9, is run again, in
    the same folder.

    Args:
        run: function of (row, folder, verbose) that does a row and returns its metrics, a dictionary of name to finite
            number; `kerasvae.tuning.train_and_score` makes one. It finds in `folder` what an interrupted run left
            there. If it has an attribute `check`, a function of a row, that is called with every row that is not
            finished, before the first is run, to raise what is wrong with it; an attribute `settings`, JSON-able, says
            what else determines the results.
        rows: dictionaries, as `kerasvae.tuning.rows` makes them. A study may go on with rows added, in any order, but
            with none missing, and with the same `settings` (there may be more of them).
        folder: of the study; one process at a time.
        objective: the metric that Keras Tuner ranks rows by, and "min" or "max". Every row's metrics must have it.
        verbose: 0 silent, 1 a line a row (default), 2 also what `run` shows (it gets `verbose - 1`).

    Returns:
        A list of dictionaries in the order of `rows`: the row's fields, its metrics, `status` ("COMPLETED") and
        `seconds` (wall-clock of the run that finished it).

    Raises:
        FailedRowsError: at the end, when rows failed: raised an exception, or returned a metric that is not finite.
        ValueError: for rows not allowed or given twice, another objective, a study that began with other rows or
            settings, and, after the first row, metrics without the objective or under a row's field names.
        RuntimeError: when another process is searching in the folder.
        OSError: when the folder cannot be written.
    """
    if not callable(run):
        raise ValueError(f"run must be a function of (row, folder, verbose), got {run!r}")
    if isinstance(verbose, bool) or verbose not in (0, 1, 2):
        raise ValueError(f"verbose must be 0, 1 or 2, got {verbose!r}")
    rows, folder = check_rows(rows), Path(folder)
    oracle = RowOracle(rows, objective)
    files.check_writable(folder / STUDY, "folder")
    with _only_process(folder):
        _claim(folder, rows, getattr(run, "settings", None) or {})
        waiting = [row for row in rows if not stored_result(folder, row)]
        for row in waiting if hasattr(run, "check") else ():
            run.check(dict(row))
        console = Console(quiet=verbose == 0)
        if len(waiting) < len(rows):
            console.print(f"{len(rows) - len(waiting)} of {len(rows)} rows were finished before", highlight=False)
        write_results(folder / RESULTS, collect(folder, rows))
        RowTuner(run, oracle, folder, rows, verbose, console).search()
        results = collect(folder, rows)
        write_results(folder / RESULTS, results)
    failed = [row for row in rows if not stored_result(folder, row)]
    if failed:
        raise FailedRowsError(failed, results, folder)
    return results


class RowTuner(kt.Tuner):
    """Keras Tuner's loop over the trials of a `RowOracle`; each is a call of `run` in the row's folder.

    Args:
        run, folder, verbose: as for `search`.
        oracle: a new `RowOracle`; it is reloaded from the folder.
        rows: of the study, in the order of `results.csv`.
        console: rich console for a line a row.
    """

    def __init__(self, run, oracle, folder, rows, verbose, console):
        self.run, self.folder, self.rows, self.verbose, self.console = run, Path(folder), rows, verbose, console
        self.position = {row_name(row): number for number, row in enumerate(rows, start=1)}
        super().__init__(oracle, directory=str(folder), project_name="tuner")
        oracle.verbose = 0
        oracle.reload()
        # The rows' own files decide: somebody may have deleted a row's folder to have it done anew.
        for trial_id in reversed(list(oracle.end_order)):
            row = oracle.trials[trial_id].hyperparameters.values
            if not stored_result(self.folder, row):
                oracle.run_again(trial_id, row)

    def save(self):
        # Without a file of the tuner's own (it has no state) Keras Tuner neither reloads by itself nor says so.
        self.oracle.save()

    def run_trial(self, trial):
        row = dict(trial.hyperparameters.values)
        result = stored_result(self.folder, row)
        if result:
            return self._checked(row, result["metrics"])
        folder = row_folder(self.folder, row)
        folder.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        label = self._label(row)
        try:
            # A spinner and Keras's own progress bar would write over each other.
            with self.console.status(Text(label)) if self.verbose == 1 else contextlib.nullcontext():
                metrics = self._checked(row, self.run(dict(row), folder, max(self.verbose - 1, 0)))
            for name, value in metrics.items():
                if not math.isfinite(value):
                    raise ValueError(f"metric {name!r} of row {row_name(row)} must be finite, got {value}")
            seconds = round(time.perf_counter() - start, 3)
            files.write_json(folder / RESULT, {"row": row, "metrics": metrics, "seconds": seconds})
        except kt.errors.FatalError:
            raise
        except Exception as error:
            files.write_text(folder / ERROR, traceback.format_exc())
            self._print(f"{label}  FAILED: {type(error).__name__}: {error}")
            raise
        (folder / ERROR).unlink(missing_ok=True)
        name = self.oracle.objective.name
        self._print(f"{label}  {name} {number_text(metrics[name])}  {seconds:.1f} s")
        return metrics

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        write_results(self.folder / RESULTS, collect(self.folder, self.rows))

    def _print(self, line):
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _label(self, row):
        fields = " ".join(f"{field}={number_text(value)}" for field, value in row.items())
        return f"{self.position[row_name(row)]}/{len(self.rows)}  {fields}"

    def _checked(self, row, metrics) -> dict:
        """Metrics as plain floats. What is wrong with them is wrong with every row, so it ends the search."""
        if not isinstance(metrics, dict) or not all(
            isinstance(name, str) and isinstance(value, numbers.Real) for name, value in metrics.items()
        ):
            raise kt.errors.FatalValueError(f'run must return a dictionary {{"name": number}}, got {metrics!r}')
        name = self.oracle.objective.name
        if name not in metrics:
            raise kt.errors.FatalValueError(f"objective must be one of run's metrics {sorted(metrics)}, got {name!r}")
        if taken := sorted({*row, *RESULT_FIELDS} & set(metrics)):
            raise kt.errors.FatalValueError(f"run must name its metrics otherwise than the fields of a row: {taken}")
        return {
            name: int(value) if isinstance(value, numbers.Integral) else float(value) for name, value in metrics.items()
        }


@contextlib.contextmanager
def _only_process(folder: Path):
    """Hold the folder's lock, which ends with the process; RuntimeError when another has it."""
    with open(folder / ".lock", "w", encoding="utf-8") as file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RuntimeError(f"folder: another process is searching in {str(folder)!r}; wait for it") from error
        yield


def _claim(folder: Path, rows: list[dict], settings: dict) -> None:
    """Write what the study is, or check that it goes on as it began; see `search` for what is raised."""
    settings = json.loads(json.dumps(settings))
    try:
        before = json.loads((folder / STUDY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        before = {"rows": [], "settings": settings}
    except ValueError as error:
        raise ValueError(f"folder: {str(folder / STUDY)!r} is damaged ({error}); delete it to go on") from error
    names = {row_name(row) for row in rows}
    missing = [row_name(row) for row in before["rows"] if row_name(row) not in names]
    if missing:
        shown = "; ".join(missing[:5]) + ("; …" if len(missing) > 5 else "")
        raise ValueError(
            f"rows: the study in {str(folder)!r} began with {len(missing)} rows that are missing now: {shown}. "
            "Rows can be added, not taken away: give them too, or choose another folder"
        )
    then = before["settings"]
    # Added rows may bring settings of their own, such as another loss.
    different = sorted(key for key in {*then} & {*settings} if then[key] != settings[key])
    if different:
        raise ValueError(
            f"settings: the study in {str(folder)!r} began with other settings: "
            + ", ".join(f"{key} {then[key]!r} (now {settings[key]!r})" for key in different)
            + "; choose another folder"
        )
    files.write_json(folder / STUDY, {"rows": rows, "settings": {**then, **settings}})
