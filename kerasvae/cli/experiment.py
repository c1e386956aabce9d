"""`kerasvae experiment`."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import re
import shlex
import sys
from pathlib import Path

from kerasvae.cli.data import naming_options
from kerasvae.cli.options import existing_folder, folder_place, integer, listed, new_folder

NAMES = ("adversarial", "overlap", "augmented_loss")
SCALES = ("paper", "small")
FLAVOURS = ("corrected", "authors")
ROLES = ("chief", "worker")
_OPTIONS = {
    **{name: name for name in ("workers", "chief", "role", "timeout", "rows", "rows_per_device", "data_dir")},
    "manual_dir": "manual_dir",
    "folder": "out",
}
STUDY = "study.json"
# Rows of the grids of `kerasvae.tuning.grids`.
COUNTS = {
    "paper": {"adversarial": 160, "overlap": 160, "augmented_loss": 40},
    "small": {"adversarial": 24, "overlap": 64, "augmented_loss": 40},
}


def name(text) -> str:
    """A type for argparse: the name of an experiment, also with a hyphen."""
    found = text.replace("-", "_")
    if found not in NAMES:
        raise argparse.ArgumentTypeError(f"invalid choice: {text!r} (choose from {listed(NAMES)})")
    return found


def row_numbers(text) -> list[int]:
    """A type for argparse: numbers and ranges of them, 3,7-12, as increasing numbers from 1."""
    numbers = set()
    for part in text.split(","):
        match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= first <= last or last > 10_000:
            raise argparse.ArgumentTypeError(f"must be numbers from 1 and ranges of them, as 3,7-12, got {text!r}")
        numbers.update(range(first, last + 1))
    return sorted(numbers)


def address(text) -> str:
    """A type for argparse: HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise argparse.ArgumentTypeError(f"must be HOST:PORT, the port from 1 to 65535, got {text!r}")
    return text


def add_grid(parser) -> None:
    """The options that name a grid and its folder."""
    parser.add_argument("name", type=name, metavar="NAME", help=f"{listed(NAMES)}")
    parser.add_argument("--scale", choices=SCALES, default="paper", help="as in the paper (default), or for a laptop")
    parser.add_argument(
        "--flavour",
        choices=FLAVOURS,
        default="corrected",
        help="as the paper says (default), or as the authors' code did",
    )


def folder_of(values: dict) -> Path:
    return Path("runs") / f"{values['name']}-{values['scale']}-{values['flavour']}"


def add(commands) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "experiment",
        help="run one of the paper's experiments",
        description="Run the rows of one of the paper's experiments, each in a folder of its own. Ctrl-C or a kill "
        "costs the steps since a row's last checkpoint; go on with --resume.",
        epilog="example: kerasvae experiment augmented_loss --scale small",
        allow_abbrev=False,
    )
    add_grid(parser)
    parser.add_argument("--rows", type=row_numbers, metavar="3,7-12", help="of the grid, from 1 (default all)")
    parser.add_argument("--out", type=new_folder, metavar="FOLDER", help="default runs/NAME-SCALE-FLAVOUR")
    parser.add_argument(
        "--resume", action="store_true", help="go on in the folder, with its unfinished rows and those of --rows"
    )
    several = parser.add_argument_group(
        "several rows at a time",
        "Several machines need a folder that they share: give all of them the same experiment and folder, one --role "
        "chief with the address to listen on, the others --role worker with the chief's, whose rows they do. The port "
        "is neither encrypted nor asks who is calling: use a private network.",
    )
    several.add_argument("--workers", type=integer(0), default=1, metavar="N", help="on this machine (default 1)")
    several.add_argument(
        "--rows-per-device",
        type=integer(1),
        default=1,
        metavar="N",
        help="rows that differ in beta or seed alone, trained together by each worker in one program; for GPUs, and "
        "the backend jax alone (default 1)",
    )
    several.add_argument("--chief", type=address, metavar="HOST:PORT", help="of a search on several machines")
    several.add_argument("--role", choices=ROLES, help="of this process, with --chief")
    several.add_argument(
        "--timeout",
        type=integer(1),
        default=60,
        metavar="S",
        help="seconds without a sign of life after which another worker takes a row (default 60)",
    )
    parser.add_argument("--data-dir", type=folder_place, metavar="FOLDER", help="of prepared data")
    parser.add_argument("--manual-dir", type=existing_folder, metavar="FOLDER", help="of files that you downloaded")
    parser.add_argument(
        "--jobs",
        type=integer(1),
        metavar="N",
        help="threads for the scores of a row (default: the machine's cores, shared by the workers)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress display")
    return parser


def check(values: dict) -> dict:
    values["out"] = values["out"] or folder_of(values)
    count = COUNTS[values["scale"]][values["name"]]
    if values["rows"] and values["rows"][-1] > count:
        raise ValueError(
            f"--rows must be from 1 to {count} for {values['name']} at --scale {values['scale']}, got "
            f"{values['rows'][-1]}"
        )
    if (values["role"] is None) != (values["chief"] is None):
        raise ValueError("--chief and --role go together")
    if values["role"] == "worker" and values["workers"] != 1:
        raise ValueError("--workers must be 1 with --role worker: start one process for each")
    if values["workers"] == 0 and values["role"] != "chief":
        raise ValueError("--workers must be at least 1 (0 with --role chief), got 0")
    begun = (values["out"] / STUDY).is_file()
    if begun and not values["resume"] and values["role"] != "worker":
        raise ValueError(
            f"--out: {str(values['out'])!r} already holds an experiment; go on with --resume, or name another folder"
        )
    return values


def run(values: dict) -> None:
    experiment(**values)


