"""What the command `kerasvae` does: train, score, export. `kerasvae_command` parses and checks its arguments."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path

import keras
from rich.console import Console
from rich.table import Table

from kerasvae import datasets, files, losses, metrics, networks, runs
from kerasvae import export as exporting
from kerasvae.models import DIPVAE, VAE, AdaGVAE, AdaMLVAE, AnnealedVAE, BetaTCVAE, BetaVAE, FactorVAE, InfoVAE
from kerasvae.schedules import Linear

DATASETS = {"xysquares": datasets.XYSquares}
OBJECTIVES = {
    "vae": VAE,
    "betavae": BetaVAE,
    "annealedvae": AnnealedVAE,
    "factorvae": FactorVAE,
    "betatcvae": BetaTCVAE,
    "dipvae": DIPVAE,
    "infovae": InfoVAE,
    "adagvae": AdaGVAE,
    "adamlvae": AdaMLVAE,
}
# Settings that are arguments of the objectives that have them.
ARGUMENTS = (
    "beta",
    "gamma",
    "capacity",
    "update",
    "alpha",
    "estimator",
    "kind",
    "lambda_od",
    "lambda_d",
    "lambda_mmd",
    "averaging",
    "distance",
    "threshold",
)
LOSSES = {
    "mse": losses.MeanSquaredError,
    "mae": losses.MeanAbsoluteError,
    "bernoulli": losses.BernoulliNLL,
    "boxblur": losses.BoxBlurMSE,
}
NETWORKS = {
    "conv": (networks.conv_encoder, networks.conv_decoder),
    "mlp": (networks.mlp_encoder, networks.mlp_decoder),
}


def train(*, out, resume: bool = False, quiet: bool = False, **settings) -> None:
    """Train a model in the folder `out`, and say where it is.

    Args:
        out, resume: as in `kerasvae.runs.train`.
        quiet: no progress bar.
        settings: the options of `kerasvae train`, all of them, by their names with underscores; None for those that
            the objective or the loss does not have. They are kept in the folder.

    Raises:
        ValueError, FileExistsError, OSError: as `kerasvae.runs.train` and the classes that the settings name.
    """
    data = _data(settings)
    batches = {"batch_size": settings["batch_size"], "steps": settings["steps"], "seed": settings["seed"]}
    if OBJECTIVES[settings["objective"]].images_per_example == 2:
        pipeline = functools.partial(datasets.pairs, data, changed=settings["changed"], **batches)
    else:
        pipeline = functools.partial(datasets.images, data, **batches)
    pipeline = functools.partial(pipeline, standardize=_standardized(settings))
    # What it refuses is refused before the folder holds a run.
    pipeline(start=0)
    model = runs.train(
        functools.partial(_model, data, settings),
        pipeline,
        out,
        steps=settings["steps"],
        checkpoint_every=settings["checkpoint_every"],
        settings=settings,
        resume=resume,
        verbose=0 if quiet else 1 if sys.stdout.isatty() else 2,
    )
    print(f"trained {int(model.step.numpy())} steps: {Path(out) / runs.MODEL}, history in {Path(out) / runs.HISTORY}")
    print(f"next: kerasvae score {out}")


def score(
    *,
    folder,
    scores=("mig", "dci"),
    samples: int = 10_000,
    test_samples: int = 5_000,
    seed: int = 1,
    jobs: int | None = None,
    as_json: bool = False,
) -> dict:
    """Score the model of a run on the run's data set, print the scores, and write them to the folder's `scores.json`.

    Args:
        folder: of the run. Of an unfinished one the last checkpoint is scored.
        scores: names, as in `kerasvae.metrics.evaluate`.
        samples, test_samples, seed: `train`, `test` and `seed` of `kerasvae.metrics.evaluate`.
        jobs: as in `kerasvae.metrics.dci`.
        as_json: print what is written to `scores.json` instead of a table.

    Returns:
        What is written: the step of the model, the arguments, and the scores by name as `Score.to_json` gives them.

    Raises:
        FileNotFoundError: when the folder holds no run, or none that has reached a checkpoint.
        ValueError, OSError: as `kerasvae.metrics.evaluate`, or when the scores cannot be written.
    """
    path = files.check_writable(Path(folder) / "scores.json", "folder")
    settings = _settings(folder)
    data, model = _data(settings), runs.load_model(folder)
    results = metrics.evaluate(
        model.encode,
        data,
        {name: {"jobs": jobs} if name == "dci" else {} for name in scores},
        seed=seed,
        train=samples,
        test=test_samples,
    )
    step = int(model.step.numpy())
    report = {
        "step": step,
        "seed": seed,
        "samples": samples,
        "test_samples": test_samples,
        "scores": {name: result.to_json() for name, result in results.items()},
    }
    files.write_json(path, report, "folder")
    if as_json:
        print(json.dumps(report, indent=2, allow_nan=False))
        return report
    unfinished = "" if step == settings["steps"] else f" of {settings['steps']}"
    table = Table("score")
    table.add_column("value", justify="right")
    table.add_column("parts")
    for name, result in results.items():
        numbers = {part: value for part, value in result.parts.items() if isinstance(value, float)}
        table.add_row(name, f"{float(result):.4f}", ", ".join(f"{part} {value:.4f}" for part, value in numbers.items()))
    print(f"{folder} after {step}{unfinished} steps")
    Console().print(table)
    return report


def export(*, folder, format: str, out) -> Path:
    """Export the encoder of a run, and say where it is.

    Args:
        folder: of the run. Of an unfinished one the last checkpoint is exported.
        format, out: as `format` and `path` of `kerasvae.export.encoder`.

    Returns:
        The path.

    Raises:
        FileNotFoundError: when the folder holds no run, or none that has reached a checkpoint.
        ValueError, ImportError, RuntimeError, OSError: as `kerasvae.export.encoder`.
    """
    model = runs.load_model(folder)
    path = exporting.encoder(model, out, format)
    print(f"exported {path}, described in {path}.json")
    return path


def _settings(folder) -> dict:
    settings = runs.load_settings(folder)
    if missing := {"dataset", "grid_spacing", "num_squares", "grey", "loss", "steps"} - set(settings):
        raise ValueError(f"folder: {str(folder)!r} is not of `kerasvae train`: its settings lack {min(missing)!r}")
    return settings


def _data(settings: dict):
    return DATASETS[settings["dataset"]](
        grid_spacing=settings["grid_spacing"], num_squares=settings["num_squares"], rgb=not settings["grey"]
    )


def _standardized(settings: dict) -> bool:
    return settings["loss"] != "bernoulli"


def _model(data, settings: dict):
    seed, latents = settings["seed"], settings["latents"]
    encoder, decoder = NETWORKS[settings["networks"]]
    loss = LOSSES[settings["loss"]]
    objective = OBJECTIVES[settings["objective"]]
    # Where one is None, the objective has no such argument or works out its default.
    arguments = {name: _argument(settings[name]) for name in ARGUMENTS if settings[name] is not None}
    if objective is BetaTCVAE:
        arguments["dataset_size"] = len(data)
    model = objective(
        encoder(data.image_shape, latents, seed=2 * seed),
        decoder(data.image_shape, latents, seed=2 * seed + 1),
        loss() if settings["blur_radius"] is None else loss(settings["blur_radius"], settings["blur_weight"]),
        reduction=settings["reduction"],
        seed=seed,
        **arguments,
    )
    least, most = model.batch_limits()
    if not least <= settings["batch_size"] <= most:
        limits = f"at least {least}" + (f" and at most {most}, the number of images," if most == len(data) else "")
        raise ValueError(
            f"--batch-size must be {limits} for --objective {settings['objective']}, got {settings['batch_size']}"
        )
    model.compile(
        keras.optimizers.Adam(settings["learning_rate"], epsilon=1e-8),
        steps_per_execution=settings["steps_per_execution"],
    )
    return model


def _argument(value):
    """What an objective takes for a setting: a ramp START:STOP:STEPS becomes a schedule."""
    if not isinstance(value, str) or ":" not in value:
        return value
    start, stop, steps = value.split(":")
    return Linear(float(start), float(stop), steps=int(steps))
