"""Differences of matrices: from the published ones, and between studies."""

import numpy as np
import pytest

from kerasvae.analysis.study import (
    fisher_interval,
    load,
    matrix_differences,
    metric_correlations,
    published_differences,
    published_table,
    study_differences,
    transfer,
)
from kerasvae.analysis.study.frame import Frame, is_missing
from kerasvae.analysis.study.matrix_differences import published_sentences, seeds_of

SLIDES = "locatello2019-slides"


def runs(seed=0, settings=12, seeds=4, datasets=("noisy_dsprites", "dsprites"), metrics=("mig", "sap", "modularity")):
    draws = np.random.default_rng(seed)
    return [
        {"dataset": dataset, "method": "beta_vae", "strength": setting, "seed": number}
        | {metric: quality + draws.normal() for metric in metrics}
        for dataset in datasets
        for setting in range(settings)
        for number, quality in enumerate(setting / 4 + draws.normal(size=seeds))
    ]


def correlation(value, lo, hi, published=None, pair=("mig", "sap"), study="", n=50):
    row = {"study": study, "dataset": "noisy_dsprites", "metric_a": pair[0], "metric_b": pair[1], "estimate": value}
    return row | {"lo": lo, "hi": hi, "n": n} | ({} if published is None else {"published": published})


def test_published_numbers_are_subtracted_where_names_match():
    own = metric_correlations(load(runs()), beside=SLIDES, replicates=50)["correlations"]
    found = published_differences(own)
    assert set(found["dataset"].tolist()) == {"noisy_dsprites"} and len(found) == 6
    table = published_table(SLIDES, "metric_correlations")
    for row in found:
        published = table.row(metric_a=row["metric_a"], metric_b=row["metric_b"])["estimate"]
        mine = own.row(dataset="noisy_dsprites", metric_a=row["metric_a"], metric_b=row["metric_b"])
        assert row["published"] == published and row["own"] == mine["estimate"] and row["n"] == mine["n"]
        for name in ("estimate", "lo", "hi"):
            assert row[name] == pytest.approx(mine[name] - published)
        assert row["contains"] == (mine["lo"] - 0.005 <= published <= mine["hi"] + 0.005) == (not row["differs"])
    assert not len(published_differences(metric_correlations(load(runs()), replicates=2)["correlations"]))


def test_the_published_table_minus_itself_is_0():
    table = published_table(SLIDES, "metric_correlations")
    rows = [correlation(row["estimate"], row["estimate"] - 0.1, row["estimate"] + 0.1, row["estimate"],
                        (row["metric_a"], row["metric_b"])) for row in table]  # fmt: skip
    found = published_differences(Frame.from_rows(rows))
    assert len(found) == 30 and not found["estimate"].any() and all(found["contains"].tolist())
    assert not any(found["differs"].tolist())
    told = published_sentences(found, load(runs()))
    assert told == [told[0]] and "holds the published number for 15 of 15 pairs" in told[0]


@pytest.mark.parametrize(("lo", "hi", "contains"), [(0.6, 0.745, True), (0.6, 0.744, False), (0.755, 0.9, True),
                                                     (0.756, 0.9, False), (0.7, 0.8, True)])  # fmt: skip
def test_a_published_number_is_all_that_rounds_to_it(lo, hi, contains):
    row = published_differences(Frame.from_rows([correlation(0.7, lo, hi, 0.75)])).row()
    assert row["contains"] is contains and row["differs"] is not contains


def test_without_an_interval_nothing_is_told():
    row = published_differences(Frame.from_rows([correlation(0.7, np.nan, np.nan, 0.2)])).row()
    assert row["estimate"] == pytest.approx(0.5) and row["contains"] is None and row["differs"] is None
    assert "no intervals" in published_sentences(Frame.from_rows([row]), load(runs()))[0]


def test_of_sampled_codes_nothing_is_published():
    rows = [correlation(0.7, 0.6, 0.8, 0.2, ("mig@sampled", "sap@sampled")), correlation(0.7, 0.6, 0.8, 0.2)]
    assert published_differences(Frame.from_rows(rows))["metric_a"].tolist() == ["mig"]


def transferred(value, lo, hi, study="", pair=("dsprites", "cars3d"), published=0.9):
    row = {"study": study, "metric": "mig", "dataset_a": pair[0], "dataset_b": pair[1], "estimate": value, "lo": lo}
    return row | {"hi": hi, "n": 12, "published": published}


def test_noise_of_fewer_seeds_is_no_difference_of_transfer():
    below, above = (Frame.from_rows([transferred(*numbers)]) for numbers in ((0.5, 0.3, 0.6), (0.97, 0.95, 1.0)))
    assert published_differences(below).row()["differs"] is None and not published_differences(below).row()["contains"]
    assert published_differences(below, {"": 10}).row()["differs"] is None
    assert published_differences(below, {"": 30}).row()["differs"] is True
    assert published_differences(above).row()["differs"] is True
    two = Frame.from_rows([transferred(0.5, 0.3, 0.6, "a"), transferred(0.9, 0.85, 0.95, "b")])
    seeds = ({"a": 5, "b": 50}, {"a": 30, "b": 50}, {"a": 50, "b": 5}, None)
    assert [study_differences(two, seeds=each).row()["differs"] for each in seeds] == [None, True, True, None]
    assert study_differences(two, "a", {"a": 5, "b": 50}).row()["differs"] is None


