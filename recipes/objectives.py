"""Every objective on the same data, network and loss: what each does to the codes, and what its step costs.

    python recipes/objectives.py [--steps 1500] [--seed 1] [--out runs/objectives]

One white square on an 8×8 grid, 64 images a step (32 pairs for the objectives that take pairs), MLPs, four latents. The
loss is BoxBlurMSE divided by 5120, so that a weight of 1 in the form "sum" is β = 5 in the form "mean", where Ada-GVAE
finds the two coordinates. The last column times a step with convolutional networks, relative to BetaVAE.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import kerasvae as kv

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--steps", type=int, default=1500)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--out", type=Path, default=Path("runs/objectives"))
arguments = parser.parse_args()
STEPS, SEED, LATENTS = arguments.steps, arguments.seed, 4

data = kv.datasets.XYSquares(num_squares=1, rgb=False)
images, factors = data.images(np.arange(len(data))), data.factors(np.arange(len(data)))
loss = kv.losses.BoxBlurMSE(weight=3969.0 / 5120, pixel_weight=1.0 / 5120)
small = kv.networks.mlp_discriminator(LATENTS, hidden=(256,) * 3, seed=SEED)
objectives = {
    "BetaVAE(1)": (kv.BetaVAE, {"beta": 1.0, "reduction": "sum"}),
    "VAE": (kv.VAE, {}),
    "AnnealedVAE": (kv.AnnealedVAE, {"gamma": 10.0, "capacity": kv.schedules.Linear(0.0, 3.0, STEPS // 2)}),
    "BetaTCVAE": (kv.BetaTCVAE, {"dataset_size": len(data), "beta": 4.0}),
    "DIPVAE i": (kv.DIPVAE, {"kind": "i", "lambda_od": 1.0, "lambda_d": 1.0}),
    "DIPVAE ii": (kv.DIPVAE, {"kind": "ii", "lambda_od": 1.0}),
    "InfoVAE": (kv.InfoVAE, {"lambda_mmd": 10.0}),
    "FactorVAE": (kv.FactorVAE, {"gamma": 4.0, "discriminator": small, "update": "simultaneous"}),
    "AdaGVAE": (kv.AdaGVAE, {"beta": 1.0, "reduction": "sum"}),
    "AdaMLVAE": (kv.AdaMLVAE, {"beta": 1.0, "reduction": "sum"}),
}


def make(objective, options, kind):
    if kind == "conv":  # the default discriminator, six layers of 1000
        options = {name: value for name, value in options.items() if name != "discriminator"}
    model = objective.for_data(data, LATENTS, kind, reconstruction=loss, seed=SEED, **options)
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([int(0.7 * STEPS), int(0.85 * STEPS)], [2e-3, 5e-4, 1e-4])
    model.compile(keras.optimizers.Adam(rate, epsilon=1e-8))
    return model


def batches(model, steps, seed=SEED):
    pipeline = kv.datasets.pairs if model.images_per_example == 2 else kv.datasets.images
    return pipeline(data, 64 // model.images_per_example, steps=steps, seed=seed)


def total_correlation(mean, logvar):
    """Of the aggregate posterior of all images, from 16 samples of each: the mixture is known exactly."""
    rng = np.random.default_rng(0)
    estimates = [
        kv.math.kl_decomposition(mean + np.exp(0.5 * logvar) * noise, mean, logvar, len(mean), "mws")
        for noise in rng.standard_normal((16, *mean.shape)).astype("float32")
    ]
    # Each image is in its own batch, so weights of 1/N make the mixture itself; mws has 1/(N·N).
    constant = (mean.shape[1] - 1) * np.log(len(mean))
    return float(np.mean([float(parts["total_correlation"]) for parts in estimates])) - constant


def seconds_a_step(model, steps=12):
    model.fit(batches(model, 2), verbose=0)
    start = time.perf_counter()
    model.fit(batches(model, steps), verbose=0)
    return (time.perf_counter() - start) / steps


rows, seconds = [], {name: [] for name in objectives}
for name, (objective, options) in track(objectives.items(), description="Training", transient=True):
    model = make(objective, options, "mlp")
    model.fit(batches(model, STEPS), verbose=0)
    mean, logvar = model.encode(images, return_logvar=True)
    kl = np.asarray(kv.math.kl_standard_normal(mean, logvar)).mean(axis=0)
    terms = model.evaluate(batches(model, 8, seed=SEED + 1), verbose=0, return_dict=True)
    scores = kv.metrics.evaluate(model.encode, data, ["mig", "dci"], train=2000, test=1000)
    row = {"objective": name, "reconstruction": terms["reconstruction_nats"], "KL": float(kl.sum())}
    row |= {"TC": total_correlation(mean, logvar), "active": int((kl > 0.01).sum())}
    row |= {"MIG": float(scores["mig"]), "DCI": float(scores["dci"])}
    row["MIG of active"] = float(kv.metrics.mig(mean[:, kl > 0.01], factors)) if (kl > 0.01).any() else 0.0
    rows.append(row)
models = {name: make(*case, "conv") for name, case in objectives.items()}
for _ in track(range(3), description="Timing", transient=True):
    for name, model in models.items():
        seconds[name].append(seconds_a_step(model))
for row in rows:
    row["step / BetaVAE"] = float(np.median(np.divide(seconds[row["objective"]], seconds["BetaVAE(1)"])))
table = Table(
    title=f"One square, 8×8 grid, BoxBlurMSE/5120, {STEPS} steps, seed {SEED}; reconstruction, KL, TC in nats"
)
for heading in rows[0]:
    table.add_column(heading, justify="left" if heading == "objective" else "right")
for row in rows:
    table.add_row(*(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()))
Console(width=110).print(table)
kv.files.write_json(arguments.out / "objectives.json", rows)
