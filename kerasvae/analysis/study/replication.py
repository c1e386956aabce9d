"""Does another study find the same? Medians of the settings that two studies share, side by side."""

from __future__ import annotations

import itertools

import numpy as np

from kerasvae.analysis.study.bootstrap import FEWEST_SEEDS, REPLICATES, Resamples, fisher_interval, percentile_interval
from kerasvae.analysis.study.cells import cell_medians, row_medians
from kerasvae.analysis.study.correlations import check_metrics
from kerasvae.analysis.study.frame import Analysis, Frame, hundredfold, is_missing
from kerasvae.analysis.study.matching import quoted
from kerasvae.analysis.study.study_pair import StudyPair, study_pairs
from kerasvae.analysis.study.table import ResultsTable
from kerasvae.analysis.study.transfer import FEW_SETTINGS
from kerasvae.analysis.study.weighted import spearman_matrix
from kerasvae.checks import check_integer, check_seed

# Roles of the metrics that are compared when none are named; the rest is bookkeeping, or the machine's.
COMPARED = ("score", "unsupervised", "downstream")
# Largest differences that are listed for each data set and metric.
LARGEST = 3
# Of a kind that a sentence names.
SHOWN = 3
_PAIR = ["study_a", "study_b"]
_NUMBERS = ["estimate", "lo", "hi", "n"]
_SETTING = ["method", "strength", "setting", "median_a", "median_b", *_NUMBERS, "n_a", "n_b", "differs"]


def replication(
    table: ResultsTable,
    metrics=None,
    *,
    reference: str | None = None,
    replicates: int = REPLICATES,
    seed: int = 1,
) -> Analysis:
    """Difference of medians over seeds, of every data set, setting and metric that two studies have.

    The seeds of two studies are taken to be independent, whatever their numbers: seed 3 of other code, of another
    version, backend or machine gives other initial weights and another order of the data, and where that is not so a
    table does not say it. So each study's seeds are drawn on their own. Of runs that are in fact the same, such as
    models that were scored twice, the differences are exact and the intervals wider than they need be.

    Data sets are the same where their names are, apart from capitals and signs ("Color-dSprites", "color_dsprites");
    metrics where their names in the registry and their sizes are ("mig.score@2000", "mig@2000"). A setting is method,
    strength and the hyper-parameters that vary within a study; others that differ between studies are told of.

    Args:
        table: runs of at least 2 studies.
        metrics: names. Default: all scores, metrics without labels and downstream tasks, of mean and sampled codes.
        reference: name of the study that all others are compared with. Default None: all pairs of studies.
        replicates, seed: of the bootstrap, see `kerasvae.analysis.study.bootstrap.Resamples`.

    Returns:
        Analysis with the frames
        `differences`: study_a, study_b, dataset, metric, method, strength, setting (its label), median_a, median_b,
        estimate (median_a - median_b, in the metric's unit), lo, hi (missing where either has fewer than 3 seeds), n
        (the smaller of the two), n_a, n_b (runs that have the metric), differs (whether the interval excludes 0, or
        None);
        `shares`: study_a, study_b, dataset, metric, estimate (share of the settings with an interval that excludes 0),
        above, below (0), n (settings with an interval);
        `ranks`: study_a, study_b, dataset, metric, estimate (Spearman's correlation of the settings' medians in the two
        studies), lo, hi (Fisher's, over settings: of medians as noisy as these), n (settings), ceiling (what noise of
        the seeds alone would leave of a correlation of 1, or missing), lower (whether hi is below it, or None);
        `shifts`: study_a, study_b, dataset, metric, estimate (median over settings of the differences), lo, hi, n;
        `largest`: the rows of `differences` with the 3 largest of each data set and metric, whatever their sign;
        `shared`: study_a, study_b, dataset, both, only_a, only_b (settings with runs that are ok).
        With `reference` it is study_b everywhere. Names of data sets and metrics are those of study_a.

    Raises:
        ValueError: one study only, nothing in common, no runs that are ok, or a `reference` that is no study.
        KeyError: an unknown metric.

    Where nothing differs 5 % of the intervals should exclude 0. Of 4000 pairs of normal samples 9 % did with 3 seeds,
    7 % with 4, 3 % with 5 and 4 % with 10. Correlations of ranks have no such interval: replicates of medians are
    noisier than medians, and their correlations lower than the one they are of.

    Source of the ceiling: Spearman 1904, "The proof and measurement of association between two things": the root of the
    product of both studies' reliabilities, 1 - mean variance of a median / variance of the medians. The bootstrap's
    variance of a median is too large, so that the ceiling is low rather than high: of simulated equal studies with 9 or
    36 settings and 3 to 50 seeds, 0 to 8 % were `lower`.
    """
    replicates, seed = check_integer(replicates, "replicates", 2), check_seed(seed)
    if metrics is None and isinstance(table, ResultsTable):
        named = [metric for role in COMPARED for metric in table.ok().metrics_of(role, None)]
        metrics = [metric for metric in table.metrics if metric in named]
    table, metrics = check_metrics(table, metrics, 1, "scores, losses or downstream tasks")
    pairs = study_pairs(table.studies, reference)
    rows, notices, sentences, reasons = {name: [] for name in _FRAMES}, [], [], []
    for study_a, study_b in pairs:
        pair = StudyPair(table, study_a, study_b, metrics)
        rows["shared"] += pair.counts()
        notices += pair.notices
        if not pair.reason:
            found = _compared(pair, replicates, seed)
            for name, each in found.items():
                rows[name] += each
            notices += _notices_on(pair, found)
            sentences += _sentences(pair, found, table)
        else:
            reasons.append(f"{quoted(study_a)} and {quoted(study_b)} have {pair.reason}")
    if len(reasons) == len(pairs):
        raise ValueError(f"replication: {'; '.join(reasons)}")
    return Analysis(
        "Does another study find the same?",
        {
            name: Frame.from_rows(rows[name], columns, title=title, formats=formats)
            for name, (columns, title, formats) in _FRAMES.items()
        },
        sentences=sentences,
        notices=[*notices, *(f"{reason[:1].upper()}{reason[1:]}: not compared." for reason in reasons)],
    )


