"""`kerasvae export`."""

from __future__ import annotations

from pathlib import Path

from kerasvae import export as exporting
from kerasvae import files, runs
from kerasvae.cli.data import build_data, naming_options

_OPTIONS = {"path": "out", "format": "format", "formats": "formats"}


def export(*, folder, format: str, out, force: bool = False) -> Path:
    """Export the encoder of a run, and say where it is.

    Args:
        folder: of the run. Of an unfinished one the last checkpoint is exported.
        format, out, force: as `format`, `path` and `overwrite` of `kerasvae.export.encoder`.

    Returns:
        The path.

    Raises:
        FileNotFoundError: when the folder holds no run, or none that has reached a checkpoint.
        ValueError, ImportError, RuntimeError, OSError: as `kerasvae.export.encoder`.
    """
    model = runs.load_model(folder)
    with naming_options(_OPTIONS):
        path = exporting.encoder(model, out, format, overwrite=force)
    print(f"exported {path}, described in {path}.json")
    return path


def export_bundle(
    *, folder, out, formats, name: str, version: str, description: str, with_data: bool, force: bool = False
) -> Path:
    """Write a bundle of a run, and say where it is.

    Args:
        folder: of the run. Of an unfinished one the last checkpoint is taken.
        out, force: as `path` and `overwrite` of `kerasvae.export.bundle`.
        formats, name, version, description: as there. The scores are those that `kerasvae score` wrote to the run's
            folder, if they are of the model's step.
        with_data: whether statistics are taken over the run's data set.

    Returns:
        The path.

    Raises:
        FileNotFoundError: when the folder holds no run, or none that has reached a checkpoint.
        ValueError, ImportError, RuntimeError, OSError: as `kerasvae.export.bundle`, and the class of the data set.
    """
    settings = runs.load_settings(folder)
    if with_data and "dataset" not in settings:
        raise ValueError(
            f"folder: {str(folder)!r} is not of `kerasvae train`: its settings lack 'dataset'; --no-data goes without"
        )
    model = runs.load_model(folder)
    data = build_data(settings) if with_data else None
    scores = _scores(Path(folder) / "scores.json", int(model.step.numpy()))
    with naming_options(_OPTIONS):
        path = exporting.bundle(
            model,
            out,
            data,
            formats=formats,
            name=name,
            version=version,
            description=description,
            scores=scores,
            overwrite=force,
        )
    print(f"exported {path}, described in {path / 'README.md'}")
    return path


def _scores(path: Path, step: int) -> dict | None:
    """The scores that `kerasvae score` wrote of the model after this many steps, or None."""
    try:
        report = files.read_json(path)
        if report["step"] != step:
            return None
        # What JSON has no number for is written as text, such as "nan".
        return {name: float(score["value"]) for name, score in report["scores"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
