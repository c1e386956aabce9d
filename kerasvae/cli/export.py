"""`kerasvae export`."""

from __future__ import annotations

from pathlib import Path

from kerasvae import export as exporting
from kerasvae import runs


def export(*, folder, format: str, out) -> Path:
    """Export the encoder of a run, and say where it is.

    Args:
        folder: of the run. Of an unfinished one the last checkpoint is exported.
        format, out: as `format` and `path` of `kerasvae.export.encoder`.

    Returns:
        The path.

    Raises:
        FileNotFoundError: when the folder holds no run, or none that has reached a checkpoint.
        ValueError, ImportError, RuntimeError, OSError: as `kerasvae.export.encoder`.
    """
    model = runs.load_model(folder)
    path = exporting.encoder(model, out, format)
    print(f"exported {path}, described in {path}.json")
    return path
