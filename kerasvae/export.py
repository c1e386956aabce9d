"""Export of trained encoders: preprocessing baked in, outputs named, checked against the model before it returns."""

from __future__ import annotations

import base64
import importlib
import importlib.metadata
import os
import warnings
from pathlib import Path

import keras
import numpy as np
from keras import layers

from kerasvae import files
from kerasvae.models.images import center_and_scale, standardize
from kerasvae.models.vae import VAE

FORMATS = ("tf_saved_model", "onnx")


def encoder(
    model,
    path,
    format: str = "tf_saved_model",
    *,
    input_dtype: str = "uint8",
    images=None,
    tolerance: float = 1e-4,
) -> Path:
    """Write a model's encoder for serving: raw images in, `mean` and `logvar` out, any batch size.

    Input `image`: pixels 0..255, (batch, height, width, channels); the model's channel constants are applied inside.
    Outputs `mean` and `logvar`: float32 (batch, latents). It computes in float32, also when the model was trained in
    mixed precision, from which it then differs by that precision. Beside the artefact, `<path>.json` says what it is:
    names, shapes, constants, versions, and test vectors with the expected outputs.

    Args:
        model: a trained model of this package. Its constants (`model.pixel_mean`, `model.pixel_std`) are what `fit`
            learnt from the pipeline, or what it was made with.
        path: of the artefact: a folder for "tf_saved_model" (signature `serving_default`), a file for "onnx" (ending
            in .onnx). An earlier artefact is replaced; a folder that holds anything else is not.
        format: "tf_saved_model" or "onnx". From Torch and, for ONNX, from JAX: save the model as `.keras`, load it
            under TensorFlow and export there.
        input_dtype: "uint8", or "float32" for clients whose pixels 0..255 are floats.
        images: uint8 test images (n, height, width, channels) for the check; default, 4 images of random pixels.
        tolerance: largest difference allowed between artefact and model, relative to 1 + the largest output.

    Returns:
        The path.

    Raises:
        ValueError: for another format, model or path suffix, a backend that cannot write the format, or images that do
            not fit.
        ImportError: when the format's packages are missing (`pip install kerasvae[export]`).
        RuntimeError: when the artefact does not reproduce the model; it is not kept.
        OSError: when `path` cannot be written.

    Example:

    ```python
    kv.export.encoder(model, "encoder.onnx", format="onnx")
    import onnxruntime
    mean, = onnxruntime.InferenceSession("encoder.onnx").run(["mean"], {"image": images})
    ```
    """
    path = Path(path)
    _check_arguments(model, path, format, input_dtype)
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, size=(4, *model.image_shape), dtype="uint8")
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[1:] != model.image_shape or not len(images):
        raise ValueError(
            f"images must be uint8 (n, {', '.join(map(str, model.image_shape))}) with n at least 1, got {images.dtype} "
            f"of shape {images.shape}"
        )
    network = _float32_copy(model.encoder)
    if all(layer.compute_dtype == "float32" for layer in model.encoder.layers):
        mean, logvar = model.encode(images, return_logvar=True)
    else:
        outputs = model.run_network(network, standardize(images, model.pixel_mean, model.pixel_std))
        mean, logvar = outputs["mean"], outputs["logvar"]
    servable = _servable(model, network, input_dtype)
    description = path.with_name(path.name + ".json")
    with files.replacing(description) as temporary_description, files.replacing(path) as temporary:
        # Keras picks the file's kind by the suffix, which the temporary name must therefore keep.
        with warnings.catch_warnings():
            # The converters warn of each other's and NumPy's deprecations, which no user of ours can mend.
            warnings.simplefilter("ignore")
            servable.export(temporary, format=format, verbose=False)
        outputs = run(temporary, images.astype(input_dtype), format)
        for name, expected in {"mean": mean, "logvar": logvar}.items():
            difference = float(np.abs(outputs[name] - expected).max())
            if not difference <= tolerance * (1 + float(np.abs(expected).max())):
                raise RuntimeError(
                    f"the {format} artefact does not reproduce the model: {name} differs by {difference:.3g}"
                )
        files.write_json(
            temporary_description,
            {
                "format": format,
                "input": {
                    "name": "image",
                    "dtype": input_dtype,
                    "range": [0, 255],
                    "shape": [None, *model.image_shape],
                },
                "outputs": {
                    name: {"dtype": "float32", "shape": [None, model.latents], "meaning": meaning}
                    for name, meaning in (("mean", "posterior mean"), ("logvar", "posterior log-variance"))
                },
                "preprocessing": {
                    "formula": "(image / 255 - mean) / std, applied inside",
                    "mean": list(model.pixel_mean),
                    "std": list(model.pixel_std),
                },
                "model": {"class": type(model).__name__, "steps": int(model.step.numpy())},
                "versions": _versions(),
                # Pixels as the base64 of their bytes in C order; decimal numbers would take twenty times the space.
                "test": {
                    "image": {"shape": list(images.shape), "base64": base64.b64encode(images.tobytes()).decode()},
                    "mean": mean.tolist(),
                    "logvar": logvar.tolist(),
                },
            },
        )
    return path


