import os
import subprocess
import sys
from pathlib import Path

import pytest
from serving.small_bundles import write_bundle

import kerasvae
from kerasvae.serving import verify

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "kerasvae.serving.verify", *map(str, arguments)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(kerasvae.__file__).parents[1]), **environment},
        capture_output=True,
        text=True,
    )


def test_a_bundle_in_a_process_of_its_own(tmp_path):
    write_bundle(tmp_path)
    process = run(tmp_path)
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith(
        f"{tmp_path}: all files are as stated, and the test passes; largest differences: mean"
    )
    assert process.stdout.count("\n") == 1 and not process.stderr
    (tmp_path / "decoder.onnx").write_bytes(b"cut")
    process = run(tmp_path)
    assert process.returncode == 1 and not process.stdout
    assert process.stderr.startswith(f"{tmp_path}: decoder.onnx is cut short") and process.stderr.count("\n") == 1


def test_nothing_is_left_in_the_home_folder(tmp_path):
    write_bundle(tmp_path / "bundle")
    (tmp_path / "home").mkdir()
    process = run(tmp_path / "bundle", HOME=str(tmp_path / "home"), PYTHONDONTWRITEBYTECODE="1")
    assert process.returncode == 0, process.stderr
    # onnxruntime's usage data would begin there.
    assert list((tmp_path / "home").rglob("*")) == []


def test_keras_counts_as_a_failure(tmp_path, monkeypatch, capsys):
    write_bundle(tmp_path)
    for name in verify.NOT_NEEDED:
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert verify.main([str(tmp_path)]) == 0
    monkeypatch.setitem(sys.modules, "keras", verify)
    capsys.readouterr()
    assert verify.main([str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"{tmp_path}: opening it imported keras, which it must do without\n"


def test_a_bundle_without_onnx(tmp_path, capsys):
    files = {"encoder.onnx": None, "decoder.onnx": None, "encoder.tflite": b"network"}
    write_bundle(tmp_path, files=files)
    assert verify.verify(tmp_path) == f"{tmp_path}: all files are as stated; there is no encoder.onnx to run"
    (tmp_path / "encoder.tflite").write_bytes(b"another")
    assert verify.main([str(tmp_path)]) == 1 and "encoder.tflite was altered" in capsys.readouterr().err


def test_usage(capsys):
    assert verify.main([]) == 2
    assert capsys.readouterr().err == "usage: python -m kerasvae.serving.verify FOLDER\n"
