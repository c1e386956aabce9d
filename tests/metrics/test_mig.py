import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from kerasvae.metrics import entropy, mig, mig_from_matrix, mutual_information


def draw(*sizes, samples=5000, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, samples) for size in sizes], axis=1)


def test_identity_code_is_one_but_for_the_bias():
    factors = draw(4, 8, 20)
    score = mig(factors.astype(float), factors)
    bias = max(3 * 7, 7 * 19) / (2 * 5000) / np.log(4)
    assert 1 - 2 * bias < float(score) < 1
    # The whole grid, nothing left to chance: no bias.
    grid = np.stack(np.meshgrid(range(4), range(8)), axis=-1).reshape(-1, 2)
    assert float(mig(grid.astype(float), grid)) == pytest.approx(1, abs=1e-12)


def test_by_hand():
    # Latent 0 is factor 0; latent 1 follows factor 1 in 6 of 8 cases. All other pairs are independent.
    factors = np.array([[a, b] for b in (0, 1) for a in (0, 1, 0, 1)])
    codes = np.array([[a, b] for a, b in factors], float)
    codes[[0, 4], 1] = 1 - codes[[0, 4], 1]
    gap = (0.75 * np.log(1.5) + 0.25 * np.log(0.5)) / np.log(2)
    score = mig(codes, factors)
    np.testing.assert_allclose(score.parts["per_factor"], [1, gap], atol=1e-12)
    assert float(score) == pytest.approx((1 + gap) / 2)


def test_by_independent_computation():
    rng = np.random.default_rng(1)
    factors = draw(3, 6)
    codes = factors @ rng.normal(size=(2, 5)) + rng.normal(size=(5000, 5))
    gaps = []
    for factor in factors.T:
        bins = (np.digitize(column, np.histogram(column, 20)[1][:-1]) for column in codes.T)
        values = sorted(mutual_info_score(factor, column) for column in bins)
        gaps.append((values[-1] - values[-2]) / mutual_info_score(factor, factor))
    score = mig(codes, factors)
    np.testing.assert_allclose(score.parts["per_factor"], gaps, atol=1e-10)
    assert float(score) == pytest.approx(np.mean(gaps))


def test_constant_code_is_zero():
    assert float(mig(np.ones((100, 3)), draw(3, 4, samples=100))) == 0


def test_duplicated_latents_are_zero():
    factors = draw(3, 4)
    assert float(mig(np.concatenate([factors, factors], axis=1).astype(float), factors)) == 0


def test_rotation_lowers():
    factors = draw(10, 10)
    codes = factors - 4.5
    rotated = codes @ np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    assert float(mig(rotated, factors)) < 0.05 < 0.9 < float(mig(codes, factors))


def test_invariances():
    factors = draw(4, 6)
    codes = factors @ [[1.0, 0.2, 0.5], [0.1, 1.0, 0.5]] + np.random.default_rng(2).normal(size=(5000, 3))
    score = float(mig(codes, factors))
    assert 0.05 < score < 0.9
    assert float(mig(codes[:, [2, 0, 1]], factors)) == pytest.approx(score, abs=1e-12)
    assert float(mig(codes * [2, 0.25, 1024], factors)) == pytest.approx(score, abs=1e-12)
    assert float(mig(codes + [8, -64, 1], factors)) == pytest.approx(score, abs=1e-3)  # rounding at the edges
    assert float(mig(codes, factors[:, ::-1] * -7)) == pytest.approx(score, abs=1e-12)
    order = np.random.default_rng(3).permutation(5000)
    assert float(mig(codes[order], factors[order])) == pytest.approx(score, abs=1e-12)


def test_one_latent_has_no_second_best():
    factors = draw(5, 5)
    score = mig(factors[:, :1].astype(float), factors)
    assert score.parts["per_factor"][0] == pytest.approx(1) and score.parts["per_factor"][1] < 0.02


