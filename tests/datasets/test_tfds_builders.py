import numpy as np
import pytest
import tensorflow_datasets as tfds
from small_files import digest, write_cars3d, write_mpi3d

import kerasvae.datasets.tfds_builders  # noqa: F401
from kerasvae.datasets import cars3d, mpi3d
from kerasvae.datasets.dsprites import DSprites
from kerasvae.datasets.ground_truth import GroundTruthData
from kerasvae.datasets.xyobject import XYObject, XYObjectShaded
from kerasvae.datasets.xysquares import XYSquares

GENERATED = {
    "kerasvae_xysquares": XYSquares(),
    "kerasvae_xysquares/spacing_3": XYSquares(grid_spacing=3),
    "kerasvae_xyobject": XYObject(),
    "kerasvae_xyobject/shaded": XYObjectShaded(),
    "kerasvae_dsprites": DSprites(),
}


class Slice(GroundTruthData):
    """The first two values of some factors of a data set."""

    def __init__(self, data):
        self.data, self.factor_names, self.image_shape = data, data.factor_names, data.image_shape
        self.factor_sizes = tuple(min(size, 2) for size in data.factor_sizes)

    def render(self, factors):
        return self.data.render(factors)


def records(builder, **config):
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(**config))
    return list(tfds.as_numpy(builder.as_dataset(split="train")))


@pytest.mark.parametrize("name", GENERATED)
def test_generated_data_are_known_by_name(name, tmp_path):
    data, builder = GENERATED[name], tfds.builder(name, data_dir=str(tmp_path))
    features = builder.info.features
    assert features["image"].shape == data.image_shape
    labels = {f"label_{name}": size for name, size in zip(data.factor_names, data.factor_sizes, strict=True)}
    assert {name: features[name].num_classes for name in features if name.startswith("label_")} == labels
    assert type(builder.data()) is type(data) and repr(builder.data()) == repr(data)
    indices = np.arange(0, len(data), len(data) // 5)
    np.testing.assert_array_equal(builder.data().images(indices), data.images(indices))


@pytest.mark.parametrize("name", ["kerasvae_xysquares", "kerasvae_dsprites"])
def test_generated_records(name, tmp_path, monkeypatch):
    data = Slice(GENERATED[name])
    monkeypatch.setattr(tfds.builder_cls(name), "data", lambda self: data)
    monkeypatch.setattr("kerasvae.datasets.tfds_builders._CHUNK", 7)
    # In the order of the grid.
    found = list(tfds.as_numpy(tfds.load(name, split="train", data_dir=str(tmp_path))))
    assert [record["index"] for record in found] == list(range(len(data)))
    np.testing.assert_array_equal([record["image"] for record in found], data.images(np.arange(len(data))))
    labels = [[record[f"label_{name}"] for name in data.factor_names] for record in found]
    np.testing.assert_array_equal(labels, data.factors(np.arange(len(data))))


def test_cars3d_records(tmp_path, monkeypatch):
    path = tmp_path / "files" / "nips2015-analogy-data.tar.gz"
    images = write_cars3d(path, (2, 2, 3))
    monkeypatch.setattr(cars3d, "ARCHIVE", cars3d.SourceFile(path.name, "http://host/a", digest(path, "md5")))
    monkeypatch.setattr(cars3d, "FACTORS", {"elevation": 2, "azimuth": 2, "object": 3})
    found = records(tfds.builder("kerasvae_cars3d", data_dir=str(tmp_path)), manual_dir=str(path.parent))
    assert sorted(record["index"] for record in found) == list(range(12))
    for record in found:
        labels = tuple(record[f"label_{name}"] for name in ("elevation", "azimuth", "object"))
        assert record["index"] == np.ravel_multi_index(labels, (2, 2, 3))
        np.testing.assert_array_equal(record["image"], images[labels])


def test_mpi3d_records(tmp_path, monkeypatch):
    sizes = (2, 1, 2, 1, 1, 2, 2)
    monkeypatch.setattr(mpi3d, "FACTORS", dict(zip(mpi3d.FACTORS, sizes, strict=True)))
    # By default files are looked for, and put, where tensorflow_datasets has them.
    path = tmp_path / "downloads" / "manual" / "mpi3d_realistic.npz"
    images = write_mpi3d(path, sizes)
    md5 = digest(path, "md5").split(":")[1]
    found = records(tfds.builder("kerasvae_mpi3d/realistic", data_dir=str(tmp_path), md5=md5))
    assert [record["index"] for record in found] == list(range(16))
    np.testing.assert_array_equal([record["image"] for record in found], images)
    labels = [[record[f"label_{name}"] for name in mpi3d.FACTORS] for record in found]
    np.testing.assert_array_equal(np.ravel_multi_index(np.transpose(labels), sizes), np.arange(16))


def test_wrong_file(tmp_path):
    (tmp_path / "nips2015-analogy-data.tar.gz").write_bytes(b"something else")
    with pytest.raises(ValueError, match="expected md5:4e866a7919c1beedf53964e6f7a23686, found md5:"):
        records(tfds.builder("kerasvae_cars3d", data_dir=str(tmp_path / "data")), manual_dir=str(tmp_path))


def test_configs():
    names = {name: [*tfds.builder_cls(name).builder_configs] for name in ("kerasvae_xysquares", "kerasvae_mpi3d")}
    assert names["kerasvae_xysquares"] == [f"spacing_{spacing}" for spacing in (8, 7, 6, 5, 4, 3, 2, 1)]
    assert names["kerasvae_mpi3d"] == ["toy", "realistic", "real"]
