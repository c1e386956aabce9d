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

pytestmark = pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="tf.distribute is TensorFlow's")

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
for objective in (kv.BetaVAE, kv.AdaGVAE):
    for reduction in ("mean", "sum"):
        one = train(objective, reduction, tf.device("CPU:0"))
        two = train(objective, reduction, strategy.scope())
        result[f"{objective.__name__} {reduction}"] = one, two
result["errors"] = [message(jit_compile=True), message(steps_per_execution=2), message(jit_compile="auto")]
print("RESULT", json.dumps(result))
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    process = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path_factory.mktemp("distribution") / "model.keras")],
        env={**os.environ, "PYTHONPATH": str(Path(kv.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.split("RESULT", 1)[1])


@pytest.mark.parametrize("objective", ["BetaVAE", "AdaGVAE"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_two_replicas_train_what_one_does(result, objective, reduction):
    one, two = result[f"{objective} {reduction}"]
    assert one["steps"] == two["steps"] == [10, 10]
    assert set(one["history"]) == {"loss", "reconstruction_loss", "kl_loss"}
    for name, values in one["history"].items():
        assert two["history"][name] == pytest.approx(values, rel=1e-5)
    for a, b in zip(one["weights"], two["weights"], strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=1e-5)
    np.testing.assert_allclose(one["codes"], two["codes"], atol=1e-5)


def test_what_several_replicas_cannot_do_is_refused(result):
    xla, fused, automatic = result["errors"]
    for message, values in ((xla, "got True and 1"), (fused, "got 'auto' and 2")):
        assert message.startswith("jit_compile must be False or 'auto' and steps_per_execution 1 with several replicas")
        assert message.endswith(values)
    assert automatic is None
