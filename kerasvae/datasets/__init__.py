"""Ground-truth data sets, and tf.data pipelines over them."""

from kerasvae.datasets.ground_truth import GroundTruthData
from kerasvae.datasets.image_table import ImageTable
from kerasvae.datasets.pipelines import images, labelled, pairs
from kerasvae.datasets.sampling import batch_indices, differing_factors, pair_factors
from kerasvae.datasets.xysquares import XYSquares

__all__ = [
    "GroundTruthData",
    "ImageTable",
    "XYSquares",
    "batch_indices",
    "differing_factors",
    "images",
    "labelled",
    "pair_factors",
    "pairs",
]
