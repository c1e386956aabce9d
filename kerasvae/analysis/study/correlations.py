"""Do scores of disentanglement agree? Spearman correlations of all pairs, by data set and within settings."""

from __future__ import annotations

import itertools

import numpy as np

from kerasvae.analysis.study import published
from kerasvae.analysis.study.bootstrap import REPLICATES, Resamples, resamples
from kerasvae.analysis.study.collapse import collapse_notice, collapsed_runs
from kerasvae.analysis.study.frame import Analysis, Frame, hundredfold
from kerasvae.analysis.study.roles import canonical, family
from kerasvae.analysis.study.table import ResultsTable, plain_dataset
from kerasvae.analysis.study.weighted import FEWEST_RUNS, Spearman

# Runs below which correlations are noise, and the share of saturated runs above which they are capped.
SENSIBLE_RUNS, SATURATED = 30, 0.1
# Of which all pairs are a matter of minutes and of gigabytes.
MOST_METRICS = 300
# Share of pairs with an interval above 0 for "mostly correlated".
MOSTLY = 0.8
STRONGEST = (("beta_vae_score", "factor_vae_score"), ("mig", "dci.disentanglement"))
FORMATS = dict.fromkeys(("estimate", "lo", "hi", "lowest", "highest", "published", "difference"), hundredfold)


def metric_correlations(
    table: ResultsTable,
    metrics=None,
    *,
    beside: str | None = None,
    replicates: int = REPLICATES,
    seed: int = 1,
    over: str = "seeds",
) -> Analysis:
    """Spearman's correlation of every pair of scores, over all runs of a data set.

    Args:
        table: runs of any number of studies, which are never pooled.
        metrics: names of at least 2. Default: all scores of the mean representation.
        beside: "locatello2019-slides" for columns `published` and `difference` where the data set and both metrics are
            those published. Default None.
        replicates, seed, over: of the bootstrap, see `kerasvae.analysis.study.bootstrap.Resamples`.

    Returns:
        Analysis with the frames
        `correlations`: study, dataset, metric_a, metric_b, estimate, lo, hi, n, all pairs both ways, 1 on the diagonal;
        `within_settings`: the same of what is left when each setting's median is subtracted, which the bootstrap holds
        fixed: do scores agree when only the seed differs? Settings of one run are left out;
        `over_datasets`: study, metric_a, metric_b, estimate (the mean), lo, hi, lowest, highest, n (data sets);
        `claims`: study, dataset, claim, estimate, n, met (True, False, or None where it cannot be told);
        `saturated`: study, dataset, metric, estimate (share of runs at the largest value), n, where above 10 %;
        `without_collapsed`: `correlations` without runs whose latents all collapsed; empty without such runs.
        Undefined correlations (a constant score, fewer than 3 runs) are missing.

    Raises:
        ValueError: fewer than 2 metrics, or no runs that are ok.
        KeyError: an unknown metric.

    Source: Locatello et al. 2019, "Challenging Common Assumptions", section 5.4 and Figure 2.
    """
    table, metrics = check_metrics(table, metrics, 2, "scores")
    look_up = (
        published.published_values(beside, "metric_correlations", ("dataset", "metric_a", "metric_b")) if beside else {}
    )
    names = ("correlations", "within_settings", "over_datasets", "claims", "saturated", "without_collapsed")
    rows = {name: [] for name in names}
    notices, sentences = [], []
    for study in table.studies:
        part = table.select(study=study)
        draws, collapsed = resamples(part, replicates, seed, over), collapsed_runs(part)
        notices += [*draws.notices, *collapse_notice(part)]
        collected = []
        for place, dataset in enumerate(part.datasets):
            where, runs = {"study": study, "dataset": dataset}, np.flatnonzero(part.dataset_code == place)
            values = part.columns(metrics)[runs]
            pooled, replicated = _pairs(draws, runs, values, metrics, where)
            collected.append((np.array([row["estimate"] for row in pooled]).reshape(len(metrics), -1), replicated))
            for row in pooled:
                key = plain_dataset(dataset), canonical(row["metric_a"]), canonical(row["metric_b"])
                row["published"] = look_up.get(key, np.nan)
                row["difference"] = row["estimate"] - row["published"]
            rows["correlations"] += pooled
            centred = without_medians(values, part.setting_code[runs])
            rows["within_settings"] += _pairs(draws, runs, centred, metrics, where)[0]
            if collapsed[runs].any():
                left = np.where(collapsed[runs, None], np.nan, values)
                rows["without_collapsed"] += _pairs(draws, runs, left, metrics, where)[0]
            rows["saturated"] += _saturated(values, metrics, where)
            claims, sentence = _claims(pooled, metrics, where, part)
            rows["claims"] += claims
            sentences += sentence
            notices += _notices_on(values, metrics, dataset)
        rows["over_datasets"] += _over_datasets(draws, collected, metrics, study)
    pair = ["metric_a", "metric_b", "estimate", "lo", "hi"]
    beside_columns = ["published", "difference"] if look_up else []
    shown = ["dataset", *pair, "n"]
    frames = {
        "correlations": (["study", "dataset", *pair, "n", *beside_columns], "Correlation of scores, Spearman × 100"),
        "within_settings": (["study", "dataset", *pair, "n"], "The same within settings, their medians subtracted"),
        "over_datasets": (["study", *pair, "lowest", "highest", "n"], "Mean over data sets"),
        "claims": (["study", "dataset", "claim", "estimate", "n", "met"], "What is claimed"),
        "saturated": (["study", "dataset", "metric", "estimate", "n"], "Share of runs at the largest value, %"),
        "without_collapsed": (["study", "dataset", *pair, "n"], "Correlation of scores without collapsed runs"),
    }
    if len(table.studies) > 1:
        shown = ["study", *shown]
    return Analysis(
        "Do scores of disentanglement agree?",
        {
            name: Frame.from_rows(
                rows[name],
                columns,
                title=title,
                formats={column: FORMATS[column] for column in columns if column in FORMATS},
                shown=[*shown, *beside_columns] if name == "correlations" else None,
            )
            for name, (columns, title) in frames.items()
        },
        sentences=sentences,
        notices=notices,
    )


