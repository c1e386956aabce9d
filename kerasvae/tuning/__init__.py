"""Studies: the rows of a grid run through Keras Tuner, each once, also after kill -9."""

from kerasvae.tuning.oracle import RowOracle
from kerasvae.tuning.plots import draw_results
from kerasvae.tuning.results import print_results
from kerasvae.tuning.rows import rows
from kerasvae.tuning.search import FailedRowsError, search
from kerasvae.tuning.train_and_score import train_and_score

__all__ = ["FailedRowsError", "RowOracle", "draw_results", "print_results", "rows", "search", "train_and_score"]
