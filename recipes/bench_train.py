"""Training throughput: `fit` with the real pipeline next to the same step in a bare loop on one fixed batch.

    python recipes/bench_train.py [--rounds 5] [--steps 8] [--batch 256]

Convolutional networks, 64×64×3, 9 latents. Each round times every variant in turn, so that a machine that slows down
slows all of them; the table gives medians over rounds and ratios of those of the same round.
"""

import argparse
import time

import keras
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import kerasvae as kv

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--steps", type=int, default=8, help="steps in one timing")
parser.add_argument("--batch", type=int, default=256)
arguments = parser.parse_args()
steps, batch = arguments.steps, arguments.batch

data = kv.datasets.XYSquares()
cases = {
    "BetaVAE + MSE": (kv.BetaVAE, kv.losses.MeanSquaredError(), kv.datasets.images),
    "BetaVAE + BoxBlurMSE": (kv.BetaVAE, kv.losses.BoxBlurMSE(), kv.datasets.images),
    "AdaGVAE + MSE": (kv.AdaGVAE, kv.losses.MeanSquaredError(), kv.datasets.pairs),
}


def prepare(objective, loss, pipeline):
    model = objective.for_data(data, reconstruction=loss, seed=0)
    model.compile()
    # On the device already: the bare loop moves no data.
    fixed = keras.tree.map_structure(keras.ops.convert_to_tensor, next(iter(pipeline(data, batch, steps=1))))
    return model, pipeline, fixed


def time_fit(model, pipeline, fixed):
    start = time.perf_counter()
    model.fit(pipeline(data, batch, steps=steps), verbose=0)
    return (time.perf_counter() - start) / steps


def time_bare(model, pipeline, fixed):
    start = time.perf_counter()
    for _ in range(steps):
        logs = model.train_on_batch(fixed, return_dict=True)
    float(logs["loss"])
    return (time.perf_counter() - start) / steps


prepared = {name: prepare(*case) for name, case in cases.items()}
times = {(name, kind): [] for name in cases for kind in ("bare", "fit")}
for round_number in track(range(arguments.rounds + 1), description="Timing", transient=True):
    for name, case in prepared.items():
        for kind, measure in (("bare", time_bare), ("fit", time_fit)):
            seconds = measure(*case)
            if round_number:  # the first round compiles
                times[name, kind].append(seconds)

table = Table(
    title=f"Milliseconds a step, batch {batch}, {keras.config.backend()}; median of {arguments.rounds} rounds"
)
for heading in ("objective", "bare loop", "fit", "fit / bare", "fit / fit of BetaVAE + MSE"):
    table.add_column(heading, justify="left" if heading == "objective" else "right")
baseline = np.array(times["BetaVAE + MSE", "fit"])
for name in cases:
    bare, fit = np.array(times[name, "bare"]), np.array(times[name, "fit"])
    numbers = [1000 * np.median(bare), 1000 * np.median(fit)]
    ratios = [np.median(fit / bare), np.median(fit / baseline)]
    table.add_row(name, *(f"{number:.0f}" for number in numbers), *(f"{ratio:.2f}" for ratio in ratios))
Console().print(table)
