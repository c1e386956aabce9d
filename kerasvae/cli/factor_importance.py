"""`kerasvae factor-importance`."""

from __future__ import annotations

import argparse
from pathlib import Path

from kerasvae.cli.data import build_data, title
from kerasvae.cli.losses import build_loss
from kerasvae.cli.perception import add_options, check_options, show

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
    factor_importance(**values)


def factor_importance(*, out, pairs: int, seed: int, protocol: str, as_json: bool = False, **settings):
    """Print the distances that a loss perceives along each factor, and write them and their figure to `out`.

    Args:
        out: folder, made where it is missing.
        pairs, seed, protocol: as in `kerasvae.perception.perceived_distances`.
        as_json: print JSON instead of a table.
        settings: the data set and the loss, as in `kerasvae.cli.train`.

    Returns:
        The `PerceivedDistances`.

    Raises:
        ValueError, OSError: as `perceived_distances` and the classes that the settings name, or when `out` cannot be
            written.
    """
    from kerasvae import files, perception

    files.check_writable(Path(out) / "distances.json", "--out")
    data = build_data(settings)
    distances = perception.perceived_distances(
        data, build_loss(settings), pairs, seed, protocol=protocol, name=title(settings)
    )
    distances.save(out)
    show(distances, as_json, Path(out) / "distances.json", Path(out) / "distances.png")
    return distances
