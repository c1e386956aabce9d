"""Mean KL of each latent, as bars and over training."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from itertools import count, cycle

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from kerasvae.checks import shown
from kerasvae.metrics.divergences import COLLAPSED, mean_divergences
from kerasvae.plots.checks import array_of, check_path, check_runs, first_images
from kerasvae.plots.style import (
    COLOURS,
    GREY,
    SMALL_SIZE,
    TEXT,
    TEXT_SIZE,
    TITLE_SIZE,
    WIDTH,
    legend,
    new_figure,
    panels,
    plain,
    written,
)

INACTIVE_BELOW = COLLAPSED
"""Mean KL in nats up to which a latent counts as inactive."""
_COLUMN = re.compile(r"kl\.z(\d+)")
# Of lines that share a colour; dashes are the capacity's.
_STYLES = ("-", (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))


def kl_bars(model_or_kl, images=None, *, path=None) -> Figure:
    """Mean KL of each latent, largest first, with the border, 0.01 nats, up to which a latent counts as inactive.

    Args:
        model_or_kl: a `kerasvae.VAE` or another objective, or the KL values themselves, (latents,), nats, at least 0.
        images: for a model: what the mean is taken over, as for all figures (`kerasvae.plots`).
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    allowed = "a model or KL (latents,), finite and at least 0"
    if hasattr(model_or_kl, "encode") and not isinstance(model_or_kl, type | str | bytes):
        kl = mean_kl(model_or_kl, images)
    else:
        kl = array_of("model_or_kl", model_or_kl, allowed)
    if kl.ndim != 1 or not kl.size or not (np.isfinite(kl) & (kl >= 0)).all():
        raise ValueError(f"model_or_kl must be {allowed}, got {shown(model_or_kl)}")
    order = ranked(kl)
    figure, (axes,) = panels(1, width=max(5.2, 1.2 + 0.5 * len(kl)), height=3.4)
    colours = [COLOURS[0] if value > INACTIVE_BELOW else GREY for value in kl[order]]
    bars = axes.bar(range(len(kl)), kl[order], 0.7, color=colours)
    if len(kl) <= 32:
        texts = [f"{value:.{3 if value < 0.1 else 2 if value < 100 else 0}f}" for value in kl[order]]
        axes.bar_label(bars, texts, padding=2, fontsize=SMALL_SIZE, color=TEXT)
    axes.axhline(INACTIVE_BELOW, color=TEXT, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xticks(range(len(kl)), [f"z{latent}" for latent in order], rotation=90 if len(kl) > 32 else 0)
    axes.set(xlim=(-0.6, len(kl) - 0.4), ylim=(0, max(kl.max(), 2 * INACTIVE_BELOW) * 1.1), ylabel="mean KL in nats")
    axes.set_xlabel(f"latent (dashed line: {INACTIVE_BELOW} nats; at or below it, grey: inactive)")
    axes.set_title(f"{(kl > INACTIVE_BELOW).sum()} of {len(kl)} latents are active", loc="left", fontsize=TITLE_SIZE)
    return written(figure, path)


def mean_kl(model, images) -> np.ndarray:
    """Mean over images of each latent's KL from the prior, in nats, (latents,)."""
    if images is None:
        raise ValueError("images must be given for a model: what the mean KL is taken over, got None")
    first_images(images, 1)
    # Rounding leaves a KL of 0 a little below.
    return np.maximum(mean_divergences(*model.encode(images, return_logvar=True)), 0.0)


def ranked(kl, order: str = "kl") -> np.ndarray:
    """The latents' numbers, largest KL first or in their own order."""
    return np.argsort(-kl, kind="stable") if order == "kl" else np.arange(len(kl))


# Over training --------------------------------------------------------------------------------------------------------


def kl_over_training(runs, *, labels=None, capacity=None, path=None) -> Figure:
    """Mean KL of each latent against the training step: one panel per run, all with one axis, and one line per latent.

    Latents that are inactive in the end (KL at most 0.01 nats) are grey, with one entry in the legend; the others stand
    there largest final KL first. A factor has the same colour in every panel.

    Args:
        runs: {run name: rows as from `kerasvae.callbacks.read_history`}: dictionaries with `step` and, at least in
            some, the mean KL in nats of every latent as `kl.z0`, `kl.z1`, ..., which `kerasvae.callbacks.LatentKL`
            logs; or pairs (steps, KL) of shapes (times,) and (times, latents).
        labels: {run name: for each latent the name of the factor that it shows, or None}, as from `factor_labels`;
            runs may be missing. Default: none, latents are called by their numbers.
        capacity: {run name: capacity C in nats that the sum of the KL is held to}, a schedule or another function of
            the step, or an array (times,); drawn dashed, with an axis of its own at the right. Default None: the rows'
            `capacity`, which AnnealedVAE logs.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.

    Source: poster "Understanding disentangling in VAE", Fig. 3, whose legend names factors by hand.
    """
    check_runs(runs, "rows of its history, or (steps, KL)", list | tuple)
    check_path(path)
    labels, given = _of_runs("labels", labels, runs), _of_runs("capacity", capacity, runs)
    curves = {name: _curves(name, run) for name, run in runs.items()}
    names = {name: _names(name, labels.get(name), kl.shape[1]) for name, (_, kl, _) in curves.items()}
    capacities = {name: _capacity(name, steps, own, given) for name, (steps, _, own) in curves.items()}
    colours = _colours(curves, names)
    columns = min(3, len(runs))
    legend_columns = 2 if columns > 1 else 4
    entries = max(len(_active(kl)) + 2 for _, kl, _ in curves.values())
    heights = [2.5, 0.08 + 0.17 * math.ceil(entries / legend_columns)]
    lines = math.ceil(len(runs) / columns)
    figure = new_figure((5.6, 8, WIDTH)[columns - 1], sum(heights) * lines)
    grid = figure.add_gridspec(2 * lines, columns, height_ratios=heights * lines)
    most = max(float(kl.max()) for _, kl, _ in curves.values()) * 1.05
    most_capacity = max((float(line.max()) for line in capacities.values() if line is not None), default=0.0) * 1.05
    for number, (name, (steps, kl, _)) in enumerate(curves.items()):
        line, column = divmod(number, columns)
        axes = plain(figure.add_subplot(grid[2 * line, column]))
        handles, entries = _draw(axes, steps, kl, names[name], colours)
        axes.set(xlim=_limits(steps), ylim=_from_zero(most))
        axes.set_xlabel("training step", fontsize=TEXT_SIZE, color=TEXT)
        axes.set_title(str(name), loc="left", fontsize=TITLE_SIZE, color=TEXT, parse_math=False)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        if column == 0:
            axes.set_ylabel("mean KL in nats", fontsize=TEXT_SIZE, color=TEXT)
        if capacities[name] is not None:
            style = {"color": TEXT, "linewidth": 1.4, "linestyle": (0, (4, 3))}
            right = axes.twinx()
            right.plot(steps, capacities[name], **style)
            right.set_ylim(_from_zero(most_capacity))
            right.spines[["top", "left", "bottom"]].set_visible(False)
            right.tick_params(labelsize=SMALL_SIZE, colors=TEXT)
            right.set_ylabel("capacity C of the sum, nats", fontsize=SMALL_SIZE, color=TEXT)
            handles, entries = [*handles, Line2D([], [], **style)], [*entries, "capacity C"]
        # Axes of its own, so that the layout keeps room for it.
        below = figure.add_subplot(grid[2 * line + 1, column], frame_on=False, xticks=[], yticks=[])
        options = {"loc": "upper center", "ncols": legend_columns, "borderaxespad": 0}
        spaces = {"handlelength": 1.6, "columnspacing": 1.0, "handletextpad": 0.5}
        legend(below, handles, entries, fontsize=SMALL_SIZE, **options, **spaces)
    return written(figure, path)


def _of_runs(argument: str, values, runs) -> dict:
    if values is None:
        return {}
    if not isinstance(values, Mapping) or not set(values) <= set(runs):
        raise ValueError(
            f"{argument} must be a dictionary whose keys are among the runs {list(runs)}, got {shown(values)}"
        )
    return dict(values)


def _curves(name, run):
    """Steps (times,), KL (times, latents), and the logged capacity (times,) or None."""
    if len(run) == 2 and not isinstance(run[0], Mapping):
        form = "steps (times,) and KL (times, latents)"
        steps, kl, capacity = *(array_of(f"runs[{name!r}]", part, form) for part in run), None
        if kl.ndim != 2 or steps.shape != kl.shape[:1] or 0 in kl.shape:
            raise ValueError(f"runs[{name!r}] must be {form}, got shapes {steps.shape}, {kl.shape}")
    else:
        rows = [row for row in run if isinstance(row, Mapping)]
        numbers = sorted({int(found[1]) for row in rows for key in row if (found := _COLUMN.fullmatch(str(key)))})
        keys = [f"kl.z{number}" for number in range(len(numbers))]
        rows = [row for row in rows if "step" in row and all(key in row for key in keys)]
        if not keys or not rows or numbers != list(range(len(numbers))):
            found = list(dict.fromkeys(key for row in run if isinstance(row, Mapping) for key in row))
            raise ValueError(
                f"runs[{name!r}] must hold rows with step and kl.z0, kl.z1, ... for every latent, or be a pair (steps, "
                f"KL of shape (times, latents)); its rows hold {found}; kerasvae.callbacks.LatentKL logs the KL"
            )
        steps = array_of(f"runs[{name!r}]: step", [row["step"] for row in rows], "a number in each row")
        kl = [[row[key] for key in keys] for row in rows]
        kl = array_of(f"runs[{name!r}]: KL", kl, "a number for each latent in each row").astype(float)
        capacity = np.array([row.get("capacity", math.nan) for row in rows], float)
        capacity = capacity if np.isfinite(capacity).any() else None
    if steps.ndim != 1 or not np.isfinite(steps).all():
        raise ValueError(f"runs[{name!r}]: step must be a finite number in each row, got {shown(steps.tolist())}")
    # Rounding in float32 leaves a KL of 0 a little below.
    if not np.isfinite(kl).all() or (kl < -1e-4).any():
        raise ValueError(f"runs[{name!r}] must hold KL that are finite and at least 0, got {kl.min()} to {kl.max()}")
    return steps, np.maximum(kl, 0.0), capacity


def _names(run, labels, latents: int) -> list[str | None]:
    if labels is None:
        return [None] * latents
    named = list(labels) if isinstance(labels, list | tuple | np.ndarray) else []
    if len(named) != latents or not all(label is None or isinstance(label, str) for label in named):
        raise ValueError(f"labels[{run!r}] must hold a name or None for each of {latents} latents, got {labels!r}")
    return named


def _capacity(name, steps, logged, given):
    if name not in given:
        return logged
    allowed = f"a function of the step that gives a number, or finite numbers ({len(steps)},)"
    try:
        value = [float(given[name](int(step))) for step in steps] if callable(given[name]) else given[name]
    except (TypeError, ValueError) as error:
        raise ValueError(f"capacity[{name!r}] must be {allowed}, got {shown(given[name])}: {error}") from error
    value = array_of(f"capacity[{name!r}]", value, allowed).astype(float)
    if value.shape != steps.shape or not np.isfinite(value).all():
        raise ValueError(f"capacity[{name!r}] must be {allowed}, got {shown(given[name])}")
    return value


def _active(kl) -> list[int]:
    """Latents that are active in the end, largest final KL first."""
    return [int(latent) for latent in ranked(kl[-1]) if kl[-1, latent] > INACTIVE_BELOW]


def _colours(curves, names) -> dict[str, str]:
    """A colour for each factor that a latent shows in some run, the same in all."""
    factors = {names[run][latent]: None for run, (_, kl, _) in curves.items() for latent in _active(kl)}
    return dict(zip([factor for factor in factors if factor is not None], cycle(COLOURS), strict=False))


def _draw(axes, steps, kl, names, colours):
    """The lines of a run; handles and entries of its legend."""
    active = _active(kl)
    inactive = [latent for latent in range(kl.shape[1]) if latent not in active]
    marker = {"marker": "o", "markersize": 3} if len(steps) == 1 else {}
    axes.plot(steps, kl[:, inactive], color=GREY, linewidth=1.2, **marker)
    # Latents without a factor take the colours that no factor has, in this panel.
    taken = {colours[names[latent]] for latent in active if names[latent]}
    free = cycle([colour for colour in COLOURS if colour not in taken] or COLOURS)
    used, handles, entries = {}, [], []
    for latent in active:
        colour = colours[names[latent]] if names[latent] else next(free)
        style = _STYLES[next(used.setdefault(colour, count())) % len(_STYLES)]
        handles += axes.plot(steps, kl[:, latent], color=colour, linestyle=style, linewidth=1.6, **marker)
        entries.append(f"{names[latent]} (z{latent})" if names[latent] else f"z{latent}")
    if inactive:
        handles.append(Line2D([], [], color=GREY, linewidth=1.2, **marker))
        entries.append(f"{len(inactive)} inactive")
    return handles, entries


def _from_zero(most) -> tuple[float, float]:
    """An axis from a little below 0, so that lines at 0 are seen whole."""
    most = max(most, 2 * INACTIVE_BELOW)
    return -0.012 * most, most


def _limits(steps) -> tuple[float, float]:
    least, most = float(steps.min()), float(steps.max())
    return (least, most) if least < most else (least - 1, most + 1)
