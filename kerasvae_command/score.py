"""`kerasvae score`: of a run, or of a file of codes that anything may have made."""

from __future__ import annotations

import argparse
from pathlib import Path

from kerasvae_command.options import SETTINGS, flag, integer, path, run_folder

SCORES = (
    "mig",
    "dci",
    "modularity",
    "explicitness",
    "sap",
    "irs",
    "aam",
    "mmig",
    "beta_vae_score",
    "factor_vae_score",
    "flatness",
    "linearity",
    "distance_correlations",
    "gaussian_total_correlation",
    "gaussian_wasserstein",
    "mutual_information_score",
)
PRESETS = ("full", "fast")
REPRESENTATIONS = ("mean", "sampled")
# Of a model: a file holds the codes that it holds.
ONLY_OF_RUNS = {"representation": "mean", "samples": None, "test_samples": None}


def add(commands) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "score",
        help="score the representation of a run, or codes in a file",
        description="Score how disentangled codes are; print a table. Those of a run are of images of its data set, "
        "and its folder gets scores.json. Those of a file are the arrays `codes` (samples, latents) and `factors` "
        "(samples, factors) of an .npz file, with `test_codes` and `test_factors`, and `logvar`, if you like; neither "
        "Keras nor a backend is needed for them.",
        epilog="example: kerasvae score codes.npz --scores mig dci --bootstrap 100",
        allow_abbrev=False,
    )
    parser.add_argument("scored", type=run_or_file, metavar="FOLDER|CODES.npz", help="of a run, or with codes")
    parser.add_argument(
        "--scores",
        nargs="+",
        choices=SCORES,
        default="all",
        metavar="NAME",
        help=f"default: all of {', '.join(SCORES)}",
    )
    parser.add_argument("--preset", choices=PRESETS, default="full", help="sizes of the samples (default full)")
    parser.add_argument("--seed", type=integer(0, 2**32 - 1), default=1, metavar="N", help="of the samples (default 1)")
    parser.add_argument(
        "--bootstrap", type=resamples, default=0, metavar="N", help="resamples for 95 %% intervals (default 0: none)"
    )
    parser.add_argument("--jobs", type=integer(1), metavar="N", help="threads (default 1)")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON instead of a table")
    runs = parser.add_argument_group("of a run alone")
    # Absent where they are not given, so that it is known whether they were.
    absent = {"default": argparse.SUPPRESS}
    runs.add_argument("--representation", choices=REPRESENTATIONS, help="codes (default mean)", **absent)
    runs.add_argument("--samples", type=integer(2), metavar="N", help="default the preset's, 10000 of full", **absent)
    runs.add_argument(
        "--test-samples", type=integer(1), metavar="N", help="default the preset's, 5000 of full", **absent
    )
    return parser


def run_or_file(text) -> Path:
    """A type for argparse: a folder in which `kerasvae train` has begun a run, or a file."""
    if path(text).is_file():
        return path(text)
    if not (path(text) / SETTINGS).is_file():
        raise argparse.ArgumentTypeError(
            f"{text!r} is no file, and holds no run of `kerasvae train` (there is no {SETTINGS} in it)"
        )
    return run_folder(text)


def resamples(text) -> int:
    """A type for argparse: a number of resamples."""
    if text.isdecimal() and int(text) != 1:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be an integer, 0 or at least 2, got {text!r}")


def check(values: dict) -> dict:
    scored = values.pop("scored")
    if not scored.is_file():
        return {"folder": scored, **ONLY_OF_RUNS, **values}
    for name in ONLY_OF_RUNS:
        if name in values:
            raise ValueError(f"{flag(name)} is only for runs, not for codes in a file")
    return {"path": scored, **values}


def run(values: dict) -> None:
    if "path" not in values:
        from kerasvae import cli

        cli.score(**values)
        return
    # Without Keras.
    from kerasvae.metrics.score_file import score_and_print

    try:
        score_and_print(**values)
    except TypeError as error:  # arrays of another type
        raise ValueError(str(error)) from error
