"""β-VAE: the KL divergence weighted by β."""

from __future__ import annotations

import keras
from keras import ops

from kerasvae.math import kl_standard_normal
from kerasvae.models.hyperparameter import Hyperparameter
from kerasvae.models.vae import VAE


@keras.saving.register_keras_serializable(package="kerasvae")
class BetaVAE(VAE):
    """β-VAE.

        loss = reconstruction + β · KL(q(z|x) ‖ N(0, I))

    Args:
        encoder, decoder, reconstruction: as for `VAE`.
        beta: weight of the KL, at least 0: a number or a schedule. Default 0.001, one of the values of "Overlooked
            Implications" (supplement Table 4) for the reduction "mean" at 9 latents.
        reduction: "mean" (default): mean over elements and over latents, as in "Overlooked Implications", supplement
            B.1; or "sum", as in disentanglement_lib and in Higgins et al.'s β = 4 on dSprites. One β is the other times
            (H·W·C)/latents, 1365 for 64×64×3 images and 9 latents: `kerasvae.math.convert_beta` converts.
        **kwargs: `seed`, `pixel_mean`, `pixel_std`, `name`, as for `VAE`.

    With `beta=1` it is the `VAE` of the same reduction.

    Source: Higgins et al. 2017, Eq. 4. pythae halves the squared error, so that its β counts double.
    """

    beta = Hyperparameter(minimum=0.0)

    def __init__(self, encoder, decoder, reconstruction=None, *, beta=0.001, reduction="mean", **kwargs):
        super().__init__(encoder, decoder, reconstruction, reduction=reduction, **kwargs)
        self.beta = beta

    def regularization(self, mean, logvar, z):
        return self.scalar("beta") * ops.mean(ops.sum(kl_standard_normal(mean, logvar), axis=-1))
