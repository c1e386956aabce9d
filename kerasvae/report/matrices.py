"""Matrices of correlations as a page shows them, and the published ones beside them."""

from __future__ import annotations

from kerasvae.analysis.study import published
from kerasvae.analysis.study.frame import is_missing
from kerasvae.analysis.study.table import plain_dataset
from kerasvae.plots.study_matrices import correlation_matrices
from kerasvae.plots.study_style import heading
from kerasvae.report import claims
from kerasvae.report.material import Material

COLOURS = "Spearman × 100; blue: above 0, red: below; a dash: undefined. Intervals are in the table."


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
    """A matrix, and where there is one the published matrix."""
    own = matrix_of(material, frame, row, column, what, title, letters)
    if "published" not in frame:
        return own
    return own + matrix_of(material, frame, row, column, what, "published", letters, "published")


def published_note(material: Material, drawn) -> str:
    """Whose the published matrices of a figure are."""
    return f" Published: {source(material)}." if any("published" in words for _, words in drawn) else ""


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
