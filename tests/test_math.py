import keras
import numpy as np
import pytest
from posteriors import POSTERIORS, integral, numpy, random_posteriors, tensors
from scipy.stats import norm

from kerasvae import math


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
    with pytest.raises(ValueError, match=r"estimator must be .mws., .mss. or .mss_legacy., got 'exact'"):
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
