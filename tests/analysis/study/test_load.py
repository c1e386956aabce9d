"""Anybody's results as a table: forms, names of columns, round trips, and hostile input."""

import numpy as np
import pytest

from kerasvae.analysis.study import MetricRole, ResultsTable, describe, load, register_metric, role_of
from kerasvae.analysis.study import roles as roles_module

RNG = np.random.default_rng(2)


def runs(**more):
    return [
        {
            "dataset": dataset,
            "method": method,
            "strength": strength,
            "strength_name": "beta",
            "seed": seed,
            "hp.latent_dim": latents,
            "mig": RNG.random(),
            "mig@sampled": RNG.random(),
            "unsup.gaussian_tc": RNG.random(),
            **more,
        }
        for dataset in ("noisy_dsprites", "dsprites")
        for method in ("factor_vae", "beta_vae")
        for strength in (16, 1.0, 4)
        for latents in (6, 10)
        for seed in (3, 1, 2)
    ]


def write(path, text):
    path.write_text(text)
    return path


def test_a_list_of_runs():
    table = load(runs())
    assert isinstance(table, ResultsTable) and len(table) == 72
    assert table.datasets == ("dsprites", "noisy_dsprites") and table.methods == ("beta_vae", "factor_vae")
    assert table.seeds == (1, 2, 3) and table.seeds_per_setting == (3, 3) and table.complete
    assert table.metrics == ("mig", "mig@sampled", "unsup.gaussian_tc")
    assert table.varying == ("latent_dim",) and len(table.settings) == 12
    assert table.settings[0].label == "beta_vae beta=1, latent_dim=6"
    assert table.metrics_of("score") == ["mig"] and table.metrics_of("score", "sampled") == ["mig@sampled"]
    assert not table.notices and table.non_finite == 0
    assert (table.counts()["ok"] == 3).all() and len(table.counts()) == 24


def test_round_trips_are_exact(tmp_path):
    lines = runs(note="kept", status="ok")
    lines[0] |= {"mig": None, "mig@sampled": None, "unsup.gaussian_tc": None, "status": "failed"}
    lines[1] |= {"strength": "auto", "seed": 12, "mig": None}
    table = load([line | {"sap": None} for line in lines])
    assert table.labels["note"].tolist() == ["kept"] * 72 and "sap" in table.metrics
    long = table.to_long()
    assert load(long).equals(table) and load(load(long).to_wide()).equals(table)
    assert load(long.to_csv(tmp_path / "long.csv")).equals(table)
    assert load(table.to_wide().to_csv(tmp_path / "wide.csv")).equals(table)
    assert load(tmp_path / "long.csv").to_long().to_csv() == long.to_csv()
    assert load(long).fingerprint == table.fingerprint
    assert not load(lines[:-1]).equals(table)


def test_hyper_parameters_that_follow_from_others_are_no_setting():
    lines = [
        line | {"hp.lambda_d": 10 * line["strength"], "hp.steps": 30 if line["dataset"] == "dsprites" else 20}
        for line in runs()
    ]
    assert load(lines).varying == ("latent_dim",)


def test_parts_of_a_table():
    table = load(runs())
    part = table.select(dataset="dsprites", method=["beta_vae"], strength=(1, 4), metrics=["mig"])
    assert len(part) == 12 and part.metrics == ("mig",) and part.varying == ("latent_dim",)
    assert set(part.settings) < set(table.settings)
    assert len(table.select(setting=table.settings[0])) == 6
    more = table.with_metrics({"sap": np.arange(72.0)})
    assert more.metrics == ("mig", "mig@sampled", "sap", "unsup.gaussian_tc") and more.column("sap")[5] == 5
    with pytest.raises(KeyError, match="no metric 'fid'"):
        table.column("fid")
    assert table.find("mig") == "mig" and table.find("sap") is None


