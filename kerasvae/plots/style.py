"""What all figures share: colours, sizes, panels, legends, and how a figure is written."""

from __future__ import annotations

import functools
import math
from itertools import cycle, islice

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.textpath import TextPath

from kerasvae import files

# Okabe and Ito's colours, distinct with any colour vision; their yellow is left out, as it vanishes on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#8C6D31")
GREY, TEXT, QUIET, GRID = "#999999", "#222222", "#555555", "#dddddd"
# Red below 0 and blue above, distinct with any colour vision; white is 0.
DIVERGING = "RdBu"
# From 0, white, up.
SEQUENTIAL = "Purples"
# The two ends of the poster "Understanding disentangling in VAE", Fig. 2: its smallest value and its largest.
POSTER = LinearSegmentedColormap.from_list("poster", ["#ff0000", "#0000ff"])
# 9 inches are the 900 px that a README shows; written twice as fine, so that text stays sharp on dense screens.
WIDTH, DPI = 9.0, 200
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 11, 9, 8


def new_figure(width: float, height: float, layout="constrained") -> Figure:
    """An empty white figure of this size in inches."""
    return Figure(figsize=(width, height), facecolor="white", layout=layout)


def panels(count: int, *, width: float, height: float, runs=()):
    """A figure with `count` axes, at most three side by side, each `height` inches high, under a legend of the runs."""
    columns = min(3, count)
    lines = math.ceil(count / columns)
    figure = new_figure(width, height * lines + 0.25 * math.ceil(len(runs) / 3))
    axes = [plain(figure.add_subplot(lines, columns, index + 1)) for index in range(count)]
    if runs:
        handles = [Patch(color=colour) for colour in islice(cycle(COLOURS), len(runs))]
        legend(figure, handles, runs, loc="outside upper center", ncols=min(3, len(runs)), fontsize=TEXT_SIZE)
    return figure, axes


def plain(axes):
    """Axes without a frame at the top and the right, with quiet lines behind what is drawn."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8.5, colors=TEXT)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def legend(owner, handles, names, **options):
    """The legend of a figure or of axes without a frame, with names as they are."""
    drawn = owner.legend(handles, [" "] * len(handles), frameon=False, **options)
    # Set afterwards: Matplotlib would leave out names with a leading underscore and typeset those with dollars.
    for text, name in zip(drawn.get_texts(), names, strict=True):
        text.set(text=str(name), parse_math=False, color=TEXT)


@functools.lru_cache(maxsize=1024)  # a label is laid out several times
def text_width(text: str, size: float) -> float:
    """Width in inches of a text of one line or more, at `size` points."""
    # Dollars would be typeset as formulas; a letter is about as wide.
    lines = [line.replace("$", "S") for line in text.split("\n") if line.strip()]
    return max((TextPath((0, 0), line, size=size).get_extents().x1 / 72 for line in lines), default=0.0)


def written(figure: Figure, path) -> Figure:
    """The figure with a canvas that draws it, written to `path` unless that is None."""
    FigureCanvasAgg(figure)
    if path is not None:
        files.write_figure(path, figure, DPI)
    return figure
