import json

import keras
import numpy as np
import pytest
from keras import ops
from scipy.stats import spearmanr

from kerasvae import perception
from kerasvae.datasets.from_arrays import FromArrays
from kerasvae.datasets.image_table import ImageTable
from kerasvae.datasets.xysquares import XYSquares
from kerasvae.losses import BoxBlurMSE, MeanSquaredError
from kerasvae.perception.audit import linearity, spearman, spread_within_traversals

MSE = MeanSquaredError()


def table(images, sizes, names):
    """A data set of these images along a grid."""
    images = np.asarray(images, "uint8")
    return ImageTable(images, names, sizes, np.zeros(images.shape[-1]), np.ones(images.shape[-1]))


def squares(spacing=3):
    """Two factors, 16 x 16 pixels."""
    return XYSquares(spacing, grid_size=5, square_size=3, image_size=16, num_squares=1)


def lamp():
    """A bright pixel at one of 6 places, at one of 4 brightnesses, on a switch that nothing shows."""
    images = np.zeros((6, 4, 3, 1, 6, 1), "uint8")
    for place in range(6):
        for brightness in range(4):
            images[place, brightness, :, 0, place] = 60 + 65 * brightness
    return table(images.reshape(-1, 1, 6, 1), (6, 4, 3), ["place", "brightness", "hidden"])


def test_squares_that_never_overlap_are_adversarial():
    result = perception.audit(squares(), MSE, 200)
    assert result.adversarial is True and result.constant_factors == result.order == ("x_R", "y_R")
    for factor in result.factors.values():
        assert factor.spread == 0.0 and factor.constant and factor.spearman is None and factor.linearity is None
    assert result.verdict.startswith("adversarial: the distances along every factor are constant")
    assert "none" in str(result) and json.loads(json.dumps(result.to_json()))["adversarial"] is True


def test_overlap_gives_back_the_order():
    result = perception.audit(squares(1), MSE, 3_000)
    assert result.adversarial is False and result.constant_factors == ()
    # Of the steps 1 to 4 the distance is min(step, 3), of which the last two are level.
    steps = np.repeat(np.arange(1, 5), (8, 6, 4, 2))
    distances = np.minimum(steps, 3)
    for factor in result.factors.values():
        assert abs(factor.spread - distances.std() / distances.mean()) < 0.03
        assert abs(factor.spearman - spearmanr(steps, distances).statistic) < 0.02
        assert abs(factor.linearity - np.corrcoef([1, 2, 3, 4], [1, 2, 3, 3])[0, 1]) < 1e-6


def test_constant_along_each_traversal_is_constant_whatever_the_other_factors():
    result = perception.audit(lamp(), MSE, 400)
    place = result.factors["place"]
    # The brighter the lamp, the farther any two of its places: but no farther for more steps.
    assert place.std > 0.3 * place.mean and place.spread == 0.0 and place.constant
    assert result.factors["brightness"].constant is False and result.factors["brightness"].spearman > 0.6
    assert result.adversarial is False
    assert set(result.constant_factors) == {"place", "hidden"}
    assert "constant along place, hidden" in result.verdict


def test_a_factor_that_the_loss_does_not_see_is_constant():
    hidden = perception.audit(lamp(), MSE, 60).factors["hidden"]
    assert (hidden.mean, hidden.std, hidden.spread, hidden.share_of_random) == (0.0, 0.0, 0.0, 0.0)
    assert hidden.constant and hidden.spearman is None and hidden.linearity is None


def test_the_threshold_is_that_of_the_rule():
    data = XYSquares(7, num_squares=1)  # distances 7 and 8, a quarter and three quarters of the pairs
    spread = np.sqrt(3 / 16) / 7.75
    assert perception.audit(data, MSE, 2_000, threshold=1.1 * spread).adversarial
    assert not perception.audit(data, MSE, 2_000, threshold=0.9 * spread).adversarial


