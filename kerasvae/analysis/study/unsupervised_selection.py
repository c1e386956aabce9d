"""Choosing runs without labels: how much better than at random is the run with the best UDR, or the best loss?"""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.bootstrap import REPLICATES, Resamples, resamples
from kerasvae.analysis.study.correlations import check_metrics
from kerasvae.analysis.study.frame import Analysis, Frame
from kerasvae.analysis.study.losses import with_elbo
from kerasvae.analysis.study.over_datasets import mean_rows
from kerasvae.analysis.study.roles import canonical
from kerasvae.analysis.study.selection import TIES
from kerasvae.analysis.study.table import ResultsTable
from kerasvae.analysis.study.weighted import FEWEST_RUNS, group_medians

BEST_RUN, ONE_SEED, SETTING = "best run", "best of one seed", "best setting"
RULES = (BEST_RUN, ONE_SEED, SETTING)
POOLED, WITHIN = "all runs", "within methods"
_PERCENT = dict.fromkeys(
    ("estimate", "lo", "hi", "lowest", "highest", "baseline", "with_labels"), lambda value: f"{100 * value:.1f}"
)


def unsupervised_selection(
    table: ResultsTable,
    metrics=None,
    by="udr",
    *,
    replicates: int = REPLICATES,
    seed: int = 1,
    over: str = "seeds",
) -> Analysis:
    """Probability that the run with the best UDR, or another number that needs no labels, beats a random run.

    Exact: an average over all choices and all opponents, which are the runs of the data set that have both numbers, the
    chosen one among them. Runs tied for the best count alike. A training loss is another function for each method: with
    it runs are chosen and compared within methods, and the methods averaged.

    Args:
        table: runs of any number of studies, which are never pooled. `add_udr` adds UDR to one.
        metrics: scores by which runs are compared, at least 1. Default: all of the mean representation.
        by: name of what runs are chosen by, or a list of names. Default "udr". None: all unsupervised metrics of which
            one direction is better.
        replicates, seed, over: of the bootstrap, see `kerasvae.analysis.study.bootstrap.Resamples`.

    Returns:
        Analysis with the frames
        `odds`: study, dataset, by, metric, rule, ties (what a tie counts: "wins" or "half"; with "half" the
        probability is at the same time the mean percentile of the chosen run), estimate, lo, hi, n (runs), baseline (of
        a random choice), with_labels (the same rule with the score itself), of ("all runs", "within methods");
        `over_datasets`: study, by, metric, rule, ties, estimate (the mean), lo, hi, lowest, highest, n (data sets);
        `overall`: study, by, rule, ties, estimate (mean over data sets and scores), lo, hi, n (of these), baseline.
        Rules: "best run" of the data set; "best of one seed": of the runs of a seed, averaged over seeds, choices held
        fixed by the bootstrap; "best setting": a random run of the setting with the best median, held fixed too.
        A score that is constant has no odds: they are missing.

    Raises:
        ValueError: no scores, no runs that are ok, nothing to choose by, or a metric of which neither direction is
            better.
        KeyError: an unknown metric.

    Source: Duan et al. 2020, "Unsupervised Model Selection for Variational Disentangled Representation Learning"; the
    trials are like those of Locatello et al. 2019, "Challenging Common Assumptions", section 5.6.
    """
    table, metrics = check_metrics(table, metrics, 1, "scores")
    table = with_elbo(table)
    table, by = check_metrics(table, _criteria(table, by), 1, "numbers to choose by that need no labels")
    rows = {name: [] for name in ("odds", "over_datasets", "overall")}
    notices, sentences = [], []
    for study in table.studies:
        part = table.select(study=study)
        draws = resamples(part, replicates, seed, over)
        notices += [*draws.notices, *_notices(part, by)]
        labels = [
            {"study": study, "by": criterion, "metric": metric, "rule": rule, "ties": ties}
            for criterion in by
            for metric in metrics
            for rule in RULES
            for ties in TIES
        ]
        shape = len(part.datasets), len(labels)
        estimates, baselines = np.full(shape, np.nan), np.full(shape, np.nan)
        replicated = np.full((*shape, replicates), np.nan, np.float32) if draws.possible else None
        for place, dataset in enumerate(part.datasets):
            found = [
                (number, row, each)
                for first, criterion in enumerate(by)
                for second, metric in enumerate(metrics)
                for number, (row, each) in enumerate(
                    _odds(draws, place, criterion, metric), (first * len(metrics) + second) * len(RULES) * len(TIES)
                )
            ]
            for number, row, each in found:
                rows["odds"].append({**labels[number], "dataset": dataset, **row})
                estimates[place, number], baselines[place, number] = row["estimate"], row["baseline"]
                if each is not None:
                    replicated[place, number] = each
        rows["over_datasets"] += mean_rows(draws, labels, estimates, replicated)
        overall = _overall(draws, labels, estimates, baselines, replicated)
        rows["overall"] += overall
        sentences += [_sentence(part, row) for row in overall if row["ties"] == "half" and row["rule"] == BEST_RUN]
    numbers = ["estimate", "lo", "hi", "n"]
    columns = {
        "odds": (
            ["study", "dataset", "by", "metric", "rule", "ties", *numbers, "baseline", "with_labels", "of"],
            "Probability of beating a random run, %",
        ),
        "over_datasets": (
            ["study", "by", "metric", "rule", "ties", "estimate", "lo", "hi", "lowest", "highest", "n"],
            "Mean over data sets, %",
        ),
        "overall": (["study", "by", "rule", "ties", *numbers, "baseline"], "Mean over data sets and scores, %"),
    }
    frames = {
        name: Frame.from_rows(
            rows[name], each, title=title, formats={column: _PERCENT[column] for column in each if column in _PERCENT}
        )
        for name, (each, title) in columns.items()
    }
    return Analysis("Can runs be chosen without labels?", frames, sentences=sentences, notices=notices)


