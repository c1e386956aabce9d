"""What scores are computed from: codes of a data set's images, each of which is encoded once, whatever asks for it."""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kerasvae.checks import check_integer
from kerasvae.metrics.checks import active_factors, check_codes, check_factors, unfit_logvar
from kerasvae.metrics.posterior_information import KnownInformation
from kerasvae.metrics.score import CHOSEN_FACTORS, CODES, FACTORS, POSTERIORS

REPRESENTATIONS = ("mean", "sampled")
# Pictures of one combination of factors that are drawn from, where images have random parts.
PICTURES = 2**17
# A complete data set of up to so many images is encoded whole where a score chooses its own factor values: it will
# need nearly all of them.
WHOLE = 100_000
# Independent streams of random numbers, next to those that the scores draw from `seed` itself.
SAMPLE_PICTURES, SAMPLE_NOISE, CHOSEN_PICTURES, CHOSEN_NOISE = 101, 102, 103, 104


class EncodedImages:
    """The codes of a data set by index, encoded in batches of one shape when they are first asked for.

    Where images have random parts (`data.random`), a number of pictures of each combination of factors is drawn
    from: an image is then a pair of index and picture, numbered `index * pictures + picture`.

    Args:
        encode: as in `kerasvae.metrics.evaluate`.
        data: as in `kerasvae.metrics.evaluate`.
        batch_size: images per call of `encode`, at least 1.

    Attributes:
        encoded: a function to call with the number of images encoded so far and of those needed so far.
        pictures: of each index that are drawn from; 1 where images have no random parts.
        latents: their number, and has_logvar: whether `encode` returns log-variances; None before anything was
            encoded.
        count: number of images that were encoded.
    """

    def __init__(self, encode: Any, data: Any, batch_size: int):
        self.encode, own_constants = posterior_function(encode)
        self.data, self.batch_size = data, check_integer(batch_size, "batch_size", 1)
        needed = ("__len__", "images", *([] if own_constants else ["standardize"]))
        if missing := [name for name in needed if not callable(getattr(data, name, None))]:
            raise TypeError(
                f"data must be a data set of images such as kerasvae.datasets.XYSquares(), got {type(data).__name__}, "
                f"which has no {missing[-1].replace('__len__', 'length')}"
            )
        self.encoded = lambda done, needed: None
        self.standardize = None if own_constants else data.standardize
        self.random = bool(getattr(data, "random", False))
        self.size = check_integer(len(data), "len(data)", 2)
        self.pictures = -(-PICTURES // self.size) if self.random else 1
        self.latents = self.has_logvar = None
        self.count = 0
        self._known = np.zeros(self.size * self.pictures, bool)
        # One row for each image; memory is taken where rows are written.
        self._mean = self._logvar = np.empty((0, 0))

    def __call__(self, indices, rng):
        """Means (n, D) and log-variances, or None, of images of the given indices, pictures of them drawn by `rng`."""
        keys = indices * self.pictures + (rng.integers(self.pictures, size=len(indices)) if self.pictures > 1 else 0)
        if not (known := self._known[keys]).all():
            self._encode(np.unique(keys[~known]))
        return self._mean[keys], self._logvar[keys] if self.has_logvar else None

    def place(self, key: int) -> str:
        """What to call an image in an error."""
        index, picture = divmod(int(key), self.pictures)
        return f"image {index}" + (f" (picture {picture})" if self.random else "")

    def standardized(self, indices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The images that a call with an equal `rng` encodes, standardised with the data set's own constants."""
        pictures = rng.integers(self.pictures, size=len(indices)) if self.pictures > 1 else 0
        images = self._raw_images(indices * self.pictures + pictures)
        return np.asarray(self.data.standardize(images), np.float32)

    def _raw_images(self, keys):
        # With one picture of each index the draw is the index, which is the data set's default.
        images = self.data.images(keys // self.pictures, keys) if self.random else self.data.images(keys)
        if len(images) != len(keys):
            raise ValueError(f"data.images must have one image per index, got {len(images)} for {len(keys)}")
        return images

    def _encode(self, keys):
        needed = self.count + len(keys)
        for start in range(0, len(keys), self.batch_size):
            self.encoded(self.count, needed)
            batch = keys[start : start + self.batch_size]
            mean, logvar = self._encode_batch(batch)
            if not self.count:
                self._mean = np.empty((len(self._known), self.latents))
                self._logvar = np.empty_like(self._mean) if self.has_logvar else None
            self._mean[batch] = mean
            if self.has_logvar:
                self._logvar[batch] = logvar
            self._known[batch] = True
            self.count += len(batch)
        self.encoded(needed, needed)

    def _encode_batch(self, keys):
        images, count = self._raw_images(keys), len(keys)
        if self.standardize is not None:
            images = np.asarray(self.standardize(images), np.float32)
        if count < self.batch_size:
            # Filled up, so that a compiled encoder is compiled once.
            images = np.concatenate([images, np.repeat(images[-1:], self.batch_size - count, axis=0)])
        mean, logvar = _checked(self.encode(images), self.batch_size, lambda row: self.place(keys[min(row, count - 1)]))
        if self.latents is None:
            self.latents, self.has_logvar = mean.shape[1], logvar is not None
        if self.latents != mean.shape[1]:
            raise ValueError(
                f"encode must return the same number of latents for every batch, got {self.latents} and then "
                f"{mean.shape[1]}"
            )
        if self.has_logvar != (logvar is not None):
            raise ValueError("encode must return log-variances for every batch or for none")
        return mean[:count], None if logvar is None else logvar[:count]


@dataclasses.dataclass(frozen=True)
class Material:
    """Arrays and functions by what a score is a function of; None is not there.

    Attributes:
        sample, test: pairs (codes, factors); `sample` may be of codes alone.
        posterior: (mean, logvar, factors); unfit: why no score can be computed of its log-variances, or None; whole:
            whether it is of all points of a data set, not of a sample.
        generator: function without arguments that returns the same encode_factors, factor_sizes and observations (or
            None) at every call, with their random numbers from the start.
        information: `posterior_information`, computed once for all scores that are made of it.
    """

    sample: tuple | None = None
    test: tuple | None = None
    posterior: tuple | None = None
    unfit: str | None = None
    whole: bool = False
    generator: Callable | None = None
    information: Callable = dataclasses.field(default_factory=KnownInformation)


def draw_indices(size: int, seed: int, train: int, test: int) -> np.ndarray:
    """Indices of the train sample, then of the test sample."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.integers(size, size=count) for count in (train, test)])


def encode_indices(images: EncodedImages, indices: np.ndarray, seed: int, representation: str) -> np.ndarray:
    """Codes of a sample of images."""
    mean, logvar = images(indices, np.random.default_rng([seed, SAMPLE_PICTURES]))
    if representation == "mean":
        return mean
    if logvar is None:
        raise ValueError("representation must be 'mean' where encode returns no log-variances")
    check_variances(logvar, indices)
    return sampled(mean, logvar, np.random.default_rng([seed, SAMPLE_NOISE]))


def check_variances(logvar: np.ndarray, indices: np.ndarray) -> None:
    """ValueError, which names the image, unless variances can be computed with; none at all is a variance."""
    if unfit := unfit_logvar(np.where(logvar < -200, -200, logvar), lambda row: f"image {indices[row]}"):
        raise ValueError(f"the log-variances that encode returns {unfit}")


def sample_pairs(
    images: EncodedImages, indices: np.ndarray, train: int, seed: int, representation: str
) -> tuple[tuple, tuple]:
    """Pairs (codes, factors) of the train and of the test sample."""
    distinct, inverse = np.unique(indices, return_inverse=True)
    factors = check_factor_rows(images.data, distinct)[inverse]
    active_factors(factors[:train], "data.factors")  # raises where the scores would, but before the encoding
    codes = encode_indices(images, indices, seed, representation)
    return (codes[:train], factors[:train]), (codes[train:], factors[train:])


def gather(
    images: EncodedImages, tasks: Sequence, indices: np.ndarray, train: int, seed: int, representation: str, points: int
) -> Material:
    """Everything that the tasks are computed from, encoded."""
    needs, data = {task.info.needs for task in tasks}, images.data
    sample = test = posterior = unfit = None
    whole = images.size <= points
    if FACTORS in needs:
        sample, test = sample_pairs(images, indices, train, seed, representation)
    elif CODES in needs:
        sample = (encode_indices(images, indices[:train], seed, representation),)
    if CHOSEN_FACTORS in needs and images.pictures == 1 and images.size <= WHOLE:
        images(np.arange(images.size), None)
    if POSTERIORS in needs:
        chosen = np.arange(images.size) if whole else indices[:train]
        factors = check_factor_rows(data, chosen)
        posterior = (*images(chosen, np.random.default_rng([seed, SAMPLE_PICTURES])), factors)
        unfit = unfit_logvar(posterior[1], lambda row: f"image {chosen[row]}")

    def generator():
        pictures, same_pictures = (np.random.default_rng([seed, CHOSEN_PICTURES]) for _ in range(2))
        noise = np.random.default_rng([seed, CHOSEN_NOISE])

        def encode_factors(factors):
            mean, logvar = images(data.index(factors), pictures)
            return mean if representation == "mean" else sampled(mean, logvar, noise)

        def observations(factors):
            return images.standardized(data.index(factors), same_pictures)

        has_images = callable(getattr(data, "standardize", None))
        return encode_factors, tuple(data.factor_sizes), observations if has_images else None

    return Material(sample, test, posterior, unfit, whole, generator)


def posterior_function(encode: Any) -> tuple[Callable, bool]:
    """The function of images that `encode` stands for, and whether it applies pixel constants of its own.

    A model may have been trained on images standardised otherwise than by the data set's constants.
    """
    if not isinstance(encode, str | bytes) and callable(getattr(encode, "encode", None)):
        encode = encode.encode
    if not callable(encode):
        raise TypeError(f"encode must be a function of a batch of images, got {type(encode).__name__}")
    own_constants = getattr(getattr(encode, "__self__", None), "knows_pixel_constants", False)
    try:
        parameters = inspect.signature(encode).parameters
    except (TypeError, ValueError):  # some functions written in C
        parameters = {}
    if "return_logvar" not in parameters:
        return encode, own_constants
    return lambda images: encode(images, return_logvar=True), own_constants


def check_factor_rows(data: Any, indices: np.ndarray) -> np.ndarray:
    """Factor values of distinct indices, int64 (n, F), or an error that names `data.factors`."""
    factors = check_factors(data.factors(indices), "data.factors")
    if len(factors) != len(indices):
        raise ValueError(f"data.factors must have one row per index, got {len(factors)} for {len(indices)}")
    return factors


def sampled(mean: np.ndarray, logvar: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws from Gaussian posteriors, (n, D)."""
    return mean + np.exp(logvar / 2) * rng.standard_normal(mean.shape)


def _checked(returned, batch_size, place):
    """Means, and log-variances or None, of what an encoder returned; any numbers may be log-variances here."""
    if isinstance(returned, Mapping):
        if not {"mean", "logvar"} <= set(returned):
            raise TypeError(f"encode must return a dict with the keys 'mean' and 'logvar', got {sorted(returned)}")
        returned = returned["mean"], returned["logvar"]
    if isinstance(returned, list) and len(returned) == 2 and len(np.shape(returned[0])) == 2:
        returned = tuple(returned)  # as some Keras models return their outputs
    if not (isinstance(returned, tuple) and len(returned) == 2):
        return _checked_array(returned, "the codes that encode returns", batch_size, place), None
    mean = _checked_array(returned[0], "the means that encode returns", batch_size, place)
    logvar = _real_numbers(returned[1], "the log-variances that encode returns")
    if mean.shape != logvar.shape:
        raise ValueError(f"the log-variances that encode returns must have shape {mean.shape}, got {logvar.shape}")
    return mean, logvar.astype(np.float64)


def _real_numbers(returned, name):
    try:
        array = np.asarray(returned)
    except Exception as error:  # whatever the array's library raises, e.g. for a tensor on a device
        raise TypeError(
            f"encode must return codes that NumPy can convert, got {type(returned).__name__}: {error}"
        ) from error
    if array.dtype.kind not in "iuf" and array.dtype.name != "bfloat16":
        raise TypeError(f"{name} must be real numbers, got dtype {array.dtype} of a {type(returned).__name__}")
    return array


def _checked_array(returned, name, batch_size, place):
    codes = check_codes(_real_numbers(returned, name), name, place)
    if len(codes) != batch_size:
        raise ValueError(f"{name} must have one row per image, got {codes.shape} for {batch_size} images")
    return codes
