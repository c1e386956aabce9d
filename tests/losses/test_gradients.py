"""Values and gradients of the losses against float64: at kinks, far out, in half precision."""

import keras
import numpy as np
import pytest
from gradients import gradients

from kerasvae.losses import BernoulliNLL, BoxBlurMSE, MeanAbsoluteError, MeanSquaredError
from kerasvae.losses.box_blur import box_sums

LOGITS = np.array([0.0, -0.0, 1e-20, -1e-20, 1e-6, -0.3, 0.3, 2.0, -2.0, 30.0, -30.0, 80.0, -80.0, 1e4, -1e4])
TARGETS = np.array([0.0, 1.0, 0.5, 0.2])


def sigmoid(x):
    return np.exp(-np.logaddexp(0.0, -x))


def pixels(values):
    """One image per number, of one pixel."""
    return np.reshape(values, (-1, 1, 1, 1)).astype("float32")


@pytest.mark.parametrize("target", TARGETS)
def test_bernoulli_gradient_is_the_probability_less_the_image(target):
    image = pixels(np.full(len(LOGITS), target))
    by_image, by_logit = gradients(BernoulliNLL().call, image, pixels(LOGITS))
    np.testing.assert_allclose(by_logit.ravel(), sigmoid(LOGITS) - np.float32(target), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(by_image.ravel(), -pixels(LOGITS).ravel(), rtol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_bernoulli_value(target):
    exact = np.logaddexp(0.0, LOGITS) - target * LOGITS if target != 1 else np.logaddexp(0.0, -LOGITS)
    got = BernoulliNLL().call(pixels(np.full(len(LOGITS), target)), pixels(LOGITS))
    np.testing.assert_allclose(keras.ops.convert_to_numpy(got), exact, rtol=2e-6, atol=1e-30)


def test_bernoulli_gradient_of_a_decoder_that_starts_at_zero():
    image = np.random.default_rng(0).random((2, 3, 3, 2)).astype("float32")
    _, by_logit = gradients(BernoulliNLL().call, image, np.zeros_like(image))
    np.testing.assert_allclose(by_logit, (0.5 - image) / 18, rtol=1e-6, atol=1e-8)


DIFFERENCES = np.array([0.0, 1e-20, -1e-20, 1e-6, 0.3, -2.0, 1e4, -1e4])


def test_squared_error_gradient():
    by_image, by_prediction = gradients(MeanSquaredError().call, pixels(0 * DIFFERENCES), pixels(DIFFERENCES))
    np.testing.assert_allclose(by_prediction.ravel(), 2 * DIFFERENCES, rtol=1e-6)
    np.testing.assert_array_equal(by_image, -by_prediction)


def test_absolute_error_gradient_is_the_sign_and_0_at_0():
    by_image, by_prediction = gradients(MeanAbsoluteError().call, pixels(0 * DIFFERENCES), pixels(DIFFERENCES))
    np.testing.assert_array_equal(by_prediction.ravel(), np.sign(DIFFERENCES))
    np.testing.assert_array_equal(by_image, -by_prediction)


def test_box_blur_gradient():
    rng = np.random.default_rng(1)
    image, prediction = rng.random((2, 5, 4, 2)).astype("float32"), rng.normal(size=(2, 5, 4, 2)).astype("float32")
    by_image, by_prediction = gradients(BoxBlurMSE(radius=1, weight=5.0, pixel_weight=0.5).call, image, prediction)
    difference = prediction - image
    # The blur is symmetric: its way back is itself.
    twice = keras.ops.convert_to_numpy(box_sums(box_sums(keras.ops.convert_to_tensor(difference), 1), 1)) / 9**2
    np.testing.assert_allclose(by_prediction, 2 / 40 * (0.5 * difference + 5.0 * twice), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_image, -by_prediction, atol=1e-7)
    at_zero = gradients(BoxBlurMSE().call, image, image)[1]
    assert not at_zero.any()


HALVES = ("float16", "bfloat16")
ALL = (MeanSquaredError, MeanAbsoluteError, BernoulliNLL, BoxBlurMSE)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("loss", ALL)
def test_half_precision_is_summed_in_float32(loss, dtype):
    # Sums over these images, let alone over their boxes, leave float16's range of 65504.
    shape = 2, 64, 64, 3
    rng = np.random.default_rng(2)
    image = keras.ops.cast(rng.integers(0, 2, shape), dtype)
    prediction = keras.ops.cast(20 * rng.normal(size=shape), dtype)
    got = loss().call(image, prediction)
    assert keras.backend.standardize_dtype(got.dtype) == "float32"
    wide = loss().call(*(keras.ops.cast(each, "float32") for each in (image, prediction)))
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(got), keras.ops.convert_to_numpy(wide))
    for array in gradients(loss().call, image, prediction):
        assert np.isfinite(array).all() and array.any()


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("loss", ALL)
def test_a_loss_of_half_precision(loss, dtype):
    image = np.random.default_rng(3).random((3, 8, 8, 1)).astype("float32")
    value = float(loss(dtype=dtype)(image, 1 - image))
    assert value == pytest.approx(float(loss()(image, 1 - image)), rel=0.02)
