import itertools

import numpy as np
import pytest
from keras import ops

from kerasvae.datasets.statistics import channel_statistics
from kerasvae.datasets.xyobject import XYObject, XYObjectShaded

SMALL = {"grid_spacing": 2, "square_sizes": (2, 3, 5), "image_size": 9, "intensities": 2}
RAINBOW = [(255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255)]


def test_defaults():
    data, shaded = XYObject(), XYObjectShaded()
    assert data.factor_names == ("x", "y", "scale", "color") and data.factor_sizes == (25, 25, 5, 24)
    assert shaded.factor_names == ("x", "y", "scale", "intensity", "color") and shaded.factor_sizes == (25, 25, 5, 4, 6)
    assert len(data) == len(shaded) == 75_000 and data.image_shape == shaded.image_shape == (64, 64, 3)
    first, last = data.images([0, 74_999])
    # The smallest square in the middle of the first place of 15 pixels, in the darkest red.
    expected = np.zeros((64, 64, 3), "uint8")
    expected[4:11, 4:11, 0] = 63
    np.testing.assert_array_equal(first, expected)
    # The largest in the last place, one pixel from the edge, in full magenta.
    expected = np.zeros((64, 64, 3), "uint8")
    expected[48:63, 48:63] = 255, 0, 255
    np.testing.assert_array_equal(last, expected)


