"""`kerasvae score` of a run."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from kerasvae import files, metrics, runs
from kerasvae.cli.data import build_data


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
