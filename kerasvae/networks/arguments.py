"""What every network's arguments must be, and the seeds of its layers."""

from __future__ import annotations

import numbers

import keras
import numpy as np


def check_image_shape(image_shape, *, multiple: int = 1) -> tuple[int, int, int]:
    """`image_shape` as three ints; ValueError unless (height, width, channels) with 1 to 4 channels fits `multiple`."""
    try:
        shape = tuple(image_shape)
    except TypeError:
        shape = ()
    whole = all(isinstance(size, numbers.Integral) and size >= 1 for size in shape)
    if len(shape) != 3 or not whole or shape[2] > 4:
        raise ValueError(
            f"image_shape must be (height, width, channels), positive integers with 1 to 4 channels, "
            f"got {image_shape!r}"
        )
    if shape[0] % multiple or shape[1] % multiple:
        raise ValueError(
            f"image_shape: height and width must be divisible by {multiple} (the network halves them four times), "
            f"got {image_shape!r}; resize the images, or use the mlp networks"
        )
    return tuple(int(size) for size in shape)


def check_positive_integer(name: str, value) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be an integer, at least 1, got {value!r}")
    return int(value)


def glorot_normal(seed: int | None):
    """A function that makes one Glorot normal initializer after the other, all determined by `seed`."""
    if seed is None:
        return keras.initializers.GlorotNormal
    if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
        raise ValueError(f"seed must be None or an integer, at least 0, got {seed!r}")
    states = np.random.default_rng(int(seed))
    return lambda: keras.initializers.GlorotNormal(seed=int(states.integers(2**31 - 1)))
