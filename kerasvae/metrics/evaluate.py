"""Scores of an encoder on a ground-truth data set, from one encoding."""

import inspect
from collections.abc import Mapping
from functools import partial

import numpy as np

from kerasvae.metrics.checks import active_factors, check_codes, check_factors, check_integer, check_seed
from kerasvae.metrics.dci import dci
from kerasvae.metrics.mig import mig
from kerasvae.metrics.score import Score

SCORES = {"mig": mig, "dci": dci}


def evaluate(encode, data, scores, *, seed=1, train=10_000, test=5_000, batch_size=256):
    """Scores of an encoder on a ground-truth data set, which is encoded once for all of them.

    A score is a function of codes (samples, latents) and factors (samples, factors) and gets the train
    sample. One that has an argument `test` is given the pair (codes, factors) of the test sample as well, one
    that has an argument `seed` the seed, unless your options or a `functools.partial` set them.

    Arguments:
        encode: function of standardised float32 images (batch_size, H, W, C) that returns codes (batch_size, latents)
            in anything that NumPy converts. For a VAE: the posterior means. The `encode` of a model of this package
            that knows its channel constants gets uint8 images and applies its own.
        data: data set with ground-truth factors: `len`, `images(indices)`, `factors(indices)`,
            `standardize(images)`.
        scores: list of names ("mig", "dci") and functions; or dict of name to function, or of one of these
            names to a dict of its options.
        seed: of the drawn samples and of the scores, 0..2^32-1. Default: 1.
        train: number of samples that scores are computed (and predictors trained) on, at least 2.
            Default: 10 000.
        test: number of samples that predictors are tested on, at least 1. Default: 5 000.
        batch_size: images per call of `encode`, at least 1. Every call gets that many (the last batch is
            filled up), so that a compiled encoder is compiled once. Default: 256.

    Returns:
        dict of name to Score, in the order of `scores`. A plain number that a function returns becomes a
        Score without parts.

    Raises:
        TypeError: `encode` is no function or returns no array of real numbers; `scores` of another type; an
            option that the score does not take; a score that returns neither Score nor number.
        ValueError: a name that is unknown or given twice; a number out of range; all factors constant;
            `encode` returns codes of another shape, or codes that are not finite.

    Source: sample sizes and drawing as in Locatello et al. 2019. Public code encodes every draw; here images
    drawn several times are encoded once, which gives the same codes for a deterministic encoder.

    Example:

    ```python
    scores = kv.metrics.evaluate(model.encode, data, ["mig", "dci"])
    scores = kv.metrics.evaluate(model.encode, data, {"mig": {"bins": 40}, "dci": {"stages": 20, "jobs": 4}})
    float(scores["mig"]), scores["dci"].parts["completeness"]
    ```
    """
    seed = check_seed(seed)
    functions = _resolve(scores)
    (codes, factors), test_sample = sample_codes(encode, data, seed=seed, train=train, test=test, batch_size=batch_size)
    offered = {"test": test_sample, "seed": seed}
    results = {}
    for name, (function, options) in functions.items():
        options = {key: offered[key] for key in _taken(function)} | options
        results[name] = _as_score(name, function(codes, factors, **options))
    return results


def sample_codes(encode, data, *, seed=1, train=10_000, test=5_000, batch_size=256):
    """Codes and factors of images drawn at random from a data set: what scores of arrays take.

    Indices are drawn uniformly, independently and with replacement, which on a full grid of factors draws the
    factors so. Distinct images are read and encoded once each, in batches of one shape; no more than one
    batch of images is held at a time.

    Arguments:
        encode, data, seed, train, test, batch_size: as in `evaluate`.

    Returns:
        two pairs, for train and test: codes float64 (samples, latents), factors int64 (samples, factors).

    Raises:
        TypeError: `encode` is no function, or returns something that is no array of real numbers; a number of
            another type.
        ValueError: a number out of range; all factors constant; `encode` returns codes of another shape, or
            codes that are not finite.
    """
    if not callable(encode):
        raise TypeError(f"encode must be a function of a batch of images, got {type(encode).__name__}")
    seed, batch_size = check_seed(seed), check_integer(batch_size, "batch_size", 1)
    train, test = check_integer(train, "train", 2), check_integer(test, "test", 1)
    size = check_integer(len(data), "len(data)", 2)
    rng = np.random.default_rng(seed)
    indices = np.concatenate([rng.integers(size, size=train), rng.integers(size, size=test)])
    distinct, inverse = np.unique(indices, return_inverse=True)
    factors = check_factors(data.factors(distinct), "data.factors")
    if len(factors) != len(distinct):
        raise ValueError(f"data.factors must have one row per index, got {len(factors)} for {len(distinct)}")
    factors = factors[inverse]
    active_factors(factors[:train], "data.factors")  # raises where the scores would, but before the encoding
    codes = _encode_each(encode, data, distinct, batch_size)[inverse]
    return (codes[:train], factors[:train]), (codes[train:], factors[train:])


