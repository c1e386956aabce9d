"""What single entries of somebody's table say: numbers, whole numbers, names, or nothing."""

from __future__ import annotations

import hashlib
import math
import re
from numbers import Real

import numpy as np

NO_VALUE = {"", "na", "n/a", "n.a.", "none", "null", "nil", "missing", "-", "–", "?", "<na>", "nat", "#n/a", "#na"}
# What spreadsheets show where a formula has no finite value.
NOT_FINITE = {"#div/0!", "#num!", "#value!", "#ref!", "#name?"}
LARGEST_WHOLE = 10**18
# Letters of a name: a page has no room for more.
LONGEST = 120
# Letters that a page cannot show: control characters, halves of pairs, and those that turn the direction of a line.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_BREAKS = re.compile("[\t\n\r\u2028\u2029]+")


def number(value):
    """A float, None for nothing; ValueError for what is neither."""
    # Before the slow question whether it is a number of any kind: tables have many lines.
    if value is None or type(value) is float:
        return value
    if isinstance(value, Real):
        return float(value)
    if is_nothing(value):
        return None
    text = str(value).strip()
    if text.lower() in NO_VALUE:
        return None
    if text.lower() in NOT_FINITE:
        return math.nan
    if "_" in text:
        # Python's own notation, in which no table is written: 1_0 is no 10.
        raise ValueError(f"{text!r} is no number")
    return float(text)


def plain(value):
    """A strength or hyper-parameter: float where it is a number, None for nothing, else str."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    try:
        value = number(value)
    except (ValueError, OverflowError):
        return readable(value)
    return None if value is None or math.isnan(value) else value


def readable(value, longest: float = LONGEST) -> str:
    """A name as text on one line, without letters that a page cannot show; of a longer one its start and a hash."""
    text = str(value).strip()
    if not text.isprintable():
        text = _UNSEEN.sub("\ufffd", _BREAKS.sub(" ", text))
    if len(text) <= longest:
        return text
    return f"{text[: int(longest) - 9]}…{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def whole_number(value) -> int | None:
    """A whole number of up to 18 digits, exactly; or None."""
    if isinstance(value, bool | np.bool_):
        return None
    text = str(value).strip()
    try:
        # Not by way of a float, of which large ones that differ may be the same.
        found = None if "_" in text else int(text)
    except ValueError:
        try:
            found = number(value)
            found = None if found is None or found != int(found) or abs(found) > 2**53 else int(found)
        except (ValueError, OverflowError, TypeError):
            return None
    return found if found is not None and abs(found) <= LARGEST_WHOLE else None


def is_nothing(value) -> bool:
    """Whether it is None, nan, or what pandas has for these."""
    return (
        value is None or (isinstance(value, Real) and value != value) or type(value).__name__ in ("NAType", "NaTType")
    )


def is_numeric(values) -> bool:
    """Whether all values are numbers or nothing; truth values are not numbers."""
    for value in values:
        if isinstance(value, bool | np.bool_):
            return False
        try:
            number(value)
        except (ValueError, OverflowError):
            return False
    return True
