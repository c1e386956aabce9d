"""All that the poster shows of a model: images, reconstructions, traversals and heat maps."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from kerasvae.checks import check_choice, check_flag, check_integer
from kerasvae.plots.checks import check_images_of, check_models, check_path, first_images
from kerasvae.plots.codes_over_factors import check_factors, codes_over_factors, fixed_factors, what_is_fixed
from kerasvae.plots.heat_maps import colours_and_range, random_images
from kerasvae.plots.kl import mean_kl
from kerasvae.plots.mosaics import Maps, displayable, draw_blocks
from kerasvae.plots.style import written
from kerasvae.plots.traversals import latent_rows, moved, ranked, traversal_values, value_labels, with_header


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
    the maps have one range a model, beside the images.

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
    factors = check_factors(data, factors)
    fixed_factors(data, factors, at, average, seed)
    check_images_of(data, *models.values())
    values = traversal_values(columns, extent, spacing, len(models))
    rows = 10 if rows is None else check_integer(rows, "rows", 1)
    check_choice(style, "style", ("diverging", "poster"))
    check_flag(stretch, "stretch")
    check_path(path)
    images = random_images(data, seed) if images is None else images
    first = first_images(images, len(values))
    blocks = []
    for name, model in models.items():
        kl = mean_kl(model, images)
        chosen = ranked(kl)[:rows]
        code = model.encode(first)
        decoded = displayable(model, model.decode(np.concatenate([code, moved(code[0], chosen, values)])), stretch)
        shown = decoded[len(first) :].reshape(len(chosen), len(values), *decoded.shape[1:])
        block = latent_rows(name, shown, chosen, kl)
        header = np.ones((2, *shown.shape[1:]), "float32")
        header[0, : len(first)], header[1, : len(first)] = displayable(model, first), decoded[: len(first)]
        # Beside the first block the words need not be said again.
        with_header(block, header, [] if len(blocks) % 3 else ["original", "reconstruction"])
        mean, _ = codes_over_factors(model, data, factors, at=at, average=average, seed=seed)
        block.maps = Maps(np.moveaxis(mean[..., chosen], -1, 0), *colours_and_range(mean, style))
        blocks.append(block)
    fixed = what_is_fixed(data, factors, at, average)
    below = "value of the row's latent, the others fixed\n"
    below += f"maps: mean code over {factors[0]} (right) and {factors[1]} (down){f'; {fixed}' if fixed else ''}"
    title = "Originals, reconstructions, and latents by their KL in nats"
    figure, _ = draw_blocks(blocks, title, value_labels(values), below)
    return written(figure, path)
