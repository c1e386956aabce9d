"""`kerasvae results`."""

from __future__ import annotations

import argparse
from pathlib import Path

from kerasvae_command.experiment import STUDY, add_grid, folder_of


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
        "--out", type=Path, metavar="FOLDER", help="of the experiment (default runs/NAME-SCALE-FLAVOUR)"
    )
    return parser


def check(values: dict) -> dict:
    folder = values["out"] or folder_of(values)
    if not (folder / STUDY).is_file():
        raise ValueError(
            f"--out: {str(folder)!r} holds no experiment; run one with `kerasvae experiment {values['name']}`"
        )
    return {"folder": folder, "name": values["name"]}


def run(values: dict) -> None:
    from kerasvae import cli

    cli.results(**values)
