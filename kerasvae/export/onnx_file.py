"""A functional model as an ONNX file, from TensorFlow through tf2onnx.

Keras's own export calls tf2onnx without handlers of one's own, and so cannot write GELU or CELU. This one adds what is
missing, folds constants that layers hold outside their variables into the file (Normalization's), and takes layers
apart that Keras compiles as functions of their own (grouped convolutions).
"""

from __future__ import annotations

import contextlib

import numpy as np

# Of ONNX's numbers for floating-point types.
_NUMPY_TYPES = {1: "float32", 10: "float16", 11: "float64"}


def write_onnx(network, path) -> None:
    """Write a functional model with one named input, and outputs in a dictionary.

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
        written, _ = tf2onnx.convert.from_function(function, signature, custom_op_handlers=_handlers())
    # What a layer holds as an eager tensor becomes an input: its value belongs into the file.
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


def _handlers() -> dict:
    """How operations that tf2onnx does not know are written with those of ONNX."""

    def handler(write):
        def replace(context, node, name, arguments):
            given, output = node.input[0], node.output[0]
            dtype, shape = context.get_dtype(output), context.get_shape(output)
            one = context.make_const(f"{name}__one", np.array(1, _NUMPY_TYPES[dtype])).output[0]
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
