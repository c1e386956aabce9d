"""The 95 % intervals of scores hold the mean score of samples of that size; `recipes/score_intervals.py` at length."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

PATH = Path(__file__).parents[2] / "recipes" / "score_intervals.py"
SPEC = importlib.util.spec_from_file_location("score_intervals", PATH)
score_intervals = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(score_intervals)


@pytest.mark.parametrize("name", ["mig", "modularity", "sap continuous", "gaussian_total_correlation", "linearity"])
def test_intervals_hold_the_mean_of_the_score(name):
    of = score_intervals.of_choices if name in score_intervals.CHOSEN else score_intervals.of_rows
    values, intervals, _ = of(name, samples=60, trials=25, resamples=40, seed=1)
    mean = values.mean()
    covered = np.mean((intervals[:, 0] <= mean) & (mean <= intervals[:, 1]))
    assert 0.8 <= covered <= 1
    # Neither by being endless: the intervals are some four standard deviations wide.
    assert np.mean(intervals[:, 1] - intervals[:, 0]) < 6 * values.std()
