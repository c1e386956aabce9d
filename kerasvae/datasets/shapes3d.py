"""Shapes3D: one object in a room, from the published file."""

from __future__ import annotations

from kerasvae.datasets.prepared import PreparedImages, TableSource

FACTORS = {"floor_hue": 10, "wall_hue": 10, "object_hue": 10, "scale": 8, "shape": 4, "orientation": 15}


class Shapes3D(PreparedImages):
    """One object (cube, cylinder, sphere or capsule) in a room whose floor, wall and object are coloured.

    The factors are floor_hue, wall_hue, object_hue, scale, shape and orientation: 480 000 images of 64 x 64 pixels in
    three channels. `mean` and `std` are the published constants.

    The first use downloads 268 MB, then takes some minutes and about 7 GB of memory (tensorflow_datasets reads the file
    as a whole) and writes 5.9 GB; later ones open it at once.

    Args:
        data_dir, manual_dir: where the prepared images and the published file are, see `kerasvae.datasets.prepared`.
            Default None: the places of tensorflow_datasets.

    Raises:
        ValueError, OSError: as for `kerasvae.datasets.prepared.PreparedImages`.

    Source: Burgess and Kim 2018, https://github.com/deepmind/3d-shapes, through tensorflow_datasets; constants: Table 2
    of "Overlooked Implications".
    """

    source = TableSource(
        name="shapes3d",
        builder="shapes3d",
        factor_names=tuple(FACTORS),
        factor_sizes=tuple(FACTORS.values()),
        labels=tuple(f"label_{name}" for name in FACTORS),
    )

    def __init__(self, data_dir=None, manual_dir=None):
        super().__init__(
            self.source,
            data_dir,
            manual_dir,
            mean=(0.502584966788819, 0.578759756608967, 0.603449973185958),
            std=(0.294081404355556, 0.344397908751721, 0.366168598152475),
        )
