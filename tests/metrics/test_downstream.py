import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from kerasvae.metrics.downstream import downstream

RNG = np.random.default_rng(0)


def draw(*sizes, samples):
    return np.stack([RNG.integers(0, size, samples) for size in sizes], axis=1)


def noisy(factors):
    return factors + RNG.normal(0, 0.4, factors.shape)


TRAIN, TEST = draw(3, 4, samples=200), draw(3, 4, samples=300)
PAIR = noisy(TRAIN), TRAIN
TEST_PAIR = noisy(TEST), TEST


def test_perfect_codes():
    factors = draw(3, 2, samples=900)
    score = downstream(factors.astype(float), factors, sizes=(50, 500), stages=5)
    assert float(score) == 1
    for predictor in ("logistic_regression", "boosted_trees"):
        assert score.parts["accuracy"][predictor].tolist() == [1, 1]
        assert score.parts["efficiency"][predictor] == score.parts["efficiency_above_chance"][predictor] == 1
    assert score.parts["chance"] == pytest.approx((1 / 3 + 1 / 2) / 2)
    assert score.parts["efficiency_sizes"] == (50, 500) and not score.warnings


def test_codes_that_say_nothing():
    score = downstream(RNG.normal(size=(200, 2)), TRAIN, sizes=(20, 200), test=TEST_PAIR, stages=3)
    for predictor in ("logistic_regression", "boosted_trees"):
        assert abs(score.parts["accuracy"][predictor] - score.parts["chance"]).max() < 0.12
    constant = downstream(np.zeros((200, 2)), TRAIN, sizes=(200,), test=(np.zeros((300, 2)), TEST), stages=3)
    expected = [np.mean(TEST[:, k] == np.bincount(TRAIN[:, k]).argmax()) for k in range(2)]
    for predictor in ("logistic_regression", "boosted_trees"):
        assert constant.parts["per_factor"][predictor][0].tolist() == expected
    assert "boosted_trees: accuracy is hardly above chance" in " ".join(constant.warnings)


def test_logistic_regression_by_independent_computation():
    def fitted(x, y, strength):
        return LogisticRegression(C=strength, solver="newton-cholesky").fit(x, y)

    x, y = PAIR[0][:45], TRAIN[:45]
    score = downstream(*PAIR, sizes=(45,), test=TEST_PAIR, predictors=["logistic_regression"])
    for factor, accuracy in enumerate(score.parts["per_factor"]["logistic_regression"][0]):
        folds, labels = list(KFold(5).split(x)), y[:, factor]
        right = [
            sum(np.sum(fitted(x[a], labels[a], c).predict(x[b]) == labels[b]) for a, b in folds)
            for c in np.logspace(-4, 4, 10)
        ]
        best = fitted(x, labels, np.logspace(-4, 4, 10)[np.argmax(right)])
        # A prediction may be a tie but for the solvers' tolerance.
        assert accuracy == pytest.approx(best.score(TEST_PAIR[0], TEST[:, factor]), abs=0.01)


def test_learning_curve_efficiency_and_nested_samples():
    score = downstream(*PAIR, sizes=(5, 20, 200), test=TEST_PAIR, efficiency=(20, 200), stages=10)
    for predictor, accuracy in score.parts["accuracy"].items():
        assert accuracy[0] < accuracy[2]
        chance = score.parts["chance"]
        assert score.parts["efficiency"][predictor] == pytest.approx(accuracy[1] / accuracy[2])
        expected = (accuracy[1] - chance) / (accuracy[2] - chance)
        assert score.parts["efficiency_above_chance"][predictor] == pytest.approx(expected)
    assert float(score) == score.parts["accuracy"]["boosted_trees"][2]
    # Of the rows after the first n nothing is seen.
    changed = np.concatenate([PAIR[0][:20], RNG.normal(size=(180, 2))])
    again = downstream(changed, TRAIN, sizes=(5, 20, 200), test=TEST_PAIR, stages=10)
    np.testing.assert_array_equal(
        again.parts["per_factor"]["boosted_trees"][:2], score.parts["per_factor"]["boosted_trees"][:2]
    )


def test_few_samples_with_missing_values():
    factors = np.array([[0, 0], [0, 1], [0, 2], [0, 3], [1, 4], [1, 5], [2, 5], [2, 6]])
    test = (factors.astype(float), factors)
    for size, most in ((1, [4 / 8, 1 / 8]), (4, [4 / 8, 4 / 8]), (7, [1, 7 / 8])):
        score = downstream(factors.astype(float), factors, sizes=(size,), test=test, stages=3)
        for accuracies in score.parts["per_factor"].values():
            assert (accuracies[0] <= most).all()
    one_value = downstream(factors.astype(float), factors, sizes=(1, 8), test=test, stages=3)
    assert one_value.parts["per_factor"]["logistic_regression"][0].tolist() == [4 / 8, 1 / 8]


def test_constant_factors_are_left_out():
    constant = np.column_stack([TRAIN, np.zeros(200, int)])
    test = TEST_PAIR[0], np.column_stack([TEST, np.zeros(300, int)])
    score = downstream(PAIR[0], constant, sizes=(50,), test=test, stages=3)
    assert score.parts["factors"] == (0, 1) and score.parts["per_factor"]["boosted_trees"].shape == (1, 2)


@pytest.mark.slow
def test_seed_and_jobs():
    def run(**options):
        return downstream(*PAIR, sizes=(10, 100), stages=3, **options).to_json()

    assert run(seed=1) == run(seed=1, jobs=3) != run(seed=2)


@pytest.mark.parametrize(
    "options, error, match",
    [
        ({}, ValueError, r"sizes must be at most the 134 samples to learn from \(a third is held out\), got 10000"),
        ({"sizes": (10, 201), "test": TEST_PAIR}, ValueError, "at most the 200 samples to learn from, got 201"),
        ({"sizes": 10}, ValueError, "sizes must be a list of integers, each at least 1, got 10"),
        ({"sizes": ()}, ValueError, "sizes must be ascending and hold at least one"),
        ({"sizes": (10, 10)}, ValueError, "sizes must be ascending"),
        ({"sizes": (0, 10)}, ValueError, r"sizes\[0\] must be an integer, at least 1"),
        ({"sizes": (10, 20), "efficiency": (10, 30)}, ValueError, "efficiency must be two of the sizes"),
        ({"sizes": (10,), "predictors": ["knn"]}, ValueError, r"predictors\[0\] must be .* got 'knn'"),
        ({"sizes": (10,), "predictors": "boosted_trees"}, ValueError, "predictors must be a list of different names"),
        ({"sizes": (10,), "stages": 0}, ValueError, "stages must be an integer, at least 1"),
        ({"sizes": (10,), "test": 3}, TypeError, "test must be a pair"),
    ],
)
def test_what_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        downstream(*PAIR, **options)
