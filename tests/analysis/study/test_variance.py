"""Shares of variance on tables whose truth is known."""

import numpy as np
import pytest

from kerasvae.analysis.study.load import load
from kerasvae.analysis.study.medians import setting_medians
from kerasvae.analysis.study.variance import SHARES, shares_of, variance_shares

TRUTH = {"method": 0.37, "method and strength": 0.59, "strength": 0.22, "seed": 0.41}


def effects(draws, methods=6, strengths=6):
    """Effects of methods, and of strengths within them, that account for their share of the variance exactly."""
    method = draws.normal(size=methods)
    method = (method - method.mean()) / method.std() * TRUTH["method"] ** 0.5
    strength = draws.normal(size=(methods, strengths))
    strength -= strength.mean(axis=1, keepdims=True)
    return method[:, None] + strength / strength.std() * TRUTH["strength"] ** 0.5


def runs(seeds, draws, noise=TRUTH["seed"] ** 0.5, datasets=("one",), **options):
    table = []
    for dataset in datasets:
        for (method, strength), level in np.ndenumerate(effects(draws, **options)):
            for seed in range(seeds):
                value = level + noise * draws.normal()
                table.append(dict(dataset=dataset, method=f"m{method}", strength=strength, seed=seed, mig=value))
    return table


def arrays(table):
    methods = np.array([int(row["method"][1:]) for row in table])
    return np.array([row["mig"] for row in table]), methods, 6 * methods + [row["strength"] for row in table]


def test_shares_are_recovered_from_50_seeds():
    shares = variance_shares(load(runs(50, np.random.default_rng(0))))["shares"]
    for share, truth in TRUTH.items():
        row = shares.row(kind="adjusted", share=share)
        assert row["estimate"] == pytest.approx(truth, abs=0.03)
        assert row["lo"] < row["estimate"] < row["hi"] and row["n"] == 1800


def test_of_5_seeds_the_adjusted_share_is_unbiased_and_the_raw_one_is_not():
    found = []
    for number in range(200):
        values, methods, settings = arrays(runs(5, np.random.default_rng(number)))
        found.append(shares_of(values, methods, settings, np.ones((len(values), 1)))[..., 0])
    raw, adjusted = np.mean(found, axis=0)[:, SHARES.index("method and strength")]
    assert adjusted == pytest.approx(0.59, abs=0.01)
    assert raw > 0.65


def test_shares_are_those_of_an_analysis_of_variance():
    values, methods, settings = arrays(runs(4, np.random.default_rng(1)))
    raw, adjusted = shares_of(values, methods, settings, np.ones((len(values), 1)))[..., 0]
    total = ((values - values.mean()) ** 2).sum()
    within = sum(((values[settings == each] - values[settings == each].mean()) ** 2).sum() for each in range(36))
    assert raw[1] == pytest.approx(1 - within / total, abs=1e-12)
    assert adjusted[1] == pytest.approx(1 - within / total * (len(values) - 1) / (len(values) - 36), abs=1e-12)
    assert raw[0] + raw[2] + raw[3] == pytest.approx(1, abs=1e-12)


def test_a_weight_of_two_is_two_equal_runs():
    values, methods, settings = arrays(runs(3, np.random.default_rng(2)))
    weights = np.random.default_rng(3).integers(0, 3, size=len(values))
    again = np.repeat(np.arange(len(values)), weights)
    expected = shares_of(values[again], methods[again], settings[again], np.ones((len(again), 1)))
    np.testing.assert_allclose(shares_of(values, methods, settings, weights[:, None]), expected, rtol=1e-9)


def test_without_noise_the_seed_has_no_share_and_with_nothing_else_all():
    draws = np.random.default_rng(4)
    shares = variance_shares(load(runs(4, draws, noise=0)))["shares"]
    assert shares.row(kind="raw", share="seed")["estimate"] == pytest.approx(0, abs=1e-9)
    noise = [row | {"mig": draws.normal()} for row in runs(50, draws)]
    shares = variance_shares(load(noise))["shares"]
    # (groups - 1) / (runs - 1) of pure noise.
    assert shares.row(kind="raw", share="method and strength")["estimate"] == pytest.approx(35 / 1799, abs=0.015)
    assert shares.row(kind="adjusted", share="method and strength")["estimate"] == pytest.approx(0, abs=0.015)


def test_a_constant_score_has_no_shares():
    result = variance_shares(load([row | {"mig": 0.5} for row in runs(3, np.random.default_rng(5))]))
    assert np.isnan(result["shares"]["estimate"]).all()


