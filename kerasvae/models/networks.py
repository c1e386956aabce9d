"""Whether an encoder and a decoder fit a VAE and each other."""

from __future__ import annotations

import warnings

import keras

from kerasvae.checks import alternatives, shown
from kerasvae.models.keras_internals import has_global_seed
from kerasvae.networks import NETWORKS


def network_functions(networks) -> tuple:
    """The functions that make an encoder and a decoder, for a name of `kerasvae.networks.NETWORKS` or the two."""
    functions = NETWORKS.get(networks) if isinstance(networks, str) else networks
    two = isinstance(functions, list | tuple) and len(functions) == 2
    if not two or any(not callable(each) or isinstance(each, keras.layers.Layer) for each in functions):
        raise ValueError(
            f"networks must be {alternatives(NETWORKS)}, or two functions that make an encoder and a decoder, as "
            "(mlp_encoder, mlp_decoder) of kerasvae.networks, each of (image_shape, latents, seed=...); got "
            f"{shown(networks)}"
        )
    return tuple(functions)


def check_networks(encoder, decoder) -> tuple[keras.Model, tuple[int, int, int], int]:
    """The encoder, the image shape and the number of latents; ValueError naming the network that does not fit.

    An encoder that returns `[mean, logvar]` becomes one that returns them by name, of the same layers.
    """
    for argument, network in (("encoder", encoder), ("decoder", decoder)):
        if not isinstance(network, keras.Model) or not network.built:
            raise ValueError(
                f"{argument} must be a built functional keras.Model, such as those of kerasvae.networks, "
                f"got {network!r}"
            )
    image_shape = tuple(encoder.input_shape[1:]) if isinstance(encoder.input_shape, tuple) else ()
    if len(image_shape) != 3 or None in image_shape:
        raise ValueError(
            f"encoder must take one image of fixed shape (height, width, channels), it takes {encoder.input_shape}"
        )
    # `output_shape` drops the names of the outputs; a symbolic call keeps them.
    heads = encoder.compute_output_spec(keras.KerasTensor((None, *image_shape)))
    if isinstance(heads, list | tuple) and len(heads) == 2:
        named = dict(zip(("mean", "logvar"), encoder.outputs, strict=True))
        encoder = keras.Model(encoder.inputs[0], named, name=encoder.name)
        heads = dict(zip(("mean", "logvar"), heads, strict=True))
    if not isinstance(heads, dict) or not {"mean", "logvar"} <= set(heads):
        raise ValueError(
            f'encoder must return a dictionary with "mean" and "logvar", or the two in this order, it returns {heads}'
        )
    heads = {head: tuple(tensor.shape) for head, tensor in heads.items()}
    if len(heads["mean"]) != 2 or heads["mean"] != heads["logvar"]:
        raise ValueError(
            f'encoder: "mean" and "logvar" must both be (batch, latents), they are {heads["mean"]} and '
            f"{heads['logvar']}"
        )
    latents = heads["mean"][-1]
    if tuple(decoder.input_shape[1:]) != (latents,):
        raise ValueError(
            f"decoder must take as many latents as the encoder returns ({latents}), it takes {decoder.input_shape[1:]}"
        )
    if tuple(decoder.output_shape[1:]) != image_shape:
        raise ValueError(
            f"decoder must return images of the encoder's shape {image_shape}, it returns {decoder.output_shape[1:]}"
        )
    return encoder, image_shape, latents


def warn_of_unseeded_networks(**networks) -> None:
    """A warning, naming them, if some of the networks hold random parts that have neither a seed nor Keras's global."""
    if has_global_seed():
        return
    unseeded = [name for name, network in networks.items() if _lacks_a_seed(network.get_config())]
    if unseeded:
        warnings.warn(
            f"seed repeats the noise and the order of images, but the weights or layers of {' and '.join(unseeded)} "
            "are random without a seed, so that two runs differ; give each network a seed, as in "
            "kerasvae.networks.mlp_encoder(..., seed=1), or its layers, or call keras.utils.set_random_seed before",
            UserWarning,
            stacklevel=5,
        )


def _lacks_a_seed(config) -> bool:
    """Whether anywhere in a configuration a random initializer or layer has the seed None."""
    if isinstance(config, dict):
        return ("seed" in config and config["seed"] is None) or any(map(_lacks_a_seed, config.values()))
    return isinstance(config, list | tuple) and any(map(_lacks_a_seed, config))
