"""FromFolder: broken files, links, factors in a CSV file, the cache, and what is refused."""

import json
import os
import warnings

import numpy as np
import pytest
from image_folders import break_file, flat, folder_of, levels, save
from PIL import Image

from kerasvae.datasets import from_folder
from kerasvae.datasets.from_folder import FromFolder


def broken_folder(path):
    folder_of(path, 6)
    break_file(path / "01.png")
    (path / "03.png").write_bytes(b"")
    (path / "04.png").write_text("<html>not found</html>")
    (path / "05.png").unlink()
    (path / "05.png").symlink_to(path / "nowhere.png")
    return path


def test_broken_files_are_reported_once(tmp_path):
    broken_folder(tmp_path)
    with pytest.raises(ValueError) as caught:
        FromFolder(tmp_path)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"4 files in '{tmp_path}' cannot be used") and "on_error='skip'" in lines[0]
    assert [line.split(":")[0] for line in lines[1:]] == ["  01.png", "  03.png", "  04.png", "  05.png"]
    assert "truncated" in lines[1] and lines[3].endswith("no image of a known format") and "No such file" in lines[4]


def test_broken_files_are_left_out_on_request(tmp_path):
    broken_folder(tmp_path)
    with pytest.warns(UserWarning, match="^4 files in .* cannot be used and are left out:\n  01.png: ") as caught:
        data = FromFolder(tmp_path, on_error="skip")
    assert len(caught) == 1 and caught[0].filename == __file__
    assert list(data.skipped) == ["01.png", "03.png", "04.png", "05.png"]
    assert data.files == ("00.png", "02.png") and levels(data) == [0, 40]


def test_a_long_report_is_cut(tmp_path):
    for k in range(15):
        (tmp_path / f"{k:02}.jpg").write_text("nothing")
    save(tmp_path / "good.png", flat(4, 4))
    with pytest.raises(ValueError, match=r"^15 files(.*\n){11}  and 5 more$"):
        FromFolder(tmp_path)
    with pytest.warns(UserWarning, match="and 5 more$"):
        assert len(FromFolder(tmp_path, on_error="skip").skipped) == 15
    (tmp_path / "good.png").unlink()
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        with pytest.raises(ValueError, match="path: no image is left of"):
            FromFolder(tmp_path, on_error="skip", cache=cache)


def test_links_that_lead_back_are_followed_once(tmp_path):
    folder_of(tmp_path / "photos", 2)
    folder_of(tmp_path / "elsewhere", 1)
    (tmp_path / "photos" / "again").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "more").symlink_to(tmp_path / "elsewhere")
    assert FromFolder(tmp_path / "photos").files == ("00.png", "01.png", "more/00.png")


