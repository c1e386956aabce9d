"""Callbacks: scores, latents and pictures during `fit`, a history file, and checkpoints that outlive a kill."""

from __future__ import annotations

import contextlib
import copy
import csv
import io
import os
from pathlib import Path

import keras
import numpy as np

from kerasvae import files
from kerasvae.checks import check_integer, check_number, shown
from kerasvae.metrics import evaluate
from kerasvae.metrics.divergences import COLLAPSED, mean_divergences
from kerasvae.models import VAE
from kerasvae.models.images import check_images


def _due(callback, epoch: int) -> bool:
    """Whether an epoch is one of every so many, or the last of `fit`."""
    final = epoch + 1 == callback.params.get("epochs") or callback.model.stop_training
    return (epoch + 1) % callback.every == 0 or final


def _copy_sharing(callback, shared, memo: dict):
    """A deep copy, but of `shared`: Keras Tuner copies callbacks for each of its runs, which need no data of their own.

    Args:
        callback: to be copied.
        shared: a tuple of what both then hold.
        memo: as of `__deepcopy__`.
    """
    memo.update((id(each), each) for each in shared)
    copied = memo[id(callback)] = type(callback).__new__(type(callback))
    vars(copied).update({name: copy.deepcopy(value, memo) for name, value in vars(callback).items()})
    return copied


def _check_path(path) -> Path:
    """A path that a file can be written to; TypeError or OSError otherwise."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be the path of a file, got {shown(path)}")
    if Path(path).is_dir():
        raise IsADirectoryError(f"path: {str(path)!r} is a folder; name a file in it")
    return files.check_writable(path)


def _check_model(callback, *attributes) -> None:
    """TypeError unless the model is of this package, or has the attributes that are named."""
    if not isinstance(callback.model, VAE) and not (attributes and all(hasattr(callback.model, a) for a in attributes)):
        raise TypeError(f"{type(callback).__name__} is for models of this package, got {type(callback.model).__name__}")


def _check_array(images, allowed: str = "a ground-truth data set or images") -> np.ndarray:
    """Images as an array; ValueError unless there are some, uint8 or floating."""
    try:
        array = images if isinstance(images, np.ndarray) else keras.ops.convert_to_numpy(images)
        shape, dtype = array.shape, array.dtype.name
    except Exception:  # whatever the backend raises for what is no array
        shape, dtype = (), type(images).__name__
    dtype = type(images).__name__ if dtype == "object" else dtype
    if len(shape) != 4 or 0 in shape or not (dtype == "uint8" or "float" in dtype):
        raise ValueError(
            f"images must be {allowed} (n, height, width, channels), uint8 0..255 or standardised floating, at least "
            f"one, got {dtype} of shape {tuple(shape)}"
        )
    return array


def _check_finite(images: np.ndarray, indices: np.ndarray) -> None:
    """ValueError, naming one of the indices, for images that are not finite."""
    if bad := (~np.isfinite(images).all(axis=(1, 2, 3))).nonzero()[0].tolist():
        raise ValueError(
            f"images must be finite: of {len(images)}, {len(bad)} hold NaN or infinity, such as the one at index "
            f"{indices[bad].min()}"
        )


class _EverythingIsCheckedError(Exception):
    """Stops `evaluate` once it has checked its arguments."""


def _end_of_checks(images):
    raise _EverythingIsCheckedError


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

    Raises:
        TypeError, ValueError: as `evaluate`, before anything is trained; for `scores` as one text, such as "all"; in
            `fit`, for a model that is no `kerasvae.VAE`.

    Example:

    ```python
    scores = kv.callbacks.DisentanglementScores(data, {"mig": {}, "dci": {"stages": 20}}, every=5)
    model.fit(batches, epochs=20, steps_per_epoch=1000, callbacks=[scores, keras.callbacks.CSVLogger("history.csv")])
    ```
    """

    def __init__(self, data, scores=("mig",), *, every: int = 1, seed: int = 1, train: int = 2000, test: int = 1000):
        super().__init__()
        if isinstance(data, type) or not all(
            callable(getattr(data, a, None)) for a in ("images", "factors", "__len__")
        ):
            raise TypeError(
                f"data must be a ground-truth data set such as kerasvae.datasets.XYSquares(), got {type(data).__name__}"
            )
        if isinstance(scores, str) or not hasattr(scores, "__iter__"):
            raise TypeError(
                f'scores must be names and functions in a list or a dictionary, such as ["mig"], got {scores!r}'
            )
        self.data = data
        self.scores = dict(scores) if isinstance(scores, dict) else list(scores)
        self.every = check_integer(every, "every", 1)
        for name, value, least in (("seed", seed, 0), ("train", train, 2), ("test", test, 1)):
            check_integer(value, name, least)
        self.sample = {"seed": seed, "train": train, "test": test}
        # What would fail after the first epoch fails here.
        with contextlib.suppress(_EverythingIsCheckedError):
            evaluate(_end_of_checks, data, self.scores, progress=False, **self.sample)
        self.last: dict[str, float] = {}
        self._scored = None

    def on_train_begin(self, logs=None):
        _check_model(self, "encode")
        # Another model must not inherit the scores of the one before.
        if self._scored is not self.model:
            self.last, self._scored = {}, self.model

    def on_epoch_end(self, epoch, logs=None):
        if not self.last or _due(self, epoch):
            results = evaluate(self.model.encode, self.data, self.scores, progress=False, **self.sample)
            self.last = {f"val_{name}": float(score) for name, score in results.items()}
        if logs is not None:
            logs.update(self.last)

    def __deepcopy__(self, memo):
        return _copy_sharing(self, (self.data,), memo)


