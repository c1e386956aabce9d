"""Flatness."""

from collections.abc import Sequence

import numpy as np

from kerasvae.checks import check_integer, check_seed
from kerasvae.metrics.bootstrap import bootstrap_interval, check_bootstrap, replicate_generators
from kerasvae.metrics.generated_codes import check_generator, encoded, traversals
from kerasvae.metrics.score import CHOSEN_FACTORS, EncodeFactors, Score, ScoreInfo


@ScoreInfo(needs=CHOSEN_FACTORS, bounds=(0.0, 1.0), higher_is_better=True)
def flatness(
    encode_factors: EncodeFactors,
    factor_sizes: Sequence[int],
    *,
    repeats: int = 1024,
    seed: int = 1,
    bootstrap: int = 0,
) -> Score:
    """Flatness: how straight, even and aligned with the axes the codes of a factor's values in order lie.

    On a walk along one factor: its width, the largest Euclidean distance of two of its codes, over its length,
    the city-block distances of neighbours added up. 1 for codes on a line along one axis, in order and with
    equal steps; 1 / sqrt(n) on a diagonal of n dimensions; small where the walk turns back and forth. Factors
    that come round count as well: of the steps, with the one from the last value to the first, the largest is
    left out.

    Args:
        encode_factors: function of factor values, int64 (n, F) with column k in 0..factor_sizes[k] - 1, that
            returns their codes (n, D), finite and within float32's range.
        factor_sizes: number of values of each factor, (F,). Factors of one value are left out.
        repeats: walks along each factor, from drawn values of the others, at least 1. Default: 1024.
        seed: of the draws, 0..2^32-1. Default: 1.
        bootstrap: resamples of the walks for the 95 % interval, 0 (none) or at least 2. Default: 0.

    Returns:
        Score: mean over the factors used of width over length; 0 for a factor along which nothing moves. Parts:
        `l1` and `l2`, the same with both in city-block or both in Euclidean distance; `per_factor`,
        `l1_per_factor`, `l2_per_factor`; mean `width_1`, `width_2`, `length_1`, `length_2` of the walks, (factors
        used,); `factors`, the indices of those used.

    Raises:
        TypeError, ValueError: `encode_factors` is no function or returns no finite codes (n, D), no factor of more than
            one value, or an option that is not allowed.

    Source: the flatness of Michlo et al. 2021 (the code of "Overlooked Implications of the Reconstruction Loss for
    VAE Disentanglement").

    Example:

    >>> flatness(lambda factors: factors, (4, 8)), flatness(lambda factors: factors @ [[1, 1], [1, -1]], (4, 8))
    (Score(flatness=1), Score(flatness=0.7071))
    """
    seed, repeats, bootstrap = check_seed(seed), check_integer(repeats, "repeats", 1), check_bootstrap(bootstrap)
    encode, sizes, active = check_generator(encode_factors, factor_sizes)
    measured = [
        np.concatenate([_measures(encoded(encode, walks)) for walks in traversals(sizes, factor, repeats, seed)])
        for factor in active
    ]
    width_1, width_2, length_1, length_2 = np.array([measures.mean(axis=0) for measures in measured]).T
    per_factor = {
        "per_factor": _ratio(width_2, length_1),
        "l1_per_factor": _ratio(width_1, length_1),
        "l2_per_factor": _ratio(width_2, length_2),
    }
    value = float(per_factor["per_factor"].mean())
    interval = None
    if bootstrap:
        replicates = []
        for rng in replicate_generators(seed, bootstrap):
            means = np.array([measures[rng.integers(repeats, size=repeats)].mean(axis=0) for measures in measured])
            replicates.append(_ratio(means[:, 1], means[:, 2]).mean())
        interval = bootstrap_interval(value, replicates)
    parts = {
        "l1": float(per_factor["l1_per_factor"].mean()),
        "l2": float(per_factor["l2_per_factor"].mean()),
        **per_factor,
        "width_1": width_1,
        "width_2": width_2,
        "length_1": length_1,
        "length_2": length_2,
        "factors": active,
    }
    return Score("flatness", value, parts, interval=interval)


def _measures(codes):
    """Widths and lengths, p = 1 and 2, of walks (walks, values, D): (walks, 4)."""
    values = codes.shape[1]
    widths = np.zeros((2, len(codes)))
    steps = np.empty((2, len(codes), values))
    for apart in range(1, values):
        distances = _norms(codes[:, apart:] - codes[:, :-apart])
        widths = np.maximum(widths, distances.max(axis=-1))
        if apart == 1:
            steps[..., :-1] = distances
        if apart == values - 1:
            steps[..., -1] = distances[..., 0]
    lengths = np.sort(steps, axis=-1)[..., :-1].sum(axis=-1)
    return np.stack([*widths, *lengths], axis=1)


def _norms(differences):
    """City-block and Euclidean: (2, ...)."""
    return np.stack([np.abs(differences).sum(axis=-1), np.sqrt(np.einsum("...d,...d->...", differences, differences))])


def _ratio(widths, lengths):
    return np.divide(widths, lengths, out=np.zeros_like(widths), where=lengths > 0)
