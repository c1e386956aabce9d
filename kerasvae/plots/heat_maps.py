"""Heat maps: the mean code of each latent over two factors, such as an object's position."""

from __future__ import annotations

import math
import textwrap

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasvae.checks import check_choice, check_integer
from kerasvae.plots.checks import check_images_of, check_model, check_path
from kerasvae.plots.codes_over_factors import check_factors, codes_over_factors, fixed_factors, what_is_fixed
from kerasvae.plots.kl import INACTIVE_BELOW, mean_kl
from kerasvae.plots.style import (
    DIVERGING,
    GREY,
    POSTER,
    SEQUENTIAL,
    SMALL_SIZE,
    TEXT,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    new_figure,
    written,
)
from kerasvae.plots.traversals import ranked

_COLUMNS = 5


def position_heat_maps(
    model,
    data,
    factors=None,
    *,
    at=None,
    average=None,
    images=None,
    style: str = "diverging",
    order: str = "kl",
    latents: int | None = None,
    seed: int = 0,
    path=None,
) -> Figure:
    """The mean code of each latent over two factors, such as an object's position, as a map that lies like the image.

    A latent of one position alone shows parallel stripes, upright for the factor that runs to the right; an inactive
    one a flat field; one that mixes both slanted or curved bands. All maps share one range of colours. With `average` a
    second map below shows the standard deviation over the combinations of the other factors: a latent that follows the
    position alone is pale there.

    Args:
        model, data: as for all figures (`kerasvae.plots`).
        factors, at, average, seed: as for `codes_over_factors`: the factors to the right and downwards, default x and
            y or position_x and position_y; at which values, or over how many combinations, the others are.
        images: what the mean KL of each latent is taken over. Default None: 1000 random ones of `data`, by `seed`.
        style: "diverging" (default): white at 0, red below and blue above, as far on both sides, to 1 at least; or
            "poster": red for the smallest of all latents' mean codes and blue for the largest.
        order: "kl" (default): largest mean KL first; or "latent": by number.
        latents: how many, the first in this order, at least 1. Default None: all.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.

    Source: poster "Understanding disentangling in VAE", Fig. 2, right column: one shape, scale and orientation, without
    the average.
    """
    check_model(model)
    factors = check_factors(data, factors)
    combinations = len(fixed_factors(data, factors, at, average, seed))
    check_images_of(data, model)
    check_choice(style, "style", _RANGES)
    check_choice(order, "order", ("kl", "latent"))
    latents = None if latents is None else check_integer(latents, "latents", 1)
    check_path(path)
    kl = mean_kl(model, random_images(data, seed) if images is None else images)
    mean, spread = codes_over_factors(model, data, factors, at=at, average=average, seed=seed)
    chosen = ranked(kl, order)[:latents]

    columns, with_spread = min(_COLUMNS, len(chosen)), average is not None
    kinds = [(mean, *colours_and_range(mean, style), "mean code")]
    if with_spread:
        # On the scale of the mean codes, so that the two can be compared.
        most = max(1.0, float(spread.max()), float(np.abs(mean).max()))
        kinds.append((spread, SEQUENTIAL, 0.0, most, f"standard deviation over {combinations} combinations"))
    lines = math.ceil(len(chosen) / columns)
    width = 0.5 + 1.55 * columns + 0.75 * len(kinds)
    title = f"Mean code over {factors[0]} and {factors[1]}"
    if fixed := what_is_fixed(data, factors, at, average):
        title = f"{title} ({fixed})"
    title = textwrap.fill(title, int(11.5 * max(width, 4.2)))
    height = (1.72 * len(kinds) + 0.1) * lines + 0.65 + 0.2 * title.count("\n")
    figure = new_figure(min(WIDTH, max(width, 4.2)), height)
    figure.suptitle(title, x=0.01, ha="left", fontsize=TITLE_SIZE, color=TEXT, parse_math=False)
    drawn = []
    for position, latent in enumerate(chosen):
        line, column = divmod(position, columns)
        for kind, (values, colours, least, most, _) in enumerate(kinds):
            place = (line * len(kinds) + kind) * columns + column + 1
            axes = figure.add_subplot(lines * len(kinds), columns, place)
            norm = Normalize(least, most)
            axes.imshow(values[..., latent], cmap=colours, norm=norm, interpolation="nearest", aspect="auto")
            axes.set_box_aspect(1)
            words = f"z{latent}  KL {kl[latent]:.2f}" if kind == 0 else "standard deviation"
            pale = kl[latent] <= INACTIVE_BELOW or kind
            axes.set_title(words, loc="left", fontsize=TEXT_SIZE - kind, color=GREY if pale else TEXT, pad=3)
            last = position + columns >= len(chosen) and kind == len(kinds) - 1
            _label(axes, factors[0] if last else None, factors[1] if column == 0 else None)
            drawn.append(axes)
    for _, colours, least, most, label in reversed(kinds):
        shown = ScalarMappable(Normalize(least, most), colours)
        bar = figure.colorbar(shown, ax=drawn, location="right", aspect=12 * lines * len(kinds), pad=0.01)
        bar.set_label(label, fontsize=SMALL_SIZE, color=TEXT)
        bar.outline.set(edgecolor=GREY, linewidth=0.5)
        bar.ax.tick_params(labelsize=SMALL_SIZE, colors=TEXT)
    return written(figure, path)


def random_images(data, seed: int) -> np.ndarray:
    """At most 1000 images of a data set, by a seed."""
    return data.images(np.random.default_rng(seed).choice(len(data), size=min(1000, len(data)), replace=False))


def colours_and_range(values, style: str) -> tuple:
    """Colour map, least and most for maps of mean codes."""
    return _RANGES[style](np.asarray(values))


def _diverging(values) -> tuple:
    # Codes are measured against N(0, 1): those of a model that has collapsed are pale.
    most = max(1.0, float(np.abs(values).max()))
    return DIVERGING, -most, most


def _poster(values) -> tuple:
    least, most = float(values.min()), float(values.max())
    return (POSTER, least, most) if least < most else (POSTER, least - 0.5, most + 0.5)


_RANGES = {"diverging": _diverging, "poster": _poster}


def _label(axes, right: str | None, down: str | None) -> None:
    for axis, name in ((axes.xaxis, right), (axes.yaxis, down)):
        axis.set_major_locator(MaxNLocator(4, integer=True))
        axis.set_tick_params(labelsize=SMALL_SIZE - 1, colors=TEXT, length=2, pad=2)
        if name is None:
            axis.set_tick_params(labelbottom=False, labelleft=False)
        else:
            axis.set_label_text(name, fontsize=SMALL_SIZE, color=TEXT, parse_math=False)
    axes.spines[:].set(color=GREY, linewidth=0.5)
