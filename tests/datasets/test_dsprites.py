import copy
import pickle

import numpy as np
import pytest

from kerasvae.datasets import dsprites
from kerasvae.datasets import dsprites_rendering as rendering
from kerasvae.datasets.dsprites import DSprites, unpack

LEFT, RIGHT, TOP, BOTTOM = 2, 5, 3, 7


@pytest.fixture(scope="module")
def data():
    return DSprites()


@pytest.fixture(scope="module")
def packed(data):
    return data.packed()


@pytest.fixture(scope="module")
def areas(packed):
    """On-pixels of every image, in order."""
    return np.bitwise_count(packed.view("uint64")).sum(axis=1, dtype="int64")


# The raster rule, against winding numbers in Python's own integers.


def winding_raster(vertices, height, width):
    """Which pixels of a canvas have their centre inside a polygon with vertices in 1/256 pixel; exact.

    A centre on an edge takes the side it falls on when it moves a hair to the right, and by far less up: left and
    bottom edges are then on, right and top edges off. A hair is smaller than any distance here but 0.
    """
    scale, right, up = 10**24, 10**12, 1  # one unit, and the hairs, in steps of 1e-24 units
    points = [(scale * int(x), scale * int(y)) for x, y in vertices]
    edges = list(zip(points, points[1:] + points[:1], strict=True))
    image = np.zeros((height, width), "uint8")
    for row in range(height):
        y = scale * (256 * row + 128) - up
        crossing = [((x1, y1), (x2, y2)) for (x1, y1), (x2, y2) in edges if (y1 < y) != (y2 < y)]
        for column in range(width):
            x, winding = scale * (256 * column + 128) + right, 0
            for (x1, y1), (x2, y2) in crossing:
                side = (x2 - x1) * (y - y1) - (x - x1) * (y2 - y1)
                assert side != 0
                if (y2 > y1) == (side < 0):
                    winding += 1 if y2 > y1 else -1
            image[row, column] = winding != 0
    return image


def raster(vertices, height, width):
    x, y = np.asarray(vertices).T
    rows = rendering.fill(x[None], y[None], height)[0, 0]
    return np.unpackbits(rows.astype(">u4").view("uint8").reshape(height, 4), axis=1)[:, :width]


def centres(*corners):
    """Vertices that lie on the centres of pixels (column, row), where every edge is a tie."""
    return [(256 * column + 128, 256 * row + 128) for column, row in corners]


def test_left_and_bottom_edges_are_on_right_and_top_off():
    expected = np.zeros((9, 9), "uint8")
    expected[TOP + 1 : BOTTOM + 1, LEFT:RIGHT] = 1
    corners = centres((LEFT, TOP), (RIGHT, TOP), (RIGHT, BOTTOM), (LEFT, BOTTOM))
    np.testing.assert_array_equal(raster(corners, 9, 9), expected)
    np.testing.assert_array_equal(raster(corners[::-1], 9, 9), expected)
    np.testing.assert_array_equal(winding_raster(corners, 9, 9), expected)


@pytest.mark.parametrize(
    "corners",
    [
        centres((1, 1), (6, 6), (1, 6)),  # diagonals through centres, on each side
        centres((6, 1), (6, 6), (1, 6)),
        centres((1, 1), (6, 1), (1, 6)),
        centres((1, 1), (6, 1), (6, 6)),
        centres((4, 0), (8, 4), (4, 8), (0, 4)),
        centres((0, 0), (8, 0), (8, 8), (4, 4), (0, 8)),  # two parts in the lower rows
        centres((0, 8), (0, 0), (2, 4), (4, 0), (6, 4), (8, 0), (8, 8)),  # three peaks
        centres((1, 1), (7, 1), (7, 3), (3, 3), (3, 5), (7, 5), (7, 7), (1, 7)),  # level steps on lines of centres
        centres((2, 2), (2, 6)),  # no area
        [(700, 700), (760, 705), (730, 750)],  # between centres
    ],
)
def test_ties_of_known_polygons(corners):
    expected = winding_raster(corners, 9, 9)
    np.testing.assert_array_equal(raster(corners, 9, 9), expected)
    np.testing.assert_array_equal(raster(corners[::-1], 9, 9), expected)


