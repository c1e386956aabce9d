"""Scores and histories of some runs side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from kerasvae.checks import shown
from kerasvae.plots.checks import array_of, check_path, check_runs
from kerasvae.plots.style import COLOURS, SMALL_SIZE, TEXT, TITLE_SIZE, panels, written


def scores(runs, *, path=None) -> Figure:
    """Scores of some runs side by side: a group of bars for each score, one bar per run.

    Args:
        runs: {run name: {score name: number or `kerasvae.metrics.Score`}}; a score that a run lacks, or that is not
            finite, is left out. The axis is 0..1, and longer only if a score lies outside.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_runs(runs, "{score name: number}", Mapping)
    for run, scores_of_run in runs.items():
        for name, value in scores_of_run.items():
            if isinstance(value, str | bool):
                raise ValueError(f"runs must hold numbers or Scores, got {shown(value)} for {name!r} of {run!r}")
    names = list(dict.fromkeys(name for run in runs.values() for name in run))
    try:
        table = np.array([[float(run.get(name, math.nan)) for name in names] for run in runs.values()])
    except (TypeError, ValueError) as error:
        raise ValueError(f"runs must be {{run name: {{score name: number}}}}, got {shown(runs)}") from error
    finite = table[np.isfinite(table)]
    if not finite.size:
        raise ValueError(f"runs must hold at least one finite score, got {shown(runs)}")
    group = max(0.9, 0.46 * len(runs) + 0.3)
    figure, (axes,) = panels(1, width=max(4.5, 1.0 + group * len(names)), height=3.2, runs=runs)
    width = (1 - 0.3 / group) / len(runs)
    for run, (values, colour) in enumerate(zip(table, cycle(COLOURS), strict=False)):
        held = np.flatnonzero(np.isfinite(values))
        places = held + (run - (len(runs) - 1) / 2) * width
        bars = axes.bar(places, values[held], 0.92 * width, color=colour)
        axes.bar_label(bars, fmt="{:.2f}", padding=2, fontsize=SMALL_SIZE, color=TEXT)
    axes.set_xticks(range(len(names)), names, parse_math=False)
    least, most = min(0, finite.min()), max(1, finite.max())
    if least < 0:
        # Room for the numbers below the bars of negative scores.
        least -= 0.06 * (most - least)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(least, most * 1.04), ylabel="score")
    return written(figure, path)


def history(runs, *, path=None) -> Figure:
    """How training went: reconstruction loss, KL and scores against the step, one panel each and one line per run.

    Args:
        runs: {run name: rows as from `kerasvae.callbacks.read_history`}: dictionaries with `step` and any of
            `reconstruction_nats`, `kl_nats` and scores named `val_...`. A loss whose values spread over more than a
            factor 10 gets a logarithmic axis.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    check_runs(runs, "rows of its history", list | tuple)
    for name, rows in runs.items():
        if not all(isinstance(row, Mapping) and "step" in row for row in rows):
            raise ValueError(
                f"runs[{name!r}] must hold dictionaries with 'step', as from read_history, got {shown(rows)}"
            )
    found = dict.fromkeys(key for rows in runs.values() for row in rows for key in row)
    losses = {"reconstruction_nats": ("Reconstruction", "loss per image"), "kl_nats": ("KL", "nats per image")}
    keys = [key for key in losses if key in found]
    keys += [key for key in found if str(key).startswith("val_") and not key.endswith("loss")]
    if not keys:
        raise ValueError(f"runs must hold reconstruction_nats, kl_nats or scores named val_..., got {list(found)}")
    for name, rows in runs.items():
        for key in ("step", *keys):
            values = [row[key] for row in rows if key in row]
            if values and array_of(f"runs[{name!r}]: {key}", values, "numbers").ndim != 1:
                raise ValueError(f"runs[{name!r}]: {key} must be a number in each row, got {shown(values)}")
        if not np.isfinite(steps := [row["step"] for row in rows]).all():
            raise ValueError(f"runs[{name!r}]: step must be finite, got {shown(steps)}")
    figure, drawn = panels(len(keys), width=(4.5, 7, 9)[min(len(keys), 3) - 1], height=2.6, runs=runs)
    for axes, key in zip(drawn, keys, strict=True):
        everything = [0.0, 1.0] if key not in losses else []
        for rows, colour in zip(runs.values(), cycle(COLOURS), strict=False):
            points = np.array([(row["step"], row[key]) for row in rows if key in row]).reshape(-1, 2)
            everything += [value for value in points[:, 1] if math.isfinite(value)]
            axes.plot(*points.T, color=colour, linewidth=1.8, marker="o", markersize=3 if len(points) < 30 else 0)
        title, unit = losses.get(key, (key.removeprefix("val_"), "score"))
        axes.set_title(title, loc="left", fontsize=TITLE_SIZE)
        axes.set(xlabel="training step", ylabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if key not in losses:
            axes.set_ylim(min(everything), max(everything) * 1.02)
        elif everything and min(everything) > 0 and max(everything) > 10 * min(everything):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
    return written(figure, path)
