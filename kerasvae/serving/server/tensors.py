"""Tensors of the protocol as arrays, and back: JSON, the binary extension of REST, and gRPC's raw contents.

Within the server a tensor's data is little-endian bytes (requests) or a flat array (responses), never a list of
numbers: MLServer's batching joins bytes and slices arrays, and 256 images of 64 x 64 x 3 pixels are three million
numbers.
"""

from __future__ import annotations

import gc
import math
import struct

import numpy as np
import orjson
import pydantic
from mlserver.errors import InferenceError
from mlserver.types import InferenceRequest, InferenceResponse, RequestInput, ResponseOutput, TensorData

DTYPES = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
DATATYPES = {np.dtype(dtype): datatype for datatype, dtype in DTYPES.items()}
# Of a client's own words in an error.
LONGEST_QUOTE = 100
# No model here has as many; each costs more to check than to send.
MOST_TENSORS = 16
# What they would ask for is not done here, and an answer without it would be another than the client expects.
UNSUPPORTED = ("classification", "shared_memory_region")


def quoted(text) -> str:
    """A client's text, for an error: never more than a line of it."""
    text = str(text)
    return repr(text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}...")


def array_of(tensor: RequestInput) -> np.ndarray:
    """The array that an input is, of its declared shape and datatype.

    Args:
        tensor: its data is bytes, a list of numbers (flat or nested as the shape), of bool or of text, or one of gRPC's
            repeated fields.

    Returns:
        Array; for the datatype BYTES of dtype object, holding bytes.

    Raises:
        InferenceError: when shape, datatype and data do not fit one another.
    """
    count, shape, data = count_of(tensor), tuple(tensor.shape), tensor.data.root
    if tensor.datatype == "BYTES":
        texts = _texts(tensor, data, count)
        array = np.empty(len(texts), object)
        array[:] = texts
        return array.reshape(shape)
    dtype = np.dtype(DTYPES[tensor.datatype])
    if isinstance(data, bytes):
        if len(data) != count * dtype.itemsize:
            raise InferenceError(
                f"input {quoted(tensor.name)}: {tensor.datatype} of shape {_listed(shape)} is "
                f"{count * dtype.itemsize} bytes, got {len(data)}"
            )
        return np.frombuffer(data, dtype).reshape(shape)
    return _of_list(tensor, data, count, dtype).reshape(shape)


def count_of(tensor: RequestInput) -> int:
    """How many values an input declares; InferenceError for a shape that is none."""
    if not 1 <= len(tensor.shape) <= 8 or any(size < 1 for size in tensor.shape):
        raise InferenceError(
            f"input {quoted(tensor.name)}: shape must be 1 to 8 sizes, each at least 1, got {_listed(tensor.shape)}"
        )
    return math.prod(tensor.shape)


def _of_list(tensor: RequestInput, data, count: int, dtype: np.dtype) -> np.ndarray:
    # NumPy would walk through all that was sent, which may be millions of lists, before it refused them.
    if len(data) != count and not (isinstance(data[0] if len(data) else None, list) and len(data) == tensor.shape[0]):
        raise InferenceError(
            f"input {quoted(tensor.name)}: shape {_listed(tensor.shape)} is {count} values, got {len(data)}"
        )
    kinds = {bool} if dtype.kind == "b" else {int, float} if dtype.kind == "f" else {int}
    data = list(data)
    is_wanted = _is_nested(data, (count,), kinds) or _is_nested(data, tuple(tensor.shape), kinds)
    array = np.asarray(data) if is_wanted else np.empty(0, object)
    if array.dtype.kind not in ("b" if dtype.kind == "b" else "iuf" if dtype.kind == "f" else "iu"):
        raise InferenceError(
            f"input {quoted(tensor.name)}: data must be a list of numbers that {tensor.datatype} can hold, flat or "
            f"nested as the shape {_listed(tensor.shape)} is (for BOOL of true and false)"
        )
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= array.min() <= array.max() <= np.iinfo(dtype).max:
        raise InferenceError(f"input {quoted(tensor.name)}: data holds a value that {tensor.datatype} cannot hold")
    with np.errstate(over="ignore"):  # an infinite float32 is refused where the value is used
        return array.astype(dtype)


def _is_nested(data, shape: tuple[int, ...], kinds: set[type]) -> bool:
    """Whether lists in lists have these lengths, and hold nothing but these kinds; stops at the first that do not."""
    if not isinstance(data, list) or len(data) != shape[0]:
        return False
    return set(map(type, data)) <= kinds if len(shape) == 1 else all(_is_nested(row, shape[1:], kinds) for row in data)


def _texts(tensor: RequestInput, data, count: int) -> list[bytes]:
    """Texts from a list, or from bytes in which each is preceded by its length (four bytes, little-endian)."""
    if isinstance(data, bytes):
        texts, at = [], 0
        while at + 4 <= len(data) and len(texts) < count:
            (length,) = struct.unpack_from("<I", data, at)
            texts.append(data[at + 4 : at + 4 + length])
            at += 4 + length
        complete = at == len(data)
    elif len(data) == count:
        texts = [text.encode() if isinstance(text, str) else text for text in data]
        complete = all(isinstance(text, bytes) for text in texts)
    else:
        texts, complete = [], False
    if not complete or len(texts) != count:
        raise InferenceError(
            f"input {quoted(tensor.name)}: data must be as many texts as the shape {_listed(tensor.shape)} says"
        )
    return texts


def _listed(shape) -> str:
    return quoted(list(shape[:100])).strip("'")


