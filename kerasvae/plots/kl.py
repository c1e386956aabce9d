"""Mean KL of each latent."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from kerasvae.checks import shown
from kerasvae.plots.checks import array_of, check_path, first_images
from kerasvae.plots.style import COLOURS, GREY, TEXT, TITLE_SIZE, bar, panels, written

INACTIVE_BELOW = 0.01
"""Mean KL in nats up to which a latent counts as inactive."""


def kl_bars(model_or_kl, images=None, *, path=None) -> Figure:
    """Mean KL of each latent, largest first, with the border, 0.01 nats, up to which a latent counts as inactive.

    Args:
        model_or_kl: a `kerasvae.VAE` or another objective, or the KL values themselves, (latents,), nats, at least 0.
        images: for a model: what the mean is taken over, as for all figures (`kerasvae.plots`).
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.
    """
    check_path(path)
    allowed = "a model or KL (latents,), finite and at least 0"
    if hasattr(model_or_kl, "encode") and not isinstance(model_or_kl, type | str | bytes):
        kl = mean_kl(model_or_kl, images)
    else:
        kl = array_of("model_or_kl", model_or_kl, allowed)
    if kl.ndim != 1 or not kl.size or not (np.isfinite(kl) & (kl >= 0)).all():
        raise ValueError(f"model_or_kl must be {allowed}, got {shown(model_or_kl)}")
    order = np.argsort(-kl, kind="stable")
    figure, (axes,) = panels(1, width=max(5.2, 1.2 + 0.5 * len(kl)), height=3.4)
    for position, value in enumerate(kl[order]):
        text = "" if len(kl) > 32 else f"{value:.{3 if value < 0.1 else 2 if value < 100 else 0}f}"
        bar(axes, position, value, 0.7, COLOURS[0] if value > INACTIVE_BELOW else GREY, text)
    axes.axhline(INACTIVE_BELOW, color=TEXT, linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xticks(range(len(kl)), [f"z{latent}" for latent in order], rotation=90 if len(kl) > 32 else 0)
    axes.set(xlim=(-0.6, len(kl) - 0.4), ylim=(0, max(kl.max(), 2 * INACTIVE_BELOW) * 1.1), ylabel="mean KL in nats")
    axes.set_xlabel(f"latent (dashed line: {INACTIVE_BELOW} nats; at or below it, grey: inactive)")
    axes.set_title(f"{(kl > INACTIVE_BELOW).sum()} of {len(kl)} latents are active", loc="left", fontsize=TITLE_SIZE)
    return written(figure, path)


def mean_kl(model, images) -> np.ndarray:
    """Mean over images of each latent's KL from the prior, in nats, (latents,)."""
    from keras import ops

    from kerasvae.math import kl_standard_normal

    if images is None:
        raise ValueError("images must be given for a model: what the mean KL is taken over, got None")
    first_images(images, 1)
    mean, logvar = model.encode(images, return_logvar=True)
    kl = kl_standard_normal(ops.convert_to_tensor(mean), ops.convert_to_tensor(logvar))
    # Rounding leaves a KL of 0 a little below.
    return np.maximum(ops.convert_to_numpy(kl).mean(axis=0), 0.0)
