"""Wrong calls of perceived distances and audits."""

import functools
import math

import keras
import numpy as np
from wrong_calls import WrongCall, check, wrong_calls

import kerasvae as kv
from kerasvae import perception

MSE, BLUR = kv.losses.MeanSquaredError(), kv.losses.BoxBlurMSE(1, 1.0)


@functools.cache
def data():
    return kv.datasets.XYSquares(num_squares=1, image_size=8, square_size=2, grid_spacing=2, grid_size=3, rgb=False)


def row(name, call, *words, error=ValueError):
    return WrongCall(name, call, error, words)


def distances(data_set=None, loss=MSE, pairs=4, **given):
    return perception.perceived_distances(data() if data_set is None else data_set, loss, pairs, **given)


def audit(**given):
    return perception.audit(data(), BLUR, 4, **given)


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
    row("radii-of-mse", lambda: perception.audit(data(), MSE, 4, radii=[1]), "radii are for BoxBlurMSE", "MeanSquared"),
    row("scan-pairs-one", lambda: audit(scan_pairs=1), "scan_pairs must be an integer, at least 2", "1"),
    row("first-a-number", lambda: perception.pair_distances(data(), MSE, 0, [1]), "first: indices", "one-dimensional"),
    row("second-too-large", lambda: perception.pair_distances(data(), MSE, [0], [9]), "second: indices", "0..8", "9"),
    row("unequal-halves", lambda: perception.pair_distances(data(), MSE, [0], [1, 2]), "first and second", "1 and 2"),
    row("figure-not-named", lambda: perception.cumulative_figure([1]), "results must be {title: PerceivedDistances}"),
    row("figure-of-nothing", lambda: perception.cumulative_figure({"a": None}), "PerceivedDistances", "None for 'a'"),
    row("audit-figure-of-text", lambda: perception.audit_figure("audit.json"), "result must be an Audit", "audit.json"),
]


@wrong_calls(*MEASURING)
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
        check(row("draw", lambda path=path: perception.cumulative_figure({"a": found}, path=path), words, error=error))
