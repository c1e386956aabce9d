"""What to know of a data set and a reconstruction loss before training: can the loss see the order of the factors?"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from kerasvae import files, tables
from kerasvae.checks import check_flag, check_integer, check_number, check_seed, shown
from kerasvae.losses import BoxBlurMSE
from kerasvae.perception import figures
from kerasvae.perception.distances import (
    PerceivedDistances,
    check_data,
    check_folder,
    check_loss,
    check_name,
    describe,
    left_out,
    left_out_note,
    measure,
    measured_rows,
    progress_bar,
)
from kerasvae.perception.pairs import Pairs, factor_pairs, random_pairs, varying_factors

# Spread of distances, as a share of the largest, that rounding in float32 makes of equal ones.
ROUNDING = 1e-5


@dataclass(frozen=True)
class FactorAudit:
    """What a loss sees of one factor.

    Attributes:
        mean, std: of the perceived distances, as in `perceived_distances`.
        share_of_random: the mean as a share of that of random pairs; None where the latter is 0.
        spread: standard deviation of the distances within a traversal, all other factors fixed, as a share of the mean;
            0 for a factor that the loss does not see at all (mean 0).
        constant: whether the distances are constant: spread at most the threshold. None for a factor of two values,
            which has but one distance in a traversal.
        spearman: rank correlation of perceived distance and number of steps, over pairs; None where either is constant.
        linearity: Pearson's correlation of the number of steps and the mean perceived distance at that number, which is
            1 for a mean that grows linearly with the step; None for fewer than three steps or a constant mean.
    """

    mean: float
    std: float
    share_of_random: float | None
    spread: float
    constant: bool | None
    spearman: float | None
    linearity: float | None


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


class Audit:
    """The result of `audit`; it prints as a table, in notebooks too.

    Attributes:
        distances: the `PerceivedDistances` it is made from: their rows hold the samples behind the cumulative curves.
        order: names of the factors, the most important first.
        factors: {name: FactorAudit}.
        random_spearman: rank correlation, over random pairs, of perceived distance and ground-truth distance (the sum
            over factors of the steps as shares of the factor's range); None without factors.
        adversarial: whether the data set is adversarial for this loss: there are factors of three values or more, and
            the distances along every one of them are constant. None when there is no such factor.
        constant_factors: names of those whose distances are constant.
        threshold: at which a spread counts as none.
        scan: for a BoxBlurMSE, a `BlurCell` for each radius and weight; otherwise, or without factors, empty.
    """

    def __init__(self, distances, factors, random_spearman, threshold, scan, own_cell):
        self.distances, self.factors, self.random_spearman = distances, factors, random_spearman
        self.threshold, self.scan, self.own_cell = threshold, tuple(scan), own_cell

    @property
    def order(self) -> tuple[str, ...]:
        return self.distances.order

    @property
    def title(self) -> str:
        return self.distances.title

    @property
    def constant_factors(self) -> tuple[str, ...]:
        return tuple(name for name in self.order if self.factors[name].constant)

    @property
    def adversarial(self) -> bool | None:
        return all_constant(factor.constant for factor in self.factors.values())

    @property
    def verdict(self) -> str:
        """In words, whether the data set is adversarial for the loss, and why."""
        rule = f"constant: spread within traversals at most {self.threshold:g} of the mean"
        if self.adversarial is None:
            return f"not judged whether adversarial: there is no factor of three values or more ({rule})"
        if self.adversarial:
            return f"adversarial: the distances along every factor are constant ({rule})"
        if self.constant_factors:
            return f"not adversarial, but constant along {', '.join(self.constant_factors)} ({rule})"
        return f"not adversarial: no factor's distances are constant ({rule})"

    def to_json(self) -> dict:
        """As a dictionary that `json.dumps` takes; a correlation that does not exist is None."""
        return {
            **self.distances.to_json(),
            "factors": {name: asdict(self.factors[name]) for name in self.order},
            "random_spearman": self.random_spearman,
            "adversarial": self.adversarial,
            "constant_factors": list(self.constant_factors),
            "threshold": self.threshold,
            "scan": [asdict(cell) for cell in self.scan],
        }

    def save(self, folder) -> Path:
        """Write audit.json and audit.png to a folder, each whole or not at all.

        Args:
            folder: made where it is missing.

        Returns:
            The folder.

        Raises:
            OSError: when it cannot be written to.
        """
        folder = check_folder(folder)
        files.check_writable(folder / "audit.json", "folder")
        figures.audit(self, path=folder / "audit.png")
        files.write_json(folder / "audit.json", self.to_json(), "folder")
        return folder

    def _tables(self):
        header = ["factor", "mean", "std", "of random", "spread", "Spearman", "linearity"]
        random = self.distances["random"]
        rows = [["random", f"{random.mean:.4f}", f"{random.std:.4f}", "", "", _shown(self.random_spearman), ""]]
        for name in self.order:
            factor = self.factors[name]
            share = "" if factor.share_of_random is None else f"{factor.share_of_random:.0%}"
            spread = f"{factor.spread:.3f}" + (" constant" if factor.constant else "")
            cells = [name, f"{factor.mean:.4f}", f"{factor.std:.4f}", share, spread]
            rows.append([*cells, _shown(factor.spearman), _shown(factor.linearity)])
        note = "\n".join(filter(None, [self.verdict, left_out_note(self.distances.left_out)]))
        yield f"Audit of {self.title}", header, rows, note
        if self.scan:
            weights = list(dict.fromkeys(cell.weight for cell in self.scan))
            rows = []
            for radius in dict.fromkeys(cell.radius for cell in self.scan):
                cells = [cell for cell in self.scan if cell.radius == radius]
                rows.append([str(radius), *(_shown_cell(cell) for cell in cells)])
            header = ["radius", *(f"weight {weight:g}" for weight in weights)]
            yield "Spearman, linearity and spread of other radii and weights, means over the factors", header, rows, ""

    def __str__(self):
        return "\n\n".join(tables.as_text(*table) for table in self._tables())

    def _repr_html_(self):
        return "".join(tables.as_html(*table) for table in self._tables())

    def __repr__(self):
        return f"<Audit: {self.title}: {self.verdict}>"


def audit(
    data,
    loss,
    pairs: int = 10_000,
    seed: int = 1,
    *,
    threshold: float = 0.01,
    radii=None,
    weights=None,
    scan_pairs: int = 2_000,
    shared_draws: bool = True,
    batch_size: int = 256,
    progress: bool = True,
    name: str | None = None,
) -> Audit:
    """What a VAE with this reconstruction loss can see of a data set's factors, before any training.

    For each factor: how important it is (the mean perceived distance along it), whether the loss sees the order of its
    values, and whether it sees but a constant, which gives a VAE nothing to order its codes by.

    Args:
        data: a data set of `kerasvae.datasets`. Without a complete grid of factors only random pairs are audited.
        loss: any `keras.losses.Loss`, as in `perceived_distances`.
        pairs: for each factor, and at random, at least 2. Default 10 000. They come in twos with all other factors in
            common, from whose differences the spread within traversals is estimated.
        seed: of the pairs, an integer in 0..2^32 - 1. Default 1.
        threshold: largest spread within traversals, as a share of the mean distance, that counts as constant, at least
            0. Default 0.01.
        radii: for BoxBlurMSE: radii to scan, integers, at least 0. Default: 1, 3, 7, 15, ... up to the first that
            covers the image, and the loss's own. Empty: no scan.
        weights: for BoxBlurMSE: weights of the blurred term to scan, at least 0. Default: 1, 10, 100, 1000, 10 000 and
            the loss's own. Empty: no scan.
        scan_pairs: for each factor, how many of its pairs are scanned, at least 2. Default 2000.
        shared_draws, batch_size, progress, name: as in `perceived_distances`.

    Returns:
        An `Audit`: print it, `.save(folder)` it, or read its attributes.

    Raises:
        ValueError, TypeError: as `perceived_distances`; for radii or weights out of range, or given for a loss that has
            neither.

    Source: importance after "Overlooked Implications", supplement A. A data set is adversarial when "distances between
    datapoints along ground-truth factors are constant" (its poster); the threshold makes that a rule. Ground-truth
    distance is the difference of the factor's indices, as there, also for factors that are cyclic (an orientation) or
    have no order (a shape): for these judge by spread and mean.
    """
    check_data(data)
    check_loss(loss)
    pairs, seed = check_integer(pairs, "pairs", 2), check_seed(seed)
    scan_pairs = min(check_integer(scan_pairs, "scan_pairs", 2), pairs)
    batch_size = check_integer(batch_size, "batch_size", 1)
    check_flag(shared_draws, "shared_draws")
    check_flag(progress, "progress")
    check_name(name)
    check_number(threshold, "threshold", least=0)
    radii, weights = _scanned(data, loss, radii, weights)
    if not varying_factors(data):
        radii = []
    drawn = {
        factor: factor_pairs(data, column, pairs, seed, per_traversal=2, shared_draws=shared_draws)
        for factor, column in varying_factors(data).items()
    }
    drawn["random"] = random_pairs(data, pairs, seed)
    with progress_bar("audit", (pairs + len(radii) * scan_pairs) * len(drawn), progress) as advance:
        rows = measured_rows(data, loss, drawn, batch_size, advance)
        options = scan_pairs, threshold, batch_size, advance
        scan = list(_scan(data, loss, rows, radii, weights, *options)) if radii else []
    distances = PerceivedDistances(
        rows,
        data_name=type(data).__name__ if name is None else name,
        loss_name=describe(loss),
        protocol="in twos",
        seed=seed,
        left_out=left_out(data),
        published=None,
    )
    random, factors = rows["random"], {}
    for factor in distances.order:
        row, spread = rows[factor], spread_within_traversals(rows[factor].samples)
        factors[factor] = FactorAudit(
            mean=row.mean,
            std=row.std,
            share_of_random=row.mean / random.mean if random.mean else None,
            spread=spread,
            constant=is_constant(data, factor, spread, threshold),
            spearman=spearman(row.samples, row.ground_truth),
            linearity=linearity(row.samples, row.ground_truth),
        )
    own = (loss.radius, loss.weight) if isinstance(loss, BoxBlurMSE) else None
    random_spearman = spearman(random.samples, random.ground_truth)
    return Audit(distances, factors, random_spearman, float(threshold), scan, own)


def _scan(data, loss, rows, radii, weights, scan_pairs: int, threshold: float, batch_size: int, advance):
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


def _scanned(data, loss, radii, weights) -> tuple[list[int], list[float]]:
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


def spread_within_traversals(samples: np.ndarray) -> float:
    """Standard deviation within a traversal as a share of the mean, from samples in twos of the same traversal.

    Half the mean squared difference of two independent pairs of a traversal estimates the variance within it without
    bias, whatever varies from one traversal to the next.
    """
    first, second = samples[: len(samples) // 2 * 2].reshape(-1, 2).T
    mean = abs(float(np.mean(samples)))
    return math.sqrt(float(np.mean((first - second) ** 2)) / 2) / mean if mean else 0.0


def spearman(distances: np.ndarray, ground_truth: np.ndarray | None) -> float | None:
    """Rank correlation of perceived and ground-truth distances; None where either is constant, up to rounding."""
    if ground_truth is None or _constant(distances) or _constant(ground_truth):
        return None
    return float(spearmanr(distances, ground_truth).statistic)


def linearity(distances: np.ndarray, steps: np.ndarray) -> float | None:
    """Pearson's correlation of the step with the mean distance at that step; None for constant means or two steps."""
    values, places = np.unique(steps, return_inverse=True)
    means = np.bincount(places, weights=distances) / np.bincount(places)
    if len(values) < 3 or _constant(means):
        return None
    return float(np.corrcoef(values, means)[0, 1])


def _constant(values: np.ndarray) -> bool:
    return float(np.ptp(values)) <= ROUNDING * float(np.abs(values).max())


def is_constant(data, name: str, spread: float, threshold: float) -> bool | None:
    """Whether a factor's distances are; None for one of two values, whose traversals have but one distance."""
    size = data.factor_sizes[data.factor_names.index(name)]
    return spread <= threshold if size > 2 else None


def all_constant(answers) -> bool | None:
    """Whether the distances along all factors of three values or more are constant; None without such a factor."""
    judged = [answer for answer in answers if answer is not None]
    return all(judged) if judged else None


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f}"


def _shown_cell(cell: BlurCell) -> str:
    spread = "none" if cell.mean_spread is None else f"{cell.mean_spread:.3f}"
    return f"{_shown(cell.mean_spearman)} {_shown(cell.mean_linearity)} {spread}"
