"""What a score gives, one headline number and what it was made of, and what is to be known of a score to call it."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_choice

Pair = tuple[ArrayLike, ArrayLike]  # codes and factors, or means and log-variances
EncodeFactors = Callable[[np.ndarray], ArrayLike]  # of factor values (n, F) their codes (n, D), or images (n, ...)


@dataclass(frozen=True, repr=False, eq=False)
class Score:
    """A named number, with the parts it was computed from.

    `float(score)` is the headline. Scores compare with each other and with plain numbers by that number
    alone, so `max(scores)`, `sorted(scores)` and `score > 0.5` work; compare `to_json()` to compare the parts
    as well.

    Args:
        name: what was measured, e.g. `"mig"`. Not empty.
        value: the headline number.
        parts: mapping of str to number, NumPy array, tuple, str, None or a mapping of these. Default: empty.
            Arrays are copied and made read-only.
        interval: pair (low, high) that the value lies in with the confidence that its maker states, e.g. from
            a bootstrap. Default: None.
        warnings: sequence of str, what to bear in mind when reading the value. Default: none.

    Raises:
        TypeError: `value` is no real number, `parts` is no mapping, one of its keys is no str, `interval` is
            no pair of real numbers, or `warnings` no sequence of str.
        ValueError: `name` is empty or no str, or `interval` has low above high.

    Example:

    >>> score = Score("mig", 0.5134, {"per_factor": np.array([0.5, 0.5268])})
    >>> score, float(score)
    (Score(mig=0.5134), 0.5134)
    >>> score.to_json()
    {'name': 'mig', 'value': 0.5134, 'parts': {'per_factor': [0.5, 0.5268]}}
    """

    name: str
    value: float
    parts: Mapping[str, Any] = field(default_factory=dict)
    interval: tuple[float, float] | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"name must be a str that is not empty, got {self.name!r}")
        value = np.asarray(self.value)
        if value.ndim or value.dtype.kind not in "biuf":
            raise TypeError(f"value must be a real number, got {self.value!r}")
        if not isinstance(self.parts, Mapping) or not all(isinstance(key, str) for key in self.parts):
            raise TypeError(f"parts must be a mapping with str keys, got {self.parts!r}")
        if isinstance(self.warnings, str) or not all(isinstance(warning, str) for warning in self.warnings):
            raise TypeError(f"warnings must be a sequence of str, got {self.warnings!r}")
        object.__setattr__(self, "value", float(value))
        object.__setattr__(self, "interval", _interval(self.interval))
        object.__setattr__(self, "warnings", tuple(self.warnings))
        object.__setattr__(self, "parts", {key: _frozen(part) for key, part in self.parts.items()})

    def __float__(self):
        return self.value

    def __repr__(self):
        return f"Score({self.name}={self.value:.4g})"

    def __eq__(self, other):
        return self.value == float(other) if isinstance(other, Real | Score) else NotImplemented

    def __lt__(self, other):
        return self.value < float(other) if isinstance(other, Real | Score) else NotImplemented

    def __le__(self, other):
        return self.value <= float(other) if isinstance(other, Real | Score) else NotImplemented

    def __gt__(self, other):
        return self.value > float(other) if isinstance(other, Real | Score) else NotImplemented

    def __ge__(self, other):
        return self.value >= float(other) if isinstance(other, Real | Score) else NotImplemented

    def __hash__(self):
        return hash(self.value)

    def to_json(self) -> dict[str, Any]:
        """The score as a dict that `json.dumps` takes: `name`, `value`, `parts`, arrays and tuples as lists.

        `interval` and `warnings` are keys only where the score has them. JSON has no infinities and no nan: they
        become the strings `"inf"`, `"-inf"` and `"nan"`, which `float` reads.

        Raises:
            TypeError: a part is of a type that JSON has nothing for.
        """
        written = {"name": self.name, "value": _plain(self.value, "value"), "parts": _plain(self.parts, "parts")}
        if self.interval is not None:
            written["interval"] = _plain(self.interval, "interval")
        if self.warnings:
            written["warnings"] = list(self.warnings)
        return written


def _interval(interval):
    if interval is None:
        return None
    bounds = np.asarray(interval)
    if bounds.shape != (2,) or bounds.dtype.kind not in "biuf":
        raise TypeError(f"interval must be a pair of real numbers or None, got {interval!r}")
    low, high = bounds.astype(np.float64).tolist()
    if not low <= high:
        raise ValueError(f"interval must have low at most high, got {interval!r}")
    return low, high


def _frozen(part):
    if not isinstance(part, np.ndarray):
        return part
    part = part.copy()
    part.setflags(write=False)
    return part


def _plain(part, where):
    if isinstance(part, np.ndarray | np.generic):
        part = part.tolist()
    if isinstance(part, Mapping):
        return {str(key): _plain(value, f"{where}[{key!r}]") for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_plain(value, f"{where}[{index}]") for index, value in enumerate(part)]
    if isinstance(part, Score):
        return part.to_json()
    if isinstance(part, float) and not math.isfinite(part):
        return str(part)
    if part is None or isinstance(part, bool | int | float | str):
        return part
    raise TypeError(f"{where} is of type {type(part).__name__}, which cannot be written as JSON")


# What a score is a function of, and the arguments that it is called with.
FACTORS, POSTERIORS, CHOSEN_FACTORS = "codes and factors", "posteriors", "codes of chosen factors"
CODES, MODELS = "codes", "several models"
NEEDS = {
    FACTORS: ("codes", "factors"),
    POSTERIORS: ("mean", "logvar", "factors"),
    CHOSEN_FACTORS: ("encode_factors", "factor_sizes"),
    CODES: ("codes",),
    MODELS: ("codes",),
}


@dataclass(frozen=True)
class ScoreInfo:
    """What a score needs and what its number says: a decorator for the function of a score.

    `evaluate`, `evaluate_codes`, callbacks and command line know of a score what its `info` says, nothing else. A new
    score of the package is a file with such a function and a line in `kerasvae/metrics/__init__.py`; one of your own is
    passed itself, `evaluate(model, data, ["mig", my_score])`. A function without `info` is taken for one of codes and
    factors of unknown bounds, which predicts where it has an argument `test`.

    Args:
        needs: what it is a function of, and so its positional arguments: `"codes and factors"` (codes, factors) of a
            random sample; `"posteriors"` (mean, logvar, factors) of all points; `"codes of chosen factors"`
            (encode_factors, factor_sizes), where it chooses the factor values itself; `"codes"` (codes); or
            `"several models"`, which no evaluation of one model can compute.
        bounds: the least and the largest number that it can be. Default: nothing is known.
        higher_is_better: which way it is read. Default None: nothing is known.
        predicts: whether it is to be given `test`, a second pair (codes, factors); or a function of the options it
            is called with that returns so. Default: False.
        fast: its sizes of samples with `preset="fast"` where they differ from those of other scores. Default: none.
        from_information: function of what `posterior_information` returns and of the factors that returns the same
            score, so that several scores share that computation. Default: None.

    Raises:
        ValueError: `needs` is none of these.

    Example:

    >>> @ScoreInfo(needs="codes", bounds=(0.0, 1.0), higher_is_better=False)
    ... def dead_latents(codes):
    ...     return float(np.mean(codes.std(axis=0) < 1e-3))
    >>> dead_latents.info.bounds, dead_latents(np.eye(3)[:, :2] * [1, 0])
    ((0.0, 1.0), 0.5)
    """

    needs: str = FACTORS
    bounds: tuple[float, float] = (-math.inf, math.inf)
    higher_is_better: bool | None = None
    predicts: bool | Callable[..., bool] = False
    fast: Mapping[str, int] = field(default_factory=dict)
    from_information: Callable | None = None

    def __post_init__(self):
        check_choice(self.needs, "needs", NEEDS)

    def __call__(self, function: Callable) -> Callable:
        """Returns the function, which has this as its attribute `info`."""
        function.info = self
        return function


def info_of(function: Callable) -> ScoreInfo:
    """What is to be known of a score, whoever wrote it."""
    while isinstance(function, partial):
        function = function.func
    info = getattr(function, "info", None)
    return info if isinstance(info, ScoreInfo) else ScoreInfo(predicts="test" in inspect.signature(function).parameters)


def scores_of_one_model(names: Mapping[str, Any]) -> dict[str, Callable]:
    """Those of some names that are scores which describe themselves, by what they need and then by name."""
    infos = {name: getattr(each, "info", None) for name, each in names.items()}
    found = [name for name in sorted(names) if isinstance(infos[name], ScoreInfo) and infos[name].needs != MODELS]
    return {name: names[name] for name in sorted(found, key=lambda name: list(NEEDS).index(infos[name].needs))}
