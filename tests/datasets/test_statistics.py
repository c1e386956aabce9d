import csv
import itertools
from pathlib import Path

import numpy as np
import pytest

from kerasvae.datasets.from_arrays import FromArrays
from kerasvae.datasets.ground_truth import GroundTruthData
from kerasvae.datasets.statistics import channel_statistics
from kerasvae.datasets.xysquares import XYSquares

ASSETS = Path(__file__).parents[2] / "assets"


class Noise(GroundTruthData):
    """Images of a factor's value plus a random part."""

    factor_names, factor_sizes, image_shape, random = ("level", "other"), (4, 5), (3, 5, 2), True

    def render(self, factors, draws=None):
        draws = self.index(factors) if draws is None else draws
        noise = np.stack([np.random.default_rng(draw).integers(0, 200, self.image_shape) for draw in draws])
        return (noise + 10 * factors[:, 0, None, None, None]).astype("uint8")


def by_definition(images):
    """Mean, mean of the images' unbiased stds, and std of all pixels: float64, of images / 255."""
    pixels = images.reshape(len(images), -1, images.shape[-1]) / 255
    return pixels.mean(axis=(0, 1)), pixels.std(axis=1, ddof=1).mean(axis=0), pixels.std(axis=(0, 1))


def assert_statistics(measured, images):
    for found, expected in zip(
        (measured.mean, measured.std_of_images, measured.std_of_pixels), by_definition(images), strict=True
    ):
        assert found.dtype == np.float64 and found.shape == images.shape[-1:]
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert measured.images == len(images)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_by_definition(channels, batch_size):
    images = np.random.default_rng(channels).integers(0, 256, (20, 5, 9, channels), dtype="uint8")
    assert_statistics(channel_statistics(FromArrays(images), batch_size), images)


def test_random_parts_are_drawn_by_index():
    data = Noise()
    assert_statistics(channel_statistics(data, batch_size=6), data.images(np.arange(20), np.arange(20)))


def test_some_images():
    images = np.random.default_rng(0).integers(0, 256, (20, 4, 4, 3), dtype="uint8")
    indices = [19, 3, 3, 0]
    assert_statistics(channel_statistics(FromArrays(images), 3, indices), images[indices])


def test_the_conventions_differ_by_what_differs_between_images():
    # Half of the images black, half white: no image varies in itself.
    images = np.zeros((6, 4, 4, 1), "uint8")
    images[3:] = 255
    measured = channel_statistics(FromArrays(images))
    assert (measured.mean[0], measured.std_of_images[0], measured.std_of_pixels[0]) == (0.5, 0.0, 0.5)


def test_constant_images_have_exactly_no_deviation():
    # Also where 64 bits would not hold the intermediate integers.
    for side in (1, 7, 5000):
        measured = channel_statistics(FromArrays(np.full((2, side, side), 201, "uint8")), batch_size=1)
        assert measured.mean[0] == 201 / 255 and measured.std_of_images[0] == measured.std_of_pixels[0] == 0


def test_large_images_by_closed_form():
    images = np.zeros((1, 3400, 3400), "uint8")
    images[0, :850] = 255
    measured, pixels = channel_statistics(FromArrays(images)), 3400**2
    assert measured.mean[0] == 0.25
    assert measured.std_of_images[0] == pytest.approx(np.sqrt(3 / 16 * pixels / (pixels - 1)), rel=1e-14)
    assert measured.std_of_pixels[0] == pytest.approx(np.sqrt(3 / 16), rel=1e-14)


def test_xysquares_by_closed_form():
    # Every image has the same share of white, so any of them have the constants of all.
    data = XYSquares()
    measured = channel_statistics(data, indices=np.arange(0, len(data), 997))
    np.testing.assert_allclose(measured.mean, data.mean, rtol=1e-13)
    np.testing.assert_allclose(measured.std_of_images, data.std, rtol=1e-13)
    np.testing.assert_allclose(measured.std_of_pixels, np.sqrt(1 / 64 * 63 / 64), rtol=1e-13)


def test_nothing_is_printed_without_a_terminal(capfd):
    channel_statistics(XYSquares(num_squares=1), progress=True)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"batch_size": 0}, "batch_size must be an integer, at least 1, got 0"),
        ({"batch_size": 2.0}, "batch_size must be an integer, at least 1, got 2.0"),
        ({"indices": []}, "at least one image to measure"),
        ({"indices": [64]}, "indices must lie in 0..63, got 64..64"),
        ({"indices": [0.5]}, "one-dimensional array of integers"),
    ],
)
def test_arguments_that_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        channel_statistics(XYSquares(num_squares=1), **arguments)


def published(name):
    with (ASSETS / name).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    groups = itertools.groupby(rows, key=lambda row: row["dataset"])
    return {dataset: {row.get("factor", row.get("channel")): row for row in of_one} for dataset, of_one in groups}


def test_published_constants_of_xysquares():
    # Table 2 gives 15 digits, computed in floats over all images.
    rows, data = published("published_channel_statistics.csv")["XYSquares"], XYSquares()
    assert list(rows) == ["R", "G", "B"]
    for channel, row in enumerate(rows.values()):
        assert data.mean[channel] == pytest.approx(float(row["mean"]), abs=1e-15)
        assert data.std[channel] == pytest.approx(float(row["std"]), abs=1e-14)


def test_published_constants_are_those_of_images():
    tables = published("published_channel_statistics.csv")
    assert {name: len(rows) for name, rows in tables.items()} == {
        "Cars3D": 3,
        "Shapes3D": 3,
        "SmallNORB": 1,
        "DSprites": 1,
        "XYSquares": 3,
    }
    for rows in tables.values():
        for row in rows.values():
            mean, std = float(row["mean"]), float(row["std"])
            # No 4096 values in 0..1 of this mean deviate more than zeros and ones do, in the unbiased form.
            assert 0 < mean < 1 and 0 < std < np.sqrt(mean * (1 - mean) * 4096 / 4095) + 1e-14


def test_published_importance_of_the_factors_of_xysquares():
    rows, data = published("published_factor_importance.csv")["XYSquares"], XYSquares()
    assert rows.keys() == {"random", *data.factor_names}
    one_factor = 128 / 12_288
    assert float(rows.pop("random")["mean"]) == pytest.approx(3 * 63 / 64 * one_factor, abs=5e-5)
    for row in rows.values():
        assert float(row["mean"]) == pytest.approx(one_factor, abs=5e-5) and float(row["std"]) == 0


def test_published_importance_is_in_order():
    tables = published("published_factor_importance.csv")
    assert {name: len(rows) for name, rows in tables.items()} == {
        "Cars3D": 4,
        "Shapes3D": 7,
        "SmallNORB": 6,
        "DSprites": 6,
        "XYSquares": 7,
    }
    for rows in tables.values():
        # Random pairs differ in more than one factor; then the factors, the most important first.
        assert next(iter(rows)) == "random"
        means = [float(row["mean"]) for row in rows.values()]
        assert means == sorted(means, reverse=True)
