"""`kerasvae score`: of a run, or of a file of codes that anything may have made."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from kerasvae.cli.data import build_data
from kerasvae.cli.options import SETTINGS, flag, integer, path, run_folder

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
        score(**values)
        return
    # Without Keras.
    from kerasvae.metrics.score_file import score_and_print

    try:
        score_and_print(**values)
    except TypeError as error:  # arrays of another type
        raise ValueError(str(error)) from error


def score(
    *,
    folder,
    scores="all",
    representation: str = "mean",
    preset: str = "full",
    samples: int | None = None,
    test_samples: int | None = None,
    seed: int = 1,
    bootstrap: int = 0,
    jobs: int | None = None,
    as_json: bool = False,
) -> dict:
    """Score the model of a run on the run's data set, print the scores, and write them to the folder's `scores.json`.

    Args:
        folder: of the run. Of an unfinished one the last checkpoint is scored.
        scores, representation, preset, seed, bootstrap, jobs: as in `kerasvae.metrics.evaluate`.
        samples, test_samples: its `train` and `test`.
        as_json: print what is written to `scores.json` instead of a table.

    Returns:
        What is written: the step of the model, and what `Evaluation.to_json` gives.

    Raises:
        FileNotFoundError: when the folder holds no run, or none that has reached a checkpoint.
        ValueError, OSError: as `kerasvae.metrics.evaluate` and the class of the data set, or when the scores cannot be
            written.
    """
    from rich.console import Console

    from kerasvae import files, metrics, runs

    path = files.check_writable(Path(folder) / "scores.json", "folder")
    settings = runs.load_settings(folder)
    if missing := {"dataset", "loss", "steps"} - set(settings):
        raise ValueError(f"folder: {str(folder)!r} is not of `kerasvae train`: its settings lack {min(missing)!r}")
    # Before the data, which may take longer.
    model = runs.load_model(folder)
    results = metrics.evaluate(
        model,
        build_data(settings),
        scores,
        representation=representation,
        preset=preset,
        seed=seed,
        bootstrap=bootstrap,
        jobs=jobs,
        train=samples,
        test=test_samples,
    )
    step = int(model.step.numpy())
    report = {"step": step, **results.to_json()}
    files.write_json(path, report, "folder")
    if as_json:
        print(json.dumps(report, indent=2, allow_nan=False))
        return report
    unfinished = "" if step == settings["steps"] else f" of {settings['steps']}"
    print(f"{folder} after {step}{unfinished} steps")
    Console().print(results)
    return report
