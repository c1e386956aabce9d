"""Scores of an encoder on a ground-truth data set, from one encoding: what is called with what, in which order."""

import contextlib
import dataclasses
import functools
import importlib.metadata
import inspect
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_choice, check_integer, check_seed
from kerasvae.metrics.bootstrap import bootstrap_interval, bootstrap_rows, check_bootstrap
from kerasvae.metrics.divergences import check_divergences, mean_divergences
from kerasvae.metrics.evaluation import Evaluation
from kerasvae.metrics.material import (
    REPRESENTATIONS,
    SAMPLE_PICTURES,
    EncodedImages,
    Material,
    check_variances,
    draw_indices,
    encode_indices,
    gather,
    sample_pairs,
)
from kerasvae.metrics.score import CHOSEN_FACTORS, CODES, FACTORS, MODELS, NEEDS, POSTERIORS, Score, ScoreInfo, info_of

# Sizes of samples, but for what the `info` of a score says. "fast": with which Michlo et al. scored during training;
# where they had no score, like the ones most alike.
PRESETS = {
    "full": {"train": 10_000, "test": 5_000, "variance_samples": 10_000, "repeats": 1024},
    "fast": {"train": 2_000, "test": 1_000, "repeats": 128},
}
# Most points of a data set that posteriors are all taken from; of a larger one those of the sample.
POINTS = {"full": 100_000, "fast": 2_000}
NO_POSTERIOR = "encode returns no log-variances"
NO_MODELS = "it compares several models: call it with their codes"


