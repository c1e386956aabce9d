"""Figures of theorem 1, read off their axes."""

import numpy as np
import pytest

from kerasvae.analysis.study.rotated_model import rotated_model
from kerasvae.analysis.study.rotated_scores import rotated_scores
from kerasvae.analysis.study.theorem import theorem_1
from kerasvae.plots.theorem import elbo_by_angle, entangled_codes, scores_by_angle


@pytest.fixture(scope="module")
def scatter():
    return theorem_1(samples=200, joint_samples=100, permutations=19)["scatter"]


@pytest.fixture(scope="module")
def elbo():
    draws = np.random.default_rng(0)
    return rotated_model(draws.normal(size=(9, 2)), draws.uniform(-4, 0, size=(9, 2)), [0, 45, 20])["elbo"]


def test_points_before_and_after(scatter, tmp_path):
    figure = entangled_codes(scatter, path=tmp_path / "codes.png")
    assert [axes.get_title("left") for axes in figure.axes] == [
        "before",
        *(f"after, a = {a}" for a in (0.1, 0.25, 0.4)),
    ]
    part = scatter.select(prior="uniform on the square", a=0.25)
    for axes, names in ((figure.axes[0], ("z_1", "z_2")), (figure.axes[2], ("f_1", "f_2"))):
        np.testing.assert_array_equal(axes.collections[0].get_offsets(), np.stack([part[name] for name in names], 1))
        # The same colour in all panels, in the order of z_1.
        assert (np.argsort(axes.collections[0].get_array()) == np.argsort(part["z_1"])).all()
    assert (tmp_path / "codes.png").stat().st_size > 1000
    assert len(entangled_codes(scatter, "normal in 10 dimensions", 0.4).axes) == 2
    with pytest.raises(ValueError, match=r"a must be of 0\.1, 0\.25, 0\.4, got 0\.3"):
        entangled_codes(scatter, a=0.3)


def test_lines_of_scores():
    frame = rotated_scores((4, 3), ["mig", "aam"], (45, 0, 20), repeats=2)["scores"]
    figure = scores_by_angle(frame, ["aam", "mig"], labels={"mig": "$MIG$"})
    (axes,) = figure.axes
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["aam", "$MIG$"]
    for metric, line in zip(("aam", "mig"), axes.get_lines(), strict=True):
        assert list(line.get_xdata()) == [0, 20, 45]
        expected = [frame.row(metric=metric, angle=angle)["estimate"] for angle in (0.0, 20.0, 45.0)]
        assert list(line.get_ydata()) == expected
    assert len(axes.collections) == 2
    with pytest.raises(ValueError, match="metric must be of"):
        scores_by_angle(frame, ["sap"])


def test_lines_of_the_elbo(elbo):
    figure = elbo_by_angle(elbo)
    assert [axes.get_title("left") for axes in figure.axes] == ["KL to the prior", "Gap to the turned posterior"]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["full covariance", "best diagonal", "diagonal of the covariance"]
    for axes, quantity in zip(figure.axes, ("kl", "gap"), strict=True):
        lines = axes.get_lines()[1:]
        for name, line in zip(names, lines, strict=True):
            part = elbo.select(quantity=quantity, posterior=name)
            assert list(line.get_ydata()) == [part.row(angle=angle)["rise"] for angle in (0.0, 20.0, 45.0)]
    assert len(elbo_by_angle(elbo, ["gap"]).axes) == 1


def test_figures_of_nothing(elbo):
    with pytest.raises(ValueError, match="frame must have rows"):
        elbo_by_angle(elbo.select(quantity="none"))
    with pytest.raises(ValueError, match=r"path must end in \.png"):
        elbo_by_angle(elbo, path="figure.txt")
