"""Total correlation of mean and of sampled codes: against strength, and against each other, on logarithmic axes."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from kerasvae.plots.checks import check_frame, check_path
from kerasvae.plots.study_curves import draw_points
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
from kerasvae.plots.style import GREY, QUIET, SMALL_SIZE, written

# Values below are drawn here, as triangles.
LOWEST = 1e-4


def total_correlation_lines(
    frame, *, panel="curve", floor=None, unit="total correlation, nats", labels=None, colours=None, title="",
    caption=None, legend=True, columns=3, path=None,
) -> Figure:  # fmt: skip
    """Total correlation against the rank of the strength: a line of medians each method, quartiles as a band.

    All panels have the same logarithmic axis; values below 1e-4 are triangles at 1e-4. Dashed: methods whose strength
    is a capacity, of which less regularises more.

    Args:
        frame: of one data set: method, rank (of regularisation, from 0), estimate (nats), lower and upper (the band),
            n, turned (whether the strength is a capacity) and `panel`, as `kerasvae.analysis.study.total_correlation`
            returns its `curves`.
        panel: name of a column, a panel for each of its values. Default "curve".
        floor: estimate for independent codes, nats: a grey line. Default: none.
        unit: title of the y axis.
        labels, colours, title, caption, legend, columns, path: as `kerasvae.plots.strength_lines`.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, "method", "rank", "estimate", "n", panel)
    methods, panels = values_of(frame, "method"), values_of(frame, panel)
    colours, markers = {**method_colours(methods), **(colours or {})}, method_markers(methods)
    caption = count_text(frame["n"].tolist(), "seeds a setting") if caption is None else caption
    figure, axes = study_panels(
        len(panels), columns=columns, title=title, caption=caption, methods=methods if legend else None, labels=labels,
        colours=colours,
    )  # fmt: skip
    numbers = np.concatenate([finite(frame[name]) for name in ("estimate", "lower", "upper") if name in frame])
    limits = _limits(numbers, floor)
    last = int(finite(frame["rank"]).max())
    for place, name in zip(axes, panels, strict=True):
        part = frame.select(**{panel: name})
        for method in values_of(part, "method"):
            mine = part.select(method=method)
            order = np.argsort(finite(mine["rank"]))
            x, y = finite(mine["rank"])[order], finite(mine["estimate"])[order]
            colour = colours[str(method)]
            dashes = (0, (4, 1.5)) if "turned" in mine and any(mine["turned"].tolist()) else "-"
            if "lower" in part:
                band = [np.maximum(finite(mine[end])[order], LOWEST) for end in ("lower", "upper")]
                place.fill_between(x, *band, color=colour, alpha=0.15, linewidth=0)
            place.plot(x, np.maximum(y, LOWEST), color=colour, linewidth=1.6, linestyle=dashes)
            low = y < LOWEST
            place.plot(x[~low], y[~low], color=colour, marker=markers[str(method)], markersize=4.5, linestyle="")
            place.plot(x[low], np.full(int(low.sum()), LOWEST), color=colour, marker="v", markersize=5.5, linestyle="")
        _draw_floor(place, floor)
        place.set_yscale("log")
        plain_logarithms(place.yaxis)
        place.set_ylim(limits)
        ends = [""] * (last + 1) if last < 1 else ["weakest", *[""] * (last - 1), "strongest"]
        set_ticks(place.xaxis, range(last + 1), ends, fontsize=SMALL_SIZE)
        place.set_xlim(-0.3, last + 0.3)
        axis_titles(place, "regularisation, by rank", unit)
        heading(place, label(name, labels))
    return written(figure, path)


def total_correlation_scatter(
    frame, *, panel=None, floor=None, labels=None, colours=None, title="", caption=None, legend=True,
    columns=3, path=None,
) -> Figure:  # fmt: skip
    """Total correlation of the mean code against that of the sampled code, a point a run, with the diagonal.

    Larger points are of stronger regularisation within their method.

    Args:
        frame: one row per run: method, sampled, mean (nats), rank (of regularisation) and `panel`, as
            `kerasvae.analysis.study.total_correlation` returns its `pairs`.
        panel, floor, labels, colours, title, caption, legend, columns, path: as `total_correlation_lines`.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, "method", "sampled", "mean", "rank", panel)
    methods, panels = values_of(frame, "method"), values_of(frame, panel) if panel else [None]
    colours, markers = {**method_colours(methods), **(colours or {})}, method_markers(methods)
    x, y = finite(frame["sampled"]), finite(frame["mean"])
    there = np.isfinite(x) & np.isfinite(y)
    figure, axes = study_panels(
        len(panels), columns=columns, title=title, methods=methods if legend else None, labels=labels, colours=colours,
        height=2.9, caption=count_text([int(there.sum())]) if caption is None else caption,
    )  # fmt: skip
    limits = _limits(np.concatenate([x, y]), floor)
    ranks = np.nan_to_num(finite(frame["rank"]))
    sizes = 6 + 32 * ranks / max(ranks.max(), 1)
    for place, name in zip(axes, panels, strict=True):
        mask = there if panel is None else there & np.array([each == name for each in frame[panel].tolist()])
        part = _Columns(
            method=np.array(frame["method"].tolist(), object)[mask],
            x=np.maximum(x[mask], LOWEST),
            y=np.maximum(y[mask], LOWEST),
        )
        draw_points(place, part, "x", "y", methods, colours, markers, sizes[mask])
        place.plot(limits, limits, color=GREY, linewidth=1, zorder=0)
        place.set(xscale="log", yscale="log", xlim=limits, ylim=limits)
        plain_logarithms(place.xaxis)
        plain_logarithms(place.yaxis)
        axis_titles(place, "sampled code, nats", "mean code, nats")
        heading(place, "" if name is None else label(name, labels))
    return written(figure, path)


class _Columns(dict):
    """Columns by name, with as many rows as the first."""

    def __len__(self):
        return len(next(iter(self.values())))


def plain_logarithms(axis) -> None:
    """Powers of ten as 0.001, 0.01, ...; as text they are searched, and drawn ten times as fast as formulas."""
    axis.set_major_formatter(lambda value, place: f"{value:g}" if value >= LOWEST else f"{value:.0e}")
    axis.set_minor_formatter(lambda value, place: "")


def _draw_floor(axes, floor) -> None:
    if floor is None or not np.isfinite(floor) or floor <= 0:
        return
    axes.axhline(max(floor, LOWEST), color=GREY, linewidth=1, zorder=0)
    style = {"fontsize": SMALL_SIZE - 0.5, "color": QUIET, "ha": "right", "va": "bottom"}
    axes.annotate("independent codes", (0.99, max(floor, LOWEST)), xycoords=("axes fraction", "data"), **style)


def _limits(values, floor):
    values = np.maximum(values[np.isfinite(values)], LOWEST)
    if not len(values):
        raise ValueError("frame must have numbers to draw, got none")
    ends = [values.min(), values.max(), *([max(floor, LOWEST)] if floor else [])]
    return min(ends) / 1.6, max(ends) * 1.6
