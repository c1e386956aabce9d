"""Models of one kind as one compiled program on JAX: their states stacked, the train step mapped over them."""

from __future__ import annotations

import contextlib

import jax
import keras
import numpy as np

from kerasvae.models.hyperparameter import hyperparameters
from kerasvae.schedules import KerasSchedule

# The program that was made last: the next models of the same kind, as the rows of a grid are, go on with it.
_last = None


class StackedProgram:
    """Training steps of several models of one kind, compiled once for each number of models and of steps.

    What the models differ in (weights, optimizer, counters, seed, hyper-parameters) is state, and so an argument of the
    program, as a table of images is.

    Args:
        template: one of the models, whose `train_step` is traced.
        kind: what another model must be like to be trained by it, see `kind_of`.
    """

    def __init__(self, template, kind):
        self.template, self.kind = template, kind
        self.steps = jax.jit(self._steps, donate_argnums=0)

    def serves(self, kind, device_images) -> bool:
        """Whether models of this kind, with these `DeviceImages` or None, can be trained by it."""
        # Its owner may have changed the template since.
        return device_images is self.template.device_images[True] and self.kind == kind == kind_of(self.template)

    def __call__(self, state, batches, active=None):
        """Some steps: the state afterwards, and the logs, each of shape (models,).

        Args:
            state: of all models, each array (models, …); it is used up.
            batches: NumPy arrays (steps, models, batch, …).
            active: None for all, or boolean (models,): the state of the others stays as it is.
        """
        source = self.template.device_images[True]
        return self.steps(state, batches, active, None if source is None else source.table)

    def _steps(self, state, batches, active, table):
        source = self.template.device_images[True]
        step = jax.vmap(self.template.train_step)

        def one(state, batch):
            _, after = step(state, batch)
            if active is not None:
                after = jax.tree.map(lambda new, old: jax.numpy.where(_like(active, new), new, old), after, state)
            return after, None

        with contextlib.nullcontext() if table is None else source.holding(table):
            count = len(jax.tree.leaves(batches)[0])
            if count == 1:
                state, _ = one(state, jax.tree.map(lambda part: part[0], batches))
            else:
                # As for a single model: XLA's CPU convolutions are much slower inside a loop than in straight code.
                unroll = min(count, 8) if jax.default_backend() == "cpu" else 1
                state, _ = jax.lax.scan(one, state, batches, unroll=unroll)
            return state, jax.vmap(self.template._logs)(state[3])


class StackedModels:
    """Models whose state is in a `StackedProgram`'s hands while they are trained, and their own when it is asked for.

    A model that is part of it takes its state back by itself when a callback reads `callback.model`
    (`JAXTrainStep.jax_state_sync`).
    """

    def __init__(self, program, models):
        self.program, self.models, self.state = program, list(models), None
        self._own = set(range(len(self.models)))  # those that hold their state themselves
        for model in self.models:
            model.stacked = self

    def run(self, batches, active) -> dict[str, np.ndarray]:
        """Train all models, or those that are `active`, on batches as for `StackedProgram`; logs of shape (models,)."""
        if self._own:
            for model in self.models:
                self.give_back(model)
            self.state = _stack([_take_state(model) for model in self.models])
            self._own = set()
        self.state, logs = self.program(self.state, batches, None if all(active) else np.asarray(active))
        return logs

    def give_back(self, model) -> None:
        """Have a model hold its state itself."""
        place = next(place for place, each in enumerate(self.models) if each is model)
        if place not in self._own:
            for variables, values in zip(_variables(model), _state_at(self.state, place), strict=True):
                for variable, value in zip(variables, values, strict=True):
                    variable.assign(value)
            self._own.add(place)

    def release(self) -> None:
        """Give all models back for good; not after a failure on the device that has taken their state with it."""
        lost = any(array.is_deleted() for array in jax.tree.leaves(self.state))
        for model in self.models:
            if not lost:
                self.give_back(model)
            model.stacked = None


def stacked_program(model, kind) -> StackedProgram:
    """The program for models of this kind: the last one if it serves them, or a new one with `model` as template."""
    global _last
    if _last is None or not _last.serves(kind, model.device_images[True]):
        _last = StackedProgram(model, kind)
    return _last


def known_device_images(data):
    """The images on the device of the program that was made last, when they are of `data`, as a list of one or none."""
    global _last
    if _last is None:
        return []
    source = _last.template.device_images[True]
    if source is not None and source.data is not data:
        # Not two tables in the device's memory.
        _last = None
    return [] if source is None or _last is None else [source]


def kind_of(model):
    """What models must have in common to be trained by one program, as nested plain values.

    Classes, configurations and optimizers, without what is state: names, seeds, learning rates, and the numbers of
    hyper-parameters.
    """
    config = model.get_config()
    for name in hyperparameters(type(model)):
        schedule = model.__dict__[f"_schedule_{name}"]
        if not isinstance(schedule, KerasSchedule):
            config[name] = f"{type(schedule).__name__} of {len(schedule.parameters)}"
    kind = {
        "class": f"{type(model).__module__}.{type(model).__qualname__}",
        **config,
        "optimizer": keras.saving.serialize_keras_object(model.optimizer),
        "steps_per_execution": model.steps_per_execution,
        "shapes": [[(tuple(v.shape), v.dtype) for v in variables] for variables in _variables(model)],
    }
    return _without_state(kind, {})


def _without_state(value, names):
    if isinstance(value, dict):
        found = {}
        for key, part in value.items():
            if key == "name" and isinstance(part, str):
                # Keras numbers what has no name of its own; references to it follow.
                names.setdefault(part, f"name {len(names) + 1}")
            if key == "learning_rate" and isinstance(part, float):
                part = "a number"
            if key not in ("seed", "shared_object_id"):
                found[key] = _without_state(part, names)
        return found
    if isinstance(value, list | tuple):
        return [_without_state(part, names) for part in value]
    return names.get(value, value) if isinstance(value, str) else value


def _like(active, array):
    return active.reshape(active.shape + (1,) * (array.ndim - 1))


def _variables(model):
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def _take_state(model):
    """As Keras's `fit`: what a model itself holds would be out of date."""
    return model._get_jax_state(
        trainable_variables=True,
        non_trainable_variables=True,
        optimizer_variables=True,
        metrics_variables=True,
        purge_model_variables=True,
    )


@jax.jit
def _stack(states):
    return jax.tree.map(lambda *parts: jax.numpy.stack(parts), *states)


@jax.jit
def _state_at(state, place):
    return jax.tree.map(lambda array: array[place], state)
