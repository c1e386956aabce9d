"""Which pairs of images the perceived distances are measured on."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

AUTHORS_SEED = 777
# Their loop over traversals goes on until it has at least so many pairs, however few are asked for.
AUTHORS_FEWEST = 5_000
MOST_DRAWS = 2**31


class Pairs(NamedTuple):
    """Pairs of images of a data set.

    Attributes:
        indices: of the first and the second image, int64 (n, 2).
        draws: of their random parts, int64 (n, 2); None for data without.
    """

    indices: np.ndarray
    draws: np.ndarray | None = None


def varying_factors(data) -> dict[str, int]:
    """Name and column of the factors whose traversals can be drawn: those with more than one value, of a full grid."""
    if not data.complete:
        return {}
    sizes = zip(data.factor_names, data.factor_sizes, strict=True)
    return {name: column for column, (name, size) in enumerate(sizes) if size > 1}


def random_pairs(data, pairs: int, seed: int) -> Pairs:
    """Independent uniform indices: a pair may be of an image with itself."""
    rng = np.random.default_rng((seed, 1 + len(data.factor_names)))  # the factors' streams are 1 to F
    indices = rng.integers(len(data), size=(pairs, 2))
    return Pairs(indices, rng.integers(MOST_DRAWS, size=(pairs, 2)) if data.random else None)


def factor_pairs(data, column: int, pairs: int, seed: int, per_traversal: int = 1, shared_draws: bool = True) -> Pairs:
    """Pairs that differ in one factor alone, the others uniform.

    Args:
        data: a ground-truth data set with a complete grid.
        column: of the factor, which has at least two values.
        pairs: how many.
        seed: an integer, at least 0. Factors have streams of their own: one does not change another's pairs.
        per_traversal: consecutive pairs that have the other factors in common. Default 1: none do.
        shared_draws: whether the two images of a pair, and the pairs of a traversal, have the same random parts.
    """
    rng = np.random.default_rng((seed, 1 + column))
    bases = math.ceil(pairs / per_traversal)
    factors = rng.integers(data.factor_sizes, size=(bases, len(data.factor_sizes))).repeat(per_traversal, axis=0)
    first, second = factors[:pairs], factors[:pairs].copy()
    size = data.factor_sizes[column]
    first[:, column] = rng.integers(size, size=pairs)
    # Of the size - 1 other values, each with the same probability.
    second[:, column] = (first[:, column] + rng.integers(1, size, size=pairs)) % size
    draws = None
    if data.random and shared_draws:
        draws = rng.integers(MOST_DRAWS, size=bases).repeat(per_traversal)[:pairs, None].repeat(2, axis=1)
    elif data.random:
        draws = rng.integers(MOST_DRAWS, size=(pairs, 2))
    return Pairs(np.stack([data.index(first), data.index(second)], axis=1), draws)


def authors_pairs(data, pairs: int, shared_draws: bool = True) -> dict[str, Pairs]:
    """The pairs that the authors' code draws for Table 1, by factor, and "random".

    NumPy's legacy generator is seeded with 777 once for all factors, in the order of the data set, and again for the
    random pairs. For a factor of n values a traversal is drawn (all factors, of which that one then takes each value),
    then ⌊n^1.5 / 2⌋ pairs of its images; those of an image with itself are dropped. This repeats until there are enough
    pairs, and at least 5000 even where fewer are asked for.

    Source: `factor_stats` and `get_random_dists` of `plot02_data_distances` in github.com/nmichlo/msc-research, called
    as its `main_compute_dists` does. Their data sets have no random parts: those come from a generator of ours.
    """
    rng, sizes = np.random.RandomState(AUTHORS_SEED), np.asarray(data.factor_sizes)
    result = {}
    for name, column in varying_factors(data).items():
        size, step = data.factor_sizes[column], math.prod(data.factor_sizes[column + 1 :])
        chunks, found = [], 0
        while found < max(pairs, AUTHORS_FEWEST):
            factors = rng.randint(0, sizes, size=(1, len(sizes)))
            factors[:, column] = 0
            first, second = rng.randint(0, size, size=(2, int(size * size**0.5 / 2)))
            different = first != second
            chunks.append(data.index(factors) + step * np.stack([first[different], second[different]], axis=1))
            found += len(chunks[-1])
        draws = None
        if data.random:
            own = np.random.default_rng((AUTHORS_SEED, 1 + column))
            lengths = [len(chunk) for chunk in chunks]
            draws = own.integers(MOST_DRAWS, size=(len(chunks), 1)).repeat(lengths, axis=0).repeat(2, axis=1)
            draws = (draws if shared_draws else own.integers(MOST_DRAWS, size=draws.shape))[:pairs]
        result[name] = Pairs(np.concatenate(chunks)[:pairs].astype("int64"), draws)
    rng = np.random.RandomState(AUTHORS_SEED)
    indices = rng.randint(0, len(data), size=(pairs, 2)).astype("int64")
    draws = np.random.default_rng((AUTHORS_SEED, 0)).integers(MOST_DRAWS, size=(pairs, 2)) if data.random else None
    return {**result, "random": Pairs(indices, draws)}


def ground_truth_distances(data, pairs: Pairs, column: int | None = None) -> np.ndarray | None:
    """How far apart the images of each pair are in their factors, float64 (n,); None for data without factors.

    Args:
        data: the data set.
        pairs: of it.
        column: of the one factor that differs: the number of steps between its values. None (default): over all factors
            with more than one value, the sum of the steps as shares of the factor's range.
    """
    if not data.factor_names:
        return None
    steps = np.abs(data.factors(pairs.indices[:, 0]) - data.factors(pairs.indices[:, 1])).astype("float64")
    if column is not None:
        return steps[:, column]
    sizes = np.asarray(data.factor_sizes)
    return (steps[:, sizes > 1] / (sizes[sizes > 1] - 1)).sum(axis=1)
