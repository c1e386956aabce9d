"""kerasvae: disentangled representation learning with variational autoencoders, in Keras 3.

Its parts are imported when they are first asked for, so that those which need no Keras (`kerasvae.serving`,
`kerasvae.metrics`, `kerasvae.analysis.study`) do not import it. The classes that a saved model may name are registered
as soon as Keras is there.
"""

import importlib

from kerasvae import registration

__version__ = "0.1.0"

_MODELS = (
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
    "fit_together",
    "load",
)
_WITHOUT_KERAS = ("analysis", "files", "metrics", "report", "serving")
_WITH_KERAS = (
    "callbacks",
    "datasets",
    "export",
    "losses",
    "math",
    "models",
    "networks",
    "plots",
    "runs",
    "schedules",
    "tuning",
)

__all__ = sorted([*_MODELS, *_WITHOUT_KERAS, *_WITH_KERAS])

registration.register_with_keras()


def __getattr__(name):
    if name in _WITHOUT_KERAS:
        return importlib.import_module(f"kerasvae.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'kerasvae' has no attribute {name!r}")
    # Before any part of this package begins to be imported, so that all of it can be registered.
    importlib.import_module("keras")
    if name in _WITH_KERAS:
        return importlib.import_module(f"kerasvae.{name}")
    value = globals()[name] = getattr(importlib.import_module("kerasvae.models"), name)
    return value


def __dir__():
    return sorted([*globals(), *__all__])
