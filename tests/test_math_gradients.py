"""Values and gradients of the functions of posteriors against float64: tiny, equal and extreme posteriors."""

import keras
import numpy as np
import pytest
from gradients import central_differences, gradients
from posteriors import numpy, tensors
from scipy.special import expit

from kerasvae import math

TINY = np.array([0.0, 1e-20, 1e-10, 1e-6, 1e-4, 1e-3, 0.01, 0.1, 0.2499, 0.25, 0.2501, 0.5, 1.0, 5.0, 20.0, 80.0])
BOTH = np.concatenate([TINY, -TINY])


def remainder(x):
    """exp(x) - x - 1 in float64, by its series near 0."""
    series = sum(x ** (power + 2) / float(np.prod(np.arange(1, power + 3))) for power in range(16))
    return np.where(np.abs(x) < 0.5, series, np.expm1(x) - x)


def float32(x):
    """What float32 makes of these numbers, in float64: the input that both sides see."""
    return np.asarray(x, np.float32).astype(np.float64)


def test_divergence_from_the_prior_keeps_its_digits():
    logvar = float32(BOTH)
    kl = numpy(math.kl_standard_normal(*tensors(np.zeros_like(logvar), logvar)))
    np.testing.assert_allclose(kl, 0.5 * remainder(logvar), rtol=2e-6, atol=1e-37)
    kl = numpy(math.kl_standard_normal(*tensors(logvar, np.zeros_like(logvar))))
    np.testing.assert_allclose(kl, 0.5 * logvar**2, rtol=1e-6, atol=1e-37)
    assert (numpy(math.kl_standard_normal(*tensors(logvar, logvar))) >= 0).all()


def test_gradient_of_the_divergence_from_the_prior():
    values = float32(BOTH)
    by_mean, by_logvar = gradients(math.kl_standard_normal, *(each.astype("float32") for each in (values, values)))
    np.testing.assert_allclose(by_mean, values, rtol=1e-6)
    np.testing.assert_allclose(by_logvar, 0.5 * np.expm1(values), rtol=2e-6, atol=1e-37)


def test_divergences_of_nearly_equal_posteriors_keep_their_digits():
    step = float32(BOTH[np.abs(BOTH) <= 1.0])
    # Means and log-variances around 0, of which float32 holds tiny differences.
    same, zero = np.zeros_like(step), np.zeros_like(step)
    kl = numpy(math.kl_normal(*tensors(step, step, same, zero)))
    np.testing.assert_allclose(kl, 0.5 * (remainder(step) + step**2), rtol=2e-6, atol=1e-37)
    both = numpy(math.symmetric_kl(*tensors(step, step, same, zero)))
    exact = np.sinh(step / 2) ** 2 + 0.25 * step**2 * (1 + np.exp(-step))
    np.testing.assert_allclose(both, exact, rtol=2e-6, atol=1e-37)


@pytest.mark.parametrize("logvar", [-200.0, -80.0, 0.0, 80.0, 200.0])
def test_equal_posteriors_are_0_apart_however_narrow(logvar):
    posterior = tensors([[1e-20, 0.3, 5.0]], [[logvar] * 3])
    for function in (math.kl_normal, math.symmetric_kl):
        assert not numpy(function(*posterior, *posterior)).any()
        for gradient in gradients(function, *(numpy(each) for each in (*posterior, *posterior))):
            assert not gradient.any()


RNG = np.random.default_rng(5)
PAIR = [RNG.normal(size=(4, 3)).astype("float32") for _ in range(4)]
SHARED = RNG.random((4, 3)) < 0.5
# A weight for each entry of the results: else gradients of sums would hide what belongs where.
WEIGHT = RNG.normal(size=(4, 3)).astype("float32")


def averages(how):
    def function(*pair):
        parts = math.average_posteriors(*pair, SHARED, how)
        return sum(part * tensors(WEIGHT * (place + 1.0))[0] for place, part in enumerate(parts))

    def exact(mean1, logvar1, mean2, logvar2):
        variance1, variance2 = np.exp(logvar1), np.exp(logvar2)
        mean, logvar = (mean1 + mean2) / 2, np.log((variance1 + variance2) / 2)
        if how == "authors":
            mean = mean2
        elif how == "mlvae":
            logvar = np.log(2 * variance1 * variance2 / (variance1 + variance2))
            mean = (mean1 * variance2 + mean2 * variance1) / (variance1 + variance2)
        parts = (mean, mean1), (logvar, logvar1), (mean, mean2), (logvar, logvar2)
        return sum(WEIGHT * (place + 1.0) * np.where(SHARED, *part) for place, part in enumerate(parts))

    return function, exact


