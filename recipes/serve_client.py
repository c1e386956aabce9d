"""A running `kerasvae serve`, asked by the protocol's own client library over REST and over gRPC.

    make serve                                          # in another terminal
    .venv-serve/bin/python recipes/serve_client.py [--bundle runs/quickstart/bundle]

Encodes the bundle's test images, decodes their codes and traverses each latent of the first, once with each transport;
prints what it got, and fails where it is not what the bundle says it should be. Needs no kerasvae, only tritonclient.
"""

import argparse
import base64
import json
import sys
import time
from pathlib import Path

import numpy as np
import tritonclient.grpc
import tritonclient.http

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--bundle", type=Path, default=Path("runs/quickstart/bundle"), help="one that is served")
parser.add_argument("--http", default="127.0.0.1:8080", metavar="HOST:PORT")
parser.add_argument("--grpc", default="127.0.0.1:8081", metavar="HOST:PORT")
arguments = parser.parse_args()
if not (arguments.bundle / "bundle.json").is_file():
    parser.error(f"--bundle: {str(arguments.bundle)!r} holds no bundle.json; python recipes/quickstart.py writes one")

bundle = json.loads((arguments.bundle / "bundle.json").read_text(encoding="utf-8"))
name, version, test = bundle["name"], bundle["version"], bundle["test"]


def array(packed, dtype):
    return np.frombuffer(base64.b64decode(packed["base64"]), dtype).reshape(packed["shape"])


def infer(transport, client, model, **arrays):
    """Outputs of a model, {name: array}, with the milliseconds that they took."""
    datatypes = {"uint8": "UINT8", "float32": "FP32", "int64": "INT64"}
    inputs = [transport.InferInput(key, value.shape, datatypes[str(value.dtype)]) for key, value in arrays.items()]
    for tensor, value in zip(inputs, arrays.values(), strict=True):
        tensor.set_data_from_numpy(value)
    start = time.perf_counter()
    result = client.infer(model, inputs, version)
    milliseconds = (time.perf_counter() - start) * 1000
    names = [output["name"] for output in result.get_response(**as_json)["outputs"]]
    return {key: result.as_numpy(key) for key in names}, milliseconds


def check(what, found, expected, tolerance):
    difference = np.abs(np.asarray(found, float) - expected).max()
    print(f"    {what}: largest difference from the bundle's {difference:.2g}, allowed {tolerance:.2g}")
    if not difference <= tolerance:
        sys.exit(f"{what} is not what the bundle says")


images, decoded = array(test["image"], np.uint8), array(test["decoded"], "<f4")
for transport, address in ((tritonclient.http, arguments.http), (tritonclient.grpc, arguments.grpc)):
    as_json = {"as_json": True} if transport is tritonclient.grpc else {}
    client = transport.InferenceServerClient(address)
    if not client.is_model_ready(name, version):
        sys.exit(f"{address} does not serve {name} version {version}")
    print(f"{transport.__name__}: {name} version {version} on {address}")

    codes, milliseconds = infer(transport, client, name, image=images)
    print(f"  {name}: {len(images)} images to {codes['mean'].shape[1]} latents in {milliseconds:.1f} ms")
    for key in ("mean", "logvar"):
        expected = np.array(test[key])
        check(key, codes[key], expected, test["tolerance"] * (1 + np.abs(expected).max()))

    pictures, milliseconds = infer(transport, client, f"{name}-decode", latents=np.array(test["latents"], np.float32))
    print(f"  {name}-decode: {len(pictures['image'])} codes to images in {milliseconds:.1f} ms")
    check("image, rounded to whole levels", pictures["image"], decoded, 0.5 + 256 * test["tolerance"])

    start, values = codes["mean"][:1], np.linspace(-2, 2, 9, dtype=np.float32)
    for latent in bundle["latent_summary"]:
        index = np.array([latent["index"]])
        pictures, _ = infer(transport, client, f"{name}-traverse", latents=start, latent=index, values=values)
        change = np.abs(np.diff(pictures["image"].astype(float), axis=0)).mean()
        print(f"  {name}-traverse: {latent['name']} from -2 to 2 changes {change:.2f} levels a pixel and step")
    client.close()
print("all as the bundle says")
