"""Which method is better? Interquartile means, probabilities of improvement and performance profiles."""

from __future__ import annotations

import itertools

import numpy as np

from kerasvae.analysis.study.bootstrap import REPLICATES, resamples
from kerasvae.analysis.study.cells import cell_medians, run_cube
from kerasvae.analysis.study.collapse import collapse_notice
from kerasvae.analysis.study.correlations import check_metrics
from kerasvae.analysis.study.frame import Analysis, Frame, hundredfold
from kerasvae.analysis.study.table import METHOD_LABELS, ResultsTable
from kerasvae.analysis.study.weighted import win_rate

EVERY, TUNED, OPTIMISTIC = "all strengths", "tuned on other data sets", "best strength on the same labels"
ALL_DATASETS = "all"
STATISTICS = ("iqm", "mean", "median", "optimality gap")
# Probabilities of improvement in between are no evidence of a difference.
UNDECIDED = (0.35, 0.65)
THRESHOLDS = 51
# Pairs of runs that are compared one by one.
MOST_PAIRS = 10**7


def compare_methods(
    table: ResultsTable, metrics=None, *, replicates: int = REPLICATES, seed: int = 1, over: str = "seeds"
) -> Analysis:
    """Methods compared by aggregates that stand few runs and outliers, with intervals.

    A method with several strengths is represented in two ways: by all of its runs, as for a user who does not tune;
    and, on each data set, by the strength with the best median on the others, on average over them, as for one who
    tunes where there are labels. With one data set the latter is replaced by the strength that is best on these very
    labels, which flatters the method, and is called so. Choices of strengths are held fixed in the bootstrap.

    Args:
        table: runs of any number of studies, which are never pooled.
        metrics: names of scores. Default: all of the mean representation. Lower-is-better ones are turned around for
            probabilities; the optimality gap is of scores in 0..1, and missing of others.
        replicates, seed, over: of the bootstrap, see `kerasvae.analysis.study.bootstrap.Resamples`; `over` takes effect
            in probabilities of improvement.

    Returns:
        Analysis with the frames
        `scores`: study, dataset (or "all": runs of all data sets together), metric, method, of ("all strengths",
        "tuned on other data sets", "best strength on the same labels"), statistic ("iqm": mean of the middle half,
        "mean", "median", "optimality gap": mean of what is lacking to 1), estimate, lo, hi, n (runs);
        `improvement`: study, dataset (or "all": mean over data sets), metric, first, second, of, estimate (probability
        that a run of the first beats one of the second, ties a half), lo, hi, n (pairs of runs), evidence (whether the
        interval excludes 0.5 and the estimate is outside 0.35..0.65);
        `profiles`: study, metric, method, threshold, estimate (share of all strengths' runs of all data sets, each data
        set with the same weight, above the threshold), lo, hi, n.

    Raises:
        ValueError: no scores or no runs that are ok.
        KeyError: an unknown metric.

    Source: Agarwal et al. 2021, "Deep Reinforcement Learning at the Edge of the Statistical Precipice".
    """
    table, metrics = check_metrics(table, metrics, 1, "scores")
    rows = {"scores": [], "improvement": [], "profiles": []}
    notices, sentences = [], []
    for study in table.studies:
        part = table.select(study=study)
        draws = resamples(part, replicates, seed, over)
        notices += [*draws.notices, *collapse_notice(part)]
        for metric in metrics:
            where = {"study": study, "metric": metric}
            for of, chosen in _representations(part, metric).items():
                scores, improvement = _compared(draws, part, metric, chosen)
                rows["scores"] += [where | {"of": of} | row for row in scores]
                rows["improvement"] += [where | {"of": of} | row for row in improvement]
                if of == EVERY:
                    sentences += _sentences(part, where, scores, improvement)
            rows["profiles"] += [where | row for row in _profiles(draws, part, metric)]
        if len(part.datasets) == 1 and len(part.settings) > len(part.methods):
            notices.append(f"{OPTIMISTIC.capitalize()} flatters: it was chosen by the runs that it is judged by.")
    numbers = ["estimate", "lo", "hi", "n"]
    several = ["study"] if len(table.studies) > 1 else []
    frames = {
        "scores": (["study", "dataset", "metric", "method", "of", "statistic", *numbers], "Scores of methods", {}),
        "improvement": (
            ["study", "dataset", "metric", "first", "second", "of", *numbers, "evidence"],
            "Probability that a run of the first beats one of the second, %",
            dict.fromkeys(("estimate", "lo", "hi"), hundredfold),
        ),
        "profiles": (["study", "metric", "method", "threshold", *numbers], "Share of runs above a threshold", {}),
    }
    return Analysis(
        "Which method is better?",
        {
            name: Frame.from_rows(rows[name], columns, title=title, formats=formats, shown=[*several, *columns[1:]])
            for name, (columns, title, formats) in frames.items()
        },
        sentences=sentences,
        notices=list(dict.fromkeys(notices)),
    )


