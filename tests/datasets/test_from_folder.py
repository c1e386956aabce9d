"""FromFolder: which files, and what becomes of their pixels."""

import numpy as np
import pytest
from image_folders import GREY, RED, flat, levels, save
from PIL import Image

from kerasvae.datasets.from_folder import FromFolder


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
