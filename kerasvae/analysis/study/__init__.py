"""Studies: analyses of anybody's table of results, and the published tables beside them. NumPy and SciPy only."""

from kerasvae.analysis.study.bootstrap import Resamples, fisher_interval, percentile_interval, resamples
from kerasvae.analysis.study.collapse import collapsed_runs
from kerasvae.analysis.study.comparison import compare_methods
from kerasvae.analysis.study.correlations import metric_correlations
from kerasvae.analysis.study.describe import Description, describe, warnings_of
from kerasvae.analysis.study.downstream import downstream_correlations
from kerasvae.analysis.study.efficiency import task_label, with_efficiency
from kerasvae.analysis.study.frame import Analysis, Frame
from kerasvae.analysis.study.learning_curves import learning_curves
from kerasvae.analysis.study.load import load
from kerasvae.analysis.study.losses import loss_correlations
from kerasvae.analysis.study.matrix_differences import (
    matrix_differences,
    published_differences,
    study_differences,
)
from kerasvae.analysis.study.medians import setting_medians
from kerasvae.analysis.study.published import (
    POSTER_UNIT,
    in_poster_units,
    published_table,
    published_tables,
    published_values,
)
from kerasvae.analysis.study.replication import replication
from kerasvae.analysis.study.roles import MetricRole, register_metric, role_of
from kerasvae.analysis.study.rotated_model import rotated_model
from kerasvae.analysis.study.rotated_scores import plane_rotation, rotated_scores
from kerasvae.analysis.study.selection import selection_odds
from kerasvae.analysis.study.table import METHOD_LABELS, ResultsTable, Setting
from kerasvae.analysis.study.theorem import energy_test, entangle, entangling_derivatives, householder, theorem_1
from kerasvae.analysis.study.total_correlation import total_correlation
from kerasvae.analysis.study.transfer import transfer
from kerasvae.analysis.study.udr import add_udr
from kerasvae.analysis.study.unsupervised_selection import unsupervised_selection
from kerasvae.analysis.study.variance import variance_shares

__all__ = [
    "METHOD_LABELS",
    "POSTER_UNIT",
    "Analysis",
    "Description",
    "Frame",
    "MetricRole",
    "Resamples",
    "ResultsTable",
    "Setting",
    "add_udr",
    "collapsed_runs",
    "compare_methods",
    "describe",
    "downstream_correlations",
    "energy_test",
    "entangle",
    "entangling_derivatives",
    "fisher_interval",
    "householder",
    "in_poster_units",
    "learning_curves",
    "load",
    "loss_correlations",
    "matrix_differences",
    "metric_correlations",
    "percentile_interval",
    "plane_rotation",
    "published_differences",
    "published_table",
    "published_tables",
    "published_values",
    "register_metric",
    "replication",
    "resamples",
    "role_of",
    "rotated_model",
    "rotated_scores",
    "selection_odds",
    "setting_medians",
    "study_differences",
    "task_label",
    "theorem_1",
    "total_correlation",
    "transfer",
    "unsupervised_selection",
    "variance_shares",
    "warnings_of",
    "with_efficiency",
]
