"""The command line: what is answered without Keras, and a small run from `train` to `export`."""

import contextlib
import functools
import inspect
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kerasvae as kv
import kerasvae_command
from kerasvae import cli, networks

# A run of `kerasvae train` as far as its settings go, for what is answered before anything is loaded.
SETTINGS = {
    **kerasvae_command.DEFAULTS,
    **dict.fromkeys(kerasvae_command.ONLY_WITH),
    "objective": "betavae",
    "steps": 8,
    "reduction": "mean",
    "beta": 0.5,
    "steps_per_epoch": 1,
}
NEW = ["train", "--out", "{new}", "--steps", "8"]
RAMP = "must be a number, or a ramp START:STOP:STEPS"
HELPS = {
    (): "{train,score,export}",
    ("train",): "--steps-per-execution",
    ("score",): "--test-samples",
    ("export",): "tf_saved_model",
}
ERRORS = [
    ([], "a command is needed"),
    (["evaluate"], "invalid choice: 'evaluate'"),
    ([*NEW], "a new run needs --objective"),
    (["train", "--out", "{new}"], "a new run needs --objective and --steps"),
    (["train", "--steps", "8"], "required: --out"),
    ([*NEW, "--objective", "gan"], "argument --objective: invalid choice: 'gan' (choose from"),
    ([*NEW, "--objective", "vae", "--loss", "ssim"], "argument --loss: invalid choice: 'ssim'"),
    ([*NEW, "--objective", "vae", "--dataset", "mnist"], "argument --dataset: invalid choice: 'mnist'"),
    ([*NEW, "--objective", "vae", "--networks", "unet"], "argument --networks: invalid choice: 'unet'"),
    ([*NEW, "--objective", "betavae", "--beta", "-1"], f"argument --beta: {RAMP}, at least 0, got '-1'"),
    ([*NEW, "--objective", "betavae", "--beta", "nan"], f"argument --beta: {RAMP}, at least 0, got 'nan'"),
    ([*NEW, "--objective", "betatcvae", "--alpha", "inf"], f"argument --alpha: {RAMP}, got 'inf'"),
    ([*NEW, "--objective", "adagvae", "--threshold", "1.5"], f"{RAMP}, at least 0, at most 1, got '1.5'"),
    (
        [*NEW, "--objective", "annealedvae", "--capacity", "0:25"],
        f"argument --capacity: {RAMP}, at least 0, got '0:25'",
    ),
    ([*NEW, "--objective", "annealedvae", "--capacity", "0:25:0"], f"{RAMP}, at least 0, got '0:25:0'"),
    ([*NEW, "--objective", "annealedvae", "--capacity", "0:25:9.5"], f"{RAMP}, at least 0, got '0:25:9.5'"),
    ([*NEW, "--objective", "annealedvae", "--capacity", "0:-1:9"], f"{RAMP}, at least 0, got '0:-1:9'"),
    ([*NEW, "--objective", "annealedvae", "--capacity", "0:1:2:3"], f"{RAMP}, at least 0, got '0:1:2:3'"),
    (
        [*NEW, "--objective", "vae", "--beta", "1"],
        "--beta is only for --objective betavae, betatcvae, adagvae or adamlvae, not vae",
    ),
    ([*NEW, "--objective", "vae", "--capacity", "5"], "--capacity is only for --objective annealedvae, not vae"),
    (
        [*NEW, "--objective", "dipvae", "--gamma", "5"],
        "only for --objective annealedvae, factorvae or betatcvae, not dip",
    ),
    (
        [*NEW, "--objective", "adamlvae", "--averaging", "gvae"],
        "--averaging is only for --objective adagvae, not adaml",
    ),
    ([*NEW, "--objective", "factorvae", "--update", "both"], "argument --update: invalid choice: 'both' (choose from"),
    ([*NEW, "--objective", "betatcvae", "--estimator", "x"], "argument --estimator: invalid choice: 'x'"),
    (
        [*NEW, "--objective", "betavae", "--changed", "1"],
        "--changed is only for --objective adagvae or adamlvae, not betavae",
    ),
    ([*NEW, "--objective", "adagvae", "--changed", "7"], "--changed must be at most 6, the number of factors, got 7"),
    ([*NEW, "--objective", "adagvae", "--changed", "all"], "must be uniform, authors or an integer, at least 1"),
    ([*NEW, "--objective", "vae", "--blur-radius", "3"], "--blur-radius is only for --loss boxblur, not mse"),
    ([*NEW, "--objective", "vae", "--loss", "mae", "--blur-weight", "3"], "--blur-weight is only for --loss boxblur"),
    ([*NEW, "--objective", "vae", "--learning-rate", "0"], "--learning-rate: must be a number, above 0, got '0'"),
    ([*NEW, "--objective", "vae", "--steps", "1.5"], "argument --steps: must be an integer, at least 1, got '1.5'"),
    ([*NEW, "--objective", "vae", "--latents", "0"], "argument --latents: must be an integer, at least 1, got '0'"),
    ([*NEW, "--objective", "vae", "--grid-spacing", "9"], "--grid-spacing: must be an integer, from 1 to 8, got '9'"),
    ([*NEW, "--objective", "vae", "--num-squares", "4"], "--num-squares: must be an integer, from 1 to 3, got '4'"),
    ([*NEW, "--objective", "vae", "--seed", "-1"], "argument --seed: must be an integer, at least 0, got '-1'"),
    ([*NEW, "--objective", "vae", "--batch", "3"], "unrecognized arguments: --batch 3"),
    (["train", "--out", "{run}", "--objective", "vae", "--steps", "8"], "already holds a run; go on with --resume"),
    (["train", "--out", "{run}", "--resume", "--steps", "9"], "--resume: the run began with --steps 8 (given: 9)"),
    (
        ["train", "--out", "{run}", "--resume", "--beta", "1", "--latents", "9", "--loss", "mae"],
        "the run began with --beta 0.5 (given: 1.0), --loss mse (given: mae)",
    ),
    (["train", "--out", "{other}", "--resume"], "was not begun by `kerasvae train`: its settings lack 'objective'"),
    (["train", "--out", "{damaged}", "--resume"], "settings.json' is damaged"),
    (["score", "{new}"], "holds no run of `kerasvae train`"),
    (["score", "{run}", "--scores", "sap"], "argument --scores: invalid choice: 'sap'"),
    (["score", "{run}", "--scores", "mig", "--jobs", "2"], "--jobs is only for the score dci"),
    (["score", "{run}", "--samples", "1"], "argument --samples: must be an integer, at least 2, got '1'"),
    (["export", "{new}", "--format", "onnx"], "holds no run of `kerasvae train`"),
    (["export", "{run}"], "required: --format"),
    (["export", "{run}", "--format", "tflite"], "argument --format: invalid choice: 'tflite'"),
    (["export", "{run}", "--format", "onnx", "--out", "encoder"], "--out must end in .onnx for --format onnx"),
]
MANY_COMMANDS = """
import contextlib, io, json, sys
import kerasvae_command
answers = []
for argv in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = kerasvae_command.main(argv)
        except SystemExit as end:
            status = end.code
    answers.append([status, out.getvalue(), err.getvalue()])
heavy = sorted({"keras", "kerasvae", "numpy", "tensorflow", "jax", "torch", "rich"} & set(sys.modules))
print(json.dumps({"answers": answers, "heavy": heavy}))
"""


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """Status, output and errors of HELPS and ERRORS, all run in one process, and what that process has imported."""
    folder = tmp_path_factory.mktemp("cli")
    for name, text in {"run": json.dumps(SETTINGS), "other": '{"steps": 8}', "damaged": "{"}.items():
        (folder / name).mkdir()
        (folder / name / "settings.json").write_text(text)
    places = {name: str(folder / name) for name in ("new", "run", "other", "damaged")}
    commands = [[*command, "--help"] for command in HELPS]
    commands += [[part.format(**places) for part in argv] for argv, _ in ERRORS]
    process = subprocess.run(
        [sys.executable, "-c", MANY_COMMANDS],
        input=json.dumps(commands),
        env={**os.environ, "PYTHONPATH": str(Path(kerasvae_command.__file__).parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not (folder / "new").exists()
    return json.loads(process.stdout)


def test_help_and_errors_import_nothing_heavy(answered):
    assert answered["heavy"] == []


@pytest.mark.parametrize("number", range(len(HELPS)), ids=[" ".join(command) or "kerasvae" for command in HELPS])
def test_help(answered, number):
    status, out, err = answered["answers"][number]
    assert status == 0 and err == "" and list(HELPS.values())[number] in out


@pytest.mark.parametrize("number", range(len(ERRORS)), ids=[" ".join(argv) or "nothing" for argv, _ in ERRORS])
def test_errors(answered, number):
    status, out, err = answered["answers"][len(HELPS) + number]
    assert status == 2 and out == ""
    assert err.startswith("kerasvae") and "error: " in err and err.count("\n") == 1
    assert ERRORS[number][1] in err


@pytest.mark.parametrize(
    ("names", "mapped"),
    [
        (kerasvae_command.DATASETS, cli.DATASETS),
        (kerasvae_command.OBJECTIVES, cli.OBJECTIVES),
        (kerasvae_command.LOSSES, cli.LOSSES),
        (kerasvae_command.NETWORKS, cli.NETWORKS),
        (kerasvae_command.SCORES, sys.modules["kerasvae.metrics.evaluate"].SCORES),
        (kerasvae_command.FORMATS, kv.export.FORMATS),
        (kerasvae_command.REDUCTIONS, ("mean", "sum")),
        (kerasvae_command.ESTIMATORS, kv.math.ESTIMATORS),
        (kerasvae_command.AVERAGINGS, kv.AdaGVAE.averagings),
        ((kerasvae_command.SETTINGS,), (kv.runs.SETTINGS,)),
    ],
    ids="datasets objectives losses networks scores formats reductions estimators averagings settings".split(),
)
def test_choices_are_what_there_is(names, mapped):
    assert sorted(names) == sorted(mapped)


every_objective = pytest.mark.parametrize("objective", kerasvae_command.OBJECTIVES)
SQUARES = kv.datasets.XYSquares(num_squares=1, rgb=False)


@pytest.fixture
def small_networks(monkeypatch):
    """Networks of a few weights, for what does not depend on their size."""
    functions = (networks.mlp_encoder, networks.mlp_decoder)
    monkeypatch.setitem(cli.NETWORKS, "mlp", tuple(functools.partial(function, hidden=(4,)) for function in functions))
    discriminator = functools.partial(networks.mlp_discriminator, hidden=(4,))
    monkeypatch.setattr(sys.modules["kerasvae.models.factor_vae"], "mlp_discriminator", discriminator)


def model_of(objective, *options):
    """The model of `kerasvae train` with these options."""
    arguments = ["train", "--out", "nowhere", "--objective", objective, "--steps", "1", "--networks", "mlp"]
    arguments += ["--batch-size", "8", "--grey", "--num-squares", "1", *options]
    return cli._model(SQUARES, kerasvae_command.check(kerasvae_command.parser().parse_args(arguments)))


def options_of(objective):
    """The options that this objective has and `vae` has not, with their defaults, less those of its data."""
    options = {
        name: defaults[objective]
        for name, (choice, defaults) in kerasvae_command.ONLY_WITH.items()
        if choice == "objective" and objective in defaults
    }
    return {name: default for name, default in options.items() if name != "changed"}


def objective_config(model):
    """What is the objective's in a model's configuration."""
    others = ("encoder", "decoder", "discriminator", "name", "seed", "dataset_size")
    return {name: value for name, value in model.get_config().items() if name not in others}


@every_objective
def test_an_objective_s_options_are_its_class_s_arguments(objective):
    signature = {}
    for owner in reversed(cli.OBJECTIVES[objective].__mro__):
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
    assert set(options) <= set(cli.ARGUMENTS)


@every_objective
def test_without_options_a_model_is_the_class_s_own(small_networks, objective):
    model = model_of(objective)
    own = {"dataset_size": 64} if objective == "betatcvae" else {}
    plain = cli.OBJECTIVES[objective](model.encoder, model.decoder, **own)
    assert type(model) is type(plain)
    assert objective_config(model) == objective_config(plain)


def test_loss_options_have_the_class_s_defaults():
    loss, options = kv.losses.BoxBlurMSE(), kerasvae_command.ONLY_WITH
    assert options["blur_radius"] == ("loss", {"boxblur": loss.radius})
    assert options["blur_weight"] == ("loss", {"boxblur": loss.weight})


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
    ("text", "value"),
    [("5", 5.0), ("0:25:1000", "0:25:1000"), ("0.50:1e1:0010", "0.5:10:10"), ("-1e-5:0.1:9", "-1e-05:0.1:9")],
)
def test_numbers_and_ramps(text, value):
    assert kerasvae_command.hyperparameter(-math.inf)(text) == value
    if ":" in text:
        start, end, steps = (float(part) for part in text.split(":"))
        assert cli._argument(value) == kv.schedules.Linear(start, end, steps=steps)


@pytest.mark.parametrize(
    ("objective", "options"),
    [
        ("factorvae", {"update": kerasvae_command.UPDATES}),
        ("betatcvae", {"estimator": kerasvae_command.ESTIMATORS}),
        ("dipvae", {"kind": kerasvae_command.KINDS}),
        ("adagvae", {"averaging": kerasvae_command.AVERAGINGS, "distance": kerasvae_command.DISTANCES}),
    ],
)
def test_every_choice_is_one(small_networks, objective, options):
    for name, values in options.items():
        for value in values:
            assert getattr(model_of(objective, kerasvae_command.flag(name), value), name) == value


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
    assert kerasvae_command.main(arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "settings.json").exists()


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="how it is compiled is the contract's")
@every_objective
def test_every_objective_trains(small_networks, tmp_path, monkeypatch, objective):
    # Tracing would cost more than the steps do.
    monkeypatch.setattr(kv.VAE, "compile", functools.partialmethod(kv.VAE.compile, run_eagerly=True))
    arguments = ["train", "--objective", objective, "--networks", "mlp", "--grey", "--num-squares", "1", "--steps", "2"]
    with contextlib.redirect_stdout(None):
        assert kerasvae_command.main([*arguments, "--batch-size", "4", "--quiet", "--out", str(tmp_path)]) == 0
    model = kv.runs.load_model(tmp_path)
    assert type(model) is cli.OBJECTIVES[objective] and int(model.step) == 2
    # Of its own it has learnt the constants of the data.
    constants = {"pixel_mean": list(SQUARES.mean), "pixel_std": list(SQUARES.std)}
    assert objective_config(model) == {**objective_config(model_of(objective)), **constants}


def test_a_run_that_was_begun_before_an_option_was_added():
    before = {name: value for name, value in SETTINGS.items() if name not in ("gamma", "threshold")}
    settings = kerasvae_command.train_settings({}, before)
    assert {**settings, "steps_per_epoch": 1} == SETTINGS


def test_version(capsys):
    assert kerasvae_command.main(["--version"]) == 0
    assert capsys.readouterr().out == f"kerasvae {kv.__version__}\n"


def test_package_s_errors_are_one_line(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").write_text(json.dumps(SETTINGS))
    assert kerasvae_command.main(["export", str(tmp_path / "run"), "--format", "onnx"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("kerasvae: error: folder: ") and "holds neither model.keras nor" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("of\nthree\nlines"), 2, "kerasvae: error: of three lines\n"),
        (FileNotFoundError(2, "No such file", "a"), 2, "kerasvae: error: [Errno 2] No such file: 'a'\n"),
        (ImportError("no tensorflow"), 2, "kerasvae: error: no tensorflow\n"),
        (RuntimeError(), 1, "kerasvae: error: RuntimeError\n"),
    ],
)
def test_errors_while_it_runs(tmp_path, monkeypatch, capsys, error, status, line):
    def fail(**_):
        raise error

    monkeypatch.setattr(cli, "train", fail)
    assert kerasvae_command.main(["train", "--objective", "vae", "--steps", "1", "--out", str(tmp_path)]) == status
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("began", [True, False])
def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch, capsys, began):
    def interrupt(out, **_):
        if began:
            (out / "settings.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "train", interrupt)
    assert kerasvae_command.main(["train", "--objective", "vae", "--steps", "1", "--out", str(tmp_path)]) == 130
    advice = f"; go on with: kerasvae train --resume --out {tmp_path}" if began else " before the run began"
    assert capsys.readouterr().err == f"\nkerasvae: interrupted{advice}\n"


# One small run --------

TRAIN = [
    *("train", "--objective", "adagvae", "--loss", "boxblur", "--beta", "0.01", "--networks", "mlp", "--latents", "2"),
    *("--grey", "--num-squares", "1", "--steps", "8", "--batch-size", "4", "--checkpoint-every", "3", "--quiet"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run that was interrupted at step 5 and resumed, and what it printed."""
    pytest.importorskip("tensorflow", reason="the pipelines are tf.data")
    folder = tmp_path_factory.mktemp("cli") / "run"
    fit = kv.AdaGVAE.fit

    def interrupted_fit(self, *args, callbacks, **kwargs):
        def stop(batch, logs=None):
            if hasattr(self, "jax_state_sync"):
                self.jax_state_sync()  # on JAX the model's variables are empty while it trains
            if int(self.step.numpy()) == 5:
                raise KeyboardInterrupt

        callbacks = [*callbacks, keras.callbacks.LambdaCallback(on_train_batch_end=stop)]
        return fit(self, *args, callbacks=callbacks, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv.AdaGVAE, "fit", interrupted_fit)
        assert kerasvae_command.main([*TRAIN, "--out", str(folder)]) == 130
    assert (folder / "checkpoint.keras").is_file()
    return folder


def test_train_and_resume(run, tmp_path, capsys):
    # Without the other arguments: they are the run's.
    assert kerasvae_command.main(["train", "--resume", "--quiet", "--out", str(run)]) == 0
    assert capsys.readouterr().out == (
        f"trained 8 steps: {run / 'model.keras'}, history in {run / 'history.csv'}\nnext: kerasvae score {run}\n"
    )
    assert kerasvae_command.main([*TRAIN, "--resume", "--out", str(run)]) == 0
    assert kerasvae_command.main([*TRAIN, "--out", str(tmp_path / "whole")]) == 0
    model, whole = (kv.runs.load_model(folder) for folder in (run, tmp_path / "whole"))
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (run / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()
    # The data set's constants were learnt, so that raw images can be encoded and exported.
    data = kv.datasets.XYSquares(num_squares=1, rgb=False)
    assert model.pixel_mean == tuple(data.mean) and model.pixel_std == tuple(data.std)
    assert model.reconstruction.get_config()["weight"] == 3969.0 and model.beta == 0.01 and model.latents == 2


def test_score(run, capsys):
    assert kerasvae_command.main(["train", "--resume", "--quiet", "--out", str(run)]) == 0
    capsys.readouterr()
    arguments = ["score", str(run), "--samples", "200", "--test-samples", "50", "--seed", "3"]
    assert kerasvae_command.main([*arguments, "--jobs", "2"]) == 0
    table = capsys.readouterr().out
    report = json.loads((run / "scores.json").read_text())
    data = kv.datasets.XYSquares(num_squares=1, rgb=False)
    expected = kv.metrics.evaluate(kv.runs.load_model(run).encode, data, ["mig", "dci"], seed=3, train=200, test=50)
    assert report == {
        "step": 8,
        "seed": 3,
        "samples": 200,
        "test_samples": 50,
        "scores": {name: score.to_json() for name, score in expected.items()},
    }
    for name, score in expected.items():
        assert f"{name}" in table and f"{float(score):.4f}" in table
    assert kerasvae_command.main([*arguments, "--scores", "mig", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == {"mig": expected["mig"].to_json()}


def test_export(run, capsys):
    assert kerasvae_command.main(["train", "--resume", "--quiet", "--out", str(run)]) == 0
    format, name = ("onnx", "encoder.onnx") if keras.config.backend() == "tensorflow" else ("tf_saved_model", "encoder")
    if keras.config.backend() == "torch":
        assert kerasvae_command.main(["export", str(run), "--format", format]) == 2
        assert "cannot be written from the torch backend" in capsys.readouterr().err
        return
    capsys.readouterr()
    assert kerasvae_command.main(["export", str(run), "--format", format]) == 0
    assert capsys.readouterr().out == f"exported {run / name}, described in {run / name}.json\n"
    images = kv.datasets.XYSquares(num_squares=1, rgb=False).images([0, 9, 63])
    outputs = kv.export.run(run / name, images, format)
    np.testing.assert_allclose(outputs["mean"], kv.runs.load_model(run).encode(images), atol=1e-5)
    # The run's own folder is no place for an export that replaces it.
    before = sorted(path.name for path in run.iterdir())
    assert kerasvae_command.main(["export", str(run), "--format", "tf_saved_model", "--out", str(run)]) == 2
    assert sorted(path.name for path in run.iterdir()) == before


def test_bernoulli_learns_and_is_scored_on_images_in_0_1(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow", reason="the pipelines are tf.data")
    arguments = ["train", "--objective", "vae", "--loss", "bernoulli", "--networks", "mlp", "--latents", "2", "--grey"]
    arguments += ["--num-squares", "1", "--steps", "2", "--batch-size", "4", "--quiet", "--out", str(tmp_path)]
    with contextlib.redirect_stdout(None):
        assert kerasvae_command.main(arguments) == 0
    model = kv.runs.load_model(tmp_path)
    assert model.pixel_mean == (0.0,) and model.pixel_std == (1.0,)
    seen = []

    def first_codes(codes, factors):
        seen.append((codes, factors))
        return 0.0

    evaluate = kv.metrics.evaluate
    monkeypatch.setattr(
        kv.metrics, "evaluate", lambda encode, data, scores, **options: evaluate(encode, data, [first_codes], **options)
    )
    with contextlib.redirect_stdout(None):
        assert kerasvae_command.main(["score", str(tmp_path), "--samples", "9", "--test-samples", "1"]) == 0
    codes, factors = seen[0]
    data = kv.datasets.XYSquares(num_squares=1, rgb=False)
    expected = model.encode((data.images(data.index(factors)) / 255).astype("float32"))
    np.testing.assert_allclose(codes, expected, atol=1e-5)
