"""Replication between studies: shifted copies, equal studies, coverage, and tables that share little or nothing."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from kerasvae.analysis.study import describe, load, replication
from kerasvae.analysis.study.frame import is_missing
from kerasvae.analysis.study.matching import matched_names, metric_key
from kerasvae.analysis.study.replication import _correlation
from kerasvae.analysis.study.table import plain_dataset


def runs(value, settings=6, seeds=5, datasets=("dsprites", "cars3d"), metrics=("mig", "sap"), **fields):
    return [
        {"dataset": dataset, "method": "beta_vae" if setting % 2 else "factor_vae", "strength": setting // 2}
        | {"seed": seed, **fields}
        | {metric: value(place, setting, seed, number) for number, metric in enumerate(metrics)}
        for place, dataset in enumerate(datasets)
        for setting in range(settings)
        for seed in range(seeds)
    ]


def noise(seed, scale=1.0):
    draws = np.random.default_rng(seed)
    return lambda dataset, setting, *_: setting + scale * draws.normal()


def shifted(rows, by=0.0, factor=1.0, **fields):
    return [row | {name: factor * row[name] + by for name in ("mig", "sap")} | fields for row in rows]


@pytest.fixture(scope="module")
def rows():
    return runs(noise(0))


def test_a_shifted_copy_differs_by_the_shift(rows):
    found = replication(load({"a": shifted(rows, 100.0), "b": rows}), replicates=200)
    differences = found["differences"]
    assert len(differences) == 2 * 6 * 2 and differences["study_a"].tolist() == ["a"] * 24
    np.testing.assert_allclose(differences["estimate"], 100)
    np.testing.assert_allclose(differences["median_a"] - differences["median_b"], 100)
    assert all(differences["differs"].tolist()) and (differences["lo"] < 100).all() and (differences["hi"] > 100).all()
    assert found["shares"]["estimate"].tolist() == found["shares"]["above"].tolist() == [1.0] * 4
    np.testing.assert_allclose(found["shifts"]["estimate"], 100)
    assert (found["shifts"]["lo"] > 98).all() and found["ranks"]["estimate"].tolist() == [1.0] * 4
    assert "24 of 24 differences" in found.sentences[0]
    assert any("dsprites, is above, by +100" in line for line in found.sentences)


def test_equal_studies_differ_by_nothing(rows):
    found = replication(load({"a": rows, "b": rows}), replicates=200)
    assert not found["differences"]["estimate"].any() and not any(found["differences"]["differs"].tolist())
    assert (found["differences"]["lo"] < 0).all() and (found["differences"]["hi"] > 0).all()
    assert found["shares"]["estimate"].tolist() == [0.0] * 4 and found["shifts"]["estimate"].tolist() == [0.0] * 4
    assert not any(found["ranks"]["lower"].tolist()) and found["shared"]["both"].tolist() == [6, 6]
    assert found["shared"]["only_a"].tolist() == found["shared"]["only_b"].tolist() == [0, 0]


def test_numbers_without_noise_are_told_from_each_other_but_not_from_their_rounding():
    table = load({"a": runs(lambda *_: 0.1 + 0.2), "b": runs(lambda *_: 0.3), "c": runs(lambda *_: 0.4)})
    found = replication(table, replicates=20)
    by_pair = {(row["study_a"], row["study_b"]): row["differs"] for row in found["differences"]}
    assert by_pair == {("a", "b"): False, ("a", "c"): True, ("b", "c"): True}
    # Of settings that all tie there is no order.
    assert np.isnan(found["ranks"]["estimate"].astype(float)).all()


def test_a_reversed_copy_has_the_opposite_order(rows):
    found = replication(load({"a": shifted(rows, factor=-1.0), "b": rows}), replicates=200)
    assert found["ranks"]["estimate"].tolist() == [-1.0] * 4 and all(found["ranks"]["lower"].tolist())
    assert "more than noise of the seeds explains for 4 of 4" in " ".join(found.sentences)


def test_numbers_are_those_of_numpy_and_scipy():
    table = load({"a": runs(noise(1)), "b": runs(noise(2), seeds=7)})
    found = replication(table, ["mig"], replicates=100)
    medians = {}
    for row in found["differences"].select(dataset="cars3d"):
        for side in "ab":
            values = table.select(
                study=row[f"study_{side}"], dataset="cars3d", method=row["method"], strength=row["strength"]
            ).column("mig")
            assert row[f"median_{side}"] == pytest.approx(np.median(values)) and row[f"n_{side}"] == len(values)
            medians.setdefault(side, []).append(np.median(values))
        assert row["n"] == 5
    ranks, shifts = (found[name].row(dataset="cars3d") for name in ("ranks", "shifts"))
    assert ranks["estimate"] == pytest.approx(spearmanr(*medians.values()).statistic)
    assert shifts["estimate"] == pytest.approx(np.median(np.subtract(*medians.values())))
    largest = found["largest"].select(dataset="cars3d")["estimate"]
    expected = sorted(np.subtract(*medians.values()), key=abs)[::-1][:3]
    np.testing.assert_allclose(largest, expected)


def test_intervals_cover_and_the_seeds_of_two_studies_are_drawn_on_their_own():
    # 600 settings at once; with the same draws for both, 5 seeds would cover 93 % and 3 seeds 75 %.
    for seeds, lowest, highest in ((5, 0.95, 0.99), (3, 0.87, 0.95)):
        tables = {name: runs(noise(seed), 300, seeds, metrics=("mig",)) for seed, name in enumerate("ab")}
        found = replication(load(tables), replicates=400)
        held = 1 - np.mean(found["differences"]["differs"].tolist())
        assert lowest < held < highest


def test_the_ceiling_is_what_noise_leaves_of_a_correlation_of_1():
    draws = np.random.default_rng(0)
    medians = [draws.normal(size=40) * scale for scale in (1, 3)]
    drawn = [
        each[:, None] + scale * draws.normal(size=(40, 4000)) for each, scale in zip(medians, (0.5, 1), strict=True)
    ]
    expected = [1 - noise / each.var(ddof=1) for each, noise in zip(medians, (0.25, 1), strict=True)]
    row = _correlation(medians, drawn, True)
    assert row["ceiling"] == pytest.approx(np.sqrt(np.prod(expected)), abs=0.01) and row["lower"] is True
    assert row["lo"] < row["estimate"] < row["hi"] and row["n"] == 40
    assert is_missing(_correlation(medians, drawn, False)["ceiling"])
    noisy = [each[:, None] + 4 * draws.normal(size=(40, 99)) for each in medians]
    assert _correlation(medians, noisy, True)["ceiling"] == 0
    # Without noise, of other orders.
    one, other = (runs(lambda d, setting, *_, k=k: float((setting * k) % 11), 11) for k in (1, 3))
    rows = replication(load({"a": one, "b": other}), replicates=50)["ranks"].rows()
    assert all(row["ceiling"] == 1 and row["lower"] for row in rows)
    assert rows[0]["estimate"] == pytest.approx(spearmanr(np.arange(11), np.arange(11) * 3 % 11).statistic)


def test_the_order_of_studies_that_are_alike_is_rarely_told_from_noise():
    lower = []
    for seed in range(12):
        one, other = (runs(noise([seed, k], 4.0), 12, 5, ("one",)) for k in (0, 1))
        lower += replication(load({"a": one, "b": other}), replicates=100)["ranks"]["lower"].tolist()
    assert sum(lower) <= 2


def test_neither_the_order_of_rows_nor_the_numbers_of_seeds_matter(rows):
    other = runs(noise(3))
    expected = replication(load({"a": rows, "b": other}), replicates=50)
    draws = np.random.default_rng(0)
    mixed = {name: [part[k] for k in draws.permutation(len(part))] for name, part in (("a", rows), ("b", other))}
    found = replication(load(mixed), replicates=50)
    assert all(found[name].to_csv() == expected[name].to_csv() for name in expected)
    renamed = [row | {"seed": 1000 - row["seed"]} for row in rows]
    found = replication(load({"a": renamed, "b": other}), replicates=50)
    for name in ("differences", "ranks", "shifts"):
        np.testing.assert_array_equal(found[name]["estimate"], expected[name]["estimate"])


def test_three_studies_in_all_pairs_or_against_one(rows):
    table = load({"a": rows, "b": shifted(rows, 1.0), "c": shifted(rows, 10.0)})
    found = replication(table, ["mig"], replicates=20)["differences"]
    pairs = {(row["study_a"], row["study_b"]): row["estimate"] for row in found}
    assert pairs == pytest.approx({("a", "b"): -1, ("a", "c"): -10, ("b", "c"): -9})
    found = replication(table, ["mig"], reference="b", replicates=20)["differences"]
    pairs = {(row["study_a"], row["study_b"]): row["estimate"] for row in found}
    assert pairs == pytest.approx({("a", "b"): -1, ("c", "b"): 9})
    # Another study in the table changes nothing between two.
    alone = replication(load({"a": rows, "b": shifted(rows, 1.0)}), ["mig"], replicates=20)
    both = replication(table, ["mig"], replicates=20)["differences"].select(study_a="a", study_b="b")
    assert both.to_csv() == alone["differences"].to_csv()


def test_too_few_seeds_have_no_interval_and_one_seed_a_difference(rows):
    few = [row for row in rows if row["seed"] < (1 if row["strength"] == 0 else 5)]
    found = replication(load({"a": few, "b": rows}), ["mig"], replicates=20)
    for row in found["differences"]:
        assert (row["n"], is_missing(row["lo"]), row["differs"] is None) == (
            (1, True, True) if row["strength"] == 0 else (5, False, False)
        )
    assert found["shares"]["n"].tolist() == [4, 4] and np.isfinite(found["shifts"]["lo"]).all()
    assert "no interval for 4 of 12 shared settings" in " ".join(found.notices)
    single = replication(load({"a": [row for row in rows if row["seed"] == 2], "b": rows}), replicates=20)
    assert np.isfinite(single["differences"]["estimate"]).all() and "for want of seeds" in single.sentences[0]
    assert all(is_missing(value) for value in single["shares"]["estimate"].tolist())
    assert all(is_missing(value) for value in single["shifts"]["lo"].tolist())


def test_missing_numbers_are_left_out_and_counted(rows):
    draws = np.random.default_rng(4)
    holes = [row | {"mig": None if draws.random() < 0.3 else row["mig"], "status": "ok"} for row in rows]
    holes[0] |= {"status": "failed"}
    table = load({"a": holes, "b": rows})
    found = replication(table, replicates=50)["differences"].select(metric="mig")
    for row in found:
        part = table.ok().select(study="a", dataset=row["dataset"], method=row["method"], strength=row["strength"])
        values = part.column("mig")
        assert row["n_a"] == np.isfinite(values).sum() == row["n"] and row["n_b"] == 5
        assert row["median_a"] == pytest.approx(np.nanmedian(values))
        assert is_missing(row["lo"]) == (row["n"] < 3)
    # A setting whose numbers are all missing is not compared by this metric.
    none = [row | {"mig": None if row["strength"] == 1 else row["mig"]} for row in rows]
    found = replication(load({"a": none, "b": rows}), replicates=20)["differences"]
    assert len(found.select(metric="mig")) == 8 and len(found.select(metric="sap")) == 12


def test_settings_and_data_sets_of_one_study_only_are_counted(rows):
    more = [*runs(noise(5), settings=8, datasets=("cars3d", "mpi3d"), metrics=("mig", "dci"))]
    found = replication(load({"a": rows, "b": more}), replicates=20)
    counts = {row["dataset"]: (row["both"], row["only_a"], row["only_b"]) for row in found["shared"]}
    assert counts == {"cars3d": (6, 0, 2), "dsprites": (0, 6, 0), "mpi3d": (0, 0, 8)}
    assert set(found["differences"]["metric"].tolist()) == {"mig"} and len(found["differences"]) == 6
    assert "not compared: 6 of 'a' and 10 of 'b' settings" in " ".join(found.notices)


def test_names_that_mean_the_same():
    one = runs(noise(6), datasets=("Color-dSprites",), metrics=("mig.score@2000", "val_sap"))
    other = runs(noise(6), datasets=("color_dsprites",), metrics=("mig@2000", "sap"))
    found = replication(load({"a": one, "b": other}), replicates=20)
    assert set(found["differences"]["dataset"].tolist()) == {"Color-dSprites"}
    assert len(set(found["differences"]["metric"].tolist())) == 2
    told = " ".join(found.notices)
    assert "data set: Color-dSprites of 'a' and color_dsprites of 'b'" in told and "and sap of 'b'" in told
    # Other sizes are other metrics.
    other = runs(noise(6), datasets=("color_dsprites",), metrics=("mig@10000", "dci"))
    with pytest.raises(ValueError, match="'a' and 'b' have no metric in common on a setting"):
        replication(load({"a": one, "b": other}))


def test_names_are_matched_once():
    assert matched_names(["A-b", "c"], ["ab", "c", "d"], plain_dataset) == [("A-b", "ab"), ("c", "c")]
    assert matched_names(["A-b", "a_b"], ["ab"], plain_dataset) == []
    assert matched_names(["a_b"], ["ab", "AB"], plain_dataset) == []
    assert matched_names(["ab", "a_b"], ["ab"], plain_dataset) == [("ab", "ab")]
    assert matched_names(["!!"], ["??"], plain_dataset) == []
    assert metric_key("mig.score@2000") == metric_key("mig@2000") != metric_key("mig@2000@sampled")


def test_other_hyper_parameters_that_differ_are_told(rows):
    table = load({"a": shifted(rows, **{"hp.steps": 100}), "b": shifted(rows, 1.0, **{"hp.steps": 300000})})
    found = replication(table, replicates=20)
    assert len(found["differences"]) == 24
    assert "hp.steps differs between the studies, and is no part of a setting: 100 in 'a', 300000 in 'b'." in (
        found.notices
    )


def test_a_hyper_parameter_that_varies_is_part_of_a_setting(rows):
    both = [row | {"hp.latents": latents, "mig": row["mig"] + latents} for row in rows for latents in (5, 10)]
    found = replication(load({"a": both, "b": shifted(rows, **{"hp.latents": 10})}), ["mig"], replicates=20)
    assert len(found["differences"]) == 12
    np.testing.assert_allclose(found["differences"]["estimate"], 10)
    assert found["shared"]["only_a"].tolist() == [6, 6]
    with pytest.raises(ValueError, match=r"no setting in common on a data set: hp.latents is told of one of them"):
        replication(load({"a": both, "b": rows}))


def test_what_is_not_possible_says_why_and_describe_says_it_too(rows):
    elsewhere = runs(noise(7), datasets=("mpi3d",))
    others = [row | {"method": f"own {row['method']}"} for row in rows]
    failed = [row | {"status": "failed"} for row in rows]
    cases = {
        "at least two studies": (load(rows), "one study only"),
        "no data set in common": (load({"a": rows, "b": elsewhere}), "no data set in common"),
        "no setting in common on a data set$": (load({"a": rows, "b": others}), "no setting in common"),
        "at least two studies with runs that are ok": (load({"a": rows, "b": failed}), "one study only"),
        "holds no runs that are ok": (load(failed), "no runs that are ok"),
    }
    for message, (table, told) in cases.items():
        with pytest.raises(ValueError, match=message):
            replication(table)
        assert told in describe(table).analyses.row(analysis="replication between studies")["why_not"]
    twice = load({"a": [row | {"run_id": str(k), "seed": 1} for k, row in enumerate(rows)], "b": rows})
    assert "two runs have the same" in str(describe(twice))
    both = load({"a": rows, "b": rows, "c": elsewhere})
    assert "replication between studies" in describe(both).possible
    assert "'a' and 'c' have no data set in common: not compared." in replication(both, replicates=20).notices
    with pytest.raises(ValueError, match="reference must be one of 'a', 'b', 'c', got 'd'"):
        replication(both, reference="d")
    with pytest.raises(KeyError, match="no metric 'nothing'"):
        replication(both, ["nothing"])
    with pytest.raises(TypeError, match="must be a ResultsTable"):
        replication(rows)
    with pytest.raises(ValueError, match="replicates must be"):
        replication(both, replicates=1)


def test_a_published_study_without_seeds_stands_beside():
    own = [
        {"dataset": "dsprites", "method": "beta_vae", "strength": 4.0, "strength_name": "beta", "seed": seed}
        | {"loss.kl": 26.0 + seed, "aam": 0.6}
        for seed in range(3)
    ]
    found = replication(load({"mine": own, "poster": "dubois2019-poster"}), replicates=20)
    row = found["differences"].row(metric="loss.kl")
    assert row["n_b"] == 1 and is_missing(row["lo"]) and row["median_b"] == pytest.approx(0.025 * 999.02, rel=1e-4)
    assert found["shared"].row()["only_b"] == 4


def test_a_study_without_a_name(rows):
    named = [row | {"study": "theirs"} for row in shifted(rows, 1.0)]
    found = replication(load([row | {"study": None} for row in rows] + named), ["mig"], replicates=20)
    assert found["differences"]["study_a"].tolist()[0] == "" and "the study without a name" in found.sentences[0]
