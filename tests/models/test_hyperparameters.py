"""Hyper-parameters are run-time values: numbers or schedules, assignable, checked, and no reason to compile again."""

import keras
import numpy as np
import pytest

import kerasvae as kv

SHAPE = (4, 4, 1)
IMAGES = np.random.default_rng(0).normal(size=(8, *SHAPE)).astype("float32")


def make(**arguments):
    model = kv.BetaVAE(
        kv.networks.mlp_encoder(SHAPE, 2, hidden=(5,), seed=1),
        kv.networks.mlp_decoder(SHAPE, 2, hidden=(5,), seed=2),
        **{"seed": 0, "reduction": "sum", **arguments},
    )
    model.compile(keras.optimizers.SGD(0.0))
    return model


def terms(model, **arguments):
    history = model.fit(IMAGES, batch_size=8, shuffle=False, verbose=0, **arguments).history
    return [np.array(history[name]) for name in ("loss", "reconstruction_nats", "kl_nats")]


def test_assignment_takes_effect_without_compiling_again():
    model = make(beta=1.0)
    loss, reconstruction, kl = terms(model)
    compiled = model.train_function
    np.testing.assert_allclose(loss, reconstruction + kl, rtol=1e-6)
    model.beta = 4.0
    loss, reconstruction, kl = terms(model)
    np.testing.assert_allclose(loss, reconstruction + 4 * kl, rtol=1e-6)
    assert model.train_function is compiled and model.beta == 4.0 and model.get_config()["beta"] == 4.0


def test_a_schedule_follows_the_step():
    model = make(beta=kv.schedules.Linear(1.0, 3.0, steps=4, delay=1))
    loss, reconstruction, kl = terms(model, epochs=7)  # one step an epoch
    betas = np.array([1.0, 1.0, 1.5, 2.0, 2.5, 3.0, 3.0])
    np.testing.assert_allclose(loss, reconstruction + betas * kl, rtol=1e-5)
    assert int(model.step) == 7


@pytest.mark.slow
def test_a_schedule_goes_on_after_loading(tmp_path):
    whole, half = (make(beta=kv.schedules.Linear(0.0, 5.0, steps=6)) for _ in range(2))
    expected = terms(whole, epochs=6)
    terms(half, epochs=3)
    half.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(terms(kv.load(tmp_path / "model.keras"), epochs=3), [part[3:] for part in expected])


def test_numbers_and_schedules_do_not_change_places():
    with pytest.raises(ValueError, match="beta is a Constant"):
        make(beta=1.0).beta = kv.schedules.Linear(0.0, 1.0, steps=2)


@pytest.mark.parametrize("beta", [-1.0, float("nan"), float("inf"), "4", None, True])
def test_bad_values(beta):
    with pytest.raises(ValueError, match="beta must be"):
        make(beta=beta)


def test_a_schedule_is_checked_over_its_whole_range():
    with pytest.raises(ValueError, match="beta must be at least 0"):
        make(beta=kv.schedules.Linear(1.0, -0.5, steps=10))


def test_a_refused_value_leaves_the_old_one():
    model = make(beta=2.0)
    with pytest.raises(ValueError):
        model.beta = -1.0
    assert model.beta == 2.0


@pytest.mark.slow
def test_a_schedule_of_keras_follows_the_step(tmp_path):
    decay = keras.optimizers.schedules.PolynomialDecay(1.0, decay_steps=4, end_learning_rate=3.0)
    model = make(beta=decay)
    loss, reconstruction, kl = terms(model, epochs=6)
    np.testing.assert_allclose((loss - reconstruction) / kl, [1.0, 1.5, 2.0, 2.5, 3.0, 3.0], rtol=1e-4)
    model.save(tmp_path / "model.keras")
    loaded = kv.load(tmp_path / "model.keras")
    assert loaded.beta == model.beta == kv.schedules.KerasSchedule(decay)
    loss, reconstruction, kl = terms(loaded)
    np.testing.assert_allclose((loss - reconstruction) / kl, [3.0], rtol=1e-4)
    with pytest.raises(ValueError, match="make a new model"):
        model.beta = keras.optimizers.schedules.CosineDecay(1.0, 10)
    with pytest.raises(ValueError, match="beta must be at least 0"):
        make(beta=keras.optimizers.schedules.PolynomialDecay(1.0, decay_steps=4, end_learning_rate=-1.0))
    with pytest.raises(ValueError, match=r"schedule must be a keras\.optimizers"):
        kv.schedules.KerasSchedule(0.5)


def test_schedules_are_exact_beyond_the_integers_of_float32():
    model = make(beta=kv.schedules.Piecewise([2**24 + 2], [1.0, 2.0]))
    for step, expected in ((2**24 + 1, 1.0), (2**24 + 2, 2.0)):
        model.step.assign(step)
        assert float(keras.ops.convert_to_numpy(model.scalar("beta"))) == expected
