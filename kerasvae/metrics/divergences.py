"""How far posteriors are from the prior, latent by latent."""

import numpy as np
from numpy.typing import ArrayLike

COLLAPSED = 0.01  # nat of mean Kullback-Leibler divergence to the prior, up to which a latent says nothing


def mean_divergences(mean: ArrayLike, logvar: ArrayLike) -> np.ndarray:
    """Mean Kullback-Leibler divergence of each latent from N(0, 1) in nats, (latents,), in the dtype of these.

    The NumPy counterpart of `kerasvae.math.kl_standard_normal`, for code that knows no backend.

    Args:
        mean, logvar: of Gaussian posteriors, (n, latents).
    """
    dtype = np.result_type(mean, logvar)
    mean, logvar = np.asarray(mean, np.float64), np.asarray(logvar, np.float64)
    return ((mean**2 + (np.expm1(logvar) - logvar)).mean(axis=0) / 2).astype(dtype)


def check_divergences(divergences: ArrayLike, latents: int, name: str = "divergences") -> np.ndarray:
    """Mean KL of each latent in nats as an array, (latents,); TypeError or ValueError unless finite and at least 0."""
    divergences = np.asarray(divergences)
    if divergences.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be real numbers, got dtype {divergences.dtype}")
    # Rounding may take the divergence of a collapsed latent a little below 0.
    if divergences.shape != (latents,) or not (np.isfinite(divergences).all() and (divergences > -1e-3).all()):
        raise ValueError(f"{name} must be {latents} finite numbers, at least 0, one for each latent, got {divergences}")
    return divergences
