"""Scores against downstream tasks: closed forms, an independent partial correlation, omissions, published numbers."""

import itertools

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from kerasvae.analysis.study.bootstrap import resamples
from kerasvae.analysis.study.downstream import downstream_correlations
from kerasvae.analysis.study.efficiency import task_label, with_efficiency
from kerasvae.analysis.study.learning_curves import learning_curves, terciles
from kerasvae.analysis.study.load import load
from kerasvae.analysis.study.partial import partial_spearman
from kerasvae.analysis.study.published import SCORES, TASKS, published_table

RNG = np.random.default_rng(1)
FAST = {"replicates": 60}
SIZES = (10, 100, 1000)


def runs(datasets=("dsprites", "cars3d"), strengths=3, seeds=5, noise=0.0, **columns):
    """Accuracies that rise with a quality, and scores that are functions of it, or of noise."""
    lines = []
    for dataset in datasets:
        for strength in range(strengths):
            for seed in range(seeds):
                quality = RNG.random()
                line = {"dataset": dataset, "method": "beta_vae", "strength": strength, "seed": seed}
                line |= {"mig": quality**3, "sap": -quality, "dci.disentanglement": quality + noise * RNG.normal()}
                line |= {"modularity": 0.5, "loss.reconstruction": RNG.random(), "downstream.chance": 0.2}
                for predictor in ("lr", "gbt"):
                    for place, size in enumerate(SIZES):
                        accuracy = 0.3 + 0.2 * place + 0.1 * quality + 0.01 * noise * RNG.normal()
                        line[f"downstream.{predictor}.{size}"] = accuracy
                lines.append(line | {name: made(quality) for name, made in columns.items()})
    return lines


def test_monotone_reversed_and_constant():
    analysis = downstream_correlations(load(runs()), **FAST)
    frame = analysis["correlations"].select(dataset="dsprites", task="downstream.gbt.100")
    for metric, expected, sign in (("mig", 1, "+"), ("sap", -1, "−")):
        row = frame.row(metric=metric)
        assert row["estimate"] == pytest.approx(expected) and row["n"] == 15 and row["sign"] == sign
        assert row["lo"] == pytest.approx(expected, abs=1e-6) == pytest.approx(row["hi"], abs=1e-6)
    constant = frame.row(metric="modularity")
    assert np.isnan(constant["estimate"]) and np.isnan(constant["lo"]) and constant["sign"] is None
    # (0.5 + q) / (0.7 + q) rises with q, and so it does when chance is subtracted.
    for task in ("downstream.lr.efficiency.100.1000", "downstream.lr.efficiency_above_chance.100.1000"):
        assert analysis["correlations"].row(dataset="cars3d", metric="mig", task=task)["estimate"] == pytest.approx(1)
    mean = analysis["over_datasets"].row(metric="sap", task="downstream.lr.10")
    assert mean["estimate"] == mean["highest"] == pytest.approx(-1) and mean["signs"] == "dsprites −, cars3d −"
    assert "nan" not in str(analysis) and any("partly built in" in notice for notice in analysis.notices)
    without = downstream_correlations(load(runs()), ["mig", "sap"], **FAST)
    assert not any("partly built in" in notice for notice in without.notices)


def test_correlations_are_scipys():
    table = load(runs(noise=1))
    frame = downstream_correlations(table, ["dci.disentanglement"], **FAST)["correlations"]
    part = table.select(dataset="cars3d")
    expected = spearmanr(part.column("dci.disentanglement"), part.column("downstream.lr.1000")).statistic
    assert frame.row(dataset="cars3d", task="downstream.lr.1000")["estimate"] == pytest.approx(expected)


def residuals(values, given):
    """What is left of ranks when their regression on the ranks of `given` is subtracted."""
    values, given = rankdata(values), rankdata(given)
    design = np.column_stack([np.ones(len(given)), given])
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_partial_correlations_are_of_residuals_of_ranks(missing):
    rng = np.random.default_rng(2)
    given = rng.normal(size=80)
    rows = given[:, None] + rng.normal(size=(80, 2))
    columns = np.round(given[:, None] + rows[:, :1] + rng.normal(size=(80, 3)), 1)
    for values in (given, rows, columns):
        values[rng.random(values.shape) < missing] = np.nan
    weights = np.column_stack([np.ones(80), rng.integers(0, 4, 80)])
    found = partial_spearman(rows, columns, given, weights)
    for (a, b, replicate), value in np.ndenumerate(found):
        again = np.repeat(np.arange(80), weights[:, replicate].astype(int))
        triples = np.column_stack([rows[again, a], columns[again, b], given[again]])
        first, second, third = triples[np.isfinite(triples).all(axis=1)].T
        expected = np.corrcoef(residuals(first, third), residuals(second, third))[0, 1]
        assert value == pytest.approx(expected, abs=1e-12)