def evaluate(
    encode: Any,
    data: Any,
    scores: str | Iterable | Mapping = "all",
    *,
    representation: str = "mean",
    divergences: ArrayLike | str | None = None,
    preset: str = "full",
    seed: int = 1,
    bootstrap: int = 0,
    jobs: int | None = None,
    train: int | None = None,
    test: int | None = None,
    batch_size: int = 256,
    progress: bool | None = None,
) -> Evaluation:
    """Scores of an encoder on a ground-truth data set, each of whose images is encoded at most once for all of them.

    What a score is given depends on what it needs, see `ScoreInfo`. One of codes and factors gets a random sample of
    the data; one that predicts gets the pair (codes, factors) of a second sample as `test`; one that chooses its own
    factor values needs a data set that is complete, and one of posteriors log-variances. Where it has arguments `seed`,
    `jobs` or `divergences` it gets those too, unless your options or a `functools.partial` set them.

    Args:
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
        scores: `"all"` (default): every one of `kerasvae.metrics.SCORES` that can be computed, the result says which
            cannot and why; a list of names and functions; or a dict of name to function, or of a name to a dict of its
            options. What you name and cannot be computed is an error.
        representation: `"mean"` codes (default), or `"sampled"` from the posteriors, drawn for each use of an image.
        divergences: mean Kullback-Leibler divergence of each latent to its prior in nats, (latents,), for the scores
            that leave out collapsed latents by it (those of codes alone, your own functions with an argument
            `divergences=None`); or `"posterior"`: the mean over the sample of images, from the log-variances that
            `encode` returns. The same for all resamples of an interval. Default None: no latent is left out by it, as
            in published code.
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
            or name that is not allowed; divergences that no score takes, that do not fit the latents, or `"posterior"`
            where `encode` returns no log-variances; all factors constant; `encode` returns codes of another shape, or
            codes that are not finite (the image is named). Log-variances outside -200..200 leave out the scores of
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
    options = check_options(preset, seed, bootstrap, jobs)
    train = check_integer(train, "train", 2, optional=True)
    test = check_integer(test, "test", 1, optional=True)
    check_choice(representation, "representation", REPRESENTATIONS)
    divergences = _checked_divergences(divergences)
    tasks, named = resolve(scores), not isinstance(scores, str)
    if divergences is not None and not any(task.takes("divergences") for task in tasks):
        raise ValueError(f"divergences must be None: none of {', '.join(task.name for task in tasks)} takes them")
    images = EncodedImages(encode, data, batch_size)
    tasks, left_out = possible(tasks, named, lambda task: _lacking(task, data))
    sizes = {task.name: task.sizes(preset, train, test) for task in tasks}
    with shown(progress, len(tasks)) as (images.encoded, started):
        train_size = max((sizes[task.name]["train"] for task in tasks if task.info.needs != CHOSEN_FACTORS), default=0)
        test_size = max((sizes[task.name]["test"] for task in tasks if task.predicts), default=0)
        indices = draw_indices(images.size, seed, train_size, test_size)
        of_posteriors = any(task.info.needs == POSTERIORS for task in tasks)
        if of_posteriors or representation == "sampled" or divergences is not None:
            # One batch shows whether there are log-variances, and how many latents.
            encode_indices(images, indices[:1] if len(indices) else np.zeros(1, np.int64), seed, "mean")
            if representation == "sampled" and not images.has_logvar:
                raise ValueError("representation must be 'mean' where encode returns no log-variances")
            if isinstance(divergences, str) and not images.has_logvar:
                raise ValueError("divergences must be None or numbers where encode returns no log-variances")
            if not images.has_logvar:
                tasks = _without_posteriors(tasks, named, NO_POSTERIOR, left_out)
            if divergences is not None and not isinstance(divergences, str):
                divergences = check_divergences(divergences, images.latents)
        material = gather(images, tasks, indices, train_size, seed, representation, POINTS[preset])
        if material.unfit:
            reason = f"the log-variances that encode returns {material.unfit}"
            tasks = _without_posteriors(tasks, named, reason, left_out)
        if divergences is not None:
            if isinstance(divergences, str):
                divergences = _mean_divergences(images, indices, train_size, seed)
            tasks = [_with_option(task, "divergences", divergences) for task in tasks]
        results = compute_all(tasks, material, sizes, named, left_out, started, **options)
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


def sample_codes(
    encode: Any,
    data: Any,
    *,
    seed: int = 1,
    train: int = 10_000,
    test: int = 5_000,
    batch_size: int = 256,
    representation: str = "mean",
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Codes and factors of images drawn at random from a data set: what scores of arrays take.

    Indices are drawn uniformly, independently and with replacement, which on a full grid of factors draws the
    factors so. Distinct images are read and encoded once each, in batches of one shape; no more than one
    batch of images is held at a time.

    Args:
        encode, data, seed, train, test, batch_size, representation: as in `evaluate`.

    Returns:
        two pairs, for train and test: codes float64 (samples, latents), factors int64 (samples, factors).

    Raises:
        TypeError, ValueError: as `evaluate`.
    """
    check_choice(representation, "representation", REPRESENTATIONS)
    seed = check_seed(seed)
    train, test = check_integer(train, "train", 2), check_integer(test, "test", 1)
    images = EncodedImages(encode, data, batch_size)
    return sample_pairs(images, draw_indices(images.size, seed, train, test), train, seed, representation)


def check_options(preset: str, seed: int, bootstrap: int, jobs: int | None) -> dict[str, Any]:
    """The options of every computation, unless one is not allowed."""
    check_choice(preset, "preset", PRESETS)
    jobs = check_integer(jobs, "jobs", 1, optional=True)
    return {"seed": check_seed(seed), "bootstrap": check_bootstrap(bootstrap), "jobs": jobs}


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


def _without_posteriors(tasks, named, reason, left_out):
    tasks, also = possible(tasks, named, lambda task: reason if task.info.needs == POSTERIORS else None)
    left_out |= also
    return tasks


def _lacking(task, data):
    """Why a data set has nothing for a score, or None."""
    sizes, needs = getattr(data, "factor_sizes", None), task.info.needs
    if needs == MODELS:
        return NO_MODELS
    if needs != CODES and sizes is not None and not len(sizes):
        return "data has no factors"
    if needs != CHOSEN_FACTORS:
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
    if type(data).__repr__ is object.__repr__:  # which holds an address, another one each time
        return f"{type(data).__name__}, {len(data)} images"
    return repr(data)


