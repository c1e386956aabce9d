"""Ground-truth data sets, and tf.data pipelines over them."""

from kerasvae.datasets.ground_truth import GroundTruthData
from kerasvae.datasets.pipelines import images, pairs
from kerasvae.datasets.sampling import batch_indices, pair_factors
from kerasvae.datasets.xysquares import XYSquares

__all__ = ["GroundTruthData", "XYSquares", "batch_indices", "images", "pair_factors", "pairs"]
