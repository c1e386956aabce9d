"""BetaVAE score."""

from collections.abc import Sequence

import numpy as np

from kerasvae.checks import check_integer, check_seed
from kerasvae.metrics.bootstrap import bootstrap_interval, bootstrap_rows, check_bootstrap
from kerasvae.metrics.generated_codes import check_generator, chunks, draw_factors
from kerasvae.metrics.logistic_regression import ScaledLogisticRegression
from kerasvae.metrics.score import CHOSEN_FACTORS, EncodeFactors, Score, ScoreInfo


@ScoreInfo(needs=CHOSEN_FACTORS, bounds=(0.0, 1.0), higher_is_better=True, fast={"train": 700, "test": 350})
def beta_vae_score(
    encode_factors: EncodeFactors,
    factor_sizes: Sequence[int],
    *,
    train: int = 10_000,
    test: int = 5_000,
    batch_size: int = 64,
    seed: int = 1,
    bootstrap: int = 0,
    jobs: int | None = None,
) -> Score:
    """BetaVAE score: how often a linear classifier finds which factor two batches of images share.

    For one point a factor is drawn and two batches whose rows agree in it and are independent otherwise; the
    point is the mean absolute difference of their codes, its label the factor. Score: accuracy of a multinomial
    logistic regression on fresh points. 1 for a perfect code of comparable scales, 1 / factors for constant
    codes. The points are not standardised and the penalty does not grow with their number, so the latents'
    scales matter, and weakly the number of points.

    Args:
        encode_factors: function of factor values, int64 (n, F) with column k in 0..factor_sizes[k] - 1, that
            returns their codes (n, D), finite and within float32's range. It is called with up to 2^14 rows,
            2 batch_size (train + test) in all.
        factor_sizes: number of values of each factor, (F,). Factors of one value are never the shared one.
        train: points that the classifier is fitted to, at least 1. Default: 10 000.
        test: points that it is tested on, at least 1. Default: 5 000.
        batch_size: pairs of images per point, at least 1. Default: 64.
        seed: of the draws, 0..2^32-1. Default: 1.
        bootstrap: resamples of the points for the 95 % interval, 0 (none) or at least 2. Default: 0.
        jobs: threads for them, at least 1. No influence on the result. Default None: 1.

    Returns:
        Score: accuracy on the test points. Parts: `train` and `test`, the two accuracies; `per_factor`, share of
        its test points predicted right, nan for a factor without any, (factors used,); `factors`, the indices of those
        used.

    Raises:
        TypeError, ValueError: `encode_factors` is no function or returns no finite codes (n, D), no factor of more than
            one value, or an option that is not allowed.

    Source: Higgins et al. 2017, "beta-VAE", Section 3, in the form of Locatello et al. 2019 (multinomial, C = 1),
    whose code may also draw a factor that is constant.

    Example:

    >>> beta_vae_score(lambda factors: factors, (4, 4, 4), train=500, test=500)
    Score(beta_vae_score=1)
    """
    seed, bootstrap = check_seed(seed), check_bootstrap(bootstrap)
    train, test = check_integer(train, "train", 1), check_integer(test, "test", 1)
    batch_size = check_integer(batch_size, "batch_size", 1)
    jobs = check_integer(jobs, "jobs", 1, optional=True)
    encode, sizes, active = check_generator(encode_factors, factor_sizes)
    rng = np.random.default_rng(seed)
    samples = [_points(encode, sizes, active, count, batch_size, rng) for count in (train, test)]
    predict = _fitted(*samples[0])
    (on_train, _), (on_test, labels) = ((predict(points) == labels, labels) for points, labels in samples)
    parts = {
        "train": float(on_train.mean()),
        "test": float(on_test.mean()),
        "per_factor": np.array([on_test[labels == k].mean() if (labels == k).any() else np.nan for k in active]),
        "factors": active,
    }
    interval = None
    if bootstrap:

        def accuracy(train_points, test_points):
            points, labels = test_points
            return np.mean(_fitted(*train_points)(points) == labels)

        interval = bootstrap_interval(parts["test"], bootstrap_rows(accuracy, *samples, seed, bootstrap, jobs))
    return Score("beta_vae_score", parts["test"], parts, interval=interval)


def _points(encode, sizes, active, count, batch_size, rng):
    """Mean absolute differences (count, D) and the shared factors (count,)."""
    points, labels = [], []
    for size in chunks(count, 2 * batch_size):
        shared = np.array(active)[rng.integers(len(active), size=size)]
        first, second = (draw_factors(rng, sizes, size * batch_size) for _ in range(2))
        rows, columns = np.arange(len(first)), np.repeat(shared, batch_size)
        second[rows, columns] = first[rows, columns]
        differences = encode(first)
        differences -= encode(second)
        np.abs(differences, out=differences)
        points.append(differences.reshape(size, batch_size, -1).mean(axis=1))
        labels.append(shared)
    return np.concatenate(points), np.concatenate(labels)


def _fitted(points, labels):
    """The function that predicts labels of points."""
    from threadpoolctl import threadpool_limits

    # The matrices are small: threads would wait for each other most of the time.
    with threadpool_limits(limits=1):
        return ScaledLogisticRegression(points, labels).fit().predict