def test_factors_of_two_values_have_no_order_to_lose():
    images = np.zeros((4, 1, 2, 1), "uint8")
    images[2:, 0, 0], images[1::2, 0, 1] = 255, 100
    data = table(images, (2, 2), ["a", "b"])
    result = perception.audit(data, MSE, 20)
    assert result.adversarial is None and result.verdict.startswith("not judged")
    factor = result.factors["a"]
    assert factor.constant is None and factor.spearman is None and factor.linearity is None
    assert abs(factor.mean - 0.5) < 1e-6 and result.order == ("a", "b")


def test_importance_and_curves_are_those_of_the_distances():
    result = perception.audit(lamp(), MSE, 100)
    rows = result.distances
    assert result.order == rows.order == tuple(sorted(result.factors, key=lambda name: -rows[name].mean))
    for name, factor in result.factors.items():
        assert factor.mean == rows[name].mean and factor.share_of_random == rows[name].mean / rows["random"].mean
        assert len(rows[name].samples) == 100
    row = rows["random"]
    steps = np.abs(np.diff(lamp().factors(row.pairs.indices.reshape(-1)).reshape(100, 2, 3), axis=1)[:, 0])
    np.testing.assert_allclose(row.ground_truth, (steps / [5, 3, 2]).sum(axis=1))
    assert result.random_spearman == pytest.approx(spearmanr(row.samples, row.ground_truth).statistic)


def test_spread_does_not_see_what_differs_between_traversals():
    rng = np.random.default_rng(0)
    within, between = rng.normal(0, 0.5, 40_000), rng.normal(10, 3, 20_000).repeat(2)
    assert spread_within_traversals(between) == 0.0
    assert abs(spread_within_traversals(within + between) - 0.05) < 0.001
    assert abs(spread_within_traversals(-within - between) - 0.05) < 0.001


def test_correlations_that_do_not_exist_are_none():
    steps = np.array([1.0, 2, 3, 1, 2, 3])
    jitter = 0.1 * (1 + 1e-7 * np.arange(6))  # what rounding in float32 makes of equal distances
    assert spearman(jitter, steps) is None and linearity(jitter, steps) is None
    assert spearman(steps, np.ones(6)) is None and spearman(steps, None) is None
    assert linearity(steps, np.array([1.0, 2, 2, 1, 2, 2])) is None  # two steps are always on a line
    assert spearman(steps**3, steps) == pytest.approx(1) and linearity(-steps, steps) == pytest.approx(-1)
    # Linearity is that of the mean at each step, whatever lies around it.
    assert linearity(steps + np.array([1, 5, 2, -1, -5, -2]), steps) == pytest.approx(1)


@pytest.mark.slow
def test_the_blurred_loss_needs_its_radius_and_its_weight():
    data, options = XYSquares(num_squares=1), {"radii": [], "pairs": 1_500}
    full = perception.audit(data, BoxBlurMSE(), **options)
    assert full.adversarial is False and all(factor.linearity > 0.999 for factor in full.factors.values())
    assert all(factor.spearman > 0.9 for factor in full.factors.values())
    assert perception.audit(data, BoxBlurMSE(weight=1.0), **options).adversarial
    near = perception.audit(data, BoxBlurMSE(radius=15, weight=961.0), **options)
    assert all(factor.linearity < 0.9 for factor in near.factors.values())


