"""Section 10: pictures of the best, the median and the worst run."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from kerasvae.analysis.study.roles import canonical
from kerasvae.report import blocks
from kerasvae.report.material import Material
from kerasvae.report.studies import by_dataset, by_study

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
# Pixels that a picture on the page has at most across and down, and bytes above which it is a JPEG.
MOST_PIXELS, MOST_BYTES = 640, 90_000


def gallery(material: Material) -> str:
    """Traversals of the best, the median and the worst run of each data set by one score."""
    if material.images is None:
        raise ValueError("no folder of images was given (--images FOLDER, with RUN_ID.png for a run)")
    if not material.scores:
        raise ValueError("the table has no scores to choose runs by")
    found = by_study(material, lambda m, study: by_dataset(m, study, _three))
    if not found:
        raise ValueError(f"{str(material.images)!r} holds no picture of a run of this table, by its run_id")
    return found


def _three(material: Material, study: str, dataset: str) -> str:
    part = material.ok.select(study=study, dataset=dataset)
    metric = next((m for m in material.scores if canonical(m) == "mig"), material.scores[0])
    values = part.column(metric) * (part.role(metric).sign or 1)
    pictures = {
        place: picture_of(material.images, part, place) for place in np.flatnonzero(np.isfinite(values)).tolist()
    }
    places = [place for place, path in pictures.items() if path is not None]
    if not places:
        return ""
    order = sorted(places, key=lambda place: (values[place], place))
    chosen = {"worst": order[0], "median": order[(len(order) - 1) // 2], "best": order[-1]}
    label, panels = material.labels[metric], []
    for word, place in reversed(chosen.items()):
        setting = part.settings[part.setting_code[place]].label
        words = f"{word} run: {setting}, seed {part.seed[place]}, {label} {part.column(metric)[place]:.3f}"
        panels.append(
            f'<div class="panel"><img alt="{blocks.text(f"Picture of the {words}, on {dataset}")}" '
            f'src="{data_uri(pictures[place])}"><p class="note">{blocks.text(words)}</p></div>'
        )
    low, high = (part.column(metric)[chosen[word]] for word in ("worst", "best"))
    claim = f"{dataset}: the runs with the worst, median and best {label}, {low:.2f} to {high:.2f}"
    caption = f"Of the {len(places)} of {len(part)} runs that have a picture."
    return (
        f'<figure><h4>{blocks.text(claim)}</h4><div class="panels">{"".join(panels)}</div>'
        f"<figcaption>{blocks.text(caption)}</figcaption></figure>"
    )


def picture_of(folder, table, place: int) -> Path | None:
    """The picture of a run: RUN_ID.png (.jpg, .webp, .gif), else one in the folder RUN_ID, traversals first."""
    names = [
        str(table.run_id[place]),
        *(str(table.labels[name][place]) for name in ("row", "folder") if name in table.labels),
    ]
    for name in names:
        # A run_id is anybody's text: it must not lead out of the folder.
        if not name or name in (".", "..") or Path(name).name != name:
            continue
        for suffix in SUFFIXES:
            if (folder / f"{name}{suffix}").is_file():
                return folder / f"{name}{suffix}"
        if (folder / name).is_dir():
            inside = sorted(path for path in (folder / name).iterdir() if path.suffix.lower() in SUFFIXES)
            if inside:
                return next((path for path in inside if "traversal" in path.name), inside[0])
    return None


def data_uri(path: Path) -> str:
    """A picture as a data URI, made small enough for a page; ValueError naming a file that is no picture."""
    try:
        with Image.open(path) as picture:
            picture = picture.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"images: {str(path)!r} is no picture that can be read ({error})") from error
    picture.thumbnail((MOST_PIXELS, MOST_PIXELS))
    buffer, kind = io.BytesIO(), "png"
    picture.save(buffer, "PNG", optimize=True)
    if buffer.tell() > MOST_BYTES:
        buffer, kind = io.BytesIO(), "jpeg"
        picture.save(buffer, "JPEG", quality=82)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
