"""What total correlation is compared by: measures of a table, strengths in order of regularisation, their medians."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerasvae.analysis.study.cells import cell_medians, values_of
from kerasvae.analysis.study.roles import canonical
from kerasvae.analysis.study.table import ResultsTable, value_order
from kerasvae.metrics.divergences import COLLAPSED

MEASURES = ("unsup.gaussian_tc", "unsup.mutual_info")
ACTIVE = "_active"
# Strengths of which a larger one regularises less.
CAPACITIES = ("c_max", "capacity", "C", "c")
# Below this the logarithmic axis ends, and a point is drawn as a triangle.
SMALLEST = 1e-4


@dataclass(frozen=True)
class Curve:
    """One of the curves: a measure, of which codes and of which latents.

    Args:
        metric: what the table calls it.
        measure: of `MEASURES`.
        representation: "mean" or "sampled".
        latents: "all", or "active": those that have not collapsed.
    """

    metric: str
    measure: str
    representation: str
    latents: str

    @property
    def fields(self) -> dict:
        return {"measure": self.measure, "representation": self.representation, "latents": self.latents}

    @property
    def name(self) -> str:
        """In words: "mean codes, active latents"."""
        return f"{self.representation} codes" + (", active latents" if self.latents == "active" else "")


def curves_of(table: ResultsTable, measures=MEASURES) -> list[Curve]:
    """The curves that a table has numbers of: sampled, mean, and both of active latents alone."""
    found = []
    for measure in measures:
        for latents, name in (("all", measure), ("active", measure + ACTIVE)):
            for representation in ("sampled", "mean"):
                metric = table.find(name, representation)
                if metric is not None and np.isfinite(table.column(metric)).any():
                    found.append(Curve(metric, measure, representation, latents))
    return found


def is_turned(method: str, strength_name: str) -> bool:
    """Whether a larger strength regularises less: AnnealedVAE's capacity."""
    return strength_name in CAPACITIES or (method == "annealed_vae" and not strength_name)


@dataclass(frozen=True)
class Strength:
    """A strength of a method, and its place from the weakest regularisation, 0, to the strongest."""

    method: str
    strength: float | str
    strength_name: str
    rank: int
    turned: bool

    @property
    def fields(self) -> dict:
        return {"method": self.method, "strength": self.strength, "rank": self.rank, "turned": self.turned}


def strengths_of(part: ResultsTable):
    """The strengths of all methods, in order, and each run's place among them, (runs,), -1 for one without strength."""
    places, runs_of = {}, {}
    keys = list(zip(part.method.tolist(), part.strength.tolist(), strict=True))
    names = dict(zip(keys, part.strength_name.tolist(), strict=True))
    for run, key in enumerate(keys):
        runs_of.setdefault(key, []).append(run)
    found = []
    for method in part.methods:
        mine = sorted((s for m, s in runs_of if m == method and s is not None), key=value_order)
        turned = bool(mine) and all(is_turned(method, names[method, strength]) for strength in mine)
        for place, strength in enumerate(mine):
            rank = len(mine) - 1 - place if turned else place
            places[method, strength] = len(found)
            found.append(Strength(method, strength, names[method, strength], rank, turned))
    return found, np.array([places.get(key, -1) for key in keys], np.int64)


def active_latents(table: ResultsTable, threshold: float = COLLAPSED):
    """Number of latents of each run that have not collapsed, (runs,), nan where unknown; and where it is from.

    Args:
        table: of any studies.
        threshold: nats of mean KL above which a latent is active, for tables with the latents' own KL (`kl.z0`, ...).
            Default 0.01. Otherwise the number is the table's `unsup.active_latents`, with the threshold of its maker.
    """
    own = [metric for metric in table.metrics if metric.startswith("kl.") and canonical(metric) == metric]
    if own and np.isfinite(table.columns(own)).any():
        values = table.columns(own)
        known = np.isfinite(values).any(axis=1)
        counts = (np.nan_to_num(values) > threshold).sum(axis=1)
        return np.where(known, counts, np.nan), f"KL above {threshold:g} nats"
    for name in ("unsup.active_latents", "active_latents"):
        if name in table.metrics and np.isfinite(table.column(name)).any():
            return table.column(name), f"the table's {name}"
    return np.full(len(table), np.nan), "not known"


def medians(draws, part: ResultsTable, curves, threshold: float) -> list[dict]:
    """Rows of the curves: median, its interval, quartiles, and active latents, by data set and strength."""
    strengths, place = strengths_of(part)
    cube = _members(part, strengths, place)
    active = active_latents(part, threshold)[0]
    once, rows = np.ones((len(part), 1)), []
    typical = cell_medians(cube, active, once)[..., 0]
    for curve in curves:
        values = part.column(curve.metric)
        estimate, lo, hi = draws.estimate(lambda weights, values=values: cell_medians(cube, values, weights))
        laid_out = values_of(cube, values)
        counts = np.isfinite(laid_out).sum(axis=2)
        for d, dataset in enumerate(part.datasets):
            for g, strength in enumerate(strengths):
                if not (cube[d, g] >= 0).any():
                    continue
                mine, told = laid_out[d, g], np.isfinite(estimate[d, g])
                mine = mine[np.isfinite(mine)]
                known = active[cube[d, g][cube[d, g] >= 0]]
                lower, upper = np.quantile(mine, (0.25, 0.75)) if len(mine) else (np.nan, np.nan)
                rows.append(
                    {
                        "study": part.studies[0],
                        "dataset": dataset,
                        **strength.fields,
                        **curve.fields,
                        "curve": curve.name,
                        "estimate": float(estimate[d, g]),
                        "lo": float(lo[d, g]),
                        "hi": float(hi[d, g]),
                        "lower": float(lower),
                        "upper": float(upper),
                        "n": int(counts[d, g]),
                        "below_axis": bool(told and estimate[d, g] < SMALLEST),
                        "active_latents": float(typical[d, g]),
                        "fewer_than_two": int((known < 2).sum()) if np.isfinite(known).any() else None,
                    }
                )
    return rows


def _members(part, strengths, place):
    """The runs of every data set and strength, (data sets, strengths, most runs), -1 beyond their number."""
    cells = part.dataset_code * len(strengths) + place
    runs = np.flatnonzero(place >= 0)
    runs = runs[np.argsort(cells[runs], kind="stable")]
    sizes = np.bincount(cells[runs], minlength=len(part.datasets) * len(strengths))
    starts = np.concatenate([[0], np.cumsum(sizes)])[:-1]
    cube = np.full((len(sizes), max(int(sizes.max(initial=0)), 1)), -1)
    cube[cells[runs], np.arange(len(runs)) - starts[cells[runs]]] = runs
    return cube.reshape(len(part.datasets), len(strengths), -1)
