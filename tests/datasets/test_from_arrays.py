import copy
import itertools

import numpy as np
import pytest

from kerasvae.datasets import pipelines
from kerasvae.datasets.from_arrays import FromArrays
from kerasvae.datasets.xysquares import XYSquares

SHAPES, PLACES = ["ball", "cone", "cube"], [-10, 0, 10, 20]
GRID = list(itertools.product(SHAPES, PLACES, [0.5, 1.5]))  # 24 combinations


def numbered(count, shape=(2, 3, 3)):
    """Images that show their own number in every pixel."""
    return np.broadcast_to(np.arange(count, dtype="uint8").reshape(-1, *[1] * len(shape)), (count, *shape)).copy()


def first_pixels(images):
    return images.reshape(len(images), -1)[:, 0].tolist()


def by_hand(rows):
    """Names to columns of rows of GRID."""
    return dict(zip(("shape", "place", "scale"), map(list, zip(*rows, strict=True)), strict=True))


def test_images_alone():
    images = np.random.default_rng(0).integers(0, 256, (10, 5, 7, 3), dtype="uint8")
    data = FromArrays(images)
    assert len(data) == 10 and data.image_shape == (5, 7, 3) and not data.complete
    assert data.factor_names == data.factor_sizes == data.factor_values == ()
    found = data.images([9, 0, 0])
    assert found.dtype == np.uint8 and type(found) is np.ndarray
    np.testing.assert_array_equal(found, images[[9, 0, 0]])
    assert data.factors([1, 2]).shape == (2, 0) and data.rows.tolist() == list(range(10))
    assert repr(data) == "<FromArrays: 10 images (5, 7, 3), no factors>"
    with pytest.raises(ValueError, match=r"render: data must hold one image for each.*there are no factors"):
        data.render(np.zeros((1, 0), int))
    with pytest.raises(ValueError, match=r"indices must lie in 0..9, got 10..10"):
        data.images([10])


def test_grey_images_get_a_channel():
    images = numbered(4, (6, 5))
    data = FromArrays(images)
    assert data.image_shape == (6, 5, 1)
    np.testing.assert_array_equal(data.images([3, 1]), images[[3, 1], :, :, None])
    assert data.mean.shape == data.std.shape == (1,)


def test_nothing_is_copied(tmp_path):
    np.save(tmp_path / "images.npy", numbered(24))
    for images in (np.load(tmp_path / "images.npy", mmap_mode="r"), numbered(24), numbered(24, (4, 4))):
        data = FromArrays(images, by_hand(GRID[::-1]))
        held = [value for value in vars(data).values() if isinstance(value, np.ndarray) and value.ndim > 2]
        assert len(held) == 1 and np.shares_memory(held[0], images)
        assert type(data.images([0])) is np.ndarray and not np.shares_memory(data.images([0]), images)
        # Keras Tuner copies what callbacks hold.
        assert copy.deepcopy(data).images([2]).tolist() == data.images([2]).tolist()
        assert np.shares_memory(copy.deepcopy(data)._table, images)


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_complete_grid_in_any_order(seed):
    order = np.arange(24) if seed is None else np.random.default_rng(seed).permutation(24)
    data = FromArrays(numbered(24), by_hand([GRID[row] for row in order]))
    assert data.complete and data.factor_names == ("shape", "place", "scale") and data.factor_sizes == (3, 4, 2)
    assert [values.tolist() for values in data.factor_values] == [SHAPES, PLACES, [0.5, 1.5]]
    indices = np.arange(24)
    # The last factor varies fastest, whatever the order of the images.
    np.testing.assert_array_equal(data.factors(indices), list(np.ndindex(3, 4, 2)))
    np.testing.assert_array_equal(data.index(data.factors(indices)), indices)
    np.testing.assert_array_equal(data.rows, np.argsort(order))
    np.testing.assert_array_equal(first_pixels(data.images(indices)), data.rows)
    np.testing.assert_array_equal(data.render(data.factors([5, 17])), data.images([5, 17]))
    for index, row in enumerate(data.rows):
        given = GRID[order[row]]
        factors = data.factors([index])[0]
        assert tuple(values[k] for values, k in zip(data.factor_values, factors, strict=True)) == given
    assert repr(data) == "<FromArrays: 24 images (2, 3, 3), factors shape 3, place 4, scale 2>"


def test_it_is_the_data_set_its_images_come_from():
    data = XYSquares(num_squares=2, grid_size=3, grid_spacing=4, image_size=16)
    order = np.random.default_rng(3).permutation(81)
    copied = FromArrays(data.images(order), data.factors(order), data.factor_names)
    assert copied.factor_names == data.factor_names and copied.factor_sizes == data.factor_sizes
    np.testing.assert_array_equal(copied.images(np.arange(81)), data.images(np.arange(81)))
    np.testing.assert_allclose(copied.mean, data.mean, rtol=1e-13)
    np.testing.assert_allclose(copied.std, data.std, rtol=1e-13)