def test_constant_factors_are_left_out_and_constant_latents_harmless():
    factors = draw(4, 6)
    codes = factors.astype(float)
    plain = mig(codes, factors)
    more_factors = np.insert(factors, 1, 5, axis=1)
    more = mig(np.insert(codes, 0, 0.1, axis=1), more_factors)
    assert float(more) == pytest.approx(float(plain), abs=1e-12)
    assert plain.parts["factors"] == (0, 1) and more.parts["factors"] == (0, 2)
    assert more.parts["mutual_information"].shape == (3, 2)
    assert (more.parts["mutual_information"][0] == 0).all()
    np.testing.assert_array_equal(more.parts["factor_entropies"], entropy(factors))


def test_more_values_than_bins_bound():
    sizes, grid = 160, np.stack(np.meshgrid(range(160), range(2)), axis=-1).reshape(-1, 2)
    score = mig(grid.astype(float), grid)
    assert score.parts["per_factor"][0] == pytest.approx(np.log(20) / np.log(sizes), abs=1e-10)
    assert mig(grid.astype(float), grid, bins=160).parts["per_factor"][0] == pytest.approx(1)


def test_from_matrix():
    gaps = mig_from_matrix([[0.6, 0.1, 0.0], [0.2, 0.1, 0.3], [0.5, 0.4, 0.3]], [2.0, 0.5, 1.0])
    np.testing.assert_allclose(gaps["per_factor"], [0.05, 0.6, 0.0], atol=1e-15)
    assert gaps["mig"] == pytest.approx(0.65 / 3) and gaps["factors"] == (0, 1, 2)
    one_latent = mig_from_matrix([[0.5, 7.0]], [1.0, 0.0])
    assert one_latent["mig"] == 0.5 and one_latent["factors"] == (0,)


def test_from_matrix_agrees():
    factors = np.insert(draw(3, 4), 0, 9, axis=1)
    codes = factors + np.random.default_rng(4).normal(size=factors.shape)
    gaps, score = mig_from_matrix(mutual_information(codes, factors), entropy(factors)), mig(codes, factors)
    assert gaps["mig"] == float(score) and gaps["factors"] == score.parts["factors"] == (1, 2)


def test_more_values_than_bins_are_warned_of():
    factors = draw(4, 30)
    assert "factor 1 has 30 values, more than the 20 bins" in mig(factors.astype(float), factors).warnings[0]
    assert not mig(factors.astype(float), factors, bins=30).warnings


def test_of_posteriors():
    grid = np.stack(np.meshgrid(range(4), range(5)), axis=-1).reshape(-1, 2)
    mean = np.concatenate([grid, np.zeros((20, 1))], axis=1)
    narrow, broad = np.full((20, 3), -8.0), np.full((20, 3), 10.0)
    score = mig(mean, grid, posterior=(mean, narrow))
    assert float(score) == pytest.approx(1, abs=1e-9) and score.parts["method"] == "quadrature"
    np.testing.assert_allclose(score.parts["mutual_information"], np.r_[np.diag(entropy(grid)), [[0, 0]]], atol=1e-9)
    # The same means, but nothing of them is left in what is drawn.
    assert float(mig(mean, grid, posterior=(mean, broad))) < 0.001 < 0.99 < float(mig(mean, grid))
    sampled = mig(mean, grid, posterior=(mean, narrow), method="sampling", seed=3)
    assert float(sampled) == pytest.approx(1, abs=1e-9) and sampled.parts["method"] == "sampling"


def test_refuses_wrong_posteriors():
    grid = np.stack(np.meshgrid(range(4), range(5)), axis=-1).reshape(-1, 2)
    for posterior, error, match in (
        (grid, TypeError, "posterior must be a pair"),
        ((grid, grid[:, :1]), ValueError, "logvar must have the shape of mean"),
        ((grid[:9], grid[:9]), ValueError, "codes and posterior means must hold the same samples, got 20 and 9"),
    ):
        with pytest.raises(error, match=match):
            mig(grid, grid, posterior=posterior)
    with pytest.raises(ValueError, match="method must be None without posterior, got 'sampling'"):
        mig(grid, grid, method="sampling")
