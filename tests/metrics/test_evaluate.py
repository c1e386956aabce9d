import csv
import io
import json
from functools import partial

import numpy as np
import pytest
from grid_of_pictures import Grid, broken, identity

from kerasvae.metrics import Score, evaluate, mig, sample_codes
from kerasvae.metrics.evaluation import Evaluation


def test_identity_encoder():
    scores = evaluate(identity, Grid(), {"mig": {}, "dci": {"stages": 10}}, train=600, test=300)
    assert list(scores) == ["mig", "dci"]
    assert float(scores["mig"]) > 0.95 and float(scores["dci"]) > 0.98
    assert scores["dci"].parts["informativeness_test"] == 1


def test_codes_belong_to_their_factors_and_the_samples_differ():
    train, test = sample_codes(identity, Grid(), train=100, test=50, batch_size=7)
    (codes, factors), (test_codes, test_factors) = train, test
    assert codes.shape == factors.shape == (100, 2) and test_codes.shape == test_factors.shape == (50, 2)
    assert codes.dtype == np.float64 and factors.dtype == np.int64
    for some_codes, some_factors in (train, test):
        np.testing.assert_allclose((some_codes * 0.5 + 0.25) * 255, some_factors, atol=1e-4)
    assert not np.array_equal(factors[:50], test_factors)


def test_draws_are_uniform():
    (_, factors), _ = sample_codes(identity, Grid(), train=40_000, test=1)
    counts = np.bincount(Grid().index(factors), minlength=40)
    assert abs(counts - 1000).max() < 5 * np.sqrt(1000)


