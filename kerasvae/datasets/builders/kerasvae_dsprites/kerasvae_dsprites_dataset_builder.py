"""Rendered dSprites for tensorflow_datasets."""

from kerasvae.datasets.builders.grid_builder import GeneratedBuilder


class Builder(GeneratedBuilder):
    """Rendered dSprites, pixels 0 or 255: `kerasvae.datasets.DSprites`."""

    HOMEPAGE = "https://github.com/deepmind/dsprites-dataset"

    def data(self):
        from kerasvae.datasets.dsprites import DSprites

        return DSprites()
