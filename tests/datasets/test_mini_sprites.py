"""MiniSprites against areas, symmetries and a drawing by points; the contract of data sets beside it."""

import numpy as np
import pytest

from kerasvae.datasets.dsprites_rendering import UNIT, outline
from kerasvae.datasets.mini_sprites import CENTRES, LARGEST, SCALES, MiniSprites, coverage

DATA = MiniSprites()
GRID = DATA.images(np.arange(len(DATA))).reshape(3, 4, 8, 8, 16, 16).astype("float64") / 255


def test_grid_and_interface():
    assert DATA.factor_names == ("shape", "scale", "position_x", "position_y")
    assert DATA.factor_sizes == (3, 4, 8, 8) and len(DATA) == 768 and DATA.complete and not DATA.random
    assert DATA.image_shape == (16, 16, 1)
    indices = np.arange(len(DATA))
    np.testing.assert_array_equal(DATA.index(DATA.factors(indices)), indices)
    images = DATA.images(indices)
    assert images.dtype == np.uint8 and len(np.unique(images.reshape(768, -1), axis=0)) == 768
    np.testing.assert_array_equal(images, MiniSprites().render(DATA.factors(indices)))
    np.testing.assert_allclose(DATA.mean, images.mean() / 255, rtol=1e-12)
    deviations = images.reshape(768, -1).std(axis=1, ddof=1) / 255
    np.testing.assert_allclose(DATA.std, deviations.mean(), rtol=1e-12)


def test_what_somebody_changes_is_their_own():
    MiniSprites().mean[:] = 0
    assert MiniSprites().mean > 0
    with pytest.raises(ValueError, match="read-only"):
        DATA.table[0] = 1


def test_areas_are_those_of_the_outlines():
    for shape, scale in np.ndindex(3, 4):
        x, y = outline(shape) * SCALES[scale] * LARGEST / UNIT
        area = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
        np.testing.assert_allclose(GRID[shape, scale].sum(axis=(-2, -1)), area, rtol=0.02)


def test_centres_of_mass_are_the_positions():
    pixels = np.arange(16) + 0.5
    for axis, places in ((-1, CENTRES[:, None]), (-2, CENTRES[None, :])):
        masses = GRID[:2].sum(axis=-2 if axis == -1 else -1)
        centres = (masses * pixels).sum(axis=-1) / masses.sum(axis=-1)
        np.testing.assert_allclose(centres, np.broadcast_to(places, centres.shape), atol=0.08)


def test_symmetries():
    # Positions lie symmetrically; squares and ellipses are symmetric both ways, hearts left to right alone.
    np.testing.assert_allclose(GRID, GRID[:, :, ::-1, :, :, ::-1], atol=1.5 / 255)
    np.testing.assert_allclose(GRID[:2], GRID[:2, :, :, ::-1, ::-1], atol=0.07)
    assert np.abs(GRID[2] - GRID[2, :, :, ::-1, ::-1]).max() > 0.3


def test_edges_are_soft_and_images_change_little_by_little():
    # All but the squares whose edges happen to lie on those of pixels.
    assert ((GRID > 0.02) & (GRID < 0.98)).any(axis=(-2, -1)).mean() > 0.98
    far = [np.abs(GRID[:, :, 0] - GRID[:, :, x]).sum(axis=(-2, -1)) for x in range(8)]
    # A pixel-wise distance that grows with the distance of the positions as long as the sprites overlap.
    assert all((far[x] < far[x + 1]).all() for x in range(3))
    assert (np.diff(GRID.sum(axis=(-2, -1)), axis=1) > 0).all()


@pytest.mark.parametrize("turn", [1, -1])
def test_coverage_of_a_rectangle_is_exact_whichever_way_round(turn):
    columns, rows = np.array([1.25, 3.5, 3.5, 1.25])[::turn], np.array([0.5, 0.5, 2.0, 2.0])[::turn]
    expected = np.outer([0.5, 1, 0, 0], [0, 0.75, 1, 0.5])
    np.testing.assert_allclose(coverage(columns, rows, 4), expected, atol=1e-15)


def test_coverage_of_a_shape_that_is_not_convex_against_points():
    # A heart: the share of 64 x 64 points in each pixel that lie within, by the even-odd rule.
    columns, rows = 4.3 + outline(2)[0] / 4, 4.1 + outline(2)[1] / 4
    points = (np.arange(8 * 64) + 0.5) / 64
    x, y = np.meshgrid(points, points)
    inside = np.zeros(x.shape, bool)
    for a, b, c, d in zip(columns, rows, np.roll(columns, -1), np.roll(rows, -1), strict=True):
        crosses = (b <= y) != (d <= y)
        if b != d:
            inside ^= crosses & (x > a + (y - b) / (d - b) * (c - a))
    expected = inside.reshape(8, 64, 8, 64).mean(axis=(1, 3))
    np.testing.assert_allclose(coverage(columns, rows, 8), expected, atol=0.02)
