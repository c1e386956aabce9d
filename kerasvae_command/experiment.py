"""`kerasvae experiment`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from kerasvae_command.options import existing_folder, folder_place, integer, listed, new_folder

NAMES = ("adversarial", "overlap", "augmented_loss")
SCALES = ("paper", "small")
FLAVOURS = ("corrected", "authors")
ROLES = ("chief", "worker")
STUDY = "study.json"
# Rows of the grids of `kerasvae.tuning.grids`.
COUNTS = {
    "paper": {"adversarial": 160, "overlap": 160, "augmented_loss": 40},
    "small": {"adversarial": 24, "overlap": 64, "augmented_loss": 40},
}


def name(text) -> str:
    """A type for argparse: the name of an experiment, also with a hyphen."""
    found = text.replace("-", "_")
    if found not in NAMES:
        raise argparse.ArgumentTypeError(f"invalid choice: {text!r} (choose from {listed(NAMES)})")
    return found


def row_numbers(text) -> list[int]:
    """A type for argparse: numbers and ranges of them, 3,7-12, as increasing numbers from 1."""
    numbers = set()
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last or last > 10_000:
            raise argparse.ArgumentTypeError(f"must be numbers from 1 and ranges of them, as 3,7-12, got {text!r}")
        numbers.update(range(first, last + 1))
    return sorted(numbers)


def address(text) -> str:
    """A type for argparse: HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise argparse.ArgumentTypeError(f"must be HOST:PORT, the port from 1 to 65535, got {text!r}")
    return text


def add_grid(parser) -> None:
    """The options that name a grid and its folder."""
    parser.add_argument("name", type=name, metavar="NAME", help=f"{listed(NAMES)}")
    parser.add_argument("--scale", choices=SCALES, default="paper", help="as in the paper (default), or for a laptop")
    parser.add_argument(
        "--flavour",
        choices=FLAVOURS,
        default="corrected",
        help="as the paper says (default), or as the authors' code did",
    )


def folder_of(values: dict) -> Path:
    return Path("runs") / f"{values['name']}-{values['scale']}-{values['flavour']}"


def add(commands) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "experiment",
        help="run one of the paper's experiments",
        description="Run the rows of one of the paper's experiments, each in a folder of its own. Ctrl-C or a kill "
        "costs the steps since a row's last checkpoint; go on with --resume.",
        epilog="example: kerasvae experiment augmented_loss --scale small",
        allow_abbrev=False,
    )
    add_grid(parser)
    parser.add_argument("--rows", type=row_numbers, metavar="3,7-12", help="of the grid, from 1 (default all)")
    parser.add_argument("--out", type=new_folder, metavar="FOLDER", help="default runs/NAME-SCALE-FLAVOUR")
    parser.add_argument(
        "--resume", action="store_true", help="go on in the folder, with its unfinished rows and those of --rows"
    )
    several = parser.add_argument_group(
        "several rows at a time",
        "Several machines need a folder that they share: give all of them the same experiment and folder, one --role "
        "chief with the address to listen on, the others --role worker with the chief's, whose rows they do. The port "
        "is neither encrypted nor asks who is calling: use a private network.",
    )
    several.add_argument("--workers", type=integer(0), default=1, metavar="N", help="on this machine (default 1)")
    several.add_argument(
        "--rows-per-device",
        type=integer(1),
        default=1,
        metavar="N",
        help="rows that differ in beta or seed alone, trained together by each worker in one program; for GPUs, and "
        "the backend jax alone (default 1)",
    )
    several.add_argument("--chief", type=address, metavar="HOST:PORT", help="of a search on several machines")
    several.add_argument("--role", choices=ROLES, help="of this process, with --chief")
    several.add_argument(
        "--timeout",
        type=integer(1),
        default=60,
        metavar="S",
        help="seconds without a sign of life after which another worker takes a row (default 60)",
    )
    parser.add_argument("--data-dir", type=folder_place, metavar="FOLDER", help="of prepared data")
    parser.add_argument("--manual-dir", type=existing_folder, metavar="FOLDER", help="of files that you downloaded")
    parser.add_argument(
        "--jobs",
        type=integer(1),
        metavar="N",
        help="threads for the scores of a row (default: the machine's cores, shared by the workers)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress display")
    return parser


def check(values: dict) -> dict:
    values["out"] = values["out"] or folder_of(values)
    count = COUNTS[values["scale"]][values["name"]]
    if values["rows"] and values["rows"][-1] > count:
        raise ValueError(
            f"--rows must be from 1 to {count} for {values['name']} at --scale {values['scale']}, got "
            f"{values['rows'][-1]}"
        )
    if (values["role"] is None) != (values["chief"] is None):
        raise ValueError("--chief and --role go together")
    if values["role"] == "worker" and values["workers"] != 1:
        raise ValueError("--workers must be 1 with --role worker: start one process for each")
    if values["workers"] == 0 and values["role"] != "chief":
        raise ValueError("--workers must be at least 1 (0 with --role chief), got 0")
    begun = (values["out"] / STUDY).is_file()
    if begun and not values["resume"] and values["role"] != "worker":
        raise ValueError(
            f"--out: {str(values['out'])!r} already holds an experiment; go on with --resume, or name another folder"
        )
    return values


def run(values: dict) -> None:
    from kerasvae import cli

    cli.experiment(**values)
