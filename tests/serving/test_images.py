import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kerasvae.datasets import FromFolder
from kerasvae.serving.images import ImageError, Preparation, to_pixels

RED = (200, 30, 60)
RGB, GREY = Preparation((6, 8, 3), "crop", 255), Preparation((6, 8, 1), "crop", 255)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")


def one(preparation, images, **options):
    """All prepared images, through batches of two."""
    return np.concatenate(list(preparation.batches(images, 2, **options)))


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_files_and_arrays_have_the_bits_of_training(tmp_path, fit, channels):
    shapes = [(6, 8, 3), (60, 17, 3), (9, 50), (3, 3), (6, 8)]
    arrays = [noise(*shape) for shape in shapes]
    for k, array in enumerate(arrays):
        Image.fromarray(array).save(tmp_path / f"{k}.png")
    Image.fromarray(noise(40, 30, 3)).save(tmp_path / "5.jpg", exif=_turned())
    Image.fromarray(noise(20, 30, 4)).save(tmp_path / "6.png")
    data = FromFolder(tmp_path, image_size=(6, 8), channels=channels, fit=fit, background=40)
    expected = data.images(np.arange(len(data)))
    preparation = Preparation((6, 8, channels), fit, 40)
    np.testing.assert_array_equal(one(preparation, [tmp_path / file for file in data.files]), expected)
    np.testing.assert_array_equal(one(preparation, arrays), expected[:5])


def _turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_axes():
    images = noise(5, 6, 8, 3)
    np.testing.assert_array_equal(one(RGB, images), images)
    np.testing.assert_array_equal(one(RGB, images[1]), images[1:2])
    np.testing.assert_array_equal(one(RGB, images[..., 0]), images[..., :1].repeat(3, axis=3))
    np.testing.assert_array_equal(one(RGB, images[0, ..., 0]), images[:1, ..., :1].repeat(3, axis=3))
    np.testing.assert_array_equal(one(GREY, images[..., :1]), images[..., :1])
    np.testing.assert_array_equal(one(GREY, images[:3, ..., 0]), images[:3, ..., :1])
    np.testing.assert_array_equal(one(GREY, images[0, ..., 0].tolist()), images[:1, ..., :1])
    luma = images @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(one(GREY, images)[..., 0], luma, atol=0.51)
    assert list(RGB.batches(images[:0], 2)) == []


@pytest.mark.parametrize(
    "shape",
    [(8,), (6, 8, 4), (6, 8, 2), (5, 6, 8, 2), (5, 6, 8, 4), (1, 5, 6, 8, 3), (3, 6, 8), (0, 8), (2, 6, 0, 3), ()],
)
def test_shapes_that_are_refused(shape):
    with pytest.raises(ValueError, match=r"images must be \(n, h, w, 1\).* got \("):
        one(RGB, np.zeros(shape, "uint8"))


def test_ranges():
    pixels = np.arange(256, dtype="uint8")
    for dtype in ("float32", "float64", "int64", "uint16"):
        np.testing.assert_array_equal(to_pixels(pixels.astype(dtype)), pixels)
    for low, high in ((0, 1), (-1, 1), (0, 65535), (-0.5, 7)):
        np.testing.assert_array_equal(to_pixels(low + pixels / 255 * (high - low), (low, high)), pixels)
    assert to_pixels(np.array([0.4, 254.6])).tolist() == [0, 255]
    assert to_pixels(np.array([0, 1], "uint8"), (0, 1)).tolist() == [0, 255]
    # Halves go to the even number, as everywhere in NumPy.
    assert to_pixels(np.array([0.5, 1.5])).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("values", "value_range"),
    [
        ([-0.001], None),
        ([255.001], None),
        ([256], None),
        ([-1], None),
        ([np.nan], None),
        ([1.0, np.nan, 2.0], None),
        ([np.inf], None),
        ([1.001], (0, 1)),
        ([2], (0, 1)),
    ],
)
def test_values_outside_the_range(values, value_range):
    with pytest.raises(ValueError, match=r"images must lie in 0\.\..* without NaN, got values from"):
        to_pixels(np.array(values), value_range)


def test_arrays_of_16_bits_that_hold_fewer():
    with pytest.warns(
        UserWarning, match=r"images use 1/16 of the range 0..65535 or less, up to 4000.*range=\(0, 4095\)"
    ):
        assert to_pixels(np.array([0, 4000], "uint16"), (0, 65535)).tolist() == [0, 16]
    assert to_pixels(np.array([0, 0], "uint16"), (0, 65535)).tolist() == [0, 0]
    assert to_pixels(np.array([0, 4095], "uint16"), (0, 4095)).tolist() == [0, 255]


@pytest.mark.parametrize("value_range", [(1, 0), (0, 0), (0,), 1, (0, np.inf), ("a", "b"), (0, 1, 2)])
def test_ranges_that_are_none(value_range):
    with pytest.raises(ValueError, match="range must be two finite numbers"):
        to_pixels(np.zeros(3), value_range)


@pytest.mark.parametrize("values", [["a"], [True], [1j], [None]])
def test_values_that_are_no_numbers(values):
    with pytest.raises(TypeError, match="images must be of integers or floats"):
        to_pixels(np.array(values))


def test_floats_that_look_like_another_range_are_warned_of():
    with pytest.warns(UserWarning, match=r"nearly black.*range=\(0, 1\)"):
        assert to_pixels(np.array([0.2, 0.7])).tolist() == [0, 1]
    for values, value_range in (([0.2, 0.7], (0, 255)), ([0.0, 1.0], None), ([0.2, 3.0], None)):
        to_pixels(np.array(values), value_range)


