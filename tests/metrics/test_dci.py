import sys

import numpy as np
import pytest

from kerasvae.metrics import BoostedTrees, dci, dci_from_importance


def draw(*sizes, samples=400, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, size, samples) for size in sizes], axis=1)


FACTORS = draw(3, 4)
CODES = FACTORS + np.random.default_rng(1).normal(0, 0.5, FACTORS.shape)


@pytest.mark.parametrize(
    "matrix, disentanglement, completeness",
    [
        (np.eye(4), 1, 1),
        (np.eye(3)[[2, 0, 1]] * 17, 1, 1),
        (np.ones((3, 5)), 0, 0),
        (np.zeros((3, 5)), 0, 0),
        (np.eye(3)[:, [0, 0, 1, 2]], 1 - 0.5 * np.log(2) / np.log(4), 1),  # a latent that serves two factors
        (np.eye(3)[[0, 0, 1, 2]], 1, 1 - 0.5 * np.log(2) / np.log(4)),  # a factor that needs two latents
        ([[1.0, 1.0, 1.0]], 0, 1),  # one latent
        ([[1.0], [1.0]], 1, 0),  # one factor
        ([[3.0]], 1, 1),
    ],
)
def test_aggregation_of_plain_matrices(matrix, disentanglement, completeness):
    scores = dci_from_importance(matrix)
    assert scores["disentanglement"] == pytest.approx(disentanglement, abs=1e-8)
    assert scores["completeness"] == pytest.approx(completeness, abs=1e-8)


def test_aggregation_by_hand():
    # Rows (3/4, 1/4), (0, 1) and zeros, weighing 4/6, 2/6 and 0.
    # Columns (1, 0, 0) and (1/3, 2/3, 0), weighing 1/2 each.
    scores = dci_from_importance([[3.0, 1.0], [0.0, 2.0], [0.0, 0.0]])
    first_row = 1 + 0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)
    second_column = 1 + (np.log(1 / 3) / 3 + 2 * np.log(2 / 3) / 3) / np.log(3)
    np.testing.assert_allclose(scores["disentanglement_per_latent"], [first_row, 1, 0], atol=1e-8)
    np.testing.assert_allclose(scores["completeness_per_factor"], [1, second_column], atol=1e-8)
    assert scores["disentanglement"] == pytest.approx(first_row * 4 / 6 + 2 / 6, abs=1e-8)
    assert scores["completeness"] == pytest.approx((1 * 3 + second_column * 3) / 6, abs=1e-8)


def test_aggregation_laws():
    matrix = np.random.default_rng(0).uniform(size=(6, 4)) ** 4
    scores, turned = dci_from_importance(matrix), dci_from_importance(matrix.T)
    assert scores["disentanglement"] == turned["completeness"]
    assert scores["completeness"] == turned["disentanglement"]
    shuffled = dci_from_importance(100 * matrix[::-1][:, [2, 0, 3, 1]])
    assert shuffled["disentanglement"] == pytest.approx(scores["disentanglement"], abs=1e-6)
    assert shuffled["completeness"] == pytest.approx(scores["completeness"], abs=1e-6)


def test_identity_code_is_one():
    score = dci(FACTORS.astype(float), FACTORS, stages=20)
    assert float(score) > 0.99 and score.parts["completeness"] > 0.99
    assert score.parts["informativeness_train"] == score.parts["informativeness_test"] == 1
    np.testing.assert_allclose(score.parts["importance"], np.eye(2), atol=0.01)


def test_headline_and_parts():
    score = dci(CODES, FACTORS, stages=5)
    assert score.name == "dci" and score.value == score.parts["disentanglement"]
    again = dci_from_importance(score.parts["importance"])
    for key, value in again.items():
        np.testing.assert_array_equal(score.parts[key], value)
    np.testing.assert_allclose(score.parts["importance"].sum(axis=0), 1)
    score.to_json()


