"""Use of a model on arrays: images to codes and codes to images, NumPy in and out."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from kerasvae.checks import check_integer
from kerasvae.models.device_images import device_images_of
from kerasvae.models.images import check_finite, check_images, standardize
from kerasvae.models.training_data import batches_of, is_endless, is_pipeline, warn_of_images


class Coding:
    """The part of every objective that encodes, decodes, reconstructs and samples."""

    def encode(self, images, batch_size=256, return_logvar=False):
        """Codes of images: the means of their posteriors.

        Args:
            images: (n, height, width, channels): uint8 0..255, standardised here, or floating, already standardised;
                pairs of images, `{"first", "second"}`, each of which is encoded on its own; or a pipeline that ends.
            batch_size: images in one call of the encoder, at least 1; a pipeline has its own.
            return_logvar: also return the log-variances.

        Returns:
            NumPy float32 (n, latents), or two of them, means and log-variances; of pairs a dictionary of such.

        Raises:
            ValueError: for another shape or dtype, images that hold NaN or infinity, or a pipeline that never ends.

        Warns:
            UserWarning: of images on another scale than their dtype stands for.
        """
        if is_pipeline(images):
            return _joined([self.encode(batch, batch_size, return_logvar) for batch in self._pipeline_images(images)])
        if isinstance(images, dict):
            self.check_images(images, "images")
            return {key: self.encode(images[key], batch_size, return_logvar) for key in ("first", "second")}
        images = images if hasattr(images, "shape") else np.asarray(images)
        self.check_images(images, "images")
        images = ops.convert_to_numpy(images)
        batches = (standardize(batch, self.pixel_mean, self.pixel_std) for batch in _batches(images, batch_size))
        outputs = [self.run_network(self.encoder, batch) for batch in batches]
        none = [np.zeros((0, self.latents), "float32")]
        means, logvars = (np.concatenate([output[key] for output in outputs] or none) for key in ("mean", "logvar"))
        return (means, logvars) if return_logvar else means

    def check_images(self, images, argument: str) -> None:
        """ValueError unless they are images, or pairs of them, that the model takes; a warning of a doubtful scale."""
        if isinstance(images, dict):
            if not {"first", "second"} <= set(images):
                raise ValueError(f'{argument} must hold pairs, {{"first", "second"}}, got the keys {sorted(images)}')
            for key in ("first", "second"):
                self.check_images(images[key], f"{argument}[{key!r}]")
            return
        check_images(images, self.image_shape, argument)
        check_finite(images, argument)
        warn_of_images(self, images, argument)

    def _pipeline_images(self, pipeline):
        """The batches of a pipeline, as images."""
        if is_endless(pipeline):
            raise ValueError("images never end: give steps to the pipeline")
        source = device_images_of(pipeline, self.device_images.values())
        for batch in batches_of(pipeline):
            images = batch if source is None else source(batch)
            yield keras.tree.map_structure(ops.convert_to_numpy, images)

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
        return ops.convert_to_numpy(self.expected_image(ops.convert_to_tensor(predicted)))

    def reconstruct(self, images, batch_size=256):
        """Images decoded from the mean codes of `images`; arguments as for `encode`, result as for `decode`."""
        codes = self.encode(images, batch_size)
        if isinstance(codes, dict):
            return {key: self.decode(part, batch_size) for key, part in codes.items()}
        return self.decode(codes, batch_size)

    def sample(self, count, seed=0, batch_size=256):
        """`count` images decoded from draws of N(0, I) made by NumPy with `seed`; result as for `decode`."""
        check_integer(count, "count", 1)
        check_integer(seed, "seed", 0, optional=True)
        return self.decode(np.random.default_rng(seed).standard_normal((count, self.latents)), batch_size)


def _batches(array, batch_size):
    check_integer(batch_size, "batch_size", 1)
    return (array[start : start + batch_size] for start in range(0, len(array), batch_size))


def _joined(parts):
    """The results of batches, arrays or tuples or dictionaries of arrays, as one."""
    if not parts:
        raise ValueError("images must hold at least one batch, got an empty pipeline")
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
