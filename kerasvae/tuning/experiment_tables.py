"""What an experiment came to: the rows of its study with their scores, and the table of them."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from kerasvae import files
from kerasvae.tuning.checks import check_folder, check_study_rows
from kerasvae.tuning.experiment_callbacks import read_progress
from kerasvae.tuning.results import ERROR, row_folder, stored_result
from kerasvae.tuning.row_files import read_scores
from kerasvae.tuning.rows import check_rows
from kerasvae.tuning.study import STUDY

EXPERIMENT, TABLE = "experiment.json", "results.csv"
# Of rows that are finished, and of those whose scores cannot be read; the others are begun, failed or missing.
FINISHED, DAMAGED = "finished", "damaged"


def begin_experiment(folder, name: str, scale: str, flavour: str, rows: list[dict]) -> None:
    """Write to a study's folder which grid it is of, or check that it goes on as it began.

    Args:
        folder: of the study.
        name, scale, flavour: of the grid, see `kerasvae.tuning.grids`.
        rows: all of the grid, whichever of them are run here.

    A folder whose study was refused before its first row, or never begun, holds no experiment yet.

    Raises:
        ValueError: when the folder holds another experiment, or its file is damaged.
        OSError: when it cannot be written.
    """
    path, now = Path(folder) / EXPERIMENT, {"name": name, "scale": scale, "flavour": flavour, "rows": rows}
    if path.is_file() and (Path(folder) / STUDY).is_file():
        before = read_experiment(folder)
        for field in ("name", "scale", "flavour", "rows"):
            if before.get(field) != now[field]:
                of = "other rows" if field == "rows" else f"{field} {before.get(field)!r} (now {now[field]!r})"
                raise ValueError(f"folder: {str(folder)!r} holds an experiment with {of}; choose another folder")
    else:
        files.write_json(path, now, "folder")


def read_experiment(folder) -> dict:
    """What `begin_experiment` wrote: name, scale, flavour and rows.

    Raises:
        FileNotFoundError: when `folder` holds no experiment.
        ValueError: when its file is damaged.
    """
    path = check_folder(folder) / EXPERIMENT
    if not path.is_file():
        raise FileNotFoundError(f"folder: {str(folder)!r} holds no experiment (there is no {EXPERIMENT} in it)")
    try:
        experiment = files.read_json(path)
        check_rows(experiment["rows"])
        return {field: experiment[field] for field in ("name", "scale", "flavour", "rows")}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"folder: {str(path)!r} is damaged ({error}); delete it and go on with --resume") from error


def experiment_results(folder, rows: list[dict]) -> list[dict]:
    """The rows of an experiment with what they came to, in the order of `rows`.

    Args:
        folder: of the study.
        rows: of the grid.

    Returns:
        A dictionary a row: `row`, its number from 1; its fields; `status` ("finished", "failed", "begun", "missing", or
        "damaged": finished, but its `scores.json` cannot be read), `folder`; and of a finished one `mig`, `dci`,
        `best_mig`, `best_dci`, the steps of these, `reconstruction_nats`, `kl_nats`, `active_latents`, `seconds`,
        `seconds_training`, `steps_per_second` (of training) and `version_…`.
    """
    folder, rows = check_folder(folder), check_study_rows(rows)
    results = []
    for number, row in enumerate(rows, start=1):
        path = row_folder(folder, row)
        report = read_scores(path) if stored_result(folder, row) else None
        result = {"row": number, **row, "status": _status(folder, row, report), "folder": path.name}
        if report:
            result |= _scores(path, row, report)
        results.append(result)
    return results


def write_table(path, results: list[dict]) -> None:
    """Results as a CSV file, one line per row; what a row has not got is empty. It appears whole or not at all."""
    columns = list(dict.fromkeys(name for result in results for name in result))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(results)
    files.write_text(path, text.getvalue())


def unfinished(results: list[dict]) -> dict[str, list[int]]:
    """Numbers of the rows that are not finished, by their status."""
    found = {}
    for result in results:
        if result["status"] != FINISHED:
            found.setdefault(result["status"], []).append(result["row"])
    return found


def ranges(numbers: list[int]) -> str:
    """Increasing numbers as `--rows` takes them: 3,7-12."""
    parts = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)


def varying_fields(rows: list[dict]) -> list[str]:
    """The fields in which rows differ, without those that follow from the others."""
    return [name for name in rows[0] if name not in _DERIVED and len({str(row[name]) for row in rows}) > 1]


_DERIVED = (
    "beta_sum", "beta_warmup", "averaging", "distance", "threshold", "changed", "blur_radius", "blur_weight",
    "grid_size", "square_size", "image_size", "num_squares", "rgb", "source",
)  # fmt: skip


def row_label(row: dict, fields: list[str]) -> str:
    """A row in few words: the values of some fields."""
    return " ".join(
        f"{name}={row[name]:g}" if isinstance(row[name], float) else f"{name}={row[name]}" for name in fields
    )


def _status(folder, row, report) -> str:
    path = row_folder(folder, row)
    if report:
        return FINISHED
    if stored_result(folder, row):
        return DAMAGED
    if (path / ERROR).is_file():
        return "failed"
    return "begun" if path.is_dir() else "missing"


def _scores(path: Path, row: dict, report: dict) -> dict:
    seconds = (read_progress(path) or {}).get("seconds", report["seconds"])
    training = report["seconds_training"]
    return {
        "mig": report["final"]["mig"],
        "dci": report["final"]["dci"],
        **{f"best_{name}": best["score"] for name, best in report["best"].items()},
        **{f"best_{name}_step": best["step"] for name, best in report["best"].items()},
        **{name: report["final"][name] for name in ("reconstruction_nats", "kl_nats", "active_latents")},
        "seconds": seconds,
        "seconds_training": training,
        "steps_per_second": round(row["steps"] / training, 2) if training > 0 else math.nan,
        **{f"version_{name}": version for name, version in report["versions"].items()},
    }
