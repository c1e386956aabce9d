"""Time of the scores of "Challenging common assumptions", beside straightforward implementations of the same.

    python recipes/bench_metrics.py [--train 10000] [--test 5000] [--out FILE.json]

Ten latents and dSprites' five factors, from a table of codes, so that no encoder's time counts. The straightforward
ones are what a paper's description suggests: a call of the encoder for each batch of 64, scikit-learn's mutual
information for each pair of latent and factor, its LinearSVC for each pair, its gradient boosting for each factor, on
one core. At full size they take some ten minutes. Values differ by the samples that each of them draws.
"""

import argparse
import json
import time

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.svm import LinearSVC

import kerasvae as kv

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--train", type=int, default=10_000)
parser.add_argument("--test", type=int, default=5_000)
parser.add_argument("--out", help="also write the figures to this file, as JSON")
arguments = parser.parse_args()
if arguments.out:
    kv.files.check_writable(arguments.out, "--out")

sizes = np.array((3, 6, 40, 32, 32))
LATENTS, BATCH = 10, 64
rng = np.random.default_rng(0)
grid = np.stack(np.unravel_index(np.arange(sizes.prod()), sizes), axis=1) / (sizes - 1)
# Each factor in one latent above all, some in others too, and noise: codes as of a half disentangled encoder.
mixing = np.eye(5, LATENTS) * 2 + 0.3 * rng.standard_normal((5, LATENTS))
table = ((grid - 0.5) @ mixing + 0.3 * rng.standard_normal((len(grid), LATENTS))).astype("float32")


def encode(factors):
    return table[np.ravel_multi_index(factors.T, sizes)]


def draw(count):
    return rng.integers(sizes, size=(count, len(sizes)))


def batches_with_shared(factor, batches):
    shared = rng.integers(sizes[factor], size=BATCH if batches == 2 else 1)
    for _ in range(batches):
        factors = draw(BATCH)
        factors[:, factor] = shared
        yield encode(factors)


def samples(count):
    factors = draw(count)
    return np.concatenate([encode(factors[start : start + 16]) for start in range(0, count, 16)]), factors


def beta_vae():
    def points(count):
        labels = rng.integers(5, size=count)
        return [np.abs(np.subtract(*batches_with_shared(label, 2))).mean(axis=0) for label in labels], labels

    return LogisticRegression(max_iter=1000).fit(*points(arguments.train)).score(*points(arguments.test))


def factor_vae():
    variances = samples(10_000)[0].var(axis=0, ddof=1)
    active = np.sqrt(variances) >= 0.05

    def votes(count):
        table = np.zeros((LATENTS, 5))
        for factor in rng.integers(5, size=count):
            (codes,) = batches_with_shared(factor, 1)
            table[np.flatnonzero(active)[np.argmin((codes.var(axis=0, ddof=1) / variances)[active])], factor] += 1
        return table

    winners, tested = votes(arguments.train).argmax(axis=1), votes(arguments.test)
    return tested[np.arange(LATENTS), winners].sum() / tested.sum()


def information(codes, factors):
    binned = [np.digitize(code, np.histogram(code, 20)[1][:-1]) for code in codes.T]
    return np.array([[mutual_info_score(code, factor) for factor in factors.T] for code in binned])


def mig():
    codes, factors = samples(arguments.train)
    ordered = np.sort(information(codes, factors), axis=0)
    return np.mean((ordered[-1] - ordered[-2]) / [mutual_info_score(factor, factor) for factor in factors.T])


def modularity():
    squares = information(*samples(arguments.train)) ** 2
    return np.mean(1 - (squares.sum(axis=1) / squares.max(axis=1) - 1) / 4)


def sap():
    codes, factors = samples(arguments.train)
    test_codes, test_factors = samples(arguments.test)
    accuracy = np.zeros((LATENTS, 5))
    for latent, factor in np.ndindex(*accuracy.shape):
        machine = LinearSVC(C=0.01, class_weight="balanced").fit(codes[:, [latent]], factors[:, factor])
        accuracy[latent, factor] = machine.score(test_codes[:, [latent]], test_factors[:, factor])
    ordered = np.sort(accuracy, axis=0)
    return np.mean(ordered[-1] - ordered[-2])


def dci():
    codes, factors = samples(arguments.train)
    test_codes, test_factors = samples(arguments.test)
    columns = []
    for factor, test_factor in zip(factors.T, test_factors.T, strict=True):
        trees = GradientBoostingClassifier().fit(codes, factor)
        trees.score(test_codes, test_factor)
        columns.append(trees.feature_importances_)
    return kv.metrics.dci_from_importance(np.stack(columns, axis=1))["disentanglement"]


def ours(name):
    score, options = getattr(kv.metrics, name), {"train": arguments.train, "test": arguments.test, "seed": 1}
    if name in ("beta_vae_score", "factor_vae_score"):
        return float(score(encode, sizes, **options))
    codes, factors = samples(arguments.train)
    test = {"test": samples(arguments.test)} if name in ("sap", "dci") else {}
    return float(score(codes, factors, **test))


cases = {
    "beta_vae_score": beta_vae,
    "factor_vae_score": factor_vae,
    "mig": mig,
    "modularity": modularity,
    "sap": sap,
    "dci": dci,
}
console, report = Console(), {}
for name, straightforward in cases.items():
    start = time.perf_counter()
    value = ours(name)
    middle = time.perf_counter()
    with console.status(f"{name}, straightforward"):
        other = float(straightforward())
    report[name] = {
        "ours": value,
        "other": other,
        "seconds": middle - start,
        "other_seconds": time.perf_counter() - middle,
    }
report["all"] = {key: sum(row[key] for row in report.values()) for key in ("seconds", "other_seconds")}

results = Table(title=f"Scores at {arguments.train} / {arguments.test} samples, {LATENTS} latents, dSprites' factors")
for heading in ("score", "value", "straightforward", "s", "straightforward, s", "times as fast"):
    results.add_column(heading, justify="left" if heading == "score" else "right")
for name, row in report.items():
    values = [f"{row[key]:.3f}" if key in row else "" for key in ("ours", "other")]
    seconds = [row["seconds"], row["other_seconds"]]
    results.add_row(name, *values, *(f"{value:.2f}" for value in seconds), f"{seconds[1] / seconds[0]:.1f}")
console.print(results)
if arguments.out:
    kv.files.write_text(arguments.out, json.dumps(report, indent=2) + "\n", "--out")
