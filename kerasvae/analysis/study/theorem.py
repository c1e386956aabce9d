"""Theorem 1 of Locatello et al. 2019 made visible: codes that mix all coordinates and are distributed as the true ones.

f = G^-1 . Phi . A . Phi^-1 . G: to uniforms by the coordinates' distribution functions G, to standard normals, turned
by an orthogonal A without a zero entry, and back. Every coordinate of f(z) depends on all of z, and no sample of f(z)
can be told from one of z.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import log_ndtr, ndtr, ndtri

from kerasvae.analysis.study.bootstrap import CONFIDENCE
from kerasvae.analysis.study.frame import Analysis, Frame
from kerasvae.checks import check_integer, check_seed
from kerasvae.metrics.checks import check_codes

KS, ENERGY, CONTROL, SMALLEST = "KS distance", "energy distance", "energy distance, dependent", "smallest derivative"
# Correlation of the coordinates' normal scores in the sample that the joint test must tell apart.
DEPENDENCE = 0.3
# Samples of each prior for the scatter.
DRAWN = 2000
# Random numbers of the permutations, that no sample was drawn from.
_STREAM = 0x7065726D
_METHODS = ("cdf", "sf", "ppf", "isf", "logpdf")
_COLUMNS = {
    "checks": ["prior", "dimensions", "a", "check", "estimate", "lo", "hi", "p", "n"],
    "derivatives": ["prior", "a", "output", "input", "smallest", "median", "n"],
    "scatter": ["prior", "a", "z_1", "z_2", "f_1", "f_2"],
}
_TITLES = {
    "checks": "Is f(z) distributed as z? lo and hi: where 95 % lie if so",
    "derivatives": "Absolute derivatives of f at the samples",
    "scatter": "First two coordinates before and after",
}


def householder(dimensions: int, a: float = 0.25) -> np.ndarray:
    """The reflection A = I - 2 v v' with v_1 = sqrt(a), the other v_i = sqrt((1 - a) / (dimensions - 1)).

    Args:
        dimensions: at least 2.
        a: in (0, 1/2); each gives another matrix. Default 0.25.

    Returns:
        (dimensions, dimensions), orthogonal, symmetric, without an entry that is 0.

    Raises:
        TypeError, ValueError: an argument of another type or out of range.

    Source: Locatello et al. 2019, "Challenging Common Assumptions", appendix A.
    """
    dimensions = check_integer(dimensions, "dimensions", 2)
    if not isinstance(a, Real) or isinstance(a, bool):
        raise TypeError(f"a must be a number, got {a!r}")
    if not 0 < a < 0.5:
        raise ValueError(f"a must be greater than 0 and less than 1/2, got {a}")
    v = np.full(dimensions, np.sqrt((1 - a) / (dimensions - 1)))
    v[0] = np.sqrt(a)
    return np.eye(dimensions) - 2 * np.outer(v, v)


def entangle(samples, marginals=None, a: float = 0.25) -> np.ndarray:
    """f(z): as many numbers, each a function of all coordinates of z, distributed as z where these are independent.

    Args:
        samples: z, (n, d), d at least 2, strictly inside the support.
        marginals: continuous distribution of each coordinate, one or d of SciPy's, such as `scipy.stats.uniform()`.
            Default None: standard normal.
        a: which f of the family, in (0, 1/2), see `householder`. Default 0.25.

    Returns:
        float64 (n, d).

    Raises:
        TypeError: samples that are not real numbers, or marginals that are no such distributions.
        ValueError: samples of one coordinate, outside the support, or another argument out of range.

    Example:
        >>> entangle([[0.0, 1.0]], a=0.25).round(4).tolist()
        [[-0.866, -0.5]]

    Source: Locatello et al. 2019, "Challenging Common Assumptions", Theorem 1 and appendix A.
    """
    samples, marginals, scores = _normal_scores(samples, marginals)
    return _of_scores(scores @ householder(samples.shape[1], a), marginals)


def entangling_derivatives(samples, marginals=None, a: float = 0.25) -> np.ndarray:
    """df_i / dz_j of `entangle` at each sample, float64 (n, d, d); arguments and errors as there.

    In closed form: A_ij (g_j(z_j) / phi(x_j)) / (g_i(f_i) / phi(y_i)), g the densities, x and y = A x the normal scores
    of z and f.
    """
    samples, marginals, scores = _normal_scores(samples, marginals)
    matrix = householder(samples.shape[1], a)
    turned = scores @ matrix
    mapped = _of_scores(turned, marginals)
    # Of d score / d coordinate, in logs: in the tails both densities are tiny.
    before, after = (
        np.stack([each.logpdf(column) for each, column in zip(marginals, values.T, strict=True)], axis=1)
        + (normal**2 + np.log(2 * np.pi)) / 2
        for values, normal in ((samples, scores), (mapped, turned))
    )
    return matrix * np.exp(before[:, None, :] - after[:, :, None])


def energy_test(first, second, *, permutations: int = 499, seed: int = 1) -> dict:
    """Whether two samples are of one distribution, by the energy distance and its permutations.

    The distance 2 E|x - y| - E|x - x'| - E|y - y'| is 0 for equal distributions alone, in any number of dimensions.

    Args:
        first, second: (n, d) and (m, d). Time and memory grow with (n + m)².
        permutations: at least 19. Default 499.
        seed: of these, 0..2^32-1. Default 1.

    Returns:
        dict: estimate; lo, hi: between which the distance lies in 95 % of the permutations; p: share of permutations,
        the given order among them, with a distance as large.

    Raises:
        TypeError, ValueError: samples of wrong shape or type, or an argument out of range.

    Source: Székely & Rizzo 2004, "Testing for equal distributions in high dimension".
    """
    first, second = check_codes(first, "first"), check_codes(second, "second")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"first and second must have as many columns, got {first.shape[1]} and {second.shape[1]}")
    permutations, seed = check_integer(permutations, "permutations", 19), check_seed(seed)
    together = np.concatenate([first, second])
    distances = cdist(together, together).astype(np.float32)
    signs = np.concatenate([np.full(len(first), 1 / len(first)), np.full(len(second), -1 / len(second))])
    rng = np.random.default_rng([seed, _STREAM])
    found = []
    for start in range(0, permutations + 1, 100):
        count = min(100, permutations + 1 - start)
        shuffled = np.stack([signs if start + each == 0 else rng.permutation(signs) for each in range(count)], axis=1)
        found.append(-(shuffled * (distances @ shuffled.astype(np.float32))).sum(axis=0))
    estimate, *null = np.concatenate(found)
    tail = (1 - CONFIDENCE) / 2
    lo, hi = np.quantile(null, [tail, 1 - tail])
    p = (1 + np.sum(np.array(null) >= estimate)) / (permutations + 1)
    return {"estimate": float(estimate), "lo": float(lo), "hi": float(hi), "p": float(p)}


def theorem_1(
    priors=None,
    a=(0.1, 0.25, 0.4),
    *,
    samples: int = 10_000,
    joint_samples: int = 2_000,
    permutations: int = 499,
    seed: int = 1,
) -> Analysis:
    """Theorem 1 on samples: every coordinate mixes all, and no test tells f(z) from z.

    Args:
        priors: {name: list of SciPy's continuous distributions, one a coordinate, at least 2}. Default None: uniform on
            the square, and standard normal in 10 dimensions.
        a: which members of the family, each in (0, 1/2). Default (0.1, 0.25, 0.4).
        samples: of z, at least 100. Default 10 000.
        joint_samples: of f(z), and as many fresh ones of z, in the joint test, at least 100, at most `samples`. Time
            grows with its square. Default 2000.
        permutations: of the joint test, at least 19. Default 499.
        seed: of the samples, 0..2^32-1. Default 1.

    Returns:
        Analysis with the frames
        `checks`: prior, dimensions, a, check, estimate, lo, hi, p, n. Checks: "KS distance" of f's marginals, the
        largest over coordinates; "energy distance" between f(z) and fresh samples; "energy distance, dependent", the
        control: of coordinates with the same marginals whose normal scores are correlated by 0.3, which the test must
        tell apart; "smallest derivative": the least |df_i / dz_j| over samples and entries. lo and hi: between which
        95 % of the estimates lie where f(z) is distributed as z; p: the share as large;
        `derivatives`: prior, a, output (i), input (j), smallest, median of |df_i / dz_j|, n;
        `scatter`: prior, a, z_1, z_2, f_1, f_2 of up to 2000 samples.

    Raises:
        TypeError, ValueError: an argument of another type or out of range.

    Source: Locatello et al. 2019, "Challenging Common Assumptions", Theorem 1.
    """
    priors, choices = _priors(priors), [a] if isinstance(a, Real) else list(a)
    for each in choices:
        householder(2, each)
    if not choices:
        raise ValueError("a must hold at least one number, got none")
    samples, seed = check_integer(samples, "samples", 100), check_seed(seed)
    joint_samples = check_integer(joint_samples, "joint_samples", 100, samples)
    permutations = check_integer(permutations, "permutations", 19)
    rows, scatter, sentences = {"checks": [], "derivatives": []}, [], []
    for place, (name, marginals) in enumerate(priors.items()):
        rng = np.random.default_rng([seed, place])
        dimensions = len(marginals)

        def draw(count, rng=rng, marginals=marginals, dependence=0.0):
            scores = rng.standard_normal((count, len(marginals) + 1))
            return _of_scores((1 - dependence) ** 0.5 * scores[:, 1:] + dependence**0.5 * scores[:, :1], marginals)

        z = draw(samples)
        scale, options = z.std(axis=0), {"permutations": permutations, "seed": seed}
        dependent = draw(joint_samples, dependence=DEPENDENCE)
        control = energy_test(dependent / scale, draw(joint_samples) / scale, **options)
        for each in choices:
            mapped, derivatives = entangle(z, marginals, each), np.abs(entangling_derivatives(z, marginals, each))
            joint = energy_test(mapped[:joint_samples] / scale, draw(joint_samples) / scale, **options)
            where = {"prior": name, "dimensions": dimensions, "a": each}
            marginal, smallest = _ks(mapped, marginals), float(derivatives.min())
            rows["checks"] += [
                where | {"check": KS, **marginal, "n": samples},
                where | {"check": ENERGY, **joint, "n": joint_samples},
                where | {"check": CONTROL, **control, "n": joint_samples},
                where | {"check": SMALLEST, "estimate": smallest, "n": samples},
            ]
            rows["derivatives"] += [
                {"prior": name, "a": each, "output": i + 1, "input": j + 1, "n": samples}
                | {"smallest": derivatives[:, i, j].min(), "median": np.median(derivatives[:, i, j])}
                for i, j in np.ndindex(dimensions, dimensions)
            ]
            columns = zip(*z[:DRAWN, :2].T.tolist(), *mapped[:DRAWN, :2].T.tolist(), strict=True)
            scatter += [(name, each, *values) for values in columns]
            sentences.append(_sentence(where, marginal, joint, control, smallest))
    frames = {
        name: Frame.from_rows(rows[name], _COLUMNS[name], title=_TITLES[name], formats={"a": "g"}) for name in rows
    }
    columns = dict(zip(_COLUMNS["scatter"], map(list, zip(*scatter, strict=True)), strict=True))
    frames["scatter"] = Frame(columns, title=_TITLES["scatter"], formats={"a": "g"})
    return Analysis("No likelihood tells entangled codes from the true ones (Theorem 1)", frames, sentences=sentences)


def _sentence(where, marginal, joint, control, smallest):
    start = f"{where['prior']}, a = {where['a']:g}: every coordinate of f depends on all of z (derivatives of at least "
    start += f"{smallest:.2g} in absolute value)"
    same = marginal["p"] > 1 - CONFIDENCE and joint["p"] > 1 - CONFIDENCE
    verdict = ", and f(z) is not told from z: " if same else ", but f(z) is told from z, which chance does 1 in 10: "
    numbers = f"KS distance {marginal['estimate']:.2g} (p = {marginal['p']:.2g}), energy distance "
    numbers += f"{joint['estimate']:.2g} (p = {joint['p']:.2g})"
    seen = f"; dependent coordinates have {control['estimate']:.2g} (p = {control['p']:.2g})."
    return start + verdict + numbers + seen


def _ks(samples, marginals):
    """Largest KS distance of the coordinates, with where it lies and its p where the marginals are these."""
    from scipy.stats import kstwo

    count = len(samples)
    steps = np.arange(count + 1)[:, None] / count
    shares = np.stack([each.cdf(column) for each, column in zip(marginals, np.sort(samples, axis=0).T, strict=True)])
    distance = float(max((steps[1:] - shares.T).max(), (shares.T - steps[:-1]).max()))
    # Of independent coordinates: the largest of d distances.
    power, tail = 1 / len(marginals), (1 - CONFIDENCE) / 2
    lo, hi = (float(kstwo.ppf(share**power, count)) for share in (tail, 1 - tail))
    p = float(-np.expm1(len(marginals) * np.log1p(-kstwo.sf(distance, count))))
    return {"estimate": distance, "lo": lo, "hi": hi, "p": p}


def _normal_scores(samples, marginals):
    """Samples, checked, a distribution for each coordinate, and the samples' normal scores."""
    samples = check_codes(samples, "samples")
    if samples.shape[1] < 2:
        raise ValueError(f"samples must have at least 2 coordinates, got {samples.shape[1]}")
    marginals = _marginals(marginals, samples.shape[1])
    scores = []
    for place, (each, column) in enumerate(zip(marginals, samples.T, strict=True)):
        # From the nearer end, where the distribution function keeps its digits.
        below, above = each.cdf(column), each.sf(column)
        scores.append(np.where(below < above, ndtri(below), -ndtri(above)))
        if not np.isfinite(scores[-1]).all():
            outside = column[~np.isfinite(scores[-1])][0]
            raise ValueError(f"samples must lie inside the support, got {outside:g} in coordinate {place + 1}")
    return samples, marginals, np.stack(scores, axis=1)


def _of_scores(scores, marginals):
    """Coordinates of which these are the normal scores."""
    columns = [
        np.where(column < 0, each.ppf(ndtr(column)), each.isf(np.exp(log_ndtr(-column))))
        for each, column in zip(marginals, scores.T, strict=True)
    ]
    return np.stack(columns, axis=1)


def _marginals(marginals, dimensions):
    if marginals is None:
        from scipy.stats import norm

        marginals = norm()
    if not isinstance(marginals, list | tuple):
        marginals = [marginals] * dimensions
    for each in marginals:
        if not all(callable(getattr(each, name, None)) for name in _METHODS):
            raise TypeError(
                f"marginals must be continuous distributions such as scipy.stats.uniform(), with the methods "
                f"{', '.join(_METHODS)}, got {each!r}"
            )
    if len(marginals) != dimensions:
        raise ValueError(f"marginals must be one or as many as coordinates, {dimensions}, got {len(marginals)}")
    return list(marginals)


def _priors(priors):
    if priors is None:
        from scipy.stats import norm, uniform

        return {"uniform on the square": [uniform()] * 2, "normal in 10 dimensions": [norm()] * 10}
    if not isinstance(priors, Mapping) or not priors:
        raise TypeError(f"priors must be {{name: list of distributions}} with at least one prior, got {priors!r}")
    for name, marginals in priors.items():
        if not isinstance(marginals, list | tuple) or len(marginals) < 2:
            raise ValueError(f"priors[{name!r}] must be a list of at least 2 distributions, got {marginals!r}")
    return {str(name): _marginals(marginals, len(marginals)) for name, marginals in priors.items()}
