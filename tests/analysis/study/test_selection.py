"""Odds of a choice on tables where they can be worked out by hand or by counting all trials."""

import itertools

import numpy as np
import pytest

from kerasvae.analysis.study.load import load
from kerasvae.analysis.study.selection import selection_odds


def runs(value, settings=6, seeds=4, datasets=("one", "two"), metrics=("mig", "sap")):
    """Runs whose scores are `value(dataset, setting, seed, metric)`, datasets and metrics by their place."""
    return [
        {"dataset": dataset, "method": "beta_vae", "strength": setting, "seed": seed}
        | {metric: value(place, setting, seed, number) for number, metric in enumerate(metrics)}
        for place, dataset in enumerate(datasets)
        for setting in range(settings)
        for seed in range(seeds)
    ]


def noise(seed=0):
    draws = np.random.default_rng(seed)
    return lambda *_: draws.normal()


def counted(rows, data, metric, tie):
    """The expectation over trials by going through all of them, for the rule of one seed."""
    datasets = sorted({row["dataset"] for row in rows})
    seeds = sorted({row["seed"] for row in rows})
    found = []
    for source, target in itertools.product(datasets, repeat=2):
        for by, judged in itertools.product(("mig", "sap"), repeat=2):
            if (source == target) != (data == "same") or (by == judged) != (metric == "same"):
                continue
            for seed in seeds:
                of_seed = [row for row in rows if row["dataset"] == source and row["seed"] == seed]
                best = max(row[by] for row in of_seed)
                winners = [row["strength"] for row in of_seed if row[by] == best]
                chances = []
                for strength in winners:
                    opponents = [row[judged] for row in rows if row["dataset"] == target]
                    for row in rows:
                        if (row["dataset"], row["strength"]) != (target, strength):
                            continue
                        if source == target and row["seed"] == seed:
                            continue
                        wins = [1.0 if row[judged] > other else tie * (row[judged] == other) for other in opponents]
                        chances.append(np.mean(wins))
                found.append(np.mean(chances))
    return np.mean(found)


@pytest.mark.parametrize("digits", [8, 0], ids=["different values", "many ties"])
def test_the_exact_odds_are_the_mean_over_all_trials(digits):
    draws = np.random.default_rng(1)
    rows = runs(lambda dataset, setting, *_: round(setting / 3 + draws.normal(), digits), settings=4, seeds=3)
    frame = selection_odds(load(rows), replicates=20).select(rule="best of one seed")
    assert len(frame) == 8
    for row in frame:
        tie = {"wins": 1.0, "half": 0.5}[row["ties"]]
        assert row["estimate"] == pytest.approx(counted(rows, row["data"], row["metric"], tie), abs=1e-6)


def test_scores_that_a_setting_fixes():
    """100 % with >=, 100 - 50 / G % with half-wins, of G settings."""
    frame = selection_odds(load(runs(lambda dataset, setting, *_: float(setting), settings=10)), replicates=20)
    np.testing.assert_allclose(frame.select(ties="wins")["estimate"], 1, atol=1e-6)
    np.testing.assert_allclose(frame.select(ties="half")["estimate"], 0.95, atol=1e-6)
    np.testing.assert_allclose(frame.select(ties="wins")["baseline"], 0.55)
    np.testing.assert_allclose(frame.select(ties="half")["baseline"], 0.5)
    assert (frame["lo"] <= frame["estimate"]).all() and (frame["hi"] >= frame["estimate"]).all()


def test_a_constant_score_chooses_at_random():
    frame = selection_odds(load(runs(lambda *_: 0.3)), replicates=20)
    np.testing.assert_allclose(frame.select(ties="wins")["estimate"], 1)
    np.testing.assert_allclose(frame.select(ties="half")["estimate"], 0.5)


def test_pure_noise_gives_one_half():
    found = [selection_odds(load(runs(noise(seed), seeds=5)), replicates=2).select(ties="half") for seed in range(30)]
    for kind in itertools.product(("same", "other"), repeat=2):
        odds = [frame.row(rule="best of one seed", data=kind[0], metric=kind[1])["estimate"] for frame in found]
        assert np.mean(odds) == pytest.approx(0.5, abs=3 * np.std(odds) / len(odds) ** 0.5)


