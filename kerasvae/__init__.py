"""kerasvae: disentangled representation learning with variational autoencoders, in Keras 3."""

import importlib

from kerasvae import (
    analysis,
    callbacks,
    datasets,
    export,
    files,
    losses,
    math,
    metrics,
    models,
    networks,
    runs,
    schedules,
)
from kerasvae.models import (
    DIPVAE,
    VAE,
    AdaGVAE,
    AdaMLVAE,
    AnnealedVAE,
    BetaTCVAE,
    BetaVAE,
    FactorVAE,
    Hyperparameter,
    InfoVAE,
    load,
)

__version__ = "0.1.0"

__all__ = [
    "DIPVAE",
    "VAE",
    "AdaGVAE",
    "AdaMLVAE",
    "AnnealedVAE",
    "BetaTCVAE",
    "BetaVAE",
    "FactorVAE",
    "Hyperparameter",
    "InfoVAE",
    "analysis",
    "callbacks",
    "datasets",
    "export",
    "files",
    "load",
    "losses",
    "math",
    "metrics",
    "models",
    "networks",
    "plots",
    "runs",
    "schedules",
    "tuning",
]


def __getattr__(name):
    # Matplotlib and Keras Tuner take seconds to import and most programs need neither.
    if name in ("plots", "tuning"):
        return importlib.import_module(f"kerasvae.{name}")
    raise AttributeError(f"module 'kerasvae' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
