"""Checks of the arguments that several figures take: a ValueError names the argument, the value and what is allowed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kerasvae import files
from kerasvae.checks import shown


def check_runs(runs, form: str, kind) -> None:
    """Unless `runs` is a dictionary, not empty, of values of this kind."""
    if not isinstance(runs, Mapping) or not runs or not all(isinstance(run, kind) for run in runs.values()):
        raise ValueError(f"runs must be {{run name: {form}}} with at least one run, got {shown(runs)}")


def check_model(model, argument: str = "model"):
    """The model, unless it is none of `kerasvae`'s."""
    # A string has an `encode`, too, and a class both.
    if not _is_model(model):
        raise ValueError(f"{argument} must be a model, a kerasvae.VAE or another objective, got {shown(model)}")
    return model


def check_models(models) -> dict:
    """One model or several as {name: model}; the name of a single one is empty."""
    named = models if isinstance(models, Mapping) else {"": models}
    if not named or not all(map(_is_model, named.values())):
        raise ValueError(f"models must be a model or {{name: model}} with at least one model, got {shown(models)}")
    return dict(named)


def _is_model(model) -> bool:
    return hasattr(model, "encode") and hasattr(model, "decode") and not isinstance(model, type | str | bytes)


def check_data(data, purpose: str) -> None:
    """Unless `data` is a ground-truth data set with a complete grid."""
    if isinstance(data, type) or not hasattr(data, "factor_names") or not hasattr(data, "check_complete"):
        raise ValueError(
            f"data must be a ground-truth data set such as kerasvae.datasets.DSprites(), got {shown(data)}"
        )
    data.check_complete(purpose)


def check_factors_of(data) -> None:
    """Unless `data` is a data set with factors."""
    if isinstance(data, type) or not hasattr(data, "images") or not len(getattr(data, "factor_names", ())):
        raise ValueError(
            f"data must be a data set with factors, such as kerasvae.datasets.DSprites(), got {shown(data)}"
        )


def check_images_of(data, *models) -> None:
    """Unless the models encode images of the data set's shape."""
    for model in models:
        expected = getattr(model, "image_shape", None)
        if expected is not None and tuple(expected) != tuple(data.image_shape):
            raise ValueError(
                f"data must have images of {tuple(expected)} for this model, got {tuple(data.image_shape)} of "
                f"{type(data).__name__}"
            )


def check_frame(frame, *columns) -> None:
    """Unless `frame` is a frame of a study with these columns; None is no column."""
    if isinstance(frame, type) or not hasattr(frame, "select") or not hasattr(frame, "columns"):
        among = f": take one of its frames, {', '.join(map(str, frame))}" if isinstance(frame, Mapping) else ""
        raise ValueError(
            f"frame must be a kerasvae.analysis.study.Frame, got {type(frame).__name__} {shown(frame)}{among}"[:500]
        )
    if not len(frame):
        raise ValueError("frame must have rows to draw, got none")
    if missing := [name for name in columns if name is not None and name not in frame]:
        raise ValueError(
            f"frame must have the column {missing[0]!r} to be drawn here, got {', '.join(map(repr, frame.columns))}"
        )


def array_of(argument: str, value, allowed: str) -> np.ndarray:
    """An array of real numbers; ValueError, saying what is allowed, for what is none."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{argument} must be {allowed}, got {shown(value)}")
    return array


def check_path(path) -> None:
    """Before long work: that a file ending in .png can be written to `path`, unless that is None."""
    if path is None:
        return
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path must be a file ending in .png, or None, got {shown(path)}")
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"path must end in .png, got {str(path)!r}")
    if os.path.isdir(path):
        raise IsADirectoryError(f"path: {str(path)!r} is a folder, which no file replaces; remove it or name another")
    files.check_writable(path)


def first_images(images, count: int) -> np.ndarray:
    """The first of the images, at most `count`, as NumPy."""
    # Here and not at the top: figures of tables and histories are drawn without Keras.
    from keras import ops

    if hasattr(images, "factor_names"):
        raise ValueError(f"images must be images, got the data set {shown(images)}: take images.images([0, 1, 2])")
    if not hasattr(images, "shape"):
        images = array_of("images", images, "images (n, height, width, channels)")
    if not len(images.shape) or images.shape[0] == 0:
        raise ValueError(f"images must hold at least one image, got {shown(images)}")
    return ops.convert_to_numpy(images[:count])
