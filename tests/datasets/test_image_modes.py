"""Every way in which Pillow stores pixels: read rightly, alike in training and serving, or refused in true words."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from image_folders import RED, flat, save
from PIL import Image

from kerasvae.datasets.from_folder import FromFolder
from kerasvae.image_files import FITS, endings, nearly_black
from kerasvae.serving.images import ImageError, Preparation

WHITE = 255


def both(folder, size=(4, 8), channels=None, fit="stretch", background=WHITE):
    """The only image of a folder, as FromFolder and as serving read it, which must be one."""
    data = FromFolder(folder, image_size=size, channels=channels, fit=fit, background=background)
    image = data.images([0])[0]
    preparation = Preparation(data.image_shape, fit, background)
    np.testing.assert_array_equal(preparation.read(folder / data.files[0]), image)
    return image


def tiff(path, pixels, photometric=1, samples=1, extra=None):
    """A TIFF of one strip, of a grey array (h, w) or a colour one (h, w, c), written by hand: any dtype."""
    pixels = np.asarray(pixels)
    height, width, channels = (*pixels.shape, 1)[:3]
    data, bits = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes(), 8 * pixels.dtype.itemsize
    tags = {
        256: [width],
        257: [height],
        258: [bits] * channels,
        259: [1],
        262: [photometric],
        273: [8],
        277: [channels],
    }
    tags |= {278: [height], 279: [len(data)], 339: [samples] * channels} | ({338: [extra]} if extra is not None else {})
    end, entries, more = 8 + len(data), b"", b""
    for number, values in sorted(tags.items()):
        field = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            field, place = struct.pack("<I", end + 6 + 12 * len(tags) + len(more)), field
            more += place
        entries += struct.pack("<HHI", number, 4, len(values)) + field
    path.write_bytes(
        b"II*\0" + struct.pack("<I", end) + data + struct.pack("<H", len(tags)) + entries + bytes(4) + more
    )


def png(path, depth, colour, rows, transparent=b""):
    """A PNG written by hand: rows of bytes as they are stored."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    width = len(rows[0]) * 8 // (depth * channels)
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + (chunk(b"tRNS", transparent) if transparent else b"")
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + chunk(b"IEND", b"")
    )


# 16 bits, as 8: rounded, 257 apart.
DEEP, EIGHT = [0, 128, 129, 257 * 100, 257 * 100 + 129, 40_000, 65_534, 65_535], [0, 0, 1, 100, 101, 156, 255, 255]


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm", "a.jp2", "big.tif", "packed.tif"])
def test_grey_of_16_bits(tmp_path, name):
    pixels = np.tile(np.array(DEEP, "uint16"), (4, 1))
    image = Image.fromarray(pixels.byteswap().view(">u2") if name == "big.tif" else pixels)
    image.save(tmp_path / name, **({"compression": "tiff_lzw"} if name == "packed.tif" else {}))
    read = both(tmp_path)
    assert read.shape == (4, 8, 1) and read[..., 0].tolist() == [EIGHT] * 4


def test_grey_of_16_bits_in_which_0_is_white(tmp_path):
    tiff(tmp_path / "a.tif", np.tile(np.array(DEEP, "uint16"), (4, 1)), photometric=0)
    assert (255 - both(tmp_path)[..., 0].astype(int)).tolist() == [EIGHT] * 4


def test_grey_of_12_bits_is_scaled(tmp_path):
    # Two values in three bytes.
    values = [0, 4095, 2048, 1024, 16, 4079, 2, 100]
    packed = b"".join(
        bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in zip(values[::2], values[1::2], strict=True)
    )
    tiff(tmp_path / "a.tif", np.zeros((4, 8), "uint8"))
    whole = bytearray((tmp_path / "a.tif").read_bytes())
    # The strip takes 48 bytes where the zeros were 32: put at the end.
    place = len(whole)
    whole += packed * 4
    start = struct.unpack_from("<I", whole, 4)[0] + 2
    for entry in range(start, start + 12 * 11, 12):
        number = struct.unpack_from("<H", whole, entry)[0]
        if number in (258, 273, 279):
            struct.pack_into("<I", whole, entry + 8, {258: 12, 273: place, 279: 48}[number])
    (tmp_path / "a.tif").write_bytes(whole)
    assert both(tmp_path)[0, :, 0].tolist() == [round(value * 255 / 4095) for value in values]


