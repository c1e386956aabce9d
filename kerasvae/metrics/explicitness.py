"""Explicitness."""

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_seed
from kerasvae.metrics.checks import train_and_test
from kerasvae.metrics.score import Pair, Score, ScoreInfo


@ScoreInfo(bounds=(0.0, 1.0), higher_is_better=True, predicts=True)
def explicitness(codes: ArrayLike, factors: ArrayLike, *, test: Pair | None = None, seed: int = 1) -> Score:
    """Explicitness: how well a linear classifier separates every value of every factor from the rest.

    One multinomial logistic regression per factor on the standardised codes, C = 1; per value the area under
    the ROC curve of its predicted probability on the test sample, averaged over values, then over factors.
    0.5 is chance and is not scaled away; 1 is perfect. A code that takes the factor's values in order does not
    reach 1: a linear classifier ranks middle values of one latent poorly.

    Args:
        codes: finite real numbers within float32's range, (samples, latents). Latents that are constant in the
            samples trained on are dropped; where none is left the score is 0.5.
        factors: integers, (samples, factors). Those constant in the samples trained on are left out.
        test: pair (codes, factors) that the classifiers are tested on. Default None: a random third of the
            samples is held out for it and not trained on.
        seed: of the held-out third, 0..2^32-1. Default: 1.

    Returns:
        Score: the mean over the factors used, on the test sample. Parts: `train` and `test`, that mean on
        either sample; `per_factor`, on the test sample, (factors used,); `factors`, the indices of those used.
        Its warnings name the values that could not be ranked: absent from one of the two samples (left out of
        the mean over values), or the only one of the test sample (the factor is left out).

    Raises:
        TypeError, ValueError: arrays of another type, shape or length, codes that are not finite or out of range, too
            few samples, all factors constant, or an option that is not allowed;
            no factor with a value that can be ranked.

    Source: Ridgeway & Mozer 2018, "Learning Deep Disentangled Embeddings With the F-Statistic Loss",
    Section 2; the regression as in Locatello et al. 2019, whose code gives nan for a constant latent. Here it
    is fitted to convergence. A factor of two values has one weight vector, as in scikit-learn.

    Example:

    >>> factors = np.random.default_rng(0).integers(0, 3, (600, 2))
    >>> explicitness(np.eye(3)[factors].reshape(600, 6), factors), explicitness(np.zeros((600, 1)), factors)
    (Score(explicitness=1), Score(explicitness=0.5))
    """
    seed = check_seed(seed)
    train, train_factors, tested, test_factors, active = train_and_test(codes, factors, test, seed)
    train, tested = _standardised(train, tested)
    areas, used, warnings = [], [], []
    for factor in active:
        values, in_test = np.unique(train_factors[:, factor]), np.unique(test_factors[:, factor])
        ranked = values[np.isin(values, in_test)] if len(in_test) > 1 else values[:0]
        if not len(ranked):
            warnings.append(f"factor {factor} is left out: the test sample has no values to rank")
            continue
        if len(ranked) < len(np.union1d(values, in_test)):
            missing = np.setxor1d(values, in_test).tolist()
            warnings.append(f"values {missing} of factor {factor} are left out: absent from training or test sample")
        pair = _probabilities(train, train_factors[:, factor], (train, tested))
        areas.append(
            [
                _areas(probabilities, values, labels[:, factor])[np.isin(values, ranked)].mean()
                for probabilities, labels in zip(pair, (train_factors, test_factors), strict=True)
            ]
        )
        used.append(factor)
    if not used:
        raise ValueError("test factors must hold two or more values of a factor, one of them trained on")
    on_train, on_test = np.array(areas).T
    parts = {
        "train": float(on_train.mean()),
        "test": float(on_test.mean()),
        "per_factor": on_test,
        "factors": tuple(used),
    }
    return Score("explicitness", parts["test"], parts, warnings=warnings)


def _standardised(train, tested):
    """Both with the mean and standard deviation of the first, without the latents that are constant in it."""
    varied = (train != train[:1]).any(axis=0)
    train, tested = train[:, varied], tested[:, varied]
    if not varied.any():
        return train, tested
    scale = np.abs(train).max(axis=0)  # divided by first, so that squares of tiny codes are not 0
    train, tested = train / scale, tested / scale
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    return (train - mean) / deviation, (tested - mean) / deviation


def _probabilities(codes, labels, samples):
    """Predicted probabilities of the values, ascending, for each of the samples: (rows, values) each."""
    if not codes.shape[1]:
        return [np.full((len(sample), len(np.unique(labels))), 0.5) for sample in samples]

    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # The matrices are small: threads would wait for each other most of the time.
    with threadpool_limits(limits=1):
        fitted = LogisticRegression(solver="newton-cg", tol=1e-7, max_iter=1000).fit(codes, labels)
        return [fitted.predict_proba(sample) for sample in samples]


def _areas(probabilities, values, labels):
    """Area under the ROC curve of every column against the rest; nan for a value that no or every label has."""
    from scipy.stats import rankdata

    of_value = labels[:, None] == values
    count = of_value.sum(axis=0)
    ranks = (rankdata(probabilities, axis=0) * of_value).sum(axis=0)
    pairs = count * (len(labels) - count)
    return np.divide(ranks - count * (count + 1) / 2, pairs, out=np.full(len(values), np.nan), where=pairs > 0)
