"""Modified mutual information gap."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_shape
from kerasvae.metrics.checks import check_factors, check_matrix
from kerasvae.metrics.mutual_information import discrete_mutual_information
from kerasvae.metrics.posterior_information import posterior_information
from kerasvae.metrics.score import POSTERIORS, Score, ScoreInfo


def mmig_from_information(information: Mapping[str, Any], factors: np.ndarray) -> Score:
    """The score `mmig` of what `posterior_information` returned for these factors, (points, factors)."""
    parts = dict(information)
    warnings, active = list(parts.pop("warnings")), parts.pop("factors")
    used = check_factors(factors)[:, active]
    gaps = mmig_from_matrix(information["mutual_information"], discrete_mutual_information(used, used))
    kept = list(gaps["factors"])
    left_out = tuple(factor for column, factor in enumerate(active) if column not in kept)
    if left_out:
        warnings.append(f"factors {list(left_out)} are left out: each is a function of another factor")
    for name in ("mutual_information", "standard_error", "factor_entropies"):
        parts[name] = parts[name][..., kept]
    parts = {
        "per_factor": gaps["per_factor"],
        "denominators": gaps["denominators"],
        "factors": tuple(active[column] for column in kept),
        "left_out": left_out,
        **parts,
    }
    return Score("mmig", gaps["mmig"], parts, warnings=warnings)


@ScoreInfo(needs=POSTERIORS, bounds=(0.0, math.inf), higher_is_better=True, from_information=mmig_from_information)
def mmig(
    mean: ArrayLike,
    logvar: ArrayLike,
    factors: ArrayLike,
    *,
    method: str | None = None,
    seed: int = 1,
    samples: int = 2,
    points: int = 5_000,
    bins: int = 20,
) -> Score:
    """Modified mutual information gap: the gap of MIG, on posteriors, for factors that depend on each other.

    Per factor: (I_1 - I_2) / (H(v_k) - max over other factors of I(v_k; v_l)), with I_1 and I_2 the largest and
    second largest of the latents' mutual information with it: a latent that informs of another factor cannot help
    telling what that one says of v_k. Near 1 for one latent per factor and narrow posteriors, 0 where
    posteriors are the same for all points. For balanced, independent factors it is the model-based MIG,
    `mig(mean, factors, posterior=(mean, logvar))`.

    Args:
        mean, logvar, factors, method, seed, samples, points, bins: posteriors and factors of an enumerated data
            set and how their information is computed, see `posterior_information`. With one latent the second
            best counts as 0.

    Returns:
        Score: the mean over the factors used. Parts: `per_factor` and `denominators` in nats, (factors used,);
        `factors`, the indices of those used; `left_out`, the indices of those that are a function of another
        one, for which the denominator is 0 (a warning names them too); and those of `posterior_information`,
        for the factors used: `mutual_information` and its `standard_error`, (latents, factors used),
        `factor_entropies`, `collapsed`, `method`. Its warnings are among the score's.

    Raises:
        TypeError, ValueError: as `posterior_information`; ValueError too where every factor is a function of
            another one.

    Source: poster "Understanding disentangling in VAE", Eq. 3, whose (D) and (D - 1) are the largest and the
    second largest. Its code computes plain MIG.

    Example:

    >>> factors = np.stack(np.meshgrid(range(4), range(4)), axis=-1).reshape(-1, 2)
    >>> mmig(factors.astype(float), np.full((16, 2), -8.0), factors)
    Score(mmig=1)
    """
    information = posterior_information(
        mean, logvar, factors, method=method, seed=seed, samples=samples, points=points, bins=bins
    )
    return mmig_from_information(information, factors)


def mmig_from_matrix(matrix: ArrayLike, factor_information: ArrayLike) -> dict[str, Any]:
    """The gap of MMIG for any matrix that says how much each latent knows of each factor.

    Per factor: (largest - second largest entry of its column) / (entropy - largest information about it in
    another factor). A matrix of one row has 0 for the second.

    Args:
        matrix: numbers at least 0, (latents, factors).
        factor_information: mutual information of the factors with each other, in the unit of the matrix, with
            their entropies on the diagonal, at least 0, (factors, factors). A factor whose denominator is 0 (up
            to 1e-9 of its entropy) is constant or a function of another one and left out.

    Returns:
        dict: `mmig`, the mean over the factors used; `per_factor` and `denominators`, (factors used,);
        `factors`, the indices of those used.

    Raises:
        ValueError: wrong shapes, negative or non-finite entries, or no factor with a denominator above 0.

    Example:

    >>> mmig_from_matrix([[0.5, 0.25], [0.25, 0.0]], [[1.0, 0.5], [0.5, 0.75]])["per_factor"]
    array([0.5, 1. ])
    """
    matrix = check_matrix(matrix, "matrix")
    factor_information = check_matrix(factor_information, "factor_information")
    count = matrix.shape[1]
    check_shape(factor_information, "factor_information", (count, count))
    entropies = np.diag(factor_information)
    shared = (factor_information * (1 - np.eye(count))).max(axis=0)
    denominators = entropies - shared
    kept = np.flatnonzero(denominators > 1e-9 * entropies)
    if not len(kept):
        raise ValueError("factors must hold one that is no function of another factor, every one is")
    ranked = np.sort(matrix[:, kept], axis=0)
    gaps = (ranked[-1] - (ranked[-2] if len(ranked) > 1 else 0.0)) / denominators[kept]
    return {
        "mmig": float(gaps.mean()),
        "per_factor": gaps,
        "denominators": denominators[kept],
        "factors": tuple(kept.tolist()),
    }