def test_partial_correlations_of_what_is_given_are_undefined():
    given = RNG.normal(size=30)
    rows, columns = np.column_stack([np.exp(given), RNG.normal(size=30)]), RNG.normal(size=(30, 1))
    found = partial_spearman(rows, columns, given, np.ones((30, 2), np.float32))[:, 0]
    assert np.isnan(found[0]).all() and np.isfinite(found[1]).all()
    assert np.isnan(partial_spearman(rows, columns, np.ones(30), np.ones((30, 1)))).all()


@pytest.mark.parametrize("third", ["whole", "missing too"])
def test_both_correlations_of_what_is_missing_in_part(third, monkeypatch):
    lines, rng = runs(datasets=("d",), strengths=4, seeds=6, noise=1), np.random.default_rng(4)
    for line in lines:
        for name in ("mig", "sap", "downstream.lr.10", "downstream.lr.100", "downstream.gbt.10"):
            line[name] = None if rng.random() < 0.15 else round(line[name], 1)
        line["loss.reconstruction"] = None if third != "whole" and rng.random() < 0.15 else rng.random()
    table, names = load(lines), ("downstream.lr.10", "downstream.lr.100", "downstream.gbt.10", "downstream.gbt.100")

    def ranked_again(*_):
        raise AssertionError("where the third number is whole one ranking serves both")

    if third == "whole":
        monkeypatch.setattr("kerasvae.analysis.study.downstream.partial_spearman", ranked_again)
    analysis = downstream_correlations(table, ["mig", "sap"], names, **FAST)
    monkeypatch.undo()
    for metric, task in itertools.product(("mig", "sap"), names):
        triples = table.columns([metric, task, "loss.reconstruction"])
        pairs = triples[np.isfinite(triples[:, :2]).all(axis=1)]
        row = analysis["correlations"].row(metric=metric, task=task)
        assert row["n"] == len(pairs) and row["estimate"] == pytest.approx(spearmanr(*pairs.T[:2]).statistic)
        first, second, given = triples[np.isfinite(triples).all(axis=1)].T
        row = analysis["given"].row(metric=metric, task=task)
        expected = np.corrcoef(residuals(first, given), residuals(second, given))[0, 1]
        assert row["n"] == len(given) and row["estimate"] == pytest.approx(expected, abs=1e-12)
        weights = resamples(table, **FAST).weights().astype(np.float64)
        replicated = partial_spearman(triples[:, :1], triples[:, 1:2], triples[:, 2], weights)[0, 0]
        lo, hi = np.nanquantile(replicated, [0.025, 0.975])
        assert (row["lo"], row["hi"]) == pytest.approx((lo, hi), abs=1e-5)


def test_correlation_that_is_of_the_information_kept_alone_is_gone_given_it():
    lines, rng = runs(datasets=("d",), strengths=6, seeds=20), np.random.default_rng(3)
    for line in lines:
        error = line["loss.reconstruction"] = rng.normal()
        line["mig"], line["downstream.gbt.1000"] = rng.normal() - 2 * error, rng.normal() - 2 * error
    analysis = downstream_correlations(load(lines), ["mig"], ["downstream.gbt.1000"], replicates=300)
    pooled, given = analysis["correlations"].row(metric="mig"), analysis["given"].row(metric="mig")
    assert pooled["lo"] > 0.4 and given["lo"] < 0 < given["hi"] and given["given"] == "loss.reconstruction"
    by_kl = load([{**line, "loss.kl": -line["loss.reconstruction"]} for line in lines])
    by_kl = downstream_correlations(by_kl, ["mig"], ["downstream.gbt.1000"], given="loss.kl", **FAST)["given"]
    assert by_kl.row(metric="mig")["estimate"] == pytest.approx(given["estimate"])


def test_efficiency_is_a_ratio_of_accuracies():
    lines = runs(datasets=("d",), strengths=1, seeds=4)
    lines[0] |= {"downstream.lr.100": 0.3, "downstream.lr.1000": 0.6}
    lines[1] |= {"downstream.lr.1000": 0.1}
    lines[2] |= {"downstream.lr.1000": None}
    table = with_efficiency(load(lines))
    ratio, above = (
        table.column(f"downstream.lr.{name}.100.1000") for name in ("efficiency", "efficiency_above_chance")
    )
    assert ratio[0] == pytest.approx(0.5) and above[0] == pytest.approx(0.25)
    # No better than chance: a ratio to it is none. Missing: missing.
    assert ratio[1] > 1 and np.isnan(above[1]) and np.isnan(ratio[2])
    assert table.role("downstream.lr.efficiency.100.1000").role == "downstream"
    assert with_efficiency(table).metrics == table.metrics
    told = with_efficiency(load([{**line, "downstream.chance": None} for line in lines]), {"d": 0.2})
    np.testing.assert_array_equal(told.column("downstream.lr.efficiency_above_chance.100.1000"), above)
    without = with_efficiency(load([{**line, "downstream.chance": None} for line in lines]))
    assert not any("above_chance" in metric for metric in without.metrics)
    for chance, error in ((1.5, ValueError), ("0.1", TypeError), ({"d": 0}, ValueError)):
        with pytest.raises(error, match="chance must be"):
            with_efficiency(table, chance)


