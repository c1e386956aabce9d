"""Whether perceived distances follow the order of a factor's values: statistics, None where there is no answer."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import spearmanr

# Spread of distances, as a share of the largest, that rounding in float32 makes of equal ones.
ROUNDING = 1e-5


def spread_within_traversals(samples: np.ndarray) -> float:
    """Standard deviation within a traversal as a share of the mean, from samples in twos of the same traversal.

    Half the mean squared difference of two independent pairs of a traversal estimates the variance within it without
    bias, whatever varies from one traversal to the next.
    """
    first, second = samples[: len(samples) // 2 * 2].reshape(-1, 2).T
    mean = abs(float(np.mean(samples)))
    return math.sqrt(float(np.mean((first - second) ** 2)) / 2) / mean if mean else 0.0


def spearman(distances: np.ndarray, ground_truth: np.ndarray | None) -> float | None:
    """Rank correlation of perceived and ground-truth distances; None where either is constant, up to rounding."""
    if ground_truth is None or _constant(distances) or _constant(ground_truth):
        return None
    return float(spearmanr(distances, ground_truth).statistic)


def linearity(distances: np.ndarray, steps: np.ndarray) -> float | None:
    """Pearson's correlation of the step with the mean distance at that step; None for constant means or two steps."""
    values, places = np.unique(steps, return_inverse=True)
    means = np.bincount(places, weights=distances) / np.bincount(places)
    if len(values) < 3 or _constant(means):
        return None
    return float(np.corrcoef(values, means)[0, 1])


def _constant(values: np.ndarray) -> bool:
    return float(np.ptp(values)) <= ROUNDING * float(np.abs(values).max())


def is_constant(data, name: str, spread: float, threshold: float) -> bool | None:
    """Whether a factor's distances are; None for one of two values, whose traversals have but one distance."""
    size = data.factor_sizes[data.factor_names.index(name)]
    return spread <= threshold if size > 2 else None


def all_constant(answers) -> bool | None:
    """Whether the distances along all factors of three values or more are constant; None without such a factor."""
    judged = [answer for answer in answers if answer is not None]
    return all(judged) if judged else None
