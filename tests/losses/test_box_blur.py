import keras
import numpy as np
import pytest
from scipy.signal import convolve2d

from kerasvae.datasets import XYSquares
from kerasvae.losses import BoxBlurMSE
from kerasvae.losses.box_blur import box_sums


def direct_blur(images, radius):
    """Mean over the (2·radius + 1)² box in float64, zero outside, by direct convolution."""
    side = 2 * radius + 1
    kernel = np.full((side, side), 1 / side**2)
    channels_first = np.asarray(images, "float64").transpose(0, 3, 1, 2)
    blurred = [[convolve2d(channel, kernel, mode="same") for channel in image] for image in channels_first]
    return np.array(blurred).transpose(0, 2, 3, 1)


def direct_loss(image, reconstruction, radius, weight, pixel_weight=1.0):
    difference = np.asarray(image, "float64") - np.asarray(reconstruction, "float64")
    pixels, blurred = (np.mean(x**2, axis=(1, 2, 3)) for x in (difference, direct_blur(difference, radius)))
    return pixel_weight * pixels + weight * blurred


def per_image(loss, image, reconstruction):
    return keras.ops.convert_to_numpy(loss.call(image, reconstruction))


def squares(*positions):
    """One image in 0..1 with the red square at (x, y), both in grid steps, for each of the positions."""
    data = XYSquares()
    factors = np.tile([0, 0, 6, 2, 3, 5], (len(positions), 1))
    factors[:, :2] = positions
    return (data.render(factors) / 255).astype("float32")


@pytest.fixture(scope="module")
def one_factor_pairs():
    """All 2 · 8 · 28 pairs that differ in the x or the y of one square: grid steps, images, images."""
    steps, first, second = [], [], []
    for number, (axis, other, start, end) in enumerate(np.ndindex(2, 8, 8, 8)):
        if start < end:
            square = number % 3
            factors = np.array([0, 7, 4, 1, 2, 5])
            factors[2 * square + 1 - axis] = other
            for value, images in ((start, first), (end, second)):
                factors[2 * square + axis] = value
                images.append(factors.copy())
            steps.append(end - start)
    assert np.bincount(steps).tolist() == [0] + [16 * (8 - step) for step in range(1, 8)]
    data = XYSquares()
    return np.array(steps), *((data.render(np.array(images)) / 255).astype("float32") for images in (first, second))


def mean_by_step(loss, pairs):
    steps, first, second = pairs
    distances = per_image(loss, first, second).astype("float64")
    return np.array([distances[steps == step].mean() for step in range(1, 8)])


def test_distance_grows_with_every_grid_step(one_factor_pairs):
    means = mean_by_step(BoxBlurMSE(), one_factor_pairs)
    expected = [0.031821, 0.063592, 0.095658, 0.128242, 0.159274, 0.190306, 0.221338]
    np.testing.assert_allclose(means, expected, atol=1e-5, rtol=0)
    everything = per_image(BoxBlurMSE(), *one_factor_pairs[1:]).astype("float64")
    assert everything.mean() == pytest.approx(0.095547, abs=1e-5)
    assert everything.std() == pytest.approx(0.058444, abs=1e-5)
    # The paper's claim: linear in the step, through the origin, to 2 %.
    np.testing.assert_allclose(means / np.arange(1, 8), means[-1] / 7, rtol=0.02)


def test_weight_1_sees_no_distance(one_factor_pairs):
    means = mean_by_step(BoxBlurMSE(weight=1.0), one_factor_pairs)
    assert np.all((means > 0.010416) & (means < 0.010475))


@pytest.mark.parametrize("radius, peak", [(15, 4), (7, 3)])
def test_small_radius_falls_again(one_factor_pairs, radius, peak):
    means = mean_by_step(BoxBlurMSE(radius, weight=(2 * radius + 1) ** 2), one_factor_pairs)
    assert np.argmax(means) + 1 == peak
    assert means[-1] < means[peak - 1] - 1e-4
    assert np.all(np.diff(means[:peak]) > 0)


def test_radius_of_less_than_half_a_step_is_flat_from_step_2():
    # Away from the border, blurred squares two grid steps (16 pixels) apart do not meet: 8 + 2 · 3 < 16.
    moved = squares(*((1 + step, 3) for step in range(1, 6)))
    values = per_image(BoxBlurMSE(radius=3, weight=49.0), squares((1, 3)).repeat(5, axis=0), moved)
    assert values[0] < 0.9 * values[1]
    np.testing.assert_allclose(values[1:], values[1], rtol=1e-5)


