"""Functions of pairs of posteriors: symmetric KL, which latents are shared, and their averages."""

import keras
import numpy as np
import pytest
from posteriors import POSTERIORS, integral, numpy, random_posteriors, tensors

from kerasvae import math


def test_symmetric_kl_is_half_of_both_ways():
    q1m, q1v, q2m, q2v = random_posteriors(1)
    both = numpy(math.symmetric_kl(*tensors(q1m, q1v, q2m, q2v)))
    forward = numpy(math.kl_normal(*tensors(q1m, q1v, q2m, q2v)))
    backward = numpy(math.kl_normal(*tensors(q2m, q2v, q1m, q1v)))
    assert both.shape == (50, 6)
    np.testing.assert_allclose(both, (forward + backward) / 2, rtol=2e-5, atol=1e-6)
    assert np.abs(forward - backward).max() > 1
    np.testing.assert_array_equal(both, numpy(math.symmetric_kl(*tensors(q2m, q2v, q1m, q1v))))


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_symmetric_kl_by_integration(posterior):
    mean1, logvar1, mean2, logvar2 = posterior
    expected = (integral(*posterior) + integral(mean2, logvar2, mean1, logvar1)) / 2
    got = float(numpy(math.symmetric_kl(*tensors(*posterior))))
    assert got == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_symmetric_kl_of_equal_posteriors_is_exactly_0():
    mean, logvar, *_ = random_posteriors(2, (200, 5))
    for scale in (0.1, 1.0, 8.0):
        kl = numpy(math.symmetric_kl(*tensors(mean, scale * logvar, mean, scale * logvar)))
        assert not kl.any()


def shared(distance, *threshold):
    return numpy(math.shared_latents(*tensors(distance), *threshold)).tolist()


def test_shared_latents_by_hand():
    # Each pair has its own border: 1/2 (1 + 5) = 3 and 1/2 (0 + 0.2) = 0.1.
    assert shared([[1, 2, 3, 5], [0.2, 0.05, 0.0, 0.15]]) == [[True, True, False, False], [False, True, True, False]]


def test_shared_latents_at_the_border_are_not_shared():
    assert shared([[0, 2, 4], [4, 0, 2]]) == [[True, False, False], [False, True, False]]
    assert shared([[0, np.nextafter(np.float32(2), np.float32(0)), 4]]) == [[True, True, False]]


@pytest.mark.parametrize("value", [0.0, 0.1, 1.7e-8, 3e6])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_shared_latents_when_all_are_equal(value, threshold):
    assert shared([[value] * 4], threshold) == [[False] * 4]


def test_shared_latents_tied_smallest_and_tied_largest():
    assert shared([[1, 1, 9], [1, 9, 9]]) == [[True, True, False], [True, False, False]]


def test_shared_latents_threshold():
    distance = [[0, 1, 2, 3, 4]]
    assert shared(distance, 0.0) == [[False] * 5]
    assert shared(distance, 0.25) == [[True, False, False, False, False]]
    assert shared(distance, 0.7) == [[True, True, True, False, False]]
    assert shared(distance, 1.0) == [[True, True, True, True, False]]


@pytest.mark.parametrize("threshold", [0.5, 0.9, 1.0])
def test_shared_latents_never_holds_the_farthest_and_always_the_nearest(threshold):
    # Not drawn as float32: those are multiples of 2⁻²⁴, whose differences and sums are exact.
    distance = np.random.default_rng(3).random((5000, 5)).astype("float32")
    got = np.array(shared(distance, threshold))
    assert not got[distance == distance.max(axis=1, keepdims=True)].any()
    assert got[distance == distance.min(axis=1, keepdims=True)].all()


def averaged(shared, how):
    q1m, q1v, q2m, q2v = random_posteriors(4, (7, 5))
    inputs = tensors(q1m, q1v, q2m, q2v)
    outputs = math.average_posteriors(*inputs, keras.ops.convert_to_tensor(shared), how)
    return [q1m, q1v, q2m, q2v], [numpy(output) for output in outputs]


def test_average_posteriors_gvae():
    shared = np.random.default_rng(5).random((7, 5)) < 0.5
    (q1m, q1v, q2m, q2v), got = averaged(shared, "gvae")
    mean, logvar = (q1m + q2m) / 2, np.log((np.exp(q1v, dtype="float64") + np.exp(q2v, dtype="float64")) / 2)
    expected = [
        np.where(shared, average, own) for average, own in ((mean, q1m), (logvar, q1v), (mean, q2m), (logvar, q2v))
    ]
    for output, wanted in zip(got, expected, strict=True):
        np.testing.assert_allclose(output, wanted, rtol=1e-5, atol=1e-6)
    # What is not shared comes back untouched, what is shared is the same in both.
    np.testing.assert_array_equal(got[0][~shared], q1m[~shared])
    np.testing.assert_array_equal(got[3][~shared], q2v[~shared])
    np.testing.assert_array_equal(got[0][shared], got[2][shared])
    np.testing.assert_array_equal(got[1][shared], got[3][shared])


