"""The values that a hyper-parameter of `HyperVAE` may take."""

from __future__ import annotations

import math
import numbers
from typing import NamedTuple

import keras_tuner as kt
import numpy as np

from kerasvae.tuning.rows import DIGITS


class Range(NamedTuple):
    """From low to high, both included, floats or integers, drawn "log" or "linear"."""

    low: float
    high: float
    sampling: str


def check_space(argument: str, values, *, whole: bool = False) -> Range | list:
    """What `HyperVAE` was given for a hyper-parameter, as a `Range`, or as a list of values of one type.

    Args:
        argument: what the caller calls it, for the error.
        values: one value, a list of values, or (low, high, "log" or "linear").
        whole: whether they must be integers, at least 1. Other ranges are of floats.

    Raises:
        ValueError: naming the argument, for values that are not allowed.
    """
    allowed = 'one value, a list of different values of one kind, or (low, high, "log" or "linear")'
    allowed += " of integers, at least 1" if whole else ""
    given = values
    if isinstance(values, dict | set):
        raise ValueError(f"{argument} must be {allowed}, got {given!r}")
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        values = [values]
    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    ranged = isinstance(given, list | tuple) and len(values) == 3 and values[2] in ("log", "linear")
    sampling = values.pop() if ranged else None
    kinds = {bool if isinstance(value, bool) else str if isinstance(value, str) else "number" for value in values}
    fit = len(kinds) == 1 and all(
        isinstance(value, str | numbers.Integral) or (isinstance(value, float) and math.isfinite(value))
        for value in values
    )
    if not fit or (whole and not all(type(value) is int and value >= 1 for value in values)):
        raise ValueError(f"{argument} must be {allowed}, got {given!r}")
    if kinds == {"number"} and not whole and (ranged or any(isinstance(value, float) for value in values)):
        values = [float(f"{value:.{DIGITS}g}") for value in values]
    if ranged:
        low, high = values
        if kinds != {"number"} or low >= high or (sampling == "log" and low <= 0):
            above = " and above 0" if sampling == "log" else ""
            raise ValueError(f"{argument} must be a range of numbers with low below high{above}, got {given!r}")
        return Range(low, high, sampling)
    if len(set(values)) < len(values):
        raise ValueError(f"{argument} must be {allowed}, got {given!r}")
    return values


def ask(hp: kt.HyperParameters, name: str, space: Range | list):
    """The trial's value of a hyper-parameter, which Keras Tuner thereby gets to know."""
    if isinstance(space, Range):
        number = hp.Int if isinstance(space.low, int) else hp.Float
        return number(name, space.low, space.high, sampling=space.sampling)
    return hp.Fixed(name, space[0]) if len(space) == 1 else hp.Choice(name, space)


def ends_of(space: Range | list) -> tuple:
    """The smallest and the largest value; of words the first and the last in the alphabet."""
    return (space.low, space.high) if isinstance(space, Range) else (min(space), max(space))
