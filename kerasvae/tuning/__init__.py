"""Studies: the rows of a grid run through Keras Tuner, each once, also after kill -9."""

from kerasvae.tuning import grids, studies
from kerasvae.tuning.check_trials import FailedTrialsError, check_trials
from kerasvae.tuning.experiment_figures import draw_experiment
from kerasvae.tuning.experiment_tables import experiment_results, read_experiment
from kerasvae.tuning.experiments import ExperimentRun
from kerasvae.tuning.hyper_vae import HyperVAE
from kerasvae.tuning.oracle import RowOracle
from kerasvae.tuning.plots import draw_results
from kerasvae.tuning.results import print_results
from kerasvae.tuning.rows import rows
from kerasvae.tuning.search import FailedRowsError, search
from kerasvae.tuning.study_claims import assumptions_claims, poster_claims
from kerasvae.tuning.study_run import StudyRun
from kerasvae.tuning.study_tables import StudyCodes, run_study, study_results, study_table
from kerasvae.tuning.train_and_score import train_and_score

__all__ = [
    "ExperimentRun",
    "FailedRowsError",
    "FailedTrialsError",
    "HyperVAE",
    "RowOracle",
    "StudyCodes",
    "StudyRun",
    "assumptions_claims",
    "check_trials",
    "draw_experiment",
    "draw_results",
    "experiment_results",
    "grids",
    "poster_claims",
    "print_results",
    "read_experiment",
    "rows",
    "run_study",
    "search",
    "studies",
    "study_results",
    "study_table",
    "train_and_score",
]
