"""Mean codes over a grid of two factors, such as an object's position, as arrays and as heat maps."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from rich.progress import track

from kerasvae.checks import check_choice, check_integer, shown
from kerasvae.plots.checks import check_data, check_images_of, check_model, check_path
from kerasvae.plots.kl import INACTIVE_BELOW, mean_kl, ranked
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

_PAIRS = (("x", "y"), ("position_x", "position_y"))
# Images held at once.
_CHUNK = 4096
# Maps side by side.
_COLUMNS = 5


def codes_over_factors(
    model, data, factors=None, *, at=None, average=None, seed: int = 0, progress: bool | None = None
):
    """Mean codes of the images at each value of two factors, the other factors fixed or averaged over.

    Args:
        model, data: as for all figures (`kerasvae.plots`).
        factors: names of two factors of two values or more: the one that runs along the columns, and the one that runs
            along the rows. Default None: x and y, or position_x and position_y.
        at: {name of another factor: its value, 0..size - 1}. Default None: none.
        average: over how many random combinations of the factors that `at` leaves open codes are averaged, at least
            1, or "all"; the same combinations at every place. Default None: these factors are at their middle value,
            size // 2.
        seed: of the choice of combinations. Default 0.
        progress: show it on the terminal, or not. Default None: when there is one and more than 4096 images to encode.

    Returns:
        Mean and standard deviation of the codes over the combinations (0 for a single one), both float32 (values of
        the second factor, values of the first, latents): like an image, the first factor grows to the right and the
        second downwards.

    Raises:
        ValueError: for factors, values or combinations that `data` lacks, or data that are no complete grid.

    Example:
        >>> mean, _ = codes_over_factors(model, data, at={"shape": 0})
        >>> mean.shape
        (32, 32, 10)
    """
    check_model(model)
    factors, combinations, _ = factor_grid(data, factors, at, average, seed)
    check_images_of(data, model)
    if progress is not None and not isinstance(progress, bool):
        raise ValueError(f"progress must be True, False or None, got {shown(progress)}")
    places = [data.factor_names.index(name) for name in factors]
    right, down = (data.factor_sizes[place] for place in places)
    grid = np.stack(np.meshgrid(np.arange(right), np.arange(down)), axis=-1).reshape(-1, 2)
    console = Console(stderr=True)
    if progress is None:
        progress = len(combinations) * len(grid) > _CHUNK and console.is_terminal
    at_once = max(1, _CHUNK // len(grid))
    starts = range(0, len(combinations), at_once)
    total = squares = 0.0
    first = None
    for start in track(starts, "encoding images", console=console, transient=True, disable=not progress):
        part = np.repeat(combinations[start : start + at_once], len(grid), axis=0)
        part[:, places] = np.tile(grid, (len(part) // len(grid), 1))
        codes = model.encode(data.images(data.index(part))).astype("float64").reshape(-1, len(grid), model.latents)
        # Less the first, so that the difference of two large sums does not cancel.
        first = codes[0] if first is None else first
        total, squares = total + (codes - first).sum(axis=0), squares + ((codes - first) ** 2).sum(axis=0)
    mean = total / len(combinations)
    spread = np.sqrt(np.maximum(squares / len(combinations) - mean**2, 0.0))
    return tuple(values.reshape(down, right, -1).astype("float32") for values in (first + mean, spread))


def factor_grid(data, factors, at, average, seed) -> tuple[tuple[str, str], np.ndarray, str]:
    """Check the arguments of `codes_over_factors`, and find what they stand for.

    Returns:
        The names of the two factors; combinations of the values of all factors, integer (combinations, factors), where
        those of the two are 0; and in words what the other factors are.

    Raises:
        ValueError: as `codes_over_factors`.
    """
    check_data(data, "a map of codes over two factors")
    sizes = dict(zip(data.factor_names, data.factor_sizes, strict=True))
    if factors is None:
        factors = next((pair for pair in _PAIRS if set(pair) <= set(sizes)), None)
        if factors is None:
            raise ValueError(f"factors must name two of {', '.join(sizes)}: {type(data).__name__} has no x and y")
    given, factors = factors, tuple(factors) if isinstance(factors, list | tuple) else (factors,)
    if len(factors) != 2 or factors[0] == factors[1] or not all(factor in list(sizes) for factor in factors):
        raise ValueError(f"factors must name two of {', '.join(sizes)}, got {shown(given)}")
    for name in factors:
        if sizes[name] < 2:
            raise ValueError(f"factors must have two values or more, {name} has {sizes[name]}")
    check_integer(seed, "seed", 0)
    if at is not None and not isinstance(at, Mapping):
        raise ValueError(f"at must be {{name of a factor: its value}}, got {shown(at)}")
    others, at = [name for name in sizes if name not in factors], dict(at or {})
    for name, value in at.items():
        if name not in others:
            raise ValueError(f"at must name factors other than {factors[0]} and {factors[1]}, {others}, got {name!r}")
        check_integer(value, f"at: {name}", 0, sizes[name] - 1)
    if not isinstance(average, str | None):
        check_integer(average, "average", 1)
    elif average not in (None, "all"):
        raise ValueError(f'average must be None, "all" or an integer, at least 1, got {average!r}')

    values = {name: 0 if name in factors else at.get(name, size // 2) for name, size in sizes.items()}
    combinations = np.array([list(values.values())])
    averaged = [] if average is None else [name for name in others if name not in at]
    if averaged:
        open_sizes = [sizes[name] for name in averaged]
        chosen = np.arange(math.prod(open_sizes))
        if average != "all" and average < len(chosen):
            chosen = np.sort(np.random.default_rng(seed).choice(len(chosen), size=average, replace=False))
        combinations = combinations.repeat(len(chosen), axis=0)
        for name, column in zip(averaged, np.unravel_index(chosen, open_sizes), strict=True):
            combinations[:, list(sizes).index(name)] = column
    fixed = ", ".join(f"{name} {values[name]}" for name in others if name not in averaged)
    words = [fixed, f"averaged over {', '.join(averaged)}" if averaged else ""]
    return factors, combinations, "; ".join(filter(None, words))


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
    factors, combinations, fixed = factor_grid(data, factors, at, average, seed)
    check_images_of(data, model)
    check_choice(style, "style", RANGES)
    check_choice(order, "order", ("kl", "latent"))
    latents = None if latents is None else check_integer(latents, "latents", 1)
    check_path(path)
    kl = mean_kl(model, random_images(data, seed) if images is None else images)
    mean, spread = codes_over_factors(model, data, factors, at=at, average=average, seed=seed)
    chosen = ranked(kl, order)[:latents]

    columns, with_spread = min(_COLUMNS, len(chosen)), average is not None
    kinds = [(mean, *RANGES[style](mean), "mean code")]
    if with_spread:
        # On the scale of the mean codes, so that the two can be compared.
        most = max(1.0, float(spread.max()), float(np.abs(mean).max()))
        kinds.append((spread, SEQUENTIAL, 0.0, most, f"standard deviation over {len(combinations)} combinations"))
    lines = math.ceil(len(chosen) / columns)
    width = 0.5 + 1.55 * columns + 0.75 * len(kinds)
    title = f"Mean code over {factors[0]} and {factors[1]}"
    if fixed:
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


def _diverging(values) -> tuple:
    # Codes are measured against N(0, 1): those of a model that has collapsed are pale.
    most = max(1.0, float(np.abs(values).max()))
    return DIVERGING, -most, most


def _poster(values) -> tuple:
    least, most = float(values.min()), float(values.max())
    return (POSTER, least, most) if least < most else (POSTER, least - 0.5, most + 0.5)


# Colour map, least and most for maps of mean codes, by style.
RANGES = {"diverging": _diverging, "poster": _poster}


def _label(axes, right: str | None, down: str | None) -> None:
    for axis, name in ((axes.xaxis, right), (axes.yaxis, down)):
        axis.set_major_locator(MaxNLocator(4, integer=True))
        axis.set_tick_params(labelsize=SMALL_SIZE - 1, colors=TEXT, length=2, pad=2)
        if name is None:
            axis.set_tick_params(labelbottom=False, labelleft=False)
        else:
            axis.set_label_text(name, fontsize=SMALL_SIZE, color=TEXT, parse_math=False)
    axes.spines[:].set(color=GREY, linewidth=0.5)
