"""A training run in a folder of its own: checkpoints, history, and going on after Ctrl-C or a kill."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import zipfile
from pathlib import Path

import keras

from kerasvae import files, locks
from kerasvae.callbacks import Checkpoint, HistoryFile
from kerasvae.checks import check_flag, check_integer, shown
from kerasvae.models import VAE, load
from kerasvae.models.fit_callbacks import Executions

MODEL, CHECKPOINT, HISTORY, SETTINGS = "model.keras", "checkpoint.keras", "history.csv", "settings.json"
# In a checkpoint and in a finished model: what the run began with, and of an unfinished epoch the means so far.
RUN = "run.json"


class DivergedError(FloatingPointError):
    """A run whose loss or weights are no longer finite.

    Attributes:
        step: at which that was seen.
    """

    def __init__(self, message: str, step: int):
        super().__init__(message)
        self.step = step


def train(
    build,
    pipeline,
    folder,
    *,
    steps: int,
    steps_per_epoch: int | None = None,
    checkpoint_every: int = 500,
    callbacks=(),
    settings: dict | None = None,
    resume: bool = False,
    verbose="auto",
):
    """Train a model for a number of steps in a folder, so that the run can be interrupted at any moment.

    The folder gets `settings.json`, `history.csv` (one row per epoch), `checkpoint.keras` while the run goes on, and in
    the end `model.keras`; nothing before the first step has been taken. A run that was interrupted and resumed ends bit
    for bit as if it had not been: it takes exactly `steps` steps, whatever `steps_per_execution` the model was compiled
    with (an epoch that is no multiple of it ends with an execution of fewer steps).

    One process at a time trains in a folder. The lock, `.lock` in it, ends with the process.

    Args:
        build: function without arguments that returns the compiled model.
        pipeline: function of `start`, the first step, that returns the data from there, as a `tf.data.Dataset`, a
            `keras.utils.PyDataset` or a generator: `functools.partial(kv.datasets.images, data, 64, steps=steps)`.
            Where it is such a partial with a data set among its arguments, the data set's `fingerprint` is kept with
            the settings, and the run is only resumed with the same data.
        folder: of the run.
        steps: training steps in all, at least 1.
        steps_per_epoch: steps between two rows of the history; default a twentieth of `steps`.
        checkpoint_every: steps from one checkpoint to the next, at least 1; rounded up to whole executions.
        callbacks: for `fit`, besides those for checkpoints and history (which come last, so that they see the others'
            logs): with `kerasvae.callbacks.LatentKL(data)` the history holds the mean KL of each latent, too. For them
            all steps are one training: it begins once in a call of this function, and ends with the last step.
        settings: what determines the run, JSON-able; a run is only resumed with the settings it began with.
        resume: go on from the folder's last checkpoint, or return its finished model; without a checkpoint, begin.
        verbose: as for `fit`.

    Returns:
        The trained model.

    Raises:
        FileExistsError: when the folder already holds a run and `resume` is False.
        BlockingIOError: an OSError, when another process trains in the folder.
        ValueError: for an argument not allowed, settings or data other than the run began with, settings that were
            altered since, or a model or data that do not fit.
        DivergedError: a FloatingPointError, when the loss or the weights are no longer finite. The last checkpoint
            stays.
        OSError: when the folder cannot be written, or was removed during the run.
    """
    steps_per_epoch = _check_arguments(
        build, pipeline, folder, steps, steps_per_epoch, checkpoint_every, callbacks, resume, verbose
    )
    folder = Path(folder)
    settings = all_settings(settings, pipeline, steps, steps_per_epoch)
    files.check_writable(folder / SETTINGS, "folder")
    with locks.folder_lock(folder) as lock:
        locks.remove_unfinished(folder, (MODEL, CHECKPOINT, HISTORY, SETTINGS))
        check_settings(folder, settings, resume)
        if (folder / MODEL).is_file():
            return load(folder / MODEL)
        model = load(folder / CHECKPOINT) if (folder / CHECKPOINT).is_file() else _built(build)
        begun = _Begun(folder, settings, lock)
        checkpoint = EpochCheckpoint(folder / CHECKPOINT, checkpoint_every, settings, begun.check)
        last = [begun, _History(folder / HISTORY), checkpoint]
        try:
            _fit(model, pipeline, [*callbacks, *last], steps, steps_per_epoch, verbose)
        except FloatingPointError as error:
            raise DivergedError(f"{error}; {_left(folder)}", int(model.step.numpy())) from error
        begun.check()
        with _writing(folder):
            save(model, folder / MODEL, settings)
            (folder / CHECKPOINT).unlink(missing_ok=True)
        begun.check()
    return model


def load_settings(folder) -> dict:
    """The settings that a run began with.

    Raises:
        FileNotFoundError: when `folder` holds no run.
        ValueError: when its file is damaged, or states other settings than the run's model or checkpoint.
    """
    path = Path(folder) / SETTINGS
    if not path.is_file():
        raise FileNotFoundError(f"folder: {str(folder)!r} holds no run (there is no {SETTINGS} in it)")
    try:
        settings = files.read_json(path)
    except ValueError as error:
        raise ValueError(f"folder: {str(path)!r} is damaged: it is no JSON ({error})") from error
    if not isinstance(settings, dict):
        raise ValueError(f"folder: {str(path)!r} must hold a dictionary of settings, it holds {shown(settings)}")
    for name in (MODEL, CHECKPOINT):
        began = _run_of(path.with_name(name)).get("settings")
        if began is not None and (different := _differences(began, settings)):
            raise ValueError(
                f"settings: {str(path)!r} was altered: it states {_stated(different, second=True)}, and {name} began "
                f"with {_stated(different)}; put that back, or choose another folder"
            )
    return settings


def load_model(folder):
    """The finished model of a run, or else its last checkpoint; FileNotFoundError when `folder` holds neither."""
    for name in (MODEL, CHECKPOINT):
        if (Path(folder) / name).is_file():
            return load(Path(folder) / name)
    raise FileNotFoundError(f"folder: {str(folder)!r} holds neither {MODEL} nor {CHECKPOINT}")


def all_settings(settings: dict | None, pipeline, steps: int, steps_per_epoch: int) -> dict:
    """What `settings.json` holds of a run, as JSON has it; TypeError or ValueError for what JSON has not."""
    if settings is not None and not isinstance(settings, dict):
        raise TypeError(f"settings must be a dictionary that JSON can hold, got {shown(settings)}")
    settings = {**(settings or {}), "steps": int(steps), "steps_per_epoch": int(steps_per_epoch)}
    if (data := _data_of(pipeline)) is not None:
        settings["data_set"] = data.fingerprint()
    try:
        return json.loads(json.dumps(settings, allow_nan=False))
    except (TypeError, ValueError) as error:
        message = f"settings must be a dictionary that JSON can hold, got {shown(settings)}: {error}"
        raise type(error)(message) from error


def check_settings(folder: Path, settings: dict, resume: bool) -> None:
    """Whether a run with these settings, as of `all_settings`, may use the folder; see `train` for what is raised."""
    held = [name for name in (SETTINGS, MODEL, CHECKPOINT) if (folder / name).is_file()]
    if held and not resume:
        raise FileExistsError(
            f"folder: {str(folder)!r} already holds a run ({', '.join(held)}); resume it, or choose another folder"
        )
    if SETTINGS in held:
        stated = load_settings(folder)
    else:
        # Removed: the model or the checkpoint states it as well.
        stated = next(filter(None, (_run_of(folder / name).get("settings") for name in held)), None)
    if stated is None:
        return
    different = _differences(stated, settings)
    if of_data := [each for each in different if each[0].startswith("data_set")]:
        raise ValueError(
            f"settings: the data are not those that the run in {str(folder)!r} began with: {_changed(of_data)}; give "
            "it the same data, or choose another folder"
        )
    if different:
        raise ValueError(
            f"settings: the run in {str(folder)!r} began with other settings: {_changed(different)}; give it the same, "
            "or choose another folder"
        )


def save(model, path, settings: dict, means=()) -> None:
    """Write a model with what its run began with, and of an unfinished epoch the means so far, as one file.

    They are a file more in the `.keras` archive, so that a kill cannot part them from the model.
    """
    with files.replacing(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            run = {"settings": settings, "step": int(model.step.numpy()), "means": list(means)}
            archive.writestr(RUN, json.dumps(run))


class _History(HistoryFile):
    def on_epoch_end(self, epoch, logs=None):
        with _writing(self.path.parent):
            super().on_epoch_end(epoch, logs)


class EpochCheckpoint(Checkpoint):
    """A checkpoint that holds the run's settings, and in mid-epoch the epoch's means, which make its row whole."""

    def __init__(self, path, every: int, settings: dict, check=lambda: None):
        super().__init__(path, every)
        self.settings, self.check = settings, check
        self._means = _run_of(self.path).get("means", ())

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        # Once, right after `fit` has set them to 0.
        if self._means:
            for variable, value in zip(self.model.metrics_variables, self._means, strict=True):
                variable.assign(value)
            self._means = ()

    def on_epoch_end(self, epoch, logs=None):
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise FloatingPointError(f"the mean loss of epoch {epoch + 1} is {loss}")
        super().on_epoch_end(epoch, logs)

    def save(self):
        self.write(float(variable.numpy()) for variable in self.model.metrics_variables)

    def write(self, means=()):
        self.check_finite()
        # A folder that is gone must not be made again.
        self.check()
        with _writing(self.path.parent):
            save(self.model, self.path, self.settings, means)


def _check_arguments(
    build, pipeline, folder, steps, steps_per_epoch, checkpoint_every, callbacks, resume, verbose
) -> int:
    """Steps in an epoch; TypeError, ValueError or OSError for an argument that is not allowed."""
    for argument, value, what in (
        ("build", build, "a function without arguments that returns the compiled model"),
        ("pipeline", pipeline, "a function of start, the first step, that returns the data from there"),
    ):
        if not callable(value) or isinstance(value, keras.Model):
            raise TypeError(f"{argument} must be {what}, got {shown(value)}")
    for argument, value in (
        ("steps", steps),
        ("steps_per_epoch", 1 if steps_per_epoch is None else steps_per_epoch),
        ("checkpoint_every", checkpoint_every),
    ):
        check_integer(value, argument, 1)
    if isinstance(callbacks, keras.callbacks.Callback) or not isinstance(callbacks, list | tuple):
        raise TypeError(f"callbacks must be a list of keras.callbacks.Callback, got {shown(callbacks)}")
    for number, callback in enumerate(callbacks):
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(f"callbacks[{number}] must be a keras.callbacks.Callback, got {shown(callback)}")
    if not isinstance(folder, str | os.PathLike):
        raise TypeError(f"folder must be the path of a folder, got {shown(folder)}")
    if Path(folder).is_file():
        raise NotADirectoryError(f"folder: {str(folder)!r} is a file; name a folder")
    if verbose not in ("auto", 0, 1, 2):
        raise ValueError(f'verbose must be "auto", 0, 1 or 2, got {verbose!r}')
    check_flag(resume, "resume")
    return math.ceil(steps / 20) if steps_per_epoch is None else steps_per_epoch


def _built(build):
    model = build()
    if not isinstance(model, VAE):
        raise TypeError(f"build must return a compiled model of kerasvae, it returned {shown(model)}")
    if not model.compiled:
        raise ValueError(f"build must return a compiled model: call compile() of its {type(model).__name__} first")
    return model


def _fit(model, pipeline, callbacks, steps, steps_per_epoch, verbose) -> None:
    """Take the steps that are left, in calls of `fit` that are one training for the callbacks."""
    executions = Executions(model)
    training = _Training(
        [executions, *callbacks],
        add_history=True,
        add_progbar=verbose != 0,
        model=model,
        verbose=verbose,
        epochs=math.ceil(steps / steps_per_epoch),
        steps=steps_per_epoch,
    )
    # Epochs lie on multiples of steps_per_epoch whatever the interruptions: a run that goes on in mid-epoch first
    # finishes that one, and the last may be shorter.
    step, stopped = int(model.step.numpy()), False
    with _not_finalized(model.optimizer), executions:
        while step < steps and not stopped:
            epoch = step // steps_per_epoch
            end = min(steps_per_epoch * (epoch + 1), steps)
            epochs = epoch + 1
            # Keras counts whole executions, and would take data for used up that are not: then one epoch at a time.
            if end - step == steps_per_epoch and steps_per_epoch % executions.together == 0:
                epochs = steps // steps_per_epoch
            training.set_params({**training.params, "steps": end - step})
            model.fit(
                _checked(pipeline(start=step)),
                initial_epoch=epoch,
                epochs=epochs,
                steps_per_epoch=end - step,
                callbacks=training,
                verbose=verbose,
            )
            step, stopped = int(model.step.numpy()), model.stop_training
            due = end + steps_per_epoch * (epochs - epoch - 1)
            if step != due and not stopped:
                raise ValueError(f"pipeline must go on to step {due}, its data ended after step {step}")
    model.optimizer.finalize_variable_values(model.trainable_weights)
    training.end()


def _checked(data):
    """What a pipeline gave; TypeError for what does not go on where a run was interrupted."""
    # tf.data, PyDataset, generators, and Torch's loaders
    kinds = ("element_spec", "num_batches", "__next__", "batch_sampler")
    if not any(hasattr(data, name) for name in kinds):
        raise TypeError(
            "pipeline must return batches from the step start: a tf.data.Dataset, a keras.utils.PyDataset or a "
            f"generator, such as kerasvae.datasets.images(data, 64, start=start); it returned {shown(data)}"
        )
    return data


class _Training(keras.callbacks.CallbackList):
    """Callbacks for which several calls of `fit` are one training."""

    _begun = False

    def __iter__(self):
        return iter(self.callbacks)

    def on_train_begin(self, logs=None):
        if not self._begun:
            self._begun = True
            super().on_train_begin(logs)

    def on_train_end(self, logs=None):
        self._logs = logs

    def end(self):
        if self._begun:
            super().on_train_end(self._logs)


class _Begun(keras.callbacks.Callback):
    """The folder of a run: its settings are written once a step has been taken, and from then on it must stay."""

    def __init__(self, folder, settings, lock):
        super().__init__()
        self.folder, self.settings, self.lock, self.is_begun = folder, settings, lock, False

    def on_train_batch_begin(self, batch, logs=None):
        # Not before the first step: what cannot begin is no run that stands in the way of the next.
        if batch and not self.is_begun:
            self.check()

    def on_epoch_end(self, epoch, logs=None):
        self.check()

    def check(self):
        """OSError when the folder, or what the run began with, is gone."""
        self.lock.check()
        if not self.is_begun:
            with _writing(self.folder):
                files.write_json(self.folder / SETTINGS, self.settings, "folder")
            self.is_begun = True
        elif not (self.folder / SETTINGS).is_file():
            raise FileNotFoundError(
                f"folder: {SETTINGS} was removed from {str(self.folder)!r} during the run; {_left(self.folder)}"
            )


@contextlib.contextmanager
def _writing(folder: Path):
    """Have an error in writing say what is left of the run, and where."""
    try:
        yield
    except OSError as error:
        # With one argument, as of two the first would be taken for the error's number.
        raise type(error)(f"folder: the run in {str(folder)!r} could not write: {error}; {_left(folder)}") from error


def _left(folder: Path) -> str:
    """What a run that ends here leaves to go on from."""
    if (step := _run_of(folder / CHECKPOINT).get("step")) is not None:
        return f"{str(folder / CHECKPOINT)!r} holds step {step}, from which it can be resumed"
    left = sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else []
    return f"{str(folder)!r} holds no checkpoint, {'only ' + ', '.join(left) if left else 'and nothing else'}"


@contextlib.contextmanager
def _not_finalized(optimizer):
    """`fit` puts an optimizer's averages in the place of the weights at its end, which is not that of the run."""
    optimizer.finalize_variable_values = lambda variables: None
    try:
        yield
    finally:
        del optimizer.finalize_variable_values


