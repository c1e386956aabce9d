"""Images over their reconstructions."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from kerasvae.checks import check_flag, check_integer
from kerasvae.plots.checks import check_model, check_path, first_images
from kerasvae.plots.mosaics import Block, displayable, draw_blocks
from kerasvae.plots.style import written


def reconstructions(model, images, *, count: int = 8, stretch: bool = False, path=None) -> Figure:
    """Images over their reconstructions from the mean code.

    Args:
        model, images: as for all figures (`kerasvae.plots`).
        count: how many of them, from the first, at least 1. Default 8.
        stretch: raise the contrast of the reconstructions, all alike, so that their brightest pixel is white. Default
            False.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.
    """
    check_model(model)
    check_flag(stretch, "stretch")
    check_path(path)
    images = first_images(images, check_integer(count, "count", 1))
    rows = np.stack([displayable(model, images), displayable(model, model.reconstruct(images), stretch)])
    block = Block(rows, ["original", "reconstruction"])
    figure, _ = draw_blocks([block], "Reconstructions from the mean code")
    return written(figure, path)
