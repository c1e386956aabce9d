"""Cars3D for tensorflow_datasets."""

from kerasvae.datasets import cars3d
from kerasvae.datasets.builders.grid_builder import GridBuilder
from kerasvae.datasets.published_files import fetch


class Builder(GridBuilder):
    """Renderings of 183 car models from 4 elevations and 24 azimuths, the objects numbered as in the archive's list."""

    HOMEPAGE = "http://www.scottreed.info"

    @property
    def source_files(self):
        return [cars3d.ARCHIVE]

    def grid(self):
        return cars3d.FACTORS, (128, 128, 3)

    def batches(self, folder):
        (path,) = fetch(self.source_files, folder)
        return cars3d.read_archive(path)
