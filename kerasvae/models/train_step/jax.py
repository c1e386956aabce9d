"""The train step on JAX: state in, state out, and `steps_per_execution` steps in one dispatch."""

from __future__ import annotations

import contextlib
import itertools

import jax
import keras
import numpy as np

from kerasvae.models import keras_internals
from kerasvae.models.train_step.shares import unscaled


class JAXTrainStep:
    # The `stack` that this model is one of, while several are trained together.
    stacked = None

    def jax_state_sync(self):
        """As Keras's: have the variables hold the state that training is at, for whoever is about to read them."""
        if self.stacked is not None:
            self.stacked.give_back(self)
        super().jax_state_sync()

    def fit(self, *args, **kwargs):
        """As Keras's, but a call that ends with an error leaves the model with the state of its last step.

        Keras takes the state out of the variables while it trains, and would leave them without values.
        """
        variables = [*self.variables, *self.optimizer.variables, *self.metrics_variables]
        before = [(variable, variable.value) for variable in variables]
        try:
            return super().fit(*args, **kwargs)
        except BaseException:
            if not any(array.is_deleted() for array in jax.tree.leaves(keras_internals.state_in_training(self))):
                self.jax_state_sync()
            for variable, value in before:
                # Without a step there is no such state, and the values are as they were.
                if not keras_internals.has_value(variable) and not value.is_deleted():
                    variable.assign(value)
            raise

    def train_step(self, state, data):
        trainable, non_trainable, optimizer_state, metrics = state
        x = self.unpack(data)
        for compute_loss, shares in self.updates():

            def scaled_loss(trainable, non_trainable, optimizer_state, metrics, compute_loss=compute_loss):
                names = self.trainable_variables + self.non_trainable_variables + self.metrics_variables
                mapping = list(zip(names, [*trainable, *non_trainable, *metrics], strict=True))
                optimizer_mapping = list(zip(self.optimizer.variables, optimizer_state, strict=True))
                with keras.StatelessScope(state_mapping=mapping + optimizer_mapping) as scope:
                    loss = self.optimizer.scale_loss(compute_loss(x, training=True))
                after = (self.non_trainable_variables, self.metrics_variables)
                return loss, [[scope.get_current_value(variable) for variable in group] for group in after]

            gradients, (non_trainable, metrics) = jax.grad(scaled_loss, has_aux=True)(
                trainable, non_trainable, optimizer_state, metrics
            )
            scale, before = self.loss_scale(shares), (trainable, optimizer_state)
            if scale is not None:
                gradients, finite, optimizer_state = _unscaled(scale, gradients, self.optimizer, optimizer_state)
            for optimizer, variables in shares:
                chosen = _positions(variables, self.trainable_variables)
                owned = _positions(optimizer.variables, self.optimizer.variables)
                moved, moved_state = optimizer.stateless_apply(
                    *(
                        [group[place] for place in places]
                        for group, places in ((optimizer_state, owned), (gradients, chosen), (trainable, chosen))
                    )
                )
                trainable = _replaced(trainable, chosen, moved)
                optimizer_state = _replaced(optimizer_state, owned, moved_state)
            if scale is not None:
                # A step whose gradients overflowed moves nothing but the scale.
                kept = before[1]
                for place in _positions([scale.step_counter, scale.dynamic_scale], self.optimizer.variables):
                    kept = _replaced(kept, [place], [optimizer_state[place]])
                trainable, optimizer_state = jax.tree.map(
                    lambda new, old, finite=finite: jax.numpy.where(finite, new, old),
                    (list(trainable), list(optimizer_state)),
                    (list(before[0]), list(kept)),
                )
        return self._logs(metrics), (trainable, non_trainable, optimizer_state, metrics)

    def test_step(self, state, data):
        trainable, non_trainable, metrics = state
        _, (_, non_trainable, metrics) = self.stateless_compute_loss(
            trainable, non_trainable, metrics, x=self.unpack(data), training=False
        )
        return self._logs(metrics), (trainable, non_trainable, metrics)

    def _logs(self, metrics):
        with keras.StatelessScope(state_mapping=list(zip(self.metrics_variables, metrics, strict=True))):
            return self.get_metrics_result()

    def replica(self):
        """One program sees the global batch on JAX, however many devices hold it."""
        return 0, 1

    @staticmethod
    def run_network(network, batch):
        """Outputs of a network on one batch, NumPy in and out."""
        # Compiled for each shape, so a batch is filled up to the next power of two: few shapes, little waste.
        batch, rows = np.asarray(batch), len(batch)
        empty = (1 << (rows - 1).bit_length()) - rows
        batch = np.concatenate([batch, np.zeros((empty, *batch.shape[1:]), batch.dtype)])
        return jax.tree.map(lambda output: np.asarray(output)[:rows], network.predict_on_batch(batch))

    def make_train_function(self, force=False):
        """As Keras's, but `steps_per_execution` steps are one compiled program; Keras dispatches them one by one.

        A table of images is an argument of the program: what it merely refers to would be compiled into it.
        """
        if self.train_function is not None and not force:
            return
        source = self.device_images[True]
        has_table = source is not None and source.table is not None
        if (self.steps_per_execution == 1 and not has_table) or self.run_eagerly or not self.jit_compile:
            super().make_train_function(force)
            return
        # XLA's CPU convolutions are much slower inside a loop than in straight code; on accelerators it is no matter.
        unroll = min(self.steps_per_execution, 8) if jax.default_backend() == "cpu" else 1

        def steps(state, batches, table):
            with source.holding(table) if has_table else contextlib.nullcontext():
                if len(batches) == 1:
                    return self.train_step(state, batches[0])
                stacked = jax.tree.map(lambda *parts: jax.numpy.stack(parts), *batches)

                def one(state, batch):
                    logs, state = self.train_step(state, batch)
                    return state, logs

                state, logs = jax.lax.scan(one, state, stacked, unroll=min(unroll, len(batches)))
                return jax.tree.map(lambda log: log[-1], logs), state

        sharding = {}
        if keras.distribution.distribution() is not None:
            sharding["out_shardings"] = (None, keras_internals.state_sharding(self))
        steps = jax.jit(steps, donate_argnums=0, **sharding)

        def train_function(state, iterator):
            batches = list(itertools.islice(iterator, self.steps_per_execution))
            if not batches:
                raise StopIteration
            return steps(state, batches, source.table if has_table else None)

        self.train_function = train_function

    def make_test_function(self, force=False):
        """As Keras's, with a table of images as an argument of the program."""
        if self.test_function is not None and not force:
            return
        source = self.device_images[False]
        if source is None or source.table is None or self.run_eagerly or not self.jit_compile:
            super().make_test_function(force)
            return

        def step(state, batch, table):
            with source.holding(table):
                return self.test_step(state, batch)

        sharding = {}
        if keras.distribution.distribution() is not None:
            trainable, non_trainable, _, metrics = keras_internals.state_sharding(self)
            sharding["out_shardings"] = (None, (trainable, non_trainable, metrics))
        step = jax.jit(step, donate_argnums=0, **sharding)

        def test_function(state, iterator):
            logs = None
            for batch in itertools.islice(iterator, self.steps_per_execution):
                logs, state = step(state, batch, source.table)
            if logs is None:
                raise StopIteration
            return logs, state

        self.test_function = test_function


def _unscaled(scale, gradients, optimizer, optimizer_state):
    """Gradients without the loss's scale, whether all are finite, and the optimizer's state with the next scale."""
    mapping = list(zip(optimizer.variables, optimizer_state, strict=True))
    with keras.StatelessScope(state_mapping=mapping) as scope:
        gradients, finite = unscaled(scale, gradients)
        return gradients, finite, [scope.get_current_value(variable) for variable in optimizer.variables]


def _positions(variables, among) -> list[int]:
    """Where each of the variables stands in the list `among`."""
    places = {id(variable): place for place, variable in enumerate(among)}
    return [places[id(variable)] for variable in variables]


def _replaced(values, places, new) -> list:
    values = list(values)
    for place, value in zip(places, new, strict=True):
        values[place] = value
    return values
