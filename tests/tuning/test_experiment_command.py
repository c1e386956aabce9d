"""`kerasvae experiment --chief --role` across processes, with rows that nap in place of training."""

import csv

import pytest
from study_processes import ends

from kerasvae import cli, tuning
from kerasvae.tuning.study import only_process


@pytest.mark.slow
def test_chief_and_workers_from_the_command_line(study):
    """A worker comes before the chief, which is killed and started again; another worker wants rows of its own."""

    def start(role, *arguments):
        options = ["--scale", "small", "--out", study.folder, "--chief", study.address, "--role", role, "--timeout", 1]
        return study.call(study.program.command, "experiment", "augmented_loss", *options, *arguments)

    (study.folder / "nap").write_text("0.1")
    workers = [start("worker")]
    study.until(lambda: f"waiting for the chief at {study.address}" in study.output())
    chief = start("chief", "--workers", 0, "--rows", "1-3")
    study.until(lambda: f"waiting for workers at {study.address}" in study.output())
    workers.append(start("worker", "--rows", "1-3"))
    other = start("worker", "--rows", "3,5-6")
    study.until(lambda: study.log("end"))
    chief.kill()
    chief.join()
    ends(other, 2)
    assert "--rows must be among those of the chief, 1-3, or be left out, got 5-6" in study.output()
    ends(start("chief", "--workers", 0, "--rows", "1-3", "--resume"))
    for worker in workers:
        ends(worker)
    seeds = sorted(str(row["seed"]) for row in tuning.grids.augmented_loss("small")[:3])
    assert sorted(line[1] for line in study.log("begin")) == sorted(line[1] for line in study.log("end")) == seeds
    assert "3 of 40 rows are finished" in study.output()
    with open(study.folder / "results.csv", encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["status"] for row in table] == ["finished"] * 3 + ["missing"] * 37
    assert (study.folder / "augmented_loss.png").is_file()


def test_two_experiments_in_one_folder_at_once(tmp_path):
    with only_process(tmp_path, ".experiment.lock"), pytest.raises(RuntimeError, match="another process is searching"):
        cli.experiment.experiment(name="overlap", scale="small", out=tmp_path, quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_options_are_named_in_errors_of_data_sets(tmp_path):
    places = {"out": tmp_path / "out", "manual_dir": str(tmp_path / "none"), "data_dir": str(tmp_path)}
    with pytest.raises((ValueError, OSError), match=r"^--manual-dir must be a folder"):
        cli.experiment.experiment(name="adversarial", rows=[33], quiet=True, **places)
    # Nothing was run, so that the same command is not refused for want of --resume.
    assert not (tmp_path / "out" / "study.json").exists()
