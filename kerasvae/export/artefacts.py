"""A model's two networks, from pixels and to pixels: written in a serving format, run from there, and compared."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import warnings

import keras
import numpy as np
from keras import layers

from kerasvae.export.onnx_file import write_onnx
from kerasvae.export.torch_program import run_torch, write_torch
from kerasvae.extras import require
from kerasvae.models.images import center_and_scale, standardize
from kerasvae.models.reconstruction import image_link

_LESS_THAN_FLOAT32 = ("mixed_bfloat16", "mixed_float16", "bfloat16", "float16")
# Keras's names for them, and how a path of each ends.
SUFFIXES = {"tf_saved_model": "", "onnx": ".onnx", "litert": ".tflite", "torch": ".pt2"}
FORMATS = tuple(SUFFIXES)
SAVED_MODEL_SIGNATURES = {"encode": "serving_default", "decode": "decode"}
# What each format needs beside Keras: to be written, and to be run when it is compared with the model.
_PACKAGES = {
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
    "tf_saved_model": ("tensorflow",),
    "litert": ("tensorflow",),
    "torch": ("torch",),
}
_ONLY_TO_WRITE = ("onnx", "tf2onnx")
_WRITTEN_FROM = {
    "tensorflow": ("tf_saved_model", "onnx", "litert"),
    "jax": ("tf_saved_model",),
    "torch": ("torch",),
}
_VERSIONED = ("kerasvae", "keras", "numpy", "tensorflow", "jax", "torch", "tf2onnx", "onnx", "onnxruntime")


def check_format(argument: str, format) -> None:
    """ValueError naming `argument` unless it is one of the formats."""
    if not isinstance(format, str) or format not in FORMATS:
        raise ValueError(f"{argument} must be one of {', '.join(FORMATS)}, got {format!r}")


def check_can_write(argument: str, format: str) -> None:
    """Unless this backend can write the format and its packages are there.

    Raises:
        ValueError: naming `argument` for a backend that cannot.
        ImportError: naming all that is missing, and a command that brings it.
    """
    backend = keras.config.backend()
    if format not in _WRITTEN_FROM[backend]:
        other = "torch" if format == "torch" else "tensorflow"
        raise ValueError(
            f"{argument} {format!r} cannot be written from the {backend} backend, which writes "
            f"{', '.join(_WRITTEN_FROM[backend])}: save the model as .keras, load it under KERAS_BACKEND={other} and "
            "export it there"
        )
    require(f"{argument} {format!r}", _PACKAGES[format], "export" if format == "onnx" else None)


def check_can_run(argument: str, format: str) -> None:
    """Unless what runs the format is there; ImportError as of `check_can_write`."""
    require(f"{argument} {format!r}", [package for package in _PACKAGES[format] if package not in _ONLY_TO_WRITE])


def formats_of_backend() -> tuple[str, ...]:
    """The formats that this backend writes with what is installed."""
    found = []
    for format in _WRITTEN_FROM[keras.config.backend()]:
        with contextlib.suppress(ImportError):
            check_can_write("format", format)
            found.append(format)
    return tuple(found)


def versions() -> dict[str, str]:
    """Versions of the packages that had a part in an artefact, of those that are installed."""
    found = {}
    for package in _VERSIONED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def in_float32(network) -> keras.Model:
    """The network, or where it computes in less a copy in float32: ONNX runtimes lack kernels for bfloat16."""
    if _in_float32(network):
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


def _in_float32(network) -> bool:
    # Also within layers, which no public name lists.
    return all(layer.compute_dtype not in _LESS_THAN_FLOAT32 for layer in network._flatten_layers())


def expected_codes(model, network, images) -> dict[str, np.ndarray]:
    """What an exported encoder must give for uint8 images: `{"mean", "logvar"}`, float32 (n, latents).

    Args:
        model: the model.
        network: `in_float32` of its encoder, which takes its place where that computes in another precision.
        images: uint8 (n, height, width, channels).
    """
    if _in_float32(model.encoder):
        mean, logvar = model.encode(images, return_logvar=True)
        return {"mean": mean, "logvar": logvar}
    outputs = model.run_network(network, standardize(images, model.pixel_mean, model.pixel_std))
    return {name: outputs[name] for name in ("mean", "logvar")}


def expected_pixels(model, network, latents) -> dict[str, np.ndarray]:
    """What an exported decoder must give for codes: `{"image"}`, float64 (n, height, width, channels), 0..255.

    Args:
        model: the model.
        network: `in_float32` of its decoder, used as in `expected_codes`.
        latents: float32 (n, latents).
    """
    if _in_float32(model.decoder):
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
    heads = {name: layers.Identity(dtype="float32", name=name)(outputs[name]) for name in ("mean", "logvar")}
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


def write_network(network, path, format: str) -> None:
    """Write one network in one of `FORMATS` to a path with its suffix."""
    with _quiet():
        if format == "onnx":
            write_onnx(network, path)
        elif format == "torch":
            write_torch(network, path)
        else:
            network.export(path, format=format, verbose=False)


def write_saved_model(encoder, decoder, path) -> None:
    """Write both networks as one TensorFlow SavedModel with the signatures of `SAVED_MODEL_SIGNATURES`."""
    archive = keras.export.ExportArchive()
    if keras.config.backend() == "jax":
        # All before the first signature, which there takes all that is tracked as arguments. On TensorFlow a signature
        # finds its variables itself, and those that are tracked are stored twice.
        archive.track(encoder)
        archive.track(decoder)
    with _quiet():
        for signature, network in zip(SAVED_MODEL_SIGNATURES.values(), (encoder, decoder), strict=True):
            ((name, tensor),) = network.input.items()
            spec = keras.InputSpec(shape=tensor.shape, dtype=tensor.dtype, name=name)
            archive.add_endpoint(signature, network.__call__, [{name: spec}])
        archive.write_out(os.fspath(path), verbose=False)


@contextlib.contextmanager
def _quiet():
    # The converters warn of each other's and NumPy's deprecations, which no user of ours can mend, and log what they do
    # not know, which an error then says.
    log = logging.getLogger("tf2onnx")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def run_onnx(path, inputs: dict) -> dict[str, np.ndarray]:
    """Outputs by name of an ONNX file for inputs by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def run_saved_model(path, inputs: dict, signature: str = "serving_default") -> dict[str, np.ndarray]:
    """Outputs by name of one signature of a TensorFlow SavedModel for inputs by name."""
    import tensorflow as tf

    loaded = tf.saved_model.load(os.fspath(path))
    return {name: value.numpy() for name, value in loaded.signatures[signature](**inputs).items()}


