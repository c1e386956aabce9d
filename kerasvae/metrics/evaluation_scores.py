"""Which scores there are, what each is a function of, and how each is called in an evaluation."""

import dataclasses
import importlib.metadata
import inspect
import math
import platform
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from kerasvae.metrics.aam import aam, aam_from_information
from kerasvae.metrics.beta_vae_score import beta_vae_score
from kerasvae.metrics.bootstrap import bootstrap_interval, bootstrap_rows
from kerasvae.metrics.dci import dci
from kerasvae.metrics.distance_correlations import distance_correlations
from kerasvae.metrics.explicitness import explicitness
from kerasvae.metrics.factor_vae_score import factor_vae_score
from kerasvae.metrics.flatness import flatness
from kerasvae.metrics.irs import irs
from kerasvae.metrics.linearity import linearity
from kerasvae.metrics.mig import mig
from kerasvae.metrics.mmig import mmig, mmig_from_information
from kerasvae.metrics.modularity import modularity
from kerasvae.metrics.sap import sap
from kerasvae.metrics.score import Score
from kerasvae.metrics.unsupervised import gaussian_total_correlation, gaussian_wasserstein, mutual_information_score

# What a score is a function of: codes and factors of a sample (a user's functions too), its codes alone, codes of
# factors that it chooses itself, or posteriors.
SAMPLE, CODES, GENERATOR, POSTERIOR = "sample", "codes", "generator", "posterior"
KINDS = {
    mig: SAMPLE,
    dci: SAMPLE,
    modularity: SAMPLE,
    explicitness: SAMPLE,
    sap: SAMPLE,
    irs: SAMPLE,
    aam: POSTERIOR,
    mmig: POSTERIOR,
    beta_vae_score: GENERATOR,
    factor_vae_score: GENERATOR,
    flatness: GENERATOR,
    linearity: GENERATOR,
    distance_correlations: GENERATOR,
    gaussian_total_correlation: CODES,
    gaussian_wasserstein: CODES,
    mutual_information_score: CODES,
}
SCORES = {function.__name__: function for function in KINDS}
# Least and largest number of scores; those not named here are between 0 and 1, and of a user's own nothing is known.
BOUNDS = {
    mmig: (0.0, math.inf),
    gaussian_total_correlation: (0.0, math.inf),
    gaussian_wasserstein: (0.0, math.inf),
    mutual_information_score: (0.0, math.inf),
}
# Scores that are made of the posteriors' information alone, and of what they are then a function.
OF_INFORMATION = {aam: aam_from_information, mmig: mmig_from_information}
POSITIONAL = {
    SAMPLE: ("codes", "factors"),
    CODES: ("codes",),
    GENERATOR: ("encode_factors", "factor_sizes"),
    POSTERIOR: ("mean", "logvar", "factors"),
}
# Most points of a data set that posteriors are all taken from; of a larger one those of the sample.
POINTS = {"full": 100_000, "fast": 2_000}
PRESETS = {
    "full": {None: {"train": 10_000, "test": 5_000, "variance_samples": 10_000, "repeats": 1024}},
    # Sizes with which Michlo et al. scored during training; where they had no score, like the ones most alike.
    "fast": {
        None: {"train": 2_000, "test": 1_000, "repeats": 128},
        "dci": {"train": 1_000, "test": 500},
        "beta_vae_score": {"train": 700, "test": 350},
        "factor_vae_score": {"train": 700, "test": 350, "variance_samples": 1_000},
    },
}


@dataclasses.dataclass(frozen=True)
class Task:
    """One score to compute: its name in the result, the function, and the options that the caller set."""

    name: str
    function: Callable
    options: Mapping[str, Any]

    @property
    def kind(self):
        return KINDS.get(_unbound(self.function), SAMPLE)

    @property
    def bounds(self):
        """The least and the largest number that the score can be."""
        function = _unbound(self.function)
        return BOUNDS.get(function, (0.0, 1.0) if function in KINDS else (-math.inf, math.inf))

    def takes(self, option):
        """Whether the function has that option and the caller has not set it."""
        bound = self.function.keywords if isinstance(self.function, partial) else {}
        return option in inspect.signature(self.function).parameters and option not in {**bound, **self.options}

    def takes_test(self):
        """Whether it is to be given a test sample: a score that predicts."""
        bound = self.function.keywords if isinstance(self.function, partial) else {}
        continuous = _unbound(self.function) is sap and {**bound, **self.options}.get("continuous")
        return self.kind == SAMPLE and self.takes("test") and not continuous

    def sizes(self, preset, train=None, test=None):
        """Sizes of the samples it is computed from, of the preset where they are not given."""
        presets = PRESETS[preset]
        sizes = presets.get(None) | presets.get(getattr(_unbound(self.function), "__name__", None), {})
        given = {"train": train, "test": test}
        return sizes | {name: size for name, size in given.items() if size is not None}


