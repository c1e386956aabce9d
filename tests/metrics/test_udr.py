import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import Lasso

from kerasvae.metrics.udr import udr

RNG = np.random.default_rng(0)
CODES = RNG.normal(size=(3000, 4))
ROTATION = np.linalg.qr(RNG.normal(size=(4, 4)))[0]


def test_the_same_up_to_order_sign_and_scale():
    # The lasso shrinks a weight of 1 by its penalty; all columns and rows have one entry of 1 - 0.1, or none.
    orthogonal = np.linalg.qr(CODES - CODES.mean(axis=0))[0]
    scores = udr([orthogonal, -3 * orthogonal[:, ::-1], orthogonal[:, [1, 0, 3, 2]] + 7])
    np.testing.assert_allclose([float(score) for score in scores], 0.9, atol=1e-6)
    assert [score.parts["partners"] for score in scores] == [(1, 2), (0, 2), (0, 1)]
    scores = udr([CODES, -3 * CODES[:, ::-1]], method="spearman")
    sums = np.abs(spearmanr(CODES)[0]).sum(axis=0)
    np.testing.assert_allclose([float(score) for score in scores], (1 / sums).mean(), rtol=1e-9)


def test_the_odd_one_out_scores_least():
    first, second, third, mixed = udr([CODES, CODES[:, ::-1] * 2, CODES[:, [1, 0, 2, 3]], CODES @ ROTATION])
    assert min(first, second, third) > 0.85 and mixed < 0.6
    assert max([first, mixed]) is first


@pytest.mark.parametrize("weighting", ["mean", "latents"])
@pytest.mark.parametrize("method", ["lasso", "spearman"])
def test_by_independent_computation(method, weighting):
    rng = np.random.default_rng(5)
    codes = [rng.normal(size=(200, size)) @ rng.normal(size=(size, size)) for size in (3, 4, 3)]
    codes[1] = np.column_stack([codes[0][:, :2] + 0.1 * codes[1][:, :2], codes[1][:, 2:]])
    kept = [[0, 1, 2], [0, 2, 3], [1, 2]]
    divergences = [np.isin(range(z.shape[1]), some) * 1.0 for z, some in zip(codes, kept, strict=True)]
    pairs = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            if i == j:
                continue
            x, y = ((z[:, k] - z[:, k].mean(0)) / z[:, k].std(0) for z, k in ((codes[i], kept[i]), (codes[j], kept[j])))
            if method == "lasso":
                fits = [Lasso(alpha=0.1, tol=1e-12, max_iter=10**6).fit(x, column).coef_ for column in y.T]
                strength = np.abs(np.transpose(fits))
            else:
                strength = np.abs([[spearmanr(a, b)[0] for b in y.T] for a in x.T])
            columns, rows = (strength.max(axis) ** 2 / np.maximum(strength.sum(axis), 1e-300) for axis in (0, 1))
            if weighting == "mean":
                pairs[i, j] = (columns.mean() + rows.mean()) / 2
            else:
                pairs[i, j] = np.concatenate([columns, rows]).mean()
    for direction, expected in (("predicted", pairs.T), ("predicting", pairs)):
        scores = udr(codes, divergences, method=method, weighting=weighting, direction=direction)
        for model, score in enumerate(scores):
            others = np.delete(expected[model], model)
            np.testing.assert_allclose(score.parts["pairs"], others, atol=1e-6)
            assert float(score) == pytest.approx(np.median(others), abs=1e-6)
            assert score.parts["latents"] == tuple(kept[model]) and not score.warnings


def test_collapsed_latents_take_no_part():
    noisy = np.column_stack([CODES, RNG.normal(size=3000)])
    divergences = [[1, 1, 1, 1], [1, 1, 1, 1, 0.01]]
    with_noise, without = udr([CODES, noisy], divergences), udr([CODES, CODES])
    assert [float(score) for score in with_noise] == pytest.approx([float(score) for score in without])
    assert with_noise[1].parts["latents"] == (0, 1, 2, 3)
    all_collapsed = udr([CODES, CODES, CODES], [[1] * 4, [0] * 4, [1] * 4])
    assert float(all_collapsed[1]) == 0 and all_collapsed[0].parts["pairs"][0] == 0 < all_collapsed[0].parts["pairs"][1]


def test_without_divergences_constant_latents_are_left_out():
    dead = np.column_stack([CODES[:, :2], np.full(3000, 0.1), CODES[:, 2:]])
    scores = udr([CODES, dead])
    assert scores[1].parts["latents"] == (0, 1, 3, 4) and "divergences are not given" in scores[0].warnings[0]
    assert float(scores[0]) == pytest.approx(float(udr([CODES, CODES])[0]))
    # A latent that is constant though it is said to be informative counts as one that nothing belongs to.
    kept = udr([CODES, dead], [np.ones(4), np.ones(5)])
    assert kept[1].parts["latents"] == (0, 1, 2, 3, 4) and 0 < float(kept[1]) < float(scores[1])


def test_jobs_do_not_matter():
    codes = [CODES, CODES @ ROTATION, CODES[:, ::-1]]
    assert [s.to_json() for s in udr(codes, jobs=3)] == [s.to_json() for s in udr(codes)]


@pytest.mark.parametrize(
    "codes, options, error, match",
    [
        (CODES, {}, TypeError, "codes must be a list of arrays, one for each model, got ndarray"),
        ([CODES], {}, ValueError, "codes must be of at least 2 models, got 1"),
        ([CODES, CODES[:-1]], {}, ValueError, "same images, got 3000 rows and 2999 in 1"),
        ([CODES, CODES * np.nan], {}, ValueError, r"codes\[1\] must be finite"),
        ([CODES[:1], CODES[:1]], {}, ValueError, "at least 2 samples"),
        ([CODES, CODES], {"divergences": [np.ones(4)]}, TypeError, "one array for each of the 2 models"),
        ([CODES, CODES], {"divergences": [np.ones(4), np.ones(3)]}, ValueError, r"divergences\[1\] must be 4"),
        ([CODES, CODES], {"divergences": [np.ones(4), -np.ones(4)]}, ValueError, "at least 0, one for each latent"),
        ([CODES, CODES], {"method": "pearson"}, ValueError, 'method must be "lasso" or "spearman", got .pearson.'),
        ([CODES, CODES], {"weighting": 1}, ValueError, 'weighting must be "mean" or "latents", got 1'),
        ([CODES, CODES], {"direction": "both"}, ValueError, 'direction must be "predicted" or "predicting"'),
        ([CODES, CODES], {"penalty": 0}, ValueError, "penalty must be a finite number, above 0, got 0"),
        ([CODES, CODES], {"threshold": -1}, ValueError, "threshold must be a finite number, at least 0, got -1"),
        ([CODES, CODES], {"jobs": 0}, ValueError, "jobs must be None or an integer, at least 1"),
    ],
)
def test_what_is_refused(codes, options, error, match):
    with pytest.raises(error, match=match):
        udr(codes, **options)
