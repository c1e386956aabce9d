"""What the command answers without Keras: help, wrong arguments, and the settings of a run."""

import inspect
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

import kerasvae as kv
from kerasvae import cli, image_files, perception
from kerasvae.cli import data, export, factor_importance, loss_audit, losses, options, score, train
from kerasvae.datasets import mpi3d, smallnorb

# A run of `kerasvae train` as far as its settings go, for what is answered before anything is loaded.
SETTINGS = {
    **train.DEFAULTS,
    **dict.fromkeys(train.ONLY_WITH),
    "grid_spacing": 8,
    "num_squares": 3,
    "grey": False,
    "objective": "betavae",
    "steps": 8,
    "reduction": "mean",
    "beta": 0.5,
    "steps_per_epoch": 1,
}
NEW = ["train", "--out", "{new}", "--steps", "8"]
VAE, PAIRS = [*NEW, "--objective", "vae"], [*NEW, "--objective", "adagvae"]
RAMP = "must be a number, or a ramp START:STOP:STEPS"
HELPS = {
    (): "{train,score,export,encode,serve,factor-importance,loss-audit,experiment,results,report}",
    ("train",): "--steps-per-execution",
    ("score",): "--test-samples",
    ("export",): "tf_saved_model",
    ("encode",): "--pixel-limit",
    ("serve",): "--batch-delay-ms",
    ("factor-importance",): "--protocol",
    ("factor_importance",): "--protocol",
    ("loss-audit",): "--radii",
    ("loss_audit",): "--radii",
    ("audit",): "--radii",
    ("experiment",): "--flavour",
    ("results",): "--out",
    ("report",): "--beside",
}
ERRORS = [
    (
        [],
        "a command is needed: train, score, export, encode, serve, factor-importance, loss-audit, experiment, results "
        "or report",
    ),
    (["evaluate"], "invalid choice: 'evaluate'"),
    ([*NEW], "a new run needs --objective"),
    (["train", "--out", "{new}"], "a new run needs --objective and --steps"),
    (["train", "--steps", "8"], "required: --out"),
    ([*NEW, "--objective", "gan"], "argument --objective: invalid choice: 'gan' (choose from"),
    ([*VAE, "--loss", "ssim"], "argument --loss: invalid choice: 'ssim'"),
    ([*VAE, "--networks", "unet"], "argument --networks: invalid choice: 'unet'"),
    ([*NEW, "--objective", "betavae", "--beta", "-1"], f"argument --beta: {RAMP}, at least 0, got '-1'"),
    ([*NEW, "--objective", "betavae", "--beta", "nan"], f"argument --beta: {RAMP}, at least 0, got 'nan'"),
    ([*NEW, "--objective", "betatcvae", "--alpha", "inf"], f"argument --alpha: {RAMP}, got 'inf'"),
    ([*PAIRS, "--threshold", "1.5"], f"{RAMP}, at least 0, at most 1, got '1.5'"),
    (
        [*NEW, "--objective", "annealedvae", "--capacity", "0:25"],
        f"argument --capacity: {RAMP}, at least 0, got '0:25'",
    ),
    ([*NEW, "--objective", "annealedvae", "--capacity", "0:25:0"], f"{RAMP}, at least 0, got '0:25:0'"),
    ([*NEW, "--objective", "annealedvae", "--capacity", "0:25:9.5"], f"{RAMP}, at least 0, got '0:25:9.5'"),
    ([*NEW, "--objective", "annealedvae", "--capacity", "0:-1:9"], f"{RAMP}, at least 0, got '0:-1:9'"),
    ([*NEW, "--objective", "annealedvae", "--capacity", "0:1:2:3"], f"{RAMP}, at least 0, got '0:1:2:3'"),
    ([*VAE, "--beta", "1"], "--beta is only for --objective betavae, betatcvae, adagvae or adamlvae, not vae"),
    ([*VAE, "--capacity", "5"], "--capacity is only for --objective annealedvae, not vae"),
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
    ([*VAE, "--blur-radius", "3"], "--blur-radius is only for --loss boxblur, not mse"),
    ([*VAE, "--loss", "mae", "--blur-weight", "3"], "--blur-weight is only for --loss boxblur"),
    ([*VAE, "--learning-rate", "0"], "--learning-rate: must be a number, above 0, got '0'"),
    ([*VAE, "--steps", "1.5"], "argument --steps: must be an integer, at least 1, got '1.5'"),
    ([*VAE, "--latents", "0"], "argument --latents: must be an integer, at least 1, got '0'"),
    ([*VAE, "--seed", "-1"], "argument --seed: must be an integer, at least 0, got '-1'"),
    ([*VAE, "--batch", "3"], "unrecognized arguments: --batch 3"),
    # Pairs
    (
        [*NEW, "--objective", "betavae", "--changed", "1"],
        "--changed is only for --objective adagvae or adamlvae, not betavae",
    ),
    ([*NEW, "--objective", "betavae", "--radius", "1"], "--radius is only for --objective adagvae or adamlvae"),
    ([*PAIRS, "--changed", "7"], "--changed must be at most 6, the number of factors, got 7"),
    ([*PAIRS, "--num-squares", "1", "--changed", "0:3"], "--changed must be at most 2, the number of factors, got 0:3"),
    ([*PAIRS, "--dataset", "cars3d", "--changed", "4"], "--changed must be at most 3, the number of factors, got 4"),
    ([*PAIRS, "--dataset", "smallnorb", "--factors", "4", "--changed", "5"], "--changed must be at most 4, the number"),
    *(
        ([*PAIRS, "--changed", text], f"must be uniform, authors, random, an integer, at least 1, or a range {range}")
        for range, texts in {"LEAST:MOST, got": ("all", "0", "-1", "3:2", "1:2:3", "1:", ":", "1.5")}.items()
        for text in texts
    ),
    ([*PAIRS, "--radius", "0"], "argument --radius: must be an integer, at least 1, got '0'"),
    ([*PAIRS, "--radius", "2", "--changed", "authors"], "--radius is not for --changed authors"),
    ([*PAIRS, "--radius", "2", "--changed", "random"], "--radius is not for --changed random"),
    # Data sets
    ([*VAE, "--dataset", "mnist"], "argument --dataset: invalid choice: 'mnist'"),
    ([*VAE, "--grid-spacing", "9"], "--grid-spacing must be from 1 to 8 for --dataset xysquares, got 9"),
    ([*VAE, "--grid-spacing", "0"], "argument --grid-spacing: must be an integer, at least 1, got '0'"),
    ([*VAE, "--num-squares", "4"], "--num-squares: must be an integer, from 1 to 3, got '4'"),
    ([*VAE, "--dataset", "xyobject", "--num-squares", "1"], "--num-squares is only for --dataset xysquares, not xyobj"),
    ([*VAE, "--palette", "rgb"], "--palette is only for --dataset xyobject or xyobjectshaded, not xysquares"),
    ([*VAE, "--dataset", "dsprites", "--grey"], "--grey is only for --dataset xysquares, not dsprites"),
    ([*VAE, "--dataset", "dsprites", "--source", "new"], "argument --source: invalid choice: 'new'"),
    ([*VAE, "--dataset", "dsprites", "--data-dir", "d"], "--data-dir is only for --source original, not rendered"),
    ([*VAE, "--dataset", "shapes3d", "--manual-dir", "{new}"], "argument --manual-dir: there is no folder '"),
    ([*VAE, "--dataset", "screamdsprites"], "--dataset screamdsprites needs --background, an image; for the data set"),
    (
        [*VAE, "--dataset", "screamdsprites", "--background", "{new}"],
        "/new'; for the data set of the paper download https://upload.wikimedia.org/",
    ),
    ([*VAE, "--dataset", "smallnorb", "--split", "val"], "argument --split: invalid choice: 'val'"),
    ([*VAE, "--dataset", "smallnorb", "--factors", "3"], "--factors: must be an integer, from 4 to 5, got '3'"),
    (
        [*VAE, "--dataset", "mpi3d", "--md5", "55889cb7"],
        "argument --md5: must be 32 hexadecimal digits, got '55889cb7'",
    ),
    ([*VAE, "--dataset", "folder"], "--dataset folder needs --folder, the folder of your images"),
    ([*VAE, "--dataset", "folder", "--folder", "{new}"], "argument --folder: there is no folder '"),
    ([*VAE, "--dataset", "folder", "--folder", ""], "argument --folder: must be a path, got ''"),
    ([*VAE, "--dataset", "folder", "--factors-csv", "{run}"], "argument --factors-csv: there is no file '"),
    *(
        ([*VAE, "--dataset", "folder", "--image-size", text], "must be an integer, at least 1, or HEIGHTxWIDTH, got")
        for text in ("0", "64x", "64x0", "64x64x3", "-1", "big")
    ),
    ([*VAE, "--dataset", "folder", "--channels", "2"], "argument --channels: invalid choice: 2 (choose from 1, 3)"),
    # Runs that have begun
    (["train", "--out", "{run}", "--objective", "vae", "--steps", "8"], "already holds a run; go on with --resume"),
    (["train", "--out", "{run}", "--resume", "--steps", "9"], "--resume: the run began with --steps 8 (given: 9)"),
    (
        ["train", "--out", "{run}", "--resume", "--beta", "1", "--latents", "9", "--loss", "mae"],
        "the run began with --beta 0.5 (given: 1.0), --loss mse (given: mae)",
    ),
    (
        ["train", "--out", "{run}", "--resume", "--dataset", "dsprites", "--on-device"],
        "the run began with --dataset xysquares (given: dsprites), --on-device False (given: True)",
    ),
    (["train", "--out", "{other}", "--resume"], "was not begun by `kerasvae train`: its settings lack 'objective'"),
    (["train", "--out", "{damaged}", "--resume"], "settings.json' is damaged"),
    # The other commands
    (["score", "{new}"], "is no file, and holds no run of `kerasvae train`"),
    (["score", "{run}", "--scores", "dcimig"], "argument --scores: invalid choice: 'dcimig'"),
    (["score", "{run}", "--samples", "1"], "argument --samples: must be an integer, at least 2, got '1'"),
    (["score", "{run}", "--bootstrap", "1"], "argument --bootstrap: must be an integer, 0 or at least 2, got '1'"),
    (["score", "{run}", "--preset", "quick"], "argument --preset: invalid choice: 'quick'"),
    (["score", "{run}", "--representation", "median"], "argument --representation: invalid choice: 'median'"),
    (["score", "{codes}", "--samples", "9"], "--samples is only for runs, not for codes in a file"),
    (["score", "{codes}", "--test-samples", "9"], "--test-samples is only for runs, not for codes in a file"),
    (["score", "{codes}", "--representation", "mean"], "--representation is only for runs, not for codes in a file"),
    (["export", "{new}", "--format", "onnx"], "holds no run of `kerasvae train`"),
    (["export", "{run}"], "required: --format"),
    (["export", "{run}", "--format", "tf_saved_model", "--out", "{codes}"], "--out: there is something at"),
    (["export", "{run}", "--format", "bundle", "--out", "{codes}", "--force"], "--out: must be a folder, got the file"),
    (["export", "{run}", "--format", "tflite"], "argument --format: invalid choice: 'tflite'"),
    (["export", "{run}", "--format", "bundle", "--formats", "saved_model"], "argument --formats: invalid choice: 'sav"),
    (["export", "{run}", "--format", "onnx", "--out", "encoder"], "--out must end in .onnx for --format onnx"),
    (["factor-importance", "--loss", "bernoulli"], "argument --loss: invalid choice: 'bernoulli'"),
    (["factor-importance", "--blur-radius", "3"], "--blur-radius is only for --loss boxblur, not mse"),
    (["factor-importance", "--pairs", "0"], "argument --pairs: must be an integer, at least 1, got '0'"),
    (["factor-importance", "--protocol", "x"], "argument --protocol: invalid choice: 'x'"),
    (["factor-importance", "--dataset", "folder"], "--dataset folder needs --folder, the folder of your images"),
    (["loss-audit", "--pairs", "1"], "argument --pairs: must be an integer, at least 2, got '1'"),
    (["loss-audit", "--radii", "3", "--loss", "mse"], "--radii is only for --loss boxblur, not mse"),
    (["loss-audit", "--weights", "3", "--loss", "mae"], "--weights is only for --loss boxblur, not mae"),
    (["loss-audit", "--weights", "-1"], "argument --weights: must be a number, at least 0, got '-1'"),
    (["audit", "--palette", "rgb"], "--palette is only for --dataset xyobject or xyobjectshaded, not xysquares"),
]
MANY_COMMANDS = """
import contextlib, io, json, sys
from kerasvae import cli
answers = []
for argv in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cli.main(argv)
        except SystemExit as end:
            status = end.code
    answers.append([status, out.getvalue(), err.getvalue()])
heavy = sorted({"keras", "numpy", "tensorflow", "jax", "torch", "rich"} & set(sys.modules))
print(json.dumps({"answers": answers, "heavy": heavy}))
"""


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """Status, output and errors of HELPS and ERRORS, all run in one process, and what that process has imported."""
    folder = tmp_path_factory.mktemp("cli")
    for name, text in {"run": json.dumps(SETTINGS), "other": '{"steps": 8}', "damaged": "{"}.items():
        (folder / name).mkdir()
        (folder / name / "settings.json").write_text(text)
    (folder / "codes").touch()
    places = {name: str(folder / name) for name in ("new", "run", "other", "damaged", "codes")}
    commands = [[*command, "--help"] for command in HELPS]
    commands += [[part.format(**places) for part in argv] for argv, _ in ERRORS]
    process = subprocess.run(
        [sys.executable, "-c", MANY_COMMANDS],
        input=json.dumps(commands),
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])},
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


