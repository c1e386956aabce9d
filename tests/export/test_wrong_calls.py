"""Wrong calls of exports, and what is said of each."""

import contextlib
import io

import keras
import numpy as np
import pytest
from export.small_models import DATA, FORMATS, IMAGES, NAMES, make
from wrong_calls import WrongCall, check, wrong_calls

import kerasvae as kv
from kerasvae.cli import export
from kerasvae.cli.options import Parser

FORMAT = FORMATS[0] if FORMATS else "tf_saved_model"
NAME = NAMES[FORMAT]
ENDING = NAME.removeprefix("encoder")
ONE_OF = "must be one of tf_saved_model, onnx, litert, torch"
pytestmark = pytest.mark.skipif(not FORMATS, reason="this backend exports nothing here")


class Place:
    """A folder with a model, and one thing of each kind in it."""


PLACE = Place()


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory):
    folder = PLACE.folder = tmp_path_factory.mktemp("wrong")
    PLACE.model = make()
    (folder / "file").write_text("mine")
    (folder / "file.onnx").write_text("mine")
    (folder / f"file{ENDING}").write_text("mine")
    (folder / f"file{ENDING}.json").write_text("mine")
    for name in {"others", f"others{ENDING}"}:
        (folder / name).mkdir()
        (folder / name / "thesis.tex").write_text("mine")
    (folder / "run").mkdir()
    (folder / "run" / "settings.json").write_text("{}")
    (folder / "my run").mkdir()
    (folder / "my run" / "settings.json").write_text("{}")
    return PLACE


@pytest.fixture(autouse=True)
def nothing_is_written(place):
    before = sorted(place.folder.rglob("*"))
    yield
    assert sorted(place.folder.rglob("*")) == before


def encoder(row, words, /, error=ValueError, path=NAME, **arguments):
    def call():
        where = PLACE.folder / path if isinstance(path, str) else path
        kv.export.encoder(arguments.pop("model", PLACE.model), where, **{"format": FORMAT, **arguments})

    return WrongCall(f"encoder: {row}", call, error, words)


def bundle(row, words, /, error=ValueError, path="new", **arguments):
    def call():
        where = PLACE.folder / path if isinstance(path, str) else path
        model = arguments.pop("model", PLACE.model)
        kv.export.bundle(model, where, **{"formats": [FORMAT], "progress": False, **arguments})

    return WrongCall(f"bundle: {row}", call, error, words)


def run(name, words, error=ValueError, path="others", images=IMAGES, **arguments):
    def call():
        kv.export.run(PLACE.folder / path if isinstance(path, str) else path, images, **arguments)

    return WrongCall(f"run: {name}", call, error, words)


def command(name, words, *given, error=ValueError):
    def call():
        parser, said = Parser(prog="kerasvae"), io.StringIO()
        commands = parser.add_subparsers(parser_class=Parser)
        export.add(commands)
        try:
            with contextlib.redirect_stderr(said):
                values = vars(parser.parse_args(["export", *(str(each).format(PLACE.folder) for each in given)]))
        except SystemExit:
            raise ValueError(said.getvalue()) from None
        export.check(values)

    return WrongCall(f"command: {name}", call, error, words)


