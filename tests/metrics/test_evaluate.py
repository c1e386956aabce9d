import csv
import io
import json
from functools import partial

import numpy as np
import pytest

from kerasvae.metrics import Score, evaluate, mig, modularity, sample_codes
from kerasvae.metrics.evaluation_result import Evaluation
from kerasvae.metrics.factor_vae_score import factor_vae_score
from kerasvae.metrics.flatness import flatness


class Grid:
    """Data set of 2 x 1 pictures whose two pixels are the two factors; counts how often each is read."""

    factor_names, factor_sizes, image_shape = ("left", "right"), (5, 8), (1, 2, 1)
    mean, std = np.array([0.25]), np.array([0.5])

    def __init__(self):
        self.read = np.zeros(len(self), int)
        self.largest = 0

    def __len__(self):
        return 40

    def factors(self, indices):
        return np.stack(np.unravel_index(indices, self.factor_sizes), axis=-1)

    def index(self, factors):
        return np.ravel_multi_index(np.transpose(factors), self.factor_sizes)

    def images(self, indices):
        np.add.at(self.read, indices, 1)
        self.largest = max(self.largest, len(indices))
        return self.factors(indices).astype(np.uint8).reshape(-1, 1, 2, 1)

    def standardize(self, images):
        return ((images / 255 - self.mean) / self.std).astype(np.float32)


def identity(images):
    return images.reshape(len(images), -1)


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
        (lambda x: (identity(x), identity(x) + 201), ValueError, "log-variances .* between -200 and 200"),
        (lambda x: (identity(x), x), ValueError, r"log-variances that encode returns must have shape.*\(16, 1, 2, 1\)"),
        (lambda x: (identity(x),), ValueError, r"codes that encode returns must have shape.*got \(1, 16, 2\)"),
        (lambda x: identity(x)[:-1], ValueError, r"one row per image, got \(15, 2\) for 16 images"),
        (lambda x: {"mean": identity(x)}, TypeError, "codes that encode returns must be real numbers.*object"),
        (lambda x: [[1.0], [1.0, 2.0]], TypeError, "encode must return codes that NumPy can convert, got list"),
        (lambda x: Unreadable(), TypeError, "encode must return .* got Unreadable: on a device"),
        (lambda x: None, TypeError, "codes that encode returns must be real numbers"),
        (nan_in_a_latent, ValueError, r"codes that encode returns must be finite.*latents \[1\]"),
        (different_latents(), ValueError, "same number of latents for every batch, got 1 and then 2"),
    ],
)
def test_bad_encoders(encode, error, match):
    with pytest.raises(error, match=match):
        evaluate(encode, Grid(), ["mig"], batch_size=16)


