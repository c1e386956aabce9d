import keras
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from kerasvae import math

POSTERIORS = [
    # mean1, logvar1, mean2, logvar2
    (0.0, 0.0, 0.0, 0.0),
    (1.0, 0.0, 0.0, 0.0),
    (-0.7, 1.3, 0.4, -0.8),
    (2.0, -2.0, 1.5, 0.5),
    (0.3, -1.0, 0.3, 1.0),
]


def numpy(value):
    return keras.ops.convert_to_numpy(value)


def tensors(*arrays):
    return [keras.ops.convert_to_tensor(np.asarray(array, "float32")) for array in arrays]


def integral(mean1, logvar1, mean2, logvar2):
    """KL(q1 ‖ q2) by integrating q1·log(q1/q2)."""
    q1, q2 = norm(mean1, np.exp(logvar1 / 2)), norm(mean2, np.exp(logvar2 / 2))
    reach = 12 * q1.std()
    return quad(lambda x: q1.pdf(x) * (q1.logpdf(x) - q2.logpdf(x)), mean1 - reach, mean1 + reach, points=[mean1])[0]


def random_posteriors(seed=0, shape=(50, 6)):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for _ in range(4)]


def test_kl_normal_by_integration():
    columns = tensors(*([[column] for column in np.array(POSTERIORS).T]))
    kl = numpy(math.kl_normal(*columns))
    assert kl.shape == (1, len(POSTERIORS))
    np.testing.assert_allclose(kl[0], [integral(*posterior) for posterior in POSTERIORS], rtol=1e-5, atol=1e-6)


def test_kl_standard_normal_by_integration():
    kl = numpy(math.kl_standard_normal(*tensors([[p[0] for p in POSTERIORS]], [[p[1] for p in POSTERIORS]])))
    assert kl.shape == (1, len(POSTERIORS))
    expected = [integral(mean, logvar, 0.0, 0.0) for mean, logvar, _, _ in POSTERIORS]
    np.testing.assert_allclose(kl[0], expected, rtol=1e-5, atol=1e-6)


def test_kl_standard_normal_is_kl_to_the_prior():
    mean, logvar, *_ = tensors(*random_posteriors())
    zero = keras.ops.zeros_like(mean)
    against_prior = numpy(math.kl_normal(mean, logvar, zero, zero))
    np.testing.assert_allclose(numpy(math.kl_standard_normal(mean, logvar)), against_prior, rtol=1e-5, atol=1e-6)
    assert np.all(against_prior > 0)
    assert numpy(math.kl_standard_normal(zero, zero)).any() == 0


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
    with pytest.raises(ValueError, match='how must be "gvae" or "authors", got \'mlvae\''):
        averaged(np.ones((7, 5), bool), "mlvae")


@pytest.mark.parametrize(
    "image_shape, latents, factor",
    [((64, 64, 3), 9, 1365.33), ((64, 64, 3), 25, 491.52), ((64, 64, 1), 9, 455.11), ((64, 64, 1), 25, 163.84)],
)
def test_convert_beta_published_factors(image_shape, latents, factor):
    assert math.convert_beta(1.0, image_shape, latents, to="sum") == pytest.approx(factor, abs=0.005)
    assert math.convert_beta(factor, image_shape, latents, to="mean") == pytest.approx(1, abs=2e-5)


def test_convert_beta_published_sweep():
    means = [1e-4, 3.16e-4, 1e-3, 3.16e-3, 1e-2, 3.16e-2, 0.1, 0.316, 1]
    sums = [math.convert_beta(beta, (64, 64, 3), 9, to="sum") for beta in means]
    np.testing.assert_allclose(sums, [0.137, 0.431, 1.365, 4.31, 13.65, 43.1, 136.5, 431, 1365], rtol=4e-3)
    # The default of another package, beta 0.003, is about 4 in the sum form.
    assert math.convert_beta(0.003, (64, 64, 3), 9, to="sum") == pytest.approx(4.096)


def test_convert_beta_makes_the_same_objective():
    rng = np.random.default_rng(7)
    errors, kl = rng.random((5, 4, 6, 2)), rng.random((5, 3))
    beta = 0.37
    mean_form = errors.mean() + beta * kl.mean()
    converted = math.convert_beta(beta, (4, 6, 2), 3, to="sum")
    sum_form = errors.sum(axis=(1, 2, 3)).mean() + converted * kl.sum(axis=1).mean()
    assert sum_form == pytest.approx(4 * 6 * 2 * mean_form)
    assert math.convert_beta(converted, (4, 6, 2), 3, to="mean") == pytest.approx(beta, rel=1e-12)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"to": "total"}, 'to must be "sum" or "mean", got \'total\''),
        ({"beta": -1.0}, "beta must be a finite number, at least 0, got -1.0"),
        ({"beta": float("inf")}, "beta must be.*got inf"),
        ({"beta": "1"}, "beta must be.*got '1'"),
        ({"image_shape": (64, 64)}, r"image_shape must be.*got \(64, 64\)"),
        ({"image_shape": (64, 0, 3)}, "image_shape must be"),
        ({"image_shape": (64, 6.5, 3)}, "image_shape must be"),
        ({"latents": 0}, "latents must be an integer, at least 1, got 0"),
        ({"latents": 2.5}, "latents must be an integer"),
    ],
)
def test_convert_beta_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        math.convert_beta(**{"beta": 1.0, "image_shape": (64, 64, 3), "latents": 9, "to": "sum", **arguments})
