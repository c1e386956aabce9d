"""The poster "Understanding disentangling in VAE": its five models again, its table, claims and figures.

    python recipes/poster.py [--size tiny] [--preset poster-2019-03] [--folder runs/poster] [--workers 2]

"tiny" takes some minutes on two cores and downloads nothing; "mini", "medium" and "paper" train on dSprites and need a
GPU. The same command again goes on where it was interrupted. The folder gets results.csv, claims.csv and pictures.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import kerasvae as kv


def figures(rows, out):
    """The poster's figures, of the first seed of each model."""
    labels = kv.analysis.study.METHOD_LABELS
    named = {
        f"{labels[row['method']]}, {row['strength_name']} = {row['strength']:g}": row
        for row in rows
        if row["seed"] == 1
    }
    folders = {name: kv.tuning.results.row_folder(out / "search", row) for name, row in named.items()}
    folders = {name: folder for name, folder in folders.items() if (folder / "model.keras").is_file()}
    models = {name: kv.runs.load_model(folder) for name, folder in folders.items()}
    data = kv.tuning.StudyRun().data(rows[0])
    images = data.images(np.random.default_rng(0).permutation(len(data))[:1000])
    compared = {name: model for name, model in models.items() if named[name]["method"] in ("vae", "beta_vae")}
    kv.plots.overview(compared, data, images, style="poster", path=out / "figure-2.png")
    histories = {name: kv.callbacks.read_history(folder / "history.csv") for name, folder in folders.items()}
    kv.plots.kl_over_training(histories, path=out / "figure-3.png")
    kv.plots.latent_traversals(models, images, base="prior", rows=5, path=out / "figure-4.png")
    for name, model in models.items():
        of = f"{named[name]['method']}-{named[name]['strength']:g}"
        kv.plots.position_heat_maps(model, data, path=out / f"heat-maps-{of}.png")
        number = rows.index(named[name]) + 1
        kv.plots.latent_traversals(model, images, path=out / "pictures" / f"poster-{number}.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=kv.tuning.studies.POSTER_SIZES, default="tiny")
    parser.add_argument("--preset", choices=kv.tuning.studies.PRESETS, default="poster-2019-03")
    parser.add_argument(
        "--folder", type=Path, default=Path("runs/poster"), help="the same folder again goes on with it"
    )
    parser.add_argument("--workers", type=int, default=1, help="rows at a time, each in a process of its own")
    parser.add_argument("--verbose", type=int, choices=(0, 1, 2), default=1)
    options = parser.parse_args()
    rows, out = kv.tuning.studies.poster(options.size, options.preset), options.folder
    table, failed = kv.tuning.run_study(rows, out, workers=options.workers, verbose=options.verbose)
    study = kv.analysis.study
    print(study.describe(table))
    metrics = [
        "loss.reconstruction",
        "loss.kl",
        "loss.total",
        "unsup.var_dim_kl",
        "unsup.active_latents",
        "aam",
        "mmig",
    ]
    print(study.setting_medians(table, metrics))
    print(study.published_table("dubois2019-poster", "table_1"))
    claims = kv.tuning.poster_claims(table)
    print(claims)
    claims.to_csv(out / "claims.csv")
    figures(rows, out)
    report = kv.report.write_report(table, out / "report.html", title="The poster again", images=out / "pictures")
    print(f"{out / 'results.csv'}\n{report}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
