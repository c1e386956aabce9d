"""Runs of fused steps: exactly the steps asked for, bit-equal after any number of kills, whatever divides what."""

import contextlib
import functools
import itertools
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from contract import assert_same, state
from test_runs import SHAPE, batches, contents

import kerasvae as kv
from kerasvae.callbacks import read_history

TORCH = keras.config.backend() == "torch"
# Steps, steps in an epoch, steps in an execution, steps between checkpoints
PLANS = [
    (8, 5, 3, 2),
    *(pytest.param(plan, marks=pytest.mark.slow) for plan in ((5, 5, 7, 3), (5, 3, 3, 4), (5, 2, 4, 1))),
]


class KilledError(Exception):
    pass


class KillAfter(keras.callbacks.Callback):
    """Ends a run after so many executions of this call."""

    def __init__(self, executions):
        super().__init__()
        self.left = executions

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise KilledError


def build(fused, jit_compile="auto", run_eagerly=None):
    model = kv.BetaVAE(
        kv.networks.mlp_encoder(SHAPE, 2, hidden=(8,), seed=1),
        kv.networks.mlp_decoder(SHAPE, 2, hidden=(8,), seed=2),
        seed=3,
    )
    optimizer = keras.optimizers.SGD(0.01, momentum=0.9, use_ema=True, ema_momentum=0.8)
    # Tracing costs more than a few steps do; JAX takes minutes uncompiled.
    run_eagerly = keras.config.backend() != "jax" if run_eagerly is None else run_eagerly
    model.compile(optimizer, steps_per_execution=fused, jit_compile=jit_compile, run_eagerly=run_eagerly)
    return model


def assert_alike(folder, model, whole_folder, whole):
    assert_same(state(model), state(whole))
    assert_same(state(kv.runs.load_model(folder)), state(whole))
    assert (folder / "history.csv").read_text() == (whole_folder / "history.csv").read_text()
    assert contents(folder) == contents(whole_folder) == ["history.csv", "model.keras", "settings.json"]


def train(folder, build, plan, *callbacks, **arguments):
    steps, epoch, _, every = plan
    options = {"steps": steps, "steps_per_epoch": epoch, "checkpoint_every": every, "verbose": 0}
    return kv.runs.train(build, batches, folder, callbacks=callbacks, **options, **arguments)


def killed_again_and_again(folder, build, plan):
    """Kill a run after 2, 3, 4 ... executions until it gets to its end; the model, and the number of kills."""
    for executions in itertools.count(2):
        try:
            return train(folder, build, plan, KillAfter(executions), resume=True), executions - 2
        except KilledError:
            pass


@pytest.mark.skipif(TORCH, reason="Keras has no steps_per_execution on Torch")
# JAX compiles each again after every kill.
@pytest.mark.parametrize("plan", PLANS[:1] if keras.config.backend() == "jax" else PLANS, ids=str)
def test_exactly_the_steps_asked_for_after_any_kills(tmp_path, plan):
    steps, epoch, fused, _ = plan
    whole = train(tmp_path / "whole", lambda: build(fused), plan)
    assert int(whole.step.numpy()) == int(whole.optimizer.iterations.numpy()) == steps
    rows = read_history(tmp_path / "whole" / "history.csv")
    assert [row["step"] for row in rows] == [*range(epoch, steps, epoch), steps]
    assert whole.steps_per_execution == fused
    model, kills = killed_again_and_again(tmp_path / "run", lambda: build(fused), plan)
    assert kills >= (1 if steps > epoch else 0)
    assert_alike(tmp_path / "run", model, tmp_path / "whole", whole)


@pytest.mark.slow
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="of TensorFlow's two ways to fuse steps")
def test_compiled_executions_on_tensorflow(tmp_path):
    plan, models = (5, 5, 3, 1), []
    for name, kills in (("whole", ()), ("run", (2,))):
        for kill in (*kills, None):
            callbacks = [KillAfter(kill)] if kill else []
            with contextlib.suppress(KilledError):
                model = train(tmp_path / name, lambda: build(3, run_eagerly=False), plan, *callbacks, resume=True)
        models.append(model)
    assert int(models[0].step.numpy()) == 5
    assert_alike(tmp_path / "run", models[1], tmp_path / "whole", models[0])
    # Compiling takes XLA seconds: once.
    model = train(tmp_path / "xla", lambda: build(2, jit_compile=True, run_eagerly=False), (3, 3, 2, 1))
    assert int(model.step.numpy()) == int(model.optimizer.iterations.numpy()) == 3


