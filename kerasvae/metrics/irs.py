"""Interventional robustness score."""

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_integer, check_number
from kerasvae.metrics.checks import check_numbers, check_range, check_sample, warnings_of_bins
from kerasvae.metrics.mutual_information import discretize
from kerasvae.metrics.score import Score, ScoreInfo


# A code is no farther from the mean of some than the range of all, which is up to twice the largest distance.
@ScoreInfo(bounds=(-1.0, 1.0), higher_is_better=True)
def irs(codes: ArrayLike, factors: ArrayLike, *, bins: int = 20, quantile: float = 0.99) -> Score:
    """Interventional robustness: how still every latent keeps while one factor is held and the others change.

    Per latent and factor: 1 - (the `quantile` of the latent's distance from its mean among the samples that
    share a value of the factor, averaged over the values) / (the largest distance from its mean of all). A
    latent's robustness is the largest over the factors, and the score their mean, weighted with that largest
    distance; it does depend on the latents' scales. 1 where every latent is a function of one factor of at most
    `bins` values. An unbalanced or noisy code can fall below 0, down to -1.

    Args:
        codes: finite real numbers within float32's range, (samples, latents). Constant latents are dropped;
            where none is left the score is 0.
        factors: integers, (samples, factors). Constant factors are left out. The others are put in `bins` bins
            of equal width, so that their values count as numbers.
        bins: of the factors, at least 2. Default: 20.
        quantile: above 0, at most 1. Default: 0.99. 1 takes the largest distance, which a single sample decides.

    Returns:
        Score: the weighted mean. Parts: `per_latent`, (latents kept,); `matrix`, the robustness for each
        factor, (latents kept, factors used); `best_factor`, the factor of each latent's robustness, and
        `weights`, (latents kept,); `latents` and `factors`, the indices of those kept and used. A warning
        names factors of more values than bins.

    Raises:
        TypeError, ValueError: arrays of another type, shape or length, codes that are not finite or out of range, too
            few samples, all factors constant, or an option that is not allowed;
            values of a factor that are more than 2^53 apart.

    Source: Suter et al. 2019, "Robustly Disentangled Causal Mechanisms", Section 5, in the scalable form of
    Locatello et al.'s code.

    Example:

    >>> factors = np.random.default_rng(0).integers(0, 4, (1000, 2))
    >>> irs(factors.astype(float), factors), irs(np.zeros((1000, 2)), factors)
    (Score(irs=1), Score(irs=0))
    """
    bins = check_integer(bins, "bins", 2)
    check_number(quantile, "quantile", above=0, most=1)
    codes, factors, active = check_sample(codes, factors)
    check_range(codes)
    latents = np.flatnonzero((codes != codes[:1]).any(axis=0))
    codes = codes[:, latents]
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0, initial=0.0)
    matrix = np.empty((len(latents), len(active)))
    for column, values in enumerate(discretize(check_numbers(factors[:, active]), bins).T):
        groups = [codes[values == value] for value in np.unique(values)]
        distances = [np.quantile(np.abs(group - group.mean(axis=0)), quantile, axis=0) for group in groups]
        matrix[:, column] = 1 - np.mean(distances, axis=0) / largest
    per_latent = matrix.max(axis=1)
    parts = {
        "per_latent": per_latent,
        "matrix": matrix,
        "best_factor": np.array(active)[matrix.argmax(axis=1)],
        "weights": largest / largest.sum() if len(latents) else largest,
        "latents": tuple(latents.tolist()),
        "factors": active,
    }
    return Score("irs", float(parts["weights"] @ per_latent), parts, warnings=warnings_of_bins(factors, active, bins))
