"""Random numbers as pure functions of their position: the same on every backend, compiled or not.

Keras's generators differ between backends, and on TensorFlow between XLA and not. Here each number is a hash of where
it is used, so there is no generator state to save. int32 arithmetic wraps alike on all backends; JAX has no int64 by
default.
"""

from __future__ import annotations

import math

from keras import ops


def _signed(constant: int) -> int:
    return constant - (1 << 32) if constant >= 1 << 31 else constant


# Odd multipliers of a well-mixing 32-bit finaliser (Wang and Ettinger's "lowbias32"), and 2³² over the golden ratio.
_MULTIPLY_1, _MULTIPLY_2 = _signed(0x7FEB352D), _signed(0x846CA68B)
_GOLDEN = _signed(0x9E3779B9)
_SEED_OFFSET, _STREAM = _signed(0x85EBCA6B), _signed(0xC2B2AE35)


def _int32(value):
    return ops.cast(value, "int32")


def _shift_right(x, bits: int):
    # Shifts of signed integers copy the sign; the mask makes them logical.
    return ops.bitwise_and(ops.right_shift(x, _int32(bits)), _int32((1 << (32 - bits)) - 1))


def _mix(x):
    x = ops.bitwise_xor(x, _shift_right(x, 16)) * _int32(_MULTIPLY_1)
    x = ops.bitwise_xor(x, _shift_right(x, 15)) * _int32(_MULTIPLY_2)
    return ops.bitwise_xor(x, _shift_right(x, 16))


def uniform(seed, step, lanes, stream: int):
    """One float32 in (0, 1) per lane, determined by the four integers.

    Args:
        seed: an integer scalar, at least 0; it may be a tensor, so it stays a run-time value.
        step: the same, or an int32 tensor that broadcasts against `lanes`.
        lanes: int32 tensor of positions, any shape.
        stream: distinguishes independent uses of one step, at least 0.
    """
    key = _mix(_int32(seed) * _int32(_GOLDEN) + _int32(_SEED_OFFSET))
    stream_key = _signed((stream * _STREAM + 1) % (1 << 32))
    key = _mix(ops.bitwise_xor(key, _int32(step) * _int32(_GOLDEN) + _int32(stream_key)))
    # 23 bits and a half fill a float32 exactly; one bit more would round the largest number up to 1.
    bits = _shift_right(_mix(key + lanes * _int32(_GOLDEN)), 9)
    return (ops.cast(bits, "float32") + 0.5) * 2.0**-23


def standard_normal(seed, step, lanes, stream: int = 0):
    """One float32 draw of N(0, 1) per lane (Box and Muller); arguments as for `uniform`."""
    radius = ops.sqrt(-2.0 * ops.log(uniform(seed, step, lanes, 2 * stream)))
    return radius * ops.cos(2.0 * math.pi * uniform(seed, step, lanes, 2 * stream + 1))
