"""Section on several studies: whether they find the same, setting by setting and matrix by matrix."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.frame import Frame, is_missing
from kerasvae.analysis.study.matrix_differences import FEWER_SEEDS, seeds_of, study_differences, study_sentences
from kerasvae.plots.study_replication import replication_scatter
from kerasvae.plots.study_style import heading
from kerasvae.report import blocks
from kerasvae.report.material import MOST_DATASETS, MOST_SCORES, Material
from kerasvae.report.matrices import DIFFERENCE_COLOURS, difference_matrix_of, there

# Pairs of studies that figures show; tables hold all.
MOST_PAIRS = 6


def replication(material: Material) -> str:
    """Section on each pair of studies: medians of the settings that both have, and differences of their matrices."""
    return _settings(material) + _matrices(material, "agreement") + _matrices(material, "transfer")


def _settings(material: Material) -> str:
    try:
        found = material.analysis("replication")
    except ValueError as error:
        return blocks.paragraph(f"Comparing settings is not possible: {str(error).rstrip('.')}.", "note")
    parts = [blocks.sentences(found.sentences, 6)]
    pairs = _pairs(found["differences"])
    for number, (study_a, study_b) in enumerate(pairs[:MOST_PAIRS]):
        inner = _pair(material, found["differences"].select(study_a=study_a, study_b=study_b))
        name = blocks.text(_against(study_a, study_b))
        parts.append(f"<details><summary>{name}</summary>{inner}</details>" if number else f"<h3>{name}</h3>{inner}")
    if len(pairs) > MOST_PAIRS:
        parts.append(
            blocks.paragraph(f"{len(pairs) - MOST_PAIRS} more pairs of studies are in the tables alone.", "note")
        )
    return "".join(parts) + blocks.notes(found.notices) + blocks.tables(material, "replication", found)


def _pair(material: Material, frame: Frame) -> str:
    """Scatters of each data set, the first at once."""
    metrics, datasets = (list(dict.fromkeys(frame[name].tolist())) for name in ("metric", "dataset"))
    shown = [metric for metric in metrics if metric in material.scores] or metrics
    parts = []
    for dataset in datasets[:MOST_DATASETS]:
        drawn, kept = [], frame.select(dataset=dataset, metric=shown[:MOST_SCORES])
        for metric in shown[:MOST_SCORES]:
            part = kept.select(metric=metric)
            if not len(part):
                continue
            figure = replication_scatter(part, legend=False, caption="", **material.look)
            name = material.labels.get(metric, metric)
            heading(figure.axes[0], name)
            drawn.append((figure, f"{name}, medians of {len(part)} settings in both studies. {_told(part)}."))
        caption = (
            "A point is a setting: its median over seeds in the one study against that in the other; line: equal. "
            "Bars: 95 % intervals of the difference, which cross the line where they hold 0. Filled: the interval "
            "excludes 0. "
            f"{blocks.counts(kept['n'].tolist(), 'seeds a setting')} in the smaller of the two."
        )
        inner = blocks.figure(
            material,
            f"{dataset}: {_told(kept)}" if dataset else _told(kept),
            drawn,
            caption=caption,
            methods=[method for method in material.ok.methods if method in kept["method"].tolist()],
        )
        name = blocks.text(dataset)
        parts.append(f"<details><summary>{name}</summary>{inner}</details>" if parts else inner)
    return "".join(parts)


def _told(frame: Frame) -> str:
    """How many differences of medians are told from 0."""
    known = [value for value in frame["differs"].tolist() if not is_missing(value)]
    if not known:
        return f"{len(frame)} differences of medians, none with an interval"
    return f"{sum(map(bool, known))} of {len(known)} differences of medians have an interval that excludes 0"


_MATRICES = {
    "agreement": (
        "correlations", "metric_a", "metric_b", "dataset", "letters", "Correlations of scores",
        "correlations of scores",
    ),
    "transfer": (
        "datasets", "dataset_a", "dataset_b", "metric", "numerals", "Transfer between data sets",
        "correlations of settings between data sets",
    ),
}  # fmt: skip


def _matrices(material: Material, analysis: str) -> str:
    """Differences of the matrices of an analysis, a panel each data set or score."""
    name, row, column, by, letters, title, what = _MATRICES[analysis]
    try:
        seeds = seeds_of(material.ok) if analysis == "transfer" else None
        frame = study_differences(material.analysis(analysis)[name], seeds=seeds)
    except ValueError:
        return ""
    if not there(frame, "estimate"):
        return ""
    parts = []
    for study_a, study_b in _pairs(frame)[:MOST_PAIRS]:
        part, drawn = frame.select(study_a=study_a, study_b=study_b), []
        part = part.where(_shown(material, part, row, column, by))
        for panel in list(dict.fromkeys(part[by].tolist())):
            label = material.labels.get(panel, panel)
            words = f"{what}, {label}, {_against(study_a, study_b)}"
            drawn += difference_matrix_of(material, part.select(**{by: panel}), row, column, words, label, letters)
        caption = f"First study minus second. {DIFFERENCE_COLOURS}"
        parts.append(blocks.figure(material, f"{title}: {_against(study_a, study_b)}", drawn, caption=caption))
    parts.append(blocks.sentences(study_sentences(frame, material.ok), 4))
    parts.append(blocks.notes([*frame.notices, *([FEWER_SEEDS] if analysis == "transfer" else [])]))
    return "".join(parts) + blocks.table(material, f"{analysis}-between-studies", frame)


def _shown(material, part, row, column, by):
    """Which rows figures show: of the first scores and data sets."""
    datasets = list(dict.fromkeys(name for key in (row, column, by) if "dataset" in key for name in part[key].tolist()))
    allowed = {*material.shown_scores, *datasets[:MOST_DATASETS]}
    lists = (part[key].tolist() for key in (row, column, by))
    return np.fromiter((set(names) <= allowed for names in zip(*lists, strict=True)), bool, len(part))


def _pairs(frame):
    return list(dict.fromkeys(zip(frame["study_a"].tolist(), frame["study_b"].tolist(), strict=True)))


def _against(study_a, study_b):
    return f"{study_a or 'without a name'} against {study_b or 'without a name'}"
