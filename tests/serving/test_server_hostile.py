"""What clients get wrong, by accident or on purpose: each gets a clear refusal, and the next request an answer."""

import gzip
import json
import socket
import struct
import time
import zlib

import numpy as np
import pytest
from serving.bad_requests import BAD_BODIES, BAD_DECODES, BAD_INPUTS, BAD_TRAVERSALS, IMAGE, PIXELS, image
from serving.server_process import Server, needs_mlserver, outputs
from serving.small_bundles import SHAPE, Linear, write_bundle

pytestmark = needs_mlserver

NETWORK = Linear()
JSON = {"Content-Type": "application/json"}
MIB = 2**20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    write_bundle(folder / "a", NETWORK)
    with Server(folder / "a", "--max-batch", 8, "--max-body-mib", 1, "--patience", 0.5) as running:
        yield running


@pytest.fixture(autouse=True)
def next_request_is_answered(request):
    yield
    server = request.getfixturevalue("server")
    status, answer = server.infer("small", ("image", "UINT8", IMAGE))
    assert status == 200
    np.testing.assert_allclose(outputs(answer)["mean"], NETWORK.mean(IMAGE), atol=1e-5)


@pytest.mark.parametrize("inputs, message", BAD_INPUTS.values(), ids=BAD_INPUTS)
def test_inputs(server, inputs, message):
    status, answer = server.infer("small", *inputs)
    assert status == 400
    assert message in answer["error"].replace("'", "")
    assert len(answer["error"]) < 500


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_bodies(server, body):
    status, headers, answer = server.request("POST", "/v2/models/small/infer", body, JSON)
    assert status == 400
    assert headers["Content-Type"] == "application/json"
    assert 0 < len(json.loads(answer)["error"]) < 500


@pytest.mark.parametrize("tensor, message", BAD_DECODES.values(), ids=BAD_DECODES)
def test_binary_tensors(server, tensor, message):
    datatype, data = tensor
    head = {"name": "latents", "shape": [1, 3], "datatype": datatype, "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [head]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    status, _, answer = server.request("POST", "/v2/models/small-decode/infer", head + data, headers)
    assert status == 400
    assert message in json.loads(answer)["error"]


@pytest.mark.parametrize(
    "length, size",
    [("", 72), ("-1", 72), ("ten", 72), ("9" * 30, 72), ("100000", 72), ("5", 72), (None, 71), (None, 73), (None, -72)]
    + [(None, "72"), (None, None), (None, 10**18), (None, 72.0), (None, True)],
)
def test_lengths_of_the_binary_extension(server, length, size):
    head = {"name": "image", "shape": [1, *SHAPE], "datatype": "UINT8", "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [head]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)) if length is None else length}
    status, _, answer = server.request("POST", "/v2/models/small/infer", head + IMAGE.tobytes(), headers)
    assert status == 400
    assert json.loads(answer)["error"]


@pytest.mark.parametrize("inputs, message", BAD_TRAVERSALS.values(), ids=BAD_TRAVERSALS)
def test_traversals(server, inputs, message):
    status, answer = server.infer("small-traverse", *inputs)
    assert status == 400
    assert message in answer["error"]


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/v2/models/nothing", 404),
        ("GET", "/v2/models/small/versions/2", 404),
        ("GET", "/v2/models/nothing/ready", 404),
        ("POST", "/v2/models/nothing/infer", 404),
        ("POST", "/v2/models/small/versions/2/infer", 404),
        ("GET", "/v2/models/../../../etc/passwd", 404),
        ("GET", "/v2/models/..%2f..%2f..%2fetc%2fpasswd/ready", 404),
        ("GET", "/v2/models/%00/ready", 404),
        ("GET", "/v2/models/%ff%fe/ready", 404),
        ("GET", "/v2/models//ready", 404),
        ("GET", f"/v2/models/{'a' * 5000}/ready", 404),
        ("GET", "/", 404),
        ("GET", "/docs", 404),
        ("GET", "/v2/docs", 404),
        ("GET", "/v2/models/small/infer", 405),
        ("DELETE", "/v2/models/small", 405),
        ("INVENTED", "/v2/models/small", 405),
        ("POST", "/v2/models/small/generate", 404),
        ("POST", "/v2/models/small/infer_stream", 404),
        ("POST", "/v2/repository/models/small/unload", 403),
        ("POST", "/v2/repository/models/small/load", 403),
        ("POST", "/v2/repository/models/..%2f/load", 404),
        ("POST", "/v2/models/small/infer/", 404),
    ],
)
def test_paths_and_methods(server, method, path, status):
    found, headers, answer = server.request(method, path, b"{}" if method == "POST" else None, JSON)
    assert found == status
    assert headers["Content-Type"] == "application/json"
    assert 0 < len(json.loads(answer)["error"]) < 500


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Content-Type": "image/png"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
        ({"Content-Encoding": "br"}, 415),
        ({"Content-Encoding": "gzip"}, 400),
    ],
)
def test_types_and_encodings(server, headers, status):
    body = json.dumps({"inputs": [image()]})
    found, _, answer = server.request("POST", "/v2/models/small/infer", body, headers)
    assert found == status
    assert status == 200 or json.loads(answer)["error"]


