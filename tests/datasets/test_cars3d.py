import dataclasses
import gzip

import numpy as np
import pytest
from small_files import digest, everything, write_cars3d

from kerasvae.datasets import cars3d
from kerasvae.datasets.cars3d import Cars3D, read_archive
from kerasvae.datasets.prepared import resized

SIZES = (2, 3, 4)


class Small(Cars3D):
    source = dataclasses.replace(Cars3D.source, factor_sizes=SIZES)


def expect(monkeypatch, path):
    """Let the archive at `path` be the published one."""
    archive = dataclasses.replace(cars3d.ARCHIVE, digest=digest(path, "md5"))
    monkeypatch.setattr(Small, "source", dataclasses.replace(Small.source, published=(archive,)))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("cars3d") / "nips2015-analogy-data.tar.gz"
    return path, write_cars3d(path, SIZES)


def test_data_set(archive, tmp_path, monkeypatch):
    path, images = archive
    expect(monkeypatch, path)
    data = Small(tmp_path, path.parent)
    assert data.factor_names == ("elevation", "azimuth", "object") and len(data) == 24
    np.testing.assert_array_equal(data.images(np.arange(24)), resized(images.reshape(24, 128, 128, 3)))
    # Later uses need no archive, and copies of it are not kept.
    assert sorted(path.name for path in (tmp_path / "kerasvae" / "cars3d").iterdir()) == ["images.npy", "table.json"]
    again = Small(tmp_path, tmp_path)
    np.testing.assert_array_equal(again.images([5]), data.images([5]))


def test_names_sizes_and_published_constants(archive, tmp_path, monkeypatch):
    assert Cars3D.source.factor_sizes == (4, 24, 183) and Cars3D.source.shape == (17_568, 64, 64, 3)
    assert cars3d.ARCHIVE.digest == "md5:4e866a7919c1beedf53964e6f7a23686"
    path, _ = archive
    expect(monkeypatch, path)
    data = Small(tmp_path, path.parent)
    np.testing.assert_array_equal(data.mean, [0.897667614997663, 0.889165802006751, 0.885147515814868])
    np.testing.assert_array_equal(data.std, [0.225031955315030, 0.239946127898126, 0.247921063196844])


def test_archive_is_read_by_its_list(archive):
    path, images = archive
    objects = []
    for factors, read in read_archive([path]):
        assert factors.shape == (6, 3) and read.shape == (6, 128, 128, 3) and read.dtype == np.uint8
        np.testing.assert_array_equal(read, images[tuple(factors.T)])
        objects.append(factors[0, 2])
    # Members come as they lie in the archive, numbers from the list.
    assert objects == [3, 2, 1, 0]


def test_listed_car_that_is_missing(tmp_path):
    write_cars3d(tmp_path / "a.tar.gz", (1, 1, 2), listed=["car_003_mesh", "car_000_mesh", "car_999_mesh"])
    with pytest.raises(ValueError, match=r"a.tar.gz' cannot be .*it lacks 1 of the cars .*data/cars/car_999_mesh.mat"):
        list(read_archive([tmp_path / "a.tar.gz"]))


@pytest.mark.parametrize("damage", ["cut off", "not gzip", "not tar", "no list"])
def test_archive_that_cannot_be_read(archive, tmp_path, damage):
    path = tmp_path / "a.tar.gz"
    content = archive[0].read_bytes()
    path.write_bytes(
        {"cut off": content[:-5000], "not gzip": b"text", "not tar": gzip.compress(b"text")}.get(damage, b"")
    )
    if damage == "no list":
        path.write_bytes(gzip.compress(bytes(10_240)))
    with pytest.raises(ValueError, match=r"a.tar.gz' cannot be read as the archive of Cars3D: "):
        list(read_archive([path]))


def test_truncated_archive(archive, tmp_path, monkeypatch):
    expect(monkeypatch, archive[0])
    path = tmp_path / "files" / "nips2015-analogy-data.tar.gz"
    path.parent.mkdir()
    path.write_bytes(archive[0].read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"analogy-data.tar.gz' is not the file.*expected md5:.*, found md5:"):
        Small(tmp_path / "data", path.parent)
    assert not [name for name in everything(tmp_path / "data") if "partial" in name or "incomplete" in name]
    assert not (tmp_path / "data" / "kerasvae" / "cars3d").exists()


def test_another_archive_is_refused(archive, tmp_path):
    # Nothing is injected: the digest is that of the published archive.
    with pytest.raises(ValueError, match="expected md5:4e866a7919c1beedf53964e6f7a23686, found md5:"):
        Cars3D(tmp_path, archive[0].parent)
