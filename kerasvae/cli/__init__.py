"""The command `kerasvae`: its arguments, checked before anything heavy is imported; a module a subcommand.

At their tops these modules import the standard library and each other alone, so that a wrong argument is answered at
once; what a command does imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import os
import re
import sys

from kerasvae import __version__
from kerasvae.cli import (
    encode,
    experiment,
    export,
    factor_importance,
    loss_audit,
    report,
    results,
    score,
    serve,
    train,
)
from kerasvae.cli.options import Parser, listed

# Variable of the environment, for those who look for the cause of an error that nobody foresaw.
TRACEBACK = "KERASVAE_TRACEBACK"
COMMANDS = {
    "train": train,
    "score": score,
    "export": export,
    "encode": encode,
    "serve": serve,
    "factor-importance": factor_importance,
    "loss-audit": loss_audit,
    "experiment": experiment,
    "results": results,
    "report": report,
}


def parser() -> Parser:
    main_parser = Parser(
        "kerasvae",
        description="Train variational autoencoders, score how disentangled their codes are, export encoders, and see "
        "what a reconstruction loss perceives of a data set.",
        allow_abbrev=False,
    )
    main_parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = main_parser.add_subparsers(dest="command", metavar=f"{{{','.join(COMMANDS)}}}")
    for module in COMMANDS.values():
        command_parser = module.add(commands)
        command_parser.set_defaults(command_module=module, command_parser=command_parser)
    return main_parser


def check(arguments: argparse.Namespace) -> dict:
    """The keyword arguments of the command's function; ValueError or OSError for a wrong one."""
    values = {name: value for name, value in vars(arguments).items() if not name.startswith("command")}
    values.pop("version")
    return arguments.command_module.check(values)


def main(argv: list[str] | None = None) -> int:
    """Run the command; the exit status: 0, 2 for a wrong argument or file, 1 for another failure, 130 after Ctrl-C.

    No error is shown as a traceback, unless the environment has a variable KERASVAE_TRACEBACK.
    """
    main_parser = parser()
    arguments = main_parser.parse_args(argv)
    if arguments.version:
        print(f"kerasvae {__version__}")
        return 0
    if arguments.command is None:
        main_parser.error(f"a command is needed: {listed(COMMANDS)}")
    try:
        values = check(arguments)
    except (ValueError, OSError) as error:
        arguments.command_parser.error(str(error))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        arguments.command_module.run(values)
    except KeyboardInterrupt:
        advice = getattr(arguments.command_module, "after_interruption", lambda values: "")(values)
        print(f"\nkerasvae: interrupted{advice}", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError, RuntimeError, MemoryError) as error:
        out_of_memory = "not enough memory: " * isinstance(error, MemoryError)
        print(f"kerasvae: error: {out_of_memory}{_on_one_line(str(error)) or type(error).__name__}", file=sys.stderr)
        return 1 if isinstance(error, RuntimeError) else 2
    except Exception as error:
        # Whoever runs the command cannot use a traceback, whoever mends it asks for one.
        if os.environ.get(TRACEBACK):
            raise
        said = f"{type(error).__name__}: {_on_one_line(str(error))[:300]}"
        print(f"kerasvae: error: {said} (unexpected; {TRACEBACK}=1 shows where)", file=sys.stderr)
        return 1
    return 0


def _on_one_line(message: str) -> str:
    """A message on one line, whatever the library it is of; semicolons between the items of an indented list."""
    return " ".join(re.sub(r"(?<![:\n])\n[ \t]+", "; ", message.strip()).split())
