"""Choosing runs without labels: how much better than at random is the run with the best UDR, or the best loss?"""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.bootstrap import REPLICATES, Resamples, resamples
from kerasvae.analysis.study.chosen_runs import BEST_RUN, RULES, Choice, Opponents
from kerasvae.analysis.study.correlations import check_metrics
from kerasvae.analysis.study.frame import Analysis, Frame
from kerasvae.analysis.study.losses import with_elbo
from kerasvae.analysis.study.over_datasets import mean_rows
from kerasvae.analysis.study.roles import canonical
from kerasvae.analysis.study.selection import TIES
from kerasvae.analysis.study.table import ResultsTable
from kerasvae.analysis.study.weighted import FEWEST_RUNS

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
            for number, (row, each) in enumerate(_odds(draws, place, by, metrics)):
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


def _odds(draws: Resamples, place, by, metrics):
    """Pairs of a row and the replicates, for every criterion, score, rule and kind of tie; of one data set."""
    compared = _Compared(draws.table, np.flatnonzero(draws.table.dataset_code == place), by, metrics)
    estimate = draws.point(compared, compared.runs)
    with_labels = draws.point(compared.with_labels, compared.runs)
    lo = hi = np.full(estimate.shape, np.nan)
    replicated = None
    if draws.possible:
        replicated = draws.replicate(compared, compared.runs)
        lo, hi = draws.interval(replicated)
    for at in np.ndindex(estimate.shape):
        *pair, _, ties = at
        yield (
            {
                "estimate": float(estimate[at]),
                "lo": float(lo[at]),
                "hi": float(hi[at]),
                "n": compared.counts[*pair],
                "baseline": float(compared.baselines[*pair, ties]),
                "with_labels": float(with_labels[at]),
                "of": WITHIN if _is_of_method(by[pair[0]]) else POOLED,
            },
            replicated[at] if replicated is not None and compared.counts[*pair] else None,
        )


def _is_of_method(criterion) -> bool:
    return canonical(criterion) == "loss.total"


class _Compared:
    """Chances of the runs of a data set that each criterion chooses, by each score: a statistic of weights.

    What runs are drawn, sorted or chosen is the same for many pairs of criterion and score, and done once for them.

    Args:
        part: runs of a study.
        runs: those of the data set, indices.
        by, metrics: names of criteria and of scores.

    Attributes:
        counts: runs that are compared, (criteria, scores).
        baselines: chance of a random run against a random run, (criteria, scores, ties).
    """

    def __init__(self, part, runs, by, metrics):
        self.part, self.runs = part, runs
        self.costs = [part.role(each).sign * part.column(each)[runs] for each in by]
        self.scores = [(part.role(each).sign or 1) * part.column(each)[runs] for each in metrics]
        self.counts = np.zeros((len(by), len(metrics)), int)
        self.baselines = np.full((len(by), len(metrics), len(TIES)), np.nan)
        # Runs that are compared with each other, by their bytes; pairs that compare them, by score and runs.
        self._groups, self._pairs, self._opponents, self._choices = {}, {}, {}, {}
        methods = part.method_code[runs]
        for first, second in np.ndindex(self.counts.shape):
            there = np.isfinite(self.costs[first]) & np.isfinite(self.scores[second])
            within = [there & (methods == each) for each in np.unique(methods)] if _is_of_method(by[first]) else [there]
            for group in within:
                if group.sum() >= FEWEST_RUNS and np.ptp(self.scores[second][group]) > 0:
                    self._groups[group.tobytes()] = np.flatnonzero(group)
                    self._pairs.setdefault((second, group.tobytes()), []).append(first)
                    self.counts[first, second] += group.sum()
        self._sizes = np.zeros(self.counts.shape)
        for (second, group), firsts in self._pairs.items():
            score = self.scores[second][self._groups[group]]
            self._opponents[second, group] = Opponents(score)
            self._sizes[firsts, second] += 1
            self.baselines[firsts, second] = np.nan_to_num(self.baselines[firsts, second]) + _baselines(score)
        with np.errstate(invalid="ignore"):
            self.baselines /= self._sizes[..., None]

    def __call__(self, weights) -> np.ndarray:
        """(criteria, scores, rules, ties, replicates), means over methods where they are compared within them."""
        return self._worth(weights, lambda second, firsts: [("cost", first) for first in firsts])

    def with_labels(self, weights) -> np.ndarray:
        """The same where runs are chosen by the score itself."""
        return self._worth(weights, lambda second, firsts: [("score", second)] * len(firsts))

    def _worth(self, weights, criteria):
        found = np.zeros((*self.counts.shape, len(RULES), len(TIES), weights.shape[1]))
        drawn = {group: weights[runs] for group, runs in self._groups.items()}
        best = {}
        for (second, group), firsts in self._pairs.items():
            names = [(*criterion, group) for criterion in criteria(second, firsts)]
            for name in names:
                if name not in best:
                    best[name] = self._choice(*name).best(drawn[group])
            choices = [self._choice(*name) for name in names]
            worth = self._opponents[second, group].worth(choices, drawn[group], [best[name] for name in names])
            found[firsts, second] += worth
        with np.errstate(invalid="ignore"):
            return found / self._sizes[..., None, None, None]

    def _choice(self, kind, place, group):
        key = kind, place, group
        if key not in self._choices:
            runs = self._groups[group]
            seeds, settings = self.part.seed_code[self.runs[runs]], self.part.setting_code[self.runs[runs]]
            values = (self.costs if kind == "cost" else self.scores)[place][runs]
            self._choices[key] = Choice(values, seeds, settings)
        return self._choices[key]


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