@pytest.mark.parametrize("grid", [1, 64, 128])
def test_random_polygons(grid):
    rng = np.random.default_rng(grid)
    for _ in range(25):
        count = rng.integers(3, 9)
        # Sorted by angle about one point, the outline does not cross itself. A coarse grid makes ties frequent.
        angle = np.sort(rng.permutation(24)[:count]) * (2 * np.pi / 24) + 0.01
        radius = rng.uniform(300, 1700, count)
        corners = 1792 + np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        corners = (np.rint(corners / grid) * grid).astype(int)
        np.testing.assert_array_equal(raster(corners, 14, 14), winding_raster(corners, 14, 14))


def test_many_places_at_once():
    rng = np.random.default_rng(0)
    x, y = np.array([0, 1500, 1300, 200]), np.array([100, 0, 1900, 1000])
    columns, rows = x + rng.integers(0, 1000, (3, 1)), y + rng.integers(0, 1000, (5, 1))
    places = rendering.fill(columns, rows, 12)
    assert places.shape == (3, 5, 12) and places.dtype == np.uint32
    for m, n in np.ndindex(3, 5):
        np.testing.assert_array_equal(places[m, n], rendering.fill(columns[m, None], rows[n, None], 12)[0, 0])


# The images.


def test_what_it_is(data):
    assert len(data) == 737_280 and data.image_shape == (64, 64, 1)
    assert data.factor_names == ("shape", "scale", "orientation", "position_x", "position_y")
    assert data.factor_sizes == (3, 6, 40, 32, 32)
    assert data.complete and not data.random
    images = data.images([0, 737_279, 5])
    assert images.shape == (3, 64, 64, 1) and images.dtype == np.uint8 and set(np.unique(images)) == {0, 255}
    assert data.images([]).shape == (0, 64, 64, 1)


def test_images_are_the_outlines_filled(data):
    rng = np.random.default_rng(3)
    indices = np.concatenate([[0, 31, 992, len(data) - 1], rng.integers(len(data), size=56)])
    images = data.images(indices)
    for (shape, scale, orientation, x, y), image in zip(data.factors(indices), images, strict=True):
        columns, rows = rendering.sprite_vertices(shape, scale, orientation)
        corners = np.stack([columns[x], rows[y]], axis=1)
        np.testing.assert_array_equal(image[..., 0], 255 * winding_raster(corners, 64, 64))


def test_vertices():
    # An upright square of 19.2 pixels about the first and the last centre, 16 and 48.
    columns, rows = rendering.sprite_vertices(0, 5, 0)
    np.testing.assert_array_equal(np.unique(columns[0]), np.rint([256 * 6.4, 256 * 25.6]))
    np.testing.assert_array_equal(np.unique(rows[31]), np.rint([256 * 38.4, 256 * 57.6]))
    # The heart has its tip at the bottom, straight below the pivot; a quarter turn counter-clockwise (about: 39 steps
    # are a full one) takes it to the right.
    right, down = rendering.outline(2)
    tip = np.argmax(down)
    assert right[tip] == pytest.approx(0, abs=1e-12)
    assert down[tip] == pytest.approx(9.6 * ((13 + 5 - 2 + 1) / 14.5 - 0.15))
    columns, rows = rendering.sprite_vertices(2, 5, 10)
    assert columns[0, tip] > 256 * 16 + 0.98 * 256 * down[tip] and abs(rows[0, tip] - 256 * 16) < 256
    # The ellipse is wider than high.
    np.testing.assert_allclose(np.ptp(rendering.outline(1), axis=1), [2 * 12.768, 2 * 9.6 / 1.33], rtol=1e-3)


def test_no_vertex_is_near_a_tie():
    # What sin and cos leave open in their last digits then cannot change a pixel on any platform.
    for shape, scale, orientation in np.ndindex(3, 6, 40):
        right, down = rendering.outline(shape)
        angle = 2 * np.pi * orientation / 39
        turn = np.exp(-1j * angle) * (right + 1j * down) * (0.5 + 0.1 * scale)
        for exact in (turn.real, turn.imag):
            grid = 256 * (16 + np.arange(32)[:, None] * 32 / 31 + exact)
            assert np.abs(np.abs(grid - np.floor(grid)) - 0.5).min() > 1e-7


def test_number_of_on_pixels(areas):
    assert areas.sum() == 128_328_864


def test_mean_and_std_against_table_2(data, areas):
    share = areas / 4096
    mean, std = share.mean(), np.sqrt(share * (1 - share) * 4096 / 4095).mean()
    assert data.mean.shape == data.std.shape == (1,)
    assert data.mean[0] == pytest.approx(mean, rel=1e-14) and data.std[0] == pytest.approx(std, rel=1e-13)
    # As measured for the rendered images, to the digits given.
    assert mean == pytest.approx(0.042494424184163, abs=1e-15) and std == pytest.approx(0.195166454510189, abs=1e-15)
    # As published for the original.
    assert mean == pytest.approx(0.042494423521890, abs=1e-8) and std == pytest.approx(0.195166458806261, abs=1e-7)


