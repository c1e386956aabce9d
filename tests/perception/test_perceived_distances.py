import json

import keras
import numpy as np
import pytest
from keras import ops

from kerasvae import perception
from kerasvae.datasets.dsprites import DSprites
from kerasvae.datasets.from_arrays import FromArrays
from kerasvae.datasets.ground_truth import GroundTruthData
from kerasvae.datasets.image_table import ImageTable
from kerasvae.datasets.xysquares import XYSquares
from kerasvae.losses import BernoulliNLL, BoxBlurMSE, MeanAbsoluteError, MeanSquaredError
from kerasvae.perception.pairs import authors_pairs, factor_pairs

MSE = MeanSquaredError()
# Of the 12 288 values of an image, those of one column of a square, in both images.
COLUMN = 2 * 8 / 12_288


def table(images, sizes, names=None):
    """A data set of these images along a grid."""
    names = names or [f"f{k}" for k in range(len(sizes))]
    images = np.asarray(images, "uint8")
    return ImageTable(images, names, sizes, np.zeros(images.shape[-1]), np.ones(images.shape[-1]))


def noise(sizes, seed=0, shape=(3, 4, 2)):
    images = np.random.default_rng(seed).integers(256, size=(int(np.prod(sizes)), *shape))
    return table(images, sizes)


class Hazy(GroundTruthData):
    """Two factors that set one pixel each, and an unrelated pixel that the draw sets."""

    factor_names, factor_sizes, image_shape = ("a", "b"), (3, 4), (1, 3, 1)
    mean, std = np.zeros(1), np.ones(1)
    random = True

    def render(self, factors, draws=None):
        draws = self.index(factors) if draws is None else np.asarray(draws)
        pixels = np.stack([10 * factors[:, 0], 20 * factors[:, 1], draws % 251], axis=1)
        return pixels.astype("uint8")[:, None, :, None]


@pytest.mark.parametrize("spacing", range(1, 9))
def test_squares_of_every_spacing_have_the_closed_form(spacing):
    distances = perception.perceived_distances(XYSquares(spacing), MSE, 400)
    assert list(distances) == ["x_R", "y_R", "x_G", "y_G", "x_B", "y_B", "random"]
    steps = np.arange(1, 8)
    chance = 2 * (8 - steps) / 56  # of each step among pairs of different positions
    form = np.minimum(steps * spacing, 8) * COLUMN
    mean, deviation = chance @ form, np.sqrt(chance @ (form - chance @ form) ** 2)
    for name in list(distances)[:-1]:
        row = distances[name]
        np.testing.assert_allclose(row.samples, np.minimum(row.ground_truth * spacing, 8) * COLUMN, rtol=1e-6)
        assert abs(row.mean - mean) <= 5 * deviation / np.sqrt(400) + 1e-9
        assert row.samples.shape == (400,) and row.samples.dtype == np.float64
        assert (row.std == 0) == (spacing == 8)


@pytest.mark.slow
def test_random_pairs_of_squares_have_the_closed_form():
    row = perception.perceived_distances(XYSquares(), MSE, 1_500)["random"]
    different = np.array([0, 1, 2, 3]) / 96  # squares that are elsewhere, and their share of the values
    assert set(np.round(row.samples, 7)) <= set(np.round(different, 7))
    assert abs(row.mean - 3 * (63 / 64) / 96) < 5 * 0.0022375 / np.sqrt(1_500)
    assert abs(row.std - np.sqrt(3 * (63 / 64) * (1 / 64)) / 96) < 7e-4


def test_equal_samples_have_exactly_no_deviation():
    # The mean of so many copies is rounded, and np.std of them not 0.
    samples = np.full(50_000, 1 / 3)
    assert np.std(samples) > 0
    row = perception.DistanceRow(samples, None, None)
    assert row.std == 0.0 and row.mean == 1 / 3


