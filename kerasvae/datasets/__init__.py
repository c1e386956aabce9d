"""Ground-truth data sets, and tf.data pipelines over them."""

from kerasvae.datasets.cars3d import Cars3D
from kerasvae.datasets.dsprites import DSprites
from kerasvae.datasets.dsprites_variants import ColorDSprites, NoisyDSprites, ScreamDSprites
from kerasvae.datasets.from_arrays import FromArrays
from kerasvae.datasets.from_folder import FromFolder
from kerasvae.datasets.ground_truth import GroundTruthData
from kerasvae.datasets.image_table import ImageTable
from kerasvae.datasets.mini_sprites import MiniSprites
from kerasvae.datasets.mpi3d import MPI3D
from kerasvae.datasets.pipelines import images, labelled, pairs
from kerasvae.datasets.sampling import batch_indices, differing_factors, pair_factors
from kerasvae.datasets.shapes3d import Shapes3D
from kerasvae.datasets.smallnorb import SmallNORB
from kerasvae.datasets.statistics import ChannelStatistics, channel_statistics
from kerasvae.datasets.xyobject import XYObject, XYObjectShaded
from kerasvae.datasets.xysquares import XYSquares

__all__ = [
    "MPI3D",
    "Cars3D",
    "ChannelStatistics",
    "ColorDSprites",
    "DSprites",
    "FromArrays",
    "FromFolder",
    "GroundTruthData",
    "ImageTable",
    "MiniSprites",
    "NoisyDSprites",
    "ScreamDSprites",
    "Shapes3D",
    "SmallNORB",
    "XYObject",
    "XYObjectShaded",
    "XYSquares",
    "batch_indices",
    "channel_statistics",
    "differing_factors",
    "images",
    "labelled",
    "pair_factors",
    "pairs",
]
