"""Scores of representations: functions of codes and ground-truth factors, NumPy in and `Score` out."""

from kerasvae.metrics.dci import dci, dci_from_importance
from kerasvae.metrics.evaluate import evaluate, sample_codes
from kerasvae.metrics.mig import mig, mig_from_matrix
from kerasvae.metrics.mutual_information import (
    discrete_mutual_information,
    discretize,
    entropy,
    mutual_information,
)
from kerasvae.metrics.score import Score

__all__ = [
    "Score",
    "dci",
    "dci_from_importance",
    "discrete_mutual_information",
    "discretize",
    "entropy",
    "evaluate",
    "mig",
    "mig_from_matrix",
    "mutual_information",
    "sample_codes",
]
