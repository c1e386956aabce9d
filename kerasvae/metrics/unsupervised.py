"""How far latents depend on each other: scores of codes alone, which need no factors."""

import math

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_number
from kerasvae.metrics.checks import check_codes, check_range
from kerasvae.metrics.divergences import COLLAPSED, check_divergences
from kerasvae.metrics.mutual_information import discrete_mutual_information, discretize
from kerasvae.metrics.score import CODES, Score, ScoreInfo


@ScoreInfo(needs=CODES, bounds=(0.0, math.inf), higher_is_better=False)
def gaussian_total_correlation(
    codes: ArrayLike, divergences: ArrayLike | None = None, *, threshold: float = COLLAPSED
) -> Score:
    """Total correlation of the Gaussian with the codes' covariance S, in nats: (sum log S_dd - log det S) / 2.

    0 for uncorrelated latents, infinite (in floating point perhaps only large) where one latent is a linear
    function of others. The scales of the latents do not matter, which is why collapsed latents do: their mean codes
    are tiny, but smooth functions of the others. Give `divergences` to have them left out. Codes drawn from
    independent latents score about D (D - 1) / (4 samples) all the same.

    Args:
        codes: finite real numbers within float32's range, (samples, latents). Constant latents are dropped;
            where fewer than two are left the score is 0, with a warning.
        divergences: of each latent the mean Kullback-Leibler divergence to its prior in nats, (latents,). Latents
            that do not exceed `threshold` are dropped, too. Default None: only constant ones are.
        threshold: nats, at least 0. Default: 0.01.

    Returns:
        Score. Parts: `correlation`, (latents kept, latents kept); `latents`, the indices of those kept.

    Raises:
        TypeError, ValueError: codes of another type or shape, too few samples, not finite or out of range, divergences
            that do not fit, or an option that is not allowed.

    Source: Locatello et al. 2019, "Challenging Common Assumptions ...", Section 5.2; their code gives nan for a
    constant latent.

    Example:

    >>> codes = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 10_000)
    >>> gaussian_total_correlation(codes)  # -log(1 - 0.8 ** 2) / 2 = 0.5108
    Score(gaussian_total_correlation=0.5091)
    >>> gaussian_total_correlation(codes, [1.2, 0.004]).warnings
    ('fewer than two latents are left: the score is 0',)
    """
    covariance, latents, _ = _covariance(codes, divergences, threshold)
    deviations = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviations, deviations)
    np.fill_diagonal(correlation, 1.0)
    sign, logarithm = np.linalg.slogdet(correlation)
    value = max(-logarithm / 2, 0.0) if sign > 0 else float("inf")
    parts = {"correlation": correlation, "latents": latents}
    return Score("gaussian_total_correlation", value, parts, warnings=_warnings(latents))


@ScoreInfo(needs=CODES, bounds=(0.0, math.inf), higher_is_better=False)
def gaussian_wasserstein(
    codes: ArrayLike, divergences: ArrayLike | None = None, *, threshold: float = COLLAPSED
) -> Score:
    """Squared 2-Wasserstein distance between the Gaussian with the codes' covariance S and the one with its diagonal.

    2 tr S - 2 tr (T S T)^(1/2) with T the diagonal of the standard deviations. 0 for uncorrelated latents. In
    units of the codes' variance; the part `normalized`, divided by tr S, has none.

    Args:
        codes: finite real numbers within float32's range, (samples, latents). Constant latents are dropped;
            where fewer than two are left the score is 0, with a warning.
        divergences, threshold: of `gaussian_total_correlation`.

    Returns:
        Score. Parts: `normalized`; `covariance`, (latents kept, latents kept); `latents`, the indices of those
        kept.

    Raises:
        TypeError, ValueError: as `gaussian_total_correlation`.

    Source: Locatello et al. 2019, "Challenging Common Assumptions ...", appendix on metrics ("Wasserstein
    correlation"). The square root is taken of the symmetric form, which stays real for a singular S.

    Example:

    >>> codes = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 10_000)
    >>> round(gaussian_wasserstein(codes).parts["normalized"], 2)  # (2 - sqrt(1.8) - sqrt(0.2)) / 1 = 0.211
    0.21
    """
    covariance, latents, scales = _covariance(codes, divergences, threshold)
    largest = float(scales.max(initial=0.0))
    covariance *= np.outer(scales / (largest or 1.0), scales / (largest or 1.0))
    deviations = np.sqrt(np.diag(covariance))
    eigenvalues = np.linalg.eigvalsh(covariance * np.outer(deviations, deviations))
    trace = np.trace(covariance)
    distance = max(2 * trace - 2 * np.sqrt(np.maximum(eigenvalues, 0)).sum(), 0.0)
    if len(latents) < 2:
        distance = 0.0  # of one variance its root's square may differ by rounding
    parts = {
        "normalized": float(distance / trace) if trace else 0.0,
        "covariance": covariance * largest**2,
        "latents": latents,
    }
    return Score("gaussian_wasserstein", distance * largest**2, parts, warnings=_warnings(latents))


