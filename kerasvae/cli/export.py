"""`kerasvae export`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from kerasvae.cli.data import build_data, naming_options
from kerasvae.cli.options import flag, listed, new_file, new_folder, run_folder

# Keras's names of the formats, and how a path of each ends.
SUFFIXES = {"tf_saved_model": "", "onnx": ".onnx", "litert": ".tflite", "torch": ".pt2"}
FORMATS = tuple(SUFFIXES)
BUNDLE = "bundle"
# Options of --format bundle alone, with their defaults.
ONLY_OF_BUNDLES = {
    "formats": ("tf_saved_model", "onnx", "litert"),
    "name": None,
    "bundle_version": "1",
    "description": "",
    "with_data": True,
}
# {argument: option} of what `kerasvae.export` refuses.
_OPTIONS = {"path": "out", "format": "format", "formats": "formats"}
NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,100}")


def add(commands) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "export",
        help="export the encoder of a run, or a bundle with all that serving it takes",
        description="Write a run's encoder for serving: uint8 images in, mean and logvar out. It is checked against "
        "the model, and described in a JSON file next to it. With --format bundle a folder with encoder and decoder, "
        "the range of each latent and the factor that it tracks over the run's data, the scores of `kerasvae score` "
        "and a model card, which `kerasvae encode` and `kerasvae serve` open.",
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=run_folder, help="of the run")
    parser.add_argument(
        "--format",
        required=True,
        choices=(*FORMATS, BUNDLE),
        help="TensorFlow writes tf_saved_model, onnx and litert, JAX tf_saved_model, Torch torch",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="default in the run's folder: encoder, encoder.onnx, encoder.tflite, encoder.pt2 or bundle",
    )
    parser.add_argument("--force", action="store_true", help="replace an earlier export there")
    bundles = parser.add_argument_group("of a bundle alone")
    # Absent where they are not given, so that it is known whether they were.
    absent = {"default": argparse.SUPPRESS}
    bundles.add_argument(
        "--formats",
        nargs="+",
        choices=FORMATS,
        help=f"default {' '.join(ONLY_OF_BUNDLES['formats'])}; onnx is what serving needs",
        **absent,
    )
    bundles.add_argument(
        "--name", type=name, metavar="NAME", help="that servers show (default the name of the run's folder)", **absent
    )
    bundles.add_argument(
        "--bundle-version", type=name, metavar="VERSION", help="that servers show (default 1)", **absent
    )
    bundles.add_argument("--description", metavar="TEXT", help="for the model card", **absent)
    bundles.add_argument(
        "--no-data",
        dest="with_data",
        action="store_false",
        help="without the run's data, and so without ranges and factors of the latents",
        **absent,
    )
    return parser


def name(text) -> str:
    """A type for argparse: the name or version of a bundle."""
    if not NAME.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"must be 1 to 100 of the characters A-Z a-z 0-9 . _ -, the first no dot, got {text!r}"
        )
    return text


def check(values: dict) -> dict:
    folder, format, out = values["folder"], values["format"], values["out"]
    if format != BUNDLE:
        for option in ONLY_OF_BUNDLES:
            if option in values:
                shown = "--no-data" if option == "with_data" else flag(option)
                raise ValueError(f"{shown} is only for --format {BUNDLE}, not {listed([format])}")
        suffix = SUFFIXES[format]
        out = folder / f"encoder{suffix}" if out is None else out
        if suffix and out.suffix != suffix:
            raise ValueError(f"--out must end in {suffix} for --format {format}, got {str(out)!r}")
        check_place(out, not suffix, values["force"])
        return {**values, "out": out}
    values = {**ONLY_OF_BUNDLES, **values, "out": folder / "bundle" if out is None else out}
    if values["name"] is None:
        values["name"] = folder.resolve().name
        if not NAME.fullmatch(values["name"]):
            raise ValueError(
                f"--name must be given, as the run's folder is called {values['name']!r}, and servers take names of 1 "
                "to 100 of the characters A-Z a-z 0-9 . _ -, the first no dot"
            )
    check_place(values["out"], True, values["force"])
    return values


def check_place(out: Path, is_folder: bool, force: bool) -> None:
    """Before Keras and the model are loaded; what may be replaced is known to the export itself."""
    if not force and (any(out.iterdir()) if out.is_dir() else out.exists()):
        raise FileExistsError(f"--out: there is something at {str(out)!r} already; name another place, or give --force")
    try:
        (new_folder if is_folder else new_file)(str(out))
    except argparse.ArgumentTypeError as error:
        raise ValueError(f"--out: {error}") from error


def run(values: dict) -> None:
    if values["format"] == BUNDLE:
        values = dict(values)
        del values["format"]
        export_bundle(version=values.pop("bundle_version"), **values)
    else:
        export(**values)


def export(*, folder, format: str, out, force: bool = False) -> Path:
    """Export the encoder of a run, and say where it is.

    Args:
        folder: of the run. Of an unfinished one the last checkpoint is exported.
        format, out, force: as `format`, `path` and `overwrite` of `kerasvae.export.encoder`.

    Returns:
        The path.

    Raises:
        FileNotFoundError: when the folder holds no run, or none that has reached a checkpoint.
        ValueError, ImportError, RuntimeError, OSError: as `kerasvae.export.encoder`.
    """
    from kerasvae import export as exporting
    from kerasvae import runs

    model = runs.load_model(folder)
    with naming_options(_OPTIONS):
        path = exporting.encoder(model, out, format, overwrite=force)
    print(f"exported {path}, described in {path}.json")
    return path


def export_bundle(
    *, folder, out, formats, name: str, version: str, description: str, with_data: bool, force: bool = False
) -> Path:
    """Write a bundle of a run, and say where it is.

    Args:
        folder: of the run. Of an unfinished one the last checkpoint is taken.
        out, force: as `path` and `overwrite` of `kerasvae.export.bundle`.
        formats, name, version, description: as there. The scores are those that `kerasvae score` wrote to the run's
            folder, if they are of the model's step.
        with_data: whether statistics are taken over the run's data set.

    Returns:
        The path.

    Raises:
        FileNotFoundError: when the folder holds no run, or none that has reached a checkpoint.
        ValueError, ImportError, RuntimeError, OSError: as `kerasvae.export.bundle`, and the class of the data set.
    """
    from kerasvae import export as exporting
    from kerasvae import runs

    settings = runs.load_settings(folder)
    if with_data and "dataset" not in settings:
        raise ValueError(
            f"folder: {str(folder)!r} is not of `kerasvae train`: its settings lack 'dataset'; --no-data goes without"
        )
    model = runs.load_model(folder)
    data = build_data(settings) if with_data else None
    scores = _scores(Path(folder) / "scores.json", int(model.step.numpy()))
    with naming_options(_OPTIONS):
        path = exporting.bundle(
            model,
            out,
            data,
            formats=formats,
            name=name,
            version=version,
            description=description,
            scores=scores,
            overwrite=force,
        )
    print(f"exported {path}, described in {path / 'README.md'}")
    return path


def _scores(path: Path, step: int) -> dict | None:
    """The scores that `kerasvae score` wrote of the model after this many steps, or None."""
    from kerasvae import files

    try:
        report = files.read_json(path)
        if report["step"] != step:
            return None
        # What JSON has no number for is written as text, such as "nan".
        return {name: float(score["value"]) for name, score in report["scores"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
