"""Sections on scores: which method is better, and what matters at all."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.frame import is_missing
from kerasvae.plots.study_curves import performance_profiles, strength_lines
from kerasvae.plots.study_matrices import improvement_matrices
from kerasvae.plots.study_scores import POINTS_BELOW, interval_dots, share_bars, violins
from kerasvae.plots.study_style import SHARE_COLOURS, heading
from kerasvae.report import blocks, claims
from kerasvae.report.claims import of_study
from kerasvae.report.material import Material
from kerasvae.report.studies import by_dataset, by_study


def scores(material: Material) -> str:
    """Section 3: interquartile means, probabilities of improvement, profiles, and every run in violins."""
    if not material.scores:
        raise ValueError("the table has no scores")
    parts = []
    if len(material.ok.methods) > 1:
        parts.append(by_study(material, _comparison))
        found = material.analysis("comparison")
        parts += [blocks.notes(found.notices), blocks.tables(material, "comparison", found)]
    else:
        parts.append(blocks.paragraph("One method only: there is nothing to compare it with.", "note"))
    parts.append(by_study(material, lambda m, study: by_dataset(m, study, _violins)))
    return "".join(parts)


def _comparison(material: Material, study: str) -> str:
    found, whole = material.analysis("comparison"), claims.whole(material, study)
    methods, metrics = material.shown_methods, material.shown_scores
    on = "all data sets together" if whole == "all" else whole
    frame = of_study(found["scores"], study, statistic="iqm", dataset=whole, metric=metrics, method=methods)
    drawn = []
    for metric in metrics:
        part = frame.select(metric=metric)
        if not np.isfinite(part["estimate"].astype(float)).any():
            continue
        figure = interval_dots(
            part, panel="metric", group="of", unit="interquartile mean", legend=False, caption="", **material.look
        )
        words = "; ".join(
            f"{material.labels.get(row['method'], row['method'])} {blocks.interval(row, 1, '.2f')}"
            for row in part.select(of="all strengths").rows()
        )
        drawn.append((figure, f"Interquartile mean of {material.labels[metric]}, {on}: {words}."))
    lines = [claims.comparison(material, study, metric) for metric in metrics]
    counts = sorted(set(frame["n"].tolist()))
    caption = (
        "Mean of the middle half of the runs, bars: 95 % intervals. Filled: all strengths pooled; hollow: the strength "
        f"best by its median {'on the other data sets' if whole == 'all' else 'on the same runs, which flatters'}. "
        f"{_counts(counts)} Data: {on}."
    )
    parts = [blocks.figure(material, lines[0] or "Scores by method", drawn, caption=caption, methods=methods)]
    parts.append(blocks.sentences([line + "." for line in lines[1:] if line], 6))
    improvement = of_study(found["improvement"], study, dataset=whole, first=methods, second=methods)
    improvement = improvement.select(of="all strengths")
    drawn = []
    for metric in metrics:
        part = improvement.select(metric=metric)
        if not len(part):
            continue
        figure = improvement_matrices(part, by="metric", labels=material.labels, caption="")
        told = sum(bool(value) for value in part["evidence"].tolist()) // 2
        words = f"{told} of {len(part) // 2} pairs of methods differ"
        drawn.append(
            (
                figure,
                f"Probability that a run of one method beats one of another by {material.labels[metric]}: {words}.",
            )
        )
    undecided = claims.undecided(material, study)
    pairs = sorted(set(improvement["n"].tolist()))
    parts.append(
        blocks.figure(
            material,
            _evidence(improvement),
            drawn,
            caption="Blue: a run of the row's method is mostly better than one of the column's (ties a half). "
            "Bold: the 95 % interval leaves out 0.5. Grey: 0.35 to 0.65, no evidence of a difference. "
            f"{_counts(pairs, 'pairs of runs')} Data: {on}.",
        )
    )
    parts.append(blocks.sentences(undecided, 2, "more scores"))
    profiles = of_study(found["profiles"], study, metric=metrics, method=methods)
    drawn = [
        (
            performance_profiles(profiles.select(metric=metric), legend=False, caption="", **material.look),
            f"Share of runs above a threshold of {material.labels[metric]}, a curve each method.",
        )
        for metric in metrics
        if len(profiles.select(metric=metric))
    ]
    parts.append(
        blocks.figure(
            material,
            "How many runs reach a score: the higher curve is the better method",
            drawn,
            caption=f"Bands: 95 % intervals. All data sets with the same weight. {_counts(profiles['n'].tolist())}",
            methods=methods,
        )
    )
    return "".join(parts)


def _violins(material: Material, study: str, dataset: str) -> str:
    table = material.ok.select(study=study, dataset=dataset, method=material.shown_methods)
    wide, drawn, spans = table.to_wide(), [], []
    for metric in material.shown_scores:
        column = table.column(metric)
        if not np.isfinite(column).any():
            continue
        medians = [_median(column[table.method_code == place]) for place in range(len(table.methods))]
        words = ", ".join(
            f"{material.labels.get(method, method)} {median:.2f}"
            for method, median in zip(table.methods, medians, strict=True)
            if np.isfinite(median)
        )
        spans.append((metric, float(np.nanmin(column)), float(np.nanmax(column))))
        figure = violins(wide, metric, unit="score", caption="", **material.look)
        heading(figure.axes[0], material.labels[metric])
        drawn.append((figure, f"{material.labels[metric]} of all runs on {dataset} by method; medians: {words}."))
    if not drawn:
        return ""
    metric, low, high = max(spans, key=lambda span: span[2] - span[1])
    points = f" A point a run, where a method has fewer than {POINTS_BELOW}."
    return blocks.figure(
        material,
        f"{dataset}: runs spread over {low:.2f} to {high:.2f} in {material.labels[metric]}",
        drawn,
        caption=f"All strengths and seeds; line: median.{points} n = {len(table)} runs.",
        methods=table.methods,
    )


def matters(material: Material) -> str:
    """Section 4: shares of method, strength and seed, and scores against strength."""
    found = material.analysis("shares")
    parts = [by_study(material, _shares), blocks.notes(found.notices), blocks.tables(material, "shares", found)]
    try:
        medians = material.analysis("medians")
    except ValueError as error:  # runs that nothing but their identifier tells apart have shares, but no lines
        return "".join([*parts, blocks.paragraph(f"Lines by strength are not possible: {error}.", "note")])
    parts.append(by_study(material, lambda m, study: by_dataset(m, study, _lines)))
    parts.append(blocks.table(material, "medians", medians))
    return "".join(parts)


def _shares(material: Material, study: str) -> str:
    found, drawn = material.analysis("shares"), []
    over = of_study(found["over_datasets"], study, kind="adjusted", runs="all", metric=material.shown_scores)
    each = of_study(found["shares"], study, kind="adjusted", runs="all", metric=material.shown_scores)
    panels = [("mean over data sets", over)] if len(over) else []
    panels += [(dataset, each.select(dataset=dataset)) for dataset in material.datasets(study)]
    for name, frame in panels:
        if not len(frame):
            continue
        figure = share_bars(frame, labels=material.labels, legend=False, caption="")
        heading(figure.axes[0], name)
        drawn.append(
            (figure, f"Adjusted shares of the variance, {name}: {claims.share_words(frame.rows(), material.labels)}")
        )
    runs = sorted(set(each["n"].tolist()))
    lines = [claims.seed_over_method(material, study)]
    spread = of_study(found["spread"], study, metric=material.shown_scores).rows()
    lines += [
        f"{row['dataset']}, {material.labels[row['metric']]}: runs of one setting span {row['within']:.2g} (median "
        f"over settings), the methods' medians {row['between']:.2g}."
        for row in spread
        if not is_missing(row["within"]) and not is_missing(row["between"]) and row["within"] > row["between"]
    ]
    parts = [
        blocks.figure(
            material,
            claims.seed_share(material, study),
            drawn[:1],
            colours=SHARE_COLOURS,
            caption="Adjusted for the number of seeds; intervals (jackknife over seeds) are in the table. "
            + _counts(runs, "runs a data set"),
        )
    ]
    if drawn[1:]:
        inner = blocks.figure(
            material, "The same by data set", drawn[1:], colours=SHARE_COLOURS, caption=_counts(runs, "runs a data set")
        )
        parts.append(f"<details><summary>By data set</summary>{inner}</details>")
    parts.append(blocks.sentences(lines, 1))
    alive = of_study(found["shares"], study, kind="adjusted", runs="not collapsed")
    if len(alive):
        parts.append(blocks.notes(["The table has the shares without collapsed runs, too (runs: not collapsed)."]))
    if material.beside == "locatello2019-slides":
        parts.append(
            blocks.notes(
                ["Locatello et al. 2019 reported 37 % for the method, 59 % with its strength, 41 % for the seed."]
            )
        )
    return "".join(parts)


def _lines(material: Material, study: str, dataset: str) -> str:
    frame = of_study(material.analysis("medians"), study, dataset=dataset, method=material.shown_methods)
    drawn, best = [], {}
    for metric in material.shown_scores:
        part = frame.select(metric=metric)
        rows = [row for row in part.rows() if not is_missing(row["estimate"])]
        if not rows:
            continue
        sign = material.ok.role(metric).sign or 1
        top = max(rows, key=lambda row: sign * row["estimate"])
        best[metric] = top["setting"]
        figure = strength_lines(part, legend=False, caption="", **material.look)
        drawn.append((figure, f"Median {material.labels[metric]} on {dataset} by strength; best: {top['setting']}."))
    if not drawn:
        return ""
    settings = set(best.values())
    told = (
        next(iter(settings)) + " is best for all scores"
        if len(settings) == 1
        else f"{len(settings)} settings are best for some score of {len(best)}"
    )
    return blocks.figure(
        material,
        f"{dataset}: {told}",
        drawn,
        caption=f"Medians over seeds, bands: 95 % intervals. {_counts(frame['n'].tolist(), 'seeds a setting')}",
        methods=[method for method in material.shown_methods if method in frame["method"].tolist()],
    )


def _evidence(frame) -> str:
    told = [value for value in frame["evidence"].tolist() if value is not None]
    if not told:
        return "How often a run of one method is better than one of another"
    return f"{sum(map(bool, told)) // 2} of {len(frame) // 2} comparisons of two methods by a score show a difference"


def _counts(counts, what="runs a method") -> str:
    told = blocks.counts(counts, what)
    return f"{told}." if told else ""


def _median(values):
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else np.nan
