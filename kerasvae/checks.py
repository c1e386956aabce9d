"""Checks of single arguments: each returns what it was given, or raises an error that says what is allowed.

All raise a `ValueError` of one form, "NAME must be WHAT IS ALLOWED, got VALUE", before any long work begins. `bool` is
no number here, NumPy's numbers are.
"""

from __future__ import annotations

import reprlib
from collections.abc import Collection
from numbers import Integral, Real
from typing import Any

import numpy as np

LARGEST_SEED = 2**32 - 1  # that both NumPy and scikit-learn take


def check_integer(
    value: Any, name: str, least: int | None = None, most: int | None = None, *, optional: bool = False
) -> int | None:
    """The value as `int`, unless it is none or out of range.

    Args:
        value: what was given.
        name: of the argument, for the error.
        least: the smallest that is allowed. Default None: any.
        most: the largest that is allowed; with it `least` must be given. Default None: any.
        optional: whether None, too, is allowed and returned. Default: False.

    Example:

    >>> check_integer(np.int64(3), "bins", 2)
    3
    >>> check_integer(True, "bins", 2)
    Traceback (most recent call last):
    ValueError: bins must be an integer, at least 2, got True
    """
    if optional and value is None:
        return None
    if not is_integer(value) or (least is not None and value < least) or (most is not None and value > most):
        allowed = "" if least is None else f", at least {least}" if most is None else f" in {least}..{most}"
        raise ValueError(f"{name} must be {'None or ' * optional}an integer{allowed}, got {shown(value)}")
    return int(value)


def check_integers(values: Any, name: str, least: int) -> tuple[int, ...]:
    """The values as a tuple of `int`, unless they are no list of integers, each at least `least`.

    Example:

    >>> check_integers((4, 0), "factor_sizes", 1)
    Traceback (most recent call last):
    ValueError: factor_sizes[1] must be an integer, at least 1, got 0
    """
    if not isinstance(values, list | tuple | range | np.ndarray) or np.ndim(values) == 0:
        raise ValueError(f"{name} must be a list of integers, each at least {least}, got {shown(values)}")
    return tuple(check_integer(value, f"{name}[{place}]", least) for place, value in enumerate(values))


def check_seed(value: Any, name: str = "seed", most: int = LARGEST_SEED) -> int:
    """The seed as `int`, unless it is none in 0..most."""
    return check_integer(value, name, 0, most)


def check_number(
    value: Any,
    name: str,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """The value, unless it is no finite real number or out of range.

    Args:
        value: what was given. It is returned as it is: an integer stays one.
        name: of the argument, for the error.
        least, above: the smallest that is allowed, or what it must exceed. Default None: any.
        most, below: the largest that is allowed, or what it must stay below. Default None: any.

    Example:

    >>> check_number(1.5, "quantile", above=0, most=1)
    Traceback (most recent call last):
    ValueError: quantile must be a finite number, above 0 and at most 1, got 1.5
    """
    fits = (
        is_number(value)
        and -np.inf < value < np.inf
        and (least is None or value >= least)
        and (above is None or value > above)
        and (most is None or value <= most)
        and (below is None or value < below)
    )
    if not fits:
        limits = {"at least": least, "above": above, "at most": most, "below": below}
        allowed = " and ".join(f"{words} {limit}" for words, limit in limits.items() if limit is not None)
        raise ValueError(f"{name} must be a finite number{allowed and ', '}{allowed}, got {shown(value)}")
    return value


def check_choice(value: Any, name: str, allowed: Collection[str], *, optional: bool = False) -> str | None:
    """The value, unless it is none of the strings that are allowed, nor None where it is optional.

    Example:

    >>> check_choice("map", "representation", ("mean", "sampled"))
    Traceback (most recent call last):
    ValueError: representation must be "mean" or "sampled", got 'map'
    """
    if not (optional and value is None) and (not isinstance(value, str) or value not in allowed):
        raise ValueError(f"{name} must be {'None or ' * optional}{alternatives(allowed)}, got {shown(value)}")
    return value


def check_flag(value: Any, name: str) -> bool:
    """The value as `bool`, unless it is neither True nor False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def check_shape(array: np.ndarray, name: str, shape: tuple[int | str, ...]) -> np.ndarray:
    """The array, unless it has another shape.

    Args:
        array: of any type with a shape.
        name: of the argument, for the error.
        shape: of each axis its length, or a word for what it counts where any length from 1 on will do.

    Example:

    >>> check_shape(np.zeros((3, 0)), "codes", ("samples", "latents"))
    Traceback (most recent call last):
    ValueError: codes must have shape (samples, latents), each at least 1, got (3, 0)
    """
    got = tuple(array.shape)
    fits = len(got) == len(shape) and all(
        length >= 1 if isinstance(wanted, str) else length == wanted for length, wanted in zip(got, shape, strict=True)
    )
    if not fits:
        wanted = f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
        least = ", each at least 1" if any(isinstance(each, str) for each in shape) else ""
        raise ValueError(f"{name} must have shape {wanted}{least}, got {got}")
    return array


def is_integer(value: Any) -> bool:
    """Whether a value counts as an integer: Python's or NumPy's, but no `bool`."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether a value counts as a real number: Python's or NumPy's, but no `bool`."""
    return isinstance(value, Real) and not isinstance(value, bool)


def alternatives(allowed: Collection[str]) -> str:
    """Strings as a list in words: "a", "b" or "c"."""
    *others, last = (f'"{each}"' for each in allowed)
    return f"{', '.join(others)} or {last}" if others else last


def shown(value: Any) -> str:
    """A value that was given, for an error: in few words, whatever it is."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape and dtype is not None:
        return f"{type(value).__name__} {dtype} of shape {tuple(shape)}"
    text = reprlib.Repr()
    text.maxstring = text.maxother = 100
    return text.repr(value)
