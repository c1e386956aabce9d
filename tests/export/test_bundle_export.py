"""Bundles: what they hold, that it is the model, and that a bundle is there as a whole or not at all."""

import base64
import datetime
import hashlib
import importlib
import importlib.util
import json
import math
import re

import keras
import numpy as np
import pytest

import kerasvae as kv
from kerasvae.export import artefacts, bundle_export, model_card
from kerasvae.export.bundle_description import description_of_model, interface
from kerasvae.export.latent_summary import latent_summary

BACKEND = keras.config.backend()
FORMATS = {"tensorflow": kv.export.BUNDLE_FORMATS, "jax": ("saved_model",), "torch": ()}[BACKEND]
if importlib.util.find_spec("tensorflow") is None:
    FORMATS = ()
SHAPE, LATENTS = (8, 8, 1), 3
write_model_card = model_card.write  # which some tests leave out
needs_a_format = pytest.mark.skipif(not FORMATS, reason="this backend writes no bundle here")
needs_onnx = pytest.mark.skipif("onnx" not in FORMATS, reason="ONNX is written from TensorFlow")


def squares() -> kv.datasets.FromArrays:
    """A bright 3×3 square at each of 6×6 positions, given as a table with factors."""
    y, x = np.divmod(np.arange(36), 6)
    images = np.zeros((36, *SHAPE), "uint8")
    for image, top, left in zip(images, y, x, strict=True):
        image[top : top + 3, left : left + 3] = 250
    return kv.datasets.FromArrays(images, {"y": y, "x|<x>": x})


DATA = squares()
IMAGES = DATA.images(np.arange(36))


def make(objective=kv.BetaVAE, shape=SHAPE, policy="float32", **arguments):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = objective(
            kv.networks.mlp_encoder(shape, LATENTS, hidden=(16,), seed=1),
            kv.networks.mlp_decoder(shape, LATENTS, hidden=(16,), seed=2),
            **{"seed": 0, "pixel_mean": 0.3, "pixel_std": 0.4, **arguments},
        )
    finally:
        keras.config.set_dtype_policy(before)
    return model


def pixels(model, latents):
    """The model's own reconstruction of codes in pixels."""
    return np.clip((model.decode(latents).astype("float64") * model.pixel_std + model.pixel_mean) * 255, 0, 255)


@pytest.fixture(scope="module")
def model():
    model = make(beta=kv.schedules.Linear(0.0, 0.02, steps=4))
    model.compile(keras.optimizers.Adam(0.03))
    model.fit(IMAGES, batch_size=12, epochs=20, verbose=0)
    return model


@pytest.fixture(scope="module")
def written(model, tmp_path_factory):
    """A bundle with everything in it, and its manifest."""
    path = tmp_path_factory.mktemp("bundles") / "squares"
    scores = {"mig": 0.25, "dci": float("nan")}
    assert kv.export.bundle(model, str(path), DATA, formats=FORMATS, scores=scores, description="Squares.") == path
    return path, json.loads((path / "bundle.json").read_text())


@pytest.fixture
def quick(monkeypatch):
    """Bundles in which the conversions, the pictures and the test in another process are left out."""
    monkeypatch.setattr(bundle_export, "_WRITERS", dict.fromkeys(kv.export.BUNDLE_FORMATS, lambda *arguments: {}))
    monkeypatch.setattr(bundle_export, "check_can_write", lambda *arguments: None)
    monkeypatch.setattr(bundle_export, "verify", lambda folder: None)
    monkeypatch.setattr(model_card, "write", lambda folder, *arguments: (folder / "README.md").write_text("card"))


def manifest_of(path):
    return json.loads((path / "bundle.json").read_text())


@needs_a_format
def test_files_and_their_hashes(written):
    path, manifest = written
    found = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    assert found == {"bundle.json", *manifest["files"]}
    held = {"onnx": {"encoder.onnx", "decoder.onnx"}, "tflite": {"encoder.tflite"}, "saved_model": {"saved_model"}}
    wanted = {"bundle.json", "README.md", "traversals.png", "reconstructions.png", "kl.png"}
    assert {name.split("/")[0] for name in found} == wanted.union(*(held[format] for format in FORMATS))
    for name, stated in manifest["files"].items():
        contents = (path / name).read_bytes()
        assert stated == {"bytes": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}
    assert [other.name for other in path.parent.iterdir()] == ["squares"]


