"""One image file to one uint8 array of a given size."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
FITS = ("crop", "pad", "stretch")
# Named, so that a file of another format under a borrowed name starts no other program (EPS) and no search for plugins.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")


def is_grey(path) -> bool:
    """Whether an image file stores grey levels alone, of any depth; files with a palette are judged by its colours."""
    with Image.open(path, formats=FORMATS) as image:
        if image.mode in ("P", "PA"):
            return all(red == green == blue for _, (red, green, blue) in image.convert("RGB").getcolors(256))
        return image.mode in ("1", "L", "LA", "La", "I", "F") or image.mode.startswith("I;16")


def read_image(path, size: tuple[int, int], channels: int, fit: str, background: int) -> np.ndarray:
    """The image in a file, upright and resized.

    Args:
        path: the file.
        size: (height, width) in pixels.
        channels: 1 for grey (luma of ITU-R 601), 3 for RGB.
        fit: "crop", "pad" or "stretch", as for `FromFolder`.
        background: grey level 0..255 behind transparent pixels and padding.

    Returns:
        uint8 (height, width, channels).

    Raises:
        Exception: of many kinds, as Pillow raises them, for a file that is broken or not an image.
    """
    (height, width), mode = size, "L" if channels == 1 else "RGB"
    with Image.open(path, formats=FORMATS) as image:
        # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size. Twice the wanted size is left for the filter, and the
        # longer side is asked for both, as EXIF may exchange them.
        image.draft(None, (2 * max(size), 2 * max(size)))
        ImageOps.exif_transpose(image, in_place=True)
        image = _opaque(_eight_bits(image), background).convert(mode)
    bilinear = Image.Resampling.BILINEAR
    if fit == "crop":
        image = ImageOps.fit(image, (width, height), bilinear)
    elif fit == "pad":
        image = ImageOps.pad(image, (width, height), bilinear, background if channels == 1 else (background,) * 3)
    else:
        image = image.resize((width, height), bilinear)
    return np.asarray(image).reshape(height, width, channels)


def _eight_bits(image: Image.Image) -> Image.Image:
    # Pillow reads 16-bit grey of some formats as 32-bit, and its own conversion to 8 bits clips instead of scaling.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        values = np.asarray(image).astype("uint32")
        return Image.fromarray(((values + 128) // 257).astype("uint8"))
    if image.mode in ("I", "F"):
        raise ValueError("pixels of 32 bits have no known range; store 8 or 16 bits")
    return image


def _opaque(image: Image.Image, background: int) -> Image.Image:
    if not image.has_transparency_data:
        return image
    behind = Image.new("RGBA", image.size, (background, background, background, 255))
    return Image.alpha_composite(behind, image.convert("RGBA"))
