"""The checks of single arguments: what passes unchanged, and the one form of all their errors."""

import doctest

import numpy as np
import pytest

from kerasvae import checks
from kerasvae.checks import (
    check_choice,
    check_flag,
    check_integer,
    check_integers,
    check_number,
    check_seed,
    check_shape,
    shown,
)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_integers_of_any_kind_become_int(value):
    assert check_integer(value, "bins", 3, 3) == 3 and type(check_integer(value, "bins")) is int


@pytest.mark.parametrize("value", [0.5, 2, np.float32(0.5), np.int8(2)])
def test_numbers_stay_what_they_are(value):
    assert check_number(value, "rate", above=0, most=2) is value


def test_other_things_that_pass():
    assert check_seed(2**32 - 1) == 2**32 - 1 and check_seed(7, most=7) == 7
    assert check_choice("sum", "reduction", ("mean", "sum")) == "sum"
    assert check_integers([3, np.int8(4)], "sizes", 3) == check_integers(range(3, 5), "sizes", 3) == (3, 4)
    assert check_integer(None, "jobs", 1, optional=True) is None
    assert check_choice(None, "method", ("mean", "sum"), optional=True) is None
    assert check_flag(np.True_, "rgb") is True and check_flag(False, "rgb") is False
    array = np.zeros((5, 2))
    assert check_shape(array, "codes", ("samples", 2)) is array


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: check_integer(True, "bins"), "bins must be an integer, got True"),
        (lambda: check_integer(2.0, "bins", 2), "bins must be an integer, at least 2, got 2.0"),
        (lambda: check_integer("2", "bins", 2), "bins must be an integer, at least 2, got '2'"),
        (lambda: check_integer(1, "bins", 2), "bins must be an integer, at least 2, got 1"),
        (lambda: check_integer(256, "background", 0, 255), "background must be an integer in 0..255, got 256"),
        (
            lambda: check_integer(np.zeros(3), "bins", 2),
            "bins must be an integer, at least 2, got ndarray float64 of shape",
        ),
        (lambda: check_seed(-1), "seed must be an integer in 0..4294967295, got -1"),
        (lambda: check_integer(0, "jobs", 1, optional=True), "jobs must be None or an integer, at least 1, got 0"),
        (lambda: check_choice(0, "to", ("x",), optional=True), 'to must be None or "x", got 0'),
        (lambda: check_integers(3, "sizes", 1), "sizes must be a list of integers, each at least 1, got 3"),
        (lambda: check_integers("34", "sizes", 1), "sizes must be a list of integers, each at least 1, got '34'"),
        (lambda: check_integers((3, True), "sizes", 1), "sizes[1] must be an integer, at least 1, got True"),
        (lambda: check_number(True, "rate"), "rate must be a finite number, got True"),
        (lambda: check_number("1", "rate", above=0), "rate must be a finite number, above 0, got '1'"),
        (lambda: check_number(0, "rate", above=0), "rate must be a finite number, above 0, got 0"),
        (lambda: check_number(np.nan, "rate", least=0), "rate must be a finite number, at least 0, got nan"),
        (lambda: check_number(np.inf, "rate"), "rate must be a finite number, got inf"),
        (
            lambda: check_number(1.5, "q", least=0, most=1),
            "q must be a finite number, at least 0 and at most 1",
        ),
        (lambda: check_number(1, "q", above=0, below=1), "q must be a finite number, above 0 and below 1, got 1"),
        (lambda: check_choice("a", "to", ("x",)), "to must be \"x\", got 'a'"),
        (lambda: check_choice(["x"], "to", ("x", "y")), 'to must be "x" or "y", got [\'x\']'),
        (
            lambda: check_choice(np.array(["x", "y"]), "to", ("x", "y", "z")),
            'to must be "x", "y" or "z", got ndarray <U1',
        ),
        (lambda: check_flag(1, "rgb"), "rgb must be True or False, got 1"),
        (lambda: check_shape(np.zeros((3, 2)), "m", (2, 3)), "m must have shape (2, 3), got (3, 2)"),
        (lambda: check_shape(np.zeros(3), "m", (2,)), "m must have shape (2,), got (3,)"),
        (lambda: check_shape(np.zeros(3), "m", ("n", 2)), "m must have shape (n, 2), each at least 1, got (3,)"),
    ],
)
def test_one_form_of_refusal(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_a_value_is_shown_in_few_words():
    assert shown(int) == "the class int" and shown(np.float64(0.5)) == "np.float64(0.5)"
    assert len(shown("x" * 10_000)) <= 100 and len(shown(list(range(1000)))) < 50


def test_examples_in_docstrings():
    result = doctest.testmod(checks, extraglobs={"np": np})
    assert result.attempted and not result.failed
