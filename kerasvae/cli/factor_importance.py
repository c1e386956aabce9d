"""`kerasvae factor-importance`."""

from __future__ import annotations

import json
from pathlib import Path

from kerasvae import analysis, files
from kerasvae.cli.data import build_data, title
from kerasvae.cli.model import build_loss


def factor_importance(*, out, pairs: int, seed: int, protocol: str, as_json: bool = False, **settings):
    """Print the distances that a loss perceives along each factor, and write them and their figure to `out`.

    Args:
        out: folder, made where it is missing.
        pairs, seed, protocol: as in `kerasvae.analysis.perceived_distances`.
        as_json: print JSON instead of a table.
        settings: the data set and the loss, as in `kerasvae.cli.train`.

    Returns:
        The `PerceivedDistances`.

    Raises:
        ValueError, OSError: as `perceived_distances` and the classes that the settings name, or when `out` cannot be
            written.
    """
    files.check_writable(Path(out) / "distances.json", "--out")
    data = build_data(settings)
    distances = analysis.perceived_distances(
        data, build_loss(settings), pairs, seed, protocol=protocol, name=title(settings)
    )
    distances.save(out)
    show(distances, as_json, Path(out) / "distances.json", Path(out) / "distances.png")
    return distances


def show(result, as_json: bool, *written: Path) -> None:
    """Print a result, as a table with where it was written, or as JSON alone."""
    if as_json:
        print(json.dumps(result.to_json(), indent=2, allow_nan=False))
    else:
        print(result, *written, sep="\n")
