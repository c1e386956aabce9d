"""Latent noise as a pure function of (seed, step): the same numbers on every backend, compiled or not.

A resumed run has no generator state to restore, and a replica computes just its own part of the global batch's noise.
"""

from __future__ import annotations

import math

from keras import ops

from kerasvae.random_numbers import uniform


def standard_normal(seed, step, lanes, stream: int = 0):
    """One float32 draw of N(0, 1) a lane (Box and Muller); arguments as for `uniform`."""
    radius = ops.sqrt(-2.0 * ops.log(uniform(seed, step, lanes, 2 * stream)))
    return radius * ops.cos(2.0 * math.pi * uniform(seed, step, lanes, 2 * stream + 1))
