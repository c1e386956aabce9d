"""`kerasvae export --format bundle`: its arguments, and what a run's folder adds to a bundle."""

import argparse
import contextlib
import inspect
import json

import numpy as np
import pytest

import kerasvae as kv
from kerasvae import cli
from kerasvae.cli import export


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("tensorflow", reason="the pipelines are tf.data")
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    arguments = ["train", "--objective", "vae", "--networks", "mlp", "--latents", "2", "--grey", "--num-squares", "1"]
    with contextlib.redirect_stdout(None):
        assert cli.main([*arguments, "--steps", "2", "--batch-size", "4", "--quiet", "--out", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_a_bundle_of_a_run(run, quick, capsys):
    report = {"step": 2, "scores": {"mig": {"value": 0.5}, "dci": {"value": "nan"}}}
    (run / "scores.json").write_text(json.dumps(report))
    assert cli.main(["export", str(run), "--format", "bundle", "--description", "Tiny."]) == 0
    path = run / "bundle"
    assert capsys.readouterr().out == f"exported {path}, described in {path / 'README.md'}\n"
    manifest = kv.serving.read_manifest(path)
    assert (manifest.name, manifest.version, manifest.content["description"]) == ("tiny", "1", "Tiny.")
    assert manifest.content["scores"] == {"mig": 0.5, "dci": None}
    assert manifest.content["data"]["factor_names"] == ["x_R", "y_R"] and manifest.content["data"]["images"] == 64
    codes = kv.runs.load_model(run).encode(kv.datasets.XYSquares(num_squares=1, rgb=False).images(np.arange(64)))
    np.testing.assert_allclose(manifest.quantile_range, np.quantile(codes, [0.001, 0.999], axis=0), atol=1e-5)
    # Scores of another step, a name and a place of one's own, and no data.
    (run / "scores.json").write_text(json.dumps({**report, "step": 1}))
    arguments = ["--no-data", "--name", "other", "--bundle-version", "2", "--out", str(run / "elsewhere")]
    assert cli.main(["export", str(run), "--format", "bundle", *arguments]) == 0
    manifest = kv.serving.read_manifest(run / "elsewhere")
    assert (manifest.name, manifest.version, manifest.active) == ("other", "2", None)
    assert manifest.content["scores"] is None and manifest.content["data"] is None


@pytest.mark.parametrize("format", ["tf_saved_model", "onnx", "litert", "torch", "bundle"])
def test_what_is_there_already_is_left_alone(tmp_path, capsys, format):
    (tmp_path / "settings.json").write_text("{}")
    out = tmp_path / ("bundle" if format == "bundle" else f"encoder{export.SUFFIXES[format]}")
    if export.SUFFIXES.get(format):
        out.write_text("mine")
    else:
        out.mkdir()
        (out / "saved_model.pb").write_text("mine")
    # Before the run is read, which is none.
    with pytest.raises(SystemExit) as caught:
        cli.main(["export", str(tmp_path), "--format", format, *(["--name", "a"] * (format == "bundle"))])
    assert caught.value.code == 2
    assert f"--out: there is something at {str(out)!r} already; name another place, or give --force" in (
        capsys.readouterr().err
    )


def test_a_run_s_own_folder_is_no_place_for_its_bundle(run, quick, capsys):
    before = sorted(path.name for path in run.iterdir())
    arguments = ["export", str(run), "--format", "bundle", "--out", str(run)]
    assert cli.main([*arguments, "--force"]) == 2
    assert "error: --out must be a new folder or that of an earlier bundle" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(arguments)
    assert f"--out: there is something at {str(run)!r} already" in capsys.readouterr().err
    assert sorted(path.name for path in run.iterdir()) == before


def test_formats_are_those_of_the_package():
    from kerasvae.export.formats import SUFFIXES

    assert export.SUFFIXES == SUFFIXES and export.FORMATS == kv.export.FORMATS
    default = inspect.signature(kv.export.bundle).parameters["formats"].default
    assert export.ONLY_OF_BUNDLES["formats"] == default
    assert export.NAME.pattern == kv.serving.manifest.NAME.pattern


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--format", "onnx", "--name", "a"], "--name is only for --format bundle, not onnx"),
        (["--format", "tf_saved_model", "--no-data"], "--no-data is only for --format bundle, not tf_saved_model"),
        (["--format", "onnx", "--bundle-version", "2"], "--bundle-version is only for --format bundle, not onnx"),
        (["--format", "bundle"], "--name must be given, as the run's folder is called 'my run'"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, given, message):
    (tmp_path / "my run").mkdir()
    (tmp_path / "my run" / "settings.json").write_text("{}")
    parser = export.add(argparse.ArgumentParser().add_subparsers())
    with pytest.raises(ValueError, match=message):
        export.check(vars(parser.parse_args([str(tmp_path / "my run"), *given])))


@pytest.mark.parametrize("name", ["", ".a", "a b", "n" * 101])
def test_names_that_servers_do_not_take(name):
    with pytest.raises(argparse.ArgumentTypeError, match="must be 1 to 100 of the characters"):
        export.name(name)
