import dataclasses
import hashlib

import numpy as np
import pytest
from small_files import everything, published, write_shapes3d

from kerasvae.datasets.shapes3d import Shapes3D

SIZES = (2, 2, 3, 2, 2, 2)


class Small(Shapes3D):
    source = dataclasses.replace(Shapes3D.source, factor_sizes=SIZES)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes3d")
    images = write_shapes3d(folder / "files", SIZES)
    with published("shapes3d", folder / "files"):
        data = Small(folder / "data", folder / "files")
    return data, images, folder


def test_images_in_the_order_of_the_grid(prepared):
    data, images, _ = prepared
    assert len(data) == 96 and data.image_shape == (64, 64, 3)
    np.testing.assert_array_equal(data.images(np.arange(96)), images)
    np.testing.assert_array_equal(data.render(data.factors([7, 95])), images[[7, 95]])
    assert isinstance(data.table, np.memmap) and not data.table.flags.writeable


def test_the_next_use_needs_no_file(prepared, tmp_path):
    data, images, folder = prepared
    again = Small(folder / "data", tmp_path)
    np.testing.assert_array_equal(again.images([5]), images[[5]])
    np.testing.assert_array_equal([again.mean, again.std], [data.mean, data.std])


def test_names_sizes_and_published_constants(prepared):
    data = prepared[0]
    names = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    assert data.factor_names == Shapes3D.source.factor_names == names
    assert Shapes3D.source.factor_sizes == (10, 10, 10, 8, 4, 15) and Shapes3D.source.shape == (480_000, 64, 64, 3)
    np.testing.assert_array_equal(data.mean, [0.502584966788819, 0.578759756608967, 0.603449973185958])
    np.testing.assert_array_equal(data.std, [0.294081404355556, 0.344397908751721, 0.366168598152475])


def test_truncated_file(tmp_path):
    write_shapes3d(tmp_path / "files", SIZES)
    path = tmp_path / "files" / "3dshapes.h5"
    with published("shapes3d", tmp_path / "files"):
        path.write_bytes(content := path.read_bytes()[:-1000])
        match = rf"3dshapes.h5' is not the file.*expected sha256:[0-9a-f]{{64}} \({len(content) + 1000} bytes\), found "
        match += rf"sha256:{hashlib.sha256(content).hexdigest()} \({len(content)} bytes\)"
        with pytest.raises(ValueError, match=match):
            Small(tmp_path / "data", tmp_path / "files")
    assert everything(tmp_path / "data") == ["kerasvae"] and path.exists()


def test_the_real_file_is_asked_for(tmp_path):
    # Nothing is injected: the digest is that of tensorflow_datasets.
    (tmp_path / "3dshapes.h5").write_bytes(b"something else")
    match = "expected sha256:0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785"
    with pytest.raises(ValueError, match=rf"{match} \(267573662 bytes\), found .*\(14 bytes\)"):
        Shapes3D(tmp_path / "data", tmp_path)
