"""SharedRowOracle: a RowOracle that several workers ask, any of which may vanish."""

from __future__ import annotations

import collections
import copy
import time
from pathlib import Path

import keras_tuner as kt
from keras_tuner.engine.trial import Trial, TrialStatus

from kerasvae import files
from kerasvae.tuning.holds import RowWatch
from kerasvae.tuning.oracle import RowOracle
from kerasvae.tuning.results import ERROR, row_folder, stored_result
from kerasvae.tuning.row_tuner import CannotWriteError, checked_metrics
from kerasvae.tuning.rows import row_name

# Workers that may die in one row before it has failed: another would only die too.
DEATHS = 3
# Field of an ended trial in which a worker says why no row can be done. Keras Tuner's protocol has none for messages.
FATAL = "fatal error"


class SharedRowOracle(RowOracle):
    """`RowOracle` for a chief: rows go on in another worker when theirs is lost, and results are the rows' own files.

    A row has ended when it has a result, whoever wrote it, or when a worker says that it failed. Rows that a worker
    of an earlier chief is still at are left to it. While rows are out, workers that ask get none but are not sent home
    either. All calls must come from one thread.

    Args:
        rows, objective: as for `RowOracle`.
        folder: of the study.
        timeout: seconds without a sign of life after which a worker is lost.

    Attributes:
        asked: tuner ids of all workers that have asked for a row.
        ended: queue of the rows that ended.
        failure: the error that ends the search, or None.

    Raises:
        ValueError: as for `RowOracle`, and for integers beyond 64 bits.
    """

    def __init__(self, rows, objective, folder, timeout: float):
        super().__init__(rows, objective)
        for row in self.rows:
            for field, value in row.items():
                if isinstance(value, int) and not -(2**63) <= value < 2**63:
                    raise ValueError(f"rows: {field} must fit into 64 bits to be sent to workers, got {value}")
        self.folder, self.timeout = Path(folder), timeout
        self.asked, self.ended, self.failure = set(), collections.deque(), None
        # Trials by number that are neither waiting nor some worker's: done by one that an earlier chief had, or
        # reported as done while the file system does not show the result yet.
        self._elsewhere, self._reported = {}, {}
        self._watches, self._last_sign = {}, {}
        self._deaths = collections.Counter()

    def is_finished(self) -> bool:
        """Whether every row has ended."""
        return len(self.end_order) == len(self.rows)

    def populate_space(self, trial_id):
        space = super().populate_space(trial_id)
        if space["status"] == TrialStatus.STOPPED and not self.is_finished():
            return {"status": TrialStatus.IDLE}
        return space

    def create_trial(self, tuner_id):
        self.asked.add(tuner_id)
        trial = self._noting_failure(super().create_trial, tuner_id)
        if trial.status == TrialStatus.RUNNING:
            self._last_sign[trial.trial_id] = time.monotonic()
        return trial

    def get_trial(self, trial_id):
        # Asked whether it has metrics by workers that are about to report them.
        return Trial(self.get_space(), trial_id)

    def update_trial(self, trial_id, metrics, step=0):
        # The metrics are read from the row's file, where they have all their digits.
        return self.get_trial(trial_id)

    def end_trial(self, trial):
        values = dict(trial.hyperparameters.values)
        if FATAL in values:
            kind, _, text = values[FATAL].partition(": ")
            self.failure = self.failure or {"OSError": CannotWriteError}.get(kind, kt.errors.FatalValueError)(text)
            return
        # A number may stand for another row since the chief began again.
        number = self._number_of(values)
        if stored_result(self.folder, values) or trial.status != TrialStatus.COMPLETED:
            self._end(number)
        elif number not in self.end_order:
            self._release(number)
            self._reported[number] = time.monotonic()

    def take_in_hand(self) -> None:
        """After `reload`: leave to others what they are still doing."""
        for number in list(self._retry_queue):
            if self._look(number) != "free":
                self._release(number)
                self._elsewhere[number] = True
                self._last_sign[number] = time.monotonic()

    def look_after(self, living=(), dead=()) -> None:
        """Note the rows that have ended, and take rows back from workers that are lost.

        Args:
            living, dead: tuner ids of workers of which that is known, so that no time-out need pass.
        """
        for tuner_id in dead:
            self.tuner_ids.discard(tuner_id)
            if tuner_id in self.ongoing_trials:
                self._lose(self.ongoing_trials[tuner_id].trial_id)
        ongoing = {trial.trial_id: tuner_id for tuner_id, trial in self.ongoing_trials.items()}
        for number in [*ongoing, *self._elsewhere, *self._reported]:
            if number not in self.end_order and stored_result(self.folder, self._row(number)):
                self._end(number)
            elif number in self._reported:
                self._check_reported(number)
            elif ongoing.get(number) not in living:
                self._check_alive(number, ongoing.get(number))

    def _check_reported(self, number):
        if time.monotonic() - self._reported[number] > self.timeout:
            self.failure = self.failure or RuntimeError(
                f"folder: a worker has finished row {row_name(self._row(number))}, but {str(self.folder)!r} does not "
                "show its result here; chief and workers need the same folder, on a file system that they share"
            )

    def _check_alive(self, number, tuner_id):
        seen, now = self._look(number), time.monotonic()
        if seen == "held":
            self._last_sign[number] = now
        elif now - self._last_sign[number] > self.timeout or (seen == "free" and number in self._elsewhere):
            self.tuner_ids.discard(tuner_id)
            self._lose(number)

    def _look(self, number):
        return self._watches.setdefault(number, RowWatch(row_folder(self.folder, self._row(number)))).look()

    def _lose(self, number):
        """Hand a row out again, before all others, or give it up."""
        if stored_result(self.folder, self._row(number)):
            self._end(number)
            return
        self._deaths[number] += number not in self._elsewhere
        if self._deaths[number] < DEATHS:
            self._release(number)
            self._retry_queue.append(number)
            return
        text = f"LostWorkerError: {DEATHS} workers died in this row or were not heard from any more"
        self._noting_failure(files.write_text, row_folder(self.folder, self._row(number)) / ERROR, text + "\n")
        self._end(number)

    def _end(self, number):
        if number in self.end_order:
            return
        self._release(number)
        row = self._row(number)
        # A trial of its own: the one that is kept is replaced by it in part.
        trial, result = copy.copy(self.trials[number]), stored_result(self.folder, row)
        trial.status = TrialStatus.COMPLETED if result else TrialStatus.FAILED
        if result:
            metrics = self._noting_failure(checked_metrics, row, result["metrics"], self.objective.name)
            self._noting_failure(super().update_trial, number, metrics)
        self._noting_failure(super().end_trial, trial)
        self.ended.append(row)

    def _release(self, number):
        """Take a trial out of wherever it waits or is being done."""
        for tuner_id in [tuner_id for tuner_id, trial in self.ongoing_trials.items() if trial.trial_id == number]:
            del self.ongoing_trials[tuner_id]
        self._retry_queue = [waiting for waiting in self._retry_queue if waiting != number]
        self._elsewhere.pop(number, None)
        self._reported.pop(number, None)

    def _row(self, number):
        return self.trials[number].hyperparameters.values

    def _number_of(self, values):
        name = row_name(values)
        return next(number for number in self.trials if row_name(self._row(number)) == name)

    def _noting_failure(self, call, *arguments):
        # An error in a worker's call would only be told to that worker.
        try:
            return call(*arguments)
        except Exception as error:
            self.failure = self.failure or error
            raise
