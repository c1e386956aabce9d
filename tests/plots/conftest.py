import numpy as np
import pytest

import kerasvae as kv


@pytest.fixture(scope="session")
def make():
    """A small model, not trained."""

    def build(shape=(16, 16, 1), latents=4, seed=1, **options):
        encoder = kv.networks.mlp_encoder(shape, latents, hidden=(8,), seed=seed)
        return kv.BetaVAE(
            encoder, kv.networks.mlp_decoder(shape, latents, hidden=(8,), seed=seed + 1), seed=0, **options
        )

    return build


@pytest.fixture(scope="session")
def model(make):
    return make(pixel_mean=0.25, pixel_std=0.5)


@pytest.fixture(scope="session")
def raw():
    """Random uint8 images."""

    def images(count=5, shape=(16, 16, 1), seed=0):
        return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype="uint8")

    return images


@pytest.fixture(scope="session")
def texts():
    return lambda labels: [label.get_text() for label in labels]


@pytest.fixture(scope="session")
def mean_kl():
    """Mean KL of each latent in float64."""

    def mean_kl(model, images):
        mean, logvar = (np.asarray(part, "float64") for part in model.encode(images, return_logvar=True))
        return (0.5 * (mean**2 + np.exp(logvar) - logvar - 1)).mean(0)

    return mean_kl


@pytest.fixture(scope="session")
def data():
    """Squares of 16 x 16 grey images: x 4, y 4, scale 2, color 2."""
    return kv.datasets.XYObject(grid_spacing=3, square_sizes=(4, 6), image_size=16, palette="grey", intensities=2)