def test_efficiency_takes_the_sizes_of_each_data_set():
    lines = runs()
    for line in lines:
        if line["dataset"] == "dsprites":
            line |= {"downstream.gbt.10000": 0.9}
        else:
            line |= {"downstream.gbt.100": None}
    table = with_efficiency(load(lines))
    found = {metric for metric in table.metrics if metric.startswith("downstream.gbt.efficiency.")}
    assert found == {"downstream.gbt.efficiency.10.1000", "downstream.gbt.efficiency.100.10000"}
    assert np.isnan(table.column("downstream.gbt.efficiency.100.10000")[table.dataset == "cars3d"]).all()


def test_labels_of_tasks():
    assert task_label("downstream.gbt.1000") == "GBT1000"
    assert task_label("downstream.lr.efficiency.100.1000") == "Efficiency (LR, 100/1000)"
    assert task_label("downstream.lr.efficiency_above_chance.10.50@sampled") == (
        "Efficiency (LR, 10/50, above chance) (sampled)"
    )


def test_share_of_runs_near_chance():
    lines = runs(datasets=("d",))
    for line in lines[:3]:
        line["downstream.gbt.1000"] = 0.23
    frame = downstream_correlations(load(lines), **FAST)["near_chance"]
    row = frame.row(predictor="gbt")
    assert row["estimate"] == pytest.approx(3 / 15) and row["n"] == 15 and row["samples"] == 1000
    assert frame.row(predictor="lr")["estimate"] == 0 and row["chance"] == pytest.approx(0.2)
    unknown = downstream_correlations(load([{**line, "downstream.chance": None} for line in lines]), **FAST)
    assert not len(unknown["near_chance"]) and any("Chance is not known" in notice for notice in unknown.notices)


def test_learning_curves_of_terciles():
    lines = runs(datasets=("d",), strengths=6)
    frame = downstream_correlations(load(lines), by="dci.disentanglement", **FAST)["learning_curves"]
    accuracy = np.sort([line["downstream.gbt.100"] for line in lines])
    for tercile, part in zip(("lowest", "middle", "highest"), np.split(accuracy, 3), strict=True):
        row = frame.row(predictor="gbt", samples=100, tercile=tercile)
        quartiles = np.quantile(part, (0.25, 0.5, 0.75))
        assert [row["lower"], row["estimate"], row["upper"]] == pytest.approx(quartiles)
        assert row["n"] == 10 and row["chance"] == 0.2 and row["metric"] == "dci.disentanglement"
        assert part[0] <= row["lo"] <= row["estimate"] <= row["hi"] <= part[-1]
    assert set(learning_curves(load(lines), **FAST)["metric"]) == {"mig"}
    constant = learning_curves(load(lines), "modularity", **FAST)
    assert not len(constant) and "no terciles of Modularity" in constant.notices[0]


def test_terciles_keep_equal_values_together():
    assert terciles(np.array([3.0, 1.0, 2.0])).tolist() == [2, 0, 1]
    assert terciles(np.array([1.0, 1.0, 1.0, 1.0, 2.0, 3.0])).tolist() == [1, 1, 1, 1, 2, 2]
    assert terciles(np.ones(5)) is None and terciles(np.arange(2.0)) is None
    assert np.bincount(terciles(RNG.random(100))).tolist() in ([33, 34, 33], [34, 33, 33], [33, 33, 34])


def test_claims():
    analysis = downstream_correlations(load(runs()), ["mig", "dci.disentanglement", "modularity"], **FAST)
    claims = analysis["claims"].rows()
    assert [claim["met"] for claim in claims] == [True, True, False]
    assert claims[0]["estimate"] == 1 and claims[0]["n"] == 4 and claims[2]["dataset"] is None
    assert "4 of 4 correlations have an interval above 0" in analysis.sentences[0]
    reversed_ = downstream_correlations(load(runs()), ["sap"], **FAST)["claims"].rows()
    assert [claim["met"] for claim in reversed_] == [False, False, True]
    few = downstream_correlations(load(runs(seeds=2)), ["mig"], **FAST)["claims"].rows()
    assert [claim["met"] for claim in few] == [None, None, None]


