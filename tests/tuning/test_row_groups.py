"""Rows trained together: which go together, that each is done once whatever happens, and that results are the same."""

import functools
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import kerasvae as kv
from kerasvae import cli, files, runs, tuning
from kerasvae.tuning import grids
from kerasvae.tuning.results import row_folder
from kerasvae.tuning.row_groups import RowGroups
from kerasvae.tuning.rows import check_rows

jax_alone = pytest.mark.skipif(keras.config.backend() != "jax", reason="rows are trained together on JAX alone")
ROWS = tuning.rows(loss=["mse", "blur"], seed=[1, 2, 3])


class Run:
    """Scores a row without training, and remembers what it did; rows of one loss can go together."""

    def __init__(self, rows_per_device=2, fails=(), fails_together=False):
        self.rows_per_device, self.fails, self.fails_together = rows_per_device, list(fails), fails_together
        self.done = []

    def together(self, row):
        return row["loss"]

    def train_together(self, rows, folders, verbose):
        self.done.append([name(row) for row in rows])
        if self.fails_together:
            raise MemoryError("too much\nof it")
        assert all(folder.is_dir() for folder in folders)

    def __call__(self, row, folder, verbose):
        self.done.append(name(row))
        if row in self.fails:
            raise ArithmeticError("no luck")
        return {"mig": row["seed"] / 10}


def name(row):
    return f"{row['loss']} {row['seed']}"


def search(run, folder, rows=ROWS, **options):
    return tuning.search(run, rows, folder, **{"verbose": 0, **options})


def test_groups_are_full_of_what_can_go_together():
    mixed = [ROWS[place] for place in (0, 3, 1, 4, 2, 5)]
    for size, expected in (
        (1, [[row] for row in mixed]),
        (2, [ROWS[0:2], ROWS[3:5], ROWS[2:3], ROWS[5:6]]),
        (9, [ROWS[0:3], ROWS[3:6]]),
    ):
        groups = RowGroups(Run(size), mixed)
        assert sorted(groups.groups, key=str) == sorted(expected, key=str)
    # One worker does group by group; several begin with different groups.
    assert groups.order(several_workers=False) == ROWS
    assert groups.order(several_workers=True) == [ROWS[place] for place in (0, 3, 1, 2, 4, 5)]
    assert groups.others(ROWS[1]) == [ROWS[0], ROWS[2]]
    for several in (False, True):
        assert RowGroups(Run(1), mixed).order(several) == RowGroups(len, mixed).order(several) == mixed


