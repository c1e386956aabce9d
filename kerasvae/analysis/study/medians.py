"""Medians over seeds of every setting."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.bootstrap import FEWEST_SEEDS, REPLICATES, resamples
from kerasvae.analysis.study.cells import cell_medians, run_cube, values_of
from kerasvae.analysis.study.correlations import check_metrics
from kerasvae.analysis.study.frame import Frame
from kerasvae.analysis.study.table import ResultsTable


def setting_medians(table: ResultsTable, metrics=None, *, replicates: int = REPLICATES, seed: int = 1) -> Frame:
    """Median over seeds of every setting, for lines of score against strength.

    Args:
        table, metrics, replicates, seed: as `variance_shares`.

    Returns:
        Frame: study, dataset, metric, method, strength, setting (its label), rank (of the setting in its method, from
        0), estimate, lo, hi, n.

    Raises:
        ValueError, KeyError: as `variance_shares`.
    """
    table, metrics = check_metrics(table, metrics, 1, "scores")
    rows, notices = [], []
    for study in table.studies:
        part = table.select(study=study)
        draws = resamples(part, replicates, seed)
        notices += draws.notices
        ranks, cube = _ranks_in_method(part), run_cube(part)
        for metric in metrics:
            values = part.column(metric)
            estimate, lo, hi = draws.estimate(
                lambda weights, cube=cube, values=values: cell_medians(cube, values, weights)
            )
            counts = np.isfinite(values_of(cube, values)).sum(axis=2)
            for place, dataset in enumerate(part.datasets):
                for at in np.flatnonzero((cube[place] >= 0).any(axis=1)).tolist():
                    setting, enough = part.settings[at], counts[place, at] >= FEWEST_SEEDS
                    rows.append(
                        {
                            "study": study,
                            "dataset": dataset,
                            "metric": metric,
                            "method": setting.method,
                            "strength": setting.strength,
                            "setting": setting.label,
                            "rank": ranks[at],
                            "estimate": float(estimate[place, at]),
                            "lo": float(lo[place, at]) if enough else np.nan,
                            "hi": float(hi[place, at]) if enough else np.nan,
                            "n": int(counts[place, at]),
                        }
                    )
    columns = "study dataset metric method strength setting rank estimate lo hi n".split()
    return Frame.from_rows(rows, columns, title="Medians over seeds", notices=list(dict.fromkeys(notices)))


def _ranks_in_method(part):
    ranks, seen = [], {}
    for setting in part.settings:
        ranks.append(seen.get(setting.method, 0))
        seen[setting.method] = ranks[-1] + 1
    return ranks
