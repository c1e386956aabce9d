"""What a reconstruction loss sees of a data set, before anything is trained."""

from kerasvae.analysis.audit import Audit, FactorAudit, audit
from kerasvae.analysis.blur_scan import BlurCell
from kerasvae.analysis.figures import audit as audit_figure
from kerasvae.analysis.figures import cumulative_distances as cumulative_figure
from kerasvae.analysis.measuring import pair_distances
from kerasvae.analysis.perceived_distances import DistanceRow, PerceivedDistances, perceived_distances
from kerasvae.analysis.published import FACTOR_IMPORTANCE, published_distances

__all__ = [
    "FACTOR_IMPORTANCE",
    "Audit",
    "BlurCell",
    "DistanceRow",
    "FactorAudit",
    "PerceivedDistances",
    "audit",
    "audit_figure",
    "cumulative_figure",
    "pair_distances",
    "perceived_distances",
    "published_distances",
]