def test_names_of_a_sweep():
    columns = {
        "params_model": ["beta_vae", "beta_vae", "factor_vae"],
        "params_beta": [4, 4, None],
        "params_gamma": [None, None, 10],
        "params_lr": [1e-4, 1e-4, 1e-4],
        "user_attrs_s": ["1", "2.0", 1],
        "state": ["COMPLETE", "FAIL", "TrialState.COMPLETE"],
        "val_mig": [0.1, 0.2, 0.3],
        "duration": ["1s", "2s", "3s"],
    }
    table = load(columns, {"method": "params_model", "seed": "user_attrs_s", "metrics": {"mig": "val_mig"}})
    assert table.metrics == ("mig",) and table.datasets == ("data",)
    assert table.strength.tolist() == [4, 4, 10] and table.strength_name.tolist() == ["beta", "beta", "gamma"]
    assert table.status.tolist() == ["ok", "failed", "ok"] and table.hyper_parameters["lr"].tolist() == [1e-4] * 3
    assert len(table.ok()) == 2 and any("1 of 3 runs are not ok" in notice for notice in table.notices)
    assert any("'state' is taken for the status" in notice for notice in table.notices)
    guessed = load(
        {name: values for name, values in columns.items() if name != "params_gamma"}, {"seed": "user_attrs_s"}
    )
    assert guessed.metrics == ("val_mig",) and guessed.methods == ("beta_vae", "factor_vae")
    assert guessed.find("mig") == "val_mig" and not any("Unknown" in notice for notice in guessed.notices)
    unknown = load({"model": ["vae"] * 2, "seed": [1, 2], "val_fun": [1, 2], "notes": ["", None]})
    assert any("Unknown metrics" in notice and "val_fun." in notice for notice in unknown.notices)
    assert unknown.metrics_of("score") == ["val_fun"] and "notes" in unknown.metrics
    assert guessed.labels["duration"].tolist() == ["1s", "2s", "3s"]


def test_constants_and_long_columns_of_other_names():
    lines = [
        {"run": f"{seed}", "model": "vae", "s": seed, "what": what, "kind": kind, "v": seed}
        for seed in (1, 2)
        for what, kind in (("mig", "mean"), ("mig", "sampled"), ("sap", ""))
    ]
    columns = {"run_id": "run", "seed": "s", "metric": "what", "representation": "kind", "value": "v"}
    table = load(lines, columns, constants={"dataset": "dsprites", "strength": 1}, study="mine")
    assert table.metrics == ("mig", "mig@sampled", "sap") and table.run_id.tolist() == ["1", "2"]
    assert table.studies == ("mine",) and table.datasets == ("dsprites",) and table.strength.tolist() == [1, 1]


def test_a_data_frame():
    class DataFrame:
        columns = ("method", "seed", "mig")

        def to_dict(self, kind):
            assert kind == "list"
            return {"method": ["vae"] * 2, "seed": [np.int64(1), np.int64(2)], "mig": [0.5, float("nan")]}

    table = load(DataFrame())
    assert table.seeds == (1, 2) and table.non_finite == 0 and np.isnan(table.column("mig")[1])


def test_pandas_there_and_back():
    pandas = pytest.importorskip("pandas")
    table = load(runs())
    assert load(pandas.DataFrame(runs())).metrics == table.metrics
    assert load(table.to_wide().to_pandas()).equals(table)


def test_studies_are_stacked_by_name(tmp_path):
    table = load(runs())
    path = table.to_long().to_csv(tmp_path / "results.csv")
    both = load({"mine": path, "theirs": runs()})
    assert both.studies == ("mine", "theirs") and len(both) == 144 and not both.complete
    assert both.select(study="mine").complete
    assert (
        len(load([path, {name: values for name, values in load(runs(), study="b").to_wide()._columns.items()}])) == 144
    )
    with pytest.raises(ValueError, match="come more than once"):
        load([path, path])


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_last_line_that_is_cut_short(tmp_path, end):
    text = "method,seed,mig,sap\nvae,1,0.1,0.2\nvae,2,0.3,0.4\n"
    table = load(write(tmp_path / "half.csv", text + "vae,3,0."))
    assert len(table) == 2 and any("last line of half.csv" in notice for notice in table.notices)
    whole = load(write(tmp_path / "whole.csv", text.rstrip("\n") + end))
    assert len(whole) == 2 and any("no end" in notice for notice in whole.notices) == (end == "")
    with pytest.raises(ValueError, match=r"line 2 of .* has 2 fields, the header 4"):
        load(write(tmp_path / "middle.csv", "method,seed,mig,sap\nvae,1\nvae,2,0.3,0.4\n"))


