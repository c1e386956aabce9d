"""Encoders of one's own: Keras's activations and layers in every format."""

import keras
import numpy as np
import pytest
from export.small_models import BACKEND, FORMATS, NAMES
from keras import layers, ops

import kerasvae as kv

SHAPE, LATENTS = (8, 8, 4), 2
IMAGES = np.random.default_rng(0).integers(0, 256, size=(5, *SHAPE), dtype="uint8")
NOT_ACTIVATIONS = {"get", "serialize", "deserialize"}


def threshold(x):
    return keras.activations.threshold(x, 0.1, 0.2)


def activations(x):
    names = [name for name in dir(keras.activations) if not name.startswith("_") and name not in NOT_ACTIVATIONS]
    assert {"gelu", "celu", "silu", "glu", "squareplus", "sparsemax"} <= set(names)
    # These two are no activation of a layer: one halves the channels, one wants two numbers.
    functions = [getattr(keras.activations, name) for name in names if name not in ("gelu", "glu", "threshold")]
    made = [layers.Activation(function)(x) for function in functions] + [keras.activations.glu(x)]
    made.append(layers.Lambda(threshold)(x))
    # Of numbers of their own: the converters know GELU by its parts, which they must not share with others.
    made.append(layers.Activation("gelu")(layers.Rescaling(0.9)(x)))
    made.append(layers.Lambda(lambda x: keras.activations.gelu(x, approximate=True))(layers.Rescaling(1.1)(x)))
    made += [layers.ReLU(max_value=2.0, negative_slope=0.1, threshold=0.1)(x), layers.LeakyReLU()(x), layers.ELU()(x)]
    made += [layers.PReLU("normal")(x), layers.PReLU("normal", shared_axes=[1, 2])(x), layers.Softmax()(x)]
    made += [ops.expm1(ops.tanh(x)), ops.log1p(ops.abs(x))]
    return made


def convolutions(x):
    # TensorFlow's processor has no transposed convolution with dilation.
    made = [layers.Conv2D(8, 3, padding="same", strides=2, activation="gelu")(x), layers.Conv2D(4, 3, groups=2)(x)]
    made += [layers.Conv2D(3, 3, padding="same", dilation_rate=2)(x), layers.SeparableConv2D(5, 3, strides=2)(x)]
    made += [layers.DepthwiseConv2D(3, padding="same", strides=2, depth_multiplier=2)(x)]
    made += [layers.Conv2DTranspose(3, 4, strides=2, padding="same")(x), layers.Conv2DTranspose(3, 3, strides=2)(x)]
    made += [layers.Conv1D(3, 3, padding="causal")(layers.Reshape((-1, 4))(x))]
    for interpolation in ("nearest", "bilinear"):
        made += [layers.UpSampling2D(2, interpolation=interpolation)(x)]
        made += [layers.Resizing(5, 6, interpolation=interpolation)(x)]
    made += [layers.ZeroPadding2D(((1, 2), (0, 3)))(x), layers.Cropping2D(((1, 2), (0, 3)))(x)]
    return made


def poolings_and_normalizations(x):
    made = [layer(3, strides=2, padding="same")(x) for layer in (layers.MaxPooling2D, layers.AveragePooling2D)]
    made += [layer(2)(x) for layer in (layers.MaxPooling2D, layers.AveragePooling2D)]
    made += [layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D(keepdims=True)(x)]
    made += [layers.BatchNormalization()(x), layers.LayerNormalization(axis=(1, 2, 3))(x)]
    made += [layers.GroupNormalization(2)(x), layers.RMSNormalization()(x), layers.UnitNormalization()(x)]
    made += [layers.SpectralNormalization(layers.Conv2D(3, 3))(x), layers.Rescaling(0.5, 0.1)(x)]
    made += [layers.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 4.0])(x)]
    return made


