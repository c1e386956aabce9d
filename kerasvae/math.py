"""Pure functions of Gaussian posteriors, in `keras.ops`: they run on every backend and inside a compiled step.

A diagonal Gaussian posterior is a pair `mean`, `logvar`, each of shape (batch, latents). Divergences are in nats.
"""

from __future__ import annotations

import math
import numbers

import keras
from keras import ops

from kerasvae.checks import check_choice, check_integer, check_number, is_integer, is_number

ESTIMATORS = ("mws", "mss", "mss_legacy")


def kl_standard_normal(mean, logvar):
    """Kullback-Leibler divergence of each latent's posterior from N(0, 1).

    Args:
        mean, logvar: posterior mean and log-variance, (batch, latents).

    Returns:
        (batch, latents), in nats, at least 0: 1/2 (mean² + exp(logvar) - logvar - 1), to a relative accuracy of 2e-6 in
        float32, also of a posterior that is all but the prior.

    Source: Kingma & Welling 2013, appendix B.
    """
    mean, logvar = _tensors(mean=mean, logvar=logvar)
    return 0.5 * (ops.square(mean) + _exp_remainder(logvar))


def kl_normal(mean1, logvar1, mean2, logvar2):
    """Kullback-Leibler divergence KL(q1 ‖ q2) of each latent, (batch, latents), in nats, at least 0.

    Args:
        mean1, logvar1, mean2, logvar2: the two posteriors, each (batch, latents).
    """
    mean1, logvar1, mean2, logvar2 = _tensors(mean1=mean1, logvar1=logvar1, mean2=mean2, logvar2=logvar2)
    return 0.5 * (_exp_remainder(logvar1 - logvar2) + _squared_over_variance(mean1 - mean2, logvar2))


def symmetric_kl(mean1, logvar1, mean2, logvar2):
    """Symmetric divergence 1/2 KL(q1 ‖ q2) + 1/2 KL(q2 ‖ q1) of each latent, (batch, latents), in nats.

    Args:
        mean1, logvar1, mean2, logvar2: the two posteriors, each (batch, latents).

    Source: "Overlooked Implications", supplement B.2, Eq. 3, after Dittadi et al. 2021. The log-variances cancel:
    1/4 ((σ1² + (μ1-μ2)²)/σ2² + (σ2² + (μ1-μ2)²)/σ1²) - 1/2, here with sinh² of half the difference of the
    log-variances for σ1²/σ2² + σ2²/σ1² - 2. It is exactly 0 for equal posteriors.
    """
    mean1, logvar1, mean2, logvar2 = _tensors(mean1=mean1, logvar1=logvar1, mean2=mean2, logvar2=logvar2)
    difference = mean1 - mean2
    of_means = _squared_over_variance(difference, logvar1) + _squared_over_variance(difference, logvar2)
    half = 0.5 * (logvar1 - logvar2)
    # sinh by expm1, since not every backend's own is exact near 0.
    return ops.square(0.5 * (ops.expm1(half) - ops.expm1(-half))) + 0.25 * of_means


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
    (distance,) = _matrices(distance=distance)
    if isinstance(threshold, numbers.Number | str) and not (is_number(threshold) and 0 <= threshold <= 1):
        raise ValueError(f"threshold must be between 0 and 1, got {threshold!r}")
    smallest = ops.min(distance, axis=-1, keepdims=True)
    largest = ops.max(distance, axis=-1, keepdims=True)
    # At a threshold near 1 the border may be rounded to above the largest distance.
    return distance < ops.minimum(smallest + threshold * (largest - smallest), largest)


