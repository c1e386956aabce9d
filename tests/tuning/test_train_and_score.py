"""train_and_score: a row's model is trained in the row's folder, scored, and goes on where it was killed."""

import functools
import pickle

import keras
import numpy as np
import pytest

import kerasvae as kv
from kerasvae import tuning
from kerasvae.tuning.rows import row_name

DATA = kv.datasets.XYSquares(grid_spacing=2, grid_size=4, square_size=4, image_size=16, num_squares=1, rgb=False)
NETWORKS = tuple(
    functools.partial(network, hidden=(8,)) for network in (kv.networks.mlp_encoder, kv.networks.mlp_decoder)
)
SMALL = {"steps": 4, "networks": NETWORKS, "batch_size": 4, "scores": ["mig"], "train": 32, "test": 16}


@pytest.fixture
def eager(monkeypatch):
    """Models that are not traced, which would cost more than a few steps do."""
    monkeypatch.setattr(kv.VAE, "compile", functools.partialmethod(kv.VAE.compile, run_eagerly=True))


class StopAtStep(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step) == self.step:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_study_over_losses_and_objectives(tmp_path, eager):
    run = tuning.train_and_score(
        DATA,
        objective={"ada": kv.AdaGVAE, "beta": kv.BetaVAE},
        loss={"mse": kv.losses.MeanSquaredError(), "blur": kv.losses.BoxBlurMSE(radius=2, weight=25.0)},
        **SMALL,
    )
    rows = [
        {"beta": 0.01, "latents": 2, "loss": "mse", "objective": "ada", "seed": 1},
        {"beta": 0.1, "latents": 3, "loss": "blur", "objective": "beta", "seed": 2},
    ]
    results = tuning.search(run, rows, tmp_path, verbose=0)
    assert list(results[0]) == [
        *rows[0], "mig", "active_latents", "reconstruction_nats", "kl_nats", "status", "seconds",
    ]  # fmt: skip
    for row, result in zip(rows, results, strict=True):
        model = kv.runs.load_model(tmp_path / "rows" / row_name(row))
        assert int(model.step) == 4
        assert (model.latents, model.beta, model.seed) == (row["latents"], row["beta"], row["seed"])
        assert 0 <= result["mig"] <= 1 and 0 <= result["active_latents"] <= row["latents"]
        score = kv.metrics.evaluate(model.encode, DATA, ["mig"], train=32, test=16)["mig"]
        assert float(score) == result["mig"]
        assert isinstance(model, kv.AdaGVAE) == (row["objective"] == "ada")
        assert isinstance(model.reconstruction, kv.losses.BoxBlurMSE) == (row["loss"] == "blur")


@pytest.mark.slow
def test_a_killed_row_ends_as_one_that_was_not(tmp_path, monkeypatch, eager):
    row = {"beta": 0.01, "latents": 2, "seed": 3}
    run = tuning.train_and_score(DATA, checkpoint_every=2, **SMALL)
    whole = run(row, tmp_path / "whole", 0)
    train = kv.runs.train
    with monkeypatch.context() as patch:
        patch.setattr(kv.runs, "train", lambda *a, **k: train(*a, **k, callbacks=[StopAtStep(3)]))
        with pytest.raises(KeyboardInterrupt):
            run(row, tmp_path / "killed", 0)
    assert int(kv.runs.load_model(tmp_path / "killed").step) == 2
    assert run(row, tmp_path / "killed", 0) == whole
    # A finished model is not trained again: killed between the model and the result.
    with monkeypatch.context() as patch:
        patch.setattr(kv.AdaGVAE, "fit", None)
        assert run(row, tmp_path / "killed", 0) == whole


def test_the_size_of_the_data_is_known():
    run = tuning.train_and_score(DATA, objective=kv.BetaTCVAE, **SMALL)
    assert run.check({"latents": 2}).dataset_size == len(DATA)
    assert run.check({"latents": 2, "dataset_size": 99}).dataset_size == 99


@pytest.mark.slow
def test_seeds_differ_and_repeat(tmp_path, eager):
    run = tuning.train_and_score(DATA, objective=kv.BetaVAE, **SMALL)
    first, same, other = (
        run({"latents": 2, "seed": seed}, tmp_path / str(number), 0) for number, seed in enumerate((1, 1, 2))
    )
    assert first == same
    assert first["reconstruction_nats"] != other["reconstruction_nats"]


