"""What `fit` watches for: a loss that is no number any more, and posteriors that degenerate."""

from __future__ import annotations

import math

import keras

# Nats of mean KL in one latent. One that tells a million images apart carries 14; a posterior with a standard deviation
# of 1e-35 has 80.
DEGENERATE = 80.0


class Divergence(keras.callbacks.Callback):
    """Stops training at the first loss that is NaN or infinite, and warns of posteriors that degenerate.

    Args:
        model: about to be trained.
    """

    # It only reads the logs, so it does not hold up the steps.
    async_safe = True

    def __init__(self, model):
        super().__init__()
        self.start, self.done = int(model.step.numpy()), 0
        # Steps whose gradients are not finite are left out by such an optimizer.
        self.skips = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)

    def among(self, callbacks):
        """The callbacks of `fit` with this one before them, so that no other sees, or saves, what has diverged."""
        if isinstance(callbacks, keras.callbacks.CallbackList):
            others = [each for each in callbacks.callbacks if not isinstance(each, Divergence)]
            callbacks.callbacks = [self, *others]
            self.set_model(callbacks.model)
            self.set_params(callbacks.params)
            return callbacks
        return [self, *keras.tree.flatten(callbacks if callbacks is not None else [])]

    def on_epoch_begin(self, epoch, logs=None):
        self.start, self.done = self.start + self.done, 0

    def on_train_batch_end(self, batch, logs=None):
        # The last execution of an epoch may be shorter than Keras counts.
        before, self.done = self.done, min(batch + 1, self.params.get("steps") or batch + 1)
        loss = (logs or {}).get("loss", 0.0)
        if self.skips or math.isfinite(loss):
            return
        first, last = self.start + before + 1, self.start + self.done
        where = f"training step {last}" if first == last else f"training steps {first} to {last}"
        raise FloatingPointError(
            f"the loss became {loss} in {where}, and the weights are of no use any more: go on from the last "
            "checkpoint with a lower learning rate, clipped gradients (clipnorm) or a larger beta, and look for NaN in "
            "the images"
        )

    def on_epoch_end(self, epoch, logs=None):
        kl = (logs or {}).get("kl_nats", 0.0) / self.model.latents
        if kl > DEGENERATE:
            self.model.warn_once(
                "degenerate",
                f"the posterior degenerates: the KL is {kl:.4g} nats per latent in the mean, so standard deviations go "
                "to 0 or means away from 0, as with few images and a beta near 0; take a larger beta, a lower learning "
                "rate, or fewer steps. Scores of posteriors have no meaning for such a model",
            )