def test_the_blurred_distance_is_linear_in_the_step():
    data = XYSquares(num_squares=1)
    first, second = np.divmod(np.arange(64 * 64), 64)
    distances = perception.pair_distances(data, BoxBlurMSE(), first, second)
    moves = data.factors(first) - data.factors(second)
    means = [distances[(np.abs(moves[:, 0]) == step) & (moves[:, 1] == 0)].mean() for step in range(1, 8)]
    expected = [0.031821, 0.063592, 0.095658, 0.128242, 0.159274, 0.190306, 0.221338]
    np.testing.assert_allclose(means, expected, atol=1e-6)
    # A corner and the middle, as the authors' own code evaluates them.
    corner, middle = data.index([[0, 0], [1, 0], [3, 3], [7, 3]]).reshape(2, 2)
    np.testing.assert_allclose(
        perception.pair_distances(data, BoxBlurMSE(), [corner[0], middle[0]], [corner[1], middle[1]]),
        [0.02584944, 0.15885434],
        atol=5e-7,
    )


def test_the_mean_over_factor_pairs_is_that_over_all_of_them():
    data = noise((3, 4))
    rows = perception.perceived_distances(data, MSE, 20_000)
    images = data.images(np.arange(12)).astype("float64") / 255
    distance = ((images[:, None] - images) ** 2).mean(axis=(2, 3, 4))
    differs = data.factors(np.arange(12))[:, None] != data.factors(np.arange(12))
    for column, name in enumerate(("f0", "f1")):
        alone = differs[..., column] & (differs.sum(axis=2) == 1)
        assert abs(rows[name].mean - distance[alone].mean()) < 5 * distance[alone].std() / np.sqrt(20_000)
    assert abs(rows["random"].mean - distance.mean()) < 5 * distance.std() / np.sqrt(20_000)
    for row in rows.values():
        np.testing.assert_allclose(row.samples, distance[tuple(row.pairs.indices.T)], rtol=1e-5, atol=1e-9)


def test_factor_pairs_differ_in_one_factor_and_are_uniform():
    data = XYSquares()
    pairs = factor_pairs(data, 3, 20_000, seed=1)
    first, second = data.factors(pairs.indices[:, 0]), data.factors(pairs.indices[:, 1])
    assert ((first != second) == (np.arange(6) == 3)).all()
    for column in range(6):
        assert (abs(np.bincount(first[:, column], minlength=8) - 2_500) < 5 * np.sqrt(2_500)).all()
    counts = np.bincount(8 * first[:, 3] + second[:, 3], minlength=64).reshape(8, 8)
    assert (abs(counts[~np.eye(8, dtype=bool)] - 20_000 / 56) < 5 * np.sqrt(20_000 / 56)).all()


def test_pairs_of_a_traversal_share_the_other_factors():
    data = XYSquares()
    indices = factor_pairs(data, 2, 99, seed=1, per_traversal=2).indices
    factors = data.factors(indices.reshape(-1))
    others = np.delete(factors, 2, axis=1).reshape(99, 2, 5)
    assert (others[0:98:2] == others[1:99:2]).all() and len(np.unique(others[::2, 0], axis=0)) > 40
    assert (factors.reshape(99, 2, 6)[:, 0, 2] != factors.reshape(99, 2, 6)[:, 1, 2]).all()


def test_same_seed_same_distances_and_batches_do_not_matter():
    data = noise((5, 2, 3))
    first, same = (perception.perceived_distances(data, MSE, 50, batch_size=size) for size in (256, 7))
    other = perception.perceived_distances(data, MSE, 50, seed=2)
    for name in first:
        np.testing.assert_array_equal(first[name].samples, same[name].samples)
        assert (first[name].pairs.indices != other[name].pairs.indices).any()