@wrong_calls(
    encoder("a Keras model", ("model must be a model of kerasvae", "Sequential"), model=keras.Sequential()),
    encoder("a path in place of a model", ("model must be a model of kerasvae", "str"), model="vae.keras"),
    encoder("no model", ("model must be a model of kerasvae", "NoneType"), model=None),
    encoder("no path", ("path must be a path", "None"), path=None),
    encoder("a number as path", ("path must be a path", "3"), path=3),
    encoder("an unknown format", ("format " + ONE_OF, "'tflite'"), format="tflite"),
    encoder("the older name of a format", ("format " + ONE_OF, "'saved_model'"), format="saved_model"),
    encoder("a list of formats", ("format " + ONE_OF, "['onnx']"), format=["onnx"]),
    encoder("ONNX without its ending", ("path must end in .onnx", "e.h5"), path="e.h5", format="onnx"),
    encoder("LiteRT without its ending", ("path must end in .tflite", "e.litert"), path="e.litert", format="litert"),
    encoder("Torch without its ending", ("path must end in .pt2", "e.pt"), path="e.pt", format="torch"),
    encoder("a SavedModel with ONNX's ending", ("must not end in .onnx",), path="e.onnx", format="tf_saved_model"),
    encoder("an unknown dtype", ("input_dtype", '"uint8" or "float32"', "'float64'"), input_dtype="float64"),
    encoder("a dtype that is none", ("input_dtype", "float32"), input_dtype=np.float32),
    encoder("float images", ("images must be uint8 (n, 8, 8, 1)", "float64"), images=IMAGES / 255),
    encoder("images of another shape", ("images must be uint8 (n, 8, 8, 1)",), images=IMAGES[:, :4]),
    encoder("one image", ("images must be uint8 (n, 8, 8, 1)", "(8, 8, 1)"), images=IMAGES[0]),
    encoder("no images at all", ("images must be uint8", "at least 1"), images=IMAGES[:0]),
    encoder("a data set as images", ("images must be uint8",), images=DATA),
    encoder("no tolerance", ("tolerance must be a finite number, above 0 and at most 0.01", "got 0"), tolerance=0),
    encoder("a large tolerance", ("tolerance must be", "0.5"), tolerance=0.5),
    encoder("a tolerance that is NaN", ("tolerance must be", "nan"), tolerance=float("nan")),
    encoder("a tolerance as text", ("tolerance must be", "'small'"), tolerance="small"),
    encoder("overwrite as text", ("overwrite must be True or False", "'yes'"), overwrite="yes"),
    encoder(
        "a folder of other things", ("path must be a new folder", "other files"), FileExistsError, f"others{ENDING}"
    ),
    encoder("a file and a description", ("path:", "file", ".json", "overwrite=True"), FileExistsError, f"file{ENDING}"),
    bundle("a Keras model", ("model must be a model of kerasvae", "Dense"), model=keras.layers.Dense(1)),
    bundle("no path", ("path must be a path", "None"), path=None),
    bundle("a file", ("path must be a folder", "file"), FileExistsError, "file"),
    bundle("a folder of other things", ("other files: thesis.tex",), FileExistsError, "others", overwrite=True),
    bundle("formats as text", ("formats must be a list of any of", "litert", "'onnx'"), formats="onnx"),
    bundle("no formats", ("formats must be a list of any of", "got []"), formats=[]),
    bundle("formats as a number", ("formats must be a list of any of", "3"), formats=3),
    bundle("an unknown format", ("formats " + ONE_OF, "'saved_model'"), formats=["saved_model"]),
    bundle("a format that is no text", ("formats " + ONE_OF, "1"), formats=[1]),
    bundle("a name with a slash", ("name must be 1 to 100", "'a/b'"), name="a/b"),
    bundle("a name with a dot first", ("name must be 1 to 100 of the characters A-Z",), name=".hidden"),
    bundle("a long name", ("name must be 1 to 100",), name="n" * 101),
    bundle("a folder's name with a space", ("name (default the folder's) must be 1 to 100",), path="my bundle"),
    bundle("a version as a number", ("version must be 1 to 100", "2"), version=2),
    bundle("a description as bytes", ("description must be text", "b'x'"), description=b"x"),
    bundle("scores as a list", ("scores must be an Evaluation", "[0.5]"), scores=[0.5]),
    bundle("scores as words", ("scores must be an Evaluation or {name: number}", "good"), scores={"mig": "good"}),
    bundle("a word as data", ("data must be a data set of kerasvae.datasets",), data="images"),
    bundle("an array of another size", ("data: its images are (8, 9, 1)",), data=np.zeros((3, 8, 9), "uint8")),
    bundle("a pipeline as data", ("data must be a data set", "list"), data=[1, 2]),
    bundle("float images as data", ("data: images must be uint8",), data=IMAGES / 255),
    bundle("a data class", ("data must be a data set",), data=kv.datasets.MiniSprites),
    bundle("data of another size", ("data: its images are (16, 16", "(8, 8, 1)"), data=kv.datasets.MiniSprites()),
    bundle("no test images", ("images must be uint8", "n from 1 to 16"), images=IMAGES[:0]),
    bundle("17 test images", ("images must be uint8", "n from 1 to 16"), images=IMAGES[:17]),
    bundle("no samples", ("samples must be an integer, at least 1", "got 0"), samples=0),
    bundle("samples as a truth value", ("samples must be an integer", "True"), samples=True),
    bundle("a negative seed", ("seed must be an integer, at least 0", "-1"), seed=-1),
    bundle("a tolerance of 1", ("tolerance must be a finite number, above 0 and at most 0.01", "got 1"), tolerance=1),
    bundle("overwrite as a number", ("overwrite must be True or False", "1"), overwrite=1),
    bundle("progress as text", ("progress must be True or False", "'no'"), progress="no"),
    run("nothing there", ("path: there is nothing at", "nowhere.onnx"), FileNotFoundError, path="nowhere.onnx"),
    run("no path", ("path must be a path", "None"), path=None),
    run("a folder that is no SavedModel", ("path must be a folder with saved_model.pb", "others")),
    run("a file that is no SavedModel", ("path must be a folder with saved_model.pb",), path="file"),
    run("a folder as ONNX", ("path must be a file for the format onnx",), format="onnx"),
    run("an unknown format", ("format " + ONE_OF, "'tflite'"), format="tflite"),
    run(
        "a list as images",
        ("images must be an array (n, height, width, channels)", "list"),
        path="file.onnx",
        images=[1],
    ),
    run(
        "one image",
        ("images must be an array (n, height, width, channels)", "(8, 8, 1)"),
        path="file.onnx",
        images=IMAGES[0],
    ),
    command("no format", ("--format",), "{}/run"),
    command("an unknown format", ("--format", "invalid choice: 'tflite'", "litert"), "{}/run", "--format", "tflite"),
    command(
        "an unknown format of a bundle",
        ("--formats", "'saved_model'", "tf_saved_model"),
        "{}/run",
        "--format",
        "bundle",
        "--formats",
        "saved_model",
    ),
    command("no run", ("nowhere",), "{}/nowhere", "--format", "onnx"),
    command("ONNX without its ending", ("--out must end in .onnx",), "{}/run", "--format", "onnx", "--out", "{}/e.h5"),
    command(
        "LiteRT without its ending", ("--out must end in .tflite",), "{}/run", "--format", "litert", "--out", "{}/e"
    ),
    command(
        "a place that is taken",
        ("--out", "already", "--force"),
        "{}/run",
        "--format",
        "onnx",
        "--out",
        "{}/file.onnx",
        error=FileExistsError,
    ),
    command(
        "a taken place of a bundle",
        ("--out", "already", "--force"),
        "{}/run",
        "--format",
        "bundle",
        "--out",
        "{}/others",
        error=FileExistsError,
    ),
    command(
        "a bundle's option",
        ("--formats is only for --format bundle",),
        "{}/run",
        "--format",
        "onnx",
        "--formats",
        "onnx",
    ),
    command(
        "a name with a space",
        ("must be 1 to 100 of the characters", "'a b'"),
        "{}/run",
        "--format",
        "bundle",
        "--name",
        "a b",
    ),
    command(
        "a run's name that is none of a bundle", ("--name must be given", "'my run'"), "{}/my run", "--format", "bundle"
    ),
)
def test_wrong_calls(wrong):
    check(wrong)
