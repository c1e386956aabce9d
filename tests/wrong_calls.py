"""Wrong calls as data: what is called, and what the answer must say."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest


@dataclasses.dataclass(frozen=True)
class WrongCall:
    """A call that must be refused.

    Args:
        name: of the test.
        call: makes the call.
        error: the type of the exception.
        words: parts of the message, all of which it must hold: the argument, the value, what is allowed.
    """

    name: str
    call: Callable[[], object]
    error: type[BaseException]
    words: tuple[str, ...]


def wrong_calls(*rows: WrongCall):
    """`pytest.mark.parametrize` for a test with the argument `wrong`, which calls `check(wrong)`."""
    assert len({row.name for row in rows}) == len(rows), "two rows have one name"
    return pytest.mark.parametrize("wrong", [pytest.param(row, id=row.name) for row in rows])


def check(wrong: WrongCall) -> None:
    """The call is refused by the error that the row names, in words that say what was wrong, and briefly."""
    with pytest.raises(wrong.error) as caught:
        wrong.call()
    # A subclass would be an accident of the inside: KeyError for LookupError, UnicodeDecodeError for ValueError.
    assert type(caught.value) is wrong.error, type(caught.value)
    message = str(caught.value)
    missing = [word for word in wrong.words if word not in message]
    assert not missing, f"{message!r} does not say {missing}"
    assert len(message) <= 600, f"{len(message)} characters"
