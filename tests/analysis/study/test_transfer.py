"""Transfer of settings, and medians of cells, against direct computation."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from kerasvae.analysis.study.bootstrap import resamples
from kerasvae.analysis.study.cells import cell_medians, run_cube
from kerasvae.analysis.study.load import load
from kerasvae.analysis.study.transfer import transfer


def runs(value, settings=8, seeds=4, datasets=("dsprites", "cars3d"), metrics=("mig", "sap")):
    return [
        {"dataset": dataset, "method": "beta_vae", "strength": setting, "seed": seed}
        | {metric: value(place, setting, seed, number) for number, metric in enumerate(metrics)}
        for place, dataset in enumerate(datasets)
        for setting in range(settings)
        for seed in range(seeds)
    ]


def test_medians_of_repeated_runs():
    draws = np.random.default_rng(0)
    table = load([row for row in runs(lambda *_: draws.normal()) if draws.random() > 0.2])
    values, weights = table.column("mig"), draws.integers(0, 3, size=(len(table), 7))
    found = cell_medians(run_cube(table), values, weights)
    assert found.shape == (2, 8, 7)
    for dataset, setting, replicate in np.ndindex(found.shape):
        runs_there = (table.dataset_code == dataset) & (table.setting_code == setting)
        repeated = np.repeat(values[runs_there], weights[runs_there, replicate])
        expected = np.median(repeated) if len(repeated) else np.nan
        np.testing.assert_allclose(found[dataset, setting, replicate], expected)


def test_correlations_of_medians():
    draws = np.random.default_rng(1)
    rows = runs(lambda dataset, setting, *_: setting / 4 + draws.normal())
    result, table = transfer(load(rows), replicates=50), load(rows)
    medians = cell_medians(run_cube(table), table.column("mig"), np.ones((len(table), 1)))[..., 0]
    row = result["datasets"].row(metric="mig", dataset_a="dsprites", dataset_b="cars3d")
    assert row["estimate"] == pytest.approx(spearmanr(*medians).statistic) and row["n"] == 8
    assert row["lo"] <= row["estimate"] <= row["hi"]
    across = result["all"].row(dataset_a="dsprites", metric_a="mig", dataset_b="cars3d", metric_b="sap")
    other = cell_medians(run_cube(table), table.column("sap"), np.ones((len(table), 1)))[1, :, 0]
    first = medians[table.datasets.index("dsprites")]
    second = other if table.datasets.index("cars3d") == 1 else None
    assert across["estimate"] == pytest.approx(spearmanr(first, second).statistic)


@pytest.mark.parametrize("digits", [8, 0])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_replicates_are_scipys_correlations_of_medians(digits, missing):
    draws = np.random.default_rng(3)
    rows = runs(lambda dataset, setting, *_: round(setting / 4 + draws.normal(), digits), seeds=3)
    for row in rows:
        row["sap"] = None if draws.random() < missing else row["sap"]
    table = load(rows)
    frame = transfer(table, replicates=40)["all"]
    weights, cube = resamples(table, 40).weights(), run_cube(table)
    medians = {metric: cell_medians(cube, table.column(metric), weights) for metric in ("mig", "sap")}
    for row in frame:
        pair = [
            medians[row[f"metric_{end}"]][table.datasets.index(row[f"dataset_{end}"])].astype(np.float64)
            for end in ("a", "b")
        ]
        found = []
        for replicate in range(40):
            both = np.transpose([each[:, replicate] for each in pair])
            both = both[np.isfinite(both).all(axis=1)]
            spread = len(both) >= 3 and np.ptp(both, axis=0).min() > 0
            found.append(spearmanr(*both.T).statistic if spread else np.nan)
        expected = np.nanquantile(found, [0.025, 0.975])
        assert (row["lo"], row["hi"]) == pytest.approx(tuple(expected), abs=1e-12)


def test_a_monotone_map_transfers_and_a_reversed_one_does_the_opposite():
    def value(dataset, setting, seed, metric):
        level = np.exp(setting / 5) if dataset else float(setting)
        return -level if metric else level

    result = transfer(load(runs(value)), replicates=2)
    for metric in ("mig", "sap"):
        assert result["datasets"].row(metric=metric, dataset_a="dsprites", dataset_b="cars3d")["estimate"] == 1
    assert result["metrics"].row(dataset="cars3d", metric_a="mig", metric_b="sap")["estimate"] == -1
    assert "2 of 2 correlations" in result.sentences[0]


def test_a_constant_score_has_no_correlation():
    result = transfer(
        load(runs(lambda dataset, setting, seed, metric: 0.5 if metric else float(setting))), replicates=2
    )
    assert np.isnan(result["datasets"].row(metric="sap", dataset_a="dsprites", dataset_b="cars3d")["estimate"])


def test_published_numbers_stand_beside_those_of_the_same_data_sets():
    rows = runs(lambda dataset, setting, *_: float(setting), metrics=("dci.disentanglement",))
    row = transfer(load(rows), beside="locatello2019-slides", replicates=2)["datasets"].row(
        dataset_a="dsprites", dataset_b="cars3d"
    )
    assert row["published"] == 0.64 and row["difference"] == pytest.approx(0.36)


def test_intervals_over_settings_are_those_of_resampled_settings():
    draws = np.random.default_rng(2)
    table = load(runs(lambda dataset, setting, *_: setting / 4 + draws.normal(), settings=20))
    by_seeds, by_settings = (
        transfer(table, ["mig"], over=over)["datasets"].row(dataset_a="dsprites", dataset_b="cars3d")
        for over in ("seeds", "settings")
    )
    assert by_seeds["estimate"] == by_settings["estimate"]
    assert by_settings["lo"] < by_settings["estimate"] < by_settings["hi"]


def test_there_must_be_something_to_transfer_between():
    with pytest.raises(ValueError, match="two data sets or two scores"):
        transfer(load(runs(lambda *_: 0.1, datasets=("one",), metrics=("mig",))))
    with pytest.raises(ValueError, match='over must be "seeds" or "settings"'):
        transfer(load(runs(lambda *_: 0.1)), over="datasets")
