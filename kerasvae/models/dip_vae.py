"""DIP-VAE: the covariance of the codes drawn to the identity."""

from __future__ import annotations

import keras

from kerasvae.checks import check_choice
from kerasvae.math import dip_penalty
from kerasvae.models.hyperparameter import Hyperparameter
from kerasvae.models.vae import VAE


@keras.saving.register_keras_serializable(package="kerasvae")
class DIPVAE(VAE):
    """DIP-VAE-I and -II: a VAE with disentangled inferred prior.

        loss = reconstruction + KL + lambda_od · Σ_{i≠j} C_ij² + lambda_d · Σ_i (C_ii - 1)²

    with C the covariance of the posterior means over the batch (kind "i"), or that of the codes, Cov(mean) +
    diag(E[variance]) (kind "ii").

    Args:
        encoder, decoder, reconstruction: as for `VAE`.
        kind: "i" or "ii". Default "ii".
        lambda_od: weight of the off-diagonal part, at least 0: a number or a schedule. Default 10
            (disentanglement_lib's study: 1, 2, 5, 10, 20, 50).
        lambda_d: weight of the diagonal part, likewise. Default None: 10 · lambda_od for kind "i", lambda_od for "ii",
            as in Kumar et al. and disentanglement_lib (for a schedule give both).
        reduction: "sum" (default), which the defaults assume, or "mean".
        **kwargs: `seed`, `pixel_mean`, `pixel_std`, `name`, as for `VAE`.

    The logs hold `dip_loss`, the weighted penalty. The covariance is a statistic of a batch; under `tf.distribute` of
    each replica's part of it. With both weights 0 it is the `VAE`.

    Source: Kumar et al. 2018, Eq. 5 to 7.
    """

    lambda_od = Hyperparameter(minimum=0.0)
    lambda_d = Hyperparameter(minimum=0.0)

    def __init__(self, encoder, decoder, reconstruction=None, *, kind="ii", lambda_od=10.0, lambda_d=None, **kwargs):
        check_choice(kind, "kind", ("i", "ii"))
        super().__init__(encoder, decoder, reconstruction, **kwargs)
        self.kind = kind
        self.lambda_od = lambda_od
        if lambda_d is None:
            if not isinstance(self.lambda_od, float):
                raise ValueError(f"lambda_d must be given where lambda_od is a schedule, {lambda_od!r}")
            lambda_d = 10.0 * self.lambda_od if kind == "i" else self.lambda_od
        self.lambda_d = lambda_d

    def logged_terms(self):
        return (*super().logged_terms(), "dip_loss")

    def regularization(self, mean, logvar, z):
        penalty = dip_penalty(mean, logvar, self.kind, self.scalar("lambda_od"), self.scalar("lambda_d"))
        self.track("dip_loss", penalty)
        return super().regularization(mean, logvar, z) + penalty

    def get_config(self):
        return {**super().get_config(), "kind": self.kind}
