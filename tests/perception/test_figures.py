import numpy as np
import pytest
from matplotlib.image import imread

from kerasvae import perception
from kerasvae.datasets.xysquares import XYSquares
from kerasvae.losses import BoxBlurMSE, MeanSquaredError
from kerasvae.perception.pairs import Pairs


def distances(**rows):
    """A result of these samples, with as many steps as samples."""
    made = {}
    for name, samples in rows.items():
        samples = np.asarray(samples, float)
        made[name] = perception.DistanceRow(samples, np.arange(len(samples)) % 4 + 1.0, Pairs(None))
    options = {"data_name": "data", "loss_name": "loss", "protocol": "independent", "seed": 1}
    return perception.PerceivedDistances(made, **options, left_out={}, published=None)


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_each_curve_is_the_cumulative_share_of_its_distances():
    result = distances(a=[1.0, 1.0, 2.0, 4.0], random=[3.0, 3.0, 3.0, 9.0])
    (axes,) = perception.cumulative_figure({"title": result}).axes
    assert axes.get_title(loc="left") == "title"
    assert legend(axes) == ["random: 4.5000", "a: 2.0000"]
    random, a = axes.get_lines()
    assert a.get_drawstyle() == "steps-post"
    np.testing.assert_allclose(a.get_xdata()[1:-1], [1, 2, 4])
    np.testing.assert_allclose(a.get_ydata(), [0, 0.5, 0.75, 1, 1])
    np.testing.assert_allclose(random.get_xdata()[1:-1], [3, 9])
    left, right = axes.get_xlim()
    assert left < 0 and right > 9


def test_factors_that_chance_cannot_tell_apart_are_one_curve():
    rng = np.random.default_rng(0)
    same = {name: rng.normal(1, 0.1, 500) for name in ("a", "b")}
    result = distances(**same, c=rng.normal(1.1, 0.1, 500), random=rng.normal(1, 0.1, 500))
    (axes,) = perception.cumulative_figure({"title": result}).axes
    names = [text.rsplit(":", 1)[0] for text in legend(axes)]
    assert sorted(names) == ["a, b", "c", "random"]
    many = distances(**{f"f{k}": np.ones(5) for k in range(5)}, random=np.full(5, 2.0))
    (axes,) = perception.cumulative_figure({"title": many}).axes
    assert legend(axes) == ["random: 2.0000", "each of the 5 factors: 1.0000"]


def test_a_factor_keeps_its_colour():
    low, middle, high = np.linspace([0, 3, 8], [1, 4, 9], 50).T
    first, second = distances(a=low, b=high, random=middle), distances(a=high, b=low, random=middle)
    colours = []
    for result in (first, second):
        (axes,) = perception.cumulative_figure({"title": result}).axes
        colours.append({line.get_label().split(":")[0]: line.get_color() for line in axes.get_lines()})
    assert colours[0] == colours[1] and len(set(colours[0].values())) == 3


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_a_panel_a_data_set(count):
    results = {f"set {k}": distances(a=[1, 2, 3], random=[2, 2, 5]) for k in range(count)}
    figure = perception.cumulative_figure(results)
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(results)


def test_the_audit_shows_every_factor_and_the_scan():
    data = XYSquares(2, grid_size=5, square_size=3, image_size=16, num_squares=1)
    with_scan = perception.audit(data, BoxBlurMSE(radius=3, weight=49.0), 60, scan_pairs=20, radii=[1, 3])
    figure = perception.audit_figure(with_scan)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[2:] == [*with_scan.order, "random", "Spearman", "Linearity", "Spread"]
    assert figure.get_suptitle() == with_scan.title and figure.get_supxlabel() == with_scan.verdict
    panel, row = figure.axes[2], with_scan.distances[with_scan.order[0]]
    steps, means = panel.get_lines()[0].get_data()
    np.testing.assert_array_equal(steps, np.unique(row.ground_truth))
    np.testing.assert_allclose(means, [row.samples[row.ground_truth == step].mean() for step in steps])
    shown = [text.get_text() for text in figure.axes[-3].texts]
    assert shown == [f"{cell.mean_spearman:.2f}" for cell in with_scan.scan]
    without = perception.audit_figure(perception.audit(data, MeanSquaredError(), 60))
    assert len(without.axes) == len(figure.axes) - 3


def test_files_are_png(tmp_path):
    result = distances(a=[1, 2, 3], random=[2, 2, 5])
    perception.cumulative_figure({"title": result}, path=tmp_path / "figure.png")
    assert imread(tmp_path / "figure.png").shape[:2] > (400, 400)
    with pytest.raises(ValueError, match=r"path must end in \.png, got '.*figure\.pdf'"):
        perception.cumulative_figure({"title": result}, path=tmp_path / "figure.pdf")
    for wrong in ({}, [result]):
        with pytest.raises(ValueError, match="results must be"):
            perception.cumulative_figure(wrong)
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]
