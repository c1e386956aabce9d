import json

import keras
import pytest
from export.small_models import BUNDLE, DATA, FORMATS, IMAGES, make

import kerasvae as kv
from kerasvae.export import model_card


@pytest.fixture(scope="session")
def model():
    model = make(beta=kv.schedules.Linear(0.0, 0.02, steps=4))
    model.compile(keras.optimizers.Adam(0.03))
    model.fit(IMAGES, batch_size=12, epochs=20, verbose=0)
    return model


@pytest.fixture(scope="session")
def written(model, tmp_path_factory):
    """A bundle with everything in it, and its manifest."""
    path = tmp_path_factory.mktemp("bundles") / "squares"
    scores = {"mig": 0.25, "dci": float("nan")}
    assert kv.export.bundle(model, str(path), DATA, formats=FORMATS, scores=scores, description="Squares.") == path
    return path, json.loads((path / "bundle.json").read_text())


@pytest.fixture
def quick(monkeypatch):
    """Bundles in which the conversions, the pictures and the test in another process are left out."""
    monkeypatch.setattr(BUNDLE, "_write", lambda *arguments: {})
    monkeypatch.setattr(BUNDLE, "check_can_write", lambda *arguments: None)
    monkeypatch.setattr(BUNDLE, "verify", lambda folder: None)
    monkeypatch.setattr(model_card, "write", lambda folder, *arguments: (folder / "README.md").write_text("card"))
