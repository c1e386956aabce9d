"""RowTuner: Keras Tuner's loop over rows, and how one row is done."""

from __future__ import annotations

import contextlib
import errno
import math
import numbers
import os
import time
import traceback
from pathlib import Path

import keras_tuner as kt
from keras_tuner.src import config
from rich.text import Text

from kerasvae import files
from kerasvae.tuning.holds import RowHold
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
from kerasvae.tuning.row_groups import RowGroups, taking_along, wait_for_group
from kerasvae.tuning.rows import RESULT_FIELDS, row_name

# In the folder of the first of several rows: why they could not be trained together.
TOGETHER_ERROR = "together-error.txt"
# What no row can go on after.
FULL = {errno.ENOSPC, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}
# What Keras Tuner reads to find a chief.
CHIEF_VARIABLES = ("KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT")


class CannotWriteError(kt.errors.FatalError, OSError):
    """The disk is full or read-only; a row in which that happened has not failed, and none after it can do better."""


class RemovedError(kt.errors.FatalError, OSError):
    """The folder of the study was removed during the search."""


class RowTuner(kt.Tuner):
    """Keras Tuner's loop over the trials of a `RowOracle`; each is a call of `run` in the row's folder.

    Args:
        run, folder, verbose, timeout: as for `search`.
        oracle: a new `RowOracle`.
        rows: of the study, in the order of `results.csv`.
        console: rich console for a line a row.
        on_wait: function of a line that says what is waited for. Default None: to the console.
        lock: of the study's folder, which must stay. Default None: another process watches over it.
    """

    def __init__(self, run, oracle, folder, rows, verbose, console, timeout=60.0, on_wait=None, lock=None):
        self.run, self.folder, self.rows, self.verbose, self.console = run, Path(folder), rows, verbose, console
        self.position = {row_name(row): number for number, row in enumerate(rows, start=1)}
        self.timeout, self.say_waiting, self.lock = timeout, on_wait or self.say, lock
        self.groups, self.apart = RowGroups(run, rows), set()
        super().__init__(oracle, directory=str(folder), project_name="tuner")
        oracle.verbose = 0

    def go_on(self):
        """Reload the oracle from the study's folder."""
        self.oracle.reload()
        # The rows' own files decide: somebody may have deleted a row's folder to have it done anew.
        for trial_id in reversed(list(self.oracle.end_order)):
            row = self.oracle.trials[trial_id].hyperparameters.values
            if not stored_result(self.folder, row):
                self.oracle.run_again(trial_id, row)

    def save(self):
        # Without a file of the tuner's own (it has no state) Keras Tuner neither reloads by itself nor says so.
        self.oracle.save()

    def run_trial(self, trial):
        row = self.rows[self.position[row_name(trial.hyperparameters.values)] - 1]
        if result := stored_result(self.folder, row):
            return checked_metrics(row, result["metrics"], self.oracle.objective.name)
        folder, label = row_folder(self.folder, row), self.label(row)
        others = [] if row_name(row) in self.apart else self.groups.others(row)
        try:
            with clear_when_full(self.folder):
                if others:
                    wait_for_group(self.folder, row, self.timeout)
                folder.mkdir(parents=True, exist_ok=True)
                with RowHold(
                    folder, self.timeout, lambda: self.say_waiting(f"{label}  waits: another process does it")
                ) as hold:
                    if result := stored_result(self.folder, row):
                        return checked_metrics(row, result["metrics"], self.oracle.objective.name)
                    # A spinner and Keras's own progress bar would write over each other.
                    with self.console.status(Text(label)) if self.verbose == 1 else contextlib.nullcontext():
                        seconds = self._do_along(row, others) if others else 0.0
                        metrics = self._do(row, folder, hold, seconds)
        except kt.errors.FatalError:
            raise
        except Exception:
            self.say_ended(row)
            raise
        self.say_ended(row)
        return metrics

    def _try_run_and_update_trial(self, trial, *arguments, **options):
        # What failed is in the row's folder, and said in a line; Keras Tuner would print all of it in between.
        with _without_tracebacks():
            super()._try_run_and_update_trial(trial, *arguments, **options)

    def check_folder(self) -> None:
        """RemovedError when the folder of the study is gone: it must not be made again by what is written next."""
        try:
            if self.lock is not None:
                self.lock.check()
        except FileNotFoundError as error:
            raise RemovedError(str(error)) from error

    def on_trial_begin(self, trial):
        self.check_folder()
        super().on_trial_begin(trial)

    def on_trial_end(self, trial):
        self.check_folder()
        super().on_trial_end(trial)
        write_results(self.folder / RESULTS, collect(self.folder, self.rows))

    def say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def say_ended(self, row: dict) -> None:
        """The line of a row that is finished or has failed, as its files say; nothing for others."""
        if result := stored_result(self.folder, row):
            name = self.oracle.objective.name
            self.say(f"{self.label(row)}  {name} {number_text(result['metrics'][name])}  {result['seconds']:.1f} s")
        else:
            with contextlib.suppress(FileNotFoundError):
                text = (row_folder(self.folder, row) / ERROR).read_text(encoding="utf-8").strip()
                self.say(f"{self.label(row)}  FAILED: {text.splitlines()[-1]}")

    def label(self, row: dict) -> str:
        if callable(getattr(self.run, "label", None)):
            return f"{self.position[row_name(row)]}/{len(self.rows)}  {self.run.label(row)}"
        # Those of a grid have dozens of fields of which few differ.
        differing = [field for field in row if len({str(other[field]) for other in self.rows}) > 1] or row
        fields = " ".join(f"{field}={number_text(row[field])}" for field in differing)
        return f"{self.position[row_name(row)]}/{len(self.rows)}  {fields}"

    def _do_along(self, row, others) -> float:
        """Train a row, which this process holds, together with others, and finish these; the seconds of training."""
        with taking_along(self.folder, others, self.timeout) as along:
            start = time.perf_counter()
            together = along and self._train_together([row, *(other for other, _ in along)])
            seconds = time.perf_counter() - start
            for other, hold in along if together else ():
                try:
                    self._do(other, row_folder(self.folder, other), hold, seconds)
                except kt.errors.FatalError:
                    raise
                except Exception as error:
                    if is_full(error):
                        raise
                    # The row's own trial, which is still to come, tries again and reports it.
                self.say_ended(other)
        return seconds

    def _train_together(self, rows) -> bool:
        """Whether it went well; where it did not, such as for want of memory, rows are done one at a time."""
        folders = [row_folder(self.folder, row) for row in rows]
        try:
            self.run.train_together([dict(row) for row in rows], folders, max(self.verbose - 1, 0))
        except kt.errors.FatalError:
            raise
        except Exception as error:
            if is_full(error):
                raise
            self.apart.update(map(row_name, rows))
            files.write_text(folders[0] / TOGETHER_ERROR, traceback.format_exc())
            said = f"{type(error).__name__}: {error}".splitlines()[0]
            self.say_waiting(f"{self.label(rows[0])} and {len(rows) - 1} more go on one at a time: {said}")
            return False
        return True

    def _do(self, row, folder, hold, seconds=0.0):
        # `seconds` have been spent on it before.
        start = time.perf_counter()
        try:
            metrics = self.run(dict(row), folder, max(self.verbose - 1, 0))
            metrics = checked_metrics(row, metrics, self.oracle.objective.name)
            for name, value in metrics.items():
                if not math.isfinite(value):
                    raise ValueError(f"metric {name!r} of row {row_name(row)} must be finite, got {value}")
            seconds = round(seconds + time.perf_counter() - start, 3)
            hold.check()
            files.write_json(folder / RESULT, {"row": row, "metrics": metrics, "seconds": seconds})
        except kt.errors.FatalError:
            raise
        except Exception as error:
            if is_full(error):
                raise
            hold.check()
            files.write_text(folder / ERROR, traceback.format_exc())
            raise
        (folder / ERROR).unlink(missing_ok=True)
        return metrics


