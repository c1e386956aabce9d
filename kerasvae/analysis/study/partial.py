"""What is left of a correlation when a third number is held fixed."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.weighted import spearman_between

# 1 - r² below which nothing is left of a column, given the third; replicates are float32.
_SPENT = 1e-6


def partial_spearman(rows, columns, given, weights) -> np.ndarray:
    """Spearman's partial correlation of every column of one array with every column of another, given a third.

    Of the runs that have all three numbers: the correlation of what is left of the two columns' ranks when their linear
    regressions on the ranks of `given` are subtracted.

    Args:
        rows: float (runs, first metrics), nan where missing.
        columns: float (runs, second metrics).
        given: float (runs,).
        weights: how many times each run counts, (runs, replicates).

    Returns:
        (first metrics, second metrics, replicates), float64; nan where one of the three is constant, one of the two is
        a monotone function of `given`, or fewer than 3 runs have all.

    Source: the usual partial correlation (r_xy - r_xz r_yz) / sqrt((1 - r_xz²) (1 - r_yz²)), of ranks.
    """
    rows, columns, given = (np.asarray(each, np.float64) for each in (rows, columns, given))
    result = np.full((rows.shape[1], columns.shape[1], weights.shape[1]), np.nan)
    for first_runs, firsts in _patterns(rows):
        for second_runs, seconds in _patterns(columns):
            there = first_runs & second_runs & np.isfinite(given)
            if there.any():
                left, right = (
                    np.column_stack([each[there][:, places], given[there]])
                    for each, places in ((rows, firsts), (columns, seconds))
                )
                part = weights if there.all() else weights[there]
                result[np.ix_(firsts, seconds)] = without_last(spearman_between(left, right, part))
    return result


def without_last(correlations) -> np.ndarray:
    """Partial correlations given the last row and column, which are of the same third number.

    Args:
        correlations: (first metrics + 1, second metrics + 1, replicates), of the same runs.

    Returns:
        (first metrics, second metrics, replicates), float64.
    """
    correlations = np.asarray(correlations, np.float64)
    with_rows, with_columns = correlations[:-1, -1:], correlations[-1:, :-1]
    spare_rows, spare_columns = 1 - with_rows**2, 1 - with_columns**2
    possible = (spare_rows > _SPENT) & (spare_columns > _SPENT)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (correlations[:-1, :-1] - with_rows * with_columns) / np.sqrt(spare_rows * spare_columns)
    return np.where(possible, np.clip(found, -1, 1), np.nan)


def _patterns(columns):
    """Columns with the same numbers missing: pairs (mask of the runs that are there, places of the columns)."""
    groups = {}
    for place, present in enumerate(np.isfinite(columns).T):
        groups.setdefault(present.tobytes(), (present, []))[1].append(place)
    return groups.values()