def experiment(
    *,
    name: str,
    scale: str = "paper",
    flavour: str = "corrected",
    rows: list[int] | None = None,
    out,
    resume: bool = False,
    workers: int = 1,
    chief: str | None = None,
    role: str | None = None,
    timeout: float = 60.0,
    rows_per_device: int = 1,
    data_dir: str | None = None,
    manual_dir: str | None = None,
    jobs: int | None = None,
    quiet: bool = False,
) -> list[dict]:
    """Run rows of one of the paper's experiments in the folder `out`; then write its table and figure.

    Args:
        name, scale, flavour: of the grid, as in `kerasvae.tuning.grids`.
        rows: numbers from 1 of those to run. Default None: all; for a worker, those of its chief, which is waited for.
        out: folder of the study.
        resume: go on with the study in the folder: with its unfinished rows, and `rows`.
        workers, chief, role, timeout: as in `kerasvae.tuning.search`.
        rows_per_device, data_dir, manual_dir: as in `kerasvae.tuning.ExperimentRun`.
        jobs: threads for the scores of a row. Default None: the cores of this machine, shared by the workers.
        quiet: no progress display.

    Returns:
        The rows as from `kerasvae.tuning.experiment_results`.

    Raises:
        FailedRowsError, ValueError, RuntimeError, OSError: as `kerasvae.tuning.search`; ValueError when the folder
            holds another experiment.
    """
    # Keras Tuner takes seconds to import.
    from kerasvae import files, tuning
    from kerasvae.cli.results import results
    from kerasvae.tuning.experiment_progress import GridProgress
    from kerasvae.tuning.experiment_tables import EXPERIMENT, begin_experiment
    from kerasvae.tuning.study import only_process

    out, grid = Path(out), tuning.grids.GRIDS[name](scale, flavour)
    say = None if quiet else functools.partial(print, flush=True)
    if role == "worker":
        with naming_options(_OPTIONS):
            numbers = _rows_of_chief(out, grid, rows, chief, say) or rows or range(1, len(grid) + 1)
    else:
        numbers = sorted({*(rows or range(1, len(grid) + 1)), *(_begun(out, grid) if resume else [])})
    chosen = [grid[number - 1] for number in numbers]
    jobs = jobs or _cores() // max(workers, 1) or 1
    with naming_options(_OPTIONS):
        run = tuning.ExperimentRun(data_dir, manual_dir, jobs=jobs, rows_per_device=rows_per_device)
    title = f"{name}, {scale} scale, {flavour}"
    metric = "mig" if grid[0]["reported"] == "final" else "best_mig"
    display = contextlib.nullcontext() if quiet else GridProgress(out, chosen, numbers, title, metric)
    try:
        with naming_options(_OPTIONS), contextlib.ExitStack() as stack:
            if role != "worker":
                files.check_writable(out / EXPERIMENT, "folder")
                # Not that of `search`, which comes too late: another experiment may begin here at the same moment.
                stack.enter_context(only_process(out, ".experiment.lock"))
                begin_experiment(out, name, scale, flavour, grid)
            with display:
                tuning.search(
                    run,
                    chosen,
                    out,
                    (metric, "max"),
                    verbose=0,
                    workers=workers,
                    chief=chief,
                    role=role,
                    timeout=timeout,
                    on_wait=None if quiet else display.say,
                )
    except KeyboardInterrupt:
        command = ["kerasvae", "experiment", name, "--scale", scale, "--flavour", flavour, "--out", str(out)]
        command += ["--rows", ",".join(map(str, rows))] if rows else []
        command += ["--workers", str(workers)] if workers != 1 else []
        command += ["--rows-per-device", str(rows_per_device)] if rows_per_device != 1 else []
        command += ["--chief", chief, "--role", role] if role else []
        command += ["--resume"] if role != "worker" else []
        print(f"\ngo on with: {shlex.join(command)}", file=sys.stderr)
        raise
    except tuning.FailedRowsError:
        # The others have their table and figure all the same.
        results(folder=out, name=name, quiet=quiet)
        raise
    if role == "worker":
        # The chief writes them.
        return tuning.experiment_results(out, grid)
    return results(folder=out, name=name, quiet=quiet)


def _rows_of_chief(out: Path, grid: list[dict], rows: list[int] | None, chief: str, say) -> list[int]:
    """Numbers of the rows that the chief of the study in the folder has, once it is there.

    Raises:
        ValueError: for a chief on an unknown host, or `rows` that the chief does not have.
        RuntimeError: when it does not come.
    """
    from kerasvae.tuning.distributed import check_address
    from kerasvae.tuning.experiment_tables import ranges
    from kerasvae.tuning.results import stored_result
    from kerasvae.tuning.worker import Chief, StudyEnded

    def is_finished():
        begun = _begun(out, grid)
        return bool(begun) and all(stored_result(out, grid[number - 1]) for number in begun)

    chief = Chief(check_address(chief, "worker"), is_finished, say or (lambda line: None))
    chief.check_host()
    with contextlib.suppress(StudyEnded):
        chief.wait()
    begun = _begun(out, grid)
    if begun and (others := sorted({*(rows or [])} - {*begun})):
        raise ValueError(
            f"rows must be among those of the chief, {ranges(begun)}, or be left out, got {ranges(others)}"
        )
    return begun


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begun(out: Path, grid: list[dict]) -> list[int]:
    """Numbers of the rows that the study in the folder began with: it cannot go on without them."""
    try:
        study = json.loads((out / STUDY).read_text(encoding="utf-8"))
        return [number for number, row in enumerate(grid, start=1) if row in study["rows"]]
    except (OSError, ValueError, KeyError, TypeError):  # no study yet, or one that `search` will complain of
        return []