def dip(kind):
    def exact(mean, logvar):
        covariance = np.cov(mean.T, ddof=0)
        diagonal = np.diag(covariance) + (np.exp(logvar).mean(axis=0) if kind == "ii" else 0.0)
        return (
            10.0 * (covariance**2).sum() - 10.0 * (np.diag(covariance) ** 2).sum() + 0.5 * ((diagonal - 1) ** 2).sum()
        )

    return lambda mean, logvar: math.dip_penalty(mean, logvar, kind, 10.0, 0.5), exact


def log_density(z, mean, logvar):
    return -0.5 * (np.log(2 * np.pi) + logvar + (z - mean) ** 2 / np.exp(logvar))


def decomposition(estimator):
    factors = dict(zip(("mutual_information", "total_correlation", "dimension_kl"), (1.0, -2.0, 3.0), strict=True))

    def function(*posterior):
        parts = math.kl_decomposition(*posterior, 50, estimator)
        return sum(factor * parts[name] for name, factor in factors.items())

    def exact(z, mean, logvar):
        batch, others, size = len(z), len(z) - 1, 50
        weights = np.full((batch, batch), 1 / (batch * size))
        if estimator == "mss":
            weights[:] = 1 / others
            for row in range(batch):
                weights[row, row], weights[row, (row + 1) % batch] = 1 / size, (size - others) / (size * others)
        densities = np.exp(log_density(z[:, None], mean[None], logvar[None]))
        joint = np.log((weights * densities.prod(axis=2)).sum(axis=1))
        product = np.log((weights[..., None] * densities).sum(axis=1)).sum(axis=1)
        own, prior = log_density(z, mean, logvar).sum(axis=1), log_density(z, 0.0, 0.0).sum(axis=1)
        parts = (own - joint).mean(), (joint - product).mean(), (product - prior).mean()
        return sum(factor * part for factor, part in zip(factors.values(), parts, strict=True))

    return function, exact


def discrepancy(z, prior):
    def kernel(a, b):
        return np.exp(-((a[:, None] - b[None]) ** 2).sum(axis=-1) / (2 * z.shape[1])).mean()

    return kernel(z, z) + kernel(prior, prior) - 2 * kernel(z, prior)


def permuted(z):
    return z * np.array([[1.0, -2.0, 3.0]])


