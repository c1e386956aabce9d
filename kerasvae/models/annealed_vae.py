"""AnnealedVAE, β-VAE_B: a capacity that the KL is held to."""

from __future__ import annotations

import keras
from keras import ops

from kerasvae.math import kl_standard_normal
from kerasvae.models.hyperparameter import Hyperparameter
from kerasvae.models.vae import VAE
from kerasvae.schedules import Linear


@keras.saving.register_keras_serializable(package="kerasvae")
class AnnealedVAE(VAE):
    """VAE whose KL is drawn to a capacity C that grows during training.

        loss = reconstruction + γ · |KL(q(z|x) ‖ N(0, I)) - C(step)|

    The KL in the absolute value is the mean over the batch, not each image's.

    Args:
        encoder, decoder, reconstruction: as for `VAE`.
        gamma: weight of the distance from the capacity, at least 0: a number or a schedule. Default 1000, as in Burgess
            et al. and disentanglement_lib (disentangling-vae's released runs: 100).
        capacity: C in nats per image, at least 0: a number or a schedule. Default `Linear(0, 25, steps=100_000)`, the
            ramp of both sources; disentanglement_lib's study takes 5, 10, 25, 50, 75 or 100 for the end.
        reduction: "sum" (default), which the defaults assume; "mean" divides the whole regularization by the number of
            latents, and C stays in nats per image.
        **kwargs: `seed`, `pixel_mean`, `pixel_std`, `name`, as for `VAE`.

    The logs hold `capacity` too. With C = 0 it is the `BetaVAE` of β = γ.

    Source: Burgess et al. 2018, Eq. 8. pythae takes the absolute value for each image, then the mean.
    """

    gamma = Hyperparameter(minimum=0.0)
    capacity = Hyperparameter(minimum=0.0)

    def __init__(self, encoder, decoder, reconstruction=None, *, gamma=1000.0, capacity=None, **kwargs):
        super().__init__(encoder, decoder, reconstruction, **kwargs)
        self.gamma = gamma
        self.capacity = Linear(0.0, 25.0, steps=100_000) if capacity is None else capacity

    def logged_terms(self):
        return (*super().logged_terms(), "capacity")

    def regularization(self, mean, logvar, z):
        capacity = self.scalar("capacity")
        self.track("capacity", capacity)
        return self.scalar("gamma") * ops.abs(ops.mean(ops.sum(kl_standard_normal(mean, logvar), axis=-1)) - capacity)
