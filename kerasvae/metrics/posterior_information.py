"""Mutual information of latents, as sampled from their posteriors, with factors."""

import hashlib
import inspect
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kerasvae.checks import check_choice, check_integer, check_seed
from kerasvae.metrics.checks import check_posterior, check_sample, warnings_of_bins
from kerasvae.metrics.divergences import COLLAPSED, mean_divergences
from kerasvae.metrics.mutual_information import entropy, mutual_information

METHODS = ("quadrature", "sampling", "histogram")
REACH = 7.5  # standard deviations around its mean that a posterior is followed
STEP = 1 / 3  # of the quadrature, in units of the smallest standard deviation of the latent
MOST_EVALUATIONS = 10**9  # of Gaussians by quadrature, some 30 s
MOST_CELLS = 2 * 10**7  # of the tables of densities of a latent, values of all factors x grid points
MOST_STEPS = 1e11  # of the grid over a latent's whole range, beyond which rounding would move the points


def posterior_information(
    mean: ArrayLike,
    logvar: ArrayLike | None,
    factors: ArrayLike,
    *,
    method: str | None = None,
    seed: int = 1,
    samples: int = 2,
    points: int = 5_000,
    bins: int = 20,
) -> dict[str, Any]:
    """I(z_j; v_k) in nats for z_j drawn from the posterior of a point drawn uniformly from an enumerated data set.

    Each latent on its own: I = sum_a p(v_k = a) KL(q(z_j | v_k = a) || q(z_j)), where q(z_j) is the mean of the
    posteriors of all points and q(z_j | v_k = a) of those with that value. A point listed twice counts twice.

    `"quadrature"` integrates both mixtures on a grid, exact to about 1e-7 nat. `"sampling"` draws from every
    posterior and takes the mean of log q(z_j | v_k) - log q(z_j) at the draws, the same in both terms, so that a
    latent without information gives 0 and no noise. `"histogram"` bins the means and forgets the posteriors: fast, but
    the latents that hardly differ from the prior must then be dropped, since bins do not see how small their
    means are.

    Args:
        mean: of the posteriors, finite real numbers within float32's range, (points, latents).
        logvar: their log-variances, between -200 and 200, (points, latents); or None with `"histogram"`.
        factors: integers, (points, factors). Constant factors are left out.
        method: `"quadrature"`, `"sampling"` or `"histogram"`. Default None: quadrature where that takes up to
            about half a minute (some 10^6 points where the latents' posteriors are of similar widths), else
            sampling.
        seed: of the sampling, 0..2^32-1. Default: 1.
        samples: draws per point, at least 2. Default: 2.
        points: most points that are sampled, at least 2; of a larger data set one of every n / points in the
            order of the factors, drawn at random, stands for all. Default: 5000. Time grows with its square.
        bins: of the histogram, at least 2. Default: 20.

    Returns:
        dict: `mutual_information` (latents, factors used), at least 0; `standard_error`, of the same shape, that
        of the draws, 0 for the other methods; `factor_entropies`, (factors used,); `factors`, the indices of
        those used; `collapsed`, the indices of the latents that the histogram dropped (rows of zeros); `method`;
        `warnings`, list of str.

    Raises:
        TypeError, ValueError: arrays of another type, shape or length, too few points, numbers that are not finite or
            out of range, all factors constant, an option that is not allowed, or quadrature asked for where its grid
            would not fit.

    Source: Chen et al. 2018, "Isolating Sources of Disentanglement in VAEs", Eq. 4 to 6, in the notation of the
    poster "Understanding disentangling in VAE". The poster's code mixes the latents of its samples.

    Example:

    >>> factors = np.array([[0], [1]])
    >>> information = posterior_information([[-4.0, 0.0], [4.0, 0.0]], np.zeros((2, 2)), factors)
    >>> information["mutual_information"].round(4).ravel()  # log 2 = 0.6931, and nothing
    array([0.6931, 0.    ])
    """
    seed, bins = check_seed(seed), check_integer(bins, "bins", 2)
    samples, points = check_integer(samples, "samples", 2), check_integer(points, "points", 2)
    check_choice(method, "method", METHODS, optional=True)
    if logvar is None:
        if method != "histogram":
            raise ValueError("logvar may be None with method='histogram' alone")
        mean, factors, active = check_sample(mean, factors, ("mean", "factors"))
    else:
        mean, logvar, factors, active = check_posterior(mean, logvar, factors)
    used, collapsed = factors[:, active], ()
    entropies = entropy(used)
    if method == "histogram":
        matrix, collapsed, warnings = _by_histogram(mean, logvar, factors, active, bins)
        error = np.zeros_like(matrix)
    else:
        deviation = np.exp(logvar / 2)
        labels = [np.unique(column, return_inverse=True)[1] for column in used.T]
        affordable = _affordable(mean, deviation, sum(int(label.max()) + 1 for label in labels), method)
        method = method or ("quadrature" if affordable else "sampling")
        if method == "quadrature":
            integrals = [_by_quadrature(m, s, labels) for m, s in zip(mean.T, deviation.T, strict=True)]
            information, of_point = np.array([row for row, _ in integrals]), np.array([each for _, each in integrals])
            error, count = np.zeros_like(information), len(mean)
        else:
            rng = np.random.default_rng(seed)
            chosen = _stratified(used, points, rng)
            labels = [np.unique(label[chosen], return_inverse=True)[1] for label in labels]
            mean, deviation, count = mean[chosen], deviation[chosen], len(chosen)
            information, error, of_point = _by_sampling(mean, deviation, labels, samples, rng)
        matrix = np.where(information > 1e-12, information, 0.0)  # as exact as either method is
        warnings = _warnings_of_points(of_point, labels, entropies, active, count)
    return {
        "mutual_information": matrix,
        "standard_error": error,
        "factor_entropies": entropies,
        "factors": active,
        "collapsed": collapsed,
        "method": method,
        "warnings": warnings,
    }