_YES = {"differs": lambda value: "yes" if value else "no"}
_SHARES = dict.fromkeys(("estimate", "above", "below"), hundredfold)
_CORRELATIONS = dict.fromkeys(("estimate", "lo", "hi", "ceiling"), hundredfold)
_CORRELATIONS["lower"] = _YES["differs"]
_ON = [*_PAIR, "dataset", "metric"]
_FRAMES = {
    "differences": ([*_ON, *_SETTING], "Differences of medians over seeds, first study minus second", _YES),
    "shares": ([*_ON, "estimate", "above", "below", "n"], "Settings with an interval that excludes 0, %", _SHARES),
    "ranks": (
        [*_ON, *_NUMBERS, "ceiling", "lower"],
        "Correlation of the settings' medians, Spearman × 100",
        _CORRELATIONS,
    ),
    "shifts": ([*_ON, *_NUMBERS], "Median over settings of the differences", {}),
    "largest": ([*_ON, *_SETTING], "Largest differences", _YES),
    "shared": ([*_PAIR, "dataset", "both", "only_a", "only_b"], "Settings in both studies and in one", {}),
}


def why_no_replication(table: ResultsTable) -> str:
    """Why `replication` is not possible; "" where it is."""
    table = table.ok()
    if not len(table):
        return "no runs that are ok"
    if len(table.studies) < 2:
        return "one study only"
    metrics = [metric for role in COMPARED for metric in table.metrics_of(role, None)]
    if not metrics:
        return "no scores, losses or downstream tasks"
    try:
        reasons = [StudyPair(table, *pair, metrics).reason for pair in study_pairs(table.studies)]
    except ValueError as error:  # runs that nothing tells apart
        return str(error)
    return "" if "" in reasons else "; ".join(dict.fromkeys(reasons))


