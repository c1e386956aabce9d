"""How much a server of a bundle answers, how fast, and in how much memory: a bounded load on this machine.

    .venv-serve/bin/python recipes/bench_serve.py [--bundle runs/quickstart/bundle] [--minutes 1] [--images 1]

Starts `kerasvae serve` with batching and again without, and lets 1, 4, 16 and 32 clients ask it as fast as it answers,
over REST with JSON and with bytes, and over gRPC. A client is a thread that keeps one connection and sends a request
made once. Prints requests a second, the median and 99th percentile of their times, and the server's resident memory
after each line. Clients and server share the processors, as they would not in production.
"""

import argparse
import base64
import http.client
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("--bundle", type=Path, default=Path("runs/quickstart/bundle"))
parser.add_argument("--minutes", type=float, default=1.0, help="of all measurements together (default 1)")
parser.add_argument("--images", type=int, default=1, help="of a request (default 1)")
parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 32], help="at most 32 (default 1 4 16 32)")
parser.add_argument("--out", type=Path, help="JSON file for the figures")
arguments = parser.parse_args()
if not all(1 <= clients <= 32 for clients in arguments.clients):
    parser.error("--clients: each from 1 to 32")
if not (arguments.bundle / "bundle.json").is_file():
    parser.error(f"--bundle: {str(arguments.bundle)!r} holds no bundle.json; python recipes/quickstart.py writes one")

bundle = json.loads((arguments.bundle / "bundle.json").read_text(encoding="utf-8"))
packed = bundle["test"]["image"]
image = np.frombuffer(base64.b64decode(packed["base64"]), np.uint8).reshape(packed["shape"])
images = np.resize(image, (arguments.images, *image.shape[1:]))


def rest_body(binary):
    """Body and headers of a request, made once."""
    tensor = {"name": "image", "shape": images.shape, "datatype": "UINT8"}
    wanted = [{"name": "mean", "parameters": {"binary_data": binary}}]
    if not binary:
        return json.dumps({"inputs": [{**tensor, "data": images.ravel().tolist()}], "outputs": wanted}).encode(), {}
    tensor["parameters"] = {"binary_data_size": images.nbytes}
    head = json.dumps({"inputs": [tensor], "outputs": wanted}).encode()
    return head + images.tobytes(), {"Inference-Header-Content-Length": str(len(head))}


def connect(transport, port):
    """A function that asks once, on one connection."""
    if transport == "gRPC":
        import grpc
        from tritonclient.grpc import service_pb2, service_pb2_grpc

        message = service_pb2.ModelInferRequest(model_name=bundle["name"], raw_input_contents=[images.tobytes()])
        message.inputs.add(name="image", shape=images.shape, datatype="UINT8")
        message.outputs.add(name="mean")
        stub = service_pb2_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(f"127.0.0.1:{port}"))
        return lambda: stub.ModelInfer(message)
    body, headers = rest_body(transport == "REST, bytes")
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask():
        connection.request("POST", f"/v2/models/{bundle['name']}/infer", body, headers)
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise RuntimeError(f"{transport}: status {response.status}")

    return ask


def load(transport, port, clients, seconds):
    """The seconds that each answer took, of all clients."""

    def client(_):
        ask = connect(transport, port)
        ask()
        taken, end = [], time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            ask()
            taken.append(time.perf_counter() - start)
        return taken

    with ThreadPoolExecutor(clients) as pool:
        return np.concatenate(list(pool.map(client, range(clients))))


def memory(server):
    """MiB that the server's process holds."""
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def start_server(batching):
    """A server on free ports, and the ports of REST and gRPC."""
    ports = ["--port", "0", "--grpc-port", "0", "--metrics-port", "0", "--watch", "0"]
    command = [sys.executable, "-m", "kerasvae", "serve", str(arguments.bundle), *ports]
    server = subprocess.Popen(command + ["--no-batching"] * (not batching), stderr=subprocess.PIPE, text=True)
    for line in server.stderr:
        if "REST on" in line:
            rest, grpc, _ = re.findall(r":(\d+)", line[line.index("REST on") :])
            return server, int(rest), int(grpc)
    sys.exit("the server did not start; see what kerasvae serve says")


transports = ("REST, JSON", "REST, bytes", "gRPC")
seconds = arguments.minutes * 60 / (2 * len(transports) * len(arguments.clients))
names = ("batching", "transport", "clients", "requests_per_second", "p50_ms", "p99_ms", "mib", "minute")
rows, begin = [], time.perf_counter()
print(f"{arguments.images} image(s) a request, {seconds:.1f} s a line, {os.cpu_count()} processors")
print("batching transport    clients  requests/s   p50 ms   p99 ms  server MiB  minute", flush=True)
for batching in (True, False):
    server, rest, grpc = start_server(batching)
    try:
        for transport in transports:
            for clients in arguments.clients:
                taken = load(transport, grpc if transport == "gRPC" else rest, clients, seconds)
                half, most = np.percentile(taken, [50, 99]) * 1000
                row = ["on" if batching else "off", transport, clients, len(taken) / seconds, half, most]
                rows.append([*row, memory(server), (time.perf_counter() - begin) / 60])
                print("{:<9}{:<13}{:>7}{:>12.0f}{:>9.2f}{:>9.2f}{:>12.0f}{:>8.1f}".format(*rows[-1]), flush=True)
    finally:
        server.terminate()
        server.wait()
if arguments.out is not None:
    arguments.out.write_text(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