def test_every_cell_of_the_scan_is_the_audit_of_its_loss():
    data, loss = squares(), BoxBlurMSE(radius=4, weight=30.0, pixel_weight=0.5)
    result = perception.audit(data, loss, 300, radii=[2, 4], weights=[0, 30.0], scan_pairs=120)
    assert [(cell.radius, cell.weight) for cell in result.scan] == [(2, 0.0), (2, 30.0), (4, 0.0), (4, 30.0)]
    for cell in result.scan:
        own = BoxBlurMSE(cell.radius, cell.weight, pixel_weight=0.5)
        for name, row in result.distances.items():
            samples = perception.pair_distances(data, own, *row.pairs.indices[:120].T)
            truth = row.ground_truth[:120]
            if name == "random":
                assert cell.random_spearman == pytest.approx(spearman(samples, truth), abs=1e-3)
                continue
            assert cell.spread[name] == pytest.approx(spread_within_traversals(samples), abs=1e-5)
            for found, expected in (
                (cell.spearman[name], spearman(samples, truth)),
                (cell.linearity[name], linearity(samples, truth)),
            ):
                assert (found is None) == (expected is None) == (cell.weight == 0)
                assert found is None or found == pytest.approx(expected, abs=1e-3)
        assert cell.adversarial == (cell.weight == 0)
        assert cell.mean_spread == pytest.approx(np.mean(list(cell.spread.values())))
        assert (cell.mean_spearman is None) == (cell.weight == 0)
    assert "radius" in str(result) and "weight 30" in str(result)


def test_what_is_scanned_by_default_reaches_across_the_image():
    scan = perception.audit(squares(), BoxBlurMSE(radius=5, weight=121.0), 4, scan_pairs=2).scan
    assert sorted({cell.radius for cell in scan}) == [1, 3, 5, 7]
    assert sorted({cell.weight for cell in scan}) == [1, 10, 100, 121, 1_000, 10_000]
    assert perception.audit(squares(), BoxBlurMSE(), 4, weights=[]).scan == ()


def test_data_without_a_grid_are_audited_at_random(tmp_path):
    images = np.random.default_rng(0).integers(256, size=(6, 8, 8, 3), dtype="uint8")
    with_factors = perception.audit(FromArrays(images, {"x": [0, 1, 2, 0, 1, 3]}), MSE, 40)
    assert with_factors.order == () and with_factors.factors == {} and with_factors.adversarial is None
    assert -1 <= with_factors.random_spearman <= 1
    without = perception.audit(FromArrays(images), BoxBlurMSE(radius=1), 40, radii=[1], weights=[1.0])
    assert without.random_spearman is None and without.scan == ()
    for result in (with_factors, without):
        assert "random" in str(result)
        result.save(tmp_path)


class PerElement(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return ops.abs(y_true - y_pred)


@pytest.mark.parametrize("loss", [MSE, BoxBlurMSE(radius=3, weight=49.0), PerElement()])
def test_it_is_saved_whole(tmp_path, loss):
    result = perception.audit(squares(2), loss, 40, scan_pairs=20)
    assert result.save(tmp_path / "audit") == tmp_path / "audit"
    assert {path.name for path in (tmp_path / "audit").iterdir()} == {"audit.json", "audit.png"}
    read = json.loads((tmp_path / "audit" / "audit.json").read_text())
    assert read == result.to_json()
    assert list(read["factors"]) == list(result.order) and bool(read["scan"]) == isinstance(loss, BoxBlurMSE)
    assert result.title in str(result) and result.verdict in str(result)
    assert f"Audit of {result.title}" in result._repr_html_()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pairs": 1}, ValueError, "pairs must be an integer, at least 2"),
        ({"scan_pairs": 1}, ValueError, "scan_pairs must be an integer, at least 2"),
        ({"threshold": -0.1}, ValueError, "threshold must be a finite number, at least 0, got -0.1"),
        ({"radii": [3]}, ValueError, "radii are for BoxBlurMSE, and MeanSquaredError has none"),
        ({"weights": [3.0]}, ValueError, "weights are for BoxBlurMSE"),
        ({"loss": BoxBlurMSE(), "radii": [1.5]}, ValueError, r"radii\[0\] must be an integer, at least 0, got 1.5"),
        ({"loss": BoxBlurMSE(), "weights": [np.inf]}, ValueError, r"weights\[0\] must be a finite number"),
    ],
)
def test_arguments_are_checked(options, error, message):
    with pytest.raises(error, match=message):
        perception.audit(**{"data": squares(), "loss": MSE, **options})
