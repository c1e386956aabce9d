"""Whether codes keep the order of two factors."""

from __future__ import annotations

import math

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from kerasvae.checks import is_integer, shown
from kerasvae.plots.checks import array_of, check_path, check_runs
from kerasvae.plots.style import QUIET, TEXT, TITLE_SIZE, panels, written


def latent_grid(runs, *, factor_sizes, path=None) -> Figure:
    """Whether codes keep the order of two factors, x and y: their grid, drawn in the plane of two latents.

    Neighbouring positions are joined, along x in blue and along y in orange, from light to dark as the other factor
    grows: a representation that keeps the order shows a sheet, one that lost it a tangle. The plane is that of the
    two latents with the largest variance over the grid, the one that follows x more to the right. Right of each
    panel's name stands Spearman's correlation, over pairs of positions, of their distance on the grid (steps in x plus
    steps in y) and in this plane: 1 for perfect order, 0 for none.

    Args:
        runs: {run name: codes (n_x · n_y, latents)}, with at least 2 latents, finite, in the order of the grid, y
            varying fastest, as `model.encode(data.images(range(len(data))))` gives them.
        factor_sizes: (n_x, n_y), each at least 2.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    sizes = tuple(factor_sizes) if isinstance(factor_sizes, list | tuple | np.ndarray) else ()
    if len(sizes) != 2 or not all(is_integer(size) and size >= 2 for size in sizes):
        raise ValueError(f"factor_sizes must be two integers, at least 2, (n_x, n_y), got {shown(factor_sizes)}")
    check_runs(runs, f"codes ({math.prod(sizes)}, latents)", object)
    columns = min(3, len(runs))
    width = 5.2 if columns == 1 else 9
    figure, drawn = panels(len(runs), width=width, height=width / columns + 0.5)
    for axes, (name, codes) in zip(drawn, runs.items(), strict=True):
        _draw_grid(axes, name, codes, sizes)
    handles = [Line2D([], [], color=colormaps[kind](0.7), linewidth=2.5) for kind in ("Blues", "Oranges")]
    labels = ["joins neighbours in x", "joins neighbours in y"]
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return written(figure, path)


def _draw_grid(axes, name, codes, sizes) -> None:
    codes = array_of(f"runs[{name!r}]", codes, f"finite codes ({math.prod(sizes)}, latents), at least 2 latents")
    if codes.ndim != 2 or len(codes) != math.prod(sizes) or codes.shape[1] < 2 or not np.isfinite(codes).all():
        raise ValueError(
            f"runs[{name!r}] must be finite codes ({math.prod(sizes)}, latents), at least 2 latents, got {codes.shape}"
        )
    widest = np.sort(np.argsort(-codes.var(axis=0), kind="stable")[:2])
    plane = codes[:, widest].astype("float64").reshape(*sizes, 2)
    # How far each latent follows x rather than y: variance of its means over y, and over x.
    follows_x = plane.mean(axis=1).var(axis=0) - plane.mean(axis=0).var(axis=0)
    if follows_x[1] > follows_x[0]:
        plane, widest = plane[..., ::-1], widest[::-1]
    # One line per value of the other factor, its colour that value's.
    along_x, along_y = plane.transpose(1, 0, 2), plane
    for lines, kind in ((along_x, "Blues"), (along_y, "Oranges")):
        shades = colormaps[kind](np.linspace(0.4, 0.95, len(lines)))
        axes.add_collection(LineCollection(lines, colors=shades, linewidths=1.6, zorder=2))
    points = plane.reshape(-1, 2)
    axes.scatter(*points.T, s=14, color=TEXT, linewidths=0.6, edgecolors="white", zorder=3)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_box_aspect(1)
    axes.grid(False)
    axes.locator_params(nbins=5)
    axes.set_title(str(name), loc="left", parse_math=False, fontsize=TITLE_SIZE)
    axes.set_title(f"order kept: {_order_kept(points, sizes):.2f}", loc="right", fontsize=9, color=QUIET)
    axes.set(xlabel=f"latent z{widest[0]} (mean)", ylabel=f"latent z{widest[1]} (mean)")


def _order_kept(points, sizes) -> float:
    """Spearman's correlation of the pairs' distances on the grid and in the plane; 0 where all points coincide."""
    grid = np.stack(np.unravel_index(np.arange(len(points)), sizes), axis=1)
    # A million pairs are plenty for two decimals.
    chosen = np.random.default_rng(0).permutation(len(points))[:1414]
    distances = pdist(grid[chosen], "cityblock"), pdist(points[chosen])
    return spearmanr(*distances).statistic if np.ptp(distances[1]) > 0 else 0.0
