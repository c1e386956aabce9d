"""Plug-in mutual information between latents and factors, and the histogram it rests on."""

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_integer
from kerasvae.metrics.checks import check_codes, check_factors, check_lengths


def discretize(codes: ArrayLike, bins: int = 20) -> np.ndarray:
    """Index of the histogram bin of every code, latent by latent.

    The bins are of equal width between the smallest and the largest value of the latent in this sample
    (`numpy.histogram`'s edges), closed on the left; the maximum belongs to the last one. A constant latent
    falls in one bin.

    Args:
        codes: finite real numbers, (samples, latents).
        bins: number of bins, at least 2. Default: 20.

    Returns:
        int64, (samples, latents), values 0..bins-1.

    Raises:
        TypeError, ValueError: `codes` of another type or shape, not finite, or spanning more than float64 can hold;
            `bins` that are not allowed.

    Source: Locatello et al. 2019, "Challenging Common Assumptions ...", appendix on metrics.

    Example:

    >>> discretize([[0.0], [0.9], [1.0], [4.0]], bins=4).ravel()
    array([0, 0, 1, 3])
    """
    codes, bins = check_codes(codes), check_integer(bins, "bins", 2)
    indices = np.empty(codes.shape, np.int64)
    # A loop, since numpy.linspace over arrays rounds every column differently once one has a step of zero.
    for latent, column in enumerate(codes.T):
        low, high = float(column.min()), float(column.max())
        if high - low == float("inf"):
            raise ValueError(
                f"codes must span at most {np.finfo(np.float64).max:.3g}, latent {latent} "
                f"runs from {low:.3g} to {high:.3g}"
            )
        if low == high:
            low, high = low - 0.5, high + 0.5
        edges = np.linspace(low, high, bins + 1)
        # Without the right-most edge, or the maximum would be in a bin of its own.
        indices[:, latent] = np.searchsorted(edges[:-1], column, side="right") - 1
    return indices


def mutual_information(codes: ArrayLike, factors: ArrayLike, bins: int = 20) -> np.ndarray:
    """Mutual information of every latent, discretised, with every factor, in nats.

    Empirical frequencies, no bias correction: for an independent pair the expectation is about
    (bins - 1) (values - 1) / (2 samples), not 0. Clipped at 0; exactly 0 where latent or factor is constant.

    Args:
        codes: finite real numbers, (samples, latents).
        factors: integers, (samples, factors). Constant ones are legal and give a column of zeros.
        bins: number of histogram bins per latent, at least 2 (see `discretize`). Default: 20.

    Returns:
        float64, (latents, factors).

    Raises:
        TypeError, ValueError: arrays of another type, shape or length, codes that are not finite, `bins` not allowed.

    Source: Chen et al. 2018, "Isolating Sources of Disentanglement in VAEs", in the histogram form of
    Locatello et al. 2019. Chen et al.'s own code samples from the posterior instead of binning its mean.

    Example:

    >>> mutual_information([[0.0], [0.0], [1.0], [1.0]], [[0, 0], [0, 1], [1, 0], [1, 1]])  # log 2 and 0
    array([[0.69314718, 0.        ]])
    """
    codes, factors = check_codes(codes), check_factors(factors)
    check_lengths(codes, factors)
    return discrete_mutual_information(discretize(codes, bins), factors)


def discrete_mutual_information(left: ArrayLike, right: ArrayLike) -> np.ndarray:
    """Mutual information of every column of `left` with every column of `right`, in nats.

    Args:
        left: integers, (samples, m).
        right: integers, (samples, n).

    Returns:
        float64, (m, n), at least 0, and exactly 0 where either column is constant.

    Raises:
        TypeError, ValueError: arrays of another type, shape or length.
    """
    left, right = check_factors(left, "left"), check_factors(right, "right")
    check_lengths(left, right, ("left", "right"))
    samples, columns = left.shape
    left, right = _relabel(left), _relabel(right)
    left_values, right_values = left.max() + 1, right.max(axis=0) + 1
    rows = left + np.arange(columns) * left_values  # each column has a range of its own: one count serves all
    result = np.empty((columns, right.shape[1]))
    for factor, values in enumerate(right_values):
        cells = (rows * values + right[:, factor, None]).ravel()
        joint = np.bincount(cells, minlength=columns * left_values * values).astype(np.float64)
        joint = joint.reshape(columns, left_values, values)
        left_counts, right_counts = joint.sum(axis=2, keepdims=True), joint.sum(axis=1, keepdims=True)
        # Whole numbers up to the division: exact independence, a constant column above all, gives log(1) and
        # so exactly 0. Rounding would leave 1e-17, and ratios of such numbers are arbitrary.
        independent = left_counts * right_counts
        ratio = np.divide(joint * samples, independent, out=np.ones_like(joint), where=joint > 0)
        result[:, factor] = (joint * np.log(ratio)).sum(axis=(1, 2)) / samples
    return np.maximum(result, 0.0)


def entropy(factors: ArrayLike) -> np.ndarray:
    """Empirical entropy of every factor, in nats.

    Args:
        factors: integers, (samples, factors).

    Returns:
        float64, (factors,); exactly 0 for a constant factor.

    Raises:
        TypeError, ValueError: an array of another type or shape.

    Example:

    >>> entropy([[0, 7], [0, 7], [1, 7], [1, 7]])
    array([0.69314718, 0.        ])
    """
    factors = _relabel(check_factors(factors))
    shares = (np.bincount(column) / len(factors) for column in factors.T)
    return np.array([np.sum(share * np.log(1 / share)) for share in shares])


def _relabel(labels):
    """The values of every column renumbered 0, 1, ... without gaps."""
    return np.stack([np.unique(column, return_inverse=True)[1] for column in labels.T], axis=1)
