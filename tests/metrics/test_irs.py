import numpy as np
import pytest

from kerasvae.metrics import irs


def grid(*sizes):
    return np.stack(np.meshgrid(*map(range, sizes), indexing="ij"), axis=-1).reshape(-1, len(sizes))


GRID = grid(4, 5, 6)


def test_perfect_code_is_one_whatever_the_map():
    codes = np.stack([np.sin(GRID[:, 0]), GRID[:, 2] ** 2 * 100.0, GRID[:, 2] == 3], axis=1)
    score = irs(codes, GRID)
    assert float(score) == 1 and score.parts["best_factor"].tolist() == [0, 2, 2]


def test_by_definition():
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(0, 4, 900), rng.integers(0, 7, 900)], axis=1)
    codes = factors @ rng.normal(size=(2, 3)) + rng.normal(size=(900, 3)) * [0.1, 1, 5]
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    matrix = np.empty((3, 2))
    for latent in range(3):
        for factor in range(2):
            quantiles = []
            for value in np.unique(factors[:, factor]):
                group = codes[factors[:, factor] == value, latent]
                quantiles.append(np.percentile(np.abs(group - group.mean()), 99))
            matrix[latent, factor] = 1 - np.mean(quantiles) / largest[latent]
    score = irs(codes, factors)
    np.testing.assert_allclose(score.parts["matrix"], matrix, atol=1e-12)
    assert float(score) == pytest.approx((matrix.max(axis=1) * largest).sum() / largest.sum())


def test_factors_are_binned_as_numbers():
    factors = np.arange(40)[:, None]
    score = irs(factors.astype(float), factors)
    # 20 bins of two neighbours each: 0.5 from their mean, at most 19.5 from the mean of all.
    assert float(score) == pytest.approx(1 - 0.5 / 19.5)
    assert "factor 0 has 40 values, more than the 20 bins" in score.warnings[0]
    assert float(irs(factors.astype(float), factors, bins=40)) == 1 and not irs(GRID * 1.0, GRID).warnings


def test_scale_weighs_and_shift_and_order_do_not_matter():
    codes = np.stack([GRID[:, 0], GRID.sum(axis=1)], axis=1).astype(float)
    score = irs(codes, GRID)
    per_latent = score.parts["per_latent"]
    assert per_latent[1] < per_latent[0] == 1
    assert float(irs(codes * [100, 1], GRID)) > float(score)
    for other in (codes[:, ::-1], codes + [5, -9], codes * -16):
        assert float(irs(other, GRID)) == pytest.approx(float(score), abs=1e-12)
    assert float(score) == pytest.approx(score.parts["weights"] @ per_latent)


def test_constant_latents_are_dropped_and_constant_factors_left_out():
    codes = GRID.astype(float)
    score = irs(np.insert(codes, 1, 0.1, axis=1), np.insert(GRID, 0, 9, axis=1))
    assert float(score) == 1
    assert score.parts["latents"] == (0, 2, 3) and score.parts["factors"] == (1, 2, 3)
    empty = irs(np.full((120, 2), 0.1), GRID)
    assert float(empty) == 0 and empty.parts["latents"] == () and empty.parts["matrix"].shape == (0, 3)


def test_noise_is_near_zero():
    assert -0.2 < float(irs(np.random.default_rng(0).uniform(size=(5000, 3)), np.tile(GRID, (42, 1))[:5000])) < 0.1


def test_quantile():
    codes = np.zeros((120, 1))
    codes[0] = 1  # a single outlier: nothing to the quantile, everything to the maximum
    assert float(irs(codes, GRID, quantile=0.5)) > 0.9 > float(irs(codes, GRID, quantile=1.0))


@pytest.mark.parametrize("quantile", [0, 1.1, float("nan"), "high"])
def test_refuses(quantile):
    with pytest.raises(ValueError, match="quantile must be a finite number, above 0 and at most 1"):
        irs(GRID.astype(float), GRID, quantile=quantile)


def test_a_code_may_do_worse_than_nothing_but_not_below_its_bound():
    scores = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        factors = rng.integers(0, 2, (8, 1))
        factors[:2] = [[0], [1]]
        scores.append(float(irs(rng.normal(size=(8, 1)) ** 3, factors)))
    low, high = irs.info.bounds
    assert low <= min(scores) < 0 < max(scores) <= high