class KnownInformation:
    """`posterior_information`, which is computed once for equal posteriors, factors and options; called as it is.

    What it returns is shared by all who ask: nobody may change it.
    """

    def __init__(self):
        self._known = {}

    def __call__(self, mean, logvar, factors, **options):
        call = inspect.signature(posterior_information).bind(mean, logvar, factors, **options)
        call.apply_defaults()
        key = tuple(_contents(argument) for argument in call.arguments.values())
        if key not in self._known:
            self._known[key] = posterior_information(*call.args, **call.kwargs)
        return self._known[key]


def _contents(argument):
    """What distinguishes an argument from others: of an array a hash of its numbers."""
    if not isinstance(argument, np.ndarray):
        return repr(argument)
    return argument.shape, argument.dtype.str, hashlib.sha256(np.ascontiguousarray(argument)).digest()


def _by_histogram(mean, logvar, factors, active, bins):
    warnings = warnings_of_bins(factors, active, bins)
    matrix = mutual_information(mean, factors[:, active], bins)
    if logvar is None:
        return matrix, (), [*warnings, "the posteriors are not known: collapsed latents could not be dropped"]
    collapsed = tuple(np.flatnonzero(mean_divergences(mean, logvar) <= COLLAPSED).tolist())
    matrix[list(collapsed)] = 0.0
    if collapsed:
        warnings.append(
            f"latents {list(collapsed)} are dropped: collapsed to the prior, mean divergence up to {COLLAPSED} nat"
        )
    return matrix, collapsed, warnings


def _affordable(mean, deviation, values, method):
    """Whether quadrature is quick enough; raises where it is asked for and its tables would be too large."""
    evaluations = 0
    for latent, (m, s) in enumerate(zip(mean.T, deviation.T, strict=True)):
        windows = _windows(m, s)
        if windows is None or windows[-1] * values > MOST_CELLS:
            if method == "quadrature":
                raise ValueError(
                    f"method must not be 'quadrature' where posteriors are this narrow for their range: latent "
                    f"{latent} has standard deviations down to {s.min():.3g}, use 'sampling'"
                )
            return False
        evaluations += int(windows[3].sum())
    return evaluations <= MOST_EVALUATIONS


def _windows(mean, deviation):
    """The grid of one latent: its start and step; of every point the first cell, the number of cells and how many
    are left out before; and how many are kept in all. None for a grid too fine.

    Stretches that no posterior reaches are left out.
    """
    step, low = deviation.min() * STEP, (mean - REACH * deviation).min()
    if ((mean + REACH * deviation).max() - low) / step > MOST_STEPS:
        return None
    first = np.ceil((mean - REACH * deviation - low) / step).astype(np.intp)
    width = np.floor(2 * REACH * deviation / step).astype(np.intp) + 1
    order = np.argsort(first, kind="stable")
    reached = np.maximum.accumulate((first + width)[order])
    gaps = np.zeros(len(first), np.intp)
    gaps[order[1:]] = np.maximum(first[order[1:]] - reached[:-1], 0)
    gaps[order] = gaps[order].cumsum()
    return low, step, first, width, gaps, int(reached[-1] - gaps[order[-1]])


