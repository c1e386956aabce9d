"""`kerasvae encode`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kerasvae.cli.options import integer, listed, new_file, path

FORMATS = (".csv", ".npz", ".parquet")
ON_ERROR = ("report", "stop")
MANIFEST = "bundle.json"
# Kept here, too: of files with more pixels Pillow makes nothing.
PIXELS = 178_956_970


def add(commands) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "encode",
        help="write the codes of image files",
        description="Encode image files with a bundle, and write one row per file, in their order; neither "
        "Keras nor a backend is needed. Files that cannot be used are listed in OUT.errors.csv, and the exit status is "
        "then 1. Ctrl-C or a kill costs about a second's work; go on with --resume.",
        epilog="example: kerasvae encode bundles/quickstart photos --recursive --out codes.csv",
        allow_abbrev=False,
    )
    parser.add_argument("bundle", type=bundle_folder, metavar="BUNDLE", help="a folder that kv.export.bundle wrote")
    parser.add_argument(
        "files", nargs="+", type=file_or_folder, metavar="FILES", help="images, and folders whose images are taken"
    )
    parser.add_argument(
        "--out", required=True, type=codes_file, metavar="FILE", help=f"for the codes, ending in {listed(FORMATS)}"
    )
    parser.add_argument("--recursive", action="store_true", help="also take the images in the folders' subfolders")
    parser.add_argument("--logvar", action="store_true", help="also write the log-variances")
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped, or begin one")
    parser.add_argument(
        "--on-error",
        choices=ON_ERROR,
        default="report",
        help="what a file that cannot be used does: be listed at the end (default), or stop the run",
    )
    parser.add_argument(
        "--batch-size", type=integer(1), default=256, metavar="N", help="files encoded at a time (default 256)"
    )
    parser.add_argument("--threads", type=integer(1, 1024), metavar="N", help="default one per processor")
    parser.add_argument(
        "--pixel-limit", type=integer(1, PIXELS), metavar="N", help="use no files of more pixels (default 89478485)"
    )
    return parser


def bundle_folder(text) -> str:
    """A type for argparse: a folder that holds a bundle."""
    if not (path(text) / MANIFEST).is_file():
        raise argparse.ArgumentTypeError(f"{text!r} holds no bundle of kv.export.bundle (there is no {MANIFEST} in it)")
    return text


def file_or_folder(text) -> str:
    """A type for argparse: a path of something that is there."""
    if not path(text).exists():
        raise argparse.ArgumentTypeError(f"there is no file or folder {text!r}")
    return text


def codes_file(text) -> Path:
    """A type for argparse: a path that ends as codes can be written."""
    if Path(text).suffix.lower() not in FORMATS:
        raise argparse.ArgumentTypeError(f"must end in {listed(FORMATS)}, got {text!r}")
    return new_file(text)


def check(values: dict) -> dict:
    if values["pixel_limit"] is None:
        values.pop("pixel_limit")
    return values


def run(values: dict) -> None:
    from kerasvae.serving import encode_files

    encoded = encode_files(**values)
    print(f"{encoded.count} images encoded: {encoded.out}")
    if not encoded.broken:
        return
    for file, reason in encoded.first_broken:
        print(f"  {file}: {reason}", file=sys.stderr)
    if encoded.broken > len(encoded.first_broken):
        print(f"  and {encoded.broken - len(encoded.first_broken)} more", file=sys.stderr)
    files = "1 file" if encoded.broken == 1 else f"{encoded.broken} files"
    raise RuntimeError(f"{files} could not be used, as listed in {encoded.errors}")


def after_interruption(values: dict) -> str:
    """What to say to whoever pressed Ctrl-C."""
    return "; go on with the same command and --resume"
