"""How far posteriors are from the prior, latent by latent."""

import numpy as np


def mean_divergences(mean, logvar):
    """Mean Kullback-Leibler divergence of each latent from N(0, 1) in nats, (latents,), in the dtype of these.

    The NumPy counterpart of `kerasvae.math.kl_standard_normal`, for code that knows no backend.

    Arguments:
        mean, logvar: of Gaussian posteriors, (n, latents).
    """
    dtype = np.result_type(mean, logvar)
    mean, logvar = np.asarray(mean, np.float64), np.asarray(logvar, np.float64)
    return ((mean**2 + (np.expm1(logvar) - logvar)).mean(axis=0) / 2).astype(dtype)
