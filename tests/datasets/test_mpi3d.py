import dataclasses

import numpy as np
import pytest
from small_files import constants, digest, pictures, write_mpi3d

from kerasvae.datasets import mpi3d
from kerasvae.datasets.mpi3d import FILES, MPI3D, read_images

SIZES = (2, 2, 2, 1, 3, 2, 2)


class Small(MPI3D):
    source = dataclasses.replace(MPI3D.source, factor_sizes=SIZES)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(mpi3d, "_CHUNK", 10)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mpi3d")
    return folder, {
        variant: write_mpi3d(folder / f"mpi3d_{variant}.npz", SIZES, pictures(96, 64, 64, 3, seed))
        for seed, variant in enumerate(FILES)
    }


@pytest.fixture
def md5(files):
    return lambda variant: digest(files[0] / f"mpi3d_{variant}.npz", "md5").split(":")[1]


def test_variants(files, md5, tmp_path):
    folder, images = files
    for variant in ("toy", "real"):
        data = Small(variant, tmp_path, folder, md5=md5(variant).upper())
        np.testing.assert_array_equal(data.images(np.arange(96)), images[variant])
        np.testing.assert_allclose([data.mean, data.std], constants(images[variant]), rtol=1e-10)
        assert data.variant == variant and data.factor_sizes == SIZES
    # Later uses need no file.
    np.testing.assert_array_equal(Small("toy", tmp_path, tmp_path).images([95]), images["toy"][95:])


def test_names_and_sizes():
    names = "object_color object_shape object_size camera_height background_color horizontal_axis vertical_axis"
    assert MPI3D.source.factor_names == tuple(names.split())
    assert MPI3D.source.factor_sizes == (6, 6, 2, 3, 3, 40, 40) and MPI3D.source.shape == (1_036_800, 64, 64, 3)


@pytest.mark.parametrize("variant", FILES)
def test_another_file_is_refused(files, tmp_path, variant):
    # Nothing is injected: the digests are those of the published files.
    starts = {"toy": "55889cb7", "realistic": "59a6225b", "real": "0f33f609"}
    with pytest.raises(ValueError, match=rf"mpi3d_{variant}.npz' is not .*expected md5:{starts[variant]}.*found md5:"):
        Small(variant, tmp_path, files[0])
    assert not (tmp_path / "kerasvae" / f"mpi3d_{variant}").exists()


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"variant": "complex"}, 'variant must be "toy", "realistic" or "real", got \'complex\''),
        ({"md5": "55889cb7"}, "md5 must be 32 hexadecimal digits, got '55889cb7'"),
    ],
)
def test_arguments_that_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        MPI3D(**arguments)


@pytest.mark.parametrize("compressed", [False, True])
def test_images_are_read_some_at_a_time(tmp_path, compressed):
    images = pictures(96, 64, 64, 3)
    (np.savez_compressed if compressed else np.savez)(tmp_path / "a.npz", images=images)
    chunks = list(read_images([tmp_path / "a.npz"], SIZES))
    assert [len(chunk) for _, chunk in chunks] == [10] * 9 + [6]
    np.testing.assert_array_equal(np.concatenate([chunk for _, chunk in chunks]), images)
    factors = np.concatenate([factors for factors, _ in chunks])
    np.testing.assert_array_equal(np.ravel_multi_index(tuple(factors.T), SIZES), np.arange(96))


@pytest.mark.parametrize("damage", ["cut off", "a changed byte", "not zip", "no images", "other shape", "other type"])
def test_file_that_cannot_be_read(files, tmp_path, damage):
    path = tmp_path / "a.npz"
    content = (files[0] / "mpi3d_toy.npz").read_bytes()
    if damage == "no images":
        np.savez(path, pictures=np.zeros(3))
    elif damage == "other shape":
        np.savez(path, images=pictures(95, 64, 64, 3))
    elif damage == "other type":
        np.savez(path, images=np.zeros((96, 64, 64, 3), "int8"))
    elif damage == "a changed byte":
        path.write_bytes(content[:5000] + bytes([content[5000] ^ 1]) + content[5001:])
    else:
        path.write_bytes(content[:-1000] if damage == "cut off" else b"text")
    with pytest.raises(ValueError, match=r"a.npz' cannot be read as a file of MPI3D: "):
        list(read_images([path], SIZES))