def classes(room, base):
    """Names of the public classes of a room that can be made and are of a kind."""
    found = {name: getattr(room, name) for name in room.__all__ if isinstance(getattr(room, name), type)}
    return [name for name, kind in found.items() if issubclass(kind, base) and not inspect.isabstract(kind)]


# Data sets that are made of arrays, which a command line cannot give.
OF_ARRAYS = ("FromArrays", "GroundTruthData", "ImageTable")


@pytest.mark.parametrize(
    ("names", "mapped"),
    [
        ({*data.DATASETS.values(), *OF_ARRAYS}, classes(kv.datasets, kv.datasets.GroundTruthData)),
        (train.OBJECTIVES.values(), classes(kv.models, kv.VAE)),
        (losses.LOSSES.values(), classes(kv.losses, keras.losses.Loss)),
        (train.NETWORKS, kv.networks.NETWORKS),
        (score.SCORES, kv.metrics.SCORES),
        (score.PRESETS, sys.modules["kerasvae.metrics.evaluate"].PRESETS),
        (score.REPRESENTATIONS, sys.modules["kerasvae.metrics.material"].REPRESENTATIONS),
        (export.FORMATS, kv.export.FORMATS),
        (train.REDUCTIONS, ("mean", "sum")),
        (train.ESTIMATORS, kv.math.ESTIMATORS),
        (train.AVERAGINGS, kv.AdaGVAE.averagings),
        (data.SOURCES, ("original", "rendered")),
        (data.PALETTES, sys.modules["kerasvae.datasets.xyobject"].PALETTES),
        (data.SPLITS, smallnorb.INSTANCES),
        (data.VARIANTS, mpi3d.FILES),
        (data.FITS, image_files.FITS),
        ((options.SETTINGS,), (kv.runs.SETTINGS,)),
        ((data.SCREAM_ADDRESS,), (sys.modules["kerasvae.datasets.dsprites_variants"].SCREAM_ADDRESS,)),
    ],
    ids="datasets objectives losses networks scores presets representations formats reductions estimators averagings "
    "sources palettes splits variants fits settings scream".split(),
)
def test_choices_are_what_there_is(names, mapped):
    assert sorted(names) == sorted(mapped)


