"""Small models of squares, and what this backend can write of them."""

import importlib.util
import json
import sys

import keras
import numpy as np
import pytest

import kerasvae as kv
from kerasvae.export import model_card

BACKEND = keras.config.backend()
# What the backend writes, of what is installed.
FORMATS = {"tensorflow": ("tf_saved_model", "onnx", "litert"), "jax": ("tf_saved_model",), "torch": ("torch",)}[BACKEND]
if BACKEND == "jax" and importlib.util.find_spec("tensorflow") is None:
    FORMATS = ()
# How an encoder's artefact may be called.
NAMES = {"tf_saved_model": "encoder", "onnx": "encoder.onnx", "litert": "encoder.tflite", "torch": "encoder.pt2"}
SHAPE, LATENTS = (8, 8, 1), 3
# The files; in the package the functions of these names hide them.
BUNDLE, ENCODER = sys.modules["kerasvae.export.bundle"], sys.modules["kerasvae.export.encoder"]
write_model_card, verify_bundle = model_card.write, BUNDLE.verify  # which some tests leave out
needs_a_format = pytest.mark.skipif(not FORMATS, reason="this backend writes no bundle here")
needs_saved_model = pytest.mark.skipif("tf_saved_model" not in FORMATS, reason="about TensorFlow's format")
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


def manifest_of(path):
    return json.loads((path / "bundle.json").read_text())
