"""Why a network is not exported in a format: which layer it is, and which formats hold it."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from kerasvae.export.formats import (
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

    The models within are asked one by one, for numbers of their own. Of the others, all up to the first is held and,
    with it, all is not: halving finds it.
    """
    (values,) = inputs.values()
    operations = [each for each in _operations(network) if not isinstance(each, keras.layers.InputLayer)]
    for inner in operations:
        if isinstance(inner, keras.Model) and len(inner.inputs) == 1:
            given = inner.inputs[0]
            numbers = {"given": np.random.default_rng(0).normal(size=(2, *given.shape[1:])).astype(given.dtype)}
            outputs = {f"value_{number}": tensor for number, tensor in enumerate(inner.outputs)}
            if not holds(_part(inner, outputs), numbers, format, tolerance):
                within = _first_not_held(inner, numbers, format, tolerance)
                return _named(inner) if within is None else f"{within} of {inner.name!r}"
    plain = [each for each in operations if not isinstance(each, keras.Model) and _one_tensor(each)]

    def held(count):
        until = {f"value_{number}": each.output for number, each in enumerate(plain[:count])}
        return not until or holds(_part(network, until), {"given": values}, format, tolerance)

    least, most = 0, len(plain)
    if held(most):
        return None
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if held(middle) else (least, middle)
    return _named(plain[least])


def _operations(network) -> list:
    """Layers and other operations of a functional or sequential model, in an order in which they can run."""
    return network.layers if isinstance(network, keras.Sequential) else network.operations


def _named(operation) -> str:
    kind = "layer" if isinstance(operation, keras.layers.Layer) else "operation"
    return f"{kind} {operation.name!r} ({type(operation).__name__})"


def _part(network, outputs: dict) -> keras.Model:
    """Part of a model as one of its own, in which layers that are random in training are not."""
    (tensor,) = network.inputs
    fresh = keras.Input(tensor.shape[1:], dtype=tensor.dtype, name="given")
    return keras.Model({"given": fresh}, keras.Model(tensor, outputs)(fresh, training=False))


def _one_tensor(operation) -> bool:
    """Whether its output is one tensor of numbers: a layer that is used twice has two."""
    try:
        output = operation.output
    except (AttributeError, ValueError):
        return False
    return isinstance(output, keras.KerasTensor) and output.dtype != "bool"


def _is_difference(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and "does not reproduce the model" in str(error)


def _reason(error: Exception) -> str:
    """The operation that a converter does not know, or the first line of what it says."""
    operations = {name for names in _OPERATION.findall(str(error)) for name in names if name}
    if operations:
        return f"it has no counterpart of TensorFlow's operation {', '.join(sorted(operations))}"
    return first_line(error)
