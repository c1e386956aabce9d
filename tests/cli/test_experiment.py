"""`kerasvae experiment` and `kerasvae results`: arguments, a grid in parts, and what is said of it."""

import csv
import functools

import pytest

from kerasvae import cli, networks, tuning
from kerasvae.cli import experiment
from kerasvae.tuning import grids

TINY = {
    "latents": 2,
    "grid_size": 3,
    "networks": "mlp",
    "padding": "none",
    "batch_size": 4,
    "steps": 2,
    "mig_every": 2,
    "dci_every": 2,
}


@pytest.fixture
def tiny(monkeypatch, eager):
    """A grid of three rows that take no time, in place of that of 40."""
    rows = [{**row, **TINY} for row in grids.augmented_loss("small")[:3]]
    rows = [{**row, "beta_sum": row["beta"] * row["image_size"] ** 2 / 2} for row in rows]
    monkeypatch.setitem(grids.GRIDS, "augmented_loss", lambda scale, flavour: rows)
    functions = (networks.mlp_encoder, networks.mlp_decoder)
    small = tuple(functools.partial(function, hidden=(4,)) for function in functions)
    monkeypatch.setitem(networks.NETWORKS, "mlp", small)
    run = functools.partial(tuning.ExperimentRun, pictures=False)
    monkeypatch.setattr(tuning, "ExperimentRun", run)
    return rows


def table(folder):
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_grid_in_parts(tiny, tmp_path, capfd):
    out = ["augmented_loss", "--scale", "small", "--out", str(tmp_path / "study")]
    assert cli.main(["experiment", *out, "--rows", "2"]) == 0
    said = capfd.readouterr().out
    assert "row 2  framework=" in said and "mig " in said
    assert "1 of 3 rows are finished\nmissing: rows 1,3" in said
    assert [line["status"] for line in table(tmp_path / "study")] == ["missing", "finished", "missing"]
    first = (tmp_path / "study" / "rows" / table(tmp_path / "study")[1]["folder"] / "result.json").read_bytes()

    assert cli.main(["experiment", *out, "--rows", "3", "--resume", "--quiet"]) == 0
    assert capfd.readouterr().out == ""
    assert cli.main(["results", *out]) == 0
    said = capfd.readouterr().out.splitlines()
    assert said == [
        str(tmp_path / "study" / "results.csv"),
        str(tmp_path / "study" / "augmented_loss.png"),
        "2 of 3 rows are finished",
        "missing: rows 1",
    ]
    lines = table(tmp_path / "study")
    assert [line["status"] for line in lines] == ["missing", "finished", "finished"]
    assert [line["seed"] for line in lines] == [str(row["seed"]) for row in tiny]
    assert (tmp_path / "study" / "rows" / lines[1]["folder"] / "result.json").read_bytes() == first


def test_failed_rows_are_said_and_the_others_kept(tiny, tmp_path, capfd):
    tiny[0]["blur_weight"], tiny[0]["loss"], tiny[0]["blur_radius"] = 1e30, "boxblur", 7
    tiny[0]["beta"], tiny[0]["beta_sum"] = 1e30, 1e30 * 128
    tiny[0]["learning_rate"] = 1e30
    out = ["augmented_loss", "--scale", "small", "--out", str(tmp_path)]
    assert cli.main(["experiment", *out, "--rows", "1-2"]) == 1
    said = capfd.readouterr()
    assert "row 1" in said.out and "FAILED, see " in said.out
    assert "failed: rows 1\nmissing: rows 3" in said.out
    assert "1 of 2 rows failed" in said.err
    assert [line["status"] for line in table(tmp_path)] == ["failed", "finished", "missing"]


@pytest.mark.parametrize("scale", grids.SCALES)
def test_the_command_knows_the_grids(scale):
    assert {name: len(grid(scale)) for name, grid in grids.GRIDS.items()} == experiment.COUNTS[scale]
    assert experiment.SCALES == grids.SCALES and experiment.FLAVOURS == grids.FLAVOURS
    assert list(grids.GRIDS) == list(experiment.NAMES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["experiment", "other"], "invalid choice: 'other' (choose from adversarial, overlap or augmented_loss)"),
        (["experiment", "overlap", "--rows", "3-1"], "must be numbers from 1 and ranges of them, as 3,7-12, got '3-1'"),
        (["experiment", "overlap", "--rows", "0"], "must be numbers from 1"),
        (["experiment", "augmented-loss", "--rows", "39-41"], "--rows must be from 1 to 40 for augmented_loss at --sc"),
        (["experiment", "overlap", "--chief", "here"], "argument --chief: must be HOST:PORT, the port from 1 to 65535"),
        (["experiment", "overlap", "--chief", "here:99999", "--role", "chief"], "must be HOST:PORT"),
        (["experiment", "overlap", "--chief", "here:5000"], "--chief and --role go together"),
        (["experiment", "overlap", "--role", "worker"], "--chief and --role go together"),
        (["experiment", "overlap", "--chief", "a:1", "--role", "worker", "--workers", "2"], "--workers must be 1 with"),
        (["experiment", "overlap", "--workers", "0"], "--workers must be at least 1 (0 with --role chief), got 0"),
        (["experiment", "overlap", "--scale", "large"], "argument --scale: invalid choice: 'large'"),
        (["experiment", "overlap", "--flavour", "sweet"], "argument --flavour: invalid choice: 'sweet'"),
        (["experiment", "overlap", "--out", "{begun}"], "already holds an experiment; go on with --resume"),
        (["results", "overlap", "--out", "{new}"], "holds no experiment; run one with `kerasvae experiment overlap`"),
    ],
)
def test_wrong_arguments(tmp_path, capfd, arguments, message):
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "study.json").write_text("{}")
    places = {"begun": tmp_path / "begun", "new": tmp_path / "new"}
    with pytest.raises(SystemExit) as caught:
        cli.main([argument.format(**places) for argument in arguments])
    assert caught.value.code == 2
    assert message in capfd.readouterr().err


def test_folders_are_named_after_the_grid(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(["results", "overlap", "--scale", "small", "--flavour", "authors"])
    assert "'runs/overlap-small-authors' holds no experiment" in capfd.readouterr().err


def test_results_of_another_experiment_are_refused(tmp_path, capfd):
    (tmp_path / "study.json").write_text("{}")
    assert cli.main(["results", "overlap", "--out", str(tmp_path)]) == 2
    assert "--out: " in (said := capfd.readouterr().err) and "holds no experiment" in said
    tuning.experiment_tables.begin_experiment(tmp_path, "adversarial", "small", "corrected", grids.adversarial("small"))
    assert cli.main(["results", "overlap", "--out", str(tmp_path)]) == 2
    assert "holds the experiment 'adversarial', not 'overlap'" in capfd.readouterr().err