def test_protocols_are_what_there_is():
    images = kv.datasets.XYSquares(num_squares=1, rgb=False)
    with pytest.raises(ValueError) as error:
        perception.perceived_distances(images, kv.losses.MeanSquaredError(), protocol="none of them")
    assert all(f'"{protocol}"' in str(error.value) for protocol in factor_importance.PROTOCOLS)


def test_loss_options_have_the_class_s_defaults():
    loss = kv.losses.BoxBlurMSE()
    assert losses.ONLY_WITH == {
        "blur_radius": ("loss", {"boxblur": loss.radius}),
        "blur_weight": ("loss", {"boxblur": loss.weight}),
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5.0), ("0:25:1000", "0:25:1000"), ("0.50:1e1:0010", "0.5:10:10"), ("-1e-5:0.1:9", "-1e-05:0.1:9")],
)
def test_numbers_and_ramps(text, value):
    assert options.hyperparameter(-math.inf)(text) == value
    if ":" in text:
        start, end, steps = (float(part) for part in text.split(":"))
        number_or_ramp = train.number_or_ramp
        assert number_or_ramp(value) == kv.schedules.Linear(start, end, steps=steps)


@pytest.mark.parametrize(("text", "value"), [("uniform", "uniform"), ("3", 3), ("0:2", "0:2"), ("01:02", "1:2")])
def test_changed_factors(text, value):
    assert options.changed(text) == value