def _by_quadrature(mean, deviation, labels):
    """Of one latent: its information about every factor, and about the point."""
    low, step, first, width, gaps, size = _windows(mean, deviation)
    tables = [np.zeros((label.max() + 1) * size) for label in labels]
    batch_size = max(2**18, sum(map(len, tables)))
    # Points of similar width together, so that one rectangle of offsets serves a batch.
    order = np.argsort(width, kind="stable")
    start = 0
    while start < len(order):
        batch = order[start : start + max(1, batch_size // width[order[start]])]
        batch = batch[width[batch] <= 1.5 * width[batch[0]] + 8]
        start += len(batch)
        cells = first[batch, None] + np.arange(width[batch[-1]])
        distance = (low + step * cells - mean[batch, None]) / deviation[batch, None]
        density = np.exp(-(distance**2) / 2) / (deviation[batch, None] * (np.sqrt(2 * np.pi) * len(mean)))
        cells = np.minimum(cells - gaps[batch, None], size - 1)  # beyond its own width a point is nowhere
        for label, table in zip(labels, tables, strict=True):
            table += np.bincount((label[batch, None] * size + cells).ravel(), density.ravel(), len(table))
    information = []
    for label, table in zip(labels, tables, strict=True):
        joint = table.reshape(-1, size)
        shares = np.bincount(label)[:, None] / len(label)
        information.append(step * _divergence(joint, shares * joint.sum(axis=0)))
    density = tables[0].reshape(-1, size).sum(axis=0)
    own_entropy = np.log(deviation).mean() + np.log(2 * np.pi * np.e) / 2
    return information, -step * _divergence(density, np.ones_like(density)) - own_entropy


def _divergence(joint, independent):
    ratio = np.divide(joint, independent, out=np.ones_like(joint), where=(joint > 0) & (independent > 0))
    return float((joint * np.log(ratio)).sum())


def _stratified(factors, most, rng):
    """Indices of at most that many points: one drawn from each of equal stretches of the points sorted by factors."""
    count = len(factors)
    if count <= most:
        return np.arange(count)
    bounds = np.arange(most + 1) * count // most
    return np.lexsort(factors.T[::-1])[rng.integers(bounds[:-1], bounds[1:])]


def _by_sampling(mean, deviation, labels, samples, rng):
    """Information of every latent about every factor, its standard error, and about the point."""
    count, latents = mean.shape
    sizes = [label.max() + 1 for label in labels]
    offsets = np.cumsum([0, *sizes[:-1]])
    columns = np.stack(labels, axis=1) + offsets  # of each point, its value of each factor
    membership = np.zeros((count, sum(sizes)))
    np.put_along_axis(membership, columns, 1.0, axis=1)
    shares = membership.mean(axis=0)
    information, error, of_point = np.empty((latents, len(labels))), np.empty((latents, len(labels))), []
    batch = max(1, 2**21 // (count * samples))
    for latent in range(latents):
        m, s = mean[:, latent], deviation[:, latent]
        gains, own = np.empty((count, samples, len(labels))), np.empty((count, samples))
        for start in range(0, count, batch):
            rows = slice(start, start + batch)
            noise = rng.standard_normal((len(m[rows]), samples))
            draws = m[rows, None] + s[rows, None] * noise
            density = np.exp(-(((draws.reshape(-1, 1) - m) / s) ** 2) / 2) / s
            joint = (density @ membership / count).reshape(*draws.shape, -1)
            mixture = joint[..., : sizes[0]].sum(axis=-1)
            of_value = np.take_along_axis(joint, columns[rows, None], axis=-1)
            gains[rows] = np.log(of_value / (shares[columns[rows, None]] * mixture[..., None]))
            own[rows] = -(noise**2) / 2 - np.log(s[rows, None]) - np.log(mixture)
        information[latent] = gains.mean(axis=(0, 1))
        error[latent] = np.sqrt(gains.var(axis=1, ddof=1).mean(axis=0) / (count * samples))
        of_point.append(own.mean())
    return information, error, np.array(of_point)


def _warnings_of_points(of_point, labels, entropies, active, count):
    """Where so few points share a stretch of a latent that they would distinguish factors by chance.

    A latent distinguishes about exp(I(z_j; point)) points: its range over the posteriors' width. As with the plug-in
    estimate, cells of which there are nearly as many as points show information that is not there.
    """
    cells = np.exp(np.clip(of_point, 0, np.log(count)))
    values = np.array([label.max() + 1 for label in labels])
    bias = np.outer(cells - 1, values - 1) / (2 * count)
    latents = np.flatnonzero((bias > 0.05 * entropies).any(axis=1)).tolist()
    if not latents:
        return []
    factors = [active[column] for column in np.flatnonzero((bias > 0.05 * entropies).any(axis=0))]
    return [
        f"latents {latents} distinguish up to {cells.max():.0f} of {count} points: too few points for their range over "
        f"the posteriors' width, the information about factors {factors} may be overestimated by {bias.max():.2g} nat"
    ]
