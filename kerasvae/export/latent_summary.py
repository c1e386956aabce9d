"""What each latent holds over a data set: its KL, the range of its codes, and the factor that it tracks."""

from __future__ import annotations

import re

import numpy as np
from scipy.stats import spearmanr

from kerasvae.metrics.divergences import COLLAPSED, mean_divergences
from kerasvae.metrics.mutual_information import discrete_mutual_information, discretize, entropy

QUANTILES = (0.001, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999)
# Codes outside these two are flagged when a bundle encodes.
RANGE_QUANTILES = (0.001, 0.999)
# Mean KL in nats above which a latent counts as active.
ACTIVE_ABOVE = COLLAPSED
# A latent is called after a factor only when it holds at least this share of it beyond chance, ...
NAMED_FROM_SHARE = 0.4
# ... and no other factor reaches this part of it: a latent that mixes two factors has no name.
_MIXED_FROM = 0.5
_SHUFFLES, _DEVIATIONS = 20, 4


def latent_summary(mean, logvar, factors=None, factor_names=(), *, seed: int = 0) -> list[dict]:
    """Statistics of each latent over the images of a data set, as JSON.

    Args:
        mean, logvar: posteriors of the images, each (n, latents), n at least 1.
        factors: integers (n, F), or None (default) for images without factors.
        factor_names: names of the F factors, all different.
        seed: of the shuffles by which chance is estimated.

    Returns:
        For each latent a dictionary:

        - `index`, and `name`: the name of the factor that it tracks, numbered where several latents track one, the most
          informative first; otherwise z and the index;
        - `kl`: mean KL from N(0, 1) in nats, and `active`: whether it is above 0.01;
        - `quantiles`, `min`, `max`, `mean`, `std` (population) of the codes `mean`; quantiles interpolate linearly;
        - `factor`: None, or of the factor with which an active latent has the largest mutual information: its `name`,
          `mutual_information` in nats (`kerasvae.metrics.mutual_information`, 20 bins), the `share` that this is of the
          factor's entropy, and the `sign` of Spearman's correlation with the factor's index, 0 below 0.1.

    From few images the mutual information is not 0 by chance either. What 20 shuffles of the factors give on average is
    chance: it is subtracted when factors are compared, and a latent whose information is not larger by more than 4 of
    the shuffles' standard deviations tracks no factor. A latent is called after its factor when it holds at least 0.4
    of what can be held of it beyond chance, (I - chance) / (H - chance), and no other factor reaches half of that.
    """
    mean = np.asarray(mean, "float64")
    kl = mean_divergences(mean, np.asarray(logvar, "float64"))
    quantiles = np.quantile(mean, QUANTILES, axis=0)
    active = kl > ACTIVE_ABOVE
    summary = [
        {
            "index": latent,
            "name": f"z{latent}",
            # Rounding leaves a KL of 0 a little below.
            "kl": max(float(kl[latent]), 0.0),
            "active": bool(active[latent]),
            "quantiles": dict(zip(map(str, QUANTILES), quantiles[:, latent].tolist(), strict=True)),
            "min": float(codes.min()),
            "max": float(codes.max()),
            "mean": float(codes.mean()),
            "std": float(codes.std()),
            "factor": None,
        }
        for latent, codes in enumerate(mean.T)
    ]
    if factors is not None and len(factor_names):
        _add_factors(summary, mean, np.asarray(factors), [plain_text(name) for name in factor_names], seed)
    return summary


def empty_summary(latents: int) -> list[dict]:
    """The summary of latents of which no data are known: all but index and name is None."""
    unknown = dict.fromkeys(("kl", "active", "quantiles", "min", "max", "mean", "std", "factor"))
    return [{"index": latent, "name": f"z{latent}", **unknown} for latent in range(latents)]


def plain_text(text: str, length: int = 190) -> str:
    """A name of a user's own in one line without control characters, at most `length` characters."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", str(text))[:length].strip() or "unnamed"


def _add_factors(summary: list[dict], mean, factors, names: list[str], seed: int) -> None:
    bins = discretize(mean)
    information, entropies = discrete_mutual_information(bins, factors), entropy(factors)
    rng = np.random.default_rng(seed)
    shuffled = [discrete_mutual_information(bins, factors[rng.permutation(len(factors))]) for _ in range(_SHUFFLES)]
    chance = np.mean(shuffled, axis=0)
    least = chance + _DEVIATIONS * np.std(shuffled, axis=0, ddof=1)
    above = np.maximum(information - chance, 0.0)
    room = entropies - chance
    share_above = np.divide(above, room, out=np.zeros_like(above), where=room > 1e-9)
    named = []
    for latent, entry in enumerate(summary):
        best = int(np.argmax(above[latent]))
        if not entry["active"] or information[latent, best] <= least[latent, best]:
            continue
        entry["factor"] = {
            "name": names[best],
            "mutual_information": float(information[latent, best]),
            # Rounding may leave it above 1.
            "share": min(float(information[latent, best] / entropies[best]), 1.0),
            "sign": _sign(mean[:, latent], factors[:, best]),
        }
        others = np.delete(share_above[latent], best)
        mixed = others.size and others.max() >= _MIXED_FROM * share_above[latent, best]
        if share_above[latent, best] >= NAMED_FROM_SHARE and not mixed:
            named.append((-above[latent, best], latent, names[best]))
    # A factor called z0 or the like would be taken for a latent's number.
    taken = {entry["name"] for entry in summary}
    for _, latent, name in sorted(named):
        if name in taken and re.fullmatch(r"z\d+", name):
            continue
        number, unique = 1, name
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        summary[latent]["name"] = unique


def _sign(codes, values) -> int:
    if np.ptp(codes) == 0 or np.ptp(values) == 0:
        return 0
    correlation = spearmanr(codes, values).statistic
    return 0 if abs(correlation) < 0.1 else int(np.sign(correlation))
