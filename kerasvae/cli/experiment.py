"""`kerasvae experiment`."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

from kerasvae.cli.data import naming_options
from kerasvae.cli.results import results

_OPTIONS = {name: name for name in ("workers", "chief", "role", "timeout", "rows")} | {"folder": "out"}


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
    data_dir: str | None = None,
    manual_dir: str | None = None,
    jobs: int | None = None,
    quiet: bool = False,
) -> list[dict]:
    """Run rows of one of the paper's experiments in the folder `out`; then write its table and figure.

    Args:
        name, scale, flavour: of the grid, as in `kerasvae.tuning.grids`.
        rows: numbers from 1 of those to run. Default None: all.
        out: folder of the study.
        resume: go on with the study in the folder: with its unfinished rows, and `rows`.
        workers, chief, role, timeout: as in `kerasvae.tuning.search`.
        data_dir, manual_dir: as in `kerasvae.tuning.ExperimentRun`.
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
    from kerasvae.tuning.experiment_tables import begin_experiment

    out, grid = Path(out), tuning.grids.GRIDS[name](scale, flavour)
    # A worker must have the chief's rows.
    begun = _begun(out, grid) if resume or role == "worker" else []
    numbers = sorted({*(rows or range(1, len(grid) + 1)), *begun})
    chosen = [grid[number - 1] for number in numbers]
    run = tuning.ExperimentRun(data_dir=data_dir, manual_dir=manual_dir, jobs=jobs or _cores() // max(workers, 1) or 1)
    title = f"{name}, {scale} scale, {flavour}"
    metric = "mig" if grid[0]["reported"] == "final" else "best_mig"
    display = contextlib.nullcontext() if quiet else GridProgress(out, chosen, numbers, title, metric)
    try:
        with naming_options(_OPTIONS):
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
                )
    except KeyboardInterrupt:
        grid_options = f"{name} --scale {scale} --flavour {flavour}"
        print(f"\ngo on with: kerasvae experiment {grid_options} --out {out} --resume", file=sys.stderr)
        raise
    except tuning.FailedRowsError:
        # The others have their table and figure all the same.
        results(folder=out, name=name, quiet=quiet)
        raise
    if role == "worker":
        # The chief writes them.
        return tuning.experiment_results(out, grid)
    return results(folder=out, name=name, quiet=quiet)


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
