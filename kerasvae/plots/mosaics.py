"""Rows of images under one another, in blocks side by side, every image pixel a whole number of screen pixels."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from kerasvae.plots.style import DPI, GREY, SMALL_SIZE, TEXT, TEXT_SIZE, TITLE_SIZE, WIDTH, new_figure, text_width

# Inches left of a block's labels, between two blocks and above a block, at the normal size of text.
_MARGIN, _BETWEEN, _TITLE, _LINE = 0.1, 0.12, 0.36, 0.18


@dataclasses.dataclass
class Maps:
    """Heat maps at the right of the last rows of a block, all in one range.

    Args:
        values: (maps, rows, columns).
        colours: a Matplotlib colour map.
        least, most: the range of the colours.
    """

    values: np.ndarray
    colours: object
    least: float
    most: float


@dataclasses.dataclass
class Block:
    """Rows of images with labels.

    Args:
        rows: (rows, columns, height, width, 3) in 0..1.
        labels: left of each row.
        remarks: right of each row. Default: none.
        quiet: which rows have grey labels. Default: none.
        name: above the block.
        header: how many of the first rows stand apart from the others.
        maps: heat maps. Default: none.
    """

    rows: np.ndarray
    labels: Sequence[str]
    remarks: Sequence[str] = ()
    quiet: Sequence[bool] = ()
    name: str = ""
    header: int = 0
    maps: Maps | None = None


def displayable(model, images, stretch: bool = False) -> np.ndarray:
    """Images in 0..1 with three channels, float32 (n, height, width, 3); `stretch` makes their largest value 1."""
    if images.dtype == np.uint8:
        images = images.astype("float32") / 255
    else:
        images = np.asarray(images, "float32") * np.float32(model.pixel_std) + np.float32(model.pixel_mean)
    images = np.clip(images, 0.0, 1.0)
    if stretch and images.size and images.max() > 0:
        images = images / images.max()
    return images[..., :3] if images.shape[-1] >= 3 else images.mean(axis=-1, keepdims=True).repeat(3, axis=-1)


def draw_blocks(blocks, title: str, values: Sequence[str] = (), xlabel: str = ""):
    """A figure of blocks, at most three in a line.

    Args:
        blocks: whose images have one shape and whose rows have one length.
        title: of the figure.
        values: what stands under each column, where it fits. Default: nothing.
        xlabel: under them, once per line of blocks. Default: nothing.

    Returns:
        The figure and, for each block, the axes of its images; those of its heat maps follow in the figure.
    """
    lines = [blocks[start : start + 3] for start in range(0, len(blocks), 3)]
    # Inches: what stands under the values is wide.
    layout = _Layout(blocks, lines, least=6.3 if values else 4.5)
    size = TEXT_SIZE * layout.scale
    names = [_wrapped(block.name, layout.name_width(block) / DPI, size, bold=True) for block in blocks]
    room = layout.width / DPI - 2 * _MARGIN * layout.scale
    xlabel = "\n".join(_wrapped(line, room, size) for line in xlabel.split("\n")) if xlabel else ""
    above = max(name.count("\n") + 1 if name else 0 for name in names) * _LINE
    below = _LINE * (bool(values) + xlabel.count("\n") + bool(xlabel)) + 0.1
    heights = [max(layout.mosaic_height(block) for block in line) for line in lines]
    title = _wrapped(title, room, TITLE_SIZE * layout.scale)
    top = layout.pixels(_TITLE + 0.2 * title.count("\n"))
    height = top + sum(heights) + len(lines) * layout.pixels(above + below)
    figure = new_figure(layout.width / DPI, height / DPI, layout=None)
    left = layout.pixels(_MARGIN) / layout.width
    figure.text(left, 1 - layout.pixels(0.08) / height, title, va="top", fontsize=TITLE_SIZE * layout.scale, color=TEXT)
    drawn, names = [], iter(names)
    for line, line_height in zip(lines, heights, strict=True):
        top, edge = top + layout.pixels(above), layout.pixels(_MARGIN)
        for block in line:
            edge += layout.left(block)
            axes = _draw_images(figure, block, edge, top, layout, values)
            drawn.append(axes)
            style = {"fontsize": size, "color": TEXT, "parse_math": False, "weight": "bold"}
            axes.set_title(next(names), loc="left", pad=4 * layout.scale, **style)
            edge += layout.mosaic_width(block) + layout.right(block)
            if block.maps is not None:
                _draw_maps(figure, block, edge, top, layout)
                edge += layout.map_width(block)
            edge += layout.pixels(_BETWEEN)
        # Once for all blocks of a line: it is wider than some of them.
        middle = (layout.pixels(_MARGIN) + layout.left(line[0]) + edge - layout.pixels(_BETWEEN)) / 2
        if len(line) == 1:
            middle = layout.pixels(_MARGIN) + layout.left(line[0]) + layout.mosaic_width(line[0]) / 2
        half = layout.pixels(_MARGIN) + text_width(xlabel, size) * DPI / 2
        middle = min(max(middle, half), layout.width - half)
        style = {"ha": "center", "va": "top", "fontsize": size, "color": TEXT, "parse_math": False}
        under = top + line_height + layout.pixels(_LINE * bool(values) + 0.03)
        figure.text(middle / layout.width, 1 - under / height, xlabel, **style)
        top += line_height + layout.pixels(below)
    return figure, drawn


def _axes(figure, left: int, top: int, width: int, height: int):
    """Axes at a place of a figure in pixels, from its left and its top."""
    across, down = figure.get_size_inches() * DPI
    return figure.add_axes((left / across, (down - top - height) / down, width / across, height / down))


class _Layout:
    """Where everything is, in pixels of the file: the largest images, and then text, that fit the width."""

    def __init__(self, blocks, lines, least: float):
        self.image_height, self.image_width = blocks[0].rows.shape[2:4]
        side = max(self.image_height, self.image_width)
        self.gap = max(1, round(side / 24))
        self.pixel, self.scale = max(1, round(160 / side)), 1.0
        # With blocks side by side, wider than it will be shown is better than images of half the size.
        most = (0.9 + 0.15 * len(lines[0])) * WIDTH * DPI
        while (found := max(map(self._line_width, lines))) > most and self.pixel > 1:
            self.pixel -= 1
        if found > WIDTH * DPI:
            # Text that is larger by as much as the figure is too wide can still be read.
            images = max(sum(self.mosaic_width(b) + self.map_width(b) for b in line) for line in lines)
            self.scale = min(2.0, images / WIDTH / DPI / max(0.1, 1 - (found - images) / WIDTH / DPI))
        self.width = max(max(map(self._line_width, lines)), self.pixels(least))

    def _line_width(self, line) -> int:
        return sum(map(self.block_width, line)) + self.pixels(_BETWEEN) * (len(line) - 1) + 2 * self.pixels(_MARGIN)

    def pixels(self, inches: float) -> int:
        return round(inches * self.scale * DPI)

    def left(self, block) -> int:
        return self.pixels(max(text_width(label, TEXT_SIZE) for label in block.labels) + 0.1)

    def right(self, block) -> int:
        return self.pixels(max((text_width(remark, TEXT_SIZE) for remark in block.remarks), default=0.0) + 0.12)

    def mosaic_width(self, block) -> int:
        return block.rows.shape[1] * (self.image_width + self.gap) * self.pixel

    def mosaic_height(self, block) -> int:
        return (len(block.rows) * (self.image_height + self.gap) + self.apart(block)) * self.pixel

    def apart(self, block) -> int:
        """Image pixels between the header and the other rows, beyond the usual gap."""
        return 2 * self.gap if block.header else 0

    def map_width(self, block) -> int:
        """Of the heat maps' column: a map is as wide as an image."""
        return self.image_width * self.pixel if block.maps is not None else 0

    def name_width(self, block) -> int:
        """Room for a block's name, which begins with its images."""
        return self.block_width(block) - self.left(block)

    def block_width(self, block) -> int:
        return self.left(block) + self.mosaic_width(block) + self.right(block) + self.map_width(block)


