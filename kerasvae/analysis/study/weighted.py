"""Statistics of weighted runs, for all replicates at once: sort once, then count.

Everywhere `values` are float (runs,), nan where missing, and `weights` (runs, replicates), how many times each run
counts. A run of weight 2 is two equal runs. What cannot be told (no runs, no spread) is nan.
"""

from __future__ import annotations

import numpy as np

FEWEST_RUNS = 3
# Different rows of weights up to which ranks are products of matrices; above, running sums take less time.
_FEW_GROUPS = 100
# Rows of weights are told apart by weighted sums of their first numbers: whole ones, so that nothing is rounded.
_TOLD_APART = 32
_MARKS = np.random.default_rng(0).integers(2**36, size=_TOLD_APART).astype(np.float64)


def weighted_mean(values, weights) -> np.ndarray:
    """Mean, (replicates,)."""
    values, weights = _present(values, weights)
    with np.errstate(invalid="ignore"):
        return values @ weights.astype(np.float64) / weights.sum(axis=0, dtype=np.float64)


def weighted_quantile(values, weights, share: float) -> np.ndarray:
    """Quantile as `numpy.quantile` gives of the repeated values (linear between them), (replicates,).

    Args:
        values, weights: see the module.
        share: 0..1; 0.5 for the median.
    """
    values, weights = _present(values, weights)
    if not len(values):
        return np.full(weights.shape[1], np.nan)
    order = np.argsort(values, kind="stable")
    values, counted = values[order], np.cumsum(weights[order], axis=0, dtype=np.float64)
    total = counted[-1]
    place = np.maximum(total - 1, 0) * share
    below = np.floor(place)
    # The number at place p of the repeated values is the first whose running count exceeds p.
    low = values[np.minimum((counted <= below).sum(axis=0), len(values) - 1)]
    high = values[np.minimum((counted <= np.minimum(below + 1, total - 1)).sum(axis=0), len(values) - 1)]
    return np.where(total > 0, low + (place - below) * (high - low), np.nan)


def weighted_median(values, weights) -> np.ndarray:
    """Median, (replicates,)."""
    return weighted_quantile(values, weights, 0.5)


def group_medians(values, groups, weights, size: int) -> np.ndarray:
    """Median of each group, (groups, replicates); nan for one without runs.

    Args:
        values, weights: see the module.
        groups: each run's group, integers in 0..size-1, (runs,).
        size: number of groups.
    """
    medians = np.full((size, weights.shape[1]), np.nan)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        medians[group] = weighted_median(values[members], weights[members])
    return medians


def group_sums(values, groups, weights, size: int) -> np.ndarray:
    """Weighted sum of each group, float64 (groups, replicates), missing values as 0.

    Args:
        values, weights: see the module; values may be ones, for counts.
        groups: each run's group, integers in 0..size-1, (runs,).
        size: number of groups.
    """
    order = np.argsort(groups, kind="stable")
    products = np.nan_to_num(np.asarray(values, np.float64))[order, None] * weights[order]
    starts = np.searchsorted(groups[order], np.arange(size + 1))
    running = np.concatenate([np.zeros((1, weights.shape[1])), np.cumsum(products, axis=0)])
    return running[starts[1:]] - running[starts[:-1]]


def weighted_ranks(values, weights) -> np.ndarray:
    """Average ranks among the repeated values, minus their mean, (runs, replicates); dtype of the weights.

    Args:
        values: (runs,), none missing.
        weights: (runs, replicates).
    """
    values = np.asarray(values)
    ordered, place = np.unique(values, return_inverse=True)
    # Running counts over the sorted runs; the ranks of a value lie between the counts before and after its ties.
    order = np.argsort(place, kind="stable")
    ends = np.concatenate([[0], np.cumsum(np.bincount(place, minlength=len(ordered)))])
    counted = np.zeros((len(values) + 1, weights.shape[1]), weights.dtype)
    np.cumsum(weights[order], axis=0, out=counted[1:])
    total = counted[-1].copy()
    if len(ordered) < len(values):
        counted = counted[ends]
    ranks = counted[1:] + counted[:-1]
    ranks -= total
    ranks *= 0.5
    return ranks[place]


def spearman_matrix(columns, weights) -> np.ndarray:
    """Spearman's correlation with average ranks of all pairs of columns, pairs with a missing number left out.

    Args:
        columns: float (runs, metrics), nan where missing.
        weights: (runs, replicates).

    Returns:
        (metrics, metrics, replicates) of the dtype of the weights, symmetric; nan where fewer than 3 runs have both, or
        one of the two is constant. The diagonal is 1, or nan.
    """
    return Spearman(columns)(weights)


def spearman_between(rows, columns, weights) -> np.ndarray:
    """Spearman's correlation of every column of one array with every column of another.

    Args:
        rows: float (runs, first metrics), nan where missing.
        columns: float (runs, second metrics).
        weights: (runs, replicates).

    Returns:
        (first metrics, second metrics, replicates).
    """
    return Spearman(rows, columns)(weights)


