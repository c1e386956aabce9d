"""Codes of files, as they are written."""

import json
import os
import sqlite3
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving.photos import check_troubles, noise, outside, readable, rows_of
from serving.small_bundles import Linear, write_bundle

from kerasvae.datasets import FromFolder
from kerasvae.serving import Bundle, ImageError, encode_files, unfinished_codes
from kerasvae.serving.encode_files import image_files_of

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("logvar", [False, True])
def test_csv(encode, bundle, photos, tmp_path, logvar):
    encoded = encode(logvar=logvar)
    check_troubles(encoded, photos)
    header, *rows = rows_of(encoded.out)
    assert header == ["file", "x", "y", "z2", *(["logvar_x", "logvar_y", "logvar_z2"] if logvar else []), "outside"]
    files, images = readable(photos)
    assert [row[0] for row in rows] == files
    numbers, mean = np.array([row[1:] for row in rows], float), Linear().mean(images)
    np.testing.assert_allclose(numbers[:, :3], mean, atol=1e-5)
    if logvar:
        np.testing.assert_allclose(numbers[:, 3:6], -1 - mean, atol=1e-5)
    np.testing.assert_array_equal(numbers[:, -1], outside(bundle, mean))
    # Not a bit is lost.
    np.testing.assert_array_equal(numbers[:, :3].astype("float32")[:4], bundle.encode(files[:4]).mean)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codes.csv", "codes.csv.errors.csv"]


@pytest.mark.parametrize("logvar", [False, True])
def test_npz(encode, bundle, photos, logvar):
    encoded = encode("codes.NPZ", logvar=logvar)
    check_troubles(encoded, photos)
    files, images = readable(photos)
    with np.load(encoded.out, allow_pickle=False) as arrays:
        assert sorted(arrays) == sorted(["file", "mean", *["logvar"] * logvar, "outside", "latent_names"])
        assert arrays["file"].tolist() == files and arrays["latent_names"].tolist() == ["x", "y", "z2"]
        assert arrays["mean"].dtype == np.float32 and arrays["outside"].dtype == bool
        np.testing.assert_allclose(arrays["mean"], Linear().mean(images), atol=1e-5)
        np.testing.assert_array_equal(arrays["outside"], bundle.outside(arrays["mean"]))
        if logvar:
            np.testing.assert_allclose(arrays["logvar"], Linear().logvar(images), atol=1e-5)


def test_parquet(encode, bundle, photos):
    parquet = pytest.importorskip("pyarrow.parquet")
    encoded = encode("codes.parquet", logvar=True)
    check_troubles(encoded, photos)
    files, images = readable(photos)
    table = parquet.read_table(encoded.out).to_pydict()
    assert list(table) == ["file", "x", "y", "z2", "logvar_x", "logvar_y", "logvar_z2", "outside"]
    mean = np.stack([table[name] for name in ("x", "y", "z2")], axis=1)
    np.testing.assert_allclose(mean, Linear().mean(images), atol=1e-5)
    np.testing.assert_allclose(np.array(table["logvar_y"]), -1 - mean[:, 1], atol=1e-5)
    assert table["file"] == files and table["outside"] == outside(bundle, mean).tolist()


def test_a_bundle_without_data_gives_no_flag(photos, tmp_path):
    write_bundle(tmp_path / "b", with_data=False)
    for out in ("codes.csv", "codes.npz"):
        encode_files(tmp_path / "b", photos, tmp_path / out, threads=1)
    assert rows_of(tmp_path / "codes.csv")[0] == ["file", "z0", "z1", "z2"]
    with np.load(tmp_path / "codes.npz") as arrays:
        assert sorted(arrays) == ["file", "latent_names", "mean"]


def test_tables_longer_than_a_block(encode, photos, monkeypatch):
    whole = [encode(f"whole{suffix}", logvar=True).out.read_bytes() for suffix in (".csv", ".npz")]
    monkeypatch.setattr(sys.modules["kerasvae.serving.encode_files"], "_ROWS_IN_MEMORY", 5)
    assert [encode(f"blocks{suffix}", logvar=True).out.read_bytes() for suffix in (".csv", ".npz")] == whole


