"""Runs whose folder, settings, data or numbers go wrong: stopped with what is left, and gone on with."""

import functools
import json
import os
import shutil
import threading

import keras
import numpy as np
import pytest
from PIL import Image
from small_runs import DATA
from test_runs import At, contents

import kerasvae as kv
from kerasvae import cli
from kerasvae.callbacks import Checkpoint

BATCHES = functools.partial(kv.datasets.images, DATA, 4, steps=6)


def build(latents=2):
    model = kv.BetaVAE(
        kv.networks.mlp_encoder(DATA.image_shape, latents, hidden=(4,), seed=1),
        kv.networks.mlp_decoder(DATA.image_shape, latents, hidden=(4,), seed=2),
        seed=3,
    )
    model.compile(run_eagerly=keras.config.backend() != "jax")
    return model


def train(folder, *callbacks, pipeline=BATCHES, settings=None, **arguments):
    options = {"steps": 6, "steps_per_epoch": 3, "checkpoint_every": 2, "verbose": 0}
    return kv.runs.train(build, pipeline, folder, callbacks=callbacks, settings=settings, **options, **arguments)


class StopError(Exception):
    pass


def stop():
    raise StopError


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A run that was interrupted at step 5, with a checkpoint of step 3."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    with pytest.raises(StopError):
        train(folder, At(5, stop), settings={"seed": 1, "loss": "mse"})
    return folder


@pytest.fixture
def run(begun, tmp_path):
    return shutil.copytree(begun, tmp_path / "run")


# Other processes


def test_a_second_run_at_once_is_refused_before_it_writes(tmp_path):
    caught, begun = [], threading.Event()

    def second():
        before = contents(tmp_path)
        try:
            train(tmp_path, settings={"seed": 2}, resume=True)
        except OSError as error:
            caught.append(error)
        begun.set()
        assert contents(tmp_path) == before

    def start():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    train(tmp_path, At(4, start), settings={"seed": 1})
    assert type(caught[0]) is BlockingIOError and str(tmp_path) in str(caught[0]) and "since" in str(caught[0])
    assert kv.runs.load_settings(tmp_path)["seed"] == 1
    assert contents(tmp_path) == ["history.csv", "model.keras", "settings.json"]


def test_what_a_killed_save_left_is_removed(run):
    for name in (".partial-1-checkpoint.keras", ".probe-1-settings.json", ".partial-2-.partial-2-model.keras"):
        (run / name).write_bytes(b"half")
    train(run, settings={"seed": 1, "loss": "mse"}, resume=True)
    assert contents(run) == ["history.csv", "model.keras", "settings.json"]


# Folders that go


@pytest.mark.parametrize("again", [False, True], ids=["gone", "made again"])
def test_a_folder_that_is_removed_during_the_run(tmp_path, again):
    folder = tmp_path / "run"

    def remove():
        shutil.rmtree(folder)
        if again:
            folder.mkdir()
            (folder / "progress.json").write_text("{}")

    left = r"of it are left: progress\.json" if again else "nothing of it is left"
    with pytest.raises(FileNotFoundError, match=rf"^folder: .*run' was removed .*{left}"):
        train(folder, At(5, remove))
    assert not folder.exists() or contents(folder) == ["progress.json"]


def test_files_that_are_removed_during_the_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"settings\.json was removed from .* holds step \d"):
        train(tmp_path, At(5, (tmp_path / "settings.json").unlink))


def test_a_disk_that_is_full_says_what_is_left(tmp_path, monkeypatch):
    save = kv.BetaVAE.save

    def full(self, *args, **kwargs):
        if int(self.step.numpy()) > 3:
            raise OSError(28, "No space left on device")
        return save(self, *args, **kwargs)

    monkeypatch.setattr(kv.BetaVAE, "save", full)
    with pytest.raises(OSError, match=r"run in .* could not write: .*No space left.*checkpoint\.keras' holds step 3"):
        train(tmp_path)
    monkeypatch.undo()
    assert int(train(tmp_path, resume=True).step.numpy()) == 6


# Numbers that go


def spoiled(start):
    """NaN in a later batch."""
    for step in range(start, 10):
        images = np.random.default_rng(step).normal(size=(4, *DATA.image_shape)).astype("float32")
        yield (np.full_like(images, np.nan) if step == 4 else images,)


def test_a_run_that_diverges_keeps_its_last_good_checkpoint(tmp_path):
    for resume in (False, True):
        with pytest.raises(
            kv.runs.DivergedError, match=r"checkpoint\.keras' holds step 3, from which it can"
        ) as caught:
            train(tmp_path, pipeline=spoiled, resume=resume)
        assert caught.value.step > 4 - 1
    model = kv.runs.load_model(tmp_path)
    assert int(model.step.numpy()) == 3 and all(np.isfinite(weight).all() for weight in model.get_weights())
    assert not (tmp_path / "model.keras").exists()


def test_a_checkpoint_is_not_replaced_by_one_that_is_not_finite(tmp_path):
    path, model = tmp_path / "a.keras", build()
    callback = Checkpoint(path)
    callback.set_model(model)
    callback.save()
    before = path.read_bytes()
    weight = model.encoder.trainable_variables[0]
    weight.assign(np.full(weight.shape, np.inf))
    for write in (callback.save, lambda: callback.on_epoch_end(0, {})):
        with pytest.raises(FloatingPointError, match=r"weights hold NaN or infinity after step 0, such as"):
            write()
    assert path.read_bytes() == before


