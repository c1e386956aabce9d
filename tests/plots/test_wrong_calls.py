"""Wrong calls of figures: each is refused before anything is drawn, in words that say what is wrong."""

import functools
import math

import numpy as np
from wrong_calls import WrongCall, check, wrong_calls

import kerasvae as kv
from kerasvae import plots
from kerasvae.analysis.study import Analysis, Frame

IMAGES = np.zeros((3, 8, 8, 1), "uint8")
ROWS = [{"step": 1, "kl_nats": 1.0}]
KL = {"a": ([1, 2], [[1.0, 2.0], [2.0, 3.0]])}
GRID = {"a": np.arange(8.0).reshape(4, 2)}
INFORMATION = ([[0.9, 0.1]], [1.0, 1.0], ["shape", "scale"])
FRAME = Frame({"method": ["a"], "mig": [0.5]})


@functools.cache
def model():
    encoder = kv.networks.mlp_encoder((8, 8, 1), 2, hidden=(4,), seed=1)
    return kv.BetaVAE(encoder, kv.networks.mlp_decoder((8, 8, 1), 2, hidden=(4,), seed=2), seed=0)


@functools.cache
def data():
    return kv.datasets.XYObject(grid_spacing=2, square_sizes=(3, 4), image_size=8, palette="grey", intensities=2)


def row(name, call, *words):
    return WrongCall(name, call, ValueError, words)


