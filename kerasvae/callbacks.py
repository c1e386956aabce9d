"""Callbacks: scores and pictures during `fit`, a history file, and checkpoints that outlive a kill."""

from __future__ import annotations

import copy
import csv
import io
import numbers
from pathlib import Path

import keras

from kerasvae import files
from kerasvae.metrics import evaluate


def _check_every(every) -> int:
    if isinstance(every, bool) or not isinstance(every, numbers.Integral) or every < 1:
        raise ValueError(f"every must be an integer, at least 1, got {every!r}")
    return int(every)


def _copy_sharing(callback, shared, memo: dict):
    """A deep copy, but of `shared`: Keras Tuner copies callbacks for each of its runs, which need no data of their own.

    Args:
        callback: to be copied.
        shared: what both then hold.
        memo: as of `__deepcopy__`.
    """
    memo[id(shared)] = shared
    copied = memo[id(callback)] = type(callback).__new__(type(callback))
    vars(copied).update({name: copy.deepcopy(value, memo) for name, value in vars(callback).items()})
    return copied


class DisentanglementScores(keras.callbacks.Callback):
    """Scores of the representation in the logs of every epoch, as `val_mig`, `val_dci` and the like.

    Put it before the callbacks that read them (EarlyStopping, CSVLogger, TensorBoard): Keras calls them in order.
    Keras Tuner sees them as objectives. Between two evaluations the last values are repeated, so that every epoch has
    them; the first epoch is always scored.

    Args:
        data: a ground-truth data set.
        scores: as in `kerasvae.metrics.evaluate`: names, functions, or a dictionary of name to options.
        every: epochs from one evaluation to the next, at least 1. Default 1. The last epoch of `fit` is scored in any
            case, unless a later callback such as EarlyStopping makes it the last.
        seed, train, test: as in `evaluate`, with smaller defaults (2000 and 1000 samples): MIG and DCI from so few are
            biased, so compare runs by `evaluate` with its own defaults.

    Example:

    ```python
    scores = kv.callbacks.DisentanglementScores(data, {"mig": {}, "dci": {"stages": 20}}, every=5)
    model.fit(batches, epochs=20, steps_per_epoch=1000, callbacks=[scores, keras.callbacks.CSVLogger("history.csv")])
    ```
    """

    def __init__(self, data, scores=("mig",), *, every: int = 1, seed: int = 1, train: int = 2000, test: int = 1000):
        super().__init__()
        self.data = data
        self.scores = dict(scores) if isinstance(scores, dict) else list(scores)
        self.every = _check_every(every)
        self.sample = {"seed": seed, "train": train, "test": test}
        self.last: dict[str, float] = {}
        self._scored = None

    def on_train_begin(self, logs=None):
        # Another model must not inherit the scores of the one before.
        if self._scored is not self.model:
            self.last, self._scored = {}, self.model

    def on_epoch_end(self, epoch, logs=None):
        final = epoch + 1 == self.params.get("epochs") or self.model.stop_training
        if not self.last or (epoch + 1) % self.every == 0 or final:
            results = evaluate(self.model.encode, self.data, self.scores, progress=False, **self.sample)
            self.last = {f"val_{name}": float(score) for name, score in results.items()}
        if logs is not None:
            logs.update(self.last)

    def __deepcopy__(self, memo):
        return _copy_sharing(self, self.data, memo)


