import dataclasses

import keras
import numpy as np
import pytest
from small_files import NORB_SIZES, constants, everything, published, write_smallnorb

from kerasvae.datasets.prepared import resized
from kerasvae.datasets.smallnorb import INSTANCES, SmallNORB

SIZES = tuple(NORB_SIZES.values())


class Small(SmallNORB):
    source = dataclasses.replace(SmallNORB.source, factor_sizes=(2, 10, *SIZES[2:]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("smallnorb")


@pytest.fixture(scope="module")
def written(folder):
    return write_smallnorb(folder / "files")


@pytest.fixture(scope="module")
def small(folder, written):
    """A function that makes the data set."""

    def make(*arguments, **keywords):
        with published("smallnorb", folder / "files"):
            return Small(*arguments, data_dir=folder / "data", manual_dir=folder / "files", **keywords)

    return make


def every_image(data):
    return data.images(np.arange(len(data)))


@pytest.mark.parametrize("split, part", [("train", "training"), ("test", "testing")])
def test_five_factors_of_one_split(small, written, split, part):
    data = small(split)
    assert data.factor_names == ("category", "instance", "elevation", "azimuth", "lighting")
    assert data.factor_sizes == SIZES and len(data) == 120 and not data.random
    # The left camera is the first of two.
    np.testing.assert_array_equal(every_image(data), resized(written[part][:, 0, :, :, None]))
    np.testing.assert_array_equal(data.render(data.factors([7])), data.images([7]))
    assert isinstance(data.table, np.memmap)


def test_five_factors_of_all(small):
    data, parts = small("all"), {split: small(split) for split in ("train", "test")}
    assert data.factor_sizes == (2, 10, *SIZES[2:]) and len(data) == 240
    factors = data.factors(np.arange(240))
    for split, part in parts.items():
        chosen = np.isin(factors[:, 1], INSTANCES[split])
        # Both count the instances in the order of their published numbers.
        np.testing.assert_array_equal(every_image(data)[chosen], every_image(part))


def test_real_sizes():
    source = SmallNORB.source
    assert source.factor_sizes == (5, 10, 9, 18, 6) and source.row_shape == (64, 64, 1)
    assert sorted(INSTANCES["train"] + INSTANCES["test"]) == list(INSTANCES["all"]) == list(range(10))


def test_constants(small):
    # Published for the training images, in both forms; measured for the others.
    for factors in (4, 5):
        data = small("train", factors)
        assert data.mean.tolist() == [0.752091840108860] and data.std.tolist() == [0.095638790168273]
    for split in ("test", "all"):
        data = small(split)
        np.testing.assert_allclose([data.mean, data.std], constants(every_image(data)), rtol=1e-10)
        np.testing.assert_array_equal(small(split, 4).mean, data.mean)


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_four_factors(small, split):
    five, four = small(split), small(split, 4, seed=3)
    assert four.random and four.factor_names == ("category", "elevation", "azimuth", "lighting")
    assert four.factor_sizes == (2, 2, 2, 3) and len(four) == 24
    instances = len(INSTANCES[split])
    factors = four.factors([17])
    seen = set()
    candidates = five.render(np.insert(np.repeat(factors, instances, axis=0), 1, np.arange(instances), axis=1))
    for image in four.render(np.repeat(factors, 200, axis=0), np.arange(200)):
        (matches,) = (candidates == image).all(axis=(1, 2, 3)).nonzero()
        assert len(matches) == 1
        seen.add(int(matches[0]))
    # 200 draws miss one of 10 instances once in 1.4e8 times.
    assert seen == set(range(instances))


def test_instance_is_a_function_of_seed_and_draw(small):
    data, other = small("all", 4, seed=1), small("all", 4, seed=2)
    indices = np.arange(24)
    images = data.images(indices)
    np.testing.assert_array_equal(images, small("all", 4, seed=1).images(indices))
    # The default draw is the index.
    np.testing.assert_array_equal(images, data.images(indices, draws=indices))
    np.testing.assert_array_equal(images, data.render(data.factors(indices)))
    # Neither the other images of a batch nor their order matter.
    np.testing.assert_array_equal(images[[20, 3]], data.images([20, 3]))
    assert (images != data.images(indices, draws=indices + 24)).any()
    assert (images != other.images(indices)).any()


def test_instances_are_uniform(small):
    data = small("train", 4)
    images = data.images(np.zeros(5000, int), draws=np.arange(5000)).reshape(5000, -1)
    _, counts = np.unique(images[:, :64], axis=0, return_counts=True)
    # Five standard deviations of a binomial count.
    assert len(counts) == 5 and np.abs(counts - 1000).max() < 5 * np.sqrt(5000 * 0.2 * 0.8)


@pytest.mark.parametrize("factors", [5, 4])
def test_the_same_images_on_the_device(small, factors):
    data = small("train", factors)
    indices = np.arange(len(data)).repeat(20)
    draws = np.random.default_rng(0).integers(0, 2**31, size=len(indices))
    table, *numbers = map(
        keras.ops.convert_to_tensor, (data.device_table(), indices.astype("int32"), draws.astype("int32"))
    )
    images = keras.ops.convert_to_numpy(data.device_images(numbers[0], table, numbers[1]))
    np.testing.assert_array_equal(images, data.images(indices, draws))


def test_draws_without_random_parts_are_ignored(small):
    np.testing.assert_array_equal(small("train").images([3], draws=[9]), small("train").images([3]))


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"split": "validation"}, 'split must be "train", "test" or "all", got \'validation\''),
        ({"factors": 3}, "factors must be 5 or 4, got 3"),
        ({"factors": True}, "factors must be 5 or 4, got True"),
        ({"seed": -1}, "seed must be an integer in .*got -1"),
        ({"data_dir": "nowhere", "manual_dir": "nowhere"}, "manual_dir must be a folder"),
    ],
)
def test_arguments_that_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        SmallNORB(**arguments)


@pytest.mark.parametrize("draws, match", [([1, 2], "draws must be integers of shape"), ([-1], "draws must lie in")])
def test_draws_that_are_refused(small, draws, match):
    with pytest.raises(ValueError, match=match):
        small("train", 4).images([0], draws=draws)


def test_truncated_file(folder, written, tmp_path):
    (tmp_path / "files").mkdir()
    for path in (folder / "files").iterdir():
        content = path.read_bytes()
        (tmp_path / "files" / path.name).write_bytes(content[:-10] if "testing-dat" in path.name else content)
    with published("smallnorb", folder / "files"):
        with pytest.raises(ValueError, match=r"testing-dat.mat.gz' is not the file that was published at https://cs"):
            Small(data_dir=tmp_path / "data", manual_dir=tmp_path / "files")
    assert everything(tmp_path / "data") == ["kerasvae"]
