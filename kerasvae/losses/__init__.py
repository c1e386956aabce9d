"""Reconstruction losses: Keras Loss objects that give one value per image."""

from kerasvae.losses.box_blur import BoxBlurMSE
from kerasvae.losses.pixel import BernoulliNLL, MeanAbsoluteError, MeanSquaredError

__all__ = ["BernoulliNLL", "BoxBlurMSE", "MeanAbsoluteError", "MeanSquaredError"]
