"""Latent traversals: what each latent does, in a row of images."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from kerasvae.checks import check_choice, check_flag, check_integer, check_number
from kerasvae.plots.checks import check_models, check_path, first_images
from kerasvae.plots.kl import INACTIVE_BELOW, mean_kl
from kerasvae.plots.mosaics import Block, displayable, draw_blocks
from kerasvae.plots.style import written


def latent_traversals(
    models,
    images,
    *,
    base: str = "posterior",
    columns: int | None = None,
    extent: float = 2.0,
    spacing: str = "value",
    order: str = "kl",
    rows: int | None = None,
    stretch: bool = False,
    path=None,
) -> Figure:
    """What each latent does: a row of images in which it alone moves, the others fixed; models side by side.

    Rows are labelled with the latent's number, from 0, at the left and its mean KL in nats at the right; inactive
    latents (KL at most 0.01 nats) in grey.

    Args:
        models, images: as for all figures (`kerasvae.plots`). The mean KL of each latent is taken over all images.
        base: where the others are. "posterior" (default): at the mean code of the first image, which stands above with
            its reconstruction; or "prior": at 0, the mean of the prior.
        columns: images in a row, at least 2. Default None: 9, or 7 for three models or more.
        extent: the latent moves from -extent to extent, greater than 0, in standard deviations of the prior. Default 2.
        spacing: "value" (default): in equal steps; or "quantile": in steps of equal probability under the prior, closer
            around 0. An extent of 1.96 then is from the 2.5 % to the 97.5 % quantile.
        order: "kl" (default): largest mean KL first; or "latent": by number.
        rows: how many latents, the first in this order, at least 1. Default None: at most 10.
        stretch: raise the contrast of a model's decoded images, all alike, so that their brightest pixel is white: what
            a model of high β decodes can be too dim to see. Default False.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.

    Source: poster "Understanding disentangling in VAE", Fig. 2 (`base="posterior"`) and Fig. 4 (`base="prior"`,
    `rows=5`), with absolute values; its published code offers quantiles too.
    """
    models = check_models(models)
    check_choice(base, "base", ("posterior", "prior"))
    values = traversal_values(columns, extent, spacing, len(models))
    check_choice(order, "order", ("kl", "latent"))
    rows = 10 if rows is None else check_integer(rows, "rows", 1)
    check_flag(stretch, "stretch")
    check_path(path)
    first = first_images(images, 1)
    blocks = []
    for name, model in models.items():
        kl = mean_kl(model, images)
        chosen = ranked(kl, order)[:rows]
        code = model.encode(first)
        start = code[0] if base == "posterior" else np.zeros_like(code[0])
        decoded = displayable(model, model.decode(np.concatenate([code, moved(start, chosen, values)])), stretch)
        shown = decoded[1:].reshape(len(chosen), len(values), *decoded.shape[1:])
        block = latent_rows(name, shown, chosen, kl)
        if base == "posterior":
            header = np.ones((1, *shown.shape[1:]), "float32")
            header[0, 0], header[0, 1] = displayable(model, first)[0], decoded[0]
            # Beside the first block the words need not be said again.
            with_header(block, header, [] if len(blocks) % 3 else ["original,\nreconstruction"])
        blocks.append(block)
    origin = "" if base == "posterior" else " from the prior"
    counts = {
        (len(block.rows) - block.header, model.latents) for block, model in zip(blocks, models.values(), strict=True)
    }
    part = "" if all(drawn == latents for drawn, latents in counts) else f", {len(chosen)} of {len(kl)}"
    if part and len(counts) > 1:
        part = f", at most {rows} a model"
    title = f"Latent traversals{origin}{part}{', largest KL first' if order == 'kl' else ''} (KL in nats)"
    others = "the others fixed" if base == "posterior" else "the others 0"
    figure, _ = draw_blocks(blocks, title, value_labels(values), f"value of the row's latent, {others}")
    return written(figure, path)


def traversal_values(columns, extent, spacing, models: int) -> np.ndarray:
    """The values that a latent takes, float32 (columns,); ValueError for an argument not allowed."""
    columns = (9 if models < 3 else 7) if columns is None else check_integer(columns, "columns", 2)
    extent = float(check_number(extent, "extent", above=0))
    if check_choice(spacing, "spacing", ("value", "quantile")) == "value":
        return np.linspace(-extent, extent, columns, dtype="float32")
    values = norm.ppf(np.linspace(norm.cdf(-extent), norm.cdf(extent), columns))
    # Rounding would leave the two halves, and the middle from 0, apart.
    return ((values - values[::-1]) / 2).astype("float32")


def value_labels(values) -> list[str]:
    return [f"{value:.3g}" for value in np.asarray(values) + 0.0]


def ranked(kl, order: str = "kl") -> np.ndarray:
    """The latents' numbers, largest KL first or in their own order."""
    return np.argsort(-kl, kind="stable") if order == "kl" else np.arange(len(kl))


def moved(start, latents, values) -> np.ndarray:
    """Codes that are `start`, (latents,), but for one latent, a row of them for each of `latents`: (codes, latents)."""
    codes = np.tile(start, (len(latents), len(values), 1)).astype("float32")
    for row, latent in enumerate(latents):
        codes[row, :, latent] = values
    return codes.reshape(-1, len(start))


def latent_rows(name: str, images, latents, kl) -> Block:
    """A block of one row per latent, (rows, columns, height, width, 3), with the mean KL of `latents` beside them."""
    labels, remarks = [f"z{latent}" for latent in latents], [f"KL {kl[latent]:.2f}" for latent in latents]
    return Block(images, labels, remarks, [bool(kl[latent] <= INACTIVE_BELOW) for latent in latents], name=str(name))


def with_header(block: Block, images, labels) -> None:
    """Put rows of images, as long as the block's, above it."""
    none = [""] * len(images)
    block.rows, block.header = np.concatenate([images, block.rows]), len(images)
    block.labels, block.remarks = [*(labels or none), *block.labels], [*none, *block.remarks]
    block.quiet = [*[False] * len(images), *block.quiet]
