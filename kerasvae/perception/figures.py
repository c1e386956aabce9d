"""Figures of perceived distances, made without a display and without global state.

Every function returns a `matplotlib.figure.Figure` and, given `path`, a file ending in .png, also writes it, whole or
not at all; a ValueError names a path with another ending, an OSError one that cannot be written. Matplotlib is imported
when a figure is drawn. A factor keeps its colour from figure to figure: it goes with its place in the data set.
"""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kerasvae import files

# Okabe and Ito's colours, distinct to any colour vision; black is for random pairs, and yellow vanishes on white.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D31")
_RANDOM, _TEXT, _GREY = "#000000", "#222222", "#666666"
_WIDTH, _DPI = 9.0, 200
_MOST_PANELS = 12
# Curves closer than by chance, at one in a thousand, are drawn as one (two-sample Kolmogorov-Smirnov test).
_KOLMOGOROV = 1.95


def cumulative_distances(results, *, path=None):
    """The cumulative proportion of perceived distances, one panel per data set: Figure 1 of the paper's supplement.

    One curve per factor, from the largest mean distance to the smallest, and one for random pairs; the further to the
    right, the more important. Curves no further apart than by chance are drawn as one that names them all.

    Args:
        results: {title of the panel: `PerceivedDistances`}, at least one.
        path: PNG file to write. Default: none.
    """
    if not isinstance(results, Mapping) or not results:
        raise ValueError(f"results must be {{title: PerceivedDistances}} with at least one, got {results!r}")
    for title, distances in results.items():
        if not hasattr(distances, "loss_name") or not hasattr(distances, "order"):
            raise ValueError(
                f"results must be {{title: PerceivedDistances}}, got {reprlib.repr(distances)} for {title!r}"
            )
    _check_path(path)
    columns = 2 if len(results) == 4 else min(3, len(results))
    lines = math.ceil(len(results) / columns)
    entries = max(len(_groups(distances)) for distances in results.values())
    figure = _figure((5.0, 7.6, _WIDTH)[columns - 1], (3.2 + 0.16 * entries) * lines)
    for number, (title, distances) in enumerate(results.items()):
        axes = figure.add_subplot(lines, columns, number + 1)
        _draw_cumulative(axes, distances, 1, label_lines=2)
        axes.set_title(title, loc="left", fontsize=10.5, color=_TEXT, parse_math=False)
        axes.set_xlabel(f"perceived distance\n{distances.loss_name}", fontsize=8.5, color=_TEXT, parse_math=False)
        if number % columns:
            axes.set_ylabel(None)
    return _written(figure, path)


