"""`kerasvae report`."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from kerasvae.cli.options import existing_folder, integer, listed, new_file, path

# Kept here, too: `kerasvae.analysis.study.published` is not imported before the arguments are right.
PUBLISHED = ("locatello2019-slides", "dubois2019-poster")
WITH_RUNS = ("dubois2019-poster",)
FIELDS = ("study", "dataset", "method", "strength", "strength_name", "seed", "run_id", "status")
LONG = ("metric", "value", "representation")

INPUT = """results:
  A CSV file, with one line per run and one column per metric, or one line per number with columns metric and value;
  a folder of `kerasvae experiment`; JSON, that of disentanglement_lib too. Several are runs of one study; NAME=RESULTS
  makes one a study of that name. What the columns were taken to mean stands on the page; --column says it where the
  guess is wrong, --constant what there is no column of.

examples:
  kerasvae report runs/augmented_loss-small-keras --out report.html
  kerasvae report sweep.csv --column method=params_model --column metrics=val_mig,val_sap --out report.html
  kerasvae report mine=mine.csv poster=dubois2019-poster --beside locatello2019-slides --out report.html
"""


def add(commands) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "report",
        help="one page of findings, figures and tables of anybody's results",
        description="Write one HTML file with every analysis that the results allow, and why not the others. It needs "
        "neither scripts nor the network, and prints on A4.",
        epilog=INPUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("results", type=results, nargs="+", metavar="RESULTS", help="a file or folder, or NAME=RESULTS")
    parser.add_argument("--out", type=html_file, required=True, metavar="FILE", help="the page, ending in .html")
    parser.add_argument("--title", default="", metavar="TEXT", help="of the page (default: Study of N runs)")
    parser.add_argument("--beside", choices=PUBLISHED, help="published tables to show next to them")
    parser.add_argument(
        "--column",
        type=column,
        action="append",
        default=[],
        metavar="FIELD=NAME",
        help=f"what a field is called in the results: {', '.join(FIELDS)}, {', '.join(LONG)}, metrics (several with "
        "commas) or hp.NAME",
    )
    parser.add_argument(
        "--constant",
        type=constant,
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help=f"one value for all runs, of a field without a column: {listed(FIELDS)}",
    )
    parser.add_argument(
        "--replicates", type=integer(2), default=2000, metavar="N", help="of the bootstrap (default 2000)"
    )
    parser.add_argument(
        "--seed", type=integer(0, 2**32 - 1), default=1, metavar="N", help="of the bootstrap (default 1)"
    )
    parser.add_argument(
        "--images", type=existing_folder, metavar="FOLDER", help="pictures of runs, RUN_ID.png or RUN_ID/*.png"
    )
    parser.add_argument("--quiet", action="store_true", help="do not say what is being computed")
    return parser


def results(text) -> tuple[str | None, str]:
    """A type for argparse: a study's name, or None, and what is there: a file, a folder or a published study."""
    name, place = None, text
    if "=" in text and not os.path.exists(text):
        name, place = text.split("=", 1)
        if not name.strip():
            raise argparse.ArgumentTypeError(f"must be NAME=RESULTS with a name, got {text!r}")
    if place in WITH_RUNS or path(place).is_file() or path(place).is_dir():
        return name, place
    if path(place).exists():  # a pipe, which would be waited for
        raise argparse.ArgumentTypeError(f"must be a file or folder, {place!r} is neither")
    if place in PUBLISHED:
        raise argparse.ArgumentTypeError(f"{place!r} has tables, but no runs; show them with --beside {place}")
    raise argparse.ArgumentTypeError(f"there is no file or folder {place!r}")


def html_file(text) -> Path:
    """A type for argparse: a path ending in .html or .htm."""
    if Path(text).suffix.lower() not in (".html", ".htm"):
        raise argparse.ArgumentTypeError(f"must end in .html, got {text!r}")
    return new_file(text)


def column(text) -> tuple[str, str | list[str]]:
    """A type for argparse: a field and what it is called; of metrics a list."""
    field, separator, name = text.partition("=")
    fields = (*FIELDS, *LONG, "metrics")
    names = [each for each in name.split(",") if each]
    if not separator or not names or (field not in fields and not (field.startswith("hp.") and field[3:])):
        raise argparse.ArgumentTypeError(f"must be FIELD=NAME, FIELD {', '.join(fields)} or hp.NAME, got {text!r}")
    return field, names if field == "metrics" else name


def constant(text) -> tuple[str, str]:
    """A type for argparse: a field and its value."""
    field, separator, value = text.partition("=")
    if not separator or not value.strip() or field not in FIELDS:
        raise argparse.ArgumentTypeError(f"must be FIELD=VALUE, FIELD {listed(FIELDS)}, got {text!r}")
    return field, value


def check(values: dict) -> dict:
    given, columns, constants = (values.pop(name) for name in ("results", "column", "constant"))
    named = [name for name, _ in given if name is not None]
    if named and len(named) < len(given):
        raise ValueError("RESULTS: give all of them a study's name, NAME=RESULTS, or none")
    if len(set(named)) < len(named):
        raise ValueError(f"RESULTS: studies must have different names, got {', '.join(named)}")
    for option, pairs, one in (("--column", columns, "name"), ("--constant", constants, "value")):
        if len(dict(pairs)) < len(pairs):
            raise ValueError(f"{option}: a field can have one {one} only")
    mapping = {field: name for field, name in columns if not field.startswith("hp.")}
    if hyper := {field.removeprefix("hp."): name for field, name in columns if field.startswith("hp.")}:
        mapping["hp"] = hyper
    places = [place for _, place in given]
    source = dict(given) if named else places[0] if len(places) == 1 else places
    return {**values, "source": source, "columns": mapping, "constants": dict(constants)}


def run(values: dict) -> None:
    # Without Keras.
    from kerasvae import files
    from kerasvae.analysis.study.load import load
    from kerasvae.report import write_report

    try:
        table = load(values.pop("source"), values.pop("columns") or None, constants=values.pop("constants") or None)
        if not len(table):
            raise ValueError("RESULTS: there are no runs in them, and so nothing to report")
        files.check_writable(values["out"], "--out")
        page = write_report(table, values.pop("out"), **values)
    except (KeyError, TypeError) as error:  # columns or metrics that are not there
        raise ValueError(_named(error.args[0] if error.args else str(error))) from error
    except ValueError as error:
        raise ValueError(_named(str(error))) from error
    size = page.stat().st_size
    print(
        f"{page}: {len(table)} runs, {size / 1e6:.1f} MB"
        if size >= 1e6
        else f"{page}: {len(table)} runs, {size // 1000} kB"
    )


def _named(message) -> str:
    """What is wrong, under the name of the command's option instead of the function's argument."""
    for argument, option in (("source", "RESULTS"), ("columns", "--column"), ("constants", "--constant")):
        message = re.sub(rf"^{argument}(?=[:\[ ])", option, str(message))
    return message
