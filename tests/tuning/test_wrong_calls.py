"""Wrong calls of searches, rows, runs and tables: each is refused before anything runs, and nothing is written."""

import functools
import math

import keras
import numpy as np
from wrong_calls import WrongCall, check, wrong_calls

import kerasvae as kv
from kerasvae import tuning
from kerasvae.tuning import grids, studies

ROWS = [{"seed": 1}, {"seed": 2}]
ROW, STUDY_ROW = grids.augmented_loss("small")[0], studies.poster("tiny")[0]
RESULTS = [{"beta": 1.0, "mig": 0.5, "latents": 2, "status": "COMPLETED"}]


def run(row, folder, verbose):
    raise AssertionError("it began")


@functools.cache
def data():
    return kv.datasets.XYSquares(num_squares=1, image_size=16, grid_size=2, rgb=False)


def row(name, call, *words, error=ValueError):
    return WrongCall(name, call, error, words)


def search(**given):
    return tuning.search(**{"run": run, "rows": ROWS, "folder": "not/made", **given})


def train(**given):
    return tuning.train_and_score(**{"data": data(), "steps": 1, "networks": "mlp", **given})


def hyper(**given):
    return tuning.HyperVAE(**{"data": data(), "objectives": kv.BetaVAE, "networks": "mlp", **given})


