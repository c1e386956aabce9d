"""Checks of the arguments that several figures take: a ValueError names the argument, the value and what is allowed."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kerasvae import files


def check_runs(runs, form: str, kind) -> None:
    """Unless `runs` is a dictionary, not empty, of values of this kind."""
    if not isinstance(runs, Mapping) or not runs or not all(isinstance(run, kind) for run in runs.values()):
        raise ValueError(f"runs must be {{run name: {form}}} with at least one run, got {runs!r}")


def check_models(models) -> dict:
    """One model or several as {name: model}; the name of a single one is empty."""
    named = models if isinstance(models, Mapping) else {"": models}
    if not named or not all(hasattr(model, "encode") and hasattr(model, "decode") for model in named.values()):
        raise ValueError(f"models must be a model or {{name: model}} with at least one model, got {models!r}")
    return dict(named)


def check_data(data, purpose: str) -> None:
    """Unless `data` is a ground-truth data set with a complete grid."""
    if not hasattr(data, "factor_names") or not hasattr(data, "check_complete"):
        raise ValueError(f"data must be a ground-truth data set such as kerasvae.datasets.DSprites(), got {data!r}")
    data.check_complete(purpose)


def at_least(argument: str, value, least: int) -> int:
    """An integer, at least `least`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{argument} must be an integer, at least {least}, got {value!r}")
    return int(value)


def one_of(argument: str, value, allowed) -> str:
    """One of the strings allowed."""
    if not isinstance(value, str) or value not in allowed:
        quoted = " or ".join(f'"{name}"' for name in allowed)
        raise ValueError(f"{argument} must be {quoted}, got {value!r}")
    return value


def above_zero(argument: str, value) -> float:
    """A finite number greater than 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value < math.inf:
        raise ValueError(f"{argument} must be a finite number greater than 0, got {value!r}")
    return float(value)


def check_path(path) -> None:
    """Before long work: that a file ending in .png can be written to `path`, unless that is None."""
    if path is None:
        return
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"path must end in .png, got {str(path)!r}")
    files.check_writable(path)


def first_images(images, count: int) -> np.ndarray:
    """The first of the images, at most `count`, as NumPy."""
    # Here and not at the top: figures of tables and histories are drawn without Keras.
    from keras import ops

    if not hasattr(images, "shape"):
        images = np.asarray(images)
    if not len(images.shape) or images.shape[0] == 0:
        raise ValueError(f"images must hold at least one image, got {images!r}")
    return ops.convert_to_numpy(images[:count])
