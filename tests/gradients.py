"""Gradients of functions in `keras.ops` by the backend in use, and by central differences in float64."""

from __future__ import annotations

import keras
import numpy as np


def gradients(function, *arrays):
    """Gradients of the sum of `function(*arrays)` with respect to each of the arrays, as float64 arrays."""
    tensors = [keras.ops.convert_to_tensor(array) for array in arrays]
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(tensors)
            total = tf.reduce_sum(function(*tensors))
        found = tape.gradient(total, tensors, unconnected_gradients="zero")
    elif backend == "jax":
        import jax

        found = jax.grad(lambda *given: function(*given).sum(), argnums=tuple(range(len(tensors))))(*tensors)
    else:
        import torch

        tensors = [tensor.detach().clone().requires_grad_() for tensor in tensors]
        total = function(*tensors).sum()
        found = torch.autograd.grad(total, tensors, allow_unused=True)
        found = [torch.zeros_like(at) if each is None else each for at, each in zip(tensors, found, strict=True)]
    return [keras.ops.convert_to_numpy(keras.ops.cast(each, "float32")).astype(np.float64) for each in found]


def central_differences(function, *arrays, step=1e-6):
    """The same of a function of float64 arrays; the step is relative to each entry, absolute below 1."""
    found = []
    for place, array in enumerate(arrays):
        gradient = np.zeros(array.shape)
        for index in np.ndindex(array.shape):
            change = step * max(1.0, abs(array[index]))
            sides = []
            for sign in (1, -1):
                moved = [np.array(each, np.float64) for each in arrays]
                moved[place][index] += sign * change
                sides.append(np.sum(function(*moved)))
            gradient[index] = (sides[0] - sides[1]) / (2 * change)
        found.append(gradient)
    return found