def test_csv_of_spreadsheets(tmp_path):
    table = load(write(tmp_path / "a.csv", "\ufeffmethod;seed;mig\r\nvae;1;0.5\r\nvae;2;\r\n"))
    assert table.metrics == ("mig",) and np.isnan(table.column("mig")[1])
    table = load(
        write(tmp_path / "b.tsv", ",method\tseed\tmig\n".lstrip(",") + "vae\t1\tNA\nvae\t2\tinf\nvae\t3\tnan\n")
    )
    assert np.isnan(table.column("mig")).all() and table.non_finite == 2
    assert any("2 numbers are nan or infinite" in notice for notice in table.notices)


def test_duplicated_runs_name_the_first_five():
    lines = runs()
    with pytest.raises(ValueError) as error:
        load(lines + lines[:3])
    message = str(error.value)
    assert message.startswith("9 numbers come more than once") and message.count("seed ") == 5
    assert "and 4 more" in message and "noisy_dsprites, factor_vae, 16, seed 1: mig, mean representation" in message
    assert len(load(lines + [line | {"hp.run": 2} for line in lines])) == 144


def test_failed_attempts_of_runs_that_finished():
    failed = {"method": "vae", "seed": 1, "status": "failed", "mig": None}
    table = load([failed, failed | {"status": "ok", "mig": 0.5}, failed | {"seed": 2}])
    assert table.status.tolist() == ["ok", "failed"] and any(
        "1 runs that have finished" in note for note in table.notices
    )


