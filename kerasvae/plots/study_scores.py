"""Figures of the scores of a study: how they spread, what accounts for that, and numbers with their intervals.

All take tidy frames of `kerasvae.analysis.study`; violins take its runs, `ResultsTable.to_wide()`.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from kerasvae.plots.checks import check_frame, check_path
from kerasvae.plots.study_style import (
    ON_DARK,
    ON_LIGHT,
    SHARE_COLOURS,
    axis_titles,
    count_text,
    finite,
    heading,
    label,
    method_colours,
    method_markers,
    set_ticks,
    study_panels,
    values_of,
)
from kerasvae.plots.style import GREY, QUIET, SMALL_SIZE, TEXT, written

# Runs of a violin below which every run is a point over it, and below which there are points alone.
POINTS_BELOW, VIOLIN_FROM = 60, 5
# Of the numbers on the bars of shares.
ON_SHARES = {"method": ON_DARK, "strength": ON_LIGHT, "seed": ON_LIGHT}
_CURVE = np.linspace(0, 1, 41)


def violins(
    frame, value, *, by="method", panel=None, limits=None, unit="", labels=None, colours=None, title="", caption=None,
    columns=3, path=None,
) -> Figure:  # fmt: skip
    """How a score spreads over runs: a violin each method, with its median, and the runs as points where n < 60.

    Args:
        frame: one row per run: columns `by`, `value` and `panel`.
        value: name of the score's column.
        by: "method" (default), or "strength" for one method's runs by their strength.
        panel: name of a column, a panel for each of its values. Default: one panel.
        limits: of the y axis, the same for all panels. Default: those of the values.
        unit: title of the y axis. Default: the label of `value`.
        labels: {value of a column: what to call it}.
        colours: {method: colour}; with by="strength" one colour. Default: `study_style.method_colours`.
        title, caption, columns, path: as `kerasvae.plots.correlation_matrices`.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, by, value, panel)
    groups, panels = values_of(frame, by), values_of(frame, panel) if panel else [None]
    numbers = finite(frame[value])
    if not np.isfinite(numbers).any():
        raise ValueError(f"frame must have numbers in {value!r} to draw, got none")
    if not isinstance(colours, str):
        colours = {**method_colours(groups), **(colours or {})}
    names = [label(group, labels, 14) for group in groups]
    turned = sum(map(len, names)) > 34
    figure, axes = study_panels(
        len(panels), columns=columns, height=2.4 + 0.5 * turned, title=title,
        caption=count_text([int(np.isfinite(numbers).sum())]) if caption is None else caption,
    )  # fmt: skip
    limits = limits or _limits(numbers)
    for place, name in zip(axes, panels, strict=True):
        part = frame if panel is None else frame.select(**{panel: name})
        column, members = finite(part[value]), part[by].tolist()
        for position, group in enumerate(groups):
            mine = column[[member == group for member in members]]
            colour = colours if isinstance(colours, str) else colours[str(group)]
            _violin(place, position, mine[np.isfinite(mine)], colour)
        set_ticks(place.xaxis, range(len(groups)), names, fontsize=SMALL_SIZE,
                  rotation=40 if turned else 0, ha="right" if turned else "center")  # fmt: skip
        place.set(xlim=(-0.6, len(groups) - 0.4), ylim=limits)
        axis_titles(place, "", unit or label(value, labels))
        heading(place, "" if name is None else label(name, labels))
    return written(figure, path)


