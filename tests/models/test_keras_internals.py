"""The private names of Keras that the package uses do what it relies on, in the Keras that is installed."""

import keras
import numpy as np
import pytest

from kerasvae.models import keras_internals

jax_alone = pytest.mark.skipif(keras.config.backend() != "jax", reason="JAX alone has a state apart from the variables")


def model():
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    network.compile(keras.optimizers.SGD(), loss="mse", jit_compile=keras.config.backend() != "torch" and "auto")
    network.optimizer.build(network.trainable_variables)
    return network


def test_fit_evaluates_with_the_mark_that_is_looked_for(monkeypatch):
    calls, network = [], model()
    evaluate = network.evaluate
    monkeypatch.setattr(network, "evaluate", lambda *args, **kwargs: calls.append(kwargs) or evaluate(*args, **kwargs))
    x, y = np.zeros((4, 2), "float32"), np.zeros((4, 3), "float32")
    network.fit(x, y, validation_data=(x, y), verbose=0)
    assert [keras_internals.is_evaluation_by_fit(kwargs) for kwargs in calls] == [True]
    assert not keras_internals.is_evaluation_by_fit({"verbose": 0})


def test_the_global_seed_is_seen_until_the_session_is_cleared():
    keras.utils.clear_session()
    assert not keras_internals.has_global_seed()
    try:
        keras.utils.set_random_seed(3)
        assert keras_internals.has_global_seed()
    finally:
        keras.utils.clear_session()
    assert not keras_internals.has_global_seed()


def test_an_optimizer_knows_the_variables_that_it_moves():
    network = model()
    assert all(
        a is b
        for a, b in zip(keras_internals.variables_of(network.optimizer), network.trainable_variables, strict=True)
    )


@jax_alone
def test_the_state_leaves_the_variables_and_comes_back():
    network = model()
    assert keras_internals.state_in_training(network) == {}
    before = network.get_weights()
    state = keras_internals.take_state(network)
    assert [len(group) for group in state] == [2, 0, len(network.optimizer.variables), len(network.metrics_variables)]
    kernel, bias = network.trainable_variables
    assert not keras_internals.has_value(kernel) and not keras_internals.has_value(bias)
    kernel.assign(state[0][0])
    assert keras_internals.has_value(kernel)
    np.testing.assert_array_equal(kernel, before[0])


@jax_alone
def test_the_state_that_fit_trains_is_found():
    network, found = model(), []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            found.append(keras_internals.state_in_training(network))

    network.fit(np.ones((4, 2), "float32"), np.zeros((4, 3), "float32"), verbose=0, callbacks=[Look()])
    assert len(found[0]["trainable_variables"]) == 2


@jax_alone
def test_the_sharding_has_a_spec_per_group():
    devices = keras.distribution.list_devices()
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
    try:
        trainable, _, _, _ = keras_internals.state_sharding(model())
        assert len(trainable) == 2
    finally:
        keras.distribution.set_distribution(None)
