import numpy as np
import pytest

from kerasvae.metrics import discrete_mutual_information, entropy, mig, mmig, mmig_from_matrix

GRID = np.stack(np.meshgrid(range(4), range(5), range(3), indexing="ij"), axis=-1).reshape(-1, 3)
NARROW = np.full((60, 3), -8.0)
# Two factors that depend on each other: of the second only values up to the first.
DEPENDENT = np.array([[a, b] for a in range(5) for b in range(a + 1)])


@pytest.mark.parametrize("method", ["quadrature", "sampling"])
def test_perfect_is_one_and_prior_is_zero(method):
    mean = GRID[:, [2, 0, 1]] * [2.0, -3.0, 1.0]
    assert float(mmig(mean, NARROW, GRID, method=method)) == pytest.approx(1, abs=1e-9)
    assert float(mmig(np.zeros((60, 3)), np.zeros((60, 3)), GRID, method=method)) == 0


def test_equals_mig_for_balanced_independent_factors():
    rng = np.random.default_rng(0)
    mean, logvar = GRID @ rng.normal(size=(3, 4)), rng.normal(size=(60, 4)) - 2
    score = mmig(mean, logvar, GRID)
    assert 0.01 < float(score) < 0.99
    assert float(score) == pytest.approx(float(mig(mean, GRID, posterior=(mean, logvar))), abs=1e-12)


def test_perfect_code_of_dependent_factors_is_one():
    """MIG is below 1, since the latent of one factor knows of the other one too; MMIG allows for that."""
    mean, logvar = DEPENDENT * 1.0, np.full((15, 2), -9.0)
    score = mmig(mean, logvar, DEPENDENT)
    assert float(score) == pytest.approx(1, abs=1e-9)
    assert float(mig(mean, DEPENDENT, posterior=(mean, logvar))) < 0.9
    information = discrete_mutual_information(DEPENDENT, DEPENDENT)
    np.testing.assert_allclose(score.parts["denominators"], entropy(DEPENDENT) - information[0, 1])


def test_functions_of_other_factors_are_left_out():
    factors = np.c_[GRID, GRID[:, 1] // 2]
    score = mmig(GRID * 1.0, NARROW, factors)
    assert score.parts["factors"] == (0, 1, 2) and score.parts["left_out"] == (3,)
    assert any("factors [3] are left out" in warning for warning in score.warnings)
    assert score.parts["mutual_information"].shape == (3, 3) and len(score.parts["factor_entropies"]) == 3
    # The factor that it is a function of keeps what the other one does not tell.
    assert score.parts["denominators"][1] == pytest.approx(entropy(GRID)[1] - entropy(factors)[3])
    score.to_json()
    with pytest.raises(ValueError, match="factors must hold one that is no function of another"):
        mmig(GRID * 1.0, NARROW, GRID[:, [1, 1]])


def test_constant_factors_and_one_latent():
    score = mmig(GRID * 1.0, NARROW, np.insert(GRID, 0, 2, axis=1))
    assert float(score) == pytest.approx(1) and score.parts["factors"] == (1, 2, 3)
    one = mmig(GRID[:, 1:2] * 1.0, NARROW[:, :1], GRID)
    np.testing.assert_allclose(one.parts["per_factor"], [0, 1, 0], atol=1e-9)


def test_from_matrix():
    matrix, factors = [[0.5, 0.1], [0.2, 0.4]], [[1.0, 0.25], [0.25, 0.75]]
    gaps = mmig_from_matrix(matrix, factors)
    np.testing.assert_allclose(gaps["per_factor"], [0.3 / 0.75, 0.3 / 0.5])
    assert gaps["mmig"] == pytest.approx(0.5) and gaps["factors"] == (0, 1)
    with pytest.raises(ValueError, match=r"factor_information must have shape \(2, 2\), got \(3, 3\)"):
        mmig_from_matrix(matrix, np.eye(3))
    with pytest.raises(ValueError, match="factor_information must be finite"):
        mmig_from_matrix(matrix, -np.eye(2))
