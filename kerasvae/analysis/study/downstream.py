"""Are disentangled representations of use? Scores against the accuracy of predictors and their sample efficiency."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.bootstrap import REPLICATES, resamples
from kerasvae.analysis.study.collapse import collapse_notice, collapsed_runs
from kerasvae.analysis.study.correlations import FORMATS, check_metrics, counts_of_pairs
from kerasvae.analysis.study.efficiency import (
    accuracies,
    accuracy_of,
    chance_of,
    efficiency_of,
    task_label,
    task_order,
    with_efficiency,
)
from kerasvae.analysis.study.frame import Analysis, Frame, hundredfold
from kerasvae.analysis.study.learning_curves import COLUMNS as CURVE_COLUMNS
from kerasvae.analysis.study.learning_curves import learning_curves
from kerasvae.analysis.study.over_datasets import ABOVE, BELOW, mean_rows, sign_of
from kerasvae.analysis.study.partial import partial_spearman, without_last
from kerasvae.analysis.study.published import published_values
from kerasvae.analysis.study.roles import base_name, canonical, family
from kerasvae.analysis.study.table import ResultsTable, plain_dataset
from kerasvae.analysis.study.weighted import Spearman, patterns, weighted_mean

# Accuracy below which the ratio to it says nothing, in units of chance.
HARDLY_ABOVE = 1.2
# Samples from which the accuracy of boosted trees is claimed to rise with scores.
ENOUGH_SAMPLES = 100
HELD_FIXED = ("loss.reconstruction", "loss.kl")


def downstream_correlations(
    table: ResultsTable,
    metrics=None,
    tasks=None,
    *,
    given: str | None = None,
    by: str | None = None,
    chance=None,
    beside: str | None = None,
    replicates: int = REPLICATES,
    seed: int = 1,
    over: str = "seeds",
) -> Analysis:
    """Spearman's correlation of scores with the accuracy of downstream tasks and with sample efficiency.

    Over all runs of a data set. Accuracy with many samples says how much information a representation keeps, so that
    the correlation stands also given the reconstruction error.

    Args:
        table: runs of any number of studies, which are never pooled, with columns `downstream.lr.100` (logistic
            regression of 100 samples), `downstream.gbt.10000` (boosted trees) and so on.
        metrics: names of scores. Default: all of the mean representation.
        tasks: names of accuracies and efficiencies. Default: all of the mean representation, and the efficiencies of
            `kerasvae.analysis.study.efficiency.with_efficiency`.
        given: metric that the partial correlations hold fixed. Default: `loss.reconstruction`, else `loss.kl`.
        by: score of the learning curves. Default: MIG where there is one, else the first of `metrics`.
        chance: mean over factors of 1 / number of values: a number, or {data set: number}. Default: the table's column
            `downstream.chance`.
        beside: "locatello2019-slides" for columns `published` and `difference` where data set, score and task are those
            published. Default None.
        replicates, seed, over: of the bootstrap, see `kerasvae.analysis.study.bootstrap.Resamples`.

    Returns:
        Analysis with the frames
        `correlations`: study, dataset, metric, task, estimate, lo, hi, n, sign ("+" or "−" where the interval excludes
        0, else "±");
        `over_datasets`: study, metric, task, estimate (the mean), lo, hi, lowest, highest, n (data sets), signs;
        `given`: study, dataset, metric, task, given, estimate, lo, hi, n, sign: partial correlations of the runs that
        have all three;
        `near_chance`: study, dataset, predictor, samples, estimate (share of runs whose accuracy with the most samples
        is below 1.2 times chance: their efficiency says nothing), lo, hi, n, chance;
        `learning_curves`: see `kerasvae.analysis.study.learning_curves.learning_curves`;
        `claims`: study, dataset, claim, estimate, n, met (None where it cannot be told);
        `without_collapsed`: `correlations` without runs whose latents all collapsed; empty without such runs.
        Undefined correlations are missing.

    Raises:
        ValueError: no scores, no tasks, no runs that are ok, or another argument that is not allowed.
        KeyError: an unknown metric.

    Source: Locatello et al. 2019, "Challenging Common Assumptions", on downstream tasks and sample efficiency; its
    efficiency is of 100 and 10 000 samples. Partial correlations are not part of it.
    """
    table, metrics = check_metrics(table, metrics, 1, "scores")
    table = with_efficiency(table, chance)
    if tasks is None:
        tasks = [task for task in table.metrics_of("downstream") if accuracy_of(task) or efficiency_of(task)]
        tasks = sorted(tasks, key=task_order)
    table, tasks = check_metrics(table, tasks, 1, 'downstream tasks, such as "downstream.gbt.100"')
    given = given or next(filter(None, map(table.find, HELD_FIXED)), None)
    if given is not None:
        table.column(given)
    look_up = published_values(beside, "downstream_correlations", ("dataset", "metric", "task")) if beside else {}
    names = ("correlations", "over_datasets", "given", "near_chance", "claims", "without_collapsed")
    rows, notices, sentences = {name: [] for name in names}, _notices(table, metrics, tasks, given, chance), []
    labels = [(metric, task) for metric in metrics for task in tasks]
    for study in table.studies:
        part = table.select(study=study)
        draws, collapsed = resamples(part, replicates, seed, over), collapsed_runs(part)
        notices += [*draws.notices, *collapse_notice(part)]
        blocks, replicated = [], []
        for place, dataset in enumerate(part.datasets):
            where, runs = {"study": study, "dataset": dataset}, np.flatnonzero(part.dataset_code == place)
            pooled, left, found = _correlations(draws, runs, metrics, tasks, given, where)
            for row in pooled:
                key = plain_dataset(dataset), canonical(row["metric"]), base_name(row["task"])
                row["published"] = look_up.get(key, np.nan)
                row["difference"] = row["estimate"] - row["published"]
            rows["correlations"] += pooled
            rows["given"] += left
            blocks.append(pooled)
            replicated.append(found)
            if collapsed[runs].any():
                alive = np.where(collapsed[runs], np.nan, 1.0)
                rows["without_collapsed"] += _correlations(draws, runs, metrics, tasks, None, where, alive)[0]
            rows["near_chance"] += _near_chance(draws, runs, where, chance)
            claim, sentence = _accuracy_claim(pooled, where)
            rows["claims"] += claim
            sentences += sentence
        rows["over_datasets"] += mean_rows(
            draws,
            [{"study": study, "metric": metric, "task": task} for metric, task in labels],
            [[row["estimate"] for row in block] for block in blocks],
            np.stack(replicated) if draws.possible else None,
            [[row["sign"] for row in block] for block in blocks],
        )
        claim, sentence = _efficiency_claim(blocks, study, part)
        rows["claims"] += claim
        sentences += sentence
    curves = _curves(table, by, metrics, chance, replicates, seed)
    notices += curves.notices
    beside_columns = ["published", "difference"] if look_up else []
    numbers = ["estimate", "lo", "hi", "n"]
    start = ["study", "dataset", "metric", "task"]
    columns = {
        "correlations": ([*start, *numbers, "sign", *beside_columns], "Correlation with scores, Spearman × 100"),
        "over_datasets": (
            ["study", "metric", "task", "estimate", "lo", "hi", "lowest", "highest", "n", "signs"],
            "Mean over data sets, Spearman × 100",
        ),
        "given": (
            [*start, "given", *numbers, "sign"],
            f"The same given {table.label(given)}" if given else "Partial correlations",
        ),
        "near_chance": (
            ["study", "dataset", "predictor", "samples", *numbers, "chance"],
            "Share of runs hardly above chance, %",
        ),
        "claims": (["study", "dataset", "claim", "estimate", "n", "met"], "What is claimed"),
        "without_collapsed": ([*start, *numbers, "sign"], "Correlation with scores without collapsed runs"),
    }
    formats = FORMATS | {"chance": hundredfold, "task": task_label}
    frames = {
        name: Frame.from_rows(
            rows[name], each, title=title, formats={column: formats[column] for column in each if column in formats}
        )
        for name, (each, title) in columns.items()
    }
    frames["learning_curves"] = curves
    return Analysis("Are scores of use downstream?", frames, sentences=sentences, notices=notices)


def _correlations(draws, runs, metrics, tasks, given, where, alive=None):
    """Rows of all scores and tasks, the same given a third, and the former in all replicates, (pairs, replicates).

    `alive` is nan for runs that are left out, else 1.
    """
    table = draws.table
    scores, second = table.columns(metrics)[runs], table.columns(tasks)[runs]
    third = None if given is None else table.column(given)[runs]
    if alive is not None:
        scores = scores * alive[:, None]
    statistic = _given(scores, second, third)
    estimate = draws.point(statistic, runs)
    replicated, lo, hi = None, np.full(estimate.shape, np.nan), np.full(estimate.shape, np.nan)
    if draws.possible:
        replicated = draws.replicate(statistic, runs)
        lo, hi = (np.where(np.isfinite(estimate), each, np.nan) for each in draws.interval(replicated))
        replicated = replicated[0].reshape(len(metrics) * len(tasks), -1)
    counts = [counts_of_pairs(scores, second)]
    if third is not None:
        counts.append(counts_of_pairs(np.where(np.isfinite(third)[:, None], scores, np.nan), second))
    found = []
    for which, counted in enumerate(counts):
        start = where if not which else where | {"given": given}
        block = []
        for a, metric in enumerate(metrics):
            for b, task in enumerate(tasks):
                at = which, a, b
                block.append(
                    {
                        **start,
                        "metric": metric,
                        "task": task,
                        "estimate": float(estimate[at]),
                        "lo": float(lo[at]),
                        "hi": float(hi[at]),
                        "n": int(counted[a, b]),
                        "sign": sign_of(lo[at], hi[at]),
                    }
                )
        found.append(block)
    return found[0], found[1] if third is not None else [], replicated


def _given(scores, tasks, third):
    """A statistic: correlations and, where there is a third number, those given it, (1 or 2, scores, tasks, ...)."""
    if third is None:
        plain = Spearman(scores, tasks)
        return lambda weights: plain(weights)[None]
    parts = []
    for first_runs, firsts in patterns(scores):
        for second_runs, seconds in patterns(tasks):
            both = first_runs & second_runs
            first, second, given = scores[both][:, firsts], tasks[both][:, seconds], third[both]
            if np.isfinite(given).all():
                # One ranking serves both.
                joint = Spearman(np.column_stack([first, given]), np.column_stack([second, given]))
                parts.append((np.ix_(firsts, seconds), both, _together(joint)))
            else:
                parts.append((np.ix_(firsts, seconds), both, _apart(first, second, given)))

    def statistic(weights):
        found = np.full((2, scores.shape[1], tasks.shape[1], weights.shape[1]), np.nan)
        for at, both, correlations in parts:
            found[0][at], found[1][at] = correlations(weights if both.all() else weights[both])
        return found

    return statistic


def _together(joint):
    def correlations(weights):
        found = joint(weights)
        return found[:-1, :-1], without_last(found)

    return correlations


def _apart(scores, tasks, third):
    plain = Spearman(scores, tasks)
    return lambda weights: (plain(weights), partial_spearman(scores, tasks, third, weights))


def _near_chance(draws, runs, where, chance):
    """Share of runs whose accuracy with the most samples is hardly above chance, by predictor."""
    known = chance_of(draws.table, chance)
    if known is None:
        return []
    rows, most = [], {}
    for task, predictor, samples in accuracies(draws.table):
        if np.isfinite(draws.table.column(task)[runs]).any():
            most[predictor] = task, samples
    for predictor, (task, samples) in most.items():
        accuracy, guessing = draws.table.column(task)[runs], known[runs]
        there = np.isfinite(accuracy) & np.isfinite(guessing)
        if not there.any():
            continue
        low = np.where(there, accuracy < HARDLY_ABOVE * guessing, np.nan)
        estimate, lo, hi = draws.estimate(lambda weights, low=low: weighted_mean(low, weights), runs)
        row = {**where, "predictor": predictor, "samples": samples, "estimate": float(estimate), "lo": float(lo)}
        rows.append(row | {"hi": float(hi), "n": int(there.sum()), "chance": float(guessing[there].mean())})
    return rows


def _curves(table, by, metrics, chance, replicates, seed):
    if by is None:
        by = next((metric for metric in metrics if canonical(metric) == "mig"), metrics[0])
    if not accuracies(table):
        return Frame.from_rows([], CURVE_COLUMNS, title="Learning curves", notices=["No accuracies, so no curves."])
    return learning_curves(table, by, chance=chance, replicates=replicates, seed=seed)


def _notices(table, metrics, tasks, given, chance):
    found = []
    if any(family(metric) == "dci" for metric in metrics) and any(_predictor(task) == "gbt" for task in tasks):
        found.append(
            "DCI is computed from boosted trees itself: its correlation with their accuracy is partly built in."
        )
    if given is None:
        found.append("No partial correlations: neither reconstruction error nor KL is in the table.")
    if chance_of(table, chance) is None:
        found.append(
            "Chance is not known (no downstream.chance): neither efficiency above chance nor the share of runs near "
            "chance can be told."
        )
    if not any(efficiency_of(task) for task in tasks):
        found.append("No sample efficiency: no predictor has accuracies of two numbers of samples.")
    return found


def _predictor(task):
    return (accuracy_of(task) or efficiency_of(task) or ("",))[0]


def _accuracy_claim(rows, where):
    """That the accuracy of boosted trees rises with all scores but Modularity; and a sentence."""
    mine = []
    for row in rows:
        accuracy = accuracy_of(row["task"])
        if accuracy and accuracy[0] == "gbt" and accuracy[1] >= ENOUGH_SAMPLES and np.isfinite(row["estimate"]):
            if family(row["metric"]) != "modularity":
                mine.append(row)
    if not mine:
        return [], []
    told = all(row["sign"] for row in mine)
    share = float(np.mean([row["sign"] == ABOVE for row in mine])) if told else np.nan
    claim = {
        **where,
        "claim": "the accuracy of boosted trees from 100 samples on rises with every score but Modularity",
        "estimate": share,
        "n": len(mine),
        "met": bool(share == 1) if told else None,
    }
    on = ", ".join(filter(None, (where["study"], where["dataset"])))
    if told:
        above, below = (sum(row["sign"] == sign for row in mine) for sign in (ABOVE, BELOW))
        number = f"{above} of {len(mine)} correlations have an interval above 0, {below} below"
    else:
        number = f"{sum(row['estimate'] > 0 for row in mine)} of {len(mine)} correlations are positive"
    return [claim], [f"{on}: boosted trees from 100 samples on, Modularity apart: {number}."]


def _efficiency_claim(blocks, study, table):
    """That no score goes with a better sample efficiency on every data set; and a sentence."""
    found = {}
    for block in blocks:
        for row in block:
            efficiency = efficiency_of(row["task"])
            if efficiency and not efficiency[3] and np.isfinite(row["estimate"]):
                found.setdefault((row["metric"], row["task"]), []).append(row)
    rows = [row for each in found.values() for row in each]
    if not rows:
        return [], []
    told = all(row["sign"] for row in rows)
    reliable = [pair for pair, each in found.items() if {row["sign"] for row in each} == {ABOVE}]
    claim = {
        "study": study,
        "dataset": None,
        "claim": "no score goes with a better sample efficiency on every data set",
        "estimate": float(np.mean([row["sign"] == ABOVE for row in rows])) if told else np.nan,
        "n": len(rows),
        "met": not reliable if told else None,
    }
    start = f"{study}: " if study else ""
    if not told:
        return [claim], []
    names = [f"{table.label(metric)} with {task_label(task)}" for metric, task in reliable]
    by_dataset = ", ".join(
        f"{dataset} {_counts([row for row in rows if row['dataset'] == dataset])}" for dataset in table.datasets
    )
    verdict = f"positive on every data set: {', '.join(names)}" if names else "no score has it on every data set"
    alone = "; one data set only, so this says little" if len(table.datasets) == 1 else ""
    return [claim], [f"{start}better sample efficiency: {verdict}{alone} (intervals above / below 0: {by_dataset})."]


def _counts(rows):
    above, below = (sum(row["sign"] == sign for row in rows) for sign in (ABOVE, BELOW))
    return f"{above} / {below} of {len(rows)}"