@pytest.mark.parametrize(
    "left_out, message",
    [
        ([0], "1 of 24 combinations are missing, first: shape=ball, place=-10, scale=0.5"),
        ([23], "1 of 24 combinations are missing, first: shape=cube, place=20, scale=1.5"),
        ([22, 7, 23], "3 of 24 combinations are missing, first: shape=ball, place=20, scale=1.5"),
    ],
)
def test_missing_combinations(left_out, message):
    rows = [row for k, row in enumerate(GRID) if k not in left_out][::-1]
    data = FromArrays(numbered(len(rows)), by_hand(rows))
    assert not data.complete and data.factor_sizes == (3, 4, 2) and len(data) == 24 - len(left_out)
    # Without a grid the indices are those of the array.
    indices = np.arange(len(rows))
    assert first_pixels(data.images(indices)) == data.rows.tolist() == list(range(len(rows)))
    for factors, given in zip(data.factors(indices), rows, strict=True):
        assert tuple(values[k] for values, k in zip(data.factor_values, factors, strict=True)) == given
    for attempt in (
        lambda: data.index([[0, 0, 0]]),
        lambda: data.render(np.array([[0, 0, 0]])),
        lambda: data.check_complete("purpose"),
    ):
        with pytest.raises(ValueError, match=r"^(index|render|purpose): data must hold .*does not: " + message + "$"):
            attempt()


def test_repeated_combinations():
    rows = [*GRID, GRID[5], GRID[2], GRID[5]]
    data = FromArrays(numbered(27), by_hand(rows))
    message = "3 images repeat a combination, first: shape=ball, place=0, scale=0.5 in images 2 and 25$"
    with pytest.raises(ValueError, match=message):
        data.index([[0, 0, 0]])
    # As many images as combinations, but one twice in place of another.
    data = FromArrays(numbered(24), by_hand([*GRID[:-1], GRID[0]]))
    message = (
        "1 of 24 combinations are missing, first: shape=cube, place=20, scale=1.5; 1 images repeat a combination, "
        "first: shape=ball, place=-10, scale=0.5 in images 0 and 23$"
    )
    with pytest.raises(ValueError, match=message):
        data.index([[0, 0, 0]])


def test_grids_of_more_than_64_bits():
    # 100 factors of 2 values: each image another combination, 2 of 2¹⁰⁰.
    data = FromArrays(numbered(2), np.stack([np.zeros(100, int), np.ones(100, int)]))
    with pytest.raises(ValueError, match=f"{2**100 - 2} of {2**100} combinations are missing, first: factor_0=0, "):
        data.check_complete("purpose")


def test_factors_in_every_form():
    columns = {"shape": ["b", "a", "b", "a"], "place": [3, 3, 7, 7]}

    class Frame:
        """The part of pandas.DataFrame that counts."""

        def __len__(self):
            return 4

        def __array__(self, dtype=None, copy=None):
            return np.array(list(zip(*columns.values(), strict=True)), dtype=object)

        def items(self):
            return ((name, np.array(column, dtype=object)) for name, column in columns.items())

    rows = list(zip(*columns.values(), strict=True))
    for factors, names in (
        (columns, None),
        ({name: np.array(column) for name, column in columns.items()}, None),
        (Frame(), None),
        (rows, ["shape", "place"]),
        (np.array(rows, dtype=object), ("shape", "place")),
    ):
        data = FromArrays(numbered(4), factors, names)
        assert data.factor_names == ("shape", "place") and data.complete
        assert [values.tolist() for values in data.factor_values] == [["a", "b"], [3, 7]]
        assert data.rows.tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize("column", [[2, 0, 5], np.array([2, 0, 5], "uint8"), [2.0, 0.5, 9.0], ["m", "a", "z"]])
def test_one_factor(column):
    for factors in (column, np.array(column), np.array(column)[:, None], {"factor_0": column}):
        data = FromArrays(numbered(3), factors)
        assert data.factor_names == ("factor_0",) and data.factor_sizes == (3,) and data.rows.tolist() == [1, 0, 2]
        assert data.factor_values[0].tolist() == sorted(column)


def test_truth_values_and_strings_of_digits():
    data = FromArrays(numbered(4), {"lit": [True, False, True, False], "name": ["10", "9", "9", "10"]})
    # Strings stay strings, sorted as such.
    assert [values.tolist() for values in data.factor_values] == [[False, True], ["10", "9"]]


