"""Bundles written without Keras, of linear networks made by hand: their codes and images are known in closed form."""

import base64
import hashlib
import json

import numpy as np

LATENTS = 3
SHAPE = (4, 6, 3)


class Linear:
    """The networks of a small bundle, in float64.

    mean = weights · pixels/255, logvar = -1 - mean, image = clip(127.5 + directions · latents, 0, 255).
    """

    def __init__(self, image_shape=SHAPE, latents=LATENTS, seed=0):
        generator = np.random.default_rng(seed)
        size = int(np.prod(image_shape))
        self.image_shape, self.latents = tuple(image_shape), latents
        # Eighths: their products with pixels are exact in float32.
        self.weights = generator.integers(-8, 9, (size, latents)) / 8
        self.directions = generator.integers(-64, 65, (latents, size)).astype(float)

    def mean(self, images):
        return np.reshape(images, (len(images), -1)).astype(float) / 255 @ self.weights

    def logvar(self, images):
        return -1 - self.mean(images)

    def decode(self, codes):
        return np.clip(127.5 + np.asarray(codes, float) @ self.directions, 0, 255).reshape(-1, *self.image_shape)


def encoder_model(linear, *, input_type=None, batch="n", outputs=("mean", "logvar")):
    """The ONNX encoder, as bytes; what is not as in a bundle can be chosen."""
    from onnx import TensorProto, helper, numpy_helper

    size = int(np.prod(linear.image_shape))
    input_type = TensorProto.UINT8 if input_type is None else input_type
    nodes = [
        helper.make_node("Cast", ["image"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["cast", "flat"], ["pixels"]),
        helper.make_node("Div", ["pixels", "white"], ["scaled"]),
        helper.make_node("MatMul", ["scaled", "weights"], [outputs[0]]),
        helper.make_node("Sub", ["minus_one", outputs[0]], [outputs[1]]),
    ]
    constants = {
        "flat": np.array([-1, size]),
        "white": np.float32(255),
        "weights": linear.weights.astype("float32"),
        "minus_one": np.float32(-1),
    }
    return _model(
        nodes,
        [helper.make_tensor_value_info("image", input_type, [batch, *linear.image_shape])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, linear.latents]) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )


def decoder_model(linear, *, clipped=True):
    """The ONNX decoder, as bytes; without the last step if you like."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("MatMul", ["latents", "directions"], ["moved"]),
        helper.make_node("Add", ["moved", "middle"], ["levels"]),
        helper.make_node("Clip", ["levels", "black", "white"], ["pixels"])
        if clipped
        else helper.make_node("Identity", ["levels"], ["pixels"]),
        helper.make_node("Reshape", ["pixels", "shape"], ["image"]),
    ]
    constants = {
        "directions": linear.directions.astype("float32"),
        "middle": np.float32(127.5),
        "black": np.float32(0),
        "white": np.float32(255),
        "shape": np.array([-1, *linear.image_shape]),
    }
    return _model(
        nodes,
        [helper.make_tensor_value_info("latents", TensorProto.FLOAT, ["n", linear.latents])],
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", *linear.image_shape])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )


def _model(nodes, inputs, outputs, constants):
    from onnx import helper

    graph = helper.make_graph(nodes, "small", inputs, outputs, constants)
    # Versions that every onnxruntime of the last years reads.
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def manifest(linear, files, *, name="small", version="1", with_data=True, fit="crop", background=255, names=None):
    """What bundle.json holds; the quantiles are those of codes of random images."""
    height, width, channels = linear.image_shape
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (2, *linear.image_shape), dtype="uint8")
    codes = linear.mean(generator.integers(0, 256, (200, *linear.image_shape)))
    decoded = linear.decode(linear.mean(images).astype("float32")).astype("<f4")
    names = names or [f"z{k}" for k in range(linear.latents)]
    quantiles = [0.001, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999]
    summary = [
        {
            "index": k,
            "name": names[k],
            "kl": 0.5 + k,
            "active": k > 0,
            "quantiles": {str(q): float(np.quantile(codes[:, k], q)) for q in quantiles},
            "min": float(codes[:, k].min()),
            "max": float(codes[:, k].max()),
            "mean": float(codes[:, k].mean()),
            "std": float(codes[:, k].std()),
            "factor": None if k else {"name": "x", "mutual_information": 0.4, "share": 0.2, "sign": -1},
        }
        if with_data
        else {"index": k, "name": names[k], "kl": None, "active": None, "quantiles": None}
        for k in range(linear.latents)
    ]
    tensor = {"dtype": "float32", "shape": [None, linear.latents]}
    image = {"name": "image", "range": [0, 255], "shape": [None, height, width, channels]}
    return {
        "format": "kerasvae bundle",
        "format_version": 1,
        "name": name,
        "version": version,
        "description": "linear networks",
        "files": {file: listed(contents) for file, contents in files.items()},
        "input": {**image, "dtype": "uint8"},
        "latents": linear.latents,
        "outputs": {"mean": tensor, "logvar": tensor},
        "decoder": {"input": {"name": "latents", **tensor}, "output": {**image, "dtype": "float32"}},
        "preprocessing": {
            "formula": "(image / 255 - mean) / std, inside the artefacts",
            "mean": [0.0] * channels,
            "std": [1.0] * channels,
            "files": {"fit": fit, "background": background},
        },
        "latent_summary": summary,
        "range_quantiles": ["0.001", "0.999"],
        "data": {"name": "noise", "images": 200, "factor_names": ["x"], "factor_sizes": [4]} if with_data else None,
        "scores": {"mig": 0.5} if with_data else None,
        "model": {"class": "VAE", "steps": 1, "loss": {}, "beta": None},
        "versions": {"kerasvae": "0.1.0"},
        "created": "2026-11-22T12:00:00Z",
        "test": {
            "image": encoded(images),
            "mean": linear.mean(images).tolist(),
            "logvar": linear.logvar(images).tolist(),
            "latents": linear.mean(images).tolist(),
            "decoded": encoded(decoded),
            "tolerance": 1e-4,
        },
    }


def encoded(array):
    return {"shape": list(array.shape), "base64": base64.b64encode(array.tobytes()).decode()}


def listed(contents):
    return {"bytes": len(contents), "sha256": hashlib.sha256(contents).hexdigest()}


def write_bundle(folder, linear=None, *, files=None, change=None, **options):
    """Write a small bundle and return its networks.

    Args:
        folder: of the bundle; made if missing.
        linear: Linear; default Linear().
        files: {name: bytes} instead of, or beside, the two networks; None leaves a file out.
        change: called with the manifest, a dict, before it is written.
        options: of `manifest`.
    """
    linear = linear or Linear()
    contents = {"encoder.onnx": encoder_model(linear), "decoder.onnx": decoder_model(linear), **(files or {})}
    contents = {file: content for file, content in contents.items() if content is not None}
    content = manifest(linear, contents, **options)
    if change is not None:
        change(content)
    for file, data in contents.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(data)
    write_description(folder, content)
    return linear


def write_description(folder, content):
    """Write bundle.json and its checksum."""
    written = json.dumps(content).encode()
    (folder / "bundle.json").write_bytes(written)
    (folder / "bundle.json.sha256").write_text(f"{hashlib.sha256(written).hexdigest()}  bundle.json\n")
