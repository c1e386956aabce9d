"""Exported encoders: they take raw images, give the model's codes, and are checked before they are kept."""

import base64
import json
import shutil
import warnings

import keras
import numpy as np
import pytest
from export.small_models import BACKEND, ENCODER, FORMATS, NAMES, needs_a_format

import kerasvae as kv
from kerasvae.export import diagnosis

SHAPE, LATENTS = (16, 16, 3), 2
IMAGES = np.random.default_rng(0).integers(0, 256, size=(7, *SHAPE), dtype="uint8")
# What does not depend on the format is shown for one, the least tolerant.
FORMAT = "onnx" if "onnx" in FORMATS else FORMATS[0] if FORMATS else None


def make(encoder=kv.networks.conv_encoder, policy="float32"):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = kv.BetaVAE(
            encoder(SHAPE, LATENTS, seed=1),
            kv.networks.mlp_decoder(SHAPE, LATENTS, hidden=(4,), seed=2),
            seed=0,
            pixel_mean=[0.2, 0.5, 0.7],
            pixel_std=[0.1, 0.3, 0.2],
        )
    finally:
        keras.config.set_dtype_policy(before)
    model.step.assign(5)
    return model


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.fixture(scope="module", params=FORMATS)
def exported(request, model, tmp_path_factory):
    """The model, the path of its export, and the format."""
    path = tmp_path_factory.mktemp("export") / NAMES[request.param]
    assert kv.export.encoder(model, str(path), request.param) == path
    return model, path, request.param


@needs_a_format
def test_the_format_is_that_of_the_path_or_of_the_backend(model, tmp_path):
    path = kv.export.encoder(model, tmp_path / "encoder")
    assert path == tmp_path / ("encoder.pt2" if BACKEND == "torch" else "encoder")
    named = kv.export.encoder(model, tmp_path / NAMES[FORMAT].replace("encoder", "named"))
    for each, format in ((path, {"torch": "torch"}.get(BACKEND, "tf_saved_model")), (named, FORMAT)):
        assert json.loads((tmp_path / f"{each.name}.json").read_text())["format"] == format
        np.testing.assert_allclose(kv.export.run(each, IMAGES)["mean"], model.encode(IMAGES), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [1, 7])
def test_reproduces_the_model(exported, count):
    model, path, format = exported
    outputs = kv.export.run(path, IMAGES[:count], format)
    mean, logvar = model.encode(IMAGES[:count], return_logvar=True)
    assert set(outputs) == {"mean", "logvar"}
    for output, expected in ((outputs["mean"], mean), (outputs["logvar"], logvar)):
        assert output.dtype == np.float32 and output.shape == (count, LATENTS)
        np.testing.assert_allclose(output, expected, rtol=1e-5, atol=1e-5)


def test_names_of_input_and_outputs(exported):
    _, path, format = exported
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path))
        (entry,) = session.get_inputs()
        assert (entry.name, entry.type, entry.shape[1:]) == ("image", "tensor(uint8)", list(SHAPE))
        assert {output.name for output in session.get_outputs()} == {"mean", "logvar"}
    elif format == "litert":
        import tensorflow as tf

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it is the old interpreter, where no newer one is installed
            (entry,) = tf.lite.Interpreter(str(path)).get_signature_runner().get_input_details().items()
        assert (entry[0], entry[1]["dtype"], list(entry[1]["shape_signature"])) == ("image", np.uint8, [-1, *SHAPE])
    elif format == "torch":
        import torch

        signature = torch.export.load(path)
        (entry,) = [node for node in signature.graph.nodes if node.name in signature.graph_signature.user_inputs]
        assert entry.meta["val"].dtype == torch.uint8 and tuple(entry.meta["val"].shape[1:]) == SHAPE
    else:
        import tensorflow as tf

        signature = tf.saved_model.load(str(path)).signatures["serving_default"]
        (entry,) = signature.structured_input_signature[1].values()
        assert (entry.name, entry.dtype, entry.shape.as_list()) == ("image", tf.uint8, [None, *SHAPE])
        assert set(signature.structured_outputs) == {"mean", "logvar"}


def test_description(exported):
    _, path, format = exported
    description = json.loads(path.with_name(path.name + ".json").read_text())
    test, versions = description.pop("test"), description.pop("versions")
    head = {"dtype": "float32", "shape": [None, LATENTS]}
    assert description == {
        "format": format,
        "input": {"name": "image", "dtype": "uint8", "range": [0, 255], "shape": [None, *SHAPE]},
        "outputs": {
            "mean": {**head, "meaning": "posterior mean"},
            "logvar": {**head, "meaning": "posterior log-variance"},
        },
        "preprocessing": {
            "formula": "(image / 255 - mean) / std, applied inside",
            "mean": [0.2, 0.5, 0.7],
            "std": [0.1, 0.3, 0.2],
        },
        "model": {"class": "BetaVAE", "steps": 5},
    }
    assert versions["keras"] == keras.__version__ and versions["numpy"] == np.__version__
    images = np.frombuffer(base64.b64decode(test["image"]["base64"]), "uint8").reshape(test["image"]["shape"])
    outputs = kv.export.run(path, images, format)
    for name in ("mean", "logvar"):
        np.testing.assert_allclose(outputs[name], test[name], rtol=1e-5, atol=1e-5)


def test_preprocessing_is_the_formula_of_the_description(exported):
    model, path, format = exported
    description = json.loads(path.with_name(path.name + ".json").read_text())["preprocessing"]
    standardized = (IMAGES / 255 - description["mean"]) / description["std"]
    expected = model.encode(standardized.astype("float32"))
    np.testing.assert_allclose(kv.export.run(path, IMAGES, format)["mean"], expected, rtol=1e-5, atol=1e-5)


