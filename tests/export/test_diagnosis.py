"""Which layer a format does not hold, and which formats hold the network."""

import keras
import numpy as np
import pytest
from export.small_models import NAMES, SHAPE, needs_onnx
from keras import layers, ops

import kerasvae as kv
from kerasvae.export import diagnosis


@pytest.fixture
def holding(monkeypatch):
    """In place of conversions: formats that hold everything; the others hold what has no layer called odd."""
    formats = {"tf_saved_model", "litert"}

    def holds(network, inputs, format, tolerance):
        return format in formats or not any(layer.name == "odd" for layer in network._flatten_layers())

    monkeypatch.setattr(diagnosis, "holds", holds)
    monkeypatch.setattr(diagnosis, "formats_of_backend", lambda: ("tf_saved_model", "onnx", "litert"))
    return formats


def functional(body, shape=(4, 4, 1)):
    image = keras.Input(shape, name="image")
    return keras.Model({"image": image}, {"mean": layers.Flatten(name="mean")(body(image))})


def odd():
    return layers.Lambda(ops.square, name="odd")


def shared(x):
    """A layer used twice before the odd one has no output of its own."""
    layer = layers.Dense(2)
    return odd()(layers.Dense(2)(layer(layers.Dense(2)(layer(layers.Dense(2)(x))))))


def nested(depth):
    body = keras.Sequential([layers.Conv2D(2, 3), odd(), layers.Conv2D(2, 1)], name="body0")
    for number in range(1, depth):
        inner = keras.Input((4, 4, 1))
        body = keras.Model(inner, layers.Dense(2)(body(inner)), name=f"body{number}")
    return body


# Of each network, where the odd layer stands in words.
NETWORKS = {
    "first": (lambda x: layers.Dense(2)(layers.Dense(2)(odd()(x))), ""),
    "in the middle": (lambda x: layers.Dense(2)(odd()(layers.Dense(2)(layers.Dense(2)(x)))), ""),
    "last": (lambda x: odd()(layers.Dense(2)(layers.Dense(2)(x) + 1)), ""),
    "after a shared layer": (shared, ""),
    "on a branch": (lambda x: layers.Dense(2)(x) * layers.Dense(2)(odd()(x)), ""),
    "in a sequence": (lambda x: nested(1)(x), " of 'body0'"),
    "in a model in a model": (lambda x: nested(3)(layers.Dense(1)(x)), " of 'body0' of 'body1' of 'body2'"),
}


def said(network, error):
    """What is said of an error while a network is written as ONNX."""
    images = np.zeros((2, 4, 4, 1), "float32")
    with (
        pytest.raises(RuntimeError) as caught,
        diagnosis.diagnosing("it", "onnx", [(network, {"image": images})], 1e-4),
    ):
        raise error
    return str(caught.value)


@pytest.mark.parametrize(("body", "where"), NETWORKS.values(), ids=NETWORKS)
def test_the_first_layer_that_is_not_held_is_named(holding, body, where):
    assert said(functional(body), ValueError("no")) == (
        f"it cannot be written or run: ValueError: no; it is layer 'odd' (Lambda){where} that onnx does not hold; "
        "tried just now, tf_saved_model and litert hold the network"
    )


def test_formats_that_hold_the_network_are_listed(holding):
    network = functional(NETWORKS["first"][0])
    holding.remove("litert")
    assert said(network, ValueError("no")).endswith("; tried just now, tf_saved_model holds the network")
    holding.clear()
    assert said(network, ValueError("no")).endswith("; of the formats that this backend writes, none holds the network")


def test_of_a_network_that_is_held_no_layer_is_named(holding):
    assert said(functional(layers.Dense(2)), ValueError("no")) == "it cannot be written or run: ValueError: no"


def test_a_combination_that_is_not_held_is_no_layer_s_fault(monkeypatch):
    # All up to every layer is held, and the whole is not.
    monkeypatch.setattr(diagnosis, "holds", lambda network, *rest: network is not whole)
    monkeypatch.setattr(diagnosis, "formats_of_backend", lambda: ("onnx",))
    whole = functional(layers.Dense(2))
    assert said(whole, ValueError("no")) == (
        "it cannot be written or run: ValueError: no; of the formats that this backend writes, none holds the network"
    )


@pytest.mark.parametrize("error", [OSError, MemoryError])
def test_errors_of_the_machine_stay_what_they_are(holding, error):
    with pytest.raises(error):
        said(functional(NETWORKS["first"][0]), error("full"))


# With TensorFlow's converters -----------------------------------------------------------------------------------------


def with_encoder(body):
    image = keras.Input(SHAPE, name="image")
    x = layers.Flatten()(body(image))
    heads = {name: layers.Dense(2, name=name)(x) for name in ("mean", "logvar")}
    return kv.BetaVAE(keras.Model(image, heads), kv.networks.mlp_decoder(SHAPE, 2, hidden=()))


@needs_onnx
@pytest.mark.parametrize(
    ("format", "body", "words"),
    [
        # The converter leaves it in the file.
        ("onnx", lambda: layers.Resizing(5, 5, interpolation="lanczos3", name="odd"), "operation ScaleAndTranslate"),
        # The runtime gives another image.
        ("onnx", lambda: layers.Resizing(9, 9, interpolation="bicubic", name="odd"), "does not reproduce the model"),
        # The converter writes an operation that the runtime does not know.
        ("litert", lambda: layers.Lambda(ops.erf, name="odd"), "operation Erf"),
    ],
)
def test_what_the_converters_do_not_hold(holding, tmp_path, format, body, words):
    holding.remove("litert")
    with pytest.raises(RuntimeError) as caught:
        kv.export.encoder(with_encoder(body()), tmp_path / NAMES[format], format)
    message = str(caught.value)
    assert words in message and "; it is layer 'odd' (" in message, message
    assert message.endswith("tried just now, tf_saved_model holds the network"), message
    assert list(tmp_path.iterdir()) == []


@needs_onnx
def test_a_decoder_that_a_format_does_not_hold(tmp_path):
    latents = keras.Input((2,), name="latents")
    x = layers.Reshape((4, 4, 1))(layers.Dense(16)(latents))
    decoder = keras.Model(latents, layers.UpSampling2D(2, interpolation="lanczos3", name="odd")(x))
    model = kv.BetaVAE(kv.networks.mlp_encoder(SHAPE, 2, hidden=()), decoder)
    with pytest.raises(RuntimeError) as caught:
        kv.export.bundle(model, tmp_path / "b", formats=["onnx"], progress=False)
    message = str(caught.value)
    assert message.startswith("decoder.onnx ") and "; it is layer 'odd' (UpSampling2D) of" in message
    assert "tried just now, tf_saved_model" in message
    assert list(tmp_path.iterdir()) == []
