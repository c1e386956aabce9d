import numpy as np
import pytest

from kerasvae import plots


def test_kl_bars_are_sorted_and_say_what_is_inactive(texts):
    (axes,) = plots.kl_bars([0.5, 2.0, 0.01, 0.004]).axes
    assert [bar.get_height() for bar in axes.patches] == [2.0, 0.5, 0.01, 0.004]
    assert texts(axes.get_xticklabels()) == ["z1", "z0", "z2", "z3"]
    assert axes.get_title("left") == "2 of 4 latents are active" and "0.01 nats" in axes.get_xlabel()
    assert axes.get_ylabel() == "mean KL in nats" and list(axes.lines[0].get_ydata()) == [0.01, 0.01]
    assert texts(axes.texts) == ["2.00", "0.50", "0.010", "0.004"]


def test_kl_bars_of_a_model_are_the_means_over_images(model, raw, mean_kl):
    (axes,) = plots.kl_bars(model, raw()).axes
    expected = np.sort(mean_kl(model, raw()))[::-1]
    np.testing.assert_allclose([bar.get_height() for bar in axes.patches], expected, rtol=1e-5)


@pytest.mark.parametrize("kl", [[], [[1.0]], [-0.1], [np.nan], [np.inf], ["a"], 3.0, None])
def test_kl_that_is_none(kl):
    with pytest.raises(ValueError, match="model_or_kl must be a model or KL"):
        plots.kl_bars(kl)


# Over training --------------------------------------------------------------------------------------------------------

STEPS = np.array([100, 200, 300])
KL = np.array([[0.5, 2.0, 1.0, 0.2], [0.2, 2.5, 1.5, 0.1], [0.005, 3.0, 1.0, -1e-9]])


def legend(figure, panel):
    """Entries below a panel: text, colour and line style."""
    found = figure.axes[panel].get_legend()
    return {text.get_text(): line for text, line in zip(found.get_texts(), found.get_lines(), strict=True)}


def rows_of(kl, **more):
    rows = [
        {"step": int(step), **{f"kl.z{k}": v for k, v in enumerate(row)}} for step, row in zip(STEPS, kl, strict=True)
    ]
    return [{**row, "loss": 1.0, **{name: values[i] for name, values in more.items()}} for i, row in enumerate(rows)]


@pytest.mark.parametrize("run", [rows_of(KL), (STEPS, KL), [*rows_of(KL), {"step": 350, "loss": 1.0}]])
def test_a_line_a_latent_with_the_inactive_ones_grey_under_one_entry(run):
    figure = plots.kl_over_training({"run": run})
    axes = figure.axes[0]
    assert axes.get_title("left") == "run" and axes.get_ylabel() == "mean KL in nats"
    entries = legend(figure, 1)
    assert list(entries) == ["z1", "z2", "2 inactive"]
    lines = {line.get_color(): line for line in axes.lines}
    for latent in (1, 2):
        line = lines[entries[f"z{latent}"].get_color()]
        np.testing.assert_allclose(line.get_xydata(), np.stack([STEPS, KL[:, latent]], axis=1))
    quiet = [line for line in axes.lines if line.get_color() == entries["2 inactive"].get_color()]
    np.testing.assert_allclose([line.get_ydata() for line in quiet], np.maximum(KL[:, [0, 3]].T, 0))
    assert len(axes.lines) == 4 and len(lines) == 3


def test_factors_name_latents_and_keep_their_colour_in_all_runs():
    runs = {"a": (STEPS, KL[:, [1, 2]]), "b": (STEPS, KL[:, [2, 1]]), "c": (STEPS, KL[:, 1:3])}
    labels = {"a": ["x", "_$y$"], "b": [None, "x"], "c": ["x", "x"]}
    figure = plots.kl_over_training(runs, labels=labels)
    a, b, c = (legend(figure, panel) for panel in (1, 3, 5))
    assert [list(entries) for entries in (a, b, c)] == [["x (z0)", "_$y$ (z1)"], ["x (z1)", "z0"], ["x (z0)", "x (z1)"]]
    assert a["x (z0)"].get_color() == b["x (z1)"].get_color() == c["x (z0)"].get_color() == c["x (z1)"].get_color()
    assert (
        len({a["x (z0)"].get_color(), a["_$y$ (z1)"].get_color()})
        == 2
        == len({line.get_color() for line in b.values()})
    )
    assert c["x (z0)"].get_linestyle() != c["x (z1)"].get_linestyle()
    assert len({panel.get_ylim() for panel in figure.axes[::2]}) == 1


def test_capacity_is_logged_or_given_and_has_an_axis_of_its_own():
    logged = rows_of(KL, capacity=[1.0, 2.0, 3.0])
    given = {"b": lambda step: step / 10, "c": [7, 8, 9]}
    figure = plots.kl_over_training({"a": logged, "b": logged, "c": (STEPS, KL), "d": (STEPS, KL)}, capacity=given)
    right = [axes for axes in figure.axes if axes.get_ylabel().startswith("capacity C")]
    np.testing.assert_allclose([axes.lines[0].get_ydata() for axes in right], [[1, 2, 3], [10, 20, 30], [7, 8, 9]])
    assert all(axes.lines[0].get_linestyle() == "--" for axes in right)


def test_ten_latents_have_ten_different_lines():
    figure = plots.kl_over_training({"a": (STEPS, np.ones((3, 10)))})
    lines = legend(figure, 1).values()
    assert len({(line.get_color(), str(line._dash_pattern)) for line in lines}) == 10


@pytest.mark.parametrize(
    ("runs", "options", "message"),
    [
        ({}, {}, "runs must be"),
        ({"a": []}, {}, r"runs\['a'\] must hold rows with step and kl\.z0"),
        ({"a": [{"step": 1, "kl_nats": 3.0}]}, {}, r"its rows hold \['step', 'kl_nats'\]"),
        ({"a": [{"step": 1, "kl.z1": 3.0}]}, {}, r"kl\.z0, kl\.z1, \.\.\. for every latent"),
        ({"a": (STEPS, KL[:2])}, {}, r"must be steps \(times,\) and KL \(times, latents\)"),
        ({"a": (STEPS, KL - 1)}, {}, "finite and at least 0"),
        ({"a": (STEPS, KL * np.nan)}, {}, "finite and at least 0"),
        ({"a": (STEPS, KL)}, {"labels": {"b": []}}, r"labels must be .* among the runs \['a'\]"),
        ({"a": (STEPS, KL)}, {"labels": {"a": ["x"]}}, r"labels\['a'\] must hold a name or None for each of 4 latents"),
        ({"a": (STEPS, KL)}, {"capacity": {"a": [1.0]}}, r"capacity\['a'\] must be a function of the step"),
    ],
)
def test_kl_over_training_refuses(runs, options, message):
    with pytest.raises(ValueError, match=message):
        plots.kl_over_training(runs, **options)
