"""Every score of the quickstart's two models, with 95 % intervals.

    python recipes/quickstart.py
    python recipes/score_table.py [--out runs/quickstart] [--bootstrap 50] [--preset fast]

The intervals are of the score of this one model, over the samples it is computed from; another seed of training is
another model. Writes all_scores.json next to the models.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

import kerasvae as kv

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--out", type=Path, default=Path("runs/quickstart"), help="the quickstart's folder")
parser.add_argument("--bootstrap", type=int, default=50, help="resamples for the intervals (0: none)")
parser.add_argument("--preset", choices=("full", "fast"), default="fast", help="sample sizes")
arguments = parser.parse_args()
runs = ("mse", "boxblur")
if not all((arguments.out / name / "model.keras").is_file() for name in runs):
    sys.exit(f"{arguments.out}/ holds no finished quickstart: run python recipes/quickstart.py first")

data = kv.datasets.XYSquares(num_squares=1, rgb=False)
results = {}
for name in runs:
    model = kv.load(arguments.out / name / "model.keras")
    results[type(model.reconstruction).__name__] = kv.metrics.evaluate(
        model, data, preset=arguments.preset, bootstrap=arguments.bootstrap
    )

table = Table(title=f"Scores of Ada-GVAE on one square, {arguments.preset} sizes")
table.add_column("score")
for title in results:
    table.add_column(title, justify="right")
for score in next(iter(results.values())):
    cells = []
    for result in results.values():
        interval = result[score].interval
        cells.append(
            f"{float(result[score]):.3f}" + ("" if interval is None else " [{:.3f}, {:.3f}]".format(*interval))
        )
    table.add_row(score, *cells)
Console().print(table)
for title, result in results.items():
    for score, reason in result.left_out.items():
        print(f"{title}: without {score}: {reason}")
kv.files.write_json(arguments.out / "all_scores.json", {title: result.to_json() for title, result in results.items()})