@pytest.mark.parametrize(
    "before, after, pixels, blurred, authors",
    [
        # The authors' own code, in float32, printed the totals in the last column.
        ((0, 0), (1, 0), 0.01041667, 0.01543275, 0.02584944),
        ((3, 3), (7, 3), 0.01041667, 0.14843750, 0.15885434),
    ],
)
def test_single_moves(before, after, pixels, blurred, authors):
    pair = np.split(squares(before, after), 2)
    assert per_image(BoxBlurMSE(weight=0.0), *pair)[0] == pytest.approx(pixels, abs=2e-8)
    assert per_image(BoxBlurMSE(pixel_weight=0.0), *pair)[0] == pytest.approx(blurred, abs=2e-8)
    assert per_image(BoxBlurMSE(), *pair)[0] == pytest.approx(authors, abs=3e-7)


@pytest.mark.parametrize("channels, size", [(1, (9, 14)), (2, (14, 9)), (3, (8, 8)), (4, (1, 5))])
@pytest.mark.parametrize("radius", [0, 1, 7, 31, 80])
def test_equals_direct_convolution(radius, channels, size):
    rng = np.random.default_rng(radius + channels)
    image, reconstruction = rng.normal(size=(2, 3, *size, channels)).astype("float32")
    sums = keras.ops.convert_to_numpy(box_sums(keras.ops.convert_to_tensor(image), radius))
    np.testing.assert_allclose(sums, direct_blur(image, radius) * (2 * radius + 1) ** 2, atol=2e-5)
    weight = (2 * radius + 1) ** 2 * 0.7
    values = per_image(BoxBlurMSE(radius, weight, 0.3), image, reconstruction)
    assert values.shape == (3,)
    np.testing.assert_allclose(values, direct_loss(image, reconstruction, radius, weight, 0.3), rtol=1e-5)


def test_radius_0_is_the_pixel_loss_again():
    image, reconstruction = np.random.default_rng(0).random((2, 2, 4, 6, 2), "float32")
    mse = np.mean((image - reconstruction) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(per_image(BoxBlurMSE(0, 2.5, 0.5), image, reconstruction), 3 * mse, rtol=1e-6)


def test_images_do_not_mix():
    image, reconstruction = np.random.default_rng(1).random((2, 4, 5, 6, 3), "float32")
    loss = BoxBlurMSE(radius=2, weight=25.0)
    together = per_image(loss, image, reconstruction)
    alone = [per_image(loss, image[i : i + 1], reconstruction[i : i + 1])[0] for i in range(4)]
    np.testing.assert_allclose(together, alone, rtol=1e-6)
    assert len(set(together.tolist())) == 4
    assert float(loss(image, reconstruction)) == pytest.approx(together.mean(), rel=1e-6)
    weighted = float(loss(image, reconstruction, sample_weight=np.array([0, 1, 0, 3], "float32")))
    assert weighted == pytest.approx((together[1] + 3 * together[3]) / 4, rel=1e-6)


def test_equal_images_are_at_distance_0_and_the_loss_is_symmetric():
    image, reconstruction = np.random.default_rng(2).random((2, 2, 5, 4, 1), "float32")
    loss = BoxBlurMSE(radius=3)
    assert per_image(loss, image, image).tolist() == [0, 0]
    np.testing.assert_array_equal(per_image(loss, image, reconstruction), per_image(loss, reconstruction, image))


def test_standardised_data_scale_by_inverse_variance():
    data = XYSquares()
    raw = data.render(np.array([[0, 1, 2, 3, 4, 5], [5, 1, 2, 7, 4, 5]]))
    scale = 1 / 0.12403473**2
    for loss in (BoxBlurMSE(), BoxBlurMSE(5, 121.0)):
        plain = per_image(loss, raw[:1] / np.float32(255), raw[1:] / np.float32(255))
        standardised = per_image(loss, *np.split(data.standardize(raw), 2))
        np.testing.assert_allclose(standardised, scale * plain, rtol=1e-5)
    assert scale == pytest.approx(65.0, abs=0.01)


def reconstructing(first, batch=1):
    """A model whose kernel is its only output image: one SGD step at rate 1 subtracts the loss's gradient."""
    image_shape = first.shape[1:]
    inputs = keras.Input((1,))
    flat = keras.layers.Dense(first.size, use_bias=False, name="image")(inputs)
    model = keras.Model(inputs, keras.layers.Reshape(image_shape)(flat))
    model.get_layer("image").set_weights([first.reshape(1, -1)])
    return model, np.ones((batch, 1), "float32")


def test_gradient_in_a_compiled_model():
    rng = np.random.default_rng(3)
    target, start = rng.normal(size=(2, 1, 5, 6, 2)).astype("float32")
    loss = BoxBlurMSE(radius=2, weight=25.0, pixel_weight=0.5)
    model, ones = reconstructing(start)
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss)
    logged = model.fit(ones, target, verbose=0).history["loss"][0]
    assert logged == pytest.approx(direct_loss(target, start, 2, 25.0, 0.5)[0], rel=1e-5)
    gradient = start - model.get_layer("image").get_weights()[0].reshape(start.shape)
    # The loss is quadratic: central differences are exact for any step.
    moves = np.eye(start.size).reshape(-1, *start.shape[1:])
    up, down = (direct_loss(target, start + sign * moves, 2, 25.0, 0.5) for sign in (1, -1))
    np.testing.assert_allclose(gradient.ravel(), (up - down) / 2, atol=1e-6)
    numerical = (per_image(loss, target.repeat(60, 0), (start + moves).astype("float32")) - down) / 2
    np.testing.assert_allclose(gradient.ravel(), numerical, atol=1e-5)


