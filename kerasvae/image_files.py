"""One image file to one uint8 array of a given size."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FITS = ("crop", "pad", "stretch")
# To name some; see `endings`.
USUAL_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".avif", ".jp2")
# Those that start another program (EPS), that only one system can draw, or of which only the name is known.
_NOT_DECODED = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG", "IPTC"}
# Endings of images, of which Pillow reads some with a plugin or a newer version, and others never.
_LOOK_LIKE_IMAGES = (
    ".ai .arw .avif .avifs .cr2 .cr3 .crw .dcm .djvu .dng .emf .eps .exr .hdr .heic .heics .heif .heifs .hif .j2c .j2k "
    ".jp2 .jpc .jpf .jpx .jxl .jxr .kdc .mrw .nef .nrw .orf .pam .pef .psb .qoi .raf .raw .rw2 .sr2 .srf .srw .svg "
    ".svgz .wdp .webp .wmf .x3f .xcf"
).split()


def formats() -> dict[str, str]:
    """{ending: format} of the files that are taken: all that Pillow, with the plugins that are registered, decodes."""
    # Images of two lenses (MPO) are read as JPEG.
    return {
        ending: "JPEG" if name == "MPO" else name
        for ending, name in Image.registered_extensions().items()
        if (name in Image.OPEN or name == "MPO") and name not in _NOT_DECODED
    }


def endings() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Endings of the names of files that are taken, and those of images that are not: Pillow cannot read them here."""
    taken = tuple(formats())
    return taken, tuple(ending for ending in _LOOK_LIKE_IMAGES if ending not in taken)


def why_not_taken(name: str) -> str:
    """The reason for a file whose ending is of the second kind of `endings`."""
    ending = os.path.splitext(name)[1].lower()
    plugin = ", or register the plugin pillow_heif with Pillow" if ending.startswith((".hei", ".hif")) else ""
    return f"Pillow reads no {ending} here; convert it to PNG or JPEG{plugin}"


@contextlib.contextmanager
def opened(file) -> Iterator[Image.Image]:
    """A path or binary file as Pillow opens it, not yet decoded; ValueError when it is of no known format."""
    if not hasattr(file, "read"):
        # Given a path, Pillow maps some files into memory, and TIFFs that are to be turned come out wrong (Pillow 13).
        with open(file, "rb") as stream, _opened(stream, os.path.splitext(os.fspath(file))[1].lower()) as image:
            yield image
    else:
        with _opened(file, "") as image:
            yield image


def _opened(stream, ending: str) -> Image.Image:
    of_ending = formats()
    known = set(of_ending.values())
    # Files without a signature are known by their name alone: anything may look like one.
    wanted = [
        name
        for name in Image.ID
        if name in known and (Image.OPEN[name][1] is not None or name == of_ending.get(ending))
    ]
    try:
        return Image.open(stream, formats=wanted)
    except UnidentifiedImageError as error:
        stream.seek(0)
        raise ValueError("no image of a known format" + _hint(stream.read(12))) from error


def _hint(start: bytes) -> str:
    """What a file is that Pillow does not read, by how it begins."""
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return ": a TIFF of a kind that Pillow cannot read; store unsigned 8 or 16 bits, grey or RGB"
    if start[4:8] == b"ftyp":
        return ": a film, or an image that Pillow cannot read here, such as HEIC; convert it to PNG or JPEG"
    return ""


def is_grey(path) -> bool:
    """Whether an image file stores grey levels alone, of any depth; files with a palette are judged by its colours."""
    with opened(path) as image:
        if image.mode in ("P", "PA"):
            return all(red == green == blue for _, (red, green, blue) in image.convert("RGB").getcolors(256))
        # Pillow has no mode for two channels of 16 bits.
        return image.mode in ("1", "L", "LA", "La", "I", "F") or "I;16" in image.mode or _stored(image) == "LA;16B"


def read_image(
    path,
    size: tuple[int, int],
    channels: int,
    fit: str,
    background: int,
    note: Callable[[int], None] | None = None,
) -> np.ndarray:
    """The image in a file, upright and resized.

    Args:
        path: the file.
        size: (height, width) in pixels.
        channels: 1 for grey (luma of ITU-R 601), 3 for RGB.
        fit: "crop", "pad" or "stretch", as for `FromFolder`.
        background: grey level 0..255 behind transparent pixels and padding.
        note: called with the largest value, 0..65535, of a file of 16 bits.

    Returns:
        uint8 (height, width, channels).

    Raises:
        ValueError: for a file of no known format, and for pixels of which it is not known what is black and white.
        Exception: of many kinds, as Pillow raises them, for a file that is broken.
    """
    (height, width), mode = size, "L" if channels == 1 else "RGB"
    with opened(path) as image:
        # A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size. Twice the wanted size is left for the filter, and the
        # longer side is asked for both, as EXIF may exchange them.
        image.draft(None, (2 * max(size), 2 * max(size)))
        image = decoded(image, mode, background, note)
    bilinear = Image.Resampling.BILINEAR
    if fit == "crop":
        image = ImageOps.fit(image, (width, height), bilinear)
    elif fit == "pad":
        image = _padded(image, (width, height), background)
    else:
        image = image.resize((width, height), bilinear)
    return np.asarray(image).reshape(height, width, channels)


def decoded(image: Image.Image, mode: str, background: int, note: Callable[[int], None] | None = None) -> Image.Image:
    """An opened image, upright and opaque, in mode "L" or "RGB"; arguments and errors as for `read_image`."""
    stored = _stored(image)
    _check_range(image, stored)
    ImageOps.exif_transpose(image, in_place=True)
    image = _opaque(_eight_bits(image, stored, note), background)
    return (_from_lab(image) if image.mode == "LAB" else image).convert(mode)