def resolve(scores, default=tuple(SCORES)):
    """Tasks for what the caller asked for; refuses here, before anything is encoded, what can be known to be wrong."""
    if isinstance(scores, str) and scores == "all":
        scores = list(default)
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


def possible(tasks, named, reason_of):
    """Tasks for which there is no reason against, and the others' reasons; an error where they were asked for."""
    reasons = {task.name: reason_of(task) for task in tasks}
    for name, reason in reasons.items():
        if reason and named:
            raise ValueError(f"scores[{name!r}] cannot be computed: {reason}")
    left = [task for task in tasks if not reasons[task.name]]
    if not left:
        raise ValueError(f"scores cannot be computed: {'; '.join(filter(None, dict.fromkeys(reasons.values())))}")
    return left, {name: reason for name, reason in reasons.items() if reason}


def compute(task, material, sizes, *, seed, bootstrap=0, jobs=None):
    """The score of a task, with its interval where `bootstrap` is above 0."""
    offered = {"seed": seed} | ({} if jobs is None else {"jobs": jobs})
    if task.kind == GENERATOR:
        encode_factors, factor_sizes, observations = material.generator()
        offered |= {**sizes, "bootstrap": bootstrap, "observations": observations}
        return task.function(encode_factors, factor_sizes, **_options(task, offered))
    if task.kind == POSTERIOR:
        rows, test, resampled = material.posterior, None, not material.whole
    else:
        rows = _first(material.sample, sizes["train"])
        test = _first(material.test, sizes["test"]) if task.takes_test() and material.test is not None else None
        rows, resampled = rows if task.kind == SAMPLE else rows[:1], True

    def score(rows, test):
        given = offered if test is None else offered | {"test": test}
        options, from_information = _options(task, given), OF_INFORMATION.get(_unbound(task.function))
        if from_information is None:
            return as_score(task.name, task.function(*rows, **options))
        bound = task.function.keywords if isinstance(task.function, partial) else {}
        return from_information(material.information(*rows, **{**bound, **options}), rows[-1])

    result = score(rows, test)
    if not (bootstrap and resampled):
        return result
    replicates = bootstrap_rows(score, rows, test, seed, bootstrap, None if task.takes("jobs") else jobs)
    return dataclasses.replace(result, interval=bootstrap_interval(float(result), replicates, task.bounds))


def as_score(name, result):
    """What a score returned, a plain number as a `Score` without parts."""
    if isinstance(result, Score):
        return result
    try:
        return Score(name, result)
    except TypeError:
        raise TypeError(f"scores[{name!r}] must return a Score or a number, got {result!r}") from None


def describe(task, sizes, material):
    """Sizes of the samples that a score was computed from, for the settings of an evaluation."""
    if task.kind == GENERATOR:
        return {name: size for name, size in {**sizes, **task.options}.items() if _has(task, name) and name in sizes}
    if task.kind == POSTERIOR:
        return {"points": len(material.posterior[0])}
    used = {"train": len(_first(material.sample, sizes["train"])[0])}
    if task.takes_test() and material.test is not None:
        used["test"] = len(_first(material.test, sizes["test"])[0])
    return used


def versions():
    """Versions of what the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in ("kerasvae", "numpy", "scipy", "scikit-learn"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
            found[package] = None
    return found


def _options(task, offered):
    return {name: value for name, value in offered.items() if task.takes(name)} | dict(task.options)


def _has(task, option):
    return option in inspect.signature(task.function).parameters


def _first(pair, count):
    """The first rows of a pair of arrays; the pair itself where it has no more."""
    return pair if count is None or count >= len(pair[0]) else tuple(array[:count] for array in pair)


def _unbound(function):
    while isinstance(function, partial):
        function = function.func
    # A user's callable object may not be hashable.
    return function if inspect.isfunction(function) else type(function)


def _name_of(score):
    if not callable(score):
        raise TypeError(f"scores must hold names and functions, got {score!r}")
    name = getattr(score.func if isinstance(score, partial) else score, "__name__", "<unnamed>")
    if name.startswith("<"):
        raise ValueError(f"scores must be a dict, {{name: function}}, to hold a function without a name, got {score!r}")
    return name


def _check_call(task):
    arguments = POSITIONAL[task.kind]
    offered = [name for name in ("test", "seed") if task.takes(name)]
    try:
        inspect.signature(task.function).bind(
            *(None for _ in arguments), **(dict.fromkeys(offered) | dict(task.options))
        )
    except TypeError as error:
        raise TypeError(
            f"scores[{task.name!r}] must take ({', '.join(arguments)}) and the options {sorted(task.options)}: {error}"
        ) from error
