"""What scores say of the true factors, turned: codes of the same likelihood, from disentangled to entangled."""

from __future__ import annotations

import contextlib
from functools import partial
from numbers import Real

import numpy as np
from scipy.special import ndtri, stdtrit

from kerasvae.analysis.study.bootstrap import CONFIDENCE
from kerasvae.analysis.study.frame import Analysis, Frame
from kerasvae.analysis.study.roles import label_of
from kerasvae.checks import check_choice, check_integer, check_seed
from kerasvae.metrics.aam import aam, aam_from_matrix
from kerasvae.metrics.checks import active_factors, check_factors
from kerasvae.metrics.evaluate import PRESETS, compute, resolve
from kerasvae.metrics.material import Material
from kerasvae.metrics.mmig import mmig_from_matrix
from kerasvae.metrics.posterior_information import posterior_information
from kerasvae.metrics.score import POSTERIORS

ANGLES = tuple(range(0, 50, 5))
DEFAULT_SCORES = ("beta_vae_score", "factor_vae_score", "mig", "dci", "modularity", "sap", "aam")
# Streams of random numbers that no score draws from itself.
_SAMPLE, _CODES = 0x726F74, 0x726F75
# Of a table's factors, that the information of posteriors is taken from.
_ROWS = 5000


def plane_rotation(dimensions: int, angle: float, planes=None) -> np.ndarray:
    """The orthogonal matrix that turns codes by an angle in planes of two coordinates: y = A x.

    Args:
        dimensions: at least 2.
        angle: degrees.
        planes: pairs of different coordinates, from 0, none in two pairs. Default None: (0, 1), (2, 3), ...

    Returns:
        (dimensions, dimensions).

    Raises:
        TypeError, ValueError: an argument of another type or out of range.
    """
    dimensions, (angle,) = check_integer(dimensions, "dimensions", 2), check_angles([angle])
    planes = [(k, k + 1) for k in range(0, dimensions - 1, 2)] if planes is None else [tuple(pair) for pair in planes]
    if any(len(pair) != 2 for pair in planes):
        raise ValueError(f"planes must be pairs of coordinates, got {planes}")
    used = [check_integer(each, "planes", 0, dimensions - 1) for pair in planes for each in pair]
    if len(set(used)) < len(used):
        raise ValueError(f"planes must name each coordinate once at most, got {planes}")
    matrix, (sine, cosine) = np.eye(dimensions), (np.sin(np.radians(angle)), np.cos(np.radians(angle)))
    for first, second in planes:
        matrix[[first, second], [first, second]] = cosine
        matrix[first, second], matrix[second, first] = -sine, sine
    return matrix


