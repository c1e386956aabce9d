"""Export of trained encoders: preprocessing baked in, outputs named, checked against the model before it returns."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import numpy as np

from kerasvae import files, locks
from kerasvae.checks import check_choice, check_flag, check_number
from kerasvae.export.diagnosis import diagnosing
from kerasvae.export.formats import (
    RUNNERS,
    SUFFIXES,
    check_can_run,
    check_can_write,
    check_format,
    default_format,
    first_line,
    largest_difference,
    versions,
    write_network,
)
from kerasvae.export.networks import encoder_from_pixels, expected_codes, in_float32
from kerasvae.models.vae import VAE

LARGEST_TOLERANCE = 0.01


def encoder(
    model,
    path,
    format: str | None = None,
    *,
    input_dtype: str = "uint8",
    images=None,
    tolerance: float = 1e-4,
    overwrite: bool = False,
) -> Path:
    """Write a model's encoder for serving: raw images in, `mean` and `logvar` out, any batch size.

    Input `image`: pixels 0..255, (batch, height, width, channels); the model's channel constants are applied inside.
    Outputs `mean` and `logvar`: float32 (batch, latents). It computes in float32, also when the model was trained in
    mixed precision, from which it then differs by that precision. Next to the artefact, `<path>.json` says what it is:
    names, shapes, constants, versions, and test vectors with the expected outputs.

    Args:
        model: a trained model of this package. Its constants (`model.pixel_mean`, `model.pixel_std`) are what `fit`
            learnt from the pipeline, or what it was made with.
        path: of the artefact: a folder for "tf_saved_model" (signature `serving_default`), a file for the others,
            ending in .onnx for "onnx", .tflite for "litert" and .pt2 for "torch".
        format: Keras's names: "tf_saved_model", "onnx" or "litert" (TensorFlow Lite's), which TensorFlow writes; JAX
            writes "tf_saved_model" alone, and Torch "torch" alone (an ExportedProgram). For another, save the model as
            `.keras`, load it under that backend and export there. Default None: by the ending of the path; for a path
            without one, "tf_saved_model", or on Torch "torch", for which .pt2 is added.
        input_dtype: "uint8", or "float32" for clients whose pixels 0..255 are floats.
        images: uint8 test images (n, height, width, channels) for the check; default, 4 images of random pixels.
        tolerance: largest difference allowed between artefact and model, relative to 1 + the largest output; above 0
            and at most 0.01.
        overwrite: whether an earlier artefact at `path` is replaced. A folder that holds anything else never is.

    Returns:
        The path of the artefact.

    Raises:
        ValueError: for another format, model or path suffix, a backend that cannot write the format, or images that do
            not fit.
        FileExistsError: when there is something at `path` or `<path>.json`.
        ImportError: when the format's packages are missing, all of which it names.
        RuntimeError: when the format cannot hold the encoder, or the artefact does not reproduce the model, naming the
            first layer at which it fails and the formats that hold the encoder. Nothing is kept.
        OSError: when `path` cannot be written.

    Example:

    ```python
    kv.export.encoder(model, "encoder.onnx")
    import onnxruntime
    mean, = onnxruntime.InferenceSession("encoder.onnx").run(["mean"], {"image": images})
    ```
    """
    check_model(model)
    path = checked_path(path)
    if format is None:
        format = _format_of(path) or default_format()
        path = path if path.suffix == SUFFIXES[format] else path.with_name(path.name + SUFFIXES[format])
    check_format("format", format)
    _check_suffix(path, format)
    check_choice(input_dtype, "input_dtype", ("uint8", "float32"))
    check_tolerance(tolerance)
    check_flag(overwrite, "overwrite")
    check_can_write("format", format)
    _check_place(path, overwrite)
    images = checked_test_images(model, images)
    network = in_float32(model.encoder)
    expected = expected_codes(model, network, images)
    servable = encoder_from_pixels(model, network, input_dtype)
    description = _description_file(path)
    with (
        locks.file_lock(path),
        files.replacing(description) as temporary_description,
        files.replacing(path) as temporary,
    ):
        locks.remove_unfinished(path.parent, ())
        given, artefact = {"image": images.astype(input_dtype)}, f"the {format} artefact"
        with diagnosing(artefact, format, [(servable, given)], tolerance):
            # Keras asks for a suffix, which the temporary name therefore keeps.
            write_network(servable, temporary, format)
            largest_difference(artefact, _outputs(temporary, given["image"], format), expected, tolerance)
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
        # Another process may have been quicker.
        _check_place(path, overwrite)
    return path


def run(path, images, format: str | None = None) -> dict[str, np.ndarray]:
    """Outputs of an exported encoder: `{"mean", "logvar"}`, each NumPy float32 (n, latents).

    Args:
        path: of the artefact.
        images: (n, height, width, channels), pixels 0..255 in the dtype that it was exported for.
        format: as for `encoder`. Default None: by the path's suffix; without one, "tf_saved_model".

    Raises:
        FileNotFoundError: when there is nothing at `path`.
        ValueError: for another format, what is no artefact of the format, or images that it does not take.
        ImportError: when a package that runs the format is missing.
    """
    path = checked_path(path)
    if format is None:
        format = _format_of(path) or "tf_saved_model"
    check_format("format", format)
    if not path.exists():
        raise FileNotFoundError(f"path: there is nothing at {str(path)!r}")
    if not (path / "saved_model.pb" if format == "tf_saved_model" else path).is_file():
        wanted = "a folder with saved_model.pb" if format == "tf_saved_model" else "a file"
        raise ValueError(f"path must be {wanted} for the format {format}, got {str(path)!r}")
    if not isinstance(images, np.ndarray) or images.ndim != 4:
        found = f"of shape {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"images must be an array (n, height, width, channels), got {found}")
    check_can_run("format", format)
    try:
        return _outputs(path, images, format)
    except OSError:
        raise
    except Exception as error:  # the runtimes' errors have no class in common
        raise ValueError(
            f"images: {str(path)!r} is no artefact of the format {format}, or takes no {images.dtype} of shape "
            f"{images.shape} ({first_line(error)})"
        ) from error


def _outputs(path, images, format: str) -> dict[str, np.ndarray]:
    return RUNNERS[format](path, {"image": images})


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


def check_tolerance(tolerance) -> None:
    """ValueError unless it is a number above 0 and at most `LARGEST_TOLERANCE`."""
    check_number(tolerance, "tolerance", above=0, most=LARGEST_TOLERANCE)


def checked_path(path) -> Path:
    """`path` as a Path; ValueError for what is no path."""
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ValueError(f"path must be a path, got {path!r}")
    return Path(path)


def _description_file(path: Path) -> Path:
    """The file that says what an artefact is."""
    return path.with_name(path.name + ".json")


def _format_of(path: Path) -> str | None:
    """The format whose files end like the path; None for another ending, and for none."""
    return next((format for format, suffix in SUFFIXES.items() if suffix and suffix == path.suffix), None)


def _check_suffix(path: Path, format: str) -> None:
    suffix = SUFFIXES[format]
    if suffix and path.suffix != suffix:
        raise ValueError(f"path must end in {suffix} for the format {format}, got {str(path)!r}")
    if not suffix and path.suffix in SUFFIXES.values() and path.suffix:
        raise ValueError(f"path must not end in {path.suffix} for the format {format}, got {str(path)!r}")


def _check_place(path: Path, overwrite: bool) -> None:
    """Check that an artefact may be written there; see `encoder` for what is raised."""
    if path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").is_file():
        raise FileExistsError(
            f"path must be a new folder or that of an earlier export, got {str(path)!r}, which holds other files"
        )
    taken = [
        place
        for place in (path, _description_file(path))
        if (any(place.iterdir()) if place.is_dir() else place.exists())
    ]
    if taken and not overwrite:
        raise FileExistsError(
            f"path: {' and '.join(repr(str(place)) for place in taken)} {'are' if taken[1:] else 'is'} there already; "
            "name another, or pass overwrite=True to replace it"
        )
    files.check_writable(path)
