"""What every score asks of its input, so that all refuse the same things in the same words."""

from numbers import Integral

import numpy as np


def check_codes(codes, name="codes"):
    """Representation as float64.

    Arguments:
        codes: finite real numbers, (samples, latents), both at least 1.
        name: what to call it in an error. Default: `"codes"`.

    Raises:
        TypeError: not real numbers.
        ValueError: wrong shape, or a code is nan or infinite.
    """
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iuf" and codes.dtype.name != "bfloat16":
        raise TypeError(f"{name} must be real numbers, got dtype {codes.dtype}")
    if codes.ndim != 2 or 0 in codes.shape:
        raise ValueError(f"{name} must have shape (samples, latents), both at least 1, got {codes.shape}")
    codes = codes.astype(np.float64)
    bad = ~np.isfinite(codes)
    if bad.any():
        rows, latents = bad.any(axis=1).sum(), np.flatnonzero(bad.any(axis=0)).tolist()
        raise ValueError(
            f"{name} must be finite, got nan or infinity in {rows} of {len(codes)} rows, latents {latents}"
        )
    return codes


def check_factors(factors, name="factors"):
    """Factor values as int64; constant factors are legal here.

    Arguments:
        factors: integers, (samples, factors), both at least 1. Any integer dtype; the values are labels,
            their order and range do not matter. Floats are refused even where they hold whole numbers: they
            are usually standardised or normalised factors, which some score would silently take for labels.
        name: what to call it in an error. Default: `"factors"`.

    Raises:
        TypeError: not integers (bool is none).
        ValueError: wrong shape.
    """
    factors = np.asarray(factors)
    if factors.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers (indices of the factor values), got dtype {factors.dtype}")
    if factors.ndim != 2 or 0 in factors.shape:
        raise ValueError(f"{name} must have shape (samples, factors), both at least 1, got {factors.shape}")
    return factors.astype(np.int64)


def active_factors(factors, name="factors"):
    """Indices of the factors that take more than one value: those that a score can say something about.

    Arguments:
        factors: integers, (samples, factors).
        name: what to call it in an error. Default: `"factors"`.

    Returns:
        tuple of int.

    Raises:
        ValueError: every factor is constant.
    """
    active = np.flatnonzero((factors != factors[:1]).any(axis=0))
    if not len(active):
        raise ValueError(
            f"{name} must hold a factor that is not constant, all {factors.shape[1]} are (over {len(factors)} samples)"
        )
    return tuple(active.tolist())


def check_sample(codes, factors, names=("codes", "factors")):
    """Codes and factors of the same samples.

    Arguments:
        codes: finite real numbers, (samples, latents).
        factors: integers, (samples, factors).
        names: what to call the two in an error.

    Returns:
        codes as float64, factors as int64, tuple of the indices of the factors that are not constant.

    Raises:
        TypeError: codes are not real numbers or factors not integers.
        ValueError: wrong shapes, different lengths, fewer than 2 samples, codes that are not finite, or no
            factor that takes more than one value.
    """
    codes, factors = check_codes(codes, names[0]), check_factors(factors, names[1])
    check_lengths(codes, factors, names)
    if len(codes) < 2:
        raise ValueError(f"{names[0]} and {names[1]} must hold at least 2 samples, got {len(codes)}")
    return codes, factors, active_factors(factors, names[1])


def check_lengths(codes, factors, names=("codes", "factors")):
    """Raises ValueError unless both hold the same number of samples."""
    if len(codes) != len(factors):
        raise ValueError(
            f"{names[0]} and {names[1]} must hold the same samples, got {len(codes)} and {len(factors)} rows"
        )


def check_matrix(matrix, name):
    """Matrix of non-negative numbers, (latents, factors), as float64.

    Raises:
        ValueError: wrong shape, or an entry is negative, nan or infinite.
    """
    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"{name} must have shape (latents, factors), both at least 1, got {matrix.shape}")
    if not (np.isfinite(matrix).all() and (matrix >= 0).all()):
        raise ValueError(f"{name} must be finite and at least 0, got entries from {matrix.min()} to {matrix.max()}")
    return matrix


def check_integer(value, name, least, most=None):
    """`value` as int.

    Raises:
        TypeError: not an integer.
        ValueError: below `least` or above `most`.
    """
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if value < least or (most is not None and value > most):
        allowed = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be {allowed}, got {value}")
    return int(value)


def check_seed(seed):
    """`seed` as int in 0..2^32-1, the range that both NumPy and scikit-learn take.

    Raises:
        TypeError: not an integer.
        ValueError: out of range.
    """
    return check_integer(seed, "seed", 0, 2**32 - 1)
