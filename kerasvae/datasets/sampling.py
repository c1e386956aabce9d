"""Which images a step sees, as pure functions of (seed, step) in NumPy: the same on every backend, from any step on."""

from __future__ import annotations

import functools

import numpy as np

from kerasvae.checks import check_integer, is_integer
from kerasvae.datasets.ground_truth import check_data_set


def batch_indices(size: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Indices of the images of one step: consecutive parts of an endless row of shuffles of the whole data set.

    Args:
        size: number of images.
        batch_size: images a step.
        seed: an integer, at least 0.
        step: the training step, from 0.

    Returns:
        int64 (batch_size,). Every image comes once before any comes again; no image is left out at the end of a pass.

    Raises:
        ValueError: for a number that is not an integer, or out of range.
    """
    for name, value, least in (("size", size, 1), ("batch_size", batch_size, 1), ("seed", seed, 0), ("step", step, 0)):
        check_integer(value, name, least)
    start, stop = step * batch_size, (step + 1) * batch_size
    passes = range(start // size, (stop - 1) // size + 1)
    return np.concatenate(
        [shuffle(size, seed, number)[max(start - number * size, 0) : stop - number * size] for number in passes]
    )


@functools.lru_cache(maxsize=4)
def shuffle(size: int, seed: int, number: int) -> np.ndarray:
    """The order of the images in one pass over the data set, read-only int64 (size,)."""
    order = np.random.default_rng((seed, number)).permutation(size)
    order.flags.writeable = False
    return order


def pair_indices(data, batch_size: int, seed: int, step: int, changed="uniform", radius=None):
    """Indices of the pairs of one step: the first images as in `batch_indices`, the second with some factors changed.

    Args:
        data, batch_size, seed, step, changed, radius: as for `pair_factors`; for changed="random" data may be without a
            complete grid.

    Returns:
        int64 (batch_size,), twice.
    """
    if changed == "random":
        first = batch_indices(len(data), batch_size, seed, step)
        return first, np.random.default_rng((seed, step, 1)).integers(0, len(data), size=batch_size)
    first, second = pair_factors(data, batch_size, seed, step, changed, radius)
    return data.index(first), data.index(second)


def pair_factors(data, batch_size: int, seed: int, step: int, changed="uniform", radius=None):
    """Factors of the pairs of one step: the first images as in `batch_indices`, the second with some factors changed.

    Args:
        data: a ground-truth data set with a complete grid.
        batch_size: pairs a step.
        seed: an integer, at least 0.
        step: the training step, from 0.
        changed: how many factors differ.
            - "uniform" (default): k uniform in 1..F, each chosen factor takes a different value ("Overlooked
              Implications", supplement B.3).
            - An integer k in 1..F: always k; a tuple (least, most): k uniform in least..most, least at least 0.
            - "authors": what the paper's runs drew, and disentanglement_lib's for its k = -1: k uniform in 1..F - 1,
              then by a fair coin k or 1; the chosen factors are drawn again and may keep their value, so that about
              7.5 % of pairs are equal and no pair differs in all factors.
            - "random": the second image is any image of the data set, whatever the first.
        radius: the most steps by which a changed factor moves along its values, at least 1; None (default) for any.
            Not with "authors" and "random".

    Returns:
        Integer (batch_size, F), twice. F counts the factors with more than one value; the others never change.

    Raises:
        ValueError: for arguments that are not allowed.
    """
    check_changed(data, changed, radius)
    if changed == "random":
        first, second = pair_indices(data, batch_size, seed, step, changed)
        return data.factors(first), data.factors(second)
    sizes = np.asarray(data.factor_sizes)
    free = np.flatnonzero(sizes > 1)
    first = data.factors(batch_indices(len(data), batch_size, seed, step))
    rng = np.random.default_rng((seed, step, 1))
    if changed == "uniform":
        count = rng.integers(1, len(free) + 1, size=batch_size)
    elif changed == "authors":
        count = rng.integers(1, max(len(free), 2), size=batch_size)
        count = np.where(rng.integers(2, size=batch_size) == 0, 1, count)
    elif isinstance(changed, tuple):
        count = rng.integers(changed[0], changed[1] + 1, size=batch_size)
    else:
        count = np.full(batch_size, changed)
    # The k factors with the smallest of F random numbers are a uniform choice of k.
    ranks = rng.random((batch_size, len(free))).argsort(axis=1).argsort(axis=1)
    chosen = ranks < count[:, None]
    if changed == "authors":
        values = rng.integers(0, sizes[free], size=chosen.shape)
    elif radius is None:
        # A step of 1..size - 1 around the cycle of values: uniform over all values but the present one.
        values = (first[:, free] + rng.integers(1, sizes[free], size=chosen.shape)) % sizes[free]
    else:
        least = np.maximum(first[:, free] - radius, 0)
        most = np.minimum(first[:, free] + radius, sizes[free] - 1)
        # Uniform over the values within reach but the present one, which is stepped over.
        values = rng.integers(least, most)
        values += values >= first[:, free]
    second = first.copy()
    second[:, free] = np.where(chosen, values, first[:, free])
    return first, second


def differing_factors(data, changed="uniform", radius=None, *, pairs: int = 100_000, seed: int = 1) -> np.ndarray:
    """How often the images of a pair differ in 0, 1, ..., F factors, counted over pairs as `pair_factors` draws them.

    Args:
        data, changed, radius: as for `pair_factors`; the data need not be a complete grid for changed="random".
        pairs: number of pairs counted, at least 1.
        seed: an integer, at least 0.

    Returns:
        float64 (F + 1,), shares that add up to 1. F counts the factors with more than one value.

    Raises:
        ValueError: for arguments that are not allowed.

    Example:
        >>> from kerasvae.datasets import XYSquares, differing_factors
        >>> differing_factors(XYSquares(), "authors").round(2)
        array([0.08, 0.55, 0.11, 0.11, 0.09, 0.05, 0.  ])
    """
    check_changed(data, changed, radius)
    check_integer(pairs, "pairs", 1)
    check_integer(seed, "seed", 0)
    first, second = pair_factors(data, pairs, seed, 0, changed, radius)
    free = np.asarray(data.factor_sizes) > 1
    return np.bincount((first != second).sum(axis=1), minlength=free.sum() + 1) / pairs


def check_changed(data, changed, radius=None) -> None:
    """ValueError unless `changed` and `radius` are allowed for the factors of `data`."""
    check_data_set(data)
    free = sum(size > 1 for size in data.factor_sizes)
    if isinstance(changed, str) and changed not in ("uniform", "authors", "random"):
        raise ValueError(_of_changed(free, changed))
    if changed != "random":
        data.check_complete(f'pairs with changed={changed!r} (only "random" needs no grid)')
        if free == 0:
            raise ValueError(f"data must have a factor with more than one value to draw pairs, got {data!r}")
    if isinstance(changed, str):
        allowed = changed in ("uniform", "authors", "random")
    elif isinstance(changed, tuple):
        allowed = len(changed) == 2 and all(map(is_integer, changed)) and 0 <= changed[0] <= changed[1] <= free
    else:
        allowed = is_integer(changed) and 1 <= changed <= free
    if not allowed:
        raise ValueError(_of_changed(free, changed))
    if radius is not None and (not is_integer(radius) or radius < 1 or changed in ("authors", "random")):
        raise ValueError(
            f'radius must be None or an integer, at least 1, and None for changed="authors" or "random", got {radius!r}'
        )


def _of_changed(free: int, changed) -> str:
    return (
        f'changed must be "uniform", "authors", "random", an integer in 1..{free} or a tuple (least, most), '
        f"got {changed!r}"
    )