def test_importance_and_accuracy_are_those_of_scikit_learns_trees():
    from sklearn.ensemble import GradientBoostingClassifier

    train, test = (CODES[:300], FACTORS[:300]), (CODES[300:], FACTORS[300:])
    score = dci(*train, test=test, stages=7, learning_rate=0.3, max_depth=2, seed=5, bins=300)
    accuracies = []
    for factor in range(2):
        trees = GradientBoostingClassifier(n_estimators=7, learning_rate=0.3, max_depth=2, random_state=5)
        trees.fit(train[0], train[1][:, factor])
        importance = score.parts["importance"][:, factor]
        np.testing.assert_allclose(importance, trees.feature_importances_, rtol=1e-9)
        accuracies.append(trees.score(test[0], test[1][:, factor]))
    assert score.parts["informativeness_test"] == pytest.approx(np.mean(accuracies))


def test_rotation_lowers():
    codes = FACTORS - FACTORS.mean(axis=0)
    rotated = codes @ np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    assert float(dci(rotated, FACTORS, stages=20)) < 0.5


def test_constant_code_is_zero():
    score = dci(np.zeros((400, 3)), FACTORS, stages=3)
    assert float(score) == pytest.approx(0, abs=1e-12)
    assert score.parts["completeness"] == pytest.approx(0, abs=1e-12)
    assert (score.parts["importance"] == 0).all()
    # Nothing to go by: the most frequent value of each factor is predicted.
    assert 0.2 < score.parts["informativeness_train"] < 0.4


def test_importance_where_splits_gain_nothing():
    """Exclusive or: no single split of the code is worth anything."""
    codes = np.array([[0, 0], [0, 1], [1, 0], [1, 1]] * 5, float)
    factors = (codes.sum(axis=1) == 1).astype(int)[:, None]
    score = dci(codes, factors, stages=2, max_depth=1, test=(codes, factors))
    assert (score.parts["importance"] == 0).all()


def test_invariances():
    score = dci(CODES, FACTORS, stages=10)
    for codes in (CODES[:, ::-1], CODES * [4, 0.5], np.insert(CODES, 1, 0.1, axis=1)):
        other = dci(codes, FACTORS, stages=10)
        assert float(other) == pytest.approx(float(score), abs=0.02)  # small nodes have many ties
        for part in ("informativeness_train", "informativeness_test"):
            assert other.parts[part] == pytest.approx(score.parts[part], abs=0.02)


def test_same_seed_same_result_whatever_the_jobs():
    codes = CODES.round()[:, [0, 1, 1]]  # ties between equal latents are what the seed decides
    score = dci(codes, FACTORS, stages=5, seed=7)
    assert score.to_json() == dci(codes, FACTORS, stages=5, seed=7).to_json()
    assert score.to_json() == dci(codes, FACTORS, stages=5, seed=7, jobs=3).to_json()
    assert score.to_json() != dci(codes, FACTORS, stages=5, seed=8).to_json()


def test_a_third_is_held_out_and_not_trained_on(monkeypatch):
    seen = {"fit": [], "predict": []}

    class Recorder(BoostedTrees):
        def fit(self, codes, labels):
            seen["fit"].append(codes.ravel().tolist())
            return super().fit(codes, labels)

        def predict(self, codes):
            seen["predict"].append(codes.ravel().tolist())
            return super().predict(codes)

    monkeypatch.setattr(sys.modules["kerasvae.metrics.dci"], "BoostedTrees", Recorder)
    codes = np.arange(100.0)[:, None]
    dci(codes, draw(2, samples=100), stages=1)
    train, test = seen["fit"][0], seen["predict"][0]
    assert len(test) == 33 and sorted(train + test) == codes.ravel().tolist()
    assert test != sorted(test)  # at random
    seen["fit"].clear()
    dci(codes, draw(2, samples=100), stages=1, seed=2)
    assert seen["fit"][0] != train