class LatentKL(keras.callbacks.Callback):
    """The mean KL of every latent in the logs of every epoch, in nats, as `kl.z0`, `kl.z1` and so on.

    What `kerasvae.plots.kl_over_training` draws: which latents come to say something, when, and which collapse. The
    mean is over images that stay the same, each encoded on its own, in float64. With it comes `active_latents`, the
    number of latents whose mean KL is above `threshold`.

    Put it before the callbacks that read it (HistoryFile, CSVLogger, TensorBoard): Keras calls them in order.
    `kerasvae.runs.train` does so. With `keras.callbacks.ProgbarLogger()` before it the progress bar stays without them.

    Args:
        images: a ground-truth data set, or images (n, height, width, channels), n at least 1: uint8 0..255, or floating
            and standardised as those that the model is trained on.
        samples: how many of them are encoded, at least 1, drawn once without repetition; all where there are no more.
            Default 1024.
        every: epochs from one measurement to the next, at least 1. Default 1. The first and the last epoch of `fit` are
            measured in any case; between two measurements the last one is repeated, so that every epoch has one. Above
            1, the first epoch after an interruption is then measured, too.
        threshold: nats of mean KL, at least 0, above which a latent counts as active. Default 0.01.
        seed: of the draw, at least 0. Default 0.

    Raises:
        TypeError: in `fit`, for a model that is no `kerasvae.VAE`.
        ValueError: for images of another shape or dtype, none, or that are not finite; for numbers out of range; in
            `fit`, for images that do not fit the model.
        OSError: when the files of the data set cannot be read.

    Source: poster "Understanding disentangling in VAE", Fig. 3; the threshold is that of Duan et al. 2020. The active
    units of Burda et al. 2016 are others: those whose mean codes have a variance above 0.01.

    Example:

    ```python
    latents = kv.callbacks.LatentKL(data)
    model.fit(batches, epochs=20, callbacks=[latents, kv.callbacks.HistoryFile("history.csv")])
    kv.plots.kl_over_training({"model": kv.callbacks.read_history("history.csv")}, path="kl.png")
    ```
    """

    def __init__(self, images, *, samples: int = 1024, every: int = 1, threshold: float = COLLAPSED, seed: int = 0):
        super().__init__()
        for name, value, least in (("samples", samples, 1), ("seed", seed, 0)):
            check_integer(value, name, least)
        self.threshold = check_number(threshold, "threshold", least=0)
        self.every = check_integer(every, "every", 1)
        # Of a data set its channel constants may be needed, too.
        self.data = images if callable(getattr(images, "images", None)) else None
        images = images if self.data is not None else _check_array(images)
        chosen = np.random.default_rng(seed).permutation(len(images))[:samples]
        self.images = images[chosen] if self.data is None else images.images(chosen)
        _check_finite(self.images, chosen)
        self.last: dict[str, float] = {}

    def on_train_begin(self, logs=None):
        _check_model(self)
        check_images(self.images, self.model.image_shape, "images")
        # Weights may have been set again since the last `fit`.
        self.last = {}

    def on_epoch_end(self, epoch, logs=None):
        if not self.last or _due(self, epoch):
            kl = self._mean_kl()
            self.last = {f"kl.z{latent}": float(value) for latent, value in enumerate(kl)}
            self.last["active_latents"] = int((kl > self.threshold).sum())
        if logs is not None:
            logs.update(self.last)

    def _mean_kl(self) -> np.ndarray:
        """(latents,), in nats; not finite where the model has diverged."""
        # A model that was trained on standardised arrays has no constants of its own.
        raw = self.data is None or self.model.knows_pixel_constants
        images = self.images if raw else self.data.standardize(self.images)
        mean, logvar = (values.astype("float64") for values in self.model.encode(images, return_logvar=True))
        with np.errstate(over="ignore", invalid="ignore"):
            kl = mean_divergences(mean, logvar)
        # Rounding may take that of a collapsed latent a little below 0.
        return np.maximum(kl, 0.0)

    def __deepcopy__(self, memo):
        return _copy_sharing(self, (self.data, self.images), memo)


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
        TypeError: for a path that is none; in `fit`, for a model that is no `kerasvae.VAE`.
        ValueError: for another suffix, `every` or `columns`, a path with other fields, or images of another shape or
            dtype, none, or that are not finite; in `fit`, for images that do not fit the model.
        OSError: when `path` cannot be written.
    """

    def __init__(self, path, images, *, every: int = 1, columns: int = 9):
        super().__init__()
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"path must be the path of a PNG file, got {shown(path)}")
        self.path, self.images = str(path), _check_array(images, "images")
        _check_finite(self.images, np.arange(len(self.images)))
        self.every, self.columns = check_integer(every, "every", 1), columns
        # What would fail at the first picture fails here, before the training.
        check_integer(columns, "columns", 2)
        try:
            example = self.path.format(epoch=0, step=0)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise ValueError(f"path may hold the fields {{epoch}} and {{step}} alone, got {self.path!r}") from error
        if not example.lower().endswith(".png"):
            raise ValueError(f"path must end in .png, got {self.path!r}")
        _check_path(example)

    def on_train_begin(self, logs=None):
        _check_model(self)
        check_images(self.images, self.model.image_shape, "images")

    def on_epoch_end(self, epoch, logs=None):
        if _due(self, epoch):
            from kerasvae import plots

            path = self.path.format(epoch=epoch + 1, step=int(self.model.step.numpy()))
            plots.latent_traversals(self.model, self.images, columns=self.columns, path=path)

    def __deepcopy__(self, memo):
        return _copy_sharing(self, (self.images,), memo)


class Checkpoint(keras.callbacks.Callback):
    """The whole model, with optimizer and counters, every so many steps: what a resumed run goes on from.

    The file is replaced as a whole, so a kill at any moment leaves the last good one. A model loaded from it and fed
    from `start=int(model.step)` ends bit for bit where the uninterrupted run does.

    Args:
        path: `.keras` file.
        every: training steps from one save to the next, at least 1; rounded up to whole dispatches when
            `steps_per_execution` is above 1. It is also saved at the end of every epoch.

    Raises:
        TypeError: for a path that is none.
        ValueError: for another suffix or `every`.
        OSError: when `path` cannot be written.
        FloatingPointError: in `fit`, instead of saving weights that are not finite: the last good file stays.
    """

    def __init__(self, path, every: int = 500):
        super().__init__()
        if isinstance(path, str | os.PathLike) and Path(path).suffix != ".keras":
            raise ValueError(f"path must end in .keras, got {str(path)!r}")
        self.path = _check_path(path)
        self.every = check_integer(every, "every", 1)
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
        self.write()

    def save(self):
        """Write the checkpoint in the middle of an epoch."""
        self.write()

    def write(self):
        """Write the checkpoint; FloatingPointError when weights are not finite."""
        self.check_finite()
        self.model.save(self.path)

    def check_finite(self):
        """FloatingPointError when a weight of the model is not finite."""
        model = self.model
        for weight in model.weights:
            if "float" in str(weight.dtype):
                values = keras.ops.convert_to_numpy(weight).astype("float64")
                if not np.isfinite(values).all():
                    after = f" after step {int(model.step.numpy())}" if hasattr(model, "step") else ""
                    raise FloatingPointError(
                        f"the model has diverged: weights hold NaN or infinity{after}, such as {weight.path}"
                    )


class HistoryFile(keras.callbacks.Callback):
    """The logs of every epoch as a CSV file, with the training step first; replaced as a whole at every epoch.

    Unlike `keras.callbacks.CSVLogger` it keys rows by step and, when a run goes on from a checkpoint, drops the rows
    that the checkpoint has not reached.

    Args:
        path: CSV file, a new one or one that `HistoryFile` wrote.

    Raises:
        TypeError: for a path that is none; in `fit`, for a model that is no `kerasvae.VAE`.
        ValueError: when the file holds something else.
        OSError: when `path` cannot be written.
    """

    def __init__(self, path):
        super().__init__()
        self.path = _check_path(path)
        self.rows: list[dict] = read_history(self.path)

    def on_train_begin(self, logs=None):
        _check_model(self, "step")
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
        TypeError: for a path that is none.
        ValueError: when the file holds something else.
        IsADirectoryError: an OSError, for a folder.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be the path of a CSV file, got {shown(path)}")
    if Path(path).is_dir():
        raise IsADirectoryError(f"path: {str(path)!r} is a folder; name the history in it, such as history.csv")
    if not Path(path).is_file():
        return []
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = [{name: float(value) for name, value in row.items() if value} for row in reader]
        if reader.fieldnames and "step" not in reader.fieldnames:
            raise KeyError("step")
        return [{**row, "step": int(row["step"])} for row in rows]
    except (csv.Error, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"path must be a CSV file of numbers with a column step, got {str(path)!r}") from error
