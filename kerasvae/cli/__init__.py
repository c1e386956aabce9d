"""What the command `kerasvae` does; `kerasvae_command` parses and checks its arguments."""

from kerasvae.cli.data import DATASETS, build_data
from kerasvae.cli.experiment import experiment
from kerasvae.cli.export import export
from kerasvae.cli.factor_importance import factor_importance
from kerasvae.cli.loss_audit import loss_audit
from kerasvae.cli.model import ARGUMENTS, LOSSES, NETWORKS, OBJECTIVES, build_model
from kerasvae.cli.results import results
from kerasvae.cli.score import score
from kerasvae.cli.train import train

__all__ = [
    "ARGUMENTS",
    "DATASETS",
    "LOSSES",
    "NETWORKS",
    "OBJECTIVES",
    "build_data",
    "build_model",
    "experiment",
    "export",
    "factor_importance",
    "loss_audit",
    "results",
    "score",
    "train",
]
