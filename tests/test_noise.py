import keras
import numpy as np
import pytest
from scipy.stats import kstest, norm

from kerasvae import random_numbers as numbers

M = 0xFFFFFFFF
LANES = np.array([0, 1, 2, 255, 12_345, 2**24, 2**31 - 1], "int32")
# Seeds and steps up to the largest int32; products with them wrap.
POSITIONS = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (7, 57_600, 3), (2**31 - 1, 2**31 - 1, 5), (123_456_789, 2, 2**20)]


def finalise(x):
    x ^= x >> 16
    x = x * 0x7FEB352D & M
    x ^= x >> 15
    x = x * 0x846CA68B & M
    return x ^ x >> 16


def reference(seed, step, lane, stream):
    """The same hash in Python's own unbounded integers."""
    golden = 0x9E3779B9
    key = finalise((seed * golden + 0x85EBCA6B) & M)
    key = finalise(key ^ (step * golden + stream * 0xC2B2AE35 + 1) & M)
    bits = finalise((key + lane * golden) & M) >> 9
    return (bits + 0.5) / 2**23


def uniform(seed, step, lanes, stream):
    return keras.ops.convert_to_numpy(
        numbers.uniform(seed, step, keras.ops.convert_to_tensor(lanes, dtype="int32"), stream)
    )


def normal(seed, step, lanes, *stream):
    lanes = keras.ops.convert_to_tensor(lanes, dtype="int32")
    return keras.ops.convert_to_numpy(numbers.standard_normal(seed, step, lanes, *stream))


@pytest.mark.parametrize("seed, step, stream", POSITIONS)
def test_uniform_equals_pure_python(seed, step, stream):
    got = uniform(seed, step, LANES, stream)
    assert got.dtype == np.float32
    assert got.tolist() == [reference(seed, step, int(lane), stream) for lane in LANES]


def test_lanes_may_be_negative_and_of_any_shape():
    lanes = np.array([[-1, -2], [-(2**31), 3], [4, 5]], "int32")
    expected = [[reference(3, 4, int(lane) & M, 1) for lane in row] for row in lanes]
    assert uniform(3, 4, lanes, 1).tolist() == expected


def test_seed_and_step_may_be_tensors():
    seed, step = (keras.ops.convert_to_tensor(value, dtype="int32") for value in (7, 57_600))
    np.testing.assert_array_equal(uniform(seed, step, LANES, 3), uniform(7, 57_600, LANES, 3))


class Noise(keras.layers.Layer):
    def call(self, lanes):
        return numbers.uniform(11, lanes[0, 0], lanes, 4), numbers.standard_normal(11, lanes[0, 0], lanes, 4)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_program_draws_the_same(jit_compile):
    if jit_compile and keras.backend.backend() == "torch":
        pytest.skip("compiling on Torch needs a C++ compiler")
    inputs = keras.Input((5,), dtype="int32")
    model = keras.Model(inputs, Noise()(inputs))
    model.compile(jit_compile=jit_compile)
    lanes = np.arange(1000, 1020, dtype="int32").reshape(4, 5)
    got_uniform, got_normal = model.predict(lanes, verbose=0)
    assert got_uniform.tolist() == [[reference(11, 1000, int(lane), 4) for lane in row] for row in lanes]
    np.testing.assert_allclose(got_normal, normal(11, 1000, lanes, 4), atol=2e-6)


def test_uniform_is_strictly_between_0_and_1():
    # 29834901 is a lane whose hash begins with 24 ones: with 24 bits its number would be rounded up to 1.
    lanes = np.array([29_834_901, 46_402_817], "int32")
    top = uniform(0, 0, lanes, 0)
    assert top.tolist() == [1 - 2**-24] * 2
    many = uniform(0, 0, np.arange(200_000), 0)
    assert 0 < many.min() < 1e-4 and 1 - 1e-4 < many.max() < 1


def test_uniform_is_uniform():
    assert kstest(uniform(1, 2, np.arange(100_000), 0), "uniform").pvalue > 1e-3
    # Also from step to step and from seed to seed, with the lane fixed.
    assert kstest([reference(5, step, 0, 0) for step in range(5000)], "uniform").pvalue > 1e-3
    assert kstest([reference(seed, 0, 0, 0) for seed in range(5000)], "uniform").pvalue > 1e-3


def test_normal_is_box_and_muller():
    lanes = range(2000)
    for stream in (0, 3):
        first, second = (np.array([reference(9, 8, lane, 2 * stream + part) for lane in lanes]) for part in (0, 1))
        exact = np.sqrt(-2 * np.log(first)) * np.cos(2 * np.pi * second)
        np.testing.assert_allclose(normal(9, 8, np.arange(2000), stream), exact, atol=5e-6)
    np.testing.assert_array_equal(normal(9, 8, LANES), normal(9, 8, LANES, 0))


def test_normal_moments():
    draws = normal(0, 0, np.arange(400_000)).astype("float64")
    assert draws.shape == (400_000,) and np.isfinite(draws).all()
    # Mean, variance, skewness and kurtosis within 4 standard errors.
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert np.mean(draws**power) == pytest.approx(moment, abs=4 * np.sqrt(variance / 400_000))
    assert kstest(draws, "norm").pvalue > 1e-3
    assert np.mean(np.abs(draws) > 3) == pytest.approx(2 * norm.sf(3), rel=0.15)


def independent(one, other):
    """Two samples of N(0, 1) without correlation, of themselves and of their squares, to 4.5 standard errors."""
    bound = 4.5 / np.sqrt(one.size)
    return all(abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < bound for a, b in ((one, other), (one**2, other**2)))


@pytest.mark.parametrize("change", ["seed", "step", "stream"])
@pytest.mark.parametrize("by", [1, 2, 1000])
def test_independence_of_seeds_steps_and_streams(change, by):
    base = {"seed": 3, "step": 100, "stream": 0}
    lanes = np.arange(20_000)
    one, other = (normal(b["seed"], b["step"], lanes, b["stream"]) for b in (base, {**base, change: base[change] + by}))
    assert independent(one, other)
    # Nor is one the other moved by some lanes.
    assert independent(one[1:], other[:-1]) and independent(one[:-1], other[1:])
    assert np.intersect1d(one, other).size < 40


@pytest.mark.parametrize("lag", [1, 2, 9, 25, 256])
def test_independence_of_lanes(lag):
    draws = normal(0, 5, np.arange(20_000))
    assert independent(draws[lag:], draws[:-lag])


def test_seed_and_step_are_not_exchanged():
    assert independent(normal(1, 2, np.arange(20_000)), normal(2, 1, np.arange(20_000)))


def test_joint_distribution_over_steps():
    # As a model draws: 64 steps of 10 latents of 32 images, every latent and every step N(0, 1).
    draws = np.stack([normal(0, step, np.arange(320)).reshape(32, 10) for step in range(64)]).astype("float64")
    for axes in ((0, 1), (1, 2)):
        count = draws.size / draws.mean(axis=axes).size
        assert np.abs(draws.mean(axis=axes)).max() < 4.5 / np.sqrt(count)
        assert np.abs(draws.var(axis=axes) - 1).max() < 5 * np.sqrt(2 / count)
