import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.image import imread

from kerasvae import plots

NAME = "a name that is much longer than what it names, $and_with\\signs"
STEPS, KL = np.arange(3), np.linspace(0, 3, 30).reshape(3, 10)
# Of a model, images, its data set and a path.
FIGURES = {
    "reconstructions": lambda m, images, data, path: plots.reconstructions(m, images, path=path),
    "latent_traversals": lambda m, images, data, path: plots.latent_traversals(m, images, columns=2, path=path),
    "traversals_of_four": lambda m, images, data, path: plots.latent_traversals(
        {"a": m, "b": m, NAME: m, "d": m}, images, base="prior", rows=1, path=path
    ),
    "position_heat_maps": lambda m, images, data, path: plots.position_heat_maps(m, data, path=path),
    "with_spread": lambda m, images, data, path: plots.position_heat_maps(m, data, average=2, latents=1, path=path),
    "overview": lambda m, images, data, path: plots.overview(m, data, columns=2, path=path),
    "overview_of_three": lambda m, images, data, path: plots.overview(
        {"a": m, NAME: m, "c": m}, data, columns=3, rows=1, average="all", path=path
    ),
    "kl_bars": lambda m, images, data, path: plots.kl_bars(m, images, path=path),
    "kl_over_training": lambda m, images, data, path: plots.kl_over_training(
        {NAME[:30]: (STEPS, KL)}, capacity={NAME[:30]: STEPS}, path=path
    ),
    "kl_of_four": lambda m, images, data, path: plots.kl_over_training({n: (STEPS, KL) for n in "abcd"}, path=path),
    "scores": lambda m, images, data, path: plots.scores({"a": {"mig": 0.5}}, path=path),
    "history": lambda m, images, data, path: plots.history({"a": [{"step": 1, "kl_nats": 1.0}]}, path=path),
    "latent_grid": lambda m, images, data, path: plots.latent_grid({"a": np.eye(4)}, factor_sizes=(2, 2), path=path),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_figures_are_written_whole(model, raw, data, draw, tmp_path):
    path, settings = tmp_path / "new folder" / "figure.png", dict(matplotlib.rcParams)
    figure = draw(model, raw(), data, path)
    assert [file.name for file in path.parent.iterdir()] == ["figure.png"]
    height, width, _ = imread(path).shape
    np.testing.assert_allclose((width, height), figure.get_size_inches() * 200, atol=1)
    # Nothing leans on the edge of the figure: all that is drawn lies within it.
    drawn = figure.get_tightbbox(figure.canvas.get_renderer())
    assert drawn.x0 >= 0 and drawn.y0 >= 0
    assert drawn.x1 <= figure.get_figwidth() and drawn.y1 <= figure.get_figheight()
    # No global state is touched.
    assert pyplot.get_fignums() == [] and dict(matplotlib.rcParams) == settings
    with pytest.raises(ValueError, match=r"path must end in \.png"):
        draw(model, raw(), data, tmp_path / "figure.jpg")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match=r"path: cannot write .*figure\.png"):
        draw(model, raw(), data, tmp_path / "file" / "figure.png")


@pytest.mark.parametrize(("shape", "names"), [((64, 64, 3), "ab"), ((8, 12, 1), "ab"), ((96, 64, 2), "a")])
def test_images_of_other_shapes(make, raw, shape, names):
    model = make(shape, latents=2)
    figure = plots.latent_traversals(dict.fromkeys(names, model), raw(3, shape))
    drawn = figure.get_tightbbox(figure.canvas.get_renderer())
    assert drawn.x0 >= 0 and drawn.x1 <= figure.get_figwidth() and drawn.y1 <= figure.get_figheight()


def test_a_failure_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    plots.kl_bars([1.0], path=path)
    before = path.read_bytes()

    def fail(self, file, **options):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(KeyboardInterrupt):
        plots.kl_bars([2.0], path=path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