def test_intervals_of_differences_are_those_of_independent_numbers():
    frame = Frame.from_rows([correlation(0.5, 0.2, 0.6, study="a"), correlation(0.3, 0.1, 0.7, study="b", n=20)])
    row = study_differences(frame).row()
    assert (row["estimate"], row["n"], row["n_a"], row["n_b"]) == (pytest.approx(0.2), 20, 50, 20)
    assert row["lo"] == pytest.approx(0.2 - np.hypot(0.3, 0.4)) and row["hi"] == pytest.approx(0.2 + np.hypot(0.1, 0.2))
    turned = study_differences(frame, reference="a").row()
    assert (turned["lo"], turned["hi"]) == pytest.approx((-row["hi"], -row["lo"])) and turned["study_a"] == "b"


def test_intervals_of_differences_cover():
    draws, rows = np.random.default_rng(0), []
    # Two samples of 60 pairs with a correlation of 0.6 each, 400 times.
    for number in range(400):
        for study in "ab":
            x, y = draws.normal(size=(2, 60))
            r = np.corrcoef(x, 0.6 * x + 0.8 * y)[0, 1]
            rows.append(correlation(r, *map(float, fisher_interval(r, 60)), study=study, pair=("x", f"y{number}")))
    found = study_differences(Frame.from_rows(rows))
    assert len(found) == 400 and 0.93 < 1 - np.mean(found["differs"].tolist()) < 0.985


def test_matrices_of_two_studies_have_no_diagonal_and_match_names():
    one = runs(1, metrics=("mig", "sap", "dci"))
    other = [row | {"dataset": {"dsprites": "dSprites"}.get(row["dataset"], row["dataset"])} for row in runs(2)]
    found = metric_correlations(load({"a": one, "b": other}), replicates=20)["correlations"]
    differences = study_differences(found)
    assert len(differences) == 4 and set(differences["metric_a"].tolist()) == {"mig", "sap"}
    assert set(differences["dataset"].tolist()) == {"dsprites", "noisy_dsprites"}
    row = differences.row(dataset="dsprites", metric_a="mig", metric_b="sap")
    sides = [
        found.row(study=study, dataset=dataset, metric_a="mig", metric_b="sap")
        for study, dataset in (("a", "dsprites"), ("b", "dSprites"))
    ]
    assert row["estimate"] == pytest.approx(sides[0]["estimate"] - sides[1]["estimate"])
    assert "data set: dsprites of 'a' and dSprites of 'b'" in " ".join(differences.notices)


def test_equal_studies_have_equal_matrices():
    table = load({"a": runs(3), "b": runs(3), "c": runs(4)})
    found = matrix_differences(table, beside=SLIDES, replicates=50)
    for name in ("correlations_between", "transfer_between"):
        same = found[name].select(study_a="a", study_b="b")
        assert len(same) and not same["estimate"].any() and not any(same["differs"].tolist())
        assert len(found[name]) == 3 * len(same) and found[name].select(study_b="c")["estimate"].any()
    assert len(found["correlations"]) == 3 * 6 and set(found["transfer"]["metric"].tolist()) <= {"dci.disentanglement"}
    assert any("a against b, dsprites: the interval of the difference holds 0 for 3 of 3" in s for s in found.sentences)
    found = matrix_differences(table, reference="c", replicates=20)
    pairs = {(row["study_a"], row["study_b"]) for row in found["correlations_between"]}
    assert pairs == {("a", "c"), ("b", "c")} and not len(found["correlations"])


def test_transfer_stands_beside_the_published_with_its_seeds():
    table = load(runs(5, metrics=("dci.disentanglement",)))
    found = matrix_differences(table, beside=SLIDES, replicates=50)
    assert [row["published"] for row in found["transfer"]] == [0.65, 0.65]
    own = transfer(table, beside=SLIDES, replicates=50)["datasets"]
    assert found["transfer"].to_csv() == published_differences(own, seeds_of(table)).to_csv()
    assert "correlations" not in found and "No correlations: scores: at least 2" in found.notices[0]
    assert "noise of few seeds" in " ".join(found.notices) and not len(found["transfer_between"])


def test_seeds_are_those_of_settings():
    rows = [row for row in runs() if row["seed"] < 3 or row["strength"] < 2]
    assert seeds_of(load({"a": rows, "b": runs()})) == {"a": 3.0, "b": 4.0}


def test_names_with_braces_and_undefined_correlations():
    rows = [row | {"{score}": 1.0} for row in runs(metrics=("mig", "{other}"))]
    found = matrix_differences(load({"{a}": rows, "b": rows}), replicates=20)
    undefined = found["correlations_between"].select(metric_a="{score}")
    assert len(undefined) and all(is_missing(value) for value in undefined["estimate"].tolist())
    assert undefined["differs"].tolist() == [None] * len(undefined)
    assert any("b against {a}" in line and "{other}" in line for line in found.sentences)


def test_what_is_not_possible_says_why():
    table = load(runs())
    for message, options in {
        "beside=.* or at least two studies are needed": {},
        "study must be one of": {"beside": "nobody2020"},
        "reference must be one of": {"beside": SLIDES, "reference": "mine"},
    }.items():
        with pytest.raises(ValueError, match=message):
            matrix_differences(table, **options)
    with pytest.raises(ValueError, match=r"No correlations: .*; No transfer: "):
        matrix_differences(load(runs(datasets=("one",), metrics=("mig",))), beside=SLIDES)
    with pytest.raises(ValueError, match="holds no runs that are ok"):
        matrix_differences(load([row | {"status": "failed"} for row in runs()]), beside=SLIDES)
    with pytest.raises(TypeError, match="must be a ResultsTable"):
        matrix_differences(runs(), beside=SLIDES)
    with pytest.raises(ValueError, match="frame must have a column 'study'"):
        study_differences(Frame({"estimate": [1.0]}))
    with pytest.raises(ValueError, match="at least two studies"):
        study_differences(metric_correlations(table, replicates=2)["correlations"])
