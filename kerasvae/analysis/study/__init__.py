"""Studies: analyses of anybody's table of results, and the published tables beside them. NumPy and SciPy only."""

from kerasvae.analysis.study.bootstrap import Resamples, fisher_interval, percentile_interval, resamples
from kerasvae.analysis.study.collapse import collapsed_runs
from kerasvae.analysis.study.correlations import metric_correlations
from kerasvae.analysis.study.describe import Description, describe, warnings_of
from kerasvae.analysis.study.frame import Analysis, Frame
from kerasvae.analysis.study.load import load
from kerasvae.analysis.study.losses import loss_correlations
from kerasvae.analysis.study.published import (
    POSTER_UNIT,
    in_poster_units,
    published_table,
    published_tables,
    published_values,
)
from kerasvae.analysis.study.roles import MetricRole, register_metric, role_of
from kerasvae.analysis.study.table import ResultsTable, Setting

__all__ = [
    "POSTER_UNIT",
    "Analysis",
    "Description",
    "Frame",
    "MetricRole",
    "Resamples",
    "ResultsTable",
    "Setting",
    "collapsed_runs",
    "describe",
    "fisher_interval",
    "in_poster_units",
    "load",
    "loss_correlations",
    "metric_correlations",
    "percentile_interval",
    "published_table",
    "published_tables",
    "published_values",
    "register_metric",
    "resamples",
    "role_of",
    "warnings_of",
]
