"""Options that name a data set, the same for every subcommand that has one."""

from __future__ import annotations

from pathlib import Path

from kerasvae_command.options import (
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
DATASETS = ("xysquares", "xyobject", "xyobjectshaded", *_SPRITES, *_PREPARED, "folder")
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
        ("factors_csv", "a column `file` and one a factor", {"type": existing_file, "metavar": "FILE"}),
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
