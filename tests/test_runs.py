"""Runs that are interrupted, killed, resumed: they end bit for bit like one that was not."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from contract import assert_same, state

import kerasvae as kv
from kerasvae.callbacks import read_history

SHAPE = (4, 4, 1)
# Epochs end at 5, 10 and 12; checkpoints in mid-epoch at 2, 4, 7, 9; interrupted at 8, a run goes on from 7.
STEPS, EPOCH, EVERY, INTERRUPTED = 12, 5, 2, 8


def build():
    model = kv.BetaVAE(
        kv.networks.mlp_encoder(SHAPE, 2, hidden=(8,), seed=1),
        kv.networks.mlp_decoder(SHAPE, 2, hidden=(8,), seed=2),
        beta=kv.schedules.Linear(0.0, 1.0, steps=10),
        seed=3,
    )
    rate = keras.optimizers.schedules.PolynomialDecay(0.01, STEPS)
    # TensorFlow traces longer than these steps take; test_runs_fused.py has a run that is traced.
    model.compile(keras.optimizers.Adam(rate), run_eagerly=keras.config.backend() == "tensorflow")
    return model


def batches(start):
    """NumPy batches that are a function of the step, without end; Keras takes tuples alone from a generator."""
    for step in itertools.count(start):
        yield (np.random.default_rng((7, step)).normal(size=(6, *SHAPE)).astype("float32"),)


class At(keras.callbacks.Callback):
    """Does something at the end of a step."""

    def __init__(self, step, action):
        super().__init__()
        self.step, self.action = step, action

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step.numpy()) == self.step:
            self.action()


def train(folder, **arguments):
    arguments = {"steps": STEPS, "steps_per_epoch": EPOCH, "checkpoint_every": EVERY, "verbose": 0, **arguments}
    return kv.runs.train(build, batches, folder, **arguments)


def contents(folder):
    return sorted(path.name for path in folder.iterdir())


def hang(folder):
    """For the process that is killed: train up to a step, say so, and wait for the end."""

    def wait():
        (Path(folder) / "reached").touch()
        time.sleep(600)

    train(folder, callbacks=[At(INTERRUPTED, wait)])


def fail(*_, **__):
    raise AssertionError("must not be called")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    return train(folder), folder


def assert_ends_alike(folder, model, uninterrupted):
    whole, whole_folder = uninterrupted
    assert_same(state(model), state(whole))
    assert_same(state(kv.runs.load_model(folder)), state(whole))
    assert (folder / "history.csv").read_text() == (whole_folder / "history.csv").read_text()
    assert contents(folder) == contents(whole_folder) == ["history.csv", "model.keras", "settings.json"]


def test_a_run(uninterrupted):
    model, folder = uninterrupted
    assert int(model.step.numpy()) == int(model.optimizer.iterations.numpy()) == STEPS
    assert [row["step"] for row in read_history(folder / "history.csv")] == [5, 10, 12]
    assert kv.runs.load_settings(folder) == {"steps": STEPS, "steps_per_epoch": EPOCH}


def test_history_is_that_of_fit(uninterrupted):
    model = build()
    history = model.fit(batches(0), epochs=2, steps_per_epoch=EPOCH, verbose=0).history
    rows = read_history(uninterrupted[1] / "history.csv")
    for name in ("loss", "kl_nats", "reconstruction_nats"):
        assert [row[name] for row in rows[:2]] == pytest.approx(history[name], rel=1e-6)


@pytest.mark.parametrize(
    "step", [EPOCH, INTERRUPTED, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, EVERY, 2 * EPOCH + 1))]
)
def test_interrupted_and_resumed(tmp_path, uninterrupted, step):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callbacks=[At(step, interrupt)])
    model = train(tmp_path, resume=True)
    assert_ends_alike(tmp_path, model, uninterrupted)


@pytest.mark.slow
def test_interrupted_again_and_again(tmp_path, uninterrupted):
    class BrokenError(Exception):
        pass

    def interrupt():
        raise BrokenError

    for step in range(2, STEPS, 3):
        with pytest.raises(BrokenError):
            train(tmp_path, callbacks=[At(step, interrupt)], resume=True, checkpoint_every=1)
    assert int(kv.runs.load_model(tmp_path).step.numpy()) == 10
    assert_ends_alike(tmp_path, train(tmp_path, resume=True, checkpoint_every=1), uninterrupted)


@pytest.mark.parametrize("when", ["row", "checkpoint"])
def test_interrupted_between_the_steps_of_an_epoch_s_end(tmp_path, uninterrupted, monkeypatch, when):
    # After the epoch's last step, before its row; and after the row, before the checkpoint.
    def interrupt(self, *_):
        raise KeyboardInterrupt

    owner = kv.callbacks.HistoryFile if when == "row" else kv.callbacks.Checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(owner, "on_epoch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path)
    assert int(kv.runs.load_model(tmp_path).step.numpy()) == 4
    assert_ends_alike(tmp_path, train(tmp_path, resume=True), uninterrupted)


@pytest.mark.slow
def test_killed_and_resumed(tmp_path, uninterrupted):
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys, test_runs; test_runs.hang(sys.argv[1])", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (Path(__file__).parent, Path.cwd(), *sys.path)))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        while not (tmp_path / "reached").exists():
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.05)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    (tmp_path / "reached").unlink()
    assert contents(tmp_path) == [".lock", "checkpoint.keras", "history.csv", "settings.json"]
    assert int(kv.runs.load_model(tmp_path).step.numpy()) == 7
    assert [row["step"] for row in read_history(tmp_path / "history.csv")] == [5]
    assert_ends_alike(tmp_path, train(tmp_path, resume=True), uninterrupted)


def test_a_finished_run_is_returned_at_once(uninterrupted):
    model, folder = uninterrupted
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = kv.runs.train(fail, fail, folder, steps=STEPS, steps_per_epoch=EPOCH, resume=True)
    assert_same(state(again), state(model))
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_folder_that_holds_a_run(uninterrupted):
    folder = uninterrupted[1]
    with pytest.raises(FileExistsError, match=f"folder: '{folder}' already holds a run"):
        kv.runs.train(fail, fail, folder, steps=STEPS)


def test_other_settings(tmp_path):
    train(tmp_path, steps=2, steps_per_epoch=1, settings={"seed": 1, "sizes": (1, 2)})
    again = {"steps_per_epoch": 1, "resume": True}
    train(tmp_path, steps=2, settings={"seed": 1, "sizes": (1, 2)}, **again)
    with pytest.raises(ValueError, match=r"settings: .* seed 1 \(now 2\), sizes \[1, 2\] \(now None\), steps 2 "):
        train(tmp_path, steps=3, settings={"seed": 2}, **again)


def test_what_cannot_be_built_is_no_run(tmp_path):
    def broken():
        raise ValueError("latents must be")

    with pytest.raises(ValueError, match="latents must be"):
        kv.runs.train(broken, fail, tmp_path / "run", steps=1)
    assert contents(tmp_path / "run") == []


def test_stopping_early_ends_the_run(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    model = train(tmp_path, callbacks=[Stop()])
    assert int(model.step.numpy()) == EPOCH
    assert contents(tmp_path) == ["history.csv", "model.keras", "settings.json"]


@pytest.mark.parametrize("argument", ["steps", "steps_per_epoch", "checkpoint_every"])
@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2"])
def test_numbers_that_are_not_allowed(tmp_path, argument, value):
    with pytest.raises(ValueError, match=f"^{argument} must be an integer, at least 1, got"):
        kv.runs.train(fail, fail, tmp_path / "run", **{"steps": 1, argument: value})
    assert contents(tmp_path) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"^folder: cannot write .*file/run"):
        kv.runs.train(fail, fail, tmp_path / "file" / "run", steps=1)


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^folder: .* holds no run \(there is no settings\.json"):
        kv.runs.load_settings(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"^folder: .* holds neither model\.keras nor checkpoint\.keras"):
        kv.runs.load_model(tmp_path)
