"""Wrong command lines: each is answered by one line that says what is wrong, and nothing is written."""

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasvae import cli
from kerasvae.cli import COMMANDS, options, score

TRAIN = ["train", "--objective", "vae", "--steps", "2"]
MARKS = ["--out", "{out}"]
IMPORTANCE, AUDIT = ["factor-importance", *MARKS], ["loss-audit", *MARKS]
ENCODE, EXPERIMENT = ["encode", "{bundle}", "{photos}"], ["experiment", "overlap", "--scale", "small"]
REPORT = ["report", "{results}", "--out", "{page}"]

# What is refused before anything is imported: (command line, parts of the answer).
AT_ONCE = [
    # A mistyped command, option or choice
    (["evaluate"], ["invalid choice: 'evaluate'", "train", "report"]),
    ([*TRAIN, *MARKS, "--epochs", "3"], ["unrecognized arguments: --epochs 3"]),
    ([*TRAIN, *MARKS, "--objective", "beta_vae"], ["--objective", "'beta_vae'", "'betavae'"]),
    ([*TRAIN, *MARKS, "--dataset", "dSprites"], ["--dataset", "'dSprites'", "'dsprites'"]),
    (["experiment", "augmentedloss", *MARKS], ["NAME", "'augmentedloss'", "augmented_loss"]),
    (["results", "adversary"], ["NAME", "'adversary'", "adversarial"]),
    (["score", "{codes}", "--scores", "mig,dci"], ["--scores", "'mig,dci'", "'mig', 'dci'"]),
    ([*REPORT, "--beside", "locatello"], ["--beside", "'locatello'", "'locatello2019-slides'"]),
    ([*ENCODE, "--out", "{new}.csv", "--on-error", "skip"], ["--on-error", "'skip'", "'report', 'stop'"]),
    # Missing arguments
    (["train", "--steps", "2"], ["required: --out"]),
    (["score"], ["required: FOLDER|CODES.npz"]),
    (["encode", "{bundle}", "--out", "{new}.csv"], ["required: FILES"]),
    (["serve"], ["required: BUNDLE"]),
    (["experiment"], ["required: NAME"]),
    (["report", "{results}"], ["required: --out"]),
    ([*TRAIN, *MARKS, "--seed"], ["--seed", "expected one argument"]),
    # Numbers
    ([*TRAIN, *MARKS, "--steps", "1e3"], ["--steps", "an integer, at least 1", "'1e3'"]),
    ([*TRAIN, *MARKS, "--steps", "1,000"], ["--steps", "an integer, at least 1", "'1,000'"]),
    ([*TRAIN, *MARKS, "--batch-size", "0"], ["--batch-size", "an integer, at least 1", "'0'"]),
    ([*TRAIN, *MARKS, "--batch-size", "9" * 20], ["--batch-size", "from 1 to 2147483647", "9" * 20]),
    ([*TRAIN, *MARKS, "--latents", "9" * 20], ["--latents", "from 1 to 2147483647", "9" * 20]),
    ([*TRAIN, *MARKS, "--seed", "9" * 20], ["--seed", "from 0 to 2147483647", "9" * 20]),
    ([*TRAIN, *MARKS, "--learning-rate", "nan"], ["--learning-rate", "a number, above 0", "'nan'"]),
    ([*IMPORTANCE, "--pairs", "1.5"], ["--pairs", "an integer, at least 1", "'1.5'"]),
    ([*AUDIT, "--radii", "1", "-1"], ["--radii", "an integer, at least 0", "'-1'"]),
    ([*AUDIT, "--weights", "inf"], ["--weights", "a number, at least 0", "'inf'"]),
    ([*AUDIT, "--threshold", "-0.1"], ["--threshold", "a number, at least 0", "'-0.1'"]),
    (["score", "{codes}", "--seed", "4294967296"], ["--seed", "from 0 to 4294967295", "'4294967296'"]),
    (["score", "{codes}", "--bootstrap", "1"], ["--bootstrap", "0 or at least 2", "'1'"]),
    (["score", "{codes}", "--jobs", "0"], ["--jobs", "an integer, at least 1", "'0'"]),
    ([*ENCODE, "--out", "{new}.csv", "--pixel-limit", "9" * 12], ["--pixel-limit", "from 1 to 178956970", "9" * 12]),
    ([*ENCODE, "--out", "{new}.csv", "--batch-size", "9" * 20], ["--batch-size", "from 1 to 2147483647", "9" * 20]),
    ([*ENCODE, "--out", "{new}.csv", "--threads", "2000"], ["--threads", "from 1 to 1024", "'2000'"]),
    (["serve", "{bundle}", "--port", "http"], ["--port", "from 0 to 65535", "'http'"]),
    (["serve", "{bundle}", "--watch", "nan"], ["--watch", "a number, at least 0", "'nan'"]),
    ([*EXPERIMENT, *MARKS, "--rows", "1:3"], ["--rows", "as 3,7-12", "'1:3'"]),
    ([*EXPERIMENT, *MARKS, "--timeout", "0"], ["--timeout", "an integer, at least 1", "'0'"]),
    ([*REPORT, "--replicates", "1"], ["--replicates", "an integer, at least 2", "'1'"]),
    # What does not go together
    ([*TRAIN, *MARKS, "--beta", "4"], ["--beta is only for --objective betavae", "not vae"]),
    ([*AUDIT, "--loss", "mse", "--radii", "3"], ["--radii is only for --loss boxblur", "not mse"]),
    (["score", "{codes}", "--samples", "9"], ["--samples is only for runs", "not for codes in a file"]),
    (["serve", "{bundle}", "--port", "8081"], ["--port, --grpc-port and --metrics-port must be different ones"]),
    (["serve", "{bundle}", "--host", "0.0.0.0:80"], ["--host", "an address without a port", "'0.0.0.0:80'"]),
    ([*EXPERIMENT, *MARKS, "--workers", "0"], ["--workers must be at least 1", "got 0"]),
    ([*EXPERIMENT, *MARKS, "--chief", "h:1"], ["--chief and --role go together"]),
    (["report", "={results}", "--out", "{page}"], ["RESULTS", "NAME=RESULTS with a name"]),
    # Places to write to: an empty variable of the shell, a file, below a file, a link to itself, a name too long
    *(
        ([*command, "--out", place], ["--out", "must be a path", words])
        for command in (TRAIN, ["factor-importance"], ["loss-audit"], EXPERIMENT, ["results", "overlap"])
        for place, words in (("", "got ''"), (" ", "got ' '"), ("{loop}/a", "symbolic links"), ("x" * 300, "too long"))
    ),
    *(
        ([*command, "--out", "{file}"], ["--out", "must be a folder", "got the file", "/file'"])
        for command in (TRAIN, ["factor-importance"], ["audit"], EXPERIMENT)
    ),
    *(
        ([*command, "--out", "{file}/a"], ["--out", "cannot write", "/file/a'", "/file' is no folder"])
        for command in (TRAIN, ["factor-importance"], ["loss-audit"], EXPERIMENT)
    ),
    ([*ENCODE, "--out", "{file}/a.csv"], ["--out", "cannot write", "/file' is no folder"]),
    ([*ENCODE, "--out", "{folder}.csv"], ["--out", "must be a file", "got the folder", "/folder.csv'"]),
    ([*ENCODE, "--out", "codes.txt"], ["--out", ".csv, .npz or .parquet", "'codes.txt'"]),
    (["report", "{results}", "--out", "{file}/a.html"], ["--out", "cannot write", "/file' is no folder"]),
    (["report", "{results}", "--out", "{folder}.html"], ["--out", "must be a file", "got the folder"]),
    (["report", "{results}", "--out", "report.pdf"], ["--out", "must end in .html", "'report.pdf'"]),
    # Things to read: missing, of the other kind, a pipe
    *(
        ([*command, "--dataset", "folder", "--folder", place], ["--folder", f"there is no folder '{words}"])
        for command in ([*TRAIN, *MARKS], IMPORTANCE, AUDIT)
        for place, words in (("{new}", "/"), ("{file}", "/"), ("{pipe}", "/"))
    ),
    (
        [*TRAIN, *MARKS, "--dataset", "folder", "--folder", "{photos}", "--factors-csv", "{photos}"],
        ["--factors-csv", "there is no file", "it is a folder"],
    ),
    ([*TRAIN, *MARKS, "--dataset", "shapes3d", "--data-dir", "{file}"], ["--data-dir", "must be a folder", "/file'"]),
    ([*TRAIN, *MARKS, "--dataset", "shapes3d", "--manual-dir", "{file}"], ["--manual-dir", "it is a file"]),
    ([*EXPERIMENT, *MARKS, "--manual-dir", "{new}"], ["--manual-dir", "there is no folder", "/new'"]),
    ([*EXPERIMENT, *MARKS, "--data-dir", "{file}"], ["--data-dir", "must be a folder", "/file'"]),
    (["score", "{new}"], ["FOLDER|CODES.npz", "/new' is no file", "settings.json"]),
    (["score", "{pipe}"], ["FOLDER|CODES.npz", "/pipe' is no file"]),
    (["score", "{emptied}"], ["FOLDER|CODES.npz", "/emptied/settings.json' is damaged"]),
    (["score", "{listed}"], ["FOLDER|CODES.npz", "/listed/settings.json' must hold a dictionary", "None"]),
    (["export", "{listed}", "--format", "onnx"], ["folder", "/listed/settings.json' must hold a dictionary"]),
    (["train", "--resume", "--out", "{listed}"], ["--resume", "/listed/settings.json' must hold a dictionary"]),
    (["encode", "{photos}", "{photos}", "--out", "{new}.csv"], ["BUNDLE", "/photos' holds no bundle"]),
    (["encode", "{bundle}", "{new}.png", "--out", "{new}.csv"], ["FILES", "there is no file or folder", "new.png'"]),
    (["serve", "{file}"], ["BUNDLE", "/file' holds no bundle"]),
    (["results", "overlap", "--out", "{photos}"], ["--out", "/photos' holds no experiment"]),
    (["report", "{new}", "--out", "{page}"], ["RESULTS", "there is no file or folder", "/new'"]),
    (["report", "{pipe}", "--out", "{page}"], ["RESULTS", "must be a file or folder", "/pipe'"]),
    (["report", "locatello2019-slides", "--out", "{page}"], ["has tables, but no runs", "--beside"]),
    ([*REPORT, "--images", "{file}"], ["--images", "there is no folder", "it is a file"]),
    ([*REPORT, "--column", "colour=red"], ["--column", "FIELD=NAME", "'colour=red'"]),
    ([*REPORT, "--constant", "seed"], ["--constant", "FIELD=VALUE", "'seed'"]),
]
# What needs the file: (command line, parts of the answer).
OF_FILES = [
    (["score", "{file}"], ["path", "npz file", "/file'"]),
    (["score", "{array}.npy"], ["path", "npz file", "/array.npy'", "a single array"]),
    (["score", "{codes}", "--scores", "mig"], ["path", "/codes.npz' lacks 'factors'", "['codes']"]),
    ([*REPORT], ["RESULTS", "there are no runs"]),
    ([*REPORT, "--column", "method=modell"], ["--column['method']: no column 'modell'", "'method'"]),
    ([*REPORT, "--constant", "seed=1"], ["--constant['seed']", "the table has a column"]),
    (["report", "{file}", "--out", "{page}"], ["RESULTS: '", "/file' is empty"]),
    (["report", "{number}.json", "--out", "{page}"], ["RESULTS: '", "/number.json'", "a list of dictionaries"]),
    (["report", "{array}.npy", "--out", "{page}"], ["RESULTS: '", "/array.npy' is a NumPy file"]),
    (["report", "{photos}", "--out", "{page}"], ["RESULTS: '", "/photos' holds no results", "results.csv"]),
]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Paths by name, of which {new}, {out} and {page} are not there."""
    folder = tmp_path_factory.mktemp("places")
    for name in ("photos", "bundle", "emptied", "listed", "folder.csv", "folder.html"):
        (folder / name).mkdir()
    (folder / "file").touch()
    (folder / "bundle" / "bundle.json").write_text("{}")
    (folder / "emptied" / "settings.json").touch()
    (folder / "listed" / "settings.json").write_text("null")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    np.savez(folder / "codes.npz", codes=np.zeros((3, 2)))
    np.save(folder / "array.npy", np.zeros((3, 2)))
    (folder / "results.csv").write_text("method,beta,seed,mig\n")
    (folder / "number.json").write_text("3")
    names = "photos bundle emptied listed folder file loop pipe array number new out".split()
    files = {"codes": "codes.npz", "results": "results.csv", "page": "page.html"}
    return {name: str(folder / files.get(name, name)) for name in (*names, *files)}


@pytest.fixture
def answer(places, tmp_path, monkeypatch, capsys):
    """A function of a command line: the line with which it is refused, once all that every answer owes is asserted."""
    monkeypatch.chdir(tmp_path)
    root = os.path.dirname(places["file"])

    def files():
        return sorted(Path(root).rglob("*"))

    def answer(argv):
        before = files()
        try:
            status = cli.main([part.format(**places) for part in argv])
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        assert status == 2 and out == ""
        assert err.count("\n") == 1 and re.match(r"kerasvae[a-z -]*: error: ", err)
        assert len(err) < 600
        assert files() == before and list(tmp_path.iterdir()) == []
        return err

    return answer


def ids(rows):
    return [" ".join(argv) if len(" ".join(argv)) < 120 else " ".join(argv)[:120] for argv, _ in rows]


@pytest.mark.parametrize(("argv", "words"), AT_ONCE, ids=ids(AT_ONCE))
def test_refused_at_once(answer, monkeypatch, argv, words):
    for module in COMMANDS.values():
        monkeypatch.setattr(module, "run", lambda values: pytest.fail(f"it began with {values}"))
    said = answer(argv)
    assert [word for word in words if word not in said] == []


@pytest.mark.parametrize(("argv", "words"), OF_FILES, ids=ids(OF_FILES))
def test_refused_for_what_a_file_holds(answer, argv, words):
    said = answer(argv)
    assert [word for word in words if word not in said] == []


def test_a_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for type_ in (options.new_file, options.new_folder):
        with pytest.raises(options.argparse.ArgumentTypeError, match="no permission to write to"):
            type_(str(tmp_path / "a" / "b"))


def test_places_that_are_right(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    assert options.new_folder("~/run") == tmp_path / "run"
    assert options.new_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert options.new_file(str(tmp_path / "a" / "b.csv")) == tmp_path / "a" / "b.csv"
    assert not (tmp_path / "a").exists()
    # A link to a folder is a folder.
    (tmp_path / "link").symlink_to(tmp_path / "run")
    assert options.new_folder(str(tmp_path / "link")) == tmp_path / "link"


def test_settings_are_a_dictionary(tmp_path):
    (tmp_path / "settings.json").write_text(json.dumps({"steps": 3}))
    assert options.read_settings(tmp_path) == {"steps": 3}
    (tmp_path / "settings.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"settings\.json' is damaged"):
        options.read_settings(tmp_path)


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (MemoryError("Unable to allocate 728. TiB"), 2, "kerasvae: error: not enough memory: Unable to allocate 728"),
        (KeyError("latents"), 1, "kerasvae: error: KeyError: 'latents' (unexpected; KERASVAE_TRACEBACK=1 shows where)"),
        (TypeError("of\ntwo lines"), 1, "kerasvae: error: TypeError: of two lines (unexpected; "),
    ],
)
def test_no_error_is_a_traceback(places, monkeypatch, capsys, error, status, line):
    def fail(values):
        raise error

    monkeypatch.setattr(score, "run", fail)
    assert cli.main(["score", places["codes"]]) == status
    err = capsys.readouterr().err
    assert err.startswith(line) and err.count("\n") == 1


def test_a_traceback_can_be_asked_for(places, monkeypatch):
    monkeypatch.setattr(score, "run", lambda values: {}["latents"])
    monkeypatch.setenv("KERASVAE_TRACEBACK", "1")
    with pytest.raises(KeyError):
        cli.main(["score", places["codes"]])


def test_the_largest_image_is_that_of_the_bundles():
    from kerasvae.serving.images import LARGEST_PIXEL_LIMIT

    assert sys.modules["kerasvae.cli.encode"].PIXELS == LARGEST_PIXEL_LIMIT
