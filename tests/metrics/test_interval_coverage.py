"""The 95 % intervals of scores hold the mean score of samples of that size; `recipes/score_intervals.py` at length."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import kerasvae as kv

PATH = Path(__file__).parents[2] / "recipes" / "score_intervals.py"
SPEC = importlib.util.spec_from_file_location("score_intervals", PATH)
score_intervals = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(score_intervals)


# Where many resamples take long; the recipe has figures of these.
LONG = "beta_vae_score dci distance_correlations explicitness flatness irs mutual_information_score sap".split()
NAMES = [*score_intervals.ROWS, *score_intervals.ALONE, *score_intervals.POSTERIORS, *score_intervals.CHOSEN]


def test_every_score_has_figures():
    names = {name.split()[0] for name in NAMES}
    assert set(kv.metrics.SCORES) <= names
    for name in NAMES:
        assert f"\n    {name}" in score_intervals.__doc__


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name not in LONG])
def test_intervals_hold_the_mean_of_the_score(name):
    of = score_intervals.of_choices if name in score_intervals.CHOSEN else score_intervals.of_rows
    values, intervals, _ = of(name, samples=60, trials=25, resamples=40, seed=1)
    mean = values.mean()
    covered = np.mean((intervals[:, 0] <= mean) & (mean <= intervals[:, 1]))
    assert 0.8 <= covered <= 1
    # Neither by being endless: the intervals are some four standard deviations wide.
    assert np.mean(intervals[:, 1] - intervals[:, 0]) < 6 * values.std()
