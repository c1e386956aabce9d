"""`kerasvae export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from kerasvae_command.options import run_folder

FORMATS = ("onnx", "tf_saved_model")


def add(commands) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "export",
        help="export the encoder of a run for serving",
        description="Write a run's encoder for serving: uint8 images in, mean and logvar out. It is checked against "
        "the model, and described in a JSON file beside it.",
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=run_folder, help="of the run")
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument("--out", type=Path, metavar="PATH", help="default encoder.onnx or encoder in the run's folder")
    return parser


def check(values: dict) -> dict:
    out = values["out"]
    if out is None:
        out = values["folder"] / ("encoder.onnx" if values["format"] == "onnx" else "encoder")
    if values["format"] == "onnx" and out.suffix != ".onnx":
        raise ValueError(f"--out must end in .onnx for --format onnx, got {str(out)!r}")
    return {**values, "out": out}


def run(values: dict) -> None:
    from kerasvae import cli

    cli.export(**values)
