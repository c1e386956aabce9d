"""The data sets of the command: their options, what these make, and runs on them."""

import inspect
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import kerasvae as kv
from kerasvae import cli
from kerasvae.cli import data, train
from kerasvae.datasets import published_files

eager_on_tensorflow = pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="JAX takes minutes uncompiled")
# Arguments of the classes that the command leaves out.
NOT_OFFERED = {
    "xysquares": {"grid_size", "square_size", "image_size"},
    "xyobject": {"square_sizes", "image_size"},
    "xyobjectshaded": {"square_sizes", "image_size"},
    "folder": {"background", "mean", "std", "progress"},
}
# Of classes that need no files.
GENERATED = ("xysquares", "xyobject", "xyobjectshaded", "dsprites", "colordsprites", "noisydsprites")


def settings_of(*options, command="factor-importance"):
    arguments = [command, *options]
    return cli.check(cli.parser().parse_args(arguments))


def offered(dataset):
    """Options of a data set with their defaults."""
    return {name: known[dataset] for name, (_, known) in data.ONLY_WITH.items() if dataset in known}


@pytest.mark.parametrize("dataset", data.DATASETS)
def test_a_data_set_s_options_are_its_class_s_arguments(dataset):
    signature = inspect.signature(data.data_class(dataset)).parameters
    options = offered(dataset)
    assert {data.ARGUMENTS[name] for name in set(signature) - NOT_OFFERED.get(dataset, set())} == set(options)
    for argument in set(signature) - NOT_OFFERED.get(dataset, set()):
        default, option = signature[argument].default, options[data.ARGUMENTS[argument]]
        if argument == "rgb":
            assert default is (not option)
        elif dataset in data.NEEDED and data.ARGUMENTS[argument] == data.NEEDED[dataset][0]:
            assert default is inspect.Parameter.empty and option is None
        else:
            assert default == option


def test_every_option_is_an_argument():
    assert set(data.ARGUMENTS.values()) == set(data.ONLY_WITH)
    assert all(choice == "dataset" for choice, _ in data.ONLY_WITH.values())
    assert set(data.ONLY_WITH) <= set(train.ONLY_WITH)


@pytest.mark.parametrize("dataset", GENERATED)
def test_without_options_a_data_set_is_the_class_s_own(dataset):
    made, own = data.build_data(settings_of("--dataset", dataset)), data.data_class(dataset)()
    assert type(made) is type(own)
    public = {name: value for name, value in vars(own).items() if name != "sprites"}
    for name, value in public.items():
        np.testing.assert_array_equal(getattr(made, name), value, err_msg=name)


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (
            ["xysquares", "--grid-spacing", "4", "--num-squares", "2", "--grey"],
            {"grid_spacing": 4, "num_squares": 2, "rgb": False},
        ),
        (["xyobject", "--grid-spacing", "9", "--palette", "rgb", "--intensities", "2"], {"grid_spacing": 9}),
        (["xyobjectshaded", "--palette", "rgb", "--intensities", "2"], {"palette": "rgb", "intensities": 2}),
        (
            ["dsprites", "--source", "original", "--data-dir", "{tmp}", "--manual-dir", "{tmp}"],
            {"source": "original", "data_dir": "{tmp}", "manual_dir": "{tmp}"},
        ),
        (["colordsprites", "--data-seed", "5"], {"seed": 5, "source": "rendered"}),
        (["noisydsprites", "--data-seed", "5"], {"seed": 5}),
        (["screamdsprites", "--background", "{tmp}/image.png"], {"background": "{tmp}/image.png", "seed": 0}),
        (["shapes3d", "--manual-dir", "{tmp}"], {"manual_dir": "{tmp}"}),
        (["cars3d", "--data-dir", "{tmp}"], {"data_dir": "{tmp}"}),
        (["smallnorb", "--split", "all", "--factors", "4"], {"split": "all", "factors": 4, "seed": 0}),
        (["mpi3d", "--variant", "real", "--md5", "AB" * 16], {"variant": "real", "md5": "ab" * 16}),
        (
            ["folder", "--folder", "{tmp}", "--factors-csv", "{tmp}/image.png", "--image-size", "48x64"],
            {"path": "{tmp}", "factors_csv": "{tmp}/image.png", "image_size": (48, 64), "on_error": "raise"},
        ),
        (
            ["folder", "--folder", "{tmp}", "--channels", "1", "--fit", "pad", "--on-error", "skip", "--cache", "c"],
            {"channels": 1, "fit": "pad", "on_error": "skip", "cache": "{tmp}/c", "image_size": 64},
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_options_reach_the_class(tmp_path, monkeypatch, options, arguments):
    given = {}
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64)).save(tmp_path / "image.png")
    monkeypatch.setattr(kv.datasets, data.DATASETS[options[0]], lambda **arguments: given.update(arguments))
    data.build_data(settings_of("--dataset", *(option.format(tmp=tmp_path) for option in options)))
    expected = {
        name: value.format(tmp=tmp_path) if isinstance(value, str) else value for name, value in arguments.items()
    }
    assert expected.items() <= given.items()
    # The class has no others.
    assert {data.ARGUMENTS[name] for name in given} <= set(offered(options[0]))