def test_a_compressed_body_cut_short(server):
    body = gzip.compress(json.dumps({"inputs": [image()]}).encode())[:-12]
    status, _, answer = server.request("POST", "/v2/models/small/infer", body, {"Content-Encoding": "gzip"})
    assert status == 400
    assert "ends too soon" in json.loads(answer)["error"]


def test_a_compressed_body_that_goes_on_after_its_end(server):
    body = gzip.compress(json.dumps({"inputs": [image()]}).encode())
    status, _, answer = server.request("POST", "/v2/models/small/infer", body + b"more", {"Content-Encoding": "gzip"})
    assert status == 400
    assert "goes on" in json.loads(answer)["error"]
    # Empty blocks, which give no bytes however many come.
    empty = zlib.compressobj(wbits=31)
    body = empty.compress(b"{") + b"".join(empty.flush(zlib.Z_FULL_FLUSH) for _ in range(3))
    block = body[-5:] * 13107
    head = HEAD + b"Connection: close\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in [body] + [block] * 17]
    assert raw(server, head + b"".join(chunks)).startswith(b"HTTP/1.1 413")


def test_a_compressed_body_that_is_huge(server):
    bomb = gzip.compress(bytes(500 * MIB), compresslevel=1)[: MIB - 1]
    before = server.memory()
    status, _, _ = server.request("POST", "/v2/models/small/infer", bomb, {"Content-Encoding": "gzip"})
    assert status == 413
    assert server.memory() - before < 20 * MIB


def test_a_body_too_large(server):
    status, _, answer = server.request("POST", "/v2/models/small/infer", b" " * (MIB + 1), JSON)
    assert status == 413
    assert json.loads(answer)["error"] == "the body must be at most 1048576 bytes"
    status, _, _ = server.request("POST", "/v2/models/small/infer", b" " * MIB, JSON)
    assert status == 400


