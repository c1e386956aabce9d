"""Figures of representations and runs: Matplotlib figures made without a display and without global state.

Every function returns a `matplotlib.figure.Figure` and, given `path`, a file ending in .png, also writes it, whole or
not at all. All raise a ValueError that names the argument for another suffix or a value not allowed, and an OSError
when `path` cannot be written.

`model` is a `kerasvae.VAE` or another objective; `images` are (n, height, width, channels), n at least 1, uint8 0..255
or floating, standardised, as for `model.encode`. They are shown clipped to 0..1, uint8 ones as image/255 and floating
ones as image · `model.pixel_std` + `model.pixel_mean`; one or two channels as the grey of their mean, more as red,
green and blue of the first three.

`runs` is a dictionary with the name of each run. Its order gives the colours: the same order, the same colours.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from itertools import cycle, islice

import numpy as np
from keras import ops
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from kerasvae import files
from kerasvae.math import kl_standard_normal

INACTIVE_BELOW = 0.01
"""Mean KL in nats up to which a latent counts as inactive."""

# Okabe and Ito's colours, told apart with any colour vision; their yellow is left out, as it vanishes on white.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#8C6D31")
_GREY, _TEXT = "#999999", "#222222"
# 9 inches are the 900 px that a README shows; written twice as fine, so that text stays sharp on dense screens.
_DPI = 200


def reconstructions(model, images, *, count: int = 8, stretch: bool = False, path=None) -> Figure:
    """Images over their reconstructions from the mean code.

    Args:
        model, images: as above.
        count: how many of them, from the first, at least 1. Default 8.
        stretch: raise the contrast of the reconstructions, all alike, so that their brightest pixel is white. Default
            False.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as above.
    """
    images = _first_images(images, _at_least("count", count, 1))
    rows = np.stack([_displayable(model, images), _displayable(model, model.reconstruct(images), stretch)])
    figure, _ = _image_rows(rows, ["original", "reconstruction"], "Reconstructions from the mean code")
    return _written(figure, path)


def latent_traversals(
    model,
    images,
    *,
    columns: int = 9,
    extent: float = 2.0,
    order="kl",
    rows: int | None = None,
    stretch: bool = False,
    path=None,
) -> Figure:
    """What each latent does: a row of images in which it alone moves, the others kept at the first image's code.

    Above them stand the first image and its reconstruction. Rows are labelled with the latent's number, from 0, and
    its mean KL; inactive latents (KL at most 0.01 nats) in grey.

    Args:
        model, images: as above. The traversals start from the first; the mean KL of each latent is taken over all.
        columns: images in a row, at least 2. Default 9.
        extent: the latent takes equally spaced values from -extent to extent, greater than 0, in standard deviations of
            the prior. Default 2.
        order: "kl" (default): largest mean KL first; or "latent": by number.
        rows: how many latents, the first in this order, at least 1. Default None: at most 10.
        stretch: raise the contrast of the decoded images, all alike, so that their brightest pixel is white: what a
            model of high β decodes can be too dim to see. Default False.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as above.
    """
    _at_least("columns", columns, 2)
    if isinstance(extent, bool) or not isinstance(extent, numbers.Real) or not 0 < extent < math.inf:
        raise ValueError(f"extent must be a finite number greater than 0, got {extent!r}")
    if order not in ("kl", "latent"):
        raise ValueError(f'order must be "kl" or "latent", got {order!r}')
    rows = 10 if rows is None else _at_least("rows", rows, 1)
    first, kl = _first_images(images, 1), _mean_kl(model, images)
    code = model.encode(first)
    chosen = (np.argsort(-kl, kind="stable") if order == "kl" else np.arange(len(kl)))[:rows]
    values = np.linspace(-extent, extent, columns, dtype="float32")
    codes = np.tile(code[0], (len(chosen), columns, 1))
    for row, latent in enumerate(chosen):
        codes[row, :, latent] = values
    decoded = _displayable(model, model.decode(np.concatenate([code, *codes])), stretch)
    header = np.ones((columns, *decoded.shape[1:]), "float32")
    header[0], header[1] = _displayable(model, first)[0], decoded[0]
    moved = decoded[1:].reshape(len(chosen), *header.shape)

    shown = "" if len(chosen) == len(kl) else f", {len(chosen)} of {len(kl)}"
    title = f"Latent traversals{shown}{', largest KL first' if order == 'kl' else ''} (nats)"
    labels = ["original,\nreconstruction", *(f"z{latent}  KL {kl[latent]:.2f}" for latent in chosen)]
    figure, axes = _image_rows(np.stack([header, *moved]), labels, title, [f"{value:.3g}" for value in values + 0.0])
    for label, latent in zip(axes.get_yticklabels()[1:], chosen, strict=True):
        label.set_color(_TEXT if kl[latent] > INACTIVE_BELOW else _GREY)
    axes.set_xlabel("value of the row's latent, the others fixed", fontsize=9, color=_TEXT)
    return _written(figure, path)


def kl_bars(model_or_kl, images=None, *, path=None) -> Figure:
    """Mean KL of each latent, largest first, with the border, 0.01 nats, up to which a latent counts as inactive.

    Args:
        model_or_kl: a `kerasvae.VAE` or another objective, or the KL values themselves, (latents,), nats, at least 0.
        images: for a model: what the mean is taken over, as above.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as above.
    """
    kl = _mean_kl(model_or_kl, images) if hasattr(model_or_kl, "encode") else np.asarray(model_or_kl)
    if kl.ndim != 1 or not kl.size or kl.dtype.kind not in "iuf" or not (np.isfinite(kl) & (kl >= 0)).all():
        raise ValueError(f"model_or_kl must be a model or KL (latents,), finite and at least 0, got {model_or_kl!r}")
    order = np.argsort(-kl, kind="stable")
    figure, (axes,) = _panels(1, width=max(5.2, 1.2 + 0.5 * len(kl)), height=3.4)
    for position, value in enumerate(kl[order]):
        text = "" if len(kl) > 32 else f"{value:.{3 if value < 0.1 else 2 if value < 100 else 0}f}"
        _bar(axes, position, value, 0.7, _COLOURS[0] if value > INACTIVE_BELOW else _GREY, text)
    axes.axhline(INACTIVE_BELOW, color=_TEXT, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xticks(range(len(kl)), [f"z{latent}" for latent in order], rotation=90 if len(kl) > 32 else 0)
    axes.set(xlim=(-0.6, len(kl) - 0.4), ylim=(0, max(kl.max(), 2 * INACTIVE_BELOW) * 1.1), ylabel="mean KL in nats")
    axes.set_xlabel(f"latent (dashed line: {INACTIVE_BELOW} nats; at or below it, grey: inactive)")
    axes.set_title(f"{(kl > INACTIVE_BELOW).sum()} of {len(kl)} latents are active", loc="left", fontsize=11)
    return _written(figure, path)


def scores(runs, *, path=None) -> Figure:
    """Scores of some runs side by side: a group of bars for each score, a bar for each run.

    Args:
        runs: {run name: {score name: number or `kerasvae.metrics.Score`}}; a score that a run lacks, or that is not
            finite, is left out. The axis is 0..1, and longer only if a score lies outside.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as above.
    """
    _check_runs(runs, "{score name: number}", Mapping)
    names = list(dict.fromkeys(name for run in runs.values() for name in run))
    try:
        table = np.array([[float(run.get(name, math.nan)) for name in names] for run in runs.values()])
    except (TypeError, ValueError) as error:
        raise ValueError(f"runs must be {{run name: {{score name: number}}}}, got {runs!r}") from error
    finite = table[np.isfinite(table)]
    if not finite.size:
        raise ValueError(f"runs must hold at least one finite score, got {runs!r}")
    group = max(0.9, 0.46 * len(runs) + 0.3)
    figure, (axes,) = _panels(1, width=max(4.5, 1.0 + group * len(names)), height=3.2, runs=runs)
    width = (1 - 0.3 / group) / len(runs)
    for run, (values, colour) in enumerate(zip(table, cycle(_COLOURS), strict=False)):
        for position, value in enumerate(values):
            if math.isfinite(value):
                place = position + (run - (len(runs) - 1) / 2) * width
                _bar(axes, place, value, 0.92 * width, colour, f"{value:.2f}")
    axes.set_xticks(range(len(names)), names, parse_math=False)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(min(0, finite.min()), max(1, finite.max()) * 1.04), ylabel="score")
    return _written(figure, path)


def history(runs, *, path=None) -> Figure:
    """How training went: reconstruction loss, KL and scores against the step, a panel each and a line a run.

    Args:
        runs: {run name: rows as from `kerasvae.callbacks.read_history`}: dictionaries with `step` and any of
            `reconstruction_loss`, `kl_loss` and scores named `val_...`. A loss whose values spread over more than a
            factor 10 gets a logarithmic axis.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as above.
    """
    _check_runs(runs, "rows of its history", list | tuple)
    for name, rows in runs.items():
        if not all(isinstance(row, Mapping) and "step" in row for row in rows):
            raise ValueError(f"runs[{name!r}] must hold dictionaries with 'step', as from read_history, got {rows!r}")
    found = dict.fromkeys(key for rows in runs.values() for row in rows for key in row)
    losses = {"reconstruction_loss": ("Reconstruction", "loss per image"), "kl_loss": ("KL", "nats per image")}
    keys = [key for key in losses if key in found]
    keys += [key for key in found if key.startswith("val_") and not key.endswith("loss")]
    if not keys:
        raise ValueError(f"runs must hold reconstruction_loss, kl_loss or scores named val_..., got {list(found)}")
    figure, panels = _panels(len(keys), width=(4.5, 7, 9)[min(len(keys), 3) - 1], height=2.6, runs=runs)
    for axes, key in zip(panels, keys, strict=True):
        everything = [0.0, 1.0] if key not in losses else []
        for rows, colour in zip(runs.values(), cycle(_COLOURS), strict=False):
            points = np.array([(row["step"], row[key]) for row in rows if key in row]).reshape(-1, 2)
            everything += [value for value in points[:, 1] if math.isfinite(value)]
            axes.plot(*points.T, color=colour, linewidth=1.8, marker="o", markersize=3 if len(points) < 30 else 0)
        title, unit = losses.get(key, (key.removeprefix("val_"), "score"))
        axes.set_title(title, loc="left", fontsize=11)
        axes.set(xlabel="training step", ylabel=unit)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if key not in losses:
            axes.set_ylim(min(everything), max(everything) * 1.02)
        elif everything and min(everything) > 0 and max(everything) > 10 * min(everything):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
    return _written(figure, path)


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

    Raises: ValueError, OSError: as above.
    """
    sizes = tuple(factor_sizes) if np.ndim(factor_sizes) == 1 else ()
    if len(sizes) != 2 or any(not isinstance(size, numbers.Integral) or size < 2 for size in sizes):
        raise ValueError(f"factor_sizes must be two integers, at least 2, (n_x, n_y), got {factor_sizes!r}")
    _check_runs(runs, f"codes ({math.prod(sizes)}, latents)", object)
    columns = min(3, len(runs))
    width = 5.2 if columns == 1 else 9
    figure, panels = _panels(len(runs), width=width, height=width / columns + 0.5)
    for axes, (name, codes) in zip(panels, runs.items(), strict=True):
        _draw_grid(axes, name, codes, sizes)
    handles = [Line2D([], [], color=colormaps[kind](0.7), linewidth=2.5) for kind in ("Blues", "Oranges")]
    labels = ["joins neighbours in x", "joins neighbours in y"]
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=9)
    return _written(figure, path)


