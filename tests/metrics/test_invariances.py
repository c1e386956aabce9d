"""What no score may depend on: the order of latents and of factors; and what each claims beyond that."""

import functools

import numpy as np
import pytest

from kerasvae import metrics

RNG = np.random.default_rng(0)
GRID = np.stack(np.unravel_index(np.arange(4 * 3 * 5), (4, 3, 5)), axis=1)
FACTORS = GRID[RNG.integers(60, size=240)]
# Whole numbers, with latents that know alike of a factor: ties.
CODES = np.round(FACTORS @ RNG.normal(size=(3, 4)) + RNG.normal(0, 0.4, (240, 4)), 1)
CODES[:, 3] = FACTORS[:, 0] - 2.0 * (FACTORS[:, 1] == 1)
TEST = CODES[160:], FACTORS[160:]
LOGVAR = RNG.normal(-4, 0.5, CODES.shape)


def split(score, **options):
    """A score of all samples as one of two samples, the same whatever order the latents are in."""
    return lambda codes, factors: score(codes[:160], factors[:160], test=(codes[160:], factors[160:]), **options)


def of_posterior(score):
    return lambda codes, factors, logvar=LOGVAR: score(codes, logvar, factors)


SAMPLES = {
    "mig": metrics.mig,
    "modularity": metrics.modularity,
    "irs": metrics.irs,
    "sap": split(metrics.sap),
    "sap continuous": lambda codes, factors: metrics.sap(codes, factors, continuous=True),
    "explicitness": split(metrics.explicitness),
    "dci": split(metrics.dci, stages=8),
}
CODES_ALONE = {
    "gaussian_total_correlation": lambda codes, factors: metrics.gaussian_total_correlation(codes),
    "gaussian_wasserstein": lambda codes, factors: metrics.gaussian_wasserstein(codes),
    "mutual_information_score": lambda codes, factors: metrics.mutual_information_score(codes),
}
POSTERIORS = {"aam": of_posterior(metrics.aam), "mmig": of_posterior(metrics.mmig)}
ALL = {**SAMPLES, **CODES_ALONE, **POSTERIORS}
# As exact as their solvers, or as the sums over the samples in another order.
TOLERANCE = {"explicitness": 1e-6}


def same(name, one, other):
    assert float(one) == pytest.approx(float(other), abs=TOLERANCE.get(name, 1e-9))


@pytest.mark.parametrize("order", [(3, 2, 1, 0), (1, 3, 0, 2)])
@pytest.mark.parametrize("name", ALL)
def test_order_of_latents(name, order):
    order = list(order)
    given = {"logvar": LOGVAR[:, order]} if name in POSTERIORS else {}
    same(name, ALL[name](CODES[:, order], FACTORS, **given), ALL[name](CODES, FACTORS))


@pytest.mark.parametrize("name", ALL)
def test_order_of_factors(name):
    same(name, ALL[name](CODES, FACTORS[:, [2, 0, 1]]), ALL[name](CODES, FACTORS))


@pytest.mark.parametrize("seed", range(6))
def test_dci_of_permuted_latents_with_ties(seed):
    """Codes of few values: many cuts are equally good, and two latents are copies."""
    rng = np.random.default_rng(seed)
    factors = rng.integers(0, 3, (90, 2))
    codes = (factors @ rng.integers(-1, 2, (2, 4))).astype(float)
    codes[:, 3] = codes[:, 0]
    plain = metrics.dci(codes, factors, stages=5, test=(codes, factors))
    order = rng.permutation(4)
    moved = metrics.dci(codes[:, order], factors, stages=5, test=(codes[:, order], factors))
    for part in ("disentanglement", "completeness", "informativeness_train", "informativeness_test"):
        assert moved.parts[part] == pytest.approx(plain.parts[part], abs=1e-12)
    np.testing.assert_allclose(np.sort(moved.parts["importance"], axis=0), np.sort(plain.parts["importance"], axis=0))


@pytest.mark.parametrize("name", ["mig", "modularity", "irs", "sap continuous", *CODES_ALONE, *POSTERIORS])
def test_order_of_samples(name):
    order = np.random.default_rng(1).permutation(len(CODES))
    given = {"logvar": LOGVAR[order]} if name in POSTERIORS else {}
    same(name, ALL[name](CODES[order], FACTORS[order], **given), ALL[name](CODES, FACTORS))


@pytest.mark.parametrize("name", ["mig", "modularity", "explicitness", *POSTERIORS])
def test_labels_of_values(name):
    """Where values are labels; irs and continuous sap take them for numbers."""
    names = np.array([[11, 4, 9, 2, 0], [1, 0, 2, 5, 7], [3, -(2**60), 8, 1, 0]])
    other = np.take_along_axis(names.T, FACTORS, axis=0)
    same(name, ALL[name](CODES, other), ALL[name](CODES, FACTORS))


@pytest.mark.parametrize("name", ["irs", "sap continuous", "sap", "dci"])
def test_shifts_of_values(name):
    same(name, ALL[name](CODES, FACTORS + [3, -7, 1000]), ALL[name](CODES, FACTORS))


