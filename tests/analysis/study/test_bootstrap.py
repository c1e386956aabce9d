"""Weights of runs: resampling by seed, intervals, the jackknife, and statistics of repeated runs against NumPy."""

import numpy as np
import pytest
from scipy.stats import binomtest, mannwhitneyu, spearmanr, t

from kerasvae.analysis.study import load
from kerasvae.analysis.study.bootstrap import (
    Resamples,
    fisher_interval,
    jackknife_interval,
    percentile_interval,
    resamples,
    wilson_interval,
)
from kerasvae.analysis.study.weighted import (
    Spearman,
    group_medians,
    group_sums,
    spearman_between,
    spearman_matrix,
    weighted_mean,
    weighted_median,
    weighted_quantile,
    weighted_ranks,
    win_rate,
)

RNG = np.random.default_rng(0)


def grid(seeds=5, settings=3, datasets=2, skip=()):
    lines = [
        {"dataset": f"d{d}", "method": "m", "strength": s, "seed": k, "mig": RNG.random()}
        for d in range(datasets)
        for s in range(settings)
        for k in range(seeds)
    ]
    return load([line for place, line in enumerate(lines) if place not in skip])


def repeated(values, weights, replicate):
    return np.repeat(values, weights[:, replicate].astype(int), axis=0)


@pytest.fixture(params=["ties", "no ties"])
def sample(request):
    columns = RNG.normal(size=(40, 3))
    if request.param == "ties":
        columns = columns.round()
    return columns, RNG.integers(0, 4, (40, 6)).astype(np.float32)


def test_statistics_are_those_of_repeated_runs(sample):
    columns, weights = sample
    groups = np.arange(40) % 4
    matrix = spearman_matrix(columns, weights)
    for place in range(weights.shape[1]):
        runs = repeated(columns, weights, place)
        np.testing.assert_allclose(matrix[..., place], spearmanr(runs).statistic, atol=1e-5)
        for share in (0, 0.25, 0.5, 0.9, 1):
            expected = np.quantile(runs[:, 0], share)
            assert weighted_quantile(columns[:, 0], weights, share)[place] == pytest.approx(expected)
        assert weighted_mean(columns[:, 0], weights)[place] == pytest.approx(runs[:, 0].mean())
        for group in range(4):
            mine = repeated(columns[groups == group, 1], weights[groups == group], place)
            assert group_medians(columns[:, 1], groups, weights, 4)[group, place] == pytest.approx(np.median(mine))
            assert group_sums(columns[:, 1], groups, weights, 5)[group, place] == pytest.approx(mine.sum())
        other = repeated(columns[:, 2], weights, place)
        pairs = len(runs) * len(other)
        wins = win_rate(columns[:, 0], weights, columns[:, 2], weights)[place]
        assert wins == pytest.approx(mannwhitneyu(runs[:, 0], other).statistic / pairs)
        at_least = (runs[:, :1] >= other).mean()
        assert win_rate(columns[:, 0], weights, columns[:, 2], weights, ties=1)[place] == pytest.approx(at_least)
    assert (group_sums(columns[:, 1], groups, weights, 5)[4] == 0).all()


def test_ranks_are_average_ranks_about_their_mean():
    np.testing.assert_array_equal(weighted_ranks([3.0, 1.0, 3.0, 2.0], np.ones((4, 1)))[:, 0], [1, -1.5, 1, -0.5])


def test_missing_numbers_are_deleted_by_pairs():
    columns = RNG.normal(size=(30, 4))
    columns[::3, 0] = columns[::5, 1] = np.nan
    weights = RNG.integers(0, 3, (30, 2)).astype(np.float64)
    matrix, between = spearman_matrix(columns, weights), spearman_between(columns[:, :2], columns[:, 2:], weights)
    np.testing.assert_allclose(between, matrix[:2, 2:], atol=1e-12)
    for a in range(4):
        for b in range(4):
            both = np.isfinite(columns[:, a]) & np.isfinite(columns[:, b])
            runs = repeated(columns[both], weights[both], 1)
            assert matrix[a, b, 1] == pytest.approx(spearmanr(runs[:, a], runs[:, b]).statistic)


