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
OBJECTIVES = ("vae", "betavae", "adagvae")
LOSSES = ("mse", "mae", "bernoulli", "boxblur")
NETWORKS = ("conv", "mlp")
REDUCTIONS = ("mean", "sum")
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
# Options that only some choices have: which, and the default there. Elsewhere they are None.
ONLY_WITH = {
    "beta": ("objective", ("betavae", "adagvae"), 0.001),
    "changed": ("objective", ("adagvae",), "uniform"),
    "blur_radius": ("loss", ("boxblur",), 31),
    "blur_weight": ("loss", ("boxblur",), 3969.0),
}
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
    data.add_argument(
        "--changed", type=changed, metavar="uniform|authors|N", help="factors that differ in a pair (default uniform)"
    )

    model = train.add_argument_group("model")
    model.add_argument("--objective", choices=OBJECTIVES, help="required for a new run; adagvae learns from pairs")
    model.add_argument("--beta", type=number, metavar="B", help="weight of the KL (default 0.001); not for vae")
    model.add_argument("--loss", choices=LOSSES, help="of the reconstruction (default mse)")
    model.add_argument("--blur-radius", type=integer(0), metavar="N", help="pixels; for boxblur (default 31)")
    model.add_argument("--blur-weight", type=number, metavar="W", help="for boxblur (default 3969)")
    model.add_argument(
        "--reduction", choices=REDUCTIONS, help="over pixels and latents (default mean; sum for vae): the scale of beta"
    )
    model.add_argument("--latents", type=integer(1), metavar="N", help="default 9")
    model.add_argument("--networks", choices=NETWORKS, help="default conv")

    optimizer = train.add_argument_group("optimizer")
    optimizer.add_argument(
        "--learning-rate", type=lambda text: number(text, above_zero=True), metavar="R", help="Adam's (default 0.001)"
    )
    optimizer.add_argument(
        "--steps-per-execution", type=integer(1), metavar="N", help="steps in one dispatch (default 1; not on Torch)"
    )
    train.set_defaults(command_parser=train)


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


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def train_settings(given: dict, before: dict | None) -> dict:
    """All settings of a run from those given and those it began with (None for a new run); ValueError if at odds."""
    if before is not None:
        names = (*REQUIRED, *DEFAULTS, *ONLY_WITH, "reduction")
        if missing := [name for name in names if name not in before]:
            raise ValueError(f"--resume: the run was not begun by `kerasvae train`: its settings lack {missing[0]!r}")
        if different := [name for name in given if given[name] != before[name]]:
            began = (f"{flag(name)} {before[name]} (given: {given[name]})" for name in different)
            raise ValueError(f"--resume: the run began with {', '.join(began)}")
        return {name: before[name] for name in names}
    if missing := [flag(name) for name in REQUIRED if name not in given]:
        raise ValueError(f"a new run needs {' and '.join(missing)}")
    settings = {**DEFAULTS, **given}
    settings.setdefault("reduction", "sum" if settings["objective"] == "vae" else "mean")
    for name, (choice, values, default) in ONLY_WITH.items():
        if settings[choice] in values:
            settings.setdefault(name, default)
        elif name in given:
            raise ValueError(f"{flag(name)} is only for {flag(choice)} {' or '.join(values)}, not {settings[choice]}")
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
