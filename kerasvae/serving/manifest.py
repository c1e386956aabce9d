"""What a bundle says of itself: `bundle.json`, read, checked field by field, and held against the files next to it."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from kerasvae.files import checked_path
from kerasvae.image_files import FITS
from kerasvae.serving.fields import BundleError, Field, read_strictly

FORMAT, FORMAT_VERSION, FILE_NAME = "kerasvae bundle", 1, "bundle.json"
# Of bundle.json, as `sha256sum` writes it.
CHECKSUM = f"{FILE_NAME}.sha256"
ENCODER, DECODER = "encoder.onnx", "decoder.onnx"
NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,100}")
# No image, latent space or description comes near these; a damaged or hostile file may.
_LARGEST_SIDE, _MOST_LATENTS, _LARGEST_MANIFEST = 16_384, 65_536, 64 * 1024**2
# Above it, the test would pass for another network's outputs.
_LARGEST_TOLERANCE = 0.01


@dataclass(frozen=True)
class TestVectors:
    """Images and codes with the outputs that the artefacts gave when the bundle was written.

    Attributes:
        images: uint8 (n, height, width, channels).
        mean, logvar: float32 (n, latents), of `images`.
        latents: float32 (n, latents), the decoder's input.
        decoded: float32 (n, height, width, channels), pixels 0..255 of `latents`.
        tolerance: largest difference allowed, relative to 1 + the largest expected output.
    """

    images: np.ndarray
    mean: np.ndarray
    logvar: np.ndarray
    latents: np.ndarray
    decoded: np.ndarray
    tolerance: float

    __test__ = False  # no test for pytest


@dataclass(frozen=True)
class Manifest:
    """The checked contents of a bundle's `bundle.json`.

    Attributes:
        folder: of the bundle.
        content: all of `bundle.json`, a dict.
        digest: SHA-256 of `bundle.json`, hexadecimal; as it holds those of all files, it stands for the bundle.
        name, version: text.
        image_shape: (height, width, channels).
        latents: their number.
        latent_names: a tuple of str.
        active: bool (latents,): whether the latent carries more than 0.01 nats; None without data.
        quantile_range: float64 (2, latents): between these are nearly all codes of the data; None without data.
        fit, background: how image files become `image_shape`; see `kerasvae.datasets.FromFolder`.
        test: the test vectors.
    """

    folder: Path
    content: dict
    digest: str
    name: str
    version: str
    image_shape: tuple[int, int, int]
    latents: int
    latent_names: tuple[str, ...]
    active: np.ndarray | None
    quantile_range: np.ndarray | None
    fit: str
    background: int
    test: TestVectors

    def read(self, name: str, *, check_hash: bool = True) -> bytes:
        """Contents of one of the bundle's files; BundleError when they are not those that the manifest states."""
        stated = self.content["files"].get(name)
        if stated is None:
            raise BundleError(f"{self.folder}: it holds no {name}; write the bundle with the format onnx")
        try:
            contents = _inside(self.folder, name).read_bytes()
        except OSError as error:
            raise BundleError(f"{self.folder}: {name} cannot be read ({error.strerror or error})") from error
        _check_size(self.folder, name, len(contents), stated["bytes"])
        if check_hash:
            _check_hash(self.folder, name, hashlib.sha256(contents).hexdigest(), stated["sha256"])
        return contents


def read_manifest(folder, *, check_hashes: bool = True) -> Manifest:
    """Read and check a bundle's description and files.

    Sizes and hashes show damage and mix-ups; they are no signature: who can alter a bundle can also alter them.

    Args:
        folder: of the bundle.
        check_hashes: whether all files are read to compare their SHA-256, and that of the description with
            `bundle.json.sha256`. Presence and sizes of the files are always checked.

    Returns:
        Manifest.

    Raises:
        BundleError: naming the folder, the file or field, and the reason.
    """
    folder = checked_path(folder, "folder")
    if not folder.is_dir():
        raise BundleError(f"{folder}: there is no such folder")
    path = _inside(folder, FILE_NAME)
    try:
        if path.exists() and not path.is_file():
            raise BundleError(f"{folder}: {FILE_NAME} cannot be read (it is no file)")
        if path.stat().st_size > _LARGEST_MANIFEST:
            raise BundleError(f"{folder}: {FILE_NAME} is larger than {_LARGEST_MANIFEST // 1024**2} MiB")
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise BundleError(f"{folder}: there is no {FILE_NAME} in it, so it is no bundle, or not all of one") from error
    except OSError as error:
        raise BundleError(f"{folder}: {FILE_NAME} cannot be read ({error.strerror or error})") from error
    try:
        content = read_strictly(raw)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{folder}: {FILE_NAME} is damaged, or no strict JSON ({error})") from error
    manifest = _checked(folder, content, hashlib.sha256(raw).hexdigest())
    if check_hashes:
        _check_hash(folder, FILE_NAME, manifest.digest, _stated_digest(folder))
    for name, stated in content["files"].items():
        _check_file(folder, name, stated, check_hashes)
    return manifest


