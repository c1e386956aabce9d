"""Rows: the settings of the runs of a study, one plain dictionary for each run."""

from __future__ import annotations

import hashlib
import itertools
import math
import numbers
import re

from kerasvae.checks import shown

DIGITS = 6
RESULT_FIELDS = ("status", "seconds")
UNSAFE = re.compile(r"[^A-Za-z0-9_.+-]")


def rows(**axes) -> list[dict]:
    """Every combination of the given values, one dictionary a row, the last axis varying fastest.

    A plain list: leave rows out, or write one by hand where values belong together.

    Args:
        **axes: field name to its values, a list of numbers, strings or booleans; floats are rounded to 6 significant
            digits, seeds are integers, at least 1.

    Raises:
        ValueError: without axes, for an axis without values, a value not allowed, or one given twice.

    Example:
        >>> rows(beta=[0.001, 0.01], seed=[1, 2])[1]
        {'beta': 0.001, 'seed': 2}
    """
    for field, values in axes.items():
        if isinstance(values, str | dict) or not hasattr(values, "__iter__"):
            raise ValueError(f"{field} must be a list of values, got {values!r}")
    columns = [list(values) for values in axes.values()]
    if not columns or not all(columns):
        raise ValueError(f"axes must each hold at least one value, got {axes!r}")
    return check_rows([dict(zip(axes, values, strict=True)) for values in itertools.product(*columns)])


def check_rows(rows) -> list[dict]:
    """`rows` as new dictionaries of plain Python values, floats rounded to 6 significant digits.

    Args:
        rows: dictionaries that all have the same fields: names of Python identifiers other than "status" and
            "seconds", values numbers (finite), strings or booleans; "seed" an integer, at least 1 (Keras Tuner draws a
            seed of its own for 0).

    Raises:
        ValueError: for no rows, fields or values not allowed, or a row that comes twice.
    """
    if isinstance(rows, str | dict) or not hasattr(rows, "__iter__"):
        raise ValueError(f"rows must be a list of dictionaries, got {shown(rows)}")
    checked, numbers_by_name = [], {}
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or not row:
            raise ValueError(f"rows[{number}] must be a dictionary that is not empty, got {shown(row)}")
        if checked and set(row) != set(checked[0]):
            raise ValueError(
                f"rows must all have the same fields: rows[0] has {sorted(checked[0])}, rows[{number}] {sorted(row)}"
            )
        row = {field: _plain(field, value, f"rows[{number}]") for field, value in row.items()}
        first = numbers_by_name.setdefault(row_name(row), number)
        if first != number:
            raise ValueError(f"rows must differ: rows[{first}] and rows[{number}] are both {row_name(row)}")
        checked.append(row)
    if not checked:
        raise ValueError("rows must hold at least one row, got none")
    return checked


def row_name(row: dict) -> str:
    """What identifies a row, fit for a folder's name: `beta=0.001,latents=9,seed=1`, sorted by field."""
    name = ",".join(f"{field}={_text(row[field])}" for field in sorted(row))
    # Neither separators nor anything that a file system may not like.
    clean = ",".join(f"{field}={UNSAFE.sub('_', _text(row[field]))}" for field in sorted(row))
    # File systems count bytes, 255 at most; identifiers may be of other letters than English ones.
    if clean == name and len(name) <= 150 and len(name.encode()) <= 200:
        return name
    return f"{clean.encode()[:140].decode(errors='ignore')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _plain(field, value, where):
    if not isinstance(field, str) or not field.isidentifier() or field in RESULT_FIELDS:
        raise ValueError(f"{where} must have fields named like Python variables, not {RESULT_FIELDS}, got {field!r}")
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if not isinstance(value, bool | int | float | str) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{where}[{field!r}] must be a finite number, a string or a boolean, got {value!r}")
    if field == "seed" and (isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1):
        raise ValueError(f"{where}['seed'] must be an integer, at least 1, got {value!r}")
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _text(value) -> str:
    # 1 and 1.0 are one value, or a study that was begun with one could not go on with the other.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