@pytest.mark.parametrize(("text", "value"), [("64", 64), ("48x064", "48x64")])
def test_image_sizes(text, value):
    assert options.image_size(text) == value


def test_paths_are_kept_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    (tmp_path / "photos").mkdir()
    assert options.existing_folder("photos") == str(tmp_path / "photos")
    assert options.place("~/cache") == "/home/somebody/cache"


def test_the_settings_of_a_run_are_taken_as_they_are():
    assert train.settings_of({}, {**SETTINGS, "data_set": {}}, Path("settings.json")) == {
        name: value for name, value in SETTINGS.items() if name != "steps_per_epoch"
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"objective": "zzz"}, ["--objective", "'zzz'", "betavae"]),
        ({"latents": -1}, ["--latents must be an integer, at least 1", "'-1'"]),
        ({"latents": "9"}, ["'latents' cannot be '9'"]),
        ({"latents": None}, ["'latents' cannot be None"]),
        ({"seed": 1.5}, ["--seed", "1.5"]),
        ({"steps": True}, ["--steps"]),
        ({"loss": "bernouli"}, ["--loss", "bernouli"]),
        ({"gamma": 3.0}, ["--gamma is only for --objective"]),
        ({"reduction": None}, ["'reduction' cannot be None"]),
        ({"dataset": ["folder"]}, ["--dataset"]),
        ({"foo": 1}, ["states 'foo'"]),
    ],
    ids=str,
)
def test_settings_that_were_altered(change, words):
    with pytest.raises(ValueError) as caught:
        train.settings_of({}, {**SETTINGS, **change}, Path("runs/a/settings.json"))
    for word in [*words, "settings.json"]:
        assert word.replace("--latents must", "--latents: must") in str(caught.value)