def test_published_numbers_stand_beside():
    published = published_table("locatello2019-slides", "downstream_correlations")
    assert published.matrix("metric", "task")[2].shape == (len(SCORES), len(TASKS)) == (6, 10)
    lines = runs()
    for line in lines:
        line["downstream.gbt.10000"] = line["downstream.gbt.1000"] + RNG.random()
    frame = downstream_correlations(load(lines), beside="locatello2019-slides", **FAST)["correlations"]
    for task, expected in (("downstream.gbt.10000", 0.87), ("downstream.gbt.efficiency.100.10000", 0.47)):
        row = frame.row(dataset="dsprites", metric="mig", task=task)
        assert row["published"] == expected and row["difference"] == pytest.approx(row["estimate"] - expected)
    assert np.isnan(frame.select(dataset="cars3d")["published"]).all()
    assert np.isnan(frame.select(task="downstream.lr.efficiency.100.1000")["published"]).all()


def test_order_of_rows_form_and_labels_of_seeds_change_nothing():
    lines = runs(noise=1)
    table = load(lines)
    frames = {name: frame.to_csv() for name, frame in downstream_correlations(table, **FAST).items()}
    shuffled = [dict(sorted(line.items(), key=lambda item: RNG.random())) for line in lines]
    RNG.shuffle(shuffled)
    for other in (load(shuffled), load(table.to_long())):
        assert {name: frame.to_csv() for name, frame in downstream_correlations(other, **FAST).items()} == frames
    relabelled = downstream_correlations(load([line | {"seed": 9 - 2 * line["seed"]} for line in lines]), **FAST)
    for name, frame in downstream_correlations(table, **FAST).items():
        if name == "claims" or not len(frame):  # claims are shares of intervals, which are of other draws
            continue
        np.testing.assert_allclose(relabelled[name]["estimate"], frame["estimate"], atol=1e-12)


def test_missing_lines_one_seed_and_one_run_are_no_error():
    lines = load(runs(noise=1)).to_long()
    table = load(lines.where(np.flatnonzero(RNG.random(len(lines)) > 0.1)))
    analysis = downstream_correlations(table, **FAST)
    assert np.isfinite(analysis["correlations"].select(metric="mig")["estimate"]).all()
    counts = analysis["correlations"]["n"], analysis["given"]["n"]
    assert (counts[1] <= counts[0]).all() and counts[1].sum() < counts[0].sum()
    one_seed = downstream_correlations(load(runs(seeds=1)), **FAST)
    assert np.isnan(one_seed["correlations"]["lo"]).all() and len(one_seed["learning_curves"])
    single = downstream_correlations(load(runs(datasets=("d",))[:1]), **FAST)
    assert np.isnan(single["correlations"]["estimate"]).all() and not len(single["learning_curves"])


def test_collapsed_runs_and_studies():
    lines = runs(datasets=("d",), noise=1)
    for line in lines:
        line |= {"kl.z0": 2.0}
    lines[0]["kl.z0"] = 0.0
    analysis = downstream_correlations(load({"a": load(lines), "b": load(runs())}), **FAST)
    assert set(analysis["correlations"]["study"]) == {"a", "b"} and set(analysis["without_collapsed"]["study"]) == {"a"}
    row = analysis["without_collapsed"].row(metric="mig", task="downstream.gbt.100")
    expected = downstream_correlations(load(lines[1:]), **FAST)["correlations"]
    assert row["n"] == 14
    assert row["estimate"] == pytest.approx(expected.row(metric="mig", task="downstream.gbt.100")["estimate"])


def test_what_is_not_possible_says_why():
    table = load(runs())
    with pytest.raises(ValueError, match="downstream tasks"):
        downstream_correlations(table.select(metrics=["mig"]), **FAST)
    with pytest.raises(ValueError, match="scores: at least 1"):
        downstream_correlations(table.select(metrics=["downstream.lr.10"]), **FAST)
    with pytest.raises(KeyError, match="no metric 'fid'"):
        downstream_correlations(table, given="fid", **FAST)
    with pytest.raises(ValueError, match="no accuracies"):
        learning_curves(table.select(metrics=["mig"]), **FAST)
    with pytest.raises(ValueError, match="no runs that are ok"):
        downstream_correlations(table.where(np.zeros(len(table), bool)))
    few = downstream_correlations(table.select(metrics=["mig", "downstream.lr.10"]), **FAST)
    assert {"No sample efficiency", "No partial correlations"} <= {notice.split(":")[0] for notice in few.notices}
