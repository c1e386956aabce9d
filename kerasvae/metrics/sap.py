"""Separated attribute predictability."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_seed
from kerasvae.metrics.checks import (
    check_matrix,
    check_numbers,
    check_range,
    check_sample,
    train_and_test,
)
from kerasvae.metrics.score import Pair, Score, ScoreInfo


@ScoreInfo(bounds=(0.0, 1.0), higher_is_better=True, predicts=lambda options: not options.get("continuous"))
def sap(
    codes: ArrayLike, factors: ArrayLike, *, continuous: bool = False, test: Pair | None = None, seed: int = 1
) -> Score:
    """Separated attribute predictability: how much better the best latent alone predicts a factor than the next.

    By default every latent alone predicts every factor with a linear support vector machine, and the matrix
    holds the accuracies on the test sample; with `continuous` it holds the squared correlations of latent and
    factor. The score is the gap between the largest and the second largest entry of a factor's column, averaged
    over factors.

    About 1 for a perfect code with `continuous`. The accuracies give much less even then: a linear classifier
    on one latent cannot single out a middle value. They also depend on the scale and shift of the latents, and
    vary much between samples; the correlations do not.

    Args:
        codes: finite real numbers within float32's range, (samples, latents). Constant latents are legal. With
            one latent the second best counts as 0.
        factors: integers, (samples, factors). Those constant in the samples trained on are left out. With
            `continuous` the values count as numbers, so their order and spacing matter.
        continuous: correlations in place of accuracies. Nothing is predicted then and nothing held out; `test`
            must be None. Default: False.
        test: pair (codes, factors) that accuracy is tested on. Default None: a random third of the samples is
            held out for it and not trained on.
        seed: of the held-out third, 0..2^32-1. Default: 1.

    Returns:
        Score: the mean gap over the factors used. Parts: `per_factor`, (factors used,); `matrix`, (latents,
        factors used); `factors`, the indices of those used.

    Raises:
        TypeError, ValueError: arrays of another type, shape or length, codes that are not finite or out of range, too
            few samples, all factors constant, or an option that is not allowed;
            with `continuous` values of a factor that are more than 2^53 apart.

    Source: Kumar et al. 2018, "Variational Inference of Disentangled Latent Concepts from Unlabeled
    Observations", Section 3. The machines are those of Locatello et al. 2019 (squared hinge, C = 0.01,
    intercept penalised with the weights, LIBLINEAR's balanced weights: of n samples and K values the
    n_k samples of the value in question weigh n / (K n_k); the rest weigh 1, for K = 2 they are balanced as well),
    here solved exactly and all at once. A latent of variance up to 1e-12 has correlation 0, as there.

    Example:

    >>> factors = np.random.default_rng(0).integers(0, 5, (3000, 2))
    >>> sap(factors - 2.0, factors), sap(factors - 2.0, factors, continuous=True)
    (Score(sap=0.683), Score(sap=0.9988))
    """
    seed = check_seed(seed)
    if continuous:
        if test is not None:
            raise ValueError("test must be None where continuous is true: correlations predict nothing")
        codes, factors, active = check_sample(codes, factors)
        check_range(codes)
        matrix = _squared_correlations(codes, check_numbers(factors[:, active]))
    else:
        codes, factors, test_codes, test_factors, active = train_and_test(codes, factors, test, seed)
        matrix = np.empty((codes.shape[1], len(active)))
        for latent in range(codes.shape[1]):
            machines = _SupportVectorMachines(codes[:, latent])
            for column, factor in enumerate(active):
                predicted = machines.fit_predict(factors[:, factor], test_codes[:, latent])
                matrix[latent, column] = np.mean(predicted == test_factors[:, factor])
    gaps = sap_from_matrix(matrix)
    return Score("sap", gaps["sap"], {"per_factor": gaps["per_factor"], "matrix": matrix, "factors": active})


def sap_from_matrix(matrix: ArrayLike) -> dict[str, Any]:
    """The gap of SAP for any matrix that says how well each latent predicts each factor.

    Per factor: largest - second largest entry of its column. A matrix of one row has 0 for the second.

    Args:
        matrix: numbers at least 0, (latents, factors).

    Returns:
        dict: `sap`, the mean over the factors; `per_factor`, (factors,).

    Raises:
        ValueError: wrong shape, negative or non-finite entries.

    Example:

    >>> sap_from_matrix([[0.5, 0.25], [0.25, 1.0]])["per_factor"]
    array([0.25, 0.75])
    """
    ranked = np.sort(check_matrix(matrix, "matrix"), axis=0)
    gaps = ranked[-1] - (ranked[-2] if len(ranked) > 1 else 0.0)
    return {"sap": float(gaps.mean()), "per_factor": gaps}


def _squared_correlations(codes, factors):
    codes = codes - codes.mean(axis=0)
    factors = factors - factors.mean(axis=0)
    # Never more than 1, nor nan where a square underflows.
    alive = codes.var(axis=0, ddof=1) > 1e-12
    codes[:, ~alive] = 0.0
    norms = [np.sqrt((array**2).sum(axis=0)) for array in (codes, factors)]
    products = codes.T @ factors
    bound = np.outer(*norms)
    return np.minimum(np.divide(products, bound, out=np.zeros_like(products), where=bound > 0) ** 2, 1.0)


class _SupportVectorMachines:
    """Linear support vector machines, one per value of a label against the rest, on one latent.

    Each has two unknowns, weight w and intercept b, and minimises
    (w^2 + b^2) / 2 + 0.01 sum of weight_i max(0, 1 - y_i (w x_i + b))^2. On a line the samples within the margin are
    all those to one side of a point, so with running sums over the sorted latent a Newton step needs a look-up
    in place of a pass over the samples, and all machines take it together.
    """

    def __init__(self, latent):
        self.order = np.argsort(latent, kind="stable")
        self.sorted = latent[self.order]
        self.moments = _running(self.sorted)

    def fit_predict(self, label, test_latent):
        """Labels predicted for the test sample by machines trained on `label` (samples,)."""
        values, label = np.unique(label, return_inverse=True)
        self._sort_by_class(label[self.order], len(values))
        shares = np.bincount(label) / len(label)
        own, rest = 0.01 / (len(values) * shares), np.full(len(values), 0.01)
        if len(values) == 2:
            rest = own[::-1]
        weight, intercept = self._newton(own, rest)
        return values[(weight * test_latent[:, None] + intercept).argmax(axis=1)]

    def _sort_by_class(self, label, classes):
        by_class = np.argsort(label, kind="stable")
        self.places = label[by_class] * (len(label) + 1) + by_class
        self.class_moments = _running(self.sorted[by_class])
        self.starts = np.searchsorted(label[by_class], np.arange(classes))
        self.ends = np.append(self.starts[1:], len(label))

    def _newton(self, own, rest):
        """Weights and intercepts, (classes,) each, for penalties of the samples of the class and of the rest."""
        weight = intercept = np.zeros(len(own))
        moments = self._within_margin(weight, intercept)
        value = _objective(weight, intercept, own, rest, moments)
        for _ in range(200):
            step = _newton_step(weight, intercept, own, rest, moments)
            size = np.ones(len(own))
            for _ in range(60):
                new = weight + size * step[0], intercept + size * step[1]
                new_moments = self._within_margin(*new)
                new_value = _objective(*new, own, rest, new_moments)
                worse = new_value > value * (1 + 1e-14)
                if not worse.any():
                    break
                size[worse] /= 2
            gained = value - new_value
            weight, intercept = np.where(worse, weight, new[0]), np.where(worse, intercept, new[1])
            moments, value = np.where(worse, moments, new_moments), np.where(worse, value, new_value)
            if (gained <= 1e-15 * value).all():
                break
        return weight, intercept

    def _within_margin(self, weight, intercept):
        """Count, sum and sum of squares of the latent over the samples of the class, and of the rest, that are
        within the margin: (2, 3, classes)."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            own_bound, rest_bound = ((side - intercept) / weight for side in (1.0, -1.0))
        # With weight 0 the latent does not matter: everything is within the margin or nothing.
        flat = weight == 0
        own_bound[flat] = np.where(intercept[flat] < 1, np.inf, -np.inf)
        rest_bound[flat] = np.where(intercept[flat] > -1, -np.inf, np.inf)
        own_place, rest_place = (np.searchsorted(self.sorted, bound) for bound in (own_bound, rest_bound))
        every = self.moments[:, rest_place]
        every = np.where(weight < 0, every, self.moments[:, -1:] - every)
        return np.stack([self._of_class(own_place, weight >= 0), every - self._of_class(rest_place, weight < 0)])

    def _of_class(self, place, first):
        """Moments of the samples of each class that are among the first `place` of all, or among the others."""
        keys = np.arange(len(place)) * (len(self.sorted) + 1) + place
        start, middle, end = (
            self.class_moments[:, to] for to in (self.starts, np.searchsorted(self.places, keys), self.ends)
        )
        return np.where(first, middle - start, end - middle)


