"""Does anything that needs no labels tell good runs from bad ones? Losses, total correlation and UDR against scores."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.bootstrap import REPLICATES, resamples
from kerasvae.analysis.study.collapse import collapse_notice, collapsed_runs
from kerasvae.analysis.study.correlations import FORMATS, check_metrics, counts_of_pairs
from kerasvae.analysis.study.frame import Analysis, Frame, hundredfold
from kerasvae.analysis.study.roles import canonical, family
from kerasvae.analysis.study.table import ResultsTable
from kerasvae.analysis.study.weighted import FEWEST_RUNS, Spearman, spearman_between, weighted_ranks

POOLED, WITHIN = "all runs", "within methods"
_ELBO = "The negative ELBO is"


def loss_correlations(
    table: ResultsTable,
    metrics=None,
    losses=None,
    *,
    replicates: int = REPLICATES,
    seed: int = 1,
    over: str = "seeds",
) -> Analysis:
    """Spearman's correlation of what needs no labels with scores, over all runs of a data set; raw values.

    A training loss is another function for each method: its correlation is taken within methods and averaged by
    Fisher's z, weights n - 3. Where the negative ELBO is missing it is made of reconstruction error and KL.

    Args:
        table: runs of any number of studies, which are never pooled.
        metrics: scores, at least 1. Default: all of the mean representation.
        losses: at least 1. Default: all unsupervised metrics, of mean and sampled codes.
        replicates, seed, over: of the bootstrap, see `kerasvae.analysis.study.bootstrap.Resamples`.

    Returns:
        Analysis with the frames
        `correlations`: study, dataset, loss, metric, estimate, lo, hi, n, better (of the loss: "lower"), of ("all
        runs" or "within methods");
        `over_datasets`: study, loss, metric, estimate (the mean), lo, hi, lowest, highest, n (data sets);
        `regret`: study, dataset, loss, metric, estimate (the score's percentile, 0..1, among all runs, of the run with
        the best loss; 0.5 is no better than chance), lo, hi, n, of;
        `claims`: study, loss, estimate (share of scores and data sets whose interval excludes 0), n, same_sign,
        predicts (whether all intervals exclude 0 on the same side);
        `without_collapsed`: `correlations` without runs whose latents all collapsed; empty without such runs.

    Raises:
        ValueError: no scores, no unsupervised metrics, or no runs that are ok.
        KeyError: an unknown metric.

    Source: Locatello et al. 2019, "Challenging Common Assumptions", section 5.5 and Figure 5. That no loss predicts a
    score is taken to mean that none is related to all scores on all data sets with the same sign.
    """
    table, metrics = check_metrics(table, metrics, 1, "scores")
    table = with_elbo(table)
    losses = table.metrics_of("unsupervised", None) if losses is None else list(losses)
    table, losses = check_metrics(table, losses, 1, "losses and other metrics that need no labels")
    rows = {name: [] for name in ("correlations", "over_datasets", "regret", "claims", "without_collapsed")}
    notices, sentences = [notice for notice in table.notices if notice.startswith(_ELBO)], []
    for study in table.studies:
        part = table.select(study=study)
        draws, collapsed = resamples(part, replicates, seed, over), collapsed_runs(part)
        notices += [*draws.notices, *collapse_notice(part)]
        collected, found = [], []
        for place, dataset in enumerate(part.datasets):
            runs = np.flatnonzero(part.dataset_code == place)
            where = {"study": study, "dataset": dataset}
            block, replicated = _correlations(draws, part, runs, losses, metrics, where)
            found += block
            collected.append((np.array([row["estimate"] for row in block]).reshape(len(losses), -1), replicated))
            if collapsed[runs].any():
                block, _ = _correlations(draws, part, runs, losses, metrics, where, without=collapsed[runs])
                rows["without_collapsed"] += block
            rows["regret"] += _regret(draws, part, runs, losses, metrics, where)
        rows["correlations"] += found
        rows["over_datasets"] += _over_datasets(draws, collected, losses, metrics, study)
        claims, sentence = _claims(found, losses, study, part)
        rows["claims"] += claims
        sentences += sentence
    neither = [loss for loss in losses if not table.role(loss).sign]
    if neither:
        notices.append(f"No regret of {', '.join(map(table.label, neither))}: neither direction is better.")
    columns = {
        "correlations": ["study", "dataset", "loss", "metric", "estimate", "lo", "hi", "n", "better", "of"],
        "over_datasets": ["study", "loss", "metric", "estimate", "lo", "hi", "lowest", "highest", "n"],
        "regret": ["study", "dataset", "loss", "metric", "estimate", "lo", "hi", "n", "of"],
        "claims": ["study", "loss", "estimate", "n", "same_sign", "predicts"],
    }
    columns["without_collapsed"] = columns["correlations"]
    titles = {
        "without_collapsed": "Correlation with scores without collapsed runs",
        "correlations": "Correlation with scores, Spearman × 100, raw values",
        "over_datasets": "Mean over data sets",
        "regret": "Score of the run with the best loss, as a percentile of all runs",
        "claims": "Which of them predict scores: intervals that exclude 0, %",
    }
    frames = {
        name: Frame.from_rows(
            rows[name],
            names,
            title=titles[name],
            formats={column: FORMATS[column] for column in names if column in FORMATS},
        )
        for name, names in columns.items()
    }
    return Analysis("Does a loss tell good runs from bad ones?", frames, sentences=sentences, notices=notices)


def with_elbo(table: ResultsTable) -> ResultsTable:
    """The table with the negative ELBO, reconstruction error + KL, where it has these two and not that."""
    error, divergence = table.find("loss.reconstruction"), table.find("loss.kl")
    if table.find("loss.elbo") or not error or not divergence:
        return table
    notice = f"{_ELBO} {error} + {divergence}."
    return table.with_metrics({"loss.elbo": table.column(error) + table.column(divergence)}, notices=[notice])


def _is_of_method(loss) -> bool:
    return canonical(loss) == "loss.total"


def _correlations(draws, table, runs, losses, metrics, where, without=None):
    """Rows of all losses and metrics, and their correlations in all replicates, None without intervals."""
    first, second, methods = table.columns(losses)[runs], table.columns(metrics)[runs], table.method_code[runs]
    if without is not None:
        second = np.where(without[:, None], np.nan, second)
    own, pooled = [place for place, loss in enumerate(losses) if _is_of_method(loss)], Spearman(first, second)

    def statistic(weights):
        found = pooled(weights)
        for place in own:
            found[place] = _within_methods(first[:, [place]], second, methods, weights)[0]
        return found

    estimate = draws.point(statistic, runs)
    replicated, lo, hi = None, np.full(estimate.shape, np.nan), np.full(estimate.shape, np.nan)
    if draws.possible:
        replicated = draws.replicate(statistic, runs)
        lo, hi = draws.interval(replicated)
    counts, rows = counts_of_pairs(first, second), []
    for a, loss in enumerate(losses):
        for b, metric in enumerate(metrics):
            told = np.isfinite(estimate[a, b])
            row = {**where, "loss": loss, "metric": metric, "estimate": float(estimate[a, b])}
            row |= {"lo": float(lo[a, b]) if told else np.nan, "hi": float(hi[a, b]) if told else np.nan}
            row |= {"n": int(counts[a, b]), "better": table.role(loss).better, "of": WITHIN if a in own else POOLED}
            rows.append(row)
    return rows, replicated


def _within_methods(loss, scores, methods, weights):
    """Spearman's correlation within each method, averaged by Fisher's z, (1, metrics, replicates)."""
    total = np.zeros((1, scores.shape[1], weights.shape[1]))
    weight = np.zeros_like(total)
    for method in np.unique(methods):
        members = methods == method
        count = counts_of_pairs(loss[members], scores[members])[..., None] - 3.0
        found = spearman_between(loss[members], scores[members], weights[members]).astype(np.float64)
        each = np.where(np.isfinite(found), np.maximum(count, 0), 0)
        total += each * np.arctanh(np.clip(np.nan_to_num(found), -1 + 1e-12, 1 - 1e-12))
        weight += each
    with np.errstate(invalid="ignore"):
        return np.tanh(total / weight)


def _regret(draws, table, runs, losses, metrics, where):
    """Percentile of the score of the run with the best loss; of a training loss the mean over methods."""
    first, second, methods = table.columns(losses)[runs], table.columns(metrics)[runs], table.method_code[runs]
    pairs = []
    for a, loss in enumerate(losses):
        for b in range(len(metrics)):
            there = np.isfinite(first[:, a]) & np.isfinite(second[:, b])
            if not table.role(loss).sign or there.sum() < FEWEST_RUNS or np.ptp(second[there, b]) == 0:
                continue
            groups = [there & (methods == method) for method in np.unique(methods)] if _is_of_method(loss) else [there]
            groups = [np.flatnonzero(group) for group in groups if group.sum() >= FEWEST_RUNS]
            if groups:
                pairs.append((a, b, groups, int(there.sum())))
    if not pairs:
        return []

    def statistic(weights):
        shared, found = {}, np.empty((len(pairs), weights.shape[1]))
        for place, (a, b, groups, _) in enumerate(pairs):
            cost = -table.role(losses[a]).sign * first[:, a]
            each = [_percentile_of_best(cost, second[:, b], group, weights, shared, (a, b)) for group in groups]
            found[place] = np.mean(each, axis=0)
        return found

    rows = []
    for (a, b, _, count), estimate, lo, hi in zip(pairs, *draws.estimate(statistic, runs), strict=True):
        row = {**where, "loss": losses[a], "metric": metrics[b], "estimate": estimate, "lo": lo, "hi": hi, "n": count}
        rows.append(row | {"of": WITHIN if _is_of_method(losses[a]) else POOLED})
    return rows


def _percentile_of_best(loss, score, group, weights, shared, names):
    """Share of a group's runs below the score of that of the smallest loss, ties half; equally small ones averaged.

    What is the same for other losses or scores is kept in `shared`, under the names (loss, score).
    """
    key, part = group.tobytes(), shared.get(group.tobytes())
    if part is None:
        part = shared[key] = weights[group] if len(group) < len(weights) else weights
    ranks = shared.get((names[1], key))
    if ranks is None:
        ranks = shared[names[1], key] = weighted_ranks(score[group], part)
    best = shared.get((names[0], "best", key))
    if best is None:
        _, place, counts = np.unique(loss[group], return_inverse=True, return_counts=True)
        order = np.argsort(place, kind="stable")
        chosen = order[(part[order] > 0).argmax(axis=0)]
        # Ties of the best alone matter, which most replicates do not have.
        tied = np.flatnonzero(counts[place[chosen]] > 1)
        members = [(np.flatnonzero(place == at), tied[place[chosen[tied]] == at]) for at in set(place[chosen[tied]])]
        best = chosen, members, part.sum(axis=0, dtype=np.float64)
        shared[names[0], "best", key] = best
    chosen, members, total = best
    value = ranks[chosen, np.arange(part.shape[1])].astype(np.float64)
    for runs, columns in members:
        counted = part[np.ix_(runs, columns)].astype(np.float64)
        value[columns] = (ranks[np.ix_(runs, columns)] * counted).sum(axis=0) / np.maximum(counted.sum(axis=0), 1)
    return np.where(total > 0, value / np.maximum(total, 1) + 0.5, np.nan)


def _over_datasets(draws, collected, losses, metrics, study):
    if len(collected) < 2:
        return []
    estimates = np.stack([estimate for estimate, _ in collected])
    lo = hi = np.full(estimates.shape[1:], np.nan)
    if draws.possible:
        lo, hi = draws.interval(draws.mean_over_datasets(np.stack([replicated for _, replicated in collected])))
    rows = []
    for a, loss in enumerate(losses):
        for b, metric in enumerate(metrics):
            there = estimates[np.isfinite(estimates[:, a, b]), a, b]
            row = {"study": study, "loss": loss, "metric": metric, "n": len(there)}
            if len(there):
                row |= {"estimate": there.mean(), "lo": lo[a, b], "hi": hi[a, b]}
                row |= {"lowest": there.min(), "highest": there.max()}
            rows.append(row)
    return rows


def _claims(rows, losses, study, table):
    """Of each loss, whether all its intervals exclude 0 on the same side; and a sentence."""
    claims = []
    for loss in losses:
        mine = [row for row in rows if row["loss"] == loss and np.isfinite(row["estimate"])]
        if not mine:
            continue
        told = all(np.isfinite(row["lo"]) for row in mine)
        signs = [1 if row["lo"] > 0 else -1 if row["hi"] < 0 else 0 for row in mine] if told else []
        claims.append(
            {
                "study": study,
                "loss": loss,
                "estimate": np.mean([sign != 0 for sign in signs]) if told else np.nan,
                "n": len(mine),
                "same_sign": len({row["estimate"] > 0 for row in mine}) == 1,
                "predicts": (len(set(signs)) == 1 and signs[0] != 0) if told else None,
            }
        )
    judged = [claim for claim in claims if family(claim["loss"]) != "udr" and claim["predicts"] is not None]
    if not judged:
        return claims, []
    predicting = [table.label(claim["loss"]) for claim in judged if claim["predicts"]]
    largest = max(
        (row for row in rows if family(row["loss"]) != "udr" and np.isfinite(row["estimate"])),
        key=lambda row: abs(row["estimate"]),
    )
    strongest = (
        f"the largest correlation is {hundredfold(largest['estimate'])} [{hundredfold(largest['lo'])}, "
        f"{hundredfold(largest['hi'])}], {table.label(largest['loss'])} with {table.label(largest['metric'])} on "
        f"{largest['dataset']}"
    )
    start = f"{study}: " if study else ""
    if predicting:
        return claims, [f"{start}related to all scores with one sign: {', '.join(predicting)}; {strongest}."]
    return claims, [f"{start}no loss is related to all scores on all data sets with one sign; {strongest}."]
