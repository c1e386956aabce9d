"""Wrong calls of runs, callbacks and `kerasvae train`: refused before anything is written, in words that help."""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest
from small_runs import DATA, IMAGES
from test_runs import SHAPE, batches, build
from wrong_calls import WrongCall, check, wrong_calls

import kerasvae as kv
from kerasvae import cli
from kerasvae.callbacks import Checkpoint, DisentanglementScores, HistoryFile, LatentKL, LatentTraversals, read_history

Scores = functools.partial(DisentanglementScores, train=20, test=4)
NAN = np.full((2, *DATA.image_shape), np.nan, "float32")
FACTORLESS = kv.datasets.FromArrays(np.arange(64, dtype="uint8").reshape(4, 4, 4))


def train(build=build, pipeline=batches, folder="run", steps=2, **arguments):
    return kv.runs.train(build, pipeline, folder, steps=steps, **{"verbose": 0, **arguments})


def uncompiled():
    return kv.BetaVAE(kv.networks.mlp_encoder(SHAPE, 2, hidden=(4,)), kv.networks.mlp_decoder(SHAPE, 2, hidden=(4,)))


def wrong_shape(start):
    while True:
        yield (np.zeros((2, 5, 5, 1), "float32"),)


def breaks(start):
    raise OSError("photos: cannot be read")


def altered(text):
    """A folder with a run whose settings file holds other text."""
    Path("altered").mkdir()
    Path("altered/settings.json").write_text(text)
    return "altered"


def command(*arguments):
    """The arguments of `kerasvae train`, parsed and checked as by the command."""
    parser = cli.parser()

    def error(message):
        raise ValueError(message)

    for module in parser._subparsers._group_actions[0].choices.values():
        module.error = error
    return cli.check(parser.parse_args(["train", *arguments]))


NEW = ("--objective", "betavae", "--steps", "2", "--out", "run")


