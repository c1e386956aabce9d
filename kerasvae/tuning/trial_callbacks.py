"""What happens after every epoch of a trial of `HyperVAE`: it is scored, or has failed."""

from __future__ import annotations

import math

import keras
import keras_tuner as kt
import numpy as np

from kerasvae.math import kl_standard_normal
from kerasvae.metrics.udr import udr


class Diverged(keras.callbacks.Callback):
    """Ends a trial whose loss, or code of an image, is no longer finite."""

    def __init__(self, data):
        super().__init__()
        self.data = data

    def on_epoch_end(self, epoch, logs=None):
        loss = float((logs or {}).get("loss", 0.0))
        codes = self.model.encode(self.data.images(np.zeros(1, "int64")))
        if not (math.isfinite(loss) and np.isfinite(codes).all()):
            step = int(self.model.step.numpy())
            raise kt.errors.FailedTrialError(f"the model diverged: loss {loss:g}, codes {codes[0]} after step {step}")


class FiniteScores(keras.callbacks.Callback):
    """Ends a trial whose scores are not finite: Keras Tuner would keep no weights of it."""

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            if name.startswith("val_") and not math.isfinite(value):
                raise kt.errors.FailedTrialError(f"{name} is {value} after step {int(self.model.step.numpy())}")


class ObjectiveInLogs(keras.callbacks.Callback):
    """Ends the search after its first epoch if the tuner's objective is not in the logs.

    Keras Tuner would train whole trials and then have them fail.

    Args:
        objective: of Keras Tuner.
        own: name of the objective that `HyperVAE` has.
    """

    def __init__(self, objective, own: str):
        super().__init__()
        self.objective, self.own = objective, own

    def on_epoch_end(self, epoch, logs=None):
        if not self.objective.has_value(logs or {}):
            raise kt.errors.FatalValueError(
                f"objective must be {self.own!r}, which HyperVAE has as its objective, or another of the logs "
                f"{sorted(logs or {})}, got {self.objective.name!r}"
            )


class Posteriors(keras.callbacks.Callback):
    """Mean codes of images, and the mean KL of each latent, after every epoch."""

    def __init__(self, images):
        super().__init__()
        self.images, self.epochs = images, []

    def on_epoch_end(self, epoch, logs=None):
        mean, logvar = self.model.encode(self.images, return_logvar=True)
        divergences = keras.ops.convert_to_numpy(kl_standard_normal(mean, logvar)).mean(axis=0)
        self.epochs.append((mean, divergences))


class ModelsUDR(Posteriors):
    """`val_udr`: the mean UDR of the model and of further ones, whose posteriors are known for every epoch."""

    def __init__(self, images, recorders, initial_epoch, options):
        super().__init__(images)
        self.recorders, self.initial_epoch, self.options = recorders, initial_epoch, options

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        place = epoch - self.initial_epoch
        codes, divergences = zip(self.epochs[-1], *(each.epochs[place] for each in self.recorders), strict=True)
        scores = udr(list(codes), list(divergences), **self.options)
        if logs is not None:
            logs["val_udr"] = float(np.mean([float(score) for score in scores]))
