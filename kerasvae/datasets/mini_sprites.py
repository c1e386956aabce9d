"""MiniSprites: a small dSprites with soft edges, on which a study takes minutes without a GPU."""

from __future__ import annotations

import functools

import numpy as np

from kerasvae.datasets.dsprites_rendering import SUBPIXELS, UNIT, outline
from kerasvae.datasets.image_table import ImageTable
from kerasvae.datasets.statistics import channel_statistics

SIZE = 16
# Half the side of the largest square in pixels. It is larger than in dSprites, for the image's size:
# of so few pixels, smaller sprites would show a model too little of their shapes.
LARGEST = 3.5
SCALES = np.linspace(0.5, 1.0, 4)
CENTRES = 5.0 + 6.0 * np.arange(8) / 7.0
# Lines along which the covered part of a row of pixels is measured.
LINES = 16


class MiniSprites(ImageTable):
    """White sprites on black: a square, an ellipse or a heart, 4 scales, 8 x 8 positions; nothing to download.

    The outlines are those of dSprites; the largest square has a side of 7 pixels, and there is no orientation. The
    factors are shape (square, ellipse, heart), scale (0.5 to 1), position_x (left to right) and position_y (top to
    bottom); 768 images of 16 x 16 pixels in one channel.

    Edges are soft, so that an image changes little by little as the sprite moves, 6/7 of a pixel from one position to
    the next: a pixel is the share of its area that the sprite covers, times 255. With values between 0 and 255 a
    Bernoulli likelihood has a smallest cross-entropy above 0.

    `mean` and `std` are those of all images, in the published convention: std is the mean over images of each image's
    own unbiased standard deviation.

    Example:
        >>> data = MiniSprites()
        >>> len(data), data.image_shape, data.factor_sizes
        (768, (16, 16, 1), (3, 4, 8, 8))
    """

    def __init__(self):
        names, sizes, ones = ("shape", "scale", "position_x", "position_y"), (3, 4, 8, 8), np.ones(1)
        super().__init__(_table(), names, sizes, ones, ones)
        self.mean, self.std = (constants.copy() for constants in _channel_constants())


@functools.cache
def _table() -> np.ndarray:
    """Every image, read-only uint8 (768, 16, 16, 1), made at the first call and kept (0.2 MB)."""
    table = np.empty((3, len(SCALES), len(CENTRES), len(CENTRES), SIZE, SIZE), "uint8")
    for shape, scale in np.ndindex(table.shape[:2]):
        right, down = outline(shape) * SCALES[scale] * LARGEST / UNIT
        # On a grid of 1/256 pixel, as in dSprites: the last digits of sines do not matter.
        columns, rows = (np.rint(SUBPIXELS * (CENTRES[:, None] + axis)) / SUBPIXELS for axis in (right, down))
        for x, y in np.ndindex(table.shape[2:4]):
            table[shape, scale, x, y] = np.rint(255.0 * coverage(columns[x], rows[y], SIZE))
    table.flags.writeable = False
    return table.reshape(-1, SIZE, SIZE, 1)


def coverage(columns: np.ndarray, rows: np.ndarray, size: int, lines: int = LINES) -> np.ndarray:
    """The share of each pixel's area that a polygon covers.

    Along x it is exact; along y it is the mean over lines in the middle of equal parts of the pixel.

    Args:
        columns, rows: of the vertices in pixels from the top left corner, in turn, (vertices,); the polygon must lie on
            the canvas and not cross itself.
        size: of the canvas in pixels.
        lines: a pixel.

    Returns:
        float64 (size, size), 0 to 1, rows first.
    """
    heights = (np.arange(size * lines) + 0.5) / lines
    column, row, next_column, next_row = columns, rows, np.roll(columns, -1), np.roll(rows, -1)
    # An edge is crossed by the lines from its upper end, included, to its lower one.
    down = (row <= heights[:, None]) & (heights[:, None] < next_row)
    up = (next_row <= heights[:, None]) & (heights[:, None] < row)
    line, edge = np.nonzero(down | up)
    share = (heights[line] - row[edge]) / (next_row - row)[edge]
    meeting = column[edge] + share * (next_column - column)[edge]
    # What lies to the right of each crossing, added where the outline goes one way and taken away where it returns.
    sign = np.where(down[line, edge], 1.0, -1.0)
    right_of = sign[:, None] * np.clip(np.arange(1, size + 1) - meeting[:, None], 0.0, 1.0)
    covered = np.zeros((size, size))
    np.add.at(covered, line // lines, right_of)
    return np.abs(covered) / lines


@functools.cache
def _channel_constants() -> tuple[np.ndarray, np.ndarray]:
    table = _table()
    sizes = (len(table),)
    found = channel_statistics(ImageTable(table, ("image",), sizes, np.zeros(1), np.ones(1)), progress=False)
    return found.mean, found.std_of_images
