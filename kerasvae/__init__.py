"""kerasvae: disentangled representation learning with variational autoencoders, in Keras 3.

Its parts are imported when they are first used, so that those which need no Keras (`kerasvae.serving`,
`kerasvae.metrics`, `kerasvae.analysis.study`) do not import it. `keras.saving.load_model` finds the package's classes
after `import keras, kerasvae`, in this order, or once a part that needs Keras was used; `kerasvae.load` always works.
"""

import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
        perception,
        plots,
        report,
        runs,
        schedules,
        serving,
        tuning,
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
        fit_together,
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
    "fit_together",
    "load",
    "losses",
    "math",
    "metrics",
    "models",
    "networks",
    "perception",
    "plots",
    "report",
    "runs",
    "schedules",
    "serving",
    "tuning",
]
_WITHOUT_KERAS = ("analysis", "files", "metrics", "report", "serving")
# They define the classes that a saved model may name.
_REGISTERING = ("kerasvae.losses", "kerasvae.schedules", "kerasvae.models")


def __getattr__(name):
    if name not in __all__:
        raise AttributeError(f"module 'kerasvae' has no attribute {name!r}")
    if name not in _WITHOUT_KERAS:
        _register()
    if importlib.util.find_spec(f"kerasvae.{name}") is not None:
        return importlib.import_module(f"kerasvae.{name}")
    value = globals()[name] = getattr(importlib.import_module("kerasvae.models"), name)
    return value


def __dir__():
    return sorted([*globals(), *__all__])


def _register():
    """Import what registers classes with Keras, unless a part that is being imported just now could be among it."""
    if not any(f"kerasvae.{room}" in sys.modules for room in __all__ if room not in _WITHOUT_KERAS):
        for module in _REGISTERING:
            importlib.import_module(module)


if "keras" in sys.modules:
    _register()
