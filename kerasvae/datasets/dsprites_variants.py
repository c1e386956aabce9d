"""dSprites with random parts that no factor determines: a coloured sprite, a noisy background, a piece of a painting.

From "Challenging Common Assumptions" (Locatello et al. 2019). There the images are floats, drawn at each use; here
they are rounded to uint8 and are functions of (seed, draw), the same on every platform.
"""

from __future__ import annotations

import functools
import os

import numpy as np
from keras import ops

from kerasvae import random_numbers
from kerasvae.datasets.dsprites import SIZE, DSprites
from kerasvae.datasets.ground_truth import GroundTruthData
from kerasvae.datasets.random_parts import check_draws, check_seed, uniform
from kerasvae.files import why_no_file
from kerasvae.image_files import decoded, opened

# Streams of the hash, each for one random part; large, to stay clear of those of the models' latent noise.
_COLOUR, _NOISE, _CROP, _TINT = (1_000_000 + number for number in range(4))
# Images composed at once: few enough for the processor's cache.
_CHUNK = 16
SCREAM_ADDRESS = "https://upload.wikimedia.org/wikipedia/commons/f/f4/The_Scream.jpg"
# Width and height in pixels that the painting is shrunk to fit.
_SCREAM_FITS = (350, 274)


class _RandomDSprites(GroundTruthData):
    """What the variants share: the factors of dSprites, three channels, and `compose` for the random parts."""

    factor_names, factor_sizes = DSprites.factor_names, DSprites.factor_sizes
    image_shape = (SIZE, SIZE, 3)
    random = True

    def __init__(self, source: str = "rendered", seed: int = 0, data_dir=None, manual_dir=None):
        self.seed = check_seed(seed)
        self.sprites = DSprites(source, data_dir, manual_dir)

    def render(self, factors, draws=None):
        indices = self.index(factors)
        draws = check_draws(indices if draws is None else draws, len(indices))
        images = np.empty((len(indices), *self.image_shape), "uint8")
        for start in range(0, len(indices), _CHUNK):
            part = slice(start, start + _CHUNK)
            images[part] = self.compose(self._rows(indices[part]), draws[part]).reshape(-1, *self.image_shape)
        return images

    def _rows(self, indices: np.ndarray) -> np.ndarray:
        # A pixel's three channels side by side: NumPy is slow along a last axis of 3.
        return np.repeat(self.sprites.images(indices), 3, axis=-1).reshape(-1, SIZE, SIZE * 3)

    def compose(self, sprites: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """Images of sprites, uint8 0 or 255 (n, 64, 192), and checked draws, int64 (n,): uint8 of the sprites' shape.

        What is random must be one product of `uniform` and a constant, then rounded: IEEE 754 fixes that to the bit,
        while a sum as well may be contracted by a compiler.
        """
        raise NotImplementedError(f"{type(self).__name__} must define `compose`")

    def device_table(self):
        return {"sprites": self.sprites.device_table()}

    def device_images(self, indices, table, draws=None):
        sprites = self.sprites.device_images(indices, table["sprites"])
        draws = ops.cast(indices if draws is None else draws, "int32")
        return self.compose_on_device(sprites, draws[:, None], table)

    def compose_on_device(self, sprites, draws, table):
        """`compose` by `keras.ops`, to the same bits: uint8 (n, 64, 64, 1) and int32 (n, 1) to uint8 (n, 64, 64, 3)."""
        raise NotImplementedError(f"{type(self).__name__} must define `compose_on_device`")

    def _uniform_on_device(self, draws, count, stream):
        return random_numbers.uniform(self.seed, draws, ops.arange(count, dtype="int32"), stream)


class ColorDSprites(_RandomDSprites):
    """dSprites in a colour: each image's sprite has one random colour, red, green and blue uniform in 0.5..1.

    Args:
        source, data_dir, manual_dir: as for `DSprites`.
        seed: an integer in 0..2³¹ - 1; with the draw it determines the colour. Default 0.

    Factors and sprites are those of `DSprites`; the images have three channels, with values 0 and 128..255. `mean` and
    `std` are expectations over the colours.

    Raises:
        ValueError, OSError: as for `DSprites`, and ValueError for another seed.

    Source: Locatello et al. 2019; ranges as in the authors' code.
    """

    def __init__(self, source: str = "rendered", seed: int = 0, data_dir=None, manual_dir=None):
        super().__init__(source, seed, data_dir, manual_dir)
        # 128..254 are equally likely and 255, the end that is rounded to, half as much.
        brightness = (np.arange(128, 255).sum() * 2 + 255) / 255 / 255
        self.mean, self.std = np.tile(brightness * self.sprites.mean, 3), np.tile(brightness * self.sprites.std, 3)

    def compose(self, sprites, draws):
        colours = uniform(self.seed, draws, np.arange(3), _COLOUR) * np.float32(127.5)
        # 127.5 + 127.5 u, rounded to the nearest.
        colours = np.floor(colours).astype("uint8") + np.uint8(128)
        return sprites & np.tile(colours, SIZE)[:, None]

    def compose_on_device(self, sprites, draws, table):
        colours = ops.cast(ops.floor(self._uniform_on_device(draws, 3, _COLOUR) * 127.5), "uint8") + 128
        return ops.bitwise_and(sprites, colours[:, None, None, :])


class NoisyDSprites(_RandomDSprites):
    """dSprites on noise: every channel of every pixel outside the sprite is uniform in 0..1; the sprite stays white.

    Args:
        source, data_dir, manual_dir: as for `DSprites`.
        seed: an integer in 0..2³¹ - 1; with the draw it determines the noise. Default 0.

    Factors and sprites are those of `DSprites`; the images have three channels. `mean` and `std` are expectations over
    the noise, std to 1e-7.

    Raises:
        ValueError, OSError: as for `DSprites`, and ValueError for another seed.

    Source: Locatello et al. 2019; as in the authors' code, min(sprite + noise, 1).
    """

    # Mean over rendered dSprites of E[sqrt(S²)], S² an image's unbiased variance: sqrt(E S²) (1 - Var S² / (8 E[S²]²)),
    # which depends on the sprite's area alone. The 2 pixels in which the original differs do not reach these digits.
    _STD = 0.2997238482046332

    def __init__(self, source: str = "rendered", seed: int = 0, data_dir=None, manual_dir=None):
        super().__init__(source, seed, data_dir, manual_dir)
        self.mean, self.std = np.tile((1.0 + self.sprites.mean) / 2.0, 3), np.full(3, self._STD)

    def compose(self, sprites, draws):
        noise = uniform(self.seed, draws, np.arange(SIZE * SIZE * 3), _NOISE)
        noise *= np.float32(255.0)
        return sprites | np.rint(noise, out=noise).astype("uint8").reshape(sprites.shape)

    def compose_on_device(self, sprites, draws, table):
        noise = ops.round(self._uniform_on_device(draws, SIZE * SIZE * 3, _NOISE) * 255.0)
        return ops.bitwise_or(sprites, ops.reshape(ops.cast(noise, "uint8"), (-1, *self.image_shape)))


class ScreamDSprites(_RandomDSprites):
    """dSprites on pieces of a painting: the background is a random crop in a random tint, inverted inside the sprite.

    Args:
        background: path of the image to crop. For the data set of the paper: The_Scream.jpg from
            https://upload.wikimedia.org/wikipedia/commons/f/f4/The_Scream.jpg. It is shrunk (never enlarged), sides in
            proportion, to fit 350 pixels of width and 274 of height, and must then have at least 64 of both.
        source, data_dir, manual_dir: as for `DSprites`.
        seed: an integer in 0..2³¹ - 1; with the draw it determines crop and tint. Default 0.

    Factors and sprites are those of `DSprites`; the images have three channels. The background is (crop + tint)/2, the
    tint's red, green and blue uniform in 0..1; on the sprite it is 1 - background. Crops are uniform over all places;
    the authors' code leaves out the last of each direction. Decoders of JPEG may differ between platforms by a
    level or two; all else is the same to the bit.

    `mean` and `std` are computed at the first use from 4096 evenly spread images, the same for every seed, to about
    0.0005.

    Raises:
        ValueError, OSError: as for `DSprites`; OSError when there is no such file; ValueError for a background that is
            no image or too small, and for another seed.

    Source: Locatello et al. 2019; sizes as in the authors' code.
    """

    def __init__(self, background, source: str = "rendered", seed: int = 0, data_dir=None, manual_dir=None):
        pixels = _read_background(background)
        super().__init__(source, seed, data_dir, manual_dir)
        self.background = pixels

    @property
    def _crops(self) -> np.ndarray:
        """Every crop of the background, a view: uint8 (rows, columns, 64, 192)."""
        # Not kept: a pickle of it would hold the crops one by one.
        rows = self.background.reshape(len(self.background), -1)
        return np.lib.stride_tricks.sliding_window_view(rows, (SIZE, SIZE * 3))[:, ::3]

    def compose(self, sprites, draws):
        places = uniform(self.seed, draws, np.arange(2), _CROP)
        return self._paint(sprites, places, uniform(self.seed, draws, np.arange(3), _TINT))

    def _paint(self, sprites, places, tints):
        """Images whose crops lie at `places` (n, 2) and have `tints` (n, 3), both float32 in (0, 1)."""
        top, left = np.floor(places.T * np.array(self._crops.shape[:2], "float32")[:, None]).astype("int64")
        crops, tints = self._crops[top, left], np.tile(np.floor(tints * np.float32(255.0)).astype("uint8"), SIZE)
        # (crop + 255 tint)/2 rounded to the nearest is (crop + floor(255 tint) + 1) // 2, here within 8 bits.
        tints = tints[:, None]
        background = (crops | tints) - ((crops ^ tints) >> 1)
        return background ^ sprites  # 255 - background on the sprite

    def device_table(self):
        return {**super().device_table(), "background": self.background}

    def compose_on_device(self, sprites, draws, table):
        rows, columns = self._crops.shape[:2]
        sizes = ops.convert_to_tensor(np.array([rows, columns], "float32"))
        places = self._uniform_on_device(draws, 2, _CROP) * sizes
        top, left = (ops.cast(ops.floor(places[:, axis, None, None]), "int32") for axis in (0, 1))
        side = ops.arange(SIZE, dtype="int32")
        pixels = (top + side[:, None]) * self.background.shape[1] + left + side
        crops = ops.cast(ops.take(ops.reshape(table["background"], (-1, 3)), pixels, axis=0), "int32")
        tints = ops.cast(ops.floor(self._uniform_on_device(draws, 3, _TINT) * 255.0), "int32")
        background = ops.cast((crops + tints[:, None, None, :] + 1) // 2, "uint8")
        return ops.bitwise_xor(background, sprites)

    @property
    def mean(self):
        return self._channel_constants[0].copy()

    @property
    def std(self):
        return self._channel_constants[1].copy()

    @functools.cached_property
    def _channel_constants(self) -> tuple[np.ndarray, np.ndarray]:
        # Sprite, crop and tint run over the multiples, modulo 1, of powers of x⁷ = x + 1's root, which fill the unit
        # cube more evenly than random points and so bring the constants closer for as many images.
        root = 1.0
        for _ in range(60):
            root = (1.0 + root) ** (1 / 7)
        points = (0.5 + np.outer(np.arange(4096), root ** -np.arange(1.0, 7.0))) % 1.0
        # The next number below 1 in float32 is the largest that `uniform` gives.
        points = np.minimum(points.astype("float32"), np.float32(1 - 2.0**-24))
        indices = (points[:, 0].astype("float64") * len(self)).astype("int64")
        sums = []
        for part in np.array_split(np.arange(len(points)), len(points) // _CHUNK):
            images = self._paint(self._rows(indices[part]), points[part, 1:3], points[part, 3:]).astype("uint32")
            rows = np.stack([images.sum(axis=1), (images * images).sum(axis=1)])
            sums.append(rows.reshape(2, len(part), SIZE, 3).sum(axis=2))
        first, second = np.concatenate(sums, axis=1).astype("float64")
        pixels = SIZE * SIZE
        deviations = np.sqrt(np.maximum(second - first**2 / pixels, 0.0) / (pixels - 1)) / 255
        mean, std = first.mean(axis=0) / pixels / 255, deviations.mean(axis=0)
        return mean, np.where(std > 0, std, 1.0)


def _read_background(background) -> np.ndarray:
    """The image at a path as uint8 (height, width, 3), shrunk as `ScreamDSprites` says."""
    if not isinstance(background, str | os.PathLike):
        raise ValueError(f"background must be the path of an image file, got {background!r}")
    if reason := why_no_file(background):
        raise FileNotFoundError(
            f"background: there is no file {str(background)!r} ({reason}); for the data set of the paper download "
            f"{SCREAM_ADDRESS} and name the file"
        )
    try:
        with opened(background) as image:
            image = image if image.mode == "RGB" else decoded(image, "RGB", 255)
            image.thumbnail(_SCREAM_FITS)
            pixels = np.array(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"background: {str(background)!r} cannot be read as an image ({error})") from error
    if min(pixels.shape[:2]) < SIZE:
        raise ValueError(
            f"background must have at least {SIZE} x {SIZE} pixels after it is shrunk to fit 350 x 274, "
            f"{str(background)!r} then has {pixels.shape[1]} x {pixels.shape[0]} (width x height)"
        )
    return pixels
