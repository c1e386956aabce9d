import numpy as np
import pytest

from kerasvae.metrics import modularity, modularity_from_matrix, mutual_information


def grid(*sizes):
    return np.stack(np.meshgrid(*map(range, sizes), indexing="ij"), axis=-1).reshape(-1, len(sizes))


def draw(*sizes, samples=5000, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, samples) for size in sizes], axis=1)


@pytest.mark.parametrize("sizes", [(4, 8), (2, 3, 20), (5, 5)])
def test_perfect_code_is_one(sizes):
    factors = grid(*sizes)
    codes = factors * np.linspace(-3, 2, len(sizes))[::-1] + 7
    for perfect in (codes, codes[:, ::-1], np.concatenate([codes, codes], axis=1)):
        score = modularity(perfect, factors)
        assert float(score) == pytest.approx(1, abs=1e-12)
        np.testing.assert_allclose(score.parts["per_latent"], 1, atol=1e-12)
    assert float(modularity(draw(*sizes).astype(float), draw(*sizes))) > 0.999  # near 1: bias is left


def test_by_hand():
    matrix = [[3.0, 1.0, 0.0], [0.0, 2.0, 2.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1e-200]]
    scores = modularity_from_matrix(matrix)
    np.testing.assert_allclose(scores["per_latent"], [1 - 1 / 18, 0.5, 0, 1])
    assert scores["modularity"] == pytest.approx((1 - 1 / 18 + 0.5 + 1) / 4)


def test_by_definition():
    factors = draw(3, 6)
    codes = factors @ np.random.default_rng(1).normal(size=(2, 5)) + np.random.default_rng(2).normal(size=(5000, 5))
    expected = []
    for row in mutual_information(codes, factors):
        k = row.argmax()
        expected.append(1 - sum(row[j] ** 2 for j in range(2) if j != k) / row[k] ** 2)
    score = modularity(codes, factors)
    np.testing.assert_allclose(score.parts["per_latent"], expected, atol=1e-12)
    assert float(score) == pytest.approx(np.mean(expected))


def test_a_latent_that_serves_all_factors_alike_is_zero():
    factors = grid(6, 6)
    assert float(modularity(factors.sum(axis=1, keepdims=True).astype(float), factors)) == pytest.approx(0, abs=1e-12)


def test_dead_latents_count_as_zero():
    factors = grid(4, 5)
    codes = np.concatenate([factors, np.full((20, 2), 0.1)], axis=1)
    score = modularity(codes, factors)
    assert float(score) == pytest.approx(0.5) and score.parts["per_latent"][2:].tolist() == [0, 0]


def test_one_factor_one_latent_and_constant_factors():
    factors = grid(4, 5)
    assert modularity(np.c_[factors, np.zeros(20)], factors[:, :1]).parts["per_latent"].tolist() == [1, 0, 0]
    assert float(modularity(factors[:, 1:].astype(float), factors)) == pytest.approx(1)
    with_constant = modularity(factors.astype(float), np.insert(factors, 0, 3, axis=1))
    assert float(with_constant) == pytest.approx(1) and with_constant.parts["factors"] == (1, 2)


def test_invariances():
    factors = draw(4, 6)
    codes = factors @ [[1.0, 0.2, 0.5], [0.1, 1.0, 0.5]] + np.random.default_rng(2).normal(size=(5000, 3))
    score = float(modularity(codes, factors))
    assert 0.05 < score < 0.97
    for other in (codes[:, [2, 0, 1]], codes * [2, 0.25, 1024]):
        assert float(modularity(other, factors)) == pytest.approx(score, abs=1e-12)
    assert float(modularity(codes, factors[:, ::-1] * -7)) == pytest.approx(score, abs=1e-12)