def test_the_order_of_files_is_that_of_training(tmp_path):
    for name in ("b/2.png", "b-1.png", "b.png", "a/c/9.png", "a/10.png", "a/9.PNG", "a.b/1.png", "ä/1.jpg", "B.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(0)).save(tmp_path / name)
    for name in (".hidden.png", "a/.hidden/1.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "c")
    expected = [f"{tmp_path}/{file}" for file in FromFolder(tmp_path).files]
    assert list(image_files_of([str(tmp_path)], True)) == expected
    direct = [file for file in expected if os.path.dirname(file) == str(tmp_path)]
    assert list(image_files_of([str(tmp_path)], False)) == direct and len(direct) == 3
    # Files keep their place among folders, and their names.
    given = [f"{tmp_path}/notes.txt", f"{tmp_path}/a", f"{tmp_path}/b.png"]
    assert list(image_files_of(given, False)) == [given[0], f"{given[1]}/10.png", f"{given[1]}/9.PNG", given[2]]


def test_files_by_name(encode, photos, monkeypatch):
    monkeypatch.chdir(photos)
    for out in ("codes.csv", "codes.npz"):
        encode(out, files=["00.png", Path("a/01.png"), "./00.png"])
    encoded = encode(files=["00.png", Path("a/01.png"), "./00.png"])
    assert [row[0] for row in rows_of(encoded.out)[1:]] == ["00.png", "a/01.png", "./00.png"]
    assert encoded.broken == 0 and encoded.errors is None and not (encoded.out.parent / "codes.csv.errors.csv").exists()


def test_an_earlier_report_does_not_outlive_its_run(encode, photos):
    assert encode().errors.is_file()
    assert encode(files=[photos / "00.png"]).errors is None
    assert not encode(files=[photos / "00.png"]).out.with_name("codes.csv.errors.csv").exists()


def test_names_that_are_no_text(encode, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    names = [b"\xff.png", b'comma, "quote".png', b"line\nfeed.png", b"return\r.png", "é.png".encode()]
    for name in names:
        Image.fromarray(noise(1)).save(folder / os.fsdecode(name))
    (folder / os.fsdecode(b"\xfe.png")).touch()
    encoded = encode(files=[folder])
    expected = sorted([r"\xff.png", 'comma, "quote".png', "line\nfeed.png", r"return\r.png", "é.png"], key=os.fsencode)
    found = [Path(row[0]).name for row in rows_of(encoded.out)[1:]]
    assert sorted(found, key=os.fsencode) == expected
    assert rows_of(encoded.errors)[1][0].endswith(r"\xfe.png")
    with np.load(encode("codes.npz", files=[folder]).out) as arrays:
        assert [Path(file).name for file in arrays["file"]] == found


def test_all_files_broken(encode, tmp_path):
    (tmp_path / "a.png").write_text("no image")
    for out in ("codes.csv", "codes.npz"):
        encoded = encode(out, files=[tmp_path / "a.png"])
        assert (encoded.count, encoded.broken) == (0, 1)
    with np.load(encoded.out) as arrays:
        assert arrays["file"].shape == (0,) and arrays["mean"].shape == (0, 3)


def test_two_runs_of_one_file(encode, tmp_path, bundle, photos):
    unfinished = tmp_path / "codes.csv.unfinished"
    with unfinished_codes.UnfinishedCodes(unfinished, {}, ["a.png"], resume=False):
        with pytest.raises(OSError, match=r"codes\.csv\.unfinished': another process is writing it"):
            encode()
    unfinished.write_text("no database, but long enough to be read as the header of one: " + "x" * 100)
    with pytest.raises(OSError, match=r"it is damaged \(file is not a database\); remove it to start again"):
        encode(resume=True)


def test_the_first_broken_file_may_end_the_run(encode, photos, tmp_path):
    with pytest.raises(ImageError, match=r"03.png' cannot be used: image file is truncated"):
        encode(on_error="stop")
    assert not (tmp_path / "codes.csv").exists()
    # It can be mended; here the rest is taken instead.
    check_troubles(encode(resume=True), photos)


def test_the_pixel_limit(encode, photos):
    encoded = encode(files=[photos / "00.png"], pixel_limit=23)
    assert encoded.first_broken[0][1] == "6 x 4 are more than 23 pixels"


def test_few_images_wait_in_memory(encode, bundle, monkeypatch):
    """However many files there are, no more are decoded than three batches ahead of the codes."""
    preparation, ahead = type(bundle.preparation), []
    read, encode_prepared, counts = preparation.read, Bundle.encode_prepared, {"read": 0, "encoded": 0}

    def counted(self, *arguments):
        counts["read"] += 1
        return read(self, *arguments)

    def slow(self, images):
        ahead.append(counts["read"] - counts["encoded"])
        counts["encoded"] += 4
        return encode_prepared(self, images)

    monkeypatch.setattr(preparation, "read", counted)
    monkeypatch.setattr(Bundle, "encode_prepared", slow)
    encode()
    assert len(ahead) == 6 and max(ahead) <= 12


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"out": "codes.txt"}, ValueError, "out must end in .csv, .npz, .parquet"),
        ({"out": "codes"}, ValueError, "out must end in"),
        ({"out": "file/codes.csv"}, OSError, "out: cannot write"),
        ({"out": "folder.csv"}, OSError, "out: .* is a folder, which no file replaces"),
        ({"files": ["nowhere.png"]}, ValueError, "files: there is no file or folder 'nowhere.png'"),
        ({"files": []}, ValueError, "files: there is no image"),
        ({"files": ["{empty}"]}, ValueError, "files: there is no image in .*folder.csv; files ending in .png"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer, at least 1"),
        ({"threads": 0}, ValueError, "threads must be an integer, at least 1"),
        ({"pixel_limit": -1}, ValueError, "pixel_limit must be an integer in 1..178956970, got -1"),
        ({"pixel_limit": 10**9}, ValueError, "pixel_limit must be an integer in 1..178956970"),
        ({"on_error": "skip"}, ValueError, 'on_error must be "report" or "stop", got .skip.'),
    ],
)
def test_arguments_that_are_refused(encode, tmp_path, options, error, message):
    (tmp_path / "file").touch()
    (tmp_path / "folder.csv").mkdir()
    if options.get("files") == ["{empty}"]:
        options = {"files": [tmp_path / "folder.csv"]}
    with pytest.raises(error, match=message):
        encode(**options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.csv"]


def test_links_that_lead_nowhere_are_broken_files(encode, tmp_path):
    folder = tmp_path / "links"
    folder.mkdir()
    Image.fromarray(noise(1)).save(folder / "c.png")
    (folder / "a.png").symlink_to("a.png")
    (folder / "b.png").symlink_to("nothing")
    encoded = encode(files=[folder])
    assert (encoded.count, encoded.broken) == (1, 2)
    assert [Path(file).name for file, _ in encoded.first_broken] == ["a.png", "b.png"]


def test_no_room_on_the_disk_is_told_before_the_work(encode, monkeypatch, tmp_path):
    module = sys.modules["kerasvae.serving.encode_files"]
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: type("usage", (), {"free": 1000}))
    monkeypatch.delattr(Bundle, "encode_prepared")
    with pytest.raises(OSError, match="out: the codes of 23 files may take 0 MiB, and the disk of"):
        encode()