@pytest.mark.skipif(TORCH, reason="Keras has no steps_per_execution on Torch")
def test_fused_steps_are_those_of_single_ones(tmp_path):
    """Other executions, the same numbers: what a run takes each time depends on the step alone."""
    options = {"steps": 7, "steps_per_epoch": 5, "verbose": 0}
    single, fused = (
        kv.runs.train(lambda fused=fused: build(fused), batches, tmp_path / str(fused), **options) for fused in (1, 3)
    )
    for a, b in zip(state(single), state(fused), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(TORCH, reason="Keras has no steps_per_execution on Torch")
def test_pipelines_of_the_package(tmp_path):
    data, models = kv.datasets.MiniSprites(), []

    def build():
        encoder, decoder = (
            function(data.image_shape, 2, hidden=(4,), seed=number)
            for number, function in enumerate((kv.networks.mlp_encoder, kv.networks.mlp_decoder))
        )
        model = kv.AdaGVAE(encoder, decoder, seed=1)
        model.compile(steps_per_execution=2, run_eagerly=keras.config.backend() != "jax")
        return model

    for name, kills in (("whole", []), ("run", [2])):
        for kill in [*kills, None]:
            with contextlib.suppress(KilledError):
                model = kv.runs.train(
                    build,
                    functools.partial(kv.datasets.pairs, data, 8, steps=5),
                    tmp_path / name,
                    steps=5,
                    steps_per_epoch=3,
                    callbacks=[KillAfter(kill)] if kill else [],
                    resume=True,
                    verbose=0,
                )
        models.append(model)
    assert int(models[0].step.numpy()) == 5
    assert_alike(tmp_path / "run", models[1], tmp_path / "whole", models[0])


@pytest.mark.slow
def test_the_weights_of_an_average_are_put_in_place_once(tmp_path):
    """As `fit` does at its end, which is not that of each epoch, nor of a part of one."""
    model = build(1)
    model.fit(batches(0), steps_per_epoch=4, verbose=0)
    for checkpoint, kills in ((100, [3]), (1, [3, 1])):
        folder = tmp_path / str(checkpoint)
        for kill in [*kills, None]:
            try:
                trained = kv.runs.train(
                    lambda: build(1),
                    batches,
                    folder,
                    steps=4,
                    steps_per_epoch=3,
                    checkpoint_every=checkpoint,
                    callbacks=[KillAfter(kill)] if kill else [],
                    resume=True,
                    verbose=0,
                )
            except KilledError:
                continue
        assert_same(trained.get_weights(), model.get_weights())


class Counting(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_begin(self, logs=None):
        self.seen.append("begin")

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append((epoch, self.params["epochs"]))

    def on_train_end(self, logs=None):
        self.seen.append("end")


@pytest.mark.slow
def test_a_run_is_one_training_for_its_callbacks(tmp_path):
    counting = Counting()
    stop = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=100.0)
    fused = 1 if TORCH else 2
    options = {"steps": 7, "steps_per_epoch": 3, "verbose": 0}
    kv.runs.train(lambda: build(fused), batches, tmp_path / "a", callbacks=[counting], **options)
    assert counting.seen == ["begin", (0, 3), (1, 3), (2, 3), "end"]
    # Its patience would start again with each call of `fit`.
    model = kv.runs.train(lambda: build(fused), batches, tmp_path / "b", callbacks=[stop], **options)
    assert int(model.step.numpy()) == 6


def test_data_that_end_too_early(tmp_path):
    def three(start):
        yield from itertools.islice(batches(start), 3)

    with (
        pytest.warns(UserWarning, match="ran out of data"),
        pytest.raises(ValueError, match="pipeline must go on to step 5, its data ended after step 3"),
    ):
        kv.runs.train(lambda: build(1), three, tmp_path, steps=9, steps_per_epoch=5, verbose=0)


def killed(folder, fused, executions):
    """For a process that dies by itself, with nothing written or closed."""

    class Die(KillAfter):
        def on_train_batch_end(self, batch, logs=None):
            self.left -= 1
            if self.left == 0:
                os._exit(9)

    train(folder, lambda: build(fused), (8, 5, fused, 2), Die(executions))


@pytest.mark.slow
def test_killed_in_fused_steps(tmp_path):
    fused = 1 if TORCH else 3
    code = f"import test_runs_fused; test_runs_fused.killed({str(tmp_path / 'run')!r}, {fused}, 2)"
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path.cwd()), *sys.path])}
    assert subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True).returncode == 9
    model = train(tmp_path / "run", lambda: build(fused), (8, 5, fused, 2), resume=True)
    whole = train(tmp_path / "whole", lambda: build(fused), (8, 5, fused, 2))
    assert_alike(tmp_path / "run", model, tmp_path / "whole", whole)
