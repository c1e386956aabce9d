"""Folders of image files, for data sets that are read from them."""

import numpy as np
from PIL import Image

RED, GREY = (200, 30, 60), 90


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels, "uint8"))
    image.save(path, **options)


def flat(height, width, color=RED):
    return np.broadcast_to(np.array(color, "uint8"), (height, width, *np.shape(color))).copy()


def folder_of(path, count=3):
    """Images of one colour each: image k shows the level 20 k."""
    for k in range(count):
        save(path / f"{k:02}.png", flat(8 + k, 10, (20 * k,) * 3))
    return path


def break_file(path):
    path.write_bytes(path.read_bytes()[:-30])


def levels(data):
    return data.images(np.arange(len(data)))[:, 0, 0, 0].tolist()
