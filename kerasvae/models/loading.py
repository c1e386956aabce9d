"""Load a saved model, with an error that says what is wrong with the file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras

from kerasvae.models.saving import check_finite_weights
from kerasvae.models.vae import VAE


def load(filepath, compile: bool = True):
    """The model in a `.keras` file written by this package; `keras.saving.load_model` in its safe mode works as well.

    Args:
        filepath: the file.
        compile: also restore optimizer and compile arguments, to go on training.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is not a whole `.keras` file, or holds another kind of model.
    """
    path = Path(filepath)
    if not path.is_file():
        raise FileNotFoundError(f"filepath: there is no file {str(path)!r}")
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            missing = {"config.json", "model.weights.h5"} - set(archive.namelist())
        if damaged or missing:
            raise zipfile.BadZipFile(f"{damaged} is damaged" if damaged else f"{min(missing)} is missing")
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(
            f"filepath: {str(path)!r} is not a whole .keras file ({error}); it may have been cut short when copied"
        ) from error
    try:
        model = keras.saving.load_model(path, compile=compile)
    except (KeyError, OSError, TypeError, ValueError) as error:
        # Among them classes that Keras does not know, and code that its safe mode refuses to run.
        raise ValueError(f"filepath: {str(path)!r} does not hold a model of kerasvae: {error}") from error
    if not isinstance(model, VAE):
        raise ValueError(f"filepath: {str(path)!r} holds a {type(model).__name__}, not a model of kerasvae")
    check_finite_weights(model, f"filepath: {str(path)!r} holds a model that is of no use")
    return model
