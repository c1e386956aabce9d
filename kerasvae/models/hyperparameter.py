"""A number or schedule of an objective that stays a run-time value of the compiled step."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import ops

from kerasvae.schedules import Constant, KerasSchedule, Schedule


class Hyperparameter:
    """Class attribute that declares a numeric argument of an objective, such as `beta`.

    Assigning `model.beta = 4.0` (or a schedule) checks the value and stores its numbers in a small non-trainable
    weight, so that the compiled step reads it at run time: another β needs no other program. `model.beta` gives back
    the number or schedule; `model.scalar("beta")` is the tensor at the current step. The weight is not saved: the
    configuration is.

    Args:
        minimum, maximum: what the value, or every value of the schedule, must lie between, ends included.
    """

    def __init__(self, minimum: float = -math.inf, maximum: float = math.inf):
        self.minimum = minimum
        self.maximum = maximum

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, model, owner=None):
        if model is None:
            return self
        schedule = model.__dict__.get(f"_schedule_{self.name}")
        if schedule is None:
            raise AttributeError(f"{type(model).__name__}.{self.name} is not set yet")
        return schedule.value if isinstance(schedule, Constant) else schedule

    def __set__(self, model, value):
        schedule = self._checked(value)
        current = model.__dict__.get(f"_schedule_{self.name}")
        parameters = np.asarray(schedule.parameters, "float32")
        if current is None:
            weight = model.add_weight(
                shape=parameters.shape, dtype="float32", trainable=False, name=self.name, initializer="zeros"
            )
            model.__dict__[f"_weight_{self.name}"] = weight
        elif isinstance(schedule, KerasSchedule) and current == schedule:
            return
        elif (
            type(current) is not type(schedule)
            or len(current.parameters) != len(schedule.parameters)
            or isinstance(schedule, KerasSchedule)
        ):
            raise ValueError(
                f"{self.name} is a {type(current).__name__} in this model and cannot become a "
                f"{type(schedule).__name__} afterwards: make a new model"
            )
        model.__dict__[f"_weight_{self.name}"].assign(parameters)
        model.__dict__[f"_schedule_{self.name}"] = schedule

    def at(self, model, step):
        """The value at `step` (a scalar tensor) as a float32 tensor, read from the weight."""
        weight = model.__dict__[f"_weight_{self.name}"]
        schedule = model.__dict__[f"_schedule_{self.name}"]
        count = len(schedule.parameters)
        parameters = ops.unstack(ops.convert_to_tensor(weight), num=count) if count else ()
        return schedule.compute(ops.cast(step, schedule.step_dtype), *parameters)

    def _checked(self, value) -> Schedule:
        if isinstance(value, Schedule):
            schedule = value
        elif isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
            schedule = KerasSchedule(value)
        else:
            try:
                schedule = Constant(value)
            except ValueError as error:
                raise ValueError(
                    f"{self.name} must be a finite number or a schedule of kerasvae.schedules or Keras, got {value!r}"
                ) from error
        lowest, highest = schedule.bounds()
        if lowest < self.minimum or highest > self.maximum:
            limits = [f"at least {self.minimum:g}"] * math.isfinite(self.minimum)
            limits += [f"at most {self.maximum:g}"] * math.isfinite(self.maximum)
            raise ValueError(f"{self.name} must be {' and '.join(limits)}, got {value!r}")
        return schedule


def hyperparameters(model_class) -> dict[str, Hyperparameter]:
    """The hyper-parameters that `model_class` and the classes it inherits from declare, by name."""
    found = {}
    for owner in reversed(model_class.__mro__):
        found.update((name, value) for name, value in vars(owner).items() if isinstance(value, Hyperparameter))
    return found