@pytest.mark.parametrize("name", ["latents", "objective", "on_device", "gamma"])
def test_settings_that_lack_a_field(name):
    with pytest.raises(ValueError, match=rf"settings\.json' was altered, .* its settings lack '{name}'"):
        train.settings_of({}, {key: value for key, value in SETTINGS.items() if key != name}, Path("settings.json"))


@pytest.mark.parametrize(("text", "message"), [("[1]", "must hold a dictionary"), ("{", "is damaged: it is no JSON")])
def test_settings_that_are_none(tmp_path, text, message):
    (tmp_path / "settings.json").write_text(text)
    with pytest.raises(ValueError, match=rf"--resume: .*settings\.json' {message}"):
        options.read_settings(tmp_path)


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"kerasvae {kv.__version__}\n"


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ValueError("of\nthree\nlines"), 2, "kerasvae: error: of three lines\n"),
        (ValueError("two files:\n  a: broken\n  b: gone"), 2, "kerasvae: error: two files: a: broken; b: gone\n"),
        (FileNotFoundError(2, "No such file", "a"), 2, "kerasvae: error: [Errno 2] No such file: 'a'\n"),
        (ImportError("no tensorflow"), 2, "kerasvae: error: no tensorflow\n"),
        (RuntimeError(), 1, "kerasvae: error: RuntimeError\n"),
    ],
)
def test_errors_while_it_runs(tmp_path, monkeypatch, capsys, error, status, line):
    def fail(**_):
        raise error

    monkeypatch.setattr(train, "train", fail)
    assert cli.main(["train", "--objective", "vae", "--steps", "1", "--out", str(tmp_path)]) == status
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize("began", [True, False])
def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch, capsys, began):
    def interrupt(out, **_):
        if began:
            (out / "settings.json").write_text("{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", interrupt)
    assert cli.main(["train", "--objective", "vae", "--steps", "1", "--out", str(tmp_path)]) == 130
    advice = f"; go on with: kerasvae train --resume --out {tmp_path}" if began else " before the run began"
    assert capsys.readouterr().err == f"\nkerasvae: interrupted{advice}\n"


def test_ctrl_c_of_another_command(tmp_path, monkeypatch, capsys):
    def interrupt(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(loss_audit, "loss_audit", interrupt)
    assert cli.main(["audit", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "\nkerasvae: interrupted\n"
