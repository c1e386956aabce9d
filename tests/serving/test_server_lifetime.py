"""How `kerasvae serve` starts, follows its bundles on disk, and stops."""

import json
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from serving.server_process import ENVIRONMENT, Server, described, needs_mlserver, outputs
from serving.small_bundles import SHAPE, Linear, encoder_model, write_bundle

pytestmark = needs_mlserver

FIRST, SECOND = Linear(), Linear(seed=2)
IMAGE = np.random.default_rng(6).integers(0, 256, (1, *SHAPE), dtype=np.uint8)
BODY = json.dumps({"inputs": [described("image", "UINT8", IMAGE)]}).encode()


def mean(server, version=None):
    status, answer = server.infer("small", ("image", "UINT8", IMAGE), version=version)
    assert status == 200, answer
    return outputs(answer)["mean"]


def wait_until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def batches(server):
    """How many the encoder has computed."""
    return float(re.search(r'kerasvae_batch_size_count\{model="small",version="1"\} (\S+)', server.metrics())[1])


def test_a_bundle_replaced_on_disk(tmp_path):
    folder = tmp_path / "bundle"
    write_bundle(folder, FIRST)
    with Server(folder, "--watch", 0.1, "--batch-delay-ms", 100) as server:
        answered, stop = [], threading.Event()

        def ask():
            while not stop.is_set():
                answered.append(server.infer("small", ("image", "UINT8", IMAGE))[0])

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            np.testing.assert_allclose(mean(server), FIRST.mean(IMAGE), atol=1e-5)

            # Copied over file by file, and not all of it yet.
            (folder / "encoder.onnx").write_bytes(encoder_model(SECOND)[:-100])
            assert "the bundle loaded before goes on answering" in server.wait_for("encoder.onnx is cut short")
            np.testing.assert_allclose(mean(server), FIRST.mean(IMAGE), atol=1e-5)
            write_bundle(folder, SECOND)
            server.wait_for("was replaced: small version 1")
            np.testing.assert_allclose(mean(server, "1"), SECOND.mean(IMAGE), atol=1e-5)

            (folder / "bundle.json").write_text("{")
            server.wait_for("bundle.json is damaged")
            np.testing.assert_allclose(mean(server), SECOND.mean(IMAGE), atol=1e-5)

            before = batches(server)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _: mean(server), range(16)))
            assert batches(server) - before < 12  # still computed together

            # Replaced whole, by another version.
            write_bundle(tmp_path / "next", FIRST, version="2")
            folder.rename(tmp_path / "aside")
            server.wait_for("there is no such folder")
            (tmp_path / "next").rename(folder)
            server.wait_for("was replaced: small version 2")
            np.testing.assert_allclose(mean(server), FIRST.mean(IMAGE), atol=1e-5)
            assert server.get("/v2/models/small/versions/1/ready")[0] == 404
            assert server.get("/v2/models/small-traverse")[1]["versions"] == ["2"]
            shutil.rmtree(folder)
            time.sleep(0.3)
            np.testing.assert_allclose(mean(server, "2"), FIRST.mean(IMAGE), atol=1e-5)
        finally:
            stop.set()
            asking.join()
        assert set(answered) == {200}
        assert sum("cut short" in line for line in server.log) == 1


