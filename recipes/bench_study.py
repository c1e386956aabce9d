"""What analysing a study as large as that of Locatello et al. 2019 takes on one core: 12 600 runs, 2000 replicates.

The runs are made up: 7 data sets × 6 methods × 6 strengths × 50 seeds, with scores, losses, total correlations, UDR and
downstream accuracies. Loaded from a CSV file as anybody's would be.
"""

import argparse
import csv
import itertools
import tempfile
import time
from pathlib import Path

import numpy as np
import rich.table
import threadpoolctl

import kerasvae as kv

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--datasets", type=int, default=7)
parser.add_argument("--seeds", type=int, default=50)
parser.add_argument("--replicates", type=int, default=2000)
parser.add_argument("--only", nargs="+", default=[], help="names of analyses")
args = parser.parse_args()

STRENGTHS = kv.tuning.studies.STRENGTHS
SCORES = ("beta_vae_score", "factor_vae_score", "mig", "dci.disentanglement", "modularity", "sap", "udr")
TASKS = [f"downstream.{predictor}.{count}" for predictor in ("lr", "gbt") for count in (10, 100, 1000, 10_000)]
COSTS = ("loss.reconstruction", "loss.kl", "loss.elbo", "loss.total", "unsup.gaussian_tc", "unsup.gaussian_tc@sampled",
         "unsup.gaussian_tc_active", "unsup.mutual_info", "unsup.mutual_info@sampled")  # fmt: skip


def runs():
    draws = np.random.default_rng(1)
    for dataset, (method, (name, strengths)) in itertools.product(range(args.datasets), STRENGTHS.items()):
        of_method = draws.normal(size=len(SCORES))
        for strength in strengths:
            of_setting = of_method + 0.8 * draws.normal(size=len(SCORES))
            for seed in range(args.seeds):
                level = draws.normal()
                scores = 1 / (1 + np.exp(-0.7 * of_setting - level - 0.5 * draws.normal(size=len(SCORES))))
                tasks = np.clip(0.5 + 0.1 * level + 0.1 * draws.normal(size=len(TASKS)), 0.1, 1)
                costs = np.exp(0.1 * level + 0.3 * draws.normal(size=len(COSTS)))
                row = {"dataset": f"data set {dataset}", "method": method, "strength": strength, "strength_name": name}
                values = zip((*SCORES, *TASKS, *COSTS), (*scores, *tasks, *costs), strict=True)
                row |= {"seed": seed, "downstream.chance": 0.2} | {metric: f"{value:.4f}" for metric, value in values}
                yield row


study, folder = kv.analysis.study, tempfile.TemporaryDirectory()
path, rows = Path(folder.name, "results.csv"), list(runs())
with path.open("w", newline="") as file:
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(rows)
ANALYSES = [study.metric_correlations, study.loss_correlations, study.total_correlation, study.variance_shares,
            study.setting_medians, study.selection_odds, study.transfer, study.downstream_correlations,
            study.compare_methods, study.unsupervised_selection]  # fmt: skip
steps = {"load": lambda: study.load(path), "describe": lambda: str(study.describe(table))}
# As a report has them: every number that needs no labels, not UDR alone.
OPTIONS = {study.unsupervised_selection: {"by": None}}
steps |= {
    each.__name__: lambda each=each: each(table, replicates=args.replicates, **OPTIONS.get(each, {}))
    for each in ANALYSES
}
shown = rich.table.Table("", "processor", "wall", title=f"{len(rows)} runs, {args.replicates} replicates")
table, total = None, np.zeros(2)
with threadpoolctl.threadpool_limits(1):
    for name, step in steps.items():
        if args.only and name not in ("load", *args.only):
            continue
        start = time.process_time(), time.perf_counter()
        result = step()
        spent = np.array([time.process_time(), time.perf_counter()]) - start
        table, total = result if name == "load" else table, total + spent
        shown.add_row(name, *(f"{seconds:.2f} s" for seconds in spent))
shown.add_row("all", *(f"{seconds:.2f} s" for seconds in total), style="bold")
rich.print(shown)
folder.cleanup()