def nearly_black(largest: list[int]) -> str | None:
    """What is to be said of files of 16 bits, given the largest value of each: that they use little of the range.

    They do where none uses more than a quarter; None where that is not so, or there is no such file.
    """
    if not largest or not 0 < max(largest) < 2**14:
        return None
    bits = max(max(largest).bit_length(), 8)
    eight = "them as 8 bits" if bits == 8 else f"8 bits of them (value // {2 ** (bits - 8)})"
    return (
        f"{len(largest)} file{'s' * (len(largest) > 1)} of 16 bits, no value above {max(largest)}: at most "
        f"1/{2 ** (16 - bits)} of the range is used, and the images are nearly black, as 65535 is white. If they hold "
        f"{bits} bits, multiply their values by {2 ** (16 - bits)}, or store {eight}"
    )


def _stored(image: Image.Image) -> str:
    """How the pixels lie in the file, in Pillow's words, such as RGB;16B; "" once they are decoded."""
    arguments = image.tile[0].args if image.tile else ""
    stored = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return stored if isinstance(stored, str) else ""


def _tag(image: Image.Image, number: int, default: int) -> int:
    """The value of a TIFF's tag, the largest where it has several."""
    value = getattr(image, "tag_v2", {}).get(number, default)
    return max(value) if isinstance(value, tuple) else value


_BITS, _INTERPRETATION, _SAMPLES = 258, 262, 339
# Of each channel; BGR;16 are 16 bits of all three.
_SIXTEEN_BITS = re.compile(r"(L|LA|RGB[AaX]?);16[BLN]")


def _check_range(image: Image.Image, stored: str) -> None:
    """ValueError for pixels whose values have no known black and white."""
    bits = _tag(image, _BITS, 32)
    # Netpbm's grey of 16 bits has 32 in Pillow, scaled to 0..65535.
    if image.mode == "F":
        kind = "32 bits"
    elif _tag(image, _SAMPLES, 1) == 2 or stored in ("I;16S", "I;16BS"):
        kind = f"{bits} bits with signs"
    elif image.mode == "I" and image.format != "PPM":
        kind = f"{bits} bits"
    elif image.format == "FITS" and image.mode != "L":
        kind = "16 bits with signs"
    else:
        return
    what = f"{image.format}, mode {image.mode}" + ", floats" * (image.mode == "F")
    raise ValueError(
        f"pixels of {kind} have no known range ({what}): scale what is black to 0 and what is white to 255 or 65535, "
        "and store unsigned 8 or 16 bits"
    )


def _eight_bits(image: Image.Image, stored: str, note) -> Image.Image:
    """Grey of 16 bits as L or LA; the others as they are."""
    transparent = image.info.get("transparency")
    if not image.mode.startswith("I"):
        if _SIXTEEN_BITS.fullmatch(stored):
            if isinstance(transparent, tuple):
                raise ValueError("a transparent colour of 16 bits has neighbours that are the same in 8; store alpha")
            # Pillow keeps the upper 8 bits; the lower ones may have been all ones.
            if note is not None:
                colours = image.getbands()[: -1 if image.mode[-1] in "Aa" else None]
                note(256 * max(image.getchannel(band).getextrema()[1] for band in colours) + 255)
        elif stored in ("L;2", "L;4") and isinstance(transparent, int):
            # The levels were spread over 0..255, the one that is transparent was not.
            image.info["transparency"] = transparent * (85 if stored == "L;2" else 17)
        return image
    values = np.asarray(image).astype("uint32")
    if image.format == "TIFF" and _tag(image, _BITS, 16) == 12:
        values = (values * 65535 + 2047) // 4095
    elif note is not None:
        note(int(values.max()))
    grey = (values + 128) // 257
    if image.format == "TIFF" and _tag(image, _INTERPRETATION, 1) == 0:
        grey = 255 - grey
    if transparent is None:
        return Image.fromarray(grey.astype("uint8"))
    return Image.fromarray(np.stack([grey, 255 * (values != transparent)], axis=-1).astype("uint8"))


def _opaque(image: Image.Image, background: int) -> Image.Image:
    if not image.has_transparency_data:
        return image
    # Pillow knows no way from La to RGBA.
    image = image.convert("LA") if image.mode == "La" else image
    behind = Image.new("RGBA", image.size, (background, background, background, 255))
    return Image.alpha_composite(behind, image.convert("RGBA"))


def _from_lab(image: Image.Image) -> Image.Image:
    """CIELAB as sRGB."""
    try:
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.applyTransform(image, ImageCms.buildTransform(lab, srgb, "LAB", "RGB"))
    except ImportError as error:
        raise ValueError("colours in LAB need a Pillow with littlecms; store RGB") from error


def _padded(image: Image.Image, size: tuple[int, int], background: int) -> Image.Image:
    """As ImageOps.pad, but of an image that is far longer than wide at least one row or column is left."""
    width, height = size
    if image.width * height > image.height * width:
        inner = width, max(1, round(image.height / image.width * width))
    else:
        inner = max(1, round(image.width / image.height * height)), height
    resized = image.resize(inner, Image.Resampling.BILINEAR)
    padded = Image.new(image.mode, size, background if image.mode == "L" else (background,) * 3)
    padded.paste(resized, (round((width - inner[0]) * 0.5), round((height - inner[1]) * 0.5)))
    return padded
