import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from kerasvae.metrics.logistic_regression import ScaledLogisticRegression

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 150)
POINTS = LABELS[:, None] * [1.0, 0, -1] + RNG.normal(size=(150, 3))


@pytest.mark.parametrize("scale", [1e-3, 1, 30])
@pytest.mark.parametrize("strength", [1e-3, 1, 100])
def test_the_minimum_is_that_of_the_unscaled_problem(scale, strength):
    plain = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-8).fit(POINTS * scale, LABELS)
    fitted = ScaledLogisticRegression(POINTS * scale, LABELS)
    fitted.model.set_params(tol=1e-8)
    fitted.fit(strength)
    np.testing.assert_allclose(fitted.model.coef_ / fitted.scale, plain.coef_, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(fitted.predict(POINTS * scale), plain.predict(POINTS * scale))


@pytest.mark.parametrize("scale", [1e6, 1e30])
def test_codes_of_large_scale(scale):
    # Without any warning of a search that stopped early; the penalty no longer counts.
    free = LogisticRegression(C=np.inf, solver="newton-cholesky").fit(POINTS, LABELS)
    fitted = ScaledLogisticRegression(POINTS * scale, LABELS).fit()
    assert np.mean(fitted.predict(POINTS * scale) == free.predict(POINTS)) > 0.97


def test_fits_go_on_from_the_one_before():
    fitted, fresh = ScaledLogisticRegression(POINTS, LABELS), ScaledLogisticRegression(POINTS, LABELS)
    for model in (fitted, fresh):
        model.model.set_params(tol=1e-8)
    weights = fitted.fit(0.01).fit(1.0).model.coef_
    np.testing.assert_allclose(weights, fresh.fit(1.0).model.coef_, atol=1e-5)


def test_constant_labels():
    fitted = ScaledLogisticRegression(POINTS, np.full(150, 7)).fit()
    assert fitted.predict(POINTS[:4]).tolist() == [7] * 4
