import numpy as np
import pytest

from kerasvae.metrics.linearity import linearity


@pytest.mark.parametrize("sizes", [(4, 4, 4), (2, 7), (3, 1, 9)])
def test_one_latent_per_factor(sizes):
    score = linearity(lambda v: 5 - 3 * v[:, ::-1], sizes, repeats=8)
    for name in ("linear_ratio", "axis_ratio", "axis_alignment", "axis_ratio_ave"):
        assert score.parts[name] == pytest.approx(1)
    assert score.parts["factors"] == tuple(k for k, s in enumerate(sizes) if s > 1)


def test_diagonals_are_linear_and_not_aligned():
    score = linearity(lambda v: v @ [[1, 1], [1, -1]], (4, 5), repeats=8)
    assert float(score) == pytest.approx(1) and score.parts["axis_ratio"] == score.parts["axis_alignment"] == 0


def test_a_direction_by_hand():
    # Variances 9 : 1 in two of three dimensions, on a line.
    score = linearity(lambda v: v * [3.0, 1.0, 0.0], (6,), repeats=2)
    expected = (0.9 - 1 / 3) / (1 - 1 / 3)
    assert float(score) == pytest.approx(1)
    assert score.parts["axis_ratio"] == score.parts["axis_alignment"] == pytest.approx(expected)
    assert score.parts["axis_ratio_ave"] == pytest.approx(expected)


@pytest.mark.parametrize("values", [2, 3, 8])
def test_any_walk_by_hand(values):
    table = np.random.default_rng(values).normal(size=(values, 4))
    covariance = np.cov(table.T)

    def ratio(x):
        return (max(x) / sum(x) - 1 / 4) / (3 / 4)

    linear, axis = ratio(np.linalg.eigvals(covariance).real), ratio(np.diag(covariance))
    score = linearity(lambda v: table[v[:, 0]], (values,), repeats=3)
    assert float(score) == pytest.approx(linear) and score.parts["axis_ratio"] == pytest.approx(axis)
    assert score.parts["axis_alignment"] == pytest.approx(axis / linear)


def test_means_over_walks_then_the_geometric_mean_over_factors():
    # Along the first factor half of the walks are on one axis, half on a diagonal of 9 times the variance.
    def encode(v):
        first = np.where(v[:, 1:] == 0, v[:, :1] * [1.0, 0.0], 3 * v[:, :1] * np.sqrt([0.5, 0.5]))
        return first + v[:, 1:] * [100.0, 0.0]

    score = linearity(encode, (4, 2), repeats=4000)
    assert score.parts["axis_ratio_per_factor"][0] == pytest.approx(0.5, abs=0.03)
    # Averaged first the variances are (1 + 4.5, 4.5) / 2.
    assert score.parts["axis_ratio_ave_per_factor"][0] == pytest.approx(5.5 / 10 * 2 - 1, abs=0.02)
    for name in ("linear_ratio", "axis_ratio", "axis_alignment", "axis_ratio_ave"):
        assert score.parts[name] == pytest.approx(np.sqrt(np.prod(score.parts[f"{name}_per_factor"])))


def test_a_walk_on_which_nothing_moves_counts_as_0():
    score = linearity(lambda v: v[:, :1] * [1.0, 0, 0], (4, 4), repeats=4)
    assert score.parts["linear_ratio_per_factor"].tolist() == [1, 0] and float(score) == 0
    score = linearity(lambda v: v[:, :1] * (v[:, 1:] == 0) * [1.0, 0, 0], (4, 2), repeats=2000)
    assert score.parts["linear_ratio_per_factor"][0] == pytest.approx(0.5, abs=0.05)
    assert float(linearity(lambda v: np.full((len(v), 2), 0.1), (4, 4), repeats=4)) == 0


def test_one_latent():
    assert float(linearity(lambda v: v[:, :1] + 2 * v[:, 1:], (4, 4), repeats=4)) == 1
    assert float(linearity(lambda v: v[:, :1], (4, 4), repeats=4)) == 0


def test_equal_variance_in_all_directions_is_neither_linear_nor_aligned():
    angles = 2 * np.pi * np.arange(3) / 3
    score = linearity(lambda v: np.stack([np.cos(angles), np.sin(angles)], 1)[v[:, 0]], (3,), repeats=2)
    assert float(score) == pytest.approx(0, abs=1e-12) and score.parts["axis_alignment"] == 0


def test_shift_scale_and_rotation():
    table = np.random.default_rng(0).normal(size=(4, 4, 3))
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]

    def run(change, **options):
        return linearity(lambda v: change(table[v[:, 0], v[:, 1]]), (4, 4), repeats=20, **options)

    expected = run(lambda z: z)
    for change in (lambda z: z + 100, lambda z: -3 * z, lambda z: z[:, [2, 0, 1]], lambda z: 1e-200 * z):
        for name in ("linear_ratio", "axis_ratio", "axis_alignment", "axis_ratio_ave"):
            assert run(change).parts[name] == pytest.approx(expected.parts[name], rel=1e-9)
    assert float(run(lambda z: z @ rotation)) == pytest.approx(float(expected))
    assert run(lambda z: z @ rotation).parts["axis_ratio"] != pytest.approx(expected.parts["axis_ratio"], abs=1e-3)
    assert run(lambda z: z, seed=2).to_json() != run(lambda z: z).to_json() == expected.to_json()
    low, high = run(lambda z: z, bootstrap=30).interval
    assert low < float(expected) < high


def test_what_is_refused():
    with pytest.raises(ValueError, match="repeats must be an integer, at least 1"):
        linearity(lambda v: v, (4, 4), repeats=0)
    with pytest.raises(TypeError, match="encode_factors must be a function"):
        linearity(None, (4, 4))
