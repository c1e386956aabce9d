"""Theorem 1 against finite differences, closed forms and sampling; scores of turned factors; turned models."""

import numpy as np
import pytest
from scipy.stats import beta, expon, kstest, multivariate_normal, norm, uniform

from kerasvae.analysis.study.frame import is_missing
from kerasvae.analysis.study.rotated_model import BEST, FULL, VARIANCES, rotated_model, turned_variances
from kerasvae.analysis.study.rotated_scores import plane_rotation, rotated_scores
from kerasvae.analysis.study.theorem import (
    energy_test,
    entangle,
    entangling_derivatives,
    householder,
    theorem_1,
)

PRIORS = {
    "uniform": [uniform()] * 2,
    "normal": [norm()] * 10,
    "mixed": [expon(scale=2), beta(2, 5), uniform(-3, 6), norm(5, 0.1)],
}


def samples_of(marginals, count, seed=0):
    draws = np.random.default_rng(seed)
    return np.stack([each.rvs(count, random_state=draws) for each in marginals], axis=1)


# Theorem 1 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimensions", [2, 3, 4, 10])
@pytest.mark.parametrize("a", [0.01, 0.3, 0.49])
def test_the_matrix_is_orthogonal_and_has_no_zero(dimensions, a):
    matrix = householder(dimensions, a)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(dimensions), atol=1e-12)
    assert np.abs(matrix).min() > 0.001
    assert matrix[0, 0] == pytest.approx(1 - 2 * a)


@pytest.mark.parametrize("name", PRIORS)
@pytest.mark.parametrize("a", [0.1, 0.4])
def test_entangled_samples_are_distributed_as_before(name, a):
    marginals = PRIORS[name]
    mapped = entangle(samples_of(marginals, 4000), marginals, a)
    for each, column in zip(marginals, mapped.T, strict=True):
        assert kstest(column, each.cdf).statistic < 2 / np.sqrt(len(column))
    scale = mapped.std(axis=0)
    fresh = samples_of(marginals, 400, seed=1)
    assert energy_test(mapped[:400] / scale, fresh / scale, permutations=99)["p"] > 0.01
    # Independent as well: all their normal scores are uncorrelated.
    scores = np.stack([norm.ppf(each.cdf(column)) for each, column in zip(marginals, mapped.T, strict=True)])
    assert np.abs(np.corrcoef(scores) - np.eye(len(marginals))).max() < 5 / np.sqrt(len(mapped))


@pytest.mark.parametrize("name", PRIORS)
def test_derivatives_are_finite_differences_and_never_0(name):
    marginals = PRIORS[name]
    samples, step = samples_of(marginals, 30), 1e-6
    derivatives = entangling_derivatives(samples, marginals, 0.2)
    assert derivatives.shape == (30, len(marginals), len(marginals)) and np.abs(derivatives).min() > 0
    for coordinate in range(len(marginals)):
        moved = [samples + sign * step * np.eye(len(marginals))[coordinate] for sign in (1, -1)]
        ahead, behind = (entangle(each, marginals, 0.2) for each in moved)
        expected = (ahead - behind) / (2 * step)
        np.testing.assert_allclose(derivatives[:, :, coordinate], expected, rtol=2e-4, atol=1e-7)


def test_the_map_preserves_volume_and_the_map_again_is_the_identity():
    """A uniform density stays what it is if and only if |det| = 1; and a reflection is its own inverse."""
    samples = samples_of(PRIORS["uniform"], 200)
    determinants = np.linalg.det(entangling_derivatives(samples, uniform()))
    np.testing.assert_allclose(np.abs(determinants), 1, rtol=1e-9)
    np.testing.assert_allclose(entangle(entangle(samples, uniform()), uniform()), samples, atol=1e-12)


def test_far_in_the_tails():
    samples = np.array([[9.5, -9.0], [12.0, 0.0]])
    np.testing.assert_allclose(entangle(samples, norm()), samples @ householder(2), rtol=1e-9)


def test_what_cannot_be_entangled():
    with pytest.raises(ValueError, match="inside the support, got 1 in coordinate 2"):
        entangle([[0.5, 1.0]], uniform())
    with pytest.raises(ValueError, match="at least 2 coordinates"):
        entangle([[0.5]])
    with pytest.raises(TypeError, match="continuous distributions"):
        entangle([[0.5, 1.0]], "uniform")
    with pytest.raises(ValueError, match="as many as coordinates, 2, got 1"):
        entangle([[0.5, 1.0]], [norm()])
    with pytest.raises(ValueError, match="less than 1/2"):
        entangle([[0.5, 1.0]], a=0.5)