@pytest.mark.parametrize("digits", [8, 1])
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_runs_of_a_seed_are_ranked_together_as_runs_are_one_by_one(digits, missing):
    # Equal rows of weights take another way than different ones; both must be SciPy's correlation of repeated runs.
    rows, columns = (RNG.normal(size=(60, count)).round(digits) for count in (2, 3))
    for each in (rows, columns):
        each[RNG.random(each.shape) < missing] = np.nan
    by_seed = RNG.integers(0, 3, (5, 4)).astype(np.float32)[np.arange(60) % 5]
    different = RNG.integers(0, 3, (300, 4)).astype(np.float32)
    # Of more kinds of rows than are ranked together.
    assert len(np.unique(different, axis=0)) <= 81
    many = RNG.integers(0, 50, (300, 4)).astype(np.float64)
    assert len(np.unique(many, axis=0)) > 100
    five = [np.tile(each, (5, 1)) for each in (rows, columns)]
    for first, second, weights in ((rows, columns, by_seed), (*five, different), (*five, many)):
        statistic = Spearman(first, second)
        found = statistic(weights)
        assert found.dtype == weights.dtype
        np.testing.assert_array_equal(statistic(weights), found)
        # Called again with other weights it sorts no more, and forgets nothing.
        np.testing.assert_allclose(statistic(weights[:, 2:]), found[..., 2:], atol=1e-6)
        for a, b, place in np.ndindex(found.shape):
            both = np.isfinite(first[:, a]) & np.isfinite(second[:, b])
            runs = [repeated(each[both], weights[both], place) for each in (first[:, a], second[:, b])]
            assert found[a, b, place] == pytest.approx(spearmanr(*runs).statistic, abs=1e-5)


def test_a_sorted_column_is_not_taken_for_another():
    # The same statistic with other groups of equal runs, as the bootstrap, the jackknife and the estimate have them.
    columns = RNG.normal(size=(40, 2)).round(1)
    statistic, seeds = Spearman(columns), np.arange(40) % 4
    for weights in (
        np.ones((40, 1)),
        RNG.integers(0, 3, (4, 6)).astype(np.float64)[seeds],
        (seeds[:, None] != np.arange(4)).astype(np.float64),
        RNG.integers(0, 3, (8, 6)).astype(np.float64)[np.arange(40) % 8],
    ):
        for place in range(weights.shape[1]):
            runs = repeated(columns, weights, place)
            assert statistic(weights)[0, 1, place] == pytest.approx(spearmanr(runs).statistic, abs=1e-12)


def test_what_cannot_be_told_is_nan():
    columns = np.array([[1.0, 2.0], [1.0, 3.0], [1.0, 4.0]])
    matrix = spearman_matrix(columns, np.ones((3, 1)))[..., 0]
    assert np.isnan(matrix[0]).all() and np.isnan(matrix[1, 0]) and matrix[1, 1] == 1
    assert np.isnan(spearman_matrix(columns[:2], np.ones((2, 1)))).all()
    assert np.isnan(weighted_median([], np.ones((0, 2)))).all()
    assert np.isnan(weighted_median([1.0], np.zeros((1, 1)))).all()


def test_seed_numbers_are_shared_by_settings_and_data_sets():
    table = grid()
    draws = resamples(table, 50)
    assert draws.kind == "seed numbers" and draws.possible and not draws.notices
    weights = draws.weights()
    assert weights.shape == (30, 50) and (weights.sum(axis=0) == 30).all()
    for seed in table.seeds:
        same = weights[table.seed == seed]
        assert (same == same[0]).all()
    np.testing.assert_array_equal(draws.weights(table.dataset == "d1", slice(5, 9)), weights[15:, 5:9])
    np.testing.assert_array_equal(weights, resamples(table, 50).weights())
    assert (weights != resamples(table, 50, seed=2).weights()).any()


def test_an_incomplete_grid_is_resampled_within_its_cells():
    table = grid(skip=[3])
    draws = resamples(table, 50)
    assert draws.kind == "runs within settings"
    for cell in np.unique(table.cell_code):
        members = table.cell_code == cell
        assert (draws.weights()[members].sum(axis=0) == members.sum()).all()


def test_too_few_seeds_have_no_interval():
    draws = resamples(grid(seeds=2), 20)
    estimate, lo, hi = draws.estimate(lambda weights: weighted_mean(draws.table.column("mig"), weights))
    assert not draws.possible and np.isfinite(estimate) and np.isnan(lo) and np.isnan(hi)
    assert "fewer than 3 seeds" in draws.notices[0]
    assert "under-cover" in resamples(grid(seeds=4), 20).notices[0]


