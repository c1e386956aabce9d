"""Runs laid out as data set x setting x seed, and medians over seeds for all replicates at once."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.table import ResultsTable


def run_cube(part: ResultsTable) -> np.ndarray:
    """The run of every data set, setting and seed, int64 (data sets, settings, seeds); -1 where there is none.

    Args:
        part: runs of one study.

    Raises:
        ValueError: two runs of a setting with the same seed on a data set.
    """
    cube = np.full((len(part.datasets), len(part.settings), len(part.seeds)), -1)
    places = part.dataset_code, part.setting_code, part.seed_code
    cube[places] = np.arange(len(part))
    if (cube >= 0).sum() < len(part):
        twice = np.flatnonzero(cube[places] != np.arange(len(part)))[0]
        raise ValueError(
            f"two runs have the same data set, setting and seed: {part.dataset[twice]}, "
            f"{part.settings[part.setting_code[twice]].label}, seed {part.seed[twice]}"
        )
    return cube


def values_of(cube: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of runs laid out as `run_cube`, nan where there is no run."""
    if not len(values):
        return np.full(cube.shape, np.nan)
    return np.where(cube >= 0, values[cube], np.nan)


def cell_medians(cube: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Median over seeds, linear between the two in the middle, (data sets, settings, replicates); nan without runs.

    Args:
        cube: of `run_cube`.
        values: of the runs, (runs,), nan where missing.
        weights: how many times each run counts, (runs, replicates).
    """
    laid_out = values_of(cube, values).reshape(-1, cube.shape[-1])
    order = np.argsort(laid_out, axis=1, kind="stable")  # nan last
    ordered = np.take_along_axis(laid_out, order, axis=1)
    runs = np.take_along_axis(cube.reshape(laid_out.shape), order, axis=1)
    counted = weights[runs] * np.isfinite(ordered)[:, :, None]
    counted = np.cumsum(counted, axis=1, dtype=np.float32)
    total = counted[:, -1]
    # The median of repeated values lies between those at places (total - 1) / 2, rounded down and up; the value at
    # place p is the first whose running count exceeds p.
    low, high = (
        np.minimum((counted <= np.maximum(place, 0)[:, None]).sum(axis=1), laid_out.shape[1] - 1)
        for place in (np.floor((total - 1) / 2), np.ceil((total - 1) / 2))
    )
    medians = (np.take_along_axis(ordered, low, axis=1) + np.take_along_axis(ordered, high, axis=1)) / 2
    return np.where(total > 0, medians, np.nan).reshape(*cube.shape[:2], -1)


def row_medians(values: np.ndarray) -> np.ndarray:
    """Median of each row, nan where all is missing; much faster than `numpy.nanmedian` on small arrays."""
    ordered, count = np.sort(values, axis=1), np.isfinite(values).sum(axis=1)
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    rows, last = np.arange(len(values)), values.shape[1] - 1
    low, high = ordered[rows, np.maximum((count - 1) // 2, 0)], ordered[rows, np.minimum(count // 2, last)]
    return np.where(count > 0, (low + high) / 2, np.nan)
