"""`kerasvae train`."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import keras

from kerasvae import datasets, runs
from kerasvae.callbacks import LatentKL
from kerasvae.cli.data import build_data, naming_options
from kerasvae.cli.model import OBJECTIVES, build_model

_OPTIONS = {name: name for name in ("batch_size", "changed", "radius", "on_device", "seed", "steps")}


def train(*, out, resume: bool = False, quiet: bool = False, **settings) -> None:
    """Train a model in the folder `out`, and say where it is.

    Its `history.csv` holds the mean KL of each latent, too, as `kerasvae.callbacks.LatentKL` measures it.

    Args:
        out, resume: as in `kerasvae.runs.train`.
        quiet: no progress bar.
        settings: the options of `kerasvae train`, all of them, by their names with underscores; None for those that
            the data set, the objective or the loss does not have. They are kept in the folder.

    Raises:
        ValueError, FileExistsError, OSError: as `kerasvae.runs.train` and the classes that the settings name.
        RuntimeError: when the model diverged.
    """
    if settings["objective"] not in OBJECTIVES:
        raise ValueError(f"--objective must be one of {', '.join(OBJECTIVES)}, got {settings['objective']!r}")
    data = build_data(settings)
    options = {
        "batch_size": settings["batch_size"],
        "steps": settings["steps"],
        "seed": settings["seed"],
        "standardize": settings["loss"] != "bernoulli",
        "on_device": settings["on_device"],
    }
    if OBJECTIVES[settings["objective"]].images_per_example == 2:
        pairs = {"changed": _changed(settings["changed"]), "radius": settings["radius"]}
        pipeline = functools.partial(datasets.pairs, data, **options, **pairs)
    else:
        pipeline = functools.partial(datasets.images, data, **options)
    # What it refuses is refused before the folder holds a run.
    with naming_options(_OPTIONS):
        pipeline(start=0)
    try:
        model = runs.train(
            functools.partial(build_model, data, settings),
            pipeline,
            out,
            steps=settings["steps"],
            checkpoint_every=settings["checkpoint_every"],
            # The progress bar comes first, so that it does not grow by a number for each latent.
            callbacks=[*([] if quiet else [keras.callbacks.ProgbarLogger()]), LatentKL(data)],
            settings=settings,
            resume=resume,
            verbose=0 if quiet else 1 if sys.stdout.isatty() else 2,
        )
    except FloatingPointError as error:
        # An error of the command, which is told in a line.
        raise RuntimeError(str(error)) from error
    print(f"trained {int(model.step.numpy())} steps: {Path(out) / runs.MODEL}, history in {Path(out) / runs.HISTORY}")
    print(f"next: kerasvae score {out}")


def _changed(value):
    """What `kerasvae.datasets.pairs` takes for the setting: a range LEAST:MOST becomes a tuple."""
    if not isinstance(value, str) or ":" not in value:
        return value
    return tuple(int(number) for number in value.split(":"))