SEARCH = [
    row("run-text", lambda: search(run="train"), "run must be a function of (row, folder, verbose)", "'train'"),
    row("run-a-class", lambda: search(run=tuning.StudyRun), "run must be a function", "class StudyRun", "StudyRun()"),
    row("run-a-model", lambda: search(run=keras.Sequential()), "run must be a function", "Sequential"),
    row("run-of-nothing", lambda: search(run=dict), "run must be a function", "the class dict"),
    row("run-without-arguments", lambda: search(run=lambda: {}), "run must be a function", "too many positional"),
    row("rows-a-dictionary", lambda: search(rows={"seed": 1}), "rows must be a list", "{'seed': 1}"),
    row("rows-none", lambda: search(rows=[]), "rows must hold at least one row"),
    row("rows-numbers", lambda: search(rows=[1]), "rows[0] must be a dictionary", "1"),
    row("rows-an-array", lambda: search(rows=np.zeros((9, 9, 9))), "rows[0] must be a dictionary"),
    row("rows-twice", lambda: search(rows=[*ROWS, ROWS[0]]), "rows must differ", "rows[0] and rows[2]"),
    row("rows-uneven", lambda: search(rows=[*ROWS, {"beta": 1}]), "same fields", "rows[2] ['beta']"),
    row("rows-seed-zero", lambda: search(rows=[{"seed": 0}]), "rows[0]['seed']", "at least 1", "0"),
    row("rows-nan", lambda: search(rows=[{"beta": math.nan}]), "rows[0]['beta']", "finite", "nan"),
    row("folder-empty", lambda: search(folder=""), "folder must be the path of a folder", "''"),
    row("folder-none", lambda: search(folder=None), "folder must be the path of a folder", "None"),
    row("objective-a-name", lambda: search(objective="mig"), "objective", '"min" or "max"', "'mig'"),
    row("objective-up", lambda: search(objective=("mig", "up")), "objective", '"min" or "max"', "'up'"),
    row("objective-no-name", lambda: search(objective=("", "max")), "objective", "name of a metric", "''"),
    row("verbose-a-boolean", lambda: search(verbose=True), "verbose must be 0, 1 or 2", "True"),
    row("verbose-a-word", lambda: search(verbose="auto"), "verbose must be 0, 1 or 2", "'auto'"),
    row("workers-zero", lambda: search(workers=0), "workers", "at least 1", "0"),
    row("timeout-nan", lambda: search(timeout=math.nan), "timeout", "at least 1", "nan"),
    row("role-alone", lambda: search(role="chief"), "chief", "HOST:PORT", "None"),
    row("axis-letters", lambda: tuning.rows(beta="abc"), "beta must be a list of values", "'abc'"),
    row("axis-a-number", lambda: tuning.rows(beta=1), "beta must be a list of values", "1"),
    row("axis-empty", lambda: tuning.rows(beta=[]), "axes must each hold at least one value"),
    row("scale-misspelt", lambda: grids.overlap("Small"), "scale", "'small'", "'Small'"),
    row("flavour-misspelt", lambda: grids.overlap("small", "author"), "flavour", "'authors'", "'author'"),
    row("size-misspelt", lambda: studies.poster("huge"), "size", "'tiny'", "'huge'"),
    row("preset-misspelt", lambda: studies.poster("tiny", "2019"), "preset", "'poster-2019-03'", "'2019'"),
]
RUNS = [
    row("run-jobs-zero", lambda: tuning.ExperimentRun(jobs=0), "jobs", "at least 1", "0"),
    row(
        "run-on-device-a-word", lambda: tuning.ExperimentRun(on_device="gpu"), "on_device", "True, False or None", "gpu"
    ),
    row("run-pictures-a-word", lambda: tuning.ExperimentRun(pictures="no"), "pictures", "True or False", "'no'"),
    row("run-data-dir-empty", lambda: tuning.ExperimentRun(""), "data_dir must be the path of a folder", "''"),
    row("study-keep-a-number", lambda: tuning.StudyRun(keep_models=1), "keep_models", "True or False", "1"),
    row("study-manual-dir-a-number", lambda: tuning.StudyRun(manual_dir=5), "manual_dir", "path of a folder", "5"),
    row("row-none", lambda: tuning.ExperimentRun().check(None), "row must be a dictionary", "tuning.grids", "None"),
    row("row-of-another-grid", lambda: tuning.StudyRun().check({"seed": 1}), "row must have the fields", "and 46 more"),
    row("row-more-fields", lambda: tuning.StudyRun().check({**STUDY_ROW, "foo": 1}), "fields", "alone", "foo"),
    row("row-data-set", lambda: tuning.ExperimentRun().check({**ROW, "dataset": "mnist"}), "row['dataset']", "'mnist'"),
    row(
        "row-steps", lambda: tuning.ExperimentRun().check({**ROW, "steps": "many"}), "row['steps']", "integer", "'many'"
    ),
    row("row-rate", lambda: tuning.ExperimentRun().check({**ROW, "learning_rate": -1}), "row['learning_rate']", "-1"),
    row("row-decay", lambda: tuning.StudyRun().check({**STUDY_ROW, "beta_1": 2}), "row['beta_1']", "below 1", "2"),
    row("row-epsilon", lambda: tuning.ExperimentRun().check({**ROW, "epsilon": math.nan}), "row['epsilon']", "nan"),
]
TRAINING = [
    row("data-a-name", lambda: train(data="dsprites"), "data must be a data set", "'dsprites'"),
    row("data-a-class", lambda: train(data=kv.datasets.DSprites), "data must be a data set", "the class DSprites"),
    row("steps-zero", lambda: train(steps=0), "steps", "at least 1", "0"),
    row("objective-text", lambda: train(objective="betavae"), "objective must be a VAE class", "'betavae'"),
    row("objective-an-empty-choice", lambda: train(objective={}), "objective", "at least one", "empty"),
    row("loss-a-class", lambda: train(loss=kv.losses.MeanSquaredError), "loss must be a keras.losses.Loss"),
    row("networks-made", lambda: train(networks=[keras.Sequential()] * 2), "networks", "two functions", "Sequential"),
    row("pipeline-text", lambda: train(pipeline="pairs"), "pipeline must be a function", "'pairs'"),
    row("optimizer-text", lambda: train(optimizer="adam"), "optimizer must be a function", "'adam'"),
    row("optimizer-made", lambda: train(optimizer=keras.optimizers.Adam()), "optimizer must be a function", "Adam"),
    row("scores-a-name", lambda: train(scores="mig"), "scores must be a list", "'mig'"),
    row("scores-misspelt", lambda: train(scores=["migg"]), "scores", "'mig'", "'migg'"),
    row("row-seed-text", lambda: train(objective=kv.BetaVAE).check({"seed": "x"}), "seed must be an integer", "'x'"),
    row("row-a-number", lambda: train(objective=kv.BetaVAE).check(5), "row must be a dictionary", "5"),
    row("hyper-data-images", lambda: hyper(data=np.zeros((3, 8, 8, 1))), "data must be a data set", "array"),
    row("hyper-objectives-an-instance", lambda: hyper(objectives=[kv.BetaVAE]), "objectives must be a VAE class"),
    row("hyper-losses-text", lambda: hyper(losses="mse"), "losses must be a keras.losses.Loss", "'mse'"),
    row("hyper-latents-zero", lambda: hyper(latents=0), "latents", "at least 1", "0"),
    row("hyper-betas-backwards", lambda: hyper(betas=(2, 1, "log")), "betas", "low below high", "(2, 1, 'log')"),
    row("hyper-betas-a-dictionary", lambda: hyper(betas={"low": 1}), "betas", '(low, high, "log"', "{'low': 1}"),
    row("hyper-arguments-unknown", lambda: hyper(arguments={"foo": 1}), "arguments", "'foo'", "BetaVAE"),
    row("hyper-score-misspelt", lambda: hyper(score="migg"), "score", "'mig'", "'migg'"),
    row("hyper-direction-up", lambda: hyper(direction="up"), "direction", '"min" or "max"', "'up'"),
    row("hyper-epochs-zero", lambda: hyper(epochs=0), "epochs", "at least 1", "0"),
]
TABLES = [
    row("print-a-number", lambda: tuning.print_results(5), "results must be a list of dictionaries", "5"),
    row("print-a-dictionary", lambda: tuning.print_results({"a": 1}), "results must be a list of dictionaries", "'a'"),
    row(
        "trials-of-a-model", lambda: tuning.check_trials(hyper(latents=1)), "tuner must be a Keras Tuner tuner", "Hyper"
    ),
    row("draw-no-results", lambda: tuning.draw_results(None, "a.png"), "results must be a list", "None"),
    row(
        "draw-other-fields", lambda: tuning.draw_results(RESULTS, "a.png", x="gamma"), "results", "'gamma'", "1 without"
    ),
    row("draw-a-list", lambda: tuning.draw_results(RESULTS, "a.png", y=["mig"]), "y must be the name", "['mig']"),
    row("draw-text", lambda: tuning.draw_results(RESULTS, "a.png", x="status"), "x must be a field of numbers"),
    row("draw-jpg", lambda: tuning.draw_results(RESULTS, "a.jpg"), "path must end in .png", "'a.jpg'"),
    row("figure-of-another", lambda: tuning.draw_experiment("other", [], "a.png"), "name must be", "'other'"),
    row("figure-of-a-list", lambda: tuning.draw_experiment(["overlap"], [], "a.png"), "name must be", "['overlap']"),
    row("figure-of-rows", lambda: tuning.draw_experiment("overlap", ROWS, "a.png"), "results[0]", "'status'"),
    row("figure-of-nothing", lambda: tuning.draw_experiment("overlap", [], "a.png"), "results", "finished row"),
    row(
        "experiment-nowhere",
        lambda: tuning.read_experiment("not/made"),
        "folder",
        "holds no experiment",
        "not/made",
        error=FileNotFoundError,
    ),
    row("experiment-none", lambda: tuning.read_experiment(None), "folder must be the path of a folder", "None"),
    row("experiment-rows-text", lambda: tuning.experiment_results("a", "rows"), "rows must be a list", "'rows'"),
    row("study-rows-swapped", lambda: tuning.study_results(ROWS, "folder"), "folder must be the path", "'seed'"),
    row("study-rows-of-a-grid", lambda: tuning.study_table("a", [ROW]), "rows[0] must have the field 'method'"),
    row("codes-rows-text", lambda: tuning.StudyCodes("a", "rows"), "rows must be a list", "'rows'"),
    row("claims-of-a-path", lambda: tuning.poster_claims("results.csv"), "table must be a ResultsTable", "results.csv"),
]


@wrong_calls(*SEARCH, *RUNS, *TRAINING, *TABLES)
def test_wrong_calls(wrong, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check(wrong)
    assert list(tmp_path.iterdir()) == []
