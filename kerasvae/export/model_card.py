"""The model card of a bundle: a README in Markdown with pictures of what the latents do."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from kerasvae.export.latent_summary import ACTIVE_ABOVE, NAMED_FROM_SHARE, RANGE_QUANTILES

TRAVERSALS, RECONSTRUCTIONS, KL = "traversals.png", "reconstructions.png", "kl.png"
# The range of codes that the traversals show and the table states: what is usual, without the rarest.
_SHOWN = ("0.01", "0.99")
_ROWS, _COLUMNS, _IMAGES = 10, 9, 8
_PRIOR_EXTENT = 2.0
# Decoded images whose brightest pixel is darker, in units of 0..1, are shown with more contrast.
_DIM_BELOW = 0.5
_STRETCHED = " The contrast of what is decoded is raised, all alike, so that its brightest pixel is white."


def write(folder: Path, manifest: dict, model, data, indices, images, seed: int) -> None:
    """Draw the pictures and write `README.md` into the folder of a bundle.

    Args:
        folder: with the artefacts.
        manifest: what `bundle.json` will say.
        model: the model.
        data, indices: what the statistics were taken over, or None and None.
        images: the test images, uint8 (n, height, width, channels).
        seed: of the choice of the images that are shown.
    """
    # Here and not at the top: Matplotlib.
    from kerasvae import plots

    pictures = [_draw_traversals(folder, manifest["latent_summary"], model, data)]
    if data is not None:
        count = min(_IMAGES, len(indices))
        chosen = np.random.default_rng(seed).choice(len(indices), size=count, replace=False)
        shown = data.images(indices[chosen])
        dim = _is_dim(model, model.reconstruct(shown))
        plots.reconstructions(model, shown, stretch=dim, path=folder / RECONSTRUCTIONS)
        caption = "Images of the data, drawn at random, over their reconstructions."
        pictures.append((RECONSTRUCTIONS, "Reconstructions", caption + _STRETCHED * dim))
        plots.kl_bars(np.array([latent["kl"] for latent in manifest["latent_summary"]]), path=folder / KL)
        pictures.append((KL, "KL of the latents", f"Mean KL of each latent; at most {ACTIVE_ABOVE} nats: inactive."))
    (folder / "README.md").write_text(_text(folder, manifest, pictures), encoding="utf-8")


def _draw_traversals(folder: Path, summary: list[dict], model, data) -> tuple[str, str, str]:
    """Draw what each latent does, over the range of its codes; the file, its title and its caption."""
    from kerasvae.plots.mosaics import Block, displayable, draw_blocks
    from kerasvae.plots.style import written

    known = data is not None
    order = sorted(summary, key=lambda latent: -latent["kl"])[:_ROWS] if known else summary[:_ROWS]
    start = np.zeros(model.latents, "float32")
    ends = [(-_PRIOR_EXTENT, _PRIOR_EXTENT)] * len(order)
    if known:
        start[:] = [latent["quantiles"]["0.5"] for latent in summary]
        ends = [tuple(latent["quantiles"][end] for end in _SHOWN) for latent in order]
    codes = np.tile(start, (len(order), _COLUMNS, 1))
    for row, (latent, (low, high)) in enumerate(zip(order, ends, strict=True)):
        codes[row, :, latent["index"]] = np.linspace(low, high, _COLUMNS)
    decoded = model.decode(codes.reshape(-1, model.latents))
    dim = _is_dim(model, decoded)
    shown = displayable(model, decoded, stretch=dim)
    block = Block(
        shown.reshape(len(order), _COLUMNS, *shown.shape[1:]),
        [_label(latent) for latent in order],
        [f"{low:.3g} to {high:.3g}" for low, high in ends],
        [latent["active"] is False for latent in order],
    )
    part = "" if len(order) == len(summary) else f", {len(order)} of {len(summary)}"
    title = f"Latent traversals{part}" + (", largest KL first" if known else " from the prior")
    figure, _ = draw_blocks([block], title)
    written(figure, folder / TRAVERSALS)
    caption = "What each latent does: it alone moves, from -2 to 2 standard deviations of the prior, the others at 0."
    if known:
        caption = (
            "What each latent does: it alone moves, from its 1 % to its 99 % quantile over the data (at the right), "
            "the others at their medians. Grey: inactive."
        )
    return TRAVERSALS, "Latent traversals", caption + _STRETCHED * dim


def _is_dim(model, decoded) -> bool:
    """Whether the brightest pixel of decoded images is too dark for them to be seen as they are."""
    brightest = (decoded * np.asarray(model.pixel_std) + np.asarray(model.pixel_mean)).max()
    return bool(0 < brightest < _DIM_BELOW)


def _label(latent: dict) -> str:
    name, number = latent["name"], f"z{latent['index']}"
    return name if name == number else f"{_short(name)}\n({number})"


def _short(name: str) -> str:
    return name if len(name) <= 20 else name[:19] + "…"


def _text(folder: Path, manifest: dict, pictures: list[tuple[str, str, str]]) -> str:
    parts = [f"# {manifest['name']}, version {manifest['version']}"]
    parts += [manifest["description"]] if manifest["description"].strip() else []
    parts += [_origin(manifest), "## Latents", *_latents(manifest)]
    parts += [f"![{title}]({picture})\n\n{caption}" for picture, title, caption in pictures]
    if manifest["scores"]:
        rows = [(name, "not finite" if value is None else f"{value:.4f}") for name, value in manifest["scores"].items()]
        parts += ["## Scores", _table(("score", "value"), rows, "lr")]
    parts += [
        "## Files",
        _table(("file", "bytes", "largest difference from the model"), _files(folder, manifest), "lrr"),
    ]
    parts += [
        "Differences are of codes, and of pixels 0..255 for what decodes, over the "
        f"{manifest['test']['image']['shape'][0]} test images in `bundle.json`.",
        "## Use",
        *_use(manifest),
        "## Versions",
        ", ".join(f"{package} {version}" for package, version in manifest["versions"].items())
        + f"; written {manifest['created']}.",
    ]
    return "\n\n".join(parts) + "\n"


def _origin(manifest: dict) -> str:
    model, data = manifest["model"], manifest["data"]
    height, width, channels = manifest["input"]["shape"][1:]
    colour = "grey" if channels == 1 else "RGB"
    lines = [
        f"- Objective: {model['class']}, trained for {model['steps']} steps.",
        f"- Reconstruction loss: {_loss(model['loss'])}.",
    ]
    if beta := model["beta"]:
        lines.append(
            f"- β: {beta['mean']:.6g} in the mean form, {beta['sum']:.6g} in the sum form (trained with "
            f'reduction "{beta["reduction"]}").'
        )
    lines.append(f"- Images: {height} × {width}, {colour}, pixels 0..255. Latents: {manifest['latents']}.")
    if data is None:
        lines.append("- Statistics: none, as no data were given when the bundle was written.")
    else:
        lines.append(f"- Statistics: over {data['images']} images of {_escaped(data['name'])}.")
    return "\n".join(lines)


def _loss(serialized: dict) -> str:
    config = {
        key: value
        for key, value in serialized["config"].items()
        if key not in ("name", "reduction", "dtype") and isinstance(value, int | float | str)
    }
    arguments = ", ".join(f"{key}={value}" for key, value in config.items())
    return f"`{serialized['class_name']}({arguments})`"


def _latents(manifest: dict) -> list[str]:
    if manifest["data"] is None:
        return [f"{manifest['latents']}, named z0 and on. Their ranges are not known."]
    summary = manifest["latent_summary"]
    with_factors = bool(manifest["data"]["factor_names"])
    head = ["latent", "name", "KL in nats", "1 % quantile", "median", "99 % quantile"]
    rows = []
    for latent in summary:
        kl = f"{latent['kl']:.3f}" + ("" if latent["active"] else " (inactive)")
        row = [latent["index"], latent["name"], kl]
        row += [f"{latent['quantiles'][quantile]:.3g}" for quantile in (_SHOWN[0], "0.5", _SHOWN[1])]
        if with_factors:
            row.append(_factor(latent["factor"]))
        rows.append(row)
    active = sum(latent["active"] for latent in summary)
    low, high = (f"{100 * quantile:g}" for quantile in RANGE_QUANTILES)
    texts = [f"{active} of {len(summary)} are active: their KL is above {ACTIVE_ABOVE} nats."]
    texts.append(_table([*head, "tracks"] if with_factors else head, rows, "rlrrrr" + "l" * with_factors))
    texts.append(f"A code outside the {low} % to {high} % quantiles of its latent is flagged as unusual in serving.")
    if with_factors:
        texts.append(
            "The factor that a latent tracks is that with the largest mutual information; in brackets, the share that "
            "this is of the factor's entropy. + and -: with the factor's index it rises or falls, ±: neither. A latent "
            f"has a factor's name when it holds at least {NAMED_FROM_SHARE:g} of it beyond chance, and of no other "
            "factor half as much."
        )
    return texts


def _factor(factor: dict | None) -> str:
    if factor is None:
        return "none"
    sign = {1: "+", -1: "-", 0: "±"}[factor["sign"]]
    return f"{sign} {factor['name']} ({factor['share']:.2f})"


def _files(folder: Path, manifest: dict) -> list[tuple]:
    rows = []
    for path in sorted(folder.iterdir()):
        if path.name in ("README.md",) or path.suffix == ".png":
            continue
        size = sum(part.stat().st_size for part in path.rglob("*") if part.is_file()) or path.stat().st_size
        found = {
            name.removeprefix(f"{path.name}/"): difference
            for name, difference in manifest["differences"].items()
            if name.split("/")[0] == path.name
        }
        differences = [
            f"{difference:.2g}" + (f" ({name})" if path.is_dir() else "") for name, difference in found.items()
        ]
        rows.append((path.name, size, ", ".join(differences)))
    return rows


def _use(manifest: dict) -> list[str]:
    held, texts = {name.split("/")[0] for name in manifest["differences"]}, []
    if "encoder.onnx" in held:
        latent = next((latent["name"] for latent in manifest["latent_summary"] if latent["active"] is not False), "z0")
        texts.append(
            "With kerasvae, which needs onnxruntime and NumPy for it, but no Keras:\n\n"
            "```python\n"
            "from kerasvae.serving import Bundle\n\n"
            "bundle = Bundle(FOLDER)                          # of this file; checks all files, and itself\n"
            'codes = bundle.encode(["a.png", "b.jpg"])        # or arrays, of any size\n'
            "codes.mean, codes.logvar, codes.outside          # outside: unusual codes\n"
            f"bundle.traverse('a.png', {latent!r}, [-1, 0, 1])\n"
            "```"
        )
        texts.append(
            "With onnxruntime alone, on images of the size above:\n\n"
            "```python\n"
            'session = onnxruntime.InferenceSession("encoder.onnx")\n'
            'mean, logvar = session.run(["mean", "logvar"], {"image": images})    # uint8\n'
            "```"
        )
    if "tf_saved_model" in held:
        texts.append(
            'With TensorFlow: `tf.saved_model.load("tf_saved_model").signatures`, `serving_default` from `image` to '
            "`mean` and `logvar`, and `decode` from `latents` to `image`."
        )
    if "encoder.tflite" in held:
        texts.append("With LiteRT: the signature runner of `encoder.tflite`, of the same names.")
    if "encoder.pt2" in held:
        texts.append(
            'With Torch: `torch.export.load("encoder.pt2").module()({"image": images})`, a dictionary of `mean` and '
            '`logvar`; of `decoder.pt2`, from `{"latents": codes}` to `image`.'
        )
    return texts


def _table(head, rows, alignment: str) -> str:
    lines = [[_escaped(str(cell)) for cell in row] for row in (head, *rows)]
    rule = ["---:" if side == "r" else "---" for side in alignment]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def _escaped(text: str) -> str:
    """Text of others as it is, and not as Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text).replace("\n", " ")
