"""Wrong calls of bundles: each is refused in words that say what was wrong."""

import os

import numpy as np
import pytest
from image_folders import folder_of
from serving.small_bundles import write_bundle
from wrong_calls import WrongCall, check, wrong_calls

from kerasvae.serving import Bundle, BundleError, ImageError, encode_files, read_manifest

pytest.importorskip("onnxruntime")
IMAGES, CODE = np.zeros((2, 4, 6, 3), "uint8"), np.zeros(3)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("wrong")
    folder_of(place / "photos")
    write_bundle(place / "bundle")
    (place / "notes.txt").write_text("nothing")
    os.mkfifo(place / "pipe.png")
    return place


@pytest.fixture(autouse=True)
def working_folder(place, monkeypatch):
    monkeypatch.chdir(place)


def row(name, call, error, *words):
    return WrongCall(name, call, error, words)


def bundle():
    return Bundle("bundle", threads=1, verify=False)


BATCH, RANGE = "batch_size must be an integer, at least 1, got ", "range must be two finite numbers"
LATENT = "latent must be an index from 0 to 2 or one of z0, z1, z2, got "


@wrong_calls(
    row("bundle None", lambda: Bundle(None), TypeError, "path must be a path", "NoneType"),
    row("bundle of a bundle", lambda: Bundle(bundle()), TypeError, "path must be a path", "Bundle"),
    row("bundle of nothing", lambda: Bundle(""), ValueError, "path must be a path", "empty"),
    row("bundle of a file", lambda: Bundle("notes.txt"), BundleError, "notes.txt: there is no such folder"),
    row("bundle of photos", lambda: Bundle("photos"), BundleError, "photos: there is no bundle.json"),
    row("threads 0", lambda: Bundle("bundle", threads=0), ValueError, "threads must be an integer, at least 1, got 0"),
    row("threads True", lambda: Bundle("bundle", threads=True), ValueError, "threads must be an integer", "got True"),
    row("manifest of a number", lambda: read_manifest(3), TypeError, "folder must be a path", "int 3"),
    row("images None", lambda: bundle().encode(None), TypeError, "images must be a path", "NoneType"),
    row("images of bytes", lambda: bundle().encode(b"abc"), TypeError, "images must be a path", "bytes"),
    row("images of a dict", lambda: bundle().encode({"a": 1}), TypeError, "images must be a path", "dict"),
    row("no images", lambda: bundle().encode([]), ValueError, "images must be at least one", "empty list"),
    row("images of a folder", lambda: bundle().encode("photos"), ImageError, "images: 'photos'", "it is a folder"),
    row("images of a pipe", lambda: bundle().encode("pipe.png"), ImageError, "images: 'pipe.png'", "but a pipe"),
    row("no such image", lambda: bundle().encode("no.png"), ImageError, "images: 'no.png'", "No such file"),
    row(
        "text", lambda: bundle().encode(["notes.txt"]), ImageError, "images: 'notes.txt'", "no image of a known format"
    ),
    row(
        "both",
        lambda: bundle().encode(["photos/00.png", IMAGES]),
        TypeError,
        "images must be paths or arrays, not both",
    ),
    row(
        "axes",
        lambda: bundle().encode(np.zeros((2, 3, 4, 6))),
        ValueError,
        "images must be (n, h, w, 1)",
        "(2, 3, 4, 6)",
    ),
    row("bool", lambda: bundle().encode(IMAGES > 0), TypeError, "images must be of integers or floats, got bool"),
    row(
        "nan", lambda: bundle().encode(np.full((4, 6, 3), np.nan)), ValueError, "images must lie in 0..255 without NaN"
    ),
    row("negative", lambda: bundle().encode(IMAGES - 0.5), ValueError, "images must lie in 0..255", "-0.5", "range="),
    row("batch 0", lambda: bundle().encode(IMAGES, 0), ValueError, BATCH, "got 0"),
    row("batch of text", lambda: bundle().encode(IMAGES, "2"), ValueError, BATCH, "'2'"),
    row("batch nan", lambda: bundle().encode(IMAGES, np.nan), ValueError, BATCH, "nan"),
    row("range 255", lambda: bundle().encode(IMAGES, range=255), ValueError, RANGE, "(black, white)", "got 255"),
    row("range swapped", lambda: bundle().encode(IMAGES, range=(1, 0)), ValueError, RANGE, "(1, 0)"),
    row("range of a file", lambda: bundle().encode("photos/00.png", range=(0, 1)), ValueError, "range is for arrays"),
    row("limit 0", lambda: bundle().encode(IMAGES, pixel_limit=0), ValueError, "pixel_limit must be an integer in 1.."),
    row("codes None", lambda: bundle().decode(None), TypeError, "codes must be numbers, got object"),
    row("codes of encode", lambda: bundle().decode(bundle().encode(IMAGES)), TypeError, "codes must be numbers"),
    row(
        "codes of five", lambda: bundle().decode(np.zeros((2, 5))), ValueError, "codes must be (n, 3) or (3,)", "(2, 5)"
    ),
    row("codes nan", lambda: bundle().decode([np.nan] * 3), ValueError, "codes must be finite numbers"),
    row("ragged codes", lambda: bundle().decode([[1], [1, 2]]), ValueError, "codes must be", "rows of the same length"),
    row("dtype", lambda: bundle().decode(CODE, "int8"), ValueError, 'dtype must be "uint8" or "float32", got \'int8\''),
    row("dtype of NumPy", lambda: bundle().decode(CODE, np.uint8), ValueError, 'dtype must be "uint8" or "float32"'),
    row("latent 9", lambda: bundle().traverse(CODE, 9, [0]), ValueError, LATENT, "got 9"),
    row("latent True", lambda: bundle().traverse(CODE, True, [0]), ValueError, LATENT, "True"),
    row("latent name", lambda: bundle().traverse(CODE, "z9", [0]), ValueError, LATENT, "'z9'"),
    row("values 3", lambda: bundle().traverse(CODE, 0, 3), ValueError, "values must be finite numbers, (n,)", "()"),
    row("values nan", lambda: bundle().traverse(CODE, 0, [np.nan]), ValueError, "values must be finite numbers"),
    row(
        "ragged values", lambda: bundle().traverse(CODE, 0, [[1], [1, 2]]), ValueError, "values must be", "same length"
    ),
    row(
        "two images", lambda: bundle().traverse(IMAGES, 0, [0]), ValueError, "image_or_code must be one image", "got 2"
    ),
    row("files None", lambda: encode_files("bundle", None, "o.csv"), TypeError, "files must be a path", "NoneType"),
    row("files array", lambda: encode_files("bundle", IMAGES, "o.csv"), TypeError, "files must be a path", "ndarray"),
    row(
        "no files", lambda: encode_files("bundle", [], "o.csv"), ValueError, "files: there is no image in an empty list"
    ),
    row("files [3]", lambda: encode_files("bundle", [3], "o.csv"), TypeError, "files[0] must be a path", "int 3"),
    row(
        "files gone",
        lambda: encode_files("bundle", "no", "o.csv"),
        ValueError,
        "files: there is no file or folder 'no'",
    ),
    row("out None", lambda: encode_files("bundle", "photos", None), TypeError, "out must be a path", "NoneType"),
    row("out .txt", lambda: encode_files("bundle", "photos", "o.txt"), ValueError, "out must end in .csv", "'o.txt'"),
    row("swapped", lambda: encode_files("photos", "bundle", "o.csv"), BundleError, "photos: there is no bundle.json"),
    row("on_error", lambda: encode_files("bundle", "photos", "o.csv", on_error="skip"), ValueError, "on_error must be"),
    row(
        "threads -1", lambda: encode_files("bundle", "photos", "o.csv", threads=-1), ValueError, "threads must be", "-1"
    ),
)
def test_wrong_calls(wrong):
    check(wrong)


def test_what_is_no_file_is_listed_and_not_waited_for(place, tmp_path):
    photos = folder_of(tmp_path / "photos")
    os.mkfifo(photos / "pipe.png")
    (photos / "zero.png").symlink_to("/dev/zero")
    (photos / "a.heic").write_bytes(b"\0\0\0\x18ftypheic")
    encoded = encode_files(place / "bundle", photos, tmp_path / "codes.csv", progress=False)
    assert (encoded.count, encoded.broken) == (3, 3)
    reasons = {os.path.basename(file): reason for file, reason in encoded.first_broken}
    assert reasons["pipe.png"] == "it is no file but a pipe" and reasons["zero.png"] == "it is no file but a device"
    assert "Pillow reads no .heic here" in reasons["a.heic"]
