"""`kerasvae loss-audit`."""

from __future__ import annotations

from pathlib import Path

from kerasvae import analysis, files
from kerasvae.cli.data import build_data, title
from kerasvae.cli.factor_importance import show
from kerasvae.cli.model import build_loss


def loss_audit(*, out, pairs: int, seed: int, threshold: float, radii, weights, as_json: bool = False, **settings):
    """Print what a loss can see of a data set's factors, and write it and its figure to `out`.

    Args:
        out: folder, made where it is missing.
        pairs, seed, threshold, radii, weights: as in `kerasvae.analysis.audit`.
        as_json: print JSON instead of a table.
        settings: the data set and the loss, as in `kerasvae.cli.train`.

    Returns:
        The `Audit`.

    Raises:
        ValueError, OSError: as `audit` and the classes that the settings name, or when `out` cannot be written.
    """
    files.check_writable(Path(out) / "audit.json", "--out")
    data = build_data(settings)
    result = analysis.audit(
        data,
        build_loss(settings),
        pairs,
        seed,
        threshold=threshold,
        radii=radii,
        weights=weights,
        name=title(settings),
    )
    result.save(out)
    show(result, as_json, Path(out) / "audit.json", Path(out) / "audit.png")
    return result
