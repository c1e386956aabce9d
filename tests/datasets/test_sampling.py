import itertools

import numpy as np
import pytest
from scipy.stats import binom, chisquare

from kerasvae.datasets import GroundTruthData, XYSquares, batch_indices, differing_factors, pair_factors
from kerasvae.datasets.sampling import check_changed, pair_indices, shuffle


class Grid(GroundTruthData):
    """Factors of the given sizes; an image is its own index."""

    image_shape = (1, 1, 1)

    def __init__(self, *sizes):
        self.factor_names = tuple(f"factor_{number}" for number in range(len(sizes)))
        self.factor_sizes = sizes
        self.mean = self.std = np.ones(1)

    def render(self, factors):
        return self.index(factors).astype("uint8").reshape(-1, 1, 1, 1)


def stream(size, batch_size, steps, seed=1):
    return np.concatenate([batch_indices(size, batch_size, seed, step) for step in range(steps)])


@pytest.mark.parametrize("size, batch_size", [(12, 4), (10, 4), (7, 7), (5, 12), (1, 3), (3, 1), (101, 10)])
def test_every_image_once_a_pass(size, batch_size):
    order = stream(size, batch_size, steps=3 * size)
    assert order.shape == (3 * size * batch_size,)
    for start in range(0, len(order), size):
        np.testing.assert_array_equal(np.sort(order[start : start + size]), np.arange(size))


def test_passes_are_shuffled_and_differ():
    passes = stream(50, 5, steps=30).reshape(3, 50)
    orders = {tuple(row) for row in passes} | {tuple(range(50))}
    assert len(orders) == 4


def test_batches_are_a_function_of_seed_and_step():
    forward = [batch_indices(20, 6, 3, step) for step in range(12)]
    backward = [batch_indices(20, 6, 3, step) for step in reversed(range(12))][::-1]
    np.testing.assert_array_equal(forward, backward)
    assert forward[0].dtype == np.int64
    assert not np.array_equal(stream(20, 6, 12, seed=3), stream(20, 6, 12, seed=4))
    # The stream does not depend on how it is cut.
    np.testing.assert_array_equal(stream(20, 6, 12, seed=3), stream(20, 9, 8, seed=3))


def test_a_late_step_needs_no_earlier_ones():
    batch = batch_indices(100, 10, seed=0, step=10**12)
    assert len(set(batch.tolist())) == 10 and batch.max() < 100


def test_what_is_returned_may_be_written_to():
    first = batch_indices(8, 8, 0, 0)
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(batch_indices(8, 8, 0, 0), kept)
    # The shuffle itself is kept for the next step, and may not.
    with pytest.raises(ValueError, match="read-only"):
        shuffle(8, 0, 0)[0] = 0


def test_first_places_are_uniform():
    firsts = [batch_indices(10, 1, seed, 0)[0] for seed in range(2000)]
    assert chisquare(np.bincount(firsts, minlength=10)).pvalue > 1e-3


def fits(counts, probabilities):
    """Whether counts agree with their exact probabilities; what has probability 0 must not occur."""
    counts, probabilities = np.asarray(counts, float), np.asarray(probabilities, float)
    assert probabilities.sum() == pytest.approx(1)
    assert not counts[probabilities == 0].any()
    possible = probabilities > 0
    return possible.sum() == 1 or chisquare(counts[possible], counts.sum() * probabilities[possible]).pvalue > 1e-3


def number_changed(data, changed, pairs=20_000):
    first, second = pair_factors(data, pairs, seed=2, step=7, changed=changed)
    return np.bincount((first != second).sum(axis=1), minlength=len(data.factor_sizes) + 1)


def mask_probabilities(data, changed):
    """Exact probability of each set of factors that differ, from the rule: choose k, then k factors, then values."""
    free = [number for number, size in enumerate(data.factor_sizes) if size > 1]
    if changed == "uniform":
        of_k = dict.fromkeys(range(1, len(free) + 1), 1 / len(free))
    elif changed == "authors":
        most = max(len(free) - 1, 1)
        of_k = {k: 0.5 / most + 0.5 * (k == 1) for k in range(1, most + 1)}
    else:
        of_k = {changed: 1.0}
    probabilities = {mask: 0.0 for mask in itertools.product((0, 1), repeat=len(data.factor_sizes))}
    for k, weight in of_k.items():
        choices = list(itertools.combinations(free, k))
        for chosen, differing in itertools.product(choices, itertools.product((0, 1), repeat=k)):
            mask, chance = [0] * len(data.factor_sizes), weight / len(choices)
            for factor, differs in zip(chosen, differing, strict=True):
                size = data.factor_sizes[factor]
                change = 1 - 1 / size if changed == "authors" else 1.0
                chance *= change if differs else 1 - change
                mask[factor] = differs
            probabilities[tuple(mask)] += chance
    return probabilities


