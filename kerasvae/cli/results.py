"""`kerasvae results`."""

from __future__ import annotations

import argparse
from pathlib import Path

from kerasvae.cli.data import naming_options
from kerasvae.cli.experiment import STUDY, add_grid, folder_of
from kerasvae.cli.options import path


def add(commands) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "results",
        help="table and figure of an experiment",
        description="Write results.csv, one line per row, and the paper's figure of an experiment that `kerasvae "
        "experiment` ran, or of the rows that are finished so far; print what is missing.",
        epilog="example: kerasvae results augmented_loss --scale small",
        allow_abbrev=False,
    )
    add_grid(parser)
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", help="of the experiment (default runs/NAME-SCALE-FLAVOUR)"
    )
    return parser


def check(values: dict) -> dict:
    experiment = values["out"] or folder_of(values)
    if not (experiment / STUDY).is_file():
        raise ValueError(
            f"--out: {str(experiment)!r} holds no experiment; run one with `kerasvae experiment {values['name']}`"
        )
    return {"folder": experiment, "name": values["name"]}


def run(values: dict) -> None:
    results(**values)


def results(*, folder, name: str, quiet: bool = False) -> list[dict]:
    """Write the table and the figure of an experiment to its folder, and say where they are and what is missing.

    Args:
        folder: of `kerasvae experiment`.
        name: of the experiment that it should hold.
        quiet: do not print.

    Returns:
        The rows as from `kerasvae.tuning.experiment_results`.

    Raises:
        FileNotFoundError, ValueError: when the folder holds no such experiment.
        OSError: when it cannot be written.
    """
    # Keras Tuner and Matplotlib take seconds to import.
    from kerasvae.tuning import experiment_tables as tables
    from kerasvae.tuning.experiment_figures import draw_experiment

    folder = Path(folder)
    with naming_options({"folder": "out"}):
        experiment = tables.read_experiment(folder)
    if experiment["name"] != name:
        raise ValueError(f"--out: {str(folder)!r} holds the experiment {experiment['name']!r}, not {name!r}")
    rows = tables.experiment_results(folder, experiment["rows"])
    tables.write_table(folder / tables.TABLE, rows)
    lines = [f"{folder / tables.TABLE}"]
    finished = sum(row["status"] == tables.FINISHED for row in rows)
    if finished:
        draw_experiment(name, rows, folder / f"{name}.png")
        lines.append(f"{folder / name}.png")
    lines.append(f"{finished} of {len(rows)} rows are finished")
    lines += [f"{status}: rows {tables.ranges(numbers)}" for status, numbers in tables.unfinished(rows).items()]
    if any(row["status"] == tables.DAMAGED for row in rows):
        lines.append("damaged rows have no scores.json that can be read: delete their folders and go on with --resume")
    if not quiet:
        print("\n".join(lines))
    return rows
