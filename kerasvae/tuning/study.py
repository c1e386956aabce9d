"""A study's folder: what it began with, and who may search in it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from kerasvae import locks
from kerasvae.tuning.rows import row_name

STUDY = "study.json"


@contextlib.contextmanager
def only_process(folder: Path, lock: str = ".lock"):
    """Hold one of the folder's locks, which ends with the process, and yield it; RuntimeError when another has it."""
    with contextlib.ExitStack() as stack:
        try:
            held = stack.enter_context(locks.Lock(folder / lock))
        except BlockingIOError as error:
            raise RuntimeError(f"folder: another process is searching in {str(folder)!r}: {error}") from error
        yield held


def study_of(folder: Path, rows: list[dict], settings: dict) -> dict:
    """What `study.json` is to hold, checked that it goes on as it began; see `search` for what is raised."""
    settings = json.loads(json.dumps(settings))
    before = _read(folder) or {"rows": [], "settings": settings}
    names = {row_name(row) for row in rows}
    missing = [row_name(row) for row in before["rows"] if row_name(row) not in names]
    if missing:
        raise ValueError(
            f"rows: the study in {str(folder)!r} began with {len(missing)} rows that are missing now: "
            f"{_shortened(missing)}. Rows can be added, not taken away: give them too, or choose another folder"
        )
    _check_settings(folder, before["settings"], settings)
    return {"rows": rows, "settings": {**before["settings"], **settings}}


def check_study(folder: Path, rows: list[dict], settings: dict) -> None:
    """Check that a worker's arguments are those of the chief, which has begun the study in the same folder."""
    study = _read(folder)
    if study is None:
        raise ValueError(
            f"folder: the chief has no study in {str(folder)!r}; a worker needs the chief's own folder, on a file "
            "system that both share"
        )
    different = sorted({row_name(row) for row in rows} ^ {row_name(row) for row in study["rows"]})
    if different:
        raise ValueError(f"rows: the chief and this worker have different rows: {_shortened(different)}")
    _check_settings(folder, study["settings"], json.loads(json.dumps(settings)))


def _check_settings(folder, then, now):
    # Added rows may bring settings of their own, such as another loss.
    different = sorted(key for key in {*then} & {*now} if then[key] != now[key])
    if different:
        raise ValueError(
            f"settings: the study in {str(folder)!r} began with other settings: "
            + ", ".join(f"{key} {then[key]!r} (now {now[key]!r})" for key in different)
            + "; choose another folder"
        )


def _read(folder: Path) -> dict | None:
    try:
        return json.loads((folder / STUDY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ValueError(f"folder: {str(folder / STUDY)!r} is damaged ({error}); delete it to go on") from error


def _shortened(names: list[str]) -> str:
    return "; ".join(names[:5]) + ("; …" if len(names) > 5 else "")
