"""Files of other programs: folders of experiments, and disentanglement_lib's aggregated results."""

import json
import os

import numpy as np
import pytest

from kerasvae.analysis.study import describe, load, metric_correlations

FIELDS = {"dataset": "dsprites", "framework": "betavae", "latents": 9, "loss": "mse", "steps": 100, "scale": "small"}


def row(beta, seed, **more):
    return FIELDS | {"beta": beta, "beta_sum": beta * 100, "seed": seed} | more


def results_csv(path):
    lines = []
    for number, (beta, seed) in enumerate([(0.1, 1), (0.1, 2), (1.0, 1), (1.0, 2), (1.0, 3)], start=1):
        status = {4: "failed", 5: "missing"}.get(number, "finished")
        line = {"row": number, **row(beta, seed), "status": status, "folder": f"row{number}"}
        done = {"mig": number / 10, "dci": number / 20, "best_mig": 1, "reconstruction_nats": 20, "kl_nats": 5,
                "active_latents": 9, "seconds": 3.5, "version_keras": "3.15"}  # fmt: skip
        lines.append(line | (done if status == "finished" else dict.fromkeys(done, "")))
    path.write_text("\n".join([",".join(lines[0]), *(",".join(map(str, line.values())) for line in lines)]) + "\n")


def test_the_table_of_an_experiment(tmp_path):
    results_csv(tmp_path / "results.csv")
    for source in (tmp_path, tmp_path / "results.csv"):
        table = load(source)
        assert len(table) == 4 and table.methods == ("beta_vae",) and table.strength_name[0] == "beta"
        assert table.status.tolist() == ["ok", "ok", "ok", "failed"]
        assert table.metrics_of("score") == ["mig", "dci"] and table.find("dci.disentanglement") == "dci"
        assert table.column("mig").tolist()[:3] == [0.1, 0.2, 0.3] and not table.varying
        assert table.find("loss.reconstruction") == "reconstruction_nats" and table.role("best_mig").role == "part"
        assert any("1 rows of the experiment have not begun" in notice for notice in table.notices)
        assert not any("Unknown" in notice for notice in table.notices)
    assert "correlation of scores" in describe(load(tmp_path)).possible


def test_variants_of_a_data_set_are_data_sets(tmp_path):
    lines = [
        row(0.1, 1, dataset=name, grid_spacing=spacing, mig=0.5) for name, spacing in (("xy", 8), ("xy", 4), ("ds", 4))
    ]
    (tmp_path / "results.csv").write_text(
        "\n".join([",".join(lines[0]), *(",".join(map(str, line.values())) for line in lines)])
    )
    table = load(tmp_path)
    assert table.datasets == ("ds", "xy grid_spacing=4", "xy grid_spacing=8") and not table.varying


def test_an_experiment_without_its_table(tmp_path):
    for beta, seed, state in ((0.1, 1, "done"), (0.1, 2, "done"), (1.0, 1, "failed"), (1.0, 2, "begun")):
        folder = tmp_path / "rows" / f"beta={beta},seed={seed}"
        folder.mkdir(parents=True)
        (folder / "settings.json").write_text(json.dumps(row(beta, seed) | {"steps_per_epoch": 10}))
        if state == "done":
            result = {"row": row(beta, seed), "metrics": {"mig": 0.5, "best_mig": 0.6}, "seconds": 2.0}
            (folder / "result.json").write_text(json.dumps(result))
            (folder / "scores.json").write_text(json.dumps({"final": {"mig": 0.5, "dci": 0.25, "kl_nats": 3.0}}))
        if state == "failed":
            (folder / "error.txt").write_text("Traceback")
    (tmp_path / "rows" / "unreadable").mkdir()
    table = load(tmp_path)
    assert table.status.tolist() == ["ok", "ok", "failed", "running"]
    assert table.column("dci").tolist()[:2] == [0.25, 0.25] and table.column("mig")[0] == 0.5
    assert any("rows/unreadable" in notice for notice in table.notices)


def test_a_study_of_rows(tmp_path):
    (tmp_path / "results.csv").write_text(
        "beta,latents,seed,val_mig,status,seconds\n1,9,1,0.5,COMPLETED,2\n1,9,2,,FAILED,\n"
    )
    table = load(tmp_path, constants={"method": "beta_vae"})
    assert table.strength.tolist() == [1, 1] and table.status.tolist() == ["ok", "failed"]
    with pytest.raises(ValueError, match="no column 'method'"):
        load(tmp_path)
    with pytest.raises(ValueError, match="holds no results"):
        (tmp_path / "nothing").mkdir()
        load(tmp_path / "nothing")


def evaluation(method, strength, seed, results, function, representation="mean", **more):
    own = {"beta_vae": "vae.beta", "factor_vae": "factor_vae.gamma"}[method]
    return {
        "train_config.model.name": f"'{method}'",
        f"train_config.{own}": str(strength),
        "train_config.model.random_seed": str(seed),
        "train_config.model.training_steps": "300000",
        "train_config.dataset.name": "'dsprites_full'",
        "train_results.elbo": 40.0 + seed,
        "train_results.uuid": "abc",
        "postprocess_config.postprocess.postprocess_fn": f"@{representation}_representation",
        "evaluation_config.evaluation.evaluation_fn": f"@{function}",
        **{f"evaluation_results.{name}": value for name, value in results.items()},
        **more,
    }


