"""Two replicas of a tf.distribute strategy train what one does: the global batch's loss, β and noise."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kerasvae as kv

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="tf.distribute is TensorFlow's"),
]

TESTS = Path(__file__).parents[1]
# A process of its own: the number of logical devices is fixed once TensorFlow has begun.
TRAIN = """
import json, sys
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, numpy as np
import kerasvae as kv

SHAPE = (6, 5, 2)
images = np.random.default_rng(0).normal(size=(40, *SHAPE)).astype("float32")
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

def make(objective, reduction):
    return objective(
        kv.networks.mlp_encoder(SHAPE, 3, hidden=(8,), seed=1),
        kv.networks.mlp_decoder(SHAPE, 3, hidden=(8,), seed=2),
        beta=0.5, reduction=reduction, seed=3,
    )

def train(objective, reduction, scope):
    data = images if objective is kv.BetaVAE else {"first": images, "second": images[::-1].copy()}
    data = tf.data.Dataset.from_tensor_slices(data).batch(8, drop_remainder=True)
    with scope:
        model = make(objective, reduction)
        model.compile(keras.optimizers.SGD(0.1 if reduction == "mean" else 1e-3))
    history = model.fit(data, epochs=2, verbose=0).history
    model.save(sys.argv[1])
    loaded = kv.load(sys.argv[1])
    return {
        "history": history,
        "weights": [weight.tolist() for weight in model.get_weights()],
        "steps": [int(model.step.numpy()), int(loaded.step.numpy())],
        "codes": model.encode(images).tolist(),
    }

def message(**arguments):
    with strategy.scope():
        model = make(kv.BetaVAE, "mean")
        try:
            model.compile(**arguments)
        except ValueError as error:
            return str(error)

result = {}
for objective, reduction in ((kv.BetaVAE, "mean"), (kv.AdaGVAE, "sum")):
    one = train(objective, reduction, tf.device("CPU:0"))
    two = train(objective, reduction, strategy.scope())
    result[objective.__name__] = one, two
sys.path.insert(0, sys.argv[2])
from contract_objectives import OBJECTIVES

others = {each.cls.__name__: each for each in OBJECTIVES if each.cls in (kv.FactorVAE, kv.DIPVAE)}
for name, objective in others.items():
    with strategy.scope():
        model = objective.model()
        model.compile(keras.optimizers.SGD(1e-3))
    data = tf.data.Dataset.from_tensor_slices(objective.data(40)).batch(8, drop_remainder=True)
    history = model.fit(data, epochs=2, verbose=0).history
    copies = [weight.value.values for weight in model.trainable_variables]
    apart = max(float(np.abs(one.numpy() - other.numpy()).max()) for one, other in copies)
    result[name] = {"history": history, "steps": int(model.step.numpy()), "apart": apart}

keras.config.set_dtype_policy("mixed_float16")
half = {str(each): each for each in OBJECTIVES if each.cls in (kv.AdaGVAE, kv.FactorVAE)}
for name, objective in half.items():
    with strategy.scope():
        model = objective.model()
        model.compile(keras.optimizers.Adam(0.01))
    try:
        # The first replica's images are small, so that the gradients of the other alone overflow.
        scale = np.repeat([1e-3, 1.0], 4)[:, None, None, None].astype("float32")
        data = tf.nest.map_structure(lambda part: scale * part, objective.data(8))
        model.optimizer.dynamic_scale.assign(2.0**22)
        before = [weight.numpy() for weight in model.trainable_variables]
        model.fit(tf.data.Dataset.from_tensor_slices(data).batch(8, drop_remainder=True), verbose=0)
        after = [weight.numpy() for weight in model.trainable_variables]
        moved = float(max(np.abs(a - b).max() for a, b in zip(before, after)))
        result["half " + name] = {"moved": moved, "scale": float(model.optimizer.dynamic_scale.numpy())}
    except ValueError as error:
        result["half " + name] = str(error)
keras.config.set_dtype_policy("float32")
result["errors"] = [message(jit_compile=True), message(steps_per_execution=2), message(jit_compile="auto")]
print("RESULT", json.dumps(result))
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    process = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path_factory.mktemp("distribution") / "model.keras"), str(TESTS)],
        env={**os.environ, "PYTHONPATH": str(Path(kv.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.split("RESULT", 1)[1])


@pytest.mark.parametrize("objective", ["BetaVAE", "AdaGVAE"])
def test_two_replicas_train_what_one_does(result, objective):
    one, two = result[objective]
    assert one["steps"] == two["steps"] == [10, 10]
    assert set(one["history"]) == {
        "loss",
        "reconstruction_loss",
        "regularization_loss",
        "reconstruction_nats",
        "kl_nats",
    }
    for name, values in one["history"].items():
        assert two["history"][name] == pytest.approx(values, rel=1e-5)
    for a, b in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-5)
    np.testing.assert_allclose(one["codes"], two["codes"], atol=1e-5)


@pytest.mark.parametrize("objective", ["FactorVAE", "DIPVAE"])
def test_other_objectives_train_on_two_replicas(result, objective):
    """Their terms are statistics of each replica's part of the batch, so one replica's numbers are others."""
    got = result[objective]
    assert got["steps"] == 10 and got["apart"] == 0.0
    assert all(np.isfinite(values).all() for values in got["history"].values())
    assert got["history"]["reconstruction_nats"][1] < got["history"]["reconstruction_nats"][0]


def test_an_overflow_on_one_replica_is_one_on_all(result):
    half = result["half AdaGVAE-beta=0.3"]
    assert half == {"moved": 0.0, "scale": 2.0**21}


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_two_optimizers_in_float16_on_two_replicas_are_refused(result, update):
    message = result[f"half FactorVAE-gamma=2.0-update={update}"]
    assert message.startswith("FactorVAE cannot be trained in mixed_float16 by several replicas")


def test_what_several_replicas_cannot_do_is_refused(result):
    xla, fused, automatic = result["errors"]
    for message, values in ((xla, "got True and 1"), (fused, "got 'auto' and 2")):
        assert message.startswith("jit_compile must be False or 'auto' and steps_per_execution 1 with several replicas")
        assert message.endswith(values)
    assert automatic is None
