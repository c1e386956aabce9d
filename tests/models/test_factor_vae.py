"""FactorVAE: two optimizers, each with its own loss, and neither in the other's way."""

import contract
import keras
import numpy as np
import pytest
from contract_objectives import HIDDEN, LATENTS, SHAPE

import kerasvae as kv
from kerasvae.random_numbers import uniform


def networks():
    return (
        kv.networks.mlp_encoder(SHAPE, LATENTS, hidden=(HIDDEN,), seed=1),
        kv.networks.mlp_decoder(SHAPE, LATENTS, hidden=(HIDDEN,), seed=2),
    )


def factor_vae(discriminator=None, **arguments):
    if discriminator is None:
        discriminator = kv.networks.mlp_discriminator(LATENTS, hidden=(4, 3), seed=4)
    return kv.FactorVAE(*networks(), discriminator=discriminator, seed=3, **arguments)


def images(count=24):
    return np.random.default_rng(0).normal(size=(count, *SHAPE)).astype("float32")


def trained(model, data, batch_size=8, rate=1e-3, discriminator_rate=0.1):
    extra = {"discriminator_optimizer": keras.optimizers.SGD(discriminator_rate)} if hasattr(model, "update") else {}
    # Tracing would cost more than the steps do; the contract covers the compiled step.
    model.compile(keras.optimizers.SGD(rate), run_eagerly=keras.config.backend() == "tensorflow", **extra)
    return contract.fit(model, data, batch_size=batch_size)


def weights(*networks):
    return [variable.numpy() for network in networks for variable in network.trainable_variables]


def assert_close(first, second):
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def moved(first, second):
    return [bool((a != b).any()) for a, b in zip(first, second, strict=True)]


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_without_gamma_encoder_and_decoder_are_a_vae(update):
    """The discriminator's own loss, over codes and permuted codes alike, gives them no gradient."""
    model, vae = factor_vae(gamma=0.0, update=update), kv.VAE(*networks(), seed=3)
    start = weights(model.encoder, model.decoder), weights(model.discriminator)
    trained(model, images())
    if update == "simultaneous":
        trained(vae, images())
    else:
        # Encoder and decoder saw the first half of each batch.
        trained(vae, np.concatenate([images()[place : place + 4] for place in (0, 8, 16)]), batch_size=4)
    assert_close(weights(model.encoder, model.decoder), weights(vae.encoder, vae.decoder))
    assert all(moved(start[0], weights(model.encoder, model.decoder)))
    assert all(moved(start[1], weights(model.discriminator)))


def test_gamma_moves_encoder_alone():
    """The discriminator gets no gradient of the total correlation, which it would raise or lower to please."""
    low, high = factor_vae(gamma=0.0, update="simultaneous"), factor_vae(gamma=50.0, update="simultaneous")
    for model in (low, high):
        trained(model, images(8))
    assert_close(weights(low.discriminator), weights(high.discriminator))
    # The total correlation depends on the codes, not on what is decoded from them.
    assert_close(weights(low.decoder), weights(high.decoder))
    assert all(moved(weights(low.encoder), weights(high.encoder)))


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_how_fast_the_discriminator_learns_does_not_move_the_others(update):
    slow, fast = factor_vae(update=update), factor_vae(update=update)
    trained(slow, images(8), discriminator_rate=0.0)
    trained(fast, images(8), discriminator_rate=1.0)
    assert_close(weights(slow.encoder, slow.decoder), weights(fast.encoder, fast.decoder))
    assert not any(moved(weights(slow.discriminator), weights(factor_vae().discriminator)))