def test_the_last_orientation_is_the_first(packed):
    grid = packed.reshape(18, 40, 1024, 512)
    np.testing.assert_array_equal(grid[:, 39], grid[:, 0])


def test_number_of_distinct_images(packed):
    assert len({hash(image.tobytes()) for image in packed}) == 715_706


def test_no_sprite_touches_the_border(packed):
    union = unpack(np.bitwise_or.reduce(packed, axis=0)[None])[0, ..., 0]
    rows, columns = np.nonzero(union)
    assert rows.min() >= 2 and columns.min() >= 2 and rows.max() <= 61 and columns.max() <= 61


def test_sprites_lie_in_their_windows(packed):
    grid = packed.reshape(720, 32, 32, 512)
    for x in (0, 13, 31):
        for y in (0, 7, 31):
            image = unpack(np.bitwise_or.reduce(grid[:, x, y], axis=0)[None])[0, ..., 0]
            rows, columns = np.nonzero(image)
            assert columns.min() >= 2 + x and columns.max() <= 30 + x
            assert rows.min() >= 2 + y and rows.max() <= 30 + y


def test_packed_is_the_images(data, packed):
    indices = np.random.default_rng(0).integers(len(data), size=300)
    images = data.images(indices)
    assert packed.shape == (737_280, 512) and packed.dtype == np.uint8
    np.testing.assert_array_equal(unpack(packed[indices]), images)
    np.testing.assert_array_equal(data.packed(indices), packed[indices])
    np.testing.assert_array_equal(data.render(data.factors(indices)), images)
    np.testing.assert_array_equal(np.packbits(images.reshape(300, 4096) > 0, axis=1), packed[indices])


def test_scale_of_areas(areas):
    # A sprite covers about its area: the square of side 2 · 9.6 · scale, at any orientation and position.
    squares = areas.reshape(3, 6, -1).mean(axis=2)[0]
    np.testing.assert_allclose(squares, (19.2 * np.linspace(0.5, 1, 6)) ** 2, rtol=1e-3)


def test_instances_share_one_table_and_copies_hold_none(data):
    assert rendering.sprite_rows() is rendering.sprite_rows()
    assert not rendering.sprite_rows().flags.writeable
    assert len(pickle.dumps(data)) < 2000
    np.testing.assert_array_equal(copy.deepcopy(data).images([7]), DSprites().images([7]))


def test_original(tmp_path, monkeypatch):
    table = np.lib.format.open_memmap(tmp_path / "table.npy", "w+", "uint8", (737_280, 512))  # sparse: takes no room
    some = np.random.default_rng(0).integers(256, size=(3, 512), dtype="uint8")
    table[[0, 9, 737_279]] = some
    asked = []

    def open_table(source, data_dir, manual_dir):
        asked.append((data_dir, manual_dir))
        return table, {}

    monkeypatch.setattr(dsprites, "open_table", open_table)
    data = DSprites("original", data_dir=tmp_path, manual_dir=tmp_path / "mine")
    assert asked == [(tmp_path, tmp_path / "mine")]
    np.testing.assert_array_equal(data.images([9, 0, 737_279, 4])[:3], unpack(some[[1, 0, 2]]))
    np.testing.assert_array_equal(data.packed([737_279, 8]), [some[2], np.zeros(512)])
    np.testing.assert_array_equal(data.render(np.array([[0, 0, 0, 0, 9]])), unpack(some[1:2]))
    # The published constants; opened once.
    assert (data.mean.tolist(), data.std.tolist()) == ([0.042494423521890], [0.195166458806261])
    DSprites("original", data_dir=tmp_path, manual_dir=tmp_path / "mine").images([1])
    assert len(asked) == 1
    assert len(pickle.dumps(data)) < 2000


@pytest.mark.parametrize("source", ["Rendered", "", None, 1])
def test_source_that_is_refused(source):
    with pytest.raises(ValueError, match=r'source must be "rendered" or "original", got '):
        DSprites(source)


@pytest.mark.parametrize("indices", [[-1], [737_280], [0.5], [[0]]])
def test_indices_that_are_refused(data, indices):
    for function in (data.images, data.packed):
        with pytest.raises(ValueError, match="indices must"):
            function(indices)
