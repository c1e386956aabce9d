"""The discriminator of FactorVAE."""

from __future__ import annotations

import keras
from keras import layers

from kerasvae.checks import check_integer, check_integers
from kerasvae.networks.arguments import check_name, glorot_normal


def mlp_discriminator(
    latents: int, *, hidden=(1000,) * 6, seed: int | None = None, name: str = "discriminator"
) -> keras.Model:
    """Dense layers with leaky ReLU (slope 0.2) from codes to two logits: from q(z), or from the product of marginals.

    Args:
        latents: number of latents, at least 1.
        hidden: widths of the hidden layers, each at least 1. Default six of 1000 (disentangling-vae and pythae have
            five).
        seed: for reproducible initial weights (Glorot normal); None draws from Keras's global generator.
        name: of the model.

    Returns:
        A functional `keras.Model` from `latents` (batch, latents) to (batch, 2), float32 under every dtype policy.

    Raises:
        ValueError: for a number of latents, width or seed that is not allowed.

    Source: Kim & Mnih 2018, appendix A.
    """
    latents = check_integer(latents, "latents", 1)
    name = check_name(name)
    weights = glorot_normal(seed)
    z = layers.Input((latents,), name="latents")
    x = z
    for number, width in enumerate(check_integers(hidden, "hidden", 1), start=1):
        x = layers.Dense(width, kernel_initializer=weights(), name=f"{name}_dense_{number}")(x)
        x = layers.LeakyReLU(negative_slope=0.2, name=f"{name}_leaky_{number}")(x)
    logits = layers.Dense(2, kernel_initializer=weights(), dtype="float32", name=f"{name}_logits")(x)
    return keras.Model(z, logits, name=name)