def share_bars(frame, *, row="metric", labels=None, title="", caption=None, legend=True, path=None) -> Figure:
    """Shares of the variance of each score that method, strength and seed account for, adjusted, as stacked bars.

    Args:
        frame: with `row`, share ("method", "strength", "seed"), estimate, lo, hi (0..1) and n; one kind and one data
            set, or the mean over data sets. Shares below 0 or above 1, which chance gives, are drawn as 0 or 1.
        row: name of the column with a bar for each of its values. Default "metric".
        labels, title, caption, path: as `kerasvae.plots.correlation_matrices`.
        legend: whether to name method, strength and seed above. Default True.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, row, "share", "estimate", "n")
    rows = values_of(frame, row)
    caption = count_text(frame["n"].tolist()) if caption is None else caption
    figure, (axes,) = study_panels(
        1, width=5.2, height=0.9 + 0.34 * max(len(rows), 1), title=title, caption=caption, methods=None
    )
    for place, name in enumerate(rows):
        start = 0.0
        for share, colour in SHARE_COLOURS.items():
            found = frame.select(**{row: name, "share": share}).rows()
            value = found[0]["estimate"] if found else np.nan
            if value is None or not np.isfinite(value):
                continue
            width = min(max(value, 0.0), 1.0 - start)
            axes.barh(place, width, 0.68, left=start, color=colour)
            if width >= 0.045:
                at = start + width / 2
                words = f"{round(100 * min(value, 1.0)):d}"
                axes.text(at, place, words, ha="center", va="center", fontsize=SMALL_SIZE, color=ON_SHARES[share])
            start += width
        if start == 0:
            axes.text(0.01, place, "not identifiable", va="center", fontsize=SMALL_SIZE, color=QUIET)
    set_ticks(axes.yaxis, range(len(rows)), [label(name, labels, 26) for name in rows], fontsize=SMALL_SIZE)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlim=(0, 1.02))
    set_ticks(axes.xaxis, (0, 0.25, 0.5, 0.75, 1), (0, 25, 50, 75, 100), fontsize=SMALL_SIZE)
    axes.grid(False)
    axes.tick_params(axis="y", length=0)
    axis_titles(axes, "share of the variance, adjusted, %")
    if legend:
        _legend(axes, SHARE_COLOURS)
    return written(figure, path)


def interval_dots(
    frame, *, row="method", panel=None, group=None, labels=None, colours=None, scale=1.0, unit="", limits=None,
    reference=None, legend=True, title="", caption=None, columns=3, path=None,
) -> Figure:  # fmt: skip
    """Numbers with their intervals: a dot and a bar for each row, a panel a value of `panel`.

    Args:
        frame: with `row`, `panel`, estimate, lo, hi and n; where it has a column `baseline` or `published`, these are
            a grey line and a hollow diamond beside each.
        row: name of the column with a line for each of its values. Default "method".
        panel: name of a column, a panel for each of its values. Default: one panel.
        group: name of a column of up to 4 values drawn beside each other in a line, filled and hollow. Default: none.
        scale: what numbers are multiplied by: 100 for per cent. Default 1.
        unit: title of the x axis.
        limits: of the x axis, after scaling. Default: those of the numbers.
        reference: a value, after scaling, with a dashed line. Default: none.
        legend: whether to say above what is filled and what is hollow. Default True.
        labels, colours, title, caption, columns, path: as `violins`.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, row, "estimate", "lo", "hi", "n", panel, group)
    rows, panels = values_of(frame, row), values_of(frame, panel) if panel else [None]
    groups = values_of(frame, group) if group else [None]
    colours = {**(method_colours(rows) if row == "method" else {}), **(colours or {})}
    markers = method_markers(rows) if row == "method" else {}
    caption = count_text(frame["n"].tolist()) if caption is None else caption
    longest = max((len(label(name, labels, 30)) for name in rows), default=0)
    figure, axes = study_panels(
        len(panels) if rows else 0, columns=columns, title=title, caption=caption,
        width=max(3.0, 2.2 + 0.07 * longest) * min(columns, len(panels)),
        height=0.85 + len(rows) * (0.22 + 0.12 * (len(groups) - 1)) + 0.2 * bool(group and legend),
    )  # fmt: skip
    for place, name in zip(axes, panels, strict=True):
        part = frame if panel is None else frame.select(**{panel: name})
        for number, each in enumerate(part.rows()):
            del number
            kind = groups.index(each[group]) if group else 0
            at = rows.index(each[row]) + (kind - (len(groups) - 1) / 2) * 0.26
            _interval(place, at, each, scale, colours.get(str(each[row]), "#0072B2"), kind, markers.get(each[row], "o"))
        if reference is not None:
            place.axvline(reference, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        set_ticks(place.yaxis, range(len(rows)), [label(each, labels, 30) for each in rows], fontsize=SMALL_SIZE)
        place.set(ylim=(len(rows) - 0.4, -0.6))
        if limits:
            place.set_xlim(limits)
        place.grid(axis="y", visible=False)
        place.grid(axis="x", color="#dddddd", linewidth=0.8)
        place.tick_params(axis="y", length=0)
        place.locator_params(axis="x", nbins=5)
        axis_titles(place, unit)
        heading(place, "" if name is None else label(name, labels))
    if group and legend:
        _kinds(axes[-1], [label(each, labels) for each in groups])
    return written(figure, path)


def _interval(axes, at, each, scale, colour, kind, marker) -> None:
    def there(name):
        value = each.get(name)
        return np.nan if value is None else scale * float(value)

    if np.isfinite(there("baseline")):
        axes.plot([there("baseline")] * 2, [at - 0.3, at + 0.3], color=GREY, linewidth=2, zorder=1)
    if np.isfinite(there("lo")):
        axes.plot([there("lo"), there("hi")], [at, at], color=colour, linewidth=2, solid_capstyle="butt", zorder=2)
    style = {"color": colour, "marker": marker, "markersize": 5.5, "linestyle": "", "zorder": 3}
    if kind % 2:
        style |= {"markerfacecolor": "none", "markeredgewidth": 1.5}
    if np.isfinite(there("estimate")):
        axes.plot([there("estimate")], [at], **style)
    else:
        axes.annotate("–", (0, at), xycoords=("axes fraction", "data"), color=QUIET, va="center")
    if np.isfinite(there("published")):
        axes.plot([there("published")], [at], marker="D", markersize=6, markerfacecolor="none", color=TEXT, zorder=4)


def _violin(axes, position, values, colour) -> None:
    if not len(values):
        axes.annotate("–", (position, 0.02), xycoords=("data", "axes fraction"), ha="center", color=QUIET)
        return
    if len(values) >= VIOLIN_FROM and np.ptp(values) > 1e-9 * max(abs(values).max(), 1e-300):
        heights = values.min() + np.ptp(values) * _CURVE
        density = _density(values, heights)
        reach = 0.4 * density / density.max()
        axes.fill_betweenx(heights, position - reach, position + reach, color=colour, alpha=0.35, linewidth=0)
    if len(values) < POINTS_BELOW:
        # Places across that are the same however often it is drawn.
        across = position + 0.3 * (np.modf(np.arange(len(values)) * 0.618034)[0] - 0.5)
        axes.plot(across, values, ".", color=colour, markersize=3.5, markeredgewidth=0)
    median = float(np.median(values))
    axes.plot([position - 0.28, position + 0.28], [median, median], color=TEXT, linewidth=1.8)


def _density(values, places) -> np.ndarray:
    """Gaussian kernel density up to a factor, the bandwidth by Scott's rule."""
    bandwidth = values.std(ddof=1) * len(values) ** -0.2
    return np.exp(-0.5 * ((places[:, None] - values) / bandwidth) ** 2).sum(axis=1)


def _limits(values):
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    room = 0.05 * ((high - low) or abs(high) or 1.0)
    # Scores lie in 0..1: an axis that begins at 0 shows how much of it they use.
    return (min(0.0, low - room) if low >= -room and low < 0.5 * high else low - room), high + room


def _legend(axes, colours) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=name) for name, colour in colours.items()]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(handles), frameon=False,
                fontsize=SMALL_SIZE, labelcolor=TEXT, borderaxespad=0.2)  # fmt: skip


def _kinds(axes, names) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=QUIET, marker="o", linestyle="", markerfacecolor="none" if number % 2 else QUIET)
        for number in range(len(names))
    ]
    legend = axes.figure.legend(handles, [" "] * len(names), loc="outside upper left", ncols=min(2, len(names)),
                                frameon=False, fontsize=SMALL_SIZE, handletextpad=0.2)  # fmt: skip
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False, color=TEXT)
