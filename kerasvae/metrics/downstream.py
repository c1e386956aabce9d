"""Downstream tasks: how well, and from how few labels, factors are predicted from codes."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_choice, check_integer, check_integers, check_seed
from kerasvae.metrics.boosted_trees import BoostedTrees
from kerasvae.metrics.bootstrap import in_threads
from kerasvae.metrics.checks import train_and_test
from kerasvae.metrics.logistic_regression import ScaledLogisticRegression
from kerasvae.metrics.score import Pair, Score

PREDICTORS = ("logistic_regression", "boosted_trees")
STRENGTHS = np.logspace(-4, 4, 10)  # C of the logistic regression, tried by cross-validation
FOLDS = 5


def downstream(
    codes: ArrayLike,
    factors: ArrayLike,
    sizes: Sequence[int] = (10, 100, 1000, 10_000),
    *,
    predictors: Sequence[str] = PREDICTORS,
    test: Pair | None = None,
    efficiency: tuple[int, int] | None = None,
    stages: int = 100,
    seed: int = 1,
    jobs: int | None = None,
) -> Score:
    """Accuracy of predictors of every factor that learn from few and from many codes, and their sample efficiency.

    For each number of samples n, predictor and factor one classifier is fitted to the first n codes. Logistic
    regression: multinomial, its L2 strength chosen from 10 values by 5-fold cross-validation (folds of
    neighbouring rows; below 5 samples C = 1). Boosted trees: 100 stages of depth 3, learning rate 0.1. Values that
    are not among the n samples cannot be predicted and count as errors; where they hold one value alone, it is
    predicted. Nothing is standardised.

    Args:
        codes: finite real numbers within float32's range, (samples, latents). The first n rows are learned from:
            shuffle rows that come in an order.
        factors: integers, (samples, factors). Those constant in the samples trained on are left out.
        sizes: numbers of samples to learn from, ascending, each at least 1 and at most the samples there are.
            Default: 10, 100, 1000, 10 000.
        predictors: some of `"logistic_regression"`, `"boosted_trees"`. Default: both.
        test: pair (codes, factors) that accuracy is tested on. Default None: a random third of the samples is
            held out for it, and the others are shuffled.
        efficiency: pair of `sizes`, whose accuracies' ratio is the sample efficiency. Default None: 100 (where it is
            among `sizes`, otherwise the first) and the last.
        stages: of the boosted trees, at least 1. Default: 100.
        seed: of the held-out third and of the trees (ties between equally good splits), 0..2^32-1. Default: 1.
        jobs: threads, at least 1. No influence on the result. Default None: 1.

    Returns:
        Score: accuracy of the last predictor with the most samples. Parts: `accuracy`, of predictor to the means over
        the factors used, (sizes,); `per_factor`, of predictor to (sizes, factors used); `chance`, the mean of 1 /
        number of values; `efficiency`, of predictor to the accuracy at the smaller over that at the larger of
        `efficiency_sizes`; `efficiency_above_chance`, the same of (accuracy - chance) / (1 - chance), 0 where the
        larger is no better than chance; `sizes`; `factors`, the indices of those used. A warning names predictors
        whose accuracy is below 1.2 times chance: their efficiency says nothing.

    Raises:
        TypeError, ValueError: arrays of another type, shape or length, codes that are not finite or out of range, too
            few samples, all factors constant, or an option that is not allowed;
            sizes that are not ascending, or more than there are samples.

    Source: Locatello et al. 2019, "Challenging Common Assumptions ...", Section 5.5 and Appendix: LogisticRegressionCV
    and gradient-boosted trees of scikit-learn. Their code draws other samples for every size; here the smaller are
    part of the larger, so that the curve is of one draw.

    Example:

    >>> factors = np.random.default_rng(0).integers(0, 3, (1500, 2))
    >>> score = downstream(factors.astype(float), factors, sizes=(10, 100))
    >>> score, score.parts["accuracy"]["logistic_regression"].round(2), score.parts["efficiency"]["boosted_trees"]
    (Score(downstream=1), array([0.89, 1.  ]), 1.0)
    """
    seed, stages = check_seed(seed), check_integer(stages, "stages", 1)
    jobs = check_integer(jobs, "jobs", 1, optional=True)
    sizes, efficiency = _checked_sizes(sizes, efficiency)
    if isinstance(predictors, str) or not len(predictors) or len(set(predictors)) < len(predictors):
        raise ValueError(f"predictors must be a list of different names, at least one, got {predictors!r}")
    for place, predictor in enumerate(predictors):
        check_choice(predictor, f"predictors[{place}]", PREDICTORS)
    codes, factors, test_codes, test_factors, active = train_and_test(codes, factors, test, seed)
    if sizes[-1] > len(codes):
        held_out = " (a third is held out)" if test is None else ""
        raise ValueError(f"sizes must be at most the {len(codes)} samples to learn from{held_out}, got {sizes[-1]}")

    def accuracy(task):
        predictor, size, factor = task
        points, labels = codes[:size], factors[:size, factor]
        if (labels == labels[0]).all():
            predicted = labels[0]
        elif predictor == "boosted_trees":
            predicted = BoostedTrees(stages=stages, seed=seed).fit(points, labels).predict(test_codes)
        else:
            predicted = _logistic_regression(points, labels).predict(test_codes)
        return np.mean(predicted == test_factors[:, factor])

    from threadpoolctl import threadpool_limits

    # The largest first, so that no thread is left alone with one in the end.
    tasks = [(name, size, factor) for name in predictors for size in sizes[::-1] for factor in active]
    # The matrices are small: threads of the linear algebra would wait for each other most of the time.
    with threadpool_limits(limits=1):
        found = dict(zip(tasks, in_threads(accuracy, tasks, jobs), strict=True))
    per_factor = {name: np.array([[found[name, n, k] for k in active] for n in sizes]) for name in predictors}
    mean = {name: values.mean(axis=1) for name, values in per_factor.items()}
    chance = float(np.mean([1 / len(np.unique(factors[:, factor])) for factor in active]))
    small, large = (sizes.index(size) for size in efficiency)
    above = {name: (values - chance) / (1 - chance) for name, values in mean.items()}
    at_chance = [name for name in predictors if mean[name][large] < 1.2 * chance]
    warnings = [f"{name}: accuracy is hardly above chance, so its efficiency says nothing" for name in at_chance]
    parts = {
        "accuracy": mean,
        "per_factor": per_factor,
        "chance": chance,
        "efficiency": {name: _ratio(values[small], values[large]) for name, values in mean.items()},
        "efficiency_above_chance": {name: _ratio(values[small], values[large]) for name, values in above.items()},
        "efficiency_sizes": efficiency,
        "sizes": sizes,
        "factors": active,
    }
    return Score("downstream", mean[predictors[-1]][-1], parts, warnings=warnings)


def _checked_sizes(sizes, efficiency):
    sizes = check_integers(sizes, "sizes", 1)
    if not sizes or any(following <= size for size, following in pairwise(sizes)):
        raise ValueError(f"sizes must be ascending and hold at least one, got {sizes}")
    if efficiency is None:
        return sizes, (100 if 100 in sizes else sizes[0], sizes[-1])
    efficiency = check_integers(efficiency, "efficiency", 1)
    if len(efficiency) != 2 or not set(efficiency) <= set(sizes):
        raise ValueError(f"efficiency must be two of the sizes {sizes}, got {efficiency}")
    return sizes, efficiency


def _ratio(small, large):
    return float(small / large) if large > 0 else 0.0


def _logistic_regression(codes, labels):
    """Fitted with the strength that predicts held-out folds best; of equally good ones the strongest penalty."""
    if len(codes) < FOLDS:
        return ScaledLogisticRegression(codes, labels).fit()
    right = np.zeros(len(STRENGTHS))
    for held_out in np.array_split(np.arange(len(codes)), FOLDS):
        model = ScaledLogisticRegression(np.delete(codes, held_out, axis=0), np.delete(labels, held_out))
        # From the strongest penalty on, each going on where the one before stopped.
        for number, strength in enumerate(STRENGTHS):
            right[number] += np.sum(model.fit(strength).predict(codes[held_out]) == labels[held_out])
    return ScaledLogisticRegression(codes, labels).fit(STRENGTHS[right.argmax()])
