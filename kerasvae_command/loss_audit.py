"""`kerasvae loss-audit`."""

from __future__ import annotations

import argparse

from kerasvae_command.analysis import add_options, check_options
from kerasvae_command.options import flag, integer, number

DEFAULTS = {"loss": "boxblur", "pairs": 10_000, "out": "runs/loss_audit"}


def add(commands) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "loss-audit",
        aliases=["loss_audit", "audit"],
        help="what a loss can see of a data set before any training",
        description="Print each factor's importance, how far perceived distances follow the order of its values, and "
        "whether the data set is adversarial for the loss; for boxblur also a scan over radius and weight. Write "
        "audit.json and audit.png.",
        epilog="example: kerasvae loss-audit --dataset folder --folder photos --factors-csv photos/factors.csv",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add_options(parser, least_pairs=2, **DEFAULTS)
    parser.add_argument(
        "--radii", nargs="*", type=integer(0), metavar="N", help="of boxblur, to scan (default up to the image's size)"
    )
    parser.add_argument(
        "--weights", nargs="*", type=number, metavar="W", help="of boxblur, to scan (default 1 to 10000)"
    )
    parser.add_argument(
        "--threshold", type=number, metavar="S", help="spread up to which distances are constant (default 0.01)"
    )
    parser.set_defaults(radii=None, weights=None, threshold=0.01)
    return parser


def check(values: dict) -> dict:
    settings = check_options(values, DEFAULTS["loss"])
    for name in ("radii", "weights"):
        if settings[name] is not None and settings["loss"] != "boxblur":
            raise ValueError(f"{flag(name)} is only for --loss boxblur, not {settings['loss']}")
    return settings


def run(values: dict) -> None:
    from kerasvae import cli

    cli.loss_audit(**values)
