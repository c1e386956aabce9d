import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from kerasvae.metrics import BoostedTrees, boosted_trees

RNG = np.random.default_rng(1)
LABELS = RNG.integers(0, 4, 400)
CODES = np.stack([LABELS, LABELS % 2], axis=1) + RNG.normal(0, 0.5, (400, 2))


def share(importance):
    return importance / importance.sum()


@pytest.mark.parametrize("labels", [LABELS, LABELS > 1, LABELS * 7 - 3])
@pytest.mark.parametrize("depth", [1, 2])
def test_equal_to_scikit_learn_where_every_value_may_be_cut_at(labels, depth):
    theirs = GradientBoostingClassifier(n_estimators=8, max_depth=depth, learning_rate=0.3, random_state=0)
    theirs.fit(CODES[:300], labels[:300])
    ours = BoostedTrees(stages=8, max_depth=depth, learning_rate=0.3, bins=300).fit(CODES[:300], labels[:300])
    np.testing.assert_allclose(share(ours.importance), theirs.feature_importances_, rtol=1e-9)
    np.testing.assert_array_equal(ours.predict(CODES), theirs.predict(CODES))
    assert ours.train_accuracy == theirs.score(CODES[:300], labels[:300])
    assert ours.train_accuracy == np.mean(ours.predict(CODES[:300]) == labels[:300])


def test_close_to_scikit_learn_with_fewer_cuts():
    """The case that coarse bins get wrong: many values, few samples of each, latents of noise to fit."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, 600)
    codes = np.concatenate([labels[:, None] + rng.normal(0, 0.7, (600, 1)), rng.normal(size=(600, 4))], axis=1)
    theirs = GradientBoostingClassifier(n_estimators=30, random_state=0).fit(codes, labels)
    ours = BoostedTrees(stages=30, bins=128).fit(codes, labels)
    np.testing.assert_allclose(share(ours.importance), theirs.feature_importances_, atol=0.02)
    assert ours.train_accuracy == pytest.approx(theirs.score(codes, labels), abs=0.02)


def test_compiled_where_no_folder_can_keep_it(monkeypatch):
    import numba

    compile_ = numba.njit

    def no_folder(**options):
        if options.pop("cache", False):
            raise RuntimeError("cannot cache function: no locator available")
        return compile_(**options)

    monkeypatch.setattr(numba, "njit", no_folder)
    predict = boosted_trees._compiled.__wrapped__(boosted_trees._add_predictions)
    trees = BoostedTrees(stages=3).fit(CODES, LABELS)
    scores = np.repeat(trees.start[:, None], len(CODES), axis=1)
    predict(CODES, *trees.trees, scores)
    np.testing.assert_array_equal(trees.classes[scores.argmax(axis=0)], trees.predict(CODES))


def test_equal_values_are_never_parted():
    labels = np.array([0, 1] * 50)
    trees = BoostedTrees(stages=3, bins=2).fit(np.repeat([[0.0], [1.0]], 50, axis=0), labels)
    assert trees.importance.tolist() == [0] and trees.train_accuracy == 0.5


def test_one_cut_is_half_way_between_the_values():
    trees = BoostedTrees(stages=20).fit(np.array([[0.0], [1.0], [3.0], [4.0]]), np.array([0, 0, 5, 5]))
    assert trees.predict(np.array([[-9.0], [1.999], [2.001], [9.0]])).tolist() == [0, 0, 5, 5]


def test_first_stage_by_hand():
    # Residuals -1/2 (2 samples) and 1/2 (2), one cut: the squared error falls from 1 to 0.
    trees = BoostedTrees(stages=1, max_depth=1).fit(np.array([[0.0], [1.0], [3.0], [4.0]]), np.array([0, 0, 1, 1]))
    assert trees.importance[0] == pytest.approx(1)


def test_seed_decides_between_equal_latents_alone():
    twins = CODES[:, [0, 0, 1]]
    first, again, other = (BoostedTrees(stages=6, seed=seed).fit(twins, LABELS).importance for seed in (1, 1, 2))
    assert (first == again).all() and (first != other).any()
    assert first[:2].sum() == pytest.approx(other[:2].sum()) and (first[:2] > 0).all()


def test_latents_may_be_of_any_scale_and_constant():
    plain = BoostedTrees(stages=4).fit(CODES, LABELS)
    scaled = BoostedTrees(stages=4).fit(np.insert(CODES * [1e-30, 1e30], 1, 0.1, axis=1), LABELS)
    np.testing.assert_allclose(scaled.importance[[0, 2]], plain.importance, rtol=1e-6)
    assert scaled.importance[1] == 0
