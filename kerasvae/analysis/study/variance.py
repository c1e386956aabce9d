"""What matters: the method, its regularisation strength, or the seed? Shares of the variance of a score."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.bootstrap import FEWEST_SEEDS, REPLICATES, jackknife_interval, resamples
from kerasvae.analysis.study.chances import chances_of
from kerasvae.analysis.study.collapse import collapse_notice, collapsed_runs
from kerasvae.analysis.study.correlations import check_metrics
from kerasvae.analysis.study.frame import Analysis, Frame, hundredfold
from kerasvae.analysis.study.table import ResultsTable
from kerasvae.analysis.study.weighted import group_medians, group_sums

SHARES = ("method", "method and strength", "strength", "seed")
# Of what shares estimate; an adjusted estimate itself may lie beyond.
BOUNDS = 0.0, 1.0
ALL_RUNS, ALIVE_RUNS = "all", "not collapsed"
# Chance of the worst method from which it is worth a sentence.
WORTH_SAYING = 0.1
_FORMATS = dict.fromkeys(("estimate", "lo", "hi"), hundredfold)


def variance_shares(
    table: ResultsTable, metrics=None, *, replicates: int = REPLICATES, seed: int = 1, over: str = "seeds"
) -> Analysis:
    """How much of a score's variance the method, its strength and the seed account for.

    The share of the method is R², the sum of squares between methods over that about the grand mean; that of method and
    strength is the same between settings; the strength's is the difference, and the seed's is the rest. R² of few seeds
    is too large (noise alone gives (groups - 1) / (runs - 1)), so every share comes adjusted as well, as
    1 - (1 - R²) (runs - 1) / (runs - groups): compare small studies by that one only. Intervals are of the jackknife
    over seeds, as resampling with replacement adds to R²; they are cut off at 0 and 1, between which a share lies, or
    at an adjusted estimate beyond. Several hyper-parameters that vary are taken as part of the strength. Grids that are
    not balanced are split in the order method, then strength.

    Args:
        table: runs of any number of studies, which are never pooled.
        metrics: names. Default: all scores of the mean representation.
        replicates, seed, over: of the bootstrap of `chances`, see `kerasvae.analysis.study.bootstrap.Resamples`.

    Returns:
        Analysis with the frames
        `shares`: study, dataset, metric, runs ("all", or "not collapsed": without runs whose latents all collapsed,
        where there are such), kind ("raw" or "adjusted"), share (see `SHARES`), estimate, lo, hi, n;
        `over_datasets`: the mean of those over data sets, n the data sets;
        `common_seed`: study, dataset, metric, kind, estimate, lo, hi, n of the seed's main effect in complete grids,
        raw and adjusted (ω²): near 0 where a good seed of one setting is no better in another;
        `chances`: study, dataset, metric, chance, first, second, estimate, lo, hi, n: "best setting loses": that a run
        of the setting with the best median loses against one of the setting with the middle median, medians taken
        without that seed; "worst method wins": that a run of the method with the lowest median exceeds one of that with
        the highest. Ties count a half;
        `spread`: study, dataset, metric, within (median range of a setting over its seeds), between (range of the
        methods' medians), n.

    Raises:
        ValueError: no runs that are ok, or no metric.
        KeyError: an unknown metric.

    Source: Locatello et al. 2019, "Challenging Common Assumptions", section 5.5 and Figure 3.
    """
    table, metrics = check_metrics(table, metrics, 1, "scores")
    rows = {name: [] for name in ("shares", "over_datasets", "common_seed", "chances", "spread")}
    notices, sentences = [], []
    for study in table.studies:
        part = table.select(study=study)
        draws, collapsed = resamples(part, replicates, seed, over), collapsed_runs(part)
        notices += [*draws.notices, *collapse_notice(part), *_notices(part)]
        collected = {}
        for place, dataset in enumerate(part.datasets):
            runs = np.flatnonzero(part.dataset_code == place)
            for metric in metrics:
                where = {"study": study, "dataset": dataset, "metric": metric}
                for which, chosen in _runs_of(runs, collapsed):
                    chosen = chosen[np.isfinite(part.column(metric)[chosen])]
                    for row, jackknifed in _share_rows(draws, chosen, part.column(metric)[chosen]):
                        rows["shares"].append(where | {"runs": which} | row)
                        key = metric, which, row["kind"], row["share"]
                        collected.setdefault(key, []).append((row["estimate"], jackknifed))
                chosen = runs[np.isfinite(part.column(metric)[runs])]
                rows["common_seed"] += [where | row for row in _common_seed(draws, part, chosen, metric)]
                found = chances_of(draws, part, chosen, metric)
                rows["chances"] += [where | row for row in found]
                spread = _spread(part, chosen, metric)
                rows["spread"].append(where | spread)
                sentences += _sentences(part, where, spread, found)
        rows["over_datasets"] += _over_datasets(collected, study, len(part.datasets))
    for row in rows["over_datasets"] or rows["shares"]:
        if row["kind"] == "adjusted" and row["runs"] == ALL_RUNS and row["share"] == "seed":
            sentences.append(_share_sentence(table, rows["over_datasets"] or rows["shares"], row))
    start, numbers = ["study", "dataset", "metric"], ["estimate", "lo", "hi", "n"]
    several = ["study"] if len(table.studies) > 1 else []
    frames = {
        "shares": ([*start, "runs", "kind", "share", *numbers], "Shares of the variance, %"),
        "over_datasets": (["study", "metric", "runs", "kind", "share", *numbers], "Mean over data sets, %"),
        "common_seed": ([*start, "kind", *numbers], "Effect of the seed that all settings share, %"),
        "chances": ([*start, "chance", "first", "second", *numbers], "Chances, %"),
        "spread": ([*start, "within", "between", "n"], "Range over seeds of a setting, and over methods' medians"),
    }
    return Analysis(
        "What matters: method, strength or seed?",
        {
            name: Frame.from_rows(
                rows[name],
                columns,
                title=title,
                formats={column: _FORMATS[column] for column in columns if column in _FORMATS},
                shown=[*several, *columns[1:]],
            )
            for name, (columns, title) in frames.items()
        },
        sentences=sentences,
        notices=list(dict.fromkeys(notices)),
    )


def shares_of(values, methods, settings, weights) -> np.ndarray:
    """Raw and adjusted shares of the variance, (2, 4, replicates) in the order of `SHARES`.

    Args:
        values: (runs,), none missing.
        methods, settings: each run's method and setting, integers from 0, (runs,).
        weights: (runs, replicates), 0 for runs left out.

    Returns:
        nan where all values are equal; adjusted nan where no setting has a second run.
    """
    weights = np.asarray(weights, np.float64)
    values = np.asarray(values, np.float64) - np.mean(values)
    count = weights.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = values @ weights / count
        total = values**2 @ weights - count * mean**2
        total = np.where(total > 1e-12 * np.maximum(values**2 @ weights, 1e-300), total, np.nan)
        raw, adjusted = [], []
        for groups in (methods, settings):
            size = int(groups.max()) + 1
            sums, counts = (group_sums(each, groups, weights, size) for each in (values, np.ones(len(values))))
            between = np.where(counts > 0, sums**2 / counts, 0).sum(axis=0) - count * mean**2
            share = np.clip(between / total, 0, 1)
            spare = count - (counts > 0).sum(axis=0)
            raw.append(share)
            adjusted.append(np.where(spare > 0, 1 - (1 - share) * (count - 1) / spare, np.nan))
    return np.stack([np.stack([by_method, both, both - by_method, 1 - both]) for by_method, both in (raw, adjusted)])


def _runs_of(runs, collapsed):
    found = [(ALL_RUNS, runs)]
    if collapsed[runs].any():
        found.append((ALIVE_RUNS, runs[~collapsed[runs]]))
    return found


def _share_rows(draws, runs, values):
    """Rows of the shares, each with what the jackknife left of it, (seeds,)."""
    table = draws.table
    sizes = np.bincount(table.cell_code[runs]) if len(runs) else np.zeros(1, int)
    identifiable = len(runs) > 1 and np.median(sizes[sizes > 0]) >= FEWEST_SEEDS

    def statistic(weights):
        return shares_of(values, table.method_code[runs], table.setting_code[runs], weights)

    if identifiable:
        estimate, lo, hi = draws.jackknife(statistic, runs, bounds=BOUNDS)
        left_out = statistic(draws.jackknife_weights(runs))
    else:
        estimate = lo = hi = np.full((2, len(SHARES)), np.nan)
        left_out = np.full((2, len(SHARES), len(table.seeds)), np.nan)
    for first, kind in enumerate(("raw", "adjusted")):
        for second, share in enumerate(SHARES):
            at = first, second
            row = {"estimate": float(estimate[at]), "lo": float(lo[at]), "hi": float(hi[at]), "n": len(runs)}
            yield {"kind": kind, "share": share, **row}, left_out[at]


def _over_datasets(collected, study, datasets):
    rows = []
    if datasets < 2:
        return rows
    for (metric, runs, kind, share), found in collected.items():
        there = [(estimate, left_out) for estimate, left_out in found if np.isfinite(estimate)]
        row = {"study": study, "metric": metric, "runs": runs, "kind": kind, "share": share, "n": len(there)}
        if there:
            row["estimate"] = float(np.mean([estimate for estimate, _ in there]))
            lo, hi = jackknife_interval(
                row["estimate"], np.mean([left_out for _, left_out in there], axis=0), bounds=BOUNDS
            )
            row |= {"lo": float(lo), "hi": float(hi)}
        rows.append(row)
    return rows


def _common_seed(draws, part, runs, metric):
    """Raw and adjusted share of the main effect of the seed, of a complete grid of two settings or more."""
    values = part.column(metric)[runs]
    settings, seeds = part.setting_code[runs], part.seed_code[runs]
    grid = len(set(settings.tolist())), len(set(seeds.tolist()))
    if not part.complete or min(grid) < 2 or len(runs) != grid[0] * grid[1]:
        return []

    def statistic(weights):
        weights = np.asarray(weights, np.float64)
        centred, count = values - values.mean(), weights.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            level = count * (centred @ weights / count) ** 2
            total = centred**2 @ weights - level
            squares, sizes = [], []
            for groups, size in ((settings, len(part.settings)), (seeds, len(part.seeds))):
                sums, counts = (group_sums(each, groups, weights, size) for each in (centred, np.ones(len(values))))
                squares.append(np.where(counts > 0, sums**2 / counts, 0).sum(axis=0) - level)
                sizes.append((counts > 0).sum(axis=0))
            error = (total - squares[0] - squares[1]) / ((sizes[0] - 1) * (sizes[1] - 1))
            total = np.where(total > 0, total, np.nan)
            return np.stack([squares[1] / total, (squares[1] - (sizes[1] - 1) * error) / (total + error)])

    estimate, lo, hi = draws.jackknife(statistic, runs, bounds=BOUNDS)
    return [
        {"kind": kind, "estimate": float(estimate[at]), "lo": float(lo[at]), "hi": float(hi[at]), "n": len(runs)}
        for at, kind in enumerate(("raw", "adjusted"))
    ]


def _spread(part, runs, metric):
    values, settings, methods = part.column(metric)[runs], part.setting_code[runs], part.method_code[runs]
    ranges = [np.ptp(values[settings == each]) for each in np.unique(settings) if (settings == each).sum() > 1]
    medians = group_medians(values, methods, np.ones((len(runs), 1)), len(part.methods))[:, 0]
    medians = medians[np.isfinite(medians)]
    return {
        "within": float(np.median(ranges)) if ranges else np.nan,
        "between": float(np.ptp(medians)) if len(medians) > 1 else np.nan,
        "n": len(runs),
    }


def _notices(part):
    found = []
    if len(part.methods) < 2:
        found.append("Only one method: its share is 0 by definition, and strength and seed share the rest.")
    sizes = np.bincount(part.cell_code)
    sizes = sizes[sizes > 0]
    if np.median(sizes) < FEWEST_SEEDS:
        found.append("Shares are not identifiable: most settings have fewer than 3 seeds.")
    elif sizes.min() != sizes.max() or len(sizes) != len(part.datasets) * len(part.settings):
        found.append("The grid is not balanced: shares are taken in the order method, then strength.")
    return found


def _sentences(part, where, spread, chances):
    on = f"{where['study']}, {where['dataset']}" if where["study"] else where["dataset"]
    label, found = part.label(where["metric"]), []
    if spread["within"] > spread["between"]:
        found.append(
            f"{on}: on this table the seed matters more than the method for {label}: runs of one setting span "
            f"{spread['within']:.2g}, the methods' medians {spread['between']:.2g}."
        )
    for row in chances:
        if row["chance"] == "worst method wins" and row["estimate"] >= WORTH_SAYING:
            found.append(
                f"{on}: a run of {row['first']} beats one of {row['second']} in {label} with probability "
                f"{row['estimate']:.2f}" + (f" [{row['lo']:.2f}, {row['hi']:.2f}]." if np.isfinite(row["lo"]) else ".")
            )
    return found


def _share_sentence(table, rows, seed_row):
    keys = [name for name in ("study", "dataset", "metric", "runs", "kind") if name in seed_row]
    shares = {row["share"]: row for row in rows if all(row[key] == seed_row[key] for key in keys)}
    on = ", ".join(seed_row[name] for name in ("study", "dataset") if seed_row.get(name)) or "mean over data sets"

    def told(share):
        row = shares[share]
        interval = (
            f" [{hundredfold(row['lo'])}, {hundredfold(row['hi'])}]" if np.isfinite(row.get("lo", np.nan)) else ""
        )
        return f"{hundredfold(row['estimate'])} %{interval}"

    if not np.isfinite(seed_row.get("estimate", np.nan)):
        return f"{on}: shares of {table.label(seed_row['metric'])} are not identifiable."
    return (
        f"{on}: of the variance of {table.label(seed_row['metric'])} the method accounts for {told('method')}, its "
        f"strength for {told('strength')}, the seed for {told('seed')} (adjusted)."
    )
