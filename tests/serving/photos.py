"""A folder of small images of noise, and what comes of encoding it."""

import csv
from pathlib import Path

import numpy as np

from kerasvae.serving.encode_files import image_files_of

COUNT, BROKEN = 23, ("03.png", "b/17.png")


def noise(number):
    return np.random.default_rng(number).integers(0, 256, (4, 6, 3), dtype="uint8")


def readable(photos):
    """Paths of the images that are not broken, in order, and what they show."""
    files = [file for file in image_files_of([str(photos)], True) if not file.endswith(BROKEN)]
    return files, np.stack([noise(int(Path(file).stem)) for file in files])


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def check_troubles(encoded, photos):
    assert (
        encoded.count == COUNT - 2 and encoded.broken == 2 and encoded.errors.name == f"{encoded.out.name}.errors.csv"
    )
    header, *rows = rows_of(encoded.errors)
    assert header == ["file", "reason"]
    assert rows == [[(photos / name).as_posix(), "image file is truncated"] for name in BROKEN]
    assert encoded.first_broken == tuple(map(tuple, rows))


def outside(bundle, mean):
    low, high = bundle.quantile_range
    return ((mean < low) | (mean > high)).any(axis=1)
