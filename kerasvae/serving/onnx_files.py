"""What an ONNX file reads besides itself, read from its bytes: neither the onnx package nor protobuf is needed.

A tensor can name another file that holds its numbers. No hash of the ONNX file covers that one, and onnxruntime looks
for it where the program runs.
"""

from __future__ import annotations

from collections.abc import Iterator

# Of onnx.proto: for each kind of message, the fields that lead to a tensor.
_MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
_NAME, _EXTERNAL_DATA, _DATA_LOCATION = 8, 13, 14
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
# Graphs within graphs; those of encoders have one or two.
_DEEPEST = 64


def external_tensor(contents: bytes) -> str | None:
    """Name of a tensor whose numbers lie in another file, "" if it has none; None when all lie in this one.

    Tensors are looked for wherever they can be: in graphs, in the attributes of their nodes and the graphs in these, in
    functions, sparse tensors and training information.

    Raises:
        ValueError: when the bytes are no ONNX model.
    """
    if contents[4:8] == b"ORTM":
        raise ValueError("it is in onnxruntime's own format, ONNX is wanted")
    waiting = [("model", memoryview(contents), 0)]
    while waiting:
        kind, message, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError("its graphs are nested too deeply")
        if kind == "tensor":
            if (name := _external(message)) is not None:
                return name
            continue
        for field, value in _fields(message):
            if (inner := _MESSAGES[kind].get(field)) is not None:
                if not isinstance(value, memoryview):
                    raise ValueError("it is no ONNX model")
                waiting.append((inner, value, depth + 1))
    return None


def _external(tensor: memoryview) -> str | None:
    name, external = "", False
    for field, value in _fields(tensor):
        if field == _NAME and isinstance(value, memoryview):
            name = bytes(value[:100]).decode("utf-8", "replace")
        # 1 says external; whoever lists a file means it too.
        external |= field == _EXTERNAL_DATA or (field == _DATA_LOCATION and value != 0)
    return name if external else None


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview | None]]:
    """Numbers and values of the fields of a protobuf message; numbers of fixed size are None."""
    place, end = 0, len(message)
    while place < end:
        key, place = _varint(message, place)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, place = _varint(message, place)
        elif wire == _BYTES:
            length, place = _varint(message, place)
            value, place = message[place : place + length], place + length
        elif wire in (_FIXED_64, _FIXED_32):
            value, place = None, place + (8 if wire == _FIXED_64 else 4)
        else:
            raise ValueError("it is no ONNX model")
        if place > end:
            raise ValueError("it is cut short")
        yield field, value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("it is cut short")
        byte = message[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
    raise ValueError("it is no ONNX model")
