"""Disentanglement, completeness and informativeness."""

from typing import Any
from warnings import warn

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_integer, check_number, check_seed
from kerasvae.metrics.boosted_trees import BoostedTrees
from kerasvae.metrics.checks import check_matrix, train_and_test
from kerasvae.metrics.score import Pair, Score, ScoreInfo


@ScoreInfo(bounds=(0.0, 1.0), higher_is_better=True, predicts=True, fast={"train": 1000, "test": 500})
def dci(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    test: Pair | None = None,
    seed: int = 1,
    stages: int = 100,
    learning_rate: float = 0.1,
    max_depth: int = 3,
    bins: int = 256,
    jobs: int | None = None,
) -> Score:
    """Disentanglement (headline), completeness and informativeness, by boosted trees.

    One gradient-boosted tree classifier per factor predicts it from all latents. Disentangled: a latent
    matters for one factor only. Complete: a factor is predicted by one latent only. Informative: the prediction is
    right. A perfect code scores 1 three times, provided every value of every factor is among the samples
    trained on.

    Neither the order of the latents or factors nor the latents' scales and shifts matter. Equally good cuts, of which
    small nodes have many, are chosen between by the seed: another one, another order of the samples or other numbers
    for a factor's values move the score by some 0.0003, by more where there are few samples.

    The slowest of the scores: time grows with samples x latents x stages x the sum over factors of their
    number of values. 10 000 samples of 10 latents and dSprites' five factors take some 8 s of one core, 1000 take 1 s;
    scikit-learn's boosted trees take 280 s and differ by 0.001. The first call on a machine compiles for some 5 s.
    Fewer stages give a rougher score in less time.

    Args:
        codes: finite real numbers within float32's range, (samples, latents). Constant latents are legal.
        factors: integers, (samples, factors). Those constant in the samples trained on are left out.
        test: pair (codes, factors) that informativeness is tested on. Default None: a random third of the
            samples is held out for it and not trained on.
        seed: of the trees (ties between equally good splits) and of the held-out third, 0..2^32-1.
            Default: 1.
        stages: boosting stages, at least 1. Default: 100.
        learning_rate: shrinkage of every stage, above 0. Default: 0.1.
        max_depth: of every tree, at least 1. Default: 3.
        bins: how finely the trees cut, at least 2, see `BoostedTrees`. Default: 256. As many as there are
            samples: at every value, as scikit-learn's boosted trees do, at several times the time.
        jobs: factors that are fitted at the same time, each in a thread of its own, at least 1; two take 0.6 of
            the time of one. No influence on the result. Default None: 1.

    Returns:
        Score: disentanglement. Parts: `disentanglement`; `completeness`; `informativeness_train` and
        `informativeness_test`, mean accuracy over the factors used; `importance`, (latents, factors used);
        `disentanglement_per_latent`, (latents,); `completeness_per_factor`, (factors used,); `factors`, the
        indices of those used.

    Raises:
        TypeError, ValueError: arrays of another type, shape or length, codes that are not finite or out of range, too
            few samples, all factors constant, or an option that is not allowed;
            a factor of so many values that values x samples x latents exceed 10^9. A UserWarning comes before what
            takes minutes.

    Source: Eastwood & Williams 2018, "A Framework for the Quantitative Evaluation of Disentangled
    Representations", Section 2, with the boosted trees of Locatello et al. 2019 in place of lasso and random
    forests. Published code leaves the trees unseeded and raises for a constant factor; it also calls the
    accuracies errors.

    Example:

    >>> factors = np.random.default_rng(0).integers(0, 3, (300, 2))
    >>> score = dci(factors.astype(float), factors, stages=10)
    >>> score, score.parts["completeness"] > 0.99, score.parts["informativeness_test"]
    (Score(dci=1), True, 1.0)
    """
    seed = check_seed(seed)
    stages = check_integer(stages, "stages", 1)
    max_depth = check_integer(max_depth, "max_depth", 1)
    bins = check_integer(bins, "bins", 2)
    jobs = check_integer(jobs, "jobs", 1, optional=True) or 1
    check_number(learning_rate, "learning_rate", above=0)
    codes, factors, test_codes, test_factors, active = train_and_test(codes, factors, test, seed)

    values = {factor: len(np.unique(factors[:, factor])) for factor in active}
    warnings = _check_work(values, codes.size, stages, max_depth)

    from joblib import Parallel, delayed
    from threadpoolctl import threadpool_limits

    def fit(factor):
        trees = BoostedTrees(stages, learning_rate, max_depth, bins, seed).fit(codes, factors[:, factor])
        gain, accuracy = trees.importance, np.mean(trees.predict(test_codes) == test_factors[:, factor])
        return gain / gain.sum() if gain.any() else gain, trees.train_accuracy, accuracy

    # Those that take longest first, or a thread would be left with the longest at the end.
    longest_first = sorted(active, key=lambda factor: -values[factor])
    in_threads = Parallel(n_jobs=min(jobs, len(active)), backend="threading", pre_dispatch="all", batch_size=1)
    with threadpool_limits(limits=1):
        fits = dict(zip(longest_first, in_threads(delayed(fit)(factor) for factor in longest_first), strict=True))
    fits = [fits[factor] for factor in active]
    importances, train_accuracies, test_accuracies = zip(*fits, strict=True)
    importance = np.stack(importances, axis=1)
    parts = dci_from_importance(importance)
    parts |= {
        "informativeness_train": float(np.mean(train_accuracies)),
        "informativeness_test": float(np.mean(test_accuracies)),
        "importance": importance,
        "factors": active,
    }
    return Score("dci", parts["disentanglement"], parts, warnings=warnings)


