"""Wrong calls of perceived distances, audits and analyses of results."""

import functools
import math

import keras
import numpy as np
from wrong_calls import WrongCall, check, wrong_calls

import kerasvae as kv
from kerasvae import analysis
from kerasvae.analysis import study
from kerasvae.report import report_html, write_report

MSE, BLUR = kv.losses.MeanSquaredError(), kv.losses.BoxBlurMSE(1, 1.0)


@functools.cache
def data():
    return kv.datasets.XYSquares(num_squares=1, image_size=8, square_size=2, grid_spacing=2, grid_size=3, rgb=False)


@functools.cache
def table():
    return study.load(
        [{"model": "vae", "beta": b, "seed": s, "mig": b / 9, "sap": s / 9} for b in (1, 4) for s in (1, 2)]
    )


def row(name, call, *words, error=ValueError):
    return WrongCall(name, call, error, words)


def distances(data_set=None, loss=MSE, pairs=4, **given):
    return analysis.perceived_distances(data() if data_set is None else data_set, loss, pairs, **given)


def audit(**given):
    return analysis.audit(data(), BLUR, 4, **given)


MEASURING = [
    row("data-a-name", lambda: distances("dsprites"), "data must be a data set", "XYSquares()", "'dsprites'"),
    row("data-images", lambda: distances(np.zeros((9, 16, 16, 1))), "data must be a data set", "array"),
    row("data-a-class", lambda: distances(kv.datasets.XYSquares), "data must be a data set", "the class XYSquares"),
    row("data-and-loss-swapped", lambda: distances(MSE, data()), "data must be a data set", "MeanSquaredError"),
    row("loss-a-name", lambda: distances(loss="mse"), "loss must be a keras.losses.Loss", "got str"),
    row("loss-a-class", lambda: distances(loss=keras.losses.MeanSquaredError), "loss must be a keras.losses.Loss"),
    row(
        "loss-of-logits", lambda: distances(loss=kv.losses.BernoulliNLL()), "loss must compare two images", "Bernoulli"
    ),
    row("pairs-none", lambda: distances(pairs=0), "pairs must be an integer, at least 1", "0"),
    row("pairs-a-boolean", lambda: distances(pairs=True), "pairs must be an integer", "True"),
    row("seed-negative", lambda: distances(seed=-1), "seed must be an integer in 0..4294967295", "-1"),
    row("protocol-misspelt", lambda: distances(protocol="Authors"), "protocol", '"authors"', "'Authors'"),
    row("shared-draws-a-word", lambda: distances(shared_draws="no"), "shared_draws", "True or False", "'no'"),
    row("progress-none", lambda: distances(progress=None), "progress", "True or False", "None"),
    row("batch-size-zero", lambda: distances(batch_size=0), "batch_size must be an integer, at least 1", "0"),
    row("name-a-number", lambda: distances(name=5), "name must be a text", "5"),
    row("threshold-nan", lambda: audit(threshold=math.nan), "threshold", "finite", "nan"),
    row("radii-a-number", lambda: audit(radii=3), "radii must be a list of numbers", "3"),
    row("radii-a-fraction", lambda: audit(radii=[1.5]), "radii[0] must be an integer, at least 0", "1.5"),
    row("weights-text", lambda: audit(weights="10"), "weights must be a list of numbers", "'10'"),
    row("weights-negative", lambda: audit(weights=[-1]), "weights", "at least 0", "-1"),
    row("radii-of-mse", lambda: analysis.audit(data(), MSE, 4, radii=[1]), "radii are for BoxBlurMSE", "MeanSquared"),
    row("scan-pairs-one", lambda: audit(scan_pairs=1), "scan_pairs must be an integer, at least 2", "1"),
    row("first-a-number", lambda: analysis.pair_distances(data(), MSE, 0, [1]), "first: indices", "one-dimensional"),
    row("second-too-large", lambda: analysis.pair_distances(data(), MSE, [0], [9]), "second: indices", "0..8", "9"),
    row("unequal-halves", lambda: analysis.pair_distances(data(), MSE, [0], [1, 2]), "first and second", "1 and 2"),
    row("figure-not-named", lambda: analysis.cumulative_figure([1]), "results must be {title: PerceivedDistances}"),
    row("figure-of-nothing", lambda: analysis.cumulative_figure({"a": None}), "PerceivedDistances", "None for 'a'"),
    row("audit-figure-of-text", lambda: analysis.audit_figure("audit.json"), "result must be an Audit", "audit.json"),
]
RESULTS = [
    row("source-nowhere", lambda: study.load("nowhere.csv"), "source", "'nowhere.csv'", error=FileNotFoundError),
    row("source-a-number", lambda: study.load(5), "source must be a path", "int", error=TypeError),
    row("source-empty", lambda: study.load([]), "source must hold at least one run"),
    row("table-a-path", lambda: study.metric_correlations("a.csv"), "table must be a ResultsTable", error=TypeError),
    row("metrics-one-word", lambda: study.metric_correlations(table(), "mig"), "metrics must be a list", "'mig'"),
    row("metrics-a-number", lambda: study.compare_methods(table(), 5), "metrics must be a list of names", "5"),
    row("metrics-twice", lambda: study.metric_correlations(table(), ["mig", "mig"]), "metrics must be different"),
    row("beside-nobody", lambda: study.metric_correlations(table(), beside="nobody"), "dubois2019-poster", "'nobody'"),
    row("beside-a-list", lambda: study.published_tables(["a"]), "study must be one of", "['a']"),
    row("report-replicates", lambda: report_html(table(), replicates=1), "replicates must be", "at least 2, got 1"),
    row("report-beside", lambda: report_html(table(), beside="nobody"), "beside must be one of", "'nobody'"),
    row("report-title", lambda: report_html(table(), title=5), "title must be a text", "5"),
    row("report-path", lambda: write_report(table(), None), "path must end in .html", "None"),
    row("report-images", lambda: report_html(table(), images="nowhere"), "images must be a folder", "'nowhere'"),
    row("report-ending", lambda: write_report(table(), "a.pdf"), "path must end in .html", "'a.pdf'"),
]


@wrong_calls(*MEASURING, *RESULTS)
def test_wrong_calls(wrong):
    check(wrong)


def test_folders_and_files_that_results_are_not_written_to(tmp_path):
    found = distances(progress=False)
    for folder in ("", None, 5):
        check(row("save", lambda folder=folder: found.save(folder), "folder must be the path", repr(folder)))
    (tmp_path / "a.png").mkdir()
    for path, error, words in (
        (5, ValueError, "path must end in .png"),
        ("a.jpg", ValueError, "'a.jpg'"),
        (tmp_path / "a.png", IsADirectoryError, "is a folder"),
    ):
        check(row("draw", lambda path=path: analysis.cumulative_figure({"a": found}, path=path), words, error=error))
