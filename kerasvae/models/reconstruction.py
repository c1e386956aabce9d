"""The reconstruction loss of a model: what may be given for it, what it may return, and which images it is made for."""

from __future__ import annotations

import inspect
import math

import keras
from keras import ops

from kerasvae.losses import BernoulliNLL, MeanSquaredError

# What a loss takes its targets to be, where that is more than any number; a loss of one's own may say it in an
# attribute `target_range`. Outside of it, most have no lower bound, and some are not finite.
_TARGETS = {
    BernoulliNLL: (0.0, 1.0),
    keras.losses.BinaryCrossentropy: (0.0, 1.0),
    keras.losses.BinaryFocalCrossentropy: (0.0, 1.0),
    keras.losses.CategoricalCrossentropy: (0.0, 1.0),
    keras.losses.CategoricalFocalCrossentropy: (0.0, 1.0),
    keras.losses.Dice: (0.0, 1.0),
    keras.losses.KLDivergence: (0.0, 1.0),
    keras.losses.MeanSquaredLogarithmicError: (0.0, math.inf),
    keras.losses.Poisson: (0.0, math.inf),
    keras.losses.Tversky: (0.0, 1.0),
}


def reconstruction_loss(reconstruction) -> keras.losses.Loss:
    """The Loss that the argument `reconstruction` stands for: None, a Loss, or what `keras.losses.get` knows."""
    allowed = (
        "reconstruction must be a keras.losses.Loss, such as kerasvae.losses.BoxBlurMSE(), or the name of one of "
        f'Keras\'s, such as "mse", got {reconstruction!r}'
    )
    if reconstruction is None:
        return MeanSquaredError()
    if isinstance(reconstruction, keras.losses.Loss):
        return reconstruction
    if inspect.isclass(reconstruction):
        raise ValueError(f"{allowed}: give an object, {reconstruction.__name__}(...), not the class")
    try:
        loss = keras.losses.get(reconstruction)
    except (TypeError, ValueError) as error:
        raise ValueError(allowed) from error
    if isinstance(loss, keras.losses.Loss):
        return loss
    # For its short names Keras has functions; each belongs to a class, which can be saved.
    classes = {name.lower(): cls for name, cls in vars(keras.losses).items() if inspect.isclass(cls)}
    name = getattr(loss, "__name__", "")
    if isinstance(reconstruction, str) and name.replace("_", "") in classes:
        return classes[name.replace("_", "")]()
    raise ValueError(f"{allowed}: a function cannot be saved with the model; make it the `call` of a Loss")


def per_image_or_element(loss, images, predicted):
    """What a loss gives for a batch, (batch, ...); ValueError unless it is one value per image or element."""
    errors = ops.convert_to_tensor(loss.call(images, predicted))
    # A symbolic batch has no size to compare.
    given, batch = tuple(errors.shape), images.shape[0]
    if not given or (given[0] is not None and batch is not None and given[0] != batch):
        raise ValueError(
            f"reconstruction: {type(loss).__name__}.call must return one value per image or element, (batch, ...); for "
            f"images {tuple(images.shape)} it returned shape {given}"
        )
    return ops.cast(errors, "float32")


def target_range(loss) -> tuple[float, float]:
    """The smallest and the largest value that the loss takes images to have."""
    known = next((limits for cls, limits in _TARGETS.items() if isinstance(loss, cls)), (-math.inf, math.inf))
    return getattr(loss, "target_range", known)


def image_link(loss):
    """The function that makes images of what the loss takes for predictions, where these are no images; or None."""
    link = getattr(loss, "expected_image", None)
    # Keras's own losses of logits.
    return ops.sigmoid if link is None and getattr(loss, "from_logits", False) else link


def predicts_probabilities(loss) -> bool:
    """Whether the loss takes the decoder's outputs for probabilities, 0..1, which a linear decoder does not give."""
    return getattr(loss, "from_logits", None) is False
