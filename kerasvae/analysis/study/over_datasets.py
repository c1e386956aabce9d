"""Means over data sets, with what they hide: the lowest, the highest, and the signs."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.bootstrap import Resamples

ABOVE, BELOW, UNCLEAR = "+", "−", "±"


def sign_of(lo, hi) -> str | None:
    """What an interval says: "+" above 0, "−" below, "±" both; None without an interval."""
    if not (np.isfinite(lo) and np.isfinite(hi)):
        return None
    return ABOVE if lo > 0 else BELOW if hi < 0 else UNCLEAR


def mean_rows(draws: Resamples, labels, estimates, replicates, signs=None) -> list[dict]:
    """A row for each number: its mean over the data sets where it is defined. Empty for one data set.

    Args:
        draws: of the study.
        labels: a dictionary for each number, what it is of: the start of its row, (numbers,).
        estimates: (data sets, numbers), in the order of the table's data sets, nan where undefined.
        replicates: the same in all replicates, (data sets, numbers, replicates); None without intervals.
        signs: of `sign_of`, one list (numbers,) for each data set. Default None: none are told.

    Returns:
        rows with estimate, lo, hi, lowest, highest, n (data sets), and signs ("dsprites +, cars3d −").
    """
    estimates = np.asarray(estimates, np.float64)
    if len(estimates) < 2:
        return []
    lo = hi = np.full(len(labels), np.nan)
    if replicates is not None:
        lo, hi = draws.interval(draws.mean_over_datasets(replicates))
    rows = []
    for place, label in enumerate(labels):
        there = np.isfinite(estimates[:, place])
        row = {**label, "n": int(there.sum())}
        if there.any():
            values = estimates[there, place]
            row |= {"estimate": float(values.mean()), "lo": float(lo[place]), "hi": float(hi[place])}
            row |= {"lowest": float(values.min()), "highest": float(values.max())}
        if signs is not None:
            told = zip(draws.table.datasets, signs, strict=True)
            row["signs"] = ", ".join(f"{dataset} {each[place]}" for dataset, each in told if each[place]) or None
        rows.append(row)
    return rows
