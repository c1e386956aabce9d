"""Objectives: each a Keras model with a custom train_step, one a file."""

from kerasvae.models.ada_vae import AdaGVAE
from kerasvae.models.beta_vae import BetaVAE
from kerasvae.models.hyperparameter import Hyperparameter
from kerasvae.models.loading import load
from kerasvae.models.vae import VAE

__all__ = ["VAE", "AdaGVAE", "BetaVAE", "Hyperparameter", "load"]
