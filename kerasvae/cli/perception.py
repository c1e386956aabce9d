"""What `kerasvae factor-importance` and `kerasvae loss-audit` have in common."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from kerasvae.cli import data, losses
from kerasvae.cli.options import fill_in, integer, new_folder


def add_options(parser: argparse.ArgumentParser, *, loss: str, pairs: int, least_pairs: int, out: str) -> None:
    """The options of both, with the defaults of one."""
    data.add_options(parser.add_argument_group("data"))
    group = parser.add_argument_group("loss")
    losses.add_options(group, losses.IMAGE_LOSSES, loss)
    measuring = parser.add_argument_group("measuring")
    measuring.add_argument(
        "--pairs", type=integer(least_pairs), metavar="N", help=f"for each factor, and random ones (default {pairs})"
    )
    measuring.add_argument("--seed", type=integer(0, 2**32 - 1), metavar="N", help="of the pairs (default 1)")
    measuring.add_argument("--out", type=new_folder, metavar="FOLDER", help=f"for the results (default {out})")
    measuring.add_argument(
        "--json", action="store_true", dest="as_json", help="print JSON instead of a table; --out gets the same"
    )
    parser.set_defaults(pairs=pairs, seed=1, out=Path(out), as_json=False)


def check_options(values: dict, loss: str) -> dict:
    """The values with all data and loss settings; ValueError for those that do not go together."""
    settings = fill_in(values, {**data.DEFAULTS, "loss": loss}, {**data.ONLY_WITH, **losses.ONLY_WITH})
    data.check(settings)
    return settings


def show(result, as_json: bool, *written: Path) -> None:
    """Print a result, as a table with where it was written, or as JSON alone."""
    if as_json:
        print(json.dumps(result.to_json(), indent=2, allow_nan=False))
    else:
        print(result, *written, sep="\n")
