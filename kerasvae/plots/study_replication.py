"""Two studies side by side: medians of the settings that both have.

It takes the tidy frame of `kerasvae.analysis.study.replication`.
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
    study_panels,
    values_of,
)
from kerasvae.plots.style import GREY, written


def replication_scatter(
    frame, *, panel=None, labels=None, colours=None, title="", caption=None, legend=True, columns=3, path=None
) -> Figure:
    """Median over seeds of each setting in one study against that in another, with the line where both are equal.

    A point is a setting, its colour the method: filled where the interval of the difference excludes 0, else hollow.
    The bar is this interval, laid around the point: it crosses the line where it holds 0. Bars may end at the
    edge, which goes by the medians.

    Args:
        frame: of `kerasvae.analysis.study.replication(...)["differences"]`: study_a, study_b (one pair of studies),
            method, median_a, median_b, lo, hi, differs and `panel`.
        panel: name of a column, such as "metric", a panel with its own axes for each of its values. Default: one panel.
        labels: {value of a column: what to call it}.
        colours: {method: colour}. Default: `method_colours`.
        title, caption, columns, path: as `kerasvae.plots.correlation_matrices`.
        legend: whether to name the methods above. Default True.

    Raises:
        ValueError: more than one pair of studies, nothing to draw, and as all figures.
        OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, "study_a", "study_b", "method", "median_a", "median_b", "lo", "hi", "differs", panel)
    x, y = finite(frame["median_b"]), finite(frame["median_a"])
    there = np.isfinite(x) & np.isfinite(y)
    if not there.any():
        raise ValueError("frame must have medians of both studies to draw, got none")
    studies = [values_of(frame, name) for name in ("study_a", "study_b")]
    if any(len(names) > 1 for names in studies):
        raise ValueError(f"frame must be of one pair of studies, got {studies[0]} and {studies[1]}: select one")
    frame, x, y = frame.where(there), x[there], y[there]
    lo, hi = (x + finite(frame[end]) for end in ("lo", "hi"))
    differs = np.array([value is True or value == 1 for value in frame["differs"].tolist()], bool)
    methods, panels = values_of(frame, "method"), values_of(frame, panel) if panel else [None]
    colours, markers = {**method_colours(methods), **(colours or {})}, method_markers(methods)
    meaning = "; filled: the difference's interval excludes 0" if differs.any() else ""
    figure, axes = study_panels(
        len(panels), columns=columns, title=title, methods=methods if legend else None, labels=labels, colours=colours,
        height=2.9, caption=f"{count_text([len(x)], 'medians')}{meaning}" if caption is None else caption,
    )  # fmt: skip
    members = np.array(frame["method"].tolist(), object)
    for place, name in zip(axes, panels, strict=True):
        mine = np.array([panel is None or each == name for each in frame[panel or "method"].tolist()], bool)
        for method in methods:
            chosen = mine & (members == method)
            style = {"color": colours[str(method)], "marker": markers[str(method)], "markersize": 4.5, "linestyle": ""}
            bars = chosen & np.isfinite(lo)
            place.vlines(x[bars], lo[bars], hi[bars], colors=colours[str(method)], linewidth=1, alpha=0.5, zorder=1)
            for told, fill in ((differs, {}), (~differs, {"markerfacecolor": "none", "markeredgewidth": 1.1})):
                place.plot(x[chosen & told], y[chosen & told], zorder=2, **style, **fill)
        limits = _limits(np.concatenate([each[mine & np.isfinite(each)] for each in (x, y)]))
        place.plot(limits, limits, color=GREY, linewidth=1, zorder=0)
        place.set(xlim=limits, ylim=limits)
        place.locator_params(nbins=5)
        first, second = (label(names[0] or "without a name", labels, 28) for names in studies)
        axis_titles(place, second, first)
        heading(place, "" if name is None else label(name, labels))
    return written(figure, path)


def _limits(values):
    low, high = float(values.min()), float(values.max())
    room = 0.2 * ((high - low) or abs(high) or 1.0)
    return low - room, high + room
