"""Axis alignment metric."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.metrics.checks import check_matrix
from kerasvae.metrics.posterior_information import posterior_information
from kerasvae.metrics.score import POSTERIORS, Score, ScoreInfo

NEGLIGIBLE = 1e-6  # nat, below which the best latent counts as knowing nothing


def aam_from_information(information: Mapping[str, Any], factors: np.ndarray) -> Score:
    """The score `aam` of what `posterior_information` returned for these factors."""
    aligned = aam_from_matrix(information["mutual_information"], information["standard_error"])
    parts = {name: part for name, part in information.items() if name != "warnings"}
    return Score(
        "aam", aligned["aam"], {"per_factor": aligned["per_factor"], **parts}, warnings=information["warnings"]
    )


@ScoreInfo(needs=POSTERIORS, bounds=(0.0, 1.0), higher_is_better=True, from_information=aam_from_information)
def aam(
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
    """Axis alignment metric: how far one latent alone knows of a factor, on posteriors.

    Per factor: max(0, I_1 - sum of the other I) / I_1, with I_1 the largest of the latents' mutual information
    with it; 0 where no latent knows anything. 1 where one latent knows all of a factor that any does, 0 where the
    others together know as much.

    Args:
        mean, logvar, factors, method, seed, samples, points, bins: posteriors and factors of an enumerated data
            set and how their information is computed, see `posterior_information`.

    Returns:
        Score: the mean over the factors used. Parts: `per_factor`, (factors used,); and those of
        `posterior_information`: `mutual_information` and its `standard_error`, (latents, factors used),
        `factor_entropies`, `factors`, `collapsed`, `method`. Its warnings are the score's.

    Raises:
        TypeError, ValueError: as `posterior_information`.

    Source: poster "Understanding disentangling in VAE", Eq. 2, whose text lost the max(0, .). The kink biases
    sampled estimates: upwards where I_1 is close to the sum of the others, downwards where many latents are noise.

    Example:

    >>> factors = np.stack(np.meshgrid(range(4), range(4)), axis=-1).reshape(-1, 2)
    >>> aam(factors.astype(float), np.full((16, 2), -8.0), factors)
    Score(aam=1)
    >>> aam(factors @ [[1.0, 1.0], [1.0, -1.0]], np.full((16, 2), -8.0), factors)  # both latents know alike of both
    Score(aam=0)
    """
    information = posterior_information(
        mean, logvar, factors, method=method, seed=seed, samples=samples, points=points, bins=bins
    )
    return aam_from_information(information, factors)


def aam_from_matrix(matrix: ArrayLike, standard_error: ArrayLike = 0.0) -> dict[str, Any]:
    """The axis alignment of any matrix that says how much each latent knows of each factor.

    Per factor: max(0, largest - sum of the other entries of its column) / largest; 0 where the largest is below
    1e-6 or below its standard error.

    Args:
        matrix: numbers at least 0, (latents, factors).
        standard_error: of its entries, a number at least 0 or (latents, factors). Default: 0.

    Returns:
        dict: `aam`, the mean over the factors; `per_factor`, (factors,).

    Raises:
        ValueError: wrong shapes, negative or non-finite entries.

    Example:

    >>> aam_from_matrix([[1.0, 0.5, 0.0], [0.25, 0.5, 0.0]])["per_factor"]
    array([0.75, 0.  , 0.  ])
    """
    matrix = check_matrix(matrix, "matrix")
    error = np.asarray(standard_error, np.float64)
    if error.shape not in ((), matrix.shape):
        raise ValueError(
            f"standard_error must be a number or have the shape of matrix, {matrix.shape}, got {error.shape}"
        )
    if not (error >= 0).all():
        raise ValueError(f"standard_error must be at least 0, got {error.min()}")
    error = np.broadcast_to(error, matrix.shape)
    best = matrix.argmax(axis=0)[None]
    largest = np.take_along_axis(matrix, best, axis=0)[0]
    others = matrix.copy()
    np.put_along_axis(others, best, 0.0, axis=0)
    known = (largest >= NEGLIGIBLE) & (largest >= np.take_along_axis(error, best, axis=0)[0])
    gaps = largest - others.sum(axis=0)
    gaps[gaps <= 1e-12 * largest] = 0.0  # rounding
    per_factor = np.divide(gaps, largest, out=np.zeros_like(gaps), where=known)
    return {"aam": float(per_factor.mean()), "per_factor": per_factor}