def rotated_scores(
    factors,
    scores=DEFAULT_SCORES,
    angles=ANGLES,
    *,
    repeats: int = 3,
    preset: str = "fast",
    seed: int = 1,
    jobs: int | None = None,
    progress: bool | None = None,
) -> Analysis:
    """Scores of the ground-truth factors themselves, as normal codes, turned by an angle in planes of two of them.

    A factor's value becomes a uniform number within its cell and then that one's normal score, so that the codes are
    standard normal, turned or not: at all angles they are as likely. Constant factors are left out, and an odd one out
    is turned with a latent that knows nothing.

    Args:
        factors: a data set with `factor_sizes`; the sizes themselves, (F,), for factors that are independent and
            uniform; or factor values, integers (rows, F), of which rows are drawn.
        scores: names of `kerasvae.metrics`, functions, or {name: options}, as in `kerasvae.metrics.evaluate`, or "all".
            Default: those of Locatello et al. 2019, and AAM.
        angles: degrees. Default: 0 to 45 in steps of 5.
        repeats: samples drawn, at least 1; the same ones at all angles. Default 3.
        preset: sizes of the samples, "fast" (default) or "full", see `kerasvae.metrics.evaluate`.
        seed: of the samples and the scores, 0..2^32-1. Default 1.
        jobs: threads. Default None: 1.
        progress: whether to show it on the terminal. Default None: where there is one.

    Returns:
        Analysis with the frames
        `scores`: angle, metric, estimate (mean over samples), lo, hi (Student's, over samples), n (samples); scores of
        posteriors are those of the Gaussians with the mean and the variance of each value's cell, in planes enumerated,
        not sampled, where factors are independent;
        `likelihood`: angle, estimate (mean log density of the codes under the prior, nats), difference (largest one of
        a sample's from that at the first angle), n (codes).

    Raises:
        TypeError, ValueError: factors that are no such thing or all constant, a score that is unknown, or another
            argument out of range.

    Source: Locatello et al. 2019, "Challenging Common Assumptions", Theorem 1, for rotations of a normal prior.
    """
    truth, angles, seed = _Factors(factors), check_angles(angles), check_seed(seed)
    repeats = check_integer(repeats, "repeats", 1)
    check_choice(preset, "preset", PRESETS)
    tasks = resolve(list(scores) if isinstance(scores, tuple) else scores)
    sizes = {task.name: task.sizes(preset) for task in tasks}
    counts = [max(each.get(part, 1) for each in sizes.values()) for part in ("train", "test")]
    rotations = [plane_rotation(truth.latents, angle) for angle in angles]
    found = {(angle, task.name): [] for angle in angles for task in tasks}
    likelihood, drawn = [], []
    for repeat in range(repeats):
        rng = np.random.default_rng([seed, repeat, _SAMPLE])
        labels = truth.draw(sum(counts), rng)
        drawn.append((labels, truth.codes(labels, rng)))
    with _shown(progress, repeats * len(angles) * len(tasks)) as scored:
        for repeat, (labels, codes) in enumerate(drawn):
            for angle, rotation in zip(angles, rotations, strict=True):
                turned = codes @ rotation.T
                density = -(turned**2).sum(axis=1) / 2 - truth.latents * np.log(2 * np.pi) / 2
                likelihood.append((repeat, angle, density))
                split = [(part[: counts[0]], part[counts[0] :]) for part in (turned, labels)]
                material = Material(
                    sample=(split[0][0], split[1][0]),
                    test=(split[0][1], split[1][1]),
                    posterior=truth.posteriors(labels[:_ROWS], rotation),
                    generator=lambda repeat=repeat, rotation=rotation: truth.generator(
                        [seed, repeat, _CODES], rotation
                    ),
                )
                for task in tasks:
                    scored(f"{task.name}, {angle:g}°")
                    if task.info.needs == POSTERIORS and truth.rows is None:
                        value = truth.enumerated(task, rotation, seed)
                    else:
                        value = compute(task, material, sizes[task.name], seed=seed + repeat, jobs=jobs)
                    found[angle, task.name].append(float(value))
    rows = [
        {"angle": angle, "metric": name, **_over_samples(values), "n": len(values)}
        for (angle, name), values in found.items()
    ]
    first = {repeat: density for repeat, angle, density in likelihood if angle == angles[0]}
    densities = []
    for angle in angles:
        mine = [(repeat, density) for repeat, at, density in likelihood if at == angle]
        row = {"angle": angle, "estimate": np.mean([density for _, density in mine])}
        row["difference"] = max(np.abs(density - first[repeat]).max() for repeat, density in mine)
        densities.append(row | {"n": sum(len(density) for _, density in mine)})
    frames = {
        "scores": Frame.from_rows(rows, ["angle", "metric", "estimate", "lo", "hi", "n"], title="Scores by angle, °",
                                  formats={"angle": "g"}),
        "likelihood": Frame.from_rows(densities, ["angle", "estimate", "difference", "n"],
                                      title="Log-likelihood of the codes, nats", formats={"angle": "g"}),
    }  # fmt: skip
    return Analysis("Scores of the true factors, turned", frames, sentences=_sentences(rows, angles, tasks))


def _sentences(rows, angles, tasks):
    if len(angles) < 2:
        return []
    value = {(row["angle"], row["metric"]): row["estimate"] for row in rows}
    told = [f"{label_of(task.name)} {value[angles[0], task.name]:.2f} to {value[angles[-1], task.name]:.2f}"
            for task in tasks]  # fmt: skip
    return [f"From {angles[0]:g}° to {angles[-1]:g}° codes of the same likelihood score: {', '.join(told)}."]