def test_runs_that_cannot_train_together_are_refused(tmp_path):
    run = Run(0)
    with pytest.raises(ValueError, match="rows_per_device must be an integer, at least 1, got 0"):
        search(run, tmp_path / "new")
    run.rows_per_device, run.train_together = 2, None
    with pytest.raises(ValueError, match="rows_per_device must be 1 for a run that cannot train rows together, got 2"):
        search(run, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_every_row_is_trained_with_its_group_and_reported_for_itself(tmp_path, capfd):
    run = Run(2)
    results = search(run, tmp_path, verbose=1)
    mse, blur = ([f"{loss} {seed}" for seed in (1, 2, 3)] for loss in ("mse", "blur"))
    assert run.done == [mse[:2], mse[1], mse[0], mse[2], blur[:2], blur[1], blur[0], blur[2]]
    assert [(row["mig"], row["status"]) for row in results] == [(row["seed"] / 10, "COMPLETED") for row in ROWS]
    lines = capfd.readouterr().out.strip().splitlines()
    assert sorted(line.split("  ")[0] for line in lines) == [f"{number}/6" for number in range(1, 7)]
    trials = [files.read_json(path) for path in (tmp_path / "tuner").glob("trial_*/trial.json")]
    assert sorted(name(trial["hyperparameters"]["values"]) for trial in trials) == sorted(map(name, ROWS))
    assert {trial["status"] for trial in trials} == {"COMPLETED"}
    again = Run(3)
    assert search(again, tmp_path) == results and again.done == []
    # With another number, and a row to be done anew: alone, as the others of its group are finished.
    (row_folder(tmp_path, ROWS[1]) / "result.json").unlink()
    assert len(search(again, tmp_path)) == 6 and again.done == ["mse 2"]


def test_what_cannot_be_trained_together_is_done_row_by_row(tmp_path, capfd):
    run = Run(3, fails_together=True)
    assert len(search(run, tmp_path, verbose=1)) == 6
    assert [each for each in run.done if isinstance(each, list)] == [
        [name(row) for row in ROWS[n : n + 3]] for n in (0, 3)
    ]
    assert sorted(each for each in run.done if isinstance(each, str)) == sorted(map(name, ROWS))
    assert "and 2 more go on one at a time: MemoryError: too much\n" in capfd.readouterr().out
    error = (row_folder(tmp_path, ROWS[0]) / "together-error.txt").read_text()
    assert error.startswith("Traceback") and "of it" in error


def test_a_row_that_fails_does_not_take_its_group_along(tmp_path):
    for failing in (ROWS[0], ROWS[1]):
        folder = tmp_path / name(failing)
        with pytest.raises(tuning.FailedRowsError, match="1 of 6 rows failed"):
            search(Run(3, fails=[failing]), folder)
        again = Run(3)
        assert [row["status"] for row in search(again, folder)] == ["COMPLETED"] * 6
        assert again.done == [name(failing)]


PROGRAM = textwrap.dedent("""
    import os, sys, time
    from pathlib import Path
    from kerasvae import tuning

    class Run:
        rows_per_device = 2

        def together(self, row):
            return row["beta"]

        def train_together(self, rows, folders, verbose):
            for step in range(4):
                for row, folder in zip(rows, folders):
                    say(f"step {row['beta']} {row['seed']}")
                time.sleep(0.2)

        def __call__(self, row, folder, verbose):
            say(f"end {row['beta']} {row['seed']}")
            return {"mig": row["seed"] / 10}

    def say(line):
        with open(Path(sys.argv[1]) / "log", "a") as file:
            file.write(f"{os.getpid()} {line}\\n")

    if __name__ == "__main__":
        tuning.search(Run(), tuning.rows(beta=[1, 2], seed=[1, 2]), sys.argv[1], workers=int(sys.argv[2]))
""")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills processes")
def test_kill_9_of_a_search_and_of_one_with_two_workers(tmp_path):
    program, study = tmp_path / "program.py", tmp_path / "study"
    program.write_text(PROGRAM)
    study.mkdir()

    def start(workers):
        environment = {**os.environ, "PYTHONPATH": str(Path(kv.__file__).parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
        return subprocess.Popen(
            [sys.executable, str(program), str(study), str(workers)],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def log():
        return [line.split() for line in (study / "log").read_text().splitlines()] if (study / "log").is_file() else []

    process, deadline = start(1), time.monotonic() + 240
    while len(log()) < 4 and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert {line[1] for line in log()} == {"step"} and {line[2] for line in log()} == {"1"}
    killed = log()[0][0]
    process = start(2)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    after = [line for line in log() if line[0] != killed]
    # Each row once, both of a group by the same process, which trained them together.
    assert sorted(line[2:] for line in after if line[1] == "end") == [[b, s] for b in "12" for s in "12"]
    for beta in "12":
        assert len({line[0] for line in after if line[2] == beta}) == 1
        assert sum(line[1:3] == ["step", beta] for line in after) == 8


# Real rows ------------------------------------------------------------------------------------------------------------

ROW = {
    **grids.augmented_loss("small")[0],
    "latents": 2,
    "grid_size": 3,
    "networks": "mlp",
    "padding": "none",
    "batch_size": 4,
    "steps": 6,
    "beta_warmup": 4,
    "mig_every": 4,
    "dci_every": 4,
}


def real_rows(count=3):
    rows = [{**ROW, "seed": seed, "beta": 0.1 * seed} for seed in range(1, count + 1)]
    return [{**row, "beta_sum": row["beta"] * row["image_size"] ** 2 / 2} for row in check_rows(rows)]


def test_rows_that_go_together():
    run = tuning.ExperimentRun()
    counts = {}
    for grid in ("adversarial", "overlap", "augmented_loss"):
        groups = {}
        for row in grids.GRIDS[grid]():
            groups.setdefault(run.together(row), []).append(row)
        counts[grid] = len(groups)
        for first, *others in groups.values():
            differing = {field for other in others for field in other if other[field] != first[field]}
            assert differing <= {"beta", "beta_sum", "seed"}
    # Data sets × frameworks × latents; spacings × frameworks; losses × frameworks.
    assert counts == {"adversarial": 20, "overlap": 16, "augmented_loss": 4}
    assert run.together({**ROW, "beta_warmup": 9}) == run.together(ROW) != run.together({**ROW, "beta_warmup": 0})
    assert run.together({**ROW, "steps": 7}) != run.together(ROW)


@pytest.mark.skipif(keras.config.backend() == "jax", reason="JAX can")
def test_other_backends_are_refused():
    with pytest.raises(ValueError, match=f"rows_per_device must be 1 on the backend {keras.config.backend()}.*got 2"):
        tuning.ExperimentRun(rows_per_device=2)
    with pytest.raises(ValueError, match="--rows-per-device must be 1 on the backend"):
        cli.experiment.experiment(name="augmented_loss", scale="small", out="study", rows_per_device=2)


@pytest.fixture(scope="module")
def small_networks():
    functions = (kv.networks.mlp_encoder, kv.networks.mlp_decoder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kv.networks.NETWORKS, "mlp", [functools.partial(each, hidden=(4,)) for each in functions])
        yield


RUN = functools.partial(tuning.ExperimentRun, checkpoint_every=1, steps_per_execution=1, pictures=False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, small_networks):
    """The folder of a study whose rows were trained together, and its results."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, search(RUN(rows_per_device=3), folder, real_rows())


def assert_same_row(folder, other):
    assert {path.name for path in folder.iterdir()} == {path.name for path in other.iterdir()}
    assert (folder / "settings.json").read_text() == (other / "settings.json").read_text()
    histories = [kv.callbacks.read_history(path / "history.csv") for path in (folder, other)]
    assert [row.keys() for row in histories[0]] == [row.keys() for row in histories[1]]
    for row, expected in zip(*histories, strict=True):
        assert row == {key: pytest.approx(value, rel=1e-5, abs=1e-5) for key, value in expected.items()}
    models = [kv.load(path / "model.keras") for path in (folder, other)]
    for variables in ("trainable_variables", "non_trainable_variables"):
        for a, b in zip(*(getattr(model, variables) for model in models), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-5)
    for a, b in zip(*(model.optimizer.variables for model in models), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5 * np.abs(b.numpy()).max())


@jax_alone
def test_a_row_of_a_group_is_what_it_is_alone(whole, tmp_path):
    folder, results = whole
    row = real_rows()[1]
    alone = search(RUN(), tmp_path, [row])[0]
    assert_same_row(row_folder(folder, row), row_folder(tmp_path, row))
    for metric in {*alone} - {*row, "status", "seconds", "seconds_training"}:
        assert results[1][metric] == pytest.approx(alone[metric], rel=1e-4, abs=1e-4)
    assert results[1]["seconds"] >= results[1]["seconds_training"] > 0


class Killed(BaseException):
    pass


@jax_alone
@pytest.mark.parametrize(
    ("saves", "steps"),
    [
        # In the midst of the first checkpoints of all: one row has one, two have none.
        (2, [1, None, None]),
        # One row is a step behind, in mid-epoch.
        (6, [2, 2, 1]),
    ],
)
def test_rows_that_a_kill_left_at_different_steps_end_the_same(whole, tmp_path, monkeypatch, saves, steps):
    rows, save, count = real_rows(), runs.EpochCheckpoint.save, iter(range(1, saves))

    def dying_save(self):
        if next(count, None) is None:
            raise Killed
        save(self)

    with monkeypatch.context() as patch:
        patch.setattr(runs.EpochCheckpoint, "save", dying_save)
        with pytest.raises(Killed):
            search(RUN(rows_per_device=3), tmp_path, rows)
    checkpoints = [row_folder(tmp_path, row) / "checkpoint.keras" for row in rows]
    assert [int(kv.load(path).step) if path.is_file() else None for path in checkpoints] == steps
    search(RUN(rows_per_device=3), tmp_path, rows)
    for row in rows:
        assert_same_row(row_folder(tmp_path, row), row_folder(whole[0], row))
        assert not (row_folder(tmp_path, row) / "together-error.txt").exists()