def test_the_energy_distance_is_its_definition_and_its_p_a_share():
    draws = np.random.default_rng(0)
    first, second = draws.normal(size=(40, 3)), draws.normal(0.2, size=(30, 3))

    def mean(x, y):
        return np.linalg.norm(x[:, None] - y[None], axis=2).mean()

    found = energy_test(first, second, permutations=99)
    assert found["estimate"] == pytest.approx(2 * mean(first, second) - mean(first, first) - mean(second, second), 1e-4)
    assert energy_test(first, second + 2, permutations=99)["p"] == 0.01
    tests = [energy_test(*draws.normal(size=(2, 30, 2)), permutations=39, seed=seed)["p"] for seed in range(100)]
    assert 0.38 < np.mean(tests) < 0.65 and 1 <= np.sum(np.array(tests) <= 0.2) <= 36


def test_theorem_1_shows_both_sides():
    result = theorem_1(samples=2000, joint_samples=300, permutations=199)
    checks = result["checks"]
    for row in checks.select(check="KS distance"):
        assert row["estimate"] < 2 / np.sqrt(2000) and row["p"] > 0.01
    assert min(checks.select(check="energy distance")["p"]) > 0.005
    assert max(checks.select(check="energy distance, dependent", prior="normal in 10 dimensions")["p"]) <= 0.05
    assert min(checks.select(check="smallest derivative")["estimate"]) > 0
    normal = result["derivatives"].select(prior="normal in 10 dimensions", a=0.25)
    np.testing.assert_allclose(normal["smallest"].reshape(10, 10), np.abs(householder(10, 0.25)), rtol=1e-9)
    assert len(result["scatter"].select(prior="uniform on the square", a=0.1)) == 2000
    assert len(result.sentences) == 6 and "not told from z" in result.sentences[0]


# Scores of turned factors ---------------------------------------------------------------------------------------------


def test_a_rotation_in_planes():
    turn = plane_rotation(3, 90)
    np.testing.assert_allclose(turn @ [1, 2, 3], [-2, 1, 3], atol=1e-12)
    np.testing.assert_allclose(plane_rotation(4, 30, [(0, 3)]) @ [0, 5, 6, 0], [0, 5, 6, 0])
    with pytest.raises(ValueError, match="each coordinate once"):
        plane_rotation(3, 30, [(0, 1), (1, 2)])


def test_scores_fall_while_the_likelihood_stays():
    few = {"train": 100, "test": 100, "variance_samples": 200, "batch_size": 16}
    scores = {"mig": {}, "dci": {"stages": 5}, "aam": {}, "mmig": {}, "factor_vae_score": few}
    result = rotated_scores((8, 1, 6, 5), scores, (0, 20, 45), repeats=2, seed=3)
    frame = result["scores"]
    for metric in scores:
        found = frame.select(metric=metric)["estimate"]
        slack = 0.02 if metric in ("mig", "aam", "mmig") else 0.05
        assert (np.diff(found) < slack).all(), metric
    assert frame.row(metric="mig", angle=0.0)["estimate"] > 0.6 > 0.05 > frame.row(metric="mig", angle=45.0)["estimate"]
    # Cells' Gaussians are those of one latent alone at 0°, and alike in two at 45°.
    assert frame.row(metric="aam", angle=0.0)["estimate"] == pytest.approx(1)
    assert frame.row(metric="aam", angle=45.0)["estimate"] == pytest.approx(0, abs=1e-9)
    assert frame.row(metric="mmig", angle=45.0)["estimate"] == pytest.approx(0, abs=1e-6)
    likelihood = result["likelihood"]
    assert max(likelihood["difference"]) < 1e-12
    # Standard normal codes: four latents, one of which knows nothing.
    entropy = -2 * (1 + np.log(2 * np.pi))
    np.testing.assert_allclose(likelihood["estimate"], entropy, atol=6 * np.sqrt(2 / likelihood["n"][0]))


