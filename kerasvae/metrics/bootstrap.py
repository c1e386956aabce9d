"""How far a score would move with another sample: bootstrap intervals."""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_integer

CONFIDENCE = 0.95
# Streams of random numbers that no score draws from itself.
_STREAM = 0x626F6F74


def bootstrap_interval(
    value: float, replicates: ArrayLike, bounds: tuple[float, float] = (0.0, 1.0)
) -> tuple[float, float] | None:
    """The interval that holds the mean score of samples of this size with 95 % confidence, from resampled data.

    The 2.5 and 97.5 % quantiles of the replicates, moved so that their mean is the value: resampling repeats
    samples, which biases estimates of information upwards, and their spread is wanted, not their bias. Moved, they
    may pass the range of the score; what lies beyond is cut off. No score of any data lies there, so that the interval
    holds the true one as often as before. It holds the value itself in any case.

    What the interval is of is the mean of the score over samples of this size, not the score of endless data: the bias
    of a score, such as MIG's and modularity's on few samples, is not taken away. Simulated with 250 samples and 200
    trials, intervals of MIG and of modularity held that mean in 95 %; the score of 10 000 samples, which is 0.04 and
    0.12 higher, in 40 % and 1 %. Of 60 samples MIG's held the mean in 90 %; 20 resamples are too few. The mean
    of the other scores was held in 93 % and more, that of IRS in 89 %. Biased on 250 samples, so that more samples are
    the remedy and not more resamples, are MIG, modularity, SAP, IRS, DCI, explicitness, AAM and the mutual information
    score. The figures of every score are in `recipes/score_intervals.py`, which simulates them.

    Args:
        value: the score of the data themselves.
        replicates: scores of resampled data, (times,), at least 2. Where one is not finite the interval is
            None.
        bounds: pair (low, high), the least and the largest number that the score can be; infinite where there is none.
            Default: (0, 1).

    Returns:
        pair (low, high) of float, or None.

    Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", Chapters 10 and 13.

    Example:

    >>> bootstrap_interval(5, np.arange(101.0), bounds=(-np.inf, 50))
    (-42.5, 50.0)
    """
    replicates = np.asarray(replicates, dtype=np.float64)
    if not (np.isfinite(value) and np.isfinite(replicates).all()):
        return None
    tail = (1 - CONFIDENCE) / 2
    deviations = replicates - replicates.mean()
    ends = (value + np.quantile(deviations, share) for share in (tail, 1 - tail))
    low, high = (min(max(end, bounds[0]), bounds[1]) for end in ends)
    # The value itself must lie inside, also where all replicates but one agree, or rounding took it beyond its bounds.
    return float(min(low, value)), float(max(high, value))


def replicate_generators(seed: int, times: int) -> list[np.random.Generator]:
    """`times` independent random generators, which depend on the seed alone, not on who runs first."""
    return [np.random.default_rng([seed, _STREAM, number]) for number in range(times)]


def bootstrap_rows(
    score: Callable, sample: tuple, test: tuple | None, seed: int, times: int, jobs: int | None = None
) -> list[float]:
    """Scores of resampled rows.

    Args:
        score: function of (sample, test) that returns a number. It may raise a ValueError for a resample in
            which it finds nothing to score, such as a single value of each factor: another is drawn then.
        sample: tuple of arrays of the same rows, drawn with replacement.
        test: the same for the test sample, drawn independently, or None.
        seed: of the draws, 0..2^32-1.
        times: number of scores, at least 1.
        jobs: threads. No influence on the result. Default None: 1.

    Returns:
        list of float, (times,).

    Raises:
        ValueError: whatever `score` raised for 20 resamples in a row.
    """

    def resampled(arrays, rng):
        rows = rng.integers(len(arrays[0]), size=len(arrays[0]))
        return tuple(array[rows] for array in arrays)

    def once(rng):
        for attempt in range(20):
            try:
                return float(score(resampled(sample, rng), None if test is None else resampled(test, rng)))
            except ValueError:
                if attempt == 19:
                    raise

    return in_threads(once, replicate_generators(seed, times), jobs)


def in_threads(function: Callable, items: Iterable, jobs: int | None = None) -> list:
    """`function` of every item, in order, by `jobs` threads."""
    if jobs in (None, 1):
        return [function(item) for item in items]
    from joblib import Parallel, delayed

    return Parallel(n_jobs=jobs, backend="threading")(delayed(function)(item) for item in items)


def check_bootstrap(times: int) -> int:
    """`times` as int; TypeError or ValueError unless it is 0, for none, or an integer of at least 2."""
    times = check_integer(times, "bootstrap", 0)
    if times == 1:
        raise ValueError("bootstrap must be 0 or at least 2: one replicate has no spread")
    return times