def check_metrics(table: ResultsTable, metrics, fewest: int, what: str, role="score"):
    """The runs that are ok and the metrics of an analysis; ValueError where there are too few, saying so."""
    if not isinstance(table, ResultsTable):
        raise TypeError(f"table must be a ResultsTable, see kerasvae.analysis.study.load, got {type(table).__name__}")
    table = table.ok()
    if not len(table):
        raise ValueError("table holds no runs that are ok")
    if metrics is not None and (isinstance(metrics, str) or not hasattr(metrics, "__iter__")):
        raise ValueError(f"metrics must be a list of names, or None, got {metrics!r}")
    metrics = table.metrics_of(role) if metrics is None else list(metrics)
    table.columns(metrics)
    if len(metrics) < fewest:
        raise ValueError(f"{what}: at least {fewest} are needed, the table has {metrics or 'none'}")
    if len(metrics) > MOST_METRICS:
        raise ValueError(f"{what}: at most {MOST_METRICS} at a time, got {len(metrics)}: name some with metrics=")
    if len(set(metrics)) < len(metrics):
        raise ValueError(f"metrics must be different, got {metrics}")
    return table, metrics


def without_medians(values, groups) -> np.ndarray:
    """Values minus the median of their group, (runs, metrics); nan in groups of fewer than 2."""
    centred = np.full_like(values, np.nan)
    for group in np.unique(groups):
        members = groups == group
        for place in range(values.shape[1]):
            column = values[members, place]
            if np.isfinite(column).sum() >= 2:
                centred[members, place] = column - np.nanmedian(column)
    # What rounding leaves of equal values must not be ranked.
    centred[np.abs(centred) < 1e-12 * np.nanmax(np.abs(values), axis=0, initial=0)] = 0
    return centred


def counts_of_pairs(first, second) -> np.ndarray:
    """Runs that have both, int64 (first metrics, second metrics)."""
    first, second = np.isfinite(first).astype(np.int64), np.isfinite(second).astype(np.int64)
    return first.T @ second


def _pairs(draws: Resamples, runs, values, metrics, where):
    """Rows of all pairs, and the correlations in all replicates, None without intervals."""
    statistic = Spearman(values)
    estimate = draws.point(statistic, runs)
    replicated = lo = hi = None
    if draws.possible:
        replicated = draws.replicate(statistic, runs)
        lo, hi = draws.interval(replicated)
    counts = counts_of_pairs(values, values)
    rows = []
    for a, b in itertools.product(range(len(metrics)), repeat=2):
        # A replicate may be defined where the runs themselves are not worth a correlation.
        told = lo is not None and np.isfinite(estimate[a, b])
        rows.append(
            {
                **where,
                "metric_a": metrics[a],
                "metric_b": metrics[b],
                "estimate": float(estimate[a, b]),
                "lo": float(lo[a, b]) if told else np.nan,
                "hi": float(hi[a, b]) if told else np.nan,
                "n": int(counts[a, b]),
            }
        )
    return rows, replicated


