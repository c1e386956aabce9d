"""The paper's claim, live: Ada-GVAE cannot disentangle XYSquares with a pixel-wise loss, and can with a box blur.

    python recipes/quickstart.py [--seed 1] [--out runs/quickstart] [--force | --resume]

Two models learn one white square on an 8×8 grid (64 images) from the same pairs; they differ in the reconstruction loss
and in the β that goes with it. A few minutes on two CPU cores.
"""

import argparse
import functools
import importlib.util
import shutil
import sys
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import kerasvae as kv

LATENTS, PAIRS, STEPS = 4, 64, 1500
# β in the mean form. For MSE 0.01 reconstructs best; on 16×16 images no β from 0.0003 to 0.3 brought MIG above 0.1.
RUNS = {"mse": (kv.losses.MeanSquaredError(), 0.01), "boxblur": (kv.losses.BoxBlurMSE(), 5.0)}
DATA = kv.datasets.XYSquares(num_squares=1, rgb=False)
IMAGES, FACTORS = DATA.images(np.arange(len(DATA))), DATA.factors(np.arange(len(DATA)))


def build(loss, beta, seed):
    model = kv.AdaGVAE(
        kv.networks.mlp_encoder(DATA.image_shape, LATENTS, seed=seed),
        kv.networks.mlp_decoder(DATA.image_shape, LATENTS, seed=seed + 1),
        loss,
        beta=kv.schedules.Linear(0.0, beta, steps=int(0.3 * STEPS)),
        seed=seed,
    )
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([int(0.7 * STEPS), int(0.85 * STEPS)], [2e-3, 5e-4, 1e-4])
    model.compile(keras.optimizers.Adam(rate, epsilon=1e-8))
    return model


def measure(model):
    mean, logvar = model.encode(IMAGES, return_logvar=True)
    active = np.asarray(kv.math.kl_standard_normal(mean, logvar)).mean(axis=0) > 0.01
    scores = kv.metrics.evaluate(model.encode, DATA, ["mig", "dci"], train=2000, test=1000)
    return {
        **{name: float(score) for name, score in scores.items()},
        # A latent that carries nothing still has 64 distinct codes, in which the histogram of MIG finds "information".
        "mig_of_active_latents": float(kv.metrics.mig(mean[:, active], FACTORS)) if active.any() else 0.0,
        "active_latents": int(active.sum()),
        "squared_error": float(np.square(model.reconstruct(IMAGES) - DATA.standardize(IMAGES)).mean()),
    }


def show(console, scores, out, seed):
    table = Table(title=f"Ada-GVAE on one square, 8×8 grid, seed {seed}: {STEPS} steps of {PAIRS} pairs")
    for heading in ("reconstruction loss", "β", "squared error", "active latents", "MIG", "MIG of active", "DCI"):
        table.add_column(heading, justify="left" if heading == "reconstruction loss" else "right")
    for name, row in scores.items():
        numbers = [f"{row[key]:.3f}" for key in ("squared_error", "mig", "mig_of_active_latents", "dci")]
        numbers.insert(1, f"{row['active_latents']} of {LATENTS}")
        table.add_row(type(RUNS[name][0]).__name__, f"{RUNS[name][1]:g}", *numbers)
    console.print(table)
    console.print(f"In {out}/: scores.json, pictures (latent_grid.png first), mse/ and boxblur/ with model.keras and")
    console.print("history.csv, and bundle/, the second model ready to be served (make serve).")
    console.print("Next: --seed 2; recipes/tune.py for β × latents × seed; `kerasvae train --help` for full-size runs.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="of weights, noise and pairs (default 1)")
    parser.add_argument("--out", type=Path, default=Path("runs/quickstart"), help="folder of the results")
    existing = parser.add_mutually_exclusive_group()
    existing.add_argument("--force", action="store_true", help="start afresh where a run is")
    existing.add_argument("--resume", action="store_true", help="go on with a run that was interrupted")
    arguments = parser.parse_args()
    out, seed, console = arguments.out, arguments.seed, Console()
    if arguments.force:
        shutil.rmtree(out, ignore_errors=True)
    if (out / "mse").exists() and (before := kv.runs.load_settings(out / "mse")["seed"]) != seed:
        aside = out.with_name(f"{out.name}-seed{before}")
        shutil.rmtree(aside, ignore_errors=True)
        out.rename(aside)
        console.print(f"Moved the run of seed {before} to {aside}/.")
    if (out / "scores.json").exists():
        console.print(f"{out}/ holds a finished run; --force starts afresh.")
        return show(console, kv.files.read_json(out / "scores.json"), out, seed)
    if (out / "mse").exists() and not arguments.resume:
        sys.exit(f"{out}/ holds a run that was interrupted: go on with --resume, or start afresh with --force")

    models = {}
    for name, (loss, beta) in RUNS.items():
        console.rule(f"{type(loss).__name__}, β = {beta:g}")
        models[name] = kv.runs.train(
            functools.partial(build, loss, beta, seed),
            functools.partial(kv.datasets.pairs, DATA, PAIRS, seed=seed),
            out / name,
            steps=STEPS,
            checkpoint_every=250,
            settings={"seed": seed, "beta": beta},
            resume=True,
            verbose=1 if sys.stdout.isatty() else 2,
        )
    console.rule("Scores and pictures")
    scores = {name: measure(model) for name, model in models.items()}
    grids = {f"{type(RUNS[name][0]).__name__}": model.encode(IMAGES) for name, model in models.items()}
    kv.plots.latent_grid(grids, factor_sizes=DATA.factor_sizes, path=out / "latent_grid.png")
    labels = {"mig": "MIG", "mig_of_active_latents": "MIG of active latents", "dci": "DCI disentanglement"}
    headline = {name: {label: row[key] for key, label in labels.items()} for name, row in scores.items()}
    kv.plots.scores(headline, path=out / "scores.png")
    kv.plots.history(
        {name: kv.callbacks.read_history(out / name / "history.csv") for name in models}, path=out / "history.png"
    )
    for name, model in models.items():
        kv.plots.reconstructions(model, IMAGES[::9], stretch=True, path=out / f"{name}_reconstructions.png")
        kv.plots.latent_traversals(model, IMAGES[[27, *range(64)]], stretch=True, path=out / f"{name}_traversals.png")
        kv.plots.kl_bars(model, IMAGES, path=out / f"{name}_kl.png")
    # Only what the extra `export` brings can write the others.
    formats = ("tf_saved_model", "onnx", "litert") if importlib.util.find_spec("tf2onnx") else ("tf_saved_model",)
    kv.export.bundle(
        models["boxblur"], out / "bundle", DATA, formats=formats, name="quickstart", images=IMAGES[:4],
        scores={name: scores["boxblur"][name] for name in ("mig", "dci")}, overwrite=True,
    )  # fmt: skip
    kv.files.write_json(out / "scores.json", scores)
    show(console, scores, out, seed)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Go on with: python recipes/quickstart.py --resume (same --seed and --out)")
