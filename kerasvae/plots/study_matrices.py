"""Matrices of a study: correlations of metrics, transfer between data sets, and which method is better than which.

All take tidy frames of `kerasvae.analysis.study`, or anything with their `[column]`, `matrix` and `select`.
"""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kerasvae.checks import check_choice
from kerasvae.plots.checks import check_frame, check_path
from kerasvae.plots.study_style import (
    ON_DARK,
    ON_LIGHT,
    axis_titles,
    count_text,
    heading,
    label,
    set_ticks,
    study_panels,
    values_of,
)
from kerasvae.plots.style import DIVERGING, QUIET, SMALL_SIZE, TEXT, written

DASH = "–"
# Between these, P(X > Y) is no evidence of a difference.
UNDECIDED = (0.35, 0.65)
_NUMERALS = "I II III IV V VI VII VIII IX X XI XII XIII XIV XV XVI XVII XVIII XIX XX".split()


def correlation_matrices(
    frame, row="metric_a", column="metric_b", *, by=None, value="estimate", letters="letters", labels=None, title="",
    caption=None, columns=3, path=None,
) -> Figure:  # fmt: skip
    """Correlations × 100, a panel a value of `by`: blue above 0, red below, a dash where they are undefined.

    Args:
        frame: tidy, with the columns named here and `n`; values in -1..1.
        row, column: names of the columns that rows and columns of the matrix are.
        by: name of a column, a panel for each of its values. Default: one panel.
        value: name of the column that is drawn. Default "estimate".
        letters: "letters" (A, B, ...), "numerals" (I, II, ...) or "none": what stands for the rows' names at the foot
            of a square matrix. The names themselves stand at the foot of any other.
        labels: {value of a column: what to call it}.
        title: the claim above. Default: none.
        caption: below. Default: n.
        columns: most panels in a row. Default 3.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.
    """
    return _matrices(
        frame, row, column, by, value, letters, labels, title, caption, columns, path,
        form=lambda number: f"{round(100 * number):d}", scale=Normalize(-1.25, 1.25),
    )  # fmt: skip


def difference_matrices(
    frame, row="metric_a", column="metric_b", *, by=None, letters="letters", labels=None, title="", caption=None,
    columns=3, path=None,
) -> Figure:  # fmt: skip
    """Differences of correlations × 100 with their sign, a panel a value of `by`: blue above 0, red below.

    Bold where the interval tells the difference from 0; a dash where there is none, as on the diagonal.

    Args:
        frame: of `kerasvae.analysis.study.published_differences` or `study_differences`: the columns named here,
            estimate (in -2..2), differs and n.
        row, column, by, letters, labels, title, caption, columns, path: as `correlation_matrices`.

    Raises: ValueError, OSError: as all figures.
    """
    # The strongest colours are for differences that are rarely met: half a correlation.
    return _matrices(
        frame, row, column, by, "estimate", letters, labels, title, caption, columns, path,
        form=lambda number: f"{round(100 * number):+d}".replace("+0", "0"), scale=Normalize(-0.7, 0.7, clip=True),
        bold="differs",
    )  # fmt: skip


def _matrices(
    frame, row, column, by, value, letters, labels, title, caption, columns, path, *, form, scale, bold=None
) -> Figure:
    """Matrices of numbers; in the column `bold` is true of those that are written so."""
    check_path(path)
    check_frame(frame, row, column, value, by, bold)
    check_choice(letters, "letters", ("letters", "numerals", "none"))
    panels = values_of(frame, by) if by else [None]
    if not len(frame):
        raise ValueError("frame must have rows to draw, got none")
    shape = max(len(values_of(frame, row)), 2), max(len(values_of(frame, column)), 2)
    square = letters != "none" and _is_square(frame, row, column)
    longest = max(len(label(name, labels, 30)) for name in values_of(frame, row))
    columns = min(columns, len(panels))
    width = max(2.6, 0.075 * (longest + 6 * square) + 0.4 * shape[1]) * columns
    height = 0.62 + 0.3 * shape[0] + (0.0 if square else 0.6)
    caption = count_text(frame["n"].tolist() if "n" in frame else ()) if caption is None else caption
    figure, axes = study_panels(len(panels), columns=columns, width=width, height=height, title=title, caption=caption)
    for place, panel in zip(axes, panels, strict=True):
        part = frame if by is None else frame.select(**{by: panel})
        down, across, values = _laid_out(part, row, column, value)
        told = None if bold is None else _laid_out(part, row, column, bold)[2] == 1
        _draw(place, values, form, scale, bold=told)
        names = [label(name, labels, 30) for name in down]
        if square and down == across:
            short = _short(len(down), letters)
            names = [f"{name} ({mark})" for name, mark in zip(names, short, strict=True)]
            set_ticks(place.xaxis, range(len(across)), short, fontsize=SMALL_SIZE)
        else:
            feet = [label(name, labels, 32) for name in across]
            set_ticks(place.xaxis, range(len(across)), feet, fontsize=SMALL_SIZE, rotation=40, ha="right")
        set_ticks(place.yaxis, range(len(down)), names, fontsize=SMALL_SIZE)
        heading(place, "" if panel is None else label(panel, labels))
    return written(figure, path)


