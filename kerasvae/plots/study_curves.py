"""Curves of a study: scores against strength, performance profiles, learning curves, and one number against another.

All take tidy frames of `kerasvae.analysis.study`.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from kerasvae.plots.checks import check_frame, check_path
from kerasvae.plots.study_style import (
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

# Lowest, middle and highest third: light to dark, told apart by their dashes as well.
TERCILE_STYLES = {
    "lowest": {"color": "#D55E00", "linestyle": (0, (1.2, 1.5))},
    "middle": {"color": "#8C6D31", "linestyle": (0, (5, 2))},
    "highest": {"color": "#0072B2", "linestyle": "-"},
}


def strength_lines(
    frame, *, panel="metric", limits=None, unit="median over seeds", labels=None, colours=None, title="", caption=None,
    legend=True, columns=3, path=None,
) -> Figure:  # fmt: skip
    """Scores against the rank of the strength, weakest to the left: a line each method, its bootstrap interval a band.

    Args:
        frame: as `kerasvae.analysis.study.setting_medians` returns it, of one data set: method, rank, strength,
            estimate, lo, hi, n and `panel`.
        panel: name of a column, a panel for each of its values. Default "metric".
        limits: of the y axis of all panels. Default: each its own.
        unit: title of the y axis.
        labels, colours, title, caption, columns, path: as `kerasvae.plots.violins`.
        legend: whether to name the methods above. Default True.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, "method", "rank", "estimate", "lo", "hi", "n", panel)
    methods, panels = values_of(frame, "method"), values_of(frame, panel)
    colours, markers = {**method_colours(methods), **(colours or {})}, method_markers(methods)
    caption = count_text(frame["n"].tolist(), "seeds a setting") if caption is None else caption
    look = {"methods": methods if legend else None, "labels": labels, "colours": colours}
    figure, axes = study_panels(len(panels), columns=columns, title=title, caption=caption, **look)
    for place, name in zip(axes, panels, strict=True):
        part = frame.select(**{panel: name})
        for method in values_of(part, "method"):
            mine = part.select(method=method)
            ranks = finite(mine["rank"])
            order = np.argsort(ranks)
            _line(place, ranks[order], mine.where(order), colours[str(method)], markers[str(method)])
        last = int(finite(frame["rank"]).max())
        set_ticks(place.xaxis, range(last + 1), _ends(last, "weakest", "strongest"), fontsize=SMALL_SIZE)
        place.set_xlim(-0.3, last + 0.3)
        if limits:
            place.set_ylim(limits)
        axis_titles(place, "strength, by rank within its method", unit)
        heading(place, label(name, labels))
    return written(figure, path)


def performance_profiles(
    frame, *, panel="metric", labels=None, colours=None, title="", caption=None, legend=True, columns=3, path=None
) -> Figure:
    """Share of a method's runs whose score is above a threshold; the higher curve is the better method.

    Args:
        frame: as `kerasvae.analysis.study.compare_methods` returns its `profiles`: method, threshold, estimate, lo, hi,
            n and `panel`.
        panel, labels, colours, title, caption, legend, columns, path: as `strength_lines`.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, "method", "threshold", "estimate", "lo", "hi", "n", panel)
    methods, panels = values_of(frame, "method"), values_of(frame, panel)
    colours = {**method_colours(methods), **(colours or {})}
    caption = count_text(frame["n"].tolist(), "runs a method") if caption is None else caption
    look = {"methods": methods if legend else None, "labels": labels, "colours": colours}
    figure, axes = study_panels(len(panels), columns=columns, title=title, caption=caption, **look)
    for place, name in zip(axes, panels, strict=True):
        part = frame.select(**{panel: name})
        for method in values_of(part, "method"):
            mine = part.select(method=method)
            x, y = finite(mine["threshold"]), 100 * finite(mine["estimate"])
            lo, hi = (100 * finite(mine[end]) for end in ("lo", "hi"))
            place.fill_between(x, lo, hi, color=colours[str(method)], alpha=0.15, linewidth=0)
            place.plot(x, y, color=colours[str(method)], linewidth=1.6)
        place.set(ylim=(0, 102), xlim=_where_they_fall(part))
        axis_titles(place, "threshold", "runs above it, %")
        heading(place, label(name, labels))
    return written(figure, path)


def learning_curves(
    frame, *, panel="predictor", labels=None, title="", caption=None, legend=True, columns=3, path=None
) -> Figure:
    """Accuracy against the number of samples, for thirds of the runs by a score: medians, and quartiles as bands.

    Args:
        frame: as `kerasvae.analysis.study.learning_curves` returns it, of one data set.
        panel, labels, title, caption, legend, columns, path: as `strength_lines`.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, "tercile", "samples", "estimate", "lower", "upper", "n", panel)
    panels = values_of(frame, panel)
    caption = count_text(frame["n"].tolist(), "runs a third") if caption is None else caption
    figure, axes = study_panels(len(panels), columns=columns, title=title, caption=caption)
    for place, name in zip(axes, panels, strict=True):
        part = frame.select(**{panel: name})
        for tercile in values_of(part, "tercile"):
            mine = part.select(tercile=tercile)
            order = np.argsort(finite(mine["samples"]))
            x, y = finite(mine["samples"])[order], 100 * finite(mine["estimate"])[order]
            style = TERCILE_STYLES[tercile]
            lower, upper = (100 * finite(mine[end])[order] for end in ("lower", "upper"))
            place.fill_between(x, lower, upper, color=style["color"], alpha=0.15, linewidth=0)
            place.plot(x, y, marker="o", markersize=3.5, linewidth=1.6, label=f"{tercile} third", **style)
        chance = finite(part["chance"]) if "chance" in part else np.array([np.nan])
        if np.isfinite(chance).any():
            place.axhline(100 * np.nanmean(chance), color=GREY, linewidth=1, linestyle=(0, (4, 3)))
            words = {"fontsize": SMALL_SIZE - 0.5, "color": QUIET, "va": "bottom"}
            place.annotate("chance", (0.01, 100 * np.nanmean(chance)), xycoords=("axes fraction", "data"), **words)
        samples = sorted(set(finite(part["samples"]).tolist()))
        place.set_xscale("log")
        set_ticks(place.xaxis, samples, [f"{int(number)}" for number in samples], fontsize=SMALL_SIZE)
        place.xaxis.set_ticks([], minor=True)
        axis_titles(place, "labelled samples", "accuracy, %")
        heading(place, label(name, labels))
        if legend:
            place.legend(frameon=False, fontsize=SMALL_SIZE - 0.5, labelcolor=TEXT, loc="lower right", handlelength=2.4)
    return written(figure, path)