class PerElement(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.abs(y_true - y_pred)


@pytest.mark.parametrize("loss", [PerElement(), keras.losses.MeanAbsoluteError(), MeanAbsoluteError()])
def test_a_users_loss_is_averaged_over_the_image(loss):
    data = noise((4, 3))
    indices = np.array([[0, 5], [11, 2], [3, 3]])
    images = data.images(indices.reshape(-1)).reshape(3, 2, -1) / 255
    expected = np.abs(images[:, 0] - images[:, 1]).mean(axis=1)
    np.testing.assert_allclose(perception.pair_distances(data, loss, *indices.T), expected, rtol=1e-5)


def test_the_first_image_is_the_true_one():
    class Signed(keras.losses.Loss):
        def call(self, y_true, y_pred):
            return y_true - y_pred

    data = table([[[[0]]], [[[255]]]], (2,))
    np.testing.assert_array_equal(perception.pair_distances(data, Signed(), [0, 1], [1, 0]), [-1, 1])


class Wrong(keras.losses.Loss):
    def __init__(self, result):
        super().__init__()
        self.result = result

    def call(self, y_true, y_pred):
        return self.result(y_true)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("mse", "loss must be a keras.losses.Loss"),
        (BernoulliNLL(), "loss must compare two images, and BernoulliNLL"),
        (Wrong(lambda images: ops.mean(images)), r"value for each image .* got shape \(\) for"),
        (Wrong(lambda images: ops.zeros(3)), r"got shape \(3,\) for"),
        (Wrong(lambda images: ops.mean(images, axis=(1, 2, 3)) * np.inf), "not finite"),
    ],
)
def test_losses_that_are_no_distances(loss, message):
    with pytest.raises(ValueError, match=message):
        perception.perceived_distances(noise((4, 3)), loss, 20)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pairs": 0}, ValueError, "pairs must be an integer, at least 1"),
        ({"pairs": 2.0}, ValueError, "pairs must be an integer"),
        ({"seed": -1}, ValueError, "seed must be an integer in"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer, at least 1"),
        ({"protocol": "theirs"}, ValueError, "protocol must be"),
        ({"data": np.zeros((3, 4, 4, 1))}, ValueError, "data must be a data set"),
        ({"data": table(np.zeros((2, 1, 1, 1)), (2,), ["random"])}, ValueError, '"random" stands for'),
    ],
)
def test_arguments_are_checked(options, error, message):
    with pytest.raises(error, match=message):
        perception.perceived_distances(**{"data": noise((2, 2)), "loss": MSE, **options})


def test_a_factor_of_one_value_is_left_out_and_says_why():
    distances = perception.perceived_distances(noise((3, 1, 2)), MSE, 10)
    assert list(distances) == ["f0", "f2", "random"]
    with pytest.raises(KeyError, match="'f1': it has one value"):
        distances["f1"]
    assert "left out: f1, it has one value" in str(distances)


@pytest.mark.parametrize("protocol", ["independent", "authors"])
def test_data_without_a_grid_have_random_pairs_alone(protocol):
    images = np.random.default_rng(0).integers(256, size=(5, 4, 4, 1), dtype="uint8")
    data = FromArrays(images, {"x": [0, 1, 2, 0, 1], "y": [0, 0, 0, 1, 1]})
    distances = perception.perceived_distances(data, MSE, 10, protocol=protocol)
    assert list(distances) == ["random"] and distances.order == () and "x" not in distances
    with pytest.raises(KeyError, match="no complete grid of factors"):
        distances["x"]
    # 2 steps of x are its whole range, 1 of y too.
    factors = data.factors(np.arange(5))[distances["random"].pairs.indices]
    expected = np.abs(factors[:, 0] - factors[:, 1]) @ [0.5, 1]
    np.testing.assert_allclose(distances["random"].ground_truth, expected)
    without = perception.perceived_distances(FromArrays(images), MSE, 10, protocol=protocol)
    assert without["random"].ground_truth is None
    assert len(without["random"].samples) == 10


@pytest.mark.parametrize("protocol", ["independent", "authors"])
def test_random_parts_are_shared_along_a_factor(protocol):
    loss, size = PerElement(), 3 * 255
    shared = perception.perceived_distances(Hazy(), loss, 60, protocol=protocol)
    np.testing.assert_allclose(shared["a"].samples, 10 * shared["a"].ground_truth / size, rtol=1e-5)
    np.testing.assert_allclose(shared["b"].samples, 20 * shared["b"].ground_truth / size, rtol=1e-5)
    own = perception.perceived_distances(Hazy(), loss, 60, protocol=protocol, shared_draws=False)
    haze = own["a"].pairs.draws % 251
    expected = (10 * own["a"].ground_truth + np.abs(haze[:, 0] - haze[:, 1])) / size
    np.testing.assert_allclose(own["a"].samples, expected, rtol=1e-5)
    assert (haze[:, 0] != haze[:, 1]).mean() > 0.9
    draws = shared["random"].pairs.draws
    assert (draws[:, 0] != draws[:, 1]).all()


