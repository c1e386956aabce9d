"""Codes and log-variances that a failed training leaves: what can be scored is, and the rest names the image."""

import numpy as np
import pytest
from grid_of_pictures import Grid, identity

from kerasvae.metrics import aam, evaluate, evaluate_codes, mig, mmig
from kerasvae.metrics.checks import unfit_logvar

GRID = Grid()
POSTERIOR = ["aam", "mmig"]
SMALL = {"train": 200, "test": 100, "batch_size": 16, "preset": "fast"}


def posteriors(change):
    """An encoder whose posteriors are narrow but for what `change` does to the mean and log-variance of image 13."""
    odd = identity(GRID.standardize(GRID.images(np.array([13]))))[0]

    def encode(images):
        mean = np.array(identity(images), np.float64)
        logvar = np.full_like(mean, -6.0)
        change(mean, logvar, np.isclose(mean, odd).all(axis=1))
        return mean, logvar

    return encode


def odd_logvar(value):
    def change(mean, logvar, odd):
        logvar[odd, 1] = value

    return posteriors(change)


@pytest.mark.parametrize("value", [-7855.0, 5000.0, np.nan, -np.inf, np.inf])
def test_only_scores_of_posteriors_are_left_out(value):
    encode = odd_logvar(value)
    result = evaluate(encode, GRID, **SMALL)
    assert list(result.left_out) == POSTERIOR
    whole = evaluate(lambda images: encode(images)[0], GRID, **SMALL)
    assert {name: float(score) for name, score in result.items()} == {name: float(s) for name, s in whole.items()}
    for reason in result.left_out.values():
        assert f"must be between -200 and 200, got {value:.6g} for image 13, latent 1" in reason
        assert "in all 1 of 40 points, latents [1]" in reason
    with pytest.raises(
        ValueError, match=r"scores\['aam'\] cannot be computed: the log-variances .* image 13, latent 1"
    ):
        evaluate(encode, GRID, ["mig", "aam"], **SMALL)


def test_a_variance_of_nothing_can_be_sampled_and_diverges_far():
    tiny = evaluate(odd_logvar(-7855.0), GRID, ["mig"], representation="sampled", **SMALL)
    assert np.isfinite(float(tiny["mig"]))
    result = evaluate(odd_logvar(-7855.0), GRID, ["gaussian_total_correlation"], divergences="posterior", **SMALL)
    assert result.settings["divergences"][1] > 10
    for options in ({"representation": "sampled"}, {"divergences": "posterior"}):
        with pytest.raises(ValueError, match=r"log-variances .* got 5000 for image 13, latent 1"):
            evaluate(odd_logvar(5000.0), GRID, ["gaussian_total_correlation"], **options, **SMALL)


def test_codes_that_are_no_numbers_name_the_image():
    def change(mean, logvar, odd):
        mean[odd, 0] = np.nan

    with pytest.raises(ValueError, match=r"means that encode returns must be finite.* first nan in image 13, latent 0"):
        evaluate(posteriors(change), GRID, **SMALL)


def test_arrays_of_posteriors():
    factors = np.stack(np.unravel_index(np.arange(64), (4, 4, 4)), axis=1)
    codes, logvar = factors.astype(float), np.full((64, 3), -8.0)
    logvar[17, 2] = -7855.0
    result = evaluate_codes(codes, factors, logvar=logvar, preset="fast")
    assert list(result.left_out) == POSTERIOR
    assert "logvar must be between -200 and 200, got -7855 for point 17, latent 2" in result.left_out["aam"]
    for call in (
        lambda: aam(codes, logvar, factors),
        lambda: mmig(codes, logvar, factors),
        lambda: mig(codes, factors, posterior=(codes, logvar)),
        lambda: evaluate_codes(codes, factors, ["aam"], logvar=logvar),
    ):
        with pytest.raises(ValueError, match="logvar must be between -200 and 200, got -7855 for point 17, latent 2"):
            call()


def test_the_worst_is_named():
    logvar = np.array([[0.0, -201.0], [300.0, -0.623], [-7855.0, 5.0]])
    assert "got -7855 for point 2, latent 0; in all 3 of 3 points, latents [0, 1]" in unfit_logvar(logvar)
    assert unfit_logvar(np.array([[-200.0, 200.0]])) is None


@pytest.mark.parametrize("scale", [0.0, 1e-6])
def test_a_collapsed_model_has_every_score_and_no_nan(scale):
    """No latent says anything: exactly the prior for every image, or all but it."""

    def encode(images):
        mean = np.array(identity(images), np.float64) * scale
        return mean, np.zeros_like(mean)

    for options in ({}, {"representation": "sampled"}, {"divergences": "posterior"}):
        result = evaluate(encode, GRID, bootstrap=2, **options, **SMALL)
        assert not result.left_out and len(result) == 16
        assert not [name for name, number in result.row().items() if np.isnan(number)]


def test_a_score_that_finds_nothing_costs_the_others_nothing():
    def nothing(codes, factors):
        raise ValueError("nothing to score")

    with pytest.raises(ValueError, match="nothing to score"):
        evaluate(identity, GRID, {"nothing": nothing, "mig": {}}, **SMALL)
