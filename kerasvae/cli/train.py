"""`kerasvae train`."""

from __future__ import annotations

import argparse
import functools
import math
import sys
from pathlib import Path

from kerasvae.cli import data, losses
from kerasvae.cli.options import (
    SETTINGS,
    add_only_with,
    changed,
    fill_in,
    flag,
    hyperparameter,
    integer,
    listed,
    new_folder,
    number,
    read_settings,
)

# {choice: class of `kerasvae.models`}
OBJECTIVES = {
    "vae": "VAE",
    "betavae": "BetaVAE",
    "annealedvae": "AnnealedVAE",
    "factorvae": "FactorVAE",
    "betatcvae": "BetaTCVAE",
    "dipvae": "DIPVAE",
    "infovae": "InfoVAE",
    "adagvae": "AdaGVAE",
    "adamlvae": "AdaMLVAE",
}
NETWORKS = ("conv", "burgess", "mlp")
REDUCTIONS = ("mean", "sum")
ESTIMATORS = ("mws", "mss", "mss_legacy")
UPDATES = ("alternating", "simultaneous")
KINDS = ("i", "ii")
DISTANCES = ("symmetric", "forward")
AVERAGINGS = ("gvae", "authors")

REQUIRED = ("objective", "steps")
DEFAULTS = {
    **data.DEFAULTS,
    "loss": "mse",
    "latents": 9,
    "networks": "conv",
    "batch_size": 256,
    "learning_rate": 1e-3,
    "seed": 1,
    "steps_per_execution": 1,
    "checkpoint_every": 500,
    "on_device": False,
}
_OPTIONS = {name: name for name in ("batch_size", "changed", "radius", "on_device", "seed", "steps")}
# What `kerasvae.runs.train` adds to the settings of a run.
ADDED = ("steps_per_epoch", "data_set")
# Options that only some choices have, as in `options.add_only_with`.
ONLY_WITH = {
    **data.ONLY_WITH,
    **losses.ONLY_WITH,
    "beta": ("objective", {"betavae": 0.001, "betatcvae": 6.0, "adagvae": 0.001, "adamlvae": 0.001}),
    "gamma": ("objective", {"annealedvae": 1000.0, "factorvae": 35.0, "betatcvae": 1.0}),
    "capacity": ("objective", {"annealedvae": "0:25:100000"}),
    "update": ("objective", {"factorvae": "alternating"}),
    "alpha": ("objective", {"betatcvae": 1.0, "infovae": 0.0}),
    "estimator": ("objective", {"betatcvae": "mws"}),
    "kind": ("objective", {"dipvae": "ii"}),
    "lambda_od": ("objective", {"dipvae": 10.0}),
    "lambda_d": ("objective", {"dipvae": None}),
    "lambda_mmd": ("objective", {"infovae": 1000.0}),
    "averaging": ("objective", {"adagvae": "gvae"}),
    "distance": ("objective", {"adagvae": "symmetric", "adamlvae": "symmetric"}),
    "threshold": ("objective", {"adagvae": 0.5, "adamlvae": 0.5}),
    "changed": ("objective", {"adagvae": "uniform", "adamlvae": "uniform"}),
    "radius": ("objective", {"adagvae": None, "adamlvae": None}),
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
# Objectives whose own default is the mean over pixels and latents; that of the others is the sum.
MEAN_BY_DEFAULT = ("betavae", "adagvae", "adamlvae")


def add(commands) -> argparse.ArgumentParser:
    # Absent options stay absent, so that a resumed run knows what was given.
    parser = commands.add_parser(
        "train",
        help="train a model on a data set",
        description="Train a model in a folder of its own. Ctrl-C or a kill costs the steps since the last checkpoint.",
        epilog="example: kerasvae train --objective adagvae --loss boxblur --beta 0.01 --steps 2000 --out runs/a",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    run = parser.add_argument_group("run")
    run.add_argument("--out", required=True, type=new_folder, metavar="FOLDER", help="folder of the run")
    run.add_argument(
        "--resume", action="store_true", help="go on where the run in the folder stopped, with its settings"
    )
    run.add_argument("--steps", type=integer(1), metavar="N", help="training steps (required for a new run)")
    run.add_argument("--seed", type=integer(0), metavar="N", help="of weights, batches and latent noise (default 1)")
    run.add_argument("--checkpoint-every", type=integer(1), metavar="N", help="steps between checkpoints (default 500)")
    run.add_argument("--quiet", action="store_true", help="no progress bar")

    data.add_options(parser.add_argument_group("data"))
    batches = parser.add_argument_group("batches")
    batches.add_argument("--batch-size", type=integer(1), metavar="N", help="images, or pairs, a step (default 256)")
    batches.add_argument(
        "--on-device",
        action="store_true",
        help="make or look up the images where the model trains, with the same results",
    )
    add_only_with(
        batches,
        ONLY_WITH,
        "changed",
        "factors that differ in a pair",
        type=changed,
        metavar="uniform|authors|random|N|LEAST:MOST",
    )
    add_only_with(batches, ONLY_WITH, "radius", "most steps of a changed factor", type=integer(1), metavar="N")

    model = parser.add_argument_group("model")
    model.add_argument(
        "--objective", choices=OBJECTIVES, help="required for a new run; adagvae and adamlvae learn from pairs"
    )
    losses.add_options(model, losses.LOSSES, "mse")
    model.add_argument(
        "--reduction",
        choices=REDUCTIONS,
        help="over pixels and latents: the scale of the weights below "
        f"(default mean for {listed(MEAN_BY_DEFAULT)}, sum for the others)",
    )
    model.add_argument("--latents", type=integer(1), metavar="N", help="default 9")
    model.add_argument("--networks", choices=NETWORKS, help="conv and burgess: for sides from 8 pixels (default conv)")

    objective = parser.add_argument_group(
        "objective", "V is a number, or START:STOP:STEPS, a straight line over the first STEPS steps."
    )
    for name, text, type in (
        ("beta", "weight of KL or, betatcvae, of total correlation", hyperparameter()),
        ("gamma", "weight of |KL - capacity|, of total correlation or of dimension-wise KL", hyperparameter()),
        ("capacity", "nats per image that the KL is held to", hyperparameter()),
        ("alpha", "weight of mutual information; of infovae, the share not penalised", hyperparameter(-math.inf)),
        ("lambda_od", "weight of the covariances", hyperparameter()),
        ("lambda_d", "weight of the variances (default lambda-od; for kind i 10 times that)", hyperparameter()),
        ("lambda_mmd", "weight of the maximum mean discrepancy", hyperparameter()),
        ("threshold", "border of changed latents: 0 the least, 1 the largest distance", hyperparameter(0.0, 1.0)),
    ):
        add_only_with(objective, ONLY_WITH, name, text, type=type, metavar="V")
    for name, text, choices in (
        ("update", "halves of a batch in turn, or all of it at once", UPDATES),
        ("estimator", "of the total correlation", ESTIMATORS),
        ("kind", "DIP-VAE-I or -II", KINDS),
        ("averaging", "of the latents that a pair shares", AVERAGINGS),
        ("distance", "of the posteriors of a pair", DISTANCES),
    ):
        add_only_with(objective, ONLY_WITH, name, text, choices=choices)

    optimizer = parser.add_argument_group("optimizer")
    optimizer.add_argument(
        "--learning-rate", type=lambda text: number(text, above_zero=True), metavar="R", help="Adam's (default 0.001)"
    )
    optimizer.add_argument(
        "--steps-per-execution", type=integer(1), metavar="N", help="steps in one dispatch (default 1; not on Torch)"
    )
    return parser


def check(values: dict) -> dict:
    out, resume, quiet = values.pop("out"), values.pop("resume", False), values.pop("quiet", False)
    before = read_settings(out)
    if before is not None and not resume:
        raise ValueError(f"--out: {str(out)!r} already holds a run; go on with --resume, or name another folder")
    return {**settings_of(values, before, out / SETTINGS), "out": out, "resume": resume, "quiet": quiet}


def settings_of(given: dict, before: dict | None, path: Path) -> dict:
    """All settings of a run from those given and those it began with (None for a new run); ValueError if at odds.

    Args:
        given: by the options.
        before: what the file of the run states.
        path: of the file.
    """
    if before is not None:
        before = _checked(before, path)
        if different := [name for name in given if given[name] != before[name]]:
            began = (f"{flag(name)} {before[name]} (given: {given[name]})" for name in different)
            raise ValueError(f"--resume: the run began with {', '.join(began)}")
        return before
    if missing := [flag(name) for name in REQUIRED if name not in given]:
        raise ValueError(f"a new run needs {' and '.join(missing)}")
    settings = fill_in(given, DEFAULTS, ONLY_WITH)
    settings.setdefault("reduction", _reduction(settings))
    data.check(settings)
    _check_pairs(settings)
    return settings


def _checked(stated: dict, path: Path) -> dict:
    """The settings that a run's file states, without those that are no options; ValueError for a file that was altered.

    Each must be what its option would have given.
    """
    names = (*REQUIRED, *DEFAULTS, "reduction", *ONLY_WITH)
    if missing := [name for name in names if name not in stated]:
        raise ValueError(
            f"--resume: {str(path)!r} was altered, or the run was not begun by `kerasvae train`: its settings lack "
            f"{missing[0]!r}"
        )
    if unknown := [name for name in stated if name not in (*names, *ADDED)]:
        raise ValueError(f"--resume: {str(path)!r} states {unknown[0]!r}, which `kerasvae train` does not know")
    stated = {name: stated[name] for name in names}
    given = {name: value for name, value in stated.items() if value is not None}
    texts = [(flag(name), value) for name, value in given.items() if value is not False]
    parser = add(_Strict().add_subparsers())
    arguments = [text for name, value in texts for text in ([name] if value is True else [f"{name}={value}"])]
    try:
        found = vars(parser.parse_args([*arguments, "--out", "."]))
        found = fill_in({name: found[name] for name in given if given[name] is not False}, DEFAULTS, ONLY_WITH)
        found.setdefault("reduction", _reduction(found))
        data.check(found)
    except (ValueError, KeyError) as error:
        raise ValueError(f"--resume: what {str(path)!r} states cannot be used: {error}") from error
    for name, value in stated.items():
        if type(found.get(name)) is not type(value) or found.get(name) != value:
            raise ValueError(f"--resume: {str(path)!r} was altered: {name!r} cannot be {value!r} in it")
    return stated


def _reduction(settings: dict) -> str:
    return "mean" if settings["objective"] in MEAN_BY_DEFAULT else "sum"


class _Strict(argparse.ArgumentParser):
    def error(self, message):
        raise ValueError(message)


def _check_pairs(settings: dict) -> None:
    changed, count = settings["changed"], data.factor_count(settings)
    if changed is None or count is None:
        return
    if changed not in ("uniform", "authors", "random"):
        most = int(str(changed).split(":")[-1])
        if most > count:
            raise ValueError(f"--changed must be at most {count}, the number of factors, got {changed}")
    elif changed != "uniform" and settings["radius"] is not None:
        raise ValueError(f"--radius is not for --changed {changed}")


def run(values: dict) -> None:
    train(**values)


def after_interruption(values: dict) -> str:
    """What to say to whoever pressed Ctrl-C."""
    if (values["out"] / SETTINGS).is_file():
        return f"; go on with: kerasvae train --resume --out {values['out']}"
    return " before the run began"


def objective_class(name: str) -> type:
    """The class of a choice of --objective."""
    from kerasvae import models

    return getattr(models, OBJECTIVES[name])


def build_model(data, settings: dict):
    """The compiled model of a run's settings for its data set; ValueError for what its classes refuse."""
    import keras

    # Where one is None, the objective has no such argument or works out its default.
    arguments = {name: number_or_ramp(settings[name]) for name in ARGUMENTS if settings[name] is not None}
    model = objective_class(settings["objective"]).for_data(
        data,
        settings["latents"],
        settings["networks"],
        reconstruction=losses.build_loss(settings),
        reduction=settings["reduction"],
        seed=settings["seed"],
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


def number_or_ramp(value):
    """What an objective takes for a setting: a ramp START:STOP:STEPS becomes a schedule."""
    if not isinstance(value, str) or ":" not in value:
        return value
    from kerasvae.schedules import Linear

    start, stop, steps = value.split(":")
    return Linear(float(start), float(stop), steps=int(steps))


def train(*, out, resume: bool = False, quiet: bool = False, **settings) -> None:
    """Train a model in the folder `out`, and say where it is.

    Its `history.csv` holds the mean KL of each latent, too, as `kerasvae.callbacks.LatentKL` measures it.

    Args:
        out, resume: as in `kerasvae.runs.train`.
        quiet: no progress bar.
        settings: the options of `kerasvae train`, all of them, by their names with underscores; None for those that
            the data set, the objective or the loss does not have. They are kept in the folder.

    Raises:
        ValueError, FileExistsError, OSError: as `kerasvae.runs.train` and the classes that the settings name.
        RuntimeError: when the model diverged.
    """
    import keras

    from kerasvae import datasets, runs
    from kerasvae.callbacks import LatentKL

    source = data.build_data(settings)
    options = {
        "batch_size": settings["batch_size"],
        "steps": settings["steps"],
        "seed": settings["seed"],
        "standardize": settings["loss"] != "bernoulli",
        "on_device": settings["on_device"],
    }
    if objective_class(settings["objective"]).images_per_example == 2:
        pairs = {"changed": _changed(settings["changed"]), "radius": settings["radius"]}
        pipeline = functools.partial(datasets.pairs, source, **options, **pairs)
    else:
        pipeline = functools.partial(datasets.images, source, **options)
    # What it refuses is refused before the folder holds a run.
    with data.naming_options(_OPTIONS):
        pipeline(start=0)
    try:
        model = runs.train(
            functools.partial(build_model, source, settings),
            pipeline,
            out,
            steps=settings["steps"],
            checkpoint_every=settings["checkpoint_every"],
            # The progress bar comes first, so that it does not grow by a number for each latent.
            callbacks=[*([] if quiet else [keras.callbacks.ProgbarLogger()]), LatentKL(source)],
            settings=settings,
            resume=resume,
            verbose=0 if quiet else 1 if sys.stdout.isatty() else 2,
        )
    except FloatingPointError as error:
        # An error of the command, which is said in one line.
        raise RuntimeError(str(error)) from error
    print(f"trained {int(model.step.numpy())} steps: {Path(out) / runs.MODEL}, history in {Path(out) / runs.HISTORY}")
    print(f"next: kerasvae score {out}")


def _changed(value):
    """What `kerasvae.datasets.pairs` takes for the setting: a range LEAST:MOST becomes a tuple."""
    if not isinstance(value, str) or ":" not in value:
        return value
    return tuple(int(number) for number in value.split(":"))
