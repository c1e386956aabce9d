"""Bundles: a folder with all that serving a trained model takes, complete and checked, or not there at all."""

from __future__ import annotations

import contextlib
import datetime
import functools
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from kerasvae import files
from kerasvae.checks import check_flag, check_integer
from kerasvae.datasets import FromArrays
from kerasvae.datasets.ground_truth import GroundTruthData
from kerasvae.export import model_card
from kerasvae.export.artefacts import (
    FORMATS,
    RUNNERS,
    SAVED_MODEL_SIGNATURES,
    SUFFIXES,
    check_can_write,
    check_format,
    decoder_to_pixels,
    encoder_from_pixels,
    expected_codes,
    expected_pixels,
    in_float32,
    largest_difference,
    run_saved_model,
    versions,
    write_network,
    write_saved_model,
)
from kerasvae.export.bundle_description import description_of_data, description_of_model, interface
from kerasvae.export.bundle_folder import check_name, check_place, only_writer, stated_files, verify, write_manifest
from kerasvae.export.diagnosis import diagnosing
from kerasvae.export.encoder_export import (
    check_model,
    check_tolerance,
    checked_path,
    checked_test_images,
    description_of_test,
    encoded,
)
from kerasvae.export.latent_summary import RANGE_QUANTILES, empty_summary, latent_summary
from kerasvae.serving.manifest import DECODER, ENCODER, FORMAT, FORMAT_VERSION

SAVED_MODEL = "tf_saved_model"
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
            without telling which codes are unusual. Of a `FromFolder`, how its files were brought to size is stated
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
    name = check_name("name (default the folder's)", path.name) if name is None else check_name("name", name)
    check_name("version", version)
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
    check_place(path, overwrite)
    encoder, decoder = in_float32(model.encoder), in_float32(model.decoder)

    with (
        only_writer(path, overwrite) as lock,
        files.replacing(path) as folder,
        _Stages(progress, len(formats) + 3) as stage,
    ):
        folder.mkdir()
        stage("Encoding the data")
        summary = empty_summary(model.latents) if data is None else _summary(model, encoder, data, indices, seed, stage)
        codes = expected_codes(model, encoder, images)
        pixels = expected_pixels(model, decoder, codes["mean"])
        networks = encoder_from_pixels(model, encoder, "uint8"), decoder_to_pixels(model, decoder)
        differences = {}
        for format in formats:
            stage(f"Writing and checking {format}")
            differences |= _WRITERS[format](folder, networks, images, codes, pixels, tolerance)
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
            "data": None if data is None else description_of_data(data, len(indices)),
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
        stage("Drawing the model card")
        model_card.write(folder, manifest, model, data, indices, images, seed)
        manifest["files"] = stated_files(folder)
        write_manifest(folder, manifest)
        stage("Testing the bundle without Keras")
        verify(folder)
        # Another process may have been quicker.
        check_place(path, overwrite)
        lock.check()
    return path


def _write_files(folder, networks, images, codes, pixels, tolerance, format, names) -> dict[str, float]:
    """Write a file for each network that the names are of, encoder first; the largest difference of each."""
    differences = {}
    inputs = {"image": images}, {"latents": codes["mean"]}
    for name, network, given, expected in zip(names, networks, inputs, (codes, pixels), strict=False):
        file = f"{name}{SUFFIXES[format]}"
        with diagnosing(file, format, [(network, given)], tolerance):
            write_network(network, folder / file, format)
            run = functools.partial(RUNNERS[format], folder / file)
            differences[file] = _difference(file, run, given, expected, tolerance)
    return differences


def _write_saved_model(folder, networks, images, codes, pixels, tolerance) -> dict[str, float]:
    place, differences = folder / SAVED_MODEL, {}
    inputs = {"image": images}, {"latents": codes["mean"]}
    with diagnosing(SAVED_MODEL, SAVED_MODEL, list(zip(networks, inputs, strict=True)), tolerance):
        write_saved_model(*networks, place)
        for signature, given, expected in zip(SAVED_MODEL_SIGNATURES.values(), inputs, (codes, pixels), strict=True):
            run, name = functools.partial(run_saved_model, place, signature=signature), f"{SAVED_MODEL}/{signature}"
            differences[name] = _difference(name, run, given, expected, tolerance)
    return differences


_WRITERS = {
    "tf_saved_model": _write_saved_model,
    "onnx": functools.partial(_write_files, format="onnx", names=(Path(ENCODER).stem, Path(DECODER).stem)),
    "litert": functools.partial(_write_files, format="litert", names=("encoder",)),
    "torch": functools.partial(_write_files, format="torch", names=("encoder", "decoder")),
}


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


def _summary(model, network, data, indices, seed, stage) -> list[dict]:
    batches = [indices[start : start + _BATCH] for start in range(0, len(indices), _BATCH)]
    found = []
    for number, batch in enumerate(batches):
        stage.part(number / len(batches))
        found.append(expected_codes(model, network, data.images(batch)))
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


class _Stages(contextlib.AbstractContextManager):
    """A bar on stderr that says what is being done: called at the beginning of each stage."""

    def __init__(self, show: bool, count: int):
        console = Console(stderr=True)
        self._progress = Progress(console=console, transient=True, disable=not (show and console.is_terminal))
        self._task = self._progress.add_task("Checking", total=count)
        self._begun = 0

    def __enter__(self):
        self._progress.start()
        return self

    def __exit__(self, *exception):
        self._progress.stop()

    def __call__(self, what: str) -> None:
        self._progress.update(self._task, description=what, completed=self._begun)
        self._begun += 1

    def part(self, share: float) -> None:
        """How much of the stage at hand is done, 0..1."""
        self._progress.update(self._task, completed=self._begun - 1 + share)
