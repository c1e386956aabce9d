import keras
import numpy as np
import pytest

from kerasvae.losses import BernoulliNLL, BoxBlurMSE, MeanAbsoluteError, MeanSquaredError


def bernoulli(image, logit):
    probability = 1 / (1 + np.exp(-logit))
    return -image * np.log(probability) - (1 - image) * np.log1p(-probability)


FORMULAS = {
    MeanSquaredError: lambda image, reconstruction: (image - reconstruction) ** 2,
    MeanAbsoluteError: lambda image, reconstruction: np.abs(image - reconstruction),
    BernoulliNLL: bernoulli,
}
ALL = [*FORMULAS, BoxBlurMSE]


def batch(seed=0, shape=(3, 4, 5, 2)):
    rng = np.random.default_rng(seed)
    return rng.random(shape).astype("float32"), (2 * rng.normal(size=shape)).astype("float32")


def expected(loss, image, reconstruction):
    return FORMULAS[loss](image.astype("float64"), reconstruction.astype("float64")).mean(axis=(1, 2, 3))


def values(loss, image, reconstruction):
    return keras.ops.convert_to_numpy(loss.call(image, reconstruction))


@pytest.mark.parametrize("loss", FORMULAS)
def test_one_value_an_image(loss):
    image, reconstruction = batch()
    got = values(loss(), image, reconstruction)
    assert got.shape == (3,) and got.dtype == np.float32
    np.testing.assert_allclose(got, expected(loss, image, reconstruction), rtol=1e-5)


@pytest.mark.parametrize("loss", FORMULAS)
def test_called_as_a_keras_loss(loss):
    image, reconstruction = batch(1)
    wanted = expected(loss, image, reconstruction)
    weight = np.array([0.5, 0.0, 2.0], "float32")
    assert float(loss()(image, reconstruction)) == pytest.approx(wanted.mean(), rel=1e-5)
    assert float(loss(reduction="sum")(image, reconstruction)) == pytest.approx(wanted.sum(), rel=1e-5)
    weighted = float(loss()(image, reconstruction, sample_weight=weight))
    assert weighted == pytest.approx((weight * wanted).mean(), rel=1e-5)
    unreduced = loss(reduction=None)(image, reconstruction, sample_weight=weight)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(unreduced), weight * wanted, rtol=1e-5)


@pytest.mark.parametrize("loss", FORMULAS)
def test_config_round_trip(loss):
    image, reconstruction = batch(2)
    original = loss(reduction="sum", name="pixels")
    serialized = keras.saving.serialize_keras_object(original)
    assert serialized["registered_name"] == f"kerasvae>{loss.__name__}"
    copy = keras.saving.deserialize_keras_object(serialized)
    assert type(copy) is loss and copy.get_config() == original.get_config() and copy.name == "pixels"
    assert float(copy(image, reconstruction)) == pytest.approx(expected(loss, image, reconstruction).sum(), rel=1e-5)


@pytest.mark.parametrize("loss", FORMULAS)
def test_in_a_compiled_model(loss):
    image, reconstruction = batch(3)
    inputs = keras.Input(image.shape[1:])
    model = keras.Model(inputs, keras.layers.Rescaling(2.0)(inputs))
    model.compile(loss=loss())
    wanted = expected(loss, image, 2 * reconstruction).mean()
    assert model.evaluate(reconstruction, image, verbose=0) == pytest.approx(wanted, rel=1e-5)


def test_bernoulli_of_large_logits():
    # A sure and right prediction costs nothing, a sure and wrong one its logit; nothing overflows.
    logit = np.array([1e4, -1e4, 1e4, -1e4, 30.0, -30.0, 0.0], "float32").reshape(-1, 1, 1, 1)
    image = np.array([1, 0, 0, 1, 1, 0, 0.3], "float32").reshape(-1, 1, 1, 1)
    exact = [0, 0, 1e4, 1e4, np.exp(-30.0), np.exp(-30.0), np.log(2)]
    np.testing.assert_allclose(values(BernoulliNLL(), image, logit), exact, rtol=1e-5)


def test_bernoulli_is_least_where_the_probability_is_the_image():
    image = np.full((1, 1, 1, 1), 0.2, "float32")
    logits = np.log(0.2 / 0.8) + np.array([-0.5, 0.0, 0.5])
    costs = [values(BernoulliNLL(), image, np.full_like(image, logit))[0] for logit in logits]
    assert np.argmin(costs) == 1
    assert costs[1] == pytest.approx(-0.2 * np.log(0.2) - 0.8 * np.log(0.8), rel=1e-5)


def test_expected_image():
    logit = np.array([-1e4, -1.0, 0.0, 2.0, 1e4], "float32").reshape(1, 1, 5, 1)
    probability = keras.ops.convert_to_numpy(BernoulliNLL().expected_image(logit))
    exact = [0, 1 / (1 + np.e), 0.5, 1 / (1 + np.exp(-2)), 1]
    np.testing.assert_allclose(probability.ravel(), exact, rtol=1e-6)


@pytest.mark.parametrize("loss", ALL)
def test_uint8_does_not_wrap(loss):
    image, other = np.zeros((1, 2, 2, 1), "uint8"), np.ones((1, 2, 2, 1), "uint8")
    floating = values(loss(), image.astype("float32"), other.astype("float32"))
    np.testing.assert_array_equal(values(loss(), image, other), floating)
    np.testing.assert_array_equal(values(loss(), image, other.astype("float32")), floating)


@pytest.mark.parametrize("loss", ALL)
@pytest.mark.parametrize(
    "true, predicted",
    [
        ((2, 4, 4, 3), (2, 4, 4, 1)),
        ((2, 4, 4, 1), (2, 4, 4, 3)),
        ((2, 4, 5, 1), (2, 5, 4, 1)),
        ((1, 4, 4, 1), (2, 4, 4, 1)),
        ((2, 4, 4), (2, 4, 4)),
        ((2, 4, 4), (2, 4, 4, 1)),
        ((2, 16), (2, 16)),
        ((1, 2, 4, 4, 1), (1, 2, 4, 4, 1)),
    ],
)
def test_shapes_that_are_refused(loss, true, predicted):
    # Broadcasting would give a number for most of these.
    with pytest.raises(ValueError, match=rf"{loss.__name__} compares.*y_true \({true[0]}, .*y_pred \({predicted[0]}, "):
        loss().call(np.zeros(true, "float32"), np.zeros(predicted, "float32"))