def run_litert(path, inputs: dict) -> dict[str, np.ndarray]:
    """Outputs by name of a LiteRT (TensorFlow Lite) file for inputs by name, any batch size."""
    with _quiet():
        try:
            # The successor of TensorFlow's own interpreter, where it is installed.
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            import tensorflow as tf

            Interpreter = tf.lite.Interpreter  # noqa: N806
        return dict(Interpreter(os.fspath(path)).get_signature_runner()(**inputs))


def _run_torch(path, inputs: dict) -> dict[str, np.ndarray]:
    with _quiet():
        return run_torch(path, inputs)


RUNNERS = {"tf_saved_model": run_saved_model, "onnx": run_onnx, "litert": run_litert, "torch": _run_torch}


def largest_difference(artefact: str, outputs: dict, expected: dict, tolerance: float) -> float:
    """The largest absolute difference of an artefact's outputs from those expected.

    Args:
        artefact: what to call it.
        outputs, expected: arrays by name.
        tolerance: allowed, relative to 1 + the largest absolute value expected of an output.

    Raises:
        RuntimeError: naming the artefact and the output that differs by more.
    """
    largest = 0.0
    for name, values in expected.items():
        if name not in outputs or outputs[name].shape != values.shape:
            shape = outputs[name].shape if name in outputs else "nothing"
            raise RuntimeError(f"{artefact} does not reproduce the model: {name} is {shape}, not {values.shape}")
        difference = float(np.abs(outputs[name] - values).max())
        if not difference <= tolerance * (1 + float(np.abs(values).max())):
            raise RuntimeError(f"{artefact} does not reproduce the model: {name} differs by {difference:.3g}")
        largest = max(largest, difference)
    return largest


def first_line(error: Exception) -> str:
    """What a library's error says, in short."""
    lines = (line.strip() for line in str(error).splitlines())
    return f"{type(error).__name__}: {next((line for line in lines if line), '')[:200]}"
