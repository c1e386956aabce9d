"""What a reconstruction loss sees of a data set, before anything is trained; and studies of results, after it.

`study` needs neither Keras nor a backend, so what does is imported when it is first asked for.
"""

import importlib

# Public name -> its module, and its name there.
_DEFINED = {
    "FACTOR_IMPORTANCE": ("published", "FACTOR_IMPORTANCE"),
    "Audit": ("loss_audit", "Audit"),
    "BlurCell": ("blur_scan", "BlurCell"),
    "DistanceRow": ("loss_distances", "DistanceRow"),
    "FactorAudit": ("loss_audit", "FactorAudit"),
    "PerceivedDistances": ("loss_distances", "PerceivedDistances"),
    "audit": ("loss_audit", "audit"),
    "audit_figure": ("figures", "audit"),
    "cumulative_figure": ("figures", "cumulative_distances"),
    "pair_distances": ("measuring", "pair_distances"),
    "perceived_distances": ("loss_distances", "perceived_distances"),
    "published_distances": ("published", "published_distances"),
}

__all__ = sorted([*_DEFINED, "study"])


def __getattr__(name):
    if name == "study":
        return importlib.import_module("kerasvae.analysis.study")
    if name not in _DEFINED:
        raise AttributeError(f"module 'kerasvae.analysis' has no attribute {name!r}")
    module, name_there = _DEFINED[name]
    value = globals()[name] = getattr(importlib.import_module(f"kerasvae.analysis.{module}"), name_there)
    return value


def __dir__():
    return sorted([*globals(), *__all__])
