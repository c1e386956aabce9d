"""Fully connected encoder and decoder: any image size, and the fastest for small images."""

from __future__ import annotations

import math

import keras
from keras import layers

from kerasvae.checks import check_integer, check_integers
from kerasvae.networks.arguments import (
    check_activation,
    check_image_shape,
    check_name,
    glorot_normal,
)
from kerasvae.networks.conv import posterior_heads


def mlp_encoder(
    image_shape,
    latents: int,
    *,
    hidden=(256, 256),
    activation: str = "relu",
    seed: int | None = None,
    name: str = "encoder",
) -> keras.Model:
    """Dense layers on the flattened image, and two heads: its posterior's `mean` and `logvar`.

    Args:
        image_shape: (height, width, channels), any sides, 1 to 16 channels.
        latents: number of latents, at least 1.
        hidden: widths of the hidden layers, each at least 1, from the image to the latents.
        activation: of the hidden layers, a name that `keras.activations` knows, or a function.
        seed: for reproducible initial weights (Glorot normal); None draws from Keras's global generator.
        name: of the model.

    Returns:
        A functional `keras.Model` from `image` (batch, height, width, channels) to `{"mean", "logvar"}`, each (batch,
        latents) and float32 under every dtype policy.

    Raises:
        ValueError: for a shape, width, number of latents, activation or seed that is not allowed.
    """
    shape = check_image_shape(image_shape)
    latents = check_integer(latents, "latents", 1)
    name = check_name(name)
    weights = glorot_normal(seed)
    image = layers.Input(shape, name="image")
    x = dense_stack(layers.Flatten(name=f"{name}_flatten")(image), hidden, activation, weights, name)
    return keras.Model(image, posterior_heads(x, latents, weights, name), name=name)


def mlp_decoder(
    image_shape,
    latents: int,
    *,
    hidden=(256, 256),
    activation: str = "relu",
    seed: int | None = None,
    name: str = "decoder",
) -> keras.Model:
    """Dense layers from the latents to an image; no activation at the end.

    Args:
        image_shape: (height, width, channels), any sides, 1 to 16 channels.
        latents: number of latents, at least 1.
        hidden: widths of the hidden layers, each at least 1, from the latents to the image.
        activation: of the hidden layers, a name that `keras.activations` knows, or a function.
        seed: for reproducible initial weights (Glorot normal); None draws from Keras's global generator.
        name: of the model.

    Returns:
        A functional `keras.Model` from `latents` (batch, latents) to (batch, height, width, channels), float32 under
        every dtype policy.

    Raises:
        ValueError: for a shape, width, number of latents, activation or seed that is not allowed.
    """
    shape = check_image_shape(image_shape)
    latents = check_integer(latents, "latents", 1)
    name = check_name(name)
    weights = glorot_normal(seed)
    z = layers.Input((latents,), name="latents")
    x = dense_stack(z, hidden, activation, weights, name)
    x = layers.Dense(math.prod(shape), kernel_initializer=weights(), dtype="float32", name=f"{name}_pixels")(x)
    return keras.Model(z, layers.Reshape(shape, dtype="float32", name=f"{name}_reconstruction")(x), name=name)


def dense_stack(x, hidden, activation, weights, name):
    """One dense layer for each width in `hidden`, on top of `x`."""
    activation = check_activation(activation)
    for number, width in enumerate(check_integers(hidden, "hidden", 1), start=1):
        x = layers.Dense(width, activation=activation, kernel_initializer=weights(), name=f"{name}_dense_{number}")(x)
    return x
