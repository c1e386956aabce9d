"""A training run in a folder of its own: checkpoints, history, and going on after Ctrl-C or a kill."""

from __future__ import annotations

import json
import math
import numbers
import zipfile
from pathlib import Path

from kerasvae import files
from kerasvae.callbacks import Checkpoint, HistoryFile
from kerasvae.models import load

MODEL, CHECKPOINT, HISTORY, SETTINGS = "model.keras", "checkpoint.keras", "history.csv", "settings.json"


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

    The folder gets `settings.json`, `history.csv` (a row an epoch), `checkpoint.keras` while the run goes on, and in
    the end `model.keras`. A run that was interrupted and resumed ends bit for bit as if it had not been.

    Args:
        build: function without arguments that returns the compiled model.
        pipeline: function of `start`, the first step, that returns the data from there:
            `functools.partial(kv.datasets.images, data, 64, steps=steps)`.
        folder: of the run.
        steps: training steps in all, at least 1.
        steps_per_epoch: steps between two rows of the history; default a twentieth of `steps`.
        checkpoint_every: steps from one checkpoint to the next, at least 1.
        callbacks: for `fit`, besides those for checkpoints and history (which come last, so that they see the others'
            logs): with `kerasvae.callbacks.LatentKL(data)` the history holds the mean KL of each latent, too.
        settings: what determines the run, JSON-able; a run is only resumed with the settings it began with.
        resume: go on from the folder's last checkpoint, or return its finished model; without a checkpoint, begin.
        verbose: as for `fit`.

    Returns:
        The trained model.

    Raises:
        FileExistsError: when the folder already holds a run and `resume` is False.
        ValueError: for a number out of range, or settings other than the run began with.
        OSError: when the folder cannot be written.
    """
    for argument, value in (
        ("steps", steps),
        ("steps_per_epoch", 1 if steps_per_epoch is None else steps_per_epoch),
        ("checkpoint_every", checkpoint_every),
    ):
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
            raise ValueError(f"{argument} must be an integer, at least 1, got {value!r}")
    steps_per_epoch = math.ceil(steps / 20) if steps_per_epoch is None else steps_per_epoch
    folder = Path(folder)
    settings = {**(settings or {}), "steps": steps, "steps_per_epoch": steps_per_epoch}
    check_settings(folder, settings, resume)
    if (folder / MODEL).is_file():
        return load(folder / MODEL)
    model = load(folder / CHECKPOINT) if (folder / CHECKPOINT).is_file() else build()
    # Not before: what cannot be built is no run that stands in the way of the next.
    files.write_json(folder / SETTINGS, settings, "folder")
    callbacks = [
        *callbacks,
        HistoryFile(folder / HISTORY),
        EpochCheckpoint(folder / CHECKPOINT, checkpoint_every),
    ]
    # Epochs lie on multiples of steps_per_epoch whatever the interruptions: a run that goes on in mid-epoch first
    # finishes that one, and the last may be shorter.
    while (step := int(model.step.numpy())) < steps and not model.stop_training:
        epoch = step // steps_per_epoch
        if step % steps_per_epoch or steps - step < steps_per_epoch:
            length, epochs = min(steps_per_epoch * (epoch + 1), steps) - step, epoch + 1
        else:
            length, epochs = steps_per_epoch, steps // steps_per_epoch
        model.fit(
            pipeline(start=step),
            initial_epoch=epoch,
            epochs=epochs,
            steps_per_epoch=length,
            callbacks=callbacks,
            verbose=verbose,
        )
    model.save(folder / MODEL)
    (folder / CHECKPOINT).unlink(missing_ok=True)
    return model


def load_settings(folder) -> dict:
    """The settings that a run began with; FileNotFoundError when `folder` holds no run."""
    path = Path(folder) / SETTINGS
    if not path.is_file():
        raise FileNotFoundError(f"folder: {str(folder)!r} holds no run (there is no {SETTINGS} in it)")
    return files.read_json(path)


def load_model(folder):
    """The finished model of a run, or else its last checkpoint; FileNotFoundError when `folder` holds neither."""
    for name in (MODEL, CHECKPOINT):
        if (Path(folder) / name).is_file():
            return load(Path(folder) / name)
    raise FileNotFoundError(f"folder: {str(folder)!r} holds neither {MODEL} nor {CHECKPOINT}")


def check_settings(folder: Path, settings: dict, resume: bool) -> None:
    """Whether a run with these settings may use the folder; see `train` for what is raised."""
    files.check_writable(folder / SETTINGS, "folder")
    if not (folder / SETTINGS).is_file():
        return
    if not resume:
        raise FileExistsError(f"folder: {str(folder)!r} already holds a run; resume it, or choose another folder")
    before, now = load_settings(folder), json.loads(json.dumps(settings))
    different = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if different:
        raise ValueError(
            "settings: the run began with other settings: "
            + ", ".join(f"{key} {before.get(key)!r} (now {now.get(key)!r})" for key in different)
        )


class EpochCheckpoint(Checkpoint):
    """A checkpoint that in mid-epoch also holds the epoch's means so far, which make its row of the history whole.

    They are one file more in the `.keras` archive, so that a kill cannot part them from the model.
    """

    MEANS = "epoch_means.json"

    def __init__(self, path, every: int):
        super().__init__(path, every)
        self._means = ()
        if self.path.is_file():
            with zipfile.ZipFile(self.path) as archive:
                if self.MEANS in archive.namelist():
                    self._means = json.loads(archive.read(self.MEANS))

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        # Once, right after `fit` has set them to 0.
        if self._means:
            for variable, value in zip(self.model.metrics_variables, self._means, strict=True):
                variable.assign(value)
            self._means = ()

    def save(self):
        with files.replacing(self.path) as temporary:
            self.model.save(temporary)
            means = [float(variable.numpy()) for variable in self.model.metrics_variables]
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(self.MEANS, json.dumps(means))