MODELS = [
    row("model-a-path", lambda: plots.reconstructions("model.keras", IMAGES), "model must be a model", "'model.keras'"),
    row("model-an-encoder", lambda: plots.reconstructions(model().encoder, IMAGES), "model must be a model"),
    row("model-a-class", lambda: plots.codes_over_factors(kv.BetaVAE, data()), "model must be", "the class BetaVAE"),
    row(
        "model-and-data-swapped", lambda: plots.position_heat_maps(data(), model()), "model must be a model", "XYObject"
    ),
    row("model-missing", lambda: plots.factor_labels(None, data()), "model must be a model", "None"),
    row("models-a-list", lambda: plots.latent_traversals([model()], IMAGES), "models", "{name: model}", "BetaVAE"),
    row("models-a-class", lambda: plots.overview(kv.VAE, data()), "models", "{name: model}", "the class VAE"),
    row("kl-a-path", lambda: plots.kl_bars("model.keras"), "model_or_kl must be a model or KL", "'model.keras'"),
    row("kl-without-images", lambda: plots.kl_bars(model()), "images must be given", "None"),
    row("kl-negative", lambda: plots.kl_bars([0.1, -1.0]), "model_or_kl", "at least 0", "-1.0"),
    row("kl-booleans", lambda: plots.kl_bars([True, False]), "model_or_kl", "KL (latents,)", "True"),
]
DATA = [
    row(
        "images-a-data-set",
        lambda: plots.reconstructions(model(), data()),
        "images must be images",
        "data set",
        "XYObj",
    ),
    row("images-a-path", lambda: plots.kl_bars(model(), "photos"), "images must be images", "'photos'"),
    row("images-none", lambda: plots.reconstructions(model(), IMAGES[:0]), "images", "at least one", "(0, 8, 8, 1)"),
    row("images-in-a-dictionary", lambda: plots.latent_traversals(model(), {"a": IMAGES}), "images must be images"),
    row("data-a-name", lambda: plots.overview(model(), "dsprites"), "data must be", "DSprites()", "'dsprites'"),
    row(
        "data-images", lambda: plots.codes_over_factors(model(), IMAGES), "data must be", "uint8 of shape (3, 8, 8, 1)"
    ),
    row(
        "data-a-class", lambda: plots.factor_labels(model(), kv.datasets.XYObject), "data must be", "the class XYObject"
    ),
    row(
        "data-of-other-images",
        lambda: plots.overview(model(), kv.datasets.MiniSprites()),
        "data must have images of (8, 8, 1)",
        "got (16, 16, 1) of MiniSprites",
    ),
    row("factors-a-number", lambda: plots.overview(model(), data(), factors=5), "factors must name two of x, y", "5"),
    row("factors-one-word", lambda: plots.codes_over_factors(model(), data(), "xy"), "factors must name two", "'xy'"),
    row(
        "factors-lists",
        lambda: plots.codes_over_factors(model(), data(), (["x"], ["y"])),
        "factors must name two",
        "['x']",
    ),
    row("factors-alike", lambda: plots.codes_over_factors(model(), data(), ("x", "x")), "factors must name two", "'x'"),
    row("at-a-name", lambda: plots.position_heat_maps(model(), data(), at="scale"), "at must be {name", "'scale'"),
    row("at-too-large", lambda: plots.overview(model(), data(), at={"scale": 2}), "at: scale", "0..1", "got 2"),
    row("at-a-boolean", lambda: plots.overview(model(), data(), at={"scale": True}), "at: scale", "integer", "True"),
    row("average-none", lambda: plots.codes_over_factors(model(), data(), average=0), "average", "at least 1", "0"),
    row("average-misspelt", lambda: plots.overview(model(), data(), average="All"), "average", '"all"', "'All'"),
]
OPTIONS = [
    row("count-zero", lambda: plots.reconstructions(model(), IMAGES, count=0), "count", "at least 1", "0"),
    row("count-a-boolean", lambda: plots.reconstructions(model(), IMAGES, count=True), "count", "integer", "True"),
    row(
        "stretch-a-word",
        lambda: plots.reconstructions(model(), IMAGES, stretch="yes"),
        "stretch",
        "True or False",
        "yes",
    ),
    row("base-misspelt", lambda: plots.latent_traversals(model(), IMAGES, base="Prior"), "base", '"prior"', "'Prior'"),
    row(
        "extent-not-finite",
        lambda: plots.latent_traversals(model(), IMAGES, extent=math.nan),
        "extent",
        "finite",
        "nan",
    ),
    row("extent-a-range", lambda: plots.latent_traversals(model(), IMAGES, extent=(-2, 2)), "extent", "(-2, 2)"),
    row("columns-one", lambda: plots.overview(model(), data(), columns=1), "columns", "at least 2", "1"),
    row("style-a-colour-map", lambda: plots.overview(model(), data(), style="coolwarm"), "style", "poster", "coolwarm"),
    row("latents-a-word", lambda: plots.position_heat_maps(model(), data(), latents="3"), "latents", "integer", "'3'"),
    row("seed-negative", lambda: plots.overview(model(), data(), seed=-1), "seed", "at least 0", "-1"),
    row("seed-a-fraction", lambda: plots.factor_labels(model(), data(), seed=1.5), "seed", "integer", "1.5"),
    row("bins-one", lambda: plots.factor_labels(model(), data(), bins=1), "bins", "at least 2", "1"),
    row(
        "progress-a-word", lambda: plots.codes_over_factors(model(), data(), progress="no"), "progress", "None", "'no'"
    ),
    row("path-a-number", lambda: plots.kl_bars([0.1], path=5), "path", ".png", "5"),
    row("path-of-another-kind", lambda: plots.history({"a": ROWS}, path="a.svg"), "path", ".png", "'a.svg'"),
]
RUNS = [
    row("scores-not-named", lambda: plots.scores({"mig": 0.1}), "runs", "{run name: {score name: number}}", "0.1"),
    row("scores-text", lambda: plots.scores({"a": {"mig": "0.5"}}), "runs", "numbers", "'0.5'", "'mig' of 'a'"),
    row("scores-booleans", lambda: plots.scores({"a": {"mig": True}}), "runs", "numbers", "True"),
    row("history-a-path", lambda: plots.history({"a": "history.csv"}), "runs", "rows of its history", "history.csv"),
    row("history-of-text", lambda: plots.history({"a": [{"step": 1, "kl_nats": "x"}]}), "runs['a']: kl_nats", "['x']"),
    row(
        "history-step-of-text",
        lambda: plots.history({"a": [{"step": "x", "kl_nats": 1.0}]}),
        "runs['a']: step",
        "['x']",
    ),
    row(
        "history-step-nan",
        lambda: plots.history({"a": [{"step": math.nan, "kl_nats": 1}]}),
        "runs['a']: step",
        "finite",
    ),
    row("kl-rows-of-text", lambda: plots.kl_over_training({"a": [{"step": 1, "kl.z0": "x"}]}), "runs['a']: KL", "'x'"),
    row(
        "kl-uneven",
        lambda: plots.kl_over_training({"a": ([1, 2], [[1.0], [2.0, 3.0]])}),
        "runs['a']",
        "(times, latents)",
    ),
    row(
        "kl-step-nan", lambda: plots.kl_over_training({"a": ([math.nan], [[1.0]])}), "runs['a']: step", "finite", "nan"
    ),
    row("labels-a-number", lambda: plots.kl_over_training(KL, labels={"a": 5}), "labels['a']", "2 latents", "5"),
    row("labels-letters", lambda: plots.kl_over_training(KL, labels={"a": "xy"}), "labels['a']", "2 latents", "'xy'"),
    row(
        "capacity-text",
        lambda: plots.kl_over_training(KL, capacity={"a": "x"}),
        "capacity['a']",
        "function of the step",
    ),
    row("capacity-of-nothing", lambda: plots.kl_over_training(KL, capacity={"a": lambda step: None}), "capacity['a']"),
    row("grid-of-text", lambda: plots.latent_grid({"a": [["p", "q"]] * 4}, factor_sizes=(2, 2)), "runs['a']", "codes"),
    row(
        "grid-complex", lambda: plots.latent_grid({"a": GRID["a"] * 1j}, factor_sizes=(2, 2)), "runs['a']", "complex128"
    ),
    row(
        "grid-sizes-a-word", lambda: plots.latent_grid(GRID, factor_sizes="22"), "factor_sizes", "two integers", "'22'"
    ),
    row("grid-sizes-booleans", lambda: plots.latent_grid(GRID, factor_sizes=(True, 2)), "factor_sizes", "True"),
    row("information-text", lambda: plots.labels_from_information("x", *INFORMATION[1:]), "information", "'x'"),
    row(
        "information-nan",
        lambda: plots.labels_from_information([[math.nan, 1]], *INFORMATION[1:]),
        "information",
        "nan",
    ),
    row("entropies-negative", lambda: plots.labels_from_information([[1, 1]], [-1, 1], ["a", "b"]), "entropies", "-1"),
    row("factor-names-letters", lambda: plots.labels_from_information(*INFORMATION[:2], "ab"), "factor_names", "'ab'"),
]
FRAMES = [
    row("frame-a-path", lambda: plots.violins("results.csv", "mig"), "frame must be", "Frame", "'results.csv'"),
    row("frame-a-list", lambda: plots.share_bars([{"mig": 1}]), "frame must be", "Frame", "list"),
    row(
        "frame-an-analysis", lambda: plots.interval_dots(Analysis("t", {"means": FRAME})), "frame", "its frames, means"
    ),
    row("frame-of-another-analysis", lambda: plots.strength_lines(FRAME), "frame", "column 'rank'", "'method', 'mig'"),
    row("frame-lacks-the-score", lambda: plots.violins(FRAME, "sap"), "frame", "column 'sap'", "'method', 'mig'"),
    row("frame-lacks-the-panel", lambda: plots.violins(FRAME, "mig", panel="dataset"), "frame", "column 'dataset'"),
    row("frame-empty", lambda: plots.elbo_by_angle(Frame.from_rows([], ["angle"])), "frame must have rows"),
    row("matrix-of-another-analysis", lambda: plots.correlation_matrices(FRAME), "frame", "column 'metric_a'"),
    row("methods-one-word", lambda: plots.method_colours("vae"), "methods must be a list of names", "'vae'"),
]


@wrong_calls(*MODELS, *DATA, *OPTIONS, *RUNS, *FRAMES)
def test_wrong_calls(wrong):
    check(wrong)


def test_a_folder_is_no_place_for_a_figure(tmp_path):
    (tmp_path / "a.png").mkdir()
    for draw in (plots.scores, plots.history):
        check(
            WrongCall(
                draw.__name__,
                lambda draw=draw: draw({"a": {"mig": 1.0}}, path=tmp_path / "a.png"),
                IsADirectoryError,
                ("path", "/a.png' is a folder"),
            )
        )
