import numpy as np
import pytest

from kerasvae.metrics.bootstrap import bootstrap_interval, bootstrap_rows, check_bootstrap, replicate_generators


def test_interval_of_a_mean_covers_it():
    # 95 % of the intervals of the mean of normal samples hold the true mean, up to the binomial error of 200 trials.
    rng, covered = np.random.default_rng(0), 0
    for trial in range(200):
        sample = rng.normal(3.0, 2.0, 60)
        replicates = bootstrap_rows(lambda rows, _: rows[0].mean(), (sample,), None, trial, 200)
        low, high = bootstrap_interval(sample.mean(), replicates, (-np.inf, np.inf))
        assert low <= sample.mean() <= high
        covered += low <= 3.0 <= high
    assert 0.88 < covered / 200 < 0.99


def test_bias_of_the_replicates_is_taken_away():
    low, high = bootstrap_interval(0.5, 10 + np.random.default_rng(0).normal(size=5000), (-np.inf, np.inf))
    assert low == pytest.approx(0.5 - 1.96, abs=0.1) and high == pytest.approx(0.5 + 1.96, abs=0.1)
    assert bootstrap_interval(1.0, [1.0, 1.0, 1.0]) == (1.0, 1.0)
    assert bootstrap_interval(1.0, [np.inf, 1.0]) is None and bootstrap_interval(np.inf, [1.0, 1.0]) is None


def test_interval_stays_within_the_range_of_the_score():
    replicates = 0.97 + 0.02 * np.random.default_rng(0).normal(size=500).clip(-1.5, 1.5)
    free = bootstrap_interval(0.99, replicates, (-np.inf, np.inf))
    assert free[1] > 1 and bootstrap_interval(0.99, replicates) == (free[0], 1.0)
    low, high = bootstrap_interval(0.01, replicates)
    assert low == 0 and 0.01 < high < 0.05
    assert bootstrap_interval(0.01, replicates, (0, np.inf)) == (low, high)
    # Never without the value itself, which a sampled estimate may take beyond.
    assert bootstrap_interval(1.01, replicates)[1] == 1.01


def test_cutting_off_leaves_out_no_true_value():
    # Accuracies near 1: the interval cut off at 1 holds the true one just where the whole interval does.
    rng, cut = np.random.default_rng(1), 0
    for trial in range(100):
        sample = rng.random(80) < 0.97
        replicates = bootstrap_rows(lambda rows, _: rows[0].mean(), (sample,), None, trial, 100)
        low, high = bootstrap_interval(sample.mean(), replicates)
        free_low, free_high = bootstrap_interval(sample.mean(), replicates, (-np.inf, np.inf))
        assert (low <= 0.97 <= high) == (free_low <= 0.97 <= free_high) and 0 <= low <= high <= 1
        cut += free_high > 1
    assert cut > 10


def test_rows_stay_together_and_test_rows_are_drawn_by_themselves():
    sample, test = (np.arange(50), np.arange(50) * 2), (np.arange(7),)
    drawn = []

    def score(rows, others):
        assert (rows[1] == 2 * rows[0]).all() and len(rows[0]) == 50 and len(others[0]) == 7
        assert set(others[0]) <= set(range(7))
        drawn.append(rows[0])
        return 1.0

    assert bootstrap_rows(score, sample, test, 1, 3) == [1.0] * 3
    assert not np.array_equal(drawn[0], drawn[1]) and len(set(drawn[0])) < 50


def test_jobs_do_not_matter():
    sample = (np.random.default_rng(0).normal(size=100),)
    runs = [bootstrap_rows(lambda rows, _: rows[0].mean(), sample, None, 1, 10, jobs) for jobs in (None, 1, 3)]
    assert runs[0] == runs[1] == runs[2]
    assert runs[0] != bootstrap_rows(lambda rows, _: rows[0].mean(), sample, None, 2, 10)
    assert len({rng.random() for rng in replicate_generators(1, 20)}) == 20


def test_a_resample_with_nothing_to_score_is_drawn_again():
    def score(rows, _):
        if len(set(rows[0])) == 1:
            raise ValueError("constant")
        return rows[0].mean()

    assert np.isfinite(bootstrap_rows(score, (np.array([0.0, 1.0]),), None, 1, 50)).all()
    with pytest.raises(ValueError, match="constant"):
        bootstrap_rows(score, (np.zeros(3),), None, 1, 2)


def test_what_is_refused():
    assert check_bootstrap(0) == 0 and check_bootstrap(2) == 2
    for times in (1, -1, 2.0, True):
        with pytest.raises(ValueError, match="bootstrap must be"):
            check_bootstrap(times)
