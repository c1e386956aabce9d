"""Throughput of the pipelines, next to what a training step consumes.

    python recipes/bench_data.py [--batch 256] [--rounds 5] [--steps 40] [--peer]

Batches are drawn one after the other and thrown away, so a pipeline has all of the machine; the table says how much of
a training step's time (convolutional networks, 64×64, 9 latents, `train_on_batch` on one fixed batch) that is. Then
`fit` over a pipeline of images next to `fit` over the same pipeline of indices. --peer adds disent's loader of the same
images, if the extra `bench` is installed.
"""

import argparse
import importlib.util
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

import kerasvae as kv

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--batch", type=int, default=256)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--steps", type=int, default=40, help="batches in one timing")
parser.add_argument("--peer", action="store_true", help="also time disent's loader (pip install -e '.[bench]')")
arguments = parser.parse_args()
batch, steps = arguments.batch, arguments.steps
if arguments.peer and not importlib.util.find_spec("disent"):
    parser.error("--peer needs disent: pip install -e '.[bench]'")


def photographs(folder, count=500):
    """Files of noise at many sizes: what a folder of photographs costs, without any."""
    rng = np.random.default_rng(0)
    for number in range(count):
        height, width = rng.integers(80, 320, size=2)
        Image.fromarray(rng.integers(0, 256, size=(height, width, 3), dtype="uint8")).save(folder / f"{number:03}.jpg")
    return kv.datasets.FromFolder(folder, image_size=64)


def seconds_a_batch(pipeline):
    batches = iter(pipeline)
    next(batches)
    start = time.perf_counter()
    for _ in range(steps):
        next(batches)
    return (time.perf_counter() - start) / steps


def model_of(objective, data):
    model = objective.for_data(data, seed=0)
    model.compile()
    return model


def seconds_a_step(objective, fixed, data):
    model = model_of(objective, data)
    fixed = keras.tree.map_structure(keras.ops.convert_to_tensor, fixed)
    times = []
    for _ in range(arguments.rounds + 1):
        start = time.perf_counter()
        float(model.train_on_batch(fixed, return_dict=True)["loss"])
        times.append(time.perf_counter() - start)
    return np.median(times[1:])


with tempfile.TemporaryDirectory() as folder:
    data_sets = {
        "XYSquares": kv.datasets.XYSquares(),
        "DSprites": kv.datasets.DSprites(),
        "FromFolder (500 files)": photographs(Path(folder)),
    }
    table = Table(title=f"Pipelines, batch {batch}, {keras.config.backend()}; medians of {arguments.rounds} rounds")
    for heading in ("data", "pipeline", "ms a batch", "images/s", "ms a step", "share of the step"):
        table.add_column(heading, justify="left" if heading in ("data", "pipeline") else "right")
    for name, data in track(data_sets.items(), description="Pipelines", transient=True):
        cases = [("images", kv.BetaVAE, kv.datasets.images)]
        if data.complete:
            cases.append(("pairs", kv.AdaGVAE, kv.datasets.pairs))
        for label, objective, pipeline in cases:
            loading = np.median([seconds_a_batch(pipeline(data, batch)) for _ in range(arguments.rounds)])
            step = seconds_a_step(objective, next(iter(pipeline(data, batch))), data)
            count = batch * objective.images_per_example
            numbers = f"{1000 * loading:.1f}", f"{count / loading:,.0f}", f"{1000 * step:.0f}"
            table.add_row(name, label, *numbers, f"{loading / step:.1%}")
    if arguments.peer:
        import torch
        from disent.dataset import DisentDataset
        from disent.dataset.data import XYSquaresData
        from disent.dataset.transform import ToImgTensorF32

        torch.set_num_threads(1)
        peer = DisentDataset(XYSquaresData(square_size=8, grid_spacing=8, image_size=64), transform=ToImgTensorF32())
        loader = torch.utils.data.DataLoader(peer, batch_size=batch, shuffle=True, num_workers=0)
        loading = np.median([seconds_a_batch(loader) for _ in range(arguments.rounds)])
        table.add_row("XYSquares", "disent, one core", f"{1000 * loading:.1f}", f"{batch / loading:,.0f}", "", "")
    Console().print(table)

    table = Table(title="Milliseconds a step of fit")
    for heading in ("data", "images", "on_device", "on_device / images"):
        table.add_column(heading, justify="left" if heading == "data" else "right")
    for name, data in track(list(data_sets.items()), description="fit", transient=True):
        models = {on_device: model_of(kv.BetaVAE, data) for on_device in (False, True)}
        times = {False: [], True: []}
        for round_number in range(arguments.rounds + 1):
            for on_device, model in models.items():
                pipeline = kv.datasets.images(data, batch, steps=12, on_device=on_device)
                start = time.perf_counter()
                model.fit(pipeline, verbose=0)
                if round_number:  # the first round compiles
                    times[on_device].append((time.perf_counter() - start) / 12)
        images, indices = (np.array(times[on_device]) for on_device in (False, True))
        ratio = np.median(indices / images)
        table.add_row(name, f"{1000 * np.median(images):.0f}", f"{1000 * np.median(indices):.0f}", f"{ratio:.2f}")
    Console().print(table)
