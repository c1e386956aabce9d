"""Scores of an encoder on a ground-truth data set, from one encoding."""

import dataclasses

import numpy as np

from kerasvae.checks import check_choice, check_integer, check_seed
from kerasvae.metrics.bootstrap import check_bootstrap
from kerasvae.metrics.divergences import check_divergences, mean_divergences
from kerasvae.metrics.evaluation_codes import REPRESENTATIONS, EncodedImages
from kerasvae.metrics.evaluation_material import (
    SAMPLE_PICTURES,
    check_variances,
    draw_indices,
    encode_indices,
    gather,
    sample_pairs,
)
from kerasvae.metrics.evaluation_progress import shown
from kerasvae.metrics.evaluation_result import Evaluation
from kerasvae.metrics.evaluation_scores import (
    CODES,
    GENERATOR,
    POINTS,
    POSTERIOR,
    PRESETS,
    SCORES,
    compute,
    describe,
    possible,
    resolve,
    versions,
)

__all__ = ["SCORES", "evaluate", "sample_codes"]

NO_POSTERIOR = "encode returns no log-variances"


def evaluate(
    encode,
    data,
    scores="all",
    *,
    representation="mean",
    divergences=None,
    preset="full",
    seed=1,
    bootstrap=0,
    jobs=None,
    train=None,
    test=None,
    batch_size=256,
    progress=None,
):
    """Scores of an encoder on a ground-truth data set, each of whose images is encoded at most once for all of them.

    A score that is a function of codes and factors gets a random sample of the data; one that has an argument `test`
    is given the pair (codes, factors) of a second sample as well, one that has arguments `seed`, `jobs` or
    `divergences` those, unless your options or a `functools.partial` set them. A score that chooses its own factor
    values (`beta_vae_score`, `factor_vae_score`, `flatness`, `linearity`, `distance_correlations`) needs a data set
    that is complete, and one of posteriors (`aam`, `mmig`) log-variances.

    Arguments:
        encode: a model of this package, or another object with a method `encode`; or a function of standardised
            float32 images (batch_size, H, W, C). It returns codes (batch_size, latents), for a VAE the posterior
            means, or the pair (mean, logvar), or a dict with these keys, in anything that NumPy converts. A method
            with an argument `return_logvar` is called with it. The `encode` of a model of this package that knows
            its channel constants gets uint8 images and applies its own.
        data: data set with ground-truth factors: `len`, `images(indices)`, `factors(indices)`,
            `standardize(images)`; where its factors form a complete grid also `factor_sizes` and `index(factors)`.
            `complete = False` says that they do not, `random = True` that `images(indices, draws)` has random parts
            (see `kerasvae.datasets.GroundTruthData`): then a few of the pictures of each combination are drawn from,
            some 10^5 in all.
        scores: `"all"` (default): every score that can be computed, the result says which cannot and why; a list of
            names and functions of (codes, factors); or a dict of name to function, or of a name to a dict of its
            options. What you name and cannot be computed is an error.
        representation: `"mean"` codes (default), or `"sampled"` from the posteriors, anew for each use of an image.
        divergences: mean Kullback-Leibler divergence of each latent to its prior in nats, (latents,), for the scores
            that leave out collapsed latents by it (`gaussian_total_correlation`, `gaussian_wasserstein`,
            `mutual_information_score`, your own functions with an argument `divergences=None`); or `"posterior"`: the
            mean over the sample of images, from the log-variances that `encode` returns. The same for all resamples of
            an interval. Default None: no latent is left out by it, as in published code.
        preset: `"full"` (default): samples of 10 000 and, for tests, 5000, 1024 walks, posteriors of all points of a
            data set of up to 100 000; or `"fast"`: the sizes of Michlo et al. during training, e.g. 2000 for MIG,
            1000 and 500 for DCI, 128 walks. MIG and DCI from so few are biased.
        seed: of the drawn samples and of the scores, 0..2^32-1. Default: 1.
        bootstrap: resamples for 95 % intervals, 0 (none) or at least 2; some 100 are enough. Each takes as long as the
            score itself, but for those that choose their own factor values. Scores of posteriors have none where
            they use all points. An interval is of the mean score of samples of this size: it does not hold the bias
            that a score has on few samples, see `kerasvae.metrics.bootstrap.bootstrap_interval`. Default: 0.
        jobs: threads, at least 1. No influence on the result. Default None: 1.
        train: number of samples that scores are computed (and predictors trained) on, at least 2. Default None: the
            preset's.
        test: number of samples that predictors are tested on, at least 1. Default None: the preset's.
        batch_size: images per call of `encode`, at least 1. Every call gets that many (the last batch is
            filled up), so that a compiled encoder is compiled once. Default: 256.
        progress: whether to show what is being done. Default None: on a terminal.

    Returns:
        Evaluation: a mapping of name to Score, in the order of `scores`, that prints as a table. A plain number that a
        function returns becomes a Score without parts.

    Raises:
        TypeError: `encode` is no function or returns no array of real numbers; `scores` of another type; an
            option that the score does not take; a score that returns neither Score nor number.
        ValueError: a name that is unknown or given twice; a score that `data` or `encode` has nothing for; a number
            or name out of range; divergences that no score takes, that do not fit the latents, or `"posterior"` where
            `encode` returns no log-variances; all factors constant; `encode` returns codes of another shape, or codes
            that are not finite (the image is named). Log-variances outside -200..200 leave out the scores of
            posteriors, or are an error where you name one of those; above 200 they have no samples and divergences.

    Source: sample sizes and drawing as in Locatello et al. 2019; `"fast"` as in the code of Michlo et al. 2021. Public
    code encodes every draw; here images drawn several times are encoded once, which gives the same codes for a
    deterministic encoder.

    Example:

    ```python
    scores = kv.metrics.evaluate(model, data)
    print(scores)
    scores = kv.metrics.evaluate(model, data, {"mig": {"bins": 40}, "dci": {"stages": 20}}, bootstrap=100, jobs=4)
    float(scores["mig"]), scores["mig"].interval, scores["dci"].parts["completeness"]
    ```
    """
    seed, bootstrap = check_seed(seed), check_bootstrap(bootstrap)
    jobs = None if jobs is None else check_integer(jobs, "jobs", 1)
    train = None if train is None else check_integer(train, "train", 2)
    test = None if test is None else check_integer(test, "test", 1)
    check_choice(representation, "representation", REPRESENTATIONS)
    check_choice(preset, "preset", PRESETS)
    divergences = _checked_divergences(divergences)
    tasks, named = resolve(scores), not isinstance(scores, str)
    if divergences is not None and not any(task.takes("divergences") for task in tasks):
        raise ValueError(f"divergences must be None: none of {', '.join(task.name for task in tasks)} takes them")
    images = EncodedImages(encode, data, batch_size)
    tasks, left_out = possible(tasks, named, lambda task: _lacking(task, data))
    sizes = {task.name: task.sizes(preset, train, test) for task in tasks}
    with shown(progress, len(tasks)) as (encoded, scored):
        images.encoded = encoded
        train_size = max((sizes[task.name]["train"] for task in tasks if task.kind != GENERATOR), default=0)
        test_size = max((sizes[task.name]["test"] for task in tasks if task.takes_test()), default=0)
        indices = draw_indices(images.size, seed, train_size, test_size)
        if representation == "sampled" or divergences is not None or any(task.kind == POSTERIOR for task in tasks):
            # One batch tells whether there are log-variances, and how many latents.
            encode_indices(images, indices[:1] if len(indices) else np.zeros(1, np.int64), seed, "mean")
            if representation == "sampled" and not images.has_logvar:
                raise ValueError("representation must be 'mean' where encode returns no log-variances")
            if isinstance(divergences, str) and not images.has_logvar:
                raise ValueError("divergences must be None or numbers where encode returns no log-variances")
            tasks, also = possible(
                tasks,
                named,
                lambda task: NO_POSTERIOR if task.kind == POSTERIOR and not images.has_logvar else None,
            )
            left_out |= also
        if divergences is not None and not isinstance(divergences, str):
            divergences = check_divergences(divergences, images.latents)
        material = gather(images, tasks, indices, train_size, seed, representation, POINTS[preset])
        if material.unfit:
            reason = f"the log-variances that encode returns {material.unfit}"
            tasks, also = possible(tasks, named, lambda task: reason if task.kind == POSTERIOR else None)
            left_out |= also
        if divergences is not None:
            if isinstance(divergences, str):
                divergences = _mean_divergences(images, indices, train_size, seed)
            tasks = [_with_option(task, "divergences", divergences) for task in tasks]
        results = {}
        for task in tasks:
            scored(task.name)
            try:
                options = {"seed": seed, "bootstrap": bootstrap, "jobs": jobs}
                results[task.name] = compute(task, material, sizes[task.name], **options)
            except ValueError as error:
                # The others' results, of a long work perhaps, are not to be lost to one that has nothing to score.
                if named:
                    raise
                left_out[task.name] = str(error)
    if not results:
        raise ValueError(f"scores cannot be computed: {'; '.join(dict.fromkeys(left_out.values()))}")
    settings = {
        "data": _described(data),
        "representation": representation,
        "divergences": None if divergences is None else [float(value) for value in divergences],
        "preset": preset,
        "seed": seed,
        "bootstrap": bootstrap,
        "latents": images.latents,
        "images_encoded": images.count,
        "sizes": {task.name: describe(task, sizes[task.name], material) for task in tasks if task.name in results},
        "versions": versions(),
    }
    return Evaluation(results, settings, left_out)


