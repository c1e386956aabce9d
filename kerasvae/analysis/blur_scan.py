"""BoxBlurMSE at other radii and weights: which of them let a factor's order be seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

from kerasvae.analysis.measuring import measure
from kerasvae.analysis.order import all_constant, is_constant, linearity, spearman, spread_within_traversals
from kerasvae.analysis.pairs import Pairs
from kerasvae.checks import check_integer, check_number, shown
from kerasvae.losses import BoxBlurMSE


@dataclass(frozen=True)
class BlurCell:
    """One radius and weight of a scan.

    Attributes:
        radius, weight: of a BoxBlurMSE that is otherwise the audited one.
        spearman, linearity, spread: by factor, as in `FactorAudit`. The correlations do not see how much distances
            differ: where the spread is all but 0, a correlation of 1 is of no use to a VAE.
        mean_spearman, mean_linearity, mean_spread: over the factors that have one; None where none has.
        random_spearman: of random pairs.
        adversarial: as in `Audit`.
    """

    radius: int
    weight: float
    spearman: dict[str, float | None]
    linearity: dict[str, float | None]
    spread: dict[str, float]
    mean_spearman: float | None
    mean_linearity: float | None
    mean_spread: float | None
    random_spearman: float | None
    adversarial: bool | None


def scan(data, loss, rows, radii, weights, scan_pairs: int, threshold: float, batch_size: int, advance):
    """A `BlurCell` for each radius and weight; a radius is measured once, and the weights are applied to its term."""
    pixels = BoxBlurMSE(radius=0, weight=0.0, pixel_weight=loss.pixel_weight)
    terms = [pixels, *(BoxBlurMSE(radius=radius, weight=1.0, pixel_weight=0.0) for radius in radii)]
    values, truths = {}, {}
    for name, row in rows.items():
        pairs = Pairs(*(None if part is None else part[:scan_pairs] for part in row.pairs))
        values[name] = measure(data, terms, pairs, batch_size, lambda count: advance(count * len(radii)))
        truths[name] = None if row.ground_truth is None else row.ground_truth[:scan_pairs]
    factors = [name for name in rows if name != "random"]
    for number, radius in enumerate(radii):
        for weight in weights:
            seen = {name: term[0] + weight * term[1 + number] for name, term in values.items()}
            correlations = {name: spearman(seen[name], truths[name]) for name in factors}
            lines = {name: linearity(seen[name], truths[name]) for name in factors}
            spreads = {name: spread_within_traversals(seen[name]) for name in factors}
            yield BlurCell(
                radius=radius,
                weight=weight,
                spearman=correlations,
                linearity=lines,
                spread=spreads,
                mean_spearman=_mean(correlations.values()),
                mean_linearity=_mean(lines.values()),
                mean_spread=_mean(spreads.values()),
                random_spearman=spearman(seen["random"], truths["random"]),
                adversarial=all_constant(is_constant(data, name, spreads[name], threshold) for name in factors),
            )


def scanned(data, loss, radii, weights) -> tuple[list[int], list[float]]:
    """The radii and weights to scan, sorted; both empty for no scan."""
    if not isinstance(loss, BoxBlurMSE):
        if radii is not None or weights is not None:
            given = "weights" if radii is None else "radii"
            raise ValueError(f"{given} are for BoxBlurMSE, and {type(loss).__name__} has none")
        return [], []
    if radii is None:
        # 1, 3, 7, ...: a box of 2^k - 1 pixels; the first that reaches across the image, give or take a pixel, is last.
        most = math.ceil(math.log2(max(data.image_shape[:2])))
        radii = [2**power - 1 for power in range(1, max(most, 2))] + [loss.radius]
    if weights is None:
        weights = [1.0, 10.0, 100.0, 1_000.0, 10_000.0, loss.weight]
    for name, values, check in (("radii", radii, check_integer), ("weights", weights, check_number)):
        if isinstance(values, str | dict) or not hasattr(values, "__iter__"):
            raise ValueError(f"{name} must be a list of numbers, got {shown(values)}")
        for place, value in enumerate(values):
            check(value, f"{name}[{place}]", least=0)
    if not len(radii) or not len(weights):
        return [], []
    return sorted({int(radius) for radius in radii}), sorted({float(weight) for weight in weights})


def _mean(values) -> float | None:
    values = [value for value in values if value is not None]
    return math.fsum(values) / len(values) if values else None