@pytest.mark.parametrize("sizes", [(4, 3, 5), (2, 1, 3, 4), (3,), (1, 2), (2, 2)])
@pytest.mark.parametrize("changed", ["uniform", "authors", 1, 2, 3])
def test_which_factors_differ(sizes, changed):
    data = Grid(*sizes)
    if isinstance(changed, int) and changed > sum(size > 1 for size in sizes):
        return
    first, second = pair_factors(data, 20_000, seed=5, step=3, changed=changed)
    probabilities = mask_probabilities(data, changed)
    masks = [tuple(mask) for mask in (first != second).astype(int).tolist()]
    assert fits([masks.count(mask) for mask in probabilities], list(probabilities.values()))


def test_uniform_number_of_changes():
    assert fits(number_changed(XYSquares(), "uniform"), [0] + [1 / 6] * 6)


@pytest.mark.parametrize("changed", [1, 3, 6, np.int64(2)])
def test_fixed_number_of_changes(changed):
    counts = number_changed(XYSquares(), changed, pairs=500)
    assert counts[changed] == 500


@pytest.mark.parametrize(
    "sizes, published",
    [
        ((8,) * 6, [0.077, 0.552, 0.114, 0.112, 0.094, 0.051, 0]),
        ((3, 6, 40, 32, 32), [0.075, 0.581, 0.141, 0.130, 0.073, 0]),
        ((4, 24, 183), [0.075, 0.724, 0.201, 0]),
        ((10, 10, 10, 8, 4, 15), [0.076, 0.553, 0.114, 0.111, 0.095, 0.051, 0]),
    ],
)
def test_authors_number_of_changes(sizes, published):
    exact = np.zeros(len(sizes) + 1)
    for mask, probability in mask_probabilities(Grid(*sizes), "authors").items():
        exact[sum(mask)] += probability
    # The published shares are rounded and drawn 200 000 times.
    np.testing.assert_allclose(exact, published, atol=0.003)
    assert fits(number_changed(Grid(*sizes), "authors"), exact)


def test_authors_by_the_binomial():
    # k uniform in 1..5, then a coin: k or 1; each of the k keeps its value once in 8.
    exact = sum((0.1 + 0.5 * (k == 1)) * binom.pmf(np.arange(7), k, 7 / 8) for k in range(1, 6))
    assert fits(number_changed(XYSquares(), "authors"), exact)
    assert exact[0] == pytest.approx(0.077, abs=5e-4) and exact[6] == 0


@pytest.mark.parametrize("changed", ["uniform", 1, 2])
def test_changed_values_are_uniform_over_the_others(changed):
    data = Grid(2, 5)
    first, second = pair_factors(data, 20_000, 0, 0, changed)
    differs = first[:, 1] != second[:, 1]
    table = np.zeros((5, 5))
    np.add.at(table, (first[differs, 1], second[differs, 1]), 1)
    assert fits(table.ravel(), (1 - np.eye(5)).ravel() / 20)


def test_authors_values_are_uniform_over_all():
    first, second = pair_factors(Grid(4), 20_000, 0, 0, "authors")
    table = np.zeros((4, 4))
    np.add.at(table, (first[:, 0], second[:, 0]), 1)
    assert fits(table.ravel(), np.full(16, 1 / 16))


@pytest.mark.parametrize("changed", ["uniform", "authors", 2])
def test_first_images_are_the_shuffles(changed):
    data = XYSquares(num_squares=2, grid_size=3)
    for step in (0, 5, 1000):
        first, second = pair_factors(data, 32, 4, step, changed)
        np.testing.assert_array_equal(data.index(first), batch_indices(len(data), 32, 4, step))
        assert first.shape == second.shape == (32, 4)
        data.index(second)
        again = pair_factors(data, 32, 4, step, changed)
        np.testing.assert_array_equal((first, second), again)


def test_second_images_are_a_function_of_seed_and_step():
    data = Grid(50, 50)
    differences = [pair_factors(data, 64, seed, step, 2) for seed, step in ((0, 0), (0, 1), (1, 0), (1, 1))]
    moves = {tuple(((second - first) % 50).ravel()) for first, second in differences}
    assert len(moves) == 4


@pytest.mark.parametrize("changed", ["uniform", "authors", 1, 2, np.int32(2)])
def test_changed_that_is_allowed(changed):
    check_changed(Grid(2, 1, 3), changed)


