"""The data set that settings name."""

from __future__ import annotations

import contextlib
import inspect
import re
import sys
import warnings
from pathlib import Path

from kerasvae import datasets

DATASETS = {
    "xysquares": datasets.XYSquares,
    "xyobject": datasets.XYObject,
    "xyobjectshaded": datasets.XYObjectShaded,
    "dsprites": datasets.DSprites,
    "colordsprites": datasets.ColorDSprites,
    "noisydsprites": datasets.NoisyDSprites,
    "screamdsprites": datasets.ScreamDSprites,
    "shapes3d": datasets.Shapes3D,
    "smallnorb": datasets.SmallNORB,
    "cars3d": datasets.Cars3D,
    "mpi3d": datasets.MPI3D,
    "folder": datasets.FromFolder,
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
# Settings that tell one form of a data set from another.
_FORMS = ("grid_spacing", "num_squares", "palette", "intensities", "source", "split", "factors", "variant")


def build_data(settings: dict):
    """The data set that settings name.

    Args:
        settings: `dataset`, one of `DATASETS`, and its options by their names with underscores; those that are None or
            missing are left to the class.

    Returns:
        The data set. What it warns of, such as photographs that were left out, is printed to stderr, and so is what
        tensorflow_datasets tells while it prepares files.

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
            data = DATASETS[settings["dataset"]](**arguments)
    for warning in caught:
        print(f"kerasvae: warning: {warning.message}", file=sys.stderr)
    return data


def title(settings: dict) -> str:
    """What to call the data set in a table: its class, and what tells it from the class's default."""
    dataset = DATASETS[settings["dataset"]]
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
