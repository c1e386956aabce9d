"""XYSquares: the data set on which pixel-wise losses cannot see distance."""

from __future__ import annotations

import functools
import itertools

import numpy as np
from keras import ops

from kerasvae.checks import check_flag, check_integer
from kerasvae.datasets.ground_truth import GroundTruthData


class XYSquares(GroundTruthData):
    """Squares on a black image, each moving over its own grid of x and y positions; rendered, nothing to download.

    At a grid spacing of at least the square's side no two positions of a square overlap, so that the pixel-wise
    distance of any two is the same, however far apart they are: the paper's adversarial data set. Smaller spacings give
    it back some order.

    Args:
        grid_spacing: pixels between neighbouring positions, at least 1. Default 8; the paper varies it from 8 to 1.
        grid_size: positions along each axis, at least 1; None for as many as fit. Default 8.
        square_size: side of a square in pixels. Default 8.
        image_size: side of the image in pixels. Default 64.
        num_squares: 1 to 3. Default 3.
        rgb: each square in a colour channel of its own (red, green, blue; three channels even for fewer squares), or
            all white in one channel, where they may cover each other. Default True.

    The factors are x_R, y_R, x_G, y_G, x_B, y_B (as many as there are squares), x before y; 8⁶ images by default. The
    grid is centred, rounded towards the top left. `mean` and `std` are exact for these arguments in the paper's
    convention: std is the mean over images of each image's own unbiased standard deviation (0.12403 by default).

    Raises:
        ValueError: for a size that is not a positive integer, a square larger than the image, or a grid that does not
            fit.

    Example:
        >>> data = XYSquares()
        >>> len(data), data.image_shape, data.images([0]).sum() // 255
        (262144, (64, 64, 3), 192)

    Source: "Overlooked Implications", section 5; positions as in the authors' code.
    """

    def __init__(
        self,
        grid_spacing: int = 8,
        grid_size: int | None = 8,
        square_size: int = 8,
        image_size: int = 64,
        num_squares: int = 3,
        rgb: bool = True,
    ):
        sizes = {
            "grid_spacing": grid_spacing,
            "square_size": square_size,
            "image_size": image_size,
            "num_squares": num_squares,
            **({} if grid_size is None else {"grid_size": grid_size}),
        }
        for argument, value in sizes.items():
            check_integer(value, argument, 1)
        check_flag(rgb, "rgb")
        if num_squares > 3:
            raise ValueError(f"num_squares must be 1, 2 or 3, got {num_squares}")
        if square_size > image_size:
            raise ValueError(f"square_size must be at most image_size ({image_size}), got {square_size}")
        most = (image_size - square_size) // grid_spacing + 1
        grid_size = most if grid_size is None else int(grid_size)
        if grid_size > most:
            raise ValueError(
                f"grid_size must be at most {most}: no more squares of {square_size} pixels fit {image_size} pixels at "
                f"a grid_spacing of {grid_spacing}; got {grid_size}"
            )
        self.grid_spacing, self.grid_size, self.square_size = int(grid_spacing), grid_size, int(square_size)
        self.image_size, self.num_squares, self.rgb = int(image_size), int(num_squares), bool(rgb)
        self.factor_names = tuple(f"{axis}_{colour}" for colour in "RGB"[:num_squares] for axis in "xy")
        self.factor_sizes = (grid_size,) * (2 * self.num_squares)
        self.image_shape = (self.image_size, self.image_size, 3 if rgb else 1)
        extent = self.square_size + (grid_size - 1) * self.grid_spacing
        self.offset = (self.image_size - extent) // 2

    def render(self, factors):
        images = np.zeros((len(factors), *self.image_shape), "uint8")
        flat, (_, width, channels) = images.reshape(-1), self.image_shape
        first_pixels = np.arange(len(factors)) * (self.image_size**2 * channels)
        side = np.arange(self.square_size)
        # A square covers few pixels of the image: writing just these is several times faster than masking all.
        for square in range(self.num_squares):
            columns, rows = (self.offset + self.grid_spacing * factors[:, 2 * square + axis] for axis in (0, 1))
            pixels = (rows[:, None, None] + side[:, None]) * width + columns[:, None, None] + side
            flat[first_pixels[:, None, None] + pixels * channels + (square if self.rgb else 0)] = 255
        return images

    def device_table(self):
        return None

    def device_images(self, indices, table=None, draws=None):
        pixels = ops.arange(self.image_size, dtype="int32")
        channels, rest = [], ops.cast(indices, "int32")
        for _ in range(self.num_squares):
            masks = []
            # The last factor varies fastest: the squares come off the index from blue to red, y before x.
            for _ in range(2):
                first_pixel = self.offset + self.grid_spacing * (rest % self.grid_size)[:, None]
                masks.append(ops.logical_and(pixels >= first_pixel, pixels < first_pixel + self.square_size))
                rest = rest // self.grid_size
            channels.append(ops.logical_and(masks[0][:, :, None], masks[1][:, None, :]))
        if self.rgb:
            channels = channels[::-1] + [ops.zeros_like(channels[0])] * (3 - self.num_squares)
        else:
            channels = [functools.reduce(ops.logical_or, channels)]
        return ops.cast(ops.stack(channels, axis=-1), "uint8") * ops.cast(255, "uint8")

    @property
    def mean(self):
        return self._channel_constants[0].copy()

    @property
    def std(self):
        return self._channel_constants[1].copy()

    @functools.cached_property
    def _channel_constants(self) -> tuple[np.ndarray, np.ndarray]:
        pixels = self.image_size**2
        squares = 1 if self.rgb else self.num_squares
        areas, counts = self._covered_areas(squares)
        share = areas / pixels
        deviation = np.sqrt(share * (1 - share) * pixels / max(pixels - 1, 1))
        mean, std = np.average(share, weights=counts), np.average(deviation, weights=counts)
        if not self.rgb:
            return np.array([mean]), np.array([std if std > 0 else 1.0])
        used = np.arange(3) < self.num_squares
        return np.where(used, mean, 0.0), np.where(used & (std > 0), std, 1.0)

    def _covered_areas(self, squares: int) -> tuple[np.ndarray, np.ndarray]:
        """Areas that the union of some squares takes over all of their positions, and how often each occurs."""
        groups = [group for size in range(1, squares + 1) for group in itertools.combinations(range(squares), size)]
        positions = np.stack(np.meshgrid(*[np.arange(self.grid_size)] * squares), -1).reshape(-1, squares)
        # Along one axis, the overlap of a group is what its outermost two leave; x and y take the same values.
        spread = np.stack([np.ptp(positions[:, group], axis=1) for group in groups], axis=1)
        overlap, counts = np.unique(
            np.maximum(self.square_size - self.grid_spacing * spread, 0), axis=0, return_counts=True
        )
        signs = np.array([(-1) ** (len(group) + 1) for group in groups])
        areas = np.einsum("ag,bg,g->ab", overlap, overlap, signs)
        return areas.ravel().astype("float64"), np.outer(counts, counts).ravel().astype("float64")