def test_the_authors_pairs_are_those_of_numpys_global_generator():
    data, state = noise((3, 5)), np.random.get_state()
    try:
        np.random.seed(777)
        expected = {}
        for column, size in ((0, 3), (1, 5)):
            kept = []
            while len(kept) < 5_000:  # theirs, though fewer are asked for
                base = np.random.randint(0, np.array([3, 5]), size=[1, 2])[0]
                for i, j in np.random.randint(0, size, size=[2, int(size * np.sqrt(size) / 2)]).T:
                    if i != j:
                        kept.append([5 * i + base[1], 5 * j + base[1]] if column == 0 else base[0] * 5 + [i, j])
            expected[f"f{column}"] = np.array(kept)
        np.random.seed(777)
        expected["random"] = np.array([np.random.randint(0, 15, size=2) for _ in range(200)])
    finally:
        np.random.set_state(state)
    before = np.random.get_state()[1].copy()
    drawn = authors_pairs(data, 200)
    assert list(drawn) == list(expected)
    for name, pairs in drawn.items():
        np.testing.assert_array_equal(pairs.indices, expected[name][:200])
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.slow
def test_table_1_of_dsprites_to_four_decimals():
    data = DSprites()
    for name, pairs in authors_pairs(data, 50_000).items():
        bits = np.bitwise_count(np.bitwise_xor(*(data.packed(part) for part in pairs.indices.T))).sum(axis=1)
        distances = bits / 4096
        assert (round(distances.mean(), 4), round(distances.std(), 4)) == perception.FACTOR_IMPORTANCE["DSprites"][name]
        np.testing.assert_allclose(
            perception.pair_distances(data, MSE, *pairs.indices[:300].T), distances[:300], atol=1e-8
        )


@pytest.mark.slow
def test_independent_pairs_of_dsprites_are_near_table_1():
    data = DSprites()
    distances = perception.perceived_distances(data, MSE, 4_000)
    assert set(distances.order[:2]) == {"position_x", "position_y"}
    assert distances.order[2:] == ("scale", "shape", "orientation")
    for name, (mean, std) in distances.published.items():
        assert abs(distances[name].mean - mean) < 0.003 and abs(distances[name].std - std) < 0.003


def test_the_result_as_table_json_and_files(tmp_path):
    distances = perception.perceived_distances(XYSquares(), MSE, 40, name="<squares>")
    lines = str(distances).splitlines()
    assert lines[0] == "Perceived distances of <squares>, MeanSquaredError"
    assert "0.0104 │ 0.0000 │         0.0104 │ 0.0000 │    +0.0000" in str(distances)
    assert '<td style="text-align:left">x_R</td>' in distances._repr_html_()
    assert "&lt;squares&gt;" in distances._repr_html_() and "<squares>" not in distances._repr_html_()
    assert distances.order == ("x_R", "y_R", "x_G", "y_G", "x_B", "y_B")  # equal means: the data set's order
    assert distances.save(tmp_path / "new") == tmp_path / "new"
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"distances.json", "distances.png"}
    read = json.loads((tmp_path / "new" / "distances.json").read_text())
    assert read == distances.to_json()
    row = read["distances"]["random"]
    assert row["mean"] == distances["random"].mean and row["published"] == [0.0308, 0.0022]
    assert row["percentiles"][0] == distances["random"].samples.min() and len(row["percentiles"]) == 101
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="folder: cannot write"):
        distances.save(tmp_path / "file")


def test_published_numbers_stand_beside_those_they_are_comparable_with():
    for data, loss, there in (
        (XYSquares(), MSE, True),
        (XYSquares(), keras.losses.MeanSquaredError(), True),
        (XYSquares(), MeanAbsoluteError(), False),
        (XYSquares(7), MSE, False),
        (XYSquares(rgb=False), MSE, False),
        (XYSquares(num_squares=2), MSE, False),
    ):
        distances = perception.perceived_distances(data, loss, 2)
        assert (distances.published is not None) == there
        assert ("published" in str(distances)) == there