ORDER = RNG.random((4, 3)).astype("float32")
CASES = {
    "kl_normal": (
        math.kl_normal,
        lambda m1, l1, m2, l2: 0.5 * (np.exp(l1 - l2) + (m1 - m2) ** 2 / np.exp(l2) - (l1 - l2) - 1),
        PAIR,
    ),
    "symmetric_kl": (
        math.symmetric_kl,
        lambda m1, l1, m2, l2: 0.25 * (2 * np.cosh(l1 - l2) - 2 + (m1 - m2) ** 2 * (np.exp(-l1) + np.exp(-l2))),
        PAIR,
    ),
    "log_normal": (math.log_normal, log_density, PAIR[:3]),
    "maximum_mean_discrepancy": (math.maximum_mean_discrepancy, discrepancy, PAIR[:2]),
    **{f"average_posteriors {how}": (*averages(how), PAIR) for how in ("gvae", "mlvae", "authors")},
    **{f"dip_penalty {kind}": (*dip(kind), PAIR[:2]) for kind in ("i", "ii")},
    **{f"kl_decomposition {each}": (*decomposition(each), PAIR[:3]) for each in ("mws", "mss")},
    "permute_latents": (
        lambda z: math.permute_latents(z, ORDER) * tensors([[1.0, -2.0, 3.0]])[0],
        permuted,  # the sum of each column stays as it is
        PAIR[:1],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_gradients(case):
    function, exact, arrays = CASES[case]
    wide = [np.array(array, np.float64) for array in arrays]
    total = float(numpy(keras.ops.sum(function(*(keras.ops.convert_to_tensor(array) for array in arrays)))))
    assert total == pytest.approx(np.sum(exact(*wide)), rel=1e-5, abs=1e-5)
    for got, right in zip(gradients(function, *arrays), central_differences(exact, *wide), strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["gvae", "mlvae"])
@pytest.mark.parametrize("logvar", [-80.0, 0.0, 0.3, 80.0])
def test_equal_posteriors_share_the_gradient_of_their_average(how, logvar):
    """At the kink of a maximum, where backends give all of it to one of the two."""
    mean, logvar = np.full((1, 2), 0.7, "float32"), np.full((1, 2), logvar, "float32")
    pair = mean, logvar, mean, logvar
    averaged = [numpy(each) for each in math.average_posteriors(*tensors(*pair), np.ones((1, 2), bool), how)]
    np.testing.assert_allclose(averaged, pair, rtol=1e-6)
    found = gradients(lambda *given: math.average_posteriors(*given, np.ones((1, 2), bool), how)[1], *pair)
    np.testing.assert_allclose(found, np.array([0.0, 0.5, 0.0, 0.5])[:, None, None] * np.ones((1, 2)), atol=1e-6)


@pytest.mark.parametrize("how", ["gvae", "mlvae"])
def test_average_of_extreme_variances(how):
    """exp(80) or exp(-80) alone decide, and nothing overflows."""
    logvar1, logvar2 = np.array([[80.0, -80.0, 200.0]]), np.array([[-80.0, 80.0, -200.0]])
    pair = np.array([[1.0, 1.0, 1.0]]), logvar1, np.array([[3.0, 3.0, 3.0]]), logvar2
    mean, logvar, *_ = (numpy(each) for each in math.average_posteriors(*tensors(*pair), np.ones((1, 3), bool), how))
    narrow, wide = np.minimum(logvar1, logvar2), np.maximum(logvar1, logvar2)
    np.testing.assert_allclose(logvar, narrow + np.log(2) if how == "mlvae" else wide - np.log(2), rtol=1e-6)
    share = expit(logvar2 - logvar1)  # of the first mean
    np.testing.assert_allclose(mean, share + 3 * (1 - share) if how == "mlvae" else np.full((1, 3), 2.0), rtol=1e-6)
    for gradient in gradients(
        lambda *given: sum(math.average_posteriors(*given, np.ones((1, 3), bool), how)),
        *(each.astype("float32") for each in pair),
    ):
        assert np.isfinite(gradient).all()


def test_dip_penalty_of_small_covariances():
    """Next to variances of 10⁴ a covariance of 1: their squares differ by more digits than float32 has."""
    mean = np.array([[100.0, 0.01], [-100.0, -0.01], [100.0, -0.01], [-100.0, 0.01]]) + [
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 4e-2],
    ]
    covariance = np.cov(float32(mean).T, ddof=0)
    got = float(numpy(math.dip_penalty(*tensors(mean, np.zeros((4, 2))), "i", 1.0, 0.0)))
    assert got == pytest.approx(2 * covariance[0, 1] ** 2, rel=1e-3)


def test_discrepancy_of_tiny_codes():
    z, prior = 1e-3 * np.array([[1.0, 0.0], [0.0, 1.0]]), 1e-3 * np.array([[2.0, 2.0], [-3.0, 1.0]])
    got = float(numpy(math.maximum_mean_discrepancy(*tensors(z, prior))))
    assert got == pytest.approx(discrepancy(float32(z), float32(prior)), rel=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_becomes_float32(dtype):
    mean, logvar = (keras.ops.cast(each, dtype) for each in (np.full((3, 2), 300.0), np.full((3, 2), 12.0)))
    kl = math.kl_standard_normal(mean, logvar)
    assert keras.backend.standardize_dtype(kl.dtype) == "float32"
    np.testing.assert_allclose(numpy(kl), 0.5 * (300.0**2 + np.expm1(12.0) - 12.0), rtol=5e-3)
    for gradient in gradients(math.kl_standard_normal, mean, logvar):
        assert (gradient > 0).all()  # of logvar beyond float16's range, so perhaps infinite in it


def test_whole_numbers_and_lists_are_numbers():
    assert numpy(math.kl_standard_normal([[1, 2]], [[0, 0]])).tolist() == [[0.5, 2.0]]
    assert float(math.kl_normal(2, 0, 0, 0)) == 2.0