def test_colours():
    # Intensities 1/4, 2/4, 3/4 and 1 of 255, rounded down; the hue varies fastest.
    expected = [tuple(value * level // 4 for value in hue) for level in (1, 2, 3, 4) for hue in RAINBOW]
    assert expected[0] == (63, 0, 0) and expected[7] == (127, 127, 0) and expected[17] == (191, 0, 191)
    factors = np.array([[0, 0, 4, color] for color in range(24)])
    assert XYObject().render(factors)[:, 7, 7].tolist() == list(map(list, expected))


@pytest.mark.parametrize("arguments", [SMALL, {**SMALL, "palette": "grey", "square_sizes": (4, 6)}])
def test_every_square_is_where_its_factors_say(arguments):
    data, shaded = XYObject(**arguments), XYObjectShaded(**arguments)
    indices, largest = np.arange(len(data)), arguments["square_sizes"][-1]
    positions = (9 - largest) // 2 + 1
    assert data.factor_sizes[:2] == (positions, positions)
    for (x, y, scale, intensity, hue), image in zip(shaded.factors(indices), data.images(indices), strict=True):
        side = arguments["square_sizes"][scale]
        left, top = (2 * place + (largest - side) // 2 for place in (x, y))
        expected = np.zeros(data.image_shape, "uint8")
        color = [255] if "palette" in arguments else RAINBOW[hue]
        expected[top : top + side, left : left + side] = [value * (intensity + 1) // 2 for value in color]
        np.testing.assert_array_equal(image, expected)


def test_both_have_the_same_images_under_other_factors():
    data, shaded = XYObject(**SMALL), XYObjectShaded(**SMALL)
    indices = np.arange(len(data))
    np.testing.assert_array_equal(data.images(indices), shaded.images(indices))
    factors, of_shaded = data.factors(indices), shaded.factors(indices)
    np.testing.assert_array_equal(factors[:, :3], of_shaded[:, :3])
    np.testing.assert_array_equal(factors[:, 3], of_shaded[:, 3] * 6 + of_shaded[:, 4])
    np.testing.assert_array_equal(data.render(factors), shaded.render(of_shaded))
    np.testing.assert_array_equal(data.mean, shaded.mean)
    np.testing.assert_array_equal(data.std, shaded.std)


def test_constants_of_all_images():
    data = XYObject()
    measured = channel_statistics(data)
    np.testing.assert_allclose(data.mean, measured.mean, rtol=1e-12)
    np.testing.assert_allclose(data.std, measured.std_of_images, rtol=1e-12)
    # What the authors' code ships for its data set of these images, computed from float32.
    np.testing.assert_allclose(data.mean, 0.009818761549013288, rtol=1e-8)
    np.testing.assert_allclose(data.std, 0.05263236372524584, rtol=1e-8)


@pytest.mark.parametrize("kind", [XYObject, XYObjectShaded])
@pytest.mark.parametrize(
    "palette", ["rainbow", "rgb", "colors", "white", "grey", [(9, 0, 200)], np.array([[7], [250]], "uint8")]
)
def test_constants_by_brute_force(kind, palette):
    data = kind(palette=palette, square_sizes=(1, 4), image_size=6, intensities=3)
    pixels = data.images(np.arange(len(data))).reshape(len(data), 36, -1) / 255
    std = pixels.std(axis=1, ddof=1).mean(axis=0)
    np.testing.assert_allclose(data.mean, pixels.mean(axis=(0, 1)), rtol=1e-12)
    # A channel without light gets 1.
    np.testing.assert_allclose(data.std, np.where(std > 0, std, 1), rtol=1e-12)


def test_sizes_of_palettes():
    sizes = {"rainbow": 6, "rgb": 3, "colors": 7, "white": 1, "grey": 1}
    for palette, intensities in itertools.product(sizes, (1, 3)):
        data = XYObject(palette=palette, intensities=intensities)
        assert data.factor_sizes[3] == sizes[palette] * intensities
        assert data.image_shape[-1] == (1 if palette == "grey" else 3)


def test_grey_and_white_differ_in_channels_alone():
    white, grey = (XYObject(palette=palette, **SMALL) for palette in ("white", "grey"))
    indices = np.arange(len(grey))
    np.testing.assert_array_equal(white.images(indices), np.repeat(grey.images(indices), 3, axis=-1))


@pytest.mark.parametrize("kind", [XYObject, XYObjectShaded])
@pytest.mark.parametrize("arguments", [{}, {**SMALL, "palette": "grey"}])
def test_images_on_the_device_are_those_of_the_host(kind, arguments):
    data = kind(**arguments)
    indices = np.random.default_rng(0).integers(len(data), size=200)
    assert data.device_table() is None
    rendered = ops.convert_to_numpy(data.device_images(ops.convert_to_tensor(indices.astype("int32"))))
    assert rendered.dtype == np.uint8
    np.testing.assert_array_equal(rendered, data.images(indices))


def test_no_indices_no_images():
    assert XYObject().images([]).shape == (0, 64, 64, 3)
    assert XYObjectShaded().images([]).shape == (0, 64, 64, 3)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"grid_spacing": 0}, "grid_spacing must be an integer, at least 1, got 0"),
        ({"image_size": 64.0}, "image_size must be an integer, at least 1, got 64.0"),
        ({"image_size": 14}, r"square_sizes must be .* at most image_size \(14\)"),
        ({"square_sizes": ()}, r"square_sizes must be one size or more.*got \(\)"),
        ({"square_sizes": (5, 5)}, r"square_sizes must be .*increasing.*got \(5, 5\)"),
        ({"square_sizes": (3, 0)}, "each of square_sizes must be an integer, at least 1, got 0"),
        ({"square_sizes": 7.5}, "each of square_sizes must be an integer, at least 1, got 7.5"),
        ({"intensities": True}, "intensities must be an integer, at least 1, got True"),
        ({"intensities": 256}, "intensities must be at most 255, got 256"),
        ({"palette": "rainbow_4"}, "palette must be one of 'rainbow', .* or an array, got 'rainbow_4'"),
        ({"palette": []}, r"palette must be a name or integers of shape \(hues, 1 or 3\)"),
        ({"palette": [(1, 2)]}, r"palette must be a name or integers of shape \(hues, 1 or 3\)"),
        ({"palette": [(1, 2, 3), (4,)]}, r"palette must be a name or integers of shape \(hues, 1 or 3\)"),
        ({"palette": [(0.5, 1.0, 0.0)]}, r"palette must be a name or integers of shape \(hues, 1 or 3\)"),
        ({"palette": [(0, 256, 0)]}, "palette must hold values 0..255, got 0..256"),
    ],
)
def test_arguments_that_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        XYObject(**arguments)
