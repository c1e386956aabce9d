import keras
import numpy as np
import pytest

from kerasvae.schedules import Constant, Cosine, Cyclical, Linear, Piecewise, Schedule

SCHEDULES = [
    Constant(0.25),
    Linear(0.0, 4.0, steps=1000),
    Linear(3, -1, steps=8, delay=5),
    Cosine(0.5, 4.0, steps=16, delay=3),
    Cyclical(0.0, 1.0, period=10, ramp=0.5),
    Cyclical(3.0, -1.0, period=7, ramp=0.6),
    Piecewise([4, 20], [1.0, -2.0, 0.5]),
    Piecewise([600], [1.0, 2.0]),
]
NAMES = {cls.__name__: cls for cls in (Constant, Linear, Cosine, Cyclical, Piecewise)}


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
        eval(repr(schedule), NAMES),
    ]
    for copy in copies:
        assert copy == schedule and hash(copy) == hash(schedule) and copy is not schedule
        assert at(copy, 0, 6, 900) == at(schedule, 0, 6, 900)


def test_cosine_by_hand():
    # Ends, middle, and a third: (1 - cos 60°)/2 = 1/4.
    schedule = Cosine(0.0, 8.0, steps=12, delay=2)
    np.testing.assert_allclose(at(schedule, 0, 2, 6, 8, 10, 14, 99), [0, 0, 2, 4, 6, 8, 8], rtol=1e-6)
    steps = np.arange(0, 20)
    expected = 4 - 4 * np.cos(np.pi * np.clip((steps - 2) / 12, 0, 1))
    np.testing.assert_allclose(at(schedule, *steps), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("start, end", [(1000.0, 0.001), (0.1, 0.3)])
def test_cosine_ends_are_exact(start, end):
    assert at(Cosine(start, end, steps=7), 0, 7, 99) == [np.float32(start), np.float32(end), np.float32(end)]


def test_cyclical_by_hand():
    schedule = Cyclical(0.0, 4.0, period=8)
    assert at(schedule, *range(9)) == [0, 1, 2, 3, 4, 4, 4, 4, 0]
    assert at(Cyclical(1.0, 5.0, period=4, ramp=1.0), *range(6)) == [1, 2, 3, 4, 1, 2]


@pytest.mark.parametrize("period", [7, 10, 49, 100])
def test_cyclical_repeats(period):
    schedule = Cyclical(0.5, 2.0, period=period, ramp=0.6)
    first = at(schedule, *range(period))
    for cycle in (1, 3, 41):
        np.testing.assert_allclose(at(schedule, *range(cycle * period, (cycle + 1) * period)), first, rtol=1e-4)


def test_piecewise_by_hand():
    schedule = Piecewise([100, 200], [0.0, 1.0, 4.0])
    assert at(schedule, 0, 99, 100, 150, 199, 200, 10**6) == [0, 0, 1, 1, 1, 4, 4]
    assert at(Piecewise([0], [3, 5]), 0, 1) == [5, 5]
    assert Piecewise((1,), (2, 3)) == Piecewise([1.0], [2.0, 3.0]) != Piecewise([1], [2, 4])


def test_cosine_is_not_linear():
    assert Cosine(0, 1, steps=10) != Linear(0, 1, steps=10) != Cosine(0, 1, steps=10)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: Cosine(0, 1, steps=0), "steps must be at least 1, got 0"),
        (lambda: Cosine(0, 1, steps=5, delay=-1), "delay must be at least 0"),
        (lambda: Cosine(float("nan"), 1, steps=5), "start must be a finite number"),
        (lambda: Cyclical(0, 1, period=0), "period must be at least 1, got 0"),
        (lambda: Cyclical(0, 1, period=5, ramp=0.0), "ramp must be above 0 and at most 1, got 0.0"),
        (lambda: Cyclical(0, 1, period=5, ramp=1.5), "ramp must be above 0 and at most 1"),
        (lambda: Cyclical(0, None, period=5), "end must be a finite number"),
        (lambda: Piecewise([], [1.0]), "boundaries must be increasing steps, at least one"),
        (lambda: Piecewise([5, 5], [1.0, 2.0, 3.0]), "boundaries must be increasing"),
        (lambda: Piecewise([5, 4], [1.0, 2.0, 3.0]), "boundaries must be increasing"),
        (lambda: Piecewise([5], [1.0]), r"values must hold one number more than boundaries \(2\), got 1"),
        (lambda: Piecewise([5], [1.0, 2.0, 3.0]), "values must hold one number more"),
        (lambda: Piecewise(["5"], [1.0, 2.0]), r"boundaries\[0\] must be a finite number"),
        (lambda: Piecewise([5], [1.0, float("inf")]), r"values\[1\] must be a finite number"),
    ],
)
def test_new_schedules_refuse(make, match):
    with pytest.raises(ValueError, match=match):
        make()


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


