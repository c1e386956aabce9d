"""A trained VAE, turned: what a full covariance leaves as it is, and what a diagonal one, which VAEs have, pays for."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import ndtri

from kerasvae.analysis.study.bootstrap import CONFIDENCE
from kerasvae.analysis.study.frame import Analysis, Frame
from kerasvae.analysis.study.roles import label_of
from kerasvae.analysis.study.rotated_scores import ANGLES, DEFAULT_SCORES, check_angles, plane_rotation
from kerasvae.checks import check_integer, check_seed
from kerasvae.metrics import SCORES
from kerasvae.metrics.checks import check_codes, check_factors, check_lengths, check_range
from kerasvae.metrics.divergences import mean_divergences
from kerasvae.metrics.score import CHOSEN_FACTORS
from kerasvae.metrics.score_file import evaluate_codes

FULL, BEST, VARIANCES = "full covariance", "best diagonal", "diagonal of the covariance"
POSTERIORS = (FULL, BEST, VARIANCES)
KL, GAP, RECONSTRUCTION, ELBO = "kl", "gap", "reconstruction", "negative elbo"
_COLUMNS = ["angle", "posterior", "quantity", "estimate", "lo", "hi", "n", "rise", "rise_lo", "rise_hi"]
_STREAM = 0x64726177


def rotated_model(
    mean,
    logvar,
    angles=ANGLES,
    *,
    planes=None,
    decode: Callable | None = None,
    images=None,
    reconstruction: Callable | None = None,
    draws: int = 1,
    factors=None,
    scores=DEFAULT_SCORES,
    seed: int = 1,
) -> Analysis:
    """KL, reconstruction error and negative ELBO of a trained VAE whose codes are turned and whose decoder turns back.

    encoder' = A encoder, decoder'(z) = decoder(A' z). With the full covariance A S A', S = diag(s²), the model is the
    same at all angles. A VAE's posterior is diagonal and must drop what is off the diagonal. Where S was the exact
    posterior that costs the ELBO the KL of the diagonal one to A S A', its gap: for the best diagonal 1/2 sum
    log(p' / p), p' the diagonal of the precision A S^-1 A' and p = 1/s², which is above 0 wherever latents of unequal
    widths are mixed. This cost, not the likelihood, favours the axes.

    Args:
        mean, logvar: of the posteriors of some images, (n, latents), latents at least 2.
        angles: degrees. Default: 0 to 45 in steps of 5.
        planes: pairs of latents, from 0, that are turned into each other. Default None: the two of the largest mean KL,
            the next two, and so on.
        decode: function of codes, float32 (n, latents), that returns reconstructions, for the reconstruction error.
            Default None: KL alone.
        images: what `reconstruction` compares them with, (n, ...). Needed with `decode`.
        reconstruction: function of images and reconstructions that returns the errors, (n,), in nats. Needed with
            `decode`.
        draws: of each posterior for the reconstruction error, at least 1; the same noise at all angles. Default 1.
        factors: of the images, integers (n, factors), for scores of the turned means. Default None: no scores.
        scores: as in `kerasvae.metrics.evaluate`; those that choose factor values need rows that are a complete grid.
            Default: those of Locatello et al. 2019, and AAM, as far as they can be computed.
        seed: of the noise and of the scores, 0..2^32-1. Default 1.

    Returns:
        Analysis with the frames
        `elbo`: angle, posterior, quantity, estimate (mean over images, nats), lo, hi, n, rise (mean difference from the
        model as it is), rise_lo, rise_hi (from the differences of the same images). posterior: "full covariance"; "best
        diagonal", which is nearest to it, variances 1 / diag(A S^-1 A'); "diagonal of the covariance", variances
        diag(A S A'). quantity: "kl", to the prior; "gap", to the turned posterior; "reconstruction"; "negative elbo".
        KL itself rises for the best diagonal where variances are below 1/2, and falls for that of the covariance, which
        is wider: its price is in the reconstruction;
        `scores`: angle, metric, estimate; of posteriors with the turned one's own marginals; empty without factors.

    Raises:
        TypeError, ValueError: arrays that do not fit each other, or an argument out of range.

    Example:

    ```python
    mean, logvar = model.encode(images, return_logvar=True)

    def error(images, predicted):
        return keras.ops.convert_to_numpy(model.reconstruction.call(images, predicted)) * math.prod(model.image_shape)

    rotated_model(mean, logvar, decode=model.decode, images=data.standardize(images), reconstruction=error)
    ```

    Source: Locatello et al. 2019, Theorem 1; Rolinek et al. 2019, "Variational Autoencoders Pursue PCA Directions (by
    Accident)", section 3.
    """
    mean, logvar = _posteriors(mean, logvar)
    angles, seed, draws = check_angles(angles), check_seed(seed), check_integer(draws, "draws", 1)
    count, latents = mean.shape
    if decode is not None and (images is None or reconstruction is None):
        raise ValueError("images and reconstruction must be given with decode")
    if images is not None and len(images) != count:
        raise ValueError(f"images must be as many as the rows of mean, {count}, got {len(images)}")
    planes = _by_kl(mean, logvar) if planes is None else [tuple(pair) for pair in planes]
    rotations = [plane_rotation(latents, angle, planes) for angle in angles]
    noise = np.random.default_rng([seed, _STREAM]).standard_normal((draws, count, latents))
    options = decode, images, reconstruction, noise
    start = _quantities(mean, logvar, np.eye(latents), FULL, *options)
    rows = []
    for angle, rotation in zip(angles, rotations, strict=True):
        for posterior in POSTERIORS:
            found = _quantities(mean, logvar, rotation, posterior, *options)
            for quantity, values in found.items():
                rise = _mean(values - start[quantity])
                row = {"angle": angle, "posterior": posterior, "quantity": quantity, **_mean(values), "n": count}
                rows.append(row | {"rise": rise["estimate"], "rise_lo": rise["lo"], "rise_hi": rise["hi"]})
    scored, left_out = _scores(mean, logvar, angles, rotations, factors, scores, seed)
    frames = {
        "elbo": Frame.from_rows(rows, _COLUMNS, title="Nats per image by angle, °", formats={"angle": "g"}),
        "scores": Frame.from_rows(
            scored, ["angle", "metric", "estimate"], title="Scores of the means by angle, °", formats={"angle": "g"}
        ),
    }
    notices = []
    if left_out:
        told = ", ".join(map(label_of, left_out))
        notices.append(f"No {told}: the images are not each combination of the factors' values once.")
    if decode is None:
        notices.append("No reconstruction error and no ELBO: there is no decode.")
    return Analysis("A trained VAE, turned", frames, sentences=_sentences(rows, scored, angles), notices=notices)


def turned_variances(logvar, rotation, posterior: str = BEST) -> np.ndarray:
    """Variances of the diagonal posterior after a rotation of the codes.

    Args:
        logvar: log-variances before it, (n, latents).
        rotation: orthogonal, (latents, latents).
        posterior: "best diagonal" (default) or "diagonal of the covariance", see `rotated_model`.

    Returns:
        float64 (n, latents).

    Raises:
        ValueError: for another `posterior`.
    """
    if posterior not in (BEST, VARIANCES):
        raise ValueError(f'posterior must be "{BEST}" or "{VARIANCES}", got {posterior!r}')
    logvar, squared = np.asarray(logvar, np.float64), np.asarray(rotation, np.float64).T ** 2
    return 1 / (np.exp(-logvar) @ squared) if posterior == BEST else np.exp(logvar) @ squared


def _quantities(mean, logvar, rotation, posterior, decode, images, reconstruction, noise):
    """{quantity: (n,)} of the turned model."""
    turned, latents = mean @ rotation.T, mean.shape[1]
    if posterior == FULL:
        # The trace and the determinant of A S A' are those of S, the length of A mean is that of the mean.
        trace, log_determinant, gap = np.exp(logvar).sum(axis=1), logvar.sum(axis=1), np.zeros(len(mean))
    else:
        variances = turned_variances(logvar, rotation, posterior)
        trace, log_determinant = variances.sum(axis=1), np.log(variances).sum(axis=1)
        precisions = np.exp(-logvar) @ rotation.T**2
        gap = ((precisions * variances).sum(axis=1) - latents + logvar.sum(axis=1) - log_determinant) / 2
    found = {KL: (trace + (turned**2).sum(axis=1) - latents - log_determinant) / 2, GAP: gap}
    if decode is None:
        return found
    total = np.zeros(len(mean))
    for each in noise:
        if posterior == FULL:
            codes = turned + (np.exp(logvar / 2) * each) @ rotation.T
        else:
            # The noise turned as the codes are, so that what it does at different angles can be compared.
            codes = turned + np.sqrt(variances) * (each @ rotation.T)
        reconstructions = decode((codes @ rotation).astype(np.float32))
        errors = np.asarray(reconstruction(images, reconstructions), np.float64)
        if errors.shape != (len(mean),):
            raise ValueError(f"reconstruction must return one number an image, ({len(mean)},), got {errors.shape}")
        total += errors / len(noise)
    return found | {RECONSTRUCTION: total, ELBO: total + found[KL]}


def _posteriors(mean, logvar):
    mean, logvar = check_codes(mean, "mean"), check_codes(logvar, "logvar")
    check_lengths(mean, logvar, ("mean", "logvar"))
    check_range(mean, "mean")
    if logvar.shape != mean.shape or mean.shape[1] < 2:
        raise ValueError(
            f"mean and logvar must have the same shape (n, latents), latents at least 2, got {mean.shape} and "
            f"{logvar.shape}"
        )
    if np.abs(logvar).max() > 200:
        raise ValueError(f"logvar must be between -200 and 200, got from {logvar.min():.3g} to {logvar.max():.3g}")
    return mean, logvar


def _by_kl(mean, logvar):
    """Pairs of latents, those of the largest mean KL first."""
    order = np.argsort(-mean_divergences(mean, logvar), kind="stable").tolist()
    return list(zip(order[::2], order[1::2], strict=False))


def _scores(mean, logvar, angles, rotations, factors, scores, seed):
    """Rows, and names of the default scores that cannot be computed."""
    if factors is None:
        return [], []
    factors, left_out = check_factors(factors), []
    check_lengths(mean, factors, ("mean", "factors"))
    if scores is DEFAULT_SCORES:
        sizes = [len(np.unique(column)) for column in factors.T]
        complete = len(np.unique(factors, axis=0)) == len(factors) == math.prod(sizes)
        left_out = [] if complete else [name for name in scores if SCORES[name].info.needs == CHOSEN_FACTORS]
        scores = [name for name in scores if name not in left_out]
    rows = []
    for angle, rotation in zip(angles, rotations, strict=True):
        widths = np.log(turned_variances(logvar, rotation, VARIANCES))
        result = evaluate_codes(mean @ rotation.T, factors, scores, logvar=widths, seed=seed, progress=False)
        rows += [{"angle": angle, "metric": name, "estimate": float(score)} for name, score in result.items()]
    return rows, left_out


def _mean(values):
    mean = float(values.mean())
    if len(values) < 2:
        return {"estimate": mean, "lo": np.nan, "hi": np.nan}
    reach = float(ndtri((1 + CONFIDENCE) / 2) * values.std(ddof=1) / np.sqrt(len(values)))
    return {"estimate": mean, "lo": mean - reach, "hi": mean + reach}


def _sentences(rows, scored, angles):
    found = []
    for quantity, name in ((GAP, "gap"), (KL, "KL"), (ELBO, "negative ELBO")):
        mine = [row for row in rows if row["quantity"] == quantity]
        if mine:
            full = max(abs(row["rise"]) for row in mine if row["posterior"] == FULL)
            worst = max((row for row in mine if row["posterior"] == BEST), key=lambda row: abs(row["rise"]))
            interval = f" [{worst['rise_lo']:.3g}, {worst['rise_hi']:.3g}]" if np.isfinite(worst["rise_lo"]) else ""
            found.append(
                f"Turned by {worst['angle']:g}° the {name} of the best diagonal posterior changes by "
                f"{worst['rise']:+.3g}{interval} nats an image; with the full covariance by {full:.1g} at most."
            )
    first, last = ({row["metric"]: row["estimate"] for row in scored if row["angle"] == at}
                   for at in (angles[0], angles[-1]))  # fmt: skip
    if first and len(angles) > 1:
        told = ", ".join(f"{label_of(name)} {first[name]:.2f} to {last[name]:.2f}" for name in first)
        found.append(f"From {angles[0]:g}° to {angles[-1]:g}° the means score: {told}.")
    return found
