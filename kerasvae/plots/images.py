"""Images, their reconstructions, and what each latent does to them; or all of it in one figure with heat maps."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from kerasvae.checks import check_choice, check_flag, check_integer, check_number
from kerasvae.plots.checks import check_images_of, check_model, check_models, check_path, first_images
from kerasvae.plots.heat_maps import RANGES, codes_over_factors, factor_grid, random_images
from kerasvae.plots.kl import INACTIVE_BELOW, mean_kl, ranked
from kerasvae.plots.mosaics import Block, Maps, displayable, draw_blocks
from kerasvae.plots.style import written


def reconstructions(model, images, *, count: int = 8, stretch: bool = False, path=None) -> Figure:
    """Images over their reconstructions from the mean code.

    Args:
        model, images: as for all figures (`kerasvae.plots`).
        count: how many of them, from the first, at least 1. Default 8.
        stretch: raise the contrast of the reconstructions, all alike, so that their brightest pixel is white. Default
            False.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.
    """
    check_model(model)
    check_flag(stretch, "stretch")
    check_path(path)
    images = first_images(images, check_integer(count, "count", 1))
    rows = np.stack([displayable(model, images), displayable(model, model.reconstruct(images), stretch)])
    block = Block(rows, ["original", "reconstruction"])
    figure, _ = draw_blocks([block], "Reconstructions from the mean code")
    return written(figure, path)


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
    values = _values(columns, extent, spacing, len(models))
    check_choice(order, "order", ("kl", "latent"))
    rows = 10 if rows is None else check_integer(rows, "rows", 1)
    check_flag(stretch, "stretch")
    check_path(path)
    first = first_images(images, 1)
    from_prior = base == "prior"
    blocks = []
    for name, model in models.items():
        block, decoded, _ = _traversals(name, model, first, images, values, order, rows, stretch, from_prior)
        if not from_prior:
            # In the next blocks of a line the words need not be said again.
            labels = [] if len(blocks) % 3 else ["original,\nreconstruction"]
            _add_header(block, [np.concatenate([displayable(model, first), decoded])], labels)
        blocks.append(block)
    counts = {(min(rows, model.latents), model.latents) for model in models.values()}
    part = ""
    if any(drawn < latents for drawn, latents in counts):
        part = f", {min(counts)[0]} of {min(counts)[1]}" if len(counts) == 1 else f", at most {rows} per model"
    origin, sorting = " from the prior" if from_prior else "", ", largest KL first" if order == "kl" else ""
    title = f"Latent traversals{origin}{part}{sorting} (KL in nats)"
    others = "the others 0" if from_prior else "the others fixed"
    figure, _ = draw_blocks(blocks, title, _value_labels(values), f"value of the row's latent, {others}")
    return written(figure, path)


def overview(
    models,
    data,
    images=None,
    *,
    factors=None,
    at=None,
    average=None,
    columns: int | None = None,
    extent: float = 2.0,
    spacing: str = "value",
    rows: int | None = None,
    style: str = "diverging",
    stretch: bool = False,
    seed: int = 0,
    path=None,
) -> Figure:
    """Images, their reconstructions, latent traversals and heat maps of a model, or of several side by side.

    From top to bottom: images; their reconstructions from the mean code; and for each latent, largest mean KL first, a
    row in which it alone moves from the code of the first image, its mean KL in nats, and the map of its mean code
    over two factors, such as the position. Inactive latents (KL at most 0.01 nats) are labelled in grey. The colours of
    the maps have one range per model, shown next to the images.

    Args:
        models, data: as for all figures (`kerasvae.plots`).
        images: of which the first are shown and all give the mean KL. Default None: 1000 random ones, by `seed`.
        factors, at, average: as for `codes_over_factors`: those of the maps, and where the other factors are.
        columns, extent, spacing, rows, stretch: as for `latent_traversals`.
        style: as for `position_heat_maps`.
        seed: of random images and of `average`. Default 0.
        path: PNG file to write. Default: none.

    Raises: ValueError, OSError: as all figures.

    Source: poster "Understanding disentangling in VAE", Fig. 2 (with `style="poster"`).
    """
    models = check_models(models)
    factors, _, fixed = factor_grid(data, factors, at, average, seed)
    check_images_of(data, *models.values())
    values = _values(columns, extent, spacing, len(models))
    rows = 10 if rows is None else check_integer(rows, "rows", 1)
    check_choice(style, "style", RANGES)
    check_flag(stretch, "stretch")
    check_path(path)
    images = random_images(data, seed) if images is None else images
    first = first_images(images, len(values))
    blocks = []
    for name, model in models.items():
        block, decoded, chosen = _traversals(name, model, first, images, values, "kl", rows, stretch)
        # In the next blocks of a line the words need not be said again.
        labels = [] if len(blocks) % 3 else ["original", "reconstruction"]
        _add_header(block, [displayable(model, first), decoded], labels)
        mean, _ = codes_over_factors(model, data, factors, at=at, average=average, seed=seed)
        block.maps = Maps(np.moveaxis(mean[..., chosen], -1, 0), *RANGES[style](mean))
        blocks.append(block)
    below = "value of the row's latent, the others fixed\n"
    below += f"maps: mean code over {factors[0]} (right) and {factors[1]} (down){f'; {fixed}' if fixed else ''}"
    title = "Originals, reconstructions, and latents by their KL in nats"
    figure, _ = draw_blocks(blocks, title, _value_labels(values), below)
    return written(figure, path)


def _values(columns, extent, spacing, models: int) -> np.ndarray:
    """The values that a latent takes, float32 (columns,); ValueError for an argument not allowed."""
    columns = (9 if models < 3 else 7) if columns is None else check_integer(columns, "columns", 2)
    extent = float(check_number(extent, "extent", above=0))
    if check_choice(spacing, "spacing", ("value", "quantile")) == "value":
        return np.linspace(-extent, extent, columns, dtype="float32")
    values = norm.ppf(np.linspace(norm.cdf(-extent), norm.cdf(extent), columns))
    # Rounding would leave the two halves, and the middle from 0, apart.
    return ((values - values[::-1]) / 2).astype("float32")


def _value_labels(values) -> list[str]:
    return [f"{value:.3g}" for value in values + 0.0]


def _traversals(name, model, first, images, values, order: str, rows: int, stretch: bool, from_prior=False):
    """Decode the first images, and codes in which one latent alone moves.

    Args:
        name: of the model.
        model: the model.
        first: the first images, NumPy (n, height, width, channels).
        images: those that the mean KL is taken over.
        values: that each latent takes.
        order, rows, stretch: as for `latent_traversals`.
        from_prior: whether the other latents are 0, and not where the first image has them.

    Returns:
        A `Block` of one row per latent with its mean KL at the right; the images decoded from the codes of `first`,
        (n, height, width, 3); and the numbers of the latents drawn.
    """
    kl = mean_kl(model, images)
    chosen = ranked(kl, order)[:rows]
    code = model.encode(first)
    start = np.zeros_like(code[0]) if from_prior else code[0]
    moved = np.tile(start, (len(chosen), len(values), 1)).astype("float32")
    for row, latent in enumerate(chosen):
        moved[row, :, latent] = values
    # All at once, so that the contrast of all is raised alike.
    codes = np.concatenate([code, moved.reshape(-1, len(start))])
    decoded = displayable(model, model.decode(codes), stretch)
    block = Block(
        decoded[len(first) :].reshape(*moved.shape[:2], *decoded.shape[1:]),
        labels=[f"z{latent}" for latent in chosen],
        remarks=[f"KL {kl[latent]:.2f}" for latent in chosen],
        quiet=[bool(kl[latent] <= INACTIVE_BELOW) for latent in chosen],
        name=str(name),
    )
    return block, decoded[: len(first)], chosen


def _add_header(block: Block, rows, labels) -> None:
    """Put rows of images, filled up with white, above those of a block."""
    header = np.ones((len(rows), *block.rows.shape[1:]), "float32")
    for place, images in zip(header, rows, strict=True):
        place[: len(images)] = images
    none = [""] * len(rows)
    block.rows, block.header = np.concatenate([header, block.rows]), len(rows)
    block.labels, block.remarks = [*(labels or none), *block.labels], [*none, *block.remarks]
    block.quiet = [*[False] * len(rows), *block.quiet]
