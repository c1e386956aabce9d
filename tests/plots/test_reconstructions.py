import numpy as np
import pytest
from matplotlib.image import imread

import kerasvae as kv
from kerasvae import plots

WIDTH, GAP = 16, 1  # of an image and of the white between two, in pixels of the picture shown


def shown(figure, row, column):
    """Pixels of one image of a figure of images, (16, 16, 3)."""
    (picture,) = figure.axes[0].images
    assert picture.get_interpolation() == "nearest"
    top, left = row * (WIDTH + GAP), column * (WIDTH + GAP)
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