def _wrapped(text: str, inches: float, size: float, bold: bool = False) -> str:
    """The text in as few lines as this width allows."""
    size *= 1.15 if bold else 1.0
    lines = (textwrap.fill(text, count) for count in range(len(text), 5, -1))
    return next((line for line in lines if text_width(line, size) <= inches), textwrap.fill(text, 5))


def _draw_images(figure, block, left, top, layout, values):
    rows, gap = block.rows, layout.gap
    count, columns, height, width = rows.shape[:4]
    mosaic = np.pad(rows, ((0, 0), (0, 0), (0, gap), (0, gap), (0, 0)), constant_values=1.0)
    mosaic = mosaic.swapaxes(1, 2).reshape(count * (height + gap), columns * (width + gap), 3)
    mosaic = np.insert(mosaic, [block.header * (height + gap) - gap] * layout.apart(block), 1.0, axis=0)
    tops = np.arange(count) * (height + gap) + layout.apart(block) * (np.arange(count) >= max(block.header, 1))
    axes = _axes(figure, left, top, layout.mosaic_width(block), layout.mosaic_height(block))
    axes.imshow(mosaic, interpolation="nearest", aspect="auto")
    axes.set_yticks(tops + (height - 1) / 2, block.labels)
    axes.tick_params(length=0, labelsize=TEXT_SIZE * layout.scale, labelcolor=TEXT)
    quiet = block.quiet or [False] * count
    for label, grey in zip(axes.get_yticklabels(), quiet, strict=True):
        label.set_color(GREY if grey else TEXT)
    size = TEXT_SIZE * layout.scale
    style = {"va": "center_baseline", "fontsize": size, "transform": axes.get_yaxis_transform()}
    for row, remark, grey in zip(tops, block.remarks or [""] * count, quiet, strict=True):
        if remark:
            shift = layout.pixels(0.04) / layout.mosaic_width(block)
            axes.text(1 + shift, row + (height - 1) / 2, remark, color=GREY if grey else TEXT, **style)
    chosen = _that_fit(values, (width + gap) * layout.pixel / DPI, size)
    places = np.array(chosen, int) * (width + gap) + (width - 1) / 2
    axes.set_xticks(places, [values[column] for column in chosen])
    axes.spines[:].set_visible(False)
    return axes