def _checked(folder: Path, content, digest: str) -> Manifest:
    """The manifest of what was read; the files are not looked at."""
    root = Field(f"{folder}: {FILE_NAME}", content)
    root["format"].equals(FORMAT)
    root["format_version"].equals(FORMAT_VERSION)
    name_rule = "1 to 100 of A-Z a-z 0-9 . _ -, the first no dot"
    name, version = root["name"].text(NAME, name_rule), root["version"].text(NAME, name_rule)
    root["description"].text(r"(?s).{0,100000}", "text")
    _check_listed(root["files"])
    shape = root["input"]["shape"].items(4)
    shape[0].equals(None)
    image_shape = (*(side.integer(1, _LARGEST_SIDE) for side in shape[1:3]), shape[3].equals(1, 3))
    _check_tensor(root["input"], image_shape, "uint8", name="image")
    latents = root["latents"].integer(1, _MOST_LATENTS)
    for output in ("mean", "logvar"):
        _check_tensor(root["outputs"][output], (latents,), "float32")
    _check_tensor(root["decoder"]["input"], (latents,), "float32", name="latents")
    _check_tensor(root["decoder"]["output"], image_shape, "float32", name="image")
    preprocessing = root["preprocessing"]
    preprocessing["formula"].text()
    for item in preprocessing["mean"].items(image_shape[2]):
        item.number()
    for item in preprocessing["std"].items(image_shape[2]):
        if item.number() <= 0:
            item.refuse("a number above 0")
    data = root["data"]
    if not data.is_null():
        _check_data(data)
    names, active, quantile_range = _latents(root, latents, with_data=not data.is_null())
    _check_origin(root)
    return Manifest(
        folder=folder,
        content=content,
        digest=digest,
        name=name,
        version=version,
        image_shape=image_shape,
        latents=latents,
        latent_names=names,
        active=active,
        quantile_range=quantile_range,
        fit=preprocessing["files"]["fit"].equals(*FITS),
        background=preprocessing["files"]["background"].integer(0, 255),
        test=_test_vectors(root["test"], image_shape, latents),
    )


def _check_tensor(tensor: Field, shape: tuple[int, ...], dtype: str, name: str | None = None) -> None:
    tensor["dtype"].equals(dtype)
    tensor["shape"].equals([None, *shape])
    if name is not None:
        tensor["name"].equals(name)
    if name == "image":
        tensor["range"].equals([0, 255])


def _check_data(data: Field) -> None:
    data["name"].text()
    data["images"].integer(1, 2**63 - 1)
    names = data["factor_names"].items()
    for name, size in zip(names, data["factor_sizes"].items(len(names)), strict=True):
        name.text()
        size.integer(1, 2**63 - 1)


def _latents(root: Field, latents: int, with_data: bool):
    """Names, whether active, and range of each latent; the last two None without data."""
    ends = [end.text() for end in root["range_quantiles"].items(2)]
    names, active, quantile_range = [], [], []
    for k, latent in enumerate(root["latent_summary"].items(latents)):
        latent["index"].equals(k)
        names.append(latent["name"].text(r"[^\x00-\x1f\x7f]{1,200}", "text of 1 to 200 characters"))
        if not with_data:
            for field in ("kl", "active", "quantiles"):
                latent[field].equals(None)
            continue
        latent["kl"].number()
        active.append(latent["active"].truth())
        for field in ("min", "max", "mean"):
            latent[field].number()
        latent["std"].number(0)
        quantiles = {name: value.number() for name, value in latent["quantiles"].entries().items()}
        if missing := [end for end in ends if end not in quantiles]:
            latent["quantiles"].refuse(f"an object with {missing[0]!r}, which range_quantiles names")
        quantile_range.append([quantiles[end] for end in ends])
        if quantile_range[-1][0] > quantile_range[-1][1]:
            latent["quantiles"].refuse(f"no larger at {ends[0]!r} than at {ends[1]!r}")
        factor = latent["factor"]
        if not factor.is_null():
            factor["name"].text()
            factor["mutual_information"].number()
            factor["share"].number()
            factor["sign"].equals(-1, 0, 1)
    if len(set(names)) < latents:
        root["latent_summary"].refuse("of latents with different names")
    if not with_data:
        return tuple(names), None, None
    return tuple(names), np.array(active), np.array(quantile_range).T


