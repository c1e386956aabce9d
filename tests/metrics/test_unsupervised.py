import numpy as np
import pytest
from scipy.linalg import sqrtm

from kerasvae.metrics import (
    discrete_mutual_information,
    discretize,
    gaussian_total_correlation,
    gaussian_wasserstein,
    mutual_information_score,
)

SCORES = (gaussian_total_correlation, gaussian_wasserstein, mutual_information_score)


def codes_of_covariance(covariance, samples=400, seed=0):
    """Codes whose sample covariance is exactly that."""
    codes = np.random.default_rng(seed).normal(size=(samples, len(covariance)))
    codes -= codes.mean(axis=0)
    codes @= np.linalg.inv(np.linalg.cholesky(np.cov(codes.T))).T
    return codes @ np.linalg.cholesky(covariance).T + 3


@pytest.mark.parametrize("correlation", [0.0, 0.3, -0.8, 0.999])
def test_closed_forms_of_two_latents(correlation):
    codes = codes_of_covariance(np.array([[1, correlation], [correlation, 1]]))
    assert float(gaussian_total_correlation(codes)) == pytest.approx(-np.log(1 - correlation**2) / 2, abs=1e-9)
    score = gaussian_wasserstein(codes)
    expected = 4 - 2 * (np.sqrt(1 + correlation) + np.sqrt(1 - correlation))
    assert float(score) == pytest.approx(expected, abs=1e-6)
    assert score.parts["normalized"] == pytest.approx(expected / 2, abs=1e-6)


def test_by_independent_computation():
    rng = np.random.default_rng(1)
    codes = rng.normal(size=(500, 5)) @ rng.normal(size=(5, 5))
    covariance = np.cov(codes.T)
    expected = (np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1]) / 2
    assert float(gaussian_total_correlation(codes)) == pytest.approx(expected)
    expected = 2 * np.trace(covariance) - 2 * np.trace(sqrtm(np.diag(np.diag(covariance)) @ covariance)).real
    score = gaussian_wasserstein(codes)
    assert float(score) == pytest.approx(expected)
    assert score.parts["normalized"] == pytest.approx(expected / np.trace(covariance))
    np.testing.assert_allclose(score.parts["covariance"], covariance)


def test_uncorrelated_latents_are_zero():
    codes = codes_of_covariance(np.diag([1.0, 1e-8, 1e8]))
    assert float(gaussian_total_correlation(codes)) == pytest.approx(0, abs=1e-9)
    assert gaussian_wasserstein(codes).parts["normalized"] == pytest.approx(0, abs=1e-9)
    independent = np.random.default_rng(2).uniform(size=(20_000, 3))
    assert float(mutual_information_score(independent)) == pytest.approx(19**2 / 40_000, rel=0.2)  # the bias
    grid = np.stack(np.meshgrid(range(4), range(5)), axis=-1).reshape(-1, 2).astype(float)
    assert float(mutual_information_score(grid)) == 0


def test_duplicated_latents():
    codes = np.random.default_rng(3).normal(size=(300, 1)) @ [[1.0, -2.0]]
    assert float(gaussian_total_correlation(codes)) > 10  # singular: infinite, in floating point large
    score = gaussian_wasserstein(codes)
    variance = codes[:, 0].var(ddof=1)
    assert float(score) == pytest.approx(2 * 5 * variance - 2 * np.sqrt(17) * variance)
    indices = discretize(codes[:, :1])
    expected = float(discrete_mutual_information(indices, indices)[0, 0])
    assert float(mutual_information_score(np.abs(codes[:, [0, 0]] * [1, 2]))) > 0
    assert float(mutual_information_score(codes[:, [0, 0]])) == pytest.approx(expected)


def test_more_latents_than_samples():
    assert float(gaussian_total_correlation(np.random.default_rng(4).normal(size=(4, 6)))) > 10
    assert float(gaussian_total_correlation([[0.0, 1.0], [1.0, 0.0]])) > 10


def test_mutual_information_score_is_the_mean_over_pairs():
    codes = np.random.default_rng(5).normal(size=(500, 3)) @ np.random.default_rng(6).normal(size=(3, 3))
    indices = discretize(codes, 8)
    matrix = discrete_mutual_information(indices, indices)
    pairs = [matrix[i, j] for i in range(3) for j in range(3) if i != j]
    assert float(mutual_information_score(codes, bins=8)) == pytest.approx(np.mean(pairs))