# Settings and data that change


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda settings: {**settings, "seed": 2}, "states seed 2, and checkpoint.keras began with seed 1"),
        (lambda settings: {**settings, "loss": "mae"}, "loss 'mae'"),
        (lambda settings: {**settings, "steps": 7}, "steps 7"),
        (lambda settings: {**settings, "more": 1}, "more 1"),
        (lambda settings: {name: value for name, value in settings.items() if name != "seed"}, "seed None"),
        (lambda settings: {**settings, "data_set": {**settings["data_set"], "images": 5}}, "data_set.images 5"),
        (lambda settings: {**settings, "data_set": None}, "data_set None"),
    ],
    ids=["seed", "loss", "steps", "more", "less", "data", "no data"],
)
def test_settings_that_were_altered(run, change, field):
    path = run / "settings.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps(change(settings)))
    for call in (
        lambda: train(run, settings={"seed": 1, "loss": "mse"}, resume=True),
        lambda: kv.runs.load_settings(run),
    ):
        with pytest.raises(ValueError) as caught:
            call()
        assert f"{str(path)!r} was altered" in str(caught.value) and field in str(caught.value)


def test_settings_that_were_removed(run):
    (run / "settings.json").unlink()
    with pytest.raises(FileExistsError, match=r"already holds a run \(checkpoint\.keras\)"):
        train(run, settings={"seed": 1, "loss": "mse"})
    with pytest.raises(ValueError, match=r"began with other settings: seed 1 \(now 2\)"):
        train(run, settings={"seed": 2, "loss": "mse"}, resume=True)
    train(run, settings={"seed": 1, "loss": "mse"}, resume=True)
    assert kv.runs.load_settings(run)["seed"] == 1


def test_other_data(run):
    other = kv.datasets.XYSquares(num_squares=1, rgb=False, image_size=16, grid_size=4, grid_spacing=3, square_size=4)
    pipeline = functools.partial(kv.datasets.images, other, 4, steps=6)
    with pytest.raises(ValueError, match=r"data are not those .* began with: data_set\.grid_spacing 4 \(now 3\)"):
        train(run, pipeline=pipeline, settings={"seed": 1, "loss": "mse"}, resume=True)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (8, 8), (60 * number, 0, 90)).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "1.png").unlink(), ["data_set.images 4 (now 3)", "data_set.files", "'1.png'"]),
        (lambda folder: shutil.copy(folder / "1.png", folder / "9.png"), ["data_set.images 4 (now 5)", "'9.png'"]),
        (lambda folder: os.rename(folder / "3.png", folder / "30.png"), ["data_set.files", "'30.png'"]),
        (lambda folder: Image.new("RGB", (8, 8), "red").save(folder / "2.png"), ["data_set.pixels"]),
        (
            lambda folder: [
                os.rename(folder / a, folder / b) for a, b in (("1.png", "x"), ("2.png", "1.png"), ("x", "2.png"))
            ],
            ["data_set.pixels"],
        ),
    ],
    ids=["removed", "added", "renamed", "altered", "exchanged"],
)
def test_photographs_that_changed(tmp_path, photos, change, words):
    def pipeline(steps=2):
        return functools.partial(kv.datasets.images, kv.datasets.FromFolder(photos, image_size=8), 2, steps=steps)

    def fingerprint():
        return kv.runs.all_settings({}, pipeline(), 2, 1)

    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(fingerprint()))
    kv.runs.check_settings(folder, fingerprint(), resume=True)
    change(photos)
    with pytest.raises(ValueError, match="data are not those") as caught:
        kv.runs.check_settings(folder, fingerprint(), resume=True)
    for word in words:
        assert word in str(caught.value)


def test_fingerprints_are_json_and_tell_data_sets_apart():
    images = np.arange(4 * 64, dtype="uint8").reshape(4, 8, 8)
    table = [[0, 0], [0, 1], [1, 0], [1, 1]]
    data_sets = [
        DATA,
        kv.datasets.XYSquares(),
        kv.datasets.XYObject(),
        kv.datasets.MiniSprites(),
        kv.datasets.DSprites(),
        kv.datasets.ColorDSprites(),
        kv.datasets.ColorDSprites(seed=1),
        kv.datasets.FromArrays(images),
        kv.datasets.FromArrays(images[::-1].copy()),
        kv.datasets.FromArrays(images, mean=0.5),
        kv.datasets.FromArrays(images, table),
        kv.datasets.FromArrays(images, table[::-1]),
        kv.datasets.FromArrays(images, [[0, 0], [0, 5], [1, 0], [1, 5]]),
    ]
    found = [json.dumps(data.fingerprint(), sort_keys=True, allow_nan=False) for data in data_sets]
    assert len(set(found)) == len(found)
    assert found == [json.dumps(data.fingerprint(), sort_keys=True) for data in data_sets]


def test_the_command_says_what_went_wrong(tmp_path, monkeypatch, capsys, photos):
    def diverges(*_, **__):
        raise kv.runs.DivergedError("the loss is nan after step 3; 'checkpoint.keras' holds step 2", 3)

    options = ["train", "--objective", "vae", "--steps", "2", "--quiet", "--dataset", "folder", "--folder", str(photos)]
    monkeypatch.setattr(kv.runs, "train", diverges)
    assert cli.main([*options, "--out", str(tmp_path / "run")]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.endswith(
        "kerasvae: error: the loss is nan after step 3; 'checkpoint.keras' holds step 2\n"
    )