@pytest.mark.parametrize(
    "scores, options, error, match",
    [
        (["mig", "sap2"], {}, ValueError, "scores must be functions or of 'mig', 'dci', .*got 'sap2'"),
        ({"sap2": {}}, {}, ValueError, "'mig', 'dci', .*got 'sap2'"),
        ("mig", {}, TypeError, "scores must be 'all', a list or a dict, got 'mig'"),
        ([], {}, ValueError, "at least one score"),
        (["mig", mig], {}, ValueError, "different names, got 'mig' twice"),
        ([3], {}, TypeError, "scores must hold names and functions, got 3"),
        ([lambda codes, factors: 1], {}, ValueError, "scores must be a dict"),
        ({"mig": 20}, {}, TypeError, r"scores\['mig'\] must be a function or a dict of options, got 20"),
        ({"dci": {"stage": 3}}, {}, TypeError, r"scores\['dci'\] must take .*unexpected keyword .*'stage'"),
        ({"f": lambda codes: 1}, {}, TypeError, r"scores\['f'\] must take \(codes, factors\)"),
        (["mig"], {"seed": -1}, ValueError, "seed must be between"),
        (["mig"], {"train": 1}, ValueError, "train must be at least 2, got 1"),
        (["mig"], {"test": 0}, ValueError, "test must be at least 1, got 0"),
        (["mig"], {"batch_size": 2.0}, TypeError, "batch_size must be an integer, got 2.0"),
        (["mig"], {"preset": "quick"}, ValueError, "preset must be 'full' or 'fast', got 'quick'"),
        (["mig"], {"representation": "map"}, ValueError, "representation must be 'mean' or 'sampled', got 'map'"),
        (["mig"], {"bootstrap": 1}, ValueError, "bootstrap must be 0 or at least 2"),
        (["mig"], {"jobs": 0}, ValueError, "jobs must be at least 1"),
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


def broken(**methods):
    return type("Broken", (Grid,), methods)()


@pytest.mark.parametrize(
    "data, error, match",
    [
        (broken(factors=lambda self, i: np.zeros((len(i), 2), int)), ValueError, "data.factors .*not constant"),
        (broken(factors=lambda self, i: np.zeros((len(i), 0), int)), ValueError, "data.factors must have shape"),
        (broken(factors=lambda self, i: np.eye(len(i))), TypeError, "data.factors must be integers"),
        (broken(factors=lambda self, i: np.eye(7, dtype=int)), ValueError, "data.factors must have one row per"),
        (broken(images=lambda self, i: np.zeros((3, 1, 2, 1))), ValueError, "data.images must have one image"),
        (broken(__len__=lambda self: 0), ValueError, r"len\(data\) must be at least 2, got 0"),
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


# All scores -----------------------------------------------------------------------------------------------------------

SMALL = {"train": 60, "test": 30, "preset": "fast"}
QUICK = {
    "dci": {"stages": 3},
    "beta_vae_score": {"batch_size": 8},
    "factor_vae_score": {"batch_size": 8, "variance_samples": 100},
    "flatness": {"repeats": 5},
    "linearity": {"repeats": 5},
    "distance_correlations": {"repeats": 5},
}
ALL = (
    "mig dci modularity explicitness sap irs aam mmig beta_vae_score factor_vae_score flatness linearity "
    "distance_correlations gaussian_total_correlation gaussian_wasserstein mutual_information_score"
).split()


def posterior(images):
    return 50 * identity(images), np.full((len(images), 2), -8.0)


def test_all_scores_of_a_perfect_code_and_each_image_once():
    data = Grid()
    result = evaluate(posterior, data, train=600, test=300, preset="fast")
    assert list(result) == ALL and not result.left_out
    assert (data.read[:39] >= 1).all()
    for name in ("beta_vae_score", "factor_vae_score", "flatness", "linearity", "aam", "irs"):
        assert float(result[name]) == pytest.approx(1, abs=1e-3), name
    # Not quite 1: the images are float32, whose rounding breaks ties.
    assert result["distance_correlations"].parts["factor"]["rcorr_ground_latent_l1"] > 0.99
    assert result["distance_correlations"].parts["factor"]["rcorr_ground_data"] > 0.99
    # Encoded once: of the batches that are encoded, the last images that fill them up do not count.
    assert result.settings["images_encoded"] == 40
    assert result.settings["sizes"]["dci"] == {"train": 600, "test": 300}
    assert result.settings["sizes"]["flatness"] == {"repeats": 128}
    assert result.settings["sizes"]["aam"] == {"points": 40}
    assert result.settings["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize("scores", [["flatness"], ["beta_vae_score", "factor_vae_score"], ["mig", "aam", "linearity"]])
def test_nothing_is_encoded_twice(scores):
    encoded = []

    def encode(images):
        encoded.append(images.reshape(len(images), 2))
        return posterior(images)

    options = {name: QUICK.get(name, {}) for name in scores}
    evaluate(encode, Grid(), options, **SMALL, batch_size=1)
    assert len(np.unique(np.concatenate(encoded), axis=0)) == len(encoded) <= 40


def test_scores_of_chosen_factors_index_the_codes():
    table = np.random.default_rng(0).normal(size=(5, 8, 3))

    def codes_of(factors):
        return table[factors[:, 0], factors[:, 1]]

    def encode(images):
        factors = np.rint((images * 0.5 + 0.25) * 255).astype(int).reshape(len(images), 2)
        return codes_of(factors)

    result = evaluate(encode, Grid(), {name: QUICK[name] for name in ("factor_vae_score", "flatness")}, **SMALL, seed=3)
    expected = factor_vae_score(codes_of, (5, 8), train=60, test=30, seed=3, **QUICK["factor_vae_score"])
    assert result["factor_vae_score"].to_json() == expected.to_json()
    assert result["flatness"].to_json() == flatness(codes_of, (5, 8), seed=3, **QUICK["flatness"]).to_json()
    # A function of the package is called like the score of that name, not like one of a user's.
    again = evaluate(encode, Grid(), [partial(flatness, repeats=5)], seed=3)
    assert again["flatness"].to_json() == result["flatness"].to_json()


def test_large_data_is_encoded_as_it_is_asked_for(monkeypatch):
    def run():
        return evaluate(posterior, Grid(), {name: QUICK.get(name, {}) for name in ALL}, **SMALL, batch_size=3).to_json()

    expected = run()
    monkeypatch.setattr("kerasvae.metrics.evaluation_material.WHOLE", 3)
    assert run() == expected


def test_an_incomplete_data_set():
    data = broken(complete=False, factors=lambda self, i: Grid.factors(self, np.asarray(i) % 30))
    result = evaluate(posterior, data, train=200, test=100, preset="fast")
    chosen = ["beta_vae_score", "factor_vae_score", "flatness", "linearity", "distance_correlations"]
    assert list(result.left_out) == chosen and set(result) | set(chosen) == set(ALL)
    assert "one image for each combination of its factors" in result.left_out["flatness"]
    assert "flatness" in str(result) and "not computed" in str(result)
    with pytest.raises(KeyError, match="flatness was not computed: it chooses factor values itself"):
        result["flatness"]
    with pytest.raises(ValueError, match=r"scores\['flatness'\] cannot be computed: it chooses factor values"):
        evaluate(identity, data, ["mig", "flatness"])
    with pytest.raises(ValueError, match=r"cannot be computed: .* data must have factor_sizes and index"):
        evaluate(identity, broken(index=None), ["flatness"])


def test_data_without_factors_has_scores_of_codes_alone():
    data = broken(
        complete=False,
        factor_sizes=(),
        factors=lambda self, i: np.zeros((len(i), 0), int),
        images=lambda self, i: np.stack([i, i % 3], axis=-1).astype(np.uint8).reshape(-1, 1, 2, 1),
    )
    result = evaluate(posterior, data, preset="fast")
    assert list(result) == ["gaussian_total_correlation", "gaussian_wasserstein", "mutual_information_score"]
    assert result.left_out["mig"] == "data has no factors"
    with pytest.raises(ValueError, match=r"scores\['mig'\] cannot be computed: data has no factors"):
        evaluate(identity, data, ["mig"])


def test_scores_of_posteriors_need_log_variances():
    result = evaluate(identity, Grid(), preset="fast", train=60, test=30)
    assert list(result.left_out) == ["aam", "mmig"]
    with pytest.raises(ValueError, match=r"scores\['aam'\] cannot be computed: encode returns no log-variances"):
        evaluate(identity, Grid(), ["aam"])
    with pytest.raises(ValueError, match="representation must be 'mean' where encode returns no log-variances"):
        evaluate(identity, Grid(), ["mig"], representation="sampled")
    dictionary = evaluate(lambda x: dict(zip(("mean", "logvar"), posterior(x), strict=True)), Grid(), ["aam"])
    assert dictionary["aam"].to_json() == evaluate(posterior, Grid(), ["aam"])["aam"].to_json()


def test_sampled_representation():
    def encode(images):
        return np.zeros((len(images), 2)), np.tile(np.log([4.0, 0.25]), (len(images), 1))

    seen = []

    def keep(codes, factors, test):
        seen.append((codes, test[0]))
        return 0.0

    for seed in (1, 1, 2):
        evaluate(encode, Grid(), [keep], representation="sampled", seed=seed, train=20_000, test=500)
    codes, test = seen[0]
    np.testing.assert_allclose(codes.std(axis=0), [2, 0.5], rtol=0.03)
    # Each use of an image draws anew.
    assert len(np.unique(codes[:, 0])) == 20_000 and not np.isin(test, codes).any()
    np.testing.assert_array_equal(codes, seen[1][0])
    assert not np.isin(codes, seen[2][0]).any()
    mean = evaluate(posterior, Grid(), {"flatness": QUICK["flatness"]})["flatness"]
    drawn = evaluate(
        lambda x: (identity(x), np.zeros((len(x), 2))), Grid(), {"flatness": {"repeats": 5}}, representation="sampled"
    )["flatness"]
    assert float(drawn) < 0.6 < float(mean)


class Noisy(Grid):
    """Two pixels that are the factors and one that is the draw."""

    image_shape, random = (1, 3, 1), True

    def images(self, indices, draws=None):
        np.add.at(self.read, indices, 1)
        draws = indices if draws is None else draws
        return np.column_stack([self.factors(indices), np.asarray(draws) % 251]).astype(np.uint8).reshape(-1, 1, 3, 1)


def test_random_parts_are_drawn_anew():
    data, seen = Noisy(), []

    def keep(codes, factors):
        seen.append((codes, factors))
        return 0.0

    result = evaluate(identity, data, [keep], train=2000)
    codes, factors = seen[0]
    np.testing.assert_allclose((codes[:, :2] * 0.5 + 0.25) * 255, factors, atol=1e-4)
    assert len(np.unique(codes[:, 2])) > 200 and 1900 < result.settings["images_encoded"] <= 2000
    evaluate(identity, Noisy(), [keep], train=2000)
    np.testing.assert_array_equal(codes, seen[1][0])


def test_codes_and_observations_are_of_the_same_pictures():
    # The code is the image: their distances along a factor, squared, are those of the images but for a factor.
    score = evaluate(identity, Noisy(), {"distance_correlations": {"repeats": 40}})["distance_correlations"]
    assert score.parts["factor"]["rcorr_latent_data_l2"] == pytest.approx(1, abs=1e-5)
    assert score.parts["global"]["rsame_latent_data_l2"] == pytest.approx(1, abs=1e-3)


def test_a_model_instead_of_its_encode():
    class Model:
        knows_pixel_constants = True

        def __call__(self, images):
            raise AssertionError("a Keras model's call is not its encode")

        def encode(self, images, batch_size=256, return_logvar=False):
            assert images.dtype == np.uint8 and return_logvar
            return posterior(images.astype(float))

    results = [evaluate(each, Grid(), ["mig", "aam"], train=50) for each in (Model(), Model().encode)]
    assert results[0].to_json() == results[1].to_json()


def test_presets():
    result = evaluate(posterior, Grid(), {"dci": {"stages": 1}, "mig": {}, "sap": {}}, preset="fast")
    sizes = {"dci": {"train": 1000, "test": 500}, "mig": {"train": 2000}, "sap": {"train": 2000, "test": 1000}}
    assert result.settings["sizes"] == sizes
    (codes, factors), _ = sample_codes(posterior, Grid(), train=2000, test=1000)
    assert result["mig"].to_json() == mig(codes, factors).to_json()
    full = evaluate(posterior, Grid(), ["mig", "flatness", "factor_vae_score"]).settings["sizes"]
    votes = {"train": 10_000, "test": 5_000, "variance_samples": 10_000}
    assert full == {"mig": {"train": 10_000}, "flatness": {"repeats": 1024}, "factor_vae_score": votes}


def test_intervals_and_jobs():
    def noisy(images):
        return posterior(images)[0] + np.sin(1e4 * identity(images)[:, ::-1])

    scores = {name: QUICK.get(name, {}) for name in ("mig", "dci", "sap", "factor_vae_score", "gaussian_wasserstein")}
    plain = evaluate(noisy, Grid(), scores, **SMALL)
    result = evaluate(noisy, Grid(), scores, **SMALL, bootstrap=8)
    for name, score in result.items():
        assert plain[name].interval is None and float(plain[name]) == float(score)
        assert score.interval[0] <= float(score) <= score.interval[1]
    assert result["mig"].interval[0] < result["mig"].interval[1]
    assert evaluate(noisy, Grid(), scores, **SMALL, bootstrap=8, jobs=3).to_json() == result.to_json()
    assert "95 % interval" in str(result) and "95 %" not in str(plain)
    # All points are no sample; and a score that is not finite has no interval.
    assert evaluate(posterior, Grid(), ["aam"], bootstrap=3)["aam"].interval is None
    assert evaluate(identity, Grid(), {"f": lambda codes, factors: np.inf}, **SMALL, bootstrap=3)["f"].interval is None


def test_scores_that_share_a_matrix_agree():
    result = evaluate(posterior, Grid(), ["mig", "modularity"], train=500)
    matrix = result["mig"].parts["mutual_information"]
    np.testing.assert_array_equal(matrix, result["modularity"].parts["mutual_information"])
    assert modularity.__name__ in result


# The result -----------------------------------------------------------------------------------------------------------


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