def _compared(pair, replicates, seed):
    """Rows of all frames but `shared`."""
    found = {name: [] for name in _FRAMES if name != "shared"}
    # Different streams: with the same one, studies of as many seeds would be drawn alike, as if they shared them.
    draws = [
        Resamples(part, replicates, int(np.random.SeedSequence([seed, side]).generate_state(1)[0]))
        for side, part in enumerate((pair.a, pair.b))
    ]
    for (dataset, (at_a, at_b, cells)), names in itertools.product(pair.cells.items(), pair.metrics):
        counts = np.stack(pair.counted(dataset, names)) if cells else np.zeros((2, 0), int)
        there = np.flatnonzero(counts.min(axis=0))
        if not len(there):
            continue
        cells, counts = [cells[place] for place in there], counts[:, there]
        medians, drawn = [], []
        for draw, cube, at, side, name in zip(draws, pair.cubes, (at_a, at_b), (1, 2), names, strict=True):
            part, values = cube[at, [cell[side] for cell in cells]], draw.table.column(name)
            runs = np.unique(part[part >= 0])
            # The runs of these settings alone, and where each of them is among these.
            part = np.where(part >= 0, np.searchsorted(runs, part), -1)[None]

            def statistic(weights, part=part, values=values[runs]):
                return cell_medians(part, values, weights)[0]

            medians.append(draw.point(statistic, runs))
            drawn.append(draw.replicate(statistic, runs))
        on = {**pair.names, "dataset": dataset, "metric": names[0]}
        for name, each in _rows(on, [cell[0] for cell in cells], counts, medians, drawn).items():
            found[name] += each
    return found


def _rows(on, settings, counts, medians, drawn):
    estimate, differences = medians[0] - medians[1], drawn[0] - drawn[1]
    enough = counts.min(axis=0) >= FEWEST_SEEDS
    lo, hi = (np.where(enough, end, np.nan) for end in percentile_interval(differences))
    told = np.isfinite(lo)
    # What rounding leaves of equal numbers is no difference.
    least = 1e-12 * np.abs(medians).max(axis=0)
    above, below = told & (lo > least), told & (hi < -least)
    rows = [
        {
            **on,
            "method": setting.method,
            "strength": setting.strength,
            "setting": setting.label,
            "median_a": float(medians[0][place]),
            "median_b": float(medians[1][place]),
            "estimate": float(estimate[place]),
            "lo": float(lo[place]),
            "hi": float(hi[place]),
            "n": int(counts[:, place].min()),
            "n_a": int(counts[0, place]),
            "n_b": int(counts[1, place]),
            "differs": bool(above[place] or below[place]) if told[place] else None,
        }
        for place, setting in enumerate(settings)
    ]
    order = sorted(range(len(rows)), key=lambda place: (-abs(rows[place]["estimate"]), place))
    shares = {"estimate": (above | below).sum(), "above": above.sum(), "below": below.sum()}
    shares = {name: float(count / told.sum()) if told.any() else np.nan for name, count in shares.items()}
    # As everywhere: no interval of a number over settings where most of these have too few seeds.
    possible = bool(enough.mean() > 0.5)
    ends = percentile_interval(row_medians(differences.T)) if possible else (np.nan, np.nan)
    shift = {"estimate": float(np.median(estimate)), "lo": float(ends[0]), "hi": float(ends[1]), "n": len(rows)}
    return {
        "differences": rows,
        "shares": [{**on, **shares, "n": int(told.sum())}],
        "ranks": [{**on, **_correlation(medians, drawn, possible)}],
        "shifts": [{**on, **shift}],
        "largest": [rows[place] for place in order[:LARGEST]],
    }


def _correlation(medians, drawn, possible):
    """Spearman's correlation of the settings' medians, missing where all of a side tie or settings are fewer than 3."""
    estimate = float(spearman_matrix(np.column_stack(medians), np.ones((len(medians[0]), 1)))[0, 1, 0])
    lo, hi = (float(end) for end in fisher_interval(estimate, len(medians[0])))
    row = {"estimate": estimate, "lo": lo, "hi": hi, "n": len(medians[0]), "ceiling": np.nan, "lower": None}
    if possible and np.isfinite(estimate):
        noise = [_mean_variance(each) for each in drawn]
        spread = [each.var(ddof=1) for each in medians]
        reliabilities = [np.maximum(0.0, 1 - each / whole) for each, whole in zip(noise, spread, strict=True)]
        row["ceiling"] = float(np.sqrt(np.prod(reliabilities)))
        if np.isfinite(hi) and np.isfinite(row["ceiling"]):
            row["lower"] = bool(hi < row["ceiling"])
    return row


