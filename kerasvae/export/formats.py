"""Networks as artefacts: written in each serving format, run from there, and compared.

Each network is a functional model with one named input, and outputs in a dictionary.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import os
import warnings

import keras
import numpy as np

from kerasvae.extras import require

# Keras's names for them, and how a path of each ends.
SUFFIXES = {"tf_saved_model": "", "onnx": ".onnx", "litert": ".tflite", "torch": ".pt2"}
FORMATS = tuple(SUFFIXES)
# Of a SavedModel that holds both networks: the encoder's, the decoder's.
SIGNATURES = ("serving_default", "decode")
# What each format needs besides Keras: to be written, and to be run when it is compared with the model.
_PACKAGES = {
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
    "tf_saved_model": ("tensorflow",),
    "litert": ("tensorflow",),
    "torch": ("torch",),
}
_ONLY_TO_WRITE = ("onnx", "tf2onnx")
_WRITTEN_FROM = {
    "tensorflow": ("tf_saved_model", "onnx", "litert"),
    "jax": ("tf_saved_model",),
    "torch": ("torch",),
}
# A batch of any size has to have a largest one in Torch's programs.
_LARGEST_BATCH = 2**16
# Of ONNX's numbers for floating-point types.
_FLOAT_TYPES = {1: "float32", 10: "float16", 11: "float64"}
_VERSIONED = ("kerasvae", "keras", "numpy", "tensorflow", "jax", "torch", "tf2onnx", "onnx", "onnxruntime")


def check_format(argument: str, format) -> None:
    """ValueError naming `argument` unless it is one of the formats."""
    if not isinstance(format, str) or format not in FORMATS:
        raise ValueError(f"{argument} must be one of {', '.join(FORMATS)}, got {format!r}")


def check_can_write(argument: str, format: str) -> None:
    """Check that this backend can write the format and that its packages are there.

    Raises:
        ValueError: naming `argument` for a backend that cannot.
        ImportError: naming all that is missing, and a command that brings it.
    """
    backend = keras.config.backend()
    if format not in _WRITTEN_FROM[backend]:
        other = "torch" if format == "torch" else "tensorflow"
        raise ValueError(
            f"{argument} {format!r} cannot be written from the {backend} backend, which writes "
            f"{', '.join(_WRITTEN_FROM[backend])}: save the model as .keras, load it under KERAS_BACKEND={other} and "
            "export it there"
        )
    require(f"{argument} {format!r}", _PACKAGES[format], "export" if format == "onnx" else None)


def check_can_run(argument: str, format: str) -> None:
    """Check that what runs the format is there; ImportError as of `check_can_write`."""
    require(f"{argument} {format!r}", [package for package in _PACKAGES[format] if package not in _ONLY_TO_WRITE])


def default_format() -> str:
    """The first of those that this backend writes."""
    return _WRITTEN_FROM[keras.config.backend()][0]


def formats_of_backend() -> tuple[str, ...]:
    """The formats that this backend writes with what is installed."""
    found = []
    for format in _WRITTEN_FROM[keras.config.backend()]:
        with contextlib.suppress(ImportError):
            check_can_write("format", format)
            found.append(format)
    return tuple(found)


def versions() -> dict[str, str]:
    """Versions of the packages that had a part in an artefact, of those that are installed."""
    found = {}
    for package in _VERSIONED:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    return found


def write_network(network, path, format: str) -> None:
    """Write one network in one of `FORMATS` to a path with its suffix."""
    with _quiet():
        if format == "onnx":
            _write_onnx(network, path)
        elif format == "torch":
            _write_torch(network, path)
        else:
            network.export(path, format=format, verbose=False)


def write_saved_model(encoder, decoder, path) -> None:
    """Write both networks as one TensorFlow SavedModel with the signatures of `SIGNATURES`."""
    archive = keras.export.ExportArchive()
    if keras.config.backend() == "jax":
        # All before the first signature, which there takes all that is tracked as arguments. On TensorFlow a signature
        # finds its variables itself, and those that are tracked are stored twice.
        archive.track(encoder)
        archive.track(decoder)
    with _quiet():
        for signature, network in zip(SIGNATURES, (encoder, decoder), strict=True):
            ((name, tensor),) = network.input.items()
            spec = keras.InputSpec(shape=tensor.shape, dtype=tensor.dtype, name=name)
            archive.add_endpoint(signature, network.__call__, [{name: spec}])
        archive.write_out(os.fspath(path), verbose=False)


@contextlib.contextmanager
def _quiet():
    # The converters warn of each other's and NumPy's deprecations, which no user of ours can mend, and log what they do
    # not know, which an error then says.
    log = logging.getLogger("tf2onnx")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def _write_torch(network, path) -> None:
    import torch

    (name,) = network.input
    batch = torch.export.Dim("batch", min=1, max=_LARGEST_BATCH)
    network.export(path, format="torch", verbose=False, dynamic_shapes=({name: {0: batch}},))


def _write_onnx(network, path) -> None:
    """Write an ONNX file through tf2onnx.

    Keras's own export calls tf2onnx without handlers of one's own, and so cannot write GELU or CELU. This one adds what
    is missing, folds constants that layers hold outside their variables into the file (Normalization's), and takes
    layers apart that Keras compiles as functions of their own (grouped convolutions).

    Raises:
        RuntimeError: naming operations of TensorFlow that have no counterpart in ONNX.
    """
    import onnx
    import tensorflow as tf
    import tf2onnx

    ((name, tensor),) = network.input.items()
    signature = [tf.TensorSpec(tensor.shape, tensor.dtype, name=name)]
    function = tf.function(lambda given: network({name: given}, training=False), input_signature=signature)
    with _functions_taken_apart():
        traced = function.get_concrete_function()
        written, _ = tf2onnx.convert.from_function(function, signature, custom_op_handlers=_onnx_handlers())
    # What a layer holds as an eager tensor becomes an input: its value belongs in the file.
    captured = {
        placeholder.name: value
        for placeholder, value in zip(traced.inputs[1:], traced.captured_inputs, strict=True)
        if value.dtype != tf.resource
    }
    for given in [given for given in written.graph.input if given.name in captured]:
        written.graph.initializer.append(onnx.numpy_helper.from_array(captured[given.name].numpy(), given.name))
        written.graph.input.remove(given)
    # The converter logs what it does not know, and leaves it in the file.
    types = {node.op_type for node in written.graph.node if node.domain in ("", "ai.onnx")}
    unknown = sorted(type for type in types if not onnx.defs.has(type))
    if unknown:
        raise RuntimeError(f"ONNX has no counterpart of TensorFlow's operation {', '.join(unknown)}")
    onnx.save_model(written, path)


@contextlib.contextmanager
def _functions_taken_apart():
    """While a function is traced, those that it calls become part of it: the converter follows no calls."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def _onnx_handlers() -> dict:
    """How operations that tf2onnx does not know are written with those of ONNX."""

    def handler(write):
        def replace(context, node, name, arguments):
            given, output = node.input[0], node.output[0]
            dtype, shape = context.get_dtype(output), context.get_shape(output)
            one = context.make_const(f"{name}__one", np.array(1, _FLOAT_TYPES[dtype])).output[0]
            context.remove_node(node.name)

            def operation(type, *inputs, last=False):
                made = {"outputs": [output], "name": name, "shapes": [shape], "dtypes": [dtype]} if last else {}
                return context.make_node(type, list(inputs), **made).output[0]

            write(operation, given, one)

        return replace, []

    return {
        "Erfc": handler(lambda op, x, one: op("Sub", one, op("Erf", x), last=True)),
        "Expm1": handler(lambda op, x, one: op("Sub", op("Exp", x), one, last=True)),
        "Log1p": handler(lambda op, x, one: op("Log", op("Add", x, one), last=True)),
    }


# Running and comparing ------------------------------------------------------------------------------------------------


def run_onnx(path, inputs: dict) -> dict[str, np.ndarray]:
    """Outputs by name of an ONNX file for inputs by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def run_saved_model(path, inputs: dict, signature: str = "serving_default") -> dict[str, np.ndarray]:
    """Outputs by name of one signature of a TensorFlow SavedModel for inputs by name."""
    import tensorflow as tf

    loaded = tf.saved_model.load(os.fspath(path))
    return {name: value.numpy() for name, value in loaded.signatures[signature](**inputs).items()}


def run_litert(path, inputs: dict) -> dict[str, np.ndarray]:
    """Outputs by name of a LiteRT (TensorFlow Lite) file for inputs by name, any batch size."""
    with _quiet():
        try:
            # The successor of TensorFlow's own interpreter, where it is installed.
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            import tensorflow as tf

            Interpreter = tf.lite.Interpreter  # noqa: N806
        return dict(Interpreter(os.fspath(path)).get_signature_runner()(**inputs))


def _run_torch(path, inputs: dict) -> dict[str, np.ndarray]:
    """Outputs by name of a Torch ExportedProgram for inputs by name, on the device that it was written for."""
    import torch

    with _quiet(), torch.no_grad():
        program = torch.export.load(os.fspath(path)).module()
        weight = next((tensor for tensor in (*program.parameters(), *program.buffers())), torch.empty(0))
        given = {
            name: torch.from_numpy(np.ascontiguousarray(values)).to(weight.device) for name, values in inputs.items()
        }
        return {name: output.cpu().numpy() for name, output in program(given).items()}


RUNNERS = {"tf_saved_model": run_saved_model, "onnx": run_onnx, "litert": run_litert, "torch": _run_torch}


def largest_difference(artefact: str, outputs: dict, expected: dict, tolerance: float) -> float:
    """The largest absolute difference of an artefact's outputs from those expected.

    Args:
        artefact: what to call it.
        outputs, expected: arrays by name.
        tolerance: allowed, relative to 1 + the largest absolute value expected of an output.

    Raises:
        RuntimeError: naming the artefact and the output that differs by more.
    """
    largest = 0.0
    for name, values in expected.items():
        if name not in outputs or outputs[name].shape != values.shape:
            shape = outputs[name].shape if name in outputs else "nothing"
            raise RuntimeError(f"{artefact} does not reproduce the model: {name} is {shape}, not {values.shape}")
        difference = float(np.abs(outputs[name] - values).max())
        if not difference <= tolerance * (1 + float(np.abs(values).max())):
            raise RuntimeError(f"{artefact} does not reproduce the model: {name} differs by {difference:.3g}")
        largest = max(largest, difference)
    return largest


def first_line(error: Exception) -> str:
    """What a library's error says, in short."""
    lines = (line.strip() for line in str(error).splitlines())
    return f"{type(error).__name__}: {next((line for line in lines if line), '')[:200]}"
