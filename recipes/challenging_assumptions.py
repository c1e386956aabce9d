"""Locatello et al. 2019, "Challenging Common Assumptions", again: which of its findings hold on runs of one's own.

    python recipes/challenging_assumptions.py [--size tiny] [--folder runs/assumptions] [--workers 2]

"tiny" (120 models, two data sets) takes about a quarter of an hour on two cores and downloads nothing; the larger sizes
need a GPU. The same command again goes on where it was interrupted. The folder gets results.csv, claims.csv, a table of
every analysis and report.html.
"""

import argparse
import sys
from pathlib import Path

import kerasvae as kv

ANALYSES = (
    "metric_correlations loss_correlations total_correlation variance_shares selection_odds transfer "
    "downstream_correlations unsupervised_selection compare_methods"
).split()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=kv.tuning.studies.ASSUMPTIONS_SIZES, default="tiny")
    parser.add_argument("--folder", type=Path, default=Path("runs/assumptions"), help="the same again goes on with it")
    parser.add_argument("--workers", type=int, default=1, help="rows at a time, each in a process of its own")
    parser.add_argument("--keep-models", action="store_true", help="keep every model.keras")
    parser.add_argument("--replicates", type=int, default=2000, help="of the bootstrap")
    parser.add_argument("--verbose", type=int, choices=(0, 1, 2), default=1)
    options = parser.parse_args()
    out, study = options.folder, kv.analysis.study
    rows = kv.tuning.studies.challenging_assumptions(options.size)
    run = kv.tuning.StudyRun(keep_models=options.keep_models)
    table, failed = kv.tuning.run_study(rows, out, run, workers=options.workers, verbose=options.verbose)
    print(study.describe(table))
    for name in ANALYSES:
        try:
            found = getattr(study, name)(table, replicates=options.replicates)
        except ValueError as error:  # what the table does not allow
            print(f"{name}: {error}")
            continue
        for sentence in getattr(found, "sentences", []):
            print(f"- {sentence}")
        frames = {"": found} if isinstance(found, study.Frame) else {f"-{part}": frame for part, frame in found.items()}
        for part, frame in frames.items():
            frame.to_csv(out / "tables" / f"{name}{part}.csv")
    claims = kv.tuning.assumptions_claims(table, replicates=options.replicates)
    print(claims)
    claims.to_csv(out / "claims.csv")
    title, beside = "Challenging common assumptions, again", "locatello2019-slides"
    report = kv.report.write_report(table, out / "report.html", title=title, beside=beside)
    print(f"{out / 'results.csv'}\n{report}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
