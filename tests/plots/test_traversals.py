import numpy as np
import pytest
from scipy.stats import norm

from kerasvae import plots

WIDTH, GAP = 16, 1  # of an image and of the white between two, in pixels of the picture shown


def shown(figure, row, column, header=1, block=0):
    """Pixels of one image, (16, 16, 3); those after the header stand apart."""
    (picture,) = figure.axes[block].images
    top = row * (WIDTH + GAP) + (2 * GAP if header and row >= header else 0)
    left = column * (WIDTH + GAP)
    return np.asarray(picture.get_array())[top : top + WIDTH, left : left + WIDTH]


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
            np.testing.assert_allclose(shown(figure, row + 1, column)[..., 0], grey(model, moved), atol=1e-5)


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
                picture = shown(figure, row, column, 0, block)[..., 0]
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
