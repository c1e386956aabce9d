"""Bundles: how they come to be, replace each other, and are refused."""

import sys

import numpy as np
import pytest
from export.small_models import (
    BACKEND,
    BUNDLE,
    DATA,
    FORMATS,
    make,
    manifest_of,
    needs_onnx,
    needs_saved_model,
    verify_bundle,
)

import kerasvae as kv
from kerasvae.export import diagnosis, formats, model_card


def test_a_bundle_replaces_a_bundle_as_a_whole(model, quick, tmp_path):
    kv.export.bundle(model, tmp_path / "b", version="1")
    before = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    with pytest.raises(FileExistsError, match=r"path: there is a bundle at .*overwrite=True"):
        kv.export.bundle(model, tmp_path / "b", version="2")
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == before
    old = kv.serving.read_manifest(tmp_path / "b")
    (tmp_path / "b" / "README.md").write_text("changed by hand")
    kv.export.bundle(model, tmp_path / "b", DATA, version="2", overwrite=True)
    assert manifest_of(tmp_path / "b")["version"] == "2"
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == [
        "README.md",
        "bundle.json",
        "bundle.json.sha256",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    # One who has read the old manifest and then finds the new files hears of it.
    (tmp_path / "b" / "README.md").write_text("Card")
    with pytest.raises(kv.serving.BundleError, match=r"README\.md was altered"):
        old.read("README.md")


@pytest.mark.parametrize("moment", ["write", "verify"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_is_interrupted_leaves_the_old_bundle(model, quick, monkeypatch, tmp_path, moment, error):
    kv.export.bundle(model, tmp_path / "b", version="1")
    before = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}

    def interrupted(folder, *arguments):
        assert folder.is_dir() and folder.parent == tmp_path and folder.name != "b"
        raise error("now")

    monkeypatch.setattr(*((model_card, "write") if moment == "write" else (BUNDLE, "verify")), interrupted)
    with pytest.raises(error):
        kv.export.bundle(model, tmp_path / "b", version="2", overwrite=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@needs_saved_model
@pytest.mark.parametrize("wrong", [1.0, np.nan])
def test_an_artefact_that_is_not_the_model_is_not_kept(model, monkeypatch, tmp_path, wrong):
    monkeypatch.setattr(BUNDLE, "write_saved_model", lambda *arguments: None)
    monkeypatch.setattr(diagnosis, "holds", lambda *arguments: True)

    def tampered(place, inputs, signature="serving_default"):
        count = len(next(iter(inputs.values())))
        mean, logvar = model.encode(inputs["image"], return_logvar=True)
        logvar = logvar + np.where(np.arange(count)[:, None] == count - 1, np.float32(wrong), 0)
        return {"mean": mean, "logvar": logvar}

    monkeypatch.setattr(BUNDLE, "run_saved_model", tampered)
    with pytest.raises(RuntimeError, match="serving_default does not reproduce the model: logvar differs"):
        kv.export.bundle(model, tmp_path / "b", DATA, formats=["tf_saved_model"])
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_missing_or_of_another_shape():
    expected = {"mean": np.zeros((2, 3))}
    for outputs, found in (({}, "nothing"), ({"mean": np.zeros((2, 1))}, r"\(2, 1\)")):
        with pytest.raises(RuntimeError, match=f"x does not reproduce the model: mean is {found}, not"):
            formats.largest_difference("x", outputs, expected, 1.0)
    assert formats.largest_difference("x", {"mean": np.full((2, 3), 0.5)}, expected, 0.5) == 0.5


def test_a_bundle_that_does_not_pass_its_test_without_keras_is_not_kept(model, quick, monkeypatch, tmp_path):
    # The whole test in the other process, on a bundle whose hashes are wrong.
    monkeypatch.setattr(BUNDLE, "verify", verify_bundle)
    wrong = {"README.md": {"bytes": 4, "sha256": "0" * 64}}
    monkeypatch.setattr(BUNDLE, "stated_files", lambda folder: wrong)
    with pytest.raises(RuntimeError, match=r"test in a process without Keras: .*README\.md was altered"):
        kv.export.bundle(model, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_folders_of_other_things_are_not_replaced(model, quick, tmp_path):
    def refused(path, shown):
        before = sorted(path.rglob("*")) if path.is_dir() else path.read_bytes()
        for overwrite in (False, True):
            with pytest.raises(FileExistsError, match=shown):
                kv.export.bundle(model, path, overwrite=overwrite)
        assert (sorted(path.rglob("*")) if path.is_dir() else path.read_bytes()) == before

    (tmp_path / "file").write_text("all of it")
    refused(tmp_path / "file", "path must be a folder, got the file")
    refused(tmp_path, r"path must be a new folder or that of an earlier bundle, got .* other files: file")
    (tmp_path / "b").mkdir()
    kv.export.bundle(model, tmp_path / "b")
    (tmp_path / "b" / "notes").mkdir()
    (tmp_path / "b" / "notes" / "a.txt").write_text("mine")
    refused(tmp_path / "b", "which holds other files: notes/a.txt")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "bundle.json").write_text('{"format": "another", "files": {}}')
    refused(tmp_path / "other", "which holds other files: bundle.json")


def test_models_that_are_not_served(tmp_path):
    with pytest.raises(ValueError, match=r"1 channel \(grey\) or 3 \(RGB\), the model's have 2"):
        kv.export.bundle(make(shape=(4, 4, 2)), tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_of_two_that_write_at_once_one_is_refused(model, quick, monkeypatch, tmp_path):
    def slow(folder, *arguments):
        monkeypatch.setattr(model_card, "write", lambda folder, *arguments: None)
        with pytest.raises(BlockingIOError, match=r"path: .*b' is in use by"):
            kv.export.bundle(model, tmp_path / "b", version="other")

    monkeypatch.setattr(model_card, "write", slow)
    kv.export.bundle(model, tmp_path / "b", version="mine")
    assert manifest_of(tmp_path / "b")["version"] == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.skipif(BACKEND == "tensorflow", reason="from TensorFlow every format can be written")
def test_formats_that_the_backend_cannot_write(model, tmp_path):
    with pytest.raises(ValueError, match=f"formats: '.*' cannot be written from the {BACKEND} backend, which writes"):
        kv.export.bundle(model, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


@needs_onnx
@pytest.mark.parametrize("missing", [["tf2onnx"], ["onnx", "tf2onnx", "onnxruntime"]])
def test_missing_packages(model, monkeypatch, tmp_path, missing):
    for package in missing:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"formats: 'onnx' needs .*: pip install {' '.join(missing)}; or, in a"):
        kv.export.bundle(model, tmp_path / "b", formats=FORMATS)
    assert list(tmp_path.iterdir()) == []
