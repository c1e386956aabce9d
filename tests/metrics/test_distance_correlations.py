import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from kerasvae.metrics.distance_correlations import distance_correlations

KINDS, CODES = ("rcorr", "lcorr", "rsame"), ("ground_latent_l1", "ground_latent_l2")
IMAGES = ("latent_data_l1", "latent_data_l2", "ground_data")


def names(*pairs):
    return {f"{kind}_{pair}" for kind in KINDS for pair in pairs}


@pytest.mark.parametrize("sizes", [(4, 4, 4), (2, 7), (3, 1, 9), (30, 6)])
def test_standardised_identity_codes(sizes):
    deviation = np.sqrt((np.array(sizes) ** 2 - 1) / 12)
    deviation[deviation == 0] = 1
    score = distance_correlations(lambda v: (v - np.array(sizes) / 2) / deviation, sizes, repeats=10)
    assert set(score.parts["factor"]) == set(score.parts["global"]) == names(*CODES)
    for value in score.parts["factor"].values():
        assert value == pytest.approx(1, abs=1e-12)
    assert float(score) == 1 == score.parts["factor"]["rcorr_ground_latent_l2"]
    assert score.parts["factors"] == tuple(k for k, s in enumerate(sizes) if s > 1)


def test_city_block_distance_of_unscaled_codes_is_the_ground_distance():
    score = distance_correlations(lambda v: v, (4, 5, 3), repeats=20)
    assert score.parts["global"]["rcorr_ground_latent_l1"] == pytest.approx(1)
    assert score.parts["global"]["lcorr_ground_latent_l1"] == pytest.approx(1)
    assert score.parts["global"]["rsame_ground_latent_l1"] == 1
    assert 0.8 < score.parts["global"]["rcorr_ground_latent_l2"] < 1


def test_order_along_a_factor_is_what_ranks_see():
    score = distance_correlations(lambda v: np.exp(v), (6,), repeats=50).parts["factor"]
    assert score["rcorr_ground_latent_l1"] < 1
    score = distance_correlations(lambda v: np.column_stack([v, v * v * 0]), (6,), repeats=50).parts["factor"]
    assert all(value == pytest.approx(1) for value in score.values())


def test_by_independent_computation():
    seen = []
    table = np.random.default_rng(0).normal(size=(5, 3))
    pictures = np.random.default_rng(1).normal(size=(5, 4, 4, 1))

    def observations(v):
        seen.append(v[:, 0])
        return pictures[v[:, 0]]

    score = distance_correlations(lambda v: table[v[:, 0]], (5,), observations=observations, repeats=300, triples=50)
    assert set(score.parts["factor"]) == names(*CODES, *IMAGES)
    assert len(seen) == 600 and all(v.tolist() == [0, 1, 2, 3, 4] for v in seen[:300])
    # All ordered triples once: what the draws tend to.
    a, p, n = (each.ravel() for each in np.meshgrid(range(5), range(5), range(5), indexing="ij"))

    def distances(i, j):
        return {
            "ground": abs(i - j),
            "latent_l1": abs(table[i] - table[j]).sum(1),
            "latent_l2": np.sqrt(((table[i] - table[j]) ** 2).sum(1)),
            "data": ((pictures[i] - pictures[j]) ** 2).mean((1, 2, 3)),
        }

    near, far = distances(a, p), distances(a, n)
    for pair in (*CODES, *IMAGES):
        first, second, *norm = pair.split("_")
        first, second = ("_".join([each, *norm]) if each == "latent" else each for each in (first, second))
        x, y = np.concatenate([near[first], far[first]]), np.concatenate([near[second], far[second]])
        same = np.sign(near[first] - far[first]) == np.sign(near[second] - far[second])
        for kind, expected in zip(KINDS, (spearmanr(x, y)[0], pearsonr(x, y)[0], same.mean()), strict=True):
            assert score.parts["factor"][f"{kind}_{pair}"] == pytest.approx(max(expected, 0), abs=0.03)