def average_posteriors(mean1, logvar1, mean2, logvar2, shared, how: str = "gvae"):
    """Replace the shared latents of a pair of posteriors by their average; leave the others alone.

    Args:
        mean1, logvar1, mean2, logvar2: the pair's posteriors, each (batch, latents).
        shared: boolean (batch, latents), True where the latent is averaged.
        how: "gvae", the mean of the means and the mean of the variances (Hosoya 2019); "mlvae", the normalised product
            of the two Gaussians with its variance doubled, so that equal posteriors stay as they are (Bouchacourt et
            al. 2018): variance 2·σ1²σ2²/(σ1² + σ2²), mean (μ1σ2² + μ2σ1²)/(σ1² + σ2²); or "authors", what the code
            behind "Overlooked Implications" computed until June 2022: the variance of "gvae", but the second
            observation's mean in place of the mean of both.

    Returns:
        The four tensors `mean1, logvar1, mean2, logvar2` in that order.

    Raises:
        ValueError: for another `how`.
    """
    check_choice(how, "how", ("gvae", "mlvae", "authors"))
    mean1, logvar1, mean2, logvar2 = _tensors(mean1=mean1, logvar1=logvar1, mean2=mean2, logvar2=logvar2)
    # The logarithm of (σ1² + σ2²)/2 is that of the larger plus `above`.
    # By `where`: some backends' max passes all of the gradient of equal variances to one of them.
    larger = logvar1 >= logvar2
    difference = ops.where(larger, logvar2 - logvar1, logvar1 - logvar2)
    above = ops.log1p(0.5 * ops.expm1(difference))
    if how == "mlvae":
        # σ1²/(σ1² + σ2²) is the sigmoid of the difference, which overflows for no variances.
        mean = mean1 * ops.sigmoid(logvar2 - logvar1) + mean2 * ops.sigmoid(logvar1 - logvar2)
        logvar = ops.where(larger, logvar2, logvar1) - above
    else:
        mean = 0.5 * (mean1 + mean2) if how == "gvae" else mean2
        logvar = ops.where(larger, logvar1, logvar2) + above
    return (
        ops.where(shared, mean, mean1),
        ops.where(shared, logvar, logvar1),
        ops.where(shared, mean, mean2),
        ops.where(shared, logvar, logvar2),
    )


def log_normal(z, mean, logvar):
    """Log density of N(mean, exp(logvar)) at `z`, element by element, in nats; the three broadcast."""
    z, mean, logvar = (_tensor(name, array) for name, array in (("z", z), ("mean", mean), ("logvar", logvar)))
    return -0.5 * (math.log(2.0 * math.pi) + logvar + _squared_over_variance(z - mean, logvar))


def kl_decomposition(z, mean, logvar, dataset_size: int, estimator: str = "mws"):
    """The KL from N(0, I), averaged over the data, split in three: estimates from one batch, in nats.

        KL = I(x; z) + KL(q(z) ‖ Π q(z_j)) + Σ KL(q(z_j) ‖ p(z_j))

    Args:
        z: one sample of each posterior, (batch, latents); the batch holds at least 2 images.
        mean, logvar: the posteriors, each (batch, latents).
        dataset_size: number N of images the batch is drawn from, at least the size of the batch.
        estimator: of log q(z): "mws", minibatch-weighted sampling (simple; its log q(z) is too low, by log(batch) for
            codes that overlap little up to log N for codes that overlap much), "mss", minibatch-stratified sampling
            (its estimate of q(z), though not of the logarithm, is unbiased), or "mss_legacy", what the paper's authors'
            code and pythae compute for it: the weights of one row in every row, so that the first image counts as
            each image's own, and in the last row but one a weight twice.

    Returns:
        `{"mutual_information", "total_correlation", "dimension_kl"}`, scalars. They add up to the batch mean of
        log q(z|x) - log p(z), whose expectation is the KL. Estimates of terms that are never negative may be.

    Raises:
        ValueError: for another estimator.

    Source: Chen et al. 2018, Eq. 2 and appendix C; "Understanding disentangling in VAE", Eq. 1. disentanglement_lib
    drops the constants (its total correlation is offset by (latents - 1)·log(N·batch)). disentangling-vae takes the
    weights of "mss_legacy", in log q(z) once for each latent instead of once.
    """
    check_choice(estimator, "estimator", ESTIMATORS)
    z, mean, logvar = _matrices(z=z, mean=mean, logvar=logvar)
    _check_dataset_size(dataset_size, z.shape[0])
    # (batch of z, batch of posteriors, latents)
    log_densities = log_normal(z[:, None], mean[None], logvar[None])
    weights = _log_weights(ops.shape(z)[0], dataset_size, estimator)
    log_qz = ops.logsumexp(ops.sum(log_densities, axis=-1) + weights, axis=1)
    log_qz_product = ops.sum(ops.logsumexp(log_densities + weights[..., None], axis=1), axis=-1)
    log_qz_given_x = ops.sum(log_normal(z, mean, logvar), axis=-1)
    log_prior = ops.sum(log_normal(z, ops.zeros_like(z), ops.zeros_like(z)), axis=-1)
    return {
        "mutual_information": ops.mean(log_qz_given_x - log_qz),
        "total_correlation": ops.mean(log_qz - log_qz_product),
        "dimension_kl": ops.mean(log_qz_product - log_prior),
    }


