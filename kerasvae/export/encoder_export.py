"""Export of trained encoders: preprocessing baked in, outputs named, checked against the model before it returns."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from kerasvae import files
from kerasvae.export.artefacts import (
    check_can_write,
    encoder_from_pixels,
    expected_codes,
    float32_copy,
    largest_difference,
    run_onnx,
    run_saved_model,
    versions,
    write_network,
)
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
        ImportError: when the format's packages are missing, all of which it names.
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
    images = checked_test_images(model, images)
    network = float32_copy(model.encoder)
    expected = expected_codes(model, network, images)
    servable = encoder_from_pixels(model, network, input_dtype)
    description = path.with_name(path.name + ".json")
    with files.replacing(description) as temporary_description, files.replacing(path) as temporary:
        # Keras picks the file's kind by the suffix, which the temporary name must therefore keep.
        write_network(servable, temporary, format)
        outputs = run(temporary, images.astype(input_dtype), format)
        largest_difference(f"the {format} artefact", outputs, expected, tolerance)
        files.write_json(
            temporary_description,
            {
                "format": format,
                **description_of_encoder(model, input_dtype),
                "model": {"class": type(model).__name__, "steps": int(model.step.numpy())},
                "versions": versions(),
                "test": description_of_test(images, expected),
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
    return (run_onnx if format == "onnx" else run_saved_model)(path, {"image": images})


def check_model(model) -> None:
    """ValueError unless it is a model of this package."""
    if not isinstance(model, VAE):
        raise ValueError(f"model must be a model of kerasvae, got {type(model).__name__}")


def checked_test_images(model, images, most: int | None = None) -> np.ndarray:
    """Checked test images, uint8 (n, height, width, channels), at most `most`; None becomes 4 of random pixels."""
    if images is None:
        images = np.random.default_rng(0).integers(0, 256, size=(4, *model.image_shape), dtype="uint8")
    images = np.asarray(images)
    allowed = "n at least 1" if most is None else f"n from 1 to {most}"
    shape = tuple(model.image_shape)
    if images.dtype != np.uint8 or images.shape[1:] != shape or not 1 <= len(images) <= (most or len(images)):
        raise ValueError(
            f"images must be uint8 (n, {', '.join(map(str, shape))}) with {allowed}, got {images.dtype} of shape "
            f"{images.shape}"
        )
    return images


def description_of_encoder(model, input_dtype: str) -> dict:
    """Input, outputs and preprocessing of an exported encoder, as JSON."""
    return {
        "input": {"name": "image", "dtype": input_dtype, "range": [0, 255], "shape": [None, *model.image_shape]},
        "outputs": {
            name: {"dtype": "float32", "shape": [None, model.latents], "meaning": meaning}
            for name, meaning in (("mean", "posterior mean"), ("logvar", "posterior log-variance"))
        },
        "preprocessing": {
            "formula": "(image / 255 - mean) / std, applied inside",
            "mean": list(model.pixel_mean),
            "std": list(model.pixel_std),
        },
    }


def description_of_test(images, expected: dict) -> dict:
    """Test images with the codes expected of them, as JSON."""
    return {"image": encoded(images), **{name: values.tolist() for name, values in expected.items()}}


def encoded(array) -> dict:
    """An array as JSON: its shape, and the base64 of its bytes in C order; decimals would take twenty times as much."""
    return {"shape": list(array.shape), "base64": base64.b64encode(array.tobytes()).decode()}


def _check_arguments(model, path: Path, format: str, input_dtype: str) -> None:
    check_model(model)
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
    check_can_write("format", format)
    files.check_writable(path)
