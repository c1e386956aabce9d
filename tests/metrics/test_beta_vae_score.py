import numpy as np
import pytest

from kerasvae.metrics.beta_vae_score import beta_vae_score

FEW = {"train": 400, "test": 300, "batch_size": 16}


@pytest.mark.parametrize("sizes", [(4, 4, 4), (3, 6, 8, 5), (2, 7), (30, 9)])
def test_perfect_codes(sizes):
    assert float(beta_vae_score(lambda v: v, sizes, **FEW)) == 1
    order = np.random.default_rng(0).permutation(len(sizes))
    turned = beta_vae_score(lambda v: (3 - v / 2)[:, order], sizes, **FEW)
    assert float(turned) > 0.99


def test_a_factor_that_is_not_encoded_is_told_by_its_absence():
    assert float(beta_vae_score(lambda v: v[:, :2], (4, 4, 4), **FEW)) > 0.99


def test_order_of_latents_does_not_matter():
    def mixed(v):
        return np.stack([v[:, 0] + v[:, 1], v[:, 1] * 2 - v[:, 2], v[:, 2] ** 2, v[:, 0]], axis=1)

    scores = [float(beta_vae_score(encode, (3, 4, 5), **FEW)) for encode in (mixed, lambda v: mixed(v)[:, ::-1])]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)


@pytest.mark.parametrize(
    "encode", [lambda v: np.zeros((len(v), 3)), lambda v: np.random.default_rng(len(v)).normal(size=(len(v), 3))]
)
def test_codes_that_say_nothing_score_chance(encode):
    score = float(beta_vae_score(encode, (4, 4, 4), train=900, test=2000, batch_size=4))
    assert abs(score - 1 / 3) < 4 * np.sqrt(2 / 9 / 2000) + 0.01


def test_constant_factors_are_never_shared():
    score = beta_vae_score(lambda v: v, (4, 1, 4), **FEW)
    assert float(score) == 1 and score.parts["factors"] == (0, 2) and score.parts["per_factor"].tolist() == [1, 1]
    # With one factor left there is nothing to tell apart.
    assert float(beta_vae_score(lambda v: v, (1, 4), **FEW)) == 1


def test_points_by_hand():
    # Batches of one pair from a factor of two values: without the other factor shared the difference is 0 or 1.
    seen = []

    def encode(v):
        seen.append(v.copy())
        return v

    beta_vae_score(encode, (5, 5, 5), train=50, test=20, batch_size=8)
    (train_first, train_second, *test) = seen
    assert len(train_first) == 50 * 8 and len(test[0]) == 20 * 8
    same = (train_first == train_second).reshape(50, 8, 3)
    assert (same.all(axis=1).sum(axis=1) == 1).all()  # in each point one factor agrees in every row
    shared = same.all(axis=1).argmax(axis=1)
    values = train_first.reshape(50, 8, 3)[np.arange(50), :, shared]
    assert (values != values[:, :1]).any(axis=1).all()  # and differs between the rows


def test_same_seed_same_score():
    def noisy(v):
        return v + np.sin(np.arange(len(v)))[:, None] * 4

    def run(seed, **options):
        return beta_vae_score(noisy, (4, 4, 4), train=300, test=200, batch_size=2, seed=seed, **options)

    assert run(1).to_json() == run(1).to_json() != run(2).to_json()
    with_interval = run(1, bootstrap=20)
    assert float(with_interval) == float(run(1)) and run(1).interval is None
    low, high = with_interval.interval
    assert low < float(with_interval) < high and high - low < 0.3
    assert run(1, bootstrap=20, jobs=2).interval == with_interval.interval


@pytest.mark.parametrize(
    "encode, sizes, options, error, match",
    [
        ("mean", (4, 4), {}, TypeError, "encode_factors must be a function of factor values, got str"),
        (lambda v: v, 4, {}, ValueError, "factor_sizes must be a list of integers, each at least 1, got 4"),
        (lambda v: v, (4, 0), {}, ValueError, r"factor_sizes\[1\] must be an integer, at least 1, got 0"),
        (lambda v: v, (4, 2.0), {}, ValueError, r"factor_sizes\[1\] must be an integer"),
        (lambda v: v, (1, 1), {}, ValueError, r"a factor of more than one value, got \(1, 1\)"),
        (lambda v: v[:, 0], (4, 4), {}, ValueError, "codes that encode_factors returns must have shape"),
        (lambda v: v[1:], (4, 4), {}, ValueError, "must hold the same samples"),
        (lambda v: v * np.nan, (4, 4), {}, ValueError, "codes that encode_factors returns must be finite"),
        (lambda v: v * 1e200, (4, 4), {}, ValueError, "within float32's range"),
        (lambda v: v.astype(str), (4, 4), {}, TypeError, "must be real numbers"),
        (lambda v: v, (4, 4), {"train": 0}, ValueError, "train must be an integer, at least 1, got 0"),
        (lambda v: v, (4, 4), {"test": 1.5}, ValueError, "test must be an integer"),
        (lambda v: v, (4, 4), {"batch_size": 0}, ValueError, "batch_size must be an integer, at least 1"),
        (lambda v: v, (4, 4), {"seed": -1}, ValueError, "seed must be an integer in 0"),
        (lambda v: v, (4, 4), {"bootstrap": 1}, ValueError, "bootstrap must be 0 or at least 2"),
        (lambda v: v, (4, 4), {"jobs": 0}, ValueError, "jobs must be None or an integer, at least 1"),
    ],
)
def test_what_is_refused(encode, sizes, options, error, match):
    with pytest.raises(error, match=match):
        beta_vae_score(encode, sizes, **options)
