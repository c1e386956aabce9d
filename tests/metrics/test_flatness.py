import numpy as np
import pytest

from kerasvae.metrics.flatness import flatness

SIZES = [(4, 4, 4), (2, 7), (3, 1, 9)]


@pytest.mark.parametrize("sizes", SIZES)
def test_straight_axes_with_equal_steps(sizes):
    score = flatness(lambda v: -2 * v[:, ::-1] + 5, sizes, repeats=8)
    assert float(score) == score.parts["l1"] == score.parts["l2"] == 1
    assert score.parts["factors"] == tuple(k for k, s in enumerate(sizes) if s > 1)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 9])
def test_diagonals(dimensions):
    score = flatness(lambda v: np.repeat(v, dimensions, axis=1), (6,), repeats=3)
    assert float(score) == pytest.approx(1 / np.sqrt(dimensions))
    assert score.parts["l1"] == pytest.approx(1) and score.parts["l2"] == pytest.approx(1)


def by_hand(codes, p):
    """Width and length of one walk."""
    width = max(np.linalg.norm(a - b, p) for a in codes for b in codes)
    steps = sorted(np.linalg.norm(codes[i] - codes[i - 1], p) for i in range(len(codes)))[:-1]
    return width, (len(codes) - 1) * np.mean(steps)


@pytest.mark.parametrize("values", [2, 3, 8])
def test_any_walk_by_hand(values):
    table = np.random.default_rng(values).normal(size=(values, 4))
    score = flatness(lambda v: table[v[:, 0]], (values,), repeats=2)
    (width_1, length_1), (width_2, length_2) = by_hand(table, 1), by_hand(table, 2)
    assert float(score) == pytest.approx(width_2 / length_1, rel=1e-12)
    assert score.parts["l1"] == pytest.approx(width_1 / length_1, rel=1e-12)
    assert score.parts["l2"] == pytest.approx(width_2 / length_2, rel=1e-12)
    assert score.parts["length_2"] == pytest.approx([length_2], rel=1e-12)


def test_widths_and_lengths_are_averaged_before_the_ratio():
    # Along the first factor walks are of size 1, straight, or of size 9 and folded.
    line, fold = np.array([0.0, 1, 2, 3]), 9 * np.array([0.0, 1, 0, 1])

    def encode(v):
        return np.where(v[:, 1] == 0, line[v[:, 0]], fold[v[:, 0]])[:, None]

    score = flatness(encode, (4, 2), repeats=4000)
    assert score.parts["per_factor"][0] == pytest.approx((3 + 9) / (3 + 27), abs=0.02)


def test_a_circle_leaves_out_one_step():
    angles = 2 * np.pi * np.arange(12) / 12
    score = flatness(lambda v: np.stack([np.cos(angles), np.sin(angles)], 1)[v[:, 0]], (12,), repeats=1)
    assert score.parts["l2"] == pytest.approx(2 / (11 * 2 * np.sin(np.pi / 12)))


def test_shuffled_values_are_not_flat():
    order = np.random.default_rng(0).permutation(20)
    assert float(flatness(lambda v: order[v], (20,), repeats=1)) < 0.4


def test_nothing_moves():
    assert float(flatness(lambda v: np.full((len(v), 3), 0.1), (4, 4), repeats=3)) == 0
    score = flatness(lambda v: v[:, :1] * [1.0, 0, 0], (4, 4), repeats=3)  # dead latents and a factor without any
    assert float(score) == 0.5 and score.parts["per_factor"].tolist() == [1, 0]


def test_shift_and_scale_and_order_do_not_matter():
    table = np.random.default_rng(0).normal(size=(4, 4, 3))

    def run(change, **options):
        return flatness(lambda v: change(table[v[:, 0], v[:, 1]]), (4, 4), repeats=20, **options)

    expected = float(run(lambda z: z))
    for change in (lambda z: z + 100, lambda z: -3 * z, lambda z: z[:, [2, 0, 1]], lambda z: 1e-30 * z):
        assert float(run(change)) == pytest.approx(expected, rel=1e-9)
    assert run(lambda z: z, seed=2).to_json() != run(lambda z: z).to_json() == run(lambda z: z).to_json()
    low, high = run(lambda z: z, bootstrap=30).interval
    assert low < expected < high


@pytest.mark.parametrize(
    "options, error, match",
    [
        ({"repeats": 0}, ValueError, "repeats must be an integer, at least 1"),
        ({"repeats": 2.0}, ValueError, "repeats must be an integer"),
        ({"seed": None}, ValueError, "seed must be an integer"),
        ({"bootstrap": -1}, ValueError, "bootstrap must be an integer, at least 0"),
    ],
)
def test_what_is_refused(options, error, match):
    with pytest.raises(error, match=match):
        flatness(lambda v: v, (4, 4), **options)
