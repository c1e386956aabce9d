"""A search by Keras Tuner in its ordinary way: β, latents and loss for one white square, by Bayesian optimisation.

    python recipes/hyper_search.py [--trials 12] [--score mig] [--folder runs/hyper_search] [--force]

Ada-GVAE learns the quickstart's XYSquares (64 images). In the end there are a table of the trials, and best.keras. A
search that was interrupted goes on where it was. A couple of minutes on two CPU cores.
"""

import argparse
import sys
from pathlib import Path

import keras_tuner as kt

import kerasvae as kv

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--trials", type=int, default=12, help="in all, at least 1")
parser.add_argument("--score", default="mig", help='to search by: a score of kerasvae.metrics, or "udr" (5 × as long)')
parser.add_argument("--epochs", type=int, default=4, help="of 200 steps each; every one ends with a score")
parser.add_argument("--seed", type=int, default=1, help="of the search and of every training, at least 1")
parser.add_argument("--folder", default="runs/hyper_search", help="of the search; the same folder again goes on")
parser.add_argument("--force", action="store_true", help="start afresh where a search is")
options = parser.parse_args()

hyper = kv.tuning.HyperVAE(
    kv.datasets.XYSquares(num_squares=1, rgb=False),
    kv.AdaGVAE,
    losses={"mse": kv.losses.MeanSquaredError(), "boxblur": kv.losses.BoxBlurMSE()},
    betas=(0.001, 10.0, "log"),
    latents=[2, 4, 8],
    seed=options.seed,
    score=options.score,
    epochs=options.epochs,
    steps_per_epoch=200,
    networks="mlp",
    batch_size=32,
)
tuner = kt.BayesianOptimization(
    hyper,
    hyper.objective,
    max_trials=options.trials,
    num_initial_points=min(6, options.trials),
    seed=options.seed,
    directory=str(Path(options.folder).parent),
    project_name=Path(options.folder).name,
    overwrite=options.force,
)
tuner.search(verbose=2)
# Keras Tuner itself says nothing of trials that failed.
try:
    trials, failures = kv.tuning.check_trials(tuner), None
except kv.tuning.FailedTrialsError as error:
    trials, failures = error.results, str(error)
trials.sort(key=lambda trial: trial.get(hyper.objective.name, float("-inf")), reverse=True)
# Without the reconstruction, which each loss measures in units of its own.
columns = ("trial", "loss", "beta", "latents", hyper.objective.name, "epoch", "kl_nats", "status")
kv.tuning.print_results([{name: trial[name] for name in columns if name in trial} for trial in trials])
if trials[0]["status"] == "COMPLETED":
    best = Path(options.folder) / "best.keras"
    tuner.get_best_models()[0].save(best)
    print(f"{best}: {hyper.objective.name} {trials[0][hyper.objective.name]:.3f}")
sys.exit(failures)
