import numpy as np
import pytest

from kerasvae import plots


def test_a_latent_is_labelled_by_the_factor_it_knows_enough_of_and_alone():
    names, entropies = ["a", "b", "constant"], [1.0, 2.0, 0.0]
    information = {
        (0.9, 0.2, 0.0): "a",
        (0.2, 0.2, 0.0): "a",  # shares 0.2 and 0.1: both bounds reached exactly
        (0.19, 0.0, 0.0): None,  # too little
        (0.5, 0.6, 0.0): None,  # b has more nats, a the larger share
        (0.4, 0.5, 0.0): None,  # 0.4 and 0.25: not alone
        (0.1, 0.8, 0.0): "b",
        (0.0, 0.0, 0.0): None,
    }
    assert plots.labels_from_information(list(information), entropies, names) == list(information.values())
    assert plots.labels_from_information([[1.0]], [0.0], ["constant"]) == [None]
    assert plots.labels_from_information([[1.0]], [2.0], ["alone"]) == ["alone"]
    with pytest.raises(ValueError, match="information, entropies and factor_names must be of shapes"):
        plots.labels_from_information(list(information), entropies[:2], names)


class Centres:
    """Encodes where the white is: its column, its row and nothing."""

    latents = 3

    def encode(self, images, return_logvar=False):
        bright = images[..., 0].astype("float64")
        total = bright.sum(axis=(1, 2))
        right, down = ((bright.sum(axis=axis) @ np.arange(bright.shape[3 - axis])) / total for axis in (1, 2))
        codes = np.stack([right, down, np.zeros(len(images))], axis=1)
        return (codes, np.zeros_like(codes)) if return_logvar else codes

    def decode(self, latents):
        raise NotImplementedError


def test_labels_of_a_model_that_knows_the_position(data):
    assert plots.factor_labels(Centres(), data) == ["x", "y", None]
    assert plots.factor_labels(Centres(), data, images=40) == ["x", "y", None]
    with pytest.raises(ValueError, match="images must be an integer, at least 2"):
        plots.factor_labels(Centres(), data, images=1)
    with pytest.raises(ValueError, match="data must be a data set with factors"):
        plots.factor_labels(Centres(), np.zeros((3, 4)))