def _mean_variance(drawn):
    """Mean over settings of the variance over replicates, of settings with at least 2; nan without any."""
    variances = [each.var(ddof=1) for each in (row[np.isfinite(row)] for row in drawn) if len(each) > 1]
    return float(np.mean(variances)) if variances else np.nan


def _notices_on(pair, found):
    on = " and ".join(quoted(study) for study in pair.names.values())
    cells = {(row["dataset"], row["setting"]): row["n"] for row in found["differences"]}
    few = sum(count < FEWEST_SEEDS for count in cells.values())
    notices = []
    if few:
        notices.append(f"{on}: no interval for {few} of {len(cells)} shared settings: fewer than 3 seeds in a study.")
    most = max((row["n"] for row in found["ranks"]), default=0)
    if 0 < most <= FEW_SETTINGS:
        notices.append(f"{on}: {most} settings; so few tell little of a correlation.")
    left = [row for row in pair.counts() if row["only_a"] or row["only_b"]]
    if left:
        only = [f"{sum(row[f'only_{side}'] for row in left)} of {quoted(pair.names[f'study_{side}'])}" for side in "ab"]
        notices.append(f"In one study only, and not compared: {' and '.join(only)} settings, by data set.")
    return notices


def _sentences(pair, found, table):
    on = " against ".join(study or "the study without a name" for study in pair.names.values())
    told = [row for row in found["differences"] if row["differs"] is not None]
    total = len(found["differences"])
    settings = len({(row["dataset"], row["setting"]) for row in found["differences"]})
    start = f"{on}: {settings} settings are in both, by data set"
    if told:
        count = sum(row["differs"] for row in told)
        sentences = [
            f"{start}; {count} of {len(told)} differences of medians have an interval that excludes 0, where chance "
            f"alone gives about {round(0.05 * len(told)):d}."
        ]
    else:
        sentences = [f"{start}; none of {total} differences of medians has an interval, for want of seeds."]
    ranks = [row for row in found["ranks"] if not is_missing(row["estimate"])]
    if ranks:
        best, worst = (end(ranks, key=lambda row: row["estimate"]) for end in (max, min))
        words = [f"{_told(row)} ({_named(row, table)})" for row in (best, worst)]
        sentences.append(
            f"{on}: the order of the settings' medians correlates with {words[0]}"
            f"{'' if best is worst else f' at most and {words[1]} at least'}."
        )
        judged = [row for row in ranks if row["lower"] is not None]
        lower = sorted((row for row in judged if row["lower"]), key=lambda row: row["hi"] - row["ceiling"])
        lower = [
            f"{_named(row, table)}: {_told(row)}, where noise would leave {hundredfold(row['ceiling'])}"
            for row in lower
        ]
        more = f"; and {len(lower) - SHOWN} more" if len(lower) > SHOWN else ""
        if judged:
            sentences.append(
                f"{on}: the order differs by more than noise of the seeds explains for {len(lower)} of {len(judged)} "
                f"metrics, by data set{': ' if lower else ''}{'; '.join(lower[:SHOWN])}{more}."
            )
    for row in found["shifts"]:
        if not is_missing(row["lo"]) and (row["lo"] > 0 or row["hi"] < 0):
            way = "above" if row["estimate"] > 0 else "below"
            sentences.append(
                f"{on}: {_named(row, table)}, is {way}, by {row['estimate']:+.3g}"
                f"{_interval(row, 1, '.3g')} in the median over settings."
            )
    return sentences


def _told(row):
    return f"{hundredfold(row['estimate'])}{_interval(row, 100, '.0f')}"


def _named(row, table):
    return ", ".join(filter(None, [table.label(row["metric"]), row["dataset"]]))


def _interval(row, scale, form):
    if is_missing(row["lo"]):
        return ""
    return f" [{scale * row['lo']:{form}}, {scale * row['hi']:{form}}]"
