"""Random numbers of images as pure functions of (seed, draw): the same on every platform, in any order, from any start.

The hash is the one of the models' latent noise (`kerasvae.models.noise`), in NumPy: integer arithmetic that wraps at 32
bits, so a device can evaluate it too and get the same bits.
"""

from __future__ import annotations

import numpy as np

from kerasvae.checks import check_integer

# Odd multipliers of a well-mixing 32-bit finaliser (Wang and Ettinger's "lowbias32"), and 2³² over the golden ratio.
_MULTIPLY_1, _MULTIPLY_2 = 0x7FEB352D, 0x846CA68B
_GOLDEN, _SEED_OFFSET, _STREAM = 0x9E3779B9, 0x85EBCA6B, 0xC2B2AE35
# Seeds and draws are int32 on devices: JAX has no int64 by default.
_LARGEST = (1 << 31) - 1


def uniform(seed: int, draws: np.ndarray, lanes: np.ndarray, stream: int) -> np.ndarray:
    """One number in (0, 1) for each draw and lane, determined by (seed, draw, lane, stream).

    Args:
        seed: as from `check_seed`.
        draws: as from `check_draws`, (n,).
        lanes: integers, (m,): positions within one draw, such as the pixels of its image.
        stream: distinguishes independent uses of one draw, an integer, at least 0.

    Returns:
        float32 (n, m): odd multiples of 2⁻²⁴, each exact.
    """
    key = _mix(np.array([seed * _GOLDEN + _SEED_OFFSET & 0xFFFFFFFF], "uint32"))
    stream_key = np.uint32(stream * _STREAM + 1 & 0xFFFFFFFF)
    keys = _mix(key ^ (draws.astype("uint32") * np.uint32(_GOLDEN) + stream_key))
    bits = _mix(keys[:, None] + lanes.astype("uint32") * np.uint32(_GOLDEN))
    # 23 bits and a half fill a float32 exactly; one bit more would round the largest number up to 1.
    bits >>= np.uint32(9)
    values = bits.view("int32").astype("float32")  # a signed conversion is one instruction, an unsigned is not
    values += np.float32(0.5)
    values *= np.float32(2.0**-23)
    return values


def _mix(x: np.ndarray) -> np.ndarray:
    # In place: on arrays of this size the time goes into memory.
    x ^= x >> np.uint32(16)
    x *= np.uint32(_MULTIPLY_1)
    x ^= x >> np.uint32(15)
    x *= np.uint32(_MULTIPLY_2)
    x ^= x >> np.uint32(16)
    return x


def check_seed(seed) -> int:
    """The seed as an int; ValueError unless it is an integer in 0..2³¹ - 1."""
    return check_integer(seed, "seed", 0, _LARGEST)


def check_draws(draws, count: int) -> np.ndarray:
    """The draws as int64 (count,); ValueError unless they are `count` integers in 0..2³¹ - 1."""
    draws = np.asarray(draws)
    if draws.shape != (count,) or (draws.size and not np.issubdtype(draws.dtype, np.integer)):
        raise ValueError(
            f"draws must be integers of shape ({count},), one for each image, got {draws.dtype} of shape {draws.shape}"
        )
    if draws.size and (draws.min() < 0 or draws.max() > _LARGEST):
        raise ValueError(f"draws must lie in 0..{_LARGEST}, got {draws.min()}..{draws.max()}")
    return draws.astype("int64")
