"""A model's two networks as they are exported: from pixels and to pixels, in float32; and what they must give."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from kerasvae.models.images import center_and_scale, standardize
from kerasvae.models.reconstruction import image_link

# Outputs of an encoder.
HEADS = ("mean", "logvar")
_LESS_THAN_FLOAT32 = ("mixed_bfloat16", "mixed_float16", "bfloat16", "float16")


def in_float32(network) -> keras.Model:
    """The network, or where it computes in less a copy in float32: ONNX runtimes lack kernels for bfloat16."""
    # Also within layers, which no public name lists.
    if all(layer.compute_dtype not in _LESS_THAN_FLOAT32 for layer in network._flatten_layers()):
        return network

    copies = {}

    def copy(layer):
        if layer not in copies:  # a layer may be in two models
            copies[layer] = _copy_in_float32(layer, copy)
        return copies[layer]

    copied = copy(network)
    copied.set_weights(network.get_weights())
    return copied


def _copy_in_float32(layer, copy):
    if isinstance(layer, keras.Sequential):
        # Keras would give it an input of the old precision.
        return keras.Sequential([keras.Input(batch_shape=layer.input_shape), *map(copy, layer.layers)], name=layer.name)
    if isinstance(layer, keras.Model) and hasattr(layer, "operations"):
        return keras.models.clone_model(layer, clone_function=copy)
    if isinstance(layer, layers.Lambda):
        # Its configuration holds bytecode, which Keras does not run unless it is asked to.
        return layers.Lambda(
            layer.function, mask=layer.mask, arguments=layer.arguments, name=layer.name, dtype="float32"
        )
    return type(layer).from_config(_config_in_float32(layer.get_config()))


def _config_in_float32(config):
    """A layer's configuration with float32 for every precision, also those of layers within."""
    if isinstance(config, list | tuple):
        return type(config)(map(_config_in_float32, config))
    if not isinstance(config, dict):
        return config
    config = {key: _config_in_float32(value) for key, value in config.items()}
    policy = config.get("dtype")
    if isinstance(policy, dict):
        policy = policy.get("config", {}).get("name")
    return {**config, "dtype": "float32"} if policy in _LESS_THAN_FLOAT32 else config


def expected_codes(model, network, images) -> dict[str, np.ndarray]:
    """What an exported encoder must give for uint8 images: `{"mean", "logvar"}`, float32 (n, latents).

    Args:
        model: the model.
        network: `in_float32` of its encoder, which takes its place where that computes in another precision.
        images: uint8 (n, height, width, channels).
    """
    if network is model.encoder:
        return dict(zip(HEADS, model.encode(images, return_logvar=True), strict=True))
    outputs = model.run_network(network, standardize(images, model.pixel_mean, model.pixel_std))
    return {name: outputs[name] for name in HEADS}


def expected_pixels(model, network, latents) -> dict[str, np.ndarray]:
    """What an exported decoder must give for codes: `{"image"}`, float64 (n, height, width, channels), 0..255.

    Args:
        model: the model.
        network: `in_float32` of its decoder, used as in `expected_codes`.
        latents: float32 (n, latents).
    """
    if network is model.decoder:
        image = model.decode(latents)
    else:
        image = model.run_network(network, latents)
        image = keras.ops.convert_to_numpy(model.expected_image(image))
    image = (image * np.asarray(model.pixel_std, "float64") + np.asarray(model.pixel_mean, "float64")) * 255.0
    return {"image": np.clip(image, 0.0, 255.0)}


def encoder_from_pixels(model, network, input_dtype: str) -> keras.Model:
    """A functional model from `image`, pixels 0..255, to the two heads of `network`, `mean` and `logvar`."""
    image = layers.Input(model.image_shape, dtype=input_dtype, name="image")
    center, scale = center_and_scale(model.pixel_mean, model.pixel_std)
    centered = layers.Rescaling(1.0, (-center).tolist(), dtype="float32", name="center")(image)
    standardized = layers.Rescaling(scale.tolist(), dtype="float32", name="scale")(centered)
    # Recorded in the graph: some layers (RandomFlip) take a call that does not say so for one in training.
    outputs = network(standardized, training=False)
    heads = {name: layers.Identity(dtype="float32", name=name)(outputs[name]) for name in HEADS}
    servable = keras.Model({"image": image}, heads, name="encoder")
    # Keras exports to ONNX only what has been called.
    servable({"image": np.zeros((1, *model.image_shape), input_dtype)})
    return servable


def decoder_to_pixels(model, network) -> keras.Model:
    """A functional model from `latents` to `image`, pixels 0..255: clipped, not rounded."""
    latents = layers.Input((model.latents,), dtype="float32", name="latents")
    image = network(latents, training=False)
    if image_link(model.reconstruction) is not None:
        image = _ExpectedImage(model.reconstruction, dtype="float32", name="expected_image")(image)
    scale, offset = (255.0 * np.asarray(constant, "float64") for constant in (model.pixel_std, model.pixel_mean))
    image = layers.Rescaling(scale.tolist(), offset.tolist(), dtype="float32", name="pixels")(image)
    image = layers.ReLU(max_value=255.0, dtype="float32", name="image")(image)
    servable = keras.Model({"latents": latents}, {"image": image}, name="decoder")
    servable({"latents": np.zeros((1, model.latents), "float32")})
    return servable


class _ExpectedImage(layers.Layer):
    """The image that a loss's predictions stand for; a layer, as the loss need not be made of `keras.ops`."""

    def __init__(self, reconstruction, **kwargs):
        super().__init__(**kwargs)
        self.reconstruction = reconstruction

    def call(self, predicted):
        return image_link(self.reconstruction)(predicted)

    def compute_output_shape(self, input_shape):
        return input_shape
