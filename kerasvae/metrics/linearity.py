"""Linearity and axis alignment of factor traversals."""

from collections.abc import Sequence

import numpy as np

from kerasvae.checks import check_integer, check_seed
from kerasvae.metrics.bootstrap import bootstrap_interval, check_bootstrap, replicate_generators
from kerasvae.metrics.generated_codes import check_generator, encoded, geometric_mean, traversals
from kerasvae.metrics.score import CHOSEN_FACTORS, EncodeFactors, Score, ScoreInfo


@ScoreInfo(needs=CHOSEN_FACTORS, bounds=(0.0, 1.0), higher_is_better=True)
def linearity(
    encode_factors: EncodeFactors,
    factor_sizes: Sequence[int],
    *,
    repeats: int = 1024,
    seed: int = 1,
    bootstrap: int = 0,
) -> Score:
    """Linearity: how much of the codes' variance along one factor lies in one direction.

    On a walk along one factor: the largest eigenvalue of the codes' covariance over their sum (the linear ratio),
    the largest variance of a latent over their sum (the axis ratio), both scaled from 1 / D..1 to 0..1, and the
    second over the first (the axis alignment). All are 1 where one latent alone moves; a straight walk on a
    diagonal has linear ratio 1 and axis alignment below.

    Args:
        encode_factors: function of factor values, int64 (n, F) with column k in 0..factor_sizes[k] - 1, that
            returns their codes (n, D), finite and within float32's range.
        factor_sizes: number of values of each factor, (F,). Factors of one value are left out.
        repeats: walks along each factor, from drawn values of the others, at least 1. Default: 1024.
        seed: of the draws, 0..2^32-1. Default: 1.
        bootstrap: resamples of the walks for the 95 % interval, 0 (none) or at least 2. Default: 0.

    Returns:
        Score: the linear ratio, geometric mean over the factors used of the mean over the walks; a walk on which
        nothing moves counts as 0. With one latent every walk that moves counts as 1. Parts: `linear_ratio`,
        `axis_ratio`, `axis_alignment`; `axis_ratio_ave`, from the variances averaged over the walks first; each
        also as `..._per_factor`, (factors used,); `factors`, the indices of those used.

    Raises:
        TypeError, ValueError: `encode_factors` is no function or returns no finite codes (n, D), no factor of more than
            one value, or an option that is not allowed.

    Source: the factored components of Michlo et al. 2021 (the code of "Overlooked Implications of the
    Reconstruction Loss for VAE Disentanglement"), which gives nan for one latent and where nothing moves.

    Example:

    >>> score = linearity(lambda factors: factors @ [[1, 1], [1, -1]], (4, 8))
    >>> score, score.parts["axis_alignment"]
    (Score(linearity=1), 0.0)
    """
    seed, repeats, bootstrap = check_seed(seed), check_integer(repeats, "repeats", 1), check_bootstrap(bootstrap)
    encode, sizes, active = check_generator(encode_factors, factor_sizes)
    ratios, axis_ratio_ave = [], []
    for factor in active:
        walks = [_ratios(encoded(encode, walk)) for walk in traversals(sizes, factor, repeats, seed)]
        ratios.append(np.concatenate([each for each, _ in walks], axis=1))
        axis_ratio_ave.append(_ratio(_mean_of_scaled([scaled for _, scaled in walks])))
    linear, axis, alignment = np.array([of_factor.mean(axis=1) for of_factor in ratios]).T
    per_factor = {
        "linear_ratio": linear,
        "axis_ratio": axis,
        "axis_alignment": alignment,
        "axis_ratio_ave": np.array(axis_ratio_ave),
    }
    parts = {name: float(geometric_mean(values)) for name, values in per_factor.items()}
    parts |= {f"{name}_per_factor": values for name, values in per_factor.items()}
    interval = None
    if bootstrap:
        replicates = [
            geometric_mean([of_factor[0, rng.integers(repeats, size=repeats)].mean() for of_factor in ratios])
            for rng in replicate_generators(seed, bootstrap)
        ]
        interval = bootstrap_interval(parts["linear_ratio"], replicates)
    return Score("linearity", parts["linear_ratio"], parts | {"factors": active}, interval=interval)


def _ratios(codes):
    """Linear ratio, axis ratio and axis alignment of walks (walks, values, D), (3, walks); variances and their scale.

    The variances of a walk come in units of the square of its scale, which keeps those of tiny codes above 0.
    """
    codes = codes - codes[:, :1]  # exactly 0 where nothing moves
    scale = np.abs(codes).max(axis=(1, 2))
    codes /= np.where(scale > 0, scale, 1.0)[:, None, None]
    codes -= codes.mean(axis=1, keepdims=True)
    covariances = np.einsum("wvd,wve->wde", codes, codes) / (codes.shape[1] - 1)
    variances = np.einsum("wdd->wd", covariances).copy()
    axis = _ratio(variances)
    # Never less than what one axis alone has; only rounding says so.
    linear = np.maximum(_ratio(np.maximum(np.linalg.eigvalsh(covariances), 0.0)), axis)
    # Equal in all directions: both ratios are rounding, and there is no direction to be aligned.
    alignment = np.divide(axis, linear, out=np.zeros_like(axis), where=linear > 1e-12)
    return np.stack([linear, axis, alignment]), (variances, scale)


def _mean_of_scaled(walks):
    """Mean over all walks of their variances, up to a factor."""
    variances, scales = (np.concatenate(each) for each in zip(*walks, strict=True))
    largest = scales.max()
    return ((scales / largest if largest > 0 else scales)[:, None] ** 2 * variances).mean(axis=0)


def _ratio(variances):
    """The largest over the sum of the last axis, scaled to 0..1; 0 where all are 0, else 1 where there is but one."""
    total, dimensions = variances.sum(axis=-1), variances.shape[-1]
    if dimensions == 1:
        return (total > 0).astype(np.float64)
    share = np.divide(variances.max(axis=-1), total, out=np.zeros_like(total), where=total > 0)
    return np.where(total > 0, np.clip((share - 1 / dimensions) / (1 - 1 / dimensions), 0.0, 1.0), 0.0)
