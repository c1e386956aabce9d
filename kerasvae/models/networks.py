"""Whether an encoder and a decoder fit a VAE and each other."""

from __future__ import annotations

import keras


def check_networks(encoder, decoder) -> tuple[tuple[int, int, int], int]:
    """The image shape and number of latents of the two networks; ValueError naming the one that does not fit."""
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
    if not isinstance(heads, dict) or not {"mean", "logvar"} <= set(heads):
        raise ValueError(f'encoder must return a dictionary with "mean" and "logvar", it returns {heads}')
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
    return image_shape, latents
