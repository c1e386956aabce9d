"""Requests to a server of a small bundle that it must refuse, each with words that the refusal must hold."""

import json
import struct

import numpy as np
from serving.server_process import described
from serving.small_bundles import SHAPE

IMAGE = np.random.default_rng(5).integers(0, 256, (1, *SHAPE), dtype=np.uint8)
PIXELS = IMAGE.ravel().tolist()


def image(**changes):
    return {**described("image", "UINT8", IMAGE), **changes}


def traversal(**changes):
    inputs = {"latents": ("FP32", [[0, 0, 0]]), "latent": ("INT64", [1]), "values": ("FP32", [1.0]), **changes}
    return [described(name, *tensor) for name, tensor in inputs.items() if tensor]


# Of the encoder.
BAD_INPUTS = {
    "no inputs": ([], "image of small is missing"),
    "another name": ([image(name="picture")], "inputs of small are image"),
    "the name twice": ([image(), image()], "each at most once"),
    "seventeen inputs": ([image()] * 17, "at most 16"),
    "no name": ([{"shape": [1], "datatype": "UINT8", "data": [1]}], "inputs.0.name"),
    "no shape": ([{"name": "image", "datatype": "UINT8", "data": PIXELS}], "inputs.0.shape"),
    "no datatype": ([{"name": "image", "shape": [1, *SHAPE], "data": PIXELS}], "inputs.0.datatype"),
    "no data": ([{"name": "image", "shape": [1, *SHAPE], "datatype": "UINT8"}], "has no data"),
    "an input that is a number": ([1], "inputs.0"),
    "another datatype": ([image(datatype="INT32")], "must be UINT8 or FP32"),
    "a datatype there is not": ([image(datatype="UINT7")], "inputs.0.datatype"),
    "text for pixels": ([image(datatype="BYTES", data=["a"] * 72)], "must be UINT8 or FP32"),
    "other sizes": ([image(shape=[1, 6, 4, 3])], "must have shape"),
    "no axis of images": ([image(shape=list(SHAPE))], "must have shape"),
    "no axes": ([image(shape=[], data=[1])], "1 to 8 sizes"),
    "a hundred axes": ([image(shape=[1] * 100, data=[1])], "1 to 8 sizes"),
    "no images": ([image(shape=[0, *SHAPE], data=[])], "at least 1"),
    "a negative size": ([image(shape=[-1, *SHAPE])], "at least 1"),
    "a size that is text": ([image(shape=["many", *SHAPE])], "inputs.0.shape.0"),
    "a huge declared shape": ([image(shape=[10**9, 10**9, 10**9, 3])], "must have shape"),
    "a size beyond 64 bits": ([image(shape=[10**30, *SHAPE])], "inputs.0.shape.0"),
    "too little data": ([image(data=PIXELS[:-1])], "is 72 values, got 71"),
    "too much data": ([image(data=[*PIXELS, 0])], "is 72 values, got 73"),
    "data that is text": ([image(data="AAAA")], "data must be a list"),
    "texts in data": ([image(data=["1"] * 72)], "list of numbers"),
    "null in data": ([image(data=[None] * 72)], "list of numbers"),
    "truth values in data": ([image(data=[True] * 72)], "list of numbers"),
    "an object in data": ([image(data=[{}] * 72)], "list of numbers"),
    "lists for pixels": ([image(data=[[]] * 72)], "list of numbers"),
    "rows that are too long": ([image(data=[[[PIXELS] * 6] * 4])], "list of numbers"),
    "truth values among data": ([image(data=[True, *PIXELS[1:]])], "list of numbers"),
    "shared memory": ([image(data=None, parameters={"shared_memory_region": "a"})], "shared_memory_region is not"),
    "a number of bytes that is text": (
        [image(data=None, parameters={"binary_data_size": "72"})],
        "must be a number of bytes",
    ),
    "ragged data": ([image(data=[[[[1, 2], [3]]]])], "list of numbers"),
    "a pixel of 256": ([image(data=[256, *PIXELS[1:]])], "UINT8 cannot hold"),
    "a pixel below 0": ([image(data=[-1, *PIXELS[1:]])], "UINT8 cannot hold"),
    "a fraction of a UINT8": ([image(data=[0.5, *PIXELS[1:]])], "list of numbers"),
    "a number beyond 64 bits": ([image(data=[10**25, *PIXELS[1:]])], "list of numbers"),
    "a float pixel above 255": ([image(datatype="FP32", data=[255.5, *PIXELS[1:]])], "0 to 255"),
    "too many images": ([image(shape=[9, *SHAPE], data=PIXELS * 9)], "1 to 8"),
    "many images in few bytes": ([image(shape=[72, 1, 1, 1])], "must have shape"),
}

