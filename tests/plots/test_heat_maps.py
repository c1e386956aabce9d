import sys

import numpy as np
import pytest

import kerasvae as kv
from kerasvae import plots


@pytest.fixture(scope="module")
def uneven():
    """Random images whose factors have different sizes: a 2, b 3, c 4."""
    factors = np.stack(np.meshgrid(range(2), range(3), range(4), indexing="ij"), axis=-1).reshape(-1, 3)
    images = np.random.default_rng(1).integers(0, 256, (24, 16, 16, 1), dtype="uint8")
    return kv.datasets.FromArrays(images, factors, factor_names=["a", "b", "c"])


def code(model, data, **factors):
    return model.encode(data.images(data.index(np.array([[factors[name] for name in data.factor_names]]))))[0]


def test_each_value_is_the_mean_code_of_its_image(model, uneven):
    mean, spread = plots.codes_over_factors(model, uneven, ("c", "a"), at={"b": 2})
    assert mean.shape == spread.shape == (2, 4, 4) and mean.dtype == np.float32 and (spread == 0).all()
    for a in range(2):
        for c in range(4):
            np.testing.assert_allclose(mean[a, c], code(model, uneven, a=a, b=2, c=c), atol=1e-5)
    middle, _ = plots.codes_over_factors(model, uneven, ("c", "a"))
    np.testing.assert_allclose(middle, plots.codes_over_factors(model, uneven, ["c", "a"], at={"b": 1})[0])


def test_averages_are_over_the_factors_left_open(model, uneven):
    mean, spread = plots.codes_over_factors(model, uneven, ("b", "c"), average="all")
    both = np.array([plots.codes_over_factors(model, uneven, ("b", "c"), at={"a": a})[0] for a in range(2)])
    np.testing.assert_allclose(mean, both.mean(0), atol=1e-5)
    np.testing.assert_allclose(spread, both.std(0), atol=1e-5)
    for average in (2, 99):
        again = plots.codes_over_factors(model, uneven, ("b", "c"), average=average)
        np.testing.assert_array_equal(again, (mean, spread))
    one, none = plots.codes_over_factors(model, uneven, ("b", "c"), average=1, seed=3)
    assert (none == 0).all() and min(np.abs(one - each).max() for each in both) < 1e-5
    fixed, none = plots.codes_over_factors(model, uneven, ("b", "c"), average="all", at={"a": 0})
    np.testing.assert_allclose(fixed, both[0], atol=1e-5)


def test_many_combinations_are_encoded_in_parts(model, data, monkeypatch):
    whole = plots.codes_over_factors(model, data, average="all")
    monkeypatch.setattr(sys.modules[plots.codes_over_factors.__module__], "_CHUNK", 20)
    np.testing.assert_allclose(plots.codes_over_factors(model, data, average="all", progress=True), whole, atol=1e-5)


def test_maps_lie_like_the_image(data):
    class Centres:
        latents = 2

        def encode(self, images, return_logvar=False):
            rows, columns = (images[..., 0].max(axis=axis).argmax(axis=1) for axis in (2, 1))
            codes = np.stack([columns, rows], axis=1).astype(float) / 10
            return (codes, np.zeros_like(codes)) if return_logvar else codes

        def decode(self, latents):
            raise NotImplementedError

    figure = plots.position_heat_maps(Centres(), data, order="latent", at={"scale": 1})
    right, down = (np.asarray(axes.images[0].get_array()) for axes in figure.axes[:2])
    np.testing.assert_allclose(right, np.tile([0, 0.3, 0.6, 0.9], (4, 1)), atol=1e-6)
    np.testing.assert_allclose(down, right.T)
    for axes in figure.axes[:2]:
        assert axes.images[0].origin == "upper" and axes.yaxis_inverted() and not axes.xaxis_inverted()
    assert figure.axes[0].get_xlabel() == "x" and figure.axes[0].get_ylabel() == "y"


def test_maps_are_the_codes_by_kl_in_one_range(model, data, texts, mean_kl):
    images = data.images(range(8))
    kl = mean_kl(model, images)
    order = np.argsort(-kl)
    mean, spread = plots.codes_over_factors(model, data, average=3, seed=2)
    figure = plots.position_heat_maps(model, data, images=images, average=3, seed=2)
    maps = [axes for axes in figure.axes if axes.images]
    assert len(maps) == 8
    for position, latent in enumerate(order):
        above, below = maps[2 * position : 2 * position + 2]
        np.testing.assert_array_equal(above.images[0].get_array(), mean[..., latent])
        np.testing.assert_array_equal(below.images[0].get_array(), spread[..., latent])
        assert above.get_title("left") == f"z{latent}  KL {kl[latent]:.2f}"
    most = max(1, np.abs(mean).max())
    assert {axes.images[0].get_clim() for axes in maps[::2]} == {(-most, most)}
    assert len({axes.images[0].get_clim() for axes in maps[1::2]}) == 1
    assert "averaged over scale, color" in figure.get_suptitle()
    labels = [axes.get_ylabel() for axes in figure.axes if not axes.images]
    assert sorted(labels) == ["mean code", "standard deviation over 3 combinations"]


def test_posters_style_is_red_for_the_smallest_and_blue_for_the_largest(model, data):
    mean, _ = plots.codes_over_factors(model, data)
    figure = plots.position_heat_maps(model, data, style="poster", latents=2)
    maps = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(maps) == 2
    for image in maps:
        assert image.get_clim() == (mean.min(), mean.max())  # of all latents, also those not shown
        np.testing.assert_allclose(image.to_rgba(np.array([mean.min(), mean.max()])), [(1, 0, 0, 1), (0, 0, 1, 1)])
    assert "scale 1, color 1" in figure.get_suptitle()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factors": ("x", "size")}, r"factors must name two of x, y, scale, color, got \('x', 'size'\)"),
        ({"factors": ("x", "x")}, "factors must name two of"),
        ({"factors": "x"}, "factors must name two of"),
        ({"at": {"x": 1}}, r"at must name factors other than x and y, \['scale', 'color'\], got 'x'"),
        ({"at": {"scale": 2}}, r"at: scale must be an integer in 0\.\.1, got 2"),
        ({"at": {"scale": 0.5}}, r"at: scale must be an integer"),
        ({"average": 0}, "average must be an integer, at least 1, got 0"),
        ({"average": "some"}, 'average must be None, "all" or an integer'),
        ({"style": "jet"}, 'style must be "diverging" or "poster", got \'jet\''),
        ({"order": 1}, 'order must be "kl" or "latent"'),
        ({"latents": 0}, "latents must be an integer, at least 1, got 0"),
        ({"path": "a.svg"}, r"path must end in \.png"),
    ],
)
def test_heat_maps_refuse(model, data, options, message):
    with pytest.raises(ValueError, match=message):
        plots.position_heat_maps(model, data, **options)


def test_data_without_a_grid_or_a_position(model, raw, uneven):
    with pytest.raises(ValueError, match="factors must name two of a, b, c: FromArrays has no x and y"):
        plots.position_heat_maps(model, uneven)
    with pytest.raises(ValueError, match="a map of codes over two factors: data must hold one image for each"):
        plots.position_heat_maps(model, kv.datasets.FromArrays(raw()), ("a", "b"))
    with pytest.raises(ValueError, match="data must be a ground-truth data set"):
        plots.position_heat_maps(model, raw())
    single = kv.datasets.XYObject(3, (4,), 16, "white", 1)
    with pytest.raises(ValueError, match="factors must have two values or more, scale has 1"):
        plots.position_heat_maps(model, single, ("x", "scale"))
