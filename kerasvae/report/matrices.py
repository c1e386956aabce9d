"""Matrices of correlations as a page shows them, and the published ones beside them."""

from __future__ import annotations

from kerasvae.analysis.study import published
from kerasvae.analysis.study.frame import Frame, is_missing
from kerasvae.analysis.study.matrix_differences import FEWER_SEEDS, published_differences, published_sentences, seeds_of
from kerasvae.analysis.study.table import plain_dataset
from kerasvae.plots.study_matrices import correlation_matrices, difference_matrices
from kerasvae.plots.study_style import heading
from kerasvae.report import blocks, claims
from kerasvae.report.material import Material

COLOURS = "Spearman × 100; blue: above 0, red: below; a dash: undefined. Intervals are in the table."

DIFFERENCE_COLOURS = "Differences of correlations × 100; blue: above 0, red: below; bold: told from 0; a dash: none."


def matrix_of(material: Material, frame, row, column, what, title, letters="letters", value="estimate") -> list:
    """A matrix and its words, as a list of one; of nothing an empty one.

    Args:
        material: names things.
        frame, row, column, letters, value: of `kerasvae.plots.study_matrices.correlation_matrices`.
        what: it is of, in words.
        title: above it.
    """
    if not there(frame, value) and (value != "estimate" or not len(frame)):
        return []
    letters = letters if row[:-2] == column[:-2] else "none"
    names = {"labels": material.labels, "caption": ""}
    figure = correlation_matrices(frame, row, column, value=value, letters=letters, **names)
    heading(figure.axes[0], title)
    return [(figure, claims.matrix_words(frame, what) if value == "estimate" else f"The published {what}.")]


def with_published(material: Material, frame, row, column, what, title, letters="letters") -> list:
    """A matrix, and where there is one the published matrix and the difference of the two."""
    own = matrix_of(material, frame, row, column, what, title, letters)
    if "published" not in frame:
        return own
    own += matrix_of(material, frame, row, column, what, "published", letters, "published")
    differences, what = published_differences(frame, _seeds(material, frame)), f"{what}, minus the published"
    return own + difference_matrix_of(material, differences, row, column, what, "minus published", letters)


def difference_matrix_of(material: Material, frame, row, column, what, title, letters="letters") -> list:
    """A matrix of differences and its words, as a list of one; of nothing an empty one.

    Args:
        material, what, title: as `matrix_of`.
        frame, row, column, letters: of `kerasvae.plots.study_matrices.difference_matrices`.
    """
    if not there(frame, "estimate"):
        return []
    letters = letters if row[:-2] == column[:-2] else "none"
    figure = difference_matrices(frame, row, column, letters=letters, labels=material.labels, caption="")
    heading(figure.axes[0], title)
    known = [bool(value) for value in frame["differs"].tolist() if not is_missing(value)]
    told = f"; {sum(known)} of {len(known)} cells are told from 0" if known else ""
    span = blocks.spread(frame["estimate"].tolist(), lambda value: f"{100 * value:+.0f}")
    return [(figure, f"Differences of {what}: from {span}, times 100{told}.")]


def minus_published(material: Material, name: str, frame: Frame) -> str:
    """What the differences from the published numbers are, in words and as a table; nothing without such numbers.

    Args:
        material: of the page.
        name: of the analysis, of which the CSV file's name is made.
        frame: of the analysis, with the published numbers.
    """
    differences = published_differences(frame, _seeds(material, frame))
    if not len(differences):
        return ""
    found = blocks.sentences(published_sentences(differences, material.ok), 4)
    found += blocks.notes([FEWER_SEEDS] if name == "transfer" else [])
    return found + blocks.table(material, f"{name}-minus-published", differences)


def _seeds(material, frame):
    """Seeds of each study, where a frame is of medians over them."""
    return seeds_of(material.ok) if "dataset_a" in frame else None


def published_note(material: Material, drawn) -> str:
    """Whose the published matrices of a figure are."""
    if not any("published" in words for _, words in drawn):
        return ""
    return f" Published: {source(material)}. Minus published: bold where it is told from what is published."


def no_published(material: Material, table: str, column: str) -> str:
    """Why there is no published matrix beside."""
    frames = published.published_tables(material.beside)
    if table not in frames:
        return f"{source(material)} has no such table."
    names = sorted({plain_dataset(name) for name in frames[table][column].tolist()}) if column in frames[table] else []
    return f"{source(material)} has this table for {', '.join(names)} alone, which is not among these data sets."


def source(material: Material) -> str:
    """Who published what stands beside."""
    return "Locatello et al. 2019" if material.beside == published.SLIDES else str(material.beside)


def there(frame, *names) -> bool:
    """Whether a frame has numbers in all of these columns."""
    return len(frame) > 0 and all(any(not is_missing(value) for value in frame[name].tolist()) for name in names)
