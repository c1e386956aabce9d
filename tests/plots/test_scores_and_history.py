import numpy as np
import pytest
from matplotlib.colors import to_hex

import kerasvae as kv
from kerasvae import plots

# Scores ---------------------------------------------------------------------------------------------------------------


def test_scores_are_grouped_with_their_values(texts):
    runs = {"MSE": {"mig": 0.25, "dci": kv.metrics.Score("dci", 0.5)}, "_$b$": {"mig": 1.0, "sap": float("nan")}}
    figure = plots.scores(runs)
    (axes,) = figure.axes
    assert texts(axes.get_xticklabels()) == ["mig", "dci", "sap"]
    assert [bar.get_height() for bar in axes.patches] == [0.25, 0.5, 1.0]
    assert texts(axes.texts) == ["0.25", "0.50", "1.00"]
    low, high = axes.get_ylim()
    assert low == 0 and 1 <= high < 1.1
    assert texts(figure.legends[0].texts) == ["MSE", "_$b$"]
    centres = [bar.get_x() + bar.get_width() / 2 for bar in axes.patches]
    assert centres[0] < 0 < centres[2] and round(centres[1]) == 1


@pytest.mark.parametrize("lowest", [-0.05, -1.0, -30.0])
def test_numbers_of_negative_scores_lie_between_their_bars_and_the_axis(lowest):
    figure = plots.scores({"a": {"mig": 0.5, "linearity": lowest}})
    figure.draw_without_rendering()
    (axes,) = figure.axes
    number, bar = axes.texts[1].get_window_extent(), axes.patches[1].get_window_extent()
    assert axes.texts[1].get_text() == f"{lowest:.2f}"
    assert axes.get_window_extent().y0 <= number.y0 and number.y1 <= bar.y0


def test_colours_are_those_of_the_order_in_every_figure():
    names = ["c", "a", "b"]
    bars = plots.scores({name: {"mig": 0.5} for name in names}).axes[0].patches
    lines = plots.history({name: [{"step": 1, "kl_nats": 1.0}] for name in names}).axes[0].lines
    colours = [line.get_color() for line in lines]
    assert len(set(colours)) == 3
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [colour.lower() for colour in colours]


@pytest.mark.parametrize("runs", [{}, [], {"a": 1.0}, {"a": {}}, {"a": {"mig": "high"}}, {"a": {"mig": np.nan}}])
def test_scores_refuse(runs):
    with pytest.raises(ValueError, match="runs must"):
        plots.scores(runs)


# History --------------------------------------------------------------------------------------------------------------


def test_history_has_a_panel_for_each_quantity_and_a_line_for_each_run():
    rows = [
        {"step": step, "loss": 1.0, "reconstruction_nats": 9000 / step, "kl_nats": step / 10, "val_loss": 1.0}
        for step in (10, 20, 300)
    ]
    scored = [{**row, "val_mig": 0.5} for row in rows]
    figure = plots.history({"a": rows, "b": scored})
    assert [axes.get_title("left") for axes in figure.axes] == ["Reconstruction", "KL", "mig"]
    assert {axes.get_xlabel() for axes in figure.axes} == {"training step"}
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss per image", "nats per image", "score"]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log", "linear"]
    first, second = figure.axes[1].lines
    np.testing.assert_allclose(first.get_xydata(), [(10, 1), (20, 2), (300, 30)])
    np.testing.assert_allclose(second.get_xydata(), first.get_xydata())
    assert [len(line.get_xydata()) for line in figure.axes[2].lines] == [0, 3]


@pytest.mark.parametrize("runs", [{}, {"a": []}, {"a": [{"step": 1}]}, {"a": {"step": 1}}, {"a": [{"kl_nats": 1.0}]}])
def test_history_refuses(runs):
    with pytest.raises(ValueError, match="runs"):
        plots.history(runs)
