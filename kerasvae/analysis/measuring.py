"""Losses as distances between images: what every analysis measures with."""

from __future__ import annotations

import contextlib
import os
import reprlib
from pathlib import Path

import keras
import numpy as np
from keras import ops
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from kerasvae.analysis.pairs import Pairs
from kerasvae.checks import check_flag, check_integer
from kerasvae.losses import BoxBlurMSE


def check_data(data) -> None:
    """ValueError unless `data` is a data set with images."""
    wanted = ("images", "factor_names", "factor_sizes", "complete")
    if isinstance(data, type) or not all(hasattr(data, name) for name in wanted):
        given = (
            f"the class {data.__name__}, to be called"
            if isinstance(data, type)
            else f"{type(data).__name__}: {reprlib.repr(data)}"
        )
        raise ValueError(f"data must be a data set such as kerasvae.datasets.XYSquares(), got {given}")
    if "random" in data.factor_names:
        raise ValueError('data: "random" stands for random pairs here and cannot be the name of a factor; rename it')
    if len(data) == 0:
        raise ValueError(f"data must hold at least one image, got {data!r}")


def check_loss(loss) -> None:
    """ValueError unless `loss` is a `keras.losses.Loss` that compares images with images."""
    if not isinstance(loss, keras.losses.Loss):
        raise ValueError(
            f"loss must be a keras.losses.Loss such as kerasvae.losses.MeanSquaredError(), got {type(loss).__name__}"
        )
    if hasattr(loss, "expected_image"):
        raise ValueError(
            f"loss must compare two images, and {type(loss).__name__} compares an image with the parameters of a "
            "distribution (logits); take keras.losses.BinaryCrossentropy(), or a loss of pixels"
        )


def describe(loss) -> str:
    """What to call a loss in a table."""
    if isinstance(loss, BoxBlurMSE):
        weight = "" if loss.pixel_weight == 1 else f", pixel_weight={loss.pixel_weight:g}"
        return f"{type(loss).__name__}(radius={loss.radius}, weight={loss.weight:g}{weight})"
    return type(loss).__name__


def pair_distances(data, loss, first, second, *, batch_size: int = 256, progress: bool = True) -> np.ndarray:
    """What a reconstruction loss sees between given pairs of images.

    Args:
        data: a data set of `kerasvae.datasets`, or anything with its interface.
        loss: a `keras.losses.Loss`; the distance is `loss.call(first image, second image)` on raw float32 images in
            0..1, averaged over what it leaves of an image.
        first, second: indices of the images, integers (n,) in 0..len(data) - 1. In data with random parts an image's
            draw is its index.
        batch_size: pairs that are compared at a time, at least 1. Default 256.
        progress: show a progress bar where the standard error is a terminal. Default True.

    Returns:
        float64 (n,).

    Raises:
        ValueError: for arguments of another kind, a loss that does not give a value for each image, or a distance that
            is not finite.

    Example:
        >>> data = XYSquares(num_squares=1)
        >>> pair_distances(data, MeanSquaredError(), [0, 0], [1, 7])    # one step in y, and seven
        array([0.01041667, 0.01041667])
    """
    check_data(data)
    check_loss(loss)
    batch_size = check_integer(batch_size, "batch_size", 1)
    check_flag(progress, "progress")
    first, second = _indices(data, "first", first), _indices(data, "second", second)
    if first.shape != second.shape:
        raise ValueError(f"first and second must hold as many indices, got {len(first)} and {len(second)}")
    pairs = Pairs(np.stack([first, second], axis=1))
    with progress_bar("distances", len(first), progress) as advance:
        return measure(data, [loss], pairs, batch_size, advance)[0]


def check_name(name) -> None:
    """ValueError unless it is what a data set can be called, or None."""
    if name is not None and not isinstance(name, str):
        raise ValueError(f"name must be a text, or None, got {name!r}")


def check_folder(folder) -> Path:
    """A path; ValueError for an empty text, or what is none."""
    if not isinstance(folder, str | os.PathLike) or not str(folder).strip():
        raise ValueError(f"folder must be the path of a folder, got {reprlib.repr(folder)}")
    return Path(folder)


def _indices(data, argument: str, indices) -> np.ndarray:
    try:
        return data.check_indices(indices)
    except ValueError as error:
        raise ValueError(f"{argument}: {error}") from error


def measure(data, losses, pairs: Pairs, batch_size: int, advance) -> np.ndarray:
    """The distances that some losses see between the same pairs, float64 (losses, n).

    Args:
        data, batch_size: as in `pair_distances`.
        losses: some `keras.losses.Loss`.
        pairs: of the data set's images.
        advance: function that is told the number of pairs done.
    """
    keys = pairs.indices if pairs.draws is None else np.concatenate([pairs.indices, pairs.draws], axis=1)
    # Small data sets repeat pairs, each of which is measured once; sorted, the others are neighbours in a file.
    distinct, inverse = np.unique(keys, axis=0, return_inverse=True)
    values, done = np.empty((len(losses), len(distinct))), 0
    for start in range(0, len(distinct), batch_size):
        batch = distinct[start : start + batch_size]
        count = len(batch)
        if start and count < batch_size:
            # All batches of one shape, for backends that compile for each.
            batch = np.concatenate([batch, batch[-1:].repeat(batch_size - count, axis=0)])
        images = _images(data, batch)
        for row, loss in enumerate(losses):
            values[row, start : start + count] = _of_each_image(loss, *images)[:count]
        after = len(keys) * (start + count) // len(distinct)
        advance(after - done)
        done = after
    return values[:, inverse.reshape(-1)]


def _images(data, batch):
    """The two images of each pair as float32 0..1, each image loaded once."""
    wanted = np.concatenate([batch[:, 0::2], batch[:, 1::2]])
    distinct, inverse = np.unique(wanted, axis=0, return_inverse=True)
    loaded = data.images(distinct[:, 0], *distinct.T[1:])
    # The backend divides on all cores, and NumPy moves bytes instead of floats.
    return [
        ops.divide(ops.cast(ops.convert_to_tensor(loaded[part]), "float32"), 255.0) for part in inverse.reshape(2, -1)
    ]


def _of_each_image(loss, first, second) -> np.ndarray:
    values = ops.convert_to_numpy(loss.call(first, second))
    if not values.shape or values.shape[0] != len(first):
        raise ValueError(
            f"loss: the call of {type(loss).__name__} must give a value for each image of a batch (or for each of its "
            f"elements), got shape {values.shape} for {len(first)} images"
        )
    values = values.reshape(len(values), -1).astype("float64").mean(axis=1)
    if not np.isfinite(values).all():
        raise ValueError(f"loss: {type(loss).__name__} gives distances that are not finite on images in 0..1")
    return values


@contextlib.contextmanager
def progress_bar(what: str, total: int, shown: bool):
    """Yield a function that is told how much more is done of `total`; the bar appears where stderr is a terminal."""
    console = Console(stderr=True)
    if not (shown and console.is_terminal):
        yield lambda count: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def centred_deviation(samples) -> float:
    """The population standard deviation, exactly 0 for equal samples, which rounding of their mean would make 1e-18."""
    return float(np.std(np.asarray(samples) - samples[0]))