def _draw_grid(axes, name, codes, sizes) -> None:
    codes = np.asarray(codes)
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
    axes.scatter(*points.T, s=14, color=_TEXT, linewidths=0.6, edgecolors="white", zorder=3)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_box_aspect(1)
    axes.grid(False)
    axes.locator_params(nbins=5)
    axes.set_title(str(name), loc="left", parse_math=False, fontsize=11)
    axes.set_title(f"order kept: {_order_kept(points, sizes):.2f}", loc="right", fontsize=9, color="#555555")
    axes.set(xlabel=f"latent z{widest[0]} (mean)", ylabel=f"latent z{widest[1]} (mean)")


def _order_kept(points, sizes) -> float:
    """Spearman's correlation of the pairs' distances on the grid and in the plane; 0 where all points coincide."""
    grid = np.stack(np.unravel_index(np.arange(len(points)), sizes), axis=1)
    # A million pairs are plenty for two decimals.
    chosen = np.random.default_rng(0).permutation(len(points))[:1414]
    distances = pdist(grid[chosen], "cityblock"), pdist(points[chosen])
    return spearmanr(*distances).statistic if np.ptp(distances[1]) > 0 else 0.0


def _image_rows(rows, labels, title: str, values=()):
    """Figure and axes with (rows, columns, height, width, 3) in a grid; with `values` under it, the first row apart."""
    lines, columns, height, width = rows.shape[:4]
    gap = max(1, round(max(height, width) / 24))
    apart = 2 * gap if values else 0
    mosaic = np.pad(rows, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)), constant_values=1.0)
    mosaic = mosaic.swapaxes(1, 2).reshape(lines * (height + gap), columns * (width + gap), 3)
    mosaic = np.insert(mosaic, [height] * apart, 1.0, axis=0)
    tops = np.arange(lines) * (height + gap) + apart * (np.arange(lines) > 0)
    # An image pixel is a whole number of screen pixels, so that all are shown alike.
    pixel = max(1, round(160 / max(height, width))) / _DPI
    wide, high = mosaic.shape[1] * pixel, mosaic.shape[0] * pixel
    size = max(1.35 + wide, 6.3 if values else 4.5), high + (0.95 if values else 0.5)
    figure = Figure(figsize=size, facecolor="white")
    axes = figure.add_axes((1.3 / size[0], 1 - (0.4 + high) / size[1], wide / size[0], high / size[1]))
    axes.imshow(mosaic, interpolation="nearest", aspect="auto")
    axes.set_yticks(tops + (height - 1) / 2, labels)
    axes.set_xticks(np.arange(len(values)) * (width + gap) + (width - 1) / 2, values)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=9, labelcolor=_TEXT)
    figure.text(1.3 / size[0], 1 - 0.1 / size[1], title, va="top", fontsize=11, color=_TEXT)
    return figure, axes


