"""The page: its sections in order, its style, and how it is written."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

from rich.console import Console

from kerasvae import files
from kerasvae.analysis.study import published
from kerasvae.analysis.study.bootstrap import REPLICATES
from kerasvae.analysis.study.load import load
from kerasvae.analysis.study.table import ResultsTable
from kerasvae.checks import check_integer, check_seed
from kerasvae.report import blocks, choosing, gallery, overview, relations, replication, scores
from kerasvae.report.material import Material
from kerasvae.report.page import page
from kerasvae.report.page_size import within_limit

# Title and function of each section; a ValueError of the function says why it is not possible.
SECTIONS = (
    ("The table", overview.header),
    ("Five findings", overview.findings),
    ("Scores of methods", scores.scores),
    ("What matters: method, strength or seed", scores.matters),
    ("Do scores agree?", relations.agreement),
    ("What needs no labels", relations.unsupervised),
    ("Total correlation of mean and sampled codes", relations.total_correlation),
    ("Selection and transfer", choosing.selection),
    ("Downstream tasks", relations.downstream),
    ("Best, median and worst run", gallery.gallery),
    ("Caveats, settings and tables", overview.caveats),
)
# Stands before the gallery where the table holds several studies.
REPLICATION = ("Replication between studies", replication.replication)


def sections_of(table: ResultsTable) -> tuple:
    """The sections that a table calls for: `SECTIONS`, and of several studies `REPLICATION`."""
    if len(table.studies) < 2:
        return SECTIONS
    before = [function for _, function in SECTIONS].index(gallery.gallery)
    return (*SECTIONS[:before], REPLICATION, *SECTIONS[before:])


def write_report(
    source,
    path,
    *,
    title: str = "",
    beside: str | None = None,
    replicates: int = REPLICATES,
    seed: int = 1,
    images=None,
    date: str | None = None,
    sections=None,
    quiet: bool = True,
) -> Path:
    """Write the report of a study: one HTML file that needs nothing else, neither scripts nor the network.

    Args:
        source: a `ResultsTable`, or what `kerasvae.analysis.study.load` takes.
        path: file ending in .html or .htm; it appears whole or not at all.
        title: of the page. Default: "Study of N runs".
        beside: "locatello2019-slides" to show its published tables where data sets and metrics are the same. Default
            None.
        replicates: of the bootstrap, at least 2. Default 2000.
        seed: of the bootstrap, 0..2^32-1. Default 1.
        images: folder with pictures of runs, RUN_ID.png or RUN_ID/*.png, for the gallery. Default: none.
        date: as printed on the page. Default: today.
        sections: (title, function) of each. Default: those of `sections_of`.
        quiet: whether not to say on the standard error what is being computed. Default True.

    Returns:
        The path.

    Raises:
        ValueError: another ending, `beside`, `replicates` or `seed`, a folder of images that is not there, or a source
            that cannot be understood.
        OSError: when the file cannot be written.
    """
    if not isinstance(path, str | os.PathLike):
        raise ValueError(f"path must end in .html, got {path!r}")
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"path must end in .html, got {str(path)!r}")
    files.check_writable(path)
    html = report_html(
        source,
        title=title,
        beside=beside,
        replicates=replicates,
        seed=seed,
        images=images,
        date=date,
        sections=sections,
        quiet=quiet,
    )
    files.write_text(path, html)
    return path


def report_html(
    source,
    *,
    title: str = "",
    beside: str | None = None,
    replicates: int = REPLICATES,
    seed: int = 1,
    images=None,
    date: str | None = None,
    sections=None,
    quiet: bool = True,
) -> str:
    """The report as text; arguments and errors as `write_report`."""
    check_integer(replicates, "replicates", 2)
    check_seed(seed)
    if beside is not None:
        published.check_study(beside, "beside")
    if images is not None:
        if not isinstance(images, str | os.PathLike) or not Path(images).is_dir():
            raise ValueError(f"images must be a folder, got {str(images)!r}")
        images = Path(images)
    if not isinstance(title, str):
        raise ValueError(f"title must be a text, got {title!r}")
    table = source if isinstance(source, ResultsTable) else load(source)
    console = Console(stderr=True, quiet=quiet)
    with console.status("") as status:
        material = Material(
            table,
            title or f"Study of {len(table)} runs",
            beside=beside,
            replicates=replicates,
            seed=seed,
            images=images,
            date=date or datetime.date.today().isoformat(),
            working=lambda name: status.update(f"{name} …"),
        )
        made, sections = [], sections_of(table) if sections is None else sections
        for number, (heading, function) in enumerate(sections, 1):
            status.update(f"section {number} of {len(sections)}: {heading}")
            made.append((heading, section(material, function)))
    return within_limit(page(material.title, made))


def section(material: Material, function) -> str:
    """What a section shows, or why it is not possible."""
    # Links to tables of a section that fails would lead nowhere.
    embedded = dict(material.embedded)
    try:
        return function(material) or blocks.paragraph("Nothing to show.", "note")
    except ValueError as error:
        material.embedded = embedded
        return blocks.paragraph(f"Not possible: {str(error).rstrip('.')}.", "impossible")
