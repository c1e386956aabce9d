"""A server in a process of its own, and requests to it with the standard library alone."""

import contextlib
import http.client
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
# Not imported: it and tritonclient.grpc, which a test needs, cannot be in one process.
MISSING = [name for name in ("mlserver", "onnx", "tritonclient") if importlib.util.find_spec(name) is None]
needs_mlserver = pytest.mark.skipif(bool(MISSING), reason=f"{''.join(MISSING[:1])} is not installed")
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)]),
    # What MLServer would take from there must not matter.
    "MLSERVER_DEBUG": "1",
    "MLSERVER_HOST": "0.0.0.0",
    "MLSERVER_TRACING_SERVER": "localhost:1",
    "MLSERVER_MODEL_MAX_BATCH_SIZE": "0",
}


class Server:
    """`kerasvae serve` on free ports; a context manager that ends it with SIGTERM and checks that it ends well."""

    def __init__(self, *arguments, program=None):
        self._program = program
        self._arguments = [str(argument) for argument in arguments]
        self.log = []

    def __enter__(self):
        ports = ["--port", "0", "--grpc-port", "0", "--metrics-port", "0"]
        program = self._program or ["-m", "kerasvae", "serve", *ports]
        self.process = subprocess.Popen(
            [sys.executable, *program, *self._arguments],
            env=ENVIRONMENT,
            cwd=Path(self._arguments[0]).parent,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=lambda: self.log.extend(iter(self.process.stderr.readline, "")))
        self._reader.start()
        try:
            line = self.wait_for("REST on ")
        except AssertionError:
            self.end()
            raise
        self.port, self.grpc_port, self.metrics_port = (int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", line))
        return self

    def __exit__(self, kind, *_):
        status = self.end()
        if kind is None:
            assert status == 0, self.log
            assert not any("Traceback" in line for line in self.log), self.log

    def end(self):
        """Stop it, if it runs; its exit status."""
        self.process.terminate()
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self._reader.join()
            self.process.stderr.close()

    def wait_for(self, text, seconds=60.0):
        """The first line of the log with a text in it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for line in list(self.log):
                if text in line:
                    return line
            assert self.process.poll() is None, self.log
            time.sleep(0.02)
        raise AssertionError(f"{text!r} is not in {self.log}")

    def connect(self, port=None):
        return contextlib.closing(http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20))

    def request(self, method, path, body=None, headers=None, port=None):
        """Status, headers and body of one answer."""
        with self.connect(port) as connection:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def get(self, path):
        status, _, body = self.request("GET", path)
        return status, json.loads(body) if body else None

    def infer(self, model, *inputs, version=None, **more):
        """Status and JSON of an inference of (name, datatype, array)s, or of whole inputs."""
        path = f"/v2/models/{model}" + (f"/versions/{version}" if version else "")
        body = json.dumps(
            {"inputs": [described(*tensor) if isinstance(tensor, tuple) else tensor for tensor in inputs], **more}
        )
        status, _, answer = self.request("POST", f"{path}/infer", body, {"Content-Type": "application/json"})
        return status, json.loads(answer)

    def metrics(self):
        return self.request("GET", "/metrics", port=self.metrics_port)[2].decode()

    def listening(self):
        """The addresses, in hexadecimal, and ports that the process listens on."""
        folder = Path(f"/proc/{self.process.pid}")
        sockets = {os.readlink(file) for file in (folder / "fd").iterdir()}
        found = set()
        for table in ("tcp", "tcp6"):
            for line in (folder / "net" / table).read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == "0A" and f"socket:[{inode}]" in sockets:
                    address, port = local.split(":")
                    found.add((address, int(port, 16)))
        return found

    def memory(self):
        """Resident bytes of the process."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")


def described(name, datatype, array):
    array = np.asarray(array)
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": array.ravel().tolist()}


def outputs(answer):
    """{name: array} of an inference's JSON."""
    return {output["name"]: np.reshape(output["data"], output["shape"]) for output in answer["outputs"]}