def write_csv(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_factors(tmp_path):
    for k, name in enumerate(["x/a.png", "x/b.png", "c.png", "d.png"]):
        save(tmp_path / name, flat(4, 4, (k, k, k)))
    rows = "file,shape,size\n./x/a.png,cube,10\n\nx\\b.png, ball ,10\nc.png,cube,9\nd.png,ball,9\n"
    for text in (rows, "\ufeff" + rows, rows.replace("\n", "\r\n")):
        data = FromFolder(tmp_path, write_csv(tmp_path / "factors.csv", text))
        assert data.complete and data.factor_names == ("shape", "size") and data.factor_sizes == (2, 2)
        # Numbers are sorted as numbers.
        assert [values.tolist() for values in data.factor_values] == [["ball", "cube"], [9, 10]]
        assert data.files == ("d.png", "x/b.png", "c.png", "x/a.png") and levels(data) == [3, 1, 2, 0]
        assert data.index([[1, 0]]).tolist() == [2]
    text = "size,file\n0.5,c.png\n1,d.png\n1,x/a.png\n2,x/b.png\n"
    data = FromFolder(tmp_path, str(write_csv(tmp_path / "factors.csv", text)))
    assert data.factor_names == ("size",) and data.factor_values[0].tolist() == [0.5, 1, 2]
    assert data.files == ("c.png", "d.png", "x/a.png", "x/b.png")
    with pytest.raises(ValueError, match=r"1 images repeat a combination, first: size=1.0 in images 1 and 2"):
        data.check_complete("purpose")
    # What Python would read as 12 and 12.
    text = "file,code\nc.png,1_2\nd.png,12\nx/a.png,1_2\nx/b.png,12\n"
    data = FromFolder(tmp_path, write_csv(tmp_path / "factors.csv", text))
    assert data.factor_values[0].tolist() == ["12", "1_2"]


def test_files_and_rows_that_do_not_match(tmp_path):
    folder_of(tmp_path, 3)
    break_file(tmp_path / "02.png")
    path = write_csv(tmp_path / "factors.csv", "file,level\n00.png,0\n02.png,2\n07.png,7\n")
    with pytest.raises(ValueError) as caught:
        FromFolder(tmp_path, path)
    first, *lines = str(caught.value).splitlines()
    assert first.startswith("2 files in ") and lines == [
        f"  01.png: no row in {path}",
        f"  07.png: no such image, though it is in {path}",
    ]
    with pytest.warns(UserWarning, match="^3 files"):
        data = FromFolder(tmp_path, path, on_error="skip")
    assert data.files == ("00.png",) and list(data.skipped) == ["01.png", "02.png", "07.png"]
    assert data.factor_values[0].tolist() == [0]


@pytest.mark.parametrize(
    "text, match",
    [
        ("", r"must name a column 'file' and one or more factors.*got \[\]"),
        ("name,level\n00.png,1\n", r"must name a column 'file'.*got \['name', 'level'\]"),
        ("file;level\n00.png;1\n", r"with commas between, got \['file;level'\]"),
        ("file\n00.png\n", "one or more factors"),
        ("file,a,a\n00.png,1,2\n", "all different"),
        ("file,a,\n00.png,1,2\n", "all different"),
        ("file,level\n00.png\n", r"line 2 of .* must hold 2 values, none empty, got \['00.png'\]"),
        ("file,level\n00.png,1,2\n", "line 2 of .* must hold 2 values"),
        ("file,level\n00.png,\n", "line 2 of .* must hold 2 values, none empty"),
        ("file,level\n00.png,1\n01.png,1\n./00.png,2\n", "line 4 of .* names '00.png' again"),
    ],
)
def test_factors_that_are_refused(tmp_path, text, match):
    folder_of(tmp_path)
    with pytest.raises(ValueError, match=f"factors_csv: .*{match}"):
        FromFolder(tmp_path, write_csv(tmp_path / "factors.csv", text), on_error="skip")


def test_a_factors_file_that_is_none(tmp_path):
    folder_of(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"factors_csv: there is no file '.*none.csv'"):
        FromFolder(tmp_path, tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"factors_csv: '.*00.png' is no CSV file in UTF-8"):
        FromFolder(tmp_path, tmp_path / "00.png")


def test_cache(tmp_path, monkeypatch):
    photos, cache = folder_of(tmp_path / "photos", 5), tmp_path / "caches" / "photos"
    break_file(photos / "03.png")
    plain = {"on_error": "skip", "image_size": (6, 10)}
    with pytest.warns(UserWarning):
        expected = FromFolder(photos, **plain)
    # The report comes, and the cache is written all the same.
    with pytest.raises(ValueError, match=r"03.png"):
        FromFolder(photos, image_size=(6, 10), cache=cache)
    assert sorted(os.listdir(cache)) == ["contents.json", "images.npy"] and os.listdir(cache.parent) == ["photos"]
    decoded = []
    read_image = from_folder.read_image
    monkeypatch.setattr(from_folder, "read_image", lambda *args: decoded.append(args[0].name) or read_image(*args))

    def open_cached(**arguments):
        decoded.clear()
        with pytest.warns(UserWarning, match="^1 file in .* is left out"):
            data = FromFolder(photos, cache=cache, **(plain | arguments))
        assert data.files == ("00.png", "01.png", "02.png", "04.png") and list(data.skipped) == ["03.png"]
        assert isinstance(data._table, np.memmap)
        return data

    data = open_cached()
    assert decoded == []
    np.testing.assert_array_equal(data.images(np.arange(4)), expected.images(np.arange(4)))
    np.testing.assert_array_equal(data.std, expected.std)
    # Anything that changes the images makes them anew.
    assert open_cached(channels=1).image_shape == (6, 10, 1) and len(decoded) == 5
    assert open_cached(fit="stretch").image_shape == (6, 10, 3) and len(decoded) == 5
    save(photos / "04.png", flat(4, 4, (7, 7, 7)))
    assert levels(open_cached(fit="stretch")) == [0, 20, 40, 7] and len(decoded) == 5
    assert levels(open_cached(fit="stretch")) == [0, 20, 40, 7] and decoded == []
    # So does a damaged cache.
    (cache / "contents.json").write_text("{")
    assert levels(open_cached(fit="stretch")) == [0, 20, 40, 7] and len(decoded) == 5
    (cache / "images.npy").write_bytes(b"")
    assert levels(open_cached(fit="stretch")) == [0, 20, 40, 7] and len(decoded) == 5
    assert json.loads((cache / "contents.json").read_text())["broken"].keys() == {"03.png"}


def test_a_folder_that_is_no_cache_is_left_alone(tmp_path):
    photos = folder_of(tmp_path / "photos")
    for cache in (photos, photos / "00.png"):
        with pytest.raises(ValueError, match="cache must be a new folder or one that an earlier FromFolder wrote"):
            FromFolder(photos, cache=cache)
    assert len(os.listdir(photos)) == 3
    (tmp_path / "empty").mkdir()
    assert len(FromFolder(photos, cache=tmp_path / "empty")) == 3


def test_an_interrupted_cache_leaves_nothing(tmp_path, monkeypatch):
    photos = folder_of(tmp_path / "photos")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(from_folder, "read_image", interrupt)
    with pytest.raises(KeyboardInterrupt):
        FromFolder(photos, cache=tmp_path / "cache")
    assert os.listdir(tmp_path) == ["photos"]


def test_more_than_fits_in_memory_asks_for_a_cache(tmp_path, monkeypatch):
    folder_of(tmp_path / "photos")
    monkeypatch.setattr(from_folder, "_LARGEST_IN_MEMORY", 3 * 64 * 64 * 3 - 1)
    with pytest.raises(ValueError, match="cache must name a folder for 3 images of 64 x 64 x 3"):
        FromFolder(tmp_path / "photos")
    assert levels(FromFolder(tmp_path / "photos", cache=tmp_path / "cache")) == [0, 20, 40]


def test_nothing_is_printed_without_a_terminal(tmp_path, capfd):
    FromFolder(folder_of(tmp_path))
    assert capfd.readouterr() == ("", "")


def test_pillows_warnings_are_no_reason_to_stop(tmp_path, monkeypatch):
    folder_of(tmp_path)
    # Pillow warns of more pixels than these and refuses twice as many; the images have 80, 90 and 100.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(FromFolder(tmp_path)) == 3
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 44)
    with pytest.raises(ValueError, match=r"^2 files.*\n  01.png: Image size \(90 pixels\) exceeds limit of 88 pixels"):
        FromFolder(tmp_path)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"image_size": 0}, r"image_size must be an integer, at least 1, or \(height, width\), got 0"),
        ({"image_size": (8, 8, 3)}, r"image_size must be .*got \(8, 8, 3\)"),
        ({"image_size": 8.0}, "image_size must be .*got 8.0"),
        ({"channels": 2}, "channels must be 1, 3 or None, got 2"),
        ({"channels": True}, "channels must be 1, 3 or None, got True"),
        ({"fit": "contain"}, 'fit must be "crop", "pad" or "stretch", got .contain.'),
        ({"background": 256}, "background must be an integer in 0..255, got 256"),
        ({"on_error": "ignore"}, 'on_error must be "raise" or "skip", got \'ignore\''),
    ],
)
def test_arguments_that_are_refused(tmp_path, arguments, match):
    with pytest.raises(ValueError, match=match):
        FromFolder(tmp_path, **arguments)


def test_folders_without_images(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"path: there is no folder '.*none'"):
        FromFolder(tmp_path / "none")
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(FileNotFoundError, match=r"path: there is no folder '.*notes.txt'"):
        FromFolder(tmp_path / "notes.txt")
    with pytest.raises(ValueError, match=r"path: there is no image in .*; files ending in .png .jpg .* count"):
        FromFolder(tmp_path)
