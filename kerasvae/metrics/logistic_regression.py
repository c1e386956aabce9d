"""Multinomial logistic regression on codes of any scale."""

import numpy as np


class ScaledLogisticRegression:
    """Minimises |weights|^2 / 2 + strength × sum of log-losses; the intercept is not penalised.

    The weights are looked for in units in which no code exceeds 1, with the penalty in the same units: the minimum is
    the same, and codes of large scale do not stop the search early. Constant labels are predicted as they are.

    Args:
        points: finite, float64 (samples, latents).
        labels: integers, (samples,).

    Source: as scikit-learn's `LogisticRegression`, which does the search.
    """

    def __init__(self, points: np.ndarray, labels: np.ndarray):
        from sklearn.linear_model import LogisticRegression

        self.scale = max(1.0, float(np.abs(points).max()))
        self.points, self.labels = points / self.scale, labels
        self.constant = labels[0] if (labels == labels[0]).all() else None
        self.model = LogisticRegression(solver="newton-cg", max_iter=1000, warm_start=True)

    def fit(self, strength: float = 1.0) -> "ScaledLogisticRegression":
        """Returns the object itself, fitted; from where the fit before stopped, if there was one."""
        if self.constant is None:
            self.model.set_params(C=strength * self.scale**2).fit(self.points, self.labels)
        return self

    def predict(self, points: np.ndarray) -> np.ndarray:
        """The most likely label of each row, (samples,)."""
        if self.constant is not None:
            return np.full(len(points), self.constant)
        return self.model.predict(points / self.scale)
