"""Sections on the table itself: what it holds, the findings in words, and what to be careful with."""

from __future__ import annotations

import importlib.metadata
import platform

import numpy as np

from kerasvae.analysis.study import published
from kerasvae.analysis.study.bootstrap import CONFIDENCE
from kerasvae.analysis.study.frame import Analysis, Frame
from kerasvae.analysis.study.table import OK, ResultsTable, strength_text
from kerasvae.report import blocks, claims
from kerasvae.report.material import Material
from kerasvae.report.studies import by_study

# Most rows and columns of the picture of the grid.
MOST_SETTINGS, MOST_SEEDS = 60, 60
_CELL = 13


def header(material: Material) -> str:
    """Section 1: date, fingerprint, versions, what was understood, and the grid of settings and seeds."""
    table = material.table
    facts = [
        f"Made on {material.date}.",
        f"Data: {len(table)} runs, {len(table.metrics)} metrics, fingerprint {table.fingerprint}.",
        _versions(),
    ]
    parts = ["<ul>" + "".join(f"<li>{blocks.text(fact)}</li>" for fact in facts) + "</ul>"]
    parts.append(blocks.sentences(material.description.facts, 20))
    parts.append(blocks.sentences(_failures(table), 5, "more settings with runs that are not ok"))
    parts.append(by_grid(material))
    counts = table.counts()
    parts.append(blocks.table(material, "runs-by-setting", counts))
    parts.append(blocks.table(material, "possible-analyses", material.description.analyses, limit=None))
    return "".join(parts)


def by_grid(material: Material) -> str:
    """The picture of the grid, one each study."""
    studies, parts = material.table.studies, []
    for study in studies:
        part = material.table.select(study=study)
        if len(part):
            name = f"{study or 'without a name'}: " if len(studies) > 1 else ""
            parts.append(_grid(material, part, name))
    return "".join(parts)


def _grid(material: Material, table: ResultsTable, name: str) -> str:
    """Settings down, seeds across: filled where runs are ok on all data sets, pale on some, crossed where not ok."""
    shape = len(table.settings), len(table.seeds), len(table.datasets)
    ok, there = np.zeros(shape, int), np.zeros(shape, int)
    places = table.setting_code, table.seed_code, table.dataset_code
    np.add.at(there, places, 1)
    np.add.at(ok, places, (table.status == OK).astype(int))
    done, begun = (ok > 0).sum(axis=2), (there > 0).sum(axis=2)
    rows, columns = min(shape[0], MOST_SETTINGS), min(shape[1], MOST_SEEDS)
    labels = [_setting_label(material, setting) for setting in table.settings[:rows]]
    left, top = 7 * max(map(len, labels), default=0) + 10, 20
    width, height = left + _CELL * columns + 4, top + _CELL * rows + 4
    paths = {"full": [], "some": [], "none": [], "failed": []}
    for row in range(rows):
        for column in range(columns):
            x, y, side = left + _CELL * column, top + _CELL * row, _CELL - 3
            count = done[row, column]
            kind = "full" if count == shape[2] else "some" if count else "none"
            paths[kind].append(f"M{x} {y}h{side}v{side}h-{side}z")
            if begun[row, column] > count:
                paths["failed"].append(f"M{x} {y}l{side} {side}m0-{side}l-{side} {side}")
    shapes = "".join(f'<path class="cell-{kind}" d="{"".join(found)}"/>' for kind, found in paths.items() if found)
    names = "".join(
        f'<text x="{left - 6}" y="{top + _CELL * row + 9}" text-anchor="end">{blocks.text(label)}</text>'
        for row, label in enumerate(labels)
    )
    seeds = "".join(
        f'<text x="{left + _CELL * column + 5}" y="{top - 6}" text-anchor="middle">{table.seeds[column]}</text>'
        for column in range(columns)
        if (columns < 12 and len(str(table.seeds[columns - 1])) < 3) or column % 10 == 0
    )
    full, total = int((done == shape[2]).sum()), shape[0] * shape[1]
    failed = int((begun > done).sum())
    words = f"{name}{full} of {total} pairs of setting and seed are ok on all {shape[2]} data sets"
    if shape[2] == 1:
        words = f"{name}{full} of {total} pairs of setting and seed are ok"
    some = int(((done > 0) & (done < shape[2])).sum())
    more = f"; {some} on some" if some else ""
    more += f"; {failed} have runs that are not ok" if failed else ""
    cut = (
        f" The first {rows} of {shape[0]} settings and {columns} of {shape[1]} seeds."
        if (rows, columns) != shape[:2]
        else ""
    )
    return (
        f'<figure><h4>{blocks.text(words + more)}</h4><div class="panels"><div class="panel">'
        f'<svg class="plot grid" role="img" aria-label="{blocks.text(words + more)}" viewBox="0 0 {width} {height}" '
        f'style="width:{width}px;min-width:{min(width, max(300, int(0.8 * width)))}px">{names}{seeds}{shapes}'
        "</svg></div></div>"
        "<figcaption>Settings down, seeds across. Filled: ok on all data sets; pale: on some; hollow: missing; "
        f"crossed: failed, diverged or running.{blocks.text(cut)}</figcaption></figure>"
    )


