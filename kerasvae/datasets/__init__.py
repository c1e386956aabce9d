"""Ground-truth data sets, and tf.data pipelines over them."""

from kerasvae.datasets.dsprites import DSprites
from kerasvae.datasets.dsprites_variants import ColorDSprites, NoisyDSprites, ScreamDSprites
from kerasvae.datasets.ground_truth import GroundTruthData
from kerasvae.datasets.image_table import ImageTable
from kerasvae.datasets.pipelines import images, labelled, pairs
from kerasvae.datasets.sampling import batch_indices, differing_factors, pair_factors
from kerasvae.datasets.xysquares import XYSquares

__all__ = [
    "ColorDSprites",
    "DSprites",
    "GroundTruthData",
    "ImageTable",
    "NoisyDSprites",
    "ScreamDSprites",
    "XYSquares",
    "batch_indices",
    "differing_factors",
    "images",
    "labelled",
    "pair_factors",
    "pairs",
]
