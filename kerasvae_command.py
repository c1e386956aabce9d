"""The command `kerasvae`: its arguments, checked before anything heavy is imported.

It lies beside the package because importing anything of `kerasvae` imports Keras, which takes seconds, and a wrong
argument should be answered at once. What the commands do is in `kerasvae.cli`.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path

DATASETS = ("xysquares",)
OBJECTIVES = (
    "vae",
    "betavae",
    "annealedvae",
    "factorvae",
    "betatcvae",
    "dipvae",
    "infovae",
    "adagvae",
    "adamlvae",
)
LOSSES = ("mse", "mae", "bernoulli", "boxblur")
NETWORKS = ("conv", "mlp")
REDUCTIONS = ("mean", "sum")
ESTIMATORS = ("mws", "mss", "mss_legacy")
UPDATES = ("alternating", "simultaneous")
KINDS = ("i", "ii")
DISTANCES = ("symmetric", "forward")
AVERAGINGS = ("gvae", "authors")
SCORES = ("mig", "dci")
FORMATS = ("onnx", "tf_saved_model")

DEFAULTS = {
    "dataset": "xysquares",
    "grid_spacing": 8,
    "num_squares": 3,
    "grey": False,
    "loss": "mse",
    "latents": 9,
    "networks": "conv",
    "batch_size": 256,
    "learning_rate": 1e-3,
    "seed": 1,
    "steps_per_execution": 1,
    "checkpoint_every": 500,
}
REQUIRED = ("objective", "steps")
# Options that only some choices have: of what, and the default of each choice that has it (None where the class works
# it out). Elsewhere they are None.
ONLY_WITH = {
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
    "blur_radius": ("loss", {"boxblur": 31}),
    "blur_weight": ("loss", {"boxblur": 3969.0}),
}
# Objectives whose own default is the mean over pixels and latents; that of the others is the sum.
MEAN_BY_DEFAULT = ("betavae", "adagvae", "adamlvae")
SETTINGS = "settings.json"


def integer(least: int, most: float = math.inf):
    """A type for argparse: an integer from `least` to `most`."""
    allowed = f"at least {least}" if most == math.inf else f"from {least} to {most}"

    def convert(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be an integer, {allowed}, got {text!r}")
        return value

    return convert


def number(text, above_zero: bool = False) -> float:
    """A type for argparse: a finite number, at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        raise argparse.ArgumentTypeError(f"must be a number, {'above' if above_zero else 'at least'} 0, got {text!r}")
    return value


def hyperparameter(least: float = 0.0, most: float = math.inf):
    """A type for argparse: a number from `least` to `most`, or a ramp of such numbers, START:STOP:STEPS.

    A ramp stays text, in its shortest form; `kerasvae.cli` makes a schedule of it.
    """
    limits = [f"at least {least:g}"] * math.isfinite(least) + [f"at most {most:g}"] * math.isfinite(most)
    allowed = ", ".join(["must be a number, or a ramp START:STOP:STEPS", *limits])

    def convert(text):
        *ends, steps = text.split(":") if text.count(":") == 2 else (text, "1")
        try:
            values = [float(end) for end in ends]
            if int(steps) < 1 or not all(math.isfinite(value) and least <= value <= most for value in values):
                raise ValueError
        except ValueError:
            raise argparse.ArgumentTypeError(f"{allowed}, got {text!r}") from None
        if len(values) == 1:
            return values[0]
        return ":".join([*(repr(value).removesuffix(".0") for value in values), str(int(steps))])

    return convert


def changed(text):
    """A type for argparse: how many factors of a pair differ."""
    if text in ("uniform", "authors"):
        return text
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be uniform, authors or an integer, at least 1, got {text!r}")
    return int(text)


def run_folder(text) -> Path:
    """A type for argparse: a folder in which `kerasvae train` has begun a run."""
    if not (Path(text) / SETTINGS).is_file():
        raise argparse.ArgumentTypeError(f"{text!r} holds no run of `kerasvae train` (there is no {SETTINGS} in it)")
    return Path(text)


