"""Scores of representations: functions of codes and ground-truth factors, NumPy in and `Score` out."""

from kerasvae.metrics.aam import aam as aam
from kerasvae.metrics.aam import aam_from_matrix as aam_from_matrix
from kerasvae.metrics.aggregate import aggregate as aggregate
from kerasvae.metrics.beta_vae_score import beta_vae_score as beta_vae_score
from kerasvae.metrics.boosted_trees import BoostedTrees as BoostedTrees
from kerasvae.metrics.dci import dci as dci
from kerasvae.metrics.dci import dci_from_importance as dci_from_importance
from kerasvae.metrics.distance_correlations import distance_correlations as distance_correlations
from kerasvae.metrics.downstream import downstream as downstream
from kerasvae.metrics.evaluate import evaluate as evaluate
from kerasvae.metrics.evaluate import sample_codes as sample_codes
from kerasvae.metrics.evaluation import Evaluation as Evaluation
from kerasvae.metrics.explicitness import explicitness as explicitness
from kerasvae.metrics.factor_vae_score import factor_vae_score as factor_vae_score
from kerasvae.metrics.flatness import flatness as flatness
from kerasvae.metrics.irs import irs as irs
from kerasvae.metrics.linearity import linearity as linearity
from kerasvae.metrics.mig import mig as mig
from kerasvae.metrics.mig import mig_from_matrix as mig_from_matrix
from kerasvae.metrics.mmig import mmig as mmig
from kerasvae.metrics.mmig import mmig_from_matrix as mmig_from_matrix
from kerasvae.metrics.modularity import modularity as modularity
from kerasvae.metrics.modularity import modularity_from_matrix as modularity_from_matrix
from kerasvae.metrics.mutual_information import discrete_mutual_information as discrete_mutual_information
from kerasvae.metrics.mutual_information import discretize as discretize
from kerasvae.metrics.mutual_information import entropy as entropy
from kerasvae.metrics.mutual_information import mutual_information as mutual_information
from kerasvae.metrics.posterior_information import posterior_information as posterior_information
from kerasvae.metrics.sap import sap as sap
from kerasvae.metrics.sap import sap_from_matrix as sap_from_matrix
from kerasvae.metrics.score import Score as Score
from kerasvae.metrics.score import ScoreInfo as ScoreInfo
from kerasvae.metrics.score import scores_of_one_model
from kerasvae.metrics.score_file import evaluate_codes as evaluate_codes
from kerasvae.metrics.score_file import score_file as score_file
from kerasvae.metrics.udr import udr as udr
from kerasvae.metrics.unsupervised import gaussian_total_correlation as gaussian_total_correlation
from kerasvae.metrics.unsupervised import gaussian_wasserstein as gaussian_wasserstein
from kerasvae.metrics.unsupervised import mutual_information_score as mutual_information_score

# What `evaluate` and the command line know by name: all of the above that describe themselves.
SCORES = scores_of_one_model(globals())