FAR = [2**24 - 1, 2**24, 2**24 + 1, 2**25 + 3, 2**30 + 1, 2**31 - 2, 2**31 - 1]


def far_schedules():
    """Schedules whose numbers of steps are beyond float32's whole numbers, and each in float64."""

    def line(step, start, end, steps, delay):
        return start + (end - start) * np.clip((step - delay) / steps, 0, 1)

    yield Linear(0.0, 4.0, steps=2**31 - 128), lambda step: line(step, 0.0, 4.0, 2**31 - 128, 0)
    for delay in (2**24, 2**25 + 4, 2**30):
        yield Linear(1.0, 3.0, steps=8, delay=delay), lambda step, delay=delay: line(step, 1.0, 3.0, 8, delay)
        yield (
            Cosine(0.0, 1.0, steps=16, delay=delay),
            lambda step, delay=delay: 0.5 - 0.5 * np.cos(np.pi * line(step, 0.0, 1.0, 16, delay)),
        )
        yield (
            Piecewise([3, delay], [1.0, 2.0, 5.0]),
            lambda step, delay=delay: (1.0, 2.0, 5.0)[(step >= 3) + (step >= delay)],
        )
    for period in (7, 1000, 2**24 + 2):
        yield (
            Cyclical(0.0, 1.0, period=period, ramp=1.0),
            lambda step, period=period: (step % period) / period,
        )


@pytest.mark.parametrize(("schedule", "exact"), [pytest.param(*pair, id=repr(pair[0])) for pair in far_schedules()])
def test_exact_at_every_step_of_an_int32(schedule, exact):
    start = [int(p) + offset for p in schedule.parameters if p > 2**20 for offset in (-1, 0, 1, 4, 8)]
    for step in (*FAR, *(step for step in start if step < 2**31)):
        got = [float(schedule(each)) for each in (step, np.int64(step), keras.ops.convert_to_tensor(step, "int32"))]
        assert got == [got[0]] * 3
        assert got[0] == pytest.approx(float(np.float32(exact(step))), rel=5e-7, abs=1e-9), step
    # As the compiled step evaluates it, of an integer counter.
    steps = keras.ops.convert_to_tensor(FAR, "int32")
    values = keras.ops.convert_to_numpy(schedule(steps))
    np.testing.assert_allclose(np.broadcast_to(values, (len(FAR),)), at(schedule, *FAR), rtol=1e-6)


def test_an_own_schedule_gets_a_float_step():
    class Root(Schedule):
        parameters = (4.0,)

        @staticmethod
        def compute(step, scale):
            return keras.ops.sqrt(step / scale)

    assert at(Root(), 0, 4, np.int64(16)) == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (
            lambda: Linear(0, 1, steps=10, delay=2**24 + 1),
            r"delay must be .* float32 holds .* got 16777217: 16777216 is",
        ),
        (lambda: Linear(0, 1, steps=2**25 + 1), "steps must be a number that float32 holds"),
        (lambda: Piecewise([2**24 + 1], [0.0, 1.0]), r"boundaries\[0\] must be a number that float32 holds"),
        (lambda: Cyclical(0, 1, period=2**24 + 1), "period must be a number that float32 holds"),
        (lambda: Cyclical(0, 1, period=7.5), "period must be a whole number of steps, got 7.5"),
        (lambda: Linear(0, 1, steps=10, delay=2**31), r"delay must be below 2\*\*31"),
        (lambda: Piecewise([1e12], [0.0, 1.0]), r"boundaries\[0\] must be below 2\*\*31"),
        (lambda: Linear(0, 1, steps=10)(2**31), r"step must be .* at most 2\*\*31 - 1, got 2147483648"),
        (lambda: Linear(0, 1, steps=10)(-1), "step must be .* at least 0"),
    ],
)
def test_steps_that_cannot_be_exact_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()
