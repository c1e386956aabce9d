"""β-TCVAE: the three parts of the KL, each with a weight of its own."""

from __future__ import annotations

import keras

from kerasvae.checks import check_choice, check_integer
from kerasvae.math import ESTIMATORS, kl_decomposition
from kerasvae.models.hyperparameter import Hyperparameter
from kerasvae.models.vae import VAE


@keras.saving.register_keras_serializable(package="kerasvae")
class BetaTCVAE(VAE):
    """β-TCVAE: index-code mutual information, total correlation and dimension-wise KL, weighted apart.

        loss = reconstruction + α · I(x; z) + β · KL(q(z) ‖ Π q(z_j)) + γ · Σ KL(q(z_j) ‖ N(0, 1))

    Args:
        encoder, decoder, reconstruction: as for `VAE`.
        dataset_size: number of training images, at least the batch size: `len(data)`.
        alpha: weight of the mutual information, any number (disentangling-vae's best runs have -5) or a schedule.
            Default 1.
        beta: weight of the total correlation, at least 0: a number or a schedule. Default 6, the paper's for dSprites.
        gamma: weight of the dimension-wise KL, at least 0: a number or a schedule. Default 1.
        estimator: "mws" (default), the paper's, "mss", or "mss_legacy"; see `kerasvae.math.kl_decomposition`.
        reduction: "sum" (default), which the defaults assume, or "mean".
        **kwargs: `seed`, `pixel_mean`, `pixel_std`, `name`, as for `VAE`.

    The logs hold `mutual_information`, `total_correlation` and `dimension_kl` in nats, constants included: they add up
    to an estimate of `kl_loss`. With three weights of 1 it is the `VAE`, up to that estimate's noise. The terms are
    statistics of a batch; under `tf.distribute` of each replica's part of it.

    Raises:
        ValueError: for a dataset_size or estimator not allowed; by `fit`, for a batch of one image, or one larger than
            the data set.

    Source: "Understanding disentangling in VAE", Eq. 1; Chen et al. 2018, Eq. 4. disentanglement_lib adds (β - 1)·TC to
    the exact KL, which is the same in expectation; disent's version rewards total correlation (its issue 3).
    """

    alpha = Hyperparameter()
    beta = Hyperparameter(minimum=0.0)
    gamma = Hyperparameter(minimum=0.0)

    def __init__(
        self,
        encoder,
        decoder,
        reconstruction=None,
        *,
        dataset_size,
        alpha=1.0,
        beta=6.0,
        gamma=1.0,
        estimator="mws",
        **kwargs,
    ):
        check_integer(dataset_size, "dataset_size", 2)
        check_choice(estimator, "estimator", ESTIMATORS)
        super().__init__(encoder, decoder, reconstruction, **kwargs)
        self.dataset_size, self.estimator = int(dataset_size), estimator
        self.alpha, self.beta, self.gamma = alpha, beta, gamma

    @classmethod
    def arguments_of_data(cls, data):
        return {"dataset_size": len(data)}

    def batch_limits(self):
        return 2, self.dataset_size

    def logged_terms(self):
        return (*super().logged_terms(), "mutual_information", "total_correlation", "dimension_kl")

    def regularization(self, mean, logvar, z):
        parts = kl_decomposition(z, mean, logvar, self.dataset_size, self.estimator)
        for name, value in parts.items():
            self.track(name, value)
        return (
            self.scalar("alpha") * parts["mutual_information"]
            + self.scalar("beta") * parts["total_correlation"]
            + self.scalar("gamma") * parts["dimension_kl"]
        )

    def get_config(self):
        return {**super().get_config(), "dataset_size": self.dataset_size, "estimator": self.estimator}