def test_average_posteriors_authors_takes_the_second_mean():
    shared = np.random.default_rng(6).random((7, 5)) < 0.5
    (q1m, _, q2m, _), got = averaged(shared, "authors")
    right = averaged(shared, "gvae")[1]
    np.testing.assert_array_equal(got[0], np.where(shared, q2m, q1m))
    np.testing.assert_array_equal(got[2], q2m)
    np.testing.assert_array_equal(got[1], right[1])
    np.testing.assert_array_equal(got[3], right[3])


def test_average_posteriors_of_extreme_variances():
    # The average of e^200 and e^-200 is e^200 / 2; neither fits a float32.
    one = tensors([[0.0]], [[200.0]], [[0.0]], [[-200.0]])
    outputs = math.average_posteriors(*one, keras.ops.convert_to_tensor([[True]]))
    assert float(numpy(outputs[1])[0, 0]) == pytest.approx(200 - np.log(2), rel=1e-6)


def test_average_posteriors_refuses_another_name():
    with pytest.raises(ValueError, match='how must be "gvae", "mlvae" or "authors", got \'product\''):
        averaged(np.ones((7, 5), bool), "product")


def test_average_posteriors_mlvae():
    shared = np.random.default_rng(6).random((7, 5)) < 0.5
    (q1m, q1v, q2m, q2v), got = averaged(shared, "mlvae")
    a, b = np.exp(q1v, dtype="float64"), np.exp(q2v, dtype="float64")
    mean, logvar = (q1m * b + q2m * a) / (a + b), np.log(2 * a * b / (a + b))
    expected = [
        np.where(shared, average, own) for average, own in ((mean, q1m), (logvar, q1v), (mean, q2m), (logvar, q2v))
    ]
    for output, own, wanted in zip(got, (q1m, q1v, q2m, q2v), expected, strict=True):
        np.testing.assert_allclose(output, wanted, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(output[~shared], own[~shared])


@pytest.mark.parametrize("how", ["gvae", "mlvae", "authors"])
def test_average_of_equal_posteriors_is_the_posterior(how):
    mean, logvar, *_ = random_posteriors(8, (7, 5))
    everything = keras.ops.convert_to_tensor(np.ones((7, 5), bool))
    outputs = math.average_posteriors(*tensors(mean, logvar, mean, logvar), everything, how)
    for output, own in zip(outputs, (mean, logvar, mean, logvar), strict=True):
        np.testing.assert_allclose(numpy(output), own, rtol=1e-6, atol=1e-6)


def test_average_posteriors_mlvae_of_extreme_variances():
    # The product is the sharp one, its variance doubled.
    one = tensors([[3.0]], [[200.0]], [[5.0]], [[-200.0]])
    mean, logvar, *_ = math.average_posteriors(*one, keras.ops.convert_to_tensor([[True]]), "mlvae")
    assert float(numpy(mean)[0, 0]) == pytest.approx(5.0, rel=1e-5)
    assert float(numpy(logvar)[0, 0]) == pytest.approx(-200 + np.log(2), rel=1e-6)


@pytest.mark.parametrize("spread", [1.0, 30.0, 1000.0, 1e30])
def test_average_posteriors_mlvae_overflows_for_no_variances(spread):
    # float64 holds exp(700) at most: the expected values come from the smaller of the two variances.
    (q1m, q1v, q2m, q2v), everything = random_posteriors(7, (7, 5)), np.ones((7, 5), bool)
    q1v, q2v = (spread * logvar for logvar in (q1v, q2v))
    outputs = math.average_posteriors(*tensors(q1m, q1v, q2m, q2v), keras.ops.convert_to_tensor(everything), "mlvae")
    mean, logvar, *_ = (numpy(output) for output in outputs)
    low, high = np.minimum(q1v, q2v).astype("float64"), np.maximum(q1v, q2v).astype("float64")
    ratio = np.exp(low - high)  # of the variances, 1 at most
    near, far = np.where(q1v < q2v, q1m, q2m).astype("float64"), np.where(q1v < q2v, q2m, q1m).astype("float64")
    np.testing.assert_allclose(mean, (near + ratio * far) / (1 + ratio), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logvar, low + np.log(2 / (1 + ratio)), rtol=1e-5, atol=1e-6 * spread)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="one way to take gradients is enough")
def test_average_posteriors_mlvae_gradients():
    import tensorflow as tf

    # Of equal variances too, where the larger of the two has no derivative.
    values = [np.array([[0.3, -1.0, 2.0]]), np.array([[0.0, 1.2, 200.0]]), np.array([[1.0, 0.5, 0.1]])]
    values.append(np.array([[0.0, -0.7, -200.0]]))
    inputs = tensors(*values)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        mean, logvar, *_ = math.average_posteriors(*inputs, tf.ones((1, 3), bool), "mlvae")
        total = tf.reduce_sum(mean + 0.3 * logvar)
    gradients = [gradient.numpy() for gradient in tape.gradient(total, inputs)]
    mean1, logvar1, mean2, logvar2 = values
    share = 1 / (1 + np.exp(logvar1 - logvar2))  # σ2²/(σ1² + σ2²)
    slope = share * (1 - share) * (mean1 - mean2)
    expected = [share, -slope + 0.3 * share, 1 - share, slope + 0.3 * (1 - share)]
    for got, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
