"""Applying the gradients of one update to its shares, under a loss scale that spans them or without one."""

from __future__ import annotations

import keras
from keras import ops


def apply_shares(scale, shares, gradients) -> None:
    """Move the variables of each share by its optimizer; on backends whose variables hold their state.

    Args:
        scale: the `LossScaleOptimizer` that the loss was scaled by and that is around the shares' optimizers; or None,
            where these are applied as they are (and one that scales sees to it itself).
        shares: pairs of an optimizer and its variables.
        gradients: a list of gradients for each share.
    """
    if scale is None:
        _apply(shares, gradients)
        return
    gradients, finite = unscaled(scale, gradients)
    ops.cond(finite, lambda: _apply(shares, gradients), lambda: None)


def unscaled(scale, gradients):
    """Gradients, nested as they are, divided by the scale, and whether all are finite; the scale is moved on.

    The same rule as Keras's for one optimizer: half the scale after an overflow, twice after `dynamic_growth_steps`
    updates without one.
    """
    flat = keras.tree.flatten(gradients)
    finite = ops.all(ops.stack([ops.all(ops.isfinite(gradient)) for gradient in flat]))
    factor = 1.0 / ops.convert_to_tensor(scale.dynamic_scale)
    gradients = keras.tree.map_structure(lambda gradient: gradient * ops.cast(factor, gradient.dtype), gradients)
    grown = ops.logical_and(finite, ops.equal(scale.step_counter, scale.dynamic_growth_steps - 1))
    again = ops.logical_or(grown, ops.logical_not(finite))
    scale.dynamic_scale.assign(scale.dynamic_scale * ops.where(grown, 2.0, ops.where(finite, 1.0, 0.5)))
    scale.step_counter.assign(ops.where(again, 0, scale.step_counter + 1))
    return gradients, finite


def _apply(shares, gradients) -> None:
    for (optimizer, variables), share in zip(shares, gradients, strict=True):
        optimizer.apply(share, variables)