def findings(material: Material) -> str:
    """Section 2: five findings in words, with their intervals."""
    parts = []
    for title, name, headline in (
        ("Do scores agree?", "agreement", claims.agreement),
        ("Does a loss tell good runs from bad ones?", "losses", None),
        ("Method, strength or seed?", "shares", claims.shares),
        ("What is choosing by a score worth?", "selection", claims.selection),
        ("Are mean codes as independent as sampled ones?", "tc", claims.total_correlation),
    ):
        parts.append(f"<h3>{blocks.text(title)}</h3>")
        try:
            found = material.analysis(name)
        except ValueError as error:
            parts.append(blocks.paragraph(f"Not possible: {error}.", "note"))
            continue
        several = len(material.ok.studies) > 1
        if headline is None:
            # Without the name of a study in front, which is written as it is.
            told = [line if several else line[:1].upper() + line[1:] for line in found.sentences]
            parts += [blocks.paragraph(line, "finding") for line in told]
            continue
        for study in material.ok.studies:
            told = headline(material, study)
            more = claims.seed_over_method(material, study) if name == "shares" else ""
            start = f"{study or 'Without a name'}: " if several else ""
            parts.append(blocks.paragraph(f"{start}{told} {more}".strip(), "finding"))
        if isinstance(found, Analysis):
            parts.append(blocks.sentences(found.sentences, 0, "sentences on this"))
    return "".join(parts)


def caveats(material: Material) -> str:
    """Section 11: what to be careful with on this table, settings of every metric, how to cite, and all tables."""
    notices = list(material.table.notices)
    for found in material.possible().values():
        notices += found.notices
    warnings = list(material.description.warnings)
    if "shares" in material.possible():
        warnings += filter(None, (claims.seed_over_method(material, study) for study in material.ok.studies))
    if "comparison" in material.possible():
        for study in material.ok.studies:
            warnings += claims.undecided(material, study)
    if material.table.non_finite:
        warnings.append(f"{material.table.non_finite} numbers were not finite and count as missing.")
    parts = ["<h3>Careful</h3>", blocks.sentences(warnings, 6) or blocks.paragraph("No warnings.", "note")]
    parts += ["<h3>Left out, and how columns were taken</h3>"]
    parts.append(blocks.sentences(notices, 6) or blocks.paragraph("Nothing.", "note"))
    parts += ["<h3>How it was computed</h3>", blocks.sentences(_methods(material), 20)]
    parts += [_metrics(material), by_study(material, _settings)]
    if material.beside:
        parts += ["<h3>Published tables</h3>", blocks.paragraph(published.STUDIES[material.beside], "note")]
        parts.append(blocks.tables(material, "published", published.published_tables(material.beside)))
    parts += ["<h3>How to cite</h3>", _citation(material)]
    links = "".join(
        f'<li><a href="#{blocks.table_id(name)}">{name}.csv</a> ({len(frame)} rows)</li>'
        for name, frame in material.embedded.items()
    )
    parts += [
        "<h3>All tables</h3>",
        blocks.paragraph(
            f"Each up to {blocks.MOST_ROWS} rows has its CSV file in it, unless it says that it has not.", "note"
        ),
    ]
    parts.append(f'<ul class="columns">{links}</ul>')
    return "".join(parts)


