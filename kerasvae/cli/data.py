"""The data set that options name, the same for every command that has one."""

from __future__ import annotations

import contextlib
import inspect
import re
import sys
import warnings
from pathlib import Path

from kerasvae.cli.options import (
    add_only_with,
    existing_file,
    existing_folder,
    flag,
    folder_place,
    image_size,
    integer,
    md5,
    place,
)

_SPRITES = ("dsprites", "colordsprites", "noisydsprites", "screamdsprites")
_PREPARED = ("shapes3d", "smallnorb", "cars3d", "mpi3d")
# {choice: class of `kerasvae.datasets`}
DATASETS = {
    "xysquares": "XYSquares",
    "xyobject": "XYObject",
    "xyobjectshaded": "XYObjectShaded",
    "dsprites": "DSprites",
    "colordsprites": "ColorDSprites",
    "noisydsprites": "NoisyDSprites",
    "screamdsprites": "ScreamDSprites",
    "shapes3d": "Shapes3D",
    "smallnorb": "SmallNORB",
    "cars3d": "Cars3D",
    "mpi3d": "MPI3D",
    "minisprites": "MiniSprites",
    "folder": "FromFolder",
}
SOURCES = ("rendered", "original")
PALETTES = ("rainbow", "rgb", "colors", "white", "grey")
SPLITS = ("train", "test", "all")
FACTORS = (5, 4)
VARIANTS = ("toy", "realistic", "real")
FITS = ("crop", "pad", "stretch")
ON_ERROR = ("raise", "skip")
CHANNELS = (1, 3)

DEFAULTS = {"dataset": "xysquares"}
# As in `options.add_only_with`.
ONLY_WITH = {
    name: ("dataset", defaults)
    for name, defaults in {
        "grid_spacing": {"xysquares": 8, "xyobject": 2, "xyobjectshaded": 2},
        "num_squares": {"xysquares": 3},
        "grey": {"xysquares": False},
        "palette": {"xyobject": "rainbow", "xyobjectshaded": "rainbow"},
        "intensities": {"xyobject": 4, "xyobjectshaded": 4},
        "source": dict.fromkeys(_SPRITES, "rendered"),
        "background": {"screamdsprites": None},
        "data_seed": dict.fromkeys((*_SPRITES[1:], "smallnorb"), 0),
        "split": {"smallnorb": "train"},
        "factors": {"smallnorb": 5},
        "variant": {"mpi3d": "toy"},
        "md5": {"mpi3d": None},
        "data_dir": dict.fromkeys((*_SPRITES, *_PREPARED)),
        "manual_dir": dict.fromkeys((*_SPRITES, *_PREPARED)),
        "folder": {"folder": None},
        "factors_csv": {"folder": None},
        "image_size": {"folder": 64},
        "channels": {"folder": None},
        "fit": {"folder": "crop"},
        "on_error": {"folder": "raise"},
        "cache": {"folder": None},
    }.items()
}
# Settings that are arguments of the data sets that have them, by the arguments' names.
ARGUMENTS = {
    "grid_spacing": "grid_spacing",
    "num_squares": "num_squares",
    "rgb": "grey",
    "palette": "palette",
    "intensities": "intensities",
    "source": "source",
    "background": "background",
    "seed": "data_seed",
    "split": "split",
    "factors": "factors",
    "variant": "variant",
    "md5": "md5",
    "data_dir": "data_dir",
    "manual_dir": "manual_dir",
    "path": "folder",
    "factors_csv": "factors_csv",
    "image_size": "image_size",
    "channels": "channels",
    "fit": "fit",
    "on_error": "on_error",
    "cache": "cache",
}
# Settings that distinguish one form of a data set from another.
_FORMS = ("grid_spacing", "num_squares", "palette", "intensities", "source", "split", "factors", "variant")
SCREAM_ADDRESS = "https://upload.wikimedia.org/wikipedia/commons/f/f4/The_Scream.jpg"
# Options without which a data set cannot be made, and what they name.
NEEDED = {
    "folder": ("folder", "the folder of your images"),
    "screamdsprites": ("background", f"an image; for the data set of the paper download {SCREAM_ADDRESS}"),
}
# How many factors of a pair can differ, where that is known before the data set is made.
_FACTOR_COUNTS = {
    "xyobject": 4,
    "xyobjectshaded": 5,
    "minisprites": 4,
    **dict.fromkeys(_SPRITES, 5),
    "shapes3d": 6,
    "cars3d": 3,
    "mpi3d": 7,
}


