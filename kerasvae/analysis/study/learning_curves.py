"""Do good representations need fewer labels? Accuracy by number of samples, for terciles of a score."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from kerasvae.analysis.study.bootstrap import REPLICATES, resamples
from kerasvae.analysis.study.correlations import check_metrics
from kerasvae.analysis.study.efficiency import accuracies, chance_of
from kerasvae.analysis.study.frame import Frame, hundredfold
from kerasvae.analysis.study.roles import canonical
from kerasvae.analysis.study.table import ResultsTable
from kerasvae.analysis.study.weighted import weighted_median, weighted_quantile

TERCILES = ("lowest", "middle", "highest")
COLUMNS = "study dataset metric predictor samples tercile estimate lo hi lower upper n chance".split()


def learning_curves(
    table: ResultsTable, by: str | None = None, *, chance=None, replicates: int = REPLICATES, seed: int = 1
) -> Frame:
    """Median accuracy by number of samples, of the third of the runs with the lowest score, the middle and the highest.

    Thirds are of the runs of a data set and held fixed by the bootstrap; runs of equal score are in the same one, so
    that they may differ in size.

    Args:
        table: runs of any number of studies, which are never pooled, with columns `downstream.lr.100` and so on.
        by: name of the score. Default: MIG where there is one, else the first.
        chance: mean over factors of 1 / number of values: a number, or {data set: number}. Default: the table's column
            `downstream.chance`.
        replicates, seed: of the bootstrap, see `kerasvae.analysis.study.bootstrap.Resamples`.

    Returns:
        Frame: study, dataset, metric (the score), predictor, samples, tercile ("lowest", "middle", "highest"), estimate
        (median over runs), lo, hi, lower and upper (quartiles of the runs: the band), n (runs), chance.

    Raises:
        ValueError: no score, no accuracies, or no runs that are ok.
        KeyError: an unknown score.
    """
    if by is None:
        scores = check_metrics(table, None, 1, "scores")[1]
        by = next((score for score in scores if canonical(score) == "mig"), scores[0])
    table, _ = check_metrics(table, [by], 1, "scores")
    tasks = accuracies(table)
    if not tasks:
        raise ValueError('learning curves: the table has no accuracies, such as "downstream.gbt.100"')
    guessing, rows, notices = chance_of(table, chance), [], []
    for study in table.studies:
        part = table.select(study=study)
        draws = resamples(part, replicates, seed)
        notices += draws.notices
        known = None if guessing is None else guessing[table.study == study]
        for place, dataset in enumerate(part.datasets):
            runs = np.flatnonzero((part.dataset_code == place) & np.isfinite(part.column(by)))
            thirds = terciles(part.column(by)[runs])
            if thirds is None:
                notices.append(f"{dataset}: no terciles of {part.label(by)}: too few runs, or all are equal.")
                continue
            for task, predictor, samples in tasks:
                for third, tercile in enumerate(TERCILES):
                    members = runs[(thirds == third) & np.isfinite(part.column(task)[runs])]
                    if not len(members):
                        continue
                    values = part.column(task)[members]
                    estimate, lo, hi = draws.estimate(
                        lambda weights, values=values: weighted_median(values, weights), members
                    )
                    once = np.ones((len(members), 1))
                    rows.append(
                        {
                            "study": study,
                            "dataset": dataset,
                            "metric": by,
                            "predictor": predictor,
                            "samples": samples,
                            "tercile": tercile,
                            "estimate": float(estimate),
                            "lo": float(lo),
                            "hi": float(hi),
                            "lower": float(weighted_quantile(values, once, 0.25)[0]),
                            "upper": float(weighted_quantile(values, once, 0.75)[0]),
                            "n": len(members),
                            "chance": np.nan if known is None else float(known[members].mean()),
                        }
                    )
    formats = dict.fromkeys(("estimate", "lo", "hi", "lower", "upper", "chance"), hundredfold)
    title = f"Accuracy by number of samples, for thirds of the runs by {table.label(by)}, %"
    return Frame.from_rows(rows, COLUMNS, title=title, formats=formats, notices=list(dict.fromkeys(notices)))


def terciles(values) -> np.ndarray | None:
    """The third that each value is in, 0..2, (runs,); equal values in one. None below 3 values or where all are equal.

    Args:
        values: (runs,), none missing.
    """
    if len(values) < 3 or np.ptp(values) == 0:
        return None
    # Average ranks lie strictly within 0..1 here, so that none falls beyond the last third.
    return np.floor(3 * (rankdata(values) - 0.5) / len(values)).astype(int)
