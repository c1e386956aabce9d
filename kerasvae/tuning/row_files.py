"""The files in the folder of a row of an experiment: whether they are whole, so that the row can go on from them."""

from __future__ import annotations

import zipfile
from pathlib import Path

from kerasvae import files, runs
from kerasvae.archives import check_model_archive
from kerasvae.callbacks import read_history

SCORES = "scores.json"
# Of the scores after training.
_FINAL = ("mig", "dci", "reconstruction_nats", "kl_nats", "active_latents")


class DamagedRowError(ValueError):
    """A row cannot go on from what is in its folder: a file is cut short, unreadable, or gone."""


def check_history(folder, step: int, steps: int, steps_per_epoch: int) -> None:
    """DamagedRowError unless the history in a row's folder has all epochs that ended by `step`.

    Args:
        folder: of the row.
        step: that the model has reached.
        steps, steps_per_epoch: of the whole run.
    """
    path = Path(folder) / runs.HISTORY
    expected = {*range(steps_per_epoch, step + 1, steps_per_epoch), *([steps] if step == steps else [])}
    if missing := expected - {row["step"] for row in _history(path)}:
        raise DamagedRowError(f"{str(path)!r} lacks the epoch that ended with step {min(missing)}")


def check_files(folder) -> None:
    """DamagedRowError where the settings, the history or the model of an unfinished row cannot be read."""
    folder = Path(folder)
    for name in (runs.CHECKPOINT, runs.MODEL):
        if (folder / name).is_file():
            try:
                check_model_archive(folder / name)
            except zipfile.BadZipFile as error:
                raise DamagedRowError(f"{str(folder / name)!r} is not whole ({error})") from error
    _history(folder / runs.HISTORY)
    try:
        settings = files.read_json(folder / runs.SETTINGS)
    except FileNotFoundError:
        return
    except ValueError as error:
        raise DamagedRowError(f"{str(folder / runs.SETTINGS)!r} cannot be read ({error})") from error
    if not isinstance(settings, dict):
        raise DamagedRowError(f"{str(folder / runs.SETTINGS)!r} holds no settings")


def _history(path):
    # In a line that was cut short the numbers that are left would be taken for all there were.
    if path.is_file() and not path.read_bytes().endswith(b"\n"):
        raise DamagedRowError(f"{str(path)!r} is cut short")
    try:
        return read_history(path)
    except ValueError as error:
        raise DamagedRowError(f"{str(path)!r} cannot be read") from error


def read_scores(folder) -> dict | None:
    """What `scores.json` in a row's folder holds; None where there is none, or it is damaged."""
    try:
        report = files.read_json(Path(folder) / SCORES)
        numbers_of = [*(best[name] for best in report["best"].values() for name in ("score", "step"))]
        numbers_of += [report["final"][name] for name in _FINAL] + [report["seconds"], report["seconds_training"]]
        whole = isinstance(report["versions"], dict) and {"mig", "dci"} <= set(report["best"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return report if whole and all(isinstance(number, int | float) for number in numbers_of) else None