# Of the encoder, whole.
BAD_BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "JSON cut short": json.dumps({"inputs": [image()]}).encode()[:-9],
    "a list": b"[]",
    "a number": b"1",
    "inputs that are an object": b'{"inputs": {}}',
    "NaN": json.dumps({"inputs": [image(datatype="FP32", data=[float("nan")] * 72)]}).encode(),
    "infinity": json.dumps({"inputs": [image(datatype="FP32", data=[float("inf")] * 72)]}).encode(),
    "a number too large": b'{"inputs": [{"name": "image", "shape": [1], "datatype": "FP32", "data": [1e999]}]}',
    "not UTF-8": b'{"inputs": [{"name": "\xff\xfe"}]}',
    "a lone surrogate": b'{"inputs": [{"name": "\\ud800", "shape": [1], "datatype": "UINT8", "data": [1]}]}',
    "deep nesting": b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep nesting of data": b'{"inputs": [{"name": "image", "shape": [1], "datatype": "UINT8", "data": '
    + b"[" * 900
    + b"]" * 900
    + b"}]}",
    "deep nesting of parameters": b'{"inputs": [], "parameters": {"a": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}}",
    "parameters that are a list": b'{"inputs": [], "parameters": []}',
    "outputs that are a number": b'{"inputs": [], "outputs": 3}',
    "an output there is not": json.dumps({"inputs": [image()], "outputs": [{"name": "code"}]}).encode(),
    "an output in shared memory": json.dumps(
        {"inputs": [image()], "outputs": [{"name": "mean", "parameters": {"shared_memory_region": "a"}}]}
    ).encode(),
    "an output as classes": json.dumps(
        {"inputs": [image()], "outputs": [{"name": "mean", "parameters": {"classification": 1}}]}
    ).encode(),
    "binary_data that is text": json.dumps(
        {"inputs": [image()], "outputs": [{"name": "mean", "parameters": {"binary_data": "true"}}]}
    ).encode(),
    "binary_data_output that is a number": json.dumps(
        {"inputs": [image()], "parameters": {"binary_data_output": 1}}
    ).encode(),
    "an id that is an object": json.dumps({"inputs": [image()], "id": {"a": 1}}).encode(),
}

# Of the decoder, in the binary extension: (datatype, bytes).
BAD_DECODES = {
    "NaN": (("FP32", struct.pack("<3f", 0, float("nan"), 0)), "finite"),
    "infinity": (("FP64", struct.pack("<3d", 0, float("inf"), 0)), "finite"),
    "beyond float32": (("FP64", struct.pack("<3d", 0, 1e300, 0)), "finite"),
    "too few bytes": (("FP32", bytes(11)), "12 bytes, got 11"),
    "no bytes": (("FP32", b""), "12 bytes, got 0"),
    "integers": (("INT32", bytes(12)), "must be FP32 or FP64"),
}

BAD_TRAVERSALS = {
    "a latent there is not": (traversal(latent=("INT64", [3])), "from 0 to 2"),
    "a latent below 0": (traversal(latent=("INT64", [-1])), "from 0 to 2"),
    "a name there is not": (traversal(latent=("BYTES", ["colour"])), "one of z0, z1, z2"),
    "two latents": (traversal(latent=("INT64", [0, 1])), "one integer"),
    "a latent that is a fraction": (traversal(latent=("FP32", [0.5])), "one integer"),
    "no values": (traversal(values=None), "values"),
    "too many values": (traversal(values=("FP32", [0.0] * 9)), "1 to 8"),
    "values in rows": (traversal(values=("FP32", [[0.0, 1.0]])), "must have shape"),
    "neither image nor latents": (traversal(latents=None), "either"),
    "both": (traversal(image=("UINT8", IMAGE)), "either"),
    "two codes": (traversal(latents=("FP32", [[0, 0, 0], [1, 1, 1]])), "must be one"),
}