def audit(result, *, path=None):
    """An `Audit` as a figure: cumulative curves, importance, perceived against ground-truth distance, and the scan.

    The panels of factors show the mean perceived distance at each ground-truth distance, and between which the middle
    half and nine tenths of the pairs lie. Next to their names stands Spearman's correlation over pairs.

    Args:
        result: an `Audit`.
        path: PNG file to write. Default: none.
    """
    if isinstance(result, type) or not hasattr(result, "distances") or not hasattr(result, "verdict"):
        raise ValueError(f"result must be an Audit, as of kerasvae.perception.audit, got {reprlib.repr(result)}")
    _check_path(path)
    distances = result.distances
    names = [*result.order[: _MOST_PANELS - 1], "random"]
    if distances["random"].ground_truth is None:
        names.remove("random")
    lines = math.ceil(len(names) / 4)
    entries = _groups(distances)
    legend_columns = 1 if max(len(", ".join(group)) for group in entries) > 24 else 2
    heights = {
        "top": max(3.1 + 0.16 * math.ceil(len(entries) / legend_columns), 0.8 + 0.2 * len(result.order)),
        "factors": 2.1 * lines,
        "scan": 0.34 * len({cell.radius for cell in result.scan}) + 1.1,
    }
    if not names:
        del heights["factors"]
    if not result.scan:
        del heights["scan"]
    figure = _figure(_WIDTH, sum(heights.values()) + 0.7)
    figure.suptitle(result.title, x=0.01, ha="left", fontsize=12.5, color=_TEXT, parse_math=False, fontweight="bold")
    # Each part lays out its own columns: labels of one must not take room from another's panels.
    parts = figure.subfigures(len(heights), 1, height_ratios=list(heights.values()), squeeze=False)[:, 0]
    parts = dict(zip(heights, parts, strict=True))
    axes = parts["top"].add_subplot(1, 2 if result.order else 1, 1)
    _draw_cumulative(axes, distances, legend_columns)
    _heading(axes, "Cumulative distances")
    if result.order:
        axes = parts["top"].add_subplot(1, 2, 2)
        _draw_importance(axes, result)
        _heading(axes, "Importance: mean ± standard deviation")
    for number, name in enumerate(names):
        axes = parts["factors"].add_subplot(lines, 4, number + 1)
        _draw_against_ground_truth(axes, distances, name)
        value = result.random_spearman if name == "random" else result.factors[name].spearman
        axes.set_title(name, loc="left", fontsize=9.5, color=_TEXT, parse_math=False, pad=15)
        words = "no Spearman" if value is None else f"Spearman {value:.2f}"
        if name != "random" and result.factors[name].constant:
            words = "constant"
        style = {"xycoords": "axes fraction", "textcoords": "offset points", "fontsize": 8, "color": _GREY}
        axes.annotate(words, (0, 1), (0, 4), **style)
        if number % 4 == 0:
            axes.set_ylabel("perceived distance", fontsize=8.5, color=_TEXT)
    for number, kind in enumerate(("spearman", "linearity", "spread") if result.scan else ()):
        _draw_scan(parts["scan"].add_subplot(1, 3, number + 1), result, kind)
    # Below everything, where constrained layout keeps room for an xlabel of the figure.
    figure.supxlabel(result.verdict, x=0.01, ha="left", fontsize=8.5, color=_GREY, parse_math=False, wrap=True)
    return _written(figure, path)


def _draw_cumulative(axes, distances, legend_columns: int, label_lines: int = 1) -> None:
    from matplotlib.transforms import ScaledTranslation

    colours = _colours(distances)
    farthest = max(row.samples.max() for row in distances.values())
    nearest = min(0.0, *(row.samples.min() for row in distances.values()))
    room = 0.04 * ((farthest - nearest) or 1.0)
    for names in _groups(distances):
        row = distances[names[0]]
        values, counts = np.unique(row.samples, return_counts=True)
        shares = np.cumsum(counts) / len(row.samples)
        mean = np.mean([distances[name].mean for name in names])
        axes.step(
            [nearest - room, *values, farthest + room],
            [0, *shares, 1],
            where="post",
            color=colours[names[0]],
            linewidth=2.2 if names == ["random"] else 1.8,
            linestyle=(0, (4, 1.5)) if names == ["random"] else "-",
            label=f"{_joined(names, len(distances) - 1)}: {mean:.4f}",
        )
    axes.set(xlim=(nearest - room, farthest + room), ylim=(-0.02, 1.02))
    axes.set_xlabel("perceived distance", fontsize=8.5, color=_TEXT)
    axes.set_ylabel("cumulative proportion", fontsize=8.5, color=_TEXT)
    axes.locator_params(axis="x", nbins=6)
    axes.grid(color="#dddddd", linewidth=0.8)
    _plain(axes)
    # As far below the axes as their labels need, whatever their height.
    below = axes.transAxes + ScaledTranslation(0, -(22 + 12 * label_lines) / 72, axes.figure.dpi_scale_trans)
    options = {"loc": "upper left", "bbox_to_anchor": (0, 0), "bbox_transform": below, "borderaxespad": 0}
    text = {"fontsize": 8, "title": "mean distance of", "title_fontsize": 8, "alignment": "left", "labelcolor": _TEXT}
    legend = axes.legend(ncols=legend_columns, frameon=False, **options, **text)
    legend.get_title().set_color(_GREY)
    for text in legend.get_texts():
        text.set_parse_math(False)