def test_colours_of_16_bits(tmp_path):
    pixels = np.tile(np.array(DEEP, ">u2")[:, None] // [1, 2, 3], (4, 1, 1)).astype(">u2")
    png(tmp_path / "a.png", 16, 2, [row.tobytes() for row in pixels])
    np.testing.assert_allclose(both(tmp_path), pixels / 257, atol=1)
    tiff(tmp_path / "a.png", pixels.astype("uint16"), photometric=2)
    np.testing.assert_allclose(both(tmp_path), pixels / 257, atol=1)
    # Grey with alpha is grey.
    png(
        tmp_path / "a.png",
        16,
        4,
        [np.stack([row[:, 0], row[:, 0] * 0 + 65535], 1).astype(">u2").tobytes() for row in pixels],
    )
    assert both(tmp_path).shape == (4, 8, 1)
    np.testing.assert_allclose(both(tmp_path)[..., 0], pixels[..., 0] / 257, atol=1)


UNKNOWN = {
    "signed 16": (np.full((4, 8), -5, "int16"), 2, "16 bits with signs have no known range (TIFF, mode I)"),
    "signed 8": (np.full((4, 8), -5, "int8"), 2, "8 bits with signs have no known range (TIFF, mode L)"),
    "signed 32": (np.full((4, 8), -5, "int32"), 2, "32 bits with signs have no known range (TIFF, mode I)"),
    "unsigned 32": (np.full((4, 8), 5, "uint32"), 1, "32 bits have no known range (TIFF, mode I)"),
    "floats": (np.full((4, 8), 0.5, "float32"), 3, "32 bits have no known range (TIFF, mode F, floats)"),
    "double floats": (np.full((4, 8), 0.5, "float64"), 3, "a TIFF of a kind that Pillow cannot read"),
    "signed colours": (np.full((4, 8, 3), -5, "int16"), 2, "a TIFF of a kind that Pillow cannot read"),
    "colours of floats": (np.full((4, 8, 3), 0.5, "float32"), 3, "a TIFF of a kind that Pillow cannot read"),
}


@pytest.mark.parametrize(("pixels", "samples", "reason"), UNKNOWN.values(), ids=UNKNOWN)
def test_values_without_a_known_range(tmp_path, pixels, samples, reason):
    tiff(tmp_path / "a.tif", pixels, photometric=1 if pixels.ndim == 2 else 2, samples=samples)
    with pytest.raises(ValueError, match=r"\n  a\.tif: ") as caught:
        FromFolder(tmp_path)
    assert reason in str(caught.value) and "store unsigned 8 or 16 bits" in str(caught.value)
    with pytest.raises(ImageError) as caught:
        Preparation((4, 8, 1), "crop", 0).read(tmp_path / "a.tif")
    assert reason in caught.value.reason and str(tmp_path / "a.tif") in str(caught.value)


def test_floats_in_other_formats(tmp_path):
    Image.fromarray(np.ones((4, 8), "float32")).save(tmp_path / "a.pfm")
    with pytest.raises(ValueError, match=r"a\.pfm: pixels of 32 bits have no known range \(PPM, mode F, floats\)"):
        FromFolder(tmp_path)


@pytest.mark.parametrize("background", [255, 40])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("LA", lambda path: Image.new("LA", (8, 4), (90, 51)).save(path.with_suffix(".png"))),
        ("RGBA", lambda path: Image.new("RGBA", (8, 4), (90, 90, 90, 51)).save(path.with_suffix(".png"))),
        ("La", lambda path: tiff(path, np.full((4, 8, 2), [18, 51], "uint8"), 1, extra=1)),
        ("LA of a tiff", lambda path: tiff(path, np.full((4, 8, 2), [90, 51], "uint8"), 1, extra=2)),
        ("RGBa", lambda path: tiff(path, np.full((4, 8, 4), [18, 18, 18, 51], "uint8"), 2, extra=1)),
        ("RGBA of 16 bits", lambda path: tiff(path, np.full((4, 8, 4), [90, 90, 90, 51], "uint16") * 257, 2, extra=2)),
        (
            "webp",
            lambda path: Image.new("RGBA", (8, 4), (90, 90, 90, 51)).save(path.with_suffix(".webp"), lossless=True),
        ),
    ],
)
def test_alpha(tmp_path, name, write, background):
    write(tmp_path / "a.tif")
    np.testing.assert_allclose(both(tmp_path, background=background), 0.2 * 90 + 0.8 * background, atol=2)


