import keras
import numpy as np
import pytest

from kerasvae.schedules import Constant, Linear, Schedule

SCHEDULES = [Constant(0.25), Linear(0.0, 4.0, steps=1000), Linear(3, -1, steps=8, delay=5)]


def at(schedule, *steps):
    return [float(schedule(step)) for step in steps]


def test_constant():
    assert at(Constant(0.75), 0, 1, 10**9) == [0.75] * 3


def test_linear_by_hand():
    assert at(Linear(0.0, 4.0, steps=1000), 0, 250, 500, 1000, 1001, 10**9) == [0, 1, 2, 4, 4, 4]
    assert at(Linear(3, -1, steps=8, delay=5), 0, 4, 5, 6, 9, 12, 13, 14) == [3, 3, 3, 2.5, 1, -0.5, -1, -1]
    assert at(Linear(1.0, 2.0, steps=1), 0, 1, 2) == [1, 2, 2]


def test_linear_is_the_line():
    steps = np.arange(0, 130)
    expected = 0.3 + (7.7 - 0.3) * np.clip((steps - 20) / 90, 0, 1)
    np.testing.assert_allclose(at(Linear(0.3, 7.7, steps=90, delay=20), *steps), expected, rtol=1e-6)


@pytest.mark.parametrize("start, end", [(1000.0, 0.001), (0.001, 1000.0), (1.0, 1e-4), (0.1, 0.3), (1e-30, 5.0)])
def test_linear_ends_are_exact(start, end):
    # In float32 1000 + (0.001 - 1000) is 0.00098.
    schedule = Linear(start, end, steps=7, delay=3)
    assert at(schedule, 0, 3, 10, 99) == [np.float32(start), np.float32(start), np.float32(end), np.float32(end)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_value_is_a_float32_scalar(schedule):
    for step in (3, np.int64(3), keras.ops.convert_to_tensor(3, dtype="int32")):
        value = schedule(step)
        assert keras.ops.is_tensor(value) and tuple(value.shape) == ()
        assert keras.backend.standardize_dtype(value.dtype) == "float32"
        assert float(value) == at(schedule, 3)[0]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_parameters_are_all_that_compute_needs(schedule):
    # This is how the compiled step evaluates it.
    parameters = [keras.ops.convert_to_tensor(p, dtype="float32") for p in schedule.parameters]
    for step in (0, 6, 10, 700):
        value = type(schedule).compute(keras.ops.convert_to_tensor(step, dtype="float32"), *parameters)
        assert float(value) == at(schedule, step)[0]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_bounds_hold_and_are_reached(schedule):
    values = at(schedule, *range(0, 30), 500, 1000, 5000)
    assert (min(values), max(values)) == schedule.bounds()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_round_trips(schedule):
    serialized = keras.saving.serialize_keras_object(schedule)
    assert serialized["registered_name"] == f"kerasvae>{type(schedule).__name__}"
    copies = [
        type(schedule).from_config(schedule.get_config()),
        keras.saving.deserialize_keras_object(serialized),
        eval(repr(schedule), {"Constant": Constant, "Linear": Linear}),
    ]
    for copy in copies:
        assert copy == schedule and hash(copy) == hash(schedule) and copy is not schedule
        assert at(copy, 0, 6, 900) == at(schedule, 0, 6, 900)


def test_equality():
    assert Constant(1) == Constant(1.0) != Constant(2)
    assert Constant(1) != 1.0
    line = {"start": 0, "end": 1, "steps": 10, "delay": 0}
    for argument in line:
        assert Linear(**line) != Linear(**{**line, argument: 3})
    assert Linear(**line) != Constant(0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", None, True, 1j, [1.0]])
@pytest.mark.parametrize("argument", ["value", "start", "end", "steps", "delay"])
def test_numbers_that_are_refused(argument, value):
    with pytest.raises(ValueError, match=f"{argument} must be a finite number"):
        if argument == "value":
            Constant(value)
        else:
            Linear(**{"start": 0.0, "end": 1.0, "steps": 10, "delay": 0, argument: value})


@pytest.mark.parametrize(
    "arguments, match", [({"steps": 0}, "steps must be at least 1"), ({"delay": -1}, "delay must")]
)
def test_lengths_that_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        Linear(**{"start": 0.0, "end": 1.0, "steps": 10, **arguments})


def test_an_unfinished_subclass_says_what_is_missing():
    class Unfinished(Schedule):
        pass

    with pytest.raises(NotImplementedError, match="Unfinished must define `parameters`"):
        Unfinished()(0)
    with pytest.raises(NotImplementedError, match="Unfinished must define `get_config`"):
        Unfinished().get_config()