def _panels(count: int, *, width: float, height: float, runs=()):
    """A figure with `count` axes, at most three in a row of `height` inches, under a legend of the runs."""
    columns = min(3, count)
    lines = math.ceil(count / columns)
    size = width, height * lines + 0.25 * math.ceil(len(runs) / 3)
    figure = Figure(figsize=size, facecolor="white", layout="constrained")
    panels = [figure.add_subplot(lines, columns, index + 1) for index in range(count)]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8.5, colors=_TEXT)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
    if runs:
        handles = [Patch(color=colour) for colour in islice(cycle(_COLOURS), len(runs))]
        options = {"loc": "outside upper center", "ncols": min(3, len(runs)), "frameon": False, "fontsize": 9}
        legend = figure.legend(handles, [" "] * len(runs), **options)
        # Set afterwards: Matplotlib would leave out names with a leading underscore and typeset those with dollars.
        for text, name in zip(legend.get_texts(), runs, strict=True):
            text.set(text=str(name), parse_math=False, color=_TEXT)
    return figure, panels


def _bar(axes, place, value, width, colour, text: str) -> None:
    axes.bar(place, value, width, color=colour)
    style = {"ha": "center", "va": "bottom", "fontsize": 8, "color": _TEXT}
    axes.annotate(text, (place, max(value, 0)), (0, 2), textcoords="offset points", **style)


