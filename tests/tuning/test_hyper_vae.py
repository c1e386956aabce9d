"""HyperVAE: models and scores that Keras Tuner's own tuners search over, and trials that fail aloud."""

import functools

import keras
import keras_tuner as kt
import numpy as np
import pytest

import kerasvae as kv
from kerasvae.metrics.udr import udr
from kerasvae.tuning.check_trials import FailedTrialsError, check_trials
from kerasvae.tuning.hyper_vae import SEED_DISTANCE, HyperVAE
from kerasvae.tuning.trial_callbacks import ObjectiveInLogs


class OneSquare(kv.datasets.XYSquares):
    def __deepcopy__(self, memo):
        raise AssertionError("Keras Tuner copies the callbacks of every execution: no data may be in them")


DATA = OneSquare(grid_spacing=2, grid_size=4, square_size=4, image_size=16, num_squares=1, rgb=False)
NETWORKS = tuple(
    functools.partial(network, hidden=(8,)) for network in (kv.networks.mlp_encoder, kv.networks.mlp_decoder)
)
SMALL = {"networks": NETWORKS, "batch_size": 8, "steps_per_epoch": 2, "epochs": 2, "train": 32, "test": 16}
FAST = {**SMALL, "optimizer": lambda: keras.optimizers.SGD(0.05)}
LOSSES = {"mse": kv.losses.MeanSquaredError(), "blur": kv.losses.BoxBlurMSE(radius=2, weight=25.0)}
BOTH = {"ada": kv.AdaGVAE, "beta": kv.BetaVAE}


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Models that are not traced, which would cost more than a few steps do."""
    monkeypatch.setattr(kv.VAE, "compile", functools.partialmethod(kv.VAE.compile, run_eagerly=True))


def search(tuner, hyper, folder, **options):
    where = {"directory": str(folder), "project_name": "study", "overwrite": True}
    tuner = tuner(hyper, hyper.objective, **where, **({} if tuner is kt.GridSearch else {"seed": 1}), **options)
    tuner.search(verbose=0)
    return tuner


@pytest.mark.parametrize(
    ("tuner", "options", "trials"),
    [
        pytest.param(kt.GridSearch, {}, 4, marks=pytest.mark.slow),
        pytest.param(kt.RandomSearch, {"max_trials": 2}, 2, marks=pytest.mark.slow),
        pytest.param(kt.BayesianOptimization, {"max_trials": 3, "num_initial_points": 2}, 3, marks=pytest.mark.slow),
    ],
)
def test_the_best_model_has_the_best_score(tuner, options, trials, tmp_path):
    betas = [0.01, 1.0] if tuner is kt.GridSearch else (0.01, 1.0, "log")
    hyper = HyperVAE(DATA, BOTH, LOSSES["blur"], betas, latents=3, **FAST)
    searched = search(tuner, hyper, tmp_path, **options)
    results = check_trials(searched)
    assert len(results) == trials
    assert {result["status"] for result in results} == {"COMPLETED"}
    assert all(result["objective"] in BOTH and 0.01 <= result["beta"] <= 1.0 for result in results)
    assert all(result["loss"] == "BoxBlurMSE" and result["loss_metric"] > 0 for result in results)
    if tuner is kt.GridSearch:
        assert len({(result["objective"], result["beta"]) for result in results}) == 4
    best = max(results, key=lambda result: result["val_mig"])
    # The weights of the best epoch, with channel constants for images of bytes.
    (model,) = searched.get_best_models()
    score = kv.metrics.evaluate(model.encode, DATA, ["mig"], train=32, test=16)["mig"]
    assert float(score) == pytest.approx(best["val_mig"], abs=1e-6)
    assert (model.latents, model.seed, model.knows_pixel_constants) == (3, 1, True)
    assert model.beta == pytest.approx(best["beta"])
    assert type(model) is BOTH[best["objective"]]
    assert int(model.step) == 2 * best["epoch"]


@pytest.mark.slow
def test_hyperband_lets_trials_go_on_from_their_weights(tmp_path):
    momentum = functools.partial(keras.optimizers.SGD, 0.01, momentum=0.9)
    hyper = HyperVAE(DATA, kv.BetaVAE, betas=(0.01, 1.0, "log"), latents=2, **{**SMALL, "optimizer": momentum})
    tuner = search(kt.Hyperband, hyper, tmp_path, max_epochs=2, factor=2)
    best = max(check_trials(tuner), key=lambda result: result["val_mig"])
    (model,) = tuner.get_best_models()
    score = kv.metrics.evaluate(model.encode, DATA, ["mig"], train=32, test=16)["mig"]
    assert float(score) == pytest.approx(best["val_mig"], abs=1e-6)
    trials = tuner.oracle.trials
    trial = next(each for each in trials.values() if each.hyperparameters.values["tuner/initial_epoch"])
    before, model = trials[trial.hyperparameters.values["tuner/trial_id"]], tuner.load_model(trial)
    # One epoch was done, one came on top.
    assert [int(each.step) for each in (tuner.load_model(before), model)] == [2, 4]
    # A run of as many steps that was not interrupted comes to the same weights.
    values = {name: value for name, value in trial.hyperparameters.values.items() if not name.startswith("tuner/")}
    hp = kt.HyperParameters()
    hp.values.update(values)
    whole = hyper.build(hp)
    whole.fit(kv.datasets.images(DATA, 8, steps=4, seed=1), verbose=0)
    for a, b in zip(whole.weights, model.weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(a), keras.ops.convert_to_numpy(b))


@pytest.mark.slow
def test_udr_compares_models_that_differ_in_their_seed(tmp_path):
    data = kv.datasets.FromArrays(DATA.images(np.arange(16)))  # without factors
    options = {"method": "spearman", "threshold": 0.0}
    hyper = HyperVAE(data, kv.BetaVAE, betas=0.01, latents=2, seed=7, udr_models=3, score={"udr": options}, **FAST)
    tuner = search(kt.RandomSearch, hyper, tmp_path, max_trials=1)
    (result,) = check_trials(tuner)
    assert hyper.objective == kt.Objective("val_udr", "max")
    images = data.images(np.random.default_rng(1).integers(16, size=32))
    models, scores = [], []
    for number in range(3):
        seed = 7 + number * SEED_DISTANCE
        encoder, decoder = (build(data.image_shape, 2, seed=2 * seed + i) for i, build in enumerate(NETWORKS))
        models.append(kv.BetaVAE(encoder, decoder, beta=0.01, seed=seed))
        models[-1].compile(FAST["optimizer"]())
    for start in (0, 2):
        for model in models:
            model.fit(kv.datasets.images(data, 8, steps=start + 2, seed=model.seed, start=start), verbose=0)
        codes, logvars = zip(*(model.encode(images, return_logvar=True) for model in models), strict=True)
        divergences = [
            0.5 * (mean**2 + np.exp(logvar) - 1 - logvar).mean(axis=0)
            for mean, logvar in zip(codes, logvars, strict=True)
        ]
        scores.append(np.mean([float(score) for score in udr(list(codes), divergences, **options)]))
    assert result["val_udr"] == pytest.approx(max(scores), abs=1e-5)
    assert result["epoch"] == 1 + int(np.argmax(scores))


def test_udr_models_of_a_trial_that_goes_on_have_as_many_steps(monkeypatch):
    hyper = HyperVAE(DATA, kv.BetaVAE, betas=0.01, latents=2, udr_models=2, score="udr", **FAST)
    built, build = [], hyper._build_from
    monkeypatch.setattr(hyper, "_build_from", lambda values: built.append(build(values)) or built[-1])
    hp = kt.HyperParameters()
    model = hyper.build(hp)
    model.step.assign(5)
    history = hyper.fit(hp, model, epochs=3, initial_epoch=2, verbose=0)
    assert [int(each.step) for each in built] == [7, 7]
    assert [each.seed for each in built] == [1, 1 + SEED_DISTANCE]
    assert len(history.history["val_udr"]) == 1


def test_every_training_draws_its_seed(tmp_path):
    hyper = HyperVAE(DATA, kv.BetaVAE, betas=0.01, latents=2, seed=None, **{**FAST, "epochs": 1})
    fitted, fit = [], hyper.fit

    def recorded(hp, model, **kwargs):
        fitted.append((model.seed, fit(hp, model, **kwargs)))
        return fitted[-1][1]

    hyper.fit = recorded
    (result,) = check_trials(search(kt.RandomSearch, hyper, tmp_path, max_trials=1, executions_per_trial=2))
    assert fitted[0][0] != fitted[1][0]
    assert result["val_mig"] == pytest.approx(np.mean([history.history["val_mig"] for _, history in fitted]))
    assert "seed" not in result


def test_arguments_belong_to_the_objectives_that_have_them():
    hyper = HyperVAE(
        DATA,
        {"beta": kv.BetaVAE, "annealed": kv.AnnealedVAE, "tc": kv.BetaTCVAE},
        arguments={"gamma": (1.0, 9.0, "linear")},
        betas=[0.5, 2.0],
        latents=(2, 5, "linear"),
        seed=[1, 2],
        **FAST,
    )
    hp = kt.HyperParameters()
    model = hyper.build(hp)
    assert isinstance(model, kv.BetaVAE) and model.beta == 0.5
    hp.values.update(objective="annealed", gamma=3.0, latents=5, seed=2)
    model = hyper.build(hp)
    assert (type(model), model.gamma, model.latents, model.seed) == (kv.AnnealedVAE, 3.0, 5, 2)
    hp.values.update(objective="tc", beta=2.0, gamma=4.0)
    model = hyper.build(hp)
    assert (type(model), model.beta, model.gamma, model.dataset_size) == (kv.BetaTCVAE, 2.0, 4.0, len(DATA))
    # Keras Tuner's grid leaves out what an objective does not have: seeds × latents × (β + 10 γ + β × 10 γ).
    space = {each.name: each for each in hp.space}
    assert [each.name for each in hp.space if each.conditions] == ["gamma", "beta"]
    assert space["latents"].sampling == "linear" and (space["latents"].min_value, space["latents"].max_value) == (2, 5)
    hp.values["objective"] = "beta"
    assert not hp.is_active("gamma") and hp.is_active("beta")
    hp.values["objective"] = "annealed"
    assert hp.is_active("gamma") and not hp.is_active("beta")


def test_the_pipeline_says_what_the_model_knows_of_pixels():
    hyper = HyperVAE(
        DATA,
        kv.BetaVAE,
        kv.losses.BernoulliNLL(),
        pipeline={"BetaVAE": functools.partial(kv.datasets.images, standardize=False)},
        **SMALL,
    )
    model = hyper.build(kt.HyperParameters())
    assert (model.pixel_mean, model.pixel_std, model.knows_pixel_constants) == ((0.0,), (1.0,), True)


def test_a_trial_that_diverges_fails_and_is_told(tmp_path):
    hyper = HyperVAE(DATA, kv.BetaVAE, betas=0.01, latents=2, optimizer=lambda: keras.optimizers.SGD(1e30), **SMALL)
    tuner = search(kt.GridSearch, hyper, tmp_path)
    with pytest.raises(
        FailedTrialsError, match=r"1 of 1 trials .*:\n.*'beta': 0.01.*FAILED.*the loss became nan in training step"
    ) as told:
        check_trials(tuner)
    ((beta, status),) = [(result["beta"], result["status"]) for result in told.value.results]
    assert (beta, status) == (0.01, "FAILED")
    tuner.oracle.trials.clear()
    with pytest.raises(RuntimeError, match="tuner has no trials"):
        check_trials(tuner)


def not_a_number(codes, factors):
    return np.nan


def broken(codes, factors):
    raise ValueError("this score is broken")


def test_what_is_wrong_with_every_trial_ends_the_search(tmp_path):
    hyper = HyperVAE(DATA, kv.BetaVAE, betas=[0.01, 0.1], latents=2, score=[broken], **FAST)
    with pytest.raises(kt.errors.FatalValueError, match="ValueError: this score is broken"):
        search(kt.RandomSearch, hyper, tmp_path, max_trials=2)
    with pytest.raises(kt.errors.FatalValueError, match="executions_per_trial must be 1 unless"):
        search(kt.RandomSearch, hyper, tmp_path, max_trials=2, executions_per_trial=2)


def test_an_objective_that_is_not_logged_ends_the_search(tmp_path):
    hyper, objective = HyperVAE(DATA, kv.BetaVAE, latents=2, **FAST), kt.Objective("val_dci", "max")
    tuner = kt.RandomSearch(hyper, objective, max_trials=2, directory=str(tmp_path), project_name="study")
    with pytest.raises(kt.errors.FatalValueError, match=r"objective must be 'val_mig', .*, got 'val_dci'"):
        tuner.search(verbose=0)
    # One that is logged is as good as HyperVAE's own.
    ObjectiveInLogs(objective, "val_mig").on_epoch_end(0, {"val_dci": 0.5})


def test_failures_and_errors_of_a_training():
    hyper = HyperVAE(DATA, kv.BetaVAE, betas=0.01, latents=2, score=[not_a_number], **FAST)
    hp = kt.HyperParameters()
    with pytest.raises(kt.errors.FailedTrialError, match="val_not_a_number is nan after step 2"):
        hyper.fit(hp, hyper.build(hp), verbose=0)

    def lost(*arguments, **options):
        raise OSError("no such disk")

    hp.values["beta"] = -1.0
    with pytest.raises(kt.errors.FatalValueError, match="beta must be at least 0"):
        hyper.build(hp)
    hp.values["beta"] = 0.01
    hyper.pipelines["BetaVAE"] = lost
    with pytest.raises(kt.errors.FatalRuntimeError, match="OSError: no such disk"):
        hyper.fit(hp, hyper.build(hp), verbose=0)
    for arguments, options in (([np.zeros(3)], {}), ([], {"x": 3}), ([], {"steps_per_epoch": 3})):
        with pytest.raises(kt.errors.FatalValueError, match="search takes no data"):
            hyper.fit(hp, None, *arguments, **options)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps_per_epoch": 0}, "steps_per_epoch must be"),
        ({"epochs": True}, "epochs must be"),
        ({"train": 1}, "train must be an integer, at least 2"),
        ({"udr_models": 1}, "udr_models must be"),
        ({"direction": "up"}, "direction must be"),
        ({"optimizer": keras.optimizers.Adam()}, "optimizer must be a function"),
        ({"objectives": "ada"}, "objectives must be"),
        ({"objectives": {}}, "objectives must be"),
        ({"objectives": {"model": keras.Model}}, "objectives must be"),
        ({"losses": "mse"}, "losses must be"),
        ({"losses": {"mse": None}}, "losses must be"),
        ({"networks": "cnn"}, "networks must be"),
        ({"networks": NETWORKS[:1]}, "networks must be"),
        ({"latents": 1.5}, "latents must be .* integers, at least 1, got 1.5"),
        ({"latents": [0, 3]}, "latents must be"),
        ({"latents": (5, 2, "log")}, "latents must be a range"),
        ({"latents": []}, "latents must be"),
        ({"seed": 0}, "seed must be"),
        ({"betas": (0.0, 1.0, "log")}, "betas must be a range .* above 0"),
        ({"betas": (1.0, 1.0, "linear")}, "betas must be a range"),
        ({"betas": [0.1, 0.1]}, "betas must be .* different"),
        ({"betas": [0.1, "log"]}, "betas must be .* one kind"),
        ({"betas": float("nan")}, "betas must be"),
        ({"betas": -1.0}, "beta must be at least 0"),
        ({"betas": [0.1, -1.0, 0.2]}, "beta must be at least 0"),
        ({"objectives": kv.AnnealedVAE, "betas": 0.1}, r"betas: none of the objectives \['AnnealedVAE'\]"),
        ({"arguments": {"gamma": 1.0}}, "arguments: none of the objectives"),
        ({"arguments": {"beta": 1.0}}, r"arguments must not hold \['beta'\]"),
        ({"arguments": [1.0]}, "arguments must be a dictionary"),
        ({"arguments": {"threshold": None}}, r"arguments\['threshold'\] must be"),
        ({"arguments": {"averaging": ["gvae", "none"]}}, "averaging must be"),
        ({"pipeline": "images"}, "pipeline must be"),
        ({"pipeline": {"no": kv.datasets.images}}, "pipeline must be"),
        ({"score": None}, "score must be"),
        ({"score": []}, "score must be"),
        ({"score": "gim"}, "score: .*'gim'"),
        ({"score": {"mig": {"bin": 3}}}, "score: .*mig"),
        ({"score": {"udr": {"method": "pearson"}}}, "score: method must be"),
        ({"data": kv.datasets.FromArrays(DATA.images(np.arange(16)))}, 'score must be "udr" for data without factors'),
    ],
)  # fmt: skip
def test_bad_arguments(change, said):
    with pytest.raises(ValueError, match=said):
        HyperVAE(**{"data": DATA, "latents": 2, **SMALL, **change})


@pytest.mark.parametrize(
    ("score", "direction"),
    [
        ("mig", "max"),
        ("udr", "max"),
        ("gaussian_wasserstein", "min"),
        ({"mutual_information_score": {"bins": 5}, "mig": {}}, "min"),
        ([kv.metrics.gaussian_total_correlation], "min"),
        ([not_a_number], "max"),
    ],
)
def test_the_direction_is_that_of_the_first_score(score, direction):
    hyper = HyperVAE(DATA, kv.BetaVAE, latents=2, score=score, **FAST)
    assert hyper.objective.direction == direction


def test_several_scores_of_which_the_first_counts():
    hyper = HyperVAE(DATA, kv.BetaVAE, latents=2, udr_models=2, score=["sap", "udr", "mig"], direction="min", **FAST)
    assert hyper.objective == kt.Objective("val_sap", "min")
    hp = kt.HyperParameters()
    history = hyper.fit(hp, hyper.build(hp), epochs=1, verbose=0).history
    assert {"val_sap", "val_udr", "val_mig", "loss"} <= set(history)
