"""What the scores of an evaluation are computed from: a sample of codes, posteriors, codes of chosen factor values."""

import dataclasses
from collections.abc import Callable

import numpy as np

from kerasvae.metrics.checks import active_factors, unfit_logvar
from kerasvae.metrics.evaluation_codes import check_factor_rows, sampled
from kerasvae.metrics.evaluation_scores import CODES, GENERATOR, POSTERIOR, SAMPLE
from kerasvae.metrics.posterior_information import KnownInformation

# A complete data set of up to so many images is encoded whole where a score chooses its own factor values: it will
# need nearly all of them.
WHOLE = 100_000
# Independent streams of random numbers, beside those that the scores draw from `seed` itself.
SAMPLE_PICTURES, SAMPLE_NOISE, PICTURES, NOISE = 101, 102, 103, 104


@dataclasses.dataclass(frozen=True)
class Material:
    """Arrays and functions by what a score is a function of; None is not there.

    Attributes:
        sample, test: pairs (codes, factors); `sample` may be of codes alone.
        posterior: (mean, logvar, factors); unfit: why no score can be computed of its log-variances, or None; whole:
            whether it is of all points of a data set, not of a sample.
        generator: function without arguments that returns the same encode_factors, factor_sizes and observations (or
            None) at every call, with its random numbers begun anew.
        information: `posterior_information`, computed once for all scores that are made of it.
    """

    sample: tuple | None = None
    test: tuple | None = None
    posterior: tuple | None = None
    unfit: str | None = None
    whole: bool = False
    generator: Callable | None = None
    information: Callable = dataclasses.field(default_factory=KnownInformation)


def draw_indices(size, seed, train, test):
    """Indices of the train sample, then of the test sample."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.integers(size, size=count) for count in (train, test)])


def encode_indices(images, indices, seed, representation):
    """Codes of a sample of images."""
    mean, logvar = images(indices, np.random.default_rng([seed, SAMPLE_PICTURES]))
    if representation == "mean":
        return mean
    if logvar is None:
        raise ValueError("representation must be 'mean' where encode returns no log-variances")
    check_variances(logvar, indices)
    return sampled(mean, logvar, np.random.default_rng([seed, SAMPLE_NOISE]))


def check_variances(logvar, indices):
    """ValueError, which names the image, unless variances can be computed with; none at all is a variance."""
    if unfit := unfit_logvar(np.where(logvar < -200, -200, logvar), lambda row: f"image {indices[row]}"):
        raise ValueError(f"the log-variances that encode returns {unfit}")


def sample_pairs(images, indices, train, seed, representation):
    """Pairs (codes, factors) of the train and of the test sample."""
    distinct, inverse = np.unique(indices, return_inverse=True)
    factors = check_factor_rows(images.data, distinct)[inverse]
    active_factors(factors[:train], "data.factors")  # raises where the scores would, but before the encoding
    codes = encode_indices(images, indices, seed, representation)
    return (codes[:train], factors[:train]), (codes[train:], factors[train:])


def gather(images, tasks, indices, train, seed, representation, points):
    """Everything that the tasks are computed from, encoded."""
    kinds, data = {task.kind for task in tasks}, images.data
    sample = test = posterior = unfit = None
    whole = images.size <= points
    if SAMPLE in kinds:
        sample, test = sample_pairs(images, indices, train, seed, representation)
    elif CODES in kinds:
        sample = (encode_indices(images, indices[:train], seed, representation),)
    if GENERATOR in kinds and images.pictures == 1 and images.size <= WHOLE:
        images(np.arange(images.size), None)
    if POSTERIOR in kinds:
        chosen = np.arange(images.size) if whole else indices[:train]
        factors = check_factor_rows(data, chosen)
        posterior = (*images(chosen, np.random.default_rng([seed, SAMPLE_PICTURES])), factors)
        unfit = unfit_logvar(posterior[1], lambda row: f"image {chosen[row]}")

    def generator():
        pictures, same_pictures, noise = (np.random.default_rng([seed, each]) for each in (PICTURES, PICTURES, NOISE))

        def encode_factors(factors):
            mean, logvar = images(data.index(factors), pictures)
            return mean if representation == "mean" else sampled(mean, logvar, noise)

        def observations(factors):
            return images.standardized(data.index(factors), same_pictures)

        has_images = callable(getattr(data, "standardize", None))
        return encode_factors, tuple(data.factor_sizes), observations if has_images else None

    return Material(sample, test, posterior, unfit, whole, generator)
