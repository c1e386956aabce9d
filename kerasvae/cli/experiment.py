"""`kerasvae experiment`."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import sys
from pathlib import Path

from kerasvae import files
from kerasvae.cli.data import naming_options
from kerasvae.cli.results import results

_OPTIONS = {
    **{name: name for name in ("workers", "chief", "role", "timeout", "rows", "rows_per_device", "data_dir")},
    "manual_dir": "manual_dir",
    "folder": "out",
}


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
    from kerasvae import tuning
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
        study = json.loads((out / "study.json").read_text(encoding="utf-8"))
        return [number for number, row in enumerate(grid, start=1) if row in study["rows"]]
    except (OSError, ValueError, KeyError, TypeError):  # no study yet, or one that `search` will complain of
        return []
