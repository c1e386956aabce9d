"""The command line: what is answered without Keras, and a small run from `train` to `export`."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import kerasvae as kv
import kerasvae_command
from kerasvae import cli

# A run of `kerasvae train` as far as its settings go, for what is answered before anything is loaded.
SETTINGS = {
    **kerasvae_command.DEFAULTS,
    "objective": "betavae",
    "steps": 8,
    "reduction": "mean",
    "beta": 0.5,
    "changed": None,
    "blur_radius": None,
    "blur_weight": None,
    "steps_per_epoch": 1,
}
NEW = ["train", "--out", "{new}", "--steps", "8"]
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
    ([*NEW, "--objective", "betavae", "--beta", "-1"], "argument --beta: must be a number, at least 0, got '-1'"),
    ([*NEW, "--objective", "betavae", "--beta", "nan"], "argument --beta: must be a number, at least 0, got 'nan'"),
    ([*NEW, "--objective", "vae", "--beta", "1"], "--beta is only for --objective betavae or adagvae, not vae"),
    ([*NEW, "--objective", "betavae", "--changed", "1"], "--changed is only for --objective adagvae, not betavae"),
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
        ((kerasvae_command.SETTINGS,), (kv.runs.SETTINGS,)),
    ],
    ids=["datasets", "objectives", "losses", "networks", "scores", "formats", "reductions", "settings"],
)
def test_choices_are_what_there_is(names, mapped):
    assert sorted(names) == sorted(mapped)


def test_options_of_some_choices_have_the_package_s_defaults():
    options = {name: default for name, (_, _, default) in kerasvae_command.ONLY_WITH.items()}
    loss = kv.losses.BoxBlurMSE()
    assert (options["blur_radius"], options["blur_weight"]) == (loss.radius, loss.weight)
    for objective, reduction in (("vae", "sum"), ("betavae", "mean"), ("adagvae", "mean")):
        settings = kerasvae_command.train_settings({"objective": objective, "steps": 1, "networks": "mlp"}, None)
        model = cli._model(kv.datasets.XYSquares(num_squares=1), settings)
        assert type(model) is cli.OBJECTIVES[objective] and model.reduction == settings["reduction"] == reduction
        if objective != "vae":
            assert model.beta == settings["beta"] == options["beta"]


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