@ScoreInfo(needs=CODES, bounds=(0.0, math.inf), higher_is_better=False)
def mutual_information_score(
    codes: ArrayLike, divergences: ArrayLike | None = None, *, bins: int = 20, threshold: float = COLLAPSED
) -> Score:
    """Mean mutual information of two different latents, discretised, in nats.

    0 for independent latents but for the bias of the estimate, about (bins - 1)^2 / (2 samples).

    Args:
        codes: finite real numbers, (samples, latents). Constant latents are legal and share no information.
            With one latent the score is 0, with a warning.
        divergences, threshold: of `gaussian_total_correlation`; without divergences all latents are kept.
        bins: number of histogram bins per latent, at least 2 (see `discretize`). Default: 20.

    Returns:
        Score: the mean over all ordered pairs. Parts: `mutual_information`, (latents kept, latents kept), with the
        latents' entropies on the diagonal; `latents`, the indices of those kept.

    Raises:
        TypeError, ValueError: as `gaussian_total_correlation`.

    Source: Locatello et al. 2019, "Challenging Common Assumptions ...", appendix on metrics.

    Example:

    >>> codes = np.random.default_rng(0).normal(size=(10_000, 3))
    >>> mutual_information_score(codes), mutual_information_score(codes[:, [0, 0]])
    (Score(mutual_information_score=0.01353), Score(mutual_information_score=2.447))
    """
    codes = _check(codes)
    kept = np.flatnonzero(_active(codes, divergences, threshold))
    parts = {"mutual_information": np.zeros((0, 0)), "latents": tuple(kept.tolist())}
    indices = discretize(codes[:, kept] if len(kept) else codes, bins)
    if len(kept):
        parts["mutual_information"] = discrete_mutual_information(indices, indices)
    matrix, latents = parts["mutual_information"], len(kept)
    mean = (matrix.sum() - np.trace(matrix)) / (latents * (latents - 1)) if latents > 1 else 0.0
    return Score("mutual_information_score", mean, parts, warnings=_warnings(kept))


def _check(codes):
    codes = check_codes(codes)
    if len(codes) < 2:
        raise ValueError(f"codes must hold at least 2 samples, got {len(codes)}")
    return codes


def _active(codes, divergences, threshold):
    """Which latents exceed the threshold, bool (latents,); all where no divergences are given."""
    check_number(threshold, "threshold", least=0)
    if divergences is None:
        return np.ones(codes.shape[1], bool)
    return check_divergences(divergences, codes.shape[1]) > threshold


def _warnings(latents):
    return ["fewer than two latents are left: the score is 0"] if len(latents) < 2 else []


def _covariance(codes, divergences, threshold):
    """Covariance of the latents kept, each in units of its own scale; indices of those kept; scales."""
    codes = _check(codes)
    check_range(codes)
    latents = np.flatnonzero((codes != codes[:1]).any(axis=0) & _active(codes, divergences, threshold))
    codes = codes[:, latents]
    scales = np.abs(codes).max(axis=0)  # squares of tiny codes would be 0
    codes = codes / scales
    codes -= codes.mean(axis=0)
    return codes.T @ codes / (len(codes) - 1), tuple(latents.tolist()), scales