def _criteria(table, by):
    if by is None:
        return [metric for metric in table.metrics_of("unsupervised", None) if table.role(metric).sign]
    names = [by] if isinstance(by, str) else list(by)
    found = []
    for name in names:
        own = table.find(name)
        if own is None and canonical(name) == "udr":
            raise ValueError(
                "unsupervised selection: the table has no udr; kerasvae.analysis.study.add_udr computes it"
            )
        found.append(own or name)
        if not table.role(found[-1]).sign and found[-1] in table.metrics:
            raise ValueError(f"by must be metrics of which one direction is better, got {name!r}")
    return found


def _notices(part, by):
    found = []
    if len(part.settings) < 2:
        found.append("One setting only: among the runs of one seed there is nothing to choose from.")
    for criterion in by:
        missing = int((~np.isfinite(part.column(criterion))).sum())
        if missing:
            found.append(
                f"{missing} of {len(part)} runs have no {criterion}: with it they are neither chosen nor opponents."
            )
        if part.role(criterion).role not in ("unsupervised", "cost"):
            found.append(f"{criterion} needs labels: choosing by it is no choice without them.")
    return found


def _odds(draws: Resamples, place, criterion, metric):
    """Pairs of a row and the replicates, for every rule and kind of tie; of one data set."""
    part = draws.table
    cost, score = (
        part.role(criterion).sign * part.column(criterion),
        (part.role(metric).sign or 1) * part.column(metric),
    )
    there = (part.dataset_code == place) & np.isfinite(cost) & np.isfinite(score)
    within = canonical(criterion) == "loss.total"
    groups = [there & (part.method_code == method) for method in range(len(part.methods))] if within else [there]
    groups = [np.flatnonzero(group) for group in groups if group.sum() >= FEWEST_RUNS]
    groups = [group for group in groups if np.ptp(score[group]) > 0]
    runs = np.sort(np.concatenate(groups)) if groups else np.zeros(0, int)
    shape = len(RULES), len(TIES)
    estimate = lo = hi = with_labels = baseline = np.full(shape, np.nan)
    replicated = None
    if len(runs):
        places = [np.searchsorted(runs, group) for group in groups]
        chosen, own = ([_Chosen(part, runs[each], values) for each in places] for values in (cost, score))

        def statistic(weights, chosen=chosen):
            each = [_worth(choice, score[runs[at]], weights[at]) for choice, at in zip(chosen, places, strict=True)]
            return np.mean(each, axis=0)

        estimate = draws.point(statistic, runs)
        with_labels = draws.point(lambda weights: statistic(weights, own), runs)
        baseline = np.mean([_baselines(score[group]) for group in groups], axis=0)
        if draws.possible:
            replicated = draws.replicate(statistic, runs)
            lo, hi = draws.interval(replicated)
    for at in np.ndindex(shape):
        rule, ties = at
        row = {"estimate": float(estimate[at]), "lo": float(lo[at]), "hi": float(hi[at]), "n": len(runs)}
        row |= {"baseline": float(baseline[ties]) if len(runs) else np.nan, "with_labels": float(with_labels[at])}
        row["of"] = WITHIN if within else POOLED
        yield row, None if replicated is None else replicated[rule, ties]