def score_scatter(
    frame, x, y, *, panel=None, labels=None, colours=None, x_title="", y_title="", title="", caption=None, legend=True,
    columns=3, path=None,
) -> Figure:  # fmt: skip
    """One number of runs against another, a point a run, the colour its method.

    Args:
        frame: one row per run: method, `x`, `y` and `panel`, as `ResultsTable.to_wide()` returns it.
        x, y: names of columns.
        panel: name of a column, a panel for each of its values. Default: one panel.
        x_title, y_title: of the axes. Default: the labels of x and y.
        labels, colours, title, caption, legend, columns, path: as `strength_lines`.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, "method", x, y, panel)
    methods, panels = values_of(frame, "method"), values_of(frame, panel) if panel else [None]
    colours, markers = {**method_colours(methods), **(colours or {})}, method_markers(methods)
    there = np.isfinite(finite(frame[x])) & np.isfinite(finite(frame[y]))
    figure, axes = study_panels(
        len(panels), columns=columns, title=title, methods=methods if legend else None, labels=labels, colours=colours,
        caption=count_text([int(there.sum())]) if caption is None else caption,
    )  # fmt: skip
    for place, name in zip(axes, panels, strict=True):
        part = frame if panel is None else frame.select(**{panel: name})
        draw_points(place, part, x, y, methods, colours, markers)
        axis_titles(place, x_title or label(x, labels), y_title or label(y, labels))
        heading(place, "" if name is None else label(name, labels))
    return written(figure, path)


def draw_points(axes, part, x, y, methods, colours, markers, sizes=None) -> None:
    """Points of the runs of every method; many of them as pixels, as a page of vectors would be large."""
    across, up, members = finite(part[x]), finite(part[y]), np.array(part["method"].tolist(), object)
    many = len(part) > 400
    for method in methods:
        mine = members == method
        size = 12 if sizes is None else sizes[mine]
        style = {"color": colours[str(method)], "marker": markers[str(method)], "alpha": 0.45 if many else 0.75}
        axes.scatter(across[mine], up[mine], size, linewidths=0, rasterized=many, **style)


def _line(axes, x, part, colour, marker) -> None:
    y = finite(part["estimate"])
    lo, hi = (finite(part[end]) if end in part else y * np.nan for end in ("lo", "hi"))
    if np.isfinite(lo).any():
        axes.fill_between(x, lo, hi, color=colour, alpha=0.15, linewidth=0)
    axes.plot(x, y, color=colour, marker=marker, markersize=4.5, linewidth=1.6)


def _where_they_fall(part):
    """From the last threshold that all runs are above to the first that none is."""
    thresholds, shares = finite(part["threshold"]), finite(part["estimate"])
    falling = thresholds[(shares > 0) & (shares < 1)]
    if not len(falling):
        return float(thresholds.min()), float(thresholds.max())
    step = np.ptp(thresholds) / max(len(set(thresholds.tolist())) - 1, 1)
    return float(falling.min() - step), float(falling.max() + step)


def _ends(last: int, first_word: str, last_word: str):
    return [""] * (last + 1) if last < 1 else [first_word, *[""] * (last - 1), last_word]
