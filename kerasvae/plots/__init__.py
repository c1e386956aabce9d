"""Figures of representations and runs: Matplotlib figures made without a display and without global state.

Every function that draws returns a `matplotlib.figure.Figure` and, given `path`, a file ending in .png, also writes it,
whole or not at all. All raise a ValueError that names the argument for another suffix or a value not allowed, and an
OSError when `path` cannot be written. They are made to be shown about 900 pixels wide.

`model` is a `kerasvae.VAE` or another objective; where `models` are taken, it is one, or {name: model} for several side
by side. `images` are (n, height, width, channels), n at least 1, uint8 0..255 or floating, standardised, as for
`model.encode`. They are shown clipped to 0..1, uint8 ones as image/255 and floating ones as image · `model.pixel_std` +
`model.pixel_mean`; one or two channels as the grey of their mean, more as red, green and blue of the first three.

`data` is a ground-truth data set with a complete grid of factors.

`runs` is a dictionary with the name of each run. Its order gives the colours: the same order, the same colours.
"""

from kerasvae.plots.factor_labels import factor_labels, labels_from_information
from kerasvae.plots.heat_maps import codes_over_factors, position_heat_maps
from kerasvae.plots.images import latent_traversals, overview, reconstructions
from kerasvae.plots.kl import INACTIVE_BELOW, kl_bars, kl_over_training
from kerasvae.plots.latent_grid import latent_grid
from kerasvae.plots.scores_and_history import history, scores
from kerasvae.plots.study_curves import learning_curves, performance_profiles, score_scatter, strength_lines
from kerasvae.plots.study_matrices import correlation_matrices, difference_matrices, improvement_matrices
from kerasvae.plots.study_replication import replication_scatter
from kerasvae.plots.study_scores import interval_dots, share_bars, violins
from kerasvae.plots.study_style import METHOD_COLOURS, method_colours
from kerasvae.plots.study_total_correlation import total_correlation_lines, total_correlation_scatter
from kerasvae.plots.theorem import elbo_by_angle, entangled_codes, scores_by_angle

__all__ = [
    "INACTIVE_BELOW",
    "METHOD_COLOURS",
    "codes_over_factors",
    "correlation_matrices",
    "difference_matrices",
    "elbo_by_angle",
    "entangled_codes",
    "factor_labels",
    "history",
    "improvement_matrices",
    "interval_dots",
    "kl_bars",
    "kl_over_training",
    "labels_from_information",
    "latent_grid",
    "latent_traversals",
    "learning_curves",
    "method_colours",
    "overview",
    "performance_profiles",
    "position_heat_maps",
    "reconstructions",
    "replication_scatter",
    "score_scatter",
    "scores",
    "scores_by_angle",
    "share_bars",
    "strength_lines",
    "total_correlation_lines",
    "total_correlation_scatter",
    "violins",
]
