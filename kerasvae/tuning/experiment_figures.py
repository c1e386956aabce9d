"""The figures of the paper's experiments: 5.3 as violins, 5.4 over the spacing, 6.1 as violins of two losses."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from kerasvae import files
from kerasvae.plots.checks import check_path
from kerasvae.tuning.checks import check_results
from kerasvae.tuning.experiment_tables import FINISHED, ranges, unfinished

FRAMEWORK_NAMES = {"betavae": "β-VAE", "adagvae": "Ada-GVAE"}
LOSS_NAMES = {"mse": "MSE", "boxblur": "BoxBlurMSE"}
DATASET_NAMES = {
    "dsprites": "dSprites",
    "shapes3d": "3D Shapes",
    "cars3d": "Cars3D",
    "smallnorb": "Small NORB",
    "xyobject": "XYObject",
    "xysquares": "XYSquares",
}
METRICS = {"mig": "MIG", "dci": "DCI disentanglement"}
TITLES = {
    "adversarial": "5.3 Adversarial data",
    "overlap": "5.4 Overlap of positions",
    "augmented_loss": "6.1 Augmented loss",
}
# Okabe and Ito's colours, told apart with any colour vision.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
_TEXT = "#222222"
_MARKERS = "os^Dv<>p"
_DPI = 200


def draw_experiment(name: str, results: list[dict], path) -> Figure:
    """The figure of an experiment, of the rows that are finished.

    Every run is a point; violins have at least 3 runs, and their bars are medians. Under each stands the number of
    runs, and above all of them which rows are missing.

    Args:
        name: adversarial, overlap or augmented_loss.
        results: as from `kerasvae.tuning.experiment_results`; the field `reported` decides whether final scores are
            drawn, or the best during training.
        path: PNG file to write.

    Returns:
        The Matplotlib figure.

    Raises:
        ValueError: for another name, or when no row is finished.
        OSError: when `path` cannot be written.
    """
    if not isinstance(name, str) or name not in _DRAWN:
        raise ValueError(f"name must be {', '.join(map(repr, _DRAWN))}, got {name!r}")
    check_path(path)
    results = check_results(results, "status")
    runs = [result for result in results if result["status"] == FINISHED]
    if not runs:
        raise ValueError(f"results must hold at least one finished row, got none of {len(results)}")
    figure = _DRAWN[name](runs, results)
    first = runs[0]
    scores = {"final": "scores after training", "best": "best scores during training"}[first["reported"]]
    title = f"{TITLES[name]} ({first['scale']} scale, {first['flavour']}): {len(runs)} of {len(results)} runs, {scores}"
    height = figure.get_figheight()
    figure.suptitle(title, x=0.01, y=1 - 0.08 / height, ha="left", va="top", fontsize=11, color=_TEXT)
    missing = "; ".join(f"{status}: rows {ranges(numbers)}" for status, numbers in unfinished(results).items())
    if missing:
        figure.text(0.01, 0.06 / height, missing, fontsize=8, color="#B00020", va="bottom", parse_math=False)
    FigureCanvasAgg(figure)
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI)
    return figure


def _adversarial(runs, results):
    found = {result["dataset"] for result in results}
    places = [name for name in DATASET_NAMES if name in found]
    groups = [(DATASET_NAMES[name], {"dataset": name}) for name in places]
    series = [(label, {"framework": name}) for name, label in FRAMEWORK_NAMES.items()]
    return _violins(runs, groups, series)


def _augmented_loss(runs, results):
    groups = [(label, {"framework": name}) for name, label in FRAMEWORK_NAMES.items()]
    series = [(label, {"loss": name}) for name, label in LOSS_NAMES.items()]
    return _violins(runs, groups, series)


def _violins(runs, groups, series):
    """A panel a metric: for each group a violin for each of the series, over all β, latents and seeds."""
    betas = sorted({run["beta"] for run in runs})
    figure, panels = _panels(2, 1 if len(groups) > 3 else 2, (9, 6.6) if len(groups) > 3 else (9, 4.2))
    width = 0.8 / len(series)
    for axes, (metric, label) in zip(panels, METRICS.items(), strict=True):
        ticks, counts = [], []
        for group, (_, of_group) in enumerate(groups):
            for number, (_, of_series) in enumerate(series):
                chosen = _chosen(runs, {**of_group, **of_series})
                place = group + (number - (len(series) - 1) / 2) * width
                ticks.append(place)
                counts.append(f"n = {len(chosen)}")
                _violin(axes, place, 0.88 * width, _COLOURS[number], chosen, metric, betas)
        axes.set_xticks(ticks, counts, fontsize=8)
        axes.tick_params(axis="x", length=0)
        for group, (name, _) in enumerate(groups):
            axes.annotate(
                name, (group, 0), (0, -22), xycoords=("data", "axes fraction"), textcoords="offset points",
                ha="center", va="top", fontsize=9.5, color=_TEXT,
            )  # fmt: skip
        axes.set(xlim=(-0.5, len(groups) - 0.5), ylim=(-0.02, 1.02))
        axes.set_title(label, loc="left", fontsize=10.5, color=_TEXT)
    handles = [Patch(color=_COLOURS[number], alpha=0.6) for number in range(len(series))]
    labels = [label for label, _ in series]
    handles.append(Line2D([], [], color=_TEXT, linewidth=2.2))
    labels.append("median")
    if len(betas) <= len(_MARKERS):
        handles += [_marker(_MARKERS[number]) for number in range(len(betas))]
        labels += [f"β = {beta:g}" for beta in betas]
    _legend(figure, handles, labels)
    return figure


def _violin(axes, place, width, colour, chosen, metric, betas) -> None:
    scores = np.array([_score(run, metric) for run in chosen])
    # A density of fewer, or of equal ones, would show nothing.
    if len(scores) >= 3 and np.ptp(scores) > 1e-6:
        parts = axes.violinplot([scores], [place], widths=width, showextrema=False, bw_method=0.4)
        for body in parts["bodies"]:
            body.set(facecolor=colour, alpha=0.35, linewidth=0)
    # In five columns, as equal runs would hide one another.
    places = place + (np.arange(len(chosen)) % 5 - 2) * width / 12
    for number, beta in enumerate(betas):
        mine = np.array([run["beta"] == beta for run in chosen], bool)
        axes.scatter(
            places[mine], scores[mine], s=15, marker=_MARKERS[number % len(_MARKERS)], color=colour,
            edgecolors="white", linewidths=0.5, zorder=3,
        )  # fmt: skip
    if len(scores):
        median = float(np.median(scores))
        axes.hlines(median, place - width / 2, place + width / 2, color=_TEXT, linewidth=2.2, zorder=4)
        axes.annotate(
            f"{median:.2f}", (place + width / 2, median), (1, 2), textcoords="offset points", ha="right", va="bottom",
            fontsize=8, color=_TEXT, zorder=5, path_effects=[withStroke(linewidth=2, foreground="white")],
        )  # fmt: skip


def _overlap(runs, results):
    """A panel for each framework and metric: scores over the spacing, a line through the means of each β."""
    betas = sorted({run["beta"] for run in results})
    spacings = sorted({run["grid_spacing"] for run in results}, reverse=True)
    figure, panels = _panels(4, 2, (9, 6.6))
    lines = [(framework, metric) for framework in FRAMEWORK_NAMES for metric in METRICS]
    for axes, (framework, metric) in zip(panels, lines, strict=True):
        chosen = _chosen(runs, {"framework": framework})
        for number, beta in enumerate(betas):
            mine = [run for run in chosen if run["beta"] == beta]
            points = np.array([(run["grid_spacing"], _score(run, metric)) for run in mine]).reshape(-1, 2)
            places = np.unique(points[:, 0])[::-1]
            means = [points[points[:, 0] == place, 1].mean() for place in places]
            axes.plot(places, means, color=_COLOURS[number], linewidth=1.8)
            axes.scatter(*points.T, s=16, marker=_MARKERS[number], color=_COLOURS[number], alpha=0.7, linewidths=0)
        counts = [len(_chosen(chosen, {"grid_spacing": spacing})) for spacing in spacings]
        axes.set_xticks(spacings, [f"{spacing}\nn = {n}" for spacing, n in zip(spacings, counts, strict=True)])
        axes.set(xlim=(max(spacings) + 0.4, min(spacings) - 0.4), ylim=(-0.02, 1.02))
        axes.set_title(f"{FRAMEWORK_NAMES[framework]}: {METRICS[metric]}", loc="left", fontsize=10.5, color=_TEXT)
        axes.set_xlabel("grid spacing in pixels; positions overlap below 8", fontsize=9, color=_TEXT)
    handles = [
        Line2D([], [], color=_COLOURS[number], marker=_MARKERS[number], markersize=5) for number in range(len(betas))
    ]
    _legend(figure, handles, [f"β = {beta:g}: mean and runs" for beta in betas])
    return figure


_DRAWN = {"adversarial": _adversarial, "overlap": _overlap, "augmented_loss": _augmented_loss}


def _score(run, metric) -> float:
    return run[metric if run["reported"] == "final" else f"best_{metric}"]


def _chosen(runs, fields) -> list[dict]:
    return [run for run in runs if all(run[name] == value for name, value in fields.items())]


def _panels(count, columns, size):
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    panels = [figure.add_subplot(-(-count // columns), columns, index + 1) for index in range(count)]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8.5, colors=_TEXT)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_ylabel("score", fontsize=9, color=_TEXT)
    return figure, panels


def _marker(marker):
    return Line2D([], [], color="#777777", linestyle="none", marker=marker, markersize=5)


def _legend(figure, handles, labels) -> None:
    """A legend under the title, and the panels below it, with room at the bottom for a line of missing rows."""
    columns, height = 6, figure.get_figheight()
    lines = -(-len(labels) // columns)
    figure.legend(
        handles, labels, loc="upper left", bbox_to_anchor=(0.005, 1 - 0.3 / height), ncols=min(columns, len(labels)),
        frameon=False, fontsize=8.5, labelcolor=_TEXT, columnspacing=1.2, borderaxespad=0.0,
    )  # fmt: skip
    top = 0.42 + 0.19 * lines
    figure.get_layout_engine().set(rect=(0, 0.22 / height, 1, 1 - (top + 0.22) / height))
