"""The model and the data of one row of the paper's experiments."""

from __future__ import annotations

import math

import keras
import numpy as np

from kerasvae import datasets, losses
from kerasvae.models import AdaGVAE, BetaVAE
from kerasvae.networks import NETWORKS
from kerasvae.schedules import Linear
from kerasvae.tuning.grids import NONE

FRAMEWORKS = {"betavae": BetaVAE, "adagvae": AdaGVAE}


def build_model(row: dict, image_shape, steps_per_execution: int = 1):
    """The compiled model of a row.

    Args:
        row: of `kerasvae.tuning.grids`.
        image_shape: (height, width, channels) of the data set.
        steps_per_execution: as for `VAE.compile`.

    Returns:
        A `BetaVAE` or `AdaGVAE`.

    Raises:
        ValueError: for a field not allowed.
    """
    model_class, (encoder, decoder) = FRAMEWORKS[row["framework"]], NETWORKS[row["networks"]]
    seed, latents = row["seed"], row["latents"]
    padding = {} if row["padding"] == NONE else {"padding": row["padding"]}
    pair = encoder(image_shape, latents, seed=2 * seed, **padding), decoder(image_shape, latents, seed=2 * seed + 1)
    if row["initializer"] == "authors":
        for number, network in enumerate(pair):
            untruncated_weights(network, 2 * seed + number)
    loss = losses.MeanSquaredError()
    if row["loss"] == "boxblur":
        loss = losses.BoxBlurMSE(row["blur_radius"], row["blur_weight"])
    own = {name: row[name] for name in ("averaging", "distance", "threshold")} if model_class is AdaGVAE else {}
    beta = Linear(0.0, row["beta"], steps=row["beta_warmup"]) if row["beta_warmup"] else row["beta"]
    model = model_class(*pair, loss, beta=beta, reduction=row["reduction"], seed=seed, **own)
    optimizer = keras.optimizers.Adam(row["learning_rate"], row["beta_1"], row["beta_2"], epsilon=row["epsilon"])
    model.compile(optimizer, steps_per_execution=steps_per_execution)
    return model


def untruncated_weights(network, seed: int) -> None:
    """Draw a network's kernels anew from Glorot's normal distribution, not truncated, the two heads as one layer.

    Args:
        network: an encoder or decoder of `kerasvae.networks`; its biases stay 0.
        seed: an integer, at least 0.

    Source: the initialisation in the code of "Overlooked Implications": Xavier normal for all weights, where one dense
    layer makes mean and log-variance together. Keras's `GlorotNormal` has the same variance, but no value beyond two
    of its standard deviations.
    """
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if not hasattr(layer, "kernel"):
            continue
        *window, fan_one, fan_other = tuple(layer.kernel.shape)
        if layer.name.endswith(("_mean", "_logvar")):
            fan_other *= 2
        deviation = math.sqrt(2.0 / ((fan_one + fan_other) * math.prod(window)))
        layer.kernel.assign(rng.normal(0.0, deviation, layer.kernel.shape).astype("float32"))


def batches(row: dict, data, *, steps=None, seed=None, start: int = 0, on_device: bool = False, form=None):
    """The pipeline of a row: images, or pairs for Ada-GVAE; `steps` and `seed` are the row's where they are None."""
    options = {
        "steps": row["steps"] if steps is None else steps,
        "seed": row["seed"] if seed is None else seed,
        "start": start,
        "on_device": on_device,
        "form": form,
    }
    if FRAMEWORKS[row["framework"]] is AdaGVAE:
        return datasets.pairs(data, row["batch_size"], changed=row["changed"], **options)
    return datasets.images(data, row["batch_size"], **options)
