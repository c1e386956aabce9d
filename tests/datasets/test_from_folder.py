import json
import os
import warnings

import numpy as np
import pytest
from PIL import Image

from kerasvae.datasets import from_folder
from kerasvae.datasets.from_folder import FromFolder

RED, GREY = (200, 30, 60), 90


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels, "uint8"))
    image.save(path, **options)


def flat(height, width, color=RED):
    return np.broadcast_to(np.array(color, "uint8"), (height, width, *np.shape(color))).copy()


def folder_of(path, count=3):
    """Images of one colour each: image k shows the level 20 k."""
    for k in range(count):
        save(path / f"{k:02}.png", flat(8 + k, 10, (20 * k,) * 3))
    return path


def break_file(path):
    path.write_bytes(path.read_bytes()[:-30])


def levels(data):
    return data.images(np.arange(len(data)))[:, 0, 0, 0].tolist()


def test_mixed_sizes_and_subfolders_in_the_order_of_their_paths(tmp_path):
    for name, height, width, level in (
        ("b/2.png", 100, 20, 2),
        ("a.PNG", 7, 300, 0),
        ("b/10.png", 8, 8, 1),
        ("c.png", 64, 64, 3),
        (".hidden.png", 8, 8, 99),
        ("b/.thumbnails/2.png", 8, 8, 99),
    ):
        save(tmp_path / name, flat(height, width, (level, 0, 0)), format="PNG")
    (tmp_path / "notes.txt").write_text("no image")
    data = FromFolder(tmp_path)
    assert data.files == ("a.PNG", "b/10.png", "b/2.png", "c.png") and levels(data) == [0, 1, 2, 3]
    assert data.image_shape == (64, 64, 3) and not data.complete and data.skipped == {}
    assert repr(data) == "<FromFolder: 4 images (64, 64, 3), no factors>"


@pytest.mark.parametrize("extension", ["png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "ppm"])
def test_formats(tmp_path, extension):
    options = {"lossless": True} if extension == "webp" else {}
    save(tmp_path / f"image.{extension}", flat(70, 80), **options)
    image = FromFolder(tmp_path, image_size=16).images([0])[0]
    np.testing.assert_allclose(image, flat(16, 16), atol=2 if extension.startswith("jp") else 0)


def test_an_image_of_the_right_size_is_unchanged(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype="uint8")
    save(tmp_path / "a.png", pixels)
    for fit in ("crop", "pad", "stretch"):
        np.testing.assert_array_equal(FromFolder(tmp_path, image_size=(24, 16), fit=fit).images([0])[0], pixels)


def test_shrinking_is_antialiased_and_bilinear(tmp_path):
    # A triangle of twice the factor's width at each end: at a factor of 2 the weights 1, 3, 3, 1 over 8.
    rows = np.random.default_rng(0).integers(0, 256, (8, 8)).astype("uint8")
    save(tmp_path / "a.png", rows)
    weights = np.zeros((4, 8))
    for k in range(4):
        for tap, weight in zip(range(2 * k - 1, 2 * k + 3), (1, 3, 3, 1), strict=True):
            if 0 <= tap < 8:
                weights[k, tap] = weight
    weights /= weights.sum(axis=1, keepdims=True)
    image = FromFolder(tmp_path, image_size=4).images([0])[0, :, :, 0]
    np.testing.assert_allclose(image, weights @ rows @ weights.T, atol=1.01)
    # A checkerboard of single pixels becomes grey, where plain bilinear interpolation would alias.
    save(tmp_path / "a.png", np.indices((64, 64)).sum(axis=0) % 2 * 255)
    inner = FromFolder(tmp_path, image_size=8).images([0])[0, 1:-1, 1:-1]
    assert np.ptp(inner) <= 1 and abs(inner.mean() - 127.5) < 1.5


@pytest.mark.parametrize("upright", [True, False])
def test_fits(tmp_path, upright):
    # Three squares beside each other: red, green and blue.
    pixels = np.concatenate([flat(20, 20, 200 * np.eye(3)[k]) for k in range(3)], axis=1)
    save(tmp_path / "a.png", pixels.swapaxes(0, 1) if upright else pixels)

    def seen(**arguments):
        image = FromFolder(tmp_path, image_size=30, **arguments).images([0])[0]
        return image.swapaxes(0, 1) if upright else image

    # The filter of the outermost pixels reaches over the cut.
    np.testing.assert_array_equal(seen()[:, 1:-1], np.broadcast_to([0, 200, 0], (30, 28, 3)))
    padded = seen(fit="pad", background=7)
    np.testing.assert_array_equal(padded[[0, 9, 20, 29]], np.full((4, 30, 3), 7))
    np.testing.assert_array_equal(padded[10:20, [2, 15, 27]], np.broadcast_to(200 * np.eye(3), (10, 3, 3)))
    np.testing.assert_array_equal(seen(fit="stretch")[:, [2, 15, 27]], np.broadcast_to(200 * np.eye(3), (30, 3, 3)))


def test_channels_follow_the_files(tmp_path):
    save(tmp_path / "a.png", flat(8, 8, GREY))
    save(tmp_path / "b.jpg", flat(8, 8, GREY))
    save(tmp_path / "c.png", Image.fromarray(flat(8, 8, GREY)).convert("P"))
    save(tmp_path / "d.png", Image.new("1", (8, 8), 1))
    save(tmp_path / "e.png", Image.new("LA", (8, 8), (GREY, 255)))
    data = FromFolder(tmp_path)
    assert data.image_shape == (64, 64, 1) and levels(data) == [GREY, GREY, GREY, 255, GREY]
    assert FromFolder(tmp_path, channels=3).image_shape == (64, 64, 3)
    save(tmp_path / "f.png", flat(8, 8))
    data = FromFolder(tmp_path)
    assert data.image_shape == (64, 64, 3)
    assert data.images([0])[0, 0, 0].tolist() == [GREY] * 3 and data.images([5])[0, 0, 0].tolist() == list(RED)
    luma = np.dot([0.299, 0.587, 0.114], RED)
    assert FromFolder(tmp_path, channels=1).images([5])[0, 0, 0, 0] == pytest.approx(luma, abs=1)


def test_palettes_of_colours(tmp_path):
    save(tmp_path / "a.png", Image.fromarray(flat(8, 8)).quantize(4))
    assert FromFolder(tmp_path).images([0])[0, 0, 0].tolist() == list(RED)


@pytest.mark.parametrize("background", [255, 0, 40])
def test_transparent_pixels_show_the_background(tmp_path, background):
    save(tmp_path / "a.png", Image.new("RGBA", (8, 8), (*RED, 0)))
    save(tmp_path / "b.png", Image.new("RGBA", (8, 8), (*RED, 255)))
    save(tmp_path / "c.png", Image.new("RGBA", (8, 8), (100, 100, 100, 51)))
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, *RED])
    save(tmp_path / "d.png", palette, transparency=1)
    images = FromFolder(tmp_path, background=background).images([0, 1, 2, 3])[:, 0, 0]
    assert images[0].tolist() == images[3].tolist() == [background] * 3 and images[1].tolist() == list(RED)
    np.testing.assert_allclose(images[2], 0.2 * 100 + 0.8 * background, atol=1)
    save(tmp_path / "e.png", Image.new("LA", (8, 8), (100, 0)))
    assert FromFolder(tmp_path, channels=1, background=background).images([4])[0, 0, 0, 0] == background


