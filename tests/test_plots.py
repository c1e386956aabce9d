import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.image import imread

import kerasvae as kv
from kerasvae import plots
from kerasvae.math import kl_standard_normal

SHAPE = (16, 16, 1)
WIDTH, GAP = 16, 1  # of an image and of the white between two, in pixels of the picture shown


def make(shape=SHAPE, latents=4, **options):
    encoder = kv.networks.mlp_encoder(shape, latents, hidden=(8,), seed=1)
    return kv.BetaVAE(encoder, kv.networks.mlp_decoder(shape, latents, hidden=(8,), seed=2), seed=0, **options)


def raw(count=5, shape=SHAPE, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype="uint8")


def shown(figure, row, column, first_row_apart=False):
    """Pixels of one image of a figure of images, (16, 16, 3)."""
    (picture,) = figure.axes[0].images
    assert picture.get_interpolation() == "nearest"
    top = row * (WIDTH + GAP) + (2 * GAP if first_row_apart and row else 0)
    left = column * (WIDTH + GAP)
    return np.asarray(picture.get_array())[top : top + WIDTH, left : left + WIDTH]


def texts(labels):
    return [label.get_text() for label in labels]


@pytest.fixture(scope="module")
def model():
    return make(pixel_mean=0.25, pixel_std=0.5)


# Reconstructions ------------------------------------------------------------------------------------------------------


def test_reconstructions_are_what_the_model_decodes(model):
    images = raw()
    figure = plots.reconstructions(model, images, count=3)
    assert texts(figure.axes[0].get_yticklabels()) == ["original", "reconstruction"]
    expected = np.clip(model.reconstruct(images) * 0.5 + 0.25, 0, 1)
    for column in range(3):
        grey = images[column, :, :, 0] / 255
        np.testing.assert_allclose(shown(figure, 0, column), np.stack([grey] * 3, -1), atol=1e-6)
        np.testing.assert_allclose(shown(figure, 1, column)[..., 0], expected[column, :, :, 0], atol=1e-6)
    assert figure.axes[0].images[0].get_array().shape[1] == 3 * (WIDTH + GAP)


def test_standardised_images_are_shown_as_the_raw_ones(model):
    images = raw()
    standardised = (images / np.float32(255) - np.float32(0.25)) / np.float32(0.5)
    pictures = [plots.reconstructions(model, given).axes[0].images[0].get_array() for given in (images, standardised)]
    np.testing.assert_allclose(*pictures, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(2, lambda image: image.mean(-1, keepdims=True).repeat(3, -1)), (3, lambda i: i), (4, lambda i: i[..., :3])],
)
def test_channels(channels, expected):
    shape = (16, 16, channels)
    images = raw(1, shape)
    figure = plots.reconstructions(make(shape), images)
    np.testing.assert_allclose(shown(figure, 0, 0), expected(images[0] / 255), atol=1e-6)


def test_logits_are_shown_as_probabilities():
    model, images = make(reconstruction=kv.losses.BernoulliNLL()), raw(1)
    logits = np.asarray(model.decoder.predict_on_batch(model.encode(images)))[0, :, :, 0]
    np.testing.assert_allclose(
        shown(plots.reconstructions(model, images), 1, 0)[..., 0], 1 / (1 + np.exp(-logits)), atol=1e-5
    )


