"""Disentanglement, completeness and informativeness."""

from numbers import Real

import numpy as np

from kerasvae.metrics.checks import (
    active_factors,
    check_codes,
    check_factors,
    check_integer,
    check_lengths,
    check_matrix,
    check_sample,
    check_seed,
)
from kerasvae.metrics.score import Score


def dci(codes, factors, *, test=None, seed=1, stages=100, learning_rate=0.1, max_depth=3, jobs=None):
    """Disentanglement (headline), completeness and informativeness, by boosted trees.

    One gradient-boosted tree classifier per factor predicts it from all latents. Disentangled: a latent
    matters for one factor only. Complete: a factor is told by one latent only. Informative: the prediction is
    right. A perfect code scores 1 three times, provided every value of every factor is among the samples
    trained on.

    Slow: time grows with samples x latents x stages x the sum over factors of their number of values. 10 000
    samples of 9 latents and 6 factors of 8 values take some 100 s of one core, nearly all in code that
    threads run side by side: see `jobs`. Fewer stages give a rougher score in less time.

    Arguments:
        codes: finite real numbers within float32's range (the trees compare float32), (samples, latents).
            Constant latents are legal.
        factors: integers, (samples, factors). Those constant in the samples trained on are left out.
        test: pair (codes, factors) that informativeness is tested on. Default None: a random third of the
            samples is held out for it and not trained on.
        seed: of the trees (ties between equally good splits) and of the held-out third, 0..2^32-1.
            Default: 1.
        stages: boosting stages, at least 1. Default: 100.
        learning_rate: shrinkage of every stage, above 0. Default: 0.1.
        max_depth: of every tree, at least 1. Default: 3.
        jobs: factors that are fitted at the same time, each in a thread of its own, at least 1. No influence
            on the result. Default None: 1.

    Returns:
        Score: disentanglement. Parts: `disentanglement`; `completeness`; `informativeness_train` and
        `informativeness_test`, mean accuracy over the factors used; `importance`, (latents, factors used);
        `disentanglement_per_latent`, (latents,); `completeness_per_factor`, (factors used,); `factors`, the
        indices of those used.

    Raises:
        TypeError: `codes` are not real numbers, `factors` not integers, `test` no pair, or an option of
            another type.
        ValueError: wrong shapes or lengths, codes that are not finite or out of range, fewer than 2 samples
            (3 where `test` is None), all factors constant, an option out of range.

    Source: Eastwood & Williams 2018, "A Framework for the Quantitative Evaluation of Disentangled
    Representations", Section 2, with the boosted trees of Locatello et al. 2019 in place of lasso and random
    forests. Published code leaves the trees unseeded and raises for a constant factor; it also calls the
    accuracies errors. The trees are scikit-learn's, whose details move a little between its releases.

    Example:

    >>> factors = np.random.default_rng(0).integers(0, 3, (300, 2))
    >>> score = dci(factors.astype(float), factors, stages=10)
    >>> score, score.parts["completeness"] > 0.99, score.parts["informativeness_test"]
    (Score(dci=1), True, 1.0)
    """
    seed = check_seed(seed)
    stages = check_integer(stages, "stages", 1)
    max_depth = check_integer(max_depth, "max_depth", 1)
    jobs = 1 if jobs is None else check_integer(jobs, "jobs", 1)
    if not isinstance(learning_rate, Real) or not 0 < learning_rate < float("inf"):
        raise ValueError(f"learning_rate must be a number above 0, got {learning_rate!r}")
    codes, factors, active = check_sample(codes, factors)
    if test is None:
        codes, factors, active, test_codes, test_factors = _hold_out_third(codes, factors, seed)
    else:
        test_codes, test_factors = _check_test(test, codes, factors)
    for name, array in (("codes", codes), ("test codes", test_codes)):
        if np.abs(array).max() > np.finfo(np.float32).max:
            raise ValueError(
                f"{name} must be within float32's range, got an absolute value of {np.abs(array).max():.3g}"
            )

    from joblib import Parallel, delayed
    from sklearn.ensemble import GradientBoostingClassifier

    def fit(factor):
        trees = GradientBoostingClassifier(
            n_estimators=stages, learning_rate=learning_rate, max_depth=max_depth, random_state=seed
        ).fit(codes, factors[:, factor])
        # scikit-learn's own feature_importances_ is nan where trees split but gain nothing.
        gain = sum(tree.tree_.compute_feature_importances(normalize=False) for tree in trees.estimators_.flat)
        gain = np.maximum(gain, 0.0)
        accuracies = (
            np.mean(trees.predict(z) == v[:, factor]) for z, v in ((codes, factors), (test_codes, test_factors))
        )
        return gain / gain.sum() if gain.any() else gain, *accuracies

    in_threads = Parallel(n_jobs=min(jobs, len(active)), backend="threading")
    fits = in_threads(delayed(fit)(factor) for factor in active)
    importances, train_accuracies, test_accuracies = zip(*fits, strict=True)
    importance = np.stack(importances, axis=1)
    parts = dci_from_importance(importance)
    parts |= {
        "informativeness_train": float(np.mean(train_accuracies)),
        "informativeness_test": float(np.mean(test_accuracies)),
        "importance": importance,
        "factors": active,
    }
    return Score("dci", parts["disentanglement"], parts)


def dci_from_importance(importance):
    """Disentanglement and completeness of any matrix that says how much each latent matters for each factor.

    A latent's disentanglement is 1 - entropy of its row, in base number of factors; the mean over the latents
    is weighted with their share of the whole matrix. Completeness is the same of the transposed matrix.
    Entries get 1e-11 added before a row or column is normalised. A matrix of zeros weighs all rows alike and
    scores 0. With one factor disentanglement is 1 by definition, with one latent completeness.

    Arguments:
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


def _hold_out_third(codes, factors, seed):
    if len(codes) < 3:
        raise ValueError(f"codes must hold at least 3 samples where test is None, got {len(codes)}")
    order = np.random.default_rng(seed).permutation(len(codes))
    test, train = order[: len(codes) // 3], order[len(codes) // 3 :]
    active = active_factors(factors[train], "the two thirds of factors that are trained on")
    return codes[train], factors[train], active, codes[test], factors[test]


def _check_test(test, codes, factors):
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise TypeError(f"test must be a pair (codes, factors) or None, got {type(test).__name__}")
    test_codes, test_factors = check_codes(test[0], "test codes"), check_factors(test[1], "test factors")
    check_lengths(test_codes, test_factors, ("test codes", "test factors"))
    for name, got, expected in (("latents", test_codes, codes), ("factors", test_factors, factors)):
        if got.shape[1] != expected.shape[1]:
            raise ValueError(f"test must have the {expected.shape[1]} {name} trained on, got {got.shape[1]}")
    return test_codes, test_factors
