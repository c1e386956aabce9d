"""Objectives: each a Keras model with a custom train_step, one per file."""

from kerasvae.models.ada_vae import AdaGVAE, AdaMLVAE
from kerasvae.models.annealed_vae import AnnealedVAE
from kerasvae.models.beta_tc_vae import BetaTCVAE
from kerasvae.models.beta_vae import BetaVAE
from kerasvae.models.dip_vae import DIPVAE
from kerasvae.models.factor_vae import FactorVAE
from kerasvae.models.fit_together import TogetherProgram, fit_together
from kerasvae.models.hyperparameter import Hyperparameter
from kerasvae.models.info_vae import InfoVAE
from kerasvae.models.loading import load
from kerasvae.models.vae import VAE

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
    "TogetherProgram",
    "fit_together",
    "load",
]
