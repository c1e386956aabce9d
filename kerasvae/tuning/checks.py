"""Checks of arguments that several functions take: a ValueError names the argument, the value and what is allowed."""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Mapping
from pathlib import Path

from kerasvae.checks import shown


def check_folder(folder, argument: str = "folder") -> Path:
    """A path, which an empty text is not."""
    if not isinstance(folder, str | os.PathLike) or not str(folder).strip():
        raise ValueError(f"{argument} must be the path of a folder, got {shown(folder)}")
    return Path(folder)


def check_flag(argument: str, value, *, optional: bool = False) -> None:
    """True or False, or, where it is optional, None."""
    if not isinstance(value, bool) and not (optional and value is None):
        raise ValueError(
            f"{argument} must be True{',' if optional else ' or'} False{' or None' * optional}, got {value!r}"
        )


def check_results(results, *fields: str) -> list[dict]:
    """A list of dictionaries, one for each row, all of which have these fields."""
    if not isinstance(results, list | tuple) or not all(isinstance(result, Mapping) for result in results):
        raise ValueError(f"results must be a list of dictionaries, one for each row, got {shown(results)}")
    for number, result in enumerate(results):
        if missing := [name for name in fields if name not in result]:
            raise ValueError(f"results[{number}] must have the field {missing[0]!r}, got {shown(dict(result))}")
    return list(results)


def check_study_rows(rows, *fields: str) -> list[dict]:
    """A list of dictionaries, at least one, all of which have these fields."""
    if not isinstance(rows, list | tuple) or not rows or not all(isinstance(row, Mapping) for row in rows):
        raise ValueError(f"rows must be a list of dictionaries, at least one, got {shown(rows)}")
    for number, row in enumerate(rows):
        if missing := [name for name in fields if name not in row]:
            raise ValueError(f"rows[{number}] must have the field {missing[0]!r}, got {shown(dict(row))}")
    return list(rows)


def check_fields(row, fields, where: str) -> None:
    """A dictionary with these fields and no others.

    Args:
        row: to be checked.
        fields: their names.
        where: the module that makes such rows.
    """
    if not isinstance(row, Mapping):
        raise ValueError(f"row must be a dictionary with the fields of {where}, got {shown(row)}")
    if missing := [name for name in fields if name not in row]:
        raise ValueError(f"row must have the fields of {where}, it lacks {_some(missing)}")
    if unknown := [name for name in row if name not in fields]:
        raise ValueError(f"row must have the fields of {where} alone, got {_some(unknown)}")


def check_optimizer(row) -> None:
    """The numbers of Adam in a row."""
    for name in ("learning_rate", "epsilon", "beta_1", "beta_2"):
        value, most = row[name], 1.0 if name.startswith("beta") else math.inf
        number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not number or not (0 <= value < most if most == 1.0 else 0 < value < most):
            allowed = "at least 0 and below 1" if most == 1.0 else "finite and above 0"
            raise ValueError(f"row[{name!r}] must be a number, {allowed}, got {value!r}")


def check_place(argument: str, value) -> None:
    """A path, or None."""
    if value is not None:
        check_folder(value, argument)


def _some(names) -> str:
    names = list(map(str, names))
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