@pytest.mark.parametrize("changed", ["k", "", 0, 3, -1, 1.0, True, None])
def test_changed_that_is_refused(changed):
    with pytest.raises(
        ValueError,
        match=r'changed must be "uniform", "authors", "random", an integer in 1..2 or a tuple \(least, most\), got',
    ):
        check_changed(Grid(2, 1, 3), changed)


def test_pairs_need_a_factor():
    with pytest.raises(ValueError, match="a factor with more than one value"):
        check_changed(Grid(1, 1), "uniform")


def test_between_two_numbers_of_factors():
    data = Grid(3, 4, 1, 5)
    counts = np.bincount((np.subtract(*pair_factors(data, 9000, 2, 0, (0, 2))) != 0).sum(axis=1), minlength=5)
    assert fits(counts, [1 / 3, 1 / 3, 1 / 3, 0, 0])


def test_within_a_radius():
    data = Grid(7, 2)
    first, second = pair_factors(data, 20_000, 2, 0, changed=2, radius=2)
    moves = second[:, 0] - first[:, 0]
    assert (second[:, 1] == 1 - first[:, 1]).all()
    # From 0 one may go to 1 and 2, from 1 to 0, 2 and 3, from 3 to 1, 2, 4 and 5.
    for start, reached in ((0, [1, 2]), (1, [-1, 1, 2]), (3, [-2, -1, 1, 2]), (6, [-2, -1])):
        steps = moves[first[:, 0] == start]
        assert fits(
            [(steps == step).sum() for step in range(-6, 7)],
            [(step in reached) / len(reached) for step in range(-6, 7)],
        )


def test_any_two_images():
    data = Grid(3, 4)
    first, second = pair_indices(data, 24_000, 5, 1, "random")
    assert fits(np.bincount(first * 12 + second, minlength=144), np.full(144, 1 / 144))
    for indices, factors in zip((first, second), pair_factors(data, 24_000, 5, 1, "random"), strict=True):
        np.testing.assert_array_equal(data.index(factors), indices)


@pytest.mark.parametrize("changed", ["uniform", "authors", 2, (1, 3)])
def test_pair_indices_are_those_of_the_factors(changed):
    data = Grid(3, 4, 2)
    indices, factors = pair_indices(data, 50, 3, 2, changed), pair_factors(data, 50, 3, 2, changed)
    for one, other in zip(indices, factors, strict=True):
        np.testing.assert_array_equal(one, data.index(other))


@pytest.mark.parametrize(
    "sizes, published",
    [
        # What the authors' sampler does to the paper's data sets, from 200 000 draws of another implementation.
        ((8,) * 6, [0.077, 0.552, 0.114, 0.112, 0.094, 0.051, 0]),
        ((3, 6, 40, 32, 32), [0.075, 0.581, 0.141, 0.130, 0.073, 0]),
        ((4, 24, 183), [0.075, 0.724, 0.201, 0]),
        ((10, 10, 10, 8, 4, 15), [0.076, 0.553, 0.114, 0.111, 0.095, 0.051, 0]),
        ((5, 5, 9, 18, 6), [0.094, 0.575, 0.143, 0.123, 0.065, 0]),
    ],
)
def test_differing_factors_of_the_authors(sizes, published):
    np.testing.assert_allclose(differing_factors(Grid(*sizes), "authors"), published, atol=0.005)


def test_differing_factors():
    data = Grid(3, 1, 4)
    np.testing.assert_array_equal(differing_factors(data, 1, pairs=100), [0, 1, 0])
    np.testing.assert_allclose(differing_factors(data, "uniform"), [0, 0.5, 0.5], atol=0.01)
    # Independent draws agree in a factor with one over its size.
    np.testing.assert_allclose(differing_factors(data, "random"), [1 / 12, 5 / 12, 6 / 12], atol=0.01)
    with pytest.raises(ValueError, match="pairs must be an integer, at least 1, got 0"):
        differing_factors(data, pairs=0)


@pytest.mark.parametrize("changed, radius", [("random", 1), ("authors", 1), ("uniform", 0), (1, True), (1, 1.5)])
def test_radius_that_is_refused(changed, radius):
    with pytest.raises(ValueError, match="radius must be None or an integer, at least 1"):
        check_changed(Grid(3, 4), changed, radius)


@pytest.mark.parametrize("changed", [(1,), (2, 1), (0, 3), (-1, 1), (1.0, 2), [1, 2]])
def test_ranges_that_are_refused(changed):
    with pytest.raises(ValueError, match="changed must be"):
        check_changed(Grid(3, 4), changed)
