"""A small data set, models of a few weights, and how they are trained: for the tests of callbacks."""

import keras

import kerasvae as kv

DATA = kv.datasets.XYSquares(num_squares=1, rgb=False, image_size=16, grid_size=4, grid_spacing=4, square_size=4)
IMAGES = DATA.standardize(DATA.images(range(len(DATA))))


def make(**options):
    model = kv.BetaVAE(
        kv.networks.mlp_encoder(DATA.image_shape, 3, hidden=(8,), seed=1),
        kv.networks.mlp_decoder(DATA.image_shape, 3, hidden=(8,), seed=2),
        seed=0,
        pixel_mean=DATA.mean,
        pixel_std=DATA.std,
    )
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9), **options)
    return model


def untraced():
    """A model that is not traced, which would cost more than a few steps do; JAX takes minutes uncompiled."""
    return make(run_eagerly=keras.config.backend() != "jax")


def fit(model, *callbacks, epochs=1, batch_size=4, **options):
    return model.fit(IMAGES, batch_size=batch_size, epochs=epochs, verbose=0, callbacks=list(callbacks), **options)