def test_parquet_without_pyarrow(encode, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"out: .parquet .* needs pyarrow, which is not installed: pip install py"):
        encode("codes.parquet", files=["nowhere.png"])


def test_latents_with_the_name_of_a_column(photos, tmp_path):
    write_bundle(tmp_path / "b", names=["x", "logvar_x", "file"])
    with pytest.raises(ValueError, match="out: two columns would be named 'file'"):
        encode_files(tmp_path / "b", photos, tmp_path / "codes.csv", threads=1)
    assert encode_files(tmp_path / "b", photos, tmp_path / "codes.npz", logvar=True, threads=1).count == 7


def test_members_of_an_archive_do_not_tell_the_time(encode):
    with zipfile.ZipFile(encode("codes.npz").out) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_paths_that_are_no_text_are_kept(tmp_path):
    with unfinished_codes.UnfinishedCodes(tmp_path / "a", {"files": ["\udcff"]}, ["\udcff"], resume=False) as results:
        assert list(results.batches(10)) == [["\udcff"]]
        results.add([(np.zeros(3), None, None)])
    database = sqlite3.connect(tmp_path / "a")
    assert json.loads(database.execute("select content from settings").fetchone()[0]) == {"files": ["\udcff"]}
    database.close()
    with unfinished_codes.UnfinishedCodes(tmp_path / "a", {"files": ["\udcff"]}, [], resume=True) as results:
        assert (results.count, results.done) == (1, 1)
