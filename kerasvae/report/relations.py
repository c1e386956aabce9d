"""Sections on how numbers go together: scores, losses, total correlation and downstream tasks."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.frame import is_missing
from kerasvae.plots.study_curves import learning_curves
from kerasvae.plots.study_scores import interval_dots
from kerasvae.plots.study_style import heading
from kerasvae.plots.study_total_correlation import total_correlation_lines, total_correlation_scatter
from kerasvae.report import blocks, claims
from kerasvae.report.claims import of_study
from kerasvae.report.material import Material
from kerasvae.report.matrices import (
    COLOURS,
    matrix_of,
    minus_published,
    no_published,
    published_note,
    there,
    with_published,
)
from kerasvae.report.studies import by_dataset, by_study


def agreement(material: Material) -> str:
    """Section 5: correlations of scores, the published ones beside them."""
    found = material.analysis("agreement")
    parts = [by_study(material, _agreement), minus_published(material, "agreement", found["correlations"])]
    return "".join(parts) + blocks.notes(found.notices) + blocks.tables(material, "agreement", found)


def _agreement(material: Material, study: str) -> str:
    found, metrics = material.analysis("agreement"), material.shown_scores
    drawn, chosen = [], {"metric_a": metrics, "metric_b": metrics}
    for dataset in material.datasets(study):
        frame = of_study(found["correlations"], study, dataset=dataset, **chosen)
        drawn += with_published(
            material, frame, "metric_a", "metric_b", f"correlations of scores on {dataset}", dataset
        )
    over = of_study(found["over_datasets"], study, **chosen)
    if len(over):
        drawn += matrix_of(material, over, "metric_a", "metric_b", "mean correlations of scores", "mean over data sets")
    runs = of_study(found["correlations"], study, **chosen)["n"].tolist()
    parts = [
        blocks.figure(
            material,
            claims.agreement(material, study),
            drawn,
            caption=f"{COLOURS} {blocks.counts(runs)} a data set.{published_note(material, drawn)}",
        )
    ]
    if material.beside and not any("published" in words for _, words in drawn):
        parts.append(blocks.notes([no_published(material, "metric_correlations", "dataset")]))
    within = []
    for dataset in material.datasets(study):
        frame = of_study(found["within_settings"], study, dataset=dataset, **chosen)
        within += matrix_of(
            material, frame, "metric_a", "metric_b", f"correlations within settings on {dataset}", dataset
        )
    inner = blocks.figure(
        material,
        "The same within settings: do scores agree when only the seed differs?",
        within,
        caption="Each setting's median subtracted. " + COLOURS,
    )
    return "".join(parts) + (f"<details><summary>Within settings</summary>{inner}</details>" if inner else "")


def unsupervised(material: Material) -> str:
    """Section 6: what needs no labels against scores, and as a rule to choose runs by."""
    found = material.analysis("losses")
    parts = [by_study(material, _losses), blocks.notes(found.notices)]
    parts.append(blocks.tables(material, "losses", found))
    try:
        chosen = material.analysis("unsupervised")
    except ValueError as error:
        parts.append(blocks.paragraph(f"Choosing runs without labels is not possible: {error}.", "note"))
    else:
        parts += [by_study(material, _chosen), blocks.notes(chosen.notices)]
        parts.append(blocks.tables(material, "choosing-without-labels", chosen))
    return "".join(parts)


def _losses(material: Material, study: str) -> str:
    found, drawn = material.analysis("losses"), []
    for dataset in material.datasets(study):
        frame = of_study(found["correlations"], study, dataset=dataset, metric=material.shown_scores)
        drawn += matrix_of(
            material, frame, "loss", "metric", f"correlations of losses with scores on {dataset}", dataset
        )
    runs = of_study(found["correlations"], study)["n"].tolist()
    caption = (
        f"Raw values: of what is better when it is lower, a useful correlation is negative. {COLOURS} A training loss "
        f"is compared within methods. {blocks.counts(runs)} a data set."
    )
    return blocks.figure(material, claims.losses(material, study), drawn, caption=caption)


def _chosen(material: Material, study: str) -> str:
    found = material.analysis("unsupervised")
    frame = of_study(found["overall"], study, ties="half")
    frame = frame.select(rule=["best run", "best setting"])
    if not np.isfinite(frame["estimate"].astype(float)).any():
        return ""
    figure = interval_dots(
        frame, row="by", group="rule", scale=100, unit="beats a random run, % of trials", reference=50,
        labels=material.labels, legend=False, caption="",
    )  # fmt: skip
    rows = [row for row in frame.select(rule="best run").rows() if not is_missing(row["estimate"])]
    words = "; ".join(f"{material.labels.get(row['by'], row['by'])} {blocks.interval(row, unit=' %')}" for row in rows)
    better = [row for row in rows if not is_missing(row["lo"]) and row["lo"] > 0.5]
    claim = f"Chosen without labels, {len(better)} of {len(rows)} rules find better runs than chance"
    caption = (
        "Mean over data sets and scores; 50 %: chance. Filled: the single best run; hollow: the setting with the best "
        "median."
    )
    return blocks.figure(material, claim, [(figure, f"Odds of the run with the best value: {words}.")], caption=caption)


def total_correlation(material: Material) -> str:
    """Section 7: total correlation of sampled, mean and active mean codes against strength, and against each other."""
    found = material.analysis("tc")
    parts = [by_study(material, lambda m, study: by_dataset(m, study, _tc))]
    return "".join(parts) + blocks.notes(found.notices) + blocks.tables(material, "total-correlation", found)


_CURVES = (
    ("sampled", "all", "sampled codes"),
    ("mean", "all", "mean codes"),
    ("mean", "active", "mean codes, active latents"),
)


def _tc(material: Material, study: str, dataset: str) -> str:
    found, parts = material.analysis("tc"), []
    floors = [row["estimate"] for row in of_study(found["floor"], study).rows()]
    for measure in dict.fromkeys(found["curves"]["measure"].tolist()):
        frame = of_study(found["curves"], study, dataset=dataset, measure=measure, method=material.shown_methods)
        name = material.labels.get(measure, measure)
        own_floor = max(floors) if floors and measure == "unsup.gaussian_tc" else None
        drawn = _tc_lines(material, frame, name, own_floor)
        pairs = of_study(found["pairs"], study, dataset=dataset, measure=measure, method=material.shown_methods)
        if there(pairs, "sampled", "mean"):
            figure = total_correlation_scatter(pairs, legend=False, caption="", **material.look)
            heading(figure.axes[0], "mean against sampled")
            above = np.mean(pairs["mean"].astype(float) > pairs["sampled"].astype(float))
            drawn.append(
                (figure, f"{name} of mean codes against that of sampled codes; larger for {above:.0%} of runs.")
            )
        caption = (
            "Medians over seeds, bands: quartiles; dashed: the strength is a capacity, of which less regularises more. "
            "In the last panel a point is a run, larger the stronger its regularisation; line: equal."
            + (" Grey line: what independent codes score." if own_floor else "")
            + f" {blocks.counts(frame['n'].tolist(), 'seeds a setting')}."
        )
        parts.append(
            blocks.figure(
                material,
                _tc_claim(found, study, dataset, measure, name),
                drawn,
                caption=caption,
                methods=list(dict.fromkeys(frame["method"].tolist())),
            )
        )
    return "".join(parts)


def _tc_lines(material, frame, name, floor):
    """A panel each kind of code, all with the same axis."""
    drawn = []
    rows = frame.rows()
    numbers = [row[end] for row in rows for end in ("estimate", "lower", "upper") if not is_missing(row[end])]
    limits = (max(min(numbers), 1e-4) / 1.6, max(max(numbers), 1e-4) * 1.6) if numbers else None
    for representation, latents, words in _CURVES:
        part = frame.select(representation=representation, latents=latents)
        if not there(part, "estimate"):
            continue
        figure = total_correlation_lines(
            part,
            panel="latents",
            floor=floor,
            legend=False,
            caption="",
            unit=f"{name.lower()}, nats",
            **material.look,
        )
        figure.axes[0].set_ylim(limits)
        heading(figure.axes[0], words)
        ends = blocks.spread(part["estimate"].tolist(), lambda value: f"{value:.2g}")
        drawn.append((figure, f"{name} of {words} by strength: medians of {ends} nats."))
    return drawn


def _tc_claim(found, study, dataset, measure, name):
    trends = of_study(found["trends"], study, dataset=dataset, measure=measure)
    parts = []
    for representation, latents, words in _CURVES:
        rows = trends.select(representation=representation, latents=latents).rows()
        rows = [row for row in rows if not is_missing(row["estimate"])]
        if rows:
            rises = sum((row["estimate"] if is_missing(row["lo"]) else row["lo"]) > 0 for row in rows)
            parts.append(f"{words}: rises for {rises} of {len(rows)} methods")
    return (
        f"{dataset}: {name.lower()} with stronger regularisation, {'; '.join(parts)}" if parts else f"{dataset}: {name}"
    )


def downstream(material: Material) -> str:
    """Section 9: scores against downstream tasks, and learning curves."""
    found = material.analysis("downstream")
    parts = [by_study(material, _downstream), minus_published(material, "downstream", found["correlations"])]
    parts.append(by_study(material, lambda m, study: by_dataset(m, study, _curves)))
    return "".join(parts) + blocks.notes(found.notices) + blocks.tables(material, "downstream", found)


def _downstream(material: Material, study: str) -> str:
    found, drawn = material.analysis("downstream"), []
    for dataset in material.datasets(study):
        frame = of_study(found["correlations"], study, dataset=dataset, metric=material.shown_scores)
        frame = frame.where(np.array(["above_chance" not in task for task in frame["task"].tolist()], bool))
        drawn += with_published(
            material, frame, "metric", "task", f"correlations of scores with downstream tasks on {dataset}", dataset
        )
    runs = of_study(found["correlations"], study)["n"].tolist()
    return blocks.figure(
        material,
        claims.downstream(material, study),
        drawn,
        caption=f"{COLOURS} {blocks.counts(runs)} a data set.{published_note(material, drawn)}",
    ) + blocks.sentences(found.sentences, 4)


def _curves(material: Material, study: str, dataset: str) -> str:
    frame = of_study(material.analysis("downstream")["learning_curves"], study, dataset=dataset)
    if not len(frame):
        return ""
    score, drawn = material.labels.get(frame["metric"][0], frame["metric"][0]), []
    for predictor in dict.fromkeys(frame["predictor"].tolist()):
        part = frame.select(predictor=predictor)
        name = material.labels.get(predictor, predictor)
        words = blocks.spread(part["estimate"].tolist(), blocks.per_cent)
        drawn.append(
            (
                learning_curves(part, labels=material.labels, caption=""),
                f"Accuracy of {name.lower()} by number of samples for thirds of the runs by {score}: {words}.",
            )
        )
    most = frame["samples"].astype(float).max()
    ends = [row["estimate"] for row in frame.select(samples=most).rows() if not is_missing(row["estimate"])]
    claim = f"{dataset}: accuracy by the number of labelled samples, for thirds of the runs by {score}"
    caption = f"Medians over runs, bands: quartiles. {blocks.counts(frame['n'].tolist())} a third."
    return blocks.figure(material, claim, drawn if ends else [], caption=caption)
