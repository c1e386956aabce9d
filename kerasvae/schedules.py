"""Schedules: a hyper-parameter of an objective as a pure function of the training step.

Wherever an objective takes a number (`beta`, later `gamma`, `capacity`, ...) it takes a schedule too. A schedule is
evaluated inside the compiled step from the model's own saved `step`, so a resumed run continues it exactly.
"""

from __future__ import annotations

import math
import numbers
import reprlib

import keras
import numpy as np
from keras import ops

from kerasvae.checks import check_number, is_number

# The counter of a model is an int32.
MOST_STEPS = 2**31 - 1


class Schedule:
    """A hyper-parameter as a function of the step, as `Constant`, `Linear`, `Cosine`, `Cyclical` and `Piecewise` are.

    A subclass names its numbers in `parameters` (a tuple of floats) and computes the value from them in `compute`.
    They reach the compiled step as run-time values: two schedules of one class share one compiled program.

    `step_dtype` is the type in which `compute` wants the step: "float32", which is exact up to step 2²⁴ (16 777 216),
    or "int32". Those of this module take either, and are exact at every step in "int32".
    """

    step_dtype = "float32"

    @property
    def parameters(self) -> tuple[float, ...]:
        """The schedule's numbers, in the order in which `compute` takes them."""
        raise NotImplementedError(f"{type(self).__name__} must define `parameters`")

    @staticmethod
    def compute(step, *parameters):
        """The value at `step` as a float32 tensor, in `keras.ops`; `step` and `parameters` are scalar tensors."""
        raise NotImplementedError("a schedule must define `compute`")

    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value the schedule takes; objectives check it against what they allow."""
        return min(self.parameters), max(self.parameters)

    def __call__(self, step):
        """The value at `step` (0 is the first step) as a float32 tensor.

        Raises:
            ValueError: for a plain number that is negative or above 2³¹ - 1. TypeError: for what is no number.
        """
        step = _checked_step(step)
        if "float" not in keras.backend.standardize_dtype(step.dtype):
            step = ops.cast(step, self.step_dtype)
        return self.compute(step, *(ops.convert_to_tensor(p, "float32") for p in self.parameters))

    def __eq__(self, other):
        return type(self) is type(other) and self.parameters == other.parameters

    def __hash__(self):
        return hash((type(self), self.parameters))

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"

    def get_config(self) -> dict:
        raise NotImplementedError(f"{type(self).__name__} must define `get_config`")

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def finite(name: str, value) -> float:
    """`value` as a float; ValueError naming `name` unless it is a finite real number."""
    return float(check_number(value, name))


def count(name: str, value, least: float = 0) -> float:
    """A number of steps as a float; ValueError naming `name` unless `least` or more and held exactly by a float32."""
    number = finite(name, value)
    if number < least:
        raise ValueError(f"{name} must be at least {least}, got {value!r}")
    if number >= MOST_STEPS:
        raise ValueError(f"{name} must be below 2**31, the steps that a model counts, got {value!r}")
    # The numbers of a schedule are float32 in the compiled step. Fractions of a step need not be exact.
    nearest = float(np.float32(number))
    if number > 2**24 and nearest != number:
        raise ValueError(
            f"{name} must be a number that float32 holds where it is above 2**24 (16777216), got {value!r}: "
            f"{nearest:.0f} is one"
        )
    return number


def _checked_step(step):
    """`step` as a tensor, an int32 where it is a whole number."""
    if isinstance(step, numbers.Number | np.generic) and not (is_number(step) and 0 <= step <= MOST_STEPS):
        raise ValueError(f"step must be a number of steps, at least 0 and at most 2**31 - 1, got {step!r}")
    if isinstance(step, numbers.Integral):
        return ops.convert_to_tensor(int(step), "int32")
    try:
        tensor = None if step is None else ops.convert_to_tensor(step)
        if keras.backend.standardize_dtype(tensor.dtype) != "string":
            return tensor
    except (AttributeError, TypeError, ValueError):
        pass
    raise TypeError(f"step must be a number of steps or a tensor of them, got {step!r}")


def _since(step, begin):
    """Steps from `begin`, a float32, to `step`, as a float32; the difference is exact for an integer `step`."""
    if "float" in keras.backend.standardize_dtype(step.dtype):
        return step - begin
    whole = ops.floor(begin)
    return ops.cast(step - ops.cast(whole, "int32"), "float32") - (begin - whole)


@keras.saving.register_keras_serializable(package="kerasvae")
class Constant(Schedule):
    """The same value at every step; a plain number given to an objective becomes one.

    Args:
        value: a finite number.
    """

    step_dtype = "int32"

    def __init__(self, value: float):
        self.value = finite("value", value)

    @property
    def parameters(self):
        return (self.value,)

    @staticmethod
    def compute(step, value):
        return value

    def get_config(self):
        return {"value": self.value}


@keras.saving.register_keras_serializable(package="kerasvae")
class Linear(Schedule):
    """A straight line from `start` to `end` over `steps` steps, constant before and after.

    Args:
        start: value up to and including step `delay`.
        end: value from step `delay + steps` on.
        steps: length of the ramp in training steps, at least 1.
        delay: number of steps before the ramp begins, at least 0.

    Raises:
        ValueError: for a number that is not finite, `steps` below 1 or `delay` below 0, 2³¹ steps or more, or a number
            of steps above 2²⁴ that float32 does not hold.

    Example:
        >>> beta = Linear(0.0, 4.0, steps=1000)
        >>> float(beta(250))
        1.0
    """

    step_dtype = "int32"

    def __init__(self, start: float, end: float, steps: int, delay: int = 0):
        self.start = finite("start", start)
        self.end = finite("end", end)
        self.steps = count("steps", steps, 1)
        self.delay = count("delay", delay)

    @property
    def parameters(self):
        return (self.start, self.end, self.steps, self.delay)

    @staticmethod
    def compute(step, start, end, steps, delay):
        fraction = ops.clip(_since(step, delay) / steps, 0.0, 1.0)
        # Exact at both ends; start + (end - start)·fraction loses an end much smaller than the start.
        return start * (1.0 - fraction) + end * fraction

    def bounds(self):
        return min(self.start, self.end), max(self.start, self.end)

    def get_config(self):
        return {"start": self.start, "end": self.end, "steps": self.steps, "delay": self.delay}


@keras.saving.register_keras_serializable(package="kerasvae")
class Cosine(Linear):
    """Half a cosine wave from `start` to `end` over `steps` steps, constant before and after; slow at both ends.

    Args:
        start, end, steps, delay: as for `Linear`.

    Raises:
        ValueError: as for `Linear`.
    """

    @staticmethod
    def compute(step, start, end, steps, delay):
        # (1 - cos πx)/2, without its cancellation at the start.
        fraction = ops.square(ops.sin(0.5 * math.pi * ops.clip(_since(step, delay) / steps, 0.0, 1.0)))
        return start * (1.0 - fraction) + end * fraction


@keras.saving.register_keras_serializable(package="kerasvae")
class Cyclical(Schedule):
    """Ramps that start again: in each period a line from `start` to `end`, then `end` until the period is over.

    Args:
        start, end: values at the beginning and the end of a ramp.
        period: length of a period in training steps, a whole number, at least 1.
        ramp: share of a period that the ramp takes, above 0, at most 1. Default 0.5.

    Raises:
        ValueError: for a number that is not finite, or out of its range, or a number of steps as for `Linear`.

    Source: Fu et al. 2019, Eq. 6.
    """

    step_dtype = "int32"

    def __init__(self, start: float, end: float, period: int, ramp: float = 0.5):
        self.start = finite("start", start)
        self.end = finite("end", end)
        self.period = count("period", period, 1)
        self.ramp = finite("ramp", ramp)
        if self.period != self.period // 1:
            raise ValueError(f"period must be a whole number of steps, got {period!r}")
        if not 0 < self.ramp <= 1:
            raise ValueError(f"ramp must be above 0 and at most 1, got {ramp!r}")

    @property
    def parameters(self):
        return (self.start, self.end, self.period, self.ramp)

    @staticmethod
    def compute(step, start, end, period, ramp):
        if "float" in keras.backend.standardize_dtype(step.dtype):
            since = step - ops.floor(step / period) * period
        else:
            since = ops.cast(ops.mod(step, ops.cast(period, "int32")), "float32")
        fraction = ops.clip(since / (period * ramp), 0.0, 1.0)
        return start * (1.0 - fraction) + end * fraction

    def bounds(self):
        return min(self.start, self.end), max(self.start, self.end)

    def get_config(self):
        return {"start": self.start, "end": self.end, "period": self.period, "ramp": self.ramp}


@keras.saving.register_keras_serializable(package="kerasvae")
class Piecewise(Schedule):
    """One value after the other: `values[0]` before step `boundaries[0]`, `values[i]` from `boundaries[i - 1]` on.

    Args:
        boundaries: steps at which the value changes, increasing, at least one.
        values: one number more than boundaries.

    Raises:
        ValueError: for numbers that are not finite, boundaries that do not increase, or a wrong number of values, or a
            number of steps as for `Linear`.

    Example:
        >>> float(Piecewise([100, 200], [0.0, 1.0, 4.0])(150))
        1.0
    """

    step_dtype = "int32"

    def __init__(self, boundaries, values):
        for name, given in (("boundaries", boundaries), ("values", values)):
            if isinstance(given, str) or not np.iterable(given):
                raise ValueError(f"{name} must be a list of numbers, got {given!r}")
        self.boundaries = [count(f"boundaries[{place}]", step, -(2**24)) for place, step in enumerate(boundaries)]
        self.values = [finite(f"values[{place}]", value) for place, value in enumerate(values)]
        if not self.boundaries or any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError(f"boundaries must be increasing steps, at least one, got {boundaries!r}")
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"values must hold one number more than boundaries ({len(self.boundaries) + 1}), got {len(self.values)}"
            )

    @property
    def parameters(self):
        return (*self.boundaries, *self.values)

    @staticmethod
    def compute(step, *parameters):
        count = len(parameters) // 2
        boundaries, values = parameters[:count], parameters[count:]
        value = values[0]
        for boundary, after in zip(boundaries, values[1:], strict=True):
            value = ops.where(_since(step, boundary) >= 0, after, value)
        return value

    def bounds(self):
        return min(self.values), max(self.values)

    def get_config(self):
        return {"boundaries": self.boundaries, "values": self.values}


@keras.saving.register_keras_serializable(package="kerasvae")
class KerasSchedule(Schedule):
    """One of Keras's learning-rate schedules as a schedule of a hyper-parameter; objectives wrap them themselves.

    Its numbers are part of the compiled step, so a model's cannot be assigned another.

    Args:
        schedule: a `keras.optimizers.schedules.LearningRateSchedule`.

    Raises:
        ValueError: for anything else.

    Example:
        >>> beta = KerasSchedule(keras.optimizers.schedules.ExponentialDecay(1.0, 10, 0.5))
        >>> float(beta(10))
        0.5
    """

    def __init__(self, schedule):
        if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            raise ValueError(
                f"schedule must be a keras.optimizers.schedules.LearningRateSchedule, got {reprlib.repr(schedule)}"
            )
        self.schedule = schedule

    @property
    def parameters(self):
        return ()

    def compute(self, step):
        return ops.cast(self.schedule(step), "float32")

    def bounds(self):
        # What it computes is unknown, so it is looked at: at each of the first steps, then ever more seldom.
        steps = np.unique(np.concatenate([np.arange(32), np.geomspace(32, MOST_STEPS, 500)]).astype("int64"))
        values = [float(ops.convert_to_numpy(self(int(step)))) for step in steps]
        if not np.isfinite(values).all():
            raise ValueError(f"schedule must give finite numbers, got {min(values)} to {max(values)}")
        return min(values), max(values)

    def __eq__(self, other):
        return type(self) is type(other) and self.get_config() == other.get_config()

    __hash__ = None

    def get_config(self):
        return {"schedule": keras.saving.serialize_keras_object(self.schedule)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["schedule"]))
