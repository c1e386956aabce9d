"""Small runs, from `train` to `score` and `export`."""

import contextlib
import json

import keras
import numpy as np
import pytest

import kerasvae as kv
from kerasvae import cli

TRAIN = [
    *("train", "--objective", "adagvae", "--loss", "boxblur", "--beta", "0.01", "--networks", "mlp", "--latents", "2"),
    *("--grey", "--num-squares", "1", "--steps", "8", "--batch-size", "4", "--checkpoint-every", "3", "--quiet"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a run that was interrupted at step 5 and resumed, and what it printed."""
    pytest.importorskip("tensorflow", reason="the pipelines are tf.data")
    folder = tmp_path_factory.mktemp("cli") / "run"
    fit = kv.AdaGVAE.fit

    def interrupted_fit(self, *args, callbacks, **kwargs):
        def stop(batch, logs=None):
            if hasattr(self, "jax_state_sync"):
                self.jax_state_sync()  # on JAX the model's variables are empty while it trains
            if int(self.step.numpy()) == 5:
                raise KeyboardInterrupt

        callbacks = [*callbacks, keras.callbacks.LambdaCallback(on_train_batch_end=stop)]
        return fit(self, *args, callbacks=callbacks, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kv.AdaGVAE, "fit", interrupted_fit)
        assert cli.main([*TRAIN, "--out", str(folder)]) == 130
    assert (folder / "checkpoint.keras").is_file()
    return folder


@pytest.mark.slow
def test_train_and_resume(run, tmp_path, capsys):
    # Without the other arguments: they are the run's.
    assert cli.main(["train", "--resume", "--quiet", "--out", str(run)]) == 0
    assert capsys.readouterr().out == (
        f"trained 8 steps: {run / 'model.keras'}, history in {run / 'history.csv'}\nnext: kerasvae score {run}\n"
    )
    assert cli.main([*TRAIN, "--resume", "--out", str(run)]) == 0
    loud = [argument for argument in TRAIN if argument != "--quiet"]
    assert cli.main([*loud, "--out", str(tmp_path / "whole")]) == 0
    # The KL of each latent is in the history, not in the progress bar.
    shown = capsys.readouterr().out
    assert "kl_nats" in shown and "kl.z" not in shown
    model, whole = (kv.runs.load_model(folder) for folder in (run, tmp_path / "whole"))
    for a, b in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (run / "history.csv").read_text() == (tmp_path / "whole" / "history.csv").read_text()
    # The data set's constants were learnt, so that raw images can be encoded and exported.
    data = kv.datasets.XYSquares(num_squares=1, rgb=False)
    row = kv.callbacks.read_history(run / "history.csv")[-1]
    mean, logvar = model.encode(data.images(range(len(data))), return_logvar=True)
    kl = ((mean.astype("float64") ** 2 + np.exp(logvar.astype("float64")) - logvar - 1) / 2).mean(axis=0)
    np.testing.assert_allclose([row["kl.z0"], row["kl.z1"]], kl, rtol=1e-4)
    assert row["step"] == 8 and row["active_latents"] == (kl > 0.01).sum()
    assert model.pixel_mean == tuple(data.mean) and model.pixel_std == tuple(data.std)
    assert model.reconstruction.get_config()["weight"] == 3969.0 and model.beta == 0.01 and model.latents == 2


def test_score(run, capsys):
    assert cli.main(["train", "--resume", "--quiet", "--out", str(run)]) == 0
    capsys.readouterr()
    names = ["mig", "dci", "factor_vae_score"]
    arguments = ["score", str(run), "--seed", "3", "--preset", "fast", "--scores"]
    sizes = ["--samples", "200", "--test-samples", "50"]
    assert cli.main([*arguments, *names, *sizes, "--jobs", "2", "--bootstrap", "2"]) == 0
    table = capsys.readouterr().out
    report = json.loads((run / "scores.json").read_text())
    data, model = kv.datasets.XYSquares(num_squares=1, rgb=False), kv.runs.load_model(run)
    options = {"seed": 3, "preset": "fast", "train": 200, "test": 50}
    expected = kv.metrics.evaluate(model, data, names, bootstrap=2, **options)
    assert report == json.loads(json.dumps({"step": 8, **expected.to_json()}))
    for name, score in expected.items():
        assert f"{name}" in table and f"{float(score):.4f}" in table
    assert cli.main([*arguments, "mig", *sizes, "--representation", "sampled", "--json"]) == 0
    expected = kv.metrics.evaluate(model, data, ["mig"], representation="sampled", **options)
    assert json.loads(capsys.readouterr().out)["scores"] == {"mig": expected["mig"].to_json()}


def test_export(run, capsys):
    assert cli.main(["train", "--resume", "--quiet", "--out", str(run)]) == 0
    format, name = {
        "tensorflow": ("onnx", "encoder.onnx"),
        "jax": ("tf_saved_model", "encoder"),
        "torch": ("torch", "encoder.pt2"),
    }[keras.config.backend()]
    other = "torch" if format != "torch" else "onnx"
    assert cli.main(["export", str(run), "--format", other]) == 2
    assert f"cannot be written from the {keras.config.backend()} backend" in capsys.readouterr().err
    capsys.readouterr()
    assert cli.main(["export", str(run), "--format", format]) == 0
    assert capsys.readouterr().out == f"exported {run / name}, described in {run / name}.json\n"
    images = kv.datasets.XYSquares(num_squares=1, rgb=False).images([0, 9, 63])
    outputs = kv.export.run(run / name, images, format)
    np.testing.assert_allclose(outputs["mean"], kv.runs.load_model(run).encode(images), atol=1e-5)
    # The run's own folder is no place for an export that replaces it.
    before = sorted(path.name for path in run.iterdir())
    arguments = ["export", str(run), "--format", format if name == "encoder" else "tf_saved_model", "--out", str(run)]
    assert cli.main([*arguments, "--force"]) == 2
    assert sorted(path.name for path in run.iterdir()) == before


def test_bernoulli_learns_and_is_scored_on_images_in_0_1(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow", reason="the pipelines are tf.data")
    arguments = ["train", "--objective", "vae", "--loss", "bernoulli", "--networks", "mlp", "--latents", "2", "--grey"]
    arguments += ["--num-squares", "1", "--steps", "2", "--batch-size", "4", "--quiet", "--out", str(tmp_path)]
    with contextlib.redirect_stdout(None):
        assert cli.main(arguments) == 0
    model = kv.runs.load_model(tmp_path)
    assert model.pixel_mean == (0.0,) and model.pixel_std == (1.0,)
    seen = []

    def first_codes(codes, factors):
        seen.append((codes, factors))
        return 0.0

    evaluate = kv.metrics.evaluate
    monkeypatch.setattr(
        kv.metrics, "evaluate", lambda encode, data, scores, **options: evaluate(encode, data, [first_codes], **options)
    )
    with contextlib.redirect_stdout(None):
        assert cli.main(["score", str(tmp_path), "--samples", "9", "--test-samples", "1"]) == 0
    codes, factors = seen[0]
    data = kv.datasets.XYSquares(num_squares=1, rgb=False)
    expected = model.encode((data.images(data.index(factors)) / 255).astype("float32"))
    np.testing.assert_allclose(codes, expected, atol=1e-5)


def test_package_s_errors_are_one_line(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").write_text("{}")
    assert cli.main(["export", str(tmp_path / "run"), "--format", "onnx"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("kerasvae: error: folder: ") and "holds neither model.keras nor" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 8, "loss": "mse"}, "its settings lack 'dataset'"),
        ({"dataset": "x", "steps": 8, "loss": "mse"}, "dataset must"),
    ],
)
def test_runs_of_other_commands_are_not_scored(tmp_path, monkeypatch, capsys, settings, message):
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    monkeypatch.setattr(kv.runs, "load_model", lambda folder: None)
    assert cli.main(["score", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