def test_constants_are_measured_or_given():
    images = np.random.default_rng(0).integers(0, 256, (9, 6, 6, 3), dtype="uint8")
    pixels = images.reshape(9, 36, 3) / 255
    mean, std = pixels.mean(axis=(0, 1)), pixels.std(axis=1, ddof=1).mean(axis=0)
    data = FromArrays(images)
    np.testing.assert_allclose(data.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(data.std, std, rtol=1e-12)
    given = FromArrays(images, mean=[0.1, 0.2, 0.3], std=0.5)
    assert given.mean.tolist() == [0.1, 0.2, 0.3] and given.std.tolist() == [0.5] * 3
    half = FromArrays(images, std=[1, 2, 3])
    np.testing.assert_allclose(half.mean, mean, rtol=1e-12)
    assert half.std.tolist() == [1, 2, 3] and half.std.dtype == np.float64
    data.mean[:] = 7
    assert data.mean[0] < 1
    np.testing.assert_allclose(data.standardize(images), (images / 255 - mean) / std, atol=1e-5)


def test_constant_channels_have_std_1():
    images = numbered(4)
    assert FromArrays(images).std.tolist() == [1, 1, 1]
    assert np.isfinite(FromArrays(images).standardize(images)).all()


def test_batches_of_images_without_factors():
    images = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 1), dtype="uint8")
    data = FromArrays(images)
    (batch,) = pipelines.images(data, batch_size=10, steps=1)
    # One pass over the data is standardised: mean 0 and, on average over the images, std 1.
    assert abs(float(np.mean(batch))) < 1e-6
    assert np.std(np.asarray(batch).reshape(10, -1), axis=1, ddof=1).mean() == pytest.approx(1, rel=1e-6)
    with pytest.raises(ValueError):
        pipelines.pairs(data, batch_size=10)


@pytest.mark.parametrize(
    "images, match",
    [
        ([[[1]]], "images must be a NumPy array.*got list"),
        (np.zeros((2, 4, 4), "float32"), r"must be uint8.*got float32; for values 0..1 pass np.rint\(images \* 255\)"),
        (np.zeros((2, 4, 4), bool), r"got bool; pass images.astype\('uint8'\) \* 255"),
        (np.zeros((2, 4, 4), "int64"), r"got int64; for values 0..255 pass images.astype\('uint8'\)"),
        (np.zeros((2, 4, 4), "uint16"), r"got uint16; .*\(images // 257\)"),
        (
            np.full((2, 4, 4), 4095, "uint16"),
            r"values go up to 4095: for 12 bits pass \(images >> 4\).astype\('uint8'\)",
        ),
        (
            np.full((2, 4, 4), 1023, "int16"),
            r"values go up to 1023: for 10 bits pass \(images >> 2\).astype\('uint8'\)",
        ),
        (np.full((2, 4, 4), 65535, "uint16"), r"for 16 bits pass \(images // 257\).astype\('uint8'\)"),
        (np.zeros((2, 4, 4), "S1"), r"got \|S1"),
        (np.zeros((4, 4), "uint8"), r"images must have the shape .*got \(4, 4\)"),
        (np.zeros((0, 4, 4, 3), "uint8"), r"nothing of it 0, got \(0, 4, 4, 3\)"),
        (np.zeros((2, 3, 8, 8), "uint8"), r"channels last, got \(2, 3, 8, 8\); pass np.moveaxis\(images, 1, -1\)"),
    ],
)
def test_images_that_are_refused(images, match):
    with pytest.raises(ValueError, match=match):
        FromArrays(images)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"factors": [1, 2]}, r"each of the 3 images, got columns of shape \(2,\)"),
        ({"factors": np.zeros((3, 2, 2))}, r"each of the 3 images, got columns of shape \(3, 2, 2\)"),
        ({"factors": np.zeros((3, 0))}, "each of the 3 images, got columns of shape none"),
        ({"factors": {}}, "each of the 3 images, got columns of shape none"),
        ({"factors": {"a": [1, 2, 3], "b": [1, 2]}}, r"got columns of shape \(2,\), \(3,\)"),
        ({"factors": [[1, 2], [3], [4, 5]]}, "factors must be rows of the same length, got list"),
        ({"factors": 7}, "factors must be rows of the same length, got int"),
        ({"factors": [1, "a", 2]}, "the values of factor_0 must be all numbers or all strings, none missing"),
        ({"factors": {"a": ["x", None, "y"]}}, "the values of a must be all numbers or all strings, none missing"),
        ({"factors": {"a": [[1], [2], [3]]}}, r"got columns of shape \(3, 1\)"),
        ({"factors": {"a": [1.0, 2.0, np.nan]}}, "factors: a must be finite, got nan in row 2"),
        ({"factors": np.zeros(3, complex)}, "the values of factor_0 must be numbers or strings, got complex128"),
        ({"factors": [1, 2, 3], "factor_names": "a"}, "factor_names must be a list of strings, none empty, got 'a'"),
        ({"factors": [1, 2, 3], "factor_names": ["a", "b"]}, "factor_names must be 1 different names"),
        ({"factors": np.zeros((3, 2)), "factor_names": ["a", "a"]}, "factor_names must be 2 different names"),
        ({"factors": [1, 2, 3], "factor_names": [""]}, "factor_names must be a list of strings, none empty"),
        ({"factor_names": ["a"]}, r"factor_names needs factors, got \['a'\] without any"),
        ({"mean": [0.1, 0.2]}, r"mean must be one number, or one per channel \(3\), got \[0.1, 0.2\]"),
        ({"mean": "grey"}, "mean must be one number, or one per channel"),
        ({"std": [1, 0, 1]}, r"std must be one number, above 0, or one per channel \(3\), got \[1, 0, 1\]"),
        ({"std": np.inf}, "std must be one number, above 0"),
    ],
)
def test_arguments_that_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        FromArrays(numbered(3), **arguments)