@pytest.mark.parametrize("name", ["mig", "modularity", "sap continuous", "explicitness", "dci"])
def test_scales_and_shifts_of_latents(name):
    codes = CODES + np.random.default_rng(2).normal(0, 0.01, CODES.shape)  # off the edges of the bins
    other = codes * [4.0, 0.25, 2.0**20, 2.0**-20] + [64.0, -2.0, 0.0, 0.0]
    same(name, ALL[name](other, FACTORS), ALL[name](codes, FACTORS))


@pytest.mark.parametrize("name", ["gaussian_total_correlation", "mutual_information_score"])
def test_scales_of_latents_that_are_scored_alone(name):
    same(name, ALL[name](CODES * [4.0, 0.25, 2.0**20, 2.0**-20], FACTORS), ALL[name](CODES, FACTORS))


@pytest.mark.parametrize("name", ["mig", "modularity", "irs", "sap continuous", *CODES_ALONE, *POSTERIORS])
def test_every_sample_twice(name):
    """Frequencies stay the same, but for covariances' samples - 1."""
    given = {"logvar": np.repeat(LOGVAR, 2, axis=0)} if name in POSTERIORS else {}
    twice = ALL[name](np.repeat(CODES, 2, axis=0), np.repeat(FACTORS, 2, axis=0), **given)
    expected = float(ALL[name](CODES, FACTORS))
    if name == "gaussian_wasserstein":
        expected *= (2 * 239) / (2 * 240 - 1)
    if name == "irs":  # quantiles of more samples
        assert float(twice) == pytest.approx(expected, abs=0.03)
    else:
        assert float(twice) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("latents", [1, 3])
@pytest.mark.parametrize("factors", [1, 3])
@pytest.mark.parametrize("constant", ["all", "one", "none"])
@pytest.mark.parametrize("name", ALL)
def test_every_score_is_defined(name, latents, factors, constant):
    codes, given = CODES[:, :latents].copy(), {"logvar": LOGVAR[:, :latents]} if name in POSTERIORS else {}
    if constant != "none":
        codes[:, slice(None) if constant == "all" else 0] = 0.7
        if given:
            given["logvar"] = np.where(codes == 0.7, 0.0, given["logvar"])
    score = ALL[name](codes, FACTORS[:, :factors], **given)
    numbers = metrics.Evaluation({name: score}, {}).row()
    assert not [key for key, number in numbers.items() if np.isnan(number)]
    if constant == "all" and name in ("mig", "modularity", "irs", "sap continuous", *CODES_ALONE, *POSTERIORS):
        assert float(score) == pytest.approx(0.0, abs=1e-12)


GENERATED = {
    "beta_vae_score": functools.partial(metrics.beta_vae_score, train=200, test=100, batch_size=8),
    "factor_vae_score": functools.partial(metrics.factor_vae_score, train=200, test=100, batch_size=8),
    "flatness": functools.partial(metrics.flatness, repeats=20),
    "linearity": functools.partial(metrics.linearity, repeats=20),
    "distance_correlations": functools.partial(metrics.distance_correlations, repeats=20),
}
WEIGHTS = np.array([[1.0, 0.3, 0.0], [0.0, 1.0, -0.5], [0.7, 0.0, 1.0]])


@pytest.mark.parametrize("name", GENERATED)
def test_order_and_scale_of_generated_latents(name):
    score, sizes = GENERATED[name], (4, 3, 5)
    plain = float(score(lambda factors: factors @ WEIGHTS, sizes))
    assert float(score(lambda factors: (factors @ WEIGHTS)[:, ::-1], sizes)) == pytest.approx(plain, abs=1e-9)
    shifted = float(score(lambda factors: factors @ WEIGHTS + 64.0, sizes))
    assert shifted == pytest.approx(plain, abs=1e-9)
    if name != "beta_vae_score":
        assert float(score(lambda factors: factors @ WEIGHTS * 8.0, sizes)) == pytest.approx(plain, abs=1e-9)
    for codes in (lambda factors: np.zeros((len(factors), 2)), lambda factors: factors[:, :1] * 1.0):
        numbers = metrics.Evaluation({name: score(codes, sizes)}, {}).row()
        assert not [key for key, number in numbers.items() if np.isnan(number)]


def test_a_factor_of_thousands_of_values_is_announced_and_bounded(monkeypatch):
    module = __import__("sys").modules["kerasvae.metrics.dci"]
    monkeypatch.setattr(module, "SLOW", 10)
    with pytest.warns(UserWarning, match="dci takes long: it grows 30 trees for each of 12 values .* 5 of them of"):
        score = metrics.dci(CODES[:30], FACTORS[:30], stages=30, max_depth=1)
    assert "dci takes long" in score.warnings[0]
    monkeypatch.setattr(module, "MOST", 300)
    with pytest.raises(ValueError, match=r"factor 2 has 5, and values x samples x latents are 4e\+02, .* at most 75%"):
        metrics.dci(CODES[:30], FACTORS[:30])