def test_the_interval_of_noise_holds_one_half():
    frame = selection_odds(load(runs(noise(2), settings=8, seeds=30))).select(ties="half", rule="best of one seed")
    assert ((frame["lo"] < 0.5) & (frame["hi"] > 0.5)).sum() >= 3


def test_the_best_median_is_an_oracle():
    draws = np.random.default_rng(3)
    rows = runs(lambda dataset, setting, *_: setting / 4 + draws.normal(), settings=8, seeds=12)
    frame = selection_odds(load(rows), replicates=50).select(data="same", metric="same", ties="half")
    assert frame.row(rule="best median")["estimate"] > frame.row(rule="best of one seed")["estimate"] > 0.5


def test_trials_agree_with_the_expectation():
    draws = np.random.default_rng(4)
    table = load(runs(lambda dataset, setting, *_: setting / 3 + draws.normal()))
    exact, tried = selection_odds(table, replicates=2), selection_odds(table, trials=1500, seed=5)
    assert len(exact) == len(tried)
    for row in exact:
        other = tried.row(**{name: row[name] for name in ("rule", "data", "metric", "ties")})
        assert other["estimate"] == pytest.approx(row["estimate"], abs=0.06)


def test_intervals_of_few_trials_stay_between_0_and_1():
    value = {"noise": noise(9), "order": lambda dataset, setting, *_: float(setting)}
    for name, made in value.items():
        frame = selection_odds(load(runs(made, settings=10)), trials=12, seed=3)
        assert ((0 <= frame["lo"]) & (frame["lo"] <= frame["estimate"])).all(), name
        assert ((frame["estimate"] <= frame["hi"]) & (frame["hi"] <= 1)).all(), name
    # That each of 12 trials was won is no proof that all are.
    won = frame.select(ties="wins")
    assert (won["estimate"] == 1).all() and (won["lo"] < 0.8).all() and (won["hi"] == 1).all()


def test_opposite_scores():
    table = load(runs(lambda dataset, setting, seed, metric: float(setting if metric == 0 else -setting)))
    frame = selection_odds(table, replicates=2).select(ties="half")
    assert frame.row(rule="best median", data="same", metric="other")["estimate"] == pytest.approx(0.5 / 6)


def test_scores_of_one_family_are_no_other_scores():
    rows = runs(noise(), metrics=("dci.disentanglement", "dci.completeness"))
    frame = selection_odds(load(rows), replicates=2)
    assert set(frame["metric"]) == {"same"} and any("One score only" in notice for notice in frame.notices)


def test_one_data_set_one_seed():
    frame = selection_odds(load(runs(noise(), datasets=("one",))), replicates=2)
    assert set(frame["data"]) == {"same"} and any("One data set only" in notice for notice in frame.notices)
    with pytest.raises(ValueError, match="one seed only"):
        selection_odds(load(runs(noise(), seeds=1)))
    with pytest.raises(ValueError, match='over must be "seeds"'):
        selection_odds(load(runs(noise())), over="datasets")


def test_settings_that_the_target_lacks_take_no_part():
    """Of the best setting there is nothing on the other data set: the next best is chosen for it."""
    rows = [
        row
        for row in runs(lambda dataset, setting, *_: float(setting), settings=5)
        if (row["dataset"], row["strength"]) != ("two", 4)
    ]
    frame = selection_odds(load(rows), replicates=2).select(rule="best of one seed", data="other", ties="half")
    # 4 settings are left on both sides.
    np.testing.assert_allclose(frame["estimate"], 1 - 0.5 / 4, atol=1e-6)
    assert any("take no part" in notice for notice in frame.notices)


def test_runs_that_are_missing_break_nothing():
    draws = np.random.default_rng(6)
    rows = [row for row in runs(noise(7), seeds=6) if draws.random() > 0.1]
    frame = selection_odds(load(rows), replicates=20)
    assert len(frame) == 16 and np.isfinite(frame["estimate"]).all()


def test_names_of_seeds_and_order_of_rows_change_nothing():
    rows = runs(noise(8))
    other = [row | {"seed": 50 - row["seed"]} for row in rows[::-1]]
    first, second = (selection_odds(load(each), replicates=2) for each in (rows, other))
    np.testing.assert_allclose(first["estimate"], second["estimate"], atol=1e-6)
