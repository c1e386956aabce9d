"""Bundles: a folder with all that serving a trained model takes, complete and checked, or not there at all."""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.progress import Progress

from kerasvae import files, locks
from kerasvae.checks import check_flag, check_integer
from kerasvae.datasets import FromArrays, FromFolder
from kerasvae.datasets.ground_truth import GroundTruthData
from kerasvae.export import model_card
from kerasvae.export.diagnosis import diagnosing
from kerasvae.export.encoder import (
    check_model,
    check_tolerance,
    checked_path,
    checked_test_images,
    description_of_encoder,
    description_of_test,
    encoded,
)
from kerasvae.export.formats import (
    FORMATS,
    RUNNERS,
    SIGNATURES,
    check_can_write,
    check_format,
    largest_difference,
    run_saved_model,
    versions,
    write_network,
    write_saved_model,
)
from kerasvae.export.latent_summary import RANGE_QUANTILES, empty_summary, latent_summary, plain_text
from kerasvae.export.networks import (
    decoder_to_pixels,
    encoder_from_pixels,
    expected_codes,
    expected_pixels,
    in_float32,
)
from kerasvae.math import convert_beta
from kerasvae.models.hyperparameter import hyperparameters
from kerasvae.models.vae import VAE
from kerasvae.serving.manifest import CHECKSUM, DECODER, ENCODER, FILE_NAME, FORMAT, FORMAT_VERSION, NAME

SAVED_MODEL = "tf_saved_model"
# The encoder's file and, where the format is written for both networks, the decoder's.
_FILES = {"onnx": (ENCODER, DECODER), "litert": ("encoder.tflite",), "torch": ("encoder.pt2", "decoder.pt2")}
_BATCH, _MOST_TEST_IMAGES = 256, 16


