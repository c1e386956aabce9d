import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from kerasvae.metrics import explicitness


def draw(*sizes, samples=600, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, samples) for size in sizes], axis=1)


FACTORS = draw(3, 4)
CODES = FACTORS @ np.random.default_rng(1).normal(size=(2, 4)) + np.random.default_rng(2).normal(size=(600, 4))
HALVES = (CODES[:300], FACTORS[:300]), (CODES[300:], FACTORS[300:])


def test_one_hot_code_is_perfect_and_constant_code_is_chance():
    one_hot = np.concatenate([np.eye(3)[FACTORS[:, 0]], np.eye(4)[FACTORS[:, 1]]], axis=1)
    assert float(explicitness(one_hot, FACTORS)) == 1
    score = explicitness(np.full((600, 3), 0.1), FACTORS)
    assert float(score) == 0.5 and score.parts["train"] == 0.5


def test_noise_is_about_chance():
    assert float(explicitness(np.random.default_rng(3).normal(size=(600, 2)), FACTORS)) == pytest.approx(0.5, abs=0.06)


def test_by_independent_computation():
    train, train_factors = HALVES[0]
    score = explicitness(train, train_factors, test=HALVES[1])
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    expected = {"train": [], "test": []}
    for factor in range(2):
        fitted = LogisticRegression(C=1.0, solver="lbfgs", tol=1e-10, max_iter=5000)
        fitted.fit((train - mean) / deviation, train_factors[:, factor])
        for name, (codes, factors) in zip(expected, HALVES, strict=True):
            probabilities = fitted.predict_proba((codes - mean) / deviation)
            areas = [roc_auc_score(factors[:, factor] == value, column) for value, column in enumerate(probabilities.T)]
            expected[name].append(np.mean(areas))
    np.testing.assert_allclose(score.parts["per_factor"], expected["test"], atol=1e-6)
    assert float(score) == score.parts["test"] == pytest.approx(np.mean(expected["test"]), abs=1e-6)
    assert score.parts["train"] == pytest.approx(np.mean(expected["train"]), abs=1e-6)
    assert score.parts["factors"] == (0, 1) and not score.warnings


def test_invariances():
    score = float(explicitness(CODES, FACTORS))
    order = [2, 0, 3, 1]
    for codes in (CODES[:, order], CODES * [1e-30, 3, 1e30, -1] + [0, 1e3, 0, 8], np.insert(CODES, 1, 0.1, axis=1)):
        assert float(explicitness(codes, FACTORS)) == pytest.approx(score, abs=1e-4)
    assert float(explicitness(CODES, FACTORS * -5 + 2)) == pytest.approx(score, abs=1e-4)


def test_a_third_is_held_out():
    order = np.random.default_rng(7).permutation(600)
    given = explicitness(CODES[order[200:]], FACTORS[order[200:]], test=(CODES[order[:200]], FACTORS[order[:200]]))
    assert float(explicitness(CODES, FACTORS, seed=7)) == float(given) != float(explicitness(CODES, FACTORS, seed=8))


def test_missing_values():
    test_codes, test_factors = HALVES[1]
    fewer = test_factors[:, 0] != 2
    score = explicitness(*HALVES[0], test=(test_codes[fewer], test_factors[fewer]))
    assert np.isfinite(score.parts["per_factor"]).all()
    assert score.warnings == ("values [2] of factor 0 are left out: absent from training or test sample",)
    # A value that was never trained on cannot be ranked either, but is among the rest.
    unseen = test_factors.copy()
    unseen[:20, 1] = 9
    score = explicitness(*HALVES[0], test=(test_codes, unseen))
    assert 0.5 < score.parts["per_factor"][1] < 1 and "values [9] of factor 1" in score.warnings[0]


def test_a_factor_that_the_test_sample_cannot_tell_is_left_out():
    test_codes, test_factors = HALVES[1]
    same = test_factors.copy()
    same[:, 1] = 0
    score = explicitness(*HALVES[0], test=(test_codes, same))
    assert score.parts["factors"] == (0,) and "factor 1 is left out" in score.warnings[0]
    with pytest.raises(ValueError, match="two or more values of a factor"):
        explicitness(*HALVES[0], test=(test_codes, same * 0))


def test_constant_factors_one_latent_and_two_values():
    plain = explicitness(CODES, FACTORS)
    more = explicitness(CODES, np.insert(FACTORS, 1, 5, axis=1))
    assert float(more) == float(plain) and more.parts["factors"] == (0, 2)
    labels = draw(2)
    assert float(explicitness(labels.astype(float), labels)) == 1
    assert float(explicitness(1 - 2.0 * labels, labels)) == 1
