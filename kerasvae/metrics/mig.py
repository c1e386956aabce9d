"""Mutual information gap."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_integer, check_shape
from kerasvae.metrics.checks import check_lengths, check_matrix, check_sample, warnings_of_bins
from kerasvae.metrics.mutual_information import entropy, mutual_information
from kerasvae.metrics.posterior_information import posterior_information
from kerasvae.metrics.score import Pair, Score, ScoreInfo


@ScoreInfo(bounds=(0.0, 1.0), higher_is_better=True)
def mig(
    codes: ArrayLike,
    factors: ArrayLike,
    *,
    bins: int = 20,
    posterior: Pair | None = None,
    method: str | None = None,
    seed: int = 1,
) -> Score:
    """Mutual information gap: how much more the best latent knows of a factor than the second best.

    About 1 where every factor has a latent of its own, 0 where no latent stands out. The histogram cannot
    distinguish more than `bins` values: a factor with s values scores at most about log(bins) / log(s),
    however good the codes. On a finite sample the second best latent keeps the bias of the estimate (see
    `mutual_information`), so a perfect code stays a little below 1.

    With `posterior` the latents are random: drawn from the posteriors of the points of an enumerated data set,
    as in the original definition. Nothing is binned then, and how broad the posteriors are counts.

    Args:
        codes: finite real numbers, (samples, latents). Constant latents are legal. With one latent the second
            best counts as 0.
        factors: integers, (samples, factors). Constant factors are left out.
        bins: number of histogram bins per latent, at least 2. Default: 20.
        posterior: pair (mean, logvar) of the samples' diagonal Gaussian posteriors, of the shape of `codes`, which
            then count no more. Default None: the score of the codes.
        method, seed: with `posterior`, how the information is computed and the seed of its sampling, see
            `posterior_information`. Default: None, chosen by size, and 1.

    Returns:
        Score: the mean gap over the factors used. Parts: `per_factor`, (factors used,); `mutual_information`
        in nats, (latents, factors used); `factor_entropies` in nats, (factors used,); `factors`, the indices
        of those used; with `posterior` also `standard_error`, `collapsed` and `method` of
        `posterior_information`. A warning names factors of more values than bins.

    Raises:
        TypeError, ValueError: arrays of another type, shape or length, codes that are not finite or out of range, too
            few samples, all factors constant, or an option that is not allowed.

    Source: Chen et al. 2018, "Isolating Sources of Disentanglement in VAEs", Eq. 6, with the 20-bin histogram
    over mean codes of Locatello et al. 2019. Chen et al.'s code samples from the posterior and leaves a
    factor out; that of Locatello et al. gives nan for a constant factor and fails for one latent.

    Example:

    >>> factors = np.random.default_rng(0).integers(0, 4, (10_000, 2))
    >>> mig(factors.astype(float), factors), mig(np.zeros((10_000, 2)), factors)
    (Score(mig=0.9997), Score(mig=0))
    """
    bins = check_integer(bins, "bins", 2)
    if posterior is None:
        if method is not None:
            raise ValueError(f"method must be None without posterior, got {method!r}")
        codes, factors, active = check_sample(codes, factors)
        used = factors[:, active]
        information = {
            "mutual_information": mutual_information(codes, used, bins),
            "factor_entropies": entropy(used),
            "factors": active,
        }
        warnings = warnings_of_bins(factors, active, bins)
    else:
        if not isinstance(posterior, tuple | list) or len(posterior) != 2:
            raise TypeError(f"posterior must be a pair (mean, logvar) or None, got {type(posterior).__name__}")
        codes, factors, _ = check_sample(codes, factors)
        check_lengths(codes, posterior[0], ("codes", "posterior means"))
        information = posterior_information(*posterior, factors, method=method, seed=seed, bins=bins)
        warnings = information.pop("warnings")
    gaps = mig_from_matrix(information["mutual_information"], information["factor_entropies"])
    return Score("mig", gaps["mig"], {"per_factor": gaps["per_factor"], **information}, warnings=warnings)


def mig_from_matrix(matrix: ArrayLike, entropies: ArrayLike) -> dict[str, Any]:
    """The gap of MIG for any matrix that says how much each latent knows of each factor.

    Per factor: (largest - second largest entry of its column) / entropy. A matrix of one row has 0 for the
    second.

    Args:
        matrix: numbers at least 0, (latents, factors).
        entropies: of the factors, in the unit of the matrix, (factors,), at least 0. A factor of entropy 0 is
            constant and left out.

    Returns:
        dict: `mig`, the mean over the factors used; `per_factor`, (factors used,); `factors`, the indices of
        those used.

    Raises:
        ValueError: wrong shapes, negative or non-finite entries, or no entropy above 0.

    Example:

    >>> mig_from_matrix([[0.5, 0.25], [0.25, 0.0]], [1.0, 0.5])["per_factor"]
    array([0.25, 0.5 ])
    """
    matrix = check_matrix(matrix, "matrix")
    entropies = np.asarray(entropies, dtype=np.float64)
    check_shape(entropies, "entropies", matrix.shape[1:])
    if not (np.isfinite(entropies).all() and (entropies >= 0).all() and entropies.any()):
        raise ValueError(f"entropies must be finite, at least 0 and not all 0, got {entropies}")
    active = np.flatnonzero(entropies)
    ranked = np.sort(matrix[:, active], axis=0)
    second = ranked[-2] if len(ranked) > 1 else 0.0
    gaps = (ranked[-1] - second) / entropies[active]
    return {"mig": float(gaps.mean()), "per_factor": gaps, "factors": tuple(active.tolist())}
