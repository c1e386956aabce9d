"""How far a number would move with other seeds: the seed bootstrap and the jackknife, as weights of runs.

A replicate is a number for each run: how many times it was drawn. Statistics take such weights, (runs, replicates), and
return one value a replicate, so that one function gives the estimate (all weights 1), the bootstrap and the jackknife.
`kerasvae.analysis.study.weighted` has the usual ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
from scipy.special import stdtrit

from kerasvae.analysis.study.table import ResultsTable
from kerasvae.checks import check_integer, check_seed

REPLICATES, CONFIDENCE = 2000, 0.95
FEWEST_SEEDS, ENOUGH_SEEDS, ENOUGH_DATASETS = 3, 5, 5
# Replicates that are held in memory at a time.
CHUNK = 125
# Streams of random numbers that no analysis draws from itself.
_STREAM = 0x73656564
# Share of replicates in which a statistic must be defined to have an interval.
_DEFINED = 0.5


class Resamples:
    """Resampled runs of a table of one study.

    Where the grid is complete, seed numbers are drawn with replacement, the same for every setting and data set: runs
    that share a seed share their initial weights and the order of their data. Otherwise runs are drawn within each
    (data set, setting). The interval is conditional on the settings.

    Args:
        table: runs of one study; only those that are ok may be in it.
        replicates: at least 2. Default 2000.
        seed: of the draws, 0..2^32-1. Default 1.
        over: "seeds" (default), or "datasets": data sets are drawn with replacement, too, which answers for another
            data set. It takes effect through `dataset_weights`, in means over data sets.

    Attributes:
        kind: "seed numbers" or "runs within settings".
        possible: whether there is an interval at all: not where most runs are in settings of fewer than 3.
        notices: sentences to print below a table.

    Raises:
        ValueError: a table of several studies or with runs that are not ok, or another `over`.
    """

    def __init__(self, table: ResultsTable, replicates: int = REPLICATES, seed: int = 1, over: str = "seeds"):
        self.replicates, self.seed = check_integer(replicates, "replicates", 2), check_seed(seed)
        if over not in ("seeds", "datasets"):
            raise ValueError(f'over must be "seeds" or "datasets", got {over!r}')
        if len(table.studies) > 1:
            raise ValueError(f"table must be of one study, got {', '.join(map(repr, table.studies))}: select one")
        if not table.is_ok.all():
            raise ValueError("table must hold runs that are ok alone: use table.ok()")
        self.table, self.over = table, over
        self.kind = "seed numbers" if table.complete else "runs within settings"
        sizes = np.bincount(table.cell_code)[table.cell_code] if len(table) else np.zeros(0, int)
        few = sizes < FEWEST_SEEDS
        self.possible = bool(len(table)) and float(few.mean()) <= 0.5
        self.notices = self._notices(sizes, few)

    def _notices(self, sizes, few):
        if not len(self.table):
            return []
        if not self.possible:
            return ["No intervals: most settings have fewer than 3 seeds."]
        found = []
        if few.any():
            cells = len(set(self.table.cell_code[few].tolist()))
            found.append(f"{cells} settings have fewer than 3 seeds: the intervals are too narrow by their noise.")
        if np.median(sizes) < ENOUGH_SEEDS:
            found.append("Fewer than 5 seeds a setting: percentile intervals under-cover.")
        if self.over == "datasets" and len(self.table.datasets) < ENOUGH_DATASETS:
            found.append("Fewer than 5 data sets: intervals over data sets mean little.")
        return found

    @cached_property
    def _counts(self):
        """(seeds, replicates) for a complete grid, else (runs, replicates)."""
        draws = np.random.default_rng([self.seed, _STREAM])
        if self.table.complete:
            return _multinomial(draws, len(self.table.seeds), self.replicates)
        counts = np.empty((len(self.table), self.replicates), np.uint16)
        for cell in np.unique(self.table.cell_code):
            runs = np.flatnonzero(self.table.cell_code == cell)
            counts[runs] = _multinomial(draws, len(runs), self.replicates)
        return counts

    def weights(self, runs=None, replicates=slice(None)) -> np.ndarray:
        """How many times runs were drawn.

        Args:
            runs: bool mask (runs of the table,) or indices. Default None: all.
            replicates: which, a slice or indices. Default: all.

        Returns:
            float32 (chosen runs, chosen replicates), whole numbers.
        """
        runs = np.arange(len(self.table))[slice(None) if runs is None else np.asarray(runs)]
        rows = self.table.seed_code[runs] if self.table.complete else runs
        return self._counts[:, replicates][rows].astype(np.float32)

    @cached_property
    def dataset_weights(self) -> np.ndarray:
        """How many times each data set was drawn, float64 (data sets, replicates): all 1 unless over="datasets"."""
        shape = len(self.table.datasets), self.replicates
        if self.over == "seeds" or not shape[0]:
            return np.ones(shape)
        return _multinomial(np.random.default_rng([self.seed, _STREAM, 1]), *shape).astype(np.float64)

    def mean_over_datasets(self, replicates: np.ndarray) -> np.ndarray:
        """Mean over data sets in every replicate, of those where it is defined.

        Args:
            replicates: (data sets, ..., replicates), nan where undefined; data sets in the order of `table.datasets`.
        """
        replicates = np.asarray(replicates, np.float64)
        between = (1,) * (replicates.ndim - 2)
        weights = self.dataset_weights.reshape(len(replicates), *between, -1)[..., : replicates.shape[-1]]
        weights = weights * np.isfinite(replicates)
        with np.errstate(invalid="ignore"):
            return (np.where(weights > 0, replicates, 0) * weights).sum(axis=0) / weights.sum(axis=0)

    def replicate(self, statistic: Callable, runs=None) -> np.ndarray:
        """A statistic in every replicate.

        Args:
            statistic: function of weights, float32 (chosen runs, some replicates), that returns (..., replicates).
            runs: bool mask or indices. Default None: all.

        Returns:
            (..., replicates).
        """
        starts = range(0, self.replicates, CHUNK)
        return np.concatenate([statistic(self.weights(runs, slice(at, at + CHUNK))) for at in starts], axis=-1)

    def estimate(self, statistic: Callable, runs=None):
        """A statistic with its bootstrap interval.

        Args:
            statistic, runs: of `replicate`.

        Returns:
            estimate, lo, hi: float64 arrays of the statistic's shape; lo and hi nan where there is no interval.
        """
        point = self.point(statistic, runs)
        if not self.possible:
            return point, np.full_like(point, np.nan), np.full_like(point, np.nan)
        return point, *self.interval(self.replicate(statistic, runs))

    def point(self, statistic: Callable, runs=None) -> np.ndarray:
        """The statistic of the runs themselves, computed in float64."""
        chosen = np.arange(len(self.table))[slice(None) if runs is None else np.asarray(runs)]
        return np.asarray(statistic(np.ones((len(chosen), 1))), np.float64)[..., 0]

    def interval(self, replicates: np.ndarray):
        """Percentile interval over the last axis: lo, hi; nan where `possible` is false or the statistic undefined."""
        lo, hi = percentile_interval(replicates)
        return (lo, hi) if self.possible else (np.full_like(lo, np.nan), np.full_like(hi, np.nan))

    def jackknife_weights(self, runs=None) -> np.ndarray:
        """Weights that leave out one seed number at a time, float64 (chosen runs, seeds)."""
        runs = np.arange(len(self.table))[slice(None) if runs is None else np.asarray(runs)]
        return (self.table.seed_code[runs][:, None] != np.arange(len(self.table.seeds))).astype(np.float64)

    def jackknife(self, statistic: Callable, runs=None, bounds=(-math.inf, math.inf)):
        """A statistic with the interval of the jackknife over seeds, for statistics that duplicates bias (R²).

        Args:
            statistic, runs: of `replicate`.
            bounds: of `jackknife_interval`.

        Returns:
            estimate, lo, hi as `estimate`: the estimate plus or minus Student's quantile (seeds - 1 degrees of freedom)
            times the jackknife's standard error, cut off at the bounds.

        Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", equation 11.5.
        """
        point = self.point(statistic, runs)
        left_out = np.asarray(statistic(self.jackknife_weights(runs)), np.float64)
        if not self.possible:
            return point, np.full_like(point, np.nan), np.full_like(point, np.nan)
        return point, *jackknife_interval(point, left_out, bounds=bounds)


def resamples(table: ResultsTable, replicates: int = REPLICATES, seed: int = 1, over: str = "seeds") -> Resamples:
    """`Resamples` of the runs of a table that are ok; arguments as there."""
    return Resamples(table.ok(), replicates, seed, over)


def percentile_interval(replicates: np.ndarray, confidence: float = CONFIDENCE):
    """Percentiles of the defined replicates, linear between them.

    Args:
        replicates: (..., replicates), nan where undefined.
        confidence: in (0, 1). Default 0.95.

    Returns:
        lo, hi: float64 (...), nan where fewer than half of the replicates, or fewer than 2, are defined.
    """
    ordered = np.sort(np.asarray(replicates, np.float64), axis=-1)
    count = np.isfinite(ordered).sum(axis=-1)

    def at(share):
        place = np.maximum(count - 1, 0) * share
        below = np.floor(place).astype(int)
        above = np.minimum(below + 1, np.maximum(count - 1, 0))
        low = np.take_along_axis(ordered, below[..., None], axis=-1)[..., 0]
        high = np.take_along_axis(ordered, above[..., None], axis=-1)[..., 0]
        value = low + (place - below) * (high - low)
        return np.where((count >= 2) & (count >= _DEFINED * ordered.shape[-1]), value, np.nan)

    tail = (1 - confidence) / 2
    return at(tail), at(1 - tail)


def jackknife_interval(estimate, left_out, confidence: float = CONFIDENCE, bounds=(-math.inf, math.inf)):
    """Interval of a statistic by what it is without each seed.

    It is symmetric about the estimate, so that it may pass the range of what is estimated, such as 0..1 for a share.
    What lies beyond is cut off: the true value is not there, so that the interval holds it as often as before. An
    estimate that is itself beyond (an adjusted share below 0) is an end of the interval.

    Args:
        estimate: (...).
        left_out: (..., seeds).
        confidence: in (0, 1). Default 0.95.
        bounds: pair (low, high), the range of what is estimated. Default: none.

    Returns:
        lo, hi: float64 (...), nan for fewer than 3 seeds or where a value is missing.

    Source: Efron & Tibshirani 1993, "An Introduction to the Bootstrap", equation 11.5.
    """
    estimate, left_out = np.asarray(estimate, np.float64), np.asarray(left_out, np.float64)
    seeds = left_out.shape[-1]
    if seeds < FEWEST_SEEDS:
        return np.full_like(estimate, np.nan), np.full_like(estimate, np.nan)
    deviations = left_out - left_out.mean(axis=-1, keepdims=True)
    error = np.sqrt((seeds - 1) / seeds * (deviations**2).sum(axis=-1))
    reach = stdtrit(seeds - 1, (1 + confidence) / 2) * error
    lo, hi = (np.clip(end, *bounds) for end in (estimate - reach, estimate + reach))
    return np.minimum(lo, estimate), np.maximum(hi, estimate)


def wilson_interval(share, n: int):
    """95 % interval of the mean of `n` independent numbers between 0 and 1, by Wilson's score; within 0..1.

    Exact up to the normal approximation where they are 0 or 1; too wide where they lie between, since their variance is
    then less than share (1 - share).

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    share, square = np.asarray(share, np.float64), 1.959963984540054**2 / n
    middle = (share + square / 2) / (1 + square)
    reach = np.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    # Rounding alone takes the end beyond 0 or 1, or past a share of 0 or 1.
    return np.minimum(np.clip(middle - reach, 0, 1), share), np.maximum(np.clip(middle + reach, 0, 1), share)


def fisher_interval(r, n: int):
    """Interval of a correlation of `n` independent pairs by Fisher's z, for tables without seeds; nan if n < 4.

    Source: Fieller, Hartley & Pearson 1957, "Tests for rank correlation coefficients": variance 1.06 / (n - 3).
    """
    r = np.asarray(r, np.float64)
    if n < 4:
        return np.full_like(r, np.nan), np.full_like(r, np.nan)
    z, reach = np.arctanh(np.clip(r, -1 + 1e-15, 1 - 1e-15)), 1.959963984540054 * math.sqrt(1.06 / (n - 3))
    return np.tanh(z - reach), np.tanh(z + reach)


def _multinomial(draws, size: int, replicates: int) -> np.ndarray:
    """How many times each of `size` is drawn in `size` draws with replacement, uint16 (size, replicates)."""
    chosen = draws.integers(size, size=(size, replicates))
    counts = np.bincount((chosen * replicates + np.arange(replicates)).ravel(), minlength=size * replicates)
    return counts.reshape(size, replicates).astype(np.uint16)