@pytest.fixture
def records():
    found = []
    for method, strength in (("beta_vae", 4.0), ("factor_vae", 10.0)):
        for seed in (0, 1, 2):
            found += [
                evaluation(method, strength, seed, {"discrete_mig": 0.1 * seed, "elapsed_time": 3.0}, "mig"),
                evaluation(method, strength, seed, {"discrete_mig": 0.2 * seed}, "mig", "sampled"),
                evaluation(method, strength, seed, {"eval_accuracy": 0.9, "train_accuracy": 1.0}, "beta_vae_sklearn"),
                evaluation(method, strength, seed, {"eval_accuracy": 0.8}, "factor_vae_score"),
                evaluation(method, strength, seed, {"disentanglement": 0.3, "completeness": 0.2}, "dci"),
                evaluation(
                    method, strength, seed, {"100:mean_test_accuracy": 0.6, "100:mean_train_accuracy": 1.0},
                    "downstream_task", **{"evaluation_config.predictor.predictor_fn": "@gradient_boosting_classifier"},
                ),
            ]  # fmt: skip
    return found


@pytest.mark.parametrize("form", ["columns", "rows", "list", "lines"])
def test_aggregated_results_of_disentanglement_lib(tmp_path, records, form):
    names = list(dict.fromkeys(name for record in records for name in record))
    text = {
        "columns": json.dumps({name: {str(n): r.get(name) for n, r in enumerate(records)} for name in names}),
        "rows": json.dumps({str(number): record for number, record in enumerate(records)}),
        "list": json.dumps(records),
        "lines": "\n".join(map(json.dumps, records)),
    }[form]
    (tmp_path / "results.json").write_text(text)
    table = load(tmp_path / "results.json")
    assert len(table) == 6 and table.datasets == ("dsprites",) and table.seeds == (0, 1, 2) and table.complete
    assert table.metrics == (
        "beta_vae_score", "factor_vae_score", "mig", "mig@sampled", "dci.disentanglement", "dci.completeness",
        "loss.elbo", "downstream.gbt.100",
    )  # fmt: skip
    assert [setting.label for setting in table.settings] == ["beta_vae beta=4", "factor_vae gamma=10"]
    np.testing.assert_allclose(table.column("mig@sampled"), [0, 0.2, 0.4] * 2)
    assert table.column("loss.elbo").tolist() == [40, 41, 42] * 2 and table.column("beta_vae_score")[0] == 0.9
    assert len(metric_correlations(table, replicates=10)["correlations"]) == 25


def test_json_that_is_damaged(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text('{"method": "vae", "seed": 1, "mig": 0.5}\n{"method": "vae", "se')
    table = load(path)
    assert len(table) == 1 and any("cut short" in notice for notice in table.notices)
    path.write_text('{"method": "vae", "se\n{"method": "vae", "seed": 1}\n')
    with pytest.raises(ValueError, match="is no JSON"):
        load(path)
    path.write_text("[1, 2]")
    with pytest.raises(ValueError, match="list of dictionaries"):
        load(path)


DAMAGES = {
    "empty": ("result.json", b"", "result.json' is damaged, or no JSON"),
    "cut": ("result.json", b'{"row": {"se', "result.json' is damaged, or no JSON"),
    "binary": ("result.json", bytes(range(256)), "result.json' is damaged, or no JSON"),
    "a list": ("result.json", b"[1]", r"result.json must hold an object, it holds \[1\]"),
    "nothing": ("result.json", b"null", "result.json must hold an object, it holds None"),
    "deep": ("result.json", b"[" * 100_000, "result.json' is no JSON that can be read: it is nested too deeply"),
    "no row": ("result.json", b"{}", "result.json has no row"),
    "row of another kind": ("result.json", b'{"row": [1]}', r"row in result.json must be an object, it is \[1\]"),
    "metrics": (
        "result.json",
        b'{"row": {"seed": 1}, "metrics": 3}',
        "metrics in result.json must be an object, it is 3",
    ),
    "a seed": ("result.json", b'{"row": {"seed": "x"}}', "seed in result.json must be a whole number, it is 'x'"),
    "a strength": (
        "result.json",
        b'{"row": {"beta": [1]}}',
        r"beta in result.json must be a number or text, it is \[1",
    ),
    "final": ("scores.json", b'{"final": [1]}', r"final in scores.json must be an object, it is \[1\]"),
    "a score": (
        "scores.json",
        b'{"final": {"mig": [1]}}',
        r"mig in result.json or scores.json must be a number, it is",
    ),
    "scores": ("scores.json", b"\0", "scores.json' is damaged, or no JSON"),
    "settings": ("settings.json", b"[1]", "settings.json must hold an object"),
}


@pytest.mark.parametrize(("name", "contents", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_one_damaged_run_is_named_and_the_others_are_read(tmp_path, name, contents, reason):
    for seed in (1, 2, 3):
        folder = tmp_path / "rows" / f"beta=1,seed={seed}"
        folder.mkdir(parents=True)
        (folder / "settings.json").write_text(json.dumps(row(1.0, seed)))
        (folder / "result.json").write_text(json.dumps({"row": row(1.0, seed), "metrics": {}, "seconds": 2.0}))
        (folder / "scores.json").write_text(json.dumps({"final": {"mig": seed / 10}}))
    assert len(load(tmp_path)) == 3
    (tmp_path / "rows" / "beta=1,seed=2" / name).write_bytes(contents)
    with pytest.warns(
        UserWarning, match=f"source: 1 of 3 runs in .* left out: rows/beta=1,seed=2 .*{reason}"
    ) as caught:
        table = load(tmp_path)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert table.column("mig").tolist() == [0.1, 0.3]
    assert any("Left out, as damaged: rows/beta=1,seed=2" in notice for notice in table.notices)


def test_nothing_but_damaged_runs(tmp_path):
    (tmp_path / "rows" / "a").mkdir(parents=True)
    os.mkfifo(tmp_path / "rows" / "a" / "result.json")
    with pytest.raises(ValueError, match=r"no settings can be read of any folder in rows/: rows/a .*result\.json"):
        load(tmp_path)
