"""Small files in the formats in which data sets are published, for the tests of those that read them."""

import contextlib
import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

NORB_SIZES = {"category": 2, "instance": 5, "elevation": 2, "azimuth": 2, "lighting": 3}
NORB_INSTANCES = {"training": (4, 6, 7, 8, 9), "testing": (0, 1, 2, 3, 5)}


def digest(path, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, Path(path).read_bytes()).hexdigest()}"


def everything(folder):
    """Relative paths of all files and folders in `folder`, without the locks."""
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if ".lock-" not in path.name)


@contextlib.contextmanager
def published(builder, folder):
    """Let tensorflow_datasets take the files in `folder` for those that its builder of that name wants."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_cls(builder)
    infos = {}
    for address, info in builder.url_infos.items():
        path = folder / info.filename
        infos[address] = type(info)(path.stat().st_size, digest(path).split(":")[1], info.filename)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "url_infos", infos)
        yield


def pictures(count, height, width, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, channels), np.uint8)


def write_shapes3d(folder, sizes):
    """3dshapes.h5: images in the order of the grid, labels as values. Returns the images."""
    folder.mkdir(parents=True, exist_ok=True)
    images = pictures(np.prod(sizes), 64, 64, 3)
    factors = np.stack(np.unravel_index(np.arange(len(images)), sizes), axis=1)
    # Values, not numbers: hues 0..1, scales 0.75..1.25, shapes 0..3, angles -30..30.
    scale, offset = np.array([0.1, 0.1, 0.1, 0.07, 1, 4.3]), np.array([0, 0, 0, 0.75, 0, -30])
    with h5py.File(folder / "3dshapes.h5", "w") as file:
        file["images"], file["labels"] = images, factors * scale + offset
    return images


def write_dsprites(folder, sizes):
    """The hdf5 form of dSprites, pixels 0 or 1, with the colour factor that has one value. Returns the images."""
    folder.mkdir(parents=True, exist_ok=True)
    images = pictures(np.prod(sizes), 64, 64, 1)[..., 0] % 2
    classes = np.stack(np.unravel_index(np.arange(len(images)), (1, *sizes)), axis=1)
    with h5py.File(folder / "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5", "w") as file:
        file["imgs"] = images
        file["latents/classes"], file["latents/values"] = classes, classes / 2
    return images


def norb_matrix(array):
    """An array in NORB's binary matrix format."""
    magic = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54}[str(array.dtype)]
    shape = array.shape + (1,) * (3 - array.ndim)
    return np.array([magic, array.ndim, *shape], "<i4").tobytes() + array.tobytes()


def write_smallnorb(folder):
    """The six files of SmallNORB, records shuffled. Returns {part: images of both cameras in the order of the grid}."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes, written = tuple(NORB_SIZES.values()), {}
    for seed, (part, instances) in enumerate(NORB_INSTANCES.items()):
        count = int(np.prod(sizes))
        order = np.random.default_rng(seed).permutation(count)
        images = pictures(count * 2, 96, 96, 1, seed)[..., 0].reshape(count, 2, 96, 96)
        category, instance, elevation, azimuth, lighting = np.unravel_index(order, sizes)
        info = np.stack([np.array(instances)[instance], elevation, 2 * azimuth, lighting], axis=1)
        arrays = {"dat": images[order], "cat": category.astype("int32"), "info": info.astype("int32")}
        digits = "".join(map(str, instances))
        for kind, array in arrays.items():
            name = f"smallnorb-5x{digits}x9x18x6x2x96x96-{part}-{kind}.mat.gz"
            (folder / name).write_bytes(gzip.compress(norb_matrix(array), compresslevel=1))
        written[part] = images
    return written


def write_cars3d(path, sizes, listed=None):
    """The archive of Cars3D, members in another order than its list. Returns images by factors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    elevations, azimuths, objects = sizes
    images = pictures(elevations * azimuths * objects, 128, 128, 3).reshape(*sizes, 128, 128, 3)
    # So that order by list, by name and by archive are three.
    names = [f"car_{(7 * number + 3) % 10:03}_mesh" for number in range(objects)]
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:

        def add(name, content):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))

        for number in reversed(range(objects)):
            content = io.BytesIO()
            arrays = {"im": images[:, :, number].transpose(2, 3, 4, 1, 0), "mask": np.zeros((2, 2), "uint8")}
            scipy.io.savemat(content, arrays)
            add(f"data/cars/{names[number]}.mat", content.getvalue())
            if number == 1:
                add("data/cars/list.txt", "".join(f"{name}\n" for name in listed or names).encode())
        add("data/shapes48.mat", b"another data set")
    return images


def write_mpi3d(path, sizes, images=None):
    """A file of MPI3D. Returns its images."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = pictures(np.prod(sizes), 64, 64, 3) if images is None else images
    np.savez(path, images=images)
    return images


def constants(images):
    """The paper's constants of images (n, height, width, channels): mean, and mean of each image's unbiased std."""
    pixels = images.reshape(len(images), -1, images.shape[-1]) / 255
    return pixels.mean(axis=(0, 1)), pixels.std(axis=1, ddof=1).mean(axis=0)
