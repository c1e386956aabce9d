import itertools

import numpy as np
import pytest

from kerasvae.datasets import XYSquares, batch_indices, images, pair_factors, pairs

pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def data():
    return XYSquares(grid_spacing=2, grid_size=3, square_size=2, image_size=8, num_squares=2)


def take(dataset, count):
    return list(itertools.islice(dataset.as_numpy_iterator(), count))


def test_images(data):
    dataset = images(data, batch_size=10, steps=20, seed=3)
    assert tuple(dataset.element_spec.shape) == (10, 8, 8, 3) and dataset.element_spec.dtype == "float32"
    assert int(dataset.cardinality()) == 20
    batches = list(dataset.as_numpy_iterator())
    assert len(batches) == 20
    for step, batch in enumerate(batches):
        raw = data.images(batch_indices(81, 10, 3, step))
        assert batch.dtype == np.float32
        np.testing.assert_allclose(batch, (raw / 255 - data.mean) / data.std, atol=1e-5)


def test_images_equal_what_the_data_set_standardises(data):
    raw = data.images(batch_indices(81, 5, 1, 0))
    np.testing.assert_array_equal(take(images(data, 5, 1), 1)[0], data.standardize(raw))


def test_grey_images():
    grey = XYSquares(grid_size=2, square_size=2, image_size=10, num_squares=1, rgb=False)
    batch = take(images(grey, 4), 1)[0]
    assert batch.shape == (4, 10, 10, 1)
    # One pass, every image once: the mean is 0.
    assert batch.mean() == pytest.approx(0, abs=1e-6)


def test_images_without_standardisation(data):
    dataset = images(data, 6, 2, standardize=False)
    assert dataset.standardization == ((0.0,) * 3, (1.0,) * 3)
    batch = take(dataset, 1)[0]
    np.testing.assert_array_equal(batch, (data.images(batch_indices(81, 6, 1, 0)) / 255).astype("float32"))
    assert set(np.unique(batch)) == {0, 1}


@pytest.mark.parametrize("build", [images, pairs])
def test_standardization_is_attached(data, build):
    mean, std = build(data, 4, 2).standardization
    assert mean == tuple(data.mean) and std == tuple(data.std)
    assert {type(number) for number in mean + std} == {float}


@pytest.mark.parametrize("changed", ["uniform", "authors", 2])
def test_pairs(data, changed):
    dataset = pairs(data, batch_size=9, steps=4, seed=5, changed=changed)
    assert set(dataset.element_spec) == {"first", "second"}
    for spec in dataset.element_spec.values():
        assert tuple(spec.shape) == (9, 8, 8, 3) and spec.dtype == "float32"
    for step, batch in enumerate(take(dataset, 4)):
        for key, factors in zip(("first", "second"), pair_factors(data, 9, 5, step, changed), strict=True):
            np.testing.assert_array_equal(batch[key], data.standardize(data.render(factors)))


def test_pairs_without_standardisation(data):
    batch = take(pairs(data, 3, 1, standardize=False), 1)[0]
    assert set(np.unique([batch["first"], batch["second"]])) == {0, 1}


def test_default_pairs_are_uniform(data):
    default, uniform, authors = (
        take(pairs(data, 40, 1, **kw), 1)[0] for kw in ({}, {"changed": "uniform"}, {"changed": "authors"})
    )
    np.testing.assert_array_equal(default["second"], uniform["second"])
    assert not np.array_equal(default["second"], authors["second"])


@pytest.mark.parametrize("build", [images, pairs])
def test_start_goes_on_with_the_same_stream(data, build):
    whole = [np.stack([*batch.values()] if build is pairs else batch) for batch in take(build(data, 30, 9), 9)]
    for start in (0, 1, 4, 8):
        rest = build(data, 30, 9, start=start)
        assert int(rest.cardinality()) == 9 - start
        got = [np.stack([*batch.values()] if build is pairs else batch) for batch in rest.as_numpy_iterator()]
        np.testing.assert_array_equal(got, whole[start:])


def test_a_second_pass_over_the_pipeline_repeats_it(data):
    dataset = images(data, 7, 3)
    np.testing.assert_array_equal(take(dataset, 3), take(dataset, 3))


def test_seeds_differ(data):
    one, default, two = (take(images(data, 7, 3, **kw), 3) for kw in ({"seed": 1}, {}, {"seed": 2}))
    np.testing.assert_array_equal(one, default)
    assert not np.array_equal(one, two)


@pytest.mark.parametrize("build", [images, pairs])
def test_endless(data, build):
    dataset = build(data, 50)
    assert int(dataset.cardinality()) == -1  # infinite: `fit` asks for steps_per_epoch
    assert len(take(dataset, 40)) == 40
    resumed = build(data, 50, start=17)
    one, other = take(dataset, 18)[17], take(resumed, 1)[0]
    key = "second" if build is pairs else ...
    np.testing.assert_array_equal(one[key], other[key])


def test_batch_may_exceed_the_data(data):
    batch = take(images(data, 200, 1, standardize=False), 1)[0]
    assert batch.shape == (200, 8, 8, 3)
    counts = np.unique(batch.reshape(200, -1), axis=0, return_counts=True)[1]
    assert len(counts) == 81 and set(counts) == {2, 3}


@pytest.mark.parametrize("build", [images, pairs])
@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"batch_size": 0}, "batch_size must be an integer, at least 1, got 0"),
        ({"batch_size": 2.0}, "batch_size must be an integer.*got 2.0"),
        ({"batch_size": True}, "batch_size must be an integer.*got True"),
        ({"steps": 0}, "steps must be an integer, at least 1, got 0"),
        ({"steps": 1.5}, "steps must be an integer.*got 1.5"),
        ({"seed": -1}, "seed must be an integer, at least 0, got -1"),
        ({"seed": None}, "seed must be an integer.*got None"),
        ({"start": -1}, "start must be an integer, at least 0, got -1"),
        ({"start": 3, "steps": 3}, r"start must be below steps \(3\), got 3"),
    ],
)
def test_arguments_that_are_refused(data, build, arguments, match):
    with pytest.raises(ValueError, match=match):
        build(data, **{"batch_size": 4, **arguments})


def test_changed_that_is_refused(data):
    with pytest.raises(ValueError, match="changed must be"):
        pairs(data, 4, changed=5)


def test_empty_data_are_refused(data):
    class Empty:
        image_shape, mean, std = (8, 8, 3), data.mean, data.std

        def __len__(self):
            return 0

    with pytest.raises(ValueError, match="data must hold at least one image"):
        images(Empty(), 4)