def bundle(
    model,
    path,
    data=None,
    *,
    formats=("tf_saved_model", "onnx", "litert"),
    name: str | None = None,
    version: str = "1",
    description: str = "",
    scores=None,
    images=None,
    samples: int = 10_000,
    seed: int = 0,
    tolerance: float = 1e-4,
    progress: bool = True,
    overwrite: bool = False,
) -> Path:
    """Write a bundle: a folder that `kerasvae.serving` opens without Keras, and that says what the model is.

    It holds `encoder.onnx` (input `image`, uint8 pixels; outputs `mean` and `logvar`) and `decoder.onnx` (input
    `latents`; output `image`, float32 pixels 0..255, clipped, not rounded), `tf_saved_model` with both as the
    signatures `serving_default` and `decode`, `encoder.tflite` (from Torch: `encoder.pt2` and `decoder.pt2` in place of
    all these), the model card `README.md` with its pictures, and `bundle.json`:
    shapes, preprocessing, for each latent its KL, range and the factor that it tracks, scores, objective, loss, β in
    both forms, versions, hashes of all files, and test vectors. `bundle.json.sha256` is its own hash, as `sha256sum`
    writes it: after a change by hand, of the name or version say, `sha256sum bundle.json > bundle.json.sha256` renews
    it. All compute in float32 and take any batch size.

    All is written to a temporary folder, each artefact is compared with the model, the whole is opened and tested in a
    process without Keras, and only then does it appear at `path`.

    Args:
        model: a trained model of this package, of images with 1 or 3 channels.
        path: of the folder: a new one, or an empty one.
        data: what the statistics of the latents and the pictures are of: a ground-truth data set, with or without
            factors, or uint8 images (n, height, width, channels). None (default): the bundle states none, and encodes
            without saying which codes are unusual. Of a `FromFolder`, how its files were brought to size is stated
            and done alike in serving.
        formats: any of "tf_saved_model", "onnx" (which `kerasvae.serving` needs), "litert" and "torch", as for
            `encoder`. Default: the three that TensorFlow writes.
        name: that servers show, 1 to 100 of A-Z a-z 0-9 . _ - and no dot first. Default: the folder's.
        version: of the same form. Default "1".
        description: of the model, for people, any text. Default: empty.
        scores: `kerasvae.metrics.Evaluation`, or {name: number}, that the bundle states. Default: none. Numbers that
            are not finite become null.
        images: uint8 test images (n, height, width, channels), n from 1 to 16, kept in the bundle with their codes and
            reconstructions. Default: 4 from `data`, or of random pixels.
        samples: the most images that statistics are taken over, at least 1; of larger data as many are drawn, without
            repetition. Default 10 000.
        seed: of that draw, and of the pictures' images; an integer, at least 0.
        tolerance: largest difference allowed between artefact and model, relative to 1 + the largest output (pixels
            0..255 of the decoder), above 0 and at most 0.01. Kept for the reader's test.
        progress: show what is being done when stderr is a terminal. Default True.
        overwrite: whether an earlier bundle at `path` is replaced, as a whole. Any other folder never is.

    Returns:
        The path.

    Raises:
        ValueError: for an argument not allowed, or a backend that cannot write a format.
        ImportError: when a format's packages are missing, all of which it names.
        FileExistsError: when there is something at `path`.
        RuntimeError: when a format cannot hold a network or does not reproduce it, as of `encoder`, or the bundle does
            not pass its test. Nothing is kept.
        BlockingIOError: an OSError, when another process writes a bundle there, before anything is written.
        OSError: when `path` cannot be written, or its folder was removed in the meantime.

    Example:

    ```python
    kv.export.bundle(model, "bundles/squares", data, scores=kv.metrics.evaluate(model.encode, data, ["mig"]))
    codes = kv.serving.Bundle("bundles/squares").encode(images)
    ```
    """
    check_model(model)
    path = checked_path(path).absolute()
    name = _check_name("name (default the folder's)", path.name) if name is None else _check_name("name", name)
    _check_name("version", version)
    formats = _check_arguments(model, formats, description, samples, seed)
    check_tolerance(tolerance)
    for argument, value in (("overwrite", overwrite), ("progress", progress)):
        check_flag(value, argument)
    scores = _checked_scores(scores)
    data = _checked_data(model, data)
    indices = None if data is None else _sample(len(data), samples, seed)
    if images is None and data is not None:
        images = data.images(indices[np.unique(np.linspace(0, len(indices) - 1, 4).round().astype(int))])
    images = checked_test_images(model, images, _MOST_TEST_IMAGES)
    _check_place(path, overwrite)
    encoder, decoder = in_float32(model.encoder), in_float32(model.decoder)

    with _only_writer(path, overwrite) as lock, files.replacing(path) as folder, _bar(progress) as bar:
        folder.mkdir()
        if data is None:
            summary = empty_summary(model.latents)
        else:
            summary = _summary(model, encoder, data, indices, seed, bar)
        codes = expected_codes(model, encoder, images)
        pixels = expected_pixels(model, decoder, codes["mean"])
        parts = (
            (encoder_from_pixels(model, encoder, "uint8"), {"image": images}, codes),
            (decoder_to_pixels(model, decoder), {"latents": codes["mean"]}, pixels),
        )
        differences = {}
        for format in bar.track(formats, description="Writing and checking artefacts"):
            differences |= _write(format, folder, parts, tolerance)
        manifest = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "name": name,
            "version": version,
            "description": description,
            "files": {},
            **interface(model, data),
            "latent_summary": summary,
            "range_quantiles": list(map(str, RANGE_QUANTILES)),
            "data": None if data is None else _description_of_data(data, len(indices)),
            "scores": scores,
            "model": description_of_model(model),
            "versions": versions(),
            "created": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "differences": differences,
            "test": {
                **description_of_test(images, codes),
                "latents": codes["mean"].tolist(),
                "decoded": encoded(pixels["image"].astype("<f4")),
                "tolerance": float(tolerance),
            },
        }
        bar.add_task("Drawing the model card, and testing the bundle without Keras", total=None)
        model_card.write(folder, manifest, model, data, indices, images, seed)
        manifest["files"] = stated_files(folder)
        _write_manifest(folder, manifest)
        verify(folder)
        # Another process may have been quicker.
        _check_place(path, overwrite)
        lock.check()
    return path


def _write(format: str, folder: Path, parts, tolerance: float) -> dict[str, float]:
    """Write the networks in one format into the folder; the largest difference of each artefact from the model.

    Args:
        format: of `FORMATS`.
        folder: of the bundle.
        parts: of the encoder and of the decoder (network, inputs by name, outputs that the model gives for them).
        tolerance: as for `bundle`.
    """
    differences = {}
    if format == SAVED_MODEL:
        place = folder / SAVED_MODEL
        with diagnosing(SAVED_MODEL, SAVED_MODEL, [(network, given) for network, given, _ in parts], tolerance):
            write_saved_model(*(network for network, _, _ in parts), place)
            for signature, (_, given, expected) in zip(SIGNATURES, parts, strict=True):
                run, name = functools.partial(run_saved_model, place, signature=signature), f"{SAVED_MODEL}/{signature}"
                differences[name] = _difference(name, run, given, expected, tolerance)
        return differences
    for file, (network, given, expected) in zip(_FILES[format], parts, strict=False):
        with diagnosing(file, format, [(network, given)], tolerance):
            write_network(network, folder / file, format)
            run = functools.partial(RUNNERS[format], folder / file)
            differences[file] = _difference(file, run, given, expected, tolerance)
    return differences