def _encode_each(encode, data, indices, batch_size):
    # A model may have been trained on images standardised otherwise than by the data set's constants.
    own_constants = getattr(getattr(encode, "__self__", None), "knows_pixel_constants", False)
    codes = None
    for start in range(0, len(indices), batch_size):
        chosen = indices[start : start + batch_size]
        images, count = data.images(chosen), len(chosen)
        if not own_constants:
            images = np.asarray(data.standardize(images), np.float32)
        if len(images) != count:
            raise ValueError(f"data.images must have one image per index, got {len(images)} for {count}")
        if count < batch_size:
            images = np.concatenate([images, np.repeat(images[-1:], batch_size - count, axis=0)])
        batch = _check_encoded(encode(images), batch_size)
        if codes is None:
            codes = np.empty((len(indices), batch.shape[1]))
        elif codes.shape[1] != batch.shape[1]:
            raise ValueError(
                f"encode must return the same number of latents for every batch, got "
                f"{codes.shape[1]} and then {batch.shape[1]}"
            )
        codes[start : start + count] = batch[:count]
    return codes


def _check_encoded(returned, batch_size):
    try:
        array = np.asarray(returned)
    except Exception as error:  # whatever the array's library raises, e.g. for a tensor on a device
        raise TypeError(
            f"encode must return codes that NumPy can convert, got {type(returned).__name__}: {error}"
        ) from error
    name = "the codes that encode returns"
    codes = check_codes(array, name)
    if len(codes) != batch_size:
        raise ValueError(f"{name} must have one row per image, got {codes.shape} for {batch_size} images")
    return codes


def _resolve(scores):
    """Name -> (function, options); refuses here, before the encoding, what can be known to be wrong."""
    if isinstance(scores, Mapping):
        named = list(scores.items())
    elif isinstance(scores, list | tuple):
        named = [(score, {}) if isinstance(score, str) else (_name_of(score), score) for score in scores]
    else:
        raise TypeError(f"scores must be a list or a dict, got {scores!r}")
    if not named:
        raise ValueError("scores must name at least one score, got none")
    functions = {}
    for name, what in named:
        if name in functions:
            raise ValueError(f"scores must have different names, got {name!r} twice")
        if callable(what):
            functions[name] = what, {}
        elif not isinstance(what, Mapping):
            raise TypeError(f"scores[{name!r}] must be a function or a dict of options, got {what!r}")
        elif name not in SCORES:
            raise ValueError(f"scores must be functions or of {', '.join(map(repr, SCORES))}, got {name!r}")
        else:
            functions[name] = SCORES[name], dict(what)
        _check_call(name, *functions[name])
    return functions


def _name_of(score):
    if not callable(score):
        raise TypeError(f"scores must hold names and functions, got {score!r}")
    name = getattr(score.func if isinstance(score, partial) else score, "__name__", "<unnamed>")
    if name.startswith("<"):
        raise ValueError(f"scores must be a dict, {{name: function}}, to hold a function without a name, got {score!r}")
    return name


def _taken(function):
    """Which of `test` and `seed` a score takes and has not been given yet."""
    bound = function.keywords if isinstance(function, partial) else {}
    parameters = inspect.signature(function).parameters
    return [key for key in ("test", "seed") if key in parameters and key not in bound]


def _check_call(name, function, options):
    try:
        inspect.signature(function).bind(None, None, **(dict.fromkeys(_taken(function)) | options))
    except TypeError as error:
        raise TypeError(
            f"scores[{name!r}] must take (codes, factors) and the options {sorted(options)}: {error}"
        ) from error


def _as_score(name, result):
    if isinstance(result, Score):
        return result
    try:
        return Score(name, result)
    except TypeError:
        raise TypeError(f"scores[{name!r}] must return a Score or a number, got {result!r}") from None
