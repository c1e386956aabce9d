"""Use of a model on arrays: images to codes and codes to images, NumPy in and out."""

from __future__ import annotations

import numbers

import numpy as np
from keras import ops

from kerasvae.models.images import check_finite, check_images, standardize


class Coding:
    """The part of every objective that encodes, decodes, reconstructs and samples."""

    def encode(self, images, batch_size=256, return_logvar=False):
        """Codes of images: the means of their posteriors.

        Args:
            images: (n, height, width, channels): uint8 0..255, standardised here, or floating, already standardised.
            batch_size: images in one call of the encoder, at least 1.
            return_logvar: also return the log-variances.

        Returns:
            NumPy float32 (n, latents), or two of them, means and log-variances.

        Raises:
            ValueError: for another shape or dtype, or images that hold NaN or infinity.
        """
        images = images if hasattr(images, "shape") else np.asarray(images)
        check_images(images, self.image_shape, "images")
        images = ops.convert_to_numpy(images)
        check_finite(images, "images")
        batches = (standardize(batch, self.pixel_mean, self.pixel_std) for batch in _batches(images, batch_size))
        outputs = [self.run_network(self.encoder, batch) for batch in batches]
        none = [np.zeros((0, self.latents), "float32")]
        means, logvars = (np.concatenate([output[key] for output in outputs] or none) for key in ("mean", "logvar"))
        return (means, logvars) if return_logvar else means

    def decode(self, latents, batch_size=256):
        """Images of codes: NumPy float32 (n, height, width, channels), in the units the model was trained on.

        Args:
            latents: (n, latents), finite.
            batch_size: codes in one call of the decoder, at least 1.

        A loss whose prediction is not itself an image (`BernoulliNLL` predicts logits) turns it into one.
        """
        latents = np.asarray(latents, "float32")
        if latents.ndim != 2 or latents.shape[1] != self.latents or not np.isfinite(latents).all():
            raise ValueError(f"latents must be finite, of shape (n, {self.latents}), got shape {latents.shape}")
        outputs = [self.run_network(self.decoder, batch) for batch in _batches(latents, batch_size)]
        predicted = np.concatenate(outputs or [np.zeros((0, *self.image_shape), "float32")])
        link = getattr(self.reconstruction, "expected_image", None)
        return predicted if link is None else ops.convert_to_numpy(link(predicted))

    def reconstruct(self, images, batch_size=256):
        """Images decoded from the mean codes of `images`; arguments as for `encode`, result as for `decode`."""
        return self.decode(self.encode(images, batch_size), batch_size)

    def sample(self, count, seed=0, batch_size=256):
        """`count` images decoded from draws of N(0, I) made by NumPy with `seed`; result as for `decode`."""
        if isinstance(count, bool) or not isinstance(count, numbers.Integral) or count < 1:
            raise ValueError(f"count must be an integer, at least 1, got {count!r}")
        return self.decode(np.random.default_rng(seed).standard_normal((count, self.latents)), batch_size)


def _batches(array, batch_size):
    if isinstance(batch_size, bool) or not isinstance(batch_size, numbers.Integral) or batch_size < 1:
        raise ValueError(f"batch_size must be an integer, at least 1, got {batch_size!r}")
    return (array[start : start + batch_size] for start in range(0, len(array), batch_size))