@needs_a_format
def test_manifest(model, written):
    path, manifest = written
    mean, logvar = model.encode(IMAGES, return_logvar=True)
    head = {"dtype": "float32", "shape": [None, LATENTS]}
    assert kv.serving.read_manifest(path).content == manifest
    versions, created = manifest["versions"], datetime.datetime.fromisoformat(manifest["created"])
    assert versions["keras"] == keras.__version__ and versions["numpy"] == np.__version__
    assert abs(datetime.datetime.now(datetime.UTC) - created) < datetime.timedelta(minutes=10)
    expected = {
        "format": "kerasvae bundle",
        "format_version": 1,
        "name": "squares",
        "version": "1",
        "description": "Squares.",
        "input": {"name": "image", "dtype": "uint8", "range": [0, 255], "shape": [None, *SHAPE]},
        "latents": LATENTS,
        "outputs": {
            "mean": {**head, "meaning": "posterior mean"},
            "logvar": {**head, "meaning": "posterior log-variance"},
        },
        "decoder": {
            "input": {"name": "latents", **head},
            "output": {"name": "image", "dtype": "float32", "range": [0, 255], "shape": [None, *SHAPE]},
        },
        "preprocessing": {
            "formula": "(image / 255 - mean) / std, applied inside",
            "mean": [0.3],
            "std": [0.4],
            "files": {"fit": "crop", "background": 255},
        },
        "range_quantiles": ["0.001", "0.999"],
        "data": {
            "name": "FromArrays: 36 images (8, 8, 1), factors y 6, x|<x> 6",
            "images": 36,
            "factor_names": ["y", "x|<x>"],
            "factor_sizes": [6, 6],
        },
        "scores": {"mig": 0.25, "dci": None},
    }
    assert {key: manifest[key] for key in expected} == expected
    summary = latent_summary(mean, logvar, DATA.factors(np.arange(36)), DATA.factor_names)
    for found, latent in zip(manifest["latent_summary"], summary, strict=True):
        assert {key: found[key] for key in ("index", "name", "active")} == {
            key: latent[key] for key in ("index", "name", "active")
        }
        for key in ("kl", "min", "max", "mean", "std"):
            assert found[key] == pytest.approx(latent[key], abs=1e-5)
        assert found["quantiles"] == pytest.approx(latent["quantiles"], abs=1e-5)
    assert any(latent["active"] for latent in manifest["latent_summary"])


