import itertools

import numpy as np
import pytest

from kerasvae.datasets import XYSquares

OFFSETS = {8: 0, 7: 3, 6: 7, 5: 10, 4: 14, 3: 17, 2: 21, 1: 24}
SMALL = {"square_size": 2, "image_size": 6, "grid_size": None}


def every_image(data):
    return data.images(np.arange(len(data)))


def corner(image):
    """(first column, first row, last column + 1, last row + 1) of what is not 0 in a (height, width) image."""
    rows, columns = np.nonzero(image)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def by_brute_force(data):
    """The paper's constants: mean, and mean over images of each image's unbiased std, from all images."""
    pixels = every_image(data).reshape(len(data), -1, data.image_shape[-1]) / 255
    return pixels.mean(axis=(0, 1)), pixels.std(axis=1, ddof=1).mean(axis=0)


def test_defaults():
    data = XYSquares()
    assert len(data) == 8**6 == 262_144
    assert data.image_shape == (64, 64, 3)
    assert data.factor_names == ("x_R", "y_R", "x_G", "y_G", "x_B", "y_B")
    assert tuple(data.factor_sizes) == (8,) * 6
    images = data.images([0, 262_143])
    assert images.dtype == np.uint8 and images.shape == (2, 64, 64, 3)
    assert set(np.unique(images)) == {0, 255}
    np.testing.assert_array_equal(images[0, :8, :8], 255)
    np.testing.assert_array_equal(images[1, 56:, 56:], 255)
    assert (images == 255).sum(axis=(1, 2)).tolist() == [[64] * 3] * 2


@pytest.mark.parametrize("spacing, offset", OFFSETS.items())
def test_offsets_with_eight_positions(spacing, offset):
    data = XYSquares(grid_spacing=spacing)
    first, last = data.images([0, len(data) - 1])
    end = offset + 7 * spacing
    for square in range(3):
        assert corner(first[..., square]) == (offset, offset, offset + 8, offset + 8)
        assert corner(last[..., square]) == (end, end, end + 8, end + 8)
    assert end + 8 == {8: 64, 7: 60, 6: 57, 5: 53, 4: 50, 3: 46, 2: 43, 1: 39}[spacing]


@pytest.mark.parametrize("spacing, count", {8: 8, 7: 9, 6: 10, 5: 12, 4: 15, 3: 19, 2: 29, 1: 57}.items())
def test_counts_without_a_grid_size(spacing, count):
    data = XYSquares(grid_spacing=spacing, grid_size=None)
    assert tuple(data.factor_sizes) == (count,) * 6 and len(data) == count**6
    # Centred, rounded to the top left: as much free on both sides, but for an odd pixel.
    left, top, right, bottom = corner(data.images([0, len(data) - 1])[..., 0].max(axis=0))
    assert 0 <= left == top <= 64 - right <= left + 1 and right == bottom