def test_images_are_drawn_in_whole_screen_pixels(model, tmp_path):
    images = raw()
    figure = plots.reconstructions(model, images, path=tmp_path / "a.png")
    written = imread(tmp_path / "a.png")
    zoom = 10
    box = figure.axes[0].get_window_extent().bounds
    left, top = (round(edge * 200 / figure.dpi) for edge in (box[0], figure.bbox.height - box[1] - box[3]))
    drawn = written[top + zoom // 2 : top + 16 * zoom : zoom, left + zoom // 2 : left + 16 * zoom : zoom, 0]
    np.testing.assert_allclose(drawn, images[0, :, :, 0] / 255, atol=1 / 254)


# Traversals -----------------------------------------------------------------------------------------------------------


def mean_kl(model, images):
    mean, logvar = (np.asarray(part, "float64") for part in model.encode(images, return_logvar=True))
    return (0.5 * (mean**2 + np.exp(logvar) - logvar - 1)).mean(0)


def test_traversals_move_one_latent_from_the_code_of_the_first_image(model):
    images = raw()
    kl = mean_kl(model, images)
    order = np.argsort(-kl)
    figure = plots.latent_traversals(model, images, columns=3, extent=1.5)
    (axes,) = figure.axes
    labels = [f"z{latent}  KL {kl[latent]:.2f}" for latent in order]
    assert texts(axes.get_yticklabels()) == ["original,\nreconstruction", *labels]
    assert texts(axes.get_xticklabels()) == ["-1.5", "0", "1.5"]
    code = model.encode(images[:1])
    display = lambda code: np.clip(model.decode(code)[0, :, :, 0] * 0.5 + 0.25, 0, 1)  # noqa: E731
    np.testing.assert_allclose(shown(figure, 0, 0, True)[..., 0], images[0, :, :, 0] / 255, atol=1e-6)
    np.testing.assert_allclose(shown(figure, 0, 1, True)[..., 0], display(code), atol=1e-5)
    assert (shown(figure, 0, 2, True) == 1).all()
    for row, latent in enumerate(order):
        for column, value in enumerate((-1.5, 0, 1.5)):
            moved = code.copy()
            moved[0, latent] = value
            np.testing.assert_allclose(shown(figure, row + 1, column, True)[..., 0], display(moved), atol=1e-5)


def test_order_and_number_of_rows(model):
    def latents(**options):
        labels = texts(plots.latent_traversals(model, raw(), columns=2, **options).axes[0].get_yticklabels())
        return [int(label[1:].split()[0]) for label in labels[1:]]

    by_kl = list(np.argsort(-mean_kl(model, raw())))
    assert latents() == by_kl and latents(rows=2) == by_kl[:2] and latents(order="latent") == [0, 1, 2, 3]
    figure = plots.latent_traversals(make(latents=12), raw(), columns=2)
    assert len(figure.axes[0].get_yticklabels()) == 1 + 10
    assert "10 of 12" in figure.texts[0].get_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": 1}, "columns must be an integer, at least 2, got 1"),
        ({"rows": 0}, "rows must be an integer, at least 1, got 0"),
        ({"extent": 0}, "extent must be a finite number greater than 0, got 0"),
        ({"extent": float("nan")}, "extent must be a finite number"),
        ({"order": "size"}, 'order must be "kl" or "latent", got \'size\''),
        ({"path": "a.pdf"}, r"path must end in \.png, got 'a\.pdf'"),
    ],
)
def test_traversals_refuse(model, options, message):
    with pytest.raises(ValueError, match=message):
        plots.latent_traversals(model, raw(), **options)


@pytest.mark.parametrize("draw", [plots.reconstructions, plots.latent_traversals, plots.kl_bars])
def test_images_that_are_not_images(model, draw):
    for images in (None, raw(0), raw(2, (8, 8, 1)), raw(2)[0], raw(2).astype("int32"), np.full((2, *SHAPE), np.nan)):
        with pytest.raises(ValueError, match="images must"):
            draw(model, images)


# KL -------------------------------------------------------------------------------------------------------------------


def test_kl_bars_are_sorted_and_say_what_is_inactive():
    (axes,) = plots.kl_bars([0.5, 2.0, 0.01, 0.004]).axes
    assert [bar.get_height() for bar in axes.patches] == [2.0, 0.5, 0.01, 0.004]
    assert texts(axes.get_xticklabels()) == ["z1", "z0", "z2", "z3"]
    assert axes.get_title("left") == "2 of 4 latents are active" and "0.01 nats" in axes.get_xlabel()
    assert axes.get_ylabel() == "mean KL in nats" and list(axes.lines[0].get_ydata()) == [0.01, 0.01]
    assert texts(axes.texts) == ["2.00", "0.50", "0.010", "0.004"]