def test_given_test_sample():
    wrong = (FACTORS + 1) % [3, 4]
    score = dci(FACTORS.astype(float), FACTORS, stages=20, test=(FACTORS.astype(float), wrong))
    assert score.parts["informativeness_train"] == 1 and score.parts["informativeness_test"] == 0
    one = dci(FACTORS.astype(float), FACTORS, stages=20, test=(FACTORS[:1].astype(float), FACTORS[:1]))
    assert one.parts["informativeness_test"] == 1


def test_constant_factors_are_left_out():
    plain, more = dci(CODES, FACTORS, stages=5), dci(CODES, np.insert(FACTORS, 1, 5, axis=1), stages=5)
    assert more.parts["factors"] == (0, 2) and more.parts["importance"].shape == (2, 2)
    assert plain.to_json()["parts"] | {"factors": [0, 2]} == more.to_json()["parts"]


def test_a_factor_constant_in_what_is_trained_on_is_left_out():
    factors = FACTORS.copy()
    order = np.random.default_rng(1).permutation(400)
    factors[:, 0] = 0
    factors[order[0], 0] = 1  # varies over the whole sample, but only in the third that seed 1 holds out
    assert dci(CODES, factors, stages=2, seed=1).parts["factors"] == (1,)
    with pytest.raises(ValueError, match=r"two thirds .* not constant"):
        dci(CODES, factors[:, :1], stages=2, seed=1)


def test_one_latent_and_one_factor():
    score = dci(CODES[:, :1], FACTORS, stages=5)
    assert score.parts["completeness"] == 1 and float(score) == pytest.approx(0, abs=1e-8)
    score = dci(CODES, FACTORS[:, :1], stages=5)
    assert float(score) == 1 and score.parts["completeness"] < 1


@pytest.mark.parametrize(
    "options, error, match",
    [
        ({"stages": 0}, ValueError, "stages must be an integer, at least 1, got 0"),
        ({"stages": 1.5}, ValueError, "stages must be an integer.*got 1.5"),
        ({"max_depth": 0}, ValueError, "max_depth must be an integer, at least 1"),
        ({"learning_rate": 0.0}, ValueError, "learning_rate must be a finite number, above 0, got 0.0"),
        ({"learning_rate": float("nan")}, ValueError, "learning_rate must be"),
        ({"learning_rate": "fast"}, ValueError, "learning_rate must be"),
        ({"bins": 1}, ValueError, "bins must be an integer, at least 2, got 1"),
        ({"jobs": 0}, ValueError, "jobs must be None or an integer, at least 1, got 0"),
        ({"seed": -1}, ValueError, "seed must be an integer in 0"),
        ({"seed": None}, ValueError, "seed must be an integer.*got None"),
        ({"test": CODES}, TypeError, "test must be a pair"),
        ({"test": (CODES, FACTORS[:9])}, ValueError, "test codes and test factors must hold the same samples"),
        ({"test": (CODES[:, :1], FACTORS)}, ValueError, "test must have the 2 latents trained on, got 1"),
        ({"test": (CODES, FACTORS[:, :1])}, ValueError, "test must have the 2 factors trained on, got 1"),
        ({"test": (CODES * np.nan, FACTORS)}, ValueError, "test codes must be finite"),
        ({"test": (CODES, CODES)}, TypeError, "test factors must be integers"),
        ({"test": (CODES * 1e39, FACTORS)}, ValueError, "test codes must be within float32's range"),
    ],
)
def test_refuses(options, error, match):
    with pytest.raises(error, match=match):
        dci(CODES, FACTORS, **options)


def test_refuses_samples():
    with pytest.raises(ValueError, match="codes must be within float32's range, got an absolute value of"):
        dci(CODES * 1e39, FACTORS)
    with pytest.raises(ValueError, match="at least 3 samples where test is None, got 2"):
        dci(CODES[:2], [[0], [1]])
