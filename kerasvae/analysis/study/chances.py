"""Chances that the better choice loses: the best setting by its seed, the best method by its strengths and seeds."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.bootstrap import jackknife_interval
from kerasvae.analysis.study.cells import row_medians
from kerasvae.analysis.study.table import METHOD_LABELS
from kerasvae.analysis.study.weighted import win_rate


def chances_of(draws, part, runs, metric) -> list[dict]:
    """The rows of `chances` of `variance_shares` on one data set and metric.

    Args:
        draws: Resamples of the runs of a study.
        part: its table.
        runs: those of a data set that have the metric, indices.
        metric: its name.
    """
    values, sign = part.column(metric)[runs], part.role(metric).sign or 1
    rows = []
    losing = _best_setting_loses(sign * values, part.setting_code[runs], part.seed_code[runs])
    if losing is not None and len(losing[0]):
        by_seed, best, middle = losing
        count = len(by_seed)
        left_out = (by_seed.sum() - by_seed) / (count - 1) if count > 1 else by_seed
        ends = jackknife_interval(by_seed.mean(), left_out, bounds=(0, 1)) if draws.possible else (np.nan, np.nan)
        lo, hi = map(float, ends)
        rows.append(
            {
                "chance": "best setting loses",
                "first": part.settings[best].label,
                "second": part.settings[middle].label,
                "estimate": float(by_seed.mean()),
                "lo": lo,
                "hi": hi,
                "n": len(runs),
            }
        )
    methods = part.method_code[runs]
    present = np.unique(methods)
    if len(present) > 1:
        medians = {int(method): np.median(sign * values[methods == method]) for method in present}
        worst, best = min(medians, key=medians.get), max(medians, key=medians.get)
        low, high = methods == worst, methods == best

        def statistic(weights):
            return win_rate(sign * values[low], weights[low], sign * values[high], weights[high])

        estimate, lo, hi = draws.estimate(statistic, runs)
        rows.append(
            {
                "chance": "worst method wins",
                "first": _label(part.methods[worst]),
                "second": _label(part.methods[best]),
                "estimate": float(estimate),
                "lo": float(lo),
                "hi": float(hi),
                "n": int(low.sum() + high.sum()),
            }
        )
    return rows


def _best_setting_loses(values, settings, seeds):
    """The chance by seed, and the best and the middle setting of all runs; None where they cannot be told apart.

    Runs with the seed at hand have no part in naming the two settings that are compared.
    """
    if not len(values):
        return None
    grid = np.full((settings.max() + 1, seeds.max() + 1), np.nan)
    grid[settings, seeds] = values
    grid = grid[:, np.isfinite(grid).any(axis=0)]
    kept = np.flatnonzero(np.isfinite(grid).sum(axis=1) >= 2)
    if len(kept) < 3 or grid.shape[1] < 2:
        return None
    grid, found = grid[kept], []
    for seed in range(grid.shape[1]):
        best, middle = _best_and_middle(np.delete(grid, seed, axis=1))
        others = grid[middle][np.isfinite(grid[middle])]
        if np.isfinite(grid[best, seed]) and len(others):
            found.append((others > grid[best, seed]).mean() + (others == grid[best, seed]).mean() / 2)
    best, middle = _best_and_middle(grid)
    return np.array(found), int(kept[best]), int(kept[middle])


def _best_and_middle(grid):
    """Rows of the largest and of the middle median (the lower one of two)."""
    medians = row_medians(grid)
    order = np.argsort(medians, kind="stable")
    order = order[np.isfinite(medians[order])]
    return order[-1], order[(len(order) - 1) // 2]


def _label(method: str) -> str:
    return METHOD_LABELS.get(method, method)