def test_depths_other_than_8_bits(tmp_path):
    values = np.array([[0, 128, 129, 257 * 100, 257 * 100 + 129, 65535]], "uint16")
    for name in ("a.png", "b.tif"):
        Image.fromarray(values).save(tmp_path / name)
    images = FromFolder(tmp_path, image_size=(1, 6)).images([0, 1])
    assert images[..., 0].tolist() == [[[0, 0, 1, 100, 101, 255]]] * 2
    Image.fromarray(np.ones((4, 4), "float32")).save(tmp_path / "c.tif")
    with pytest.raises(ValueError, match=r"c\.tif: pixels of 32 bits have no known range"):
        FromFolder(tmp_path)


def test_cmyk(tmp_path):
    save(tmp_path / "a.jpg", Image.new("CMYK", (16, 16), (0, 255, 255, 0)), quality=95)
    np.testing.assert_allclose(FromFolder(tmp_path).images([0])[0, 0, 0], [255, 0, 0], atol=3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_follows_exif(tmp_path, orientation):
    # EXIF 274: how the stored rows and columns are to be turned.
    upright = np.zeros((6, 12), "uint8")
    upright[:3, :4] = 250
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    save(tmp_path / "a.png", stored, exif=exif.tobytes())
    image = FromFolder(tmp_path, image_size=(6, 12)).images([0])[0, :, :, 0]
    np.testing.assert_array_equal(image, upright)


def test_frames_after_the_first_are_left(tmp_path):
    frames = [Image.fromarray(flat(8, 8, level)) for level in (40, 80)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "b.tif", save_all=True, append_images=frames[1:])
    assert levels(FromFolder(tmp_path)) == [40, 40]


def test_large_jpegs_are_what_they_are_without_shortcuts(tmp_path):
    # Smooth, so that the scale of decoding leaves only rounding.
    x, y = np.meshgrid(np.linspace(0, 255, 900), np.linspace(0, 255, 700))
    pixels = np.stack([x, y, 255 - x], axis=-1).astype("uint8")
    save(tmp_path / "a.jpg", pixels, quality=98)
    save(tmp_path / "b.png", pixels)
    shrunk, exact = FromFolder(tmp_path, image_size=32).images([0, 1]).astype(int)
    assert np.abs(shrunk - exact).max() <= 4


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
        ({"fit": "contain"}, "fit must be one of 'crop', 'pad', 'stretch', got 'contain'"),
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