@pytest.mark.parametrize("batch_size", [1, 7, 40, 256])
def test_each_image_once_in_batches_of_one_shape(batch_size):
    data, shapes = Grid(), []

    def encode(images):
        assert images.dtype == np.float32 and np.isfinite(images).all()
        shapes.append(images.shape)
        return identity(images)

    (codes, factors), _ = sample_codes(encode, data, train=2000, test=500, batch_size=batch_size)
    assert set(shapes) == {(batch_size, 1, 2, 1)} and len(shapes) == -(-40 // batch_size)
    assert (data.read == 1).all() and data.largest <= batch_size
    np.testing.assert_allclose((codes * 0.5 + 0.25) * 255, factors, atol=1e-4)


def test_same_seed_same_result_whatever_the_batch_size():
    noisy = {"noise": lambda codes, factors, seed: np.random.default_rng(seed).normal()}
    scores = {"mig": {}, "dci": {"stages": 3}} | noisy

    def run(seed, batch_size):
        results = evaluate(identity, Grid(), scores, seed=seed, train=50, test=20, batch_size=batch_size)
        return {name: score.to_json() for name, score in results.items()}

    assert run(3, 16) == run(3, 5) != run(4, 16)


def test_functions_options_and_what_they_are_given():
    given = {}

    def width(codes, factors):
        given["width"] = codes, factors
        return np.float32(codes.shape[1])

    def picky(codes, factors, *, test, seed=0, other="untouched"):
        given["picky"] = codes, factors, test, seed, other
        return Score("mine", 0.5)

    scores = evaluate(identity, Grid(), [width, "mig", picky], seed=9, train=30, test=20)
    assert list(scores) == ["width", "mig", "picky"]
    assert isinstance(scores["width"], Score) and repr(scores["width"]) == "Score(width=2)"
    assert scores["picky"].name == "mine"
    codes, factors, test, seed, other = given["picky"]
    assert codes is given["width"][0] and factors is given["width"][1]  # shared
    assert len(codes) == 30 and len(test[0]) == len(test[1]) == 20 and (seed, other) == (9, "untouched")
    assert scores["mig"].to_json() == mig(codes, factors).to_json()

    evaluate(identity, Grid(), [partial(picky, seed=2, other="set")], train=30, test=20)
    assert given["picky"][3:] == (2, "set") and len(given["picky"][2][0]) == 20
    scores = evaluate(identity, Grid(), {"few": partial(mig, bins=2), "mig": {"bins": 40}}, train=300)
    assert float(scores["few"]) < 0.6 < 0.9 < float(scores["mig"])
    own = evaluate(identity, Grid(), {"dci": {"seed": 5, "test": None, "stages": 2}}, train=12)["dci"]
    assert own.to_json() != evaluate(identity, Grid(), {"dci": {"stages": 2}}, train=12)["dci"].to_json()
    # With correlations nothing is predicted, and no test sample taken.
    assert float(evaluate(identity, Grid(), {"sap": {"continuous": True}}, train=300)["sap"]) > 0.9


def test_other_arrays_are_converted():
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return np.arange(8, dtype=dtype or np.float32).reshape(4, 2)

    (codes, _), _ = sample_codes(lambda images: Tensor(), Grid(), batch_size=4)
    assert codes.dtype == np.float64
    (codes, _), _ = sample_codes(lambda images: identity(images).tolist(), Grid())
    assert codes.shape == (10_000, 2)


def nan_in_a_latent(images):
    return identity(images) * [1, np.nan]


def different_latents():
    calls = iter((1, 2, 3, 4, 5))
    return lambda images: np.zeros((len(images), next(calls)))


class Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("on a device")


@pytest.mark.parametrize(
    "encode, error, match",
    [
        ("mean", TypeError, "encode must be a function of a batch of images, got str"),
        (lambda x: x, ValueError, r"codes that encode returns must have shape.*got \(16, 1, 2, 1\)"),
        (lambda x: (identity(x), identity(x)[:, :1]), ValueError, r"log-variances .* must have shape \(16, 2\), got"),
        (lambda x: (identity(x), x), ValueError, r"log-variances that encode returns must have shape.*\(16, 1, 2, 1\)"),
        (lambda x: (identity(x),), ValueError, r"codes that encode returns must have shape.*got \(1, 16, 2\)"),
        (lambda x: identity(x)[:-1], ValueError, r"one row per image, got \(15, 2\) for 16 images"),
        (lambda x: {"mean": identity(x)}, TypeError, r"dict with the keys 'mean' and 'logvar', got \['mean'\]"),
        (lambda x: [[1.0], [1.0, 2.0]], TypeError, "encode must return codes that NumPy can convert, got list"),
        (lambda x: Unreadable(), TypeError, "encode must return .* got Unreadable: on a device"),
        (lambda x: None, TypeError, "codes that encode returns must be real numbers"),
        (nan_in_a_latent, ValueError, r"codes that encode returns must be finite.*nan in image 0, latent 1"),
        (different_latents(), ValueError, "same number of latents for every batch, got 1 and then 2"),
    ],
)
def test_bad_encoders(encode, error, match):
    with pytest.raises(error, match=match):
        evaluate(encode, Grid(), ["mig"], batch_size=16)


@pytest.mark.parametrize(
    "scores, options, error, match",
    [
        (["mig", "sap2"], {}, ValueError, "scores must be functions or of 'dci', 'explicitness', .*got 'sap2'"),
        ({"sap2": {}}, {}, ValueError, "'dci', 'explicitness', .*got 'sap2'"),
        ("mig", {}, TypeError, "scores must be 'all', a list or a dict, got 'mig'"),
        ([], {}, ValueError, "at least one score"),
        (["mig", mig], {}, ValueError, "different names, got 'mig' twice"),
        ([3], {}, TypeError, "scores must hold names and functions, got 3"),
        ([lambda codes, factors: 1], {}, ValueError, "scores must be a dict"),
        ({"mig": 20}, {}, TypeError, r"scores\['mig'\] must be a function or a dict of options, got 20"),
        ({"dci": {"stage": 3}}, {}, TypeError, r"scores\['dci'\] must take .*unexpected keyword .*'stage'"),
        ({"f": lambda codes: 1}, {}, TypeError, r"scores\['f'\] must take \(codes, factors\)"),
        (["mig"], {"seed": -1}, ValueError, "seed must be an integer in 0"),
        (["mig"], {"train": 1}, ValueError, "train must be None or an integer, at least 2, got 1"),
        (["mig"], {"test": 0}, ValueError, "test must be None or an integer, at least 1, got 0"),
        (["mig"], {"batch_size": 2.0}, ValueError, "batch_size must be an integer.*got 2.0"),
        (["mig"], {"preset": "quick"}, ValueError, 'preset must be "full" or "fast", got .quick.'),
        (["mig"], {"representation": "map"}, ValueError, 'representation must be "mean" or "sampled", got .map.'),
        (["mig"], {"bootstrap": 1}, ValueError, "bootstrap must be 0 or at least 2"),
        (["mig"], {"jobs": 0}, ValueError, "jobs must be None or an integer, at least 1"),
        (
            {"flatness": {"repeat": 3}},
            {},
            TypeError,
            r"scores\['flatness'\] must take \(encode_factors, factor_sizes\)",
        ),
    ],
)
def test_refused_before_anything_is_encoded(scores, options, error, match):
    def encode(images):
        raise AssertionError("encoded")

    with pytest.raises(error, match=match):
        evaluate(encode, Grid(), scores, **options)


def test_a_score_must_return_a_number():
    with pytest.raises(TypeError, match=r"scores\['f'\] must return a Score or a number, got 'high'"):
        evaluate(identity, Grid(), {"f": lambda codes, factors: "high"}, train=9, test=9)


@pytest.mark.parametrize(
    "data, error, match",
    [
        (broken(factors=lambda self, i: np.zeros((len(i), 2), int)), ValueError, "data.factors .*not constant"),
        (broken(factors=lambda self, i: np.zeros((len(i), 0), int)), ValueError, "data.factors must have shape"),
        (broken(factors=lambda self, i: np.eye(len(i))), TypeError, "data.factors must be integers"),
        (broken(factors=lambda self, i: np.eye(7, dtype=int)), ValueError, "data.factors must have one row per"),
        (broken(images=lambda self, i: np.zeros((3, 1, 2, 1))), ValueError, "data.images must have one image"),
        (broken(__len__=lambda self: 0), ValueError, r"len\(data\) must be an integer, at least 2, got 0"),
    ],
)
def test_bad_data(data, error, match):
    with pytest.raises(error, match=match):
        evaluate(identity, data, ["mig"])


def test_a_model_that_knows_its_constants_standardises_itself():
    class Model:
        knows_pixel_constants = True

        def encode(self, images):
            self.dtype = images.dtype
            return images.reshape(len(images), -1)[:, :2].astype(float)

    model = Model()
    evaluate(model.encode, Grid(), ["mig"], train=20, test=5)
    assert model.dtype == np.uint8
    model.knows_pixel_constants = False
    evaluate(model.encode, Grid(), ["mig"], train=20, test=5)
    assert model.dtype == np.float32


def test_forms_of_a_result():
    parts = {
        "train": 0.25,
        "per_factor": np.array([0.5, 1.0]),
        "matrix": np.eye(2),
        "factor": {"l1": 0.125},
        "kind": "x",
    }
    scores = {
        "first": Score("first", 0.5, parts, interval=(0.4, 0.625), warnings=["mind the gap"]),
        "second": Score("second", float("inf"), warnings=["mind the gap"]),
    }
    result = Evaluation(scores, {"seed": 1}, {"third": "no reason"})
    assert len(result) == 2 and "third" not in result and result.get("third") is None
    assert json.loads(json.dumps(result.to_json(), allow_nan=False)) == {
        "scores": {name: score.to_json() for name, score in scores.items()},
        "settings": {"seed": 1},
        "left_out": {"third": "no reason"},
    }
    expected = {"first": 0.5, "first.low": 0.4, "first.high": 0.625, "second": float("inf")}
    assert result.row(parts=False) == expected
    more = {"first.train": 0.25, "first.per_factor.0": 0.5, "first.per_factor.1": 1.0, "first.factor.l1": 0.125}
    assert result.row() == expected | more
    file = io.StringIO()
    writer = csv.DictWriter(file, result.row())
    writer.writeheader()
    writer.writerow(result.row())
    assert float(next(csv.DictReader(io.StringIO(file.getvalue())))["first.low"]) == 0.4
    table = str(result)
    assert repr(result) == table and "0.4000 .. 0.6250" in table and "train 0.2500" in table
    assert "first, second: mind the gap" in table and "third: not computed, no reason" in table
    assert "<pre>" in result._repr_html_()


def test_progress_is_shown_when_asked_for(capsys):
    evaluate(identity, Grid(), ["mig"], train=20, progress=True)
    shown = capsys.readouterr()
    assert not shown.out
    evaluate(identity, Grid(), ["mig"], train=20, progress=False)
    assert capsys.readouterr() == ("", "")
