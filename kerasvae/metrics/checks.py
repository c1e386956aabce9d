"""What every score asks of its input, so that all refuse the same things in the same words."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_shape
from kerasvae.metrics.score import Pair

# Integers up to here are numbers of float64.
EXACT = 2**53


def check_codes(codes: ArrayLike, name: str = "codes", place: Callable[[int], str] | None = None) -> np.ndarray:
    """Codes, (samples, latents), as float64; refuses what is not finite, and integers that float64 does not hold.

    Args:
        codes: what was given.
        name: what to call it in an error. Default: `"codes"`.
        place: what to call a row in an error, a function of its number. Default None: "row 3".
    """
    given, codes = codes, _array(codes, name, "real numbers (samples, latents)")
    if codes.dtype.kind not in "iuf" and codes.dtype.name != "bfloat16":
        got = type(given).__name__ if codes.dtype == object else f"dtype {codes.dtype}"
        raise TypeError(f"{name} must be real numbers, got {got}")
    check_shape(codes, name, ("samples", "latents"))
    if codes.dtype.kind in "iu" and (largest := max(abs(int(codes.min())), int(codes.max()))) > EXACT:
        raise ValueError(f"{name} must be floats, or integers up to 2**53 that float64 holds, got one of {largest}")
    codes = codes.astype(np.float64)
    bad = ~np.isfinite(codes)
    if bad.any():
        rows, latents = bad.any(axis=1).sum(), np.flatnonzero(bad.any(axis=0)).tolist()
        row, latent = np.argwhere(bad)[0]
        where = f"row {row}" if place is None else place(row)
        raise ValueError(
            f"{name} must be finite, got nan or infinity in {rows} of {len(codes)} rows, latents {latents}: first "
            f"{codes[row, latent]} in {where}, latent {latent}"
        )
    return codes


def _array(given, name, wanted):
    try:
        return np.asarray(given)
    except ValueError as error:  # lists of unequal lengths
        raise ValueError(f"{name} must be an array of {wanted}, got a {type(given).__name__}: {error}") from None


def check_factors(factors: ArrayLike, name: str = "factors") -> np.ndarray:
    """Factor values, (samples, factors), as int64; constant factors are legal here.

    The values are labels, whose order and range do not matter. Floats are refused even where they hold whole numbers:
    they are usually standardised or normalised factors, which some score would silently take for labels.
    """
    given, factors = factors, _array(factors, name, "integers (samples, factors)")
    if factors.dtype.kind not in "iu":
        got = type(given).__name__ if factors.dtype == object else f"dtype {factors.dtype}"
        raise TypeError(f"{name} must be integers (indices of the factor values), got {got}")
    check_shape(factors, name, ("samples", "factors"))
    if factors.dtype.kind == "u" and (largest := int(factors.max())) >= 2**63:
        raise ValueError(f"{name} must be below 2**63, got {largest}")
    return factors.astype(np.int64)


def check_numbers(factors: np.ndarray, name: str = "factors") -> np.ndarray:
    """int64 factor values that count as numbers, not as labels, as float64.

    Beyond 2^53 only their differences are kept; ValueError where the values of a factor span more than that.
    """
    low, high = factors.min(axis=0), factors.max(axis=0)
    numbers = factors.astype(np.float64)
    for factor in np.flatnonzero((low < -EXACT) | (high > EXACT)):
        span = int(high[factor]) - int(low[factor])
        if span > EXACT:
            raise ValueError(
                f"{name} must span at most 2**53 where they count as numbers, factor {factor} runs from "
                f"{low[factor]} to {high[factor]}"
            )
        numbers[:, factor] = (factors[:, factor] - low[factor]).astype(np.float64)
    return numbers


def active_factors(factors: np.ndarray, name: str = "factors") -> tuple[int, ...]:
    """Indices of the factors that take more than one value, all that a score can speak of; ValueError if none does."""
    active = np.flatnonzero((factors != factors[:1]).any(axis=0))
    if not len(active):
        raise ValueError(
            f"{name} must hold a factor that is not constant, all {factors.shape[1]} are (over {len(factors)} samples)"
        )
    return tuple(active.tolist())


def warnings_of_bins(factors: np.ndarray, active: Sequence[int], bins: int) -> list[str]:
    """A warning for every factor of more values than a histogram of `bins` bins can distinguish."""
    counts = ((factor, len(np.unique(factors[:, factor]))) for factor in active)
    return [
        f"factor {factor} has {count} values, more than the {bins} bins: even a perfect code scores below 1"
        for factor, count in counts
        if count > bins
    ]


def check_sample(
    codes: ArrayLike, factors: ArrayLike, names: tuple[str, str] = ("codes", "factors")
) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Codes as float64 and factors as int64 of the same samples, at least 2, and the indices of the active factors."""
    codes, factors = check_codes(codes, names[0]), check_factors(factors, names[1])
    check_lengths(codes, factors, names)
    if len(codes) < 2:
        raise ValueError(f"{names[0]} and {names[1]} must hold at least 2 samples, got {len(codes)}")
    return codes, factors, active_factors(factors, names[1])


