"""Theorem 1 in three figures: entangled codes, their scores, and what a VAE pays for them.

All take tidy frames of `kerasvae.analysis.study`, of `theorem_1`, `rotated_scores` and `rotated_model`.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import rankdata

from kerasvae.plots.checks import check_frame, check_path
from kerasvae.plots.study_style import axis_titles, finite, heading, label, study_panels, values_of
from kerasvae.plots.style import COLOURS, QUIET, SMALL_SIZE, TEXT, legend, new_figure, plain, written

MARKERS = "osD^vP*X"
# Of the coordinate by which points are coloured.
POINT_COLOURS = "viridis"
_QUANTITIES = {"kl": "KL to the prior", "gap": "Gap to the turned posterior", "reconstruction": "Reconstruction error",
               "negative elbo": "Negative ELBO"}  # fmt: skip


def entangled_codes(frame, prior=None, a=None, *, title=None, caption=None, path=None) -> Figure:
    """Samples before f and after it, coloured by z_1, which after it is no longer to be read off an axis.

    Args:
        frame: `scatter` of `kerasvae.analysis.study.theorem_1`.
        prior: which of its priors. Default: the first.
        a: which members of the family, a number or several, one panel each. Default: all of them.
        title, caption: above and below. Default: what is seen; n.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, "prior", "a", "z_1", "z_2", "f_1", "f_2")
    prior = _one_of(frame, "prior", prior)
    rows = frame.select(prior=prior)
    choices = values_of(rows, "a") if a is None else [_one_of(rows, "a", each) for each in np.atleast_1d(a).tolist()]
    parts = [rows.select(a=choice) for choice in choices]
    if title is None:
        title = "The same distribution, other axes"
    if caption is None:
        caption = f"{prior}; n = {len(parts[0])} samples, coloured by z₁"
    columns = min(4, len(parts) + 1)
    figure, axes = study_panels(
        len(parts) + 1, columns=columns, width=2.25 * columns, height=2.35, title=title, caption=caption
    )
    panels = [("before", parts[0]["z_1"], parts[0]["z_2"], "z", parts[0])]
    for choice, part in zip(choices, parts, strict=True):
        panels.append((f"after, a = {choice:g}", part["f_1"], part["f_2"], "f", part))
    for panel, (name, first, second, letter, part) in zip(axes, panels, strict=True):
        # By ranks: a few points far out would take half of the colours.
        panel.scatter(first, second, c=rankdata(part["z_1"]), cmap=POINT_COLOURS, s=3, linewidths=0, rasterized=True)
        heading(panel, name)
        axis_titles(panel, f"{letter}₁", f"{letter}₂")
        panel.set_aspect("equal")
        panel.grid(False)
    for panel in axes[1:]:
        panel.set(xlim=axes[0].get_xlim(), ylim=axes[0].get_ylim())
    return written(figure, path)