def test_what_is_neither_path_nor_array(tmp_path):
    with pytest.raises(TypeError, match="got an image of Pillow"):
        one(RGB, Image.new("RGB", (8, 6)))
    with pytest.raises(TypeError, match="not both in one list"):
        one(RGB, ["a.png", noise(6, 8)])
    with pytest.raises(ValueError, match="a path, a list of paths, or an array"):
        one(RGB, [[1, 2], [3]])
    with pytest.raises(ValueError, match="range is for arrays"):
        one(RGB, "a.png", value_range=(0, 1))
    for shape in ((6, 8, 4), (2, 6, 8, 3), (8,), (0, 8)):
        with pytest.raises(ValueError, match=r"images\[1\] must be \(h, w\), \(h, w, 1\) or \(h, w, 3\)"):
            one(RGB, [noise(6, 8), noise(*shape)])


def test_files_as_they_come(tmp_path):
    """Formats, modes and frames; each shows one colour."""
    flat = Image.new("RGB", (20, 10), RED)
    grey16 = Image.fromarray(np.full((10, 20), 257 * 90, "uint16"))
    palette = flat.quantize(4)
    for name, image, options, expected in (
        ("png as jpg.jpg", flat, {"format": "PNG"}, RED),
        ("no suffix", flat, {"format": "PNG"}, RED),
        ("cmyk.tif", flat.convert("CMYK"), {}, RED),
        ("palette.gif", palette, {}, RED),
        ("frames.gif", palette, {"save_all": True, "append_images": [Image.new("RGB", (20, 10), "blue")]}, RED),
        ("frames.webp", flat, {"save_all": True, "append_images": [Image.new("RGB", (20, 10))], "lossless": True}, RED),
        ("alpha.png", Image.new("RGBA", (20, 10), (*RED, 0)), {}, (255, 255, 255)),
        ("grey16.png", grey16, {}, (90,) * 3),
        ("grey16.tif", grey16, {}, (90,) * 3),
        ("bilevel.png", Image.new("1", (20, 10), 1), {}, (255,) * 3),
        ("one pixel.png", Image.new("RGB", (1, 1), RED), {}, RED),
        ("line.png", Image.new("RGB", (5000, 1), RED), {}, RED),
    ):
        image.save(tmp_path / name, **options)
        np.testing.assert_allclose(RGB.read(tmp_path / name), np.broadcast_to(expected, (6, 8, 3)), atol=1)
    (tmp_path / "link.png").symlink_to(tmp_path / "no suffix")
    assert RGB.read(tmp_path / "link.png")[0, 0].tolist() == list(RED)
    contents = io.BytesIO((tmp_path / "no suffix").read_bytes())
    contents.seek(3)
    assert RGB.read(contents)[0, 0].tolist() == list(RED)


def bomb(width, height):
    """A PNG that claims a size and holds nothing."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def hostile_files(folder):
    """(file, reason) of files that are to be refused."""
    Image.new("RGB", (300, 200), RED).save(folder / "whole.png")
    whole = (folder / "whole.png").read_bytes()
    Image.fromarray(noise(50, 50, 3)).save(folder / "whole.jpg")
    for name, contents, reason in (
        ("cut.png", whole[:-30], "truncated"),
        ("cut.jpg", (folder / "whole.jpg").read_bytes()[:-100], "truncated"),
        ("flipped.png", whole[:60] + bytes([whole[60] ^ 255]) + whole[61:], ""),
        ("header.png", whole[:20], ""),
        ("empty.png", b"", "no image of a known format"),
        ("text.png", b"no image", "no image of a known format"),
        ("vector.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no image of a known format"),
        ("script.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image of a known format"),
        ("bomb.png", bomb(60_000, 60_000), "pixels"),
        ("long.png", bomb(2**31 - 1, 1), "pixels"),
        ("nothing.png", bomb(0, 0), ""),
        ("short.png", bomb(9000, 9000), "truncated"),
    ):
        (folder / name).write_bytes(contents)
        yield folder / name, reason
    (folder / "folder.png").mkdir()
    yield folder / "folder.png", "it is a folder"
    os.mkfifo(folder / "pipe.png")
    yield folder / "pipe.png", "it is no file"
    (folder / "nowhere.png").symlink_to(folder / "gone")
    yield folder / "nowhere.png", "No such file or directory"
    (folder / "loop.png").symlink_to(folder / "loop.png")
    yield folder / "loop.png", ""
    yield folder / "missing.png", "No such file or directory"
    yield folder / "nul\0.png", ""
    (folder / "long name").mkdir()
    yield folder / "long name" / ("a" * 300 + ".png"), "File name too long"
    with (folder / "huge.webp").open("wb") as stream:
        stream.truncate(1024**3 + 1)  # sparse
    yield folder / "huge.webp", "it has more than 1 GiB"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_files_that_are_refused_with_a_reason(tmp_path):
    refused = 0
    for file, reason in hostile_files(tmp_path):
        with pytest.raises(ImageError) as caught:
            RGB.read(file)
        assert reason in caught.value.reason and caught.value.reason and "\n" not in caught.value.reason
        assert caught.value.file == str(file) and str(file)[:20] in str(caught.value)
        refused += 1
    assert refused == 20
    assert RGB.read(tmp_path / "whole.png")[0, 0].tolist() == list(RED)


def test_the_pixel_limit(tmp_path):
    Image.new("L", (40, 30)).save(tmp_path / "a.png")
    assert RGB.read(tmp_path / "a.png", pixel_limit=1200).shape == (6, 8, 3)
    with pytest.raises(ImageError, match="40 x 30 are more than 1199 pixels"):
        RGB.read(tmp_path / "a.png", pixel_limit=1199)
