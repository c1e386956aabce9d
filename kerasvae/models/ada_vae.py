"""Ada-GVAE and Ada-ML-VAE: weak supervision by pairs of images that share some factors."""

from __future__ import annotations

import keras
from keras import ops

from kerasvae.checks import check_choice
from kerasvae.math import average_posteriors, kl_normal, shared_latents, symmetric_kl
from kerasvae.models.beta_vae import BetaVAE
from kerasvae.models.hyperparameter import Hyperparameter
from kerasvae.models.images import check_images, standardize


@keras.saving.register_keras_serializable(package="kerasvae")
class AdaGVAE(BetaVAE):
    """Adaptive Group-VAE: a β-VAE on pairs whose unchanged latents are found and averaged.

    For each pair the distance of the two posteriors is taken latent by latent; latents nearer than halfway between the
    pair's smallest and largest distance are taken to be unchanged, and both images get the average posterior there
    (mean of the means, mean of the variances). Then both are sampled, reconstructed and penalised as by `BetaVAE`, and
    the loss is the mean over the two.

    `fit` takes pairs: a dictionary `{"first", "second"}` of two batches of images, as `kerasvae.datasets.pairs` yields.
    If it also holds `"shared"`, boolean (batch, latents), that mask says which latents are averaged, and nothing is
    estimated: the Group-VAE of Hosoya 2019 (of `AdaMLVAE`: the ML-VAE of Bouchacourt et al. 2018) with known groups.

    Args:
        encoder, decoder, reconstruction, beta, reduction: as for `BetaVAE`.
        averaging: "gvae" (default), or "authors": what the code behind "Overlooked Implications" computed until June
            2022, the second image's mean in place of the mean of both (the variance was averaged).
        distance: "symmetric" (default): 1/2 KL(q1 ‖ q2) + 1/2 KL(q2 ‖ q1), supplement B.2; or "forward":
            KL(q1 ‖ q2), as in Locatello et al. 2020 and disentanglement_lib.
        threshold: where between the pair's smallest (0) and largest (1) distance the border lies; a latent at the
            border counts as changed. Default 0.5.
        **kwargs: `seed`, `pixel_mean`, `pixel_std`, `name`, as for `VAE`.

    Source: Locatello et al. 2020, "Weakly-supervised disentanglement without compromises", section 4.
    """

    images_per_example = 2
    averagings = ("gvae", "authors")

    threshold = Hyperparameter(minimum=0.0, maximum=1.0)

    def __init__(
        self,
        encoder,
        decoder,
        reconstruction=None,
        *,
        beta=0.001,
        averaging="gvae",
        distance="symmetric",
        threshold=0.5,
        **kwargs,
    ):
        if averaging not in self.averagings:
            raise ValueError(f"averaging must be one of {self.averagings}, got {averaging!r}")
        check_choice(distance, "distance", ("symmetric", "forward"))
        super().__init__(encoder, decoder, reconstruction, beta=beta, **kwargs)
        self.averaging, self.distance = averaging, distance
        self.threshold = threshold

    def gather_images(self, x):
        keys = {"first", "second"}
        if not isinstance(x, dict) or set(x) not in (keys, keys | {"shared"}):
            got = f"the keys {sorted(x)}" if isinstance(x, dict) else "single images"
            raise ValueError(
                f'{type(self).__name__} learns from pairs: the data must yield dictionaries {{"first", "second"}}, as '
                f'kerasvae.datasets.pairs(...) does, with a mask "shared" or without; they yield {got}'
            )
        for key in ("first", "second"):
            check_images(x[key], self.image_shape, f'x["{key}"]')
        if "shared" in x:
            _check_shared(x["shared"], self.latents)
        return ops.concatenate([standardize(x[key], self.pixel_mean, self.pixel_std) for key in ("first", "second")])

    def posterior(self, images, training=False, x=None):
        mean, logvar = super().posterior(images, training=training)
        first_mean, second_mean = ops.split(mean, 2)
        first_logvar, second_logvar = ops.split(logvar, 2)
        pair = first_mean, first_logvar, second_mean, second_logvar
        if x is not None and "shared" in x:
            shared = ops.convert_to_tensor(x["shared"])
        else:
            distance = symmetric_kl(*pair) if self.distance == "symmetric" else kl_normal(*pair)
            shared = shared_latents(distance, self.scalar("threshold"))
        first_mean, first_logvar, second_mean, second_logvar = average_posteriors(*pair, shared, how=self.averaging)
        return ops.concatenate([first_mean, second_mean]), ops.concatenate([first_logvar, second_logvar])

    def get_config(self):
        return {**super().get_config(), "averaging": self.averaging, "distance": self.distance}


def _check_shared(shared, latents: int) -> None:
    """ValueError unless `shared` (array, tensor or spec) is a mask of the latents of a batch of pairs."""
    shape, dtype = getattr(shared, "shape", None), getattr(shared, "dtype", None)
    if shape is None or dtype is None:
        raise ValueError(f'x["shared"] must be boolean (batch, {latents}), got {type(shared).__name__}')
    known = [None] * 2 if getattr(shape, "rank", 2) is None else list(shape)
    if len(known) != 2 or known[1] not in (None, latents):
        raise ValueError(f'x["shared"] must be boolean (batch, {latents}), got shape {tuple(known)}')
    dtype = getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")
    # Numbers, such as probabilities, would count as True wherever they are not 0.
    if dtype != "bool":
        raise ValueError(f'x["shared"] must be boolean (batch, {latents}), got dtype {dtype}')


@keras.saving.register_keras_serializable(package="kerasvae")
class AdaMLVAE(AdaGVAE):
    """Adaptive ML-VAE: as `AdaGVAE`, but shared latents get the product of the two posteriors.

    Args:
        averaging: "mlvae" alone.
        Others: as for `AdaGVAE`.

    Source: Locatello et al. 2020, section 4, after Bouchacourt et al. 2018.
    """

    averagings = ("mlvae",)

    def __init__(self, encoder, decoder, reconstruction=None, *, averaging="mlvae", **kwargs):
        super().__init__(encoder, decoder, reconstruction, averaging=averaging, **kwargs)
