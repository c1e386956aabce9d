"""The callbacks that `fit` adds by itself: a watch for divergence, and exactly the steps of an epoch."""

from __future__ import annotations

import contextlib
import math

import keras

from kerasvae.models.training_data import is_endless, is_pipeline

# Nats of mean KL in one latent. One that distinguishes a million images carries 14; a posterior with a standard
# deviation of 1e-35 has 80.
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


class Executions(keras.callbacks.Callback):
    """Ends an epoch that is no multiple of `steps_per_execution` with an execution of as many steps as are left.

    Keras would round up. Which steps are compiled together is so a function of the step alone: a run that goes on from
    a checkpoint, which is written where an execution ends, takes the same ones. A context manager, which leaves the
    model as it was.

    Args:
        model: compiled, whose `fit` it is a callback of.
    """

    def __init__(self, model):
        super().__init__()
        self.trained, self.together, self.functions = model, model.steps_per_execution, {}
        self.now = self.together

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.take(self.together)

    def on_epoch_begin(self, epoch, logs=None):
        if self.trained.train_function is not self.functions.get(self.together):
            # `fit` has made a new one: those for fewer steps are of other data.
            self.functions = {self.together: self.trained.train_function}

    def on_train_batch_begin(self, batch, logs=None):
        self.take(min(self.together, self.params["steps"] - batch))

    def on_epoch_end(self, epoch, logs=None):
        self.take(self.together)

    def take(self, count):
        if count != self.now:
            self.now = self.trained.steps_per_execution = count
            self.trained.train_function = self.functions.get(count)
            self.trained.make_train_function()
            self.functions[count] = self.trained.train_function


def exact_steps(model, x, steps: int | None, callbacks):
    """A context in which `fit` takes exactly `steps` steps per epoch, by a callback that it adds to the others.

    Args:
        model, x: that is trained, and on what.
        steps: `steps_per_epoch`, or None.
        callbacks: a list or a `CallbackList`. With `Executions` among them, as `kerasvae.runs.train` has it, they see
            to it themselves.

    Raises:
        ValueError: for data that end, which Keras would find used up within an execution.
    """
    together, callbacks = model.steps_per_execution, getattr(callbacks, "callbacks", callbacks)
    if steps is None or steps % together == 0 or any(isinstance(each, Executions) for each in callbacks):
        return contextlib.nullcontext()
    if is_pipeline(x) and not is_endless(x):
        raise ValueError(
            f"steps_per_epoch must be a multiple of steps_per_execution ({together}) for data that end, got {steps}: "
            "leave it out to take all of them, or give an endless pipeline"
        )
    executions = Executions(model)
    callbacks.insert(1, executions)
    return executions