@pytest.mark.parametrize("background", [255, 40])
@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_level_that_is_transparent(tmp_path, depth, background):
    # The upper half of each row has the largest value, the lower half 0, which is transparent; and the other way round.
    row = b"\xff" * depth + b"\0" * depth
    for level, expected in ((0, [255, background]), (2**depth - 1, [background, 0])):
        png(tmp_path / "a.png", depth, 0, [row] * 4, transparent=struct.pack(">H", level))
        image = both(tmp_path, size=(4, 16), background=background)
        assert image[0, [0, 15], 0].tolist() == expected, level


def test_a_colour_that_is_transparent(tmp_path):
    png(tmp_path / "a.png", 8, 2, [bytes(RED) * 4 + bytes(12)] * 4, transparent=struct.pack(">HHH", *RED))
    assert both(tmp_path, background=7)[0, [0, 7]].tolist() == [[7] * 3, [0] * 3]
    png(tmp_path / "a.png", 16, 2, [bytes(48)] * 4, transparent=bytes(6))
    with pytest.raises(ValueError, match=r"a\.png: a transparent colour of 16 bits has neighbours .*store alpha"):
        FromFolder(tmp_path)


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("a.tif", Image.new("CMYK", (8, 4), (0, 255, 255, 0)), (255, 0, 0)),
        ("a.tif", Image.new("YCbCr", (8, 4), (76, 85, 255)), (254, 0, 0)),
        ("a.tif", Image.new("LAB", (8, 4), (0, 128, 128)), (0, 0, 0)),
        ("a.tif", Image.new("LAB", (8, 4), (255, 128, 128)), (255, 255, 255)),
        ("a.tif", Image.new("LAB", (8, 4), (138, 209, 198)), (255, 0, 0)),
        ("a.gif", Image.new("P", (8, 4)), (0,)),
        ("a.ico", Image.new("RGB", (16, 16), RED), RED),
        ("a.tga", Image.new("RGB", (8, 4), RED), RED),
        ("a.sgi", Image.new("RGB", (8, 4), RED), RED),
        ("a.pcx", Image.new("RGB", (8, 4), RED), RED),
        ("a.dds", Image.new("RGB", (8, 4), RED), RED),
        ("a.bmp", Image.new("1", (8, 4), 1), (255,)),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "mode", None),
)
def test_colours_of_other_kinds(tmp_path, name, image, expected):
    image.save(tmp_path / name)
    np.testing.assert_allclose(both(tmp_path), np.broadcast_to(expected, (4, 8, len(expected))), atol=5)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_orientation_at_any_depth(tmp_path, name, depth):
    if (name, depth) == ("a.webp", 16):
        pytest.skip("there is no such file")
    stored = np.arange(32, dtype="uint16").reshape(8, 4) * 8 * (257 if depth == 16 else 1)
    exif = Image.Exif()
    exif[274] = 6
    lossless = {"lossless": True} if name == "a.webp" else {}
    Image.fromarray(stored.astype(f"uint{depth}")).save(tmp_path / name, exif=exif.tobytes(), **lossless)
    upright = np.rot90(stored, -1) // (257 if depth == 16 else 1)
    np.testing.assert_array_equal(both(tmp_path, channels=1)[..., 0], upright)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("shape", [(1, 200), (200, 1), (1, 10_000), (10_000, 1), (1, 1), (2, 5000)], ids=str)