def test_a_run_has_one_of_each_field():
    lines = [
        {"run_id": "a", "method": "vae", "seed": seed, "metric": metric, "value": 1}
        for seed, metric in ((1, "mig"), (2, "sap"))
    ]
    with pytest.raises(ValueError, match=r"run_id 'a' has seed 1 in row 1 and 2 in row 2"):
        load(lines)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ([], {}, "at least one run"),
        ({}, {}, "must have columns"),
        ([{"mig": 1, "seed": 1}], {}, "no column 'method'"),
        ([{"mig": 1, "method": "vae"}], {}, "no column 'seed'"),
        ([{"mig": 1, "method": "vae", "seed": 1.5}], {}, "whole numbers, got 1.5 in row 1"),
        ([{"mig": 1, "method": "vae", "seed": None}], {}, "whole numbers, got None"),
        ([{"mig": 1, "method": "", "seed": 1}], {}, "method must not be empty: it is in row 1"),
        ([{"mig": "high", "method": "vae", "seed": 1}], {}, "mig must be numbers, got 'high' in row 1"),
        ([{"metric": "", "value": 1, "method": "vae", "seed": 1}], {}, "metric must not be empty"),
        ([{"metric": "mig", "value": 1, "representation": "mode", "method": "vae", "seed": 1}], {}, "representation"),
        ([{"mig": 1, "method": "vae", "seed": 1}], {"columns": {"mig": "x"}}, "columns must name fields"),
        ([{"mig": 1, "method": "vae", "seed": 1}], {"columns": {"seed": "x"}}, "no column 'x'; there are 'mig'"),
        ([{"mig": 1, "method": "vae", "seed": 1}], {"constants": {"seed": 2}}, "has a column for it"),
        ([{"mig": 1, "method": "vae", "seed": 1}], {"constants": {"lr": 2}}, "constants must name fields"),
        ([{"mig": 1, "method": "vae", "seed": 1, "schema": 2}], {}, "version 2"),
        ({"method": ["vae"], "seed": [1, 2]}, {}, "same length"),
        ("locatello2019-slides", {}, "no runs"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood(source, options, message):
    with pytest.raises(ValueError, match=message):
        load(source, **options)


def test_other_sources(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        load(tmp_path / "nothing.csv")
    with pytest.raises(TypeError, match="must be a path"):
        load(3)
    with pytest.raises(TypeError, match="must be a MetricRole"):
        load(runs(), roles={"mig": "cost"})
    for text, message in (("", "empty"), ("a,a\n1,2\n", "same name: 'a'")):
        with pytest.raises(ValueError, match=message):
            load(write(tmp_path / "bad.csv", text))
    write(tmp_path / "later.csv.schema", "2\n")
    with pytest.raises(ValueError, match="says version '2'"):
        load(write(tmp_path / "later.csv", "method,seed\n"))


def test_tables_without_runs_and_all_failed(tmp_path):
    empty = load(write(tmp_path / "empty.csv", "method,seed,mig\n"))
    assert len(empty) == 0 and not empty.complete and not describe(empty).possible
    assert "no runs that are ok" in str(describe(empty))
    failed = load(runs(status="crashed"))
    assert len(failed.ok()) == 0 and "72 failed" in str(describe(failed)) and not describe(failed).possible
    assert load(empty.to_wide()).equals(empty)


def test_description_says_what_is_possible_and_why_not():
    description = describe(load([line for line in runs() if line["dataset"] == "dsprites"]))
    text = str(description)
    assert "36 runs, 36 ok." in text and "beta_vae: beta 1, 4, 16 (18 runs)." in text
    assert "12 settings, 3 seeds each; the grid is complete." in text and "latent_dim" in text
    assert "shares of method, strength and seed" in description.possible
    reasons = {row["analysis"]: row["why_not"] for row in description.analyses}
    assert reasons["selection and transfer between data sets"] == "one data set only"
    assert reasons["correlation of scores"] == "fewer than 2 scores"
    assert reasons["total correlation of mean and sampled codes"] == "no unsup.gaussian_tc of mean and sampled codes"
    assert "one data set only" in description._repr_html_()


def test_warnings_on_borders_and_saturation():
    lines = runs()
    for line in lines:
        line["mig"], line["sap"] = line["strength"] / 16, min(1, line["strength"] / 4 + 0.01 * line["seed"])
        line["mig"] += 0.001 * line["seed"]
    text = str(describe(load(lines)))
    assert "SAP on dsprites: 67% of the runs have its largest value" in text
    for line in lines:
        line["sap"] = line["mig"]
    assert "beta_vae on dsprites: beta=16, the end of its range" in str(describe(load(lines)))


@pytest.mark.parametrize(
    ("metric", "role", "sign", "canonical", "family"),
    [
        ("mig.score@2000@sampled", "score", 1, "mig", "mig"),
        ("dci.completeness", "score", 1, "dci.completeness", "dci"),
        ("dci", "score", 1, "dci.disentanglement", "dci"),
        ("mig.per_factor.0", "part", 0, "mig.per_factor.0", "mig"),
        ("beta_vae_score.train_accuracy", "part", 0, "beta_vae_score.train_accuracy", "beta_vae_score"),
        ("loss.elbo", "unsupervised", -1, "loss.elbo", "loss"),
        ("loss.regulariser", "unsupervised", -1, "loss.regulariser", "loss"),
        ("kl_loss", "unsupervised", 0, "loss.kl", "loss"),
        ("downstream.gbt.1000", "downstream", 1, "downstream.gbt.1000", "downstream"),
        ("kl.z3", "part", 0, "kl.z3", "kl"),
        ("val_loss", "unsupervised", -1, "loss.total", "loss"),
        ("SAP", "score", 1, "sap", "sap"),
        ("elbo", "unsupervised", 1, "elbo", "elbo"),
        ("seconds", "cost", -1, "seconds", "seconds"),
        ("val_fid", "score", 1, "val_fid", "val_fid"),
    ],
)
def test_roles(metric, role, sign, canonical, family):
    found = role_of(metric)
    assert (found.role, found.sign) == (role, sign) and found.known == (metric != "val_fid")
    assert roles_module.canonical(metric) == canonical and roles_module.family(metric) == family


def test_roles_can_be_added(monkeypatch):
    monkeypatch.setattr(roles_module, "_EXTENSIONS", {})
    table = load([line | {"fid": 1.0} for line in runs()], roles={"fid": MetricRole("unsupervised", "lower", "FID")})
    assert table.metrics_of("unsupervised") == ["unsup.gaussian_tc", "fid"] and table.label("fid") == "FID"
    assert not table.notices
    register_metric("probe.", "downstream", "higher", "Probe")
    assert role_of("probe.size").role == "downstream" and role_of("fid").role == "score"
    with pytest.raises(ValueError, match="role must be one of"):
        register_metric("fid", "loss")