def run(path, images, format: str = "tf_saved_model") -> dict[str, np.ndarray]:
    """Outputs of an exported encoder: `{"mean", "logvar"}`, each NumPy float32 (n, latents).

    Args:
        path: of the artefact.
        images: (n, height, width, channels), pixels 0..255 in the dtype it was exported for.
        format: "tf_saved_model" or "onnx".
    """
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, {"image": images}), strict=True))
    import tensorflow as tf

    loaded = tf.saved_model.load(os.fspath(path))
    return {name: value.numpy() for name, value in loaded.signatures["serving_default"](image=images).items()}


def _float32_copy(encoder) -> keras.Model:
    """The encoder with the same weights, computing in float32: ONNX runtimes lack kernels for bfloat16."""

    def copy(layer):
        config = layer.get_config()
        return type(layer).from_config({**config, "dtype": "float32"} if "dtype" in config else config)

    network = keras.models.clone_model(encoder, clone_function=copy, recursive=True)
    network.set_weights(encoder.get_weights())
    return network


def _servable(model, network, input_dtype: str) -> keras.Model:
    """A functional model from raw images to the two heads of `network`."""
    image = layers.Input(model.image_shape, dtype=input_dtype, name="image")
    center, scale = center_and_scale(model.pixel_mean, model.pixel_std)
    centered = layers.Rescaling(1.0, (-center).tolist(), dtype="float32", name="center")(image)
    standardized = layers.Rescaling(scale.tolist(), dtype="float32", name="scale")(centered)
    outputs = network(standardized)
    heads = {name: layers.Identity(dtype="float32", name=name)(outputs[name]) for name in ("mean", "logvar")}
    servable = keras.Model({"image": image}, heads, name="encoder")
    servable({"image": np.zeros((1, *model.image_shape), input_dtype)})
    return servable


def _check_arguments(model, path: Path, format: str, input_dtype: str) -> None:
    if not isinstance(model, VAE):
        raise ValueError(f"model must be a model of kerasvae, got {type(model).__name__}")
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    if input_dtype not in ("uint8", "float32"):
        raise ValueError(f'input_dtype must be "uint8" or "float32", got {input_dtype!r}')
    if format == "onnx" and path.suffix != ".onnx":
        raise ValueError(f"path must end in .onnx for the format onnx, got {str(path)!r}")
    if format == "tf_saved_model" and path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").is_file():
        raise ValueError(
            f"path must be a new folder or that of an earlier export, got {str(path)!r}, which holds other files"
        )
    backend = keras.config.backend()
    if backend == "torch" or (format == "onnx" and backend != "tensorflow"):
        raise ValueError(
            f"format {format!r} cannot be written from the {backend} backend: save the model as .keras, load it under "
            "KERAS_BACKEND=tensorflow and export it there"
        )
    for package in {"onnx": ("onnxruntime", "tf2onnx"), "tf_saved_model": ("tensorflow",)}[format]:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ImportError(f"format {format!r} needs {package}: pip install 'kerasvae[export]'") from error
    files.check_writable(path)


def _versions() -> dict[str, str]:
    packages = ("kerasvae", "keras", "numpy", "tensorflow", "jax", "tf2onnx", "onnx")
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