def test_codes_are_normal_whatever_the_factors_shares():
    draws = np.random.default_rng(0)
    rows = np.stack([draws.choice(4, 500, p=[0.6, 0.2, 0.1, 0.1]), draws.integers(3, size=500), np.zeros(500, int)], 1)
    seen = []

    def normality(codes, factors):
        assert codes.shape[1] == factors.shape[1] == 2
        seen.append(codes)
        return max(kstest(column, "norm").statistic for column in codes.T)

    frame = rotated_scores(rows, [normality, "aam"], (0, 45), repeats=1)["scores"]
    # Correlated by chance alone in the rows, so that the second is nearly normal.
    assert frame.row(metric="normality", angle=0.0)["estimate"] < 2 / np.sqrt(len(seen[0]))
    assert frame.row(metric="normality", angle=45.0)["estimate"] < 4 / np.sqrt(len(seen[0]))
    assert frame.row(metric="aam", angle=0.0)["estimate"] > 0.9 > frame.row(metric="aam", angle=45.0)["estimate"]
    np.testing.assert_allclose(seen[1], seen[0] @ plane_rotation(2, 45).T)


def test_the_same_seed_gives_the_same_scores_and_one_sample_no_interval():
    options = {"scores": ["mig"], "angles": [10], "repeats": 1}
    first, again = (rotated_scores((4, 3), **options)["scores"].rows() for _ in range(2))
    assert first[0]["estimate"] == again[0]["estimate"] and is_missing(first[0]["lo"])
    other = rotated_scores((4, 3), **options, seed=2)["scores"]
    assert other["estimate"][0] != first[0]["estimate"]


def test_factors_that_are_none():
    with pytest.raises(ValueError, match="all are constant"):
        rotated_scores((1, 1))
    for factors in ("dsprites", (0, 3), (2.5, 3), ()):
        with pytest.raises(ValueError, match="factors must be a data set"):
            rotated_scores(factors)
    with pytest.raises(ValueError, match="angles must be finite"):
        rotated_scores((3, 3), angles=[])
    with pytest.raises(ValueError, match="got 'migg'"):
        rotated_scores((3, 3), ["migg"])


# A model that is turned -----------------------------------------------------------------------------------------------


def posteriors(count=6, latents=4, seed=0):
    draws = np.random.default_rng(seed)
    return draws.normal(size=(count, latents)), draws.uniform(-5, 0.2, size=(count, latents))


@pytest.mark.parametrize("posterior", [FULL, BEST, VARIANCES])
def test_kl_and_gap_are_those_of_the_matrices(posterior):
    """Against the general formula of KL between Gaussians, with determinants and inverses of full matrices."""
    mean, logvar = posteriors()
    planes = [(0, 2), (1, 3)]
    frame = rotated_model(mean, logvar, [0, 20], planes=planes)["elbo"].select(angle=20.0, posterior=posterior)
    turn, expected = plane_rotation(4, 20, planes), {"kl": [], "gap": []}
    for mu, widths in zip(mean @ turn.T, np.exp(logvar), strict=True):
        turned = turn @ np.diag(widths) @ turn.T
        own = turned
        if posterior != FULL:
            own = np.diag(np.diag(turned) if posterior == VARIANCES else 1 / np.diag(np.linalg.inv(turned)))

        def divergence(other, shift, own=own):
            inverse = np.linalg.inv(other)
            logs = np.linalg.slogdet(other)[1] - np.linalg.slogdet(own)[1]
            return (np.trace(inverse @ own) + shift @ inverse @ shift - 4 + logs) / 2

        expected["kl"].append(divergence(np.eye(4), mu))
        expected["gap"].append(divergence(turned, np.zeros(4)))
    for quantity, values in expected.items():
        assert frame.row(quantity=quantity)["estimate"] == pytest.approx(np.mean(values), abs=1e-9)


def test_the_kl_against_sampling():
    mean, logvar = posteriors(count=1)
    row = rotated_model(mean, logvar, [30], planes=[(0, 1), (2, 3)])["elbo"].row(posterior=BEST, quantity="kl")
    turn = plane_rotation(4, 30)
    own = multivariate_normal(turn @ mean[0], np.diag(turned_variances(logvar, turn)[0]))
    draws = own.rvs(40_000, random_state=np.random.default_rng(0))
    each = own.logpdf(draws) - multivariate_normal(np.zeros(4)).logpdf(draws)
    assert row["estimate"] == pytest.approx(each.mean(), abs=5 * each.std() / 200)


