"""Callbacks of a row of an experiment: scores in its history, how far it is, and whether its files are whole."""

from __future__ import annotations

import json
import time
from pathlib import Path

import keras

from kerasvae import files
from kerasvae.metrics import evaluate
from kerasvae.tuning.row_files import check_history

PROGRESS = "progress.json"
# Seconds from one writing of the file to the next.
_INTERVAL = 1.0


class ScoresInHistory(keras.callbacks.Callback):
    """Scores in the logs of the epochs at whose end they are due, as `val_NAME`, and in those of no other.

    A function of the model's step alone, so that a history that was interrupted has the same rows; the last step is
    scored in any case.

    Args:
        data: a ground-truth data set.
        every: {name of a score: steps from one computation to the next}.
        steps: of the whole run.
        preset, seed, jobs: as for `kerasvae.metrics.evaluate`.
    """

    def __init__(self, data, every: dict[str, int], steps: int, *, preset: str = "fast", seed: int = 1, jobs=None):
        super().__init__()
        self.data, self.every, self.steps = data, dict(every), steps
        self.options = {"preset": preset, "seed": seed, "jobs": jobs, "progress": False}

    def on_epoch_end(self, epoch, logs=None):
        step = int(self.model.step.numpy())
        due = [name for name, every in self.every.items() if step % every == 0 or step == self.steps]
        if due and logs is not None:
            scores = evaluate(self.model, self.data, due, **self.options)
            logs.update({f"val_{name}": float(score) for name, score in scores.items()})


class RowProgress(keras.callbacks.Callback):
    """`progress.json` in a row's folder, for whoever watches: step, steps, stage, seconds so far.

    Args:
        folder: of the row.
        steps: of the whole run.
        steps_per_epoch: of `fit`.

    Attributes:
        seconds, training: wall-clock seconds that were spent on the row and on its training, interruptions and what
            was lost by them counted in up to the last writing.
    """

    def __init__(self, folder, steps: int, steps_per_epoch: int):
        super().__init__()
        self.path, self.steps, self.steps_per_epoch = Path(folder) / PROGRESS, steps, steps_per_epoch
        before = read_progress(folder) or {}
        self._spent, self.training = before.get("seconds", 0.0), before.get("seconds_training", 0.0)
        self._begin = time.perf_counter()
        self._first_step = self._step = before.get("step", 0)
        self._running = self._written = None
        self.stage("training")

    @property
    def seconds(self) -> float:
        return self._spent + time.perf_counter() - self._begin

    def stage(self, name: str) -> None:
        """Write the file: the row is now at this."""
        self._stage = name
        self._write()

    def on_train_begin(self, logs=None):
        self._first_step = int(self.model.step.numpy())

    def on_epoch_begin(self, epoch, logs=None):
        # The model's own counter is on the device: an epoch that goes on in its midst begins where `fit` did.
        self._epoch_step = max(epoch * self.steps_per_epoch, self._first_step)
        self._running = time.perf_counter()

    def on_train_batch_begin(self, batch, logs=None):
        self._step = self._epoch_step + batch
        if time.perf_counter() - self._written >= _INTERVAL:
            self._count()
            self._write()

    def on_epoch_end(self, epoch, logs=None):
        self._step = min((epoch + 1) * self.steps_per_epoch, self.steps)
        self._count()
        self._running = None
        self._write()

    def _count(self) -> None:
        now = time.perf_counter()
        self.training += now - self._running
        self._running = now

    def _write(self) -> None:
        self._written = time.perf_counter()
        content = {
            "step": self._step,
            "steps": self.steps,
            "stage": self._stage,
            "seconds": round(self.seconds, 3),
            "seconds_training": round(self.training, 3),
        }
        files.write_text(self.path, json.dumps(content) + "\n")


def read_progress(folder) -> dict | None:
    """What `RowProgress` wrote to a row's folder; None where there is nothing, or nothing whole."""
    try:
        content = json.loads((Path(folder) / PROGRESS).read_text(encoding="utf-8"))
        return content if isinstance(content["step"], int) and isinstance(content["steps"], int) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


class WholeHistory(keras.callbacks.Callback):
    """Ends a run whose history has not got every epoch before the step that it goes on from.

    Args:
        folder, steps, steps_per_epoch: as for `check_history`.

    Raises:
        DamagedRowError: in `fit`.
    """

    def __init__(self, folder, steps: int, steps_per_epoch: int):
        super().__init__()
        self.folder, self.steps, self.steps_per_epoch = Path(folder), steps, steps_per_epoch

    def on_train_begin(self, logs=None):
        check_history(self.folder, int(self.model.step.numpy()), self.steps, self.steps_per_epoch)