def cross_entropy(parameters, codes, permuted):
    """Mean over codes (kind 0) and permuted codes (kind 1) of -log softmax(logits)[kind], float64."""
    total = 0.0
    for kind, x in enumerate((codes, permuted)):
        for kernel, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            x = x @ kernel + bias
            x = np.where(x > 0, x, 0.2 * x)
        logits = x @ parameters[-2] + parameters[-1]
        total += 0.5 * np.mean(np.log(np.exp(logits).sum(axis=1)) - logits[:, kind])
    return total


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_discriminator_step_is_the_gradient_of_its_cross_entropy(update):
    """In turn: on the second half of the batch, encoded by the encoder that the first half has just moved."""
    model, start = factor_vae(update=update), factor_vae(update=update)
    data = images(8)
    parameters = [part.astype("float64") for part in weights(start.discriminator)]
    history = trained(model, data, discriminator_rate=1.0)
    gradient = [a - b for a, b in zip(parameters, weights(model.discriminator), strict=True)]
    # In turn, the first half has advanced the counter before the second half draws.
    part, encoder, step, stream = (data, start.encoder, 0, 0)
    if update == "alternating":
        part, encoder, step, stream = data[4:], model.encoder, 1, 2
        assert all(moved(weights(encoder), weights(start.encoder)))
    posterior = {name: keras.ops.convert_to_numpy(value) for name, value in encoder(part).items()}
    codes = posterior["mean"] + np.exp(posterior["logvar"] / 2) * contract.noise((len(part), LATENTS), step, stream)
    numbers = uniform(3, step, keras.ops.arange(codes.size, dtype="int32"), 16)
    order = np.argsort(keras.ops.convert_to_numpy(numbers).reshape(codes.shape), axis=0)
    permuted = np.take_along_axis(codes, order, axis=0)
    assert history["discriminator_loss"][0] == pytest.approx(cross_entropy(parameters, codes, permuted), rel=1e-5)
    rng = np.random.default_rng(1)
    scale = np.sqrt(sum((part**2).sum() for part in gradient))
    for _ in range(10):
        direction = [rng.normal(size=part.shape) for part in parameters]
        ahead, behind = (
            cross_entropy([w + sign * 1e-6 * d for w, d in zip(parameters, direction, strict=True)], codes, permuted)
            for sign in (1, -1)
        )
        slope = sum((g * d).sum() for g, d in zip(gradient, direction, strict=True))
        assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-3, abs=1e-4 * scale)


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_a_discriminator_that_knows_nothing(update):
    model = factor_vae(update=update)
    model.discriminator.set_weights([0 * part for part in model.discriminator.get_weights()])
    before = weights(model.encoder, model.decoder, model.discriminator)
    model.compile()
    logs = model.evaluate(images(8), batch_size=8, verbose=0, return_dict=True)
    assert logs["total_correlation"] == 0.0
    assert logs["discriminator_loss"] == pytest.approx(np.log(2), rel=1e-6)
    assert logs["loss"] == pytest.approx(logs["reconstruction_nats"] + logs["kl_nats"], rel=1e-6)
    contract.assert_same(before, weights(model.encoder, model.decoder, model.discriminator))


@pytest.mark.slow
def test_saved_and_loaded_with_the_states_of_both_optimizers(tmp_path):
    model = factor_vae()
    model.compile(keras.optimizers.Adam(0.01), discriminator_optimizer=keras.optimizers.SGD(0.02, momentum=0.9))
    contract.fit(model, images(8))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for (mine, variables), (theirs, others) in zip(model._shares(), loaded._shares(), strict=True):
        assert type(mine) is type(theirs) and mine.get_config() == theirs.get_config()
        assert len(variables) == len(others) > 0
        states = [[variable.numpy() for variable in optimizer.variables] for optimizer in (mine, theirs)]
        contract.assert_same(*states)
        # Iterations, the learning rate, and moments that have moved.
        assert len(states[0]) > len(variables)
        assert sum(state.size > 1 and state.any() for state in states[0]) >= len(variables) / 2
    assert [type(optimizer).__name__ for optimizer, _ in loaded._shares()] == ["Adam", "SGD"]
    assert loaded.update == "alternating" and loaded.gamma == 35.0


def test_default_optimizers():
    model = factor_vae()
    model.compile()
    (own, _), (other, _) = (share for share in model._shares())
    assert (float(own.learning_rate), float(other.learning_rate)) == pytest.approx((1e-3, 1e-4))
    assert (other.beta_1, other.beta_2, other.epsilon) == (0.5, 0.9, 1e-8)


def three_logits():
    z = keras.layers.Input((LATENTS,))
    return keras.Model(z, keras.layers.Dense(3)(z))


@pytest.mark.parametrize(
    "make",
    [
        lambda: kv.networks.mlp_discriminator(LATENTS + 1, hidden=(4,)),
        three_logits,
        lambda: networks()[0],
        lambda: keras.Sequential([keras.layers.Dense(2)]),
        lambda: "mlp",
    ],
)
def test_discriminators_that_do_not_fit(make):
    with pytest.raises(ValueError, match=r"discriminator must be a functional .* \(3,\) to 2 logits"):
        factor_vae(make())


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_a_discriminator_with_the_names_of_another_network_is_refused(name):
    # Its layers are then called encoder_dense_1, ...: an optimizer map could not tell their variables apart.
    model = factor_vae(kv.networks.mlp_discriminator(LATENTS, hidden=(4,), seed=1, name=name))
    with pytest.raises(ValueError, match="do layers of the discriminator have the names of others"):
        model.compile()


def test_another_update_is_refused():
    with pytest.raises(ValueError, match='update must be "alternating" or "simultaneous", got \'x\''):
        factor_vae(update="x")


@pytest.mark.parametrize(
    ("update", "count", "least"), [("alternating", 3, 4), ("alternating", 1, 4), ("simultaneous", 1, 2)]
)
def test_batches_too_small_are_refused(update, count, least):
    model = factor_vae(update=update)
    model.compile()
    with pytest.raises(ValueError, match=f"batch must hold at least {least} images"):
        contract.fit(model, images(count))


def test_the_smallest_batches_train():
    for update, count in (("alternating", 4), ("simultaneous", 2)):
        history = trained(factor_vae(update=update), images(count))
        assert all(np.isfinite(values).all() for values in history.values())
