"""Unsupervised disentanglement ranking."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_choice, check_integer, check_number
from kerasvae.metrics.bootstrap import in_threads
from kerasvae.metrics.checks import check_codes, check_range
from kerasvae.metrics.divergences import COLLAPSED, check_divergences
from kerasvae.metrics.score import MODELS, Score, ScoreInfo


@ScoreInfo(needs=MODELS, bounds=(0.0, 1.0), higher_is_better=True)
def udr(
    codes: Sequence[ArrayLike],
    divergences: Sequence[ArrayLike] | None = None,
    *,
    method: str = "lasso",
    penalty: float = 0.1,
    threshold: float = COLLAPSED,
    direction: str = "predicted",
    weighting: str = "mean",
    jobs: int | None = None,
) -> list[Score]:
    """Unsupervised disentanglement ranking: how alike models are that differ in their seed alone, without labels.

    Disentangled representations of the same data are alike up to order, sign and scale of their latents, and
    entangled ones differ each in its own way. For each ordered pair of models a matrix R says how strongly each
    latent of the one belongs to each of the other; the pair scores the average of (over columns: largest^2 / sum)
    and (over rows: largest^2 / sum). A model scores the median over its partners.

    Args:
        codes: one array for each model, finite real numbers within float32's range, (samples, latents): mean codes
            of the same images, some thousand, in the same order. At least 2 models. Their latents may differ in
            number. They are standardised here.
        divergences: for each model the mean Kullback-Leibler divergence of each latent to its prior in nats,
            (latents,). Latents that do not exceed `threshold` are left out. Default None: only constant latents
            are, and each score warns of it.
        method: `"lasso"`: absolute weights of a lasso that predicts a latent of the one model from all of the other;
            or `"spearman"`: absolute rank correlations. Default: `"lasso"`.
        penalty: of the lasso, above 0. Default: 0.1.
        threshold: nats, at least 0. Default: 0.01.
        direction: with the lasso, which of a pair the score belongs to: the model that is `"predicted"` (default,
            as in published code) or the one that is `"predicting"`.
        weighting: `"mean"` (default, published code): mean of the mean over columns and the mean over rows; or
            `"latents"` (the paper): sum over all columns and rows over their number.
        jobs: threads, at least 1. No influence on the result. Default None: 1.

    Returns:
        list of Score, one for each model, in their order: compare them or take the largest. Parts: `pairs`, the scores
        with each partner, (models - 1,); `partners`, their positions; `latents`, the indices of those that take
        part. A model whose latents are all left out scores 0.

    Raises:
        TypeError, ValueError: fewer than 2 models, codes of another type, shape or length, not finite or out of range,
            divergences that do not fit, or an option that is not allowed.

    Source: Duan et al. 2020, "Unsupervised Model Selection for Variational Disentangled Representation Learning",
    Section 4, and the code that accompanies it, whose lasso is not run to convergence.

    Example:

    >>> z = np.random.default_rng(0).normal(size=(2000, 4))
    >>> mixed = z @ np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))[0]
    >>> [round(float(score), 2) for score in udr([z, -3 * z[:, ::-1], z[:, [1, 0, 2, 3]], mixed])]
    [0.9, 0.9, 0.9, 0.45]
    """
    check_choice(method, "method", ("lasso", "spearman"))
    check_choice(direction, "direction", ("predicted", "predicting"))
    check_choice(weighting, "weighting", ("mean", "latents"))
    check_number(penalty, "penalty", above=0)
    check_number(threshold, "threshold", least=0)
    jobs = check_integer(jobs, "jobs", 1, optional=True)
    codes = _checked(codes)
    latents = _informative(codes, divergences, threshold)
    codes = [_standardised(each[:, some]) for each, some in zip(codes, latents, strict=True)]
    if method == "spearman":
        from scipy.stats import rankdata

        codes = [_standardised(rankdata(each, axis=0)) if each.size else each for each in codes]

    def pair(models):
        source, target = (codes[model] for model in models)
        if not source.shape[1] or not target.shape[1]:
            return 0.0
        if method == "spearman":
            strength = np.abs(source.T @ target) / len(source)
        else:
            strength = np.abs(_lasso(source, target, penalty))
        return _relative_strength(strength, weighting)

    order = [(source, target) for source in range(len(codes)) for target in range(len(codes)) if source != target]
    scores = np.zeros((len(codes), len(codes)))
    scores[tuple(np.transpose(order))] = in_threads(pair, order, jobs)
    if direction == "predicted":
        scores = scores.T
    warnings = ["divergences are not given: only constant latents are left out"] if divergences is None else []
    results = []
    for model, some in enumerate(latents):
        partners = [partner for partner in range(len(codes)) if partner != model]
        parts = {"pairs": scores[model, partners], "partners": tuple(partners), "latents": tuple(some.tolist())}
        results.append(Score("udr", float(np.median(parts["pairs"])), parts, warnings=warnings))
    return results


def _checked(codes):
    if not isinstance(codes, list | tuple):
        raise TypeError(f"codes must be a list of arrays, one for each model, got {type(codes).__name__}")
    if len(codes) < 2:
        raise ValueError(f"codes must be of at least 2 models, got {len(codes)}")
    codes = [check_codes(each, f"codes[{model}]") for model, each in enumerate(codes)]
    for model, each in enumerate(codes):
        check_range(each, f"codes[{model}]")
        if len(each) != len(codes[0]):
            raise ValueError(f"codes must be of the same images, got {len(codes[0])} rows and {len(each)} in {model}")
    if len(codes[0]) < 2:
        raise ValueError(f"codes must hold at least 2 samples, got {len(codes[0])}")
    return codes


def _informative(codes, divergences, threshold):
    """Indices of the latents that take part, for each model."""
    if divergences is None:
        return [np.flatnonzero((each != each[:1]).any(axis=0)) for each in codes]
    if not isinstance(divergences, list | tuple | np.ndarray) or len(divergences) != len(codes):
        raise TypeError(f"divergences must be None or a list, one array for each of the {len(codes)} models")
    latents = []
    for model, (each, divergence) in enumerate(zip(codes, divergences, strict=True)):
        divergence = check_divergences(divergence, each.shape[1], f"divergences[{model}]")
        latents.append(np.flatnonzero(divergence > threshold))
    return latents


def _standardised(codes):
    """With mean 0 and variance 1; a constant latent is all 0."""
    codes = codes - codes[:1]
    scale = np.abs(codes).max(axis=0, initial=0.0)
    codes /= np.where(scale > 0, scale, 1.0)  # squares of tiny codes would be 0
    codes -= codes.mean(axis=0)
    deviation = codes.std(axis=0)
    return codes / np.where(scale > 0, deviation, 1.0)


def _lasso(source, target, penalty):
    """Weights (latents of source, latents of target)."""
    from sklearn.linear_model import Lasso

    # The covariances are all that the solution depends on; it is unique but for copies of a latent.
    fitted = Lasso(alpha=penalty, precompute=True, tol=1e-8, max_iter=100_000).fit(source, target)
    return fitted.coef_.reshape(target.shape[1], source.shape[1]).T


def _relative_strength(strength, weighting):
    largest_and_sums = [(strength.max(axis=axis), strength.sum(axis=axis)) for axis in (0, 1)]
    shares = [np.divide(m**2, s, out=np.zeros_like(m), where=s > 0) for m, s in largest_and_sums]
    if weighting == "latents":
        return float(np.concatenate(shares).mean())
    return float(np.mean([each.mean() for each in shares]))