class _Factors:
    """Factors that are not constant, their values' cells of normal scores, and draws of them."""

    def __init__(self, factors):
        self.rows = None
        given = np.asarray(getattr(factors, "factor_sizes", factors))
        if given.ndim == 2:
            given = check_factors(given)
            columns = [np.unique(given[:, place], return_inverse=True)[1] for place in active_factors(given)]
            self.rows = np.stack(columns, axis=1)
            shares = [np.bincount(column) / len(given) for column in columns]
        elif given.ndim == 1 and given.size and given.dtype.kind in "iu" and given.min() >= 1:
            shares = [np.full(size, 1 / size) for size in given.tolist() if size > 1]
        else:
            raise ValueError(
                "factors must be a data set with factor_sizes, their sizes, at least 1 each, or integers (rows, "
                f"factors), got {factors!r}"
            )
        if not shares:
            raise ValueError("factors must hold one of more than one value, all are constant")
        self.sizes = tuple(len(each) for each in shares)
        # One latent a factor, and one that knows nothing where they are odd.
        self.latents = len(self.sizes) + len(self.sizes) % 2
        self.edges = [np.concatenate([[0.0], np.cumsum(each)]) for each in shares]
        for edges in self.edges:
            edges[-1] = 1.0

    def draw(self, count, rng):
        """Values, int64 (count, factors)."""
        if self.rows is not None:
            return self.rows[rng.integers(len(self.rows), size=count)]
        return np.stack([rng.integers(size, size=count) for size in self.sizes], axis=1)

    def codes(self, labels, rng):
        """Normal scores of a uniform number in each value's cell, (n, latents)."""
        places = 1 - rng.random((len(labels), self.latents))  # never 0
        for factor, edges in enumerate(self.edges):
            low, high = edges[labels[:, factor]], edges[labels[:, factor] + 1]
            # Never 1 either, which has no normal score.
            places[:, factor] = np.minimum(low + (high - low) * places[:, factor], np.nextafter(1, 0))
        return ndtri(np.minimum(places, np.nextafter(1, 0)))

    def generator(self, seed, rotation):
        rng = np.random.default_rng(seed)
        return lambda labels: self.codes(labels, rng) @ rotation.T, self.sizes, None

    def moments(self, factor):
        """Mean and variance of the normal scores in each value's cell: those of the truncated normal, (values,)."""
        edges, ends = np.diff(self.edges[factor]), ndtri(self.edges[factor])
        heights = np.exp(-(ends**2) / 2) / np.sqrt(2 * np.pi)
        mean = -np.diff(heights) / edges
        slopes = np.where(np.isfinite(ends), ends, 0) * heights
        return mean, 1 - np.diff(slopes) / edges - mean**2

    def posteriors(self, labels, rotation):
        """Means and log-variances of Gaussians with the moments of the values' cells, turned, and the values."""
        mean, variance = np.zeros((len(labels), self.latents)), np.ones((len(labels), self.latents))
        for factor in range(len(self.sizes)):
            mean[:, factor], variance[:, factor] = (each[labels[:, factor]] for each in self.moments(factor))
        return mean @ rotation.T, np.log(variance @ (rotation**2).T), labels

    def enumerated(self, task, rotation, seed):
        """AAM or MMIG of these Gaussians for all values of independent factors.

        A turned latent depends on the factors of its plane alone: only these are enumerated.
        """
        function, options = task.function, dict(task.options)
        while isinstance(function, partial):
            function, options = function.func, {**function.keywords, **options}
        factors = len(self.sizes)
        matrix, entropies = np.zeros((self.latents, factors)), np.zeros(factors)
        for first in range(0, factors, 2):
            mine = [factor for factor in (first, first + 1) if factor < factors]
            sizes = [self.sizes[factor] for factor in mine]
            labels = np.zeros((np.prod(sizes), factors), np.int64)
            labels[:, mine] = np.stack(np.unravel_index(np.arange(len(labels)), sizes), axis=1)
            mean, logvar, _ = self.posteriors(labels, rotation)
            plane = [first, first + 1]
            found = posterior_information(
                mean[:, plane], logvar[:, plane], labels[:, mine], **{"seed": seed, **options}
            )
            matrix[np.ix_(plane, mine)] = found["mutual_information"]
            entropies[mine] = found["factor_entropies"]
        if function is aam:
            return aam_from_matrix(matrix)["aam"]
        return mmig_from_matrix(matrix, np.diag(entropies))["mmig"]


def check_angles(angles) -> list[float]:
    """Angles as floats; a ValueError unless they are finite numbers, at least one, none twice."""
    found = [angles] if isinstance(angles, Real) else list(angles)
    if not found or not all(isinstance(each, Real | np.number) and np.isfinite(each) for each in found):
        raise ValueError(f"angles must be finite numbers of degrees, at least one, got {angles!r}")
    found = [float(each) for each in found]
    if len(set(found)) < len(found):
        raise ValueError(f"angles must differ, got {angles!r}")
    return found


def _over_samples(values):
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return {"estimate": mean}
    reach = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2) * np.std(values, ddof=1) / np.sqrt(count))
    return {"estimate": mean, "lo": mean - reach, "hi": mean + reach}


@contextlib.contextmanager
def _shown(progress, total):
    """A bar of the scores, and a function to call with the name of each before it."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    hidden = not (console.is_terminal if progress is None else progress)
    with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        shown, started = bar.add_task("scores", total=total), iter(range(total))
        yield lambda name: bar.update(shown, description=name, completed=next(started))