@dataclasses.dataclass(frozen=True)
class Task:
    """One score to compute: its name in the result, the function, and the options that the caller set."""

    name: str
    function: Callable
    options: Mapping[str, Any]

    @property
    def info(self) -> ScoreInfo:
        return info_of(self.function)

    @property
    def bound(self) -> Mapping[str, Any]:
        """What a `functools.partial` sets."""
        return self.function.keywords if isinstance(self.function, functools.partial) else {}

    def takes(self, option: str) -> bool:
        """Whether the function has that option and the caller has not set it."""
        has = option in inspect.signature(self.function).parameters
        return has and option not in {**self.bound, **self.options}

    @property
    def predicts(self) -> bool:
        """Whether it is to be given a test sample."""
        predicts = self.info.predicts
        if callable(predicts):
            predicts = predicts({**self.bound, **self.options})
        return bool(predicts) and self.info.needs == FACTORS and self.takes("test")

    def sizes(self, preset: str, train: int | None = None, test: int | None = None) -> dict[str, int]:
        """Sizes of the samples it is computed from, of the preset where they are not given."""
        sizes = PRESETS[preset] | (dict(self.info.fast) if preset == "fast" else {})
        given = {"train": train, "test": test}
        return sizes | {name: size for name, size in given.items() if size is not None}


def resolve(scores: str | Iterable | Mapping) -> list[Task]:
    """Tasks for what the caller asked for; refuses here, before anything is encoded, what can be known to be wrong."""
    from kerasvae.metrics import SCORES  # here, since they are what that file exports

    if isinstance(scores, str) and scores == "all":
        scores = list(SCORES)
    if isinstance(scores, Mapping):
        named = list(scores.items())
    elif isinstance(scores, list | tuple):
        named = [(score, {}) if isinstance(score, str) else (_name_of(score), score) for score in scores]
    else:
        raise TypeError(f"scores must be 'all', a list or a dict, got {scores!r}")
    if not named:
        raise ValueError("scores must name at least one score, got none")
    tasks = {}
    for name, what in named:
        if name in tasks:
            raise ValueError(f"scores must have different names, got {name!r} twice")
        if callable(what):
            tasks[name] = Task(name, what, {})
        elif not isinstance(what, Mapping):
            raise TypeError(f"scores[{name!r}] must be a function or a dict of options, got {what!r}")
        elif name not in SCORES:
            raise ValueError(f"scores must be functions or of {', '.join(map(repr, SCORES))}, got {name!r}")
        else:
            tasks[name] = Task(name, SCORES[name], dict(what))
        _check_call(tasks[name])
    return list(tasks.values())


def _name_of(score):
    if not callable(score):
        raise TypeError(f"scores must hold names and functions, got {score!r}")
    name = getattr(score.func if isinstance(score, functools.partial) else score, "__name__", "<unnamed>")
    if name.startswith("<"):
        raise ValueError(f"scores must be a dict, {{name: function}}, to hold a function without a name, got {score!r}")
    return name


def _check_call(task):
    arguments = NEEDS[task.info.needs]
    offered = [name for name in ("test", "seed") if task.takes(name)]
    try:
        inspect.signature(task.function).bind(*(None for _ in arguments), **dict.fromkeys(offered), **task.options)
    except TypeError as error:
        raise TypeError(
            f"scores[{task.name!r}] must take ({', '.join(arguments)}) and the options {sorted(task.options)}: {error}"
        ) from error


def possible(
    tasks: list[Task], named: bool, reason_of: Callable[[Task], str | None]
) -> tuple[list[Task], dict[str, str]]:
    """Tasks for which there is no reason against, and the others' reasons; an error where they were asked for."""
    reasons = {task.name: reason_of(task) for task in tasks}
    for name, reason in reasons.items():
        if reason and named:
            raise ValueError(f"scores[{name!r}] cannot be computed: {reason}")
    left = [task for task in tasks if not reasons[task.name]]
    if not left:
        raise ValueError(f"scores cannot be computed: {'; '.join(filter(None, dict.fromkeys(reasons.values())))}")
    return left, {name: reason for name, reason in reasons.items() if reason}