def _check_origin(root: Field) -> None:
    """What is of the training alone, and is of no use to the encoder."""
    if not root["scores"].is_null():
        for score in root["scores"].entries().values():
            if not score.is_null():
                score.number()
    root["model"]["class"].text()
    root["model"]["steps"].integer(0, 2**63 - 1)
    for version in root["versions"].entries().values():
        version.text()
    root["created"].text()


def _test_vectors(test: Field, image_shape: tuple[int, int, int], latents: int) -> TestVectors:
    count = test["image"]["shape"].items(4)[0].integer(1, 4096)
    tolerance = test["tolerance"].number(0, _LARGEST_TOLERANCE)
    return TestVectors(
        images=test["image"].array((count, *image_shape), "uint8"),
        mean=test["mean"].matrix((count, latents)),
        logvar=test["logvar"].matrix((count, latents)),
        latents=test["latents"].matrix((count, latents)),
        decoded=test["decoded"].array((count, *image_shape), "<f4"),
        tolerance=tolerance,
    )


def _stated_digest(folder: Path) -> str:
    """SHA-256 that `bundle.json` had when it was written."""
    path = _inside(folder, CHECKSUM)
    try:
        text = path.read_bytes()[:100] if path.is_file() and path.stat().st_size < 100 else b""
    except OSError as error:
        raise BundleError(f"{folder}: {CHECKSUM} cannot be read ({error.strerror or error})") from error
    if not re.fullmatch(rb"[0-9a-f]{64} [ *]bundle\.json\r?\n?", text):
        found = "is not what it was written as" if path.exists() else "is missing; write the bundle again"
        raise BundleError(f"{folder}: {CHECKSUM}, which shows whether {FILE_NAME} was altered, {found}")
    return text[:64].decode()


def _check_listed(files: Field) -> None:
    """Names and statements of the files: what could lead out of the folder is refused before it is looked at."""
    for name, stated in files.entries().items():
        parts = PurePosixPath(name).parts
        plain = parts and "/".join(parts) == name and not re.search(r"[\x00-\x1f\x7f\\:]", name)
        if not plain or ".." in parts or name.startswith("/") or name in (FILE_NAME, CHECKSUM):
            raise BundleError(
                f"{files.where}: files names {name!r}; a path within the folder is wanted, with forward "
                "slashes and without .."
            )
        stated["bytes"].integer(0, 2**63 - 1)
        stated["sha256"].text("[0-9a-f]{64}", "64 hexadecimal digits in lower case")


def _check_file(folder: Path, name: str, stated: dict, check_hashes: bool) -> None:
    path = _inside(folder, name)
    try:
        if not path.is_file():
            raise BundleError(f"{folder}: the file {name} is missing")
        _check_size(folder, name, path.stat().st_size, stated["bytes"])
        if check_hashes:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            _check_hash(folder, name, found, stated["sha256"])
    except OSError as error:
        raise BundleError(f"{folder}: {name} cannot be read ({error.strerror or error})") from error


def _inside(folder: Path, name: str) -> Path:
    """Path of a listed file; BundleError when links lead out of the folder."""
    root, path = os.path.realpath(folder), os.path.realpath(folder / name)
    if os.path.commonpath([root, path]) != root:
        raise BundleError(f"{folder}: {name} is a link that leads out of the folder")
    return Path(path)


def _check_size(folder: Path, name: str, found: int, stated: int) -> None:
    if found != stated:
        raise BundleError(f"{folder}: {name} is cut short or altered: it has {found} bytes instead of {stated}")


def _check_hash(folder: Path, name: str, found: str, stated: str) -> None:
    if found != stated:
        raise BundleError(f"{folder}: {name} was altered: its SHA-256 is {found} instead of {stated}")
