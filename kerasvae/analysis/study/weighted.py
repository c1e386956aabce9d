"""Statistics of weighted runs, for all replicates at once: sort once, then count.

Everywhere `values` are float (runs,), nan where missing, and `weights` (runs, replicates), how many times each run
counts. A run of weight 2 is two equal runs. What cannot be told (no runs, no spread) is nan.
"""

from __future__ import annotations

import numpy as np

FEWEST_RUNS = 3


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
    columns = np.asarray(columns, np.float64)
    return spearman_between(columns, columns, weights, symmetric=True)


def spearman_between(rows, columns, weights, *, symmetric: bool = False) -> np.ndarray:
    """Spearman's correlation of every column of one array with every column of another.

    Args:
        rows: float (runs, first metrics), nan where missing.
        columns: float (runs, second metrics).
        weights: (runs, replicates).
        symmetric: whether the two arrays are the same, so that half the work does. Default False.

    Returns:
        (first metrics, second metrics, replicates).
    """
    rows, columns = np.asarray(rows, np.float64), np.asarray(columns, np.float64)
    result = np.full((rows.shape[1], columns.shape[1], weights.shape[1]), np.nan, weights.dtype)
    cache = {}
    for first_runs, firsts in _patterns(rows):
        for second_runs, seconds in _patterns(columns):
            if symmetric and firsts[0] > seconds[0]:
                continue
            both = first_runs & second_runs
            if both.sum() < FEWEST_RUNS:
                continue
            key = both.tobytes()
            part = weights if both.all() else weights[both]
            if key not in cache:
                # One pattern of missing numbers is the rule; more are not worth the memory.
                cache = {key: {}}
            kinds = ("both", "both") if symmetric else ("rows", "columns")
            left, left_lengths = _ranks(rows[both], firsts, part, cache[key], kinds[0])
            right, right_lengths = _ranks(columns[both], seconds, part, cache[key], kinds[1])
            found = np.matmul(left, right.transpose(0, 2, 1))
            found /= left_lengths[:, :, None] * right_lengths[:, None, :]
            found = found.transpose(1, 2, 0)
            # Rounding alone takes a correlation beyond 1.
            np.clip(found, -1, 1, out=found)
            result[np.ix_(firsts, seconds)] = found
            if symmetric:
                result[np.ix_(seconds, firsts)] = found.transpose(1, 0, 2)
    if symmetric:
        diagonal = np.arange(len(result))
        result[diagonal, diagonal] = np.where(np.isfinite(result[diagonal, diagonal]), 1, np.nan)
    return result


def _patterns(columns):
    """Columns with the same numbers missing: pairs (mask of the runs that are there, places of the columns)."""
    groups = {}
    for place, present in enumerate(np.isfinite(columns).T):
        groups.setdefault(present.tobytes(), (present, []))[1].append(place)
    return list(groups.values())


def _ranks(columns, places, weights, cache, kind):
    """Ranks times the root of the weights, (replicates, columns, runs), and their lengths; nan for no spread."""
    if "roots" not in cache:
        cache["roots"] = np.sqrt(weights)
    key = kind, *places
    if key not in cache:
        ranks = np.empty((weights.shape[1], len(places), len(weights)), weights.dtype)
        for number, place in enumerate(places):
            each = weighted_ranks(columns[:, place], weights)
            each *= cache["roots"]
            ranks[:, number] = each.T
        lengths = np.sqrt(np.einsum("ijk,ijk->ij", ranks, ranks))
        cache[key] = ranks, np.where(lengths > 0.1, lengths, np.nan).astype(weights.dtype)
    return cache[key]


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
        return wins / (first_weights.sum(axis=0, dtype=np.float64) * counted[-1])


def _present(values, weights):
    values = np.asarray(values, np.float64)
    present = np.isfinite(values)
    return (values, weights) if present.all() else (values[present], weights[present])
