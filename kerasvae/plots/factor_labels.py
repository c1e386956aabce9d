"""Which factor a latent shows, by a rule in place of an eye."""

from __future__ import annotations

import numpy as np

from kerasvae.checks import check_integer, shown
from kerasvae.metrics.mutual_information import entropy, mutual_information
from kerasvae.plots.checks import array_of, check_factors_of, check_images_of, check_model

# Share of a factor's entropy that a latent must know, and how many times the share of any other factor.
_SHARE, _TIMES = 0.2, 2.0


def factor_labels(model, data, *, images: int = 10_000, bins: int = 20, seed: int = 1) -> list[str | None]:
    """For each latent of a model the factor that it shows, or None, by `labels_from_information`.

    Args:
        model: as for all figures (`kerasvae.plots`).
        data: a ground-truth data set with factors; the grid need not be complete.
        images: how many random ones the information is taken from, at least 2, or all if there are no more. The
            information found in too few is too large. Default 10 000.
        bins: of the histogram of each latent's mean code, at least 2. Default 20.
        seed: of the choice of images. Default 1.

    Raises: ValueError, TypeError: for arguments not allowed.
    """
    check_model(model)
    check_factors_of(data)
    check_images_of(data, model)
    check_integer(images, "images", 2)
    check_integer(bins, "bins", 2)
    check_integer(seed, "seed", 0)
    indices = np.arange(len(data))
    if images < len(data):
        indices = np.random.default_rng(seed).choice(len(data), size=images, replace=False)
    codes = np.concatenate(
        [model.encode(data.images(part)) for part in np.array_split(indices, -(-len(indices) // 4096))]
    )
    factors = data.factors(indices)
    return labels_from_information(mutual_information(codes, factors, bins), entropy(factors), data.factor_names)


def labels_from_information(information, entropies, factor_names) -> list[str | None]:
    """For each latent the factor that it shows: the one it knows most of, if it knows enough of it and alone.

    That is the factor with the largest mutual information I, if I/H is at least 0.2 and at least twice the I/H of every
    other factor, with H the factor's entropy. Constant factors do not count.

    Args:
        information: mutual information, (latents, factors), nats, at least 0.
        entropies: of the factors, (factors,), nats.
        factor_names: (factors,).

    Returns:
        A name or None for each latent.

    Raises:
        ValueError: for shapes that do not fit.

    Source: in place of the labels that the poster "Understanding disentangling in VAE", Fig. 3, gives by hand.

    Example:

    >>> labels_from_information([[0.9, 0.1], [0.5, 0.4], [0.0, 0.1]], [1.0, 1.0], ["shape", "scale"])
    ['shape', None, None]
    """
    information = array_of("information", information, "numbers (latents, factors)").astype(float)
    entropies = array_of("entropies", entropies, "numbers (factors,)").astype(float)
    listed = hasattr(factor_names, "__iter__") and not isinstance(factor_names, str)
    if not listed or not all(isinstance(name, str) for name in factor_names):
        raise ValueError(f"factor_names must be a list of names, got {shown(factor_names)}")
    if information.ndim != 2 or entropies.shape != information.shape[1:] or len(factor_names) != len(entropies):
        raise ValueError(
            "information, entropies and factor_names must be of shapes (latents, factors), (factors,) and (factors,), "
            f"got {information.shape}, {entropies.shape} and {len(factor_names)} names"
        )
    for argument, values in (("information", information), ("entropies", entropies)):
        # Rounding leaves what is 0 a little below.
        if not (np.isfinite(values) & (values > -1e-6)).all():
            raise ValueError(f"{argument} must be finite and at least 0, got {values.min()} to {values.max()}")
    varied = np.flatnonzero(entropies > 0)
    if not varied.size:
        return [None] * len(information)
    labels = []
    for known in information[:, varied]:
        best, shares = int(np.argmax(known)), known / entropies[varied]
        others = np.delete(shares, best).max(initial=0.0)
        clear = shares[best] >= _SHARE and shares[best] >= _TIMES * others
        labels.append(str(factor_names[varied[best]]) if clear else None)
    return labels
