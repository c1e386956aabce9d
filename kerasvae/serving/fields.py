"""The values in a bundle's description, each checked where it is read."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re

import numpy as np


class BundleError(ValueError):
    """A bundle that cannot be used; the message names its folder, the file or field, and the reason."""


class Field:
    """A value in a bundle's description.

    Its methods give the value where it is what they say, and raise BundleError otherwise.

    Args:
        where: folder and file, for the errors.
        value: as JSON gives it.
        way: names and indices that lead to it.
    """

    def __init__(self, where: str, value, way: str = ""):
        self.where, self.value, self.way = where, value, way

    def refuse(self, allowed: str):
        shown = repr(self.value)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        raise BundleError(f"{self.where}: {self.way or 'it'} must be {allowed}, got {shown}")

    def __getitem__(self, key: str) -> Field:
        if not isinstance(self.value, dict):
            self.refuse("an object")
        way = f"{self.way}.{key}" if self.way else key
        if key not in self.value:
            raise BundleError(f"{self.where}: {way} is missing")
        return Field(self.where, self.value[key], way)

    def is_null(self) -> bool:
        return self.value is None

    def equals(self, *allowed):
        # JSON's true is Python's 1.
        if not any(type(self.value) is type(choice) and self.value == choice for choice in allowed):
            self.refuse(" or ".join(json.dumps(choice) for choice in allowed))
        return self.value

    def text(self, pattern: str | re.Pattern = r"[^\x00-\x1f\x7f]{1,1000}", allowed: str = "text, not empty") -> str:
        if not isinstance(self.value, str) or not re.fullmatch(pattern, self.value):
            self.refuse(allowed)
        return self.value

    def integer(self, least: int, most: int) -> int:
        if type(self.value) is not int or not least <= self.value <= most:
            self.refuse(f"an integer from {least} to {most}")
        return self.value

    def number(self, least: float = -math.inf, most: float = math.inf) -> float:
        try:
            fits = type(self.value) in (int, float) and least <= float(self.value) <= most
        except OverflowError:
            fits = False
        if not fits:
            limits = [f"at least {least:g}"] * math.isfinite(least) + [f"at most {most:g}"] * math.isfinite(most)
            self.refuse(", ".join(["a number", *limits]))
        return float(self.value)

    def truth(self) -> bool:
        if not isinstance(self.value, bool):
            self.refuse("true or false")
        return self.value

    def items(self, length: int | None = None) -> list[Field]:
        if not isinstance(self.value, list) or length not in (None, len(self.value)):
            self.refuse("a list" if length is None else f"a list of {length}")
        return [Field(self.where, value, f"{self.way}[{k}]") for k, value in enumerate(self.value)]

    def entries(self) -> dict[str, Field]:
        if not isinstance(self.value, dict):
            self.refuse("an object")
        return {key: self[key] for key in self.value}

    def matrix(self, shape: tuple[int, int]) -> np.ndarray:
        rows = [[item.number() for item in row.items(shape[1])] for row in self.items(shape[0])]
        with np.errstate(over="ignore"):
            values = np.array(rows, "float32").reshape(shape)
        if not np.isfinite(values).all():
            self.refuse("numbers that float32 can hold")
        return values

    def array(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Of {"shape": ..., "base64": ...}."""
        self["shape"].equals(list(shape))
        encoded, wanted = self["base64"], math.prod(shape) * np.dtype(dtype).itemsize
        try:
            contents = base64.b64decode(encoded.text(r"[A-Za-z0-9+/=]*", "base64"), validate=True)
        except binascii.Error:
            encoded.refuse("base64")
        if len(contents) != wanted:
            encoded.refuse(f"{wanted} bytes, as the shape says, in base64")
        values = np.frombuffer(contents, dtype).reshape(shape)
        if not np.isfinite(values).all():
            encoded.refuse("finite numbers")
        return values


def read_strictly(text: bytes):
    """JSON in UTF-8; ValueError for damage, NaN, infinities, too large numbers, and names that come twice."""
    return json.loads(
        text.decode("utf-8"),
        parse_constant=_refuse_constant,
        parse_float=_finite,
        object_pairs_hook=_without_repetition,
    )


def _refuse_constant(text: str):
    raise ValueError(f"it holds {text}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it holds {text}, which float64 cannot")
    return value


def _without_repetition(pairs: list[tuple]) -> dict:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"it holds {next(name for name in names if names.count(name) > 1)!r} twice in one object")
    return content