def _groups(distances) -> list[list[str]]:
    """Names of the rows, the largest mean first, those with the same distribution together."""
    groups = []
    for name in sorted(distances, key=lambda name: -distances[name].mean):
        samples = np.sort(distances[name].samples)
        bound = _KOLMOGOROV * math.sqrt(2 / len(samples))
        for names, others in groups:
            if name != "random" and names != ["random"] and _largest_gap(samples, others) <= bound:
                names.append(name)
                break
        else:
            groups.append(([name], samples))
    return [[name for name in distances if name in names] for names, _ in groups]


def _largest_gap(first: np.ndarray, second: np.ndarray) -> float:
    """Largest difference of two sorted samples' cumulative shares."""
    places = np.concatenate([first, second])
    shares = [np.searchsorted(samples, places, side="right") / len(samples) for samples in (first, second)]
    return float(np.abs(shares[0] - shares[1]).max())


def _joined(names: list[str], factors: int) -> str:
    if 3 < len(names) == factors:
        return f"each of the {factors} factors"
    return ", ".join(names) if len(names) <= 3 else f"{names[0]}, {names[1]} and {len(names) - 2} more"


def _draw_importance(axes, result) -> None:
    names, colours = result.order, _colours(result.distances)
    places = np.arange(len(names))[::-1]
    means, deviations = (np.array([getattr(result.factors[name], part) for name in names]) for part in ("mean", "std"))
    axes.barh(places, means, height=0.66, color=[colours[name] for name in names])
    # Distances are not below 0, whatever a standard deviation reaches.
    lower = np.minimum(deviations, np.maximum(means, 0))
    bars = [np.where(deviations > 0, part, math.nan) for part in (lower, deviations)]
    axes.errorbar(means, places, xerr=bars, fmt="none", ecolor=_TEXT, elinewidth=1.1, capsize=2.5)
    random = result.distances["random"].mean
    axes.axvline(random, color=_RANDOM, linewidth=1.6, linestyle=(0, (4, 1.5)))
    size = 8 * min(1, 16 / max(map(len, names)))
    axes.set_yticks(places, names, parse_math=False)
    most = max(float((means + deviations).max()), random)
    axes.set(
        xlim=(min(0.0, 1.1 * float((means - deviations)[means < 0].min(initial=0.0))), most * 1.3 or 1.0),
        ylim=(-0.6, len(names) - 0.4),
    )
    for place, name, end in zip(places, names, means + deviations, strict=True):
        words = "constant" if result.factors[name].constant else f"spread {result.factors[name].spread:.2f}"
        style = {"fontsize": 7.5, "color": _TEXT, "va": "center", "zorder": 4}
        style["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
        axes.annotate(words, (end, place), (4, 0), textcoords="offset points", **style)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel("perceived distance (dashed: random pairs)", fontsize=8.5, color=_TEXT)
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    _plain(axes)
    axes.tick_params(axis="y", labelsize=size)


def _draw_against_ground_truth(axes, distances, name: str) -> None:
    row, colour = distances[name], _colours(distances)[name]
    truth = row.ground_truth
    values, places = np.unique(truth, return_inverse=True)
    if len(values) > 50:
        # As many pairs in each, that none is drawn from a handful.
        places = np.unique(
            np.searchsorted(np.quantile(truth, np.linspace(0, 1, 21)[1:-1]), truth), return_inverse=True
        )[1]
        values = np.bincount(places, weights=truth) / np.bincount(places)
    parts = [row.samples[places == place] for place in range(len(values))]
    low, lower, upper, high = np.array([np.percentile(part, (5, 25, 75, 95)) for part in parts]).T
    if len(values) == 1:
        axes.errorbar(values, [row.mean], yerr=[[row.mean - low[0]], [high[0] - row.mean]], color=colour, capsize=4)
    axes.fill_between(values, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.fill_between(values, lower, upper, color=colour, alpha=0.32, linewidth=0)
    axes.plot(
        values, [part.mean() for part in parts], color=colour, linewidth=1.8, marker="o", markersize=3.2, clip_on=False
    )
    axes.set_ylim(min(0.0, low.min()), (high.max() * 1.12) or 1.0)
    axes.set_xlabel("L1 of factors, each in 0..1" if name == "random" else "steps", fontsize=8, color=_TEXT)
    axes.xaxis.set_major_locator(_integers(5))
    if len(values) == 1:
        axes.set_xlim(values[0] - 1, values[0] + 1)
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.locator_params(axis="y", nbins=5)
    _plain(axes, 7.5)


def _draw_scan(axes, result, kind: str) -> None:
    from matplotlib.patches import Rectangle

    radii = list(dict.fromkeys(cell.radius for cell in result.scan))
    weights = list(dict.fromkeys(cell.weight for cell in result.scan))
    colours, limits = ("YlGn", (0, 1.3)) if kind == "spread" else ("RdBu", (-1.2, 1.2))
    means = np.full((len(radii), len(weights)), math.nan)
    for cell in result.scan:
        value = getattr(cell, f"mean_{kind}")
        means[radii.index(cell.radius), weights.index(cell.weight)] = math.nan if value is None else value
    image = axes.imshow(means, cmap=colours, vmin=limits[0], vmax=limits[1], aspect="auto", origin="lower")
    for cell in result.scan:
        row, column = radii.index(cell.radius), weights.index(cell.weight)
        value, corner = means[row, column], (column - 0.5, row - 0.5)
        pale = cell.adversarial and kind != "spread"
        if pale or math.isnan(value):
            axes.add_patch(Rectangle(corner, 1, 1, facecolor="white", alpha=0.75, linewidth=0))
        dark = not pale and np.mean(image.cmap(image.norm(value))[:3]) < 0.5
        style = {"ha": "center", "va": "center", "fontsize": 7, "color": "white" if dark else _GREY if pale else _TEXT}
        words = "none" if math.isnan(value) else f"{value:.3f}" if kind == "spread" and value < 0.1 else f"{value:.2f}"
        axes.text(column, row, words, **style)
        if result.own_cell == (cell.radius, cell.weight):
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="black", linewidth=2, clip_on=False, zorder=5))
    axes.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
    axes.set_yticks(range(len(radii)), [str(radius) for radius in radii])
    axes.set_xlabel("weight of the blurred term", fontsize=8, color=_TEXT)
    if kind == "spearman":
        axes.set_ylabel("radius in pixels", fontsize=8, color=_TEXT)
    axes.tick_params(labelsize=7, colors=_TEXT, length=0)
    axes.spines[:].set_visible(False)
    titles = {"spearman": "Spearman", "linearity": "Linearity", "spread": "Spread"}
    _heading(axes, titles[kind], "framed: this loss" if kind == "spread" else "pale: constant distances")