@pytest.mark.parametrize(
    ("options", "title"),
    [
        (["xysquares"], "XYSquares"),
        (["xysquares", "--grid-spacing", "1", "--grey"], "XYSquares, grid spacing 1, grey"),
        (["xyobject", "--grid-spacing", "2", "--palette", "white"], "XYObject, palette white"),
        (["smallnorb", "--split", "test"], "SmallNORB, split test"),
        (["folder", "--folder", "."], "FromFolder {here}"),
    ],
)
def test_titles(options, title):
    assert data.title(settings_of("--dataset", *options)) == title.format(here=Path.cwd().name)


def prepared_smallnorb(folder):
    """The prepared form of SmallNORB's training half: a file with holes instead of images, the first one apart."""
    (folder / "kerasvae" / "smallnorb_train").mkdir(parents=True)
    path = folder / "kerasvae" / "smallnorb_train" / "images.npy"
    table = np.lib.format.open_memmap(path, "w+", np.uint8, (24_300, 64, 64, 1))
    table[0] = 9
    sizes = {"category": 5, "instance": 5, "elevation": 9, "azimuth": 18, "lighting": 6}
    description = {"format": 1, "factor_names": list(sizes), "factor_sizes": list(sizes.values())}
    path.with_name("table.json").write_text(json.dumps(description))


def test_prepared_data(tmp_path):
    prepared_smallnorb(tmp_path)
    made = data.build_data(settings_of("--dataset", "smallnorb", "--data-dir", str(tmp_path)))
    assert len(made) == 24_300 and (made.images([0]) == 9).all()
    random = data.build_data(settings_of("--dataset", "smallnorb", "--data-dir", str(tmp_path), "--factors", "4"))
    assert random.random and len(random) == 4_860


def main(*arguments):
    return cli.main([str(argument) for argument in arguments])


TRAIN = ("train", "--objective", "vae", "--networks", "mlp", "--latents", "2", "--steps", "2", "--batch-size", "4")
TRAIN += ("--quiet",)


def refused(capsys, folder, *options):
    """The line with which `kerasvae train` refuses a data set, without a trace of a run."""
    capsys.readouterr()
    assert main(*TRAIN, *options, "--out", folder / "run") == 2
    out, err = capsys.readouterr()
    assert out == "" and not (folder / "run" / "settings.json").exists()
    # Preparing files shows its progress before.
    *_, line = err.splitlines()
    assert line.startswith("kerasvae: error: ")
    return line


