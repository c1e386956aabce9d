import numpy as np
import pytest

from kerasvae.metrics.divergences import mean_divergences


def test_closed_form_and_quadrature():
    mean, logvar = np.array([[0.0, 1.0, 0.5], [0.0, -1.0, 0.5]]), np.array([[0.0, 0.0, -2.0], [0.0, 0.0, -2.0]])
    found = mean_divergences(mean, logvar)
    np.testing.assert_allclose(found[:2], [0.0, 0.5], atol=1e-15)
    z = np.linspace(-8, 8, 20_001)
    density = np.exp(-((z - 0.5) ** 2) / (2 * np.exp(-2.0))) / np.sqrt(2 * np.pi * np.exp(-2.0))
    kept = density > 0
    ratio = np.log(density[kept]) + z[kept] ** 2 / 2 + np.log(2 * np.pi) / 2
    assert found[2] == pytest.approx((density[kept] * ratio).sum() * (z[1] - z[0]), rel=1e-9)
