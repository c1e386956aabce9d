"""Why a network is not exported in a format: which layer it is, and which formats hold it."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from kerasvae.export.artefacts import (
    RUNNERS,
    SUFFIXES,
    first_line,
    formats_of_backend,
    largest_difference,
    write_network,
)

# How the converters name an operation of TensorFlow that they do not know.
_OPERATION = re.compile(r"'tf\.(\w+)' op|\(Flex(\w+)\)|TensorFlow's operation ([\w, ]+)")


@contextlib.contextmanager
def diagnosing(artefact: str, format: str, networks: Sequence[tuple], tolerance: float):
    """Errors of writing, running and comparing an artefact become a RuntimeError that says what to do.

    Args:
        artefact: what to call it.
        format: of the artefact.
        networks: (network, inputs) of each network in it: a functional model with one named input and a dictionary of
            outputs, and {name: array}, by which it is compared.
        tolerance: as for `largest_difference`.
    """
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:  # the converters' and runtimes' errors have no class in common
        message = str(error) if _is_difference(error) else f"{artefact} cannot be written or run: {_reason(error)}"
        for network, inputs in networks:
            if not holds(network, inputs, format, tolerance):
                message += _advice(network, inputs, format, tolerance)
                break
        raise RuntimeError(message) from error


def holds(network, inputs: dict, format: str, tolerance: float) -> bool:
    """Whether a functional model, written in a format and run from there, gives what it gives here."""
    try:
        outputs = network(inputs, training=False)
        expected = {name: np.asarray(keras.ops.convert_to_numpy(value)) for name, value in outputs.items()}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"network{SUFFIXES[format]}"
            write_network(network, path, format)
            largest_difference("it", RUNNERS[format](path, inputs), expected, tolerance)
    except OSError:
        raise
    except Exception:  # as above
        return False
    return True


def _advice(network, inputs: dict, format: str, tolerance: float) -> str:
    culprit = _first_not_held(network, inputs, format, tolerance)
    at = "" if culprit is None else f"; it is {culprit} that {format} does not hold"
    others = [other for other in formats_of_backend() if other != format and holds(network, inputs, other, tolerance)]
    if others:
        return f"{at}; tried just now, {' and '.join(others)} {'hold' if others[1:] else 'holds'} the network"
    return f"{at}; of the formats that this backend writes, none holds the network"


def _first_not_held(network, inputs: dict, format: str, tolerance: float) -> str | None:
    """Name and class of the first layer or operation of a functional model that a format does not hold, if it is one.

    All up to it is held and, with it, all is not: halving finds it.
    """
    outputs = [
        (operation, operation.output)
        for operation in network.operations
        if not isinstance(operation, keras.layers.InputLayer) and _one_tensor(operation)
    ]

    def held(count):
        until = {f"value_{number}": tensor for number, (_, tensor) in enumerate(outputs[:count])}
        return not until or holds(_at_inference(network.input, until), inputs, format, tolerance)

    least, most = 0, len(outputs)
    if held(most):
        return None
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if held(middle) else (least, middle)
    culprit = outputs[least][0]
    kind = "layer" if isinstance(culprit, keras.layers.Layer) else "operation"
    named = f"{kind} {culprit.name!r} ({type(culprit).__name__})"
    if isinstance(culprit, keras.Model) and isinstance(getattr(culprit, "input", None), keras.KerasTensor):
        # What its layers make of any input says which of them it is.
        given = culprit.input
        numbers = np.random.default_rng(0).normal(size=(2, *given.shape[1:]))
        if _one_tensor(culprit):
            inner = _at_inference({"given": given}, {"value": culprit.output})
            named = _first_not_held(inner, {"given": numbers.astype(given.dtype)}, format, tolerance) or named
    return named


def _at_inference(given: dict, outputs: dict) -> keras.Model:
    """Part of a graph as a model of its own, in which layers that are random in training are not."""
    fresh = {name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name) for name, tensor in given.items()}
    return keras.Model(fresh, keras.Model(given, outputs)(fresh, training=False))


def _one_tensor(operation) -> bool:
    """Whether its output is one tensor of numbers: a layer that is used twice has two."""
    try:
        output = operation.output
    except (AttributeError, ValueError):
        return False
    return isinstance(output, keras.KerasTensor) and None not in output.shape[1:] and output.dtype != "bool"


def _is_difference(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and "does not reproduce the model" in str(error)


def _reason(error: Exception) -> str:
    """The operation that a converter does not know, or the first line of what it says."""
    operations = {name for names in _OPERATION.findall(str(error)) for name in names if name}
    if operations:
        return f"it has no counterpart of TensorFlow's operation {', '.join(sorted(operations))}"
    return first_line(error)
