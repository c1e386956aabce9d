import numpy as np
import pytest

from kerasvae.metrics import aam, aam_from_matrix, posterior_information

GRID = np.stack(np.meshgrid(range(4), range(5), range(3), indexing="ij"), axis=-1).reshape(-1, 3)
NARROW = np.full((60, 3), -8.0)
METHODS = ["quadrature", "sampling", "histogram"]


@pytest.mark.parametrize("method", METHODS)
def test_one_latent_per_factor_is_one(method):
    mean = GRID[:, [2, 0, 1]] * [2.0, -3.0, 1.0]
    score = aam(mean, NARROW, GRID, method=method)
    np.testing.assert_allclose(score.parts["per_factor"], 1, atol=1e-9)
    with_dead = aam(np.c_[mean, np.zeros(60)], np.c_[NARROW, np.zeros(60)], GRID, method=method)
    assert float(with_dead) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_posterior_equal_to_the_prior_is_zero(method):
    assert float(aam(np.zeros((60, 3)), np.zeros((60, 3)), GRID, method=method)) == 0


def test_duplicated_and_rotated_are_zero():
    assert float(aam(np.c_[GRID, GRID] * 1.0, np.c_[NARROW, NARROW], GRID)) == 0
    square = np.stack(np.meshgrid(range(5), range(5)), axis=-1).reshape(-1, 2)
    rotated = (square - 2) @ np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    assert float(aam(rotated, np.full((25, 2), -4.0), square)) == pytest.approx(0, abs=1e-9)


def test_headline_is_the_aggregate_of_the_information():
    rng = np.random.default_rng(0)
    mean, logvar = GRID @ rng.normal(size=(3, 4)), rng.normal(size=(60, 4)) - 2
    for method in METHODS[:2]:
        information = posterior_information(mean, logvar, GRID, method=method, seed=3)
        score = aam(mean, logvar, GRID, method=method, seed=3)
        expected = aam_from_matrix(information["mutual_information"], information["standard_error"])
        assert float(score) == expected["aam"] and score.parts["method"] == method
        score.to_json()


def test_by_hand():
    scores = aam_from_matrix([[0.1, 0.6, 0.3, 0.0], [0.8, 0.5, 0.3, 0.0], [0.3, 0.2, 0.0, 0.0]])
    np.testing.assert_allclose(scores["per_factor"], [0.5, 0, 0, 0], atol=1e-15)
    assert scores["aam"] == pytest.approx(0.125)
    assert aam_from_matrix([[0.7, 0.2]])["per_factor"].tolist() == [1, 1]  # one latent


def test_what_is_within_noise_counts_as_nothing():
    assert aam_from_matrix([[9e-7], [0.0]])["aam"] == 0 and aam_from_matrix([[2e-6], [0.0]])["aam"] == 1
    assert aam_from_matrix([[0.01], [0.0]], [[0.02], [0.0]])["aam"] == 0
    assert aam_from_matrix([[0.01], [0.0]], 0.005)["aam"] == 1


def test_histogram_knows_collapsed_latents():
    """Tiny means that follow the factors spoil the histogram form where the posteriors are not known."""
    mean, logvar = np.c_[GRID, GRID * 1e-3], np.c_[NARROW, np.zeros((60, 3))]
    assert float(aam(mean, logvar, GRID, method="histogram")) == pytest.approx(1)
    assert float(aam(mean, None, GRID, method="histogram")) == pytest.approx(0)
    assert float(aam(mean, logvar, GRID)) == pytest.approx(1, abs=1e-4)


def test_refuses():
    with pytest.raises(ValueError, match="standard_error must be a number or have the shape of matrix"):
        aam_from_matrix(np.eye(2), np.ones(3))
    with pytest.raises(ValueError, match="standard_error must be at least 0, got -1"):
        aam_from_matrix(np.eye(2), -1.0)
    with pytest.raises(ValueError, match="matrix must be finite and at least 0"):
        aam_from_matrix([[np.nan]])