def scores_by_angle(frame, metrics=None, *, labels=None, title=None, caption=None, path=None) -> Figure:
    """One line per score against the angle by which codes are turned, with its interval where it has one.

    Args:
        frame: `scores` of `kerasvae.analysis.study.rotated_scores` or `rotated_model`.
        metrics: which of its scores, in this order. Default: all.
        labels: {metric: what to call it}.
        title, caption: above and below. Default: what is seen; n.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, "metric", "angle", "estimate")
    metrics = values_of(frame, "metric") if metrics is None else [_one_of(frame, "metric", each) for each in metrics]
    if not metrics:
        raise ValueError("frame must have rows to draw, got none")
    figure = new_figure(9.0, 3.6)
    axes = plain(figure.add_subplot())
    for number, metric in enumerate(metrics):
        part = frame.select(metric=metric)
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        angles, order = part["angle"], np.argsort(part["angle"])
        if "lo" in part:
            lo, hi = finite(part["lo"])[order], finite(part["hi"])[order]
            axes.fill_between(angles[order], lo, hi, where=np.isfinite(lo), color=colour, alpha=0.15, linewidth=0)
        axes.plot(angles[order], finite(part["estimate"])[order], color=colour, marker=marker, markersize=4)
    axes.set_ylim(min(0, axes.get_ylim()[0]), max(1.02, axes.get_ylim()[1]))
    _legend(figure, axes, [label(metric, labels) for metric in metrics])
    axis_titles(axes, "angle by which codes are turned, degrees", "score")
    counts = sorted(set(frame["n"].tolist())) if "n" in frame else []
    text = f"n = {counts[0]} samples, band: 95 %" if counts and counts[0] > 1 else ""
    _texts(figure, title, "Codes of the same likelihood, other scores", caption, text)
    return written(figure, path)


def elbo_by_angle(frame, quantities=None, *, title=None, caption=None, path=None) -> Figure:
    """KL, gap, reconstruction error and negative ELBO against the angle: one panel each, one line per posterior.

    Args:
        frame: `elbo` of `kerasvae.analysis.study.rotated_model`.
        quantities: which of its quantities, in this order. Default: all.
        title, caption: above and below. Default: what is seen; n.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_frame(frame, "quantity", "posterior", "angle", "rise", "rise_lo", "rise_hi", "n")
    if quantities is None:
        quantities = values_of(frame, "quantity")
    quantities = [_one_of(frame, "quantity", each) for each in quantities]
    posteriors = values_of(frame, "posterior")
    if not quantities:
        raise ValueError("frame must have rows to draw, got none")
    figure = new_figure(9.0, 2.9)
    panels = [plain(figure.add_subplot(1, len(quantities), number + 1)) for number in range(len(quantities))]
    for axes, quantity in zip(panels, quantities, strict=True):
        axes.axhline(0, color=QUIET, linewidth=0.8)
        for number, posterior in enumerate(posteriors):
            part = frame.select(quantity=quantity, posterior=posterior)
            order = np.argsort(part["angle"])
            angles, rise, lo, hi = (finite(part[name])[order] for name in ("angle", "rise", "rise_lo", "rise_hi"))
            # Other than those of scores: the first, of the full covariance, changes nothing and is black.
            colour = ("#000000", *COLOURS)[number % (len(COLOURS) + 1)]
            axes.fill_between(angles, lo, hi, where=np.isfinite(lo), color=colour, alpha=0.15, linewidth=0)
            axes.plot(angles, rise, color=colour, marker=MARKERS[number % len(MARKERS)], markersize=4)
        heading(axes, label(quantity, _QUANTITIES))
        axis_titles(axes, "angle, degrees", "change, nats per image" if axes is panels[0] else "")
    _legend(figure, panels[0], posteriors, below=True)
    _texts(figure, title, "What a diagonal posterior pays for other axes", caption,
           f"n = {int(frame['n'][0])} images, band: 95 % of the differences")  # fmt: skip
    return written(figure, path)


def _one_of(frame, name, value):
    values = values_of(frame, name)
    if not values:
        raise ValueError("frame must have rows to draw, got none")
    if value is None:
        return values[0]
    if value not in values:
        raise ValueError(f"{name} must be of {', '.join(map(repr, values))}, got {value!r}")
    return value


def _legend(figure, axes, names, below=False):
    """Names of the lines of a panel, at its right, or below all panels."""
    lines = [line for line in axes.get_lines() if line.get_marker() != "None"]
    place = {"loc": "outside lower right", "ncols": len(names)} if below else {"loc": "outside right upper"}
    legend(figure, lines, names, fontsize=SMALL_SIZE, **place)


def _texts(figure, title, default_title, caption, default_caption):
    title = default_title if title is None else title
    caption = default_caption if caption is None else caption
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=TEXT, parse_math=False)
    if caption:
        figure.supxlabel(caption, x=0.01, ha="left", fontsize=SMALL_SIZE, color=QUIET, parse_math=False)