def test_compiled_model_finds_the_image():
    target = np.random.default_rng(4).normal(size=(1, 4, 4, 1)).astype("float32")
    model, ones = reconstructing(np.zeros_like(target), batch=8)
    model.compile(optimizer=keras.optimizers.SGD(4.0), loss=BoxBlurMSE(radius=1, weight=1.0))
    targets = target.repeat(8, axis=0)
    before = model.evaluate(ones, targets, verbose=0)
    model.fit(ones, targets, epochs=8, verbose=0)
    assert before == pytest.approx(direct_loss(target, 0 * target, 1, 1.0)[0], rel=1e-5)
    assert model.evaluate(ones, targets, verbose=0) < 1e-3 * before


def test_config_round_trip():
    loss = BoxBlurMSE(radius=np.int64(4), weight=10, pixel_weight=0.25, reduction="sum", name="blur")
    config = loss.get_config()
    assert (type(config["radius"]), type(config["weight"])) == (int, float)
    image, reconstruction = np.random.default_rng(5).random((2, 3, 6, 5, 1), "float32")
    serialized = keras.saving.serialize_keras_object(loss)
    assert serialized["registered_name"] == "kerasvae>BoxBlurMSE"
    for other in (BoxBlurMSE.from_config(config), keras.saving.deserialize_keras_object(serialized)):
        assert type(other) is BoxBlurMSE and other.get_config() == config
        assert (other.radius, other.weight, other.pixel_weight, other.name) == (4, 10.0, 0.25, "blur")
        expected = direct_loss(image, reconstruction, 4, 10.0, 0.25).sum()
        assert float(other(image, reconstruction)) == pytest.approx(expected, rel=1e-5)


def test_saved_model_keeps_the_loss(tmp_path):
    target = np.random.default_rng(6).normal(size=(1, 4, 4, 1)).astype("float32")
    model, ones = reconstructing(np.zeros_like(target))
    model.compile(loss=BoxBlurMSE(radius=2, weight=9.0), optimizer=keras.optimizers.SGD())
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = direct_loss(target, 0 * target, 2, 9.0)[0]
    assert loaded.evaluate(ones, target, verbose=0) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"radius": -1}, "radius must be an integer, at least 0, got -1"),
        ({"radius": 1.0}, "radius must be an integer.*got 1.0"),
        ({"radius": True}, "radius must be an integer.*got True"),
        ({"radius": "3"}, "radius must be an integer.*got '3'"),
        ({"weight": -0.5}, "^weight must be a finite number, at least 0, got -0.5"),
        ({"weight": float("nan")}, "^weight must be.*got nan"),
        ({"weight": None}, "^weight must be.*got None"),
        ({"pixel_weight": float("inf")}, "pixel_weight must be.*got inf"),
        ({"pixel_weight": -1}, "pixel_weight must be.*got -1"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        BoxBlurMSE(**arguments)


def test_zero_is_allowed():
    loss = BoxBlurMSE(radius=0, weight=0, pixel_weight=0)
    assert float(loss(np.ones((1, 2, 2, 1), "float32"), np.zeros((1, 2, 2, 1), "float32"))) == 0
