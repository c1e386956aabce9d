"""Limits in which one objective is another, and arguments that each of them refuses."""

import contract
import keras
import numpy as np
import pytest
from contract_objectives import HIDDEN, LATENTS, SHAPE

import kerasvae as kv


def make(cls, **arguments):
    return cls(
        kv.networks.mlp_encoder(SHAPE, LATENTS, hidden=(HIDDEN,), seed=1),
        kv.networks.mlp_decoder(SHAPE, LATENTS, hidden=(HIDDEN,), seed=2),
        **{"seed": 3, **arguments},
    )


def images(count=24, seed=0):
    return np.random.default_rng(seed).normal(size=(count, *SHAPE)).astype("float32")


def train(model, data=None, rate=1e-3, batch_size=8):
    # Tracing would cost more than the steps do; the contract covers the compiled step.
    model.compile(keras.optimizers.SGD(rate), run_eagerly=keras.config.backend() == "tensorflow")
    return contract.fit(model, images() if data is None else data, batch_size=batch_size)


def assert_same_training(model, other, exact=False):
    """The same logs, as far as both have them, and the same weights after three steps."""
    histories = train(model), train(other)
    start = make(kv.VAE)
    for name in histories[1]:
        assert histories[0][name][0] == pytest.approx(histories[1][name][0], rel=0.0 if exact else 1e-5)
    for a, b, before in zip(
        model.trainable_variables, other.trainable_variables, start.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=0.0 if exact else 1e-5, atol=0.0 if exact else 1e-7)
        assert (a.numpy() != before.numpy()).any()


def test_annealed_vae_without_capacity_is_a_beta_vae():
    assert_same_training(
        make(kv.AnnealedVAE, gamma=4.0, capacity=0.0), make(kv.BetaVAE, beta=4.0, reduction="sum"), exact=True
    )


@pytest.mark.parametrize("kind", ["i", "ii"])
def test_dip_vae_without_weights_is_a_vae(kind):
    assert_same_training(make(kv.DIPVAE, kind=kind, lambda_od=0.0, lambda_d=0.0), make(kv.VAE))


def test_info_vae_of_lambda_1_is_a_vae():
    assert_same_training(make(kv.InfoVAE, alpha=0.0, lambda_mmd=1.0), make(kv.VAE))


def test_info_vae_of_alpha_1_has_no_kl():
    logs = train(make(kv.InfoVAE, alpha=1.0, lambda_mmd=7.0), images(8), rate=0.0)
    assert logs["loss"][0] == pytest.approx(logs["reconstruction_nats"][0] + 7 * logs["mmd_loss"][0], rel=1e-5)


def test_annealed_vae_below_and_above_its_capacity():
    kl = train(make(kv.VAE), images(8), rate=0.0)["kl_nats"][0]
    for capacity in (0.5 * kl, 2.0 * kl):
        logs = train(make(kv.AnnealedVAE, gamma=10.0, capacity=capacity), images(8), rate=0.0)
        assert logs["capacity"][0] == pytest.approx(capacity, rel=1e-6)
        distance = logs["loss"][0] - logs["reconstruction_nats"][0]
        assert distance == pytest.approx(10 * abs(kl - capacity), rel=1e-4)


@pytest.mark.parametrize("estimator", ["mws", "mss"])
def test_beta_tc_vae_of_weights_1_estimates_the_vae(estimator):
    """The terms add up to the loss exactly, and to the Kullback-Leibler divergence up to the sampling of z."""
    data = images(1024)
    model = make(kv.BetaTCVAE, dataset_size=5000, alpha=1.0, beta=1.0, gamma=1.0, estimator=estimator)
    logs, vae = (
        {name: values[0] for name, values in train(each, data, rate=0.0, batch_size=1024).items()}
        for each in (model, make(kv.VAE))
    )
    parts = logs["mutual_information"] + logs["total_correlation"] + logs["dimension_kl"]
    assert logs["loss"] == pytest.approx(logs["reconstruction_nats"] + parts, rel=1e-6)
    assert logs["reconstruction_nats"] == pytest.approx(vae["reconstruction_nats"], rel=1e-6)
    assert parts == pytest.approx(vae["kl_nats"], rel=0.03)
    assert logs["loss"] == pytest.approx(vae["loss"], rel=0.002)


@pytest.mark.parametrize("count", [1, 8])
def test_beta_tc_vae_batches_that_are_refused(count):
    model = make(kv.BetaTCVAE, dataset_size=6)
    model.compile()
    with pytest.raises(ValueError, match=f"at least 2 images and at most 6 for BetaTCVAE, the batches hold {count}"):
        contract.fit(model, images(count))


def assert_pairs_are_a_beta_vae(pairs, data):
    """One loss: the pair's two images take the noise that a batch of twice the size has."""
    logs = train(pairs, data, rate=0.0)
    both = np.concatenate([data["first"], data["second"]])
    single = train(make(kv.BetaVAE, beta=0.5), both, rate=0.0, batch_size=16)
    for name in single:
        assert logs[name][0] == pytest.approx(single[name][0], rel=1e-5)


def test_ada_mlvae_of_identical_images_is_a_beta_vae():
    assert_pairs_are_a_beta_vae(make(kv.AdaMLVAE, beta=0.5), {"first": images(8), "second": images(8)})


@pytest.mark.parametrize("cls", [kv.AdaGVAE, kv.AdaMLVAE])
def test_a_mask_that_shares_nothing_makes_it_a_beta_vae(cls):
    data = {"first": images(8), "second": images(8, 1), "shared": np.zeros((8, LATENTS), bool)}
    assert_pairs_are_a_beta_vae(make(cls, beta=0.5), data)