def raw(server, sent, seconds=10.0):
    """What a connection answers to some bytes until it is closed."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as connection:
        connection.sendall(sent)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


HEAD = b"POST /v2/models/small/infer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


def test_a_refusal_reaches_clients_that_send_everything_first(server):
    body = b" " * (8 * MIB)
    answer = raw(server, HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 413") and answer.endswith(b'the body must be at most 1048576 bytes"}')


@pytest.mark.parametrize(
    "shape, datatype, data, message",
    [
        (b"1, 4, 6, 3", b"UINT8", b"[]," * 300_000 + b"[]", "is 72 values, got 300001"),
        (b"1, 4, 6, 3", b"UINT8", b"[" + b"0," * 300_000 + b"0]", "flat or nested as the shape [1, 4, 6, 3] is"),
        (b"1," * 500_000 + b"1", b"UINT8", b"1", "1 to 8 sizes, each at least 1, got [1, 1, 1, 1, 1, 1, 1, 1, 1]"),
        (b"200000", b"BYTES", b'"",' * 199_999 + b'""', "must have shape [1 to 8, 4, 6, 3], got [200000]"),
    ],
    ids=["lists", "a row", "sizes", "texts"],
)
def test_refused_before_all_of_it_is_looked_at(server, shape, datatype, data, message):
    body = b'{"inputs": [{"name": "image", "shape": [%b], "datatype": "%b", "data": [%b]}]}' % (shape, datatype, data)
    status, _, answer = server.request("POST", "/v2/models/small/infer", body, JSON)
    assert status == 400
    assert message in json.loads(answer)["error"]


def test_a_body_too_large_in_chunks(server):
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    answer = raw(server, HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 17 + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("length", ["10000000000", "9" * 19, "9" * 30])
def test_a_body_declared_huge_is_refused_before_it_is_sent(server, length):
    answer = raw(server, HEAD + f"Connection: close\r\nContent-Length: {length}\r\n\r\n".encode())
    assert answer.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /v2\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n{}",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["TLS", "HTTP/0.9", "no host", "a negative length", "two lengths", "bad chunk"],
)
def test_what_is_no_http(server, sent):
    assert raw(server, sent).startswith(b"HTTP/1.1 400")


def test_headers_without_end(server):
    try:
        answer = raw(server, b"GET /v2 HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 200_000)
    except ConnectionError:  # closed before all of them were sent
        return
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("sent", [b"", b"POST /v2/models/small/infer HT", HEAD])
def test_slow_headers_are_not_waited_for(server, sent):
    assert raw(server, sent) == b""


def test_a_slow_body_is_not_waited_for(server):
    answer = raw(server, HEAD + b"Connection: close\r\nContent-Length: 1000\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"too slowly" in answer


def test_slow_connections_do_not_keep_others_waiting(server):
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    for connection in slow:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
    start = time.monotonic()
    assert server.infer("small", ("image", "UINT8", IMAGE))[0] == 200
    assert time.monotonic() - start < 5
    for connection in slow:
        connection.close()


def test_dropped_connections(server):
    body = json.dumps({"inputs": [image()]}).encode()
    for sent in (HEAD + b"Content-Length: 1000\r\n\r\n{", HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body):
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                # A reset instead of an orderly end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.sendall(sent)


def test_grpc(server):
    import grpc
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    def request(**changes):
        tensor = {"name": "image", "datatype": "UINT8", "shape": [1, *SHAPE], **changes}
        contents = tensor.pop("contents", None)
        message = service_pb2.ModelInferRequest(model_name=tensor.pop("model", "small"))
        message.inputs.add(**tensor)
        if contents is not None:
            message.inputs[0].contents.MergeFrom(service_pb2.InferTensorContents(**contents))
        return message

    def with_raw(*raw, **changes):
        message = request(**changes)
        message.raw_input_contents.extend(raw)
        return message

    data = IMAGE.tobytes()
    asking = [with_raw(data), with_raw(data)]
    asking[0].outputs.add(name="mean").parameters["classification"].int64_param = 1
    asking[1].inputs[0].parameters["shared_memory_region"].string_param = "a"
    bad = {
        grpc.StatusCode.INVALID_ARGUMENT: [
            request(),
            request(contents={"int_contents": PIXELS}),
            request(contents={"uint_contents": [256, *PIXELS[1:]]}),
            request(contents={"uint_contents": PIXELS, "fp32_contents": [1.0]}),
            request(contents={"uint_contents": PIXELS * 1000}),
            with_raw(data, contents={"uint_contents": PIXELS}),
            with_raw(data, shape=[1] * 1000),
            with_raw(b"", datatype="BYTES", shape=[10**6]),
            *asking,
            with_raw(data[:-1]),
            with_raw(data, data),
            with_raw(data, shape=[]),
            with_raw(data, shape=[-1, *SHAPE]),
            with_raw(data, shape=[2**62, 2**62]),
            with_raw(data, shape=[0, *SHAPE]),
            with_raw(data, name="picture"),
            with_raw(data, datatype="UINT7"),
            with_raw(data, datatype="BYTES"),
            with_raw(b"\xff\xff\xff\xff", datatype="BYTES", shape=[1]),
            with_raw(data * 9, shape=[9, *SHAPE]),
        ],
        grpc.StatusCode.NOT_FOUND: [with_raw(data, model="nothing"), with_raw(data, model="../../etc/passwd")],
        grpc.StatusCode.RESOURCE_EXHAUSTED: [with_raw(bytes(2 * MIB))],
    }
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for code, messages in bad.items():
            for message in messages:
                with pytest.raises(grpc.RpcError) as error:
                    stub.ModelInfer(message, timeout=10)
                assert error.value.code() == code, message
                assert error.value.details()
                assert "Traceback" not in error.value.details()
        unreadable = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for call, message, code in (
            (unreadable, b"\xff\xff", "INVALID_ARGUMENT"),
            (lambda message, timeout: list(stub.ModelStreamInfer(iter([message]))), with_raw(data), "UNIMPLEMENTED"),
            (stub.ModelReady, service_pb2.ModelReadyRequest(name="nothing"), "NOT_FOUND"),
            (stub.ModelMetadata, service_pb2.ModelMetadataRequest(name="nothing"), "NOT_FOUND"),
            (
                stub.RepositoryModelUnload,
                service_pb2.RepositoryModelUnloadRequest(model_name="small"),
                "PERMISSION_DENIED",
            ),
            (stub.RepositoryModelLoad, service_pb2.RepositoryModelLoadRequest(model_name="small"), "PERMISSION_DENIED"),
            (stub.ModelConfig, service_pb2.ModelConfigRequest(name="small"), "UNIMPLEMENTED"),
        ):
            with pytest.raises(grpc.RpcError) as error:
                call(message, timeout=10)
            assert error.value.code().name == code
        # A client that gives up must not leave others of its batch without an answer.
        given_up = [stub.ModelInfer.future(with_raw(data), timeout=10) for _ in range(10)]
        kept = [stub.ModelInfer.future(with_raw(data), timeout=10) for _ in range(10)]
        for future in given_up:
            future.cancel()
        for future in kept:
            assert np.frombuffer(future.result().raw_output_contents[0], "<f4").shape == (3,)


def test_inventions_do_not_fill_the_metrics_or_the_memory(server):
    lines, before = server.metrics().count("\n"), server.memory()
    with server.connect() as connection:
        for number in range(300):
            for method, path in (("POST", f"/v2/models/invented{number}/infer"), (f"M{number}", f"/v2/{number}")):
                connection.request(method, path, json.dumps({"inputs": [image(name=f"n{number}")]}), JSON)
                connection.getresponse().read()
    assert server.metrics().count("\n") - lines < 50
    assert server.memory() - before < 20 * MIB