def test_fewer_than_3_seeds_are_not_identifiable():
    result = variance_shares(load(runs(2, np.random.default_rng(6))))
    assert np.isnan(result["shares"]["estimate"]).all()
    assert any("not identifiable" in notice for notice in result.notices)


@pytest.mark.parametrize("noise", [0.02, 3.0])
def test_intervals_of_shares_stay_between_0_and_1(noise):
    # Hardly any noise, or hardly anything else, of few seeds: shares near 1 and near 0, adjusted ones even below.
    below, cut = 0, 0
    for number in range(10):
        rows = runs(3, np.random.default_rng(number), noise=noise, datasets=("one", "two"), methods=3, strengths=3)
        found = variance_shares(load(rows), replicates=20)
        for frame in (found["shares"], found["over_datasets"], found["common_seed"], found["chances"]):
            for row in frame:
                assert min(row["estimate"], 0) <= row["lo"] <= row["estimate"] <= row["hi"] <= max(row["estimate"], 1)
                below += row["estimate"] < 0
                cut += row["lo"] == 0 or row["hi"] == 1
    assert cut > 50 and below > 5


def test_a_seed_that_is_good_in_every_setting():
    draws = np.random.default_rng(7)
    level = draws.normal(size=8)
    rows = [row | {"mig": row["mig"] + level[row["seed"]]} for row in runs(8, draws, noise=0)]
    found = variance_shares(load(rows))["common_seed"].row(kind="raw")["estimate"]
    assert found == pytest.approx(level.var() / (level.var() + 0.59), abs=1e-9)
    none = variance_shares(load(runs(20, draws)))["common_seed"].row(kind="adjusted")["estimate"]
    assert none == pytest.approx(0, abs=0.02)
    ragged = variance_shares(load(runs(8, draws)[:-1]))
    assert len(ragged["common_seed"]) == 0


def test_chances_where_methods_do_not_overlap_and_where_they_are_the_same():
    draws = np.random.default_rng(8)
    apart = [row | {"mig": int(row["method"][1:]) + 0.1 * draws.random()} for row in runs(5, draws)]
    chances = variance_shares(load(apart))["chances"]
    worst = chances.row(chance="worst method wins")
    assert (worst["first"], worst["second"], worst["estimate"]) == ("m0", "m5", 0)
    assert chances.row(chance="best setting loses")["estimate"] == 0
    equal = [row | {"mig": 0.5} for row in apart]
    chances = variance_shares(load(equal))["chances"]
    assert chances["estimate"].tolist() == [0.5, 0.5]


def test_collapsed_runs_are_shown_apart():
    rows = runs(4, np.random.default_rng(9))
    for row in rows:
        dead = row["method"] == "m0"
        row |= {"mig": 0.0 if dead else row["mig"], "kl.z0": 0.0 if dead else 2.0}
    shares = variance_shares(load(rows), ["mig"])["shares"]
    assert set(shares["runs"]) == {"all", "not collapsed"}
    assert shares.row(runs="not collapsed", kind="raw", share="seed")["n"] == 120


def test_the_mean_over_data_sets():
    result = variance_shares(load(runs(5, np.random.default_rng(10), datasets=("one", "two", "three"))))
    mean = result["over_datasets"].row(kind="adjusted", share="seed")
    each = result["shares"].select(kind="adjusted", share="seed")
    assert mean["n"] == 3 and mean["estimate"] == pytest.approx(each["estimate"].mean())
    assert mean["hi"] - mean["lo"] < (each["hi"] - each["lo"]).max()
    assert "mean over data sets" in " ".join(result.sentences)


def test_medians_of_settings():
    rows = runs(5, np.random.default_rng(11))
    frame = setting_medians(load(rows))
    row = frame.row(method="m2", strength=3)
    values = [each["mig"] for each in rows if (each["method"], each["strength"]) == ("m2", 3)]
    assert row["estimate"] == np.median(values) and min(values) <= row["lo"] <= row["hi"] <= max(values)
    assert row["rank"] == 3 and len(frame) == 36


def test_order_of_rows_and_names_of_seeds_change_nothing():
    rows = runs(4, np.random.default_rng(12))
    other = [row | {"seed": 100 - row["seed"]} for row in rows[::-1]]
    first, second = (variance_shares(load(each)) for each in (rows, other))
    for name in ("shares", "chances", "spread"):
        for column in ("estimate", "within"):
            if column in first[name]:
                np.testing.assert_allclose(first[name][column], second[name][column], rtol=1e-9)