@pytest.mark.parametrize("size", [(64, 64), (1, 64), (64, 1), (1, 1), (3, 200)], ids=str)
def test_something_is_left_of_long_images(tmp_path, shape, size, fit):
    save(tmp_path / "a.png", flat(*shape))
    image = both(tmp_path, size=size, fit=fit, background=255)
    shown = (image == RED).all(axis=2)
    assert shown.any()
    if fit != "pad":
        assert shown.all()
    else:
        # A block as long as the whole on one side, and what is not of it is background.
        assert shown.any(axis=0).all() or shown.any(axis=1).all()
        assert (image[~shown] == 255).all()
        assert shown.sum() == shown.any(axis=0).sum() * shown.any(axis=1).sum()


@pytest.mark.parametrize(
    "ending", ["avif", "jfif", "jp2", "j2k", "jpe", "apng", "tga", "ico", "pbm", "pnm", "dib", "mpo", "qoi"]
)
def test_all_kinds_of_files_that_pillow_reads_are_taken(tmp_path, ending):
    if f".{ending}" not in endings()[0]:
        pytest.skip("this Pillow does not read it")
    image = Image.new("1" if ending == "pbm" else "RGB", (64, 64))
    formats = {"jpe": "JPEG", "jfif": "JPEG", "apng": "PNG"}
    image.save(tmp_path / f"a.{ending.upper()}", formats.get(ending))
    save(tmp_path / "b.png", flat(8, 8))
    assert FromFolder(tmp_path, image_size=8).files == (f"a.{ending.upper()}", "b.png")


def test_images_of_kinds_that_are_not_read_are_named_once(tmp_path):
    save(tmp_path / "b.png", flat(8, 8))
    for name in ("a.heic", "raw/c.NEF", "d.svg", "notes.txt", "film.mp4", ".hidden.heic"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftypheic")
    for on_error in ("raise", "skip"):
        with pytest.warns(
            UserWarning, match=r"^3 files in .* are left out:\n  a\.heic: Pillow reads no \.heic"
        ) as caught:
            data = FromFolder(tmp_path, on_error=on_error)
        assert len(caught) == 1 and list(data.skipped) == ["a.heic", "d.svg", "raw/c.NEF"]
        assert data.files == ("b.png",) and "pillow_heif" in data.skipped["a.heic"]
    (tmp_path / "b.png").unlink()
    with pytest.raises(
        ValueError, match=r"there is no image in .*, but 3 of kinds that are not read, such as 'a\.heic'"
    ):
        FromFolder(tmp_path)
    (tmp_path / "a.heic").rename(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: no image of a known format: a film, or .* such as HEIC; convert"):
        FromFolder(tmp_path, on_error="raise")


@pytest.mark.parametrize(
    ("bits", "colours", "share"), [(12, False, 16), (10, False, 64), (14, False, 4), (8, False, 256), (12, True, 16)]
)
def test_files_of_16_bits_that_hold_fewer_are_said_once(tmp_path, bits, colours, share):
    values = np.linspace(0, 2**bits - 1, 64).astype(">u2").reshape(8, 8)
    rows = [row.tobytes() for row in (np.repeat(values[..., None], 3, axis=2) if colours else values)]
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.png"):
        png(photos / name, 16, 2 if colours else 0, rows)
    for cache in (None, tmp_path / "cache", tmp_path / "cache"):
        with pytest.warns(UserWarning, match=f"at most 1/{share} of the range is used") as caught:
            FromFolder(photos, cache=cache)
        (warning,) = caught
        assert f"2 files of 16 bits, no value above {2**bits - 1}: " in str(warning.message)
        assert f"multiply their values by {share}" in str(warning.message) and warning.filename == __file__
    with pytest.warns(UserWarning, match=f"images: 2 files of 16 bits.* 1/{share} of the range"):
        files = [photos / name for name in ("a.png", "b.png")]
        list(Preparation((8, 8, 1), "crop", 0).batches(files, 1))
    # One that uses all of it says that 16 bits are meant.
    png(photos / "c.png", 16, 0, [b"\xff\xff\0\0"] * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FromFolder(photos)


def test_what_is_nearly_black():
    assert nearly_black([]) is None and nearly_black([0, 0]) is None and nearly_black([16_384]) is None
    assert nearly_black([4095, 16_384]) is None
    assert "1 file of 16 bits, no value above 200: at most 1/256 " in nearly_black([200])
    assert nearly_black([200]).endswith("store them as 8 bits") and "value // 16" in nearly_black([4000])
