"""What every score asks of its input, so that all refuse the same things in the same words."""

import numpy as np

from kerasvae.checks import check_shape

# Integers up to here are numbers of float64.
EXACT = 2**53


def check_codes(codes, name="codes", place=None):
    """Representation as float64.

    Arguments:
        codes: finite real numbers, (samples, latents), both at least 1.
        name: what to call it in an error. Default: `"codes"`.
        place: what to call a row in an error, a function of its number. Default None: "row 3".

    Raises:
        TypeError: not real numbers.
        ValueError: wrong shape, a code is nan or infinite, or an integer that float64 does not hold.
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
    given, factors = factors, _array(factors, name, "integers (samples, factors)")
    if factors.dtype.kind not in "iu":
        got = type(given).__name__ if factors.dtype == object else f"dtype {factors.dtype}"
        raise TypeError(f"{name} must be integers (indices of the factor values), got {got}")
    check_shape(factors, name, ("samples", "factors"))
    if factors.dtype.kind == "u" and (largest := int(factors.max())) >= 2**63:
        raise ValueError(f"{name} must be below 2**63, got {largest}")
    return factors.astype(np.int64)


def check_numbers(factors, name="factors"):
    """Factor values that count as numbers, not as labels, as float64; only their differences are kept beyond 2^53.

    Arguments:
        factors: int64, (samples, factors).
        name: what to call it in an error. Default: `"factors"`.

    Raises:
        ValueError: the values of a factor span more than the 2^53 whole numbers of float64.
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


def warnings_of_bins(factors, active, bins):
    """A warning for every factor of more values than a histogram of `bins` bins can tell apart."""
    counts = ((factor, len(np.unique(factors[:, factor]))) for factor in active)
    return [
        f"factor {factor} has {count} values, more than the {bins} bins: even a perfect code scores below 1"
        for factor, count in counts
        if count > bins
    ]


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


def check_range(codes, name="codes"):
    """Raises ValueError where a code is beyond float32's range: squares and sums of others stay finite in float64."""
    most = np.abs(codes).max()
    if most > np.finfo(np.float32).max:
        raise ValueError(f"{name} must be within float32's range, got an absolute value of {most:.3g}")


def check_test(test, codes, factors):
    """The pair that predictors are tested on, with the latents and factors of what they are trained on.

    Arguments:
        test: pair (codes, factors), of at least one sample. Constant factors are legal.
        codes: those trained on, (samples, latents).
        factors: those trained on, (samples, factors).

    Returns:
        codes as float64, factors as int64.

    Raises:
        TypeError: no pair, codes that are not real numbers, or factors that are not integers.
        ValueError: wrong shapes, different lengths, codes that are not finite, or other numbers of latents or
            factors than those trained on.
    """
    if not isinstance(test, tuple | list) or len(test) != 2:
        raise TypeError(f"test must be a pair (codes, factors) or None, got {type(test).__name__}")
    test_codes, test_factors = check_codes(test[0], "test codes"), check_factors(test[1], "test factors")
    check_lengths(test_codes, test_factors, ("test codes", "test factors"))
    for name, got, expected in (("latents", test_codes, codes), ("factors", test_factors, factors)):
        if got.shape[1] != expected.shape[1]:
            raise ValueError(f"test must have the {expected.shape[1]} {name} trained on, got {got.shape[1]}")
    return test_codes, test_factors


def train_and_test(codes, factors, test, seed):
    """What a score that predicts is trained and tested on: the pair it was given, or a random third held out.

    Arguments:
        codes: finite real numbers within float32's range, (samples, latents).
        factors: integers, (samples, factors).
        test: pair (codes, factors), or None: a random third of the samples is held out.
        seed: of the held-out third, 0..2^32-1.

    Returns:
        codes and factors trained on, codes and factors tested on, tuple of the indices of the factors that
        are not constant in what is trained on.

    Raises:
        TypeError: codes are not real numbers, factors not integers, or `test` is no pair.
        ValueError: wrong shapes or lengths, codes that are not finite or out of range, fewer than 2 samples
            (3 where `test` is None), or no factor that takes more than one value.
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


def check_posterior(mean, logvar, factors):
    """Diagonal Gaussian posteriors of enumerated points, and the points' factors.

    Arguments:
        mean: finite real numbers within float32's range, (points, latents).
        logvar: log-variances, finite real numbers between -200 and 200, of the shape of `mean`.
        factors: integers, (points, factors).

    Returns:
        mean and logvar as float64, factors as int64, tuple of the indices of the factors that are not
        constant.

    Raises:
        TypeError: `mean` or `logvar` are not real numbers, or `factors` not integers.
        ValueError: wrong shapes or lengths, fewer than 2 points, numbers that are not finite or out of range,
            or no factor that takes more than one value.
    """
    mean, factors, active = check_sample(mean, factors, ("mean", "factors"))
    logvar = check_codes(logvar, "logvar")
    if logvar.shape != mean.shape:
        raise ValueError(f"logvar must have the shape of mean, {mean.shape}, got {logvar.shape}")
    check_range(mean, "mean")
    if unfit := unfit_logvar(logvar):
        raise ValueError(f"logvar {unfit}")
    return mean, logvar, factors, active


def unfit_logvar(logvar, place=None):
    """Why log-variances are none that scores of posteriors can be computed of, as a sentence without its subject.

    Arguments:
        logvar: (points, latents), of any numbers.
        place: what to call a row, a function of its number. Default None: "point 3".

    Returns:
        str, or None where all are between -200 and 200.
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


def check_matrix(matrix, name):
    """Matrix of non-negative numbers, (latents, factors), as float64.

    Raises:
        TypeError: not real numbers. ValueError: wrong shape, or an entry is negative, nan or infinite.
    """
    matrix = _array(matrix, name, "real numbers (latents, factors)")
    if matrix.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real numbers, got dtype {matrix.dtype}")
    matrix = check_shape(matrix.astype(np.float64), name, ("latents", "factors"))
    if not (np.isfinite(matrix).all() and (matrix >= 0).all()):
        raise ValueError(f"{name} must be finite and at least 0, got entries from {matrix.min()} to {matrix.max()}")
    return matrix
