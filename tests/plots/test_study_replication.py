"""Figures of two studies: differences of matrices, and medians of settings against each other."""

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba

from kerasvae.analysis.study.frame import Frame
from kerasvae.plots.study_matrices import difference_matrices
from kerasvae.plots.study_replication import replication_scatter
from kerasvae.plots.study_style import METHOD_COLOURS


def differences(values, names="abc", **columns):
    rows = [
        {"metric_a": names[a], "metric_b": names[b], "estimate": value, "n": 9, "differs": abs(value) > 0.2, **columns}
        for (a, b), value in np.ndenumerate(np.asarray(values, float))
        if a != b
    ]
    return Frame.from_rows(rows)


def medians(**changed):
    rows = [
        {"study_a": "mine", "study_b": "theirs", "metric": "mig", "method": method, "median_a": a, "median_b": b}
        | {"lo": a - b - 0.1, "hi": a - b + 0.1, "differs": abs(a - b) > 0.1, "n": 3}
        for method, a, b in (("beta_vae", 0.2, 0.25), ("beta_vae", 0.5, 0.3), ("factor_vae", 0.4, 0.4))
    ]
    return Frame.from_rows([row | changed for row in rows])


def test_differences_have_signs_stand_in_the_rows_order_and_are_bold_where_told():
    figure = difference_matrices(differences([[0, 0.3, -0.05], [0.3, 0, 0.001], [-0.05, 0.001, 0]]))
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["–", "+30", "-5", "+30", "–", "0", "-5", "0", "–"]
    assert [text.get_text() for text in axes.texts if text.get_fontweight() == "bold"] == ["+30", "+30"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a (A)", "b (B)", "c (C)"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["A", "B", "C"]
    colours = {(patch.get_x(), patch.get_y()): patch.get_facecolor() for patch in axes.patches}
    assert len(colours) == 6 and colours[0.5, -0.5][2] > colours[0.5, -0.5][0]
    assert colours[1.5, -0.5][0] > colours[1.5, -0.5][2]


def test_panels_with_other_names_and_without_intervals():
    frame = Frame.from_rows(
        [
            *differences([[0, 0.9], [-2.0, 0]], dataset="one").rows(),
            *differences([[0, 0.1], [0.1, 0]], "bd", dataset="two", differs=None).rows(),
        ]
    )
    figure = difference_matrices(frame, by="dataset")
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [
        ["–", "+90", "-200", "–"],
        ["–", "+10", "+10", "–"],
    ]
    assert not [text for text in figure.axes[1].texts if text.get_fontweight() == "bold"]
    oblong = differences([[0, 0.1], [0.1, 0]]).where([0])
    (axes,) = difference_matrices(oblong).axes
    assert [text.get_text() for text in axes.texts] == ["+10"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["b"]


def test_medians_stand_where_they_are_filled_where_they_differ():
    (axes,) = replication_scatter(medians(), labels={"mine": "Mine"}).axes
    points = [line for line in axes.lines if line.get_marker() not in ("None", "") and len(line.get_xdata())]
    found = {
        (float(line.get_xdata()[0]), float(line.get_ydata()[0])): (
            to_hex(line.get_color()).upper(),
            line.get_markerfacecolor() != "none",
        )
        for line in points
    }
    beta, factor = METHOD_COLOURS["beta_vae"].upper(), METHOD_COLOURS["factor_vae"].upper()
    assert found == {(0.25, 0.2): (beta, False), (0.3, 0.5): (beta, True), (0.4, 0.4): (factor, False)}
    assert axes.get_xlim() == axes.get_ylim() and (axes.get_xlabel(), axes.get_ylabel()) == ("theirs", "Mine")
    (diagonal,) = [line for line in axes.lines if line.get_marker() in ("None", "")]
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())


def test_bars_cross_the_line_where_the_interval_holds_0():
    (axes,) = replication_scatter(medians()).axes
    bars = {tuple(segment[:, 0]): segment[:, 1] for each in axes.collections for segment in each.get_segments()}
    assert len(bars) == 3
    for (x, other), (low, high) in bars.items():
        assert x == other and (low <= x <= high) == (x != 0.3)
    colours = {to_rgba(each.get_color()[0])[:3] for each in axes.collections if len(each.get_segments())}
    assert colours == {to_rgba(METHOD_COLOURS[name])[:3] for name in ("beta_vae", "factor_vae")}
    (axes,) = replication_scatter(medians(lo=None, hi=None, differs=None)).axes
    assert not [segment for each in axes.collections for segment in each.get_segments()]


def test_one_value_in_all_places_and_names_that_are_no_formulas(tmp_path):
    frame = medians(median_a=0.5, median_b=0.5, lo=0.0, hi=0.0, differs=False, study_a="$a_b$", study_b="")
    path = tmp_path / "a.png"
    (axes,) = replication_scatter(frame, panel="metric", title="$1", path=path).axes
    assert axes.get_xlabel() == "without a name" and axes.get_ylabel() == "$a_b$" and path.stat().st_size > 1000


@pytest.mark.parametrize(
    ("function", "frame", "message"),
    [
        (difference_matrices, Frame.from_rows([], ["metric_a", "metric_b", "estimate", "n"]), "must have rows"),
        (replication_scatter, medians(median_a=None), "must have medians of both studies"),
        (
            replication_scatter,
            Frame.from_rows([*medians().rows(), *medians(study_b="third").rows()]),
            "must be of one pair of studies",
        ),
    ],
)
def test_what_cannot_be_drawn(function, frame, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        function(frame)
    with pytest.raises(ValueError, match=r"path must end in \.png"):
        function(frame, path=tmp_path / "a.pdf")
