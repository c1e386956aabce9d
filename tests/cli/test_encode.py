"""`kerasvae encode`: what it answers, writes, and its exit status."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving.small_bundles import Linear, write_bundle

from kerasvae import cli
from kerasvae.cli import encode
from kerasvae.serving import code_files, encode_files, images, manifest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

ENCODE = """
import json, sys
from kerasvae import cli
status = cli.main(["encode", *sys.argv[1:]])
heavy = sorted({"keras", "tensorflow", "jax", "torch", "sklearn", "matplotlib"} & set(sys.modules))
print(json.dumps({"status": status, "heavy": heavy}))
"""


@pytest.fixture
def material(tmp_path):
    """A bundle, a folder of images, and what these show."""
    write_bundle(tmp_path / "bundle")
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype="uint8")
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "bundle", tmp_path / "photos", pixels


def test_it_encodes_without_keras(material, tmp_path):
    bundle, photos, pixels = material
    (photos / "cut.png").write_bytes((photos / "0.png").read_bytes()[:-40])
    out = tmp_path / "codes.npz"
    process = subprocess.run(
        [sys.executable, "-c", ENCODE, str(bundle), str(photos), "--out", str(out), "--logvar", "--threads", "1"],
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    first, last = process.stdout.splitlines()
    assert first == f"5 images encoded: {out}" and json.loads(last) == {"status": 1, "heavy": []}
    assert process.stderr.splitlines() == [
        f"  {photos}/cut.png: image file is truncated",
        f"kerasvae: error: 1 file could not be used, as listed in {out}.errors.csv",
    ]
    with np.load(out) as arrays:
        np.testing.assert_allclose(arrays["mean"], Linear().mean(pixels), atol=1e-5)
        np.testing.assert_allclose(arrays["logvar"], Linear().logvar(pixels), atol=1e-5)


def test_exit_status_and_report(material, tmp_path, capsys):
    bundle, photos, _ = material
    command = ["encode", str(bundle), str(photos), "--out", str(tmp_path / "codes.csv"), "--batch-size", "2"]
    assert cli.main(command) == 0
    captured = capsys.readouterr()
    assert captured.out == f"5 images encoded: {tmp_path / 'codes.csv'}\n" and not captured.err
    for number in range(12):
        (photos / f"broken {number:02}.png").write_text("no image")
    assert cli.main(command) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12 and lines[10] == "  and 2 more"
    assert lines[11] == f"kerasvae: error: 12 files could not be used, as listed in {tmp_path / 'codes.csv.errors.csv'}"
    assert cli.main([*command, "--on-error", "stop"]) == 2
    assert "broken 00.png' cannot be used: no image of a known format" in capsys.readouterr().err
    # The first batches are kept; other files than the broken one are gone on with.
    assert cli.main([*command]) == 2
    assert "an interrupted run left 4 results" in capsys.readouterr().err
    assert cli.main([*command, "--resume"]) == 1
    assert capsys.readouterr().out.startswith("5 images encoded")
    assert cli.main([*command, "--pixel-limit", "23"]) == 1
    assert capsys.readouterr().out.startswith("0 images encoded")


def test_after_ctrl_c(material, tmp_path, capsys, monkeypatch):
    bundle, photos, _ = material

    def interrupted(**arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["kerasvae.serving"], "encode_files", interrupted)
    assert cli.main(["encode", str(bundle), str(photos), "--out", str(tmp_path / "codes.csv")]) == 130
    assert capsys.readouterr().err == "\nkerasvae: interrupted; go on with the same command and --resume\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["{photos}", "{photos}", "--out", "a.csv"],
            "photos' holds no bundle of kv.export.bundle (there is no bundle.json",
        ),
        (["nowhere", "{photos}", "--out", "a.csv"], "'nowhere' holds no bundle"),
        (["{bundle}", "--out", "a.csv"], "required: FILES"),
        (["{bundle}", "{photos}"], "required: --out"),
        (["{bundle}", "nowhere.png", "--out", "a.csv"], "there is no file or folder 'nowhere.png'"),
        (["{bundle}", "{photos}", "--out", "a.txt"], "--out: must end in .csv, .npz or .parquet, got 'a.txt'"),
        (
            ["{bundle}", "{photos}", "--out", "a.csv", "--batch-size", "0"],
            "--batch-size: must be an integer, at least 1",
        ),
        (["{bundle}", "{photos}", "--out", "a.csv", "--threads", "two"], "--threads: must be an integer"),
        (["{bundle}", "{photos}", "--out", "a.csv", "--pixel-limit", "0"], "--pixel-limit: must be an integer"),
        (["{bundle}", "{photos}", "--out", "a.csv", "--on-error", "skip"], "--on-error: invalid choice: 'skip'"),
    ],
)
def test_arguments_that_are_refused_at_once(material, capsys, arguments, message):
    bundle, photos, _ = material
    arguments = [argument.format(bundle=bundle, photos=photos) for argument in arguments]
    with pytest.raises(SystemExit) as caught:
        cli.main(["encode", *arguments])
    err = capsys.readouterr().err
    assert caught.value.code == 2 and message in err and err.count("\n") == 1


def test_a_damaged_bundle(material, tmp_path, capsys):
    bundle, photos, _ = material
    (bundle / "encoder.onnx").write_bytes(b"cut")
    assert cli.main(["encode", str(bundle), str(photos), "--out", str(tmp_path / "codes.csv")]) == 2
    err = capsys.readouterr().err
    assert "encoder.onnx is cut short or altered" in err and err.count("\n") == 1
    assert not (tmp_path / "codes.csv").exists()


def test_the_command_knows_what_the_package_does(capsys):
    assert encode.FORMATS == code_files.FORMATS and encode.MANIFEST == manifest.FILE_NAME
    assert encode.ON_ERROR == sys.modules[encode_files.__module__].ON_ERROR
    with pytest.raises(SystemExit):
        cli.main(["encode", "--help"])
    assert f"(default {images.PIXEL_LIMIT})" in " ".join(capsys.readouterr().out.split())
