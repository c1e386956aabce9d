import itertools

import numpy as np
import pytest

from kerasvae.datasets import GroundTruthData, XYSquares, batch_indices, images, labelled, pair_factors, pairs
from kerasvae.datasets.sampling import pair_indices

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
        images, factor_names, factor_sizes = data.images, (), ()

        def __len__(self):
            return 0

    with pytest.raises(ValueError, match="data must hold at least one image"):
        images(Empty(), 4)


def same(batch, other):
    """Whether two batches, arrays or dictionaries or tuples of them, are equal in type, keys and every bit."""
    if isinstance(batch, dict):
        assert batch.keys() == other.keys()
        return all(same(batch[key], other[key]) for key in batch)
    if isinstance(batch, tuple):
        return len(batch) == len(other) and all(map(same, batch, other))
    return batch.dtype == other.dtype and np.array_equal(batch, other)


@pytest.mark.parametrize("build", [images, pairs, labelled])
@pytest.mark.parametrize("standardize", [True, False])
def test_py_dataset_yields_the_same_bits(data, build, standardize):
    arguments = {"batch_size": 10, "steps": 6, "seed": 3, "start": 2, "standardize": standardize}
    stream = build(data, **arguments, form="pydataset")
    batches = list(build(data, **arguments, form="tf.data").as_numpy_iterator())
    assert stream.num_batches == len(stream) == len(batches) == 4
    assert all(same(stream[i], batch) for i, batch in enumerate(batches))
    assert stream.standardization == build(data, **arguments).standardization


def test_endless_py_dataset(data):
    stream = images(data, 4, form="pydataset")
    assert stream.num_batches is None and stream[1000].shape == (4, 8, 8, 3)
    with pytest.raises(TypeError, match="endless stream has no length"):
        len(stream)


def test_labelled(data):
    pipeline = labelled(data, 7, steps=3, seed=2)
    assert [tuple(spec.shape) for spec in pipeline.element_spec] == [(7, 8, 8, 3), (7, 4)]
    for step, (batch, factors) in enumerate(pipeline.as_numpy_iterator()):
        indices = batch_indices(81, 7, 2, step)
        np.testing.assert_array_equal(batch, data.standardize(data.images(indices)))
        np.testing.assert_array_equal(factors, data.factors(indices))
        assert factors.dtype == np.int32


@pytest.mark.parametrize("form", ["tf.data", "pydataset"])
def test_on_device_batches_are_indices(data, form):
    def batches(pipeline):
        return list(pipeline.as_numpy_iterator()) if form == "tf.data" else [pipeline[i] for i in range(2)]

    for step, batch in enumerate(batches(images(data, 5, 2, 3, on_device=True, form=form))):
        assert batch.dtype == np.int32
        np.testing.assert_array_equal(batch, batch_indices(81, 5, 3, step))
    for step, batch in enumerate(batches(pairs(data, 5, 2, 3, 1, on_device=True, form=form))):
        for part, indices in zip((batch["first"], batch["second"]), pair_indices(data, 5, 3, step, 1), strict=True):
            assert part.dtype == np.int32
            np.testing.assert_array_equal(part, indices)
    assert images(data, 5, on_device=True, form=form).rendered_from is data
    assert images(data, 5, form=form).rendered_from is None


class Counted(GroundTruthData):
    """Ten places whose images show the draw."""

    factor_names, factor_sizes, image_shape, random = ("place",), (10,), (1, 1, 1), True
    mean, std = np.zeros(1), np.ones(1)

    def render(self, factors, draws=None):
        draws = self.index(factors) if draws is None else draws
        return np.asarray(draws).astype("uint8").reshape(-1, 1, 1, 1)


def test_random_parts_are_drawn_anew_for_every_image():
    data = Counted()
    np.testing.assert_array_equal(data.images([3, 3]).ravel(), [3, 3])
    np.testing.assert_array_equal(data.images([3, 3], [7, 8]).ravel(), [7, 8])
    seen = [np.rint(batch * 255).ravel() for batch in images(data, 4, 5, standardize=False).as_numpy_iterator()]
    np.testing.assert_array_equal(np.concatenate(seen), np.arange(20))
    seen = [
        np.rint(batch[key] * 255).ravel()
        for batch in pairs(data, 4, 5, standardize=False).as_numpy_iterator()
        for key in ("first", "second")
    ]
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.arange(40))
    with pytest.raises(ValueError, match="on_device must be False for data with random parts and no `device_images`"):
        images(data, 4, on_device=True)
    Counted.device_images = lambda self, indices, table, draws=None: None
    batch = images(data, 4, on_device=True, form="pydataset")[2]
    np.testing.assert_array_equal(batch, np.stack([batch_indices(10, 4, 1, 2), np.arange(8, 12)], axis=1))


class Scattered(GroundTruthData):
    """Three images with one factor, two of the same value: no grid."""

    factor_names, factor_sizes, image_shape, complete = ("colour",), (2,), (1, 1, 1), False
    mean, std = np.zeros(1), np.ones(1)

    def __len__(self):
        return 3

    def images(self, indices, draws=None):
        return self.check_indices(indices).astype("uint8").reshape(-1, 1, 1, 1)

    def factors(self, indices):
        return self.check_indices(indices)[:, None] % 2


def test_data_without_a_grid():
    data = Scattered()
    images_, factors = labelled(data, 3, 1, standardize=False, form="pydataset")[0]
    np.testing.assert_array_equal(np.rint(images_.ravel() * 255) % 2, factors.ravel())
    batch = pairs(data, 3, 1, changed="random", standardize=False, form="pydataset")[0]
    assert set(np.rint(batch["first"].ravel() * 255)) == {0, 1, 2}
    with pytest.raises(
        ValueError, match=r"pairs with changed='uniform' .only \"random\" needs no grid.: data must hold"
    ):
        pairs(data, 3)


def test_more_arguments_that_are_refused(data):
    with pytest.raises(ValueError, match=r'form must be "tf.data", "pydataset" or None, got .numpy.'):
        images(data, 4, form="numpy")
    with pytest.raises(ValueError, match="radius must be None or an integer, at least 1"):
        pairs(data, 4, radius=0)

    class Unlabelled(Scattered):
        factor_names, factor_sizes = (), ()

    with pytest.raises(ValueError, match="data must have factors to be labelled"):
        labelled(Unlabelled(), 4)
