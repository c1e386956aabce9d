"""Exported encoders: they take raw images, give the model's codes, and are checked before they are kept."""

import base64
import importlib.util
import json
import warnings

import keras
import numpy as np
import pytest

import kerasvae as kv
from kerasvae.export import encoder_export

BACKEND = keras.config.backend()
HAS_TENSORFLOW = importlib.util.find_spec("tensorflow") is not None
FORMATS = {
    "tensorflow": ["tf_saved_model", "onnx", "litert"],
    "jax": ["tf_saved_model"] * HAS_TENSORFLOW,
    "torch": ["torch"],
}[BACKEND]
NAMES = {"tf_saved_model": "encoder", "onnx": "encoder.onnx", "litert": "encoder.tflite", "torch": "encoder.pt2"}
SHAPE, LATENTS = (16, 16, 3), 2
IMAGES = np.random.default_rng(0).integers(0, 256, size=(7, *SHAPE), dtype="uint8")
every_format = pytest.mark.parametrize("format", FORMATS)
needs_a_format = pytest.mark.skipif(not FORMATS, reason="this backend exports nothing here")


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
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(IMAGES, batch_size=7, verbose=0)
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
        "model": {"class": "BetaVAE", "steps": 1},
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


@every_format
def test_float_pixels(model, tmp_path, format):
    path = kv.export.encoder(model, tmp_path / NAMES[format], format, input_dtype="float32")
    outputs = kv.export.run(path, IMAGES.astype("float32"), format)
    np.testing.assert_allclose(outputs["mean"], model.encode(IMAGES), rtol=1e-5, atol=1e-5)
    assert json.loads((tmp_path / (NAMES[format] + ".json")).read_text())["input"]["dtype"] == "float32"


@every_format
def test_images_of_one_s_own_are_the_test_vectors(model, tmp_path, format):
    kv.export.encoder(model, tmp_path / NAMES[format], format, images=IMAGES[:1])
    test = json.loads((tmp_path / (NAMES[format] + ".json")).read_text())["test"]
    assert base64.b64decode(test["image"]["base64"]) == IMAGES[:1].tobytes()
    np.testing.assert_allclose(test["mean"], model.encode(IMAGES[:1]), rtol=1e-6)


@every_format
def test_bfloat16_model(tmp_path, format):
    model = make(kv.networks.mlp_encoder, "mixed_bfloat16")
    assert model.encoder.layers[2].compute_dtype == "bfloat16"
    path = kv.export.encoder(model, tmp_path / NAMES[format], format)
    outputs = kv.export.run(path, IMAGES, format)
    # The same weights in float32, which is what it serves; and near the model itself.
    full = make(kv.networks.mlp_encoder)
    full.set_weights(model.get_weights())
    np.testing.assert_allclose(outputs["mean"], full.encode(IMAGES), rtol=1e-5, atol=1e-5)
    mean = model.encode(IMAGES)
    np.testing.assert_allclose(outputs["mean"], mean, atol=0.02 * (1 + np.abs(mean).max()))


@every_format
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_encoder_of_one_s_own_with_nested_models(tmp_path, format, policy):
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

    model = make(encoder, policy)
    path = kv.export.encoder(model, tmp_path / NAMES[format], format)
    tolerance = 1e-5 if policy == "float32" else 0.02 * (1 + np.abs(model.encode(IMAGES)).max())
    np.testing.assert_allclose(
        kv.export.run(path, IMAGES, format)["mean"], model.encode(IMAGES), rtol=1e-5, atol=tolerance
    )


@every_format
def test_an_export_replaces_an_earlier_one_and_leaves_the_model_alone(model, tmp_path, format):
    weights = [weight.copy() for weight in model.get_weights()]
    kv.export.encoder(model, tmp_path / NAMES[format], format, images=IMAGES[:1])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(FileExistsError, match=r"path: .* are there already; .* overwrite=True"):
        kv.export.encoder(model, tmp_path / NAMES[format], format)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    kv.export.encoder(model, tmp_path / NAMES[format], format, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAMES[format], NAMES[format] + ".json"]
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    model.fit(IMAGES, batch_size=7, verbose=0)
    model.set_weights(weights)


@every_format
@pytest.mark.parametrize(("name", "wrong"), [("mean", 0.01), ("logvar", np.nan)])
def test_an_artefact_that_does_not_reproduce_the_model_is_not_kept(model, tmp_path, monkeypatch, format, name, wrong):
    run = encoder_export._outputs

    def tampered(*arguments):
        outputs = run(*arguments)
        outputs[name] = outputs[name] + np.float32(wrong)
        return outputs

    monkeypatch.setattr(encoder_export, "_outputs", tampered)
    with pytest.raises(RuntimeError, match=f"the {format} artefact does not reproduce the model: {name} differs by"):
        kv.export.encoder(model, tmp_path / NAMES[format], format)
    assert list(tmp_path.iterdir()) == []


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


@pytest.mark.parametrize(
    ("path", "arguments", "message"),
    [
        ("encoder", {"format": "tflite"}, "format must be one of tf_saved_model, onnx, litert, torch, got 'tflite'"),
        ("encoder", {"format": "onnx"}, r"path must end in \.onnx for the format onnx, got"),
        ("encoder", {"input_dtype": "float16"}, 'input_dtype must be "uint8" or "float32", got \'float16\''),
    ],
)
def test_arguments_that_are_not_allowed(model, tmp_path, path, arguments, message):
    with pytest.raises(ValueError, match=message):
        kv.export.encoder(model, tmp_path / path, **arguments)
    assert list(tmp_path.iterdir()) == []


@needs_a_format
@pytest.mark.parametrize("images", [IMAGES.astype("float32"), IMAGES[..., :1], IMAGES[0], IMAGES[:0]])
def test_images_that_do_not_fit(model, tmp_path, images):
    with pytest.raises(ValueError, match=r"images must be uint8 \(n, 16, 16, 3\) with n at least 1, got"):
        kv.export.encoder(model, tmp_path / NAMES[FORMATS[0]], FORMATS[0], images=images)
    assert list(tmp_path.iterdir()) == []


def test_another_model(tmp_path):
    other = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="model must be a model of kerasvae, got Sequential"):
        kv.export.encoder(other, tmp_path / "encoder")


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


@pytest.mark.skipif(BACKEND != "jax" or HAS_TENSORFLOW, reason="about JAX without TensorFlow")
def test_saved_model_without_tensorflow(model, tmp_path):
    with pytest.raises(ImportError, match="'tf_saved_model' needs tensorflow, which is not installed: pip install"):
        kv.export.encoder(model, tmp_path / "encoder")
    assert list(tmp_path.iterdir()) == []