def test_constant_latents_and_one_latent():
    codes = codes_of_covariance(np.array([[1, 0.5], [0.5, 2]]))
    dead = np.insert(codes, 1, 0.1, axis=1)
    for score in SCORES[:2]:
        assert float(score(dead)) == pytest.approx(float(score(codes)))
        assert score(dead).parts["latents"] == (0, 2)
    assert float(mutual_information_score(dead)) == pytest.approx(float(mutual_information_score(codes)) / 3)
    for nothing in (dead[:, :1], dead[:, 1:2], np.zeros((9, 3))):
        for score in SCORES:
            assert float(score(nothing)) == 0
    assert gaussian_wasserstein(np.zeros((9, 3))).parts["normalized"] == 0


def test_scales():
    codes = codes_of_covariance(np.array([[1, 0.5], [0.5, 2]]))
    total, distance = float(gaussian_total_correlation(codes)), float(gaussian_wasserstein(codes))
    for scale in ([1e-30, 1e30], [1e-200, 1], [-4, 4]):
        assert float(gaussian_total_correlation(codes * scale)) == pytest.approx(total)
        assert np.isfinite(float(gaussian_wasserstein(codes * scale)))
    assert float(gaussian_wasserstein(codes * 7)) == pytest.approx(49 * distance)
    assert gaussian_wasserstein(codes * 1e-30).parts["normalized"] == pytest.approx(distance / 3)
    for score in SCORES:
        assert float(score(codes[:, ::-1])) == pytest.approx(float(score(codes)))


@pytest.mark.parametrize("score", SCORES)
def test_refuses(score):
    with pytest.raises(ValueError, match="codes must be finite"):
        score([[1.0], [np.nan]])
    with pytest.raises(ValueError, match="codes must hold at least 2 samples, got 1"):
        score([[1.0]])
    with pytest.raises(TypeError, match="codes must be real numbers"):
        score([["a"]])


def test_collapsed_latents_are_left_out():
    draws = np.random.default_rng(7)
    active = codes_of_covariance(np.array([[1, 0.3], [0.3, 1]]))
    # Tiny, but functions of the others; and one that is constant although its divergence is not small.
    leak = 1e-4 * (active @ [[1.0], [-1.0]] + 1e-3 * draws.normal(size=(len(active), 1)))
    codes = np.hstack([leak, active[:, :1], np.full((len(active), 1), 0.2), active[:, 1:]])
    divergences = np.array([0.004, 2.0, 0.5, 1.0])
    assert float(gaussian_total_correlation(codes)) > 5
    for score in SCORES[:2]:
        found = score(codes, divergences)
        assert float(found) == pytest.approx(float(score(active))) and found.parts["latents"] == (1, 3)
        assert not found.warnings
    assert float(gaussian_total_correlation(codes, divergences)) == pytest.approx(-np.log(1 - 0.3**2) / 2, abs=1e-9)
    found = mutual_information_score(codes, divergences)
    assert found.parts["latents"] == (1, 2, 3)
    assert float(found) == pytest.approx(float(mutual_information_score(codes[:, 1:])))
    assert gaussian_total_correlation(codes, divergences, threshold=0.001).parts["latents"] == (0, 1, 3)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("divergences", [[0.0, 1.0, 0.01], [0.0, 0.0, -1e-9]])
def test_fewer_than_two_active_latents(score, divergences):
    found = score(np.random.default_rng(8).normal(size=(50, 3)), divergences)
    assert float(found) == 0 and found.warnings == ("fewer than two latents are left: the score is 0",)
    assert not score(np.random.default_rng(8).normal(size=(50, 3)), [1, 1, 0]).warnings


@pytest.mark.parametrize("score", SCORES)
def test_refuses_divergences_that_do_not_fit(score):
    codes = np.random.default_rng(9).normal(size=(50, 3))
    for divergences in ([1.0, 1.0], [1.0, np.nan, 1.0], [1.0, 1.0, -0.5], [[1.0, 1.0, 1.0]]):
        with pytest.raises(ValueError, match="divergences must be 3 finite numbers"):
            score(codes, divergences)
    with pytest.raises(TypeError, match="divergences must be real numbers"):
        score(codes, ["a", "b", "c"])
    with pytest.raises(ValueError, match="threshold must be a finite number, at least 0, got -1"):
        score(codes, [1, 1, 1], threshold=-1)
    with pytest.raises(ValueError, match="threshold must be a finite number"):
        score(codes, [1, 1, 1], threshold="0.1")
