"""XYObject for tensorflow_datasets."""

from typing import ClassVar

import tensorflow_datasets as tfds

from kerasvae.datasets.builders.grid_builder import GeneratedBuilder


class Builder(GeneratedBuilder):
    """One coloured square of varying place and size: `kerasvae.datasets.XYObject` and `XYObjectShaded`.

    Both configs have the same images: in xyobject (default) hue and intensity are one factor, in shaded they are two.
    """

    HOMEPAGE = "https://github.com/nmichlo/disent"
    BUILDER_CONFIGS: ClassVar = [
        tfds.core.BuilderConfig(name="xyobject", description="factors x, y, scale and color"),
        tfds.core.BuilderConfig(name="shaded", description="factors x, y, scale, intensity and color"),
    ]

    def data(self):
        from kerasvae.datasets.xyobject import XYObject, XYObjectShaded

        return XYObjectShaded() if self.builder_config.name == "shaded" else XYObject()