class Parser(argparse.ArgumentParser):
    """Answers a wrong argument in one line, without the usage, which for `train` fills half a screen."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def parser() -> Parser:
    main_parser = Parser(
        "kerasvae",
        description="Train variational autoencoders, score how disentangled their codes are, and export encoders.",
        allow_abbrev=False,
    )
    main_parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = main_parser.add_subparsers(dest="command", metavar="{train,score,export}")
    _add_train(commands)
    _add_score(commands)
    _add_export(commands)
    return main_parser


def _add_train(commands) -> None:
    # Absent options stay absent, so that a resumed run can tell what was given.
    train = commands.add_parser(
        "train",
        help="train a model on a ground-truth data set",
        description="Train a model in a folder of its own. Ctrl-C or a kill costs the steps since the last checkpoint.",
        epilog="example: kerasvae train --objective adagvae --loss boxblur --beta 0.01 --steps 2000 --out runs/a",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    run = train.add_argument_group("run")
    run.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder of the run")
    run.add_argument(
        "--resume", action="store_true", help="go on where the run in the folder stopped, with its settings"
    )
    run.add_argument("--steps", type=integer(1), metavar="N", help="training steps (required for a new run)")
    run.add_argument("--seed", type=integer(0), metavar="N", help="of weights, data and latent noise (default 1)")
    run.add_argument("--checkpoint-every", type=integer(1), metavar="N", help="steps between checkpoints (default 500)")
    run.add_argument("--quiet", action="store_true", help="no progress bar")

    data = train.add_argument_group("data")
    data.add_argument("--dataset", choices=DATASETS, help="default xysquares")
    data.add_argument("--grid-spacing", type=integer(1, 8), metavar="1..8", help="pixels between positions (default 8)")
    data.add_argument("--num-squares", type=integer(1, 3), metavar="1..3", help="default 3")
    data.add_argument("--grey", action="store_true", help="all squares white in one channel, not one in each of three")
    data.add_argument("--batch-size", type=integer(1), metavar="N", help="images, or pairs, a step (default 256)")
    _add_only_with(data, "changed", "factors that differ in a pair", type=changed, metavar="uniform|authors|N")

    model = train.add_argument_group("model")
    model.add_argument(
        "--objective", choices=OBJECTIVES, help="required for a new run; adagvae and adamlvae learn from pairs"
    )
    model.add_argument("--loss", choices=LOSSES, help="of the reconstruction (default mse)")
    _add_only_with(model, "blur_radius", "of the kernel, in pixels", type=integer(0), metavar="N")
    _add_only_with(model, "blur_weight", "of the blurred errors", type=number, metavar="W")
    model.add_argument(
        "--reduction",
        choices=REDUCTIONS,
        help="over pixels and latents: the scale of the weights below "
        f"(default mean for {_listed(MEAN_BY_DEFAULT)}, sum for the others)",
    )
    model.add_argument("--latents", type=integer(1), metavar="N", help="default 9")
    model.add_argument("--networks", choices=NETWORKS, help="default conv")

    objective = train.add_argument_group(
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
        _add_only_with(objective, name, text, type=type, metavar="V")
    for name, text, choices in (
        ("update", "halves of a batch in turn, or all of it at once", UPDATES),
        ("estimator", "of the total correlation", ESTIMATORS),
        ("kind", "DIP-VAE-I or -II", KINDS),
        ("averaging", "of the latents that a pair shares", AVERAGINGS),
        ("distance", "of the posteriors of a pair", DISTANCES),
    ):
        _add_only_with(objective, name, text, choices=choices)

    optimizer = train.add_argument_group("optimizer")
    optimizer.add_argument(
        "--learning-rate", type=lambda text: number(text, above_zero=True), metavar="R", help="Adam's (default 0.001)"
    )
    optimizer.add_argument(
        "--steps-per-execution", type=integer(1), metavar="N", help="steps in one dispatch (default 1; not on Torch)"
    )
    train.set_defaults(command_parser=train)


def _add_only_with(group, name: str, text: str, **arguments) -> None:
    """An option that only some choices have, with these and their defaults in its help."""
    known = []
    for value, default in ONLY_WITH[name][1].items():
        shown = f"{default:g}" if isinstance(default, float) else default
        known.append(value if default is None else f"{value} ({'' if known else 'default '}{shown})")
    group.add_argument(flag(name), help=f"{text}; for {', '.join(known)}", **arguments)


def _add_score(commands) -> None:
    score = commands.add_parser(
        "score",
        help="score the representation of a run",
        description="Score a run's representation on its data set; print a table and write scores.json to its folder.",
        allow_abbrev=False,
    )
    score.add_argument("folder", type=run_folder, help="of the run")
    score.add_argument("--scores", nargs="+", choices=SCORES, default=list(SCORES), help="default: all")
    score.add_argument("--samples", type=integer(2), default=10_000, metavar="N", help="default 10000")
    score.add_argument("--test-samples", type=integer(1), default=5_000, metavar="N", help="default 5000")
    score.add_argument("--seed", type=integer(0, 2**32 - 1), default=1, metavar="N", help="of the samples (default 1)")
    score.add_argument(
        "--jobs", type=integer(1), metavar="N", help="for dci: factors fitted at the same time (default 1)"
    )
    score.add_argument("--json", action="store_true", dest="as_json", help="print JSON instead of a table")
    score.set_defaults(command_parser=score)


def _add_export(commands) -> None:
    export = commands.add_parser(
        "export",
        help="export the encoder of a run for serving",
        description="Write a run's encoder for serving: uint8 images in, mean and logvar out. It is checked against "
        "the model, and described in a JSON file beside it.",
        allow_abbrev=False,
    )
    export.add_argument("folder", type=run_folder, help="of the run")
    export.add_argument("--format", required=True, choices=FORMATS)
    export.add_argument("--out", type=Path, metavar="PATH", help="default encoder.onnx or encoder in the run's folder")
    export.set_defaults(command_parser=export)


def _listed(values) -> str:
    """`values` as "a, b or c"."""
    *others, last = values
    return f"{', '.join(others)} or {last}" if others else last


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def train_settings(given: dict, before: dict | None) -> dict:
    """All settings of a run from those given and those it began with (None for a new run); ValueError if at odds."""
    if before is not None:
        names = (*REQUIRED, *DEFAULTS, "reduction")
        if missing := [name for name in names if name not in before]:
            raise ValueError(f"--resume: the run was not begun by `kerasvae train`: its settings lack {missing[0]!r}")
        # A run that was begun before an option was added has not got it.
        before = {name: before.get(name) for name in (*names, *ONLY_WITH)}
        if different := [name for name in given if given[name] != before[name]]:
            began = (f"{flag(name)} {before[name]} (given: {given[name]})" for name in different)
            raise ValueError(f"--resume: the run began with {', '.join(began)}")
        return before
    if missing := [flag(name) for name in REQUIRED if name not in given]:
        raise ValueError(f"a new run needs {' and '.join(missing)}")
    settings = {**DEFAULTS, **given}
    settings.setdefault("reduction", "mean" if settings["objective"] in MEAN_BY_DEFAULT else "sum")
    for name, (choice, defaults) in ONLY_WITH.items():
        if settings[choice] in defaults:
            settings.setdefault(name, defaults[settings[choice]])
        elif name in given:
            raise ValueError(f"{flag(name)} is only for {flag(choice)} {_listed(defaults)}, not {settings[choice]}")
        else:
            settings[name] = None
    factors = 2 * settings["num_squares"]
    if isinstance(settings["changed"], int) and settings["changed"] > factors:
        raise ValueError(f"--changed must be at most {factors}, the number of factors, got {settings['changed']}")
    return settings


def check(arguments: argparse.Namespace) -> dict:
    """The keyword arguments of the command's function in `kerasvae.cli`; ValueError or OSError for a wrong one."""
    values = {name: value for name, value in vars(arguments).items() if not name.startswith("command")}
    values.pop("version")
    if arguments.command == "train":
        return _check_train(values)
    if arguments.command == "score" and arguments.jobs is not None and "dci" not in arguments.scores:
        raise ValueError("--jobs is only for the score dci")
    if arguments.command == "export":
        if arguments.out is None:
            values["out"] = arguments.folder / ("encoder.onnx" if arguments.format == "onnx" else "encoder")
        if arguments.format == "onnx" and values["out"].suffix != ".onnx":
            raise ValueError(f"--out must end in .onnx for --format onnx, got {str(arguments.out)!r}")
    return values


