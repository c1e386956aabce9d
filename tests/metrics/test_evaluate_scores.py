"""evaluate with every score there is: what each is given, and that nothing is encoded twice."""

from functools import partial

import numpy as np
import pytest
from grid_of_pictures import QUICK, Grid, broken, identity

from kerasvae.metrics import evaluate, mig, modularity, sample_codes
from kerasvae.metrics.factor_vae_score import factor_vae_score
from kerasvae.metrics.flatness import flatness
from kerasvae.metrics.unsupervised import gaussian_total_correlation, gaussian_wasserstein, mutual_information_score

SMALL = {"train": 60, "test": 30, "preset": "fast"}
ALL = (
    "dci explicitness irs mig modularity sap aam mmig beta_vae_score distance_correlations factor_vae_score flatness "
    "linearity gaussian_total_correlation gaussian_wasserstein mutual_information_score"
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
    monkeypatch.setattr("kerasvae.metrics.material.WHOLE", 3)
    assert run() == expected


def test_an_incomplete_data_set():
    data = broken(complete=False, factors=lambda self, i: Grid.factors(self, np.asarray(i) % 30))
    result = evaluate(posterior, data, train=200, test=100, preset="fast")
    chosen = ["beta_vae_score", "distance_correlations", "factor_vae_score", "flatness", "linearity"]
    assert list(result.left_out) == chosen and set(result) | set(chosen) == set(ALL)
    assert "one image for each combination of its factors" in result.left_out["flatness"]
    assert "flatness" in str(result) and "not computed" in str(result)
    with pytest.raises(KeyError, match="flatness was not computed: it chooses factor values itself"):
        result["flatness"]
    with pytest.raises(ValueError, match=r"scores\['flatness'\] cannot be computed: it chooses factor values"):
        evaluate(identity, data, ["mig", "flatness"])
    with pytest.raises(ValueError, match=r"cannot be computed: .* data must have factor_sizes and index"):
        evaluate(identity, broken(index=None), ["flatness"])


def without_factors():
    return broken(
        complete=False,
        factor_sizes=(),
        factors=lambda self, i: np.zeros((len(i), 0), int),
        images=lambda self, i: np.stack([i, i % 3], axis=-1).astype(np.uint8).reshape(-1, 1, 2, 1),
    )


def test_data_without_factors_has_scores_of_codes_alone():
    data = without_factors()
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


def three_latents(images):
    """Posteriors of two latents that depend on each other, and of a collapsed one that is a function of both."""
    left, right = identity(images).T
    mean = np.stack([50 * left, 50 * (left + right), 1e-3 * (left + right) ** 2], axis=1)
    return mean, np.tile([-8.0, -6.0, 0.0], (len(images), 1))


UNSUPERVISED = {
    "gaussian_total_correlation": gaussian_total_correlation,
    "gaussian_wasserstein": gaussian_wasserstein,
    "mutual_information_score": mutual_information_score,
}


@pytest.mark.parametrize("representation", ["mean", "sampled"])
@pytest.mark.parametrize("scores", [list(UNSUPERVISED), [*UNSUPERVISED, "mig", "sap", "flatness"]])
def test_divergences_from_the_posteriors_leave_out_collapsed_latents(representation, scores):
    seen = []

    def keep(codes, factors, divergences=None):
        seen.append((codes, factors, divergences))
        return 0.0

    scores = {name: {} for name in scores} | ({"keep": keep} if "mig" in scores else {})
    options = {"representation": representation, "train": 70, "test": 20}
    result = evaluate(three_latents, Grid(), scores, divergences="posterior", **options)
    (codes, factors), _ = sample_codes(three_latents, Grid(), **options)
    mean, logvar = three_latents(Grid().standardize(Grid().images(Grid().index(factors))))
    deviation = np.exp(logvar / 2)
    expected = ((deviation**2 + mean**2 - 1) / 2 - np.log(deviation)).mean(axis=0)
    np.testing.assert_allclose(result.settings["divergences"], expected, rtol=1e-6, atol=1e-12)
    assert expected[2] < 1e-5 and result.settings["images_encoded"] <= 40
    for name, score in UNSUPERVISED.items():
        assert result[name].to_json() == score(codes, result.settings["divergences"]).to_json()
        assert float(result[name]) == pytest.approx(float(score(codes[:, :2])), rel=1e-9)
        assert result[name].parts["latents"] == (0, 1) and score(codes).parts["latents"] == (0, 1, 2)
    plain = evaluate(three_latents, Grid(), scores, **options)
    assert plain.settings["divergences"] is None
    for name in set(scores) & {"mig", "sap", "flatness"}:
        assert result[name].to_json() == plain[name].to_json()
    total = "gaussian_total_correlation"
    assert plain[total].parts["latents"] == (0, 1, 2) and float(plain[total]) > float(result[total]) + 0.001
    if seen:
        np.testing.assert_array_equal(seen[0][2], result.settings["divergences"])
        assert seen[1][2] is None


def test_divergences_that_are_given_and_those_of_a_score_s_own():
    given = np.array([0.5, 0.001, 2.0])
    own = {
        "gaussian_wasserstein": {"divergences": [1, 1, 0]},
        "alone": partial(gaussian_wasserstein, divergences=[0, 1, 1]),
    }
    scores = {name: {} for name in UNSUPERVISED} | own | {"mutual_information_score": {"threshold": 1.0}}
    result = evaluate(three_latents, Grid(), scores, train=60, divergences=given)
    assert {name: score.parts["latents"] for name, score in result.items()} == {
        "gaussian_total_correlation": (0, 2),
        "gaussian_wasserstein": (0, 1),
        "alone": (1, 2),
        "mutual_information_score": (2,),
    }
    assert result.settings["divergences"] == given.tolist()
    # An encoder of codes alone will do, and every resample of an interval leaves out the same.
    means = evaluate(
        lambda images: three_latents(images)[0], Grid(), ["gaussian_wasserstein"], train=60, divergences=given
    )
    interval = evaluate(three_latents, Grid(), ["gaussian_wasserstein"], train=60, divergences=given, bootstrap=5)
    assert float(means["gaussian_wasserstein"]) == float(interval["gaussian_wasserstein"])
    low, high = interval["gaussian_wasserstein"].interval
    assert low < float(interval["gaussian_wasserstein"]) < high < 0.1
    everything = evaluate(three_latents, without_factors(), divergences="posterior", train=60)
    assert [score.parts["latents"] for score in everything.values()] == [(0, 1)] * 3


def test_divergences_are_of_the_pictures_that_are_scored():
    def encode(images):
        return identity(images), np.zeros((len(images), 3))

    result = evaluate(encode, Noisy(), ["gaussian_total_correlation"], divergences="posterior", train=500)
    (codes, _), _ = sample_codes(encode, Noisy(), train=500, test=1)
    np.testing.assert_allclose(result.settings["divergences"], (codes**2).mean(axis=0) / 2, rtol=1e-6)
    assert result.settings["images_encoded"] <= 500


@pytest.mark.parametrize(
    ("scores", "divergences", "error", "match"),
    [
        (["mig", "sap"], "posterior", ValueError, "divergences must be None: none of mig, sap takes them"),
        ("all", "prior", ValueError, r"divergences must be None, 'posterior' or numbers \(latents,\), got 'prior'"),
        ("all", 0.1, ValueError, r"divergences must be None, 'posterior' or numbers \(latents,\), got 0.1"),
        ("all", ["a", "b", "c"], TypeError, "divergences must be real numbers, got dtype"),
        ("all", [0.1, np.nan, 1.0], ValueError, "divergences must be 3 finite numbers, at least 0"),
        ("all", [0.1, -1.0, 1.0], ValueError, "divergences must be 3 finite numbers, at least 0"),
    ],
)
def test_divergences_that_are_refused_before_anything_is_encoded(scores, divergences, error, match):
    def encode(images):
        raise AssertionError("encoded")

    with pytest.raises(error, match=match):
        evaluate(encode, Grid(), scores, divergences=divergences)


def test_divergences_that_do_not_fit_the_encoder_are_refused_after_one_batch():
    with pytest.raises(ValueError, match="divergences must be None or numbers where encode returns no log-variances"):
        evaluate(identity, Grid(), ["gaussian_wasserstein"], divergences="posterior")
    data = Grid()
    with pytest.raises(ValueError, match="divergences must be 3 finite numbers, at least 0, one for each latent"):
        evaluate(three_latents, data, ["gaussian_wasserstein"], divergences=[1.0, 1.0], batch_size=1)
    assert data.read.sum() == 1


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