def _check_runs(runs, form: str, kind) -> None:
    if not isinstance(runs, Mapping) or not runs or not all(isinstance(run, kind) for run in runs.values()):
        raise ValueError(f"runs must be {{run name: {form}}} with at least one run, got {runs!r}")


def _at_least(argument: str, value, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(f"{argument} must be an integer, at least {least}, got {value!r}")
    return int(value)


def _first_images(images, count: int):
    if not hasattr(images, "shape"):
        images = np.asarray(images)
    if not len(images.shape) or images.shape[0] == 0:
        raise ValueError(f"images must hold at least one image, got {images!r}")
    return ops.convert_to_numpy(images[:count])


def _mean_kl(model, images) -> np.ndarray:
    _first_images(images, 1)
    mean, logvar = model.encode(images, return_logvar=True)
    kl = kl_standard_normal(ops.convert_to_tensor(mean), ops.convert_to_tensor(logvar))
    return ops.convert_to_numpy(kl).mean(axis=0)


def _displayable(model, images, stretch: bool = False) -> np.ndarray:
    """Images in 0..1 with three channels, float32 (n, height, width, 3); `stretch` makes their largest value 1."""
    if images.dtype == np.uint8:
        images = images.astype("float32") / 255
    else:
        images = np.asarray(images, "float32") * np.float32(model.pixel_std) + np.float32(model.pixel_mean)
    images = np.clip(images, 0.0, 1.0)
    if stretch and images.size and images.max() > 0:
        images = images / images.max()
    return images[..., :3] if images.shape[-1] >= 3 else images.mean(axis=-1, keepdims=True).repeat(3, axis=-1)


def _written(figure: Figure, path) -> Figure:
    FigureCanvasAgg(figure)
    if path is not None:
        files.write_figure(path, figure, _DPI)
    return figure