def _methods(material):
    return [
        f"Correlations are Spearman's, with average ranks. Intervals are {CONFIDENCE:.0%} percentile intervals of a "
        f"bootstrap over seeds with {material.replicates} replicates, seed {material.seed}: seed numbers are drawn, "
        "the same for all settings, where the grid is complete, else runs within settings. They are conditional on the "
        "settings and data sets of the table.",
        "Shares of the variance have jackknife intervals over seeds.",
        "Runs that are not ok are left out of all analyses and counted above; missing numbers, pair by pair.",
        "Studies are never pooled.",
    ]


def _metrics(material):
    rows = []
    for metric in material.table.metrics:
        role, column = material.table.role(metric), material.ok.column(metric)
        rows.append(
            {
                "metric": metric,
                "name": material.table.label(metric),
                "role": role.role,
                "better": role.better,
                "guessed": not role.known,
                "runs": int(np.isfinite(column).sum()),
                "lowest": float(np.nanmin(column)) if np.isfinite(column).any() else None,
                "highest": float(np.nanmax(column)) if np.isfinite(column).any() else None,
            }
        )
    frame = Frame.from_rows(
        rows,
        "metric name role better guessed runs lowest highest".split(),
        title="Metrics, with sizes (@) in their names, and what they were taken to be",
        formats={"guessed": lambda value: "yes" if value else "no"},
    )
    return blocks.table(material, "metrics", frame, limit=100)


def _settings(material: Material, study: str) -> str:
    part = material.ok.select(study=study)
    told = []
    for name, values in part.hyper_parameters.items():
        found = list(dict.fromkeys(strength_text(value) for value in values.tolist()))
        shown = ", ".join(found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")
        told.append(f"hp.{name}: {shown or 'none'}")
    return blocks.sentences(told, 12, "more hyper-parameters")


def _citation(material):
    version = _version("kerasvae")
    lines = [
        f"Report of kerasvae{f' {version}' if version else ''}, data {material.table.fingerprint}, {material.date}.",
        "F. Locatello, S. Bauer, M. Lucic, G. Rätsch, S. Gelly, B. Schölkopf, O. Bachem: Challenging Common "
        "Assumptions in the Unsupervised Learning of Disentangled Representations. ICML 2019. Sections 4 to 9.",
        "R. Agarwal, M. Schwarzer, P. S. Castro, A. Courville, M. G. Bellemare: Deep Reinforcement Learning at the "
        "Edge of the Statistical Precipice. NeurIPS 2021. Section 3.",
    ]
    return blocks.sentences(lines, 10)


def _failures(table):
    lines = []
    for row in table.counts().rows():
        bad = {status: row[status] for status in ("failed", "diverged", "running") if row[status]}
        if bad:
            told = ", ".join(f"{count} {status}" for status, count in bad.items())
            study = f"{row['study']}, " if row["study"] else ""
            lines.append(f"{study}{row['dataset']}, {row['setting']}: {told} of {row['runs']}.")
    return lines


def _setting_label(material, setting):
    label = setting.label
    if label.startswith(setting.method):
        label = material.labels.get(setting.method, setting.method) + label[len(setting.method) :]
    return label if len(label) <= 36 else label[:35] + "…"


def _versions():
    found = [f"Python {platform.python_version()}"]
    for name in ("kerasvae", "numpy", "scipy", "matplotlib"):
        version = _version(name)
        if version:
            found.append(f"{name} {version}")
    return ", ".join(found) + "."


def _version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
