"""Runs whose latents all collapsed: analyses are shown with and without them."""

from __future__ import annotations

import numpy as np

from kerasvae.analysis.study.table import ResultsTable

# Mean KL in nats above which a latent carries something.
ALIVE = 0.1


def collapsed_runs(table: ResultsTable) -> np.ndarray:
    """Which runs have no latent of a mean KL above 0.1 nats, bool (runs,).

    Read off the latents' own KL (`kl.z0`, `kl.z1`, ...), else off `loss.kl` where it is at most 0.1 in all, or the
    number of active latents. False where nothing is known.
    """
    found = np.zeros(len(table), bool)
    latents = [metric for metric in table.metrics if metric.startswith("kl.")]
    if latents:
        values = table.columns(latents)
        known = np.isfinite(values).any(axis=1)
        found[known] = (np.where(np.isfinite(values), values, 0)[known] <= ALIVE).all(axis=1)
        return found
    total = table.find("loss.kl")
    if total:
        found |= table.column(total) <= ALIVE
    for name in ("unsup.active_latents", "active_latents"):
        if name in table.metrics:
            found |= table.column(name) == 0
    return found


def collapse_notice(table: ResultsTable) -> list[str]:
    """A sentence that counts them by setting; none without them."""
    collapsed = collapsed_runs(table)
    if not collapsed.any():
        return []
    cells = {}
    for place in np.flatnonzero(collapsed).tolist():
        label = f"{table.settings[table.setting_code[place]].label} on {table.dataset[place]}"
        cells[label] = cells.get(label, 0) + 1
    told = [f"{count} of {label}" for label, count in cells.items()]
    more = f" and {len(told) - 5} more settings" if len(told) > 5 else ""
    return [f"{int(collapsed.sum())} of {len(table)} runs have collapsed completely: {', '.join(told[:5])}{more}."]
