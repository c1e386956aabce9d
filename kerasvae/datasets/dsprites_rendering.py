"""The images of dSprites from its outlines: float64 up to the rounding of the vertices, integers after it."""

from __future__ import annotations

import functools

import numpy as np

# Half the side of the largest square, in pixels.
UNIT = 9.6
# A vertex lies on a grid of 1/256 pixel; a pixel's centre lies half a pixel from its edges.
SUBPIXELS, HALF_PIXEL = 256, 128
SCALES = np.linspace(0.5, 1.0, 6)
# Both ends are included: the last orientation repeats the first.
ORIENTATIONS = np.linspace(0.0, 2.0 * np.pi, 40)
CENTRES = 16.0 + 32.0 * np.arange(32) / 31.0
# The sprite at position (x, y) lies in the columns 2 + x..30 + x and the rows 2 + y..30 + y.
WINDOW, WINDOW_START = 29, 2 + np.arange(32)


@functools.cache
def sprite_rows() -> np.ndarray:
    """Every image's window as bits: read-only uint32 (3, 6, 40, 32, 32, 29), made at the first call and kept (86 MB).

    The axes are shape, scale, orientation, position x, position y and the rows of the window; bit 31 - c of a row is
    the window's column c.
    """
    table = np.empty((3, 6, 40, 32, 32, WINDOW), "uint32")
    for shape, scale, orientation in np.ndindex(table.shape[:3]):
        # Counted from the window's top left corner, so that one canvas of 29 x 29 serves all positions.
        columns, rows = sprite_vertices(shape, scale, orientation) - SUBPIXELS * WINDOW_START[:, None]
        table[shape, scale, orientation] = fill(columns, rows, WINDOW)
    table.flags.writeable = False
    return table


def outline(shape: int) -> np.ndarray:
    """Vertices of a sprite at scale 1 and orientation 0 about its pivot, float64 (2, vertices): right and down, pixels.

    Args:
        shape: 0 square, 1 ellipse, 2 heart.
    """
    if shape == 0:
        return UNIT * np.array([[-1.0, 1.0, 1.0, -1.0], [-1.0, -1.0, 1.0, 1.0]])
    if shape == 1:
        angle = 2.0 * np.pi * np.arange(100) / 100
        return UNIT * np.stack([1.33 * np.cos(angle), np.sin(angle) / 1.33])
    angle = 2.0 * np.pi * np.arange(150) / 150
    up = (13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle)) / 14.5 + 0.15
    return UNIT * np.stack([np.sin(angle) ** 3, -up])


def sprite_vertices(shape: int, scale: int, orientation: int) -> np.ndarray:
    """Vertices of a sprite at all positions on the 64 x 64 canvas, in 1/256 pixel: int64 (2, 32, vertices).

    First the columns for each position x, then the rows for each position y; the arguments are factor values.
    """
    right, down = outline(shape)
    cos, sin = np.cos(ORIENTATIONS[orientation]), np.sin(ORIENTATIONS[orientation])
    # Counter-clockwise on the screen, where y points down.
    turned = SCALES[scale] * np.stack([cos * right + sin * down, -sin * right + cos * down])
    # No coordinate comes nearer to a tie than 1e-9 pixel: the last digits of sin and cos do not matter.
    return np.rint(SUBPIXELS * (CENTRES[:, None] + turned[:, None])).astype("int64")


def fill(columns: np.ndarray, rows: np.ndarray, height: int) -> np.ndarray:
    """Fill a polygon at many places: a pixel is on when its centre is inside, with no anti-aliasing.

    A centre exactly on a left or bottom edge is on; on a right or top edge it is off.

    Args:
        columns: x of the vertices for each of m positions along x, integers (m, vertices), in 1/256 pixel.
        rows: y of the vertices for each of n positions along y, integers (n, vertices), likewise, downwards.
        height: rows of the canvas; it has at most 31 columns. All vertices must lie on it.

    Returns:
        uint32 (m, n, height): bit 31 - c of a row is its column c.
    """
    count, vertices = rows.shape
    # An edge crosses the rows whose line of centres lies in (upper end, lower end].
    following = np.roll(rows, -1, axis=1)
    first = ((np.minimum(rows, following) + HALF_PIXEL) // SUBPIXELS).ravel()
    crossed = ((np.maximum(rows, following) + HALF_PIXEL) // SUBPIXELS).ravel() - first
    edge = np.repeat(np.arange(count * vertices), crossed)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(crossed) - crossed - first, crossed)
    place = edge // vertices * height + row
    order = np.argsort(place, kind="stable")
    edge, row, place = edge[order], row[order], place[order]
    # Where each edge meets each line of centres, in pixels from the centre of column 0: a fraction of integers below
    # 2^28. Its denominator is below 2^22, so float64's quotient lies on the right side of every integer.
    fall = (following - rows).ravel()[edge].astype("float64")
    depth = (SUBPIXELS * row + HALF_PIXEL - rows.ravel()[edge]).astype("float64")
    columns, vertex = columns.astype("float64"), edge % vertices
    meeting = (columns - HALF_PIXEL)[:, vertex] * fall + (np.roll(columns, -1, axis=1) - columns)[:, vertex] * depth
    meeting /= SUBPIXELS * fall
    # Each crossing toggles all pixels from the first centre at or right of it, here as bits from the top.
    toggled = np.uint32(0xFFFFFFFF) >> np.ceil(meeting).astype("uint32")
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    canvas = np.zeros((len(columns), count * height), "uint32")
    canvas[:, place[starts]] = np.bitwise_xor.reduceat(toggled, starts, axis=1)
    return canvas.reshape(len(columns), count, height)
