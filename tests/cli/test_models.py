"""`kerasvae train`: the objectives, their options, and the models that these make."""

import contextlib
import inspect

import keras
import pytest

import kerasvae as kv
from kerasvae import cli
from kerasvae.cli import train
from kerasvae.cli.options import flag

every_objective = pytest.mark.parametrize("objective", train.OBJECTIVES)
SQUARES = kv.datasets.XYSquares(num_squares=1, rgb=False)


def model_of(objective, *options):
    """The model of `kerasvae train` with these options."""
    arguments = ["train", "--out", "nowhere", "--objective", objective, "--steps", "1", "--networks", "mlp"]
    arguments += ["--batch-size", "8", "--grey", "--num-squares", "1", *options]
    return train.build_model(SQUARES, cli.check(cli.parser().parse_args(arguments)))


def options_of(objective):
    """The options that this objective has and `vae` has not, with their defaults, less those of its data."""
    options = {
        name: defaults[objective]
        for name, (choice, defaults) in train.ONLY_WITH.items()
        if choice == "objective" and objective in defaults
    }
    return {name: default for name, default in options.items() if name not in ("changed", "radius")}


def objective_config(model):
    """What is the objective's in a model's configuration."""
    others = ("encoder", "decoder", "discriminator", "name", "seed", "dataset_size")
    return {name: value for name, value in model.get_config().items() if name not in others}


@every_objective
def test_an_objective_s_options_are_its_class_s_arguments(objective):
    signature = {}
    for owner in reversed(train.objective_class(objective).__mro__):
        if issubclass(owner, kv.VAE) and owner is not kv.VAE:
            parameters = inspect.signature(owner.__init__).parameters.values()
            signature.update((parameter.name, parameter.default) for parameter in parameters)
    # Of the data, of every objective, or with one value alone.
    for name in (
        "self",
        "encoder",
        "decoder",
        "reconstruction",
        "kwargs",
        "reduction",
        "dataset_size",
        "discriminator",
    ):
        signature.pop(name, None)
    if objective == "adamlvae":
        assert signature.pop("averaging") == "mlvae"
    options = options_of(objective)
    if objective == "annealedvae":
        assert signature.pop("capacity") is None and options.pop("capacity")  # compared by the next test
    assert options == signature
    assert set(options) <= set(train.ARGUMENTS)


@every_objective
def test_without_options_a_model_is_the_class_s_own(small_networks, objective):
    model = model_of(objective)
    own = {"pixel_mean": model.pixel_mean, "pixel_std": model.pixel_std}
    if objective == "betatcvae":
        own["dataset_size"] = 64
    plain = train.objective_class(objective)(model.encoder, model.decoder, **own)
    assert type(model) is type(plain)
    assert objective_config(model) == objective_config(plain)


OPTIONS = {
    "vae": {"--reduction": ("mean", {"reduction": "mean"})},
    "betavae": {"--beta": ("0:4:10", {"beta": kv.schedules.Linear(0, 4, steps=10)})},
    "annealedvae": {
        "--gamma": ("10", {"gamma": 10.0}),
        "--capacity": ("0.5:5:4", {"capacity": kv.schedules.Linear(0.5, 5, steps=4)}),
    },
    "factorvae": {"--gamma": ("3", {"gamma": 3.0}), "--update": ("simultaneous", {"update": "simultaneous"})},
    "betatcvae": {
        "--alpha": ("-5", {"alpha": -5.0}),
        "--beta": ("2", {"beta": 2.0}),
        "--gamma": ("1e-3:1:9", {"gamma": kv.schedules.Linear(0.001, 1, steps=9)}),
        "--estimator": ("mss_legacy", {"estimator": "mss_legacy", "dataset_size": 64}),
    },
    "dipvae": {"--kind": ("i", {"kind": "i"}), "--lambda-od": ("2", {"lambda_od": 2.0, "lambda_d": 20.0})},
    "infovae": {"--alpha": ("-0.5", {"alpha": -0.5}), "--lambda-mmd": ("7", {"lambda_mmd": 7.0})},
    "adagvae": {
        "--averaging": ("authors", {"averaging": "authors"}),
        "--distance": ("forward", {"distance": "forward"}),
        "--threshold": ("0.25", {"threshold": 0.25}),
    },
    "adamlvae": {"--beta": ("0.1", {"beta": 0.1})},
}


@every_objective
def test_options_reach_the_model(small_networks, objective):
    model = model_of(objective, *(part for flag, (text, _) in OPTIONS[objective].items() for part in (flag, text)))
    for _, expected in OPTIONS[objective].values():
        assert {name: getattr(model, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("objective", "options"),
    [
        ("factorvae", {"update": train.UPDATES}),
        ("betatcvae", {"estimator": train.ESTIMATORS}),
        ("dipvae", {"kind": train.KINDS}),
        ("adagvae", {"averaging": train.AVERAGINGS, "distance": train.DISTANCES}),
    ],
)
def test_every_choice_is_one(small_networks, objective, options):
    for name, values in options.items():
        for value in values:
            assert getattr(model_of(objective, flag(name), value), name) == value


@pytest.mark.parametrize(
    ("objective", "options", "message"),
    [
        (
            "betatcvae",
            ["--batch-size", "65"],
            "--batch-size must be at least 2 and at most 64, the number of images, for --objective betatcvae, got 65",
        ),
        ("factorvae", ["--batch-size", "3"], "--batch-size must be at least 4 for --objective factorvae, got 3"),
        ("infovae", ["--alpha", "2"], "alpha must be at most 1, got 2.0"),
        ("dipvae", ["--lambda-od", "0:1:9"], "lambda_d must be given where lambda_od is a schedule"),
    ],
)
def test_what_an_objective_refuses_leaves_no_run(small_networks, tmp_path, capsys, objective, options, message):
    pytest.importorskip("tensorflow", reason="the pipelines are tf.data")
    arguments = ["train", "--objective", objective, "--networks", "mlp", "--grey", "--num-squares", "1", "--steps", "1"]
    arguments += ["--batch-size", "8", *options, "--out", str(tmp_path / "run")]
    assert cli.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "settings.json").exists()


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="how it is compiled is the contract's")
# One optimizer, pairs, the size of the data, two optimizers.
@pytest.mark.parametrize("objective", ["betavae", "adagvae", "betatcvae", "factorvae"])
def test_every_kind_of_objective_trains(small_networks, eager, tmp_path, objective):
    arguments = ["train", "--objective", objective, "--networks", "mlp", "--grey", "--num-squares", "1", "--steps", "2"]
    arguments += ["--batch-size", "4", "--quiet"]
    with contextlib.redirect_stdout(None):
        assert cli.main([*arguments, "--out", str(tmp_path / "run")]) == 0
        assert cli.main([*arguments, "--on-device", "--out", str(tmp_path / "on_device")]) == 0
    model, on_device = (kv.runs.load_model(tmp_path / folder) for folder in ("run", "on_device"))
    assert type(model) is train.objective_class(objective) and int(model.step) == 2
    for a, b in zip(model.get_weights(), on_device.get_weights(), strict=True):
        assert (a == b).all()
    # Of its own it has learnt the constants of the data.
    constants = {"pixel_mean": list(SQUARES.mean), "pixel_std": list(SQUARES.std)}
    assert objective_config(model) == {**objective_config(model_of(objective)), **constants}
