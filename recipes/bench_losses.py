"""What BoxBlurMSE costs on this machine next to other ways to blur: time, peak memory, and ratios to BoxBlurMSE.

Run on TensorFlow. Each variant runs in a process of its own, on 64×64×3 images; all must give the same losses. Memory
is what the process needed at its peak beyond the two batches and a first run on one image.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import rich.table
import tensorflow as tf

import kerasvae as kv

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--batch-size", type=int, default=256)
parser.add_argument("--repeats", type=int, default=5)
parser.add_argument("--variant", help=argparse.SUPPRESS)
args = parser.parse_args()


def convolution(d, rows, columns):
    return tf.nn.depthwise_conv2d(d, tf.fill((rows, columns, 3, 1), 1 / (rows * columns)), (1, 1, 1, 1), "SAME")


def fourier(d):
    spectra = (tf.signal.rfft2d(x, (126, 126)) for x in (tf.transpose(d, (0, 3, 1, 2)), tf.fill((63, 63), 1 / 63**2)))
    return tf.signal.irfft2d(next(spectra) * next(spectra), (126, 126))[..., 31:95, 31:95]


BLURS = {
    "FFT": fourier,
    "separable 63": lambda d: convolution(convolution(d, 63, 1), 1, 63),
    "direct 63×63": lambda d: convolution(d, 63, 63),
}


def loss(image, reconstruction):
    if args.variant not in BLURS:
        return kv.losses.BoxBlurMSE(radius=31, weight=3969.0).call(image, reconstruction)
    d = image - reconstruction
    return tf.reduce_mean(d**2, (1, 2, 3)) + 3969 * tf.reduce_mean(BLURS[args.variant](d) ** 2, (1, 2, 3))


def gradient(image, reconstruction):
    return tf.gradients(loss(image, reconstruction), reconstruction)[0]


if args.variant:
    batches = [tf.random.stateless_uniform((args.batch_size, 64, 64, 3), (0, number)) for number in (0, 1)]
    functions, medians = (tf.function(loss), tf.function(gradient)), []
    for function in functions:
        function(*(batch[:1] for batch in batches))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for function in functions:
        function(*batches)
        times = [time.perf_counter()]
        for _ in range(args.repeats):
            function(*batches).numpy()
            times.append(time.perf_counter())
        medians.append(float(np.median(np.diff(times))))
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps([[*medians, peak], functions[0](*batches)[:4].numpy().tolist()]))
    sys.exit()

table = rich.table.Table("variant", "forward", "gradient", "peak memory", title=f"batches of {args.batch_size}")
own = expected = None
for variant in ("BoxBlurMSE", *BLURS):
    run = subprocess.run([sys.executable, *sys.argv, "--variant", variant], stdout=subprocess.PIPE, check=True)
    numbers, losses = json.loads(run.stdout)
    own, expected = own or numbers, expected or losses
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    cells = zip(numbers, own, (".3f", ".3f", ".0f"), ("s", "s", "MB"), strict=True)
    table.add_row(variant, *(f"{n:{digits}} {unit} ({n / first:.1f}×)" for n, first, digits, unit in cells))
rich.print(table)
