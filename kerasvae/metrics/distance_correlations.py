"""Correlations of distances between codes with those between factors and between images."""

from collections.abc import Sequence

import numpy as np

from kerasvae.checks import check_integer, check_number, check_seed
from kerasvae.metrics.bootstrap import bootstrap_interval, check_bootstrap, replicate_generators
from kerasvae.metrics.checks import check_lengths
from kerasvae.metrics.generated_codes import (
    check_generator,
    check_sizes,
    chunks,
    draw_factors,
    geometric_mean,
    traversals,
)
from kerasvae.metrics.score import CHOSEN_FACTORS, EncodeFactors, Score, ScoreInfo

STREAM = 0x676C6F62  # random numbers of the batches of images that share no factor
# What is compared: names of two distances each.
OF_CODES = {"ground_latent_l1": ("ground", "latent_l1"), "ground_latent_l2": ("ground", "latent_l2")}
OF_BOTH = {"latent_data_l1": ("latent_l1", "data"), "latent_data_l2": ("latent_l2", "data")}
OF_IMAGES = {"ground_data": ("ground", "data")}
KINDS = ("rcorr", "lcorr", "rsame")


@ScoreInfo(needs=CHOSEN_FACTORS, bounds=(0.0, 1.0), higher_is_better=True)
def distance_correlations(
    encode_factors: EncodeFactors | None,
    factor_sizes: Sequence[int],
    *,
    observations: EncodeFactors | None = None,
    repeats: int = 1024,
    triples: int = 64,
    batch_size: int = 32,
    resolution: float = 1e-7,
    seed: int = 1,
    bootstrap: int = 0,
) -> Score:
    """Correlations of distances: do codes lie as far apart as the factors, or as the images, behind them?

    Of pairs of images along one factor, and of pairs that share nothing, three distances are taken: between
    factor values (city-block), between codes (city-block or Euclidean), between images (mean squared difference).
    Every two of them are compared by rank correlation, by linear correlation, and by how often they agree on
    which of two images is nearer to a third.

    Args:
        encode_factors: function of factor values, int64 (n, F) with column k in 0..factor_sizes[k] - 1, that
            returns their codes (n, D), finite and within float32's range. None: no codes, images alone.
        factor_sizes: number of values of each factor, (F,). Factors of one value are left out.
        observations: function of the same factor values that returns their images, real numbers (n, ...),
            standardised as the model sees them. It is called with as many rows as a factor has values, or
            `batch_size`. Default None: no distances between images, which take most of the time.
        repeats: walks along each factor, and batches of random images, at least 1. Default: 1024.
        triples: drawn from each, with replacement, at least 1. Default: 64.
        batch_size: images of a random batch, at least 2. Default: 32.
        resolution: distances that differ by less than this share of the largest are ties, above 0 and below 1.
            Default: 1e-7; codes of an encoder that computes in float32 may need 1e-5 to have any.
        seed: of the draws, 0..2^32-1. Default: 1.
        bootstrap: resamples of the walks for the 95 % interval, 0 (none) or at least 2. Default: 0.

    Returns:
        Score: the ground-truth correlation, rank correlation between factors and codes (Euclidean) along factors,
        geometric mean over the factors used, which is 0 where one is 0 or less; without codes that between factors
        and images. Parts, by kind (`rcorr` rank correlation, `lcorr` linear correlation, `rsame` share of triples
        in the same order) and pair (`ground_latent_l1`, `ground_latent_l2`, `latent_data_l1`, `latent_data_l2`,
        `ground_data`): `factor`, mapping of e.g. `rcorr_ground_latent_l2` to the geometric mean; `per_factor`, of
        the same to (factors used,); `global`, of the same to the number for random images; and `factors`, the
        indices of those used. A correlation with distances that are all equal is 0.

    Raises:
        TypeError, ValueError: neither function is given, or one is none or returns no finite numbers of that shape; no
            factor of more than one value; or an option that is not allowed.

    Source: Michlo et al. 2021, "Overlooked Implications of the Reconstruction Loss for VAE Disentanglement".
    Their code compares distances to the last bit, which breaks ties at random and costs even a perfect code points.

    Example:

    >>> distance_correlations(lambda factors: factors, (4, 8), repeats=50)
    Score(distance_correlations=1)
    """
    seed, bootstrap = check_seed(seed), check_bootstrap(bootstrap)
    repeats, triples = check_integer(repeats, "repeats", 1), check_integer(triples, "triples", 1)
    batch_size = check_integer(batch_size, "batch_size", 2)
    check_number(resolution, "resolution", above=0, below=1)
    if observations is not None and not callable(observations):
        raise TypeError(f"observations must be a function of factor values or None, got {type(observations).__name__}")
    if encode_factors is None:
        if observations is None:
            raise ValueError("encode_factors and observations must not both be None")
        encode, sizes = None, check_sizes(factor_sizes)
        active = tuple(factor for factor, size in enumerate(sizes) if size > 1)
    else:
        encode, sizes, active = check_generator(encode_factors, factor_sizes)
    if encode is None:
        pairs, headline = OF_IMAGES, "ground_data"
    else:
        pairs, headline = OF_CODES | (OF_BOTH | OF_IMAGES if observations else {}), "ground_latent_l2"

    along = []
    for factor in active:
        rng = np.random.default_rng([seed, STREAM, factor])
        walks = traversals(sizes, factor, repeats, seed)
        along.append(_distances(encode, observations, walks, triples, rng, [factor]))
    rng, drawing = np.random.default_rng([seed, STREAM]), np.random.default_rng([seed, STREAM + 1])
    batches = (
        draw_factors(drawing, sizes, count * batch_size).reshape(count, batch_size, -1)
        for count in chunks(repeats, batch_size)
    )
    apart = _distances(encode, observations, batches, triples, rng, range(len(sizes)))

    compared = [_compared(distances, pairs, resolution) for distances in along]
    per_factor = {name: np.array([numbers[name] for numbers in compared]) for name in compared[0]}
    factor_scores = {name: float(geometric_mean(values)) for name, values in per_factor.items()}
    value = factor_scores[f"rcorr_{headline}"]
    interval = None
    if bootstrap:

        def of_resample(rng):
            rows = [rng.integers(repeats, size=repeats) for _ in along]
            ranked = [
                _compared({name: each[name][:, some] for name in pairs[headline]}, {"": pairs[headline]}, resolution)
                for each, some in zip(along, rows, strict=True)
            ]
            return geometric_mean([numbers["rcorr_"] for numbers in ranked])

        interval = bootstrap_interval(value, [of_resample(rng) for rng in replicate_generators(seed, bootstrap)])
    parts = {
        "factor": factor_scores,
        "global": _compared(apart, pairs, resolution),
        "per_factor": per_factor,
        "factors": active,
    }
    return Score("distance_correlations", value, parts, interval=interval)


