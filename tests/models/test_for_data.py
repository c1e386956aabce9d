"""`for_data`: a model from a data set, whose networks, constants and size it takes over."""

import functools

import keras
import numpy as np
import pytest
from contract import assert_same
from contract_objectives import OBJECTIVES

import kerasvae as kv

DATA = kv.datasets.XYSquares(num_squares=1, rgb=False, image_size=16, grid_size=4, grid_spacing=4, square_size=4)
SMALL = tuple(functools.partial(each, hidden=(5,)) for each in (kv.networks.mlp_encoder, kv.networks.mlp_decoder))
CLASSES = {each.cls: each for each in reversed(OBJECTIVES)}


# One optimizer, pairs, the size of the data, two optimizers: the others are left to `make test-slow`.
@pytest.mark.parametrize(
    "cls",
    [
        pytest.param(cls, marks=[] if cls in (kv.BetaVAE, kv.AdaGVAE, kv.BetaTCVAE, kv.FactorVAE) else pytest.mark.slow)
        for cls in CLASSES
    ],
    ids=lambda cls: cls.__name__,
)
def test_every_objective_trains_scores_and_repeats(cls):
    arguments = {key: value for key, value in CLASSES[cls].arguments.items() if key != "dataset_size"}
    models = []
    for _ in range(2):
        if cls is kv.FactorVAE:
            arguments["discriminator"] = kv.networks.mlp_discriminator(2, hidden=(3,), seed=4)
        keras.utils.set_random_seed(len(models))  # which nothing depends on
        model = cls.for_data(DATA, 2, SMALL, seed=7, **arguments)
        model.compile(keras.optimizers.SGD(1e-3), run_eagerly=keras.config.backend() == "tensorflow")
        pipeline = kv.datasets.pairs if CLASSES[cls].pairs else kv.datasets.images
        model.fit(pipeline(DATA, 8, steps=1, seed=1), verbose=0)
        models.append(model)
    assert type(model) is cls and (model.latents, model.seed) == (2, 7)
    assert_same(*(model.get_weights() for model in models))
    assert (model.pixel_mean, model.pixel_std) == (tuple(DATA.mean), tuple(DATA.std))
    if cls is kv.BetaTCVAE:
        assert model.dataset_size == len(DATA)
    scores = kv.metrics.evaluate(model, DATA, ["mig"], train=40, test=20)
    assert 0 <= float(scores["mig"]) <= 1


def test_it_is_the_long_form():
    short = kv.BetaVAE.for_data(DATA, latents=3, networks="mlp", reconstruction="mae", beta=0.5, seed=4)
    long = kv.BetaVAE(
        kv.networks.mlp_encoder(DATA.image_shape, 3, seed=8),
        kv.networks.mlp_decoder(DATA.image_shape, 3, seed=9),
        "mae",
        beta=0.5,
        seed=4,
        pixel_mean=DATA.mean,
        pixel_std=DATA.std,
        name=short.name,
    )
    assert_same(short.get_weights(), long.get_weights())
    assert short.get_config() == long.get_config()


@pytest.mark.parametrize("networks", ["conv", "burgess", "mlp"])
def test_networks_by_name(networks):
    model = kv.VAE.for_data(DATA, 2, networks)
    assert model.image_shape == DATA.image_shape
    assert model.knows_pixel_constants and not model.compiled
    # Drawn, and reported: the same seed gives the same weights.
    again = kv.VAE.for_data(DATA, 2, networks, seed=model.seed)
    assert_same(model.get_weights(), again.get_weights())
    assert kv.VAE.for_data(DATA, 2, SMALL).seed != kv.VAE.for_data(DATA, 2, SMALL).seed


def test_losses_of_images_in_0_to_1_have_such_images():
    model = kv.VAE.for_data(DATA, 2, SMALL, reconstruction=kv.losses.BernoulliNLL(), seed=1)
    assert (model.pixel_mean, model.pixel_std) == ((0.0,), (1.0,))
    model.compile(keras.optimizers.SGD(1e-3), run_eagerly=True)
    model.fit(kv.datasets.images(DATA, 8, steps=1, standardize=False), verbose=0)  # without a warning
    model.fit(DATA.images(np.arange(16)), verbose=0)
    given = kv.VAE.for_data(DATA, 2, SMALL, pixel_mean=0.25, pixel_std=0.5)
    assert (given.pixel_mean, given.pixel_std) == ((0.25,), (0.5,))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": np.zeros((4, 16, 16, 1))}, r"data must be a data set .*FromArrays\(images\), got ndarray float64 of"),
        ({"data": kv.datasets.XYSquares}, "data must be a data set .* got the class XYSquares"),
        ({"data": "xysquares"}, "data must be a data set .* got 'xysquares'"),
        ({"latents": 0}, "latents must be an integer, at least 1, got 0"),
        ({"latents": True}, "latents must be an integer, at least 1, got True"),
        ({"networks": "cnn"}, 'networks must be "conv", "burgess" or "mlp", or two functions .* got .cnn.'),
        ({"networks": SMALL[:1]}, "networks must be .* two functions"),
        ({"seed": -1}, "seed must be an integer, at least 0, got -1"),
        ({"reconstruction": "msee"}, "reconstruction must be .* got 'msee'"),
        ({"beta": -1.0}, "beta must be at least 0, got -1.0"),
    ],
)
def test_wrong_calls(arguments, message):
    with pytest.raises(ValueError, match=message):
        kv.BetaVAE.for_data(**{"data": DATA, "latents": 2, "networks": SMALL, **arguments})
