"""Pairs of normal posteriors, and the divergence between two by integration."""

import keras
import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

POSTERIORS = [
    # mean1, logvar1, mean2, logvar2
    (0.0, 0.0, 0.0, 0.0),
    (1.0, 0.0, 0.0, 0.0),
    (-0.7, 1.3, 0.4, -0.8),
    (2.0, -2.0, 1.5, 0.5),
    (0.3, -1.0, 0.3, 1.0),
]


def numpy(value):
    return keras.ops.convert_to_numpy(value)


def tensors(*arrays):
    return [keras.ops.convert_to_tensor(np.asarray(array, "float32")) for array in arrays]


def integral(mean1, logvar1, mean2, logvar2):
    """KL(q1 ‖ q2) by integrating q1·log(q1/q2)."""
    q1, q2 = norm(mean1, np.exp(logvar1 / 2)), norm(mean2, np.exp(logvar2 / 2))
    reach = 12 * q1.std()
    return quad(lambda x: q1.pdf(x) * (q1.logpdf(x) - q2.logpdf(x)), mean1 - reach, mean1 + reach, points=[mean1])[0]


def random_posteriors(seed=0, shape=(50, 6)):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for _ in range(4)]