def _difference(artefact: str, run, inputs: dict, expected: dict, tolerance: float) -> float:
    """The largest difference of an artefact from the model, of the whole batch and of its first image alone."""
    return max(
        largest_difference(
            artefact,
            run({name: values[:count] for name, values in inputs.items()}),
            {name: values[:count] for name, values in expected.items()},
            tolerance,
        )
        for count in (None, 1)
    )


def _summary(model, network, data, indices, seed, bar) -> list[dict]:
    batches = [indices[start : start + _BATCH] for start in range(0, len(indices), _BATCH)]
    found = [
        expected_codes(model, network, data.images(batch))
        for batch in bar.track(batches, description="Encoding the data")
    ]
    mean, logvar = (np.concatenate([codes[name] for codes in found]) for name in ("mean", "logvar"))
    for codes in (mean, logvar):
        if not np.isfinite(codes).all():
            raise ValueError(
                f"model: it gives codes that are not finite for {int((~np.isfinite(codes)).any(1).sum())} "
                f"of {len(codes)} images of the data"
            )
    factors = data.factors(indices) if data.factor_names else None
    return latent_summary(mean, logvar, factors, data.factor_names, seed=seed)


def _sample(count: int, samples: int, seed: int) -> np.ndarray:
    if count <= samples:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, size=samples, replace=False))


def _check_arguments(model, formats, description, samples, seed) -> tuple[str, ...]:
    """The formats in their order; see `bundle` for what is raised."""
    if model.image_shape[-1] not in (1, 3):
        raise ValueError(
            f"model: a bundle serves images of 1 channel (grey) or 3 (RGB), the model's have {model.image_shape[-1]}; "
            "kerasvae.export.encoder takes any"
        )
    if isinstance(formats, str) or not isinstance(formats, Iterable):
        raise ValueError(f"formats must be a list of any of {', '.join(FORMATS)}, got {formats!r}")
    formats = list(formats)
    for format in formats:
        check_format("formats", format)
    if not formats:
        raise ValueError(f"formats must be a list of any of {', '.join(FORMATS)}, got []")
    if not isinstance(description, str) or len(description) > 100_000:
        raise ValueError(f"description must be text of at most 100 000 characters, got {str(description)[:50]!r}")
    for argument, value, least in (("samples", samples, 1), ("seed", seed, 0)):
        check_integer(value, argument, least)
    formats = tuple(format for format in FORMATS if format in formats)
    for format in formats:
        check_can_write("formats:", format)
    return formats


def _checked_scores(scores) -> dict | None:
    if scores is None:
        return None
    if not isinstance(scores, Mapping) or not all(isinstance(name, str) for name in scores):
        raise ValueError(f"scores must be an Evaluation or {{name: number}}, got {scores!r}")
    try:
        values = {name: float(score) for name, score in scores.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(f"scores must be an Evaluation or {{name: number}}, got {scores!r}") from error
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


def _checked_data(model, data):
    """The data as a data set, or None; ValueError for what is none, or does not fit the model."""
    if data is None:
        return None
    if isinstance(data, np.ndarray):
        try:
            data = FromArrays(data)
        except ValueError as error:
            raise ValueError(f"data: {error}") from error
    if not isinstance(data, GroundTruthData):
        raise ValueError(
            "data must be a data set of kerasvae.datasets, such as FromArrays(images), or uint8 images (n, height, "
            f"width, channels), got {type(data).__name__}"
        )
    if tuple(data.image_shape) != tuple(model.image_shape):
        raise ValueError(
            f"data: its images are {tuple(data.image_shape)}, the model's {tuple(model.image_shape)} (height, width, "
            "channels)"
        )
    return data


def _bar(show: bool) -> Progress:
    """A bar on stderr that says what is being done, where stderr is a terminal."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not (show and console.is_terminal))


# What bundle.json says ------------------------------------------------------------------------------------------------


def interface(model, data) -> dict:
    """The parts of the manifest that say what goes in and what comes out."""
    described = description_of_encoder(model, "uint8")
    # Of other data than FromFolder nothing is known: its defaults.
    fit, background = (data.fit, data.background) if isinstance(data, FromFolder) else ("crop", 255)
    image = {"dtype": "float32", "range": [0, 255], "shape": [None, *model.image_shape]}
    return {
        **described,
        "latents": model.latents,
        "decoder": {
            "input": {"name": "latents", "dtype": "float32", "shape": [None, model.latents]},
            "output": {"name": "image", **image},
        },
        "preprocessing": {**described["preprocessing"], "files": {"fit": fit, "background": background}},
    }


def _description_of_data(data, count: int) -> dict:
    return {
        "name": plain_text(repr(data).strip("<>"), 500),
        "images": count,
        "factor_names": [plain_text(name) for name in data.factor_names],
        "factor_sizes": [int(size) for size in data.factor_sizes],
    }


def description_of_model(model) -> dict:
    config = model.get_config()
    left_out = {"name", "trainable", "dtype", "reconstruction", "pixel_mean", "pixel_std"}
    networks = {key for key in config if isinstance(getattr(model, key, None), keras.Model)}
    return {
        "class": type(model).__name__,
        "steps": int(model.step.numpy()),
        "loss": keras.saving.serialize_keras_object(model.reconstruction),
        "beta": _beta_in_both_forms(model),
        "config": {key: value for key, value in config.items() if key not in left_out | networks},
    }


def _beta_in_both_forms(model) -> dict | None:
    """β at the model's step for either reduction, and which reduction is the model's; None for objectives without β."""
    if "beta" in hyperparameters(type(model)):
        beta = float(keras.ops.convert_to_numpy(model.scalar("beta")))
    elif type(model) is VAE:
        beta = 1.0
    else:
        return None
    other = "sum" if model.reduction == "mean" else "mean"
    converted = convert_beta(beta, model.image_shape, model.latents, to=other)
    return {model.reduction: beta, other: converted, "reduction": model.reduction}


# The folder -----------------------------------------------------------------------------------------------------------


def _check_name(argument: str, value) -> str:
    """A name or version that a server may show; ValueError otherwise."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(
            f"{argument} must be 1 to 100 of the characters A-Z a-z 0-9 . _ -, the first no dot, got {value!r}"
        )
    return value


