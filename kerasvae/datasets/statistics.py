"""Channel mean and standard deviation of a data set, in the published convention and in the usual one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.progress import track

from kerasvae.checks import check_integer
from kerasvae.datasets.ground_truth import check_data_set


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """What `channel_statistics` measured, in units of 0..1.

    Attributes:
        mean: over all pixels of all images, float64 (channels,).
        std_of_images: mean over the images of each image's own unbiased standard deviation, float64 (channels,): the
            published convention, and that of every data set's `std` (which puts 1 where this is 0).
        std_of_pixels: standard deviation of all pixels of all images together, float64 (channels,): what is usually
            meant. It also counts how the images differ from one another, and so is never noticeably smaller.
        images: number of images measured.
    """

    mean: np.ndarray
    std_of_images: np.ndarray
    std_of_pixels: np.ndarray
    images: int


def channel_statistics(data, batch_size: int = 256, indices=None, progress: bool = True) -> ChannelStatistics:
    """Channel mean and standard deviations of a data set, in one pass over its images.

    Sums are kept in integers and are exact, whatever the number of images.

    Args:
        data: a ground-truth data set, with or without a complete grid; random parts are drawn by index.
        batch_size: images read at a time, at least 1. Default 256; the result does not depend on it.
        indices: integers (n,), the images to measure; None (default) for all of them.
        progress: show a progress bar when stderr is a terminal. Default True.

    Returns:
        `ChannelStatistics` with `mean`, `std_of_images` (the published convention), `std_of_pixels` and `images`.

    Raises:
        ValueError: for a batch_size below 1, no image to measure, or indices that `data.images` refuses.

    Source: "Overlooked Implications", supplement B.4 and Table 2, whose Std is `std_of_images` (as the authors' code
    computes it): for dSprites 0.1952 where the standard deviation of all pixels is 0.2017.
    """
    check_data_set(data, constants=False)
    check_integer(batch_size, "batch_size", 1)
    count = len(data) if indices is None else len(indices := data.check_indices(indices))
    if count == 0:
        raise ValueError(
            f"{'data' if indices is None else 'indices'} must hold at least one image to measure, got none"
        )
    height, width, channels = data.image_shape
    pixels = height * width
    total, total_of_squares, deviations = [0] * channels, [0] * channels, np.zeros(channels)
    console = Console(stderr=True)
    for start in track(
        range(0, count, batch_size),
        "Channel statistics",
        console=console,
        transient=True,
        disable=not (progress and console.is_terminal),
    ):
        stop = min(start + batch_size, count)
        sums, squares = image_sums(data.images(np.arange(start, stop) if indices is None else indices[start:stop]))
        # Python's integers where those of 64 bits would not hold pixels² · 255².
        exact = object if pixels > 10**7 else "int64"
        spread = pixels * squares.astype(exact) - sums.astype(exact) ** 2
        deviations += np.sqrt(spread.astype("float64") / (pixels * max(pixels - 1, 1))).sum(axis=0)
        total = [one + int(more) for one, more in zip(total, sums.sum(axis=0), strict=True)]
        total_of_squares = [one + int(more) for one, more in zip(total_of_squares, squares.sum(axis=0), strict=True)]
    number = count * pixels
    variances = [(number * square - one * one) / number**2 for one, square in zip(total, total_of_squares, strict=True)]
    return ChannelStatistics(
        mean=np.array([one / number for one in total]) / 255,
        std_of_images=deviations / count / 255,
        std_of_pixels=np.array([math.sqrt(variance) for variance in variances]) / 255,
        images=count,
    )


def image_sums(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum and sum of squares over the pixels of each image: uint8 (n, H, W, C) to int64 (n, C), twice."""
    count, height, width, channels = images.shape
    # Whole rows first: a sum over all but a last axis of 1 to 4 channels is six times slower.
    rows = images.reshape(count, height, width * channels)
    squares = np.multiply(rows, rows, dtype="uint16")
    return tuple(
        values.sum(axis=1, dtype="int64").reshape(count, width, channels).sum(axis=1) for values in (rows, squares)
    )
