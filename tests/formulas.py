"""Penalties and posteriors of the objectives in float64 NumPy, written from the papers' formulas for `contract.py`."""

from __future__ import annotations

import keras
import numpy as np

from kerasvae.random_numbers import standard_normal


def kl(mean, logvar):
    """Mean over images of the summed KL from N(0, 1), in nats."""
    return 0.5 * np.sum(mean**2 + np.exp(logvar) - 1 - logvar, axis=1).mean()


def log_density(z, mean, logvar):
    return -0.5 * (np.log(2 * np.pi) + logvar + (z - mean) ** 2 / np.exp(logvar))


def tc_parts(z, mean, logvar, size, estimator):
    """Mutual information, total correlation and dimension-wise KL of Chen et al. 2018, image by image."""
    count = len(z)
    others = count - 1
    parts = np.zeros(3)
    for i in range(count):
        weights = np.full(count, 1 / (count * size))
        if estimator != "mws":
            own, other = (i, (i + 1) % count) if estimator == "mss" else (0, 1)
            weights = np.full(count, 1 / others)
            weights[own], weights[other] = 1 / size, (size - others) / (size * others)
            if estimator == "mss_legacy" and i == count - 2:
                weights[own] = weights[other]
        densities = np.exp(log_density(z[i], mean, logvar))  # (posteriors, latents)
        joint = np.log(np.sum(weights * densities.prod(axis=1)))
        marginals = np.log(np.sum(weights[:, None] * densities, axis=0)).sum()
        own = log_density(z[i], mean[i], logvar[i]).sum()
        prior = log_density(z[i], 0.0, 0.0).sum()
        parts += np.array([own - joint, joint - marginals, marginals - prior]) / count
    return parts


def dip(mean, logvar, kind, lambda_od, lambda_d):
    covariance = np.cov(mean.T, ddof=0)
    if kind == "ii":
        covariance = covariance + np.diag(np.exp(logvar).mean(axis=0))
    off = sum(covariance[i, j] ** 2 for i in range(len(covariance)) for j in range(len(covariance)) if i != j)
    return lambda_od * off + lambda_d * sum((covariance[i, i] - 1) ** 2 for i in range(len(covariance)))


def mmd(z, prior):
    def kernel(a, b):
        return np.mean([np.exp(-((u - v) ** 2).sum() / (2 * len(u))) for u in a for v in b])

    return kernel(z, z) + kernel(prior, prior) - 2 * kernel(z, prior)


def noise(shape, step=0, stream=0):
    """What a model of seed 3 draws at `step`, float64."""
    lanes = keras.ops.arange(int(np.prod(shape)), dtype="int32")
    return keras.ops.convert_to_numpy(standard_normal(3, step, lanes, stream)).astype("float64").reshape(shape)


def total_correlation(z, model):
    """Mean log-ratio that the model's discriminator gives, in float64."""
    x = z
    *hidden, last = [layer.get_weights() for layer in model.discriminator.layers if layer.get_weights()]
    for kernel, bias in hidden:
        x = x @ kernel.astype("float64") + bias
        x = np.where(x > 0, x, 0.2 * x)
    logits = x @ last[0].astype("float64") + last[1]
    return np.mean(logits[:, 0] - logits[:, 1])


def ada_posterior(mean, logvar):
    """Ada-GVAE's averaging, pair by pair and latent by latent."""
    mean, logvar = mean.copy(), logvar.copy()
    half = len(mean) // 2
    for a, b in zip(range(half), range(half, 2 * half), strict=True):
        va, vb, squared = np.exp(logvar[a]), np.exp(logvar[b]), (mean[a] - mean[b]) ** 2
        forward = 0.5 * (np.log(vb / va) + (va + squared) / vb - 1)
        backward = 0.5 * (np.log(va / vb) + (vb + squared) / va - 1)
        distance = 0.5 * forward + 0.5 * backward
        shared = distance < 0.5 * (distance.min() + distance.max())
        for j in np.flatnonzero(shared):
            mean[[a, b], j] = 0.5 * (mean[a, j] + mean[b, j])
            logvar[[a, b], j] = np.log(0.5 * (va[j] + vb[j]))
    return mean, logvar


def mlvae_posterior(mean, logvar):
    """Ada-ML-VAE's: where Ada-GVAE averages, the product of the two Gaussians with its variance doubled."""
    averaged, _ = ada_posterior(mean, logvar)
    shared = averaged != mean
    half = len(mean) // 2
    variance = np.exp(logvar)
    a, b = variance[:half], variance[half:]
    product = 2 * a * b / (a + b)
    centre = (mean[:half] / a + mean[half:] / b) * product / 2
    return (
        np.where(shared, np.tile(centre, (2, 1)), mean),
        np.where(shared, np.log(np.tile(product, (2, 1))), logvar),
    )