def _is_square(frame, row, column) -> bool:
    """Whether rows and columns are of the same names; where the diagonal is missing, they come in another order."""
    return set(values_of(frame, row)) == set(values_of(frame, column))


def _laid_out(part, row, column, value):
    """`Frame.matrix`, the columns in the order of the rows where they have the same names."""
    down, across, values = part.matrix(row, column, value)
    if set(down) == set(across):
        # The first row has all but itself: the first column lacks it, and is in its order.
        order = [across.index(name) for name in down]
        across, values = list(down), values[:, order]
    return down, across, values


def improvement_matrices(
    frame, row="first", column="second", *, by=None, labels=None, title="", caption=None, columns=3, path=None
) -> Figure:
    """P(X > Y): how often a run of the row's method is better than one of the column's, a panel a value of `by`.

    Bold where the interval leaves out 0.5, quiet within 0.35..0.65, which is no evidence of a difference.

    Args:
        frame: tidy, with `row` and `column` (methods), estimate, lo, hi in 0..1, and n.
        by, labels, title, caption, columns, path: as `correlation_matrices`.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, row, column, "estimate", "lo", "hi", by)
    panels = values_of(frame, by) if by else [None]
    if not len(frame):
        raise ValueError("frame must have rows to draw, got none")
    size = max(len(values_of(frame, row)), len(values_of(frame, column)), 2)
    names = [label(name, labels, 20) for name in values_of(frame, row)]
    columns = min(columns, len(panels))
    width = max(2.8, 0.075 * max(map(len, names)) + 0.42 * size) * columns
    caption = count_text(frame["n"].tolist() if "n" in frame else ()) if caption is None else caption
    figure, axes = study_panels(
        len(panels), columns=columns, width=width, height=1.25 + 0.3 * size, title=title, caption=caption
    )
    for place, panel in zip(axes, panels, strict=True):
        part = frame if by is None else frame.select(**{by: panel})
        down, found, _ = part.matrix(row, column)
        # Methods stand in the order of the rows, whichever pair came first.
        across = [*[name for name in down if name in found], *[name for name in found if name not in down]]
        order = [found.index(name) for name in across]
        values, *ends = (
            part.matrix(row, column, name)[2][:, order] if name in part else np.full((len(down), len(across)), np.nan)
            for name in ("estimate", "lo", "hi")
        )
        told = (ends[0] > 0.5) | (ends[1] < 0.5)
        undecided = (values >= UNDECIDED[0]) & (values <= UNDECIDED[1])
        _draw(place, values, lambda number: f"{number:.2f}", Normalize(-0.1, 1.1), bold=told, quiet=undecided & ~told)
        set_ticks(place.xaxis, range(len(across)), [label(name, labels, 20) for name in across],
                  fontsize=SMALL_SIZE, rotation=40, ha="right")  # fmt: skip
        set_ticks(place.yaxis, range(len(down)), [label(name, labels, 20) for name in down], fontsize=SMALL_SIZE)
        axis_titles(place, "… than a run of Y", "a run of X is better …")
        heading(place, "" if panel is None else label(panel, labels))
    return written(figure, path)


def _draw(axes, values, form, scale, bold=None, quiet=None) -> None:
    """A cell a value, as vectors: they stay sharp and let the page's own background through where there is none."""
    colours = colormaps[DIVERGING]
    for (down, across), number in np.ndenumerate(values):
        corner = across - 0.5, down - 0.5
        style = {"ha": "center", "va": "center", "fontsize": SMALL_SIZE}
        if not np.isfinite(number):
            axes.text(across, down, DASH, color=QUIET, **style)
            continue
        colour = colours(scale(number))
        axes.add_patch(Rectangle(corner, 1, 1, facecolor=colour, linewidth=0, clip_on=False))
        dark = np.dot(colour[:3], (0.299, 0.587, 0.114)) < 0.5
        style["color"] = ON_DARK if dark else ON_LIGHT
        if bold is not None and bold[down, across]:
            style["fontweight"] = "bold"
        if quiet is not None and quiet[down, across]:
            style["color"] = "#707070"
        axes.text(across, down, form(number), **style)
    axes.set(xlim=(-0.5, values.shape[1] - 0.5), ylim=(values.shape[0] - 0.5, -0.5))
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, colors=TEXT)


def _short(count: int, letters: str) -> list[str]:
    if letters == "numerals" and count <= len(_NUMERALS):
        return _NUMERALS[:count]
    return [chr(65 + number) if number < 26 else str(number + 1) for number in range(count)]