def _distances(encode, observations, groups, triples, rng, columns):
    """Of triples (a, p, n) of each group, by kind: distances of a to p and of a to n, (2, groups, triples).

    `groups` yields factor values (groups, rows, F); the ground distance is that of the given columns.
    """
    kinds = ["ground", *(["latent_l1", "latent_l2"] if encode else []), *(["data"] if observations else [])]
    found = {kind: [] for kind in kinds}
    for factors in groups:
        count, rows, _ = factors.shape
        anchor, *others = rng.integers(rows, size=(3, count, triples))
        group = np.arange(count)[:, None]
        if encode:
            codes = encode(factors.reshape(count * rows, -1)).reshape(count, rows, -1)
        pairs = {kind: [] for kind in kinds}
        for other in others:
            steps = factors[group, anchor][..., columns] - factors[group, other][..., columns]
            pairs["ground"].append(np.abs(steps).sum(axis=-1).astype(np.float64))
            if encode:
                moves = codes[group, anchor] - codes[group, other]
                pairs["latent_l1"].append(np.abs(moves).sum(axis=-1))
                pairs["latent_l2"].append(np.sqrt(np.einsum("gtd,gtd->gt", moves, moves)))
        if observations:
            each = (
                _image_distances(observations, factors[number], anchor[number], [other[number] for other in others])
                for number in range(count)
            )
            pairs["data"] = np.stack(list(each), axis=1)
        for kind in kinds:
            found[kind].append(np.stack(list(pairs[kind])))
    return {kind: np.concatenate(blocks, axis=1) for kind, blocks in found.items()}


def _image_distances(observations, factors, anchor, others):
    """Mean squared differences of the images of one group, (2, triples); of each pair once."""
    name = "the images that observations returns"
    images = np.asarray(observations(factors))
    if images.dtype.kind not in "biuf" or images.ndim < 2:
        raise TypeError(f"{name} must be real numbers (n, ...), got {images.dtype} of shape {images.shape}")
    check_lengths(images, factors, (name, "factors"))
    rows = len(images)
    images = images.reshape(rows, -1).astype(np.float64)  # sums of float32 would break ties
    asked = np.stack([np.minimum(anchor, other) * rows + np.maximum(anchor, other) for other in others])
    pairs, inverse = np.unique(asked, return_inverse=True)
    distances = np.empty(len(pairs))
    step = max(1, 2**15 // images.shape[1])  # differences that stay in the cache
    for start in range(0, len(pairs), step):
        first, second = np.divmod(pairs[start : start + step], rows)
        differences = images[first] - images[second]
        distances[start : start + step] = np.einsum("pi,pi->p", differences, differences)
    if not np.isfinite(distances).all():
        raise ValueError(f"{name} must be finite")
    return (distances / images.shape[1])[inverse].reshape(asked.shape)


def _compared(distances, pairs, resolution):
    """Of each kind and pair, as `KIND_PAIR`, the number."""
    from scipy.stats import rankdata

    rounded = {name: _rounded(each, resolution) for name, each in distances.items()}
    measures = {
        "rcorr": {name: rankdata(each) for name, each in rounded.items()},
        "lcorr": {name: each.ravel() for name, each in distances.items()},
        "rsame": {name: np.sign(each[0] - each[1]) for name, each in rounded.items()},
    }
    functions = {"rcorr": _correlation, "lcorr": _correlation, "rsame": _agreement}
    return {
        f"{kind}_{pair}": functions[kind](measures[kind][first], measures[kind][second])
        for kind in KINDS
        for pair, (first, second) in pairs.items()
    }


def _agreement(first, second):
    return float(np.mean(first == second))


def _rounded(distances, resolution):
    """As whole multiples of the resolution, so that equal means equal."""
    largest = distances.max()
    # The border between two multiples lies off the middle, where halves and other plain fractions would straddle it.
    return np.floor(distances / (resolution * largest) + 0.381966) if largest > 0 else distances


def _correlation(first, second):
    """Of two flat arrays; 0 where one is constant."""
    if (first == first[0]).all() or (second == second[0]).all():
        return 0.0
    first, second = (each / np.abs(each).max() for each in (first, second))
    first, second = first - first.mean(), second - second.mean()
    scale = np.sqrt((first @ first) * (second @ second))
    return float(np.clip(first @ second / scale, -1.0, 1.0)) if scale > 0 else 0.0
