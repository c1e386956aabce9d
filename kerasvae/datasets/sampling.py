"""Which images a step sees, as pure functions of (seed, step) in NumPy: the same on every backend, from any step on."""

from __future__ import annotations

import functools
import numbers

import numpy as np


def batch_indices(size: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Indices of the images of one step: consecutive parts of an endless row of shuffles of the whole data set.

    Args:
        size: number of images.
        batch_size: images a step.
        seed: an integer, at least 0.
        step: the training step, from 0.

    Returns:
        int64 (batch_size,). Every image comes once before any comes again; no image is left out at the end of a pass.
    """
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


def pair_factors(data, batch_size: int, seed: int, step: int, changed="uniform") -> tuple[np.ndarray, np.ndarray]:
    """Factors of the pairs of one step: the first images as in `batch_indices`, the second with some factors changed.

    Args:
        data: a ground-truth data set.
        batch_size: pairs a step.
        seed: an integer, at least 0.
        step: the training step, from 0.
        changed: how many factors differ. "uniform": k uniform in 1..F, each chosen factor takes a different value
            ("Overlooked Implications", supplement B.3); an integer k in 1..F: always k; "authors": what the paper's
            runs drew: k uniform in 1..F - 1, then by a fair coin k or 1; the chosen factors are drawn anew and may keep
            their value, so that about 7.5 % of pairs are equal and no pair differs in all factors.

    Returns:
        Integer (batch_size, F), twice. F counts the factors with more than one value; the others never change.
    """
    sizes = np.asarray(data.factor_sizes)
    free = np.flatnonzero(sizes > 1)
    rng = np.random.default_rng((seed, step, 1))
    first = data.factors(batch_indices(len(data), batch_size, seed, step))
    if changed == "uniform":
        count = rng.integers(1, len(free) + 1, size=batch_size)
    elif changed == "authors":
        count = rng.integers(1, max(len(free), 2), size=batch_size)
        count = np.where(rng.integers(2, size=batch_size) == 0, 1, count)
    else:
        count = np.full(batch_size, changed)
    # The k factors with the smallest of F random numbers are a uniform choice of k.
    ranks = rng.random((batch_size, len(free))).argsort(axis=1).argsort(axis=1)
    chosen = ranks < count[:, None]
    if changed == "authors":
        values = rng.integers(0, sizes[free], size=chosen.shape)
    else:
        # A step of 1..size - 1 around the cycle of values: uniform over all values but the present one.
        values = (first[:, free] + rng.integers(1, sizes[free], size=chosen.shape)) % sizes[free]
    second = first.copy()
    second[:, free] = np.where(chosen, values, first[:, free])
    return first, second


def check_changed(data, changed) -> None:
    """ValueError unless `changed` is allowed for the factors of `data`."""
    free = sum(size > 1 for size in data.factor_sizes)
    if free == 0:
        raise ValueError(f"data must have a factor with more than one value to draw pairs, got {data!r}")
    if isinstance(changed, str):
        allowed = changed in ("uniform", "authors")
    else:
        allowed = isinstance(changed, numbers.Integral) and not isinstance(changed, bool) and 1 <= changed <= free
    if not allowed:
        raise ValueError(f'changed must be "uniform", "authors" or an integer in 1..{free}, got {changed!r}')
