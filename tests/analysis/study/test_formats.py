"""Files of other programs: folders of experiments, and disentanglement_lib's aggregated results."""

import json

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
        done = {"mig": number / 10, "dci": number / 20, "best_mig": 1, "reconstruction_loss": 20, "kl_loss": 5,
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
        assert table.find("loss.reconstruction") == "reconstruction_loss" and table.role("best_mig").role == "part"
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
            (folder / "scores.json").write_text(json.dumps({"final": {"mig": 0.5, "dci": 0.25, "kl_loss": 3.0}}))
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