def test_every_factor_moves_its_square_along_its_axis():
    data = XYSquares(grid_spacing=5)
    base = np.array([[1, 2, 3, 4, 5, 6]])
    for factor in range(6):
        moved = base.copy()
        moved[0, factor] += 1
        before, after = data.render(base)[0], data.render(moved)[0]
        changed = np.unique(np.nonzero(before != after)[2])
        assert changed.tolist() == [factor // 2]
        shift = np.subtract(corner(after[..., factor // 2]), corner(before[..., factor // 2]))
        assert shift.tolist() == ([5, 0, 5, 0] if factor % 2 == 0 else [0, 5, 0, 5])


def test_every_square_is_where_its_factors_say():
    data = XYSquares(grid_spacing=2, square_size=3, image_size=10, grid_size=3, num_squares=2)
    factors = data.factors(np.arange(len(data)))
    images = every_image(data)
    assert data.offset == 1
    for (x_red, y_red, x_green, y_green), image in zip(factors, images, strict=True):
        expected = np.zeros((10, 10, 3), "uint8")
        expected[1 + 2 * y_red : 4 + 2 * y_red, 1 + 2 * x_red : 4 + 2 * x_red, 0] = 255
        expected[1 + 2 * y_green : 4 + 2 * y_green, 1 + 2 * x_green : 4 + 2 * x_green, 1] = 255
        np.testing.assert_array_equal(image, expected)


def test_grey_squares_cover_each_other():
    rgb, grey = XYSquares(grid_spacing=1, **SMALL), XYSquares(grid_spacing=1, rgb=False, **SMALL)
    assert grey.image_shape == (6, 6, 1) and grey.factor_names == rgb.factor_names and len(grey) == len(rgb) == 5**6
    np.testing.assert_array_equal(every_image(grey), every_image(rgb).max(axis=-1, keepdims=True))


@pytest.mark.parametrize("squares, names", [(1, "x_R y_R"), (2, "x_R y_R x_G y_G"), (3, "x_R y_R x_G y_G x_B y_B")])
def test_number_of_squares(squares, names):
    data = XYSquares(num_squares=squares)
    assert data.factor_names == tuple(names.split()) and len(data) == 64**squares
    assert (data.images([5]) == 255).sum(axis=(0, 1, 2)).tolist() == [64] * squares + [0] * (3 - squares)


def test_index_and_factors_are_inverse():
    data = XYSquares(num_squares=2, grid_size=3)
    indices = np.arange(81)
    # The last factor varies fastest.
    np.testing.assert_array_equal(data.factors(indices), list(itertools.product(range(3), repeat=4)))
    np.testing.assert_array_equal(data.index(data.factors(indices)), indices)
    big = XYSquares()
    draws = np.random.default_rng(0).integers(len(big), size=1000)
    assert big.index(big.factors(draws)).tolist() == draws.tolist()
    assert big.factors([8**5, 7]).tolist() == [[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 7]]
    np.testing.assert_array_equal(big.images(draws[:5]), big.render(big.factors(draws[:5])))
    # 57⁶ indices do not fit 32 bits.
    huge = XYSquares(grid_spacing=1, grid_size=None)
    assert huge.factors([len(huge) - 1]).tolist() == [[56] * 6] and huge.index([[56] * 6]).tolist() == [57**6 - 1]


def test_no_indices_no_images():
    data = XYSquares()
    assert data.images([]).shape == (0, 64, 64, 3) and data.factors(np.array([], int)).shape == (0, 6)


@pytest.mark.parametrize("spacing", OFFSETS)
def test_published_mean_and_std(spacing):
    data = XYSquares(grid_spacing=spacing)
    # The squares never leave the image, so the spacing does not matter: p = 1/64 of the pixels are on.
    np.testing.assert_allclose(data.mean, [1 / 64] * 3, rtol=1e-12)
    np.testing.assert_allclose(data.std, [np.sqrt(1 / 64 * 63 / 64 * 4096 / 4095)] * 3, rtol=1e-12)
    np.testing.assert_allclose(data.std, 0.12403473, atol=5e-9)


def test_published_grey_mean_and_std():
    data = XYSquares(rgb=False)
    # Three squares in 64 places: all different, two in one place, or all three.
    covered = np.array([3, 2, 1]) / 64
    probability = np.array([63 * 62, 3 * 63, 1]) / 64**2
    assert data.mean.shape == data.std.shape == (1,)
    assert data.mean[0] == pytest.approx(1 - (63 / 64) ** 3, rel=1e-12)
    assert data.mean[0] == pytest.approx(0.0461, abs=5e-5)
    deviation = np.sqrt(covered * (1 - covered) * 4096 / 4095)
    assert data.std[0] == pytest.approx(probability @ deviation, rel=1e-12)
    assert data.std[0] == pytest.approx(0.2097, abs=5e-5)


@pytest.mark.parametrize("rgb", [True, False])
@pytest.mark.parametrize("squares, image_size", [(1, 7), (2, 7), (3, 6)])
@pytest.mark.parametrize("spacing", [1, 2, 3, 4])
def test_mean_and_std_by_brute_force(spacing, squares, image_size, rgb):
    data = XYSquares(spacing, grid_size=None, square_size=3, image_size=image_size, num_squares=squares, rgb=rgb)
    mean, std = by_brute_force(data)
    np.testing.assert_allclose(data.mean, mean, rtol=1e-10)
    # A channel without a square is constant and gets 1.
    np.testing.assert_allclose(data.std, np.where(std > 0, std, 1.0), rtol=1e-10)
    assert data.mean.dtype == data.std.dtype == np.float64
    assert data.mean.shape == data.std.shape == ((3,) if rgb else (1,))


@pytest.mark.parametrize("arguments", [{"image_size": 4, "square_size": 4}, {"image_size": 1, "square_size": 1}])
@pytest.mark.parametrize("rgb", [True, False])
def test_image_full_of_square_has_std_1(arguments, rgb):
    data = XYSquares(grid_size=None, rgb=rgb, **arguments)
    assert len(data) == 1 and data.mean.tolist() == data.std.tolist() == [1.0] * (3 if rgb else 1)
    assert not data.standardize(data.images([0])).any()


def test_constants_cannot_be_changed_by_accident():
    data = XYSquares()
    data.mean[:], data.std[:] = 7, 7
    assert data.mean[0] == 1 / 64 and data.std[0] < 1


@pytest.mark.parametrize("arguments", [{}, {"rgb": False}, {"num_squares": 2}])
def test_standardised_images(arguments):
    data = XYSquares(3, grid_size=None, square_size=3, image_size=6, **arguments)
    images = every_image(data)
    standardised = data.standardize(images)
    assert standardised.dtype == np.float32 and standardised.shape == images.shape
    np.testing.assert_allclose(standardised, (images / 255 - data.mean) / data.std, atol=1e-6)
    np.testing.assert_allclose(standardised.mean(axis=(0, 1, 2)), 0, atol=1e-6)


@pytest.mark.parametrize("images", [np.zeros((1, 64, 64, 3), "float32"), np.zeros((1, 64, 64, 1), "uint8")])
def test_images_that_are_not_standardised(images):
    with pytest.raises(ValueError, match="images must be uint8 with 3 channels"):
        XYSquares().standardize(images)


@pytest.mark.parametrize("spacing", OFFSETS)
def test_one_factor_mse(spacing):
    data = XYSquares(grid_spacing=spacing)
    for factor, step in itertools.product(range(6), range(1, 8)):
        pair = np.full((2, 6), 3)
        pair[:, factor] = 0, step
        first, second = data.render(pair) / 255
        assert np.mean((first - second) ** 2) == pytest.approx(min(step * spacing, 8) * 2 * 8 / 12_288, rel=1e-12)


def test_mean_mse_of_random_pairs():
    # Each square stays where it is once in 64 times. Published: .030762, std .0022.
    data = XYSquares()
    first, second = (data.images(np.random.default_rng(seed).integers(len(data), size=1000)) // 255 for seed in (1, 2))
    distance = np.mean(first != second, axis=(1, 2, 3))
    assert distance.mean() == pytest.approx(3 * 63 / 64 * 128 / 12_288, abs=4 * 0.0022 / np.sqrt(1000))
    assert distance.std() == pytest.approx(0.0022, rel=0.15)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"grid_size": 9}, "grid_size must be at most 8: .*got 9"),
        ({"grid_spacing": 7, "grid_size": 10}, "grid_size must be at most 9"),
        ({"square_size": 65, "grid_size": None}, r"square_size must be at most image_size \(64\), got 65"),
        ({"square_size": 57}, "grid_size must be at most 1"),
        ({"num_squares": 4}, "num_squares must be 1, 2 or 3, got 4"),
        ({"num_squares": 0}, "num_squares must be an integer, at least 1, got 0"),
        ({"grid_spacing": 0}, "grid_spacing must be an integer, at least 1, got 0"),
        ({"grid_size": 0}, "grid_size must be an integer, at least 1, got 0"),
        ({"square_size": -8}, "square_size must be an integer"),
        ({"image_size": 64.0}, "image_size must be an integer.*got 64.0"),
        ({"image_size": None}, "image_size must be an integer.*got None"),
        ({"grid_size": True}, "grid_size must be an integer.*got True"),
    ],
)
def test_sizes_that_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        XYSquares(**arguments)


@pytest.mark.parametrize("method", ["images", "factors"])
@pytest.mark.parametrize(
    "indices, match",
    [
        ([262_144], r"must lie in 0..262143, got 262144..262144"),
        ([-1, 3], r"must lie in 0..262143, got -1..3"),
        ([0.0], "one-dimensional array of integers, got float64"),
        ([True], "one-dimensional array of integers, got bool"),
        (3, r"one-dimensional array of integers, got int64 of shape \(\)"),
        ([[1, 2]], r"of shape \(1, 2\)"),
    ],
)
def test_indices_that_are_refused(method, indices, match):
    with pytest.raises(ValueError, match=match):
        getattr(XYSquares(), method)(indices)


@pytest.mark.parametrize(
    "factors, match",
    [
        ([[0, 0, 8, 0, 0, 0]], r"x_G must lie in 0..7, got 8 in row 0"),
        ([[0] * 6, [0, -1, 0, 0, 0, 0]], r"y_R must lie in 0..7, got -1 in row 1"),
        ([[0] * 5], r"integers of shape \(n, 6\), got int64 of shape \(1, 5\)"),
        ([0] * 6, r"of shape \(6,\)"),
        ([[0.0] * 6], "got float64"),
    ],
)
def test_factors_that_are_refused(factors, match):
    with pytest.raises(ValueError, match=match):
        XYSquares().index(factors)


def test_repr():
    text = repr(XYSquares(num_squares=1, rgb=False, grid_size=5))
    assert text == "<XYSquares: 25 images (64, 64, 1), factors x_R 5, y_R 5>"