def compute_all(
    tasks: list[Task],
    material: Material,
    sizes: Mapping[str, Mapping[str, int]],
    named: bool,
    left_out: dict[str, str],
    started: Callable[[str], None],
    **options,
) -> dict[str, Score]:
    """The scores of all tasks by name; a score that finds nothing to compute is added to `left_out` unless named."""
    results = {}
    for task in tasks:
        started(task.name)
        try:
            results[task.name] = compute(task, material, sizes[task.name], **options)
        except ValueError as error:
            # The others' results, of a long work perhaps, are not to be lost to one that has nothing to score.
            if named:
                raise
            left_out[task.name] = str(error)
    if not results:
        raise ValueError(f"scores cannot be computed: {'; '.join(dict.fromkeys(left_out.values()))}")
    return results


def compute(
    task: Task, material: Material, sizes: Mapping[str, int], *, seed: int, bootstrap: int = 0, jobs: int | None = None
) -> Score:
    """The score of a task, with its interval where `bootstrap` is above 0."""
    offered, needs = {"seed": seed} | ({} if jobs is None else {"jobs": jobs}), task.info.needs
    if needs == CHOSEN_FACTORS:
        encode_factors, factor_sizes, observations = material.generator()
        offered |= {**sizes, "bootstrap": bootstrap, "observations": observations}
        return _as_score(task.name, task.function(encode_factors, factor_sizes, **_options(task, offered)))
    if needs == POSTERIORS:
        rows, test, resampled = material.posterior, None, not material.whole
    else:
        rows = _first(material.sample, sizes["train"])
        test = _first(material.test, sizes["test"]) if task.predicts and material.test is not None else None
        rows, resampled = rows if needs == FACTORS else rows[:1], True

    def score(rows, test):
        options = _options(task, offered if test is None else offered | {"test": test})
        if task.info.from_information is None:
            return _as_score(task.name, task.function(*rows, **options))
        return task.info.from_information(material.information(*rows, **{**task.bound, **options}), rows[-1])

    result = score(rows, test)
    if not (bootstrap and resampled):
        return result
    replicates = bootstrap_rows(score, rows, test, seed, bootstrap, None if task.takes("jobs") else jobs)
    return dataclasses.replace(result, interval=bootstrap_interval(float(result), replicates, task.info.bounds))


def describe(task: Task, sizes: Mapping[str, int], material: Material) -> dict[str, int]:
    """Sizes of the samples that a score was computed from, for the settings of an evaluation."""
    if task.info.needs == CHOSEN_FACTORS:
        has = inspect.signature(task.function).parameters
        return {name: size for name, size in {**sizes, **task.options}.items() if name in has and name in sizes}
    if task.info.needs == POSTERIORS:
        return {"points": len(material.posterior[0])}
    used = {"train": len(_first(material.sample, sizes["train"])[0])}
    if task.predicts and material.test is not None:
        used["test"] = len(_first(material.test, sizes["test"])[0])
    return used


def versions() -> dict[str, str | None]:
    """Versions of what the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in ("kerasvae", "numpy", "scipy", "scikit-learn"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
            found[package] = None
    return found


def _as_score(name, result):
    """What a score returned, a plain number as a `Score` without parts."""
    if isinstance(result, Score):
        return result
    try:
        return Score(name, result)
    except TypeError:
        raise TypeError(f"scores[{name!r}] must return a Score or a number, got {result!r}") from None


def _options(task, offered):
    return {name: value for name, value in offered.items() if task.takes(name)} | dict(task.options)


def _first(pair, count):
    """The first rows of a pair of arrays; the pair itself where it has no more."""
    return pair if count is None or count >= len(pair[0]) else tuple(array[:count] for array in pair)


@contextlib.contextmanager
def shown(progress: bool | None, scores: int) -> Iterator[tuple[Callable, Callable]]:
    """Functions to call with the images encoded so far and needed, and with the name of each score before it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    hidden = not (console.is_terminal if progress is None else progress)
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        encoding, scoring = bar.add_task("images encoded", total=None), bar.add_task("scores", total=scores)
        numbers = iter(range(scores))

        def started(name):
            bar.update(scoring, description=name, completed=next(numbers))

        yield lambda done, needed: bar.update(encoding, completed=done, total=needed), started
