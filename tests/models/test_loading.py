"""Files that are no whole models of this package say so; files that cannot be written leave nothing."""

import io
import zipfile

import keras
import numpy as np
import pytest

import kerasvae as kv

SHAPE = (4, 4, 1)


def make():
    model = kv.BetaVAE(
        kv.networks.mlp_encoder(SHAPE, 2, hidden=(4,), seed=1),
        kv.networks.mlp_decoder(SHAPE, 2, hidden=(4,), seed=2),
        seed=0,
    )
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(np.zeros((4, *SHAPE), "float32"), verbose=0)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model's file as bytes."""
    path = tmp_path_factory.mktemp("loading") / "model.keras"
    make().save(path)
    return path.read_bytes()


def edited(saved, name, edit):
    """The archive with one member changed, or left out where `edit` gives None."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved)) as source, zipfile.ZipFile(out, "w") as target:
        for member in source.namelist():
            content = edit(source.read(member)) if member == name else source.read(member)
            if content is not None:
                target.writestr(member, content)
    return out.getvalue()


def test_load(saved, tmp_path):
    (tmp_path / "model.keras").write_bytes(saved)
    model = kv.load(str(tmp_path / "model.keras"))
    assert type(model) is kv.BetaVAE and int(model.step.numpy()) == int(model.optimizer.iterations.numpy()) == 1
    assert not kv.load(tmp_path / "model.keras", compile=False).compiled


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999, 1.0])
def test_a_file_cut_short(saved, tmp_path, share):
    path = tmp_path / "model.keras"
    path.write_bytes(saved[: min(int(share * len(saved)), len(saved) - 1)])
    with pytest.raises(ValueError, match=f"^filepath: '{path}' is not a whole .keras file"):
        kv.load(path)


DAMAGES = {
    "garbage": lambda saved: np.random.default_rng(0).bytes(5000),
    "text": lambda saved: b"version https://git-lfs.github.com/spec/v1\n",
    "one bit": lambda saved: (
        saved[: len(saved) // 2] + bytes([saved[len(saved) // 2] ^ 1]) + saved[len(saved) // 2 + 1 :]
    ),
    "no configuration": lambda saved: edited(saved, "config.json", lambda content: None),
    "no weights": lambda saved: edited(saved, "model.weights.h5", lambda content: None),
    "an archive of nothing": lambda saved: b"PK\5\6" + bytes(18),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file(saved, tmp_path, damage):
    path = tmp_path / "model.keras"
    path.write_bytes(damage(saved))
    with pytest.raises(ValueError, match=r"^filepath: .* is not a whole \.keras file"):
        kv.load(path)


def test_a_file_that_somebody_compressed(saved, tmp_path):
    with zipfile.ZipFile(io.BytesIO(saved)) as before, zipfile.ZipFile(tmp_path / "m.keras", "w", 8, True, 9) as after:
        for name in before.namelist():
            after.writestr(name, before.read(name))
    assert isinstance(kv.load(tmp_path / "m.keras"), kv.BetaVAE)


OTHERS = {
    "broken configuration": ("config.json", lambda content: content[:50]),
    "unknown class": ("config.json", lambda content: content.replace(b"BetaVAE", b"GammaVAE")),
    "other shapes": ("config.json", lambda content: content.replace(b'"units": 4', b'"units": 5')),
    "broken weights": ("model.weights.h5", lambda content: content[:500]),
}


@pytest.mark.parametrize(("name", "edit"), OTHERS.values(), ids=OTHERS)
def test_a_whole_file_of_something_else(saved, tmp_path, name, edit):
    path = tmp_path / "model.keras"
    path.write_bytes(edited(saved, name, edit))
    with pytest.raises(ValueError, match=f"^filepath: '{path}' does not hold a model of kerasvae: "):
        kv.load(path)


def test_another_keras_model(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)]).save(path)
    with pytest.raises(ValueError, match=r"^filepath: .* holds a Sequential, not a model of kerasvae"):
        kv.load(path)


def test_code_in_a_file_is_not_run(tmp_path):
    path = tmp_path / "model.keras"
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Lambda(lambda x: x)]).save(path)
    with pytest.raises(ValueError, match=r"^filepath: .* does not hold a model of kerasvae: .*Lambda"):
        kv.load(path)


@pytest.mark.parametrize("name", ["missing.keras", "folder", "missing/model.keras"])
def test_no_file(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match=f"^filepath: there is no file '{tmp_path / name}'"):
        kv.load(tmp_path / name)


@pytest.mark.parametrize(("save", "suffix"), [("save", ".keras"), ("save_weights", ".weights.h5")])
def test_saving_to_a_place_that_cannot_be_written(tmp_path, save, suffix):
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OSError, match=r"^filepath: cannot write"):
        getattr(make(), save)(tmp_path / "file" / f"model{suffix}")
    assert [path.name for path in tmp_path.rglob("*")] == ["file"] and (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("save", "name", "allowed"),
    [
        ("save", "model.h5", r"\.keras"),
        ("save", "model", r"\.keras"),
        ("save_weights", "model.keras", r"\.weights\.h5"),
        ("save_weights", "model.h5", r"\.weights\.h5"),
    ],
)
def test_saving_under_another_suffix(tmp_path, save, name, allowed):
    with pytest.raises(ValueError, match=f"^filepath must end in {allowed}, got '.*{name}'"):
        getattr(make(), save)(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_saving_that_fails_leaves_the_file_before(tmp_path, monkeypatch):
    path, model = tmp_path / "model.keras", make()
    model.save(path)
    before = path.read_bytes()

    def fail(self, filepath, *args, **kwargs):
        filepath.write_bytes(b"half a file")
        raise OSError("No space left on device")

    monkeypatch.setattr(keras.Model, "save", fail)
    with pytest.raises(OSError, match="No space left"):
        model.save(path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
