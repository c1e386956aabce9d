"""Bundles: what they hold, that it is the model, and that a bundle is there as a whole or not at all."""

import base64
import datetime
import hashlib
import json
import math
import re

import keras
import numpy as np
import pytest
from export.small_models import (
    BACKEND,
    DATA,
    FORMATS,
    IMAGES,
    LATENTS,
    SHAPE,
    make,
    manifest_of,
    needs_a_format,
    needs_onnx,
    needs_saved_model,
    pixels,
    write_model_card,
)

import kerasvae as kv
from kerasvae.export import formats, networks
from kerasvae.export.bundle import description_of_model, interface
from kerasvae.export.latent_summary import latent_summary


@needs_a_format
def test_files_and_their_hashes(written):
    path, manifest = written
    found = {file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()}
    assert found == {"bundle.json", "bundle.json.sha256", *manifest["files"]}
    digest = hashlib.sha256((path / "bundle.json").read_bytes()).hexdigest()
    assert (path / "bundle.json.sha256").read_text() == f"{digest}  bundle.json\n"
    held = {
        "tf_saved_model": {"tf_saved_model"},
        "onnx": {"encoder.onnx", "decoder.onnx"},
        "litert": {"encoder.tflite"},
        "torch": {"encoder.pt2", "decoder.pt2"},
    }
    wanted = {"bundle.json", "bundle.json.sha256", "README.md", "traversals.png", "reconstructions.png", "kl.png"}
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
        "litert": {"encoder.tflite"},
        "tf_saved_model": {"tf_saved_model/serving_default", "tf_saved_model/decode"},
        "torch": {"encoder.pt2", "decoder.pt2"},
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


@needs_saved_model
@pytest.mark.parametrize("count", [1, 7])
def test_saved_model(model, written, count):
    place = written[0] / "tf_saved_model"
    outputs = formats.run_saved_model(place, {"image": IMAGES[:count]})
    mean, logvar = model.encode(IMAGES[:count], return_logvar=True)
    np.testing.assert_allclose(outputs["mean"], mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs["logvar"], logvar, rtol=1e-5, atol=1e-5)
    outputs = formats.run_saved_model(place, {"latents": 8 * mean}, "decode")
    np.testing.assert_allclose(outputs["image"], pixels(model, 8 * mean), atol=1e-2)


@pytest.mark.skipif("litert" not in FORMATS, reason="LiteRT is written from TensorFlow")
@pytest.mark.parametrize("count", [1, 7])
def test_litert(model, written, count):
    outputs = formats.run_litert(written[0] / "encoder.tflite", {"image": IMAGES[:count]})
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
    network = networks.decoder_to_pixels(model, networks.in_float32(model.decoder))
    found = keras.ops.convert_to_numpy(network({"latents": latents})["image"])
    np.testing.assert_allclose(found, 255 / (1 + np.exp(-logits)), atol=1e-3)
    expected = networks.expected_pixels(model, model.decoder, latents)["image"]
    np.testing.assert_allclose(expected, 255 / (1 + np.exp(-logits)), atol=1e-3)


@pytest.mark.skipif(BACKEND == "torch", reason="bfloat16 is slow on this CPU")
def test_a_model_in_mixed_precision_is_held_to_its_weights_in_float32():
    mixed, full = make(policy="mixed_bfloat16"), make()
    full.set_weights(mixed.get_weights())
    latents = np.random.default_rng(0).normal(size=(5, LATENTS)).astype("float32")
    copies = networks.in_float32(mixed.encoder), networks.in_float32(mixed.decoder)
    assert mixed.decoder.layers[1].compute_dtype == "bfloat16"
    np.testing.assert_allclose(
        networks.expected_pixels(mixed, copies[1], latents)["image"], pixels(full, latents), atol=1e-2
    )
    found = networks.expected_codes(mixed, copies[0], IMAGES)
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
        kv.export.bundle(model, tmp_path / "some", DATA, samples=20, seed=seed, overwrite=True)
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
