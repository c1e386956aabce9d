"""Schedules: a hyper-parameter of an objective as a pure function of the training step.

Wherever an objective takes a number (`beta`, later `gamma`, `capacity`, ...) it takes a schedule too. A schedule is
evaluated inside the compiled step from the model's own saved `step`, so a resumed run continues it exactly.
"""

from __future__ import annotations

import math
import numbers

import keras
from keras import ops


class Schedule:
    """A hyper-parameter as a function of the step, as `Constant`, `Linear`, `Cosine`, `Cyclical` and `Piecewise` are.

    A subclass names its numbers in `parameters` (a tuple of floats) and computes the value from them in `compute`.
    They reach the compiled step as run-time values: two schedules of one class share one compiled program.
    """

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
        """The value at `step` (0 is the first step) as a float32 tensor."""
        return self.compute(ops.cast(step, "float32"), *(ops.convert_to_tensor(p, "float32") for p in self.parameters))

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
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)


@keras.saving.register_keras_serializable(package="kerasvae")
class Constant(Schedule):
    """The same value at every step; a plain number given to an objective becomes one.

    Args:
        value: a finite number.
    """

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
        ValueError: for a number that is not finite, `steps` below 1 or `delay` below 0.

    Example:
        >>> beta = Linear(0.0, 4.0, steps=1000)
        >>> float(beta(250))
        1.0
    """

    def __init__(self, start: float, end: float, steps: int, delay: int = 0):
        self.start = finite("start", start)
        self.end = finite("end", end)
        self.steps = finite("steps", steps)
        self.delay = finite("delay", delay)
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps!r}")
        if self.delay < 0:
            raise ValueError(f"delay must be at least 0, got {delay!r}")

    @property
    def parameters(self):
        return (self.start, self.end, self.steps, self.delay)

    @staticmethod
    def compute(step, start, end, steps, delay):
        fraction = ops.clip((step - delay) / steps, 0.0, 1.0)
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
        fraction = 0.5 - 0.5 * ops.cos(math.pi * ops.clip((step - delay) / steps, 0.0, 1.0))
        return start * (1.0 - fraction) + end * fraction


@keras.saving.register_keras_serializable(package="kerasvae")
class Cyclical(Schedule):
    """Ramps that begin anew: in each period a straight line from `start` to `end`, then `end` until the period is over.

    Args:
        start, end: values at the beginning and the end of a ramp.
        period: length of a period in training steps, at least 1.
        ramp: share of a period that the ramp takes, above 0, at most 1. Default 0.5.

    Raises:
        ValueError: for a number that is not finite, or out of its range.

    Source: Fu et al. 2019, Eq. 6.
    """

    def __init__(self, start: float, end: float, period: int, ramp: float = 0.5):
        self.start = finite("start", start)
        self.end = finite("end", end)
        self.period = finite("period", period)
        self.ramp = finite("ramp", ramp)
        if self.period < 1:
            raise ValueError(f"period must be at least 1, got {period!r}")
        if not 0 < self.ramp <= 1:
            raise ValueError(f"ramp must be above 0 and at most 1, got {ramp!r}")

    @property
    def parameters(self):
        return (self.start, self.end, self.period, self.ramp)

    @staticmethod
    def compute(step, start, end, period, ramp):
        fraction = ops.clip((step - ops.floor(step / period) * period) / (period * ramp), 0.0, 1.0)
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
        ValueError: for numbers that are not finite, boundaries that do not increase, or a wrong number of values.

    Example:
        >>> float(Piecewise([100, 200], [0.0, 1.0, 4.0])(150))
        1.0
    """

    def __init__(self, boundaries, values):
        self.boundaries = [finite(f"boundaries[{place}]", step) for place, step in enumerate(boundaries)]
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
            value = ops.where(step >= boundary, after, value)
        return value

    def bounds(self):
        return min(self.values), max(self.values)

    def get_config(self):
        return {"boundaries": self.boundaries, "values": self.values}
