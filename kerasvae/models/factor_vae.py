"""FactorVAE: total correlation, as a discriminator sees it."""

from __future__ import annotations

import re

import keras
from keras import ops

from kerasvae.checks import check_choice
from kerasvae.math import permute_latents
from kerasvae.models.hyperparameter import Hyperparameter
from kerasvae.models.keras_internals import variables_of
from kerasvae.models.networks import warn_of_unseeded_networks
from kerasvae.models.optimizers import checked_optimizer
from kerasvae.models.vae import VAE
from kerasvae.networks import mlp_discriminator
from kerasvae.random_numbers import uniform


@keras.saving.register_keras_serializable(package="kerasvae")
class FactorVAE(VAE):
    """FactorVAE: the total correlation of the codes penalised, by the density ratio that a discriminator learns.

        loss = reconstruction + KL + γ · E[log D(z) - log(1 - D(z))]

    The discriminator D distinguishes codes of images from codes whose latents are permuted over the batch, each on its
    own; it has an optimizer of its own and is trained in the same step.

    Args:
        encoder, decoder, reconstruction: as for `VAE`.
        discriminator: functional `keras.Model` from (latents,) to two logits (from q(z), permuted), such as
            `kerasvae.networks.mlp_discriminator`, whose default, six layers of 1000, is the default.
        gamma: weight of the total correlation, at least 0: a number or a schedule. Default 35, the paper's for dSprites
            (disentanglement_lib's study: 10 to 100; disentangling-vae: 6.4).
        update: "alternating" (default), Algorithm 2 of the paper: the first half of the batch moves encoder and
            decoder, then the second half, encoded again, the discriminator; or "simultaneous", as in
            disentanglement_lib: the whole batch serves both, from the same weights.
        reduction: "sum" (default), which the defaults assume, or "mean".
        **kwargs: `seed`, `pixel_mean`, `pixel_std`, `name`, as for `VAE`.

    `compile` takes a `discriminator_optimizer`. The logs hold `total_correlation` and `discriminator_loss`, the mean
    cross-entropy in nats (log 2 = 0.69 when it cannot distinguish the two kinds). With γ = 0 encoder and decoder are
    trained as the `VAE`'s. Permutations are within a batch; under `tf.distribute` within each replica's part of it.

    Raises:
        ValueError: for a discriminator that does not fit, or an update not allowed; by `fit`, for a batch of fewer
            than 4 images ("alternating") or 2.

    Source: Kim & Mnih 2018, Eq. 2 and 3, Algorithm 2.
    """

    gamma = Hyperparameter(minimum=0.0)

    def __init__(
        self,
        encoder,
        decoder,
        reconstruction=None,
        *,
        discriminator=None,
        gamma=35.0,
        update="alternating",
        **kwargs,
    ):
        check_choice(update, "update", ("alternating", "simultaneous"))
        super().__init__(encoder, decoder, reconstruction, **kwargs)
        self.discriminator = mlp_discriminator(self.latents, seed=self.seed) if discriminator is None else discriminator
        _check_discriminator(self.discriminator, self.latents)
        if kwargs.get("seed") is not None:
            warn_of_unseeded_networks(discriminator=self.discriminator)
        self.update = update
        self.gamma = gamma

    def batch_limits(self):
        # Permuting takes two codes; alternating updates have half a batch.
        return (4 if self.update == "alternating" else 2), 2**31

    def logged_terms(self):
        return (*super().logged_terms(), "total_correlation", "discriminator_loss")

    def compile(self, optimizer=None, *, discriminator_optimizer=None, **kwargs):
        """As `VAE.compile`, with one optimizer more.

        Args:
            optimizer: of encoder and decoder, an optimizer or its name; a `keras.optimizers.MultiOptimizer` is taken as
                it is.
            discriminator_optimizer: an optimizer or its name. Default `Adam(1e-4, beta_1=0.5, beta_2=0.9,
                epsilon=1e-8)`, the paper's.
            **kwargs: as for `VAE.compile`.

        Raises:
            ValueError: when an optimizer would have no variables, or variables of both networks share their paths.
        """
        whole = getattr(optimizer, "inner_optimizer", optimizer)  # as it comes back from a file under mixed_float16
        if isinstance(whole, keras.optimizers.MultiOptimizer):
            if discriminator_optimizer is not None:
                raise ValueError(
                    "discriminator_optimizer must be None with a MultiOptimizer, which holds it already, got "
                    f"{discriminator_optimizer!r}"
                )
        else:
            if discriminator_optimizer is None:
                discriminator_optimizer = keras.optimizers.Adam(1e-4, beta_1=0.5, beta_2=0.9, epsilon=1e-8)
            optimizer = checked_optimizer(optimizer, "optimizer")
            discriminator_optimizer = checked_optimizer(discriminator_optimizer, "discriminator_optimizer")
            # One entry: loaded again, each entry of the map would become an optimizer of its own.
            paths = "|".join(re.escape(variable.path) for variable in self.discriminator.trainable_variables)
            optimizer = keras.optimizers.MultiOptimizer(
                keras.optimizers.OptimizerMap(optimizer, {paths: discriminator_optimizer})
            )
        super().compile(optimizer, **kwargs)
        self._shares()

    def _shares(self):
        """(optimizer, variables) of encoder and decoder, and of the discriminator."""
        own = {id(variable) for variable in self.discriminator.trainable_variables}
        chosen = {True: [], False: []}
        for variable in self.trainable_variables:
            chosen[id(variable) in own].append(variable)
        optimizers = getattr(self.optimizer, "inner_optimizer", self.optimizer).optimizers
        shares = []
        for variables in (chosen[False], chosen[True]):
            owners = [
                inner
                for inner in optimizers
                if any(variable is known for known in variables_of(inner) for variable in variables)
            ]
            if len(owners) != 1 or len(variables_of(owners[0])) != len(variables):
                raise ValueError(
                    "optimizer: encoder and decoder must have one optimizer, and the discriminator another; do layers "
                    "of the discriminator have the names of others?"
                )
            shares.append((owners[0], variables))
        return shares

    def updates(self):
        shares = self._shares()
        if self.update == "simultaneous":
            return [(self._joint_loss, shares)]
        return [(self.compute_loss, shares[:1]), (self._second_half_loss, shares[1:])]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        if training and self.update == "alternating":
            x = x[: self._half(x)]
        return super().compute_loss(x, training=training)

    def regularization(self, mean, logvar, z):
        logits = self._frozen_discriminator(z)
        total_correlation = ops.mean(logits[:, 0] - logits[:, 1])
        self.track("total_correlation", total_correlation)
        if self.update == "simultaneous" or not self.in_training:
            self._step.discriminator_loss = self._cross_entropy(z, self.in_training)
            self.track("discriminator_loss", self._step.discriminator_loss)
        return super().regularization(mean, logvar, z) + self.scalar("gamma") * total_correlation

    def _joint_loss(self, x, training=True):
        return self.compute_loss(x, training=training) + self._step.discriminator_loss

    def _second_half_loss(self, x, training=True):
        """The discriminator's loss on the second half of the batch, encoded by what the first half has just trained."""
        images = self._images(x[self._half(x) :], training)
        mean, logvar = self.posterior(images, training=training)
        loss = self._cross_entropy(mean + ops.exp(0.5 * logvar) * self.noise(mean, training, purpose=1), training)
        self.trackers["discriminator_loss"].update_state(loss, sample_weight=ops.shape(images)[0])
        return loss

    def _cross_entropy(self, z, training):
        """Mean cross-entropy of distinguishing codes from permuted codes; no gradient reaches the encoder."""
        z = ops.stop_gradient(z)
        step = self.step if training else self.evaluation_step
        order = uniform(self.noise_seed, step, self._lanes(z), stream=16 + (not training))
        real, permuted = (self.discriminator(codes, training=training) for codes in (z, permute_latents(z, order)))
        losses = [ops.logsumexp(logits, axis=-1) - logits[:, kind] for kind, logits in enumerate((real, permuted))]
        return 0.5 * ops.mean(losses[0]) + 0.5 * ops.mean(losses[1])

    def _frozen_discriminator(self, z):
        """The discriminator's logits, through which gradients reach the codes but not the discriminator."""
        frozen, others = (
            [ops.convert_to_tensor(variable) for variable in variables]
            for variables in (self.discriminator.trainable_variables, self.discriminator.non_trainable_variables)
        )
        logits, _ = self.discriminator.stateless_call([ops.stop_gradient(weight) for weight in frozen], others, z)
        return ops.cast(logits, "float32")

    def _half(self, x):
        return ops.shape(x)[0] // 2

    def get_config(self):
        return {
            **super().get_config(),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            "update": self.update,
        }


def _check_discriminator(discriminator, latents: int) -> None:
    shapes = isinstance(discriminator, keras.Model) and discriminator.built
    if not shapes or tuple(discriminator.input_shape) != (None, latents) or discriminator.output_shape != (None, 2):
        raise ValueError(
            f"discriminator must be a functional keras.Model from ({latents},) to 2 logits, such as "
            f"kerasvae.networks.mlp_discriminator({latents}), got {discriminator!r}"
        )