def _data_of(pipeline):
    """The data set among the arguments of a partial function, or None."""
    while isinstance(pipeline, functools.partial):
        for value in (*pipeline.args, *pipeline.keywords.values()):
            if callable(getattr(value, "fingerprint", None)):
                return value
        pipeline = pipeline.func
    return None


def _run_of(path: Path) -> dict:
    """What `save` wrote with the model in a file; nothing where there is none, or it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            run = json.loads(archive.read(RUN))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError):
        return {}
    return run if isinstance(run, dict) else {}


def _differences(before: dict, now: dict, prefix: str = "") -> list[tuple]:
    """(name, before, now) of what two nested dictionaries differ in, sorted by name."""
    found = []
    for key in sorted({*before, *now}):
        one, other = before.get(key), now.get(key)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(one, other, f"{prefix}{key}.")
        elif one != other or (key in before) != (key in now):
            found.append((prefix + key, one, other))
    return found


def _stated(different, second: bool = False) -> str:
    return ", ".join(f"{name} {shown(pair[second])}" for name, *pair in different[:8])


def _changed(different) -> str:
    """What differs, and how."""
    texts = []
    for name, before, now in different[:8]:
        if isinstance(before, list) and isinstance(now, list) and len(before) + len(now) > 6:
            lost, new = ([each for each in one if each not in other] for one, other in ((before, now), (now, before)))
            parts = [f"{what} {_some(each)}" for what, each in (("without", lost), ("with", new)) if each]
            texts.append(f"{name} now {' and '.join(parts) or 'in another order'}")
        else:
            texts.append(f"{name} {shown(before)} (now {shown(now)})")
    return ", ".join(texts) + (f", and {len(different) - 8} more" if len(different) > 8 else "")


def _some(values) -> str:
    return ", ".join(map(repr, values[:3])) + (f" and {len(values) - 3} more" if len(values) > 3 else "")