def _over_datasets(draws, collected, metrics, study):
    if len(collected) < 2:
        return []
    estimates = np.stack([estimate for estimate, _ in collected])
    size, count = len(metrics), np.isfinite(estimates).sum(axis=0)
    lo = hi = np.full((size, size), np.nan)
    if draws.possible:
        lo, hi = draws.interval(draws.mean_over_datasets(np.stack([replicated for _, replicated in collected])))
    rows = []
    for a, b in itertools.product(range(size), repeat=2):
        there = estimates[np.isfinite(estimates[:, a, b]), a, b]
        row = {"study": study, "metric_a": metrics[a], "metric_b": metrics[b], "n": int(count[a, b])}
        if len(there):
            row |= {
                "estimate": there.mean(),
                "lo": lo[a, b],
                "hi": hi[a, b],
                "lowest": there.min(),
                "highest": there.max(),
            }
        rows.append(row)
    return rows


def _saturated(values, metrics, where):
    rows = []
    for metric, column in zip(metrics, values.T, strict=True):
        column = column[np.isfinite(column)]
        share = float((column == column.max()).mean()) if len(column) else 0.0
        if share > SATURATED and len(column) >= FEWEST_RUNS:
            rows.append({**where, "metric": metric, "estimate": share, "n": len(column)})
    return rows


def _claims(rows, metrics, where, table):
    """The claims on one data set, as rows, and a sentence."""
    chosen = [
        metric for metric in metrics if canonical(metric) in published.SCORES and canonical(metric) != "modularity"
    ]
    if len(chosen) < 2:
        chosen = [metric for metric in metrics if family(metric) != "modularity"]
    by_pair = {(row["metric_a"], row["metric_b"]): row for row in rows}
    pairs = [by_pair[pair] for pair in itertools.combinations(chosen, 2) if np.isfinite(by_pair[pair]["estimate"])]
    told = bool(pairs) and all(np.isfinite(row["lo"]) for row in pairs)
    above = sum(row["lo"] > 0 for row in pairs) if told else None
    share = above / len(pairs) if told else np.nan
    claims = [
        {
            **where,
            "claim": "at least 80 % of the pairs of scores without Modularity have an interval above 0",
            "estimate": share,
            "n": len(pairs),
            "met": bool(share >= MOSTLY) if told else None,
        }
    ]
    names = {canonical(metric): metric for metric in reversed(metrics)}
    for first, second in STRONGEST:
        if {first, second} <= set(names) and len(metrics) > 2:
            pair = names[first], names[second]
            estimate = by_pair[pair]["estimate"]
            others = [by_pair[one, other]["estimate"] for one in pair for other in metrics if other not in pair]
            others = [other for other in others if np.isfinite(other)]
            known = bool(others) and np.isfinite(estimate)
            claims.append(
                {
                    **where,
                    "claim": f"{table.label(pair[0])} and {table.label(pair[1])} are the strongest pair of their rows",
                    "estimate": estimate,
                    "n": by_pair[pair]["n"],
                    "met": bool(estimate >= max(others)) if known else None,
                }
            )
    if not pairs:
        return claims, []
    best = max(pairs, key=lambda row: row["estimate"])
    study = f"{where['study']}, " if where["study"] else ""
    told_of = (
        f"{above} of {len(pairs)} pairs of scores have an interval above 0" if told else f"{len(pairs)} pairs of scores"
    )
    interval = f" [{hundredfold(best['lo'])}, {hundredfold(best['hi'])}]" if told else ""
    return claims, [
        f"{study}{where['dataset']}: {told_of} (Modularity apart); the strongest is {table.label(best['metric_a'])} "
        f"with {table.label(best['metric_b'])}, {hundredfold(best['estimate'])}{interval}."
    ]


def _notices_on(values, metrics, dataset):
    notices = []
    constant = [
        metric
        for metric, column in zip(metrics, values.T, strict=True)
        if np.isfinite(column).any() and np.nanmin(column) == np.nanmax(column)
    ]
    if constant:
        notices.append(f"{dataset}: no correlation with what is constant: {', '.join(constant)}.")
    if len(values) < SENSIBLE_RUNS:
        notices.append(f"{dataset}: {len(values)} runs; below {SENSIBLE_RUNS} correlations are mostly noise.")
    return notices