def test_files_that_are_not_there(tmp_path, monkeypatch, capsys):
    def refuse(source):
        raise OSError("no network")

    monkeypatch.setattr(published_files, "_connected", refuse)
    err = refused(capsys, tmp_path, "--dataset", "cars3d", "--data-dir", tmp_path / "data")
    assert "nips2015-analogy-data.tar.gz" in err and str(tmp_path / "data" / "downloads" / "manual") in err
    prepared_smallnorb(tmp_path)
    (tmp_path / "kerasvae" / "smallnorb_train" / "table.json").write_text("{")
    err = refused(capsys, tmp_path, "--dataset", "smallnorb", "--data-dir", tmp_path)
    assert "--data-dir: " in err and "is damaged" in err


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A folder of 9 grey images, each combination of two factors once, with their CSV, and of one broken file."""
    folder = tmp_path_factory.mktemp("cli") / "photographs"
    folder.mkdir()
    rows = ["file,shape,x", "broken.png,0,0"]
    for number in range(9):
        Image.new("L", (12 + number, 16), 20 * number).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{number // 3},{number % 3}")
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "factors.csv").write_text("\n".join(rows))
    return folder


def test_photographs_that_cannot_be_used(photographs, tmp_path, capsys):
    err = refused(capsys, tmp_path, "--dataset", "folder", "--folder", photographs)
    assert "1 file in " in err and "leave out with --on-error skip: broken.png: no image of a known format" in err
    (tmp_path / "empty").mkdir()
    err = refused(capsys, tmp_path, "--dataset", "folder", "--folder", tmp_path / "empty")
    assert err.startswith("kerasvae: error: --folder: there is no image in ")
    (tmp_path / "bad.csv").write_text("name,x\na.png,1")
    options = ("--dataset", "folder", "--folder", photographs, "--factors-csv", tmp_path / "bad.csv")
    assert "error: --factors-csv: the header of " in refused(capsys, tmp_path, *options)


@eager_on_tensorflow
def test_pairs_need_a_grid(photographs, tmp_path, small_networks, eager, capsys):
    options = ("--objective", "adagvae", "--dataset", "folder", "--folder", photographs, "--on-error", "skip")
    assert main(*TRAIN, *options, "--out", tmp_path / "run") == 2
    warning, error = capsys.readouterr().err.split("kerasvae: error: ")
    # What was left out, a file a line, then why there is no run.
    assert warning.startswith("kerasvae: warning: 1 file in ") and "\n  broken.png: no image" in warning
    assert 'only "random" needs no grid' in error and error.count("\n") == 1
    assert not (tmp_path / "run" / "settings.json").exists()
    assert main(*TRAIN, *options, "--image-size", "16", "--changed", "random", "--out", tmp_path / "run") == 0
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert settings["folder"] == str(photographs) and settings["changed"] == "random"


@eager_on_tensorflow
def test_a_run_on_a_folder(photographs, tmp_path, monkeypatch, small_networks, eager, capsys):
    options = ("--dataset", "folder", "--folder", "photographs", "--factors-csv", "photographs/factors.csv")
    options += ("--on-error", "skip", "--image-size", "20x16", "--objective", "adagvae", "--changed", "0:1")
    monkeypatch.chdir(photographs.parent)
    assert main(*TRAIN, *options, "--radius", "1", "--on-device", "--out", tmp_path / "run") == 0
    # From another folder, with nothing but the run.
    monkeypatch.chdir(tmp_path)
    assert main("train", "--resume", "--quiet", "--out", "run") == 0
    scores = ("--scores", "mig", "factor_vae_score", "--preset", "fast", "--json")
    capsys.readouterr()
    assert main("score", "run", *scores) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "run" / "scores.json").read_text())
    assert set(report["scores"]) == {"mig", "factor_vae_score"} and "9 images (20, 16, 1)" in report["settings"]["data"]


@eager_on_tensorflow
def test_on_device_gives_the_same_run(tmp_path, small_networks, eager):
    weights = []
    for folder, options in (("a", ()), ("b", ("--on-device",))):
        arguments = (*TRAIN, "--dataset", "xyobject", "--grid-spacing", "20", *options)
        assert main(*arguments, "--out", tmp_path / folder) == 0
        weights.append(kv.runs.load_model(tmp_path / folder).get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_range_and_radius_reach_the_pairs(monkeypatch, tmp_path):
    given = {}

    def pairs(data, **arguments):
        given.update(arguments)
        raise ValueError("changed must be something else")

    monkeypatch.setattr(kv.datasets, "pairs", pairs)
    options = ("--objective", "adamlvae", "--changed", "0:2", "--radius", "3", "--on-device")
    assert main(*TRAIN, *options, "--out", tmp_path) == 2
    assert (given["changed"], given["radius"], given["on_device"]) == ((0, 2), 3, True)