def test_negative_correlations_make_the_geometric_mean_0():
    order = np.array([0, 9, 1, 8, 2, 7])
    negative = np.array([5.0, 0.0, 5.0])

    def encode(v):
        return np.column_stack([order[v[:, 0]], negative[v[:, 1]]])

    score = distance_correlations(encode, (6, 3), repeats=200)
    per_factor = score.parts["per_factor"]["rcorr_ground_latent_l2"]
    expected = 0 if per_factor[1] <= 0 else np.sqrt(per_factor.prod())
    assert per_factor[0] > 0 and float(score) == pytest.approx(expected, rel=1e-12)
    # A factor is compared with distances of only 0: a correlation with a constant is 0.
    flat = distance_correlations(lambda v: v[:, :1], (6, 3), repeats=20)
    assert flat.parts["per_factor"]["rcorr_ground_latent_l2"].tolist() == [1, 0] and float(flat) == 0


def test_ties_that_only_rounding_breaks():
    # Steps of 0.1 add up to different last bits; to the ranks they must be equal.
    for values in (30, 257):  # 1 / 256 is half a multiple of the resolution
        steps = np.cumsum(np.full(values, 0.1))
        score = distance_correlations(lambda v, steps=steps: steps[v], (values,), repeats=20)
        assert all(value == pytest.approx(1, abs=1e-12) for value in score.parts["factor"].values())
    coarse = np.arange(30) + 1e-4 * np.random.default_rng(0).uniform(size=30)
    scores = [
        distance_correlations(lambda v: coarse[v], (30,), repeats=20, resolution=r).parts["factor"]
        for r in (1e-7, 1e-4)
    ]
    assert scores[0]["rsame_ground_latent_l1"] < 0.99 < scores[1]["rsame_ground_latent_l1"]


def test_images_alone():
    score = distance_correlations(None, (8,), observations=lambda v: np.sqrt(v / 255)[:, :, None], repeats=30)
    assert set(score.parts["factor"]) == names("ground_data")
    assert float(score) == score.parts["factor"]["rcorr_ground_data"] > 0.8
    # Disjoint squares are all equally far apart, unless they are the same.
    squares = np.eye(8, dtype=np.uint8) * 255
    score = distance_correlations(None, (8,), observations=lambda v: squares[v[:, 0]], repeats=30)
    same = score.parts["factor"]["rsame_ground_data"]
    assert 0 < same < 1 and score.parts["factor"]["rcorr_ground_data"] < 0.7
    score = distance_correlations(None, (8,), observations=lambda v: np.zeros((len(v), 2, 2)), repeats=30)
    assert score.parts["factor"]["rcorr_ground_data"] == score.parts["factor"]["lcorr_ground_data"] == 0


def test_shift_scale_and_order_do_not_matter():
    table = np.random.default_rng(0).normal(size=(4, 4, 3))

    def run(change, **options):
        return distance_correlations(lambda v: change(table[v[:, 0], v[:, 1]]), (4, 4), repeats=20, **options)

    expected = run(lambda z: z)
    for change in (lambda z: z + 10, lambda z: -3 * z, lambda z: z[:, [2, 0, 1]], lambda z: 1e-30 * z):
        for name, value in run(change).parts["global"].items():
            assert value == pytest.approx(expected.parts["global"][name], abs=1e-6)
    assert run(lambda z: z, seed=2).to_json() != run(lambda z: z).to_json() == expected.to_json()
    low, high = run(lambda z: z, bootstrap=10).interval
    assert low < float(expected) < high


@pytest.mark.parametrize(
    "encode, options, error, match",
    [
        (None, {}, ValueError, "encode_factors and observations must not both be None"),
        (lambda v: v, {"observations": 3}, TypeError, "observations must be a function of factor values or None"),
        (None, {"observations": lambda v: v[1:]}, ValueError, "images that observations returns and factors must hold"),
        (None, {"observations": lambda v: v.astype(str)}, TypeError, "must be real numbers"),
        (None, {"observations": lambda v: v * np.nan}, ValueError, "images that observations returns must be finite"),
        (lambda v: v, {"repeats": 0}, ValueError, "repeats must be an integer, at least 1"),
        (lambda v: v, {"triples": 0}, ValueError, "triples must be an integer, at least 1"),
        (lambda v: v, {"resolution": 0}, ValueError, "resolution must be a finite number, above 0 and below 1, got 0"),
        (lambda v: v, {"batch_size": 1}, ValueError, "batch_size must be an integer, at least 2"),
        ("z", {}, TypeError, "encode_factors must be a function of factor values, got str"),
    ],
)
def test_what_is_refused(encode, options, error, match):
    with pytest.raises(error, match=match):
        distance_correlations(encode, (4, 4), **options)