def add_options(group) -> None:
    group.add_argument("--dataset", choices=DATASETS, help="default xysquares; folder: your own images")
    for name, text, arguments in (
        ("grid_spacing", "pixels between positions", {"type": integer(1), "metavar": "N"}),
        ("num_squares", "1 to 3", {"type": integer(1, 3), "metavar": "N"}),
        ("grey", "all squares white in one channel, not one in each of three", {"action": "store_true"}),
        ("palette", "hues of the squares", {"choices": PALETTES}),
        ("intensities", "of each hue, 1 to 255", {"type": integer(1, 255), "metavar": "N"}),
        ("source", "drawn, or the published file", {"choices": SOURCES}),
        ("background", "image to cut backgrounds from", {"type": place, "metavar": "FILE"}),
        ("data_seed", "of colours, noise, crops or toys", {"type": integer(0, 2**31 - 1), "metavar": "N"}),
        ("split", "half of the toys, or all", {"choices": SPLITS}),
        ("factors", "4: which toy of its category is random", {"choices": FACTORS, "type": integer(4, 5)}),
        ("variant", "which of the three", {"choices": VARIANTS}),
        ("md5", "of the file, if not as first published", {"type": md5, "metavar": "DIGEST"}),
        ("data_dir", "of prepared data", {"type": folder_place, "metavar": "FOLDER"}),
        ("manual_dir", "of files that you downloaded", {"type": existing_folder, "metavar": "FOLDER"}),
        ("folder", "of your images", {"type": existing_folder, "metavar": "FOLDER"}),
        ("factors_csv", "a column `file` and one per factor", {"type": existing_file, "metavar": "FILE"}),
        ("image_size", "to resize to", {"type": image_size, "metavar": "N|HxW"}),
        ("channels", "grey or RGB", {"choices": CHANNELS, "type": integer(1, 3)}),
        ("fit", "of other proportions", {"choices": FITS}),
        ("on_error", "what images that cannot be read do: end it, or be left out", {"choices": ON_ERROR}),
        ("cache", "to keep decoded images in", {"type": folder_place, "metavar": "FOLDER"}),
    ):
        add_only_with(group, ONLY_WITH, name, text, **arguments)


def check(settings: dict) -> None:
    """ValueError for data settings that do not go together; they are complete."""
    dataset = settings["dataset"]
    if dataset in NEEDED and settings[NEEDED[dataset][0]] is None:
        name, what = NEEDED[dataset]
        raise ValueError(f"--dataset {dataset} needs {flag(name)}, {what}")
    if dataset == "xysquares" and settings["grid_spacing"] > 8:
        raise ValueError(
            f"--grid-spacing must be from 1 to 8 for --dataset xysquares, got {settings['grid_spacing']}: its 8 "
            "positions fit no further apart"
        )
    if settings["background"] is not None and not Path(settings["background"]).is_file():
        raise ValueError(
            f"--background: there is no file {settings['background']!r}; for the data set of the paper download "
            f"{SCREAM_ADDRESS} and name the file"
        )
    for name in ("data_dir", "manual_dir"):
        if settings[name] is not None and settings["source"] == "rendered":
            raise ValueError(f"{flag(name)} is only for --source original, not rendered, which needs no files")


def factor_count(settings: dict) -> int | None:
    """The number of factors of the data set that the settings name; None where its files decide."""
    if settings["dataset"] == "xysquares":
        return 2 * settings["num_squares"]
    return settings["factors"] or _FACTOR_COUNTS.get(settings["dataset"])


def data_class(name: str) -> type:
    """The class of a choice of --dataset."""
    from kerasvae import datasets

    return getattr(datasets, DATASETS[name])


def build_data(settings: dict):
    """The data set that settings name.

    Args:
        settings: `dataset`, one of `DATASETS`, and its options by their names with underscores; those that are None or
            missing are left to the class.

    Returns:
        The data set. What it warns of, such as photographs that were left out, is printed to stderr, and so is what
        tensorflow_datasets says while it prepares files.

    Raises:
        ValueError, OSError: as the class, naming the options of the command.
    """
    if settings["dataset"] not in DATASETS:
        raise ValueError(f"dataset must be one of {', '.join(DATASETS)}, got {settings['dataset']!r}")
    arguments = {
        argument: _argument(name, settings[name])
        for argument, name in ARGUMENTS.items()
        if settings.get(name) is not None
    }
    with warnings.catch_warnings(record=True) as caught, naming_options(ARGUMENTS):
        warnings.simplefilter("always", UserWarning)
        # Stdout may be JSON.
        with contextlib.redirect_stdout(sys.stderr):
            data = data_class(settings["dataset"])(**arguments)
    for warning in caught:
        print(f"kerasvae: warning: {warning.message}", file=sys.stderr)
    return data


def title(settings: dict) -> str:
    """What to call the data set in a table: its class, and what it has other than the class's default."""
    dataset = data_class(settings["dataset"])
    if settings.get("folder") is not None:
        return f"{dataset.__name__} {Path(settings['folder']).name}"
    defaults = {name: parameter.default for name, parameter in inspect.signature(dataset).parameters.items()}
    parts = [dataset.__name__]
    for name in _FORMS:
        value = settings.get(name)
        if value is not None and value != defaults[name]:
            parts.append(f"{name.replace('_', ' ')} {value}")
    return ", ".join([*parts, *(["grey"] if settings.get("grey") else [])])


@contextlib.contextmanager
def naming_options(names: dict):
    """Errors within that begin with an argument's name get that of the command's option instead.

    Args:
        names: {argument: name of the option with underscores}.
    """
    try:
        yield
    except (ValueError, OSError) as error:
        if len(error.args) == 1 and isinstance(error.args[0], str):
            text = error.args[0]
            found = re.match(r"(\w+)(?=:| must )", text)
            if found and found[1] in names:
                option = names[found[1]].replace("_", "-")
                text = f"--{option}{text[found.end() :]}"
            error.args = (text.replace("on_error='skip'", "--on-error skip").replace("overwrite=True", "--force"),)
        raise


def _argument(name: str, value):
    if name == "grey":
        return not value
    if name == "image_size" and isinstance(value, str):
        return tuple(int(side) for side in value.split("x"))
    return value
