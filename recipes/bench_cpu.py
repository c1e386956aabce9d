"""Training on a processor with TensorFlow: what XLA, threads, oneDNN, bfloat16, layout of images and batch size give.

    python recipes/bench_cpu.py [--rounds 3] [--steps 20] [--batch 64]

A row of the paper: β-VAE, convolutional networks, 64×64×3, 9 latents, Adam, on one fixed batch. Each setting runs in a
process of its own, all of them once a round, so that a machine that slows down slows all; the table gives the median
time of a step, and its ratio, per image, to the default's in the same round. The package's networks keep channels last,
as pictures come; two autoencoders of bare layers show what the other layout would give, the last against the first.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

DEFAULT = "default"
# Setting -> what differs: of the process's variables, of TensorFlow's threads, of the model.
SETTINGS = {
    DEFAULT: {},
    "XLA": {"jit_compile": True},
    "one thread": {"threads": 1},
    "without oneDNN": {"variables": {"TF_ENABLE_ONEDNN_OPTS": "0"}},
    "mixed bfloat16": {"policy": "mixed_bfloat16"},
    "4 steps in one call": {"together": 4},
    "bare layers, channels last": {"layout": "channels_last"},
    "bare layers, channels first": {"layout": "channels_first"},
    "batch / 4": {"batch": 0.25},
    "batch × 4": {"batch": 4},
}
# Whose ratio is not to the default's.
AGAINST = {"bare layers, channels first": "bare layers, channels last"}

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--rounds", type=int, default=3, help="processes of each setting (default 3)")
parser.add_argument("--steps", type=int, default=20, help="in one timing, after two that are not (default 20)")
parser.add_argument("--batch", type=int, default=64, help="images (default 64)")
parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS), metavar="SETTING")
parser.add_argument("--child", choices=SETTINGS, help=argparse.SUPPRESS)
arguments = parser.parse_args()


def autoencoder(layout, keras):
    """The paper's convolutions as bare layers in either layout; its input is as the layout says."""
    layers = keras.layers
    options = {"padding": "same", "activation": "relu", "data_format": layout}
    shape, maps = ((64, 64, 3), (4, 4, 64)) if layout == "channels_last" else ((3, 64, 64), (64, 4, 4))
    model = keras.Sequential([layers.Input(shape)])
    for filters in (32, 32, 64, 64):
        model.add(layers.Conv2D(filters, 4, strides=2, **options))
    for part in (layers.Flatten(), layers.Dense(256, "relu"), layers.Dense(1024, "relu"), layers.Reshape(maps)):
        model.add(part)
    for filters in (64, 32, 32):
        model.add(layers.Conv2DTranspose(filters, 4, strides=2, **options))
    model.add(layers.Conv2DTranspose(3, 4, strides=2, **{**options, "activation": None}))
    model.compile(keras.optimizers.Adam(), "mse")
    return model


def measure(name) -> float:
    """Milliseconds of a step, in this process."""
    setting = SETTINGS[name]
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(setting.get("threads", 0))
    import keras
    import numpy as np

    import kerasvae as kv

    if "policy" in setting:
        keras.config.set_dtype_policy(setting["policy"])
    data, batch = kv.datasets.XYSquares(), int(arguments.batch * setting.get("batch", 1))
    images = data.standardize(data.images(np.arange(batch)))
    together = setting.get("together", 1)
    if layout := setting.get("layout"):
        model = autoencoder(layout, keras)
        images = images if layout == "channels_last" else images.transpose(0, 3, 1, 2)
        dataset = tf.data.Dataset.from_tensors((images, images))
    else:
        model = kv.BetaVAE.for_data(data, beta=0.001, seed=1)
        model.compile(jit_compile=setting.get("jit_compile", "auto"), steps_per_execution=together)
        dataset = tf.data.Dataset.from_tensors(images)
    options = {"verbose": 0, "steps_per_epoch": together * arguments.steps}
    model.fit(dataset.repeat(), epochs=1, **{**options, "steps_per_epoch": 2 * together})
    start = time.perf_counter()
    model.fit(dataset.repeat(), **options)
    return 1e3 * (time.perf_counter() - start) / options["steps_per_epoch"]


def main():
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    rounds = []
    for _ in track(range(arguments.rounds), "rounds", console=Console(stderr=True)):
        rounds.append({})
        for name in arguments.settings:
            variables = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
            command = [sys.executable, __file__, *sys.argv[1:], "--child", name]
            found = subprocess.run(
                command, env={**variables, **SETTINGS[name].get("variables", {})}, capture_output=True, text=True
            )
            if found.returncode:
                sys.exit(f"{name}: {found.stderr[-2000:]}")
            rounds[-1][name] = json.loads(found.stdout.splitlines()[-1])
    table = Table(title=f"Batches of {arguments.batch}, {os.cpu_count()} cores, median of {arguments.rounds} rounds")
    for heading in ("setting", "ms a step", "µs an image", "ratio", "range"):
        table.add_column(heading, justify="left" if heading == "setting" else "right", no_wrap=True)
    for name in arguments.settings:
        step = statistics.median(found[name] for found in rounds)
        image = 1e3 * step / (arguments.batch * SETTINGS[name].get("batch", 1))
        other = AGAINST.get(name, DEFAULT)
        cells = [name, f"{step:.1f}", f"{image:.0f}"]
        if other in arguments.settings and (name in AGAINST or "layout" not in SETTINGS[name]):
            scale = SETTINGS[name].get("batch", 1)
            ratios = [found[name] / scale / found[other] for found in rounds]
            cells += [f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f}-{max(ratios):.2f}"]
        table.add_row(*cells)
    Console().print(table)


if __name__ == "__main__":
    if arguments.child:
        print(json.dumps(measure(arguments.child)))
    else:
        main()
