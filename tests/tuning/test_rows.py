"""Rows: every combination once, plain values, names that identify them."""

import numpy as np
import pytest

from kerasvae import tuning
from kerasvae.tuning.rows import check_rows, row_name


def test_the_product_with_the_last_axis_fastest():
    rows = tuning.rows(beta=[0.001, 0.01], latents=(4, 9), seed=range(1, 3))
    assert len(rows) == 8
    assert rows[:3] == [
        {"beta": 0.001, "latents": 4, "seed": 1},
        {"beta": 0.001, "latents": 4, "seed": 2},
        {"beta": 0.001, "latents": 9, "seed": 1},
    ]


def test_values_become_plain_and_floats_are_rounded():
    (row,) = tuning.rows(beta=[np.float64(0.1) + 0.2], latents=np.array([4]), loss=["mse"])
    assert row == {"beta": 0.3, "latents": 4, "loss": "mse"}
    assert [type(value) for value in row.values()] == [float, int, str]


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({}, "axes"),
        ({"beta": []}, "axes"),
        ({"beta": 0.1}, "beta must be a list"),
        ({"loss": "mse"}, "loss must be a list"),
        ({"beta": [float("nan")]}, "finite"),
        ({"beta": [None]}, "finite number"),
        ({"seed": [0]}, "at least 1"),
        ({"seed": [True]}, "at least 1"),
        ({"seed": [1.0]}, "at least 1"),
        ({"status": ["x"]}, "fields"),
        ({"beta": [0.1, 0.1]}, r"rows\[0\] and rows\[1\]"),
        ({"beta": [0.1, 0.1000000001]}, "must differ"),
        ({"beta": [1, 1.0]}, "must differ"),
    ],
)
def test_what_is_refused(axes, said):
    with pytest.raises(ValueError, match=said):
        tuning.rows(**axes)


@pytest.mark.parametrize(
    "rows",
    ["beta", {"beta": 1}, None, [], [{}], [1], [{"beta": 1}, {"seed": 1}], [{"beta": 1}, {"beta": 2, "seed": 1}]],
)
def test_rows_written_by_hand_are_checked(rows):
    with pytest.raises(ValueError, match="rows"):
        check_rows(rows)


def test_rows_given_are_left_as_they_are():
    given = [{"beta": 0.30000000000000004}]
    assert check_rows(given) == [{"beta": 0.3}]
    assert given == [{"beta": 0.30000000000000004}]


def test_names_identify_rows_and_fit_file_systems():
    assert row_name({"seed": 1, "beta": 0.001}) == "beta=0.001,seed=1" == row_name({"beta": 0.001, "seed": 1.0})
    awkward = [{"loss": text} for text in ("a/b", "a:b", "a,b=1", "../..", "x" * 300, "x" * 299 + "y", "ß")]
    names = [row_name(row) for row in awkward]
    assert len(set(names)) == len(names)
    assert all("/" not in name and len(name) < 200 and name.isascii() for name in names)
    for fields in ({"β" * 145: 1}, {"β" * 100: 1, "γ" * 60: 2}, {"变" * 80: 1}):
        assert len(row_name(fields).encode()) <= 200
    assert row_name({"β": 0.1}) == "β=0.1"
