"""What every network's arguments must be, and the seeds of its layers."""

from __future__ import annotations

import keras
import numpy as np

from kerasvae.checks import check_integer, is_integer, shown

MOST_CHANNELS = 16


def check_image_shape(image_shape, *, least: int = 1) -> tuple[int, int, int]:
    """`image_shape` as three ints; ValueError unless (height, width, channels), sides at least `least`."""
    shape = tuple(image_shape) if isinstance(image_shape, list | tuple | np.ndarray) else ()
    whole = all(is_integer(size) and size >= 1 for size in shape)
    if len(shape) != 3 or not whole or shape[2] > MOST_CHANNELS:
        hint = "; pass its image_shape" if hasattr(image_shape, "image_shape") else ""
        raise ValueError(
            f"image_shape must be (height, width, channels), positive integers with 1 to {MOST_CHANNELS} channels, "
            f"got {shown(image_shape)}{hint}"
        )
    if min(shape[:2]) < least:
        raise ValueError(
            f"image_shape: height and width must be at least {least} for networks of convolutions, got "
            f"{shown(image_shape)}; enlarge the images, or use the mlp networks"
        )
    return tuple(int(size) for size in shape)


def check_activation(activation):
    """The activation; ValueError for what Keras does not know."""
    try:
        keras.activations.get(activation)
    except (ValueError, TypeError) as error:
        raise ValueError(
            "activation must be a name that keras.activations knows, such as 'relu', or a function, got "
            f"{shown(activation)}"
        ) from error
    return activation


def check_name(name) -> str:
    """ValueError unless it is a name that Keras takes."""
    if not isinstance(name, str) or not name or "/" in name:
        raise ValueError(f"name must be text without '/', got {shown(name)}")
    return name


def glorot_normal(seed: int | None):
    """A function that makes one Glorot normal initializer after the other, all determined by `seed`."""
    if seed is None:
        return keras.initializers.GlorotNormal
    states = np.random.default_rng(check_integer(seed, "seed", 0, optional=True))
    return lambda: keras.initializers.GlorotNormal(seed=int(states.integers(2**31 - 1)))