def _check_dataset_size(size, batch):
    """ValueError unless a data set of `size` images may give a batch of `batch`; what a trace leaves open passes."""
    if batch is not None and batch < 2:
        raise ValueError(f"z must hold a batch of at least 2, got {batch}")
    if isinstance(size, numbers.Number):
        check_integer(size, "dataset_size", 1)
        if batch is not None and size < batch:
            raise ValueError(f"dataset_size must be at least the size of the batch, {batch}, got {size!r}")


def _log_weights(batch, dataset_size, estimator):
    """Logarithms of the weights with which the batch's posteriors stand for the data's, (batch, batch)."""
    size = ops.cast(dataset_size, "float32")
    count = ops.cast(batch, "float32")
    if estimator == "mws":
        return ops.reshape(-ops.log(count * size), (1, 1))
    # Row i: its own posterior 1/N, one other (N - M)/(N·M), the rest 1/M, with M = batch - 1; a row of "mss" adds up
    # to 1.
    others = count - 1.0
    column = ops.arange(batch)
    row = column[:, None]
    if estimator == "mss":
        own = ops.equal(row, column)
        one_other = ops.equal((row + 1) % batch, column)
    else:
        # The published code fills every batch-th element of the flattened matrix, which is a column, no diagonal.
        moved = ops.logical_and(ops.equal(row, batch - 2), ops.equal(column, 0))
        own = ops.logical_and(ops.equal(column, 0), ops.logical_not(moved))
        one_other = ops.logical_or(ops.equal(column, 1), moved)
    own, one_other = ops.cast(own, "float32"), ops.cast(one_other, "float32")
    weights = own / size + one_other * (size - others) / (size * others) + (1.0 - own - one_other) / others
    return ops.log(weights)


def permute_latents(z, seed):
    """Shuffle each latent over the batch on its own: samples of the product of the marginals, (batch, latents).

    Args:
        z: (batch, latents).
        seed: an integer or a `keras.random.SeedGenerator`, or a tensor of one number in (0, 1) for each element of `z`:
            every latent is put in the order of its numbers.

    Source: Kim & Mnih 2018, Algorithm 1.
    """
    (z,) = _matrices(z=z)
    if hasattr(seed, "shape") and tuple(seed.shape) not in ((), tuple(z.shape)) and None not in z.shape:
        raise ValueError(f"seed must be an integer, a SeedGenerator or a tensor of z's shape, got {tuple(seed.shape)}")
    if isinstance(seed, bool) or not (
        isinstance(seed, numbers.Integral | keras.random.SeedGenerator) or hasattr(seed, "shape")
    ):
        raise TypeError(f"seed must be an integer, a SeedGenerator or a tensor of z's shape, got {seed!r}")
    if isinstance(seed, int) or not hasattr(seed, "shape"):
        seed = keras.random.uniform(ops.shape(z), seed=seed)
    return ops.take_along_axis(z, ops.argsort(seed, axis=0), axis=0)


def dip_penalty(mean, logvar, kind: str, lambda_od, lambda_d):
    """DIP-VAE's distance of the code's covariance from the identity, a scalar.

        lambda_od · Σ_{i≠j} C_ij² + lambda_d · Σ_i (C_ii - 1)²

    with C = Cov(mean) over the batch for kind "i", and Cov(mean) + diag(E[variance]) for kind "ii".

    Args:
        mean, logvar: posteriors, each (batch, latents).
        kind: "i" or "ii".
        lambda_od, lambda_d: weights of the off-diagonal and the diagonal part.

    Raises:
        ValueError: for another kind.

    Source: Kumar et al. 2018, Eq. 5 to 7. The covariance divides by the batch size, as in disentanglement_lib. disent
    adds the variances to the whole matrix instead of its diagonal.
    """
    check_choice(kind, "kind", ("i", "ii"))
    mean, logvar = _matrices(mean=mean, logvar=logvar)
    centred = mean - ops.mean(mean, axis=0, keepdims=True)
    covariance = ops.matmul(ops.transpose(centred), centred) / ops.cast(ops.shape(mean)[0], mean.dtype)
    diagonal = ops.diagonal(covariance)
    # Not the sum of all squares less those of the diagonal: the rest may be small against both.
    off_diagonal = ops.sum(ops.square(covariance * (1.0 - ops.eye(mean.shape[-1], dtype=mean.dtype))))
    if kind == "ii":
        diagonal = diagonal + ops.mean(ops.exp(logvar), axis=0)
    return lambda_od * off_diagonal + lambda_d * ops.sum(ops.square(diagonal - 1.0))


