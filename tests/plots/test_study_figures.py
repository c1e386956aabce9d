"""Figures of studies: what is drawn are the numbers, in one colour a method and in a fixed order."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image
from study_results import STRENGTHS

from kerasvae.analysis.study.frame import Frame
from kerasvae.plots import study_curves, study_matrices, study_scores, study_total_correlation
from kerasvae.plots.study_style import METHOD_COLOURS, label, method_colours, method_markers

METHODS = ["beta_vae", "factor_vae", "dip_vae_i"]


def words(axes):
    return [text.get_text() for text in axes.texts]


def pairs(values, names="abc", **columns):
    rows = [
        {"metric_a": names[a], "metric_b": names[b], "estimate": value, "n": 9, **columns}
        for (a, b), value in np.ndenumerate(np.asarray(values, float))
    ]
    return Frame.from_rows(rows)


def test_a_method_has_one_colour_in_all_figures_and_no_two_have_the_same():
    assert len(set(METHOD_COLOURS.values())) == len(METHOD_COLOURS) >= len(STRENGTHS)
    assert set(STRENGTHS) <= set(METHOD_COLOURS)
    for methods in (METHODS, METHODS[::-1], ["own", *METHODS, "other"]):
        found = method_colours(methods)
        assert {method: found[method] for method in METHODS} == {method: METHOD_COLOURS[method] for method in METHODS}
        assert len(set(found.values())) == len(methods)
    assert len(method_colours(map(str, range(30)))) == 30
    assert len(set(method_markers(["own", *METHODS]).values())) == 4


def test_a_long_name_is_cut():
    assert label("abc", {"abc": "something long"}, 5) == "some…" and label("abc", None, 3) == "abc"


def test_a_matrix_shows_its_numbers_and_a_dash_where_there_is_none():
    figure = study_matrices.correlation_matrices(pairs([[1, -0.254, np.nan], [-0.254, 1, 0.004], [np.nan, 0.004, 1]]))
    (axes,) = figure.axes
    assert words(axes) == ["100", "-25", "–", "-25", "100", "0", "–", "0", "100"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a (A)", "b (B)", "c (C)"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["A", "B", "C"]
    cells = {(patch.get_x(), patch.get_y()): patch.get_facecolor() for patch in axes.patches}
    assert len(cells) == 7 and (1.5, -0.5) not in cells
    red, _, blue, _ = cells[0.5, -0.5]
    assert red > blue and cells[-0.5, -0.5][2] > cells[-0.5, -0.5][0]
    assert figure.get_supxlabel() == "n = 9 runs"


def test_matrices_stand_beside_each_other_by_data_set():
    rows = [*pairs([[1, 0.5], [0.5, 1]], dataset="one").rows(), *pairs([[1, 0.1], [0.1, 1]], dataset="two").rows()]
    figure = study_matrices.correlation_matrices(Frame.from_rows(rows), by="dataset", title="Two", letters="numerals")
    assert [axes.get_title("left") for axes in figure.axes] == ["one", "two"] and figure.get_suptitle() == "Two"
    assert words(figure.axes[1]) == ["100", "10", "10", "100"]
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["I", "II"]


def test_improvement_is_bold_with_evidence_and_quiet_without():
    chances = {("beta_vae", "factor_vae"): (0.9, 0.8), ("beta_vae", "dip_vae_i"): (0.6, 0.4)}
    chances[("factor_vae", "dip_vae_i")] = (0.7, 0.45)
    rows = []
    for (first, second), (value, lo) in chances.items():
        rows.append({"first": first, "second": second, "estimate": value, "lo": lo, "hi": 0.99, "n": 4})
        rows.append({"first": second, "second": first, "estimate": 1 - value, "lo": 0.01, "hi": 1 - lo, "n": 4})
    (axes,) = study_matrices.improvement_matrices(Frame.from_rows(rows)).axes
    assert words(axes) == ["–", "0.90", "0.60", "0.10", "–", "0.70", "0.40", "0.30", "–"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == METHODS
    bold = [text.get_text() for text in axes.texts if text.get_fontweight() == "bold"]
    quiet = [text.get_text() for text in axes.texts if text.get_color() == "#707070"]
    assert bold == ["0.90", "0.10"] and quiet == ["0.60", "0.40"]


def test_violins_have_their_medians_and_points_below_60_runs():
    runs = [{"method": m, "mig": 0.1 * place + k} for place, m in enumerate(METHODS) for k in (0.0, 0.2, 0.3, 0.4, 0.9)]
    runs += [{"method": "vae", "mig": value} for value in np.linspace(0, 1, 60)] + [{"method": "own", "mig": None}]
    (axes,) = study_scores.violins(Frame.from_rows(runs), "mig", labels={"mig": "MIG"}).axes
    flat = [line for line in axes.lines if len(line.get_ydata()) == 2]
    np.testing.assert_allclose([line.get_ydata()[0] for line in flat], [0.3, 0.4, 0.5, 0.5])
    points = [line for line in axes.lines if line.get_marker() == "."]
    assert [len(line.get_ydata()) for line in points] == [5, 5, 5]
    assert [to_hex(line.get_color()).upper() for line in points] == [
        METHOD_COLOURS[method].upper() for method in METHODS
    ]
    assert len(axes.collections) == 4 and words(axes) == ["–"] and axes.get_ylabel() == "MIG"


def test_violins_are_the_kernel_density():
    from scipy.stats import gaussian_kde

    values = np.random.default_rng(0).normal(size=30)
    places = np.linspace(-2, 2, 9)
    density = study_scores._density(values, places)
    np.testing.assert_allclose(density / density.sum(), (expected := gaussian_kde(values)(places)) / expected.sum())


def test_bars_of_shares_end_where_the_shares_do():
    rows = [
        {"metric": metric, "share": share, "estimate": value, "lo": 0, "hi": 1, "n": 9}
        for metric, values in {"mig": (0.2, 0.3, 0.5), "sap": (-0.1, 0.05, 1.05), "dci": (np.nan,) * 3}.items()
        for share, value in zip(("method", "strength", "seed"), values, strict=True)
    ]
    (axes,) = study_scores.share_bars(Frame.from_rows(rows)).axes
    ends = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    np.testing.assert_allclose(ends, [(0, 0.2), (0.2, 0.3), (0.5, 0.5), (0, 0), (0, 0.05), (0.05, 0.95)], atol=1e-12)
    assert words(axes) == ["20", "30", "50", "5", "100", "not identifiable"]


def test_dots_with_intervals_in_per_cent_with_a_baseline_and_the_published():
    rows = [
        {"method": "vae", "estimate": 0.6, "lo": 0.5, "hi": 0.7, "n": 3, "baseline": 0.5, "published": 0.8},
        {"method": "own", "estimate": None, "lo": None, "hi": None, "n": 0, "baseline": None, "published": None},
    ]
    (axes,) = study_scores.interval_dots(Frame.from_rows(rows), scale=100, unit="%", reference=50).axes
    drawn = [sorted({round(float(x), 9) for x in line.get_xdata()}) for line in axes.lines]
    assert drawn == [[50.0], [50.0, 70.0], [60.0], [80.0], [50.0]] and words(axes) == ["–"]
    assert axes.get_xlabel() == "%"


def test_lines_of_medians_follow_the_rank():
    rows = [
        {"method": m, "metric": "mig", "rank": r, "strength": 4 - r, "estimate": r + k, "lo": r, "hi": r + 2, "n": 5}
        for k, m in enumerate(METHODS)
        for r in (2, 0, 1)
    ]
    (axes,) = study_curves.strength_lines(Frame.from_rows(rows)).axes
    for place, (line, method) in enumerate(zip(axes.lines, METHODS, strict=True)):
        assert line.get_ydata().tolist() == [place, place + 1, place + 2]
        assert to_hex(line.get_color()).upper() == METHOD_COLOURS[method].upper()


def test_profiles_show_the_part_where_they_fall():
    rows = [
        {"method": "vae", "metric": "mig", "threshold": t, "estimate": e, "lo": e, "hi": e, "n": 4}
        for t, e in zip(np.linspace(0, 1, 11), (1, 1, 1, 0.75, 0.5, 0, 0, 0, 0, 0, 0), strict=True)
    ]
    (axes,) = study_curves.performance_profiles(Frame.from_rows(rows)).axes
    np.testing.assert_allclose(axes.get_xlim(), (0.2, 0.5))
    np.testing.assert_allclose(axes.lines[0].get_ydata()[2:6], (100, 75, 50, 0))


def test_learning_curves_and_chance():
    rows = [
        {
            "predictor": "gbt",
            "samples": s,
            "tercile": t,
            "estimate": 0.3,
            "lower": 0.2,
            "upper": 0.4,
            "n": 7,
            "chance": 0.2,
        }
        for s in (1000, 10)
        for t in ("lowest", "middle", "highest")
    ]
    (axes,) = study_curves.learning_curves(Frame.from_rows(rows), labels={"gbt": "Boosted trees"}).axes
    assert [line.get_xdata().tolist() for line in axes.lines[:3]] == [[10, 1000]] * 3
    assert axes.get_xscale() == "log" and axes.lines[3].get_ydata()[0] == 20.0 and words(axes) == ["chance"]
    assert axes.get_title("left") == "Boosted trees"


def curves(**changed):
    rows = [
        {"method": m, "latents": "all", "rank": r, "estimate": e, "n": 5}
        | {"lower": e / 2, "upper": 2 * e, "turned": m == "annealed_vae"}
        for m in ("beta_vae", "annealed_vae")
        for r, e in enumerate((1.0, 0.1, 1e-6))
    ]
    return Frame.from_rows([row | changed for row in rows])


def test_total_correlation_ends_at_its_floor_as_a_triangle():
    figure = study_total_correlation.total_correlation_lines(curves(), panel="latents", floor=0.002)
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    triangles = [line for line in axes.lines if line.get_marker() == "v" and len(line.get_xdata())]
    assert [(line.get_xdata().tolist(), line.get_ydata().tolist()) for line in triangles] == [([2.0], [1e-4])] * 2
    assert any(np.all(np.asarray(line.get_ydata()) == 0.002) for line in axes.lines) and words(axes) == [
        "independent codes"
    ]
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 1 and to_hex(dashed[0].get_color()).upper() == METHOD_COLOURS["annealed_vae"]


def test_mean_against_sampled_with_the_diagonal():
    frame = Frame.from_rows(
        [{"method": m, "sampled": 0.01 * (r + 1), "mean": 0.1, "rank": r} for m in METHODS for r in range(2)]
    )
    (axes,) = study_total_correlation.total_correlation_scatter(frame).axes
    assert axes.get_xlim() == axes.get_ylim()
    np.testing.assert_allclose(axes.collections[0].get_offsets(), [[0.01, 0.1], [0.02, 0.1]])
    small, large = axes.collections[0].get_sizes()
    assert large > small


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (study_matrices.correlation_matrices, [Frame.from_rows([], ["metric_a", "metric_b", "n"])], "must have rows"),
        (study_matrices.correlation_matrices, [pairs([[1]])], "path must end in .png"),
        (study_scores.violins, [Frame({"method": ["a"], "mig": [None]}), "mig"], "numbers in 'mig'"),
        (study_curves.strength_lines, [Frame.from_rows([], ["method", "metric", "n", "rank"])], "must have rows"),
    ],
)
def test_what_cannot_be_drawn(function, arguments, message, tmp_path):
    options = {"path": tmp_path / "a.pdf"} if "png" in message else {}
    with pytest.raises(ValueError, match=message):
        function(*arguments, **options)


def test_a_figure_is_written_and_names_may_hold_anything(tmp_path):
    frame = pairs([[1, 0.5], [0.5, 1]], names=("$a_b$ <x>", "_hidden"))
    study_matrices.correlation_matrices(frame, title="$1 & $2", path=tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width > 400
    rows = [{"method": name, "mig": value} for name in ("$a_b$", "_hidden") for value in (0.1, 0.2, 0.4)]
    frame = Frame.from_rows([row | {"other": row["mig"]} for row in rows])
    study_curves.score_scatter(frame, "mig", "other", path=tmp_path / "b.png")
