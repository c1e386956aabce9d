"""XYSquares for tensorflow_datasets."""

from typing import ClassVar

import tensorflow_datasets as tfds

from kerasvae.datasets.builders.grid_builder import GeneratedBuilder


class Builder(GeneratedBuilder):
    """Three squares, red, green and blue, each moving over its own 8 x 8 grid: `kerasvae.datasets.XYSquares`.

    The config is the spacing of the grid in pixels: spacing_8 (default) to spacing_1.
    """

    HOMEPAGE = "https://github.com/nmichlo/disent"
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name=f"spacing_{spacing}", description=f"{spacing} pixels between positions")
        for spacing in range(8, 0, -1)
    ]

    def data(self):
        from kerasvae.datasets.xysquares import XYSquares

        return XYSquares(grid_spacing=int(self.builder_config.name.removeprefix("spacing_")))
