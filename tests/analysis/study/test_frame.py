"""Frames: small tables that print, travel as CSV and never say nan."""

import csv
import io

import numpy as np
import pytest

from kerasvae.analysis.study.frame import DASH, Analysis, Frame, hundredfold


def frame(**options):
    columns = {"metric": ["mig", "<sap>"], "estimate": [0.876, None], "lo": [0.1, float("nan")], "n": [3, 2]}
    return Frame(columns, formats={"estimate": hundredfold}, **options)


def test_columns_rows_and_selection():
    table = frame()
    assert table.columns == ["metric", "estimate", "lo", "n"] and len(table) == 2
    assert table["n"].dtype == np.int64 and table["estimate"].dtype == np.float64
    assert table.row(metric="mig") == {"metric": "mig", "estimate": 0.876, "lo": 0.1, "n": 3}
    assert table.select(metric=["<sap>", "x"], n=2)["metric"].tolist() == ["<sap>"]
    assert [row["n"] for row in table] == [3, 2]
    with pytest.raises(KeyError, match="no column 'hi'"):
        table["hi"]
    with pytest.raises(ValueError, match="same length"):
        Frame({"a": [1], "b": [1, 2]})
    with pytest.raises(ValueError, match="formats must name columns"):
        Frame({"a": [1]}, formats={"b": ".2f"})


def test_missing_numbers_print_as_a_dash_and_leave_csv_empty(tmp_path):
    table = frame(title="Scores & more", notices=["One is missing."])
    text, page = str(table), table._repr_html_()
    for shown in (text, page):
        assert "nan" not in shown and DASH in shown and "88" in shown and "One is missing." in shown
    assert "&lt;sap&gt;" in page and "<sap>" not in page and "Scores &amp; more" in page
    path = table.to_csv(tmp_path / "table.csv")
    assert path.read_text() == table.to_csv() == "metric,estimate,lo,n\nmig,0.876,0.1,3\n<sap>,,,2\n"


def test_csv_keeps_all_digits():
    values = np.random.default_rng(0).normal(size=20)
    read = list(csv.DictReader(io.StringIO(Frame({"value": values}).to_csv())))
    assert [float(row["value"]) for row in read] == values.tolist()


def test_long_frames_say_how_much_is_not_shown():
    table = Frame({"n": range(100)})
    assert "40 more rows" in str(table) and "40 more rows" in table._repr_html_()
    assert table.to_csv().count("\n") == 101


def test_no_rows_and_wide_rows():
    assert "estimate" in str(Frame.from_rows([], ["metric", "estimate"]))
    wide = Frame({f"column_{number}": ["a long value that is not cut off"] for number in range(20)})
    assert str(wide).count("a long value that is not cut off") == 20


def test_matrix_lays_out_pairs():
    table = Frame({"a": ["x", "x", "y"], "b": ["u", "v", "v"], "estimate": [1.0, 2.0, None]})
    down, across, array = table.matrix("a", "b")
    assert (down, across) == (["x", "y"], ["u", "v"])
    np.testing.assert_array_equal(array, [[1, 2], [np.nan, np.nan]])
    pivot = table.pivot("a", "b")
    assert pivot.columns == ["a", "u", "v"] and pivot["v"].tolist()[0] == 2 and np.isnan(pivot["u"][1])
    with pytest.raises(ValueError, match="twice"):
        Frame({"a": ["x", "x"], "b": ["u", "u"], "estimate": [1, 2]}).matrix("a", "b")


def test_analysis_holds_frames_by_name():
    analysis = Analysis("A & B", {"one": frame()}, sentences=["It is so."], notices=["Mind.", "Mind."])
    assert list(analysis) == ["one"] and analysis.notices == ["Mind."]
    assert "It is so." in str(analysis) and "Mind." in str(analysis)
    assert "A &amp; B" in analysis._repr_html_()
    with pytest.raises(KeyError, match="no frame 'two'"):
        analysis["two"]


@pytest.mark.parametrize(("value", "text"), [(1.0, "100"), (-1.0, "-100"), (-0.004, "0"), (0.376, "38")])
def test_hundredfold(value, text):
    assert hundredfold(value) == text
