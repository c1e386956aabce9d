"""The picture of a study: a score against a field of the rows."""

from __future__ import annotations

import numpy as np

from kerasvae import files
from kerasvae.plots.checks import check_path
from kerasvae.tuning.checks import check_results


def draw_results(results: list[dict], path, *, x: str = "beta", y: str = "mig", lines: str = "latents") -> None:
    """Draw a metric of a study's results: a point for every row, and a line through the means of equal `lines`.

    Args:
        results: as `search` returns them; rows without the metric (failed ones) are left out.
        path: PNG file.
        x: field of the rows on the horizontal axis, numbers. Logarithmic if they are positive and span a decade.
        y: metric on the vertical axis.
        lines: field that tells one line from another; other fields, such as the seed, are averaged over.

    Raises:
        ValueError: when no result has the fields and the metric.
        OSError: when `path` cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    results = check_results(results)
    check_path(path)
    for argument, name in (("x", x), ("y", y), ("lines", lines)):
        if not isinstance(name, str):
            raise ValueError(f"{argument} must be the name of a field, got {name!r}")
    points = [result for result in results if all(name in result for name in (x, y, lines))]
    if not points:
        raise ValueError(f"results must hold rows with {x!r}, {y!r} and {lines!r}, got {len(results)} without")
    for argument, name in (("x", x), ("y", y)):
        if not all(isinstance(point[name], int | float) for point in points):
            raise ValueError(f"{argument} must be a field of numbers, got {name!r} with {points[0][name]!r}")
    figure = Figure(figsize=(6, 4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for value in sorted({point[lines] for point in points}, key=lambda value: (isinstance(value, str), value)):
        xs, ys = (np.array([point[name] for point in points if point[lines] == value], float) for name in (x, y))
        places = np.unique(xs)
        (line,) = axes.plot(places, [ys[xs == place].mean() for place in places], label=f"{lines} {value}")
        axes.plot(xs, ys, linestyle="none", marker="o", markersize=5, alpha=0.6, color=line.get_color())
    places = np.unique([point[x] for point in points])
    if places[0] > 0 and places[-1] >= 10 * places[0]:
        axes.set_xscale("log")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    axes.legend()
    with files.replacing(path) as temporary:
        figure.savefig(temporary, format="png")