def test_no_diagonal_is_nearer_than_the_best():
    mean, logvar = posteriors()
    frame = rotated_model(mean, logvar, [35])["elbo"].select(quantity="gap")
    best, wide = (frame.row(posterior=name)["estimate"] for name in (BEST, VARIANCES))
    assert 0 < best < wide


def test_an_exact_posterior_loses_its_gap():
    """Of a linear decoder with orthogonal columns and Gaussian noise of variance 1 the diagonal posterior is exact."""
    draws = np.random.default_rng(2)
    weights = np.linalg.qr(draws.normal(size=(6, 3)))[0] * [7.0, 3.0, 1.0]
    images = draws.normal(size=(500, 3)) @ weights.T + draws.normal(size=(500, 6))
    widths = 1 / (1 + (weights**2).sum(axis=0))
    mean, logvar = images @ weights * widths, np.tile(np.log(widths), (500, 1))
    result = rotated_model(
        mean, logvar, [0, 25, 45, 90], planes=[(0, 1)], decode=lambda codes: codes @ weights.T, images=images,
        reconstruction=lambda images, predicted: ((images - predicted) ** 2).sum(axis=1) / 2, draws=20,
    )  # fmt: skip
    frame = result["elbo"]
    for angle in (25.0, 45.0):
        for posterior in (BEST, VARIANCES):
            rows = frame.select(angle=angle, posterior=posterior)
            gap, loss = rows.row(quantity="gap")["estimate"], rows.row(quantity="negative elbo")
            assert gap > 0.1
            reach = (loss["rise_hi"] - loss["rise_lo"]) / 2
            assert loss["rise"] == pytest.approx(gap, abs=max(2 * reach, 0.02))
        assert frame.row(angle=angle, posterior=BEST, quantity="kl")["rise"] > 0.1
    assert np.abs(frame.select(posterior=FULL)["rise"]).max() < 1e-5
    # A quarter turn exchanges axes, which a diagonal can follow.
    assert np.abs(frame.select(angle=90.0)["rise"]).max() < 1e-5
    assert "best diagonal posterior changes by +" in result.sentences[0]


def test_latents_of_equal_widths_pay_nothing():
    mean, logvar = posteriors()
    frame = rotated_model(mean, np.full_like(logvar, -3.0), [20, 45])["elbo"]
    assert np.abs(frame["rise"]).max() < 1e-12


def test_latents_are_paired_by_their_kl():
    mean = np.random.default_rng(0).normal(size=(50, 4)) * [0.01, 3, 0.01, 3]
    logvar = np.tile([0.0, -6.0, 0.0, -2.0], (50, 1))
    found = [rotated_model(mean, logvar, [30], **options)["elbo"]["estimate"] for options in ({}, {"planes": [(1, 3)]})]
    np.testing.assert_allclose(*found, rtol=1e-9)


def test_scores_of_a_turned_model_fall():
    factors = np.stack(np.unravel_index(np.arange(36), (6, 6)), axis=1)
    mean, logvar = (factors - 2.5) * [1.0, 0.9], np.full((36, 2), -4.0)
    frame = rotated_model(mean, logvar, [0, 45], factors=factors, scores=["mig", "aam"])["scores"]
    for metric in ("mig", "aam"):
        assert (
            frame.row(angle=0.0, metric=metric)["estimate"]
            > 0.9
            > 0.5
            > frame.row(angle=45.0, metric=metric)["estimate"]
        )
    rows = np.random.default_rng(0).permutation(36)[:30]
    result = rotated_model(mean[rows], logvar[rows], [0], factors=factors[rows])
    assert "factor_vae_score" not in result["scores"]["metric"] and "mig" in result["scores"]["metric"]
    assert any("FactorVAE" in notice for notice in result.notices)


def test_models_that_do_not_fit():
    mean, logvar = posteriors()
    with pytest.raises(ValueError, match="same shape"):
        rotated_model(mean, logvar[:, :2])
    with pytest.raises(ValueError, match="images and reconstruction must be given"):
        rotated_model(mean, logvar, decode=lambda codes: codes)
    with pytest.raises(ValueError, match="one number an image"):
        rotated_model(mean, logvar, decode=lambda codes: codes, images=mean, reconstruction=lambda a, b: 0.0)
    with pytest.raises(ValueError, match="planes"):
        rotated_model(mean, logvar, planes=[(0, 4)])
