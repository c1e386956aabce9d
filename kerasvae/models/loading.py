"""Load a saved model, with an error that says what is wrong with the file."""

from __future__ import annotations

import zipfile

import keras

from kerasvae.archives import check_model_archive
from kerasvae.files import regular_file
from kerasvae.models.vae import VAE


def load(filepath, compile: bool = True):
    """The model in a `.keras` file written by this package; `keras.saving.load_model` in its safe mode works as well.

    Args:
        filepath: the file.
        compile: also restore optimizer and compile arguments, to go on training.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is not a whole `.keras` file, claims to hold more than it can, or holds another kind of
            model.
    """
    path = regular_file(filepath, "filepath")
    try:
        check_model_archive(path)
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"filepath: {str(path)!r} is not a whole .keras file ({error}); it may have been cut short when copied"
        ) from error
    try:
        model = keras.saving.load_model(path, compile=compile)
    except (AttributeError, KeyError, IndexError, OSError, RecursionError, TypeError, ValueError) as error:
        # Among them classes that Keras does not know, and code that its safe mode refuses to run.
        raise ValueError(f"filepath: {str(path)!r} does not hold a model of kerasvae: {error}") from error
    if not isinstance(model, VAE):
        raise ValueError(f"filepath: {str(path)!r} holds a {type(model).__name__}, not a model of kerasvae")
    model.check_finite_weights(f"filepath: {str(path)!r} holds a model that is of no use")
    return model