def the_rest(x):
    row = layers.Reshape((16, 16))(x)
    made = [layers.Dropout(0.5)(x), layers.GaussianNoise(0.5)(x), layers.SpatialDropout2D(0.5)(x)]
    made += [layers.RandomFlip()(x), layers.Identity()(x)]
    # It divides by the size of the batch, which Torch then takes for fixed.
    made += [layers.ActivityRegularization(0.1)(x)] * (BACKEND != "torch")
    made += [layers.Dense(3, "celu")(x), layers.EinsumDense("bhc,cd->bhd", (16, 3), bias_axes="d")(row)]
    made += [layers.MultiHeadAttention(2, 4)(row, row), layers.Attention()([row, row])]
    made += [layers.Permute((3, 1, 2))(x), layers.RepeatVector(2)(layers.Flatten()(x))]
    both = [x, layers.Conv2D(4, 1)(x)]
    merges = layers.Concatenate, layers.Add, layers.Multiply, layers.Average, layers.Maximum, layers.Subtract
    made += [merge()(both) for merge in merges]
    inner = keras.Input((8, 8, 4))
    body = [layers.Conv2D(3, 3, activation="gelu"), layers.BatchNormalization(), layers.Conv2D(2, 1)]
    nested = keras.Model(inner, keras.Sequential(body)(inner))
    shared = layers.Conv2D(4, 3, padding="same")
    made += [nested(x), shared(shared(x)), layers.Lambda(lambda x: ops.sin(x) * 2)(x)]
    return made


def make(branches, policy="float32"):
    """A model whose encoder's heads see all that `branches` makes of the image."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        keras.utils.set_random_seed(1)
        image = keras.Input(SHAPE, name="image")
        by_size = {}
        for made in branches(image):
            by_size.setdefault(made.shape[1:-1], []).append(made)
        # A layer to flatten each would double what the converters have to do.
        joined = [layers.Concatenate()(same) if same[1:] else same[0] for same in by_size.values()]
        flat = [layers.Flatten()(each) for each in joined]
        x = layers.Concatenate()(flat) if flat[1:] else flat[0]
        heads = {name: layers.Dense(LATENTS, dtype="float32", name=name)(x) for name in ("mean", "logvar")}
        decoder = kv.networks.mlp_decoder(SHAPE, LATENTS, hidden=(), seed=2)
        return kv.BetaVAE(keras.Model(image, heads), decoder, pixel_mean=0.5, pixel_std=0.3)
    finally:
        keras.config.set_dtype_policy(before)


def everything(x):
    return [*activations(x), *convolutions(x), *poolings_and_normalizations(x), *the_rest(x)]


# All in one network, as an error names the layer. A SavedModel holds whatever TensorFlow traces: there it is enough to
# have the layers that may be traced in another way than they are called.
@pytest.mark.parametrize(
    "format", [pytest.param(each, marks=[pytest.mark.slow] * (each == "litert")) for each in FORMATS]
)
def test_layers(tmp_path, format):
    model = make(the_rest if (BACKEND, format) == ("tensorflow", "tf_saved_model") else everything)
    path = kv.export.encoder(model, tmp_path / NAMES[format], format, images=IMAGES[:3])
    mean, logvar = model.encode(IMAGES, return_logvar=True)
    outputs = kv.export.run(path, IMAGES, format)
    assert np.ptp(mean, axis=0).min() > 1e-3
    np.testing.assert_allclose(outputs["mean"], mean, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outputs["logvar"], logvar, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif("onnx" not in FORMATS, reason="ONNX is written from TensorFlow")
def test_layers_of_a_model_in_mixed_precision(tmp_path):
    # Wrapped and nested layers, and a Lambda, whose bytecode Keras would not take from a configuration.
    model = make(
        lambda x: [
            layers.SpectralNormalization(layers.Conv2D(3, 3))(x),
            keras.Sequential([layers.Conv2D(3, 3, activation="gelu")])(x),
            layers.Lambda(lambda x: ops.sin(x) * 2)(x),
        ],
        "mixed_bfloat16",
    )
    path = kv.export.encoder(model, tmp_path / "e.onnx", "onnx")
    mean = model.encode(IMAGES)
    np.testing.assert_allclose(kv.export.run(path, IMAGES)["mean"], mean, atol=0.02 * (1 + np.abs(mean).max()))