class LatentTraversals(keras.callbacks.Callback):
    """A picture of what each latent does, written at the end of epochs.

    Args:
        path: PNG file; `{epoch}` and `{step}` in it are filled in (`"traversals-{epoch:03d}.png"`), otherwise the file
            is replaced each time.
        images: one or more images, uint8 or standardised, (n, height, width, channels): latents are moved from the
            codes of the first, and ordered by their mean KL over all.
        every: epochs from one picture to the next, at least 1. Default 1. The last epoch is drawn in any case, as for
            `DisentanglementScores`.
        columns: pictures in a row, at least 2. Default 9.

    Raises:
        ValueError: for another suffix, `every` or `columns`, or a path with other fields.
        OSError: when `path` cannot be written.
    """

    def __init__(self, path, images, *, every: int = 1, columns: int = 9):
        super().__init__()
        self.path, self.images = str(path), images
        self.every, self.columns = _check_every(every), columns
        # What would fail at the first picture fails here, before the training.
        if isinstance(columns, bool) or not isinstance(columns, numbers.Integral) or columns < 2:
            raise ValueError(f"columns must be an integer, at least 2, got {columns!r}")
        try:
            example = self.path.format(epoch=0, step=0)
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"path may hold the fields {{epoch}} and {{step}} alone, got {self.path!r}") from error
        if not example.lower().endswith(".png"):
            raise ValueError(f"path must end in .png, got {self.path!r}")
        files.check_writable(example)

    def on_epoch_end(self, epoch, logs=None):
        final = epoch + 1 == self.params.get("epochs") or self.model.stop_training
        if (epoch + 1) % self.every == 0 or final:
            from kerasvae import plots

            path = self.path.format(epoch=epoch + 1, step=int(self.model.step.numpy()))
            plots.latent_traversals(self.model, self.images, columns=self.columns, path=path)

    def __deepcopy__(self, memo):
        return _copy_sharing(self, self.images, memo)


class Checkpoint(keras.callbacks.Callback):
    """The whole model, with optimizer and counters, every so many steps: what a resumed run goes on from.

    The file is replaced as a whole, so a kill at any moment leaves the last good one. A model loaded from it and fed
    from `start=int(model.step)` ends bit for bit where the uninterrupted run does.

    Args:
        path: `.keras` file.
        every: training steps from one save to the next, at least 1; rounded up to whole dispatches when
            `steps_per_execution` is above 1. It is also saved at the end of every epoch.

    Raises:
        ValueError: for another suffix or `every`.
        OSError: when `path` cannot be written.
    """

    def __init__(self, path, every: int = 500):
        super().__init__()
        if Path(path).suffix != ".keras":
            raise ValueError(f"path must end in .keras, got {str(path)!r}")
        self.path = files.check_writable(path)
        self.every = _check_every(every)
        self._saved = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._saved = 0

    def on_train_batch_begin(self, batch, logs=None):
        # Before a step, not after one: at its end Keras would fetch the logs from the device for every batch, or, of a
        # callback that forgoes them, call it from another thread while the model already takes the next step.
        if batch - self._saved >= self.every:
            self._saved = batch
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        self.model.save(self.path)

    def save(self):
        """Write the checkpoint in the middle of an epoch."""
        self.model.save(self.path)


class HistoryFile(keras.callbacks.Callback):
    """The logs of every epoch as a CSV file, with the training step first; replaced as a whole at every epoch.

    Unlike `keras.callbacks.CSVLogger` it keys rows by step and, when a run goes on from a checkpoint, drops the rows
    that the checkpoint has not reached.

    Args:
        path: CSV file.

    Raises:
        OSError: when `path` cannot be written.
    """

    def __init__(self, path):
        super().__init__()
        self.path = files.check_writable(path)
        self.rows: list[dict] = []

    def on_train_begin(self, logs=None):
        step = int(self.model.step.numpy())
        self.rows = [row for row in read_history(self.path) if row["step"] <= step]

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append(
            {"step": int(self.model.step.numpy()), **{name: float(value) for name, value in (logs or {}).items()}}
        )
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        files.write_text(self.path, text.getvalue())


def read_history(path) -> list[dict]:
    """The rows that `HistoryFile` wrote to `path`, numbers as floats and `step` as int; none if there is no file.

    Raises:
        ValueError: when the file holds something else.
    """
    if not Path(path).is_file():
        return []
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
        return [{**row, "step": int(row["step"])} for row in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"path must be a CSV file of numbers with a column step, got {str(path)!r}") from error
