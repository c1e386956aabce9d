import numpy as np
import pytest
from matplotlib.image import imread
from scipy.stats import norm

import kerasvae as kv
from kerasvae import plots

WIDTH, GAP = 16, 1  # of an image and of the white between two, in pixels of the picture shown


def shown(figure, row, column, header=0, block=0):
    """Pixels of one image of a figure of images, (16, 16, 3); those after the header stand apart."""
    (picture,) = figure.axes[block].images
    assert picture.get_interpolation() == "nearest"
    top = row * (WIDTH + GAP) + (2 * GAP if header and row >= header else 0)
    left = column * (WIDTH + GAP)
    return np.asarray(picture.get_array())[top : top + WIDTH, left : left + WIDTH]


def test_reconstructions_are_what_the_model_decodes(model, raw, texts):
    images = raw()
    figure = plots.reconstructions(model, images, count=3)
    assert texts(figure.axes[0].get_yticklabels()) == ["original", "reconstruction"]
    expected = np.clip(model.reconstruct(images) * 0.5 + 0.25, 0, 1)
    for column in range(3):
        grey = images[column, :, :, 0] / 255
        np.testing.assert_allclose(shown(figure, 0, column), np.stack([grey] * 3, -1), atol=1e-6)
        np.testing.assert_allclose(shown(figure, 1, column)[..., 0], expected[column, :, :, 0], atol=1e-6)
    assert figure.axes[0].images[0].get_array().shape[1] == 3 * (WIDTH + GAP)


def test_standardised_images_are_shown_as_the_raw_ones(model, raw):
    images = raw()
    standardised = (images / np.float32(255) - np.float32(0.25)) / np.float32(0.5)
    pictures = [plots.reconstructions(model, given).axes[0].images[0].get_array() for given in (images, standardised)]
    np.testing.assert_allclose(*pictures, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(2, lambda image: image.mean(-1, keepdims=True).repeat(3, -1)), (3, lambda i: i), (4, lambda i: i[..., :3])],
)
def test_channels(make, raw, channels, expected):
    shape = (16, 16, channels)
    images = raw(1, shape)
    figure = plots.reconstructions(make(shape), images)
    np.testing.assert_allclose(shown(figure, 0, 0), expected(images[0] / 255), atol=1e-6)


def test_logits_are_shown_as_probabilities(make, raw):
    model, images = make(reconstruction=kv.losses.BernoulliNLL()), raw(1)
    logits = np.asarray(model.decoder.predict_on_batch(model.encode(images)))[0, :, :, 0]
    np.testing.assert_allclose(
        shown(plots.reconstructions(model, images), 1, 0)[..., 0], 1 / (1 + np.exp(-logits)), atol=1e-5
    )


def test_images_are_drawn_in_whole_screen_pixels(model, raw, tmp_path):
    images = raw()
    figure = plots.reconstructions(model, images, path=tmp_path / "a.png")
    written = imread(tmp_path / "a.png")
    zoom = 10
    box = figure.axes[0].get_window_extent().bounds
    left, top = (round(edge * 200 / figure.dpi) for edge in (box[0], figure.bbox.height - box[1] - box[3]))
    drawn = written[top + zoom // 2 : top + 16 * zoom : zoom, left + zoom // 2 : left + 16 * zoom : zoom, 0]
    np.testing.assert_allclose(drawn, images[0, :, :, 0] / 255, atol=1 / 254)


@pytest.mark.parametrize("draw", [plots.reconstructions, plots.latent_traversals, plots.kl_bars])
def test_images_that_are_not_images(model, raw, draw):
    nothing = np.full((2, 16, 16, 1), np.nan)
    for images in (None, raw(0), raw(2, (8, 8, 1)), raw(2)[0], raw(2).astype("int32"), nothing):
        with pytest.raises(ValueError, match="images must"):
            draw(model, images)


# Traversals -----------------------------------------------------------------------------------------------------------


def grey(model, code):
    return np.clip(model.decode(code)[0, :, :, 0] * model.pixel_std[0] + model.pixel_mean[0], 0, 1)


def test_one_latent_moves_from_the_code_of_the_first_image(model, raw, texts, mean_kl):
    images = raw()
    kl = mean_kl(model, images)
    order = np.argsort(-kl)
    figure = plots.latent_traversals(model, images, columns=3, extent=1.5)
    (axes,) = figure.axes
    assert texts(axes.get_yticklabels()) == ["original,\nreconstruction", *(f"z{latent}" for latent in order)]
    assert texts(axes.texts) == [f"KL {kl[latent]:.2f}" for latent in order]
    assert texts(axes.get_xticklabels()) == ["-1.5", "0", "1.5"]
    code = model.encode(images[:1])
    np.testing.assert_allclose(shown(figure, 0, 0)[..., 0], images[0, :, :, 0] / 255, atol=1e-6)
    np.testing.assert_allclose(shown(figure, 0, 1)[..., 0], grey(model, code), atol=1e-5)
    assert (shown(figure, 0, 2) == 1).all()
    for row, latent in enumerate(order):
        for column, value in enumerate((-1.5, 0, 1.5)):
            moved = code.copy()
            moved[0, latent] = value
            np.testing.assert_allclose(shown(figure, row + 1, column, 1)[..., 0], grey(model, moved), atol=1e-5)


def test_traversals_from_the_prior_of_models_side_by_side(model, make, raw, texts, mean_kl):
    models = {"_first": model, "second": make(seed=5)}
    figure = plots.latent_traversals(models, raw(), base="prior", rows=2, columns=4)
    assert [axes.get_title("left") for axes in figure.axes] == list(models)
    assert "5 of" not in figure.texts[0].get_text() and "2 of 4" in figure.texts[0].get_text()
    for block, each in enumerate(models.values()):
        order = np.argsort(-mean_kl(each, raw()))[:2]
        assert texts(figure.axes[block].get_yticklabels()) == [f"z{latent}" for latent in order]
        for row, latent in enumerate(order):
            for column, value in enumerate(np.linspace(-2, 2, 4)):
                code = np.zeros((1, 4))
                code[0, latent] = value
                picture = shown(figure, row, column, block=block)[..., 0]
                np.testing.assert_allclose(picture, grey(each, code), atol=1e-5)


def test_quantiles_are_of_equal_probability(model, raw, texts):
    figure = plots.latent_traversals(model, raw(), columns=5, extent=norm.ppf(0.975), spacing="quantile")
    expected = norm.ppf(np.linspace(0.025, 0.975, 5))
    assert texts(figure.axes[0].get_xticklabels()) == [f"{value:.3g}" for value in np.round(expected, 9) + 0.0]


def test_order_and_number_of_rows(model, make, raw, texts, mean_kl):
    def latents(**options):
        labels = texts(plots.latent_traversals(model, raw(), columns=2, **options).axes[0].get_yticklabels())
        return [int(label[1:]) for label in labels[1:]]

    by_kl = list(np.argsort(-mean_kl(model, raw())))
    assert latents() == by_kl and latents(rows=2) == by_kl[:2] and latents(order="latent") == [0, 1, 2, 3]
    figure = plots.latent_traversals(make(latents=12), raw(), columns=2)
    assert len(figure.axes[0].get_yticklabels()) == 1 + 10
    assert "10 of 12" in figure.texts[0].get_text()


def test_inactive_latents_are_grey(make, raw):
    model = make()
    for layer in (model.encoder.get_layer(name) for name in ("encoder_mean", "encoder_logvar")):
        layer.set_weights([part * (np.arange(4) > 0) for part in layer.get_weights()])
    (axes,) = plots.latent_traversals(model, raw(), columns=2, order="latent").axes
    colours = [label.get_color() for label in axes.get_yticklabels()]
    assert colours[1] == axes.texts[0].get_color() != colours[0] == colours[2] == axes.texts[1].get_color()
    assert axes.texts[0].get_text() == "KL 0.00"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": 1}, "columns must be an integer, at least 2, got 1"),
        ({"rows": 0}, "rows must be an integer, at least 1, got 0"),
        ({"extent": 0}, "extent must be a finite number, above 0, got 0"),
        ({"extent": float("nan")}, "extent must be a finite number"),
        ({"order": "size"}, 'order must be "kl" or "latent", got \'size\''),
        ({"base": "image"}, 'base must be "posterior" or "prior", got \'image\''),
        ({"spacing": None}, 'spacing must be "value" or "quantile", got None'),
        ({"path": "a.pdf"}, r"path must end in \.png, got 'a\.pdf'"),
    ],
)
def test_traversals_refuse(model, raw, options, message):
    with pytest.raises(ValueError, match=message):
        plots.latent_traversals(model, raw(), **options)


