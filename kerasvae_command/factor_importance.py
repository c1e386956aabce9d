"""`kerasvae factor-importance`."""

from __future__ import annotations

import argparse

from kerasvae_command.analysis import add_options, check_options

PROTOCOLS = ("independent", "authors")
DEFAULTS = {"loss": "mse", "pairs": 50_000, "out": "runs/factor_importance"}


def add(commands) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "factor-importance",
        aliases=["factor_importance"],
        help="distances that a loss perceives along each factor",
        description="Print how far apart a loss sees images that differ in one factor, the most important factor "
        "first, with the published numbers where there are any; write distances.json and distances.png.",
        epilog="example: kerasvae factor-importance --dataset dsprites --protocol authors",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add_options(parser, least_pairs=1, **DEFAULTS)
    parser.add_argument("--protocol", choices=PROTOCOLS, help="how pairs are drawn (default independent)")
    parser.set_defaults(protocol="independent")
    return parser


def check(values: dict) -> dict:
    return check_options(values, DEFAULTS["loss"])


def run(values: dict) -> None:
    from kerasvae import cli

    cli.factor_importance(**values)
