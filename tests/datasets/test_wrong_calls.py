"""Wrong calls of the data sets that come from files and arrays: each is refused in words that say what was wrong."""

import os
from pathlib import Path

import numpy as np
import pytest
from image_folders import folder_of
from wrong_calls import WrongCall, check, wrong_calls

from kerasvae.datasets import Cars3D, DSprites, FromArrays, FromFolder, ScreamDSprites, Shapes3D, SmallNORB
from kerasvae.datasets.image_table import ImageTable
from kerasvae.datasets.mpi3d import MPI3D
from kerasvae.metrics import score_file
from kerasvae.models.loading import load

IMAGES = np.zeros((6, 8, 8, 3), "uint8")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The working folder of every call: three images in photos/, a text, a pipe."""
    folder_of(tmp_path / "photos")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "factors.csv").write_text("file,level\n00.png,1\n01.png,2\n02.png,3\n")
    os.mkfifo(tmp_path / "pipe.png")
    monkeypatch.chdir(tmp_path)


def of_folder(name, call, error, *words):
    return WrongCall(f"FromFolder {name}", call, error, words)


def of_arrays(name, call, *words, error=ValueError):
    return WrongCall(f"FromArrays {name}", call, error, words)


SIZE = ("image_size must be an integer, at least 1, or (height, width)", "got ")
CHANNELS, BACKGROUND = "channels must be 1, 3 or None, got ", "background must be an integer in 0..255, got "
ONE_OR_LIST = "must be one number"


@wrong_calls(
    of_folder("None", lambda: FromFolder(None), TypeError, "path must be a path", "NoneType"),
    of_folder("a number", lambda: FromFolder(3), TypeError, "path must be a path", "int 3"),
    of_folder("a list of folders", lambda: FromFolder(["photos"]), TypeError, "path must be a path", "list ['photos']"),
    of_folder("an array", lambda: FromFolder(IMAGES), TypeError, "path must be a path", "ndarray"),
    of_folder("a data set", lambda: FromFolder(FromArrays(IMAGES)), TypeError, "path must be a path", "FromArrays"),
    of_folder("nothing", lambda: FromFolder(""), ValueError, "path must be a path", "empty", "''"),
    of_folder("none there", lambda: FromFolder("fotos"), FileNotFoundError, "path: there is no folder 'fotos'"),
    of_folder("a file", lambda: FromFolder("notes.txt"), FileNotFoundError, "path: there is no folder 'notes.txt'"),
    of_folder("a zero byte", lambda: FromFolder("a\0b"), FileNotFoundError, r"path: there is no folder 'a\x00b'"),
    of_folder("size of text", lambda: FromFolder("photos", image_size="64"), ValueError, *SIZE, "'64'"),
    of_folder("size None", lambda: FromFolder("photos", image_size=None), ValueError, *SIZE, "None"),
    of_folder("size 0", lambda: FromFolder("photos", image_size=0), ValueError, *SIZE, "got 0"),
    of_folder("size nan", lambda: FromFolder("photos", image_size=np.nan), ValueError, *SIZE, "nan"),
    of_folder("size True", lambda: FromFolder("photos", image_size=True), ValueError, *SIZE, "True"),
    of_folder("size with channels", lambda: FromFolder("photos", image_size=(8, 8, 3)), ValueError, *SIZE, "(8, 8, 3)"),
    of_folder("enormous", lambda: FromFolder("photos", image_size=10**9), ValueError, "image_size", "at most 16384"),
    of_folder("channels of text", lambda: FromFolder("photos", channels="rgb"), ValueError, CHANNELS, "'rgb'"),
    of_folder("channels 3.0", lambda: FromFolder("photos", channels=3.0), ValueError, CHANNELS, "3.0"),
    of_folder("channels 4", lambda: FromFolder("photos", channels=4), ValueError, CHANNELS, "got 4"),
    of_folder("channels of arrays", lambda: FromFolder("photos", channels=np.array([1, 3])), ValueError, CHANNELS),
    of_folder("size second", lambda: FromFolder("photos", 64), TypeError, "factors_csv must be a path", "int 64"),
    of_folder("factors dict", lambda: FromFolder("photos", {"a": []}), TypeError, "factors_csv must be a path", "dict"),
    of_folder("factors folder", lambda: FromFolder("photos", "photos"), FileNotFoundError, "factors_csv", "a folder"),
    of_folder("factors pipe", lambda: FromFolder("photos", "pipe.png"), FileNotFoundError, "factors_csv", "a pipe"),
    of_folder("swapped", lambda: FromFolder("factors.csv", "photos"), FileNotFoundError, "no folder 'factors.csv'"),
    of_folder("fit None", lambda: FromFolder("photos", fit=None), ValueError, 'fit must be "crop"', "got None"),
    of_folder("fit list", lambda: FromFolder("photos", fit=["pad"]), ValueError, "fit must be", "got ['pad']"),
    of_folder("background name", lambda: FromFolder("photos", background="white"), ValueError, BACKGROUND, "'white'"),
    of_folder(
        "background RGB", lambda: FromFolder("photos", background=(0, 0, 0)), ValueError, BACKGROUND, "(0, 0, 0)"
    ),
    of_folder("background -1", lambda: FromFolder("photos", background=-1), ValueError, BACKGROUND, "got -1"),
    of_folder(
        "on_error", lambda: FromFolder("photos", on_error=True), ValueError, 'on_error must be "raise" or "skip"'
    ),
    of_folder("cache True", lambda: FromFolder("photos", cache=True), TypeError, "cache must be a path", "bool True"),
    of_folder("cache file", lambda: FromFolder("photos", cache="notes.txt"), ValueError, "cache must be a new folder"),
    of_folder("std 0", lambda: FromFolder("photos", std=0), ValueError, "std must be one number, above 0", "got 0"),
    of_arrays("None", lambda: FromArrays(None), "images must be a NumPy array", "got NoneType"),
    of_arrays("a path", lambda: FromArrays("photos"), "images must be a NumPy array", "got str"),
    of_arrays("swapped", lambda: FromArrays(np.zeros((6, 2), int), IMAGES), "images must be uint8", "got int64"),
    of_arrays("12 bits", lambda: FromArrays(np.full((2, 8, 8), 4000, "uint16")), "uint16", "up to 4000", "12 bits"),
    of_arrays("complex", lambda: FromArrays(IMAGES.astype(complex)), "images must be uint8", "complex128"),
    of_arrays("few factors", lambda: FromArrays(IMAGES, [[0]] * 5), "factors must hold", "6 images", "(5,)"),
    of_arrays("factors nan", lambda: FromArrays(IMAGES, np.array([0, 1, 2, 3, 4, np.nan])), "factors", "nan in row 5"),
    of_arrays("factors text", lambda: FromArrays(IMAGES, "abcdef"), "factors must be an array", "'abcdef'"),
    of_arrays("factors number", lambda: FromArrays(IMAGES, 3), "factors must be rows", "got int"),
    of_arrays("names", lambda: FromArrays(IMAGES, np.arange(6), ["a", "b"]), "factor_names must be 1", "['a', 'b']"),
    of_arrays("names alone", lambda: FromArrays(IMAGES, None, ["a"]), "factor_names needs factors", "['a']"),
    of_arrays("mean nan", lambda: FromArrays(IMAGES, mean=np.nan), "mean", ONE_OR_LIST, "(3)", "got nan"),
    of_arrays("mean of two", lambda: FromArrays(IMAGES, mean=[0.1, 0.2]), "mean", ONE_OR_LIST, "(3)", "[0.1, 0.2]"),
    of_arrays("index", lambda: FromArrays(IMAGES).images([6]), "indices must lie in 0..5", "6"),
    of_arrays("index 0.5", lambda: FromArrays(IMAGES).images([0.5]), "indices must be", "integers", "float64"),
    WrongCall("table of a list", lambda: ImageTable([1], ["a"], [1], 0, 1), ValueError, ("table", "uint8", "[1]")),
    WrongCall(
        "table names",
        lambda: ImageTable(IMAGES, "a", 6, 0, 1),
        ValueError,
        ("factor_names", "a tuple of different names", "'a'"),
    ),
    WrongCall("dsprites path", lambda: DSprites(Path("a")), ValueError, ('source must be "rendered" or', "Path('a')")),
    WrongCall("dsprites list", lambda: DSprites(["original"]), ValueError, ("source must be", "['original']")),
    WrongCall("dsprites 3", lambda: DSprites("original", 3), TypeError, ("data_dir must be a path", "int 3")),
    WrongCall(
        "manual file", lambda: Cars3D("a", "notes.txt"), ValueError, ("manual_dir must be a folder", "notes.txt")
    ),
    WrongCall("manual list", lambda: Shapes3D("a", ["b"]), TypeError, ("manual_dir must be a path", "list ['b']")),
    WrongCall(
        "below a file", lambda: Cars3D("notes.txt"), OSError, ("data_dir: cannot write 'notes.txt/", "name a place")
    ),
    WrongCall("mpi3d", lambda: MPI3D(["toy"]), ValueError, ('variant must be "toy", "realistic" or "real"', "['toy']")),
    WrongCall("mpi3d md5", lambda: MPI3D(md5="abc"), ValueError, ("md5 must be 32 hexadecimal digits", "'abc'")),
    WrongCall("norb split", lambda: SmallNORB(["train"]), ValueError, ('split must be "train"', "['train']")),
    WrongCall("norb factors", lambda: SmallNORB(factors=3), ValueError, ("factors must be 5 or 4", "got 3")),
    WrongCall("painting", lambda: ScreamDSprites("pipe.png"), FileNotFoundError, ("background", "pipe.png", "a pipe")),
    WrongCall(
        "painting text", lambda: ScreamDSprites("notes.txt"), ValueError, ("background", "notes.txt", "no image")
    ),
    WrongCall("codes None", lambda: score_file(None), TypeError, ("path must be an npz file", "NoneType")),
    WrongCall("codes pipe", lambda: score_file("pipe.png"), FileNotFoundError, ("path must be", "pipe.png", "a pipe")),
    WrongCall("codes text", lambda: score_file("notes.txt"), ValueError, ("path must be an npz file", "notes.txt")),
    WrongCall("model None", lambda: load(None), TypeError, ("filepath must be a path", "NoneType")),
    WrongCall("model folder", lambda: load("photos"), FileNotFoundError, ("filepath", "'photos'", "it is a folder")),
    WrongCall("model pipe", lambda: load("pipe.png"), FileNotFoundError, ("filepath", "'pipe.png'", "a pipe")),
    WrongCall("model text", lambda: load("notes.txt"), ValueError, ("filepath", "'notes.txt'", "not a whole .keras")),
)
def test_wrong_calls(wrong):
    check(wrong)


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_what_is_no_file_in_a_folder_is_named_and_not_waited_for(tmp_path, on_error):
    photos = tmp_path / "photos"
    os.mkfifo(photos / "pipe.png")
    (photos / "zero.png").symlink_to("/dev/zero")
    (photos / "loop.jpg").symlink_to("loop.jpg")
    (photos / "folder.gif").mkdir()
    reasons = {
        "folder.gif": "it is a folder",
        "loop.jpg": "Too many levels of symbolic links",
        "pipe.png": "it is no file but a pipe",
        "zero.png": "it is no file but a device",
    }
    lines = "".join(f"\n  {file}: {reason}" for file, reason in reasons.items())
    for cache in (None, tmp_path / "cache"):
        if on_error == "raise":
            with pytest.raises(ValueError, match=f"^4 files in .*{lines}$"):
                FromFolder(photos, cache=cache)
        else:
            with pytest.warns(UserWarning, match=f"^4 files in .*{lines}$"):
                assert FromFolder(photos, on_error="skip", cache=cache).skipped == reasons