@pytest.mark.parametrize("models", [{}, None, {"a": 1}, "model"])
def test_what_is_no_model(models, raw):
    with pytest.raises(ValueError, match="models must be a model or"):
        plots.latent_traversals(models, raw())


# The overview ---------------------------------------------------------------------------------------------------------


def test_overview_is_made_of_its_parts(model, make, data, texts, mean_kl):
    models = {"a": model, "b": make(latents=3, seed=7)}
    images = data.images(range(0, 64, 9))
    figure = plots.overview(models, data, images, columns=3, rows=3, at={"color": 0})
    blocks = [axes for axes in figure.axes if axes.get_title("left")]
    assert [axes.get_title("left") for axes in blocks] == ["a", "b"]
    maps = [axes for axes in figure.axes if axes.images and axes not in blocks]
    assert len(maps) == 6
    for number, each in enumerate(models.values()):
        kl = mean_kl(each, images)
        order = np.argsort(-kl)[:3]
        header = ["", ""] if number else ["original", "reconstruction"]
        assert texts(blocks[number].get_yticklabels()) == header + [f"z{latent}" for latent in order]
        assert texts(blocks[number].texts) == [f"KL {kl[latent]:.2f}" for latent in order]
        picture = np.asarray(blocks[number].images[0].get_array())
        cells = [picture[top : top + 16, :50].reshape(16, -1, 3) for top in (0, 17)]
        constants = each.pixel_std[0], each.pixel_mean[0]
        for column in range(3):
            part = slice(17 * column, 17 * column + 16)
            np.testing.assert_allclose(cells[0][:, part, 0], images[column, ..., 0] / 255, atol=1e-6)
            decoded = np.clip(each.reconstruct(images[column : column + 1]) * constants[0] + constants[1], 0, 1)
            np.testing.assert_allclose(cells[1][:, part, 0], decoded[0, ..., 0], atol=1e-5)
        traversals = plots.latent_traversals(each, images, columns=3, rows=3)
        np.testing.assert_allclose(picture[2 * 17 + 2 :], traversals.axes[0].images[0].get_array()[17 + 2 :], atol=1e-5)
        mean, _ = plots.codes_over_factors(each, data, at={"color": 0})
        for place, latent in enumerate(order):
            np.testing.assert_array_equal(maps[3 * number + place].images[0].get_array(), mean[..., latent])


def test_overview_of_few_images_leaves_the_rest_white(model, data):
    figure = plots.overview(model, data, data.images([3, 4]), columns=5, style="poster", average=2)
    picture = np.asarray(figure.axes[0].images[0].get_array())
    assert (picture[:33, 2 * 17 :] == 1).all() and not (picture[:33, :33] == 1).all()
    assert "averaged over scale, color" in figure.texts[-1].get_text()
