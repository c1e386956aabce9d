"""Kill runs with `kill -9` at random moments, resume them, and compare them bit for bit with one that was not killed.

For two objectives, with and without fused steps, a run in a process of its own is killed at a random moment after its
next checkpoint, again and again, and at last left alone. Prints a table; the exit status is 1 where anything differs.

    python recipes/kill_runs.py --kills 5
"""

from __future__ import annotations

import argparse
import functools
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import kerasvae as kv

STEPS, EPOCH, EVERY = 1507, 190, 30
parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--kills", type=int, default=5, help="of each of the four runs (default 5)")
parser.add_argument("--child", nargs=3, metavar=("OBJECTIVE", "FUSED", "FOLDER"), help=argparse.SUPPRESS)


def train(objective: str, fused: int, folder) -> None:
    data = kv.datasets.MiniSprites()
    pairs = objective == "AdaGVAE"
    batches = functools.partial(kv.datasets.pairs if pairs else kv.datasets.images, data, 8, steps=STEPS)

    def build():
        encoder, decoder = (
            network(data.image_shape, 4, hidden=(16,), seed=seed)
            for seed, network in enumerate((kv.networks.mlp_encoder, kv.networks.mlp_decoder))
        )
        model = getattr(kv, objective)(encoder, decoder, seed=1)
        model.compile(steps_per_execution=fused)
        return model

    every = {"steps_per_epoch": EPOCH, "checkpoint_every": EVERY}
    kv.runs.train(build, batches, folder, steps=STEPS, **every, resume=True, verbose=0)


def kill(command, folder: Path, seconds: float) -> int:
    """Start a run, kill it so long after its next checkpoint, and return the step of that."""

    def written():
        return file.stat().st_mtime_ns if (file := folder / "checkpoint.keras").exists() else None

    before, process = written(), subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and written() == before:
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()
    process.wait()
    return int(kv.runs.load_model(folder).step.numpy())


def compare(folder: Path, whole: Path) -> dict[str, bool]:
    models = [kv.runs.load_model(path) for path in (folder, whole)]
    same = {"steps": all(int(model.step.numpy()) == STEPS for model in models)}
    for name, variables in (
        ("weights", [model.get_weights() for model in models]),
        ("optimizer", [[np.asarray(each) for each in model.optimizer.variables] for model in models]),
    ):
        same[name] = all(np.array_equal(a, b) for a, b in zip(*variables, strict=True))
    same["history"] = len({(path / "history.csv").read_bytes() for path in (folder, whole)}) == 1
    return same


def main(kills: int) -> int:
    draw, good = random.Random(0), True
    print(f"{'objective':12}{'fused':>6}  killed at steps after{'':20}same")
    for objective in ("BetaVAE", "AdaGVAE"):
        for fused in (1, 4):
            with tempfile.TemporaryDirectory() as place:
                whole, folder = Path(place) / "whole", Path(place) / "run"
                command = [sys.executable, __file__, "--child", objective, str(fused)]
                subprocess.run([*command, str(whole)], check=True, capture_output=True)
                steps = [kill([*command, str(folder)], folder, draw.uniform(0, 1.5)) for _ in range(kills)]
                subprocess.run([*command, str(folder)], check=True, capture_output=True)
                same = compare(folder, whole)
            good &= all(same.values())
            result = ", ".join(name if is_same else f"NOT {name}" for name, is_same in same.items())
            print(f"{objective:12}{fused:6}  {' '.join(map(str, steps)):40} {result}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    arguments = parser.parse_args()
    if arguments.child:
        train(arguments.child[0], int(arguments.child[1]), arguments.child[2])
    else:
        sys.exit(main(arguments.kills))