@wrong_calls(
    # runs.train
    WrongCall("a model as build", lambda: train(build()), TypeError, ("build must be a function", "BetaVAE")),
    WrongCall("no build", lambda: train(None), TypeError, ("build must be a function", "None")),
    WrongCall("build returns None", lambda: train(lambda: None), TypeError, ("build must return", "None")),
    WrongCall("build returns a keras model", lambda: train(keras.Sequential), TypeError, ("build must return", "Seq")),
    WrongCall(
        "build returns the class", lambda: train(lambda: kv.BetaVAE), TypeError, ("build must return", "BetaVAE")
    ),
    WrongCall("not compiled", lambda: train(uncompiled), ValueError, ("build must return", "compile()", "BetaVAE")),
    WrongCall("no pipeline", lambda: train(pipeline=None), TypeError, ("pipeline must be a function of start", "None")),
    WrongCall(
        "data as pipeline", lambda: train(pipeline=DATA), TypeError, ("pipeline must be a function", "XYSquares")
    ),
    WrongCall(
        "pipeline of None", lambda: train(pipeline=lambda start: None), TypeError, ("pipeline must return", "None")
    ),
    WrongCall(
        "pipeline of an array",
        lambda: train(pipeline=lambda start: IMAGES),
        TypeError,
        ("pipeline must return", "tf.data"),
    ),
    WrongCall(
        "pipeline of a data set",
        lambda: train(pipeline=lambda start: DATA),
        TypeError,
        ("pipeline must return", "XYSquares"),
    ),
    WrongCall("pipeline that breaks", lambda: train(pipeline=breaks), OSError, ("photos: cannot be read",)),
    WrongCall("no steps", lambda: train(steps=0), ValueError, ("steps must be an integer, at least 1", "0")),
    WrongCall("steps as text", lambda: train(steps="10"), ValueError, ("steps must be an integer", "'10'")),
    WrongCall("bool steps", lambda: train(steps=True), ValueError, ("steps must be an integer", "True")),
    WrongCall("NaN steps", lambda: train(steps=float("nan")), ValueError, ("steps must be an integer", "nan")),
    WrongCall(
        "no epoch", lambda: train(steps_per_epoch=0), ValueError, ("steps_per_epoch must be", "at least 1, got 0")
    ),
    WrongCall("no checkpoints", lambda: train(checkpoint_every=-1), ValueError, ("checkpoint_every must be", "-1")),
    WrongCall(
        "one callback", lambda: train(callbacks=LatentKL(IMAGES)), TypeError, ("callbacks must be a list", "LatentKL")
    ),
    WrongCall(
        "callback class", lambda: train(callbacks=[LatentKL]), TypeError, ("callbacks[0] must be a keras", "LatentKL")
    ),
    WrongCall("function as callback", lambda: train(callbacks=[print]), TypeError, ("callbacks[0] must be", "print")),
    WrongCall(
        "settings as text", lambda: train(settings="seed=1"), TypeError, ("settings must be a dictionary", "seed=1")
    ),
    WrongCall(
        "settings no JSON has",
        lambda: train(settings={"loss": print}),
        TypeError,
        ("settings must be", "JSON", "print"),
    ),
    WrongCall(
        "settings NaN", lambda: train(settings={"beta": float("nan")}), ValueError, ("settings must be", "JSON", "nan")
    ),
    WrongCall("resume as text", lambda: train(resume="yes"), ValueError, ("resume must be True or False", "'yes'")),
    WrongCall("no folder", lambda: train(folder=None), TypeError, ("folder must be the path of a folder", "None")),
    WrongCall(
        "verbose as text", lambda: train(verbose="loud"), ValueError, ('verbose must be "auto", 0, 1 or 2', "'loud'")
    ),
    WrongCall("a file as folder", lambda: train(folder="file"), NotADirectoryError, ("folder:", "'file' is a file")),
    WrongCall("a folder in a file", lambda: train(folder="file/run"), OSError, ("folder: cannot write", "file/run")),
    WrongCall(
        "callback that does not fit",
        lambda: train(callbacks=[LatentKL(IMAGES)]),
        ValueError,
        ("images must be", "(batch, 4, 4, 1)", "(16, 16, 16, 1)"),
    ),
    # Settings that were altered, and folders without a run
    WrongCall(
        "settings are a list",
        lambda: train(folder=altered("[1]"), resume=True),
        ValueError,
        ("settings.json", "dictionary", "[1]"),
    ),
    WrongCall(
        "settings are no JSON",
        lambda: kv.runs.load_settings(altered("{")),
        ValueError,
        ("settings.json' is damaged", "JSON"),
    ),
    WrongCall(
        "no run",
        lambda: kv.runs.load_settings("none"),
        FileNotFoundError,
        ("folder: 'none' holds no run", "settings.json"),
    ),
    WrongCall(
        "no model",
        lambda: kv.runs.load_model("none"),
        FileNotFoundError,
        ("folder: 'none'", "model.keras", "checkpoint.keras"),
    ),
    # read_history
    WrongCall(
        "history of a folder", lambda: read_history("."), IsADirectoryError, ("path: '.' is a folder", "history.csv")
    ),
    WrongCall(
        "history of None", lambda: read_history(None), TypeError, ("path must be the path of a CSV file", "None")
    ),
    WrongCall(
        "history of text", lambda: read_history("file"), ValueError, ("path must be a CSV file", "step", "'file'")
    ),
    # Callbacks
    WrongCall("unknown score", lambda: Scores(DATA, ["migg"]), ValueError, ("scores must be", "'mig'", "got 'migg'")),
    WrongCall("one name", lambda: Scores(DATA, "mig"), TypeError, ("scores must be", '["mig"]', "'mig'")),
    WrongCall("all", lambda: Scores(DATA, "all"), TypeError, ("scores must be", "'all'")),
    WrongCall("scores None", lambda: Scores(DATA, None), TypeError, ("scores must be", "None")),
    WrongCall("unknown option", lambda: Scores(DATA, {"mig": {"binz": 3}}), TypeError, ("scores['mig']", "binz")),
    WrongCall("options of no kind", lambda: Scores(DATA, {"mig": 3}), TypeError, ("scores['mig'] must be", "3")),
    WrongCall("no data", lambda: Scores(None), TypeError, ("data must be a ground-truth data set", "NoneType")),
    WrongCall("array as data", lambda: Scores(IMAGES), TypeError, ("data must be a ground-truth data set", "ndarray")),
    WrongCall(
        "class as data",
        lambda: Scores(kv.datasets.XYSquares),
        TypeError,
        ("data must be a ground-truth data set", "type"),
    ),
    WrongCall("no factors", lambda: Scores(FACTORLESS), ValueError, ("scores['mig']", "no factors")),
    WrongCall(
        "no samples",
        lambda: DisentanglementScores(DATA, train=0),
        ValueError,
        ("train must be an integer, at least 2", "0"),
    ),
    WrongCall(
        "test as float", lambda: DisentanglementScores(DATA, test=0.5), ValueError, ("test must be an integer", "0.5")
    ),
    WrongCall(
        "negative seed", lambda: Scores(DATA, seed=-1), ValueError, ("seed must be an integer, at least 0", "-1")
    ),
    WrongCall("bool every", lambda: Scores(DATA, every=True), ValueError, ("every must be an integer", "True")),
    WrongCall(
        "KL of nothing", lambda: LatentKL(None), ValueError, ("images must be a ground-truth data set", "NoneType")
    ),
    WrongCall("KL of no images", lambda: LatentKL(IMAGES[:0]), ValueError, ("images must be", "at least one")),
    WrongCall("KL of NaN", lambda: LatentKL(NAN), ValueError, ("images must be finite", "index 0")),
    WrongCall(
        "KL of no samples", lambda: LatentKL(IMAGES, samples=0), ValueError, ("samples must be", "at least 1, got 0")
    ),
    WrongCall(
        "traversals of a data set",
        lambda: LatentTraversals("a.png", DATA),
        ValueError,
        ("images must be images", "XYSquares"),
    ),
    WrongCall(
        "traversals of one image",
        lambda: LatentTraversals("a.png", IMAGES[0]),
        ValueError,
        ("images must be", "(16, 16, 1)"),
    ),
    WrongCall("traversals of NaN", lambda: LatentTraversals("a.png", NAN), ValueError, ("images must be finite",)),
    WrongCall(
        "traversals swapped", lambda: LatentTraversals(IMAGES, "a.png"), TypeError, ("path must be the path", "ndarray")
    ),
    WrongCall(
        "traversals in a folder", lambda: LatentTraversals("a.png/b", IMAGES), ValueError, ("path must end in .png",)
    ),
    WrongCall(
        "one column",
        lambda: LatentTraversals("a.png", IMAGES, columns=1),
        ValueError,
        ("columns must be", "at least 2, got 1"),
    ),
    WrongCall("checkpoint h5", lambda: Checkpoint("a.h5"), ValueError, ("path must end in .keras", "'a.h5'")),
    WrongCall("checkpoint None", lambda: Checkpoint(None), TypeError, ("path must be the path of a file", "None")),
    WrongCall(
        "checkpoint is a folder",
        lambda: Checkpoint("folder.keras"),
        IsADirectoryError,
        ("path: 'folder.keras' is a folder",),
    ),
    WrongCall(
        "checkpoint in a file", lambda: Checkpoint("file/a.keras"), OSError, ("path: cannot write 'file/a.keras'",)
    ),
    WrongCall(
        "checkpoint every 0",
        lambda: Checkpoint("a.keras", 0),
        ValueError,
        ("every must be an integer, at least 1", "0"),
    ),
    WrongCall("history in a folder", lambda: HistoryFile("."), IsADirectoryError, ("path: '.' is a folder",)),
    WrongCall(
        "history of something else", lambda: HistoryFile("file"), ValueError, ("path must be a CSV file", "'file'")
    ),
    WrongCall("history None", lambda: HistoryFile(None), TypeError, ("path must be the path of a file", "None")),
    # kerasvae train
    WrongCall("command without a folder", lambda: command("--steps", "2"), ValueError, ("--out",)),
    WrongCall(
        "command without an objective", lambda: command("--out", "run", "--steps", "2"), ValueError, ("--objective",)
    ),
    WrongCall("command without steps", lambda: command("--out", "run", "--objective", "vae"), ValueError, ("--steps",)),
    WrongCall(
        "unknown objective",
        lambda: command(*NEW, "--objective", "bvae"),
        ValueError,
        ("--objective", "'bvae'", "betavae"),
    ),
    WrongCall("steps 0", lambda: command(*NEW, "--steps", "0"), ValueError, ("--steps", "at least 1", "'0'")),
    WrongCall("latents as words", lambda: command(*NEW, "--latents", "nine"), ValueError, ("--latents", "'nine'")),
    WrongCall("negative beta", lambda: command(*NEW, "--beta", "-1"), ValueError, ("--beta",)),
    WrongCall("NaN beta", lambda: command(*NEW, "--beta", "nan"), ValueError, ("--beta", "nan")),
    WrongCall(
        "gamma for betavae", lambda: command(*NEW, "--gamma", "3"), ValueError, ("--gamma is only for", "not betavae")
    ),
    WrongCall(
        "no such folder",
        lambda: command(*NEW, "--dataset", "folder", "--folder", "none"),
        ValueError,
        ("--folder", "'none'"),
    ),
    WrongCall(
        "no folder named",
        lambda: command(*NEW, "--dataset", "folder"),
        ValueError,
        ("--dataset folder needs --folder",),
    ),
    WrongCall("learning rate 0", lambda: command(*NEW, "--learning-rate", "0"), ValueError, ("--learning-rate",)),
    WrongCall(
        "run again",
        lambda: command("--objective", "vae", "--steps", "1", "--out", altered("{}")),
        ValueError,
        ("--out", "already holds a run", "--resume"),
    ),
    WrongCall(
        "resume what is damaged",
        lambda: command("--resume", "--out", altered("{")),
        ValueError,
        ("--resume", "settings.json' is damaged"),
    ),
    WrongCall(
        "resume another's",
        lambda: command("--resume", "--out", altered("{}")),
        ValueError,
        ("--resume", "lack 'objective'"),
    ),
)
def test_wrong_calls(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("no history\n")
    Path("folder.keras").mkdir()
    check(wrong)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert left <= {"file", "folder.keras", "run", "altered", "altered/settings.json"}


def test_the_corrected_call_succeeds_in_the_same_folder(tmp_path):
    for wrong in (
        {"build": uncompiled},
        {"build": lambda: None},
        {"pipeline": breaks},
        {"pipeline": lambda start: None},
    ):
        with pytest.raises((TypeError, ValueError, OSError)):
            train(folder=tmp_path, **wrong)
        assert list(tmp_path.iterdir()) == []
    # Seen in the first step alone, as a generator is not looked at before.
    with pytest.raises(Exception, match=r"shape|5"):
        train(folder=tmp_path, pipeline=wrong_shape)
    assert list(tmp_path.iterdir()) == []
    assert int(train(folder=tmp_path).step.numpy()) == 2
