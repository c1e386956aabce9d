"""Do settings that are good on one data set, or by one score, stay good on another? Correlations of medians."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.stats import rankdata

from kerasvae.analysis.study.bootstrap import REPLICATES, percentile_interval, resamples
from kerasvae.analysis.study.cells import cell_medians, run_cube, values_of
from kerasvae.analysis.study.correlations import check_metrics
from kerasvae.analysis.study.frame import Analysis, Frame, hundredfold
from kerasvae.analysis.study.published import published_values
from kerasvae.analysis.study.roles import canonical
from kerasvae.analysis.study.table import ResultsTable, plain_dataset
from kerasvae.analysis.study.weighted import FEWEST_RUNS, patterns, spearman_matrix
from kerasvae.checks import check_seed

FEW_SETTINGS, FEW_SEEDS = 12, 10
_FORMATS = dict.fromkeys(("estimate", "lo", "hi", "published", "difference"), hundredfold)


def transfer(
    table: ResultsTable,
    metrics=None,
    *,
    beside: str | None = None,
    replicates: int = REPLICATES,
    seed: int = 1,
    over: str = "seeds",
) -> Analysis:
    """Spearman's correlation, over settings, of medians over seeds.

    Args:
        table: runs of any number of studies, which are never pooled.
        metrics: names of scores. Default: all of the mean representation.
        beside: "locatello2019-slides" for columns `published` and `difference` where both data sets and the score are
            those published. Default None.
        replicates, seed: of the bootstrap, see `kerasvae.analysis.study.bootstrap.Resamples`.
        over: what the intervals are over: "seeds" (default), with the settings as they are; or "settings", drawn with
            replacement, with their medians as they are: for settings that were not tried.

    Returns:
        Analysis with the frames
        `datasets`: study, metric, dataset_a, dataset_b, estimate, lo, hi, n (settings), all pairs both ways;
        `metrics`: study, dataset, metric_a, metric_b, estimate, lo, hi, n;
        `all`: study, dataset_a, metric_a, dataset_b, metric_b, estimate, lo, hi, n.
        Undefined correlations (fewer than 3 settings in common, equal medians) are missing.

    Raises:
        ValueError: one data set and one score only, no runs that are ok, or another `over`.
        KeyError: an unknown metric.

    Noise of medians over few seeds lowers their correlations, and those of replicates, which are noisier still, more:
    the intervals lie too near to 0. In simulated studies with 36 settings and the seed's share of Locatello et al.,
    where a like study of 50 seeds found 0.91, the intervals of 3, 5 and 10 seeds held it in 0, 0 and 5 % of 200 tables;
    where it found 0.55, in 22, 48 and 77 %. They tell what other seeds would give, not what more seeds would.

    Source: Locatello et al. 2019, "Challenging Common Assumptions", section 5.6 and Figure 6. That runs were reduced to
    medians is inferred: with their share of the seeds, single runs cannot correlate as the published numbers do.
    """
    table, metrics = check_metrics(table, metrics, 1, "scores")
    if over not in ("seeds", "settings"):
        raise ValueError(f'over must be "seeds" or "settings", got {over!r}')
    look_up = published_values(beside, "transfer", ("dataset_a", "dataset_b", "metric")) if beside else {}
    rows, notices, possible = [], [], False
    for study in table.studies:
        part = table.select(study=study)
        places = [(dataset, metric) for dataset in range(len(part.datasets)) for metric in range(len(metrics))]
        possible |= len(places) > 1
        draws, cube = resamples(part, replicates, seed), run_cube(part)
        notices += draws.notices
        columns = [part.column(metric) for metric in metrics]
        estimate, lo, hi, counts = _correlations(draws, cube, columns, places, over, seed)
        if 0 < len(part.settings) <= FEW_SETTINGS:
            notices.append(
                f"{len(part.settings)} settings: so few tell little of a correlation, whatever its interval over seeds."
            )
        if over == "seeds" and part.seeds_per_setting[1] <= FEW_SEEDS:
            notices.append(
                f"{part.seeds_per_setting[1]} seeds a setting: noise of the medians draws correlations towards 0, "
                "and their intervals more."
            )
        for a, (first, metric_a) in enumerate(places):
            for b, (second, metric_b) in enumerate(places):
                told = np.isfinite(estimate[a, b])
                rows.append(
                    {
                        "study": study,
                        "dataset_a": part.datasets[first],
                        "metric_a": metrics[metric_a],
                        "dataset_b": part.datasets[second],
                        "metric_b": metrics[metric_b],
                        "estimate": float(estimate[a, b]),
                        "lo": float(lo[a, b]) if told else np.nan,
                        "hi": float(hi[a, b]) if told else np.nan,
                        "n": int(counts[a, b]),
                    }
                )
    if not possible:
        raise ValueError("transfer: at least two data sets or two scores are needed")
    numbers = ["estimate", "lo", "hi", "n"]
    datasets, of_metrics = _between_datasets(rows, look_up), _between_metrics(rows)
    beside_columns = ["published", "difference"] if look_up else []
    frames = {
        "datasets": (
            datasets,
            ["study", "metric", "dataset_a", "dataset_b", *numbers, *beside_columns],
            "Transfer between data sets, Spearman × 100 over settings",
        ),
        "metrics": (
            of_metrics,
            ["study", "dataset", "metric_a", "metric_b", *numbers],
            "Transfer between scores, Spearman × 100 over settings",
        ),
        "all": (
            rows,
            ["study", "dataset_a", "metric_a", "dataset_b", "metric_b", *numbers],
            "Transfer between all pairs of data set and score, Spearman × 100 over settings",
        ),
    }
    several = len(table.studies) > 1
    return Analysis(
        "Do good settings stay good elsewhere?",
        {
            name: Frame.from_rows(
                found,
                names,
                title=title,
                formats={column: _FORMATS[column] for column in names if column in _FORMATS},
                shown=[column for column in names if several or column != "study"],
            )
            for name, (found, names, title) in frames.items()
        },
        sentences=_sentences(datasets, table),
        notices=list(dict.fromkeys(notices)),
    )


def _correlations(draws, cube, columns, places, over, seed):
    """Correlations (places, places), the ends of their intervals, and how many settings they are of."""

    def medians(weights):
        found = np.stack([cell_medians(cube, column, weights) for column in columns], axis=1)
        return found.reshape(len(places), cube.shape[1], -1)

    def statistic(weights):
        return _spearman(medians(weights))

    there = np.stack([np.isfinite(values_of(cube, column)).any(axis=2) for column in columns], axis=1)
    there = there.reshape(len(places), -1).astype(int)
    counts = there @ there.T
    if over == "seeds":
        return *draws.estimate(statistic), counts
    middle = medians(np.ones((len(draws.table), 1)))[:, :, 0].T
    estimate = spearman_matrix(middle, np.ones((len(middle), 1)))[..., 0]
    drawn = np.random.default_rng([check_seed(seed), 2]).multinomial(
        len(middle), np.full(len(middle), 1 / len(middle)), size=draws.replicates
    )
    return estimate, *percentile_interval(spearman_matrix(middle, drawn.T.astype(np.float32))), counts


def _spearman(values):
    """Spearman's correlation of all pairs of columns in every replicate, pairs with a missing number left out.

    Args:
        values: float64 (columns, settings, replicates), nan where missing.

    Returns:
        (columns, columns, replicates), as `spearman_matrix` of each replicate.
    """
    found = np.full((len(values), len(values), values.shape[2]), np.nan)
    present = np.isfinite(values)
    # Replicates that lack the same medians, as nearly all do, are ranked together.
    kinds, kind_of = np.unique(np.packbits(present.reshape(-1, values.shape[2]), axis=0), axis=1, return_inverse=True)
    for kind in range(kinds.shape[1]):
        replicates = np.flatnonzero(kind_of.ravel() == kind)
        same = patterns(values[:, :, replicates[0]].T)
        for (first_runs, firsts), (second_runs, seconds) in itertools.product(same, same):
            both = first_runs & second_runs
            if both.sum() >= FEWEST_RUNS:
                (left, left_lengths), (right, right_lengths) = (
                    _ranks(values[np.ix_(of, both, replicates)]) for of in (firsts, seconds)
                )
                products = np.matmul(left, right.transpose(0, 2, 1))
                products /= left_lengths[:, :, None] * right_lengths[:, None]
                found[np.ix_(firsts, seconds, replicates)] = products.transpose(1, 2, 0)
    np.clip(found, -1, 1, out=found)
    diagonal = np.arange(len(found))
    found[diagonal, diagonal] = np.where(np.isfinite(found[diagonal, diagonal]), 1, np.nan)
    return found


def _ranks(values):
    """Average ranks about their mean, (replicates, columns, settings), and their lengths; nan where all are equal."""
    ranks = rankdata(values.transpose(2, 0, 1), axis=-1) - (values.shape[1] + 1) / 2
    lengths = np.sqrt((ranks**2).sum(axis=-1))
    return ranks, np.where(lengths > 0.1, lengths, np.nan)


def _between_datasets(rows, look_up):
    found = []
    for row in rows:
        if row["metric_a"] == row["metric_b"]:
            key = plain_dataset(row["dataset_a"]), plain_dataset(row["dataset_b"]), canonical(row["metric_a"])
            published = look_up.get(key, np.nan)
            found.append(
                {**row, "metric": row["metric_a"], "published": published, "difference": row["estimate"] - published}
            )
    several = {row["study"] for row in found if row["dataset_a"] != row["dataset_b"]}
    order = {row["metric"]: number for number, row in reversed(list(enumerate(found)))}
    return sorted(
        (row for row in found if row["study"] in several), key=lambda row: (row["study"], order[row["metric"]])
    )


def _between_metrics(rows):
    found = [{**row, "dataset": row["dataset_a"]} for row in rows if row["dataset_a"] == row["dataset_b"]]
    several = {row["study"] for row in found if row["metric_a"] != row["metric_b"]}
    return [row for row in found if row["study"] in several]


def _sentences(rows, table):
    sentences = []
    for study in dict.fromkeys(row["study"] for row in rows):
        pairs = [row for row in rows if row["study"] == study and row["dataset_a"] < row["dataset_b"]]
        pairs = [row for row in pairs if np.isfinite(row["estimate"]) and row["n"] >= FEWEST_RUNS]
        if not pairs:
            continue
        low, high = (end(pairs, key=lambda row: row["estimate"]) for end in (min, max))
        above = sum(row["lo"] > 0 for row in pairs)
        told = (
            f"{study + ', ' if study else ''}{above} of {len(pairs)} correlations of settings between two data sets "
            f"have an interval above 0; the strongest is {hundredfold(high['estimate'])} "
            f"({table.label(high['metric'])}, "
            f"{high['dataset_a']} and {high['dataset_b']})"
        )
        if low is not high:
            told += (
                f", the weakest {hundredfold(low['estimate'])} ({table.label(low['metric'])}, {low['dataset_a']} and "
                f"{low['dataset_b']})"
            )
        sentences.append(told + ".")
    return sentences