def request_input(name: str, array: np.ndarray) -> RequestInput:
    """An array as an input whose data is bytes, as batching joins them."""
    return RequestInput.model_construct(
        name=name,
        shape=list(array.shape),
        datatype=DATATYPES[array.dtype],
        data=TensorData.model_construct(root=array.tobytes()),
    )


def response_output(name: str, array: np.ndarray) -> ResponseOutput:
    """An array as an output whose data is a flat array, as batching slices them."""
    return ResponseOutput.model_construct(
        name=name,
        shape=list(array.shape),
        datatype=DATATYPES[array.dtype],
        data=TensorData.model_construct(root=np.ascontiguousarray(array).reshape(-1)),
    )


def parse_request(body: bytes, json_length: int | None) -> InferenceRequest:
    """A request of the REST protocol.

    Args:
        body: JSON, followed, in the binary extension, by the inputs' bytes in the order of the inputs.
        json_length: bytes of `body` that are JSON, from the header Inference-Header-Content-Length; None for all.

    Raises:
        InferenceError: naming what is wrong.
    """
    json_length = len(body) if json_length is None else json_length
    if json_length > len(body):
        raise InferenceError(f"Inference-Header-Content-Length is {json_length}, the body has {len(body)} bytes")
    try:
        # While millions of lists are made, the collector would look through them again and again, and find nothing.
        gc.disable()
        content = orjson.loads(body if json_length == len(body) else memoryview(body)[:json_length])
    except orjson.JSONDecodeError as error:
        raise InferenceError(f"the body is not JSON: {error}") from None
    finally:
        gc.enable()
    if not isinstance(content, dict) or not isinstance(content.get("inputs"), list):
        raise InferenceError('the body must be a JSON object with a list "inputs"')
    for key in ("inputs", "outputs"):
        if isinstance(content.get(key), list) and len(content[key]) > MOST_TENSORS:
            raise InferenceError(f"{key} must be at most {MOST_TENSORS}, got {len(content[key])}")
    # The data is kept from pydantic, which would walk through every number, and so is all that means nothing here.
    data = [tensor.get("data") if isinstance(tensor, dict) else None for tensor in content["inputs"]]
    content = _kept(content, "id", "inputs", "outputs", parameter="binary_data_output", kind=bool)
    content["inputs"] = [
        _kept(tensor, "name", "shape", "datatype", parameter="binary_data_size", kind=int)
        for tensor in content["inputs"]
    ]
    if isinstance(content.get("outputs"), list):
        content["outputs"] = [
            _kept(output, "name", parameter="binary_data", kind=bool) for output in content["outputs"]
        ]
    for tensor in content["inputs"]:
        if isinstance(tensor, dict):
            tensor["data"] = []
            if isinstance(tensor.get("shape"), list):
                tensor["shape"] = tensor["shape"][:9]  # one more than is allowed
    try:
        request = InferenceRequest.model_validate(content)
    except pydantic.ValidationError as error:
        raise InferenceError(_explained(error)) from None
    at = json_length
    for tensor, values in zip(request.inputs, data, strict=True):
        if values is None:
            values = body[at : at + _binary_size(tensor)]
            at += _binary_size(tensor)
        elif not isinstance(values, list):
            raise InferenceError(f"input {quoted(tensor.name)}: data must be a list")
        tensor.data = TensorData.model_construct(root=values)
    if at != len(body):
        raise InferenceError(
            f"the inputs' binary_data_size come to {at - json_length} bytes, got {len(body) - json_length}"
        )
    return request


def _kept(content, *keys: str, parameter: str, kind: type):
    """Those fields, and that parameter, of an object; anything else as it is. InferenceError for other parameters."""
    if not isinstance(content, dict):
        return content
    kept = {key: content[key] for key in keys if key in content}
    parameters = content.get("parameters")
    if isinstance(parameters, dict):
        refuse_unsupported(parameters)
        value = parameters.get(parameter)
        if value is not None and type(value) is not kind:
            allowed = "true or false" if kind is bool else "a number of bytes"
            raise InferenceError(f"the parameter {parameter} must be {allowed}, got {type(value).__name__}")
        parameters = {parameter: value}
    return {**kept, "parameters": parameters}


def refuse_unsupported(parameters) -> None:
    """InferenceError when parameters of a tensor ask for what is not done here."""
    for name in UNSUPPORTED:
        if name in parameters:
            raise InferenceError(f"the parameter {name} is not supported by this server")


def _binary_size(tensor: RequestInput) -> int:
    size = getattr(tensor.parameters, "binary_data_size", None)
    if size is None or size < 0:
        raise InferenceError(
            f"input {quoted(tensor.name)} has no data: give it a list data, or a parameter binary_data_size and "
            "the bytes behind the JSON"
        )
    return size


def _explained(error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{quoted('.'.join(str(part) for part in first['loc']))}: {first['msg']}"


def rendered(response: InferenceResponse, binary: set[str]) -> tuple[bytes, int | None]:
    """The body of a response of the REST protocol.

    Args:
        response: its outputs' data are flat arrays.
        binary: names of the outputs that follow the JSON as bytes.

    Returns:
        Body, and how many bytes of it are JSON when others follow.
    """
    outputs, tail = [], []
    for output in response.outputs:
        described = {"name": output.name, "shape": output.shape, "datatype": output.datatype}
        array = output.data.root
        if output.name in binary:
            tail.append(array.tobytes())
            described["parameters"] = {"binary_data_size": len(tail[-1])}
        else:
            described["data"] = np.ascontiguousarray(array)
        outputs.append(described)
    content = {"model_name": response.model_name, "model_version": response.model_version, "outputs": outputs}
    if response.id is not None:
        content["id"] = response.id
    head = orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join([head, *tail]), len(head) if binary else None
