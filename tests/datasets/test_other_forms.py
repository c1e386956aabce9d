"""Data sets from the files that people have: other forms of the published ones, and in other folders."""

import dataclasses
import gzip
import shutil
import tarfile
import urllib.error

import numpy as np
import pytest
from small_files import (
    NORB_SIZES,
    pictures,
    published,
    write_cars3d,
    write_dsprites,
    write_mpi3d,
    write_shapes3d,
    write_smallnorb,
)

from kerasvae.datasets import published_files
from kerasvae.datasets.cars3d import Cars3D
from kerasvae.datasets.dsprites import ORIGINAL, pack
from kerasvae.datasets.mpi3d import MPI3D
from kerasvae.datasets.prepared import open_table, resized
from kerasvae.datasets.shapes3d import Shapes3D
from kerasvae.datasets.smallnorb import SmallNORB

SIZES = (3, 2, 2, 2, 2)
SMALL = dataclasses.replace(ORIGINAL, factor_sizes=SIZES)
NPZ = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(*arguments, **keywords):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(published_files.urllib.request, "urlopen", refuse)


def write_npz(path, sizes=SIZES, **changed):
    """The npz form of dSprites, with the objects that it also holds. Returns its images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = pictures(np.prod(sizes), 64, 64, 1)[..., 0] % 2
    classes = np.stack(np.unravel_index(np.arange(len(images)), (1, *sizes)), axis=1)
    arrays = {"metadata": np.array({"author": "who"}), "imgs": images, "latents_classes": classes}
    np.savez_compressed(path, **arrays | changed)
    return images


@pytest.mark.parametrize("place", [NPZ, f"dsprites/{NPZ}"])
def test_the_npz_of_dsprites(tmp_path, place):
    images = write_npz(tmp_path / "files" / place)
    table, description = open_table(SMALL, tmp_path / "data", tmp_path / "files")
    np.testing.assert_array_equal(table, pack(images[..., None]))
    assert description["read_from"] == [str(tmp_path / "files" / place)]
    # The table is what is opened later.
    shutil.rmtree(tmp_path / "files")
    np.testing.assert_array_equal(open_table(SMALL, tmp_path / "data")[0], table)


def test_rows_of_the_npz_go_where_their_classes_say(tmp_path):
    order = np.random.default_rng(0).permutation(48)
    classes = np.stack(np.unravel_index(order, (1, *SIZES)), axis=1)
    images = write_npz(tmp_path / NPZ, latents_classes=classes)
    table, _ = open_table(SMALL, tmp_path / "data", tmp_path)
    np.testing.assert_array_equal(table[order], pack(images[..., None]))


WRONG = {
    "another size": ({"imgs": np.zeros((48, 32, 32), "uint8")}, r"imgs must be uint8 of shape \(48, 64, 64\)"),
    "floats": ({"imgs": np.zeros((48, 64, 64), "float32")}, "imgs must be uint8 .*got float32"),
    "few classes": ({"latents_classes": np.zeros((48, 5), int)}, r"latents_classes \(48, 6\), got .*\(48, 5\)"),
    "objects": ({"latents_classes": np.array([None] * 48)}, "latents_classes is an array of Python objects"),
    "repeated": ({"latents_classes": np.zeros((48, 6), int)}, "47 combinations of factors are missing"),
    "out of range": (
        {"latents_classes": np.full((48, 6), 9)},
        "a label is out of range; put the published files there",
    ),
}


@pytest.mark.parametrize(("changed", "message"), WRONG.values(), ids=WRONG)
def test_an_npz_of_something_else(tmp_path, changed, message):
    write_npz(tmp_path / NPZ, **changed)
    with pytest.raises(ValueError, match=rf"{NPZ}'.*{message}"):
        open_table(SMALL, tmp_path / "data", tmp_path)
    assert not (tmp_path / "data" / "kerasvae" / "dsprites").exists()
    (tmp_path / NPZ).write_bytes((tmp_path / NPZ).read_bytes()[:-30])
    with pytest.raises(ValueError, match=rf"{NPZ}' cannot be read as the npz file of dSprites: File is not a zip"):
        open_table(SMALL, tmp_path / "data", tmp_path)


def test_published_files_come_first(tmp_path):
    images = write_dsprites(tmp_path / "files", SIZES)
    (tmp_path / "files" / NPZ).write_bytes(b"damaged")
    with published("dsprites", tmp_path / "files"):
        table, _ = open_table(SMALL, tmp_path / "data", tmp_path / "files")
    np.testing.assert_array_equal(table, pack(images[..., None]))


def test_published_files_in_a_subfolder(tmp_path):
    images = write_shapes3d(tmp_path / "files" / "3dshapes", (2, 2, 1, 1, 2, 2))

    class Small(Shapes3D):
        source = dataclasses.replace(Shapes3D.source, factor_sizes=(2, 2, 1, 1, 2, 2))

    with published("shapes3d", tmp_path / "files" / "3dshapes"):
        data = Small(tmp_path / "data", tmp_path / "files")
    np.testing.assert_array_equal(data.images(np.arange(16)), images)


def test_an_extracted_archive_of_cars3d(tmp_path):
    images = write_cars3d(tmp_path / "archive.tar.gz", (2, 3, 4))
    with tarfile.open(tmp_path / "archive.tar.gz") as archive:
        archive.extractall(tmp_path / "files", filter="data")

    class Small(Cars3D):
        source = dataclasses.replace(Cars3D.source, factor_sizes=(2, 3, 4))

    expected = resized(images.reshape(24, 128, 128, 3))
    data = Small(tmp_path / "one", tmp_path / "files")
    np.testing.assert_array_equal(data.images(np.arange(24)), expected)
    # As disentanglement_lib keeps them.
    (tmp_path / "files" / "data" / "cars").rename(tmp_path / "files" / "cars")
    np.testing.assert_array_equal(Small(tmp_path / "two", tmp_path / "files").images(np.arange(24)), expected)
    next((tmp_path / "files" / "cars").glob("*.mat")).write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"_mesh\.mat' cannot be read as a file of Cars3D"):
        Small(tmp_path / "three", tmp_path / "files")


def test_unzipped_files_of_smallnorb(tmp_path):
    written = write_smallnorb(tmp_path / "files")
    for path in (tmp_path / "files").iterdir():
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()

    class Small(SmallNORB):
        source = dataclasses.replace(SmallNORB.source, factor_sizes=(2, 10, *tuple(NORB_SIZES.values())[2:]))

    for split, part in (("train", "training"), ("test", "testing")):
        data = Small(split, data_dir=tmp_path / "data", manual_dir=tmp_path / "files")
        np.testing.assert_array_equal(data.images(np.arange(120)), resized(written[part][:, 0, :, :, None]))
    assert len(Small("all", data_dir=tmp_path / "data", manual_dir=tmp_path / "files")) == 240
    path = next((tmp_path / "files").glob("*training-info.mat"))
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"training-info\.mat' is cut short or damaged: it claims int32 of"):
        Small(data_dir=tmp_path / "other", manual_dir=tmp_path / "files")


def test_the_error_names_what_is_wanted_and_what_is_there(tmp_path):
    write_mpi3d(tmp_path / "files" / "mpi3d_real.npz", (1, 1, 1, 1, 1, 2, 2))
    write_mpi3d(tmp_path / "files" / "real3d_complicated_shapes_ordered.npz", (1, 1, 1, 1, 1, 2, 2))
    with pytest.raises(OSError) as caught:
        MPI3D("toy", tmp_path / "data", tmp_path / "files")
    assert "mpi3d_toy.npz from https://" in str(caught.value)
    assert "are not read as mpi3d_toy: mpi3d_real.npz, real3d_complicated_shapes_ordered.npz" in str(caught.value)
    (tmp_path / "files" / "dsprites.npz").touch()
    with pytest.raises(OSError) as caught:
        open_table(SMALL, tmp_path / "data", tmp_path / "files")
    assert "_64x64.hdf5 from https://" in str(caught.value) and f"or {NPZ}, in which form" in str(caught.value)
    assert "are not read as dsprites: dsprites.npz, mpi3d_real.npz" in str(caught.value)