def _colours(distances) -> dict[str, str]:
    """By place in the data set, whichever factors have rows; more factors than colours repeat them."""
    factors = [name for name in distances if name != "random"]
    return {**{name: _COLOURS[k % len(_COLOURS)] for k, name in enumerate(factors)}, "random": _RANDOM}


def _heading(axes, left: str, right: str = "") -> None:
    axes.set_title(left, loc="left", fontsize=9.5, color=_TEXT, parse_math=False)
    axes.set_title(right, loc="right", fontsize=8, color=_GREY)


def _plain(axes, size: float = 8) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=size, colors=_TEXT)
    axes.set_axisbelow(True)


def _integers(count: int):
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(count, integer=True)


def _figure(width: float, height: float):
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white", layout="constrained")


def _check_path(path) -> None:
    """Before the drawing: that a file ending in .png can be written to `path`, unless that is None."""
    if path is None:
        return
    if not isinstance(path, str | os.PathLike) or Path(path).suffix.lower() != ".png":
        raise ValueError(f"path must end in .png, got {str(path)!r}")
    if os.path.isdir(path):
        raise IsADirectoryError(f"path: {str(path)!r} is a folder, which no file replaces; remove it or name another")
    files.check_writable(path)


def _written(figure, path):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    if path is not None:
        files.write_figure(path, figure, _DPI)
    return figure