class _Chosen:
    """What the rules choose of some runs by their values, the highest being the best.

    `ranks` are places among the values, equal ones alike. `of_seeds` (runs,): the share of each run among those tied
    for the best of its seed, 0 for others. `of_setting` (runs,): whether it is of a setting with the best median,
    shared among those tied.
    """

    def __init__(self, part, runs, values):
        values = values[runs]
        self.ranks = np.unique(values, return_inverse=True)[1]
        seeds, settings = part.seed_code[runs], part.setting_code[runs]
        best = np.full(len(part.seeds), -1)
        np.maximum.at(best, seeds, self.ranks)
        tied = self.ranks == best[seeds]
        self.of_seeds = tied / np.maximum(np.bincount(seeds, tied, len(part.seeds)), 1)[seeds]
        medians = group_medians(values, settings, np.ones((len(runs), 1)), len(part.settings))[:, 0]
        self.of_setting = (medians == np.nanmax(medians))[settings].astype(np.float64)
        self.settings = settings


def _worth(chosen: _Chosen, score, weights):
    """Chance of each rule's choice against a random run, (rules, ties, replicates)."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    counted = np.concatenate([np.zeros((1, weights.shape[1])), np.cumsum(weights[order], axis=0)]).astype(weights.dtype)
    below, up_to = (counted[np.searchsorted(ordered, score, side)] for side in ("left", "right"))
    total = counted[-1]
    # The best of the runs that were drawn at all.
    best = np.where(weights > 0, chosen.ranks[:, None], -1).max(axis=0)
    shares = [
        (chosen.ranks[:, None] == best) * weights,
        chosen.of_seeds[:, None].astype(weights.dtype) * weights,
        _equal_settings(chosen, weights),
    ]
    found = np.empty((len(RULES), len(TIES), weights.shape[1]))
    with np.errstate(invalid="ignore", divide="ignore"):
        for at, ties in enumerate(TIES.values()):
            chances = (below + ties * (up_to - below)) / total
            for rule, share in enumerate(shares):
                found[rule, at] = (share * chances).sum(axis=0) / share.sum(axis=0, dtype=np.float64)
    return found


def _equal_settings(chosen, weights):
    """Weights of the runs of the best settings, so that tied settings count alike, however many runs they have."""
    shares = chosen.of_setting[:, None].astype(weights.dtype) * weights
    best = np.unique(chosen.settings[chosen.of_setting > 0])
    if len(best) > 1:
        for setting in best:
            members = chosen.settings == setting
            shares[members] /= np.maximum(shares[members].sum(axis=0), 1)
    return shares


def _baselines(score):
    """Chance of a random run against a random run, (ties,)."""
    counts = np.unique(score, return_counts=True)[1]
    tied = float((counts**2).sum()) / len(score) ** 2
    return [0.5 + (ties - 0.5) * tied for ties in TIES.values()]


def _overall(draws, labels, estimates, baselines, replicated):
    """Means over data sets and scores, of those where the odds are defined."""
    rows, groups = [], {}
    for number, label in enumerate(labels):
        groups.setdefault((label["study"], label["by"], label["rule"], label["ties"]), []).append(number)
    for (study, by, rule, ties), numbers in groups.items():
        there = np.isfinite(estimates[:, numbers])
        row = {"study": study, "by": by, "rule": rule, "ties": ties, "n": int(there.sum())}
        if there.any():
            row["estimate"] = float(estimates[:, numbers][there].mean())
            row["baseline"] = float(baselines[:, numbers][there].mean())
        if there.any() and replicated is not None:
            each = np.where(there[..., None], replicated[:, numbers], np.nan).astype(np.float64)
            present = np.isfinite(each)
            weights = present * draws.dataset_weights[:, None]
            with np.errstate(invalid="ignore"):
                means = (np.where(present, each, 0) * weights).sum(axis=(0, 1)) / weights.sum(axis=(0, 1))
            lo, hi = draws.interval(means)
            row |= {"lo": float(lo), "hi": float(hi)}
        rows.append(row)
    return rows


def _sentence(part, row):
    start = f"{row['study']}: " if row["study"] else ""
    label = part.label(row["by"])
    if not np.isfinite(row.get("estimate", np.nan)):
        return f"{start}the run with the best {label} cannot be compared: no score tells runs apart."
    lo, hi = row.get("lo", np.nan), row.get("hi", np.nan)
    interval = f" [{100 * lo:.1f}, {100 * hi:.1f}]" if np.isfinite(lo) else ""
    verdict = ""
    if interval:
        verdict = ": better than chance" if lo > 0.5 else ": worse than chance" if hi < 0.5 else ": no evidence"
    labels = "no labels used" if part.role(row["by"]).role in ("unsupervised", "cost") else "labels used"
    return (
        f"{start}the run with the best {label} ({labels}) beats a random run in {100 * row['estimate']:.1f} %"
        f"{interval} of trials{verdict}."
    )