def _running(latent):
    """Count, sum and sum of squares of the first 0, 1, 2, ... samples: (3, samples + 1)."""
    return np.pad(np.cumsum([np.ones_like(latent), latent, latent**2], axis=1), ((0, 0), (1, 0)))


def _objective(weight, intercept, own, rest, moments):
    value = (weight**2 + intercept**2) / 2
    for sign, penalty, (count, total, squares) in ((1, own, moments[0]), (-1, rest, moments[1])):
        offset, slope = 1 - sign * intercept, -sign * weight
        value = value + penalty * (count * offset**2 + 2 * offset * slope * total + slope**2 * squares)
    return value


def _newton_step(weight, intercept, own, rest, moments):
    """To the minimum that the objective would have if the samples within the margin stayed the same."""
    (own_count, own_sum, own_squares), (rest_count, rest_sum, rest_squares) = moments
    ww = 1 + 2 * (own * own_squares + rest * rest_squares)
    wb = 2 * (own * own_sum + rest * rest_sum)
    bb = 1 + 2 * (own * own_count + rest * rest_count)
    w, b = 2 * (own * own_sum - rest * rest_sum), 2 * (own * own_count - rest * rest_count)
    determinant = np.maximum(ww * bb - wb**2, 1.0)  # never below but for rounding, at latents far from 0
    return (bb * w - wb * b) / determinant - weight, (ww * b - wb * w) / determinant - intercept
