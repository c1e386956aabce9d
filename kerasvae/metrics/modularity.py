"""Modularity."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_integer
from kerasvae.metrics.checks import check_matrix, check_sample
from kerasvae.metrics.mutual_information import mutual_information
from kerasvae.metrics.score import Score, ScoreInfo


@ScoreInfo(bounds=(0.0, 1.0), higher_is_better=True)
def modularity(codes: ArrayLike, factors: ArrayLike, *, bins: int = 20) -> Score:
    """Modularity: how far every latent knows of one factor only.

    Near 1 where every latent informs of one factor (on a finite sample the others keep the bias of the estimate, see
    `mutual_information`), also where several latents inform of the same one. A latent that informs of none should
    score low, and an exactly constant one scores 0; but one of noise that is independent of all factors scores
    what its noise looks like, which may be anything. All latents count alike in the mean.

    Args:
        codes: finite real numbers, (samples, latents).
        factors: integers, (samples, factors). Constant factors are left out.
        bins: number of histogram bins per latent, at least 2. Default: 20.

    Returns:
        Score: the mean over all latents. Parts: `per_latent`, (latents,); `mutual_information` in nats,
        (latents, factors used); `factors`, the indices of those used.

    Raises:
        TypeError, ValueError: arrays of another type, shape or length, codes that are not finite or out of range, too
            few samples, all factors constant, or an option that is not allowed.

    Source: Ridgeway & Mozer 2018, "Learning Deep Disentangled Embeddings With the F-Statistic Loss",
    Section 2, with the histogram of Locatello et al. 2019, whose code fails for one factor.

    Example:

    >>> factors = np.random.default_rng(0).integers(0, 4, (10_000, 2))
    >>> modularity(factors.astype(float), factors), modularity(factors @ [[1.0], [1.0]], factors)
    (Score(modularity=1), Score(modularity=0.0001202))
    """
    bins = check_integer(bins, "bins", 2)
    codes, factors, active = check_sample(codes, factors)
    matrix = mutual_information(codes, factors[:, active], bins)
    parts = modularity_from_matrix(matrix)
    mean = parts.pop("modularity")
    return Score("modularity", mean, parts | {"mutual_information": matrix, "factors": active})


def modularity_from_matrix(matrix: ArrayLike) -> dict[str, Any]:
    """Modularity of any matrix that says how much each latent knows of each factor.

    Per latent: 1 - (sum of the squares of its row but for the largest) / (largest^2 (factors - 1)); 0 for a row
    of zeros. With one factor 1 for every row that is not 0.

    Args:
        matrix: numbers at least 0, (latents, factors).

    Returns:
        dict: `modularity`, the mean over the latents; `per_latent`, (latents,), both between 0 and 1.

    Raises:
        ValueError: wrong shape, negative or non-finite entries.

    Example:

    >>> modularity_from_matrix([[1.0, 0.0, 0.0], [2.0, 2.0, 0.0], [0.0, 0.0, 0.0]])["per_latent"]
    array([1. , 0.5, 0. ])
    """
    matrix = check_matrix(matrix, "matrix")
    largest = matrix.max(axis=1, keepdims=True)
    # Divided before it is squared: squares of tiny entries would be 0.
    shares = np.sort(np.divide(matrix, largest, out=np.zeros_like(matrix), where=largest > 0), axis=1)
    others = (shares[:, :-1] ** 2).sum(axis=1) / max(matrix.shape[1] - 1, 1)
    per_latent = np.where(largest[:, 0] > 0, 1 - others, 0.0)
    return {"modularity": float(per_latent.mean()), "per_latent": per_latent}