def sample_codes(encode, data, *, seed=1, train=10_000, test=5_000, batch_size=256, representation="mean"):
    """Codes and factors of images drawn at random from a data set: what scores of arrays take.

    Indices are drawn uniformly, independently and with replacement, which on a full grid of factors draws the
    factors so. Distinct images are read and encoded once each, in batches of one shape; no more than one
    batch of images is held at a time.

    Arguments:
        encode, data, seed, train, test, batch_size, representation: as in `evaluate`.

    Returns:
        two pairs, for train and test: codes float64 (samples, latents), factors int64 (samples, factors).

    Raises:
        TypeError: `encode` is no function, or returns something that is no array of real numbers; a number of
            another type.
        ValueError: a number out of range; all factors constant; `encode` returns codes of another shape, or
            codes that are not finite.
    """
    check_choice(representation, "representation", REPRESENTATIONS)
    seed = check_seed(seed)
    train, test = check_integer(train, "train", 2), check_integer(test, "test", 1)
    images = EncodedImages(encode, data, batch_size)
    return sample_pairs(images, draw_indices(images.size, seed, train, test), train, seed, representation)


def _checked_divergences(divergences):
    """None, "posterior", or an array of real numbers, whose length is checked once that of the codes is known."""
    if divergences is None or (isinstance(divergences, str) and divergences == "posterior"):
        return divergences
    array = None if isinstance(divergences, str) else np.asarray(divergences)
    if array is None or array.ndim != 1:
        raise ValueError(f"divergences must be None, 'posterior' or numbers (latents,), got {divergences!r}")
    return check_divergences(array, len(array))