def test_a_replacement_that_takes_the_name_of_another(tmp_path):
    write_bundle(tmp_path / "a", FIRST)
    write_bundle(tmp_path / "b", SECOND, name="other")
    with Server(tmp_path / "a", tmp_path / "b", "--watch", 0.1, "--no-batching") as server:
        write_bundle(tmp_path / "b", SECOND)
        server.wait_for("small version 1 is served from")
        np.testing.assert_allclose(mean(server), FIRST.mean(IMAGE), atol=1e-5)
        assert server.get("/v2/models/other/ready")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_accepted_requests_are_answered_before_the_end(tmp_path, number):
    import tritonclient.grpc

    write_bundle(tmp_path / "a", FIRST)
    # Requests wait this long for others, so that the signal comes while they are being worked on.
    with Server(tmp_path / "a", "--batch-delay-ms", 1000) as server:
        head = b"POST /v2/models/small/infer HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(BODY)
        # Of the first ten all has arrived when the signal comes, of the next ten a part; the last ten asked nothing.
        connections = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(30)]
        client = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{server.grpc_port}")
        for connection in connections[10:20]:
            connection.sendall(head + BODY[:20])
        wait_until(
            lambda: 'rest_server_requests_in_progress{app_name="mlserver",method="POST"} 10.0' in server.metrics()
        )
        for connection in connections[:10]:
            connection.sendall(head + BODY)
        tensor = tritonclient.grpc.InferInput("image", IMAGE.shape, "UINT8")
        tensor.set_data_from_numpy(IMAGE)
        found, errors = [], []
        for _ in range(10):
            client.async_infer("small", [tensor], lambda result, error: (errors if error else found).append(error))
        wait_until(
            lambda: 'rest_server_requests_in_progress{app_name="mlserver",method="POST"} 20.0' in server.metrics()
        )
        wait_until(lambda: re.search(r'grpc_server_started_total\{grpc_method="ModelInfer".* 10.0', server.metrics()))
        server.process.send_signal(number)
        server.wait_for("stopping")
        for connection in connections[10:20]:
            connection.sendall(BODY[20:])
        for connection in connections[:20]:
            answer = b""
            while part := connection.recv(65536):
                answer += part
            assert answer.startswith(b"HTTP/1.1 200")
            codes = outputs(json.loads(answer.partition(b"\r\n\r\n")[2]))
            np.testing.assert_allclose(codes["mean"], FIRST.mean(IMAGE), atol=1e-5)
        for connection in connections[20:]:
            assert connection.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
        wait_until(lambda: len(found) + len(errors) == 10)
        assert not errors
        client.close()
        for connection in connections:
            connection.close()
        assert server.process.wait(20) == 0
        assert "stopped" in server.log[-1]


FEW = """
import sys
from kerasvae.serving.server.server import serve
from kerasvae.serving.server.settings import Limits
serve(sys.argv[1:2], version="0", port=0, grpc_port=0, metrics_port=0, batch_delay=1.0, watch=0.0,
      limits=Limits(body=2000, requests=4, held_bodies=2, patience=2.0))
"""


def test_more_than_the_server_takes_on(tmp_path):
    write_bundle(tmp_path / "a", FIRST)
    with Server(tmp_path / "a", program=["-c", FEW]) as server:
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: server.request("POST", "/v2/models/small/infer", BODY), range(12)))
        assert sorted({status for status, _, _ in answers}) == [200, 503]
        assert [status for status, _, _ in answers].count(200) == 4
        for status, headers, answer in answers:
            if status == 503:
                assert headers["Retry-After"] == "1"
                assert "try again" in json.loads(answer)["error"]
        head = b"POST /v2/models/small/infer HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n"
        slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
        for connection in slow:
            connection.sendall(head + b" " * 1500)
        # Whichever came last finds no room for its body.
        refused = [connection for connection in slow if readable(connection, 1.0)]
        assert len(refused) == 1
        assert b"503" in refused[0].recv(1000)
        for connection in slow:
            connection.close()
        wait_until(lambda: server.request("POST", "/v2/models/small/infer", BODY)[0] == 200)


def readable(connection, seconds):
    return bool(select.select([connection], [], [], seconds)[0])


def test_what_cannot_be_served(tmp_path):
    write_bundle(tmp_path / "a", FIRST)
    write_bundle(tmp_path / "b", SECOND)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        for process, message in [
            (start(tmp_path, "a", "b"), "small version 1 is served from"),
            (start(tmp_path, "a", "--port", number), f"--port: cannot listen on 127.0.0.1 port {number}"),
            (start(tmp_path, "a", "--grpc-port", number), f"--grpc-port: cannot listen on 127.0.0.1 port {number}"),
        ]:
            _, said = process.communicate(timeout=60)
            assert process.returncode == 2
            assert message in said
            assert "kerasvae: error: " in said
            assert "Traceback" not in said


def start(folder, *arguments):
    command = [sys.executable, "-m", "kerasvae", "serve"]
    ports = ["--port", "0", "--grpc-port", "0", "--metrics-port", "0"]
    given = [*ports, *map(str, arguments)]
    return subprocess.Popen([*command, *given], env=ENVIRONMENT, cwd=folder, stderr=subprocess.PIPE, text=True)
