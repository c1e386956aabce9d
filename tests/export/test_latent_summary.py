"""Statistics of latents: closed forms, NumPy, and latents that are factors."""

import numpy as np
import pytest

import kerasvae as kv
from kerasvae.export.latent_summary import ACTIVE_ABOVE, QUANTILES, empty_summary, latent_summary, plain_text

RNG = np.random.default_rng(0)
# Each combination of 5 × 4 × 3 values 10 times, in random order.
FACTORS = RNG.permutation(np.tile(np.stack(np.unravel_index(np.arange(60), (5, 4, 3)), axis=1), (10, 1)))
NAMES = ("x", "y", "shape")


def summarize(*columns, names=NAMES, factors=FACTORS, **arguments):
    """Of latents with these codes and a variance of 0.1, which makes all of them active."""
    mean = np.stack(columns, axis=1).astype("float32")
    return latent_summary(mean, np.full(mean.shape, np.log(0.1)), factors, names, **arguments)


def test_kl_is_the_mean_of_the_closed_form():
    mean, logvar = RNG.normal(size=(50, 3)).astype("float32"), RNG.normal(size=(50, 3)).astype("float32")
    expected = 0.5 * (mean.astype(float) ** 2 + np.exp(logvar.astype(float)) - logvar - 1)
    found = [latent["kl"] for latent in latent_summary(mean, logvar)]
    np.testing.assert_allclose(found, expected.mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize(("mean", "active"), [(0.0, False), (0.12, False), (0.15, True)])
def test_active_is_a_kl_above_the_border(mean, active):
    # With unit variance the KL is mean² / 2: 0, 0.0072 and 0.01125 nats.
    (latent,) = latent_summary(np.full((4, 1), mean), np.zeros((4, 1)))
    assert latent["active"] is active and latent["kl"] == pytest.approx(mean**2 / 2, rel=1e-5)


def test_the_border_is_that_of_the_figures():
    assert ACTIVE_ABOVE == kv.plots.INACTIVE_BELOW


def test_quantiles_are_those_of_numpy():
    mean = RNG.normal(size=(777, 2))
    for codes, latent in zip(mean.T, latent_summary(mean, np.zeros_like(mean)), strict=True):
        assert list(latent["quantiles"]) == ["0.001", "0.01", "0.05", "0.5", "0.95", "0.99", "0.999"]
        np.testing.assert_allclose(list(latent["quantiles"].values()), [np.quantile(codes, q) for q in QUANTILES])
        found = [latent[name] for name in ("min", "max", "mean", "std")]
        np.testing.assert_allclose(found, [codes.min(), codes.max(), codes.mean(), codes.std()])


def test_one_image():
    (latent,) = latent_summary(np.array([[2.0]]), np.zeros((1, 1)), np.array([[3]]), ("x",))
    assert set(latent["quantiles"].values()) == {2.0} and latent["std"] == 0.0 and latent["factor"] is None


def test_latents_that_are_factors():
    x, y, shape = FACTORS.T
    noise = RNG.normal(size=len(FACTORS))
    found = summarize(3 - 2.0 * y, noise, 0.1 * x, np.abs(x - 2.0), shape)
    assert [latent["name"] for latent in found] == ["y", "z1", "x", "x_2", "shape"]
    assert [latent["factor"] and latent["factor"]["sign"] for latent in found] == [-1, None, 1, 0, 1]
    assert [latent["factor"] and latent["factor"]["name"] for latent in found] == ["y", None, "x", "x", "shape"]
    for latent, size in ((0, 4), (2, 5), (4, 3)):
        assert found[latent]["factor"]["mutual_information"] == pytest.approx(np.log(size))
        assert found[latent]["factor"]["share"] == pytest.approx(1.0) and found[latent]["factor"]["share"] <= 1
    # |x - 2| is 0 once, 1 twice and 2 twice.
    entropy = -(0.2 * np.log(0.2) + 0.8 * np.log(0.4))
    assert found[3]["factor"]["mutual_information"] == pytest.approx(entropy)
    assert found[3]["factor"]["share"] == pytest.approx(entropy / np.log(5))


def test_a_latent_that_mixes_factors_has_no_name():
    x, y, _ = FACTORS.T
    (latent,) = summarize(x / 5 + y / 4)
    assert latent["name"] == "z0" and latent["factor"]["name"] in ("x", "y")


def test_a_latent_that_holds_little_of_a_factor_has_no_name():
    (latent,) = summarize(FACTORS[:, 0] + 10 * RNG.normal(size=len(FACTORS)), factors=FACTORS[:, :1], names=("x",))
    assert latent["name"] == "z0"


def test_an_inactive_latent_tracks_nothing():
    mean = 0.01 * FACTORS[:, :1]
    (latent,) = latent_summary(mean, np.zeros_like(mean), FACTORS, NAMES)
    assert not latent["active"] and latent["factor"] is None and latent["name"] == "z0"


def test_few_images_make_no_factors_of_noise():
    # 64 different codes in 20 bins: about 1 nat of each factor's 2 by chance.
    factors = np.stack(np.unravel_index(np.arange(64), (8, 8)), axis=1)
    noise = np.random.default_rng(1).normal(size=(20, 64))
    found = summarize(*noise, -factors[:, 1], factors=factors, names=("x", "y"))
    assert [latent["name"] for latent in found] == [f"z{k}" for k in range(20)] + ["y"]
    assert all(latent["factor"] is None for latent in found[:20]) and found[20]["factor"]["sign"] == -1


def test_a_constant_factor_is_tracked_by_none():
    factors = np.stack([FACTORS[:, 0], np.zeros(len(FACTORS), int)], axis=1)
    found = summarize(FACTORS[:, 0], factors=factors, names=("x", "nothing"))
    assert found[0]["name"] == "x"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("z1", "y", "shape"), ["z0", "y", "y_2"]),
        (("y_2", "y", "shape"), ["y_2", "y", "y_3"]),
        (("a\nb", "c" * 500, "shape"), ["a b", "c" * 190, "c" * 190 + "_2"]),
    ],
)
def test_names_are_unique(names, expected):
    # The third latent holds half of what the second does.
    x, y, _ = FACTORS.T
    found = [latent["name"] for latent in summarize(x, y, y // 2, names=names)]
    assert found == expected and len(set(found)) == 3


def test_without_factors_and_without_data():
    mean = RNG.normal(size=(10, 2))
    assert [latent["factor"] for latent in latent_summary(mean, np.zeros_like(mean))] == [None, None]
    empty, keys = empty_summary(2), set(latent_summary(mean, mean)[0])
    assert [latent["name"] for latent in empty] == ["z0", "z1"] and set(empty[0]) == keys
    assert all(value is None for key, value in empty[1].items() if key not in ("index", "name"))


def test_plain_text():
    assert plain_text("a\tb\x00\n") == "a b" and plain_text("\n") == "unnamed" and plain_text(3) == "3"