def _mean_divergences(images, indices, train, seed):
    """Mean divergence to the prior of each latent in nats, (latents,), over the train sample's pictures."""
    mean, logvar = images(indices, np.random.default_rng([seed, SAMPLE_PICTURES]))
    mean, logvar = mean[:train], logvar[:train]
    check_variances(logvar, indices)
    # Rounding may take that of a collapsed latent a little below 0.
    return np.maximum(mean_divergences(mean, logvar), 0.0)


def _with_option(task, name, value):
    """The task with an option that its function has and the caller has not set, or else as it is."""
    return dataclasses.replace(task, options={**task.options, name: value}) if task.takes(name) else task


def _lacking(task, data):
    """Why a data set has nothing for a score, or None."""
    sizes = getattr(data, "factor_sizes", None)
    if task.kind != CODES and sizes is not None and not len(sizes):
        return "data has no factors"
    if task.kind != GENERATOR:
        return None
    purpose = "it chooses factor values itself"
    if not getattr(data, "complete", True):
        try:
            data.check_complete(purpose)
        except (AttributeError, ValueError) as error:
            if isinstance(error, ValueError):
                return str(error)
        return f"{purpose}: data must hold one image for each combination of its factors"
    if sizes is None or not callable(getattr(data, "index", None)):
        return f"{purpose}: data must have factor_sizes and index(factors)"
    return None


def _described(data):
    if type(data).__repr__ is object.__repr__:  # which tells an address, another one each time
        return f"{type(data).__name__}, {len(data)} images"
    return repr(data)