def maximum_mean_discrepancy(z, prior):
    """Squared maximum mean discrepancy of two samples under a Gaussian kernel, a scalar.

    Args:
        z, prior: samples, each (batch, latents).

    The kernel is exp(-|a - b|² / (2·latents)); the diagonals are included (the biased estimate, at least 0).

    Source: Gretton et al. 2012, Eq. 5; bandwidth in the order of the latents' number as in Zhao et al. 2019.
    """
    z, prior = (_matrices(**{name: array})[0] for name, array in (("z", z), ("prior", prior)))
    if z.shape[1] != prior.shape[1]:
        raise ValueError(f"prior must have the {z.shape[1]} latents of z, got {prior.shape[1]}")

    def kernel(a, b):
        # Less 1, which the three terms have in common: near 0 the difference of what is left is more exact.
        squared = ops.sum(ops.square(a[:, None] - b[None]), axis=-1)
        return ops.mean(ops.expm1(-squared / (2.0 * z.shape[-1])))

    return kernel(z, z) + kernel(prior, prior) - 2.0 * kernel(z, prior)


def _exp_remainder(x):
    """exp(x) - x - 1, at least 0, and its derivative exp(x) - 1, to a relative accuracy of 2e-6 in float32.

    Near 0 by its series: of exp(x) - x - 1 as it stands nothing would be left where x is small. The derivative is
    written out, which costs a quarter of what the backends derive.
    """

    @ops.custom_gradient
    def remainder(x):
        slope = ops.expm1(x)
        series = 0.5 + x * (1 / 6 + x * (1 / 24 + x * (1 / 120 + x * (1 / 720))))

        def gradient(*arguments, upstream=None):
            return (arguments[0] if upstream is None else upstream) * slope

        return ops.where(ops.abs(x) < 0.25, x * x * series, slope - x), gradient

    return remainder(x)


def _squared_over_variance(difference, logvar):
    """difference² / exp(logvar); no difference gives 0 also where exp(-logvar) is beyond float32."""
    root = ops.exp(-0.25 * logvar)
    return ops.square(difference * root * root)


def _tensors(**arrays):
    """The arrays, NumPy or tensors, as floating tensors; TypeError or ValueError unless numbers of one shape.

    The backends do not agree on what NumPy arrays and tensors make together. Plain numbers may stand for arrays. Half
    precision becomes float32: exp(12) is beyond float16.
    """
    tensors = {name: _tensor(name, array) for name, array in arrays.items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items() if len(tensor.shape)}
    (first, shape), *others = shapes.items() or [("", ())]
    for name, other in others:
        agree = len(other) == len(shape) and all(
            a is None or b is None or a == b for a, b in zip(shape, other, strict=False)
        )
        if not agree:
            raise ValueError(f"{name} must have the shape of {first}, {shape}, got {other}")
    return tuple(tensors.values())


def _tensor(name, array):
    try:
        tensor = ops.convert_to_tensor(array)
        dtype = keras.backend.standardize_dtype(tensor.dtype)
    except (TypeError, ValueError):
        dtype = "string"
    if dtype in ("string", "bool") or dtype.startswith("complex"):
        raise TypeError(f"{name} must be an array or tensor of real numbers, got {array!r}"[:400]) from None
    return tensor if dtype in ("float32", "float64") else ops.cast(tensor, "float32")


def _matrices(**arrays):
    """`_tensors` of one shape (batch, latents)."""
    tensors = _tensors(**arrays)
    for name, tensor in zip(arrays, tensors, strict=True):
        if len(tensor.shape) != 2:
            raise ValueError(f"{name} must have shape (batch, latents), got {tuple(tensor.shape)}")
    return tensors


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
    check_choice(to, "to", ("sum", "mean"))
    check_number(beta, "beta", least=0)
    shape = tuple(image_shape) if isinstance(image_shape, tuple | list) else ()
    if len(shape) != 3 or not all(is_integer(size) and size >= 1 for size in shape):
        raise ValueError(f"image_shape must be (height, width, channels), each at least 1, got {image_shape!r}")
    check_integer(latents, "latents", 1)
    factor = math.prod(shape) / latents
    return float(beta * factor if to == "sum" else beta / factor)
