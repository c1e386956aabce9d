"""XYObject and XYObjectShaded: the same images of one coloured square, under two choices of factors."""

from __future__ import annotations

import numpy as np
from keras import ops

from kerasvae.checks import check_integer
from kerasvae.datasets.ground_truth import GroundTruthData

# Hues in the order of the colour factor, at full intensity.
PALETTES = {
    "rainbow": ((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255)),
    "rgb": ((255, 0, 0), (0, 255, 0), (0, 0, 255)),
    "colors": (((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255), (255, 255, 255))),
    "white": ((255, 255, 255),),
    "grey": ((255,),),
}


class XYObject(GroundTruthData):
    """One square on a black image, of varying place, size and colour; rendered, nothing to download.

    The factors are x, y, scale and color: 25 · 25 · 5 · 24 = 75 000 images by default. A colour is a hue at one of
    several intensities, the darkest first, the hue varying fastest. That the intensity might be a factor of its own is
    left out on purpose: `XYObjectShaded` has the same images in the same order with that factor. Which representation
    of them is disentangled is the choice of whoever names the factors.

    Args:
        grid_spacing: pixels between neighbouring positions, at least 1. Default 2. The grid starts at the top left and
            has as many positions as the largest square fits; a smaller one stands in the middle of its place.
        square_sizes: sides of the squares in pixels, the values of scale, increasing. Default (7, 9, 11, 13, 15).
        image_size: side of the image in pixels. Default 64.
        palette: "rainbow" (default; red, yellow, green, cyan, blue, magenta), "rgb", "colors" (red, green, blue,
            yellow, cyan, magenta, white), "white" in three channels, "grey" (white in one channel), or your own hues:
            integers 0..255 of shape (hues, 1 or 3).
        intensities: number of intensities of each hue, 1 to 255; number i of n has i/n of the hue, rounded down.
            Default 4.

    `mean` and `std` are exact for these arguments in the paper's convention: std is the mean over images of each
    image's own unbiased standard deviation (0.05263 by default).

    Raises:
        ValueError: for a size that is not a positive integer, squares that are larger than the image or not increasing,
            or a palette that is unknown or holds no colours.

    Example:
        >>> data, shaded = XYObject(), XYObjectShaded()
        >>> data.factor_sizes, shaded.factor_sizes
        ((25, 25, 5, 24), (25, 25, 5, 4, 6))
        >>> (data.images([7]) == shaded.images([7])).all()
        True

    Source: positions, sizes and colours as in the code of the authors of "Overlooked Implications" (disent's
    XYObjectData with the palette "rainbow_4"); their `rgb=False` is `palette="grey"`.
    """

    def __init__(
        self,
        grid_spacing: int = 2,
        square_sizes: tuple[int, ...] = (7, 9, 11, 13, 15),
        image_size: int = 64,
        palette="rainbow",
        intensities: int = 4,
    ):
        if isinstance(square_sizes, dict | set):
            raise ValueError(f"square_sizes must be a tuple of sizes, increasing, got {square_sizes!r}")
        square_sizes = tuple(square_sizes) if np.iterable(square_sizes) else (square_sizes,)
        for argument, value in (
            ("grid_spacing", grid_spacing),
            ("image_size", image_size),
            ("intensities", intensities),
            *(("each of square_sizes", size) for size in square_sizes),
        ):
            check_integer(value, argument, 1)
        if intensities > 255:
            raise ValueError(f"intensities must be at most 255, got {intensities}")
        if not square_sizes or (np.diff(square_sizes) <= 0).any() or square_sizes[-1] > image_size:
            raise ValueError(
                f"square_sizes must be one size or more, increasing, at most image_size ({image_size}), got "
                f"{square_sizes}"
            )
        self.grid_spacing, self.image_size, self.intensities = int(grid_spacing), int(image_size), int(intensities)
        self.square_sizes = tuple(map(int, square_sizes))
        hues = _hues(palette)
        self.hues = len(hues)
        levels = np.arange(1, intensities + 1)[:, None, None]
        # uint8 (intensities · hues, channels)
        self.colors = (hues * levels // self.intensities).reshape(-1, hues.shape[1]).astype("uint8")
        self.image_shape = (self.image_size, self.image_size, hues.shape[1])
        positions = (self.image_size - self.square_sizes[-1]) // self.grid_spacing + 1
        self._set_factors((positions, positions, len(self.square_sizes)))
        # Places do not change an image's statistics, and size and colour vary independently.
        share = np.array(self.square_sizes) ** 2 / self.image_size**2
        deviation = np.sqrt(share * (1 - share) * self.image_size**2 / max(self.image_size**2 - 1, 1))
        brightness = self.colors.mean(axis=0) / 255
        self.mean, std = share.mean() * brightness, deviation.mean() * brightness
        self.std = np.where(std > 0, std, 1.0)

    def _set_factors(self, sizes: tuple[int, int, int]) -> None:
        self.factor_names, self.factor_sizes = ("x", "y", "scale", "color"), (*sizes, len(self.colors))

    def render(self, factors):
        images = np.zeros((len(factors), *self.image_shape), "uint8")
        sides = np.array(self.square_sizes)[factors[:, 2]]
        margins = (self.square_sizes[-1] - sides) // 2
        columns, rows = (self.grid_spacing * factors[:, axis] + margins for axis in (0, 1))
        colors = self.colors[factors[:, 3]]
        # A slice a square is faster than a mask over all pixels: most of an image stays black.
        for image, left, top, side, color in zip(
            images, columns.tolist(), rows.tolist(), sides.tolist(), colors, strict=True
        ):
            image[top : top + side, left : left + side] = color
        return images

    def device_table(self):
        return None

    def device_images(self, indices, table=None, draws=None):
        # Colour, scale, y and x come off the index, which is the same whether the colour is one factor or two.
        rest = ops.cast(indices, "int32")
        colors = ops.take(ops.convert_to_tensor(self.colors), rest % len(self.colors), axis=0)
        rest = rest // len(self.colors)
        sides = ops.take(ops.convert_to_tensor(np.array(self.square_sizes, "int32")), rest % len(self.square_sizes))
        rest, positions = rest // len(self.square_sizes), self.factor_sizes[0]
        pixels, masks = ops.arange(self.image_size, dtype="int32"), []
        for position in (rest % positions, rest // positions):
            first_pixels = (self.grid_spacing * position + (self.square_sizes[-1] - sides) // 2)[:, None]
            masks.append(ops.logical_and(pixels >= first_pixels, pixels < first_pixels + sides[:, None]))
        square = ops.logical_and(masks[0][:, :, None], masks[1][:, None, :])
        return ops.cast(square, "uint8")[..., None] * colors[:, None, None, :]


class XYObjectShaded(XYObject):
    """The images of `XYObject` in the same order, with the colour as two factors: intensity and hue.

    The factors are x, y, scale, intensity and color: 25 · 25 · 5 · 4 · 6 by default. Arguments, constants, errors and
    source as for `XYObject`.
    """

    def _set_factors(self, sizes):
        self.factor_names = ("x", "y", "scale", "intensity", "color")
        self.factor_sizes = (*sizes, self.intensities, self.hues)

    def render(self, factors):
        colors = factors[:, 3] * self.hues + factors[:, 4]
        return super().render(np.column_stack([factors[:, :3], colors]))


def _hues(palette) -> np.ndarray:
    """The hues of a palette, integers (hues, channels); ValueError for what is none."""
    if isinstance(palette, str):
        if palette not in PALETTES:
            raise ValueError(f"palette must be one of {', '.join(map(repr, PALETTES))} or an array, got {palette!r}")
        return np.array(PALETTES[palette])
    try:
        hues = np.asarray(palette)
    except ValueError:
        hues = np.empty(0)
    if hues.ndim != 2 or hues.shape[1] not in (1, 3) or len(hues) == 0 or hues.dtype.kind not in "iu":
        raise ValueError(f"palette must be a name or integers of shape (hues, 1 or 3), got {palette!r}")
    if hues.min() < 0 or hues.max() > 255:
        raise ValueError(f"palette must hold values 0..255, got {hues.min()}..{hues.max()}")
    return hues.astype("int64")
