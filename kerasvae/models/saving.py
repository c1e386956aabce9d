"""Saving, loading and configuration of models."""

from __future__ import annotations

import keras
import numpy as np

from kerasvae import files
from kerasvae.models.hyperparameter import hyperparameters


def check_finite_weights(model, what: str) -> None:
    """ValueError, beginning with `what`, if weights of the model are NaN or infinite: it has diverged."""
    for variable in model.weights:
        values = keras.ops.convert_to_numpy(variable)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(
                f"{what}: {int((~np.isfinite(values)).sum())} of {values.size} numbers of its weight {variable.path} "
                "are NaN or infinite, so the training has diverged"
            )


class Saving:
    """The part of every objective that writes its files whole or not at all, with its counters, and its configuration.

    Noise and schedules are functions of the counters, so there is no generator state to save.
    """

    def save(self, filepath, *args, **kwargs):
        """Write the whole model, with optimizer and counters, to a `.keras` file; it appears whole or not at all.

        Raises:
            ValueError: for another suffix, or weights that are NaN or infinite.
            OSError: when the file cannot be written.
        """
        if not str(filepath).endswith(".keras"):
            raise ValueError(f"filepath must end in .keras, got {str(filepath)!r}")
        check_finite_weights(self, "the model cannot be saved")
        with files.replacing(filepath, "filepath") as temporary:
            super().save(temporary, *args, **kwargs)

    def save_weights(self, filepath, *args, **kwargs):
        """Write weights, optimizer and counters to a `.weights.h5` file, as `save` does."""
        if not str(filepath).endswith(".weights.h5"):
            raise ValueError(f"filepath must end in .weights.h5, got {str(filepath)!r}")
        check_finite_weights(self, "the model cannot be saved")
        with files.replacing(filepath, "filepath") as temporary:
            super().save_weights(temporary, *args, **kwargs)

    def export(self, filepath, format="tf_saved_model", verbose=False, input_signature=None, **kwargs):
        """Write what `model(x)` computes, images in and reconstructions out; as `keras.Model.export`.

        `kerasvae.export.encoder` writes the encoder, which is what is served as a rule.

        Args:
            filepath, format, verbose, **kwargs: as for `keras.Model.export`.
            input_signature: as for `keras.Model.export`. Default None: `image`, a batch of any size, uint8 0..255 for a
                model that knows its channel constants, otherwise float32 as it was trained on.

        Raises:
            ValueError: for a format that the backend cannot write, or weights that are NaN or infinite.
        """
        if format == "tf_saved_model" and keras.config.backend() == "torch":
            raise ValueError(
                "format: tf_saved_model cannot be written from the torch backend: save the model as .keras, load it "
                "with KERAS_BACKEND=tensorflow and export there"
            )
        check_finite_weights(self, "the model cannot be exported")
        if input_signature is None:
            dtype = "uint8" if self.knows_pixel_constants else "float32"
            input_signature = [keras.InputSpec(shape=(None, *self.image_shape), dtype=dtype, name="image")]
        return super().export(filepath, format=format, verbose=verbose, input_signature=input_signature, **kwargs)

    def save_own_variables(self, store):
        store["step"] = np.asarray(self.step.numpy())
        store["evaluation_step"] = np.asarray(self.evaluation_step.numpy())

    def load_own_variables(self, store):
        self.step.assign(int(np.asarray(store["step"])))
        self.evaluation_step.assign(int(np.asarray(store["evaluation_step"])))

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "reconstruction": keras.saving.serialize_keras_object(self.reconstruction),
            "reduction": self.reduction,
            "seed": self.seed,
            "pixel_mean": list(self.pixel_mean) if self.knows_pixel_constants else None,
            "pixel_std": list(self.pixel_std) if self.knows_pixel_constants else None,
            **{name: keras.saving.serialize_keras_object(getattr(self, name)) for name in hyperparameters(type(self))},
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        arguments = {
            key: keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
            if isinstance(value, dict) and "class_name" in value
            else value
            for key, value in config.items()
        }
        # What a seed cannot repeat is no matter for a model whose weights are about to be loaded.
        seed = arguments.pop("seed", None)
        model = cls(**arguments)
        if seed is not None:
            model.set_seed(seed)
        return model

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**{key: config[key] for key in ("optimizer", "steps_per_execution", "jit_compile", "run_eagerly")})