def test_an_export_replaces_an_earlier_one_and_leaves_the_model_alone(exported, tmp_path):
    model, earlier, format = exported
    copy = shutil.copytree if earlier.is_dir() else shutil.copy
    path = copy(earlier, tmp_path / earlier.name)
    shutil.copy(f"{earlier}.json", f"{path}.json")
    weights = [weight.copy() for weight in model.get_weights()]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match=r"path: .* are there already; .* overwrite=True"):
        kv.export.encoder(model, path, format)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    # Of pixels that are floats, with a test image of one's own.
    kv.export.encoder(model, path, format, input_dtype="float32", images=IMAGES[:1], overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAMES[format], NAMES[format] + ".json"]
    outputs = kv.export.run(path, IMAGES.astype("float32"), format)
    np.testing.assert_allclose(outputs["mean"], model.encode(IMAGES), rtol=1e-5, atol=1e-5)
    description = json.loads((tmp_path / f"{path.name}.json").read_text())
    assert description["input"]["dtype"] == "float32"
    assert base64.b64decode(description["test"]["image"]["base64"]) == IMAGES[:1].tobytes()
    np.testing.assert_allclose(description["test"]["mean"], model.encode(IMAGES[:1]), rtol=1e-6)
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    # It trains on.
    model.compile(keras.optimizers.Adam(0.01), run_eagerly=True)
    model.fit(IMAGES, batch_size=7, verbose=0)
    assert int(model.step.numpy()) == 6
    model.set_weights(weights)


@needs_a_format
def test_encoder_of_one_s_own_in_bfloat16_with_nested_models(tmp_path):
    def encoder(shape, latents, seed):
        inner = keras.layers.Input((4, 4, 3))
        body = keras.Model(inner, keras.layers.BatchNormalization()(keras.layers.Flatten()(inner)))
        image = keras.layers.Input(shape, name="image")
        x = body(keras.layers.AveragePooling2D(4)(image))
        weights = keras.initializers.GlorotNormal(seed=seed)
        heads = {
            name: keras.layers.Dense(latents, kernel_initializer=weights, dtype="float32", name=name)(x)
            for name in ("mean", "logvar")
        }
        return keras.Model(image, heads)

    mixed, full = make(encoder, "mixed_bfloat16"), make(encoder)
    assert mixed.encoder.layers[1].compute_dtype == "bfloat16"
    # Those of the normalisation, too, which a new model has at 0 and 1.
    rng = np.random.default_rng(1)
    weights = [value + rng.uniform(0.1, 0.5, value.shape) for value in mixed.get_weights()]
    mixed.set_weights(weights)
    full.set_weights(weights)
    path = kv.export.encoder(mixed, tmp_path / NAMES[FORMAT], FORMAT)
    outputs = kv.export.run(path, IMAGES, FORMAT)
    # The same weights in float32, which is what it serves; and near the model itself.
    np.testing.assert_allclose(outputs["mean"], full.encode(IMAGES), rtol=1e-5, atol=1e-5)
    mean = mixed.encode(IMAGES)
    np.testing.assert_allclose(outputs["mean"], mean, atol=0.02 * (1 + np.abs(mean).max()))


@pytest.mark.parametrize(("name", "wrong"), [("mean", 0.01), ("logvar", np.nan)])
def test_an_artefact_that_does_not_reproduce_the_model_is_not_kept(exported, tmp_path, monkeypatch, name, wrong):
    model, earlier, format = exported
    run = ENCODER._outputs

    def tampered(*arguments):
        outputs = run(*arguments)
        outputs[name] = outputs[name] + np.float32(wrong)
        return outputs

    # Not converted again: the artefact is a copy of the one that reproduces it.
    copy = shutil.copytree if earlier.is_dir() else shutil.copy
    monkeypatch.setattr(ENCODER, "write_network", lambda network, path, format: copy(earlier, path))
    monkeypatch.setattr(diagnosis, "holds", lambda *arguments: True)
    kv.export.encoder(model, tmp_path / "right" / NAMES[format], format)
    monkeypatch.setattr(ENCODER, "_outputs", tampered)
    with pytest.raises(RuntimeError, match=f"the {format} artefact does not reproduce the model: {name} differs by"):
        kv.export.encoder(model, tmp_path / "wrong" / NAMES[format], format)
    assert list((tmp_path / "wrong").iterdir()) == []


@needs_a_format
def test_a_folder_of_other_things_is_not_replaced(model, tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    place = tmp_path if BACKEND != "torch" else tmp_path / "encoder.pt2"
    if BACKEND == "torch":
        place.mkdir()
        (place / "a.txt").write_text("")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="path must be a new folder or that of an earlier export, got"):
            kv.export.encoder(model, place, FORMATS[0], overwrite=overwrite)
    assert (tmp_path / "thesis.tex").read_text() == "all of it"


@needs_a_format
def test_a_place_that_cannot_be_written(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="path: cannot write"):
        kv.export.encoder(model, tmp_path / "file" / NAMES[FORMATS[0]], FORMATS[0])


@pytest.mark.parametrize("format", [format for format in kv.export.FORMATS if format not in FORMATS])
def test_formats_that_the_backend_cannot_write(model, tmp_path, format):
    with pytest.raises(ValueError, match=f"cannot be written from the {BACKEND} backend, which writes .*: save the"):
        kv.export.encoder(model, tmp_path / NAMES[format], format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(BACKEND != "jax" or bool(FORMATS), reason="about JAX without TensorFlow")
def test_saved_model_without_tensorflow(model, tmp_path):
    with pytest.raises(ImportError, match="'tf_saved_model' needs tensorflow, which is not installed: pip install"):
        kv.export.encoder(model, tmp_path / "encoder")
    assert list(tmp_path.iterdir()) == []
