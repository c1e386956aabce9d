"""RowOracle: Keras Tuner runs an explicit list of rows."""

from __future__ import annotations

import re
from pathlib import Path

import keras_tuner as kt
from keras_tuner.engine.trial import Trial, TrialStatus

from kerasvae.tuning.rows import check_rows, row_name


class RowOracle(kt.Oracle):
    """Keras Tuner oracle that hands out the rows of a list, in order, each once.

    `GridSearch` tries all combinations and fails when it goes on after a kill; a list may hold any subset and values
    that belong together.

    The number of the next row is the number of trials started, so the trials' own files are all there is to remember:
    `reload` reads them and nothing else. Rows whose trial is COMPLETED are not handed out again; those of trials that
    were running, failed, or left a file that is damaged are, before the rows that were never begun. The list may have
    changed in the meantime: trials are matched with rows by their values.

    Args:
        rows: as in `kerasvae.tuning.rows.check_rows`.
        objective: name of the metric that says which row is best, and "min" or "max".

    Raises:
        ValueError: for rows not allowed, a row that comes twice, or another objective.
    """

    def __init__(self, rows, objective=("mig", "max")):
        self.rows = check_rows(rows)
        # Keras Tuner's own default gives up after three failures in a row.
        super().__init__(objective=check_objective(objective), max_consecutive_failed_trials=len(self.rows) + 1)

    def populate_space(self, trial_id):
        if len(self.start_order) >= len(self.rows):
            return {"status": TrialStatus.STOPPED}
        return {"status": TrialStatus.RUNNING, "values": dict(self.rows[len(self.start_order)])}

    def reload(self):
        """Go on from the trials' files; see the class."""
        found = {int(match[1]): trial for match, trial in self._read_trials()}
        free = {row_name(row): row for row in self.rows}
        claimed = {}
        for number in sorted(found):
            if found[number] and (row := free.pop(row_name(found[number].hyperparameters.values), None)):
                claimed[number] = row
        # A kill can leave an unreadable file, a full disk can lose one: its number goes to a row nobody claims.
        for number in range(max(found, default=-1) + 1):
            if number not in claimed and free:
                claimed[number] = free.pop(next(iter(free)))
        self.rows = [*(claimed[number] for number in sorted(claimed)), *free.values()]
        self.trials, self.ongoing_trials = {}, {}
        self.start_order, self.end_order, self._retry_queue = [], [], []
        for number, row in sorted(claimed.items()):
            trial, trial_id = found.get(number), f"{number:04d}"
            self.start_order.append(trial_id)
            if trial and row_name(trial.hyperparameters.values) == row_name(row) and self._is_finished(trial):
                self.score_trial(trial)
                self.trials[trial_id] = trial
                self.end_order.append(trial_id)
            else:
                self.run_again(trial_id, row)

    def run_again(self, trial_id: str, row: dict) -> None:
        """Hand out a trial's row again, before those never begun, with nothing left of what it reported."""
        hyperparameters = self.hyperparameters.copy()
        hyperparameters.values = dict(row)
        self.trials[trial_id] = Trial(hyperparameters, trial_id, TrialStatus.RUNNING)
        self.end_order = [ended for ended in self.end_order if ended != trial_id]
        # `create_trial` takes from the end of the queue.
        self._retry_queue.insert(0, trial_id)

    def _is_finished(self, trial) -> bool:
        return trial.status == TrialStatus.COMPLETED and trial.metrics.exists(self.objective.name)

    def _read_trials(self):
        for path in Path(self._project_dir).glob("trial_*/trial.json"):
            match = re.fullmatch(r"trial_(\d+)", path.parent.name)
            if match:
                try:
                    trial = Trial.load(str(path))
                    row_name(trial.hyperparameters.values)
                except (ValueError, KeyError, TypeError, AttributeError):
                    trial = None
                yield match, trial


def check_objective(objective) -> kt.Objective:
    """(name, "min" or "max") as Keras Tuner's `Objective`; ValueError for anything else."""
    if isinstance(objective, kt.Objective):
        return objective
    pair = tuple(objective) if isinstance(objective, list | tuple) else ()
    if len(pair) != 2 or not isinstance(pair[0], str) or not pair[0] or pair[1] not in ("min", "max"):
        raise ValueError(f'objective must be the name of a metric and "min" or "max", got {objective!r}')
    return kt.Objective(*pair)
