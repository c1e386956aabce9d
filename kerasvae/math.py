"""Pure functions of Gaussian posteriors, in `keras.ops`: they run on every backend and inside a compiled step.

A diagonal Gaussian posterior is a pair `mean`, `logvar`, each of shape (batch, latents). Divergences are in nats.
"""

from __future__ import annotations

import math
import numbers

from keras import ops


def kl_standard_normal(mean, logvar):
    """Kullback-Leibler divergence of each latent's posterior from N(0, 1).

    Args:
        mean, logvar: posterior mean and log-variance, (batch, latents).

    Returns:
        (batch, latents), in nats, never negative beyond rounding: 1/2 (mean² + exp(logvar) - logvar - 1).

    Source: Kingma & Welling 2013, appendix B.
    """
    mean, logvar = _tensors(mean, logvar)
    return 0.5 * (ops.square(mean) + ops.exp(logvar) - logvar - 1.0)


def kl_normal(mean1, logvar1, mean2, logvar2):
    """Kullback-Leibler divergence KL(q1 ‖ q2) of each latent, (batch, latents), in nats.

    Args:
        mean1, logvar1, mean2, logvar2: the two posteriors, each (batch, latents).
    """
    mean1, logvar1, mean2, logvar2 = _tensors(mean1, logvar1, mean2, logvar2)
    difference = logvar1 - logvar2
    return 0.5 * (ops.exp(difference) + ops.square(mean1 - mean2) * ops.exp(-logvar2) - difference - 1.0)


def symmetric_kl(mean1, logvar1, mean2, logvar2):
    """Symmetric divergence 1/2 KL(q1 ‖ q2) + 1/2 KL(q2 ‖ q1) of each latent, (batch, latents), in nats.

    Args:
        mean1, logvar1, mean2, logvar2: the two posteriors, each (batch, latents).

    Source: "Overlooked Implications", supplement B.2, Eq. 3, after Dittadi et al. 2021. The log-variances cancel, so
    that it is exactly 0 for equal posteriors: 1/4 ((σ1² + (μ1-μ2)²)/σ2² + (σ2² + (μ1-μ2)²)/σ1²) - 1/2.
    """
    mean1, logvar1, mean2, logvar2 = _tensors(mean1, logvar1, mean2, logvar2)
    squared = ops.square(mean1 - mean2)
    difference = logvar1 - logvar2
    return 0.25 * (ops.exp(difference) + ops.exp(-difference) + squared * (ops.exp(-logvar1) + ops.exp(-logvar2)) - 2.0)


def shared_latents(distance, threshold: float = 0.5):
    """Which latents of a pair are taken to encode unchanged factors: those nearer than the pair's own threshold.

    Args:
        distance: distance between the pair's two posteriors for each latent, (batch, latents).
        threshold: where between the smallest and the largest distance of the pair the border lies, 0 to 1.

    Returns:
        Boolean (batch, latents), True where distance < (1 - threshold)·min + threshold·max, strictly. A latent at the
        border is not shared, so none is when all distances are equal, and the farthest latent never is.

    Source: Locatello et al. 2020, section 4; the border 1/2 (min + max) is theirs.
    """
    (distance,) = _tensors(distance)
    smallest = ops.min(distance, axis=-1, keepdims=True)
    largest = ops.max(distance, axis=-1, keepdims=True)
    # At a threshold near 1 the border may be rounded to above the largest distance.
    return distance < ops.minimum(smallest + threshold * (largest - smallest), largest)


def average_posteriors(mean1, logvar1, mean2, logvar2, shared, how: str = "gvae"):
    """Replace the shared latents of a pair of posteriors by their average; leave the others alone.

    Args:
        mean1, logvar1, mean2, logvar2: the pair's posteriors, each (batch, latents).
        shared: boolean (batch, latents), True where the latent is averaged.
        how: "gvae", the mean of the means and the mean of the variances (Hosoya 2019), or "authors", what the code
            behind "Overlooked Implications" computed until June 2022: the same variance, but the second
            observation's mean in place of the mean of both.

    Returns:
        The four tensors `mean1, logvar1, mean2, logvar2` in that order.

    Raises:
        ValueError: for another `how`.
    """
    mean1, logvar1, mean2, logvar2 = _tensors(mean1, logvar1, mean2, logvar2)
    if how == "gvae":
        mean = 0.5 * (mean1 + mean2)
    elif how == "authors":
        mean = mean2
    else:
        raise ValueError(f'how must be "gvae" or "authors", got {how!r}')
    logvar = ops.logaddexp(logvar1, logvar2) - math.log(2.0)
    return (
        ops.where(shared, mean, mean1),
        ops.where(shared, logvar, logvar1),
        ops.where(shared, mean, mean2),
        ops.where(shared, logvar, logvar2),
    )


def _tensors(*arrays):
    """NumPy arrays and tensors alike as tensors: the backends do not agree on what the two make together."""
    return tuple(ops.convert_to_tensor(array) for array in arrays)


def convert_beta(beta: float, image_shape: tuple[int, int, int], latents: int, to: str) -> float:
    """Convert β between the two reductions: β_sum = β_mean · (H·W·C) / latents.

    Args:
        beta: the value in the *other* reduction, at least 0.
        image_shape: (height, width, channels) of one image.
        latents: number of latents.
        to: "sum" (`beta` is in the mean form) or "mean" (`beta` is in the sum form).

    Returns:
        The β that makes the same objective, up to a constant factor, in the reduction `to`.

    Raises:
        ValueError: for another `to`, a negative or non-finite `beta`, or a shape that is not three positive integers.

    Example:
        >>> round(convert_beta(0.001, (64, 64, 3), latents=9, to="sum"), 3)
        1.365

    Source: "Overlooked Implications", supplement B.1, after Higgins et al. 2017 ("normalised β").
    """
    if to not in ("sum", "mean"):
        raise ValueError(f'to must be "sum" or "mean", got {to!r}')
    if not isinstance(beta, numbers.Real) or not math.isfinite(beta) or beta < 0:
        raise ValueError(f"beta must be a finite number, at least 0, got {beta!r}")
    shape = tuple(image_shape)
    if len(shape) != 3 or any(int(size) != size or size < 1 for size in shape):
        raise ValueError(f"image_shape must be (height, width, channels), each at least 1, got {image_shape!r}")
    if int(latents) != latents or latents < 1:
        raise ValueError(f"latents must be an integer, at least 1, got {latents!r}")
    factor = math.prod(shape) / latents
    return float(beta * factor if to == "sum" else beta / factor)
