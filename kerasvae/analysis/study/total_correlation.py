"""Are codes more independent the stronger the regularisation? Sampled codes, mean codes, and active latents alone."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.bootstrap import REPLICATES, resamples
from kerasvae.analysis.study.collapse import collapse_notice, collapsed_runs
from kerasvae.analysis.study.correlations import FORMATS, check_metrics
from kerasvae.analysis.study.frame import Analysis, Frame, hundredfold
from kerasvae.analysis.study.over_datasets import ABOVE, BELOW, mean_rows, sign_of
from kerasvae.analysis.study.roles import base_name, canonical
from kerasvae.analysis.study.table import METHOD_LABELS, ResultsTable
from kerasvae.analysis.study.tc_curves import (
    ACTIVE,
    MEASURES,
    active_latents,
    curves_of,
    medians,
    strengths_of,
)
from kerasvae.analysis.study.weighted import Spearman, weighted_mean
from kerasvae.checks import check_integer
from kerasvae.metrics.divergences import COLLAPSED

SAMPLES = 10_000
_KINDS = (("sampled", "all"), ("mean", "all"), ("mean", "active"))


def total_correlation(
    table: ResultsTable,
    metrics=None,
    *,
    samples: int = SAMPLES,
    latents: int | None = None,
    threshold: float = COLLAPSED,
    replicates: int = REPLICATES,
    seed: int = 1,
    over: str = "seeds",
) -> Analysis:
    """Total correlation of sampled codes, of mean codes, and of the active latents' mean codes against the strength.

    Total correlation has no scale, so that the mean codes of collapsed latents, tiny but smooth functions of the
    others, count as much as those of active ones: where the mean codes' rises with the strength, look at the active
    latents' before believing it.

    Args:
        table: runs of any number of studies, which are never pooled, with columns `unsup.gaussian_tc`,
            `unsup.gaussian_tc@sampled`, `unsup.gaussian_tc_active` (of `kerasvae.metrics.gaussian_total_correlation`
            with `divergences`), and the same of `unsup.mutual_info`.
        metrics: measures, of "unsup.gaussian_tc" and "unsup.mutual_info". Default: those in the table.
        samples: codes that the numbers were computed from, for the estimate's floor; a size in a column's name
            ("unsup.gaussian_tc@2000") comes before it. Default 10 000.
        latents: number of latents, for the floor. Default None: as many as the table has columns `kl.z0`, ..., else its
            hyper-parameter `latent_dim` or `latents`.
        threshold: nats of mean KL above which a latent counts as active. Default 0.01.
        replicates, seed, over: of the bootstrap, see `kerasvae.analysis.study.bootstrap.Resamples`.

    Returns:
        Analysis with the frames
        `curves`: study, dataset, method, strength, rank (from the weakest regularisation, 0), turned (whether the axis
        is: a larger capacity regularises less), measure, representation ("sampled", "mean"), latents ("all",
        "active"), curve (both in words: "mean codes, active latents"), estimate (median over runs), lo, hi, lower and
        upper (quartiles: the band), n, below_axis (below 1e-4, where the axis ends), active_latents (median),
        fewer_than_two (runs with fewer than 2 active latents, whose total correlation is 0 by definition);
        `trends`: study, dataset, method, measure, representation, latents, estimate (Spearman of the rank of
        regularisation with the measure, over runs), lo, hi, n, sign, turned, fewer_than_two (runs that count as 0);
        `over_datasets`: study, method, measure, representation, latents, estimate (the mean), lo, hi, lowest, highest,
        n (data sets), signs;
        `pairs`: study, dataset, method, strength, rank, seed, measure, sampled, mean, active (of the mean codes), for
        the scatter: one row a run;
        `floor`: study, latents, samples, estimate: what independent codes score, D (D - 1) / (4 N);
        `claims`: study, dataset, claim, estimate, lo, hi, n, met;
        `without_collapsed`: `trends` without runs whose latents all collapsed; empty without such runs.

    Raises:
        ValueError: no such measure, no method of two strengths, no runs that are ok, or an argument out of range.
        TypeError: an argument of another type.

    Source: Locatello et al. 2019, "Challenging Common Assumptions", on mean and sampled representations, without the
    active latents; that collapsed ones make the rise was seen in released models.
    """
    samples = check_integer(samples, "samples", 2)
    latents = None if latents is None else check_integer(latents, "latents", 1)
    table, measures = _measures(table, metrics)
    curves = curves_of(table, measures)
    names = ("curves", "trends", "over_datasets", "pairs", "floor", "claims", "without_collapsed")
    rows, notices, sentences, possible = {name: [] for name in names}, _missing(curves, measures), [], False
    for study in table.studies:
        part = table.select(study=study)
        draws, collapsed = resamples(part, replicates, seed, over), collapsed_runs(part)
        strengths, place = strengths_of(part)
        ranks = np.array([each.rank for each in strengths], np.float64)[place] if strengths else np.zeros(len(part))
        ranks = np.where(place >= 0, ranks, np.nan)
        turned = {each.method for each in strengths if each.turned}
        methods = [m for m in part.methods if sum(each.method == m for each in strengths) > 1]
        few, possible = active_latents(part, threshold)[0] < 2, possible or bool(methods)
        notices += [*draws.notices, *collapse_notice(part), *_notices(part, turned, methods, threshold)]
        rows["curves"] += medians(draws, part, curves, threshold)
        rows["floor"] += _floors(part, curves, latents, samples)
        blocks, replicated = [], []
        for code, dataset in enumerate(part.datasets):
            where = {"study": study, "dataset": dataset}
            on = part.dataset_code == code
            block, found = _trends(draws, where, on, methods, curves, ranks, turned, few)
            blocks.append(block)
            replicated.append(found)
            if collapsed[on].any():
                alive = on & ~collapsed
                rows["without_collapsed"] += _trends(draws, where, alive, methods, curves, ranks, turned, few)[0]
            rows["claims"] += _claims(block, where, measures) + _exceeding(draws, where, on, curves, measures)
            sentences += _sentences(block, where)
            rows["pairs"] += _pairs(part, where, np.flatnonzero(on), curves, measures, ranks)
        rows["trends"] += [row for block in blocks for row in block]
        labels = [{"study": study, "method": m, **curve.fields} for m in methods for curve in curves]
        rows["over_datasets"] += mean_rows(
            draws,
            labels,
            [[row["estimate"] for row in block] for block in blocks],
            np.stack(replicated) if draws.possible and labels else None,
            [[row["sign"] for row in block] for block in blocks],
        )
    if not possible:
        raise ValueError("total correlation: no method has two strengths or more, so there is no trend with them")
    return _analysis(rows, sentences, notices)


def _analysis(rows, sentences, notices):
    curve, numbers = ["measure", "representation", "latents"], ["estimate", "lo", "hi"]
    columns = {
        "curves": (
            [
                "study",
                "dataset",
                "method",
                "strength",
                "rank",
                "turned",
                *curve,
                "curve",
                *numbers,
                "lower",
                "upper",
                "n",
            ]
            + ["below_axis", "active_latents", "fewer_than_two"],
            "Median by strength, nats",
        ),
        "trends": (
            ["study", "dataset", "method", *curve, *numbers, "n", "sign", "turned", "fewer_than_two"],
            "Correlation with the rank of regularisation, Spearman × 100",
        ),
        "over_datasets": (
            ["study", "method", *curve, *numbers, "lowest", "highest", "n", "signs"],
            "Mean over data sets, Spearman × 100",
        ),
        "pairs": (
            ["study", "dataset", "method", "strength", "rank", "seed", "measure", "sampled", "mean", "active"],
            "Mean against sampled codes, nats",
        ),
        "floor": (["study", "latents", "samples", "estimate"], "What independent codes score, nats"),
        "claims": (["study", "dataset", "claim", *numbers, "n", "met"], "What is claimed"),
    }
    columns["without_collapsed"] = columns["trends"][0], "The same without collapsed runs"
    hundred = ("trends", "over_datasets", "without_collapsed")
    frames = {
        name: Frame.from_rows(
            rows[name],
            each,
            title=title,
            formats={column: FORMATS[column] for column in each if column in FORMATS} if name in hundred else None,
        )
        for name, (each, title) in columns.items()
    }
    return Analysis("Are mean codes as independent as sampled ones?", frames, sentences=sentences, notices=notices)


def _measures(table, metrics):
    """The runs that are ok and the measures; ValueError where there are none."""
    table = check_metrics(table, [], 0, "measures")[0]
    known = [measure for measure in MEASURES if any(curve.latents == "all" for curve in curves_of(table, [measure]))]
    if metrics is None:
        if not known:
            raise ValueError(f"total correlation: the table has none of {', '.join(MEASURES)}")
        return table, known
    chosen = [canonical(metric) for metric in ([metrics] if isinstance(metrics, str) else metrics)]
    for metric in chosen:
        if metric not in MEASURES:
            raise ValueError(f"metrics must be of {', '.join(map(repr, MEASURES))}, got {metric!r}")
        if metric not in known:
            raise ValueError(f"total correlation: the table has no {metric}")
    if not chosen:
        raise ValueError("metrics must name at least one measure")
    return table, list(dict.fromkeys(chosen))


def _missing(curves, measures):
    there = {(curve.measure, curve.representation, curve.latents) for curve in curves}
    found = []
    for measure in measures:
        for representation in ("sampled", "mean"):
            if (measure, representation, "all") not in there:
                found.append(f"No {measure} of {representation} codes: the two cannot be compared.")
        if (measure, "mean", "all") in there and (measure, "mean", "active") not in there:
            found.append(
                f"No {measure}{ACTIVE}: whether a rise of the mean codes is of collapsed latents cannot be told."
            )
    return found


def _notices(part, turned, methods, threshold):
    found = []
    for method in sorted(turned):
        found.append(
            f"{_label(method)}: its strength is a capacity, larger means less regularisation; its axis is turned."
        )
    without = [method for method in part.methods if method not in methods]
    if without:
        found.append(f"No trend of {', '.join(map(_label, without))}: one strength only, or none known.")
    texts = {each.method for each in part.settings if isinstance(each.strength, str) and each.method in methods}
    if texts:
        found.append(f"Strengths of {', '.join(map(_label, sorted(texts)))} are text and stand in alphabetical order.")
    if part.varying:
        found.append(f"Runs of a strength are pooled over {', '.join(part.varying)}.")
    count, source = active_latents(part, threshold)
    if np.isfinite(count).any():
        few = int((count < 2).sum())
        told = f"{few} of {len(part)} runs have fewer than 2, which have a total correlation of 0. " if few else ""
        found.append(f"Active latents: {source}. {told}".strip())
    return found


def _trends(draws, where, on, methods, curves, ranks, turned, few):
    """Rows of every method and curve, and their correlations in all replicates, (rows, replicates)."""
    rows, replicated = [], []
    for method in methods:
        part = draws.table
        runs = np.flatnonzero(on & (part.method == method) & np.isfinite(ranks))
        rank, values = ranks[runs, None], part.columns([curve.metric for curve in curves])[runs]
        # What lies below the estimate's rounding is no order.
        values = np.where(np.abs(values) < 1e-12, 0, values)

        ranked = Spearman(rank, values)

        def statistic(weights, ranked=ranked):
            return ranked(weights)[0]

        estimate = draws.point(statistic, runs)
        lo, hi = np.full(estimate.shape, np.nan), np.full(estimate.shape, np.nan)
        if draws.possible:
            replicated.append(draws.replicate(statistic, runs))
            lo, hi = (np.where(np.isfinite(estimate), each, np.nan) for each in draws.interval(replicated[-1]))
        for place, curve in enumerate(curves):
            row = {**where, "method": method, **curve.fields, "estimate": float(estimate[place])}
            row |= {"lo": float(lo[place]), "hi": float(hi[place]), "n": int(np.isfinite(values[:, place]).sum())}
            row |= {"sign": sign_of(lo[place], hi[place]), "turned": method in turned}
            rows.append(row | {"fewer_than_two": int(few[runs].sum()) if curve.latents == "active" else None})
    return rows, np.concatenate(replicated) if replicated else np.zeros((0, draws.replicates))


def _pairs(part, where, runs, curves, measures, ranks):
    columns = {(curve.measure, curve.representation, curve.latents): part.column(curve.metric) for curve in curves}
    rows = []
    for measure in measures:
        sampled, mean, active = (columns.get((measure, *kind)) for kind in _KINDS)
        for run in runs.tolist():
            row = {"method": part.method[run], "strength": part.strength[run], "seed": int(part.seed[run])}
            row |= {"rank": None if np.isnan(ranks[run]) else int(ranks[run]), "measure": measure}
            for name, column in (("sampled", sampled), ("mean", mean), ("active", active)):
                row[name] = np.nan if column is None else float(column[run])
            rows.append(where | row)
    return rows


def _floors(part, curves, latents, samples):
    """What independent codes score, D (D - 1) / (4 N), for every number of latents and of codes."""
    sizes = set()
    for curve in curves:
        if curve.measure == MEASURES[0] and curve.latents == "all":
            own = [int(size) for size in curve.metric.split("@")[1:] if size.isdigit()]
            sizes.add(own[0] if own else samples)
    counts = {latents} if latents else _latent_counts(part)
    return [
        {"study": part.studies[0], "latents": d, "samples": n, "estimate": d * (d - 1) / (4 * n)}
        for d in sorted(counts)
        for n in sorted(sizes)
    ]


def _latent_counts(part):
    own = [m for m in part.metrics if base_name(m).startswith("kl.z") and np.isfinite(part.column(m)).any()]
    if own:
        return {len(own)}
    for name in ("latent_dim", "latents"):
        if name in part.hyper_parameters:
            return {int(value) for value in part.hyper_parameters[name].tolist() if isinstance(value, int | float)}
    return set()


def _claims(block, where, measures):
    """What is claimed of the trends on a data set."""
    found = []
    for measure in measures:
        title = "total correlation" if measure == MEASURES[0] else "mutual information"
        wanted = (
            (("sampled", "all"), BELOW, 1, "of sampled codes falls with the strength for every method"),
            (("sampled", "all"), ABOVE, 0, "of sampled codes rises with the strength for no method"),
            (("mean", "all"), ABOVE, 0.5, "of mean codes rises with the strength for most methods but DIP-VAE-I"),
            (("mean", "active"), ABOVE, 0.5, "of the active latents' mean codes rises, too, for most of them"),
        )
        for (representation, latents), sign, least, claim in wanted:
            mine = [
                row
                for row in block
                if (row["measure"], row["representation"], row["latents"]) == (measure, representation, latents)
                and np.isfinite(row["estimate"])
                and (representation == "sampled" or row["method"] != "dip_vae_i")
            ]
            if not mine:
                continue
            told = all(row["sign"] for row in mine)
            share = float(np.mean([row["sign"] == sign for row in mine])) if told else np.nan
            met = share == least if least in (0, 1) else share > least
            claim = f"{title} {claim}"
            found.append(
                {**where, "claim": claim, "estimate": share, "n": len(mine), "met": bool(met) if told else None}
            )
    return found


def _exceeding(draws, where, on, curves, measures):
    """That mean codes have a larger total correlation than sampled ones: the share of runs."""
    metrics = {(curve.measure, curve.representation, curve.latents): curve.metric for curve in curves}
    found = []
    for measure in measures:
        sampled, mean = (metrics.get((measure, *kind)) for kind in _KINDS[:2])
        if sampled is None or mean is None:
            continue
        runs = np.flatnonzero(on)
        first, second = draws.table.column(mean)[runs], draws.table.column(sampled)[runs]
        there = np.isfinite(first) & np.isfinite(second)
        if not there.any():
            continue
        larger = np.where(there, (first > second) + 0.5 * (first == second), np.nan)
        estimate, lo, hi = draws.estimate(lambda weights, larger=larger: weighted_mean(larger, weights), runs)
        title = "total correlation" if measure == MEASURES[0] else "mutual information"
        claim = f"{title} of mean codes exceeds that of sampled codes (share of runs)"
        row = {**where, "claim": claim, "estimate": float(estimate), "lo": float(lo), "hi": float(hi)}
        found.append(row | {"n": int(there.sum()), "met": bool(lo > 0.5) if np.isfinite(lo) else None})
    return found


def _sentences(block, where):
    """A sentence a method, which follows the active latents where they disagree with all."""
    rows = {(r["method"], r["representation"], r["latents"]): r for r in block if r["measure"] == MEASURES[0]}
    on, found = ", ".join(filter(None, (where["study"], where["dataset"]))), []
    for method in dict.fromkeys(row["method"] for row in block):
        sampled, mean, active = (rows.get((method, *kind)) for kind in _KINDS)
        parts = [f"of sampled codes {_verb(sampled)}"] if _defined(sampled) else []
        if _defined(mean) and _defined(active) and _direction(mean) != _direction(active):
            # Collapsed latents account for the difference.
            parts.append(
                f"of the active latents' mean codes {_verb(active)} (with the collapsed latents it {_verb(mean)}, "
                "which says nothing of the others)"
            )
        elif _defined(mean):
            also = ", as of the active latents alone" if _defined(active) else ""
            parts.append(f"of mean codes {_verb(mean)}{also}")
        if _defined(active) and active["fewer_than_two"]:
            parts.append(
                f"{active['fewer_than_two']} of {active['n']} runs have fewer than 2 active latents, which is 0"
            )
        if parts:
            found.append(f"{on}, {_label(method)}: with stronger regularisation total correlation {'; '.join(parts)}.")
    return found


def _defined(row):
    return row is not None and np.isfinite(row["estimate"])


def _direction(row):
    """ "+", "−" or "±" by the interval, else by the estimate."""
    return row["sign"] or (ABOVE if row["estimate"] > 0 else BELOW)


def _verb(row):
    word = {ABOVE: "rises", BELOW: "falls"}.get(_direction(row), "shows no trend")
    interval = f" [{hundredfold(row['lo'])}, {hundredfold(row['hi'])}]" if row["sign"] else ""
    return f"{word}, {hundredfold(row['estimate'])}{interval}"


def _label(method):
    return METHOD_LABELS.get(method, method)
