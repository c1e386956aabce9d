"""What `bundle.json` says of a model's interface, its data and its training."""

from __future__ import annotations

import keras

from kerasvae.datasets import FromFolder
from kerasvae.export.encoder_export import description_of_encoder
from kerasvae.export.latent_summary import plain_text
from kerasvae.math import convert_beta
from kerasvae.models.hyperparameter import hyperparameters
from kerasvae.models.vae import VAE


def interface(model, data) -> dict:
    """The parts of the manifest that say what goes in and what comes out."""
    described = description_of_encoder(model, "uint8")
    # Of other data than FromFolder nothing is known: its defaults.
    fit, background = (data.fit, data.background) if isinstance(data, FromFolder) else ("crop", 255)
    image = {"dtype": "float32", "range": [0, 255], "shape": [None, *model.image_shape]}
    return {
        **described,
        "latents": model.latents,
        "decoder": {
            "input": {"name": "latents", "dtype": "float32", "shape": [None, model.latents]},
            "output": {"name": "image", **image},
        },
        "preprocessing": {**described["preprocessing"], "files": {"fit": fit, "background": background}},
    }


def description_of_data(data, count: int) -> dict:
    return {
        "name": plain_text(repr(data).strip("<>"), 500),
        "images": count,
        "factor_names": [plain_text(name) for name in data.factor_names],
        "factor_sizes": [int(size) for size in data.factor_sizes],
    }


def description_of_model(model) -> dict:
    config = model.get_config()
    left_out = {"name", "trainable", "dtype", "reconstruction", "pixel_mean", "pixel_std"}
    networks = {key for key in config if isinstance(getattr(model, key, None), keras.Model)}
    return {
        "class": type(model).__name__,
        "steps": int(model.step.numpy()),
        "loss": keras.saving.serialize_keras_object(model.reconstruction),
        "beta": _beta_in_both_forms(model),
        "config": {key: value for key, value in config.items() if key not in left_out | networks},
    }


def _beta_in_both_forms(model) -> dict | None:
    """β at the model's step for either reduction, and which reduction is the model's; None for objectives without β."""
    if "beta" in hyperparameters(type(model)):
        beta = float(keras.ops.convert_to_numpy(model.scalar("beta")))
    elif type(model) is VAE:
        beta = 1.0
    else:
        return None
    other = "sum" if model.reduction == "mean" else "mean"
    converted = convert_beta(beta, model.image_shape, model.latents, to=other)
    return {model.reduction: beta, other: converted, "reduction": model.reduction}
