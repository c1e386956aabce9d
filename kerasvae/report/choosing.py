"""Section on choosing: what a setting chosen by a score is worth, and whether it stays good elsewhere."""

from __future__ import annotations

from kerasvae.analysis.study import published
from kerasvae.analysis.study.frame import is_missing
from kerasvae.plots.study_scores import interval_dots
from kerasvae.report import blocks
from kerasvae.report.claims import of_study
from kerasvae.report.material import Material
from kerasvae.report.matrices import COLOURS, matrix_of, minus_published, published_note, with_published
from kerasvae.report.studies import by_study


def selection(material: Material) -> str:
    """Section 8: what choosing by a score is worth, and whether good settings stay good elsewhere."""
    found = material.analysis("selection")
    parts = [by_study(material, _odds), blocks.notes(found.notices)]
    parts.append(blocks.table(material, "selection-odds", found, limit=None))
    try:
        moved = material.analysis("transfer")
    except ValueError as error:
        parts.append(blocks.paragraph(f"Transfer is not possible: {error}.", "note"))
    else:
        parts += [
            by_study(material, _transfer),
            minus_published(material, "transfer", moved["datasets"]),
            blocks.notes(moved.notices),
            blocks.tables(material, "transfer", moved),
        ]
    return "".join(parts)


def _odds(material: Material, study: str) -> str:
    frame = of_study(material.analysis("selection"), study, ties="wins")
    rows = frame.rows()
    if not rows:
        return ""
    for row in rows:
        row["kind"] = f"{row['data']} data, {row['metric']} score"
    published_too = material.beside == published.SLIDES and any(not is_missing(row["published"]) for row in rows)
    figure = interval_dots(
        type(frame).from_rows(rows if published_too else [{**row, "published": None} for row in rows]),
        row="kind",
        group="rule",
        scale=100,
        unit="beats a random run, % of trials",
        labels=material.labels,
        legend=False,
        caption="",
    )
    words = "; ".join(f"{row['kind']}, {row['rule']}: {blocks.interval(row, 100, '.1f', ' %')}" for row in rows)
    caption = (
        "Ties count as wins, as published. Filled: the setting that is best on one seed; hollow: that with the best "
        "median of the other seeds. Grey bar: a random choice."
        + (" Diamonds: Locatello et al. 2019." if published_too else "")
        + " All of these rules use labels."
    )
    chosen = [row for row in rows if row["rule"] == "best of one seed" and not is_missing(row["estimate"])]
    best, worst = (end(chosen, key=lambda row: row["estimate"]) for end in (max, min)) if chosen else (None, None)
    claim = "What choosing a setting is worth"
    if chosen:
        claim = f"Chosen on one seed, a setting beats a random run in {blocks.interval(best, unit=' %')} of trials"
        claim += "" if best is worst else f" ({best['kind']}) to {blocks.interval(worst, unit=' %')} ({worst['kind']})"
    return blocks.figure(material, claim, [(figure, f"Odds: {words}.")], caption=caption)


def _transfer(material: Material, study: str) -> str:
    found, drawn, datasets = material.analysis("transfer"), [], material.datasets(study)
    between = of_study(found["datasets"], study, dataset_a=datasets, dataset_b=datasets)
    for metric in material.shown_scores:
        frame = between.select(metric=metric)
        name = material.labels[metric]
        drawn += with_published(
            material,
            frame,
            "dataset_a",
            "dataset_b",
            f"correlations of settings by {name} between data sets",
            name,
            "numerals",
        )
    parts = []
    if drawn:
        rows = [
            row for row in between.rows() if row["dataset_a"] != row["dataset_b"] and not is_missing(row["estimate"])
        ]
        above = sum(not is_missing(row["lo"]) and row["lo"] > 0 for row in rows)
        claim = (
            f"Transfer between data sets: from {blocks.spread([row['estimate'] for row in rows])}; {above // 2} of "
            f"{len(rows) // 2} correlations have an interval above 0"
        )
        counts = blocks.counts(between["n"].tolist(), "settings")
        caption = f"Medians over seeds of settings. {COLOURS} {counts}.{published_note(material, drawn)}"
        parts.append(blocks.figure(material, claim, drawn, caption=caption))
    drawn = []
    for dataset in datasets:
        frame = of_study(
            found["metrics"], study, dataset=dataset, metric_a=material.shown_scores, metric_b=material.shown_scores
        )
        drawn += matrix_of(
            material, frame, "metric_a", "metric_b", f"correlations of settings between scores on {dataset}", dataset
        )
    inner = blocks.figure(
        material,
        "Settings that are good by one score, by another",
        drawn,
        caption=f"Medians over seeds of settings. {COLOURS}",
    )
    return "".join(parts) + (f"<details><summary>Between scores</summary>{inner}</details>" if inner else "")
