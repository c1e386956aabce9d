"""What a reconstruction loss sees of a data set, before anything is trained."""

from kerasvae.perception.audit import Audit, BlurCell, FactorAudit, audit
from kerasvae.perception.distances import (
    FACTOR_IMPORTANCE,
    DistanceRow,
    PerceivedDistances,
    pair_distances,
    perceived_distances,
    published_distances,
)
from kerasvae.perception.figures import audit as audit_figure
from kerasvae.perception.figures import cumulative_distances as cumulative_figure

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