def test_own_networks_pipeline_and_optimizer(tmp_path, eager):
    run = tuning.train_and_score(
        DATA,
        **SMALL,
        objective=kv.BetaVAE,
        loss=kv.losses.BernoulliNLL(),
        pipeline=functools.partial(kv.datasets.images, standardize=False),
        optimizer=lambda: keras.optimizers.SGD(0.5),
        latents=2,
    )
    result = run({"beta": 0.0}, tmp_path, 0)
    model = kv.runs.load_model(tmp_path)
    assert isinstance(model.optimizer, keras.optimizers.SGD)
    assert [layer.units for layer in model.encoder.layers if hasattr(layer, "units")] == [8, 2, 2]
    # The model knows images in 0..1, and is scored on such, not on standardised ones.
    codes = model.encode(DATA.images(np.arange(len(DATA))))
    (scored, factors), _ = kv.metrics.sample_codes(
        lambda images: model.encode((images * DATA.std + DATA.mean).astype("float32")), DATA, train=32, test=16
    )
    np.testing.assert_allclose(scored, codes[DATA.index(factors)], atol=1e-5)
    assert result["mig"] == pytest.approx(float(kv.metrics.mig(scored, factors)))


@pytest.mark.slow
def test_a_pickled_run_is_the_same_run(tmp_path):
    """Through bytes, and through worker processes."""
    run = tuning.train_and_score(
        DATA,
        objective={"beta": kv.BetaVAE},
        loss={"blur": kv.losses.BoxBlurMSE(radius=2, weight=25.0)},
        optimizer=functools.partial(keras.optimizers.SGD, 0.1),
        pipeline=functools.partial(kv.datasets.images, standardize=False),
        **{**SMALL, "steps": 2, "scores": {"mig": {"bins": 5}}},
    )
    again = pickle.loads(pickle.dumps(run))
    assert again.settings == run.settings
    row = {"latents": 2, "loss": "blur", "objective": "beta", "seed": 3}
    expected = again(row, tmp_path / "here", 0)
    (result,) = tuning.search(run, [row], tmp_path / "study", verbose=0, workers=2)
    assert {name: result[name] for name in expected} == expected
    assert (tmp_path / "study" / "logs" / "worker-1.txt").is_file()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"optimizer": lambda: keras.optimizers.SGD(0.5)}, "optimizer"),
        ({"pipeline": lambda data, batch_size, **options: None}, "pipeline"),
        ({"scores": {"mine": lambda codes, factors: 1.0}}, "scores"),
        ({"networks": (lambda shape, latents, seed: None, kv.networks.mlp_decoder)}, "networks"),
    ],
)
def test_what_cannot_be_pickled_is_named_before_any_work(tmp_path, change, name):
    run = tuning.train_and_score(DATA, **{**SMALL, **change})
    with pytest.raises(ValueError, match=rf"run must be picklable .* no lambdas; .*, because of its {name} \(.*lambda"):
        tuning.search(run, [{"latents": 2}], tmp_path / "study", verbose=0, workers=2)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 0}, "steps must be"),
        ({"batch_size": True}, "batch_size must be"),
        ({"latents": 1.5}, "latents must be"),
        ({"objective": "ada"}, "objective must be"),
        ({"objective": {"ada": keras.Model}}, "objective must be"),
        ({"loss": "mse"}, "loss must be"),
        ({"loss": {"mse": None}}, "loss must be"),
        ({"networks": "cnn"}, 'networks must be "conv", "burgess" or "mlp", or two functions'),
        ({"networks": (kv.networks.mlp_encoder,)}, "networks must be"),
    ],
)
def test_bad_arguments(change, said):
    with pytest.raises(ValueError, match=said):
        tuning.train_and_score(DATA, **{**SMALL, **change})


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"loss": "mae"}, r"rows: loss must be one of \['mse'\], got 'mae'"),
        ({"beta": 0.1}, "rows: loss must be one of"),
        ({"loss": "mse", "objective": "ada"}, "rows: objective is a field"),
        ({"loss": "mse", "gamma": 1.0}, "rows: AdaGVAE has no arguments"),
        ({"loss": "mse", "beta": -1.0}, "beta must be"),
        ({"loss": "mse", "latents": 0}, "latents must be"),
    ],
)
def test_bad_rows_are_found_before_any_training(tmp_path, row, said, monkeypatch):
    run = tuning.train_and_score(DATA, loss={"mse": kv.losses.MeanSquaredError()}, **SMALL)
    monkeypatch.setattr(kv.runs, "train", None)
    with pytest.raises(ValueError, match=said):
        tuning.search(run, [row], tmp_path, verbose=0)


def test_settings_tell_studies_apart_and_let_losses_be_added():
    def settings(**change):
        return tuning.train_and_score(
            DATA, **{**SMALL, "loss": {"mse": kv.losses.MeanSquaredError()}, **change}
        ).settings

    assert settings() == settings()
    more = settings(loss={"mse": kv.losses.MeanSquaredError(), "mae": kv.losses.MeanAbsoluteError()})
    assert settings().items() <= more.items()
    assert settings(loss={"mse": kv.losses.MeanAbsoluteError()})["loss mse"] != settings()["loss mse"]
    for change in ({"steps": 7}, {"scores": {"mig": {"bins": 5}}}, {"networks": "conv"}, {"test": 8}):
        (name,) = change
        assert settings(**change)[name] != settings()[name]