def _check_place(path: Path, overwrite: bool) -> None:
    """Check that a bundle may be written there: a new or empty folder, or to overwrite it, a bundle and nothing else.

    Raises:
        FileExistsError: for a file, a folder that holds anything else, or a bundle that is not to be overwritten.
        OSError: when it cannot be written.
    """
    if path.is_dir() and any(path.iterdir()):
        try:
            manifest = files.read_json(path / FILE_NAME)
            known = {FILE_NAME, CHECKSUM, *manifest["files"]} if manifest["format"] == FORMAT else set()
        except (OSError, ValueError, KeyError, TypeError):
            known = set()
        others = sorted(set(_names(path)) - known)
        if others or not known:
            shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
            raise FileExistsError(
                f"path must be a new folder or that of an earlier bundle, got {str(path)!r}, which holds other files: "
                f"{shown}"
            )
        if not overwrite:
            raise FileExistsError(
                f"path: there is a bundle at {str(path)!r} already; name another place, or pass overwrite=True to "
                "replace it"
            )
    elif path.exists() and not path.is_dir():
        raise FileExistsError(f"path must be a folder, got the file {str(path)!r}")
    files.check_writable(path)


@contextlib.contextmanager
def _only_writer(path: Path, overwrite: bool):
    """Hold the lock of the place of a bundle, which is checked, and free of what killed processes left; yield it.

    Raises:
        BlockingIOError: when another process writes a bundle there.
        ValueError, OSError: as `_check_place`.
    """
    files.check_writable(path)
    with locks.file_lock(path) as lock:
        locks.remove_unfinished(path.parent, (path.name,))
        _check_place(path, overwrite)
        yield lock


def stated_files(folder: Path) -> dict[str, dict]:
    """Size in bytes and SHA-256 of all files in a folder without a manifest, by their paths with forward slashes."""
    stated = {}
    for name in sorted(_names(folder)):
        contents = (folder / name).read_bytes()
        stated[name] = {"bytes": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}
    return stated


def _write_manifest(folder: Path, manifest: dict) -> None:
    """Write what the bundle says of itself, and its SHA-256 as `sha256sum` does."""
    files.write_json(folder / FILE_NAME, manifest)
    digest = hashlib.sha256((folder / FILE_NAME).read_bytes()).hexdigest()
    (folder / CHECKSUM).write_text(f"{digest}  {FILE_NAME}\n", encoding="ascii", newline="\n")


def verify(folder: Path) -> None:
    """Open the bundle, and run its test, in a process that may import neither Keras nor TensorFlow.

    Raises:
        RuntimeError: with what that process said, when it failed.
    """
    package = os.fspath(Path(files.__file__).parents[1])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.run(
        [sys.executable, "-m", "kerasvae.serving.verify", os.fspath(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    if process.returncode != 0:
        said = (process.stderr.strip() or process.stdout.strip() or f"exit status {process.returncode}").splitlines()
        raise RuntimeError(f"the bundle does not pass its test in a process without Keras: {said[-1]}")


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
