import sys

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from kerasvae.metrics import entropy, mutual_information, posterior_information


def grid(*sizes):
    return np.stack(np.meshgrid(*map(range, sizes), indexing="ij"), axis=-1).reshape(-1, len(sizes))


GRID = grid(3, 4, 2)
RNG = np.random.default_rng(0)
MEAN = np.stack([GRID[:, 0] * 1.5, GRID[:, 1] * 0.4 + GRID[:, 2], RNG.normal(size=24), np.full(24, 0.3)], axis=1)
LOGVAR = np.stack([RNG.uniform(-4, -2, 24), RNG.uniform(-2, 1, 24), RNG.uniform(-6, 0, 24), np.zeros(24)], axis=1)


def integrated(mean, logvar, labels):
    """By adaptive quadrature of the definition, value by value."""
    deviation = np.exp(logvar / 2)

    def mixture(z, where):
        return norm.pdf(z, mean[where], deviation[where]).mean()

    def integrand(z, where):
        own, every = mixture(z, where), mixture(z, np.ones(len(mean), bool))
        return own * np.log(own / every) if own > 1e-300 else 0.0

    total = 0.0
    for value in np.unique(labels):
        where = labels == value
        bounds = np.unique(np.concatenate([mean + side * deviation for side in (-6, -2, 0, 2, 6)]))
        pieces = zip(bounds[:-1:4], bounds[4::4], strict=False)
        total += where.mean() * sum(quad(integrand, low, high, (where,), epsabs=1e-9)[0] for low, high in pieces)
    return total


def test_quadrature_against_adaptive_quadrature():
    information = posterior_information(MEAN, LOGVAR, GRID, method="quadrature")["mutual_information"]
    for latent in range(2):
        expected = integrated(MEAN[:, latent], LOGVAR[:, latent], GRID[:, 1])
        assert information[latent, 1] == pytest.approx(expected, abs=1e-5)


def test_two_points_in_closed_form():
    """Gaussians far apart, alike, and in between: I = log 2 - E[log(1 + exp(-2 m z))], z normal about m."""
    factors = np.array([[0], [1]])
    mean = np.array([[-8.0, 0.5, -0.7], [8.0, 0.5, 0.7]])
    information = posterior_information(mean, np.zeros((2, 3)), factors)
    z, weight = np.polynomial.hermite_e.hermegauss(80)
    expected = np.log(2) - weight @ np.log1p(np.exp(-2 * 0.7 * (z + 0.7))) / weight.sum()
    np.testing.assert_allclose(information["mutual_information"][:, 0], [np.log(2), 0, expected], atol=1e-9)
    assert information["mutual_information"][1, 0] == 0 and information["method"] == "quadrature"


def test_finer_grids_change_nothing(monkeypatch):
    module = sys.modules["kerasvae.metrics.posterior_information"]
    coarse = posterior_information(MEAN, LOGVAR, GRID)["mutual_information"]
    monkeypatch.setattr(module, "STEP", 1 / 12)
    monkeypatch.setattr(module, "REACH", 10)
    fine = posterior_information(MEAN, LOGVAR, GRID)["mutual_information"]
    np.testing.assert_allclose(coarse, fine, atol=1e-8)


def test_sampling_agrees_within_its_error():
    exact = posterior_information(MEAN, LOGVAR, GRID, method="quadrature")["mutual_information"]
    sampled = posterior_information(MEAN, LOGVAR, GRID, method="sampling", samples=400, seed=1)
    error = sampled["standard_error"]
    assert (np.abs(sampled["mutual_information"] - exact) <= 4 * error + 1e-12).all()
    assert (error[:3] > 0).all() and (error < 0.02).all()
    again, other = (posterior_information(MEAN, LOGVAR, GRID, method="sampling", seed=seed) for seed in (1, 2))
    one = posterior_information(MEAN, LOGVAR, GRID, method="sampling", seed=1)
    assert (one["mutual_information"] == again["mutual_information"]).all()
    assert (one["mutual_information"] != other["mutual_information"]).any()


@pytest.mark.parametrize("method", ["quadrature", "sampling"])
def test_latents_without_information_give_exactly_nothing(method):
    mean, logvar = np.full((24, 2), [0.0, 3.0]), np.full((24, 2), [0.0, -5.0])
    information = posterior_information(mean, logvar, GRID, method=method)
    assert (information["mutual_information"] == 0).all() and (information["standard_error"] < 1e-12).all()


@pytest.mark.parametrize("method", [None, "sampling"])
def test_narrow_posteriors_give_the_information_of_the_means(method):
    mean = GRID[:, [0, 1]] @ [[1.0, 1.0], [0.0, 3.0]]
    for logvar in (-12.0, -60.0, -200.0):
        information = posterior_information(mean, np.full((24, 2), logvar), GRID, method=method)
        np.testing.assert_allclose(
            information["mutual_information"], mutual_information(mean, GRID, bins=24), atol=1e-9
        )


