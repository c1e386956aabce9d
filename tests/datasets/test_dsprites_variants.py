import copy
import pickle

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.stats import chisquare, kstest

from kerasvae import random_numbers as numbers
from kerasvae.datasets import dsprites_rendering as rendering
from kerasvae.datasets.dsprites import DSprites
from kerasvae.datasets.dsprites_variants import ColorDSprites, NoisyDSprites, ScreamDSprites
from kerasvae.datasets.random_parts import check_draws, check_seed, uniform

LARGEST = 2**31 - 1
VARIANTS = ["color", "noisy", "scream"]
every_variant = pytest.mark.parametrize("name", VARIANTS)


@pytest.fixture(scope="module")
def sprites():
    return DSprites()


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A picture of known pixels, small enough to be left as it is: 90 wide, 80 high."""
    pixels = np.random.default_rng(0).integers(256, size=(80, 90, 3), dtype="uint8")
    path = tmp_path_factory.mktemp("picture") / "picture.png"
    Image.fromarray(pixels).save(path)
    return path, pixels


@pytest.fixture(scope="module")
def build(picture):
    def build(name, **arguments):
        if name == "scream":
            return ScreamDSprites(picture[0], **arguments)
        return {"color": ColorDSprites, "noisy": NoisyDSprites}[name](**arguments)

    return build


def some_indices(count=40, seed=0):
    return np.random.default_rng(seed).integers(737_280, size=count)


# The hash.


def test_uniform_is_the_models_noise():
    lanes, draws = np.array([0, 1, 77, 2**24, LARGEST]), np.array([0, 1, 57_600, LARGEST])
    for seed, stream in ((0, 0), (7, 3), (LARGEST, 1_000_003)):
        got = uniform(seed, draws, lanes, stream)
        assert got.dtype == np.float32 and got.shape == (4, 5)
        for row, draw in zip(got, draws, strict=True):
            expected = numbers.uniform(seed, int(draw), keras.ops.convert_to_tensor(lanes, dtype="int32"), stream)
            np.testing.assert_array_equal(row, keras.ops.convert_to_numpy(expected))


def test_uniform_is_uniform():
    draws, lanes = np.arange(300), np.arange(100)
    values = uniform(5, draws, lanes, 2)
    assert kstest(values.ravel(), "uniform").pvalue > 1e-3
    # Neighbouring draws, lanes, seeds and streams have nothing to do with each other.
    others = [values[1:], values[:, 1:], uniform(6, draws, lanes, 2), uniform(5, draws, lanes, 3)]
    for one, other in zip([values[:-1], values[:, :-1], values, values], others, strict=True):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(one.size)


def test_uniform_stays_between_0_and_1():
    # Lanes whose hash begins with 23 zeros or 23 ones.
    values = uniform(0, np.array([0]), np.array([4_238_149, 7_579_884]), 0)
    assert values.tolist() == [[2.0**-24, 1 - 2.0**-24]]
    # The largest, scaled to any number of places and rounded down, is still the last place.
    places = np.arange(1, 100_000)
    np.testing.assert_array_equal(np.floor(values[0, 1] * places.astype("float32")), places - 1)


# What the variants share.


@every_variant
def test_what_it_is(build, sprites, name):
    data = build(name)
    assert len(data) == 737_280 and data.image_shape == (64, 64, 3) and data.random and data.complete
    assert data.factor_names == sprites.factor_names and data.factor_sizes == sprites.factor_sizes
    images = data.images(some_indices())
    assert images.shape == (40, 64, 64, 3) and images.dtype == np.uint8
    assert data.images([]).shape == (0, 64, 64, 3)
    assert data.mean.shape == data.std.shape == (3,) and (data.std > 0).all()
    assert data.standardize(images).dtype == np.float32


@every_variant
def test_an_image_is_a_function_of_index_seed_and_draw(build, name):
    data, indices = build(name, seed=3), some_indices()
    draws = np.arange(1000, 1040)
    images = data.images(indices, draws)
    np.testing.assert_array_equal(build(name, seed=3).render(data.factors(indices), draws), images)
    # In any order and any company.
    order = np.random.default_rng(1).permutation(40)
    np.testing.assert_array_equal(data.images(indices[order], draws[order]), images[order])
    np.testing.assert_array_equal(data.images(indices[5:6], draws[5:6]), images[5:6])
    for other in (data.images(indices, draws + 1), build(name, seed=4).images(indices, draws)):
        assert (other != images).any(axis=(1, 2, 3)).all()


@every_variant
def test_the_default_draw_is_the_index(build, name):
    data, indices = build(name), some_indices()
    expected = data.images(indices, indices)
    np.testing.assert_array_equal(data.images(indices), expected)
    np.testing.assert_array_equal(data.images(indices.tolist()), expected)
    np.testing.assert_array_equal(data.render(data.factors(indices)), expected)


@every_variant
def test_one_draw_gives_every_sprite_the_same_random_parts(build, sprites, name):
    images = build(name).images(some_indices(), np.full(40, 9))
    off = np.repeat(sprites.images(some_indices()) == 0, 3, axis=-1)
    background = np.where(off, images, 0).max(axis=0)
    np.testing.assert_array_equal(np.where(off, images, background), np.broadcast_to(background, images.shape))


@every_variant
def test_copies_hold_no_table(build, name):
    data = build(name, seed=2)
    data.images([0])
    assert len(pickle.dumps(data)) < 40_000
    twin = copy.deepcopy(data)
    np.testing.assert_array_equal(twin.images([5]), data.images([5]))
    np.testing.assert_array_equal(twin.mean, data.mean)


@every_variant
def test_mean_and_std(build, name):
    data = build(name, seed=1)
    np.testing.assert_array_equal(data.mean, build(name, seed=8).mean)
    pixels = data.images(some_indices(2000, seed=4), np.arange(2000)).reshape(2000, 4096, 3) / np.float32(255)
    means, deviations = pixels.mean(axis=1, dtype="float64"), pixels.std(axis=1, ddof=1, dtype="float64")
    for constant, values in ((data.mean, means), (data.std, deviations)):
        error = values.std(axis=0) / np.sqrt(len(values))
        # Scream's own constants are good to about 0.0005.
        assert (np.abs(values.mean(axis=0) - constant) < 4 * error + (5e-4 if name == "scream" else 0)).all()


@every_variant
@pytest.mark.parametrize("seed", [-1, 2**31, 1.0, True, None, "0"])
def test_seed_that_is_refused(build, name, seed):
    with pytest.raises(ValueError, match=r"seed must be an integer in 0\.\.2147483647, got"):
        build(name, seed=seed)


@every_variant
def test_source_that_is_refused(build, name):
    with pytest.raises(ValueError, match='source must be "rendered" or "original"'):
        build(name, source="drawn")


@pytest.mark.parametrize(
    "draws, match",
    [
        ([1], r"draws must be integers of shape \(2,\).*shape \(1,\)"),
        ([[1, 2]], r"draws must be integers of shape \(2,\)"),
        ([0.5, 1], "draws must be integers.*float64"),
        ([-1, 0], r"draws must lie in 0..2147483647, got -1..0"),
        ([0, 2**31], "draws must lie in"),
    ],
)
def test_draws_that_are_refused(draws, match):
    with pytest.raises(ValueError, match=match):
        ColorDSprites().images([0, 1], draws)
    with pytest.raises(ValueError, match=match):
        check_draws(draws, 2)


def test_seed_and_draws_that_are_allowed():
    assert check_seed(np.int64(LARGEST)) == LARGEST
    assert check_draws([], 0).shape == (0,)
    ColorDSprites(seed=LARGEST).images([0], [LARGEST])


# Colour.


def test_colour_is_on_the_sprite_alone(sprites):
    images, sprite = ColorDSprites().images(some_indices()), sprites.images(some_indices())
    colours = images.max(axis=(1, 2))
    np.testing.assert_array_equal(images, np.where(sprite > 0, colours[:, None, None], 0))
    assert colours.min() >= 128


def test_colours_are_uniform_in_the_upper_half():
    colours = ColorDSprites(seed=6).images(np.zeros(4000, int), np.arange(4000)).max(axis=(1, 2))
    counts = np.bincount(colours.ravel(), minlength=256)[128:]
    expected = np.array([2.0] * 127 + [1.0]) * 12_000 / 255  # 255 holds half an interval: 254.5/255 to 1
    assert chisquare(counts, expected).pvalue > 1e-3
    correlation = np.corrcoef(colours.T)[np.triu_indices(3, 1)]
    assert np.abs(correlation).max() < 4 / np.sqrt(4000)


def test_colours_are_the_formula_rounded(sprites):
    draws = np.arange(200)
    colours = ColorDSprites(seed=2).images(np.zeros(200, int), draws).max(axis=(1, 2))
    exact = 255 * (0.5 + uniform(2, draws, np.arange(3), 1_000_000).astype("float64") / 2)
    assert np.abs(colours - exact).max() <= 0.5 + 1e-4


def test_colour_constants_follow_from_the_sprites(sprites):
    # 0.5..1 has the mean 0.75; rounding to 256 levels moves it by 4e-6.
    data = ColorDSprites()
    np.testing.assert_allclose(data.mean, 0.75 * sprites.mean.repeat(3), rtol=6e-6)
    np.testing.assert_allclose(data.std, 0.75 * sprites.std.repeat(3), rtol=6e-6)
    np.testing.assert_allclose(data.mean, (128 * 255 + 127**2) / 255**2 * sprites.mean.repeat(3), rtol=1e-14)


# Noise.


def test_noise_leaves_the_sprite_white(sprites):
    images, sprite = NoisyDSprites().images(some_indices()), sprites.images(some_indices())
    assert (images[np.repeat(sprite > 0, 3, axis=-1)] == 255).all()
    draws = some_indices()
    exact = 255 * uniform(0, draws, np.arange(64 * 64 * 3), 1_000_001).reshape(-1, 64, 64, 3).astype("float64")
    exact = np.where(sprite > 0, 255, exact)
    assert np.abs(images - exact).max() <= 0.5 + 1e-4


def test_noise_is_uniform_and_independent():
    off = NoisyDSprites(seed=1).images(np.zeros(20, int), np.arange(20))[:, 32:].astype("float64")  # sprite above
    counts = np.bincount(off.astype(int).ravel(), minlength=256)
    expected = np.array([0.5] + [1.0] * 254 + [0.5]) / 255 * off.size
    assert chisquare(counts, expected).pvalue > 1e-3
    neighbours = [(off[1:], off[:-1]), (off[:, 1:], off[:, :-1]), (off[:, :, 1:], off[:, :, :-1])]
    neighbours += [(off[..., 0], off[..., 1]), (off[..., 1], off[..., 2])]
    for one, other in neighbours:
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(one.size)


def noisy_deviation(area):
    """E[sqrt(S²)] to second order, S² the unbiased variance of 4096 values: `area` ones, the rest uniform levels."""
    total, levels = 4096, np.arange(256) / 255
    chance = np.array([0.5] + [1.0] * 254 + [0.5]) / 255
    off, square = total - area, chance @ levels**2
    # E of the sum of squares, and of the squared sum, of `area` ones and `off` independent levels.
    squares = area + off * square
    squared_sum = (area + off / 2) ** 2 + off * (square - 0.25)
    expected = (squares - squared_sum / total) / (total - 1)
    about_mean = (levels - (area + off / 2) / total) ** 2
    variance = off * (chance @ about_mean**2 - (chance @ about_mean) ** 2) / (total - 1) ** 2
    return np.sqrt(expected) * (1 - variance / (8 * expected**2))


def test_noisy_constants(sprites):
    data = NoisyDSprites()
    np.testing.assert_array_equal(data.mean, (1 + sprites.mean[0]) / 2)
    areas, counts = np.unique(np.bitwise_count(rendering.sprite_rows()).sum(axis=-1, dtype=int), return_counts=True)
    deviations = np.array([noisy_deviation(area) for area in areas])
    np.testing.assert_allclose(data.std, np.average(deviations, weights=counts), rtol=1e-12)


def test_second_order_deviation_against_draws():
    rng = np.random.default_rng(0)
    for area in (50, 400):
        values = np.rint(255 * rng.random((1000, 4096), "float32")) / np.float32(255)
        values[:, :area] = 1
        deviations = values.std(axis=1, ddof=1, dtype="float64")
        assert abs(deviations.mean() - noisy_deviation(area)) < 4 * deviations.std() / np.sqrt(1000)


# Scream.


def test_scream_is_a_crop_in_a_tint_inverted_on_the_sprite(picture, sprites):
    path, pixels = picture
    data, indices = ScreamDSprites(path, seed=5), some_indices(30)
    np.testing.assert_array_equal(data.background, pixels)
    images, sprite = data.images(indices).astype(float), sprites.images(indices) > 0
    background = np.where(sprite, 255 - images, images)
    places = uniform(5, indices, np.arange(2), 1_000_002).astype("float64")
    tints = uniform(5, indices, np.arange(3), 1_000_003).astype("float64")
    for image, (top, left), tint in zip(background, places, tints, strict=True):
        top, left = int(17 * top), int(27 * left)  # 80 - 64 + 1 and 90 - 64 + 1 places
        exact = (pixels[top : top + 64, left : left + 64] + 255 * tint) / 2
        assert np.abs(image - exact).max() <= 0.5 + 1e-4


def test_crops_are_uniform_over_all_places(tmp_path):
    # A picture that says where it was cut: its first pixel's red is the row, green the column.
    rows, columns = np.mgrid[:67, :66]
    Image.fromarray(np.stack([2 * rows, 2 * columns, 0 * rows], axis=2).astype("uint8")).save(tmp_path / "places.png")
    data = ScreamDSprites(tmp_path / "places.png", seed=1)
    tints = np.floor(255 * uniform(1, np.arange(1500), np.arange(3), 1_000_003).astype("float64"))
    corner = data.images(np.zeros(1500, int), np.arange(1500))[:, 0, 0]  # no sprite reaches it
    top, left = (((2.0 * corner - tints) // 2)[:, :2] + 0.0).astype(int).T
    counts = np.bincount(top * 3 + left, minlength=12)
    assert len(counts) == 12 and chisquare(counts).pvalue > 1e-3


def test_a_picture_of_the_crops_size(tmp_path):
    Image.new("RGB", (64, 64), (100, 0, 255)).save(tmp_path / "one.png")
    data = ScreamDSprites(tmp_path / "one.png")
    images = data.images(np.zeros(2000, int), np.arange(2000))
    # Without a sprite in that corner: (colour + U(0, 1))/2 in each channel.
    corner = images[:, 0, 0] / 255
    for channel, colour in enumerate(np.array([100, 0, 255]) / 255):
        assert corner[:, channel].min() >= colour / 2 - 0.002 and corner[:, channel].max() <= colour / 2 + 0.502
        assert kstest(corner[:, channel] * 2 - colour, "uniform").statistic < 0.05
    # The mean over tints is known: b = (colour + 1/2)/2 off the sprite, 1 - b on it.
    background, share = (np.array([100, 0, 255]) / 255 + 0.5) / 2, data.sprites.mean
    np.testing.assert_allclose(data.mean, background * (1 - share) + (1 - background) * share, atol=5e-4)


@pytest.mark.parametrize(
    "size, shrunk",
    [((1254, 1604), (214, 274)), ((700, 400), (350, 200)), ((350, 274), (350, 274)), ((80, 70), (80, 70))],
)
def test_the_picture_is_shrunk_to_fit(tmp_path, size, shrunk):
    Image.new("RGB", size, (10, 200, 30)).save(tmp_path / "large.png")
    background = ScreamDSprites(tmp_path / "large.png").background
    assert background.shape == (shrunk[1], shrunk[0], 3)
    np.testing.assert_array_equal(background, np.broadcast_to([10, 200, 30], background.shape))


def test_other_kinds_of_picture(tmp_path):
    Image.new("L", (100, 100), 77).save(tmp_path / "grey.png")
    assert (ScreamDSprites(str(tmp_path / "grey.png")).background == 77).all()
    Image.new("RGB", (500, 600), (90, 120, 30)).save(tmp_path / "photo.jpg")
    background = ScreamDSprites(tmp_path / "photo.jpg").background
    assert background.shape == (274, 228, 3)
    np.testing.assert_allclose(background, np.broadcast_to([90, 120, 30], background.shape), atol=3)


def test_backgrounds_that_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file '.*absent.jpg'.*wikimedia.org/.*/The_Scream.jpg"):
        ScreamDSprites(tmp_path / "absent.jpg")
    with pytest.raises(FileNotFoundError, match="background: there is no file"):
        ScreamDSprites(tmp_path)
    for background in (None, 3, np.zeros((80, 80, 3))):
        with pytest.raises(ValueError, match="background must be the path of an image file, got"):
            ScreamDSprites(background)
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(ValueError, match=r"text\.jpg' cannot be read as an image"):
        ScreamDSprites(tmp_path / "text.jpg")
    Image.fromarray(np.random.default_rng(0).integers(256, size=(90, 90, 3), dtype="uint8")).save(tmp_path / "cut.png")
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.png' cannot be read as an image"):
        ScreamDSprites(tmp_path / "cut.png")
    Image.new("RGB", (2000, 200)).save(tmp_path / "flat.png")
    with pytest.raises(ValueError, match=r"at least 64 x 64 pixels.*has 350 x 35 \(width x height\)"):
        ScreamDSprites(tmp_path / "flat.png")
