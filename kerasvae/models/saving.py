"""Saving, loading and configuration of models."""

from __future__ import annotations

import keras
import numpy as np

from kerasvae import files
from kerasvae.models.hyperparameter import hyperparameters


class Saving:
    """The part of every objective that writes its files whole or not at all, with its counters, and its configuration.

    Noise and schedules are functions of the counters, so there is no generator state to save.
    """

    def save(self, filepath, *args, **kwargs):
        """Write the whole model, with optimizer and counters, to a `.keras` file; it appears whole or not at all."""
        if not str(filepath).endswith(".keras"):
            raise ValueError(f"filepath must end in .keras, got {str(filepath)!r}")
        with files.replacing(filepath, "filepath") as temporary:
            super().save(temporary, *args, **kwargs)

    def save_weights(self, filepath, *args, **kwargs):
        """Write weights, optimizer and counters to a `.weights.h5` file; it appears whole or not at all."""
        if not str(filepath).endswith(".weights.h5"):
            raise ValueError(f"filepath must end in .weights.h5, got {str(filepath)!r}")
        with files.replacing(filepath, "filepath") as temporary:
            super().save_weights(temporary, *args, **kwargs)

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
        return cls(
            **{
                key: keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
                if isinstance(value, dict) and "class_name" in value
                else value
                for key, value in config.items()
            }
        )

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**{key: config[key] for key in ("optimizer", "steps_per_execution", "jit_compile", "run_eagerly")})
