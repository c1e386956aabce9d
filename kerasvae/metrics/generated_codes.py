"""Codes of factor values that a score chooses: what is asked of them, and draws and traversals of the factors."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_integers
from kerasvae.metrics.checks import check_codes, check_lengths, check_range
from kerasvae.metrics.score import EncodeFactors

ROWS = 2**14  # factor vectors in one call; bounds memory


def check_generator(
    encode_factors: EncodeFactors, factor_sizes: Sequence[int]
) -> tuple[Callable, tuple[int, ...], tuple[int, ...]]:
    """What the scores that choose their own factor values take, checked.

    Args:
        encode_factors: function of factor values, int64 (n, F), that returns their codes (n, D) in anything that
            NumPy converts, finite and within float32's range. A representation may be random.
        factor_sizes: number of values of each factor, at least 1, (F,).

    Returns:
        the function, which now checks its results and returns float64; the sizes; the indices of the factors of more
        than one value.
    """
    sizes = check_sizes(factor_sizes)
    if not callable(encode_factors):
        raise TypeError(f"encode_factors must be a function of factor values, got {type(encode_factors).__name__}")
    name = "the codes that encode_factors returns"
    latents = None

    def encode(factors):
        nonlocal latents
        codes = check_codes(encode_factors(factors), name)
        check_lengths(codes, factors, (name, "factors"))
        check_range(codes, name)
        latents = codes.shape[1] if latents is None else latents
        if codes.shape[1] != latents:
            raise ValueError(f"{name} must always have the same latents, got {latents} and then {codes.shape[1]}")
        return codes

    return encode, sizes, tuple(factor for factor, size in enumerate(sizes) if size > 1)


def check_sizes(factor_sizes: Sequence[int]) -> tuple[int, ...]:
    """Number of values of each factor, of which one must be above 1."""
    sizes = check_integers(factor_sizes, "factor_sizes", 1)
    if not any(size > 1 for size in sizes):
        raise ValueError(f"factor_sizes must hold a factor of more than one value, got {sizes}")
    return sizes


def draw_factors(rng: np.random.Generator, sizes: Sequence[int], count: int) -> np.ndarray:
    """Factor values drawn uniformly and independently, int64 (count, F)."""
    factors = np.empty((count, len(sizes)), np.int64)
    for factor, size in enumerate(sizes):
        factors[:, factor] = rng.integers(size, size=count)
    return factors


def chunks(count: int, rows_each: int) -> list[int]:
    """Sizes of the parts in which `count` things of `rows_each` factor vectors are encoded; they add up to it."""
    most = max(1, ROWS // rows_each)
    return [min(most, count - start) for start in range(0, count, most)]


def traversals(sizes: Sequence[int], factor: int, repeats: int, seed: int) -> Iterator[np.ndarray]:
    """Walks along one factor from its first to its last value, the others held where they were drawn.

    The same for all scores of one seed, so that what one has encoded serves the others.

    Yields:
        factor values, int64 (walks, values, F), `repeats` walks in all.
    """
    rng = np.random.default_rng([seed, factor])
    for count in chunks(repeats, sizes[factor]):
        walks = np.repeat(draw_factors(rng, sizes, count)[:, None], sizes[factor], axis=1)
        walks[:, :, factor] = np.arange(sizes[factor])
        yield walks


def encoded(encode: Callable, factors: np.ndarray) -> np.ndarray:
    """Codes (..., D) of factor values (..., F)."""
    return encode(factors.reshape(-1, factors.shape[-1])).reshape(*factors.shape[:-1], -1)


def geometric_mean(values: ArrayLike) -> np.ndarray:
    """Of numbers along the last axis; 0 where one is 0 or less (public code: nan for negative ones)."""
    values = np.asarray(values, dtype=np.float64)
    positive = (values > 0).all(axis=-1)
    return np.where(positive, np.exp(np.log(np.where(values > 0, values, 1.0)).mean(axis=-1)), 0.0)