def checked_metrics(row, metrics, objective: str) -> dict:
    """Metrics as plain floats. What is wrong with them is wrong with every row, so it ends the search."""
    if not isinstance(metrics, dict) or not all(
        isinstance(name, str) and isinstance(value, numbers.Real) for name, value in metrics.items()
    ):
        raise kt.errors.FatalValueError(f'run must return a dictionary {{"name": number}}, got {metrics!r}')
    if objective not in metrics:
        raise kt.errors.FatalValueError(f"objective must be one of run's metrics {sorted(metrics)}, got {objective!r}")
    if taken := sorted({*row, *RESULT_FIELDS} & set(metrics)):
        raise kt.errors.FatalValueError(f"run must name its metrics otherwise than the fields of a row: {taken}")
    return {
        name: int(value) if isinstance(value, numbers.Integral) else float(value) for name, value in metrics.items()
    }


def is_full(error: BaseException | None) -> bool:
    """Whether an error comes of a full or read-only disk."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def _without_tracebacks():
    before, config.DEBUG = config.DEBUG, False
    try:
        yield
    finally:
        config.DEBUG = before


@contextlib.contextmanager
def clear_when_full(folder):
    """Turn the many errors that a full or read-only disk gives into one that says what to do."""
    try:
        yield
    except CannotWriteError:
        raise
    except Exception as error:
        if not is_full(error):
            raise
        raise CannotWriteError(
            f"folder: the study in {str(folder)!r} could not write ({error}); make room or have it writable, and "
            "search again: what is finished stays finished"
        ) from error


@contextlib.contextmanager
def without_chief():
    """Keras Tuner looks for a chief where a program left one in the environment; here arguments alone count."""
    with chief_variables(dict.fromkeys(CHIEF_VARIABLES)):
        yield


@contextlib.contextmanager
def chief_variables(values: dict):
    """Set environment variables for a while; None takes one away."""
    before = {name: os.environ.get(name) for name in values}

    def put(values):
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    put(values)
    try:
        yield
    finally:
        put(before)