@pytest.mark.parametrize("cls", [kv.AdaGVAE, kv.AdaMLVAE])
def test_a_mask_says_which_latents_are_averaged(cls):
    model = make(cls, beta=0.5)
    pair = {"first": images(8), "second": images(8, 1)}
    gathered = model.gather_images(pair)
    own = [keras.ops.convert_to_numpy(part).astype("float64") for part in kv.BetaVAE.posterior(model, gathered)]
    (a, b), (va, vb) = np.split(own[0], 2), np.split(np.exp(own[1]), 2)
    if cls is kv.AdaGVAE:
        mean, variance = (a + b) / 2, (va + vb) / 2
    else:
        variance = 2 * va * vb / (va + vb)
        mean = (a / va + b / vb) * variance / 2
    some = np.random.default_rng(2).random((8, LATENTS)) < 0.5
    for shared in (np.ones((8, LATENTS), bool), some):
        x = {**pair, "shared": keras.ops.convert_to_tensor(shared)}
        got = model.posterior(gathered, x=x)
        for output, average, before in zip(got, (mean, np.log(variance)), own, strict=True):
            expected = np.where(np.tile(shared, (2, 1)), np.tile(average, (2, 1)), before)
            np.testing.assert_allclose(keras.ops.convert_to_numpy(output), expected, rtol=1e-4, atol=1e-5)


def test_a_mask_reaches_the_loss():
    data = {"first": images(8), "second": images(8, 1)}
    losses = {}
    for name, mask in (("none", np.zeros), ("all", np.ones)):
        masked = {**data, "shared": mask((8, LATENTS), bool)}
        losses[name] = train(make(kv.AdaGVAE, beta=0.5), masked, rate=0.0)["kl_nats"][0]
    assert losses["all"] < losses["none"]


@pytest.mark.parametrize("shape", [(8,), (8, LATENTS + 1), (8, LATENTS, 1)])
def test_masks_of_a_wrong_shape_are_refused(shape):
    data = {"first": images(8), "second": images(8, 1), "shared": np.ones(shape, bool)}
    with pytest.raises(ValueError, match=r'x\["shared"\] must be boolean \(batch, 3\), got shape'):
        train(make(kv.AdaGVAE), data)


def test_other_keys_are_refused():
    data = {"first": images(8), "second": images(8, 1), "mask": np.ones((8, LATENTS), bool)}
    with pytest.raises(ValueError, match="they yield the keys"):
        train(make(kv.AdaGVAE), data)


def test_dip_vae_default_weights():
    assert make(kv.DIPVAE).lambda_d == 10.0
    assert make(kv.DIPVAE, kind="i", lambda_od=2.0).lambda_d == 20.0
    assert make(kv.DIPVAE, kind="ii", lambda_od=2.0).lambda_d == 2.0
    with pytest.raises(ValueError, match="lambda_d must be given where lambda_od is a schedule"):
        make(kv.DIPVAE, lambda_od=kv.schedules.Linear(0.0, 1.0, steps=5))


@pytest.mark.parametrize(
    ("cls", "arguments", "match"),
    [
        (kv.AnnealedVAE, {"gamma": -1.0}, "gamma must be at least 0"),
        (kv.AnnealedVAE, {"capacity": -1.0}, "capacity must be at least 0"),
        (kv.AnnealedVAE, {"capacity": kv.schedules.Cosine(-1.0, 5.0, steps=9)}, "capacity must be at least 0"),
        (kv.BetaTCVAE, {"dataset_size": 1}, "dataset_size must be an integer, at least 2, got 1"),
        (kv.BetaTCVAE, {"dataset_size": 10.0}, "dataset_size must be an integer"),
        (kv.BetaTCVAE, {"dataset_size": True}, "dataset_size must be an integer"),
        (kv.BetaTCVAE, {"dataset_size": 9, "estimator": "x"}, "estimator must be"),
        (kv.BetaTCVAE, {"dataset_size": 9, "beta": -1.0}, "beta must be at least 0"),
        (kv.BetaTCVAE, {"dataset_size": 9, "gamma": -1.0}, "gamma must be at least 0"),
        (kv.BetaTCVAE, {"dataset_size": 9, "alpha": "x"}, "alpha must be a finite number"),
        (kv.DIPVAE, {"kind": "x"}, "kind must be"),
        (kv.DIPVAE, {"lambda_od": -1.0}, "lambda_od must be at least 0"),
        (kv.DIPVAE, {"lambda_d": -1.0}, "lambda_d must be at least 0"),
        (kv.InfoVAE, {"alpha": 2.0}, "alpha must be at most 1"),
        (kv.InfoVAE, {"lambda_mmd": -1.0}, "lambda_mmd must be at least 0"),
        (kv.FactorVAE, {"gamma": -1.0}, "gamma must be at least 0"),
        (kv.AdaMLVAE, {"averaging": "gvae"}, "averaging must be one of"),
        (kv.AdaMLVAE, {"threshold": 2.0}, "threshold must be"),
    ],
)
def test_arguments_that_are_refused(cls, arguments, match):
    if cls is kv.FactorVAE:
        arguments = {**arguments, "discriminator": kv.networks.mlp_discriminator(LATENTS, hidden=(4,), seed=1)}
    with pytest.raises(ValueError, match=match):
        make(cls, **arguments)
