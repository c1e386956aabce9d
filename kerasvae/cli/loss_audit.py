"""`kerasvae loss-audit`."""

from __future__ import annotations

import argparse
from pathlib import Path

from kerasvae.cli.data import build_data, title
from kerasvae.cli.losses import build_loss
from kerasvae.cli.options import flag, integer, number
from kerasvae.cli.perception import add_options, check_options, show

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
    loss_audit(**values)


def loss_audit(*, out, pairs: int, seed: int, threshold: float, radii, weights, as_json: bool = False, **settings):
    """Print what a loss can see of a data set's factors, and write it and its figure to `out`.

    Args:
        out: folder, made where it is missing.
        pairs, seed, threshold, radii, weights: as in `kerasvae.perception.audit`.
        as_json: print JSON instead of a table.
        settings: the data set and the loss, as in `kerasvae.cli.train`.

    Returns:
        The `Audit`.

    Raises:
        ValueError, OSError: as `audit` and the classes that the settings name, or when `out` cannot be written.
    """
    from kerasvae import files, perception

    files.check_writable(Path(out) / "audit.json", "--out")
    data = build_data(settings)
    result = perception.audit(
        data,
        build_loss(settings),
        pairs,
        seed,
        threshold=threshold,
        radii=radii,
        weights=weights,
        name=title(settings),
    )
    result.save(out)
    show(result, as_json, Path(out) / "audit.json", Path(out) / "audit.png")
    return result