def interquartile_mean(values, weights) -> np.ndarray:
    """Mean without the lowest and the highest quarter of the runs (rounded down), (replicates,).

    Args:
        values: (runs,), nan where missing.
        weights: how many times each run counts, whole numbers, (runs, replicates).
    """
    return aggregates(values, weights)[STATISTICS.index("iqm")]


def aggregates(values, weights) -> np.ndarray:
    """The numbers of `STATISTICS`, (4, replicates), nan without runs; arguments of `interquartile_mean`."""
    values = np.asarray(values, np.float64)
    present = np.isfinite(values)
    order = np.flatnonzero(present)[np.argsort(values[present], kind="stable")]
    if not len(order):
        return np.full((len(STATISTICS), weights.shape[1]), np.nan)
    # Sorted once for all of them. Counts are exact in the dtype of the weights.
    kind = np.result_type(weights.dtype, np.float32)
    ordered, weights = values[order].astype(kind), weights[order].astype(kind)
    counted = np.zeros((len(order) + 1, weights.shape[1]), kind)
    upper = np.cumsum(weights, axis=0, out=counted[1:])
    total = upper[-1]
    cut = np.floor(total / 4)
    within = np.minimum(counted, total - cut)
    kept = np.diff(np.maximum(within, cut, out=within), axis=0)
    # The median is between those at places (total - 1) / 2, rounded down and up; at place p is the first whose running
    # count exceeds p.
    last = len(ordered) - 1
    low, high = (
        ordered[np.minimum(np.count_nonzero(upper <= place, axis=0), last)]
        for place in (np.floor((total - 1) / 2), np.ceil((total - 1) / 2))
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        found = [
            ordered @ kept / (total - 2 * cut),
            ordered @ weights / total,
            (low + high) / 2,
            # Of scores in per cent it would be 0, as if nothing lacked.
            np.maximum(1 - ordered, 0) @ weights / total if ordered[-1] <= 1.001 else np.full_like(total, np.nan),
        ]
        return np.where(total > 0, np.stack(found), np.nan)


def _representations(part, metric) -> dict:
    """{of: bool (runs,)}: which runs stand for their method."""
    found = {EVERY: np.isfinite(part.column(metric))}
    if len(part.settings) == len(part.methods):
        return found
    sign = part.role(metric).sign or 1
    ones = np.ones((len(part), 1))
    medians = sign * cell_medians(run_cube(part), part.column(metric), ones)[:, :, 0]
    methods = np.array([setting.method for setting in part.settings])
    several = len(part.datasets) > 1
    chosen = np.zeros(medians.shape, bool)
    for dataset in range(len(part.datasets)):
        judged = np.delete(medians, dataset, axis=0) if several else medians
        # Only settings that were run on all of the data sets can be compared.
        scores = judged.mean(axis=0)
        for method in part.methods:
            places = np.flatnonzero((methods == method) & np.isfinite(scores) & np.isfinite(medians[dataset]))
            if len(places):
                chosen[dataset, places[np.argmax(scores[places])]] = True
    found[TUNED if several else OPTIMISTIC] = found[EVERY] & chosen[part.dataset_code, part.setting_code]
    return found


def _compared(draws, part, metric, chosen):
    scores, improvement = [], []
    values, sign = part.column(metric), part.role(metric).sign or 1
    masks = {method: chosen & (part.method_code == place) for place, method in enumerate(part.methods)}
    parts = [(dataset, part.dataset_code == place) for place, dataset in enumerate(part.datasets)]
    if len(parts) > 1:
        parts.append((ALL_DATASETS, np.ones(len(part), bool)))
    for (dataset, on), (method, of_method) in itertools.product(parts, masks.items()):
        runs = np.flatnonzero(on & of_method)
        if not len(runs):
            continue

        def statistic(weights, runs=runs):
            return aggregates(values[runs], weights)

        numbers = draws.estimate(statistic, runs)
        for place, name in enumerate(STATISTICS):
            estimate, lo, hi = (float(number[place]) for number in numbers)
            row = {"dataset": dataset, "method": method, "statistic": name}
            scores.append(row | {"estimate": estimate, "lo": lo, "hi": hi, "n": len(runs)})
    for first, second in itertools.combinations(masks, 2):
        collected = []
        for dataset, on in parts[: len(part.datasets)]:
            one, other = (np.flatnonzero(on & masks[method]) for method in (first, second))
            if not len(one) or not len(other):
                continue
            statistic, drawn = _win_rate(part, sign * values, one, other)
            point = float(draws.point(statistic, drawn))
            replicated = draws.replicate(statistic, drawn) if draws.possible else np.full(draws.replicates, np.nan)
            collected.append((part.datasets.index(dataset), point, replicated, len(one) * len(other)))
            row = _improvement(draws, dataset, point, replicated, len(one) * len(other))
            improvement += _both_ways(first, second, row)
        if len(collected) > 1:
            replicated = np.full((len(part.datasets), draws.replicates), np.nan)
            for place, _, each, _ in collected:
                replicated[place] = each
            point = float(np.mean([each[1] for each in collected]))
            pairs = sum(each[3] for each in collected)
            row = _improvement(draws, ALL_DATASETS, point, draws.mean_over_datasets(replicated), pairs)
            improvement += _both_ways(first, second, row)
    return scores, improvement


def _win_rate(part, values, one, other):
    """The statistic of the probability that a run of `one` exceeds one of `other`, and the runs whose weights it takes.

    Where seed numbers are drawn, runs of a seed have the same weight, so that the wins of each seed over each are all
    there is to count.
    """
    if not part.complete or len(one) * len(other) > MOST_PAIRS:

        def statistic(weights):
            return win_rate(values[one], weights[: len(one)], values[other], weights[len(one) :])

        return statistic, np.concatenate([one, other])
    seeds, drawn = np.unique(part.seed_code[np.concatenate([one, other])], return_index=True)
    first, second = (np.searchsorted(seeds, part.seed_code[runs]) for runs in (one, other))
    of_first, of_second = ((runs[:, None] == np.arange(len(seeds))).astype(np.float32) for runs in (first, second))
    left, right = values[one][:, None], values[other]
    # Of halves, which float32 holds exactly.
    wins = of_first.T @ ((left > right).astype(np.float32) + (left >= right)) @ of_second / np.float32(2)
    wins, counts = wins.astype(np.float64), (of_first.sum(axis=0), of_second.sum(axis=0))

    def statistic(weights):
        weights = weights.astype(np.float64)
        with np.errstate(invalid="ignore"):
            return ((wins @ weights) * weights).sum(axis=0) / ((counts[0] @ weights) * (counts[1] @ weights))

    return statistic, np.concatenate([one, other])[drawn]


def _improvement(draws, dataset, estimate, replicated, pairs):
    lo, hi = (float(end) for end in draws.interval(replicated))
    return {"dataset": dataset, "estimate": estimate, "lo": lo, "hi": hi, "n": pairs}


def _both_ways(first, second, row):
    turned = row | {"estimate": 1 - row["estimate"], "lo": 1 - row["hi"], "hi": 1 - row["lo"]}
    for one, other, found in ((first, second, row), (second, first, turned)):
        told = np.isfinite(found["lo"])
        outside = not UNDECIDED[0] <= found["estimate"] <= UNDECIDED[1]
        evidence = bool(outside and not found["lo"] <= 0.5 <= found["hi"]) if told else None
        yield {"first": one, "second": other, **found, "evidence": evidence}


def _profiles(draws, part, metric):
    values = part.column(metric)
    present = values[np.isfinite(values)]
    if not len(present):
        return
    low, high = min(0.0, present.min()), max(1.0, present.max())
    thresholds = np.linspace(low, high, THRESHOLDS)
    for place, method in enumerate(part.methods):
        runs = np.flatnonzero((part.method_code == place) & np.isfinite(values))
        if not len(runs):
            continue
        datasets = part.dataset_code[runs]

        def statistic(weights, runs=runs, datasets=datasets):
            shares = []
            for dataset in np.unique(datasets):
                of = datasets == dataset
                order = np.argsort(values[runs][of], kind="stable")
                counted = np.cumsum(weights[of][order], axis=0)
                counted = np.concatenate([np.zeros_like(counted[:1]), counted])
                above = counted[-1] - counted[np.searchsorted(values[runs][of][order], thresholds, "right")]
                shares.append(above / np.maximum(counted[-1], 1))
            return np.mean(shares, axis=0)

        for threshold, estimate, lo, hi in zip(thresholds, *draws.estimate(statistic, runs), strict=True):
            numbers = {"estimate": float(estimate), "lo": float(lo), "hi": float(hi), "n": len(runs)}
            yield {"method": method, "threshold": float(threshold), **numbers}


def _sentences(part, where, scores, improvement):
    dataset = ALL_DATASETS if len(part.datasets) > 1 else part.datasets[0]
    of_iqm = [row for row in scores if row["statistic"] == "iqm" and row["dataset"] == dataset]
    if len(of_iqm) < 2:
        return []
    sign = part.role(where["metric"]).sign or 1
    best, second = sorted(of_iqm, key=lambda row: -sign * row["estimate"])[:2]
    odds = [
        row
        for row in improvement
        if (row["dataset"], row["first"], row["second"]) == (dataset, best["method"], second["method"])
    ]
    on = ", ".join(name for name in (where["study"], "all data sets" if dataset == ALL_DATASETS else dataset) if name)
    names = [METHOD_LABELS.get(row["method"], row["method"]) for row in (best, second)]
    told = f"{on}: {names[0]} has the best interquartile mean of {part.label(where['metric'])}, {best['estimate']:.2f}"
    told += f" [{best['lo']:.2f}, {best['hi']:.2f}]" if np.isfinite(best["lo"]) else ""
    if odds:
        row = odds[0]
        interval = f" [{row['lo']:.2f}, {row['hi']:.2f}]" if np.isfinite(row["lo"]) else ""
        verdict = "" if row["evidence"] else ": no evidence of a difference"
        told += f"; a run of it beats one of {names[1]} with probability {row['estimate']:.2f}{interval}{verdict}"
    return [told + "."]