def test_laws():
    information = posterior_information(MEAN, LOGVAR, GRID)
    matrix = information["mutual_information"]
    assert (matrix >= 0).all() and (matrix <= entropy(GRID) + 1e-12).all()
    np.testing.assert_allclose(information["factor_entropies"], np.log([3, 4, 2]))
    # Points listed twice count twice, all of them: no change. Shift and scale with the posterior: none either.
    for mean, logvar, factors in (
        (np.r_[MEAN, MEAN], np.r_[LOGVAR, LOGVAR], np.r_[GRID, GRID]),
        (MEAN * -4 + 100, LOGVAR + np.log(16), GRID),
        (MEAN[::-1], LOGVAR[::-1], GRID[::-1] * -3),
    ):
        other = posterior_information(mean, logvar, factors)["mutual_information"]
        np.testing.assert_allclose(other, matrix, atol=1e-7)
    # Broader posteriors know less (data processing).
    broader = posterior_information(MEAN, np.logaddexp(LOGVAR, 0.0), GRID)["mutual_information"]
    assert (broader <= matrix + 1e-12).all()


def test_constant_factors_are_left_out():
    information = posterior_information(MEAN, LOGVAR, np.insert(GRID, 1, 7, axis=1))
    assert information["factors"] == (0, 2, 3) and information["mutual_information"].shape == (4, 3)


def test_histogram_drops_collapsed_latents_and_says_so():
    # Tiny means that follow a factor: bins see them as well as large ones.
    mean = np.stack([GRID[:, 0] * 1.0, GRID[:, 1] * 1e-3], axis=1)
    logvar = np.stack([np.full(24, -4.0), np.zeros(24)], axis=1)
    known = posterior_information(mean, logvar, GRID, method="histogram")
    assert known["collapsed"] == (1,) and "latents [1] are dropped" in known["warnings"][0]
    assert (known["mutual_information"][1] == 0).all()
    unknown = posterior_information(mean, None, GRID, method="histogram")
    assert unknown["collapsed"] == () and "could not be dropped" in unknown["warnings"][0]
    np.testing.assert_array_equal(unknown["mutual_information"], mutual_information(mean, GRID))
    np.testing.assert_array_equal(known["mutual_information"][0], unknown["mutual_information"][0])
    assert posterior_information(mean, logvar, GRID)["mutual_information"][1].max() < 1e-5


def test_large_data_sets_are_sampled_from_all_values():
    factors = grid(6, 5, 40)
    mean = factors[:, [0, 1]] * 1.0
    information = posterior_information(mean, np.full((1200, 2), -6.0), factors, method="sampling", points=300, seed=4)
    expected = np.zeros((2, 3))
    expected[0, 0], expected[1, 1] = np.log(6), np.log(5)
    # 300 points: the bias of the plug-in estimate.
    assert (np.abs(information["mutual_information"] - expected) < 6 * 40 / 600).all()


def test_method_is_chosen_by_cost(monkeypatch):
    module = sys.modules["kerasvae.metrics.posterior_information"]
    monkeypatch.setattr(module, "MOST_EVALUATIONS", 10)
    assert posterior_information(MEAN, LOGVAR, GRID)["method"] == "sampling"
    assert posterior_information(MEAN, LOGVAR, GRID, method="quadrature")["method"] == "quadrature"
    monkeypatch.setattr(module, "MOST_CELLS", 10)
    with pytest.raises(ValueError, match="method must not be 'quadrature' where posteriors are this narrow"):
        posterior_information(MEAN, LOGVAR, GRID, method="quadrature")


def test_too_few_points_are_warned_of():
    rng = np.random.default_rng(5)
    factors, mean = np.tile(grid(4, 5), (10, 1)), rng.uniform(-3, 3, (200, 1))
    assert (
        "latents [0] distinguish up to" in posterior_information(mean, np.full((200, 1), -9.0), factors)["warnings"][0]
    )
    assert not posterior_information(mean, np.full((200, 1), 0.0), factors)["warnings"]


@pytest.mark.parametrize(
    "arguments, options, error, match",
    [
        ((MEAN, LOGVAR[:, :2], GRID), {}, ValueError, r"logvar must have the shape of mean, \(24, 4\), got \(24, 2\)"),
        ((MEAN, LOGVAR * 1e3, GRID), {}, ValueError, "logvar must be between -200 and 200"),
        ((MEAN, LOGVAR * np.nan, GRID), {}, ValueError, "logvar must be finite"),
        ((MEAN * np.nan, LOGVAR, GRID), {}, ValueError, "mean must be finite"),
        ((MEAN, LOGVAR, GRID[:9]), {}, ValueError, "mean and factors must hold the same samples, got 24 and 9 rows"),
        ((MEAN, LOGVAR, GRID * 1.0), {}, TypeError, "factors must be integers"),
        ((MEAN, LOGVAR, GRID * 0), {}, ValueError, "factors must hold a factor that is not constant"),
        ((MEAN, None, GRID), {}, ValueError, "logvar may be None with method='histogram' alone"),
        ((MEAN, LOGVAR, GRID), {"method": "exact"}, ValueError, 'method must be None or "quadrature", .* got .exact.'),
        ((MEAN, LOGVAR, GRID), {"samples": 1}, ValueError, "samples must be an integer, at least 2, got 1"),
        ((MEAN, LOGVAR, GRID), {"points": 1.5}, ValueError, "points must be an integer.*got 1.5"),
        ((MEAN, LOGVAR, GRID), {"seed": -1}, ValueError, "seed must be an integer in 0"),
    ],
)
def test_refuses(arguments, options, error, match):
    with pytest.raises(error, match=match):
        posterior_information(*arguments, **options)