def _that_fit(values, inches: float, size: float) -> list[int]:
    """Every column, or as many as there is room for under each, the first and the last among them if possible."""
    widest = max((text_width(value, size) for value in values), default=0.0) + 0.04
    last = len(values) - 1
    steps = [step for step in range(1, max(last, 1) + 1) if step * inches >= widest or step == last]
    step = next((step for step in steps if last % step == 0), 1)
    return list(range(0, len(values), step))


def _draw_maps(figure, block, left, top, layout) -> None:
    maps, pitch = block.maps, (layout.image_height + layout.gap) * layout.pixel
    height, width = layout.image_height * layout.pixel, layout.map_width(block)
    norm = Normalize(maps.least, maps.most)
    for row, values in enumerate(maps.values):
        below = (block.header + row) * pitch + layout.apart(block) * layout.pixel
        axes = _axes(figure, left, top + below, width, height)
        axes.imshow(values, cmap=maps.colours, norm=norm, interpolation="nearest", aspect="auto")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=GREY, linewidth=0.5)
    size = SMALL_SIZE * layout.scale
    if block.header:
        # Next to the header there is nothing else: room for the colours' meaning.
        bar = layout.pixels(0.08)
        axes = _axes(figure, left + width - bar, top, bar, block.header * pitch - layout.gap * layout.pixel)
        colour_bar = figure.colorbar(ScalarMappable(norm, maps.colours), cax=axes, ticklocation="left")
        ends = [maps.least, maps.most] if maps.least < maps.most else [maps.most]
        ticks = sorted({*ends, *([0.0] if maps.least < 0 < maps.most and maps.least == -maps.most else [])})
        colour_bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
        colour_bar.outline.set(edgecolor=GREY, linewidth=0.5)
        axes.tick_params(labelsize=size, length=2, colors=TEXT)
        # The ends' labels would stick out.
        for label, place in zip(axes.get_yticklabels(), np.linspace(0, 1, len(ticks)), strict=True):
            label.set_va("bottom" if place == 0 else "top" if place == 1 else "center")