# Of samples x latents x values: what all trees of a stage look at. Beyond the first, 100 stages of depth 3 take some 3
# minutes or more, and a warning comes before; beyond the second the table of a factor's bins takes 4 GB.
SLOW, MOST = 10**8 * 3 // 2, 10**9


def _check_work(values, size, stages, depth):
    """Warnings of what takes long, also given at once; ValueError where it takes more memory than there may be.

    Takes the number of values of each factor, and samples x latents.
    """
    factor, most = max(values.items(), key=lambda item: item[1])
    if most * size > MOST:
        raise ValueError(
            f"factors must have fewer values for this many samples: factor {factor} has {most}, and values x samples x "
            f"latents are {most * size:.2g}, more than {MOST:.0e}; leave the factor out, join values, or take at most "
            f"{MOST / (most * size):.0%} of the samples"
        )
    if sum(values.values()) * size * stages * depth / 300 <= SLOW:
        return []
    warning = (
        f"dci takes long: it grows {stages} trees for each of {sum(values.values())} values of factors, {most} of them "
        f"of factor {factor}; leave factors of many values out, or take fewer samples or stages"
    )
    warn(warning, UserWarning, stacklevel=3)
    return [warning]


def dci_from_importance(importance: ArrayLike) -> dict[str, Any]:
    """Disentanglement and completeness of any matrix that says how much each latent matters for each factor.

    A latent's disentanglement is 1 - entropy of its row, in base number of factors; the mean over the latents
    is weighted with their share of the whole matrix. Completeness is the same of the transposed matrix.
    Entries get 1e-11 added before a row or column is normalised. A matrix of zeros weighs all rows alike and
    scores 0. With one factor disentanglement is 1 by definition, with one latent completeness.

    Args:
        importance: numbers at least 0, (latents, factors).

    Returns:
        dict: `disentanglement`, `completeness`, `disentanglement_per_latent` (latents,),
        `completeness_per_factor` (factors,), all between 0 and 1.

    Raises:
        ValueError: wrong shape, negative or non-finite entries.

    Source: Eastwood & Williams 2018, Section 2; the 1e-11 is Locatello et al.'s.

    Example:

    >>> scores = dci_from_importance([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])  # the third latent has no weight
    >>> round(scores["disentanglement"], 6), round(scores["completeness"], 6)
    (1.0, 1.0)
    """
    importance = check_matrix(importance, "importance")
    disentanglement, per_latent = _weighted_concentration(importance)
    completeness, per_factor = _weighted_concentration(importance.T)
    return {
        "disentanglement": disentanglement,
        "completeness": completeness,
        "disentanglement_per_latent": per_latent,
        "completeness_per_factor": per_factor,
    }


def _weighted_concentration(matrix):
    """Mean of 1 - entropy of the rows, weighted with their sums, and the value of every row."""
    rows, columns = matrix.shape
    shares = matrix + 1e-11
    shares /= shares.sum(axis=1, keepdims=True)
    if columns == 1:
        concentration = np.ones(rows)
    else:
        entropy = -(shares * np.log(shares)).sum(axis=1) / np.log(columns)
        concentration = np.clip(1 - entropy, 0.0, 1.0)  # rounding alone leads outside
    weights = matrix.sum(axis=1) / matrix.sum() if matrix.any() else np.full(rows, 1 / rows)
    return float(weights @ concentration), concentration
