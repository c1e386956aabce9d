"""Scores of representations: functions of codes and ground-truth factors, NumPy in and `Score` out."""

from kerasvae.metrics.aam import aam, aam_from_matrix
from kerasvae.metrics.aggregate import aggregate
from kerasvae.metrics.beta_vae_score import beta_vae_score
from kerasvae.metrics.boosted_trees import BoostedTrees
from kerasvae.metrics.dci import dci, dci_from_importance
from kerasvae.metrics.distance_correlations import distance_correlations
from kerasvae.metrics.downstream import downstream
from kerasvae.metrics.evaluate import evaluate, sample_codes
from kerasvae.metrics.evaluation_result import Evaluation
from kerasvae.metrics.explicitness import explicitness
from kerasvae.metrics.factor_vae_score import factor_vae_score
from kerasvae.metrics.flatness import flatness
from kerasvae.metrics.irs import irs
from kerasvae.metrics.linearity import linearity
from kerasvae.metrics.mig import mig, mig_from_matrix
from kerasvae.metrics.mmig import mmig, mmig_from_matrix
from kerasvae.metrics.modularity import modularity, modularity_from_matrix
from kerasvae.metrics.mutual_information import (
    discrete_mutual_information,
    discretize,
    entropy,
    mutual_information,
)
from kerasvae.metrics.posterior_information import posterior_information
from kerasvae.metrics.sap import sap, sap_from_matrix
from kerasvae.metrics.score import Score
from kerasvae.metrics.score_file import evaluate_codes, score_file
from kerasvae.metrics.udr import udr
from kerasvae.metrics.unsupervised import gaussian_total_correlation, gaussian_wasserstein, mutual_information_score

__all__ = [
    "BoostedTrees",
    "Evaluation",
    "Score",
    "aam",
    "aam_from_matrix",
    "aggregate",
    "beta_vae_score",
    "dci",
    "dci_from_importance",
    "discrete_mutual_information",
    "discretize",
    "distance_correlations",
    "downstream",
    "entropy",
    "evaluate",
    "evaluate_codes",
    "explicitness",
    "factor_vae_score",
    "flatness",
    "gaussian_total_correlation",
    "gaussian_wasserstein",
    "irs",
    "linearity",
    "mig",
    "mig_from_matrix",
    "mmig",
    "mmig_from_matrix",
    "modularity",
    "modularity_from_matrix",
    "mutual_information",
    "mutual_information_score",
    "posterior_information",
    "sample_codes",
    "sap",
    "sap_from_matrix",
    "score_file",
    "udr",
]
