"""What figures of studies share: one colour a method in all of them, labels, panels, and a claim above with n below."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from kerasvae.plots.style import COLOURS, QUIET, SMALL_SIZE, TEXT, TEXT_SIZE, TITLE_SIZE, WIDTH, new_figure, plain

# Okabe and Ito's colours, which stay apart with any colour vision, on white and on near black alike.
METHOD_COLOURS = {
    "vae": "#8C6D31",
    "beta_vae": "#0072B2",
    "factor_vae": "#E69F00",
    "beta_tc_vae": "#009E73",
    "dip_vae_i": "#CC79A7",
    "dip_vae_ii": "#56B4E9",
    "annealed_vae": "#D55E00",
}
# Of method, strength and seed, in bars of shares.
SHARE_COLOURS = {"method": "#0072B2", "strength": "#56B4E9", "seed": "#E69F00"}
# Beside the colour, as two methods more than there are colours share one.
MARKERS = "osD^vPX"
# Text on a coloured cell; not the colours of other text, which follow the page where a figure is shown.
ON_LIGHT, ON_DARK = "#101010", "#fefefe"
PANEL_WIDTH, PANEL_HEIGHT = WIDTH / 3, 2.5


def method_colours(methods) -> dict[str, str]:
    """A colour for each method: always the same for those that are known, what is left for others, in their order."""
    if isinstance(methods, str) or not hasattr(methods, "__iter__"):
        raise ValueError(f"methods must be a list of names, got {methods!r}")
    methods = list(dict.fromkeys(str(method) for method in methods))
    taken = {METHOD_COLOURS[method] for method in methods if method in METHOD_COLOURS}
    spare = [colour for colour in dict.fromkeys([*METHOD_COLOURS.values()]) if colour not in taken] or [*COLOURS[:6]]
    others = [method for method in methods if method not in METHOD_COLOURS]
    chosen = {method: spare[number % len(spare)] for number, method in enumerate(others)}
    return {method: METHOD_COLOURS.get(method) or chosen[method] for method in methods}


def method_markers(methods) -> dict[str, str]:
    """A marker for each method, by its place."""
    methods = list(dict.fromkeys(str(method) for method in methods))
    known = list(METHOD_COLOURS)
    order = [*[name for name in known if name in methods], *[name for name in methods if name not in known]]
    return {name: MARKERS[number % len(MARKERS)] for number, name in enumerate(order)}


def label(name, labels: Mapping | None, length: int | None = None) -> str:
    """What to call a value on a page; cut to `length` letters, the last of them dots."""
    text = str((labels or {}).get(name, name))
    return text if length is None or len(text) <= length else text[: length - 1] + "…"


def values_of(frame, name) -> list:
    """The different values of a column, in order of appearance."""
    return list(dict.fromkeys(frame[name].tolist()))


def study_panels(count: int, *, columns=3, width=None, height=PANEL_HEIGHT, title="", caption="", methods=None,
                 labels=None, colours=None):  # fmt: skip
    """A figure of `count` axes, at most `columns` in a row, under a claim and a legend of methods, over a caption.

    Args:
        count: at least 1.
        columns: most panels in a row. Default 3.
        width: of the figure in inches. Default: 3 for each panel in a row.
        height: of a row of panels in inches.
        title: a line above: what the figure shows. Default: none.
        caption: below: n, and how to read it. Default: none.
        methods: those of the legend. Default: no legend.
        labels: {name: what to call it}.
        colours: {method: colour}. Default: `method_colours`.

    Returns:
        figure, list of axes.
    """
    if count < 1:
        raise ValueError("frame must have rows to draw, got none")
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    methods = list(methods or ())
    width = width or max(PANEL_WIDTH * columns, 3.4)
    across = max(2, int(width / 1.3))
    extra = 0.35 * bool(title) + 0.25 * bool(caption) + 0.22 * math.ceil(len(methods) / across)
    figure = new_figure(width, height * rows + extra)
    if title:
        # The legend stands below the title, in lines kept free for it: the layout would put one over the other.
        below = "\n" * math.ceil(len(methods) / across)
        figure.suptitle(title + below, x=0.01, ha="left", fontsize=TITLE_SIZE, color=TEXT, parse_math=False)
    if caption:
        style = {"x": 0.01, "ha": "left", "fontsize": SMALL_SIZE, "color": QUIET, "parse_math": False, "wrap": True}
        figure.supxlabel(caption, **style)
    axes = [plain(figure.add_subplot(rows, columns, number + 1)) for number in range(count)]
    if methods:
        add_method_legend(figure, methods, labels, colours, across, 0.28 if title else None)
    return figure, axes


def add_method_legend(figure, methods, labels=None, colours=None, columns=3, below=None) -> None:
    """A legend of methods above the panels, `below` inches from the upper edge where something else stands there."""
    from matplotlib.lines import Line2D

    colours, markers = colours or method_colours(methods), method_markers(methods)
    handles = [
        Line2D([], [], color=colours[method], marker=markers[method], linestyle="", markersize=6) for method in methods
    ]
    legend = figure.legend(
        handles,
        [" "] * len(handles),
        loc="outside upper left" if below is None else "upper left",
        bbox_to_anchor=None if below is None else (0, 1 - below / figure.get_figheight()),
        ncols=min(columns, len(handles)),
        frameon=False,
        fontsize=SMALL_SIZE,
        handletextpad=0.2,
        columnspacing=1.0,
    )
    # Set afterwards: Matplotlib would leave out names with a leading underscore and typeset those with dollars.
    for text, method in zip(legend.get_texts(), methods, strict=True):
        text.set(text=label(method, labels), parse_math=False, color=TEXT)


def heading(axes, text: str, note: str = "") -> None:
    """The title of a panel, to the left, and a quiet note to the right of it."""
    axes.set_title(text, loc="left", fontsize=TEXT_SIZE + 0.5, color=TEXT, parse_math=False)
    if note:
        axes.set_title(note, loc="right", fontsize=SMALL_SIZE - 0.5, color=QUIET, parse_math=False)


def axis_titles(axes, x="", y="") -> None:
    """Titles of the axes, with their units."""
    style = {"fontsize": SMALL_SIZE, "color": TEXT, "parse_math": False}
    axes.set_xlabel(x, **style)
    axes.set_ylabel(y, **style)


def set_ticks(axis, places, names, **style) -> None:
    """Names at places of an axis, none of them typeset as a formula."""
    axis.set_ticks(list(places), [str(name) for name in names], parse_math=False, color=TEXT, **style)


def count_text(counts, what="runs") -> str:
    """ "n = 90 runs", or "n = 12..30 runs" where it varies."""
    counts = [int(count) for count in counts if count is not None and np.isfinite(count)]
    if not counts:
        return ""
    low, high = min(counts), max(counts)
    return f"n = {low} {what}" if low == high else f"n = {low}..{high} {what}"


def finite(values) -> np.ndarray:
    """A column as float64, nan where it is missing or no number."""
    values = np.asarray(values)
    if values.dtype.kind in "iufb":
        return values.astype(np.float64)
    return np.array([np.nan if value is None else float(value) for value in values.tolist()], np.float64)
