"""Comparison of methods against SciPy and against counting."""

import itertools

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, trim_mean

from kerasvae.analysis.study.comparison import (
    EVERY,
    OPTIMISTIC,
    TUNED,
    aggregates,
    compare_methods,
    interquartile_mean,
)
from kerasvae.analysis.study.load import load


def runs(value, methods=("beta_vae", "factor_vae"), strengths=3, seeds=5, datasets=("one", "two")):
    return [
        {"dataset": dataset, "method": method, "strength": strength, "seed": seed}
        | {"mig": value(place, number, strength, seed)}
        for place, dataset in enumerate(datasets)
        for number, method in enumerate(methods)
        for strength in range(strengths)
        for seed in range(seeds)
    ]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 11, 40])
def test_the_interquartile_mean_is_scipys(count):
    values = np.random.default_rng(count).normal(size=count)
    assert interquartile_mean(values, np.ones((count, 1)))[0] == pytest.approx(trim_mean(values, 0.25))


def test_the_interquartile_mean_of_repeated_runs():
    draws = np.random.default_rng(0)
    values, weights = draws.normal(size=9), draws.integers(0, 4, size=(9, 30))
    for found, counts in zip(interquartile_mean(values, weights), weights.T, strict=True):
        assert found == pytest.approx(trim_mean(np.repeat(values, counts), 0.25))
    assert np.isnan(interquartile_mean([np.nan], np.ones((1, 2)))).all()


def test_mean_median_and_optimality_gap():
    draws = np.random.default_rng(4)
    values, weights = draws.uniform(0, 1, size=9), draws.integers(0, 4, size=(9, 30)).astype(float)
    _, means, medians, gaps = aggregates(np.append(values, np.nan), np.vstack([weights, np.ones(30)]))
    for place, counts in enumerate(weights.T.astype(int)):
        repeated = np.repeat(values, counts)
        assert means[place] == pytest.approx(repeated.mean())
        assert medians[place] == pytest.approx(np.median(repeated))
        assert gaps[place] == pytest.approx((1 - repeated).mean())
    # Of scores in per cent there is none.
    assert np.isnan(aggregates(100 * values, weights)[3]).all()


def test_scores_of_runs_together_and_by_data_set():
    draws = np.random.default_rng(1)
    rows = runs(lambda *_: draws.random())
    frame = compare_methods(load(rows), replicates=100)["scores"].select(of=EVERY, statistic="iqm")
    for row in frame:
        values = [
            each["mig"]
            for each in rows
            if each["method"] == row["method"] and row["dataset"] in ("all", each["dataset"])
        ]
        assert row["estimate"] == pytest.approx(trim_mean(values, 0.25)) and row["n"] == len(values)
        assert row["lo"] <= row["estimate"] <= row["hi"]
    assert len(frame) == 6


def test_the_probability_of_improvement_is_mann_and_whitneys():
    draws = np.random.default_rng(2)
    rows = runs(lambda dataset, method, *_: round(draws.normal() + method, 1))
    frame = compare_methods(load(rows), replicates=100)["improvement"].select(of=EVERY)
    found = {}
    for dataset in ("one", "two"):
        first, second = (
            [row["mig"] for row in rows if (row["method"], row["dataset"]) == (method, dataset)]
            for method in ("beta_vae", "factor_vae")
        )
        found[dataset] = mannwhitneyu(first, second).statistic / len(first) / len(second)
    found["all"] = np.mean(list(found.values()))
    for dataset, expected in found.items():
        there = frame.row(dataset=dataset, first="beta_vae", second="factor_vae")
        back = frame.row(dataset=dataset, first="factor_vae", second="beta_vae")
        assert there["estimate"] == pytest.approx(expected) and back["estimate"] == pytest.approx(1 - expected)
        assert there["lo"] == pytest.approx(1 - back["hi"])
    assert found["all"] < 0.35 and there["evidence"] is True


def test_wins_counted_by_seed_are_those_counted_by_run(monkeypatch):
    draws = np.random.default_rng(5)
    rows = runs(lambda dataset, method, *_: round(draws.normal() + method / 2, 1))
    rows[3]["mig"] = rows[40]["mig"] = None
    table = load(rows)
    assert table.complete
    by_seed = compare_methods(table, replicates=200)["improvement"]
    monkeypatch.setattr("kerasvae.analysis.study.comparison.MOST_PAIRS", 0)
    by_run = compare_methods(table, replicates=200)["improvement"]
    assert len(by_seed) == len(by_run) == 12
    for name in ("estimate", "lo", "hi"):
        np.testing.assert_allclose(by_seed[name], by_run[name], atol=1e-12)


def test_equal_methods_are_no_evidence():
    result = compare_methods(load(runs(lambda dataset, method, strength, seed: seed / 5)), replicates=50)
    row = result["improvement"].row(dataset="all", first="beta_vae", second="factor_vae", of=EVERY)
    assert row["estimate"] == 0.5 and row["evidence"] is False
    assert "no evidence of a difference" in result.sentences[0]


def test_strengths_are_tuned_on_the_other_data_sets():
    """Strength 2 is best on the first two data sets and 0 on the third: each is judged by what the others say."""

    def value(dataset, method, strength, seed):
        return (1.0 if strength == (0 if dataset == 2 else 2) else 0.0) + 0.01 * seed

    result = compare_methods(load(runs(value, datasets=("one", "three", "two"))), replicates=20)
    scores = result["scores"].select(of=TUNED, statistic="median", method="beta_vae")
    # By place: "one" 0, "three" 1, "two" 2. The third's strength is best nowhere else; for "one" and "three" the other
    # two disagree and are tied, and the weaker strength comes first.
    found = {row["dataset"]: row["estimate"] for row in scores}
    assert found["two"] == pytest.approx(0.02)
    assert found["one"] == pytest.approx(0.02) and found["three"] == pytest.approx(0.02)


def test_with_one_data_set_the_choice_is_called_optimistic():
    rows = runs(lambda dataset, method, strength, seed: strength + 0.1 * seed, datasets=("one",))
    result = compare_methods(load(rows), replicates=20)
    row = result["scores"].row(of=OPTIMISTIC, statistic="median", method="beta_vae")
    assert row["estimate"] == pytest.approx(2.2) and row["n"] == 5
    assert any("flatters" in notice for notice in result.notices)
    plain = compare_methods(load([row for row in rows if row["strength"] == 0]), replicates=20)
    assert set(plain["scores"]["of"]) == {EVERY}


def test_profiles_count_runs_and_weigh_data_sets_alike():
    rows = runs(lambda dataset, *_: 0.25 if dataset else 0.75)
    rows = [row for row in rows if row["dataset"] == "one" or row["seed"] < 3]
    profile = compare_methods(load(rows), replicates=20)["profiles"].select(method="beta_vae")
    shares = dict(zip(np.round(profile["threshold"], 2), profile["estimate"], strict=True))
    assert (shares[0.2], shares[0.3], shares[0.8]) == (1, 0.5, 0)
    assert all(first >= second for first, second in itertools.pairwise(profile["estimate"]))


def test_runs_that_are_missing_break_nothing():
    draws = np.random.default_rng(3)
    rows = [row for row in runs(lambda *_: draws.random()) if draws.random() > 0.1]
    rows[0]["mig"] = None
    result = compare_methods(load(rows), replicates=20)
    assert np.isfinite(result["scores"]["estimate"]).all()
