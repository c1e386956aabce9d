import copy
import dataclasses
import hashlib
import http.server
import json
import pickle
import shutil
import sys
import threading
import time
import types
import urllib.error

import numpy as np
import pytest
from small_files import constants, digest, everything, pictures, published, write_dsprites, write_shapes3d

from kerasvae.datasets import prepared, published_files
from kerasvae.datasets.dsprites import ORIGINAL
from kerasvae.datasets.prepared import PreparedImages, open_table, resized
from kerasvae.datasets.published_files import SourceFile, fetch
from kerasvae.datasets.shapes3d import Shapes3D

SIZES = (3, 2, 2, 2, 2)
SMALL = dataclasses.replace(ORIGINAL, factor_sizes=SIZES)
# The same records with the images as they are.
IMAGES = dataclasses.replace(SMALL, name="images", row_shape=(64, 64, 1), rows=lambda images: images * 255)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Folder with prepared records of a small dSprites, and its images."""
    folder = tmp_path_factory.mktemp("dsprites")
    images = write_dsprites(folder / "files", SIZES)
    with published("dsprites", folder / "files"):
        open_table(SMALL, folder / "data", folder / "files")
    return folder, images


@pytest.fixture
def records(original, tmp_path):
    """A data_dir that has the records, but no table."""
    shutil.copytree(original[0] / "data" / "dsprites", tmp_path / "data" / "dsprites")
    return tmp_path / "data"


@pytest.fixture
def server(tmp_path):
    """Address of a server of the folder served/, on which "short" is cut off and "silent" never answers."""
    quit_ = threading.Event()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(tmp_path / "served"))

        def do_GET(self):
            if self.path == "/silent":
                quit_.wait(10)
            elif self.path == "/short":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"only this")
            else:
                super().do_GET()

        def log_message(self, *arguments):
            pass

    (tmp_path / "served").mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        quit_.set()
        server.shutdown()


def offline(monkeypatch, reason="no network"):
    def refuse(*arguments, **keywords):
        raise urllib.error.URLError(reason)

    monkeypatch.setattr(published_files.urllib.request, "urlopen", refuse)


def source_file(name, content, address="http://localhost/file", size=True):
    return SourceFile(name, address, f"sha256:{hashlib.sha256(content).hexdigest()}", len(content) if size else None)


# Files as published


@pytest.mark.parametrize("size", [True, False])
def test_missing_file_is_downloaded(server, tmp_path, size):
    content = pictures(1, 1, 3_000_000, 1).tobytes()
    (tmp_path / "served" / "there.bin").write_bytes(content)
    file = source_file("here.bin", content, f"{server}/there.bin", size)
    assert fetch([file], tmp_path / "new" / "folder") == [tmp_path / "new" / "folder" / "here.bin"]
    assert (tmp_path / "new" / "folder" / "here.bin").read_bytes() == content
    assert everything(tmp_path / "new") == ["folder", "folder/here.bin"]


def test_file_that_is_there_is_not_downloaded(monkeypatch, tmp_path):
    offline(monkeypatch)
    (tmp_path / "a").write_bytes(b"content")
    assert fetch([source_file("a", b"content")], str(tmp_path)) == [tmp_path / "a"]


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_wrong_file_that_is_there_stays(monkeypatch, tmp_path, algorithm):
    offline(monkeypatch)
    (tmp_path / "right").write_bytes(b"right")
    (tmp_path / "a").write_bytes(b"wrong!")
    file = SourceFile("a", "http://somewhere/a", digest(tmp_path / "right", algorithm), 5)
    with pytest.raises(ValueError) as caught:
        fetch([file], tmp_path)
    assert str(caught.value) == (
        f"'{tmp_path / 'a'}' is not the file that was published at http://somewhere/a: expected {file.digest} (5 "
        f"bytes), found {digest(tmp_path / 'a', algorithm)} (6 bytes); put the right file there, or delete it"
    )
    assert everything(tmp_path) == ["a", "right"]


def test_wrong_file_that_was_downloaded_is_deleted(server, tmp_path):
    (tmp_path / "served" / "a").write_bytes(b"wrong")
    with pytest.raises(ValueError, match=r"files/a' is not the file.*found sha256:.* \(5 bytes\); try again"):
        fetch([source_file("a", b"right", f"{server}/a")], tmp_path / "files")
    assert everything(tmp_path / "files") == []


@pytest.mark.parametrize("name", ["short", "gone"])
def test_download_that_fails(server, tmp_path, name):
    reason = {"short": "(is not the file|cannot be downloaded)", "gone": "cannot be downloaded .*File not found"}[name]
    with pytest.raises((OSError, ValueError), match=reason):
        fetch([source_file("a", b"content", f"{server}/{name}")], tmp_path / "files")
    assert everything(tmp_path / "files") == []


def test_silent_host_is_given_up_soon(server, tmp_path, monkeypatch):
    monkeypatch.setattr(published_files, "CONNECT_SECONDS", 0.2)
    start = time.monotonic()
    with pytest.raises(OSError, match=r"a cannot be downloaded \(no answer within 0.2 s\)"):
        fetch([source_file("a", b"content", f"{server}/silent")], tmp_path / "files")
    assert time.monotonic() - start < 5 and everything(tmp_path / "files") == []


def test_the_error_says_which_files_from_where_to_put_where(monkeypatch, tmp_path):
    offline(monkeypatch)
    (tmp_path / "b").write_bytes(b"b")
    sources = [source_file(name, name.encode(), f"http://somewhere/{name}?raw") for name in "abc"]
    with pytest.raises(OSError) as caught:
        fetch(sources, tmp_path)
    assert str(caught.value) == (
        f"a cannot be downloaded (no network). Download where there is a network, and put into '{tmp_path}' or into a "
        "folder that you name as manual_dir:\n    a from http://somewhere/a?raw\n    c from http://somewhere/c?raw"
    )


def test_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="manual_dir: cannot write"):
        fetch([source_file("a", b"a")], tmp_path / "file")


# Tables


def test_dsprites_table(original):
    folder, images = original
    table, _ = open_table(SMALL, folder / "data")
    assert isinstance(table, np.memmap) and table.dtype == np.uint8 and table.shape == (48, 512)
    assert not table.flags.writeable
    np.testing.assert_array_equal(np.unpackbits(table, axis=1).reshape(48, 64, 64), images)


def test_dsprites_sizes():
    assert ORIGINAL.shape == (737_280, 512) and ORIGINAL.factor_sizes == (3, 6, 40, 32, 32)


def test_description(records, original):
    folder, images = original
    table, description = open_table(IMAGES, records)
    np.testing.assert_array_equal(table[..., 0], images * 255)
    mean, std = constants(images[..., None] * 255)
    np.testing.assert_allclose(description["mean"], mean, rtol=1e-12)
    np.testing.assert_allclose(description["std"], std, rtol=1e-12)
    assert description["factor_sizes"] == list(SIZES) and description["builder"] == "dsprites/2.0.0"
    # A packed table has no channels.
    bits = json.loads((folder / "data" / "kerasvae" / "dsprites" / "table.json").read_text())
    assert "mean" not in bits
    file = next((folder / "files").iterdir())
    assert bits["digests"] == {file.name: digest(file)}


def test_constant_channel_has_std_1(records):
    black = dataclasses.replace(IMAGES, rows=lambda images: images * 0)
    description = open_table(black, records)[1]
    assert description["mean"] == [0] and description["std"] == [1]


def test_records_are_enough(records, monkeypatch):
    # Whoever has them from tensorflow_datasets needs no file.
    offline(monkeypatch)
    assert len(open_table(SMALL, records)[0]) == 48


def test_table_is_enough(original, monkeypatch):
    offline(monkeypatch)
    for module in ("tensorflow_datasets", "tensorflow", "h5py"):
        monkeypatch.setitem(sys.modules, module, None)
    table, description = open_table(SMALL, original[0] / "data")
    assert len(table) == 48 and description["factor_names"] == list(SMALL.factor_names)


def test_neither_file_nor_network(monkeypatch, tmp_path):
    offline(monkeypatch)
    with pytest.raises(OSError, match=r"put into '.*/downloads/manual' or into a folder that you name as") as caught:
        open_table(ORIGINAL, tmp_path)
    assert (
        "\n    dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5 from https://github.com/deepmind/dsprites-dataset/blob/"
        in str(caught.value)
    )
    assert everything(tmp_path) == ["downloads", "downloads/manual", "kerasvae"]


def test_default_places(original, monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(original[0] / "data"))
    assert len(open_table(SMALL)[0]) == 48
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    offline(monkeypatch)
    with pytest.raises(OSError, match=f"put into '{tmp_path}/tensorflow_datasets/downloads/manual'"):
        open_table(SMALL)


def test_manual_dir_that_is_no_folder(tmp_path):
    with pytest.raises(ValueError, match="manual_dir must be a folder that holds the published files, got 'nowhere'"):
        open_table(SMALL, tmp_path, "nowhere")


def test_data_dir_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="data_dir: cannot write"):
        open_table(SMALL, tmp_path / "file")


def test_too_little_space(records, monkeypatch):
    monkeypatch.setattr(prepared.shutil, "disk_usage", lambda path: types.SimpleNamespace(free=5))
    with pytest.raises(OSError, match=r"data_dir: the images of dsprites take 0.0 GB in .*kerasvae'"):
        open_table(SMALL, records)
    assert everything(records / "kerasvae") == []


@pytest.mark.parametrize(
    "change, match",
    [
        ({"factor_sizes": (3, 2, 2, 2, 4)}, r"do not fit dsprites: there are 48, not 96; delete that folder"),
        ({"factor_sizes": (3, 2, 2, 4, 1)}, r"do not fit dsprites: a label is out of range"),
        ({"labels": (*ORIGINAL.labels[:4], "label_x_position")}, "24 combinations of factors are missing"),
        ({"values": {"shape": (0, 1, 3)}}, "a label is out of range"),
    ],
)
def test_records_of_another_data_set(records, change, match):
    with pytest.raises(ValueError, match=match):
        open_table(dataclasses.replace(SMALL, **change), records)
    assert everything(records / "kerasvae") == []


def test_values_of_a_label(records, original):
    # Numbers 0, 2, 4 of a label are values 0, 1, 2 of its factor.
    shapes = prepared._factor(dataclasses.replace(SMALL, values={"shape": (0, 2, 4)}), np.array([4, 0, 2, 1]), "shape")
    assert shapes.tolist() == [2, 0, 1, -1]


@pytest.mark.parametrize("damage", ["table cut off", "no table", "description cut off", "no description"])
def test_damaged_table(records, damage):
    open_table(SMALL, records)
    path = records / "kerasvae" / "dsprites" / ("images.npy" if "table" in damage else "table.json")
    if "cut off" in damage:
        path.write_bytes(path.read_bytes()[:-100])
    else:
        path.unlink()
    with pytest.raises(ValueError, match=r"data_dir: '.*kerasvae/dsprites' is damaged .*delete it to prepare it again"):
        open_table(SMALL, records)


def test_table_of_another_version(records):
    open_table(SMALL, records)
    other = dataclasses.replace(SMALL, factor_names=("a", "b", "c", "d", "e"))
    with pytest.raises(ValueError, match="is not the table of dsprites that this version reads"):
        open_table(other, records)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_interruption_leaves_nothing(records, error):
    def interrupted(images):
        raise error

    with pytest.raises(error):
        open_table(dataclasses.replace(SMALL, rows=interrupted), records)
    assert everything(records / "kerasvae") == []
    assert len(open_table(SMALL, records)[0]) == 48


def test_remains_of_a_killed_process_are_cleared_away(records):
    (records / "kerasvae" / ".partial-1-dsprites").mkdir(parents=True)
    (records / "kerasvae" / ".partial-1-dsprites" / "images.npy").write_bytes(b"half")
    (records / "kerasvae" / ".partial-1-shapes3d").mkdir()
    assert len(open_table(SMALL, records)[0]) == 48
    assert everything(records / "kerasvae") == [".partial-1-shapes3d", "dsprites"] + [
        f"dsprites/{name}" for name in ("images.npy", "table.json")
    ]


@pytest.mark.skipif(prepared.fcntl is None, reason="there are no such locks on this system")
def test_one_prepares_while_the_others_wait(records):
    tables, preparing, others = [], threading.Event(), threading.Event()

    def slow(images):
        # While this one works here, the others come to the lock.
        assert not preparing.is_set(), "prepared twice"
        preparing.set()
        others.wait(0.3)
        return ORIGINAL.rows(images)

    source = dataclasses.replace(SMALL, rows=slow)
    threads = [threading.Thread(target=lambda: tables.append(open_table(source, records)[0])) for _ in range(3)]
    threads[0].start()
    preparing.wait(10)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert [table.shape for table in tables] == [(48, 512)] * 3
    assert all((table == tables[0]).all() for table in tables)


# Images


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda data: pickle.loads(pickle.dumps(data))])
def test_copies_hold_the_place_not_the_images(records, copied):
    data = PreparedImages(IMAGES, records)
    assert len(pickle.dumps(data)) < 2000
    again = copied(data)
    assert isinstance(again.table, np.memmap) and again.table.filename == data.table.filename
    np.testing.assert_array_equal(again.images([3, 4]), data.images([3, 4]))
    assert repr(again) == repr(data)


def test_constants_of_the_description_unless_there_are_published_ones(records):
    _, description = open_table(IMAGES, records)
    data = PreparedImages(IMAGES, records)
    assert data.mean.tolist() == description["mean"] and data.std.tolist() == description["std"]
    data = PreparedImages(IMAGES, records, mean=(0.25,), std=(0.5,))
    assert data.mean.tolist() == [0.25] and data.std.tolist() == [0.5]


def triangle_weights(before, after):
    """Rows of the antialiased linear interpolation from `before` to `after` points, (after, before)."""
    scale = before / after
    centers = (np.arange(after) + 0.5) * scale
    distance = np.abs(np.arange(before) + 0.5 - centers[:, None]) / scale
    weights = np.maximum(1 - distance, 0)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("side, channels", [(96, 1), (128, 3)])
def test_shrinking_is_antialiased(side, channels):
    images = pictures(3, side, side, channels)
    weights = triangle_weights(side, 64)
    expected = np.einsum("ih,nhwc,jw->nijc", weights, images.astype("float64"), weights, optimize=True)
    shrunk = resized(images)
    assert shrunk.dtype == np.uint8 and shrunk.shape == (3, 64, 64, channels)
    # Pillow rounds to integers after the rows and again after the columns.
    assert np.abs(shrunk - expected).max() <= 1.01


def test_shapes_through_the_front(tmp_path, monkeypatch):
    # The download of a file, its records and its table in one go.
    images = write_shapes3d(tmp_path / "files", (2, 1, 1, 2, 1, 1))
    source = dataclasses.replace(Shapes3D.source, factor_sizes=(2, 1, 1, 2, 1, 1))
    served = {"https://storage.googleapis.com/3d-shapes/3dshapes.h5": (tmp_path / "files" / "3dshapes.h5").as_uri()}
    urlopen = published_files.urllib.request.urlopen

    def redirect(request, timeout):
        return urlopen(served[request.full_url], timeout=timeout)

    monkeypatch.setattr(published_files.urllib.request, "urlopen", redirect)
    with published("shapes3d", tmp_path / "files"):
        data = PreparedImages(source, tmp_path / "data")
    np.testing.assert_array_equal(data.images(np.arange(4)), images)
    assert (tmp_path / "data" / "downloads" / "manual" / "3dshapes.h5").is_file()
