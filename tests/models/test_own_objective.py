"""An objective from outside owes and gets what every other does: its class, and one line of the contract."""

import contract
import keras
import numpy as np
import pytest
from contract_objectives import LATENTS, Objective
from formulas import kl
from keras import ops

import kerasvae as kv


@keras.saving.register_keras_serializable(package="outside")
class CentredVAE(kv.VAE):
    """A VAE whose mean codes are also drawn to 0, each by its square."""

    weight = kv.Hyperparameter(minimum=0.0)

    def __init__(self, encoder, decoder, reconstruction=None, *, weight=1.0, **kwargs):
        super().__init__(encoder, decoder, reconstruction, **kwargs)
        self.weight = weight

    def logged_terms(self):
        return (*super().logged_terms(), "distance")

    def regularization(self, mean, logvar, z):
        distance = ops.mean(ops.sum(ops.square(mean), axis=-1))
        self.track("distance", distance)
        return super().regularization(mean, logvar, z) + self.scalar("weight") * distance


def penalty(mean, logvar, z, model):
    return kl(mean, logvar) + 0.5 * (mean**2).sum(axis=1).mean()


CENTRED = Objective(CentredVAE, {"weight": 0.5}, penalty)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_its_step_is_the_gradient_of_its_formula(reduction):
    contract.check_step_is_the_gradient_of_the_formula(CENTRED, reduction)


@pytest.mark.parametrize("check", [contract.check_config_round_trip, contract.check_bad_input, contract.check_uint8])
def test_it_keeps_the_contract(check):
    check(CENTRED)


def test_a_saved_one_goes_on(tmp_path):
    contract.check_saved_model_goes_on(CENTRED, tmp_path)


def test_it_is_made_for_data_scored_and_loaded(tmp_path):
    data = kv.datasets.XYSquares(grid_spacing=2, grid_size=4, square_size=4, image_size=16, num_squares=1, rgb=False)
    model = CentredVAE.for_data(data, LATENTS, "mlp", weight=kv.schedules.Linear(0.0, 1.0, steps=10), seed=1)
    model.compile(**contract.QUICK)
    history = model.fit(kv.datasets.images(data, 8, steps=2), verbose=0).history
    assert history["distance"][0] > 0
    assert 0 <= kv.metrics.evaluate(model.encode, data, ["mig"], train=16, test=4)["mig"] <= 1
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        kv.load(tmp_path / "model.keras").encode(data.images([3])), model.encode(data.images([3]))
    )