class Spearman:
    """Spearman's correlations as a function of the weights, which sorts but once however often it is called.

    Args:
        rows: float (runs, first metrics), nan where missing.
        columns: float (runs, second metrics). Default None: the same as `rows`.

    Called with weights, (runs, replicates), it returns what `spearman_between`, or `spearman_matrix`, does.
    """

    def __init__(self, rows, columns=None):
        self.symmetric = columns is None
        self.rows = np.asarray(rows, np.float64)
        self.columns = self.rows if self.symmetric else np.asarray(columns, np.float64)
        self.row_patterns, self.column_patterns = patterns(self.rows), patterns(self.columns)
        self._sorted = {}

    def __call__(self, weights) -> np.ndarray:
        shape = self.rows.shape[1], self.columns.shape[1], weights.shape[1]
        result, alike = np.full(shape, np.nan, weights.dtype), _alike(weights)
        ranked, of_rows, of_columns = {}, 0, 0 if self.symmetric else 1
        for first_runs, firsts in self.row_patterns:
            for second_runs, seconds in self.column_patterns:
                if self.symmetric and firsts[0] > seconds[0]:
                    continue
                both = first_runs & second_runs
                if both.sum() < FEWEST_RUNS:
                    continue
                key = both.tobytes()
                if key not in ranked:
                    # One pattern of missing numbers is the rule; more are not worth the memory.
                    ranked = {key: {}}
                left, left_lengths = self._ranked(both, of_rows, firsts, weights, alike, ranked[key])
                right, right_lengths = self._ranked(both, of_columns, seconds, weights, alike, ranked[key])
                found = np.matmul(left, right.transpose(0, 2, 1))
                found /= left_lengths[:, :, None] * right_lengths[:, None, :]
                found = found.transpose(1, 2, 0)
                # Rounding alone takes a correlation beyond 1.
                np.clip(found, -1, 1, out=found)
                result[np.ix_(firsts, seconds)] = found
                if self.symmetric:
                    result[np.ix_(seconds, firsts)] = found.transpose(1, 0, 2)
        if self.symmetric:
            diagonal = np.arange(len(result))
            result[diagonal, diagonal] = np.where(np.isfinite(result[diagonal, diagonal]), 1, np.nan)
        return result

    def _ranked(self, runs, which, places, weights, alike, kept):
        """Ranks times the root of the weights, (replicates, columns, runs), and their lengths; nan for no spread."""
        if (which, *places) not in kept:
            if "weights" not in kept:
                kept["weights"] = weights if runs.all() else weights[runs]
                kept["roots"] = np.ascontiguousarray(np.sqrt(kept["weights"]).T)
            ranks = self._ranks(runs, which, places, kept["weights"], alike)
            ranks *= kept["roots"][:, None]
            lengths = np.sqrt(np.einsum("ijk,ijk->ij", ranks, ranks))
            kept[which, *places] = ranks, np.where(lengths > 0.1, lengths, np.nan).astype(ranks.dtype)
        return kept[which, *places]

    def _ranks(self, runs, which, places, weights, alike):
        columns = (self.rows, self.columns)[which]
        ranks = np.empty((weights.shape[1], len(places), len(weights)), weights.dtype)
        if alike is None:
            for number, place in enumerate(places):
                ranks[:, number] = weighted_ranks(columns[runs, place], weights).T
            return ranks
        drawn, group = alike
        key = runs.tobytes(), which, *places, group.tobytes(), weights.dtype
        if key not in self._sorted:
            self._sorted[key] = np.concatenate(
                [_ranks_by_group(columns[runs, place], group[runs], len(drawn), weights.dtype) for place in places]
            )
        np.matmul(drawn.T, self._sorted[key].T, out=ranks.reshape(len(ranks), -1))
        return ranks


def patterns(columns):
    """Columns with the same numbers missing: pairs (mask of the runs that are there, places of the columns)."""
    groups = {}
    for place, present in enumerate(np.isfinite(columns).T):
        groups.setdefault(present.tobytes(), (present, []))[1].append(place)
    return list(groups.values())


def _alike(weights):
    """The different rows of weights, (groups, replicates), and each run's group; None for many.

    In a complete grid runs of a seed have the same weights. Their ranks are then a product of matrices, which takes
    less time than running sums over all runs.
    """
    some = weights[:, :_TOLD_APART].astype(np.float64)
    _, first, group = np.unique(some @ _MARKS[: some.shape[1]], return_index=True, return_inverse=True)
    if len(first) > _FEW_GROUPS:
        return None
    # Groups in the order of the runs are the same whatever the weights.
    order = np.argsort(first)
    drawn, group = np.ascontiguousarray(weights[first[order]]), np.argsort(order)[group]
    return (drawn, group) if np.array_equal(drawn[group], weights) else None


def _ranks_by_group(values, group, size, dtype):
    """What one draw of each group adds to the rank of each run about the mean rank, (runs, groups); halves."""
    ordered, place = np.unique(values, return_inverse=True)
    counts = np.bincount(place * size + group, minlength=len(ordered) * size).reshape(-1, size).astype(dtype)
    counted = np.cumsum(counts, axis=0)
    total = counted[-1] / 2
    counts /= 2
    counted -= counts
    counted -= total
    return counted[place]


def win_rate(first, first_weights, second, second_weights, ties: float = 0.5) -> np.ndarray:
    """Probability that a run of the first exceeds a run of the second, (replicates,).

    Args:
        first, second: values, (runs,) each, nan where missing.
        first_weights, second_weights: (runs, replicates) each.
        ties: what a tie counts: 0.5 (default, Mann & Whitney's statistic), 1 (at least as good) or 0 (better).
    """
    first, first_weights = _present(first, first_weights)
    second, second_weights = _present(second, second_weights)
    order = np.argsort(second, kind="stable")
    counted = np.concatenate([np.zeros((1, second_weights.shape[1])), np.cumsum(second_weights[order], axis=0)])
    below = counted[np.searchsorted(second[order], first, "left")]
    up_to = counted[np.searchsorted(second[order], first, "right")]
    wins = (first_weights * (below + ties * (up_to - below))).sum(axis=0)
    with np.errstate(invalid="ignore"):
        # Rounding alone takes a probability beyond 1.
        return np.clip(wins / (first_weights.sum(axis=0, dtype=np.float64) * counted[-1]), 0, 1)


def _present(values, weights):
    values = np.asarray(values, np.float64)
    present = np.isfinite(values)
    return (values, weights) if present.all() else (values[present], weights[present])
