import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from kerasvae.metrics import discrete_mutual_information, discretize, entropy, mutual_information


def test_histogram_edges_are_numpys():
    codes = np.random.default_rng(0).normal(size=(1000, 5)) * [1, 1e-6, 1e6, 3, 0] + [0, 5, -1e7, 0, 0.3]
    bins = discretize(codes)
    assert bins.min() == 0 and bins.max() == 19
    for column, indices in zip(codes.T, bins.T, strict=True):
        counts, edges = np.histogram(column, 20)
        assert np.bincount(indices, minlength=20).tolist() == counts.tolist()
        assert (edges[indices] <= column).all()


def test_bins_are_closed_on_the_left_and_the_maximum_is_in_the_last():
    codes = np.arange(5.0)[:, None]  # edges 0, 1, 2, 3, 4
    assert discretize(codes, 4).ravel().tolist() == [0, 1, 2, 3, 3]
    assert discretize(codes, 2).ravel().tolist() == [0, 0, 1, 1, 1]
    just_below = np.nextafter(2.0, 0)
    assert discretize([[0.0], [just_below], [2.0], [4.0]], 2).ravel().tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("constant", [0.0, -3.5, 1e20, 1e-320])
def test_constant_latents_fall_in_one_bin(constant):
    assert len(np.unique(discretize(np.full((7, 1), constant)))) == 1
    assert (mutual_information(np.full((4, 1), constant), [[0], [0], [1], [1]]) == 0).all()


def test_a_latent_of_neighbouring_floats():
    codes = np.array([[1.0], [np.nextafter(1.0, 2)]])
    assert mutual_information(codes, [[0], [1]])[0, 0] == pytest.approx(np.log(2))


def test_by_hand_two_by_two():
    # Joint shares 3/8, 1/8; 1/8, 3/8 and margins of 1/2: I = 3/4 log(3/2) + 1/4 log(1/2).
    codes = np.array([0, 0, 0, 0, 1, 1, 1, 1.0])[:, None]
    factors = np.array([0, 0, 0, 1, 0, 1, 1, 1])[:, None]
    expected = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert mutual_information(codes, factors)[0, 0] == pytest.approx(expected, rel=1e-12)


def test_against_scikit_learn():
    rng = np.random.default_rng(1)
    factors = np.stack([rng.integers(0, size, 3000) for size in (2, 5, 40)], axis=1)
    codes = np.concatenate([factors @ rng.normal(size=(3, 4)), rng.normal(size=(3000, 2))], axis=1)
    matrix = mutual_information(codes, factors, bins=13)
    for latent, column in enumerate(codes.T):
        bins = np.digitize(column, np.histogram(column, 13)[1][:-1])
        for factor in range(3):
            expected = mutual_info_score(factors[:, factor], bins)
            assert matrix[latent, factor] == pytest.approx(expected, abs=1e-12)


def test_entropy_is_information_about_itself():
    factors = np.random.default_rng(2).integers(-3, 9, (500, 3))
    factors[:, 1] = 4
    entropies = entropy(factors)
    assert entropies[1] == 0 and not np.signbit(entropies[1])
    np.testing.assert_allclose(np.diag(discrete_mutual_information(factors, factors)), entropies, rtol=1e-12)
    assert entropy(np.arange(8)[:, None])[0] == pytest.approx(np.log(8))


def test_laws():
    rng = np.random.default_rng(3)
    left, right = rng.integers(0, 6, (400, 3)), rng.integers(0, 4, (400, 5))
    matrix = discrete_mutual_information(left, right)
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix, discrete_mutual_information(right, left).T, atol=1e-14)
    assert (matrix <= np.minimum(entropy(left)[:, None], entropy(right))).all()
    # Values are labels: any other distinct integers do as well.
    np.testing.assert_allclose(matrix, discrete_mutual_information(left * 10**9 - 7, -right), atol=1e-14)


def test_exactly_zero():
    grid = np.stack(np.meshgrid(range(3), range(5), range(7)), axis=-1).reshape(-1, 3)
    matrix = discrete_mutual_information(grid, grid)
    assert (matrix[~np.eye(3, dtype=bool)] == 0).all()  # independent in the sample
    rng = np.random.default_rng(4)
    codes, factors = rng.normal(size=(997, 2)), rng.integers(0, 3, (997, 2))
    codes[:, 0], factors[:, 1] = 0.1, 2
    matrix = mutual_information(codes, factors)
    assert (matrix[0] == 0).all() and (matrix[:, 1] == 0).all() and matrix[1, 0] > 0


def test_bias_of_independent_pairs():
    rng = np.random.default_rng(5)
    codes, factors = rng.uniform(size=(5000, 30)), rng.integers(0, 8, (5000, 10))
    expected = 19 * 7 / (2 * 5000)
    assert mutual_information(codes, factors).mean() == pytest.approx(expected, rel=0.05)
