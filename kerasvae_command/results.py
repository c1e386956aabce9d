"""`kerasvae results`."""

from __future__ import annotations

import argparse

from kerasvae_command.experiment import STUDY, add_grid, folder_of
from kerasvae_command.options import path


def add(commands) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "results",
        help="table and figure of an experiment",
        description="Write results.csv, a line a row, and the paper's figure of an experiment that `kerasvae "
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
    from kerasvae import cli

    cli.results(**values)
