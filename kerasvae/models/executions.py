"""Exactly the steps of an epoch, whatever number of steps is compiled together."""

from __future__ import annotations

import keras


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