def check_lengths(codes: np.ndarray, factors: np.ndarray, names: tuple[str, str] = ("codes", "factors")) -> None:
    """Raises ValueError unless both hold the same number of samples."""
    if len(codes) != len(factors):
        raise ValueError(
            f"{names[0]} and {names[1]} must hold the same samples, got {len(codes)} and {len(factors)} rows"
        )


def check_range(codes: np.ndarray, name: str = "codes") -> None:
    """Raises ValueError where a code is beyond float32's range: squares and sums of others stay finite in float64."""
    most = np.abs(codes).max()
    if most > np.finfo(np.float32).max:
        raise ValueError(f"{name} must be within float32's range, got an absolute value of {most:.3g}")


def check_test(test: Pair, codes: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pair that predictors are tested on, with as many latents and factors as the codes and factors trained on."""
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise TypeError(f"test must be a pair (codes, factors) or None, got {type(test).__name__}")
    test_codes, test_factors = check_codes(test[0], "test codes"), check_factors(test[1], "test factors")
    check_lengths(test_codes, test_factors, ("test codes", "test factors"))
    for name, got, expected in (("latents", test_codes, codes), ("factors", test_factors, factors)):
        if got.shape[1] != expected.shape[1]:
            raise ValueError(f"test must have the {expected.shape[1]} {name} trained on, got {got.shape[1]}")
    return test_codes, test_factors


def train_and_test(
    codes: ArrayLike, factors: ArrayLike, test: Pair | None, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]]:
    """Codes and factors to train on, codes and factors to test on, and the factors active in what is trained on.

    Args:
        codes, factors: the whole sample.
        test: pair (codes, factors), or None: a random third of the sample is held out.
        seed: of the held-out third.
    """
    codes, factors, active = check_sample(codes, factors)
    if test is None:
        if len(codes) < 3:
            raise ValueError(f"codes must hold at least 3 samples where test is None, got {len(codes)}")
        order = np.random.default_rng(seed).permutation(len(codes))
        held_out, kept = order[: len(codes) // 3], order[len(codes) // 3 :]
        test_codes, test_factors, codes, factors = codes[held_out], factors[held_out], codes[kept], factors[kept]
        active = active_factors(factors, "the two thirds of factors that are trained on")
    else:
        test_codes, test_factors = check_test(test, codes, factors)
    check_range(codes)
    check_range(test_codes, "test codes")
    return codes, factors, test_codes, test_factors, active


def check_posterior(
    mean: ArrayLike, logvar: ArrayLike, factors: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[int, ...]]:
    """Means and log-variances as float64 and factors as int64 of the same points, and the active factors."""
    mean, factors, active = check_sample(mean, factors, ("mean", "factors"))
    logvar = check_codes(logvar, "logvar")
    if logvar.shape != mean.shape:
        raise ValueError(f"logvar must have the shape of mean, {mean.shape}, got {logvar.shape}")
    check_range(mean, "mean")
    if unfit := unfit_logvar(logvar):
        raise ValueError(f"logvar {unfit}")
    return mean, logvar, factors, active


def unfit_logvar(logvar: np.ndarray, place: Callable[[int], str] | None = None) -> str | None:
    """Why scores of posteriors cannot be computed of log-variances, a sentence without its subject; or None.

    Args:
        logvar: (points, latents), of any numbers.
        place: what to call a row, a function of its number. Default None: "point 3".
    """
    bad = ~(np.abs(logvar) <= 200)  # nan, too
    if not bad.any():
        return None
    # The worst of them: the one farthest off, or the first that is no number.
    distance = np.where(np.isnan(logvar), np.inf, np.abs(logvar))
    row, latent = np.unravel_index(distance.argmax(), distance.shape)
    where = f"point {row}" if place is None else place(row)
    latents = np.flatnonzero(bad.any(axis=0)).tolist()
    return (
        f"must be between -200 and 200, got {logvar[row, latent]:.6g} for {where}, latent {latent}; in all "
        f"{bad.any(axis=1).sum()} of {len(logvar)} points, latents {latents}"
    )


def check_matrix(matrix: ArrayLike, name: str) -> np.ndarray:
    """Matrix of finite numbers, at least 0, (latents, factors), as float64."""
    matrix = _array(matrix, name, "real numbers (latents, factors)")
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real numbers, got dtype {matrix.dtype}")
    matrix = check_shape(matrix.astype(np.float64), name, ("latents", "factors"))
    if not (np.isfinite(matrix).all() and (matrix >= 0).all()):
        raise ValueError(f"{name} must be finite and at least 0, got entries from {matrix.min()} to {matrix.max()}")
    return matrix
