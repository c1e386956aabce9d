import numpy as np
import pytest

from kerasvae.metrics.factor_vae_score import factor_vae_score

FEW = {"train": 300, "test": 200, "batch_size": 32, "variance_samples": 1000}


@pytest.mark.parametrize("sizes", [(4, 4, 4), (3, 6, 8, 5), (2, 7), (30, 9)])
def test_perfect_codes_whatever_their_order_scale_and_shift(sizes):
    assert float(factor_vae_score(lambda v: v, sizes, **FEW)) == 1
    rng = np.random.default_rng(0)
    order, scale, shift = rng.permutation(len(sizes)), rng.uniform(-9, -1, len(sizes)), rng.normal(size=len(sizes))
    score = factor_vae_score(lambda v: (v * scale + shift)[:, order], sizes, **FEW)
    assert float(score) == 1 and score.parts["factor_of_latent"].tolist() == order.tolist()


def test_scaling_changes_nothing_for_entangled_codes():
    weights = np.random.default_rng(1).normal(size=(3, 5))
    scale, shift, order = np.array([1, 2, 0.5, -4, 8]), np.array([0, 3, 0, -5, 100]), np.array([3, 0, 2, 4, 1])

    def run(change):
        options = FEW | {"batch_size": 6, "prune_threshold": 0}
        return factor_vae_score(lambda v: change(v @ weights), (4, 4, 4), **options)

    first, second = run(lambda z: z), run(lambda z: (z * scale + shift)[:, order])
    assert float(first) == float(second) < 1
    np.testing.assert_array_equal(first.parts["votes"][order], second.parts["votes"])


def test_duplicated_latents_score_as_one():
    score = factor_vae_score(lambda v: v[:, [0, 0, 1, 2, 2]], (4, 4, 4), **FEW)
    # The two are equal to the last bit, so the first of them gets all votes, and the other none.
    assert float(score) == 1 and score.parts["votes"].sum(axis=1)[[1, 4]].tolist() == [0, 0]
    assert score.parts["factor_of_latent"].tolist() == [0, 0, 1, 2, 0]


def test_a_factor_that_is_not_encoded_is_never_told():
    score = factor_vae_score(lambda v: v[:, :2], (4, 4, 4), train=300, test=2000, batch_size=32)
    assert abs(float(score) - 2 / 3) < 4 * np.sqrt(2 / 9 / 2000)


def test_merged_factors():
    # One latent for two factors: whichever of the two is fixed it varies less, and stands for one of them.
    score = factor_vae_score(
        lambda v: np.stack([v[:, 0] + 4 * v[:, 1], v[:, 2]], 1), (4, 4, 4), train=300, test=2000, batch_size=32
    )
    assert 0.6 < float(score) < 0.75


@pytest.mark.parametrize("encode", [lambda v: np.zeros((len(v), 3)), lambda v: np.full((len(v), 2), 1 / 3)])
def test_constant_codes_score_0(encode):
    score = factor_vae_score(encode, (4, 4, 4), prune_threshold=0, bootstrap=5, **FEW)
    assert float(score) == 0 and score.parts["latents_left"] == 0 and score.parts["votes"].shape == (0, 3)
    assert score.interval is None


def test_one_latent_scores_chance():
    score = factor_vae_score(lambda v: v[:, :1] + 0.0, (4, 4, 4), train=300, test=2000, batch_size=8)
    assert abs(float(score) - 1 / 3) < 4 * np.sqrt(2 / 9 / 2000)


def test_dead_latents_are_pruned():
    def encode(v):
        noise = np.random.default_rng(len(v)).normal(size=(len(v), 2))
        return np.column_stack([v, 0.01 * noise, np.full(len(v), 0.1)])

    pruned, kept = (factor_vae_score(encode, (4, 4, 4), prune_threshold=t, **FEW) for t in (0.05, 0))
    assert pruned.parts["latents"] == (0, 1, 2) and kept.parts["latents"] == (0, 1, 2, 3, 4)
    assert float(pruned) == float(kept) == 1


def test_the_threshold_is_of_the_standard_deviation():
    latents = [factor_vae_score(lambda v: v, (2, 3), prune_threshold=t, **FEW).parts["latents"] for t in (0.4, 0.6, 1)]
    assert latents == [(0, 1), (1,), ()]  # sqrt(1/4) and sqrt(2/3)


def test_constant_factors_are_never_shared():
    score = factor_vae_score(lambda v: v, (4, 1, 4), **FEW)
    assert float(score) == 1 and score.parts["factors"] == (0, 2)
    assert score.parts["latents"] == (0, 2) and score.parts["votes"][:, 1].tolist() == [0, 0]


def test_votes_by_hand():
    seen = []

    def encode(v):
        seen.append(v.copy())
        return v

    score = factor_vae_score(encode, (5, 5, 5), train=40, test=10, batch_size=8, variance_samples=100)
    assert [len(v) for v in seen] == [100, 40 * 8, 10 * 8]
    constant = (seen[1].reshape(40, 8, 3) == seen[1].reshape(40, 8, 3)[:, :1]).all(axis=1)
    assert (constant.sum(axis=1) == 1).all()
    assert np.diag(score.parts["votes"]).tolist() == constant.sum(axis=0).tolist()


def test_same_seed_same_score():
    def run(seed, **options):
        weights = np.random.default_rng(1).normal(size=(3, 3))
        return factor_vae_score(lambda v: v @ weights, (4, 4, 4), seed=seed, **options, **FEW)

    assert run(1).to_json() == run(1).to_json() != run(2).to_json()
    low, high = run(1, bootstrap=50).interval
    assert low < float(run(1)) < high and high - low < 0.3


@pytest.mark.parametrize(
    "options, error, match",
    [
        ({"batch_size": 1}, ValueError, "batch_size must be an integer, at least 2, got 1"),
        ({"variance_samples": 1}, ValueError, "variance_samples must be an integer, at least 2"),
        ({"prune_threshold": -1}, ValueError, "prune_threshold must be a finite number, at least 0, got -1"),
        ({"prune_threshold": float("nan")}, ValueError, "prune_threshold must be"),
        ({"train": 0}, ValueError, "train must be an integer, at least 1"),
        ({"test": True}, ValueError, "test must be an integer"),
    ],
)
def test_what_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        factor_vae_score(lambda v: v, (4, 4), **options)


def test_the_number_of_latents_must_not_change():
    with pytest.raises(ValueError, match="same latents, got 2 and then 1"):
        factor_vae_score(lambda v: v if len(v) == 100 else v[:, :1], (4, 4), variance_samples=100)