@needs_a_format
def test_the_test_is_the_model(model, written):
    test = written[1]["test"]
    images = np.frombuffer(base64.b64decode(test["image"]["base64"]), "uint8").reshape(test["image"]["shape"])
    np.testing.assert_array_equal(images, IMAGES[[0, 12, 23, 35]])
    mean, logvar = model.encode(images, return_logvar=True)
    np.testing.assert_allclose(test["mean"], mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(test["logvar"], logvar, rtol=1e-5, atol=1e-6)
    assert test["latents"] == test["mean"] and test["tolerance"] == 1e-4
    decoded = np.frombuffer(base64.b64decode(test["decoded"]["base64"]), "<f4").reshape(test["decoded"]["shape"])
    np.testing.assert_allclose(decoded, pixels(model, mean), atol=1e-3)


@needs_a_format
def test_differences_are_small_and_of_every_artefact(written):
    differences = written[1]["differences"]
    held = {
        "onnx": {"encoder.onnx", "decoder.onnx"},
        "tflite": {"encoder.tflite"},
        "saved_model": {"saved_model/serving_default", "saved_model/decode"},
    }
    assert set(differences) == set().union(*(held[format] for format in FORMATS))
    assert all(0 <= difference < 1e-3 for difference in differences.values())


@needs_onnx
def test_opened_by_the_reader_it_is_the_model(model, written):
    bundle = kv.serving.Bundle(written[0])
    assert (bundle.name, bundle.version, bundle.image_shape) == ("squares", "1", SHAPE)
    codes, (mean, logvar) = bundle.encode(IMAGES), model.encode(IMAGES, return_logvar=True)
    np.testing.assert_allclose(codes.mean, mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(codes.logvar, logvar, rtol=1e-5, atol=1e-5)
    # Far out, so that both ends are clipped.
    latents = 8 * np.random.default_rng(0).normal(size=(7, LATENTS)).astype("float32")
    decoded = bundle.decode(latents, "float32")
    np.testing.assert_allclose(decoded, pixels(model, latents), atol=1e-2)
    assert decoded.min() == 0 and decoded.max() == 255


@needs_a_format
@pytest.mark.parametrize("count", [1, 7])
def test_saved_model(model, written, count):
    place = written[0] / "saved_model"
    outputs = artefacts.run_saved_model(place, {"image": IMAGES[:count]})
    mean, logvar = model.encode(IMAGES[:count], return_logvar=True)
    np.testing.assert_allclose(outputs["mean"], mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs["logvar"], logvar, rtol=1e-5, atol=1e-5)
    outputs = artefacts.run_saved_model(place, {"latents": 8 * mean}, "decode")
    np.testing.assert_allclose(outputs["image"], pixels(model, 8 * mean), atol=1e-2)


@pytest.mark.skipif("tflite" not in FORMATS, reason="TFLite is written from TensorFlow")
@pytest.mark.parametrize("count", [1, 7])
def test_tflite(model, written, count):
    outputs = artefacts.run_tflite(written[0] / "encoder.tflite", {"image": IMAGES[:count]})
    mean, logvar = model.encode(IMAGES[:count], return_logvar=True)
    np.testing.assert_allclose(outputs["mean"], mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs["logvar"], logvar, rtol=1e-5, atol=1e-5)


@needs_a_format
def test_model_card(written):
    path, manifest = written
    text = (path / "README.md").read_text(encoding="utf-8")
    assert text.startswith("# squares, version 1\n\nSquares.\n")
    assert "- Objective: BetaVAE, trained for 60 steps.\n- Reconstruction loss: `MeanSquaredError()`.\n" in text
    assert '- β: 0.02 in the mean form, 0.426667 in the sum form (trained with reduction "mean").' in text
    assert "| mig | 0.2500 |\n| dci | not finite |" in text
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", text)
    assert pictures == ["traversals.png", "reconstructions.png", "kl.png"] and set(pictures) <= set(manifest["files"])
    rows = [line for line in text.split("\n") if re.match(r"\| \d+ \|", line)]
    assert len(rows) == LATENTS
    for latent, row in zip(manifest["latent_summary"], rows, strict=True):
        # Cells of a table end at a bar that is not escaped.
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        low, high = (f"{latent['quantiles'][end]:.3g}" for end in ("0.01", "0.99"))
        assert len(cells) == 7 and cells[0] == str(latent["index"]) and [cells[3], cells[5]] == [low, high]
        assert cells[1].replace("\\", "") == latent["name"]
    assert "<x>" not in text


def test_the_decoder_turns_logits_into_pixels():
    model = make(kv.VAE, reconstruction=kv.losses.BernoulliNLL(), pixel_mean=0.0, pixel_std=1.0)
    latents = 5 * np.random.default_rng(0).normal(size=(6, LATENTS)).astype("float32")
    logits = keras.ops.convert_to_numpy(model.decoder(latents)).astype("float64")
    network = artefacts.decoder_to_pixels(model, artefacts.float32_copy(model.decoder))
    found = keras.ops.convert_to_numpy(network({"latents": latents})["image"])
    np.testing.assert_allclose(found, 255 / (1 + np.exp(-logits)), atol=1e-3)
    expected = artefacts.expected_pixels(model, model.decoder, latents)["image"]
    np.testing.assert_allclose(expected, 255 / (1 + np.exp(-logits)), atol=1e-3)


@pytest.mark.skipif(BACKEND == "torch", reason="bfloat16 is slow on this CPU")
def test_a_model_in_mixed_precision_is_held_to_its_weights_in_float32():
    mixed, full = make(policy="mixed_bfloat16"), make()
    full.set_weights(mixed.get_weights())
    latents = np.random.default_rng(0).normal(size=(5, LATENTS)).astype("float32")
    copies = artefacts.float32_copy(mixed.encoder), artefacts.float32_copy(mixed.decoder)
    assert mixed.decoder.layers[1].compute_dtype == "bfloat16"
    np.testing.assert_allclose(
        artefacts.expected_pixels(mixed, copies[1], latents)["image"], pixels(full, latents), atol=1e-2
    )
    found = artefacts.expected_codes(mixed, copies[0], IMAGES)
    np.testing.assert_allclose(found["mean"], full.encode(IMAGES), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("objective", "arguments", "expected"),
    [
        (kv.VAE, {}, {"sum": 1.0, "mean": 3 / 64, "reduction": "sum"}),
        (kv.VAE, {"reduction": "mean"}, {"sum": 64 / 3, "mean": 1.0, "reduction": "mean"}),
        (kv.BetaVAE, {"beta": 0.5}, {"sum": 32 / 3, "mean": 0.5, "reduction": "mean"}),
        (kv.BetaVAE, {"beta": kv.schedules.Linear(2.0, 4.0, steps=4), "reduction": "sum"}, {"sum": 3.0}),
        (kv.BetaTCVAE, {"dataset_size": 36, "beta": 6.0, "reduction": "sum"}, {"sum": 6.0, "mean": 9 / 32}),
        (kv.AdaGVAE, {"beta": 0.25}, {"mean": 0.25}),
        (kv.FactorVAE, {}, None),
        (kv.DIPVAE, {}, None),
        (kv.InfoVAE, {}, None),
        (kv.AnnealedVAE, {}, None),
    ],
)
def test_beta_in_both_forms_at_the_step(objective, arguments, expected):
    model = make(objective, **arguments)
    model.step.assign(2)
    description = json.loads(json.dumps(description_of_model(model), allow_nan=False))
    assert (description["class"], description["steps"]) == (objective.__name__, 2)
    assert description["loss"]["class_name"] == "MeanSquaredError"
    assert not {"encoder", "decoder", "discriminator"} & set(description["config"])
    if expected is None:
        assert description["beta"] is None
    else:
        assert set(description["beta"]) == {"mean", "sum", "reduction"}
        found = {key: description["beta"][key] for key in expected}
        assert found.pop("reduction", None) == expected.pop("reduction", None)
        assert found == pytest.approx(expected, rel=1e-6)


def test_the_loss_is_stated_so_that_keras_can_make_it():
    model = make(reconstruction=kv.losses.BoxBlurMSE(radius=2, weight=7.0))
    loss = json.loads(json.dumps(description_of_model(model)["loss"]))
    assert keras.saving.deserialize_keras_object(loss).get_config() == model.reconstruction.get_config()


def test_files_are_prepared_as_those_of_the_folder(tmp_path):
    from PIL import Image

    Image.fromarray(IMAGES[0, :, :, 0]).save(tmp_path / "a.png")
    data = kv.datasets.FromFolder(tmp_path, image_size=8, fit="pad", background=7)
    assert interface(make(), data)["preprocessing"]["files"] == {"fit": "pad", "background": 7}
    assert interface(make(), DATA)["preprocessing"]["files"] == {"fit": "crop", "background": 255}


def test_data_without_factors(model, quick, tmp_path):
    kv.export.bundle(model, tmp_path / "array", IMAGES[:9, :, :, 0])
    manifest = manifest_of(tmp_path / "array")
    assert (manifest["data"]["images"], manifest["data"]["factor_names"]) == (9, [])
    assert [latent["name"] for latent in manifest["latent_summary"]] == ["z0", "z1", "z2"]
    mean = model.encode(IMAGES[:9])
    np.testing.assert_allclose(
        [latent["quantiles"]["0.95"] for latent in manifest["latent_summary"]], np.quantile(mean, 0.95, axis=0), 1e-4
    )


def test_large_data_are_sampled(model, quick, tmp_path):
    found = []
    for seed in (0, 0, 1):
        kv.export.bundle(model, tmp_path / "some", DATA, samples=20, seed=seed)
        found.append(manifest_of(tmp_path / "some"))
        assert found[-1]["data"]["images"] == 20
    assert found[0]["latent_summary"] == found[1]["latent_summary"] != found[2]["latent_summary"]
    mean = model.encode(IMAGES[np.sort(np.random.default_rng(1).choice(36, 20, replace=False))])
    np.testing.assert_allclose(
        [latent["mean"] for latent in found[2]["latent_summary"]], mean.mean(axis=0), rtol=1e-5, atol=1e-5
    )


def test_without_data(model, quick, tmp_path):
    kv.export.bundle(model, tmp_path / "none", images=IMAGES[5:7], name="other", version="2.0", tolerance=0.01)
    manifest = kv.serving.read_manifest(tmp_path / "none")
    assert (manifest.name, manifest.version, manifest.active, manifest.quantile_range) == ("other", "2.0", None, None)
    assert manifest.test.tolerance == 0.01
    np.testing.assert_array_equal(manifest.test.images, IMAGES[5:7])


def test_model_card_without_data(model, quick, tmp_path):
    kv.export.bundle(model, tmp_path / "none", images=IMAGES[5:7])
    write_model_card(tmp_path / "none", manifest_of(tmp_path / "none"), model, None, None, IMAGES[5:7], 0)
    text = (tmp_path / "none" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"!\[[^\]]*\]\(([^)]*)\)", text) == ["traversals.png"]
    assert "from -2 to 2 standard deviations of the prior" in text and "Their ranges are not known." in text
    assert (tmp_path / "none" / "traversals.png").read_bytes().startswith(b"\x89PNG")


def test_an_evaluation_is_taken_as_scores(model, quick, tmp_path):
    from kerasvae.metrics.score import Score

    result = kv.metrics.Evaluation({"mig": Score("mig", 0.5), "dci": Score("dci", math.inf)}, {"seed": 1})
    kv.export.bundle(model, tmp_path / "scored", scores=result)
    assert manifest_of(tmp_path / "scored")["scores"] == {"mig": 0.5, "dci": None}


def test_a_bundle_replaces_a_bundle_as_a_whole(model, quick, tmp_path):
    kv.export.bundle(model, tmp_path / "b", version="1")
    old = kv.serving.read_manifest(tmp_path / "b")
    (tmp_path / "b" / "README.md").write_text("changed by hand")
    kv.export.bundle(model, tmp_path / "b", DATA, version="2")
    assert manifest_of(tmp_path / "b")["version"] == "2"
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["README.md", "bundle.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    # One who has read the old manifest and then finds the new files is told.
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

    monkeypatch.setattr(*((model_card, "write") if moment == "write" else (bundle_export, "verify")), interrupted)
    with pytest.raises(error):
        kv.export.bundle(model, tmp_path / "b", version="2")
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@needs_a_format
@pytest.mark.parametrize("wrong", [1.0, np.nan])
def test_an_artefact_that_is_not_the_model_is_not_kept(model, monkeypatch, tmp_path, wrong):
    monkeypatch.setattr(artefacts, "write_saved_model", lambda *arguments: None)
    monkeypatch.setattr(bundle_export, "write_saved_model", lambda *arguments: None)

    def tampered(place, inputs, signature="serving_default"):
        count = len(next(iter(inputs.values())))
        mean, logvar = model.encode(inputs["image"], return_logvar=True)
        logvar = logvar + np.where(np.arange(count)[:, None] == count - 1, np.float32(wrong), 0)
        return {"mean": mean, "logvar": logvar}

    monkeypatch.setattr(bundle_export, "run_saved_model", tampered)
    with pytest.raises(RuntimeError, match="saved_model/serving_default does not reproduce the model: logvar differs"):
        kv.export.bundle(model, tmp_path / "b", DATA, formats=["saved_model"])
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_missing_or_of_another_shape():
    expected = {"mean": np.zeros((2, 3))}
    for outputs, found in (({}, "nothing"), ({"mean": np.zeros((2, 1))}, r"\(2, 1\)")):
        with pytest.raises(RuntimeError, match=f"x does not reproduce the model: mean is {found}, not"):
            artefacts.largest_difference("x", outputs, expected, 1.0)
    assert artefacts.largest_difference("x", {"mean": np.full((2, 3), 0.5)}, expected, 0.5) == 0.5


def test_a_bundle_that_does_not_pass_its_test_without_keras_is_not_kept(model, quick, monkeypatch, tmp_path):
    from kerasvae.export.bundle_folder import verify

    # The whole test in the other process, on a bundle whose hashes are wrong.
    monkeypatch.setattr(bundle_export, "verify", verify)
    wrong = {"README.md": {"bytes": 4, "sha256": "0" * 64}}
    monkeypatch.setattr(bundle_export, "stated_files", lambda folder: wrong)
    with pytest.raises(RuntimeError, match=r"test in a process without Keras: .*README\.md was altered"):
        kv.export.bundle(model, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_folders_of_other_things_are_not_replaced(model, quick, tmp_path):
    def refused(path, shown):
        before = sorted(path.rglob("*")) if path.is_dir() else path.read_bytes()
        with pytest.raises(ValueError, match=shown):
            kv.export.bundle(model, path)
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formats": "onnx"}, "formats must be a list of any of onnx, saved_model, tflite, got 'onnx'"),
        ({"formats": ["onnx", "openvino"]}, "formats must be a list of any of"),
        ({"formats": []}, "formats must be a list of any of"),
        ({"name": ".hidden"}, "name must be 1 to 100 of the characters A-Z"),
        ({"name": "a/b"}, "name must be"),
        ({"name": "n" * 101}, "name must be"),
        ({"version": 2}, "version must be 1 to 100 of the characters A-Z"),
        ({"description": None}, "description must be text"),
        ({"scores": [0.5]}, r"scores must be an Evaluation or \{name: number\}"),
        ({"scores": {"mig": "good"}}, "scores must be an Evaluation"),
        ({"images": IMAGES[:0]}, r"images must be uint8 \(n, 8, 8, 1\) with n from 1 to 16"),
        ({"images": IMAGES[:17]}, "with n from 1 to 16, got uint8"),
        ({"images": IMAGES[:3] / 255}, "images must be uint8"),
        ({"samples": 0}, "samples must be an integer, at least 1, got 0"),
        ({"seed": -1}, "seed must be an integer, at least 0, got -1"),
        ({"tolerance": 0}, "tolerance must be a number above 0 and at most 0.01, got 0"),
        ({"tolerance": 0.1}, "tolerance must be"),
        ({"data": IMAGES / 255}, "data: images must be uint8"),
        ({"data": "images"}, "data must be a data set of kerasvae.datasets"),
        ({"data": np.zeros((3, 8, 9), "uint8")}, r"data: its images are \(8, 9, 1\), the model's \(8, 8, 1\)"),
    ],
)
def test_arguments_that_are_not_allowed(model, quick, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        kv.export.bundle(model, tmp_path / "b", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_models_that_are_not_served(tmp_path):
    with pytest.raises(ValueError, match="model must be a model of kerasvae, got Dense"):
        kv.export.bundle(keras.layers.Dense(1), tmp_path / "b")
    with pytest.raises(ValueError, match=r"1 channel \(grey\) or 3 \(RGB\), the model's have 2"):
        kv.export.bundle(make(shape=(4, 4, 2)), tmp_path / "b")
    with pytest.raises(ValueError, match=r"name \(default the folder's\) must be 1 to 100"):
        kv.export.bundle(make(), tmp_path / "my bundle", formats=FORMATS or ["onnx"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(BACKEND == "tensorflow", reason="from TensorFlow every format can be written")
def test_formats_that_the_backend_cannot_write(model, tmp_path):
    with pytest.raises(ValueError, match=f"formats: 'onnx' cannot be written from the {BACKEND} backend: save the"):
        kv.export.bundle(model, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


@needs_a_format
@pytest.mark.parametrize(
    ("package", "format"), [("tf2onnx", "onnx"), ("onnxruntime", "onnx"), ("tensorflow", "saved_model")]
)
def test_missing_packages(model, monkeypatch, tmp_path, package, format):
    if format not in FORMATS:
        pytest.skip("this backend does not write the format")
    there = importlib.import_module

    def missing(name):
        if name == package:
            raise ImportError(name)
        return there(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=rf"formats: '{format}' needs {package}: pip install 'kerasvae\[export\]'"):
        kv.export.bundle(model, tmp_path / "b", formats=FORMATS)
    assert list(tmp_path.iterdir()) == []
