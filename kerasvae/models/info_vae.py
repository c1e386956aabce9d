"""InfoVAE: the aggregate posterior drawn to the prior by a maximum mean discrepancy."""

from __future__ import annotations

import keras

from kerasvae.math import maximum_mean_discrepancy
from kerasvae.models.hyperparameter import Hyperparameter
from kerasvae.models.vae import VAE


@keras.saving.register_keras_serializable(package="kerasvae")
class InfoVAE(VAE):
    """InfoVAE (MMD-VAE).

        loss = reconstruction + (1 - α) · KL(q(z|x) ‖ N(0, I)) + (α + λ - 1) · MMD²(q(z), N(0, I))

    Args:
        encoder, decoder, reconstruction: as for `VAE`.
        alpha: weight of the mutual information of images and codes, at most 1: a number or a schedule. Default 0; at 1
            the KL of single posteriors is not penalised at all (MMD-VAE).
        lambda_mmd: the paper's λ, at least 0: a number or a schedule. Default 1000.
        reduction: "sum" (default), which the defaults assume, or "mean".
        **kwargs: `seed`, `pixel_mean`, `pixel_std`, `name`, as for `VAE`.

    The logs hold `mmd_loss`, the squared discrepancy between a batch of codes and as many draws of the prior, with the
    kernel of `kerasvae.math.maximum_mean_discrepancy`. With α = 0 and λ = 1 it is the `VAE`.

    Source: Zhao et al. 2019, Eq. 6.
    """

    alpha = Hyperparameter(maximum=1.0)
    lambda_mmd = Hyperparameter(minimum=0.0)

    def __init__(self, encoder, decoder, reconstruction=None, *, alpha=0.0, lambda_mmd=1000.0, **kwargs):
        super().__init__(encoder, decoder, reconstruction, **kwargs)
        self.alpha, self.lambda_mmd = alpha, lambda_mmd

    def logged_terms(self):
        return (*super().logged_terms(), "mmd_loss")

    def regularization(self, mean, logvar, z):
        discrepancy = maximum_mean_discrepancy(z, self.noise(z, self.in_training, purpose=1))
        self.track("mmd_loss", discrepancy)
        alpha = self.scalar("alpha")
        kl = super().regularization(mean, logvar, z)
        return (1.0 - alpha) * kl + (alpha + self.scalar("lambda_mmd") - 1.0) * discrepancy
