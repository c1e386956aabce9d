import numpy as np
import pytest

from kerasvae import plots


def grid_codes(n_x, n_y):
    x, y = np.meshgrid(range(n_x), range(n_y), indexing="ij")
    return x.ravel(), y.ravel()


def test_grid_joins_neighbours_in_the_plane_of_the_widest_latents():
    x, y = grid_codes(5, 3)
    # The latents that hold y and x are the widest; x goes to the right although its number is the larger.
    codes = np.stack([0.01 * x, 2.0 * y, np.zeros(15), 1.5 * x], axis=1)
    (axes,) = plots.latent_grid({"run": codes}, factor_sizes=(5, 3)).axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("latent z3 (mean)", "latent z1 (mean)")
    along_x, along_y = (collection.get_segments() for collection in axes.collections[:2])
    assert len(along_x) == 3 and len(along_y) == 5
    for row, segment in enumerate(along_x):
        np.testing.assert_allclose(segment, [(1.5 * step, 2.0 * row) for step in range(5)])
    for column, segment in enumerate(along_y):
        np.testing.assert_allclose(segment, [(1.5 * column, 2.0 * step) for step in range(3)])


def test_grid_says_how_far_the_order_is_kept():
    def order_kept(codes):
        (axes,) = plots.latent_grid({"run": codes}, factor_sizes=(8, 8)).axes
        return float(axes.get_title("right").removeprefix("order kept: "))

    x, y = grid_codes(8, 8)
    codes = np.stack([x, y], axis=1).astype(float)
    assert order_kept(codes) > 0.95
    assert order_kept(-3 * codes[:, ::-1] + 1) == order_kept(codes)
    assert abs(order_kept(np.random.default_rng(0).permutation(codes))) < 0.1
    assert order_kept(np.zeros((64, 2))) == 0


def test_grid_has_a_panel_for_each_run(texts):
    codes = np.random.default_rng(0).normal(size=(6, 2))
    figure = plots.latent_grid({str(run): codes for run in range(4)}, factor_sizes=(2, 3))
    assert [axes.get_title("left") for axes in figure.axes] == ["0", "1", "2", "3"]
    assert texts(figure.legends[0].texts) == ["joins neighbours in x", "joins neighbours in y"]


@pytest.mark.parametrize("sizes", [6, (6,), (2, 1), (2, 3, 1), (2.0, 3.0), None])
def test_grid_refuses_sizes(sizes):
    with pytest.raises(ValueError, match="factor_sizes must be two integers"):
        plots.latent_grid({"run": np.zeros((6, 2))}, factor_sizes=sizes)


@pytest.mark.parametrize("codes", [np.zeros((5, 2)), np.zeros((6, 1)), np.zeros(6), np.full((6, 2), np.nan)])
def test_grid_refuses_codes(codes):
    with pytest.raises(ValueError, match=r"runs\['run'\] must be finite codes \(6, latents\)"):
        plots.latent_grid({"run": codes}, factor_sizes=(2, 3))
