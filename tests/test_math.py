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


def test_log_normal_against_scipy():
    z, mean, logvar, _ = random_posteriors(9, (7, 5))
    got = numpy(math.log_normal(*tensors(z, mean, 2 * logvar)))
    np.testing.assert_allclose(got, norm.logpdf(z, mean, np.exp(logvar, dtype="float64")), rtol=1e-4, atol=1e-5)


def decomposition(z, mean, logvar, size, estimator):
    parts = math.kl_decomposition(*tensors(z, mean, logvar), size, estimator)
    assert list(parts) == ["mutual_information", "total_correlation", "dimension_kl"]
    return np.array([float(numpy(value)) for value in parts.values()])


@pytest.mark.parametrize("size", [7, 8, 1000])
@pytest.mark.parametrize("estimator", ["mws", "mss", "mss_legacy"])
def test_kl_decomposition_by_hand(estimator, size):
    z, mean, logvar, _ = (array.astype("float64") for array in random_posteriors(10, (7, 5)))
    batch, others = 7, 6
    expected = np.zeros(3)
    for i in range(batch):
        joint, marginals = 0.0, np.zeros(5)
        # Columns of the weights 1/N and (N - M)/(N·M).
        own, one_other = [i], [(i + 1) % batch]
        if estimator == "mss_legacy":
            own, one_other = ([], [0, 1]) if i == batch - 2 else ([0], [1])
        for k in range(batch):
            if estimator == "mws":
                weight = 1 / (batch * size)
            elif k in own:
                weight = 1 / size
            elif k in one_other:
                weight = (size - others) / (size * others)
            else:
                weight = 1 / others
            densities = norm.pdf(z[i], mean[k], np.exp(logvar[k] / 2))
            joint += weight * densities.prod()
            marginals += weight * densities
        own = norm.logpdf(z[i], mean[i], np.exp(logvar[i] / 2)).sum()
        product = np.log(marginals).sum()
        expected += np.array([own - np.log(joint), np.log(joint) - product, product - norm.logpdf(z[i]).sum()]) / batch
    np.testing.assert_allclose(decomposition(z, mean, logvar, size, estimator), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("estimator", ["mws", "mss", "mss_legacy"])
def test_kl_decomposition_adds_up(estimator):
    z, mean, logvar, _ = random_posteriors(11, (7, 5))
    own = norm.logpdf(z, mean, np.exp(logvar / 2, dtype="float64")) - norm.logpdf(z.astype("float64"))
    assert decomposition(z, mean, logvar, 1000, estimator).sum() == pytest.approx(own.sum(axis=1).mean(), rel=1e-5)


def test_mss_weights_are_a_row_of_probabilities():
    weights = np.exp(numpy(math._log_weights(7, 50, "mss")))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(np.diag(weights), 1 / 50, rtol=1e-6)
    assert (np.isclose(weights, (50 - 6) / (50 * 6)).sum(axis=1) == 1).all()
    assert (np.isclose(weights, 1 / 6).sum(axis=1) == 5).all()


@pytest.mark.parametrize("batch", [2, 3, 7])
def test_mss_legacy_weights_are_the_published_ones(batch):
    # Every batch-th element from the first is 1/N, the one after it the other weight; then one element of the last row
    # but one is set. Meant was every (batch + 1)-th, the diagonal.
    size, others = 50, batch - 1
    flat = [1 / others] * batch**2
    for place in range(0, batch**2, batch):
        flat[place], flat[place + 1] = 1 / size, (size - others) / (size * others)
    flat[(batch - 2) * batch] = (size - others) / (size * others)
    weights = np.exp(numpy(math._log_weights(batch, size, "mss_legacy")))
    np.testing.assert_allclose(weights, np.reshape(flat, (batch, batch)), rtol=1e-6)
    sums = np.ones(batch)
    sums[batch - 2] += (size - others) / (size * others) - 1 / size
    np.testing.assert_allclose(weights.sum(axis=1), sums, rtol=1e-6)


def correlated(count, seed):
    """Codes and posteriors N(A·x, s²), x ~ N(0, I): q(z) is the Gaussian of covariance C = A·Aᵀ + s²·I."""
    rng = np.random.default_rng(seed)
    a, s = np.array([[0.8, 0.3], [0.2, 0.9]]), 0.5
    mean = rng.normal(size=(count, 2)) @ a.T
    z = mean + s * rng.normal(size=(count, 2))
    return z, mean, np.full((count, 2), 2 * np.log(s)), a @ a.T + s**2 * np.eye(2)


@pytest.mark.parametrize("estimator", ["mws", "mss"])
def test_kl_decomposition_approaches_the_closed_form(estimator):
    """Of a Gaussian q(z) of covariance C the total correlation is -1/2 log det(correlation); KL of its marginals.

    Estimates from batches that are the whole data, mean of four; "mws" less its bias of -log N in each log q.

        batch          32      128     512     closed form
        mws TC         0.194   0.096   0.098   0.094
        mss TC         0.195   0.096   0.098   0.094
        mws dimensions 0.017   0.026   0.006   0.002
        mss dimensions 0.014   0.027   0.006   0.002
    """
    covariance = correlated(2, 0)[-1]
    variance = np.diag(covariance)
    closed = np.array(
        [
            -0.5 * np.log(np.linalg.det(covariance) / variance.prod()),
            0.5 * (variance - 1 - np.log(variance)).sum(),
        ]
    )
    errors = {}
    for count in (32, 512):
        estimates = []
        for seed in range(4):
            *codes, _ = correlated(count, seed)
            estimates.append(decomposition(*codes, count, estimator)[1:])
        bias = np.log(count) * np.array([1.0, -2.0]) if estimator == "mws" else 0.0
        errors[count] = np.abs(np.mean(estimates, axis=0) - bias - closed)
    assert errors[512].max() < 0.01
    assert (errors[512] < errors[32]).all()


def test_kl_decomposition_refuses_another_estimator():
    one = tensors(*random_posteriors(10, (7, 5))[:3])
    with pytest.raises(ValueError, match=r"estimator must be one of \('mws', 'mss', 'mss_legacy'\), got 'exact'"):
        math.kl_decomposition(*one, 50, "exact")


def dip(mean, logvar, kind, lambda_od, lambda_d):
    return float(numpy(math.dip_penalty(*tensors(mean, logvar), kind, lambda_od, lambda_d)))


def test_dip_penalty_by_hand():
    # Cov(mean) = [[1, 2], [2, 4]] with the division by 4; variances 3 and 5 on average.
    mean, logvar = np.array([[1, 2], [-1, -2], [1, 2], [-1, -2]]), np.log([[2, 5], [4, 5], [3, 4], [3, 6]])
    assert dip(mean, logvar, "i", 1.0, 0.0) == pytest.approx(2 * 2**2)
    assert dip(mean, logvar, "ii", 1.0, 0.0) == pytest.approx(2 * 2**2)
    assert dip(mean, logvar, "i", 0.0, 1.0) == pytest.approx((1 - 1) ** 2 + (4 - 1) ** 2)
    assert dip(mean, logvar, "ii", 0.0, 1.0) == pytest.approx((1 + 3 - 1) ** 2 + (4 + 5 - 1) ** 2)
    assert dip(mean + 7.0, logvar, "ii", 10.0, 0.5) == pytest.approx(10 * 8 + 0.5 * 73)


def test_dip_off_diagonal_ignores_the_variances():
    mean, low, high, _ = random_posteriors(12, (7, 5))
    for kind in ("i", "ii"):
        assert dip(mean, low, kind, 1.0, 0.0) == dip(mean, high, kind, 1.0, 0.0)
    assert dip(mean, low, "i", 0.0, 1.0) == dip(mean, high, "i", 0.0, 1.0)
    assert dip(mean, low, "ii", 0.0, 1.0) != dip(mean, high, "ii", 0.0, 1.0)
    covariance = np.cov(mean.T.astype("float64"), ddof=0)
    expected = (covariance**2).sum() - (np.diag(covariance) ** 2).sum()
    assert dip(mean, low, "ii", 1.0, 0.0) == pytest.approx(expected, rel=1e-4)


def test_dip_penalty_refuses_another_kind():
    with pytest.raises(ValueError, match='kind must be "i" or "ii", got \'iii\''):
        dip(np.zeros((7, 5)), np.zeros((7, 5)), "iii", 1.0, 1.0)


def test_permute_latents_shuffles_each_column_on_its_own():
    z = np.arange(200, dtype="float32").reshape(40, 5)
    got = numpy(math.permute_latents(z, 3))
    np.testing.assert_array_equal(np.sort(got, axis=0), z)
    orders = {tuple(column) for column in (got // 5).astype(int).T}
    assert len(orders) == 5 and tuple(range(40)) not in orders
    np.testing.assert_array_equal(got, numpy(math.permute_latents(z, 3)))
    assert (got != numpy(math.permute_latents(z, 4))).any()


def test_permute_latents_with_a_seed_generator_goes_on():
    z = np.arange(200, dtype="float32").reshape(40, 5)
    generator = keras.random.SeedGenerator(3)
    first, second = (numpy(math.permute_latents(z, generator)) for _ in range(2))
    assert (first != second).any()
    np.testing.assert_array_equal(np.sort(second, axis=0), z)


def test_permute_latents_by_given_numbers():
    z, numbers = tensors([[1, 10], [2, 20], [3, 30]], [[0.9, 0.1], [0.2, 0.5], [0.4, 0.3]])
    np.testing.assert_array_equal(numpy(math.permute_latents(z, numbers)), [[2, 10], [3, 30], [1, 20]])


def test_permute_latents_removes_the_correlation():
    z = np.repeat(np.random.default_rng(13).normal(size=(2000, 1)), 2, axis=1).astype("float32")
    assert abs(np.corrcoef(numpy(math.permute_latents(z, 0)).T)[0, 1]) < 0.1


def discrepancy(z, prior):
    return float(numpy(math.maximum_mean_discrepancy(*tensors(z, prior))))


def test_maximum_mean_discrepancy_by_hand():
    z, prior, *_ = (array.astype("float64") for array in random_posteriors(14, (7, 5)))

    def kernel(a, b):
        return np.mean([np.exp(-((u - v) ** 2).sum() / (2 * 5)) for u in a for v in b])

    assert discrepancy(z, prior) == pytest.approx(kernel(z, z) + kernel(prior, prior) - 2 * kernel(z, prior), abs=1e-6)
    # Single points: 2 - 2 exp(-|a - b|² / (2·2)).
    assert discrepancy([[0.0, 0.0]], [[1.0, 1.0]]) == pytest.approx(2 - 2 * np.exp(-0.5), rel=1e-5)


def test_maximum_mean_discrepancy_grows_with_the_shift():
    z = random_posteriors(15, (7, 5))[0]
    values = [discrepancy(z, z + shift) for shift in (0.0, 0.5, 1.0, 3.0)]
    assert values[0] == pytest.approx(0.0, abs=1e-6)
    assert np.all(np.diff(values) > 0.01)
    assert discrepancy(z, z[::-1].copy()) == pytest.approx(0.0, abs=1e-6)


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