def test_kl_bars_of_a_model_are_the_means_over_images(model):
    mean, logvar = model.encode(raw(), return_logvar=True)
    expected = np.sort(np.asarray(kl_standard_normal(mean, logvar)).mean(0))[::-1]
    (axes,) = plots.kl_bars(model, raw()).axes
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], expected, rtol=1e-5)


@pytest.mark.parametrize("kl", [[], [[1.0]], [-0.1], [np.nan], [np.inf], ["a"], 3.0, None])
def test_kl_that_is_none(kl):
    with pytest.raises(ValueError, match="model_or_kl must be a model or KL"):
        plots.kl_bars(kl)


# Scores ---------------------------------------------------------------------------------------------------------------


def test_scores_are_grouped_with_their_values():
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


def test_colours_are_those_of_the_order_in_every_figure():
    names = ["c", "a", "b"]
    bars = plots.scores({name: {"mig": 0.5} for name in names}).axes[0].patches
    lines = plots.history({name: [{"step": 1, "kl_loss": 1.0}] for name in names}).axes[0].lines
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
        {"step": step, "loss": 1.0, "reconstruction_loss": 9000 / step, "kl_loss": step / 10, "val_loss": 1.0}
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


@pytest.mark.parametrize("runs", [{}, {"a": []}, {"a": [{"step": 1}]}, {"a": {"step": 1}}, {"a": [{"kl_loss": 1.0}]}])
def test_history_refuses(runs):
    with pytest.raises(ValueError, match="runs"):
        plots.history(runs)


# The grid of codes ----------------------------------------------------------------------------------------------------


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


def test_grid_has_a_panel_for_each_run():
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


# Files ----------------------------------------------------------------------------------------------------------------

FIGURES = {
    "reconstructions": lambda model, path: plots.reconstructions(model, raw(), path=path),
    "latent_traversals": lambda model, path: plots.latent_traversals(model, raw(), columns=2, path=path),
    "kl_bars": lambda model, path: plots.kl_bars(model, raw(), path=path),
    "scores": lambda model, path: plots.scores({"a": {"mig": 0.5}}, path=path),
    "history": lambda model, path: plots.history({"a": [{"step": 1, "kl_loss": 1.0}]}, path=path),
    "latent_grid": lambda model, path: plots.latent_grid({"a": np.eye(4)}, factor_sizes=(2, 2), path=path),
}


@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_figures_are_written_whole(model, draw, tmp_path):
    path = tmp_path / "new folder" / "figure.png"
    figure = draw(model, path)
    assert [file.name for file in path.parent.iterdir()] == ["figure.png"]
    height, width, _ = imread(path).shape
    np.testing.assert_allclose((width, height), figure.get_size_inches() * 200, atol=1)
    # Nothing leans on the edge of the figure: all that is drawn lies within it.
    drawn = figure.get_tightbbox(figure.canvas.get_renderer())
    assert drawn.x0 >= 0 and drawn.y0 >= 0
    assert drawn.x1 <= figure.get_figwidth() and drawn.y1 <= figure.get_figheight()
    with pytest.raises(ValueError, match=r"path must end in \.png"):
        draw(model, tmp_path / "figure.jpg")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match=r"path: cannot write .*figure\.png"):
        draw(model, tmp_path / "file" / "figure.png")


def test_a_failure_while_writing_leaves_the_old_file(model, tmp_path, monkeypatch):
    path = tmp_path / "figure.png"
    plots.kl_bars([1.0], path=path)
    before = path.read_bytes()

    def fail(self, file, **options):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(plots.Figure, "savefig", fail)
    with pytest.raises(KeyboardInterrupt):
        plots.kl_bars([2.0], path=path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_no_global_state_is_touched(model):
    settings = dict(matplotlib.rcParams)
    for draw in FIGURES.values():
        draw(model, None)
    assert pyplot.get_fignums() == [] and dict(matplotlib.rcParams) == settings
    assert not hasattr(plots, "pyplot") and not hasattr(plots, "plt")
