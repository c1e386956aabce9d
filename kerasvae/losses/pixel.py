"""Pixel-wise reconstruction losses: the mean over an image's elements, one value per image."""

from __future__ import annotations

import keras
from keras import ops


def image_batch(loss, y_true, y_pred):
    """Both batches as tensors of one dtype, float32 or float64; ValueError unless they are images of the same shape.

    Sums over the pixels of an image leave the range of float16 and the precision of bfloat16.
    """
    y_true, y_pred = (_tensor(loss, name, images) for name, images in (("y_true", y_true), ("y_pred", y_pred)))
    dtype = keras.backend.standardize_dtype(y_pred.dtype)
    if dtype != "float64":
        y_pred = ops.cast(y_pred, "float32")
    y_true = ops.cast(y_true, y_pred.dtype)
    shapes = tuple(y_true.shape), tuple(y_pred.shape)
    agree = all(a is None or b is None or a == b for a, b in zip(*shapes, strict=False))
    if len(shapes[0]) != 4 or len(shapes[1]) != 4 or not agree:
        raise ValueError(
            f"{type(loss).__name__} compares two batches of images of the same shape (batch, height, width, channels); "
            f"got y_true {shapes[0]} and y_pred {shapes[1]}"
        )
    return y_true, y_pred


def _tensor(loss, name, images):
    """`images` as a tensor; TypeError where they are no numbers."""
    try:
        tensor = None if images is None else ops.convert_to_tensor(images)
        if keras.backend.standardize_dtype(tensor.dtype) != "string":
            return tensor
    except (TypeError, ValueError, AttributeError):
        pass
    raise TypeError(
        f"{name} of {type(loss).__name__} must be a batch of images (batch, height, width, channels), an array or "
        f"tensor of numbers; got {type(images).__name__}"
    ) from None


def mean_square(difference):
    """Mean of the squares of each image's difference, (batch,).

    Its gradient is written out: what the backends derive makes one or two passes more over the batch.
    """

    @ops.custom_gradient
    def mean(difference):
        def gradient(*arguments, upstream=None):
            upstream = arguments[0] if upstream is None else upstream
            size = ops.prod(ops.cast(ops.shape(difference)[1:], difference.dtype))
            return difference * ops.reshape(upstream * (2.0 / size), (-1, 1, 1, 1))

        return ops.mean(ops.square(difference), axis=(1, 2, 3)), gradient

    return mean(difference)


@keras.saving.register_keras_serializable(package="kerasvae")
class MeanSquaredError(keras.losses.Loss):
    """Mean squared difference of each image and its reconstruction.

    `call` returns one value per image, (batch,): the mean over height, width and channels. Called as a Keras loss
    (`loss(y_true, y_pred)`, or in `compile`) these are reduced as `reduction` says.

    Args:
        reduction, name, dtype: as in `keras.losses.Loss`.

    Raises:
        ValueError: when the two are not batches of images (batch, height, width, channels) of one shape.

    Source: "Overlooked Implications", supplement C.1. No factor 1/2: against a Gaussian of unit variance the weight of
    a KL term next to it is halved. pythae uses half the squared error summed, disentangling-vae 255 times it.
    """

    def __init__(self, reduction="sum_over_batch_size", name="mean_squared_error", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        y_true, y_pred = image_batch(self, y_true, y_pred)
        return mean_square(y_true - y_pred)


@keras.saving.register_keras_serializable(package="kerasvae")
class MeanAbsoluteError(keras.losses.Loss):
    """Mean absolute difference of each image and its reconstruction: a Laplace likelihood up to scale.

    `call` returns one value per image, (batch,): the mean over height, width and channels.

    Args:
        reduction, name, dtype: as in `keras.losses.Loss`.

    Raises:
        ValueError: when the two are not batches of images (batch, height, width, channels) of one shape.
    """

    def __init__(self, reduction="sum_over_batch_size", name="mean_absolute_error", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        y_true, y_pred = image_batch(self, y_true, y_pred)
        difference = y_true - y_pred
        # |difference|, with the derivative 0 at 0, where JAX's is 1.
        return ops.mean(difference * ops.stop_gradient(ops.sign(difference)), axis=(1, 2, 3))


@keras.saving.register_keras_serializable(package="kerasvae")
class BernoulliNLL(keras.losses.Loss):
    """Negative log-likelihood of images in 0..1 under independent Bernoulli pixels whose logits are the reconstruction.

    `call` returns one value per image, (batch,): the mean over height, width and channels of
    softplus(logit) - image · logit, in nats. Times H·W·C it is the image's negative log-likelihood.

    Use it on images in 0..1 (`standardize=False` in the pipelines), not on standardised ones: outside 0..1 it has no
    lower bound. For values strictly between 0 and 1 it is a cross-entropy whose smallest value is not 0.

    Args:
        reduction, name, dtype: as in `keras.losses.Loss`.

    Raises:
        ValueError: when the two are not batches of images (batch, height, width, channels) of one shape.
    """

    def __init__(self, reduction="sum_over_batch_size", name="bernoulli_nll", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        y_true, y_pred = image_batch(self, y_true, y_pred)
        # max(logit, 0) - image·logit + log(1 + exp(-|logit|)): exact for large logits of either sign. By `where`, since
        # backends differ over the derivatives of max and |·| at 0; of these two branches it is the right one.
        positive = y_pred >= 0
        largest = ops.where(positive, y_pred, ops.zeros_like(y_pred))
        nll = largest - y_true * y_pred + ops.log1p(ops.exp(ops.where(positive, -y_pred, y_pred)))
        return ops.mean(nll, axis=(1, 2, 3))

    def expected_image(self, y_pred):
        """The image that logits stand for: each pixel's probability."""
        return ops.sigmoid(y_pred)