def _check_train(values: dict) -> dict:
    out, resume, quiet = values.pop("out"), values.pop("resume", False), values.pop("quiet", False)
    before = None
    if (out / SETTINGS).is_file():
        if not resume:
            raise ValueError(f"--out: {str(out)!r} already holds a run; go on with --resume, or name another folder")
        try:
            before = json.loads((out / SETTINGS).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"--resume: {str(out / SETTINGS)!r} is damaged: {error}") from error
    return {**train_settings(values, before), "out": out, "resume": resume, "quiet": quiet}


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit status: 0, 2 for an error, 1 for a failed check of an export, 130 after Ctrl-C."""
    main_parser = parser()
    arguments = main_parser.parse_args(argv)
    if arguments.version:
        print(f"kerasvae {version()}")
        return 0
    if arguments.command is None:
        main_parser.error("a command is needed: train, score or export")
    try:
        values = check(arguments)
    except (ValueError, OSError) as error:
        arguments.command_parser.error(str(error))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        from kerasvae import cli

        getattr(cli, arguments.command)(**values)
    except KeyboardInterrupt:
        advice = ""
        if arguments.command == "train":
            began = (values["out"] / SETTINGS).is_file()
            advice = (
                f"; go on with: kerasvae train --resume --out {values['out']}" if began else " before the run began"
            )
        print(f"\nkerasvae: interrupted{advice}", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        # On one line, whatever the library that raised it.
        print(f"kerasvae: error: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
        return 1 if isinstance(error, RuntimeError) else 2
    return 0


def version() -> str:
    """Version of the package, from its metadata where it is installed."""
    import importlib.metadata

    try:
        return importlib.metadata.version("kerasvae")
    except importlib.metadata.PackageNotFoundError:
        import kerasvae

        return kerasvae.__version__


if __name__ == "__main__":
    sys.exit(main())