def test_data_sets_are_resampled_on_request():
    table = grid(datasets=3)
    draws = resamples(table, 200, over="datasets")
    assert (draws.dataset_weights.sum(axis=0) == 3).all() and (draws.dataset_weights == 0).any()
    assert (resamples(table, 200).dataset_weights == 1).all()
    values = np.array([[1.0], [2.0], [6.0]]).repeat(200, axis=1)
    means = draws.mean_over_datasets(values)
    np.testing.assert_allclose(means, (values * draws.dataset_weights).sum(axis=0) / 3)
    assert resamples(table, 200).mean_over_datasets(values)[0] == 3
    assert any("Fewer than 5 data sets" in notice for notice in draws.notices)


def test_bootstrap_of_a_mean_has_its_standard_error():
    table = grid(seeds=40, settings=1, datasets=1)
    values = table.column("mig")
    estimate, lo, hi = resamples(table, 4000).estimate(lambda weights: weighted_mean(values, weights))
    error = values.std() / np.sqrt(40)
    assert estimate == pytest.approx(values.mean())
    assert (hi - lo) / (2 * 1.96 * error) == pytest.approx(1, abs=0.05)


def test_jackknife_of_a_mean_is_students_interval():
    table = grid(seeds=8, settings=1, datasets=1)
    values = table.column("mig")
    estimate, lo, hi = resamples(table, 10).jackknife(lambda weights: weighted_mean(values, weights))
    reach = t.ppf(0.975, 7) * values.std(ddof=1) / np.sqrt(8)
    np.testing.assert_allclose([estimate, lo, hi], [values.mean(), values.mean() - reach, values.mean() + reach])


def test_jackknife_stays_within_the_range_of_what_it_estimates():
    left_out = np.array([[0.9, 1.0, 0.95], [0.02, 0.0, 0.01], [0.4, 0.5, 0.45], [-0.2, 0.1, -0.1]])
    estimate = np.array([0.97, 0.01, 0.45, -0.05])
    free_lo, free_hi = jackknife_interval(estimate, left_out)
    lo, hi = jackknife_interval(estimate, left_out, bounds=(0, 1))
    assert free_hi[0] > 1 and free_lo[1] < 0 and free_lo[3] < -0.05
    # Cut off, not moved; an estimate beyond the range is an end.
    np.testing.assert_array_equal(lo, np.minimum(np.maximum(free_lo, 0), estimate))
    np.testing.assert_array_equal(hi, np.minimum(free_hi, 1))
    assert lo[3] == -0.05 and (lo <= estimate).all() and (estimate <= hi).all()


def test_wilson_interval_is_that_of_scipy_and_stays_within_0_and_1():
    for wins, n in ((0, 5), (3, 5), (5, 5), (99, 100), (7613, 10_000)):
        expected = binomtest(wins, n).proportion_ci(method="wilson")
        np.testing.assert_allclose(wilson_interval(wins / n, n), [expected.low, expected.high], atol=1e-12)
    lo, hi = wilson_interval(1.0, 20)
    assert lo < 1 == hi and wilson_interval(0.0, 20)[0] == 0


def test_percentiles():
    lo, hi = percentile_interval(np.arange(101.0))
    np.testing.assert_allclose([lo, hi], [2.5, 97.5])
    values = RNG.normal(size=(3, 200))
    np.testing.assert_allclose(percentile_interval(values), np.quantile(values, [0.025, 0.975], axis=-1))
    values[:, 50:60] = np.nan
    np.testing.assert_allclose(percentile_interval(values), np.nanquantile(values, [0.025, 0.975], axis=-1))
    values[0, :120] = np.nan
    assert np.isnan(percentile_interval(values)[0][0]) and np.isfinite(percentile_interval(values)[0][1])


def test_fisher_interval():
    lo, hi = fisher_interval(0.5, 9)
    assert lo == pytest.approx(np.tanh(np.arctanh(0.5) - 1.959964 * np.sqrt(1.06 / 6)), abs=1e-6)
    assert lo < 0.5 < hi and np.isnan(fisher_interval(0.5, 3)[0])
    assert fisher_interval(1.0, 10)[1] <= 1


def test_arguments_are_checked():
    table = grid()
    with pytest.raises(ValueError, match="over must be"):
        Resamples(table, over="runs")
    with pytest.raises(ValueError, match="replicates must be an integer, at least 2"):
        Resamples(table, 1)
    with pytest.raises(ValueError, match="one study"):
        resamples(load({"a": table, "b": table}))
    lines = table.to_wide().rows()
    lines[0]["status"] = "failed"
    with pytest.raises(ValueError, match="ok"):
        Resamples(load(lines))
    assert len(resamples(load(lines)).table) == 29
