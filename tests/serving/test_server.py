"""`kerasvae serve` as its clients see it: the protocol over REST and gRPC."""

import gzip
import importlib
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from serving.server_process import Server, described, needs_mlserver, outputs
from serving.small_bundles import LATENTS, SHAPE, Linear, decoder_model, write_bundle

pytestmark = needs_mlserver

FIRST, SECOND, OTHER = Linear(), Linear(seed=2), Linear((8, 8, 1), 2)
OTHER.directions /= 32  # its images need no clipping, and its decoder, below, does none
IMAGES = np.random.default_rng(3).integers(0, 256, (5, *SHAPE), dtype=np.uint8)
CODES = np.float32([[0, 0, 0], [1, -0.5, 0.25]])


def unclipped(decoder):
    """A decoder that gives no numbers for latents that are too large."""
    import onnx

    model = onnx.load_model_from_string(decoder)
    (clip,) = [node for node in model.graph.node if node.op_type == "Clip"]
    clip.op_type = "Identity"
    del clip.input[1:]
    return model.SerializeToString()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    write_bundle(folder / "a", FIRST)
    write_bundle(folder / "b", SECOND, version="10")
    files = {"decoder.onnx": unclipped(decoder_model(OTHER))}
    write_bundle(folder / "c", OTHER, files=files, name="other", version="beta", with_data=False)
    with Server(folder / "a", folder / "b", folder / "c", "--max-batch", 32) as running:
        yield running


def test_health(server):
    assert server.get("/v2/health/live") == (200, None)
    assert server.get("/v2/health/ready") == (200, None)
    for path in ("small", "small/versions/1", "small-decode", "other-traverse/versions/beta"):
        assert server.get(f"/v2/models/{path}/ready") == (200, None)


def test_it_listens_on_its_three_ports_of_this_machine_alone(server):
    listening = server.listening()
    # gRPC binds the address as IPv6 sees it.
    assert {address for address, _ in listening} <= {"0100007F", "0000000000000000FFFF00000100007F"}
    assert {port for _, port in listening} == {server.port, server.grpc_port, server.metrics_port}


def test_metadata_of_the_server(server):
    status, metadata = server.get("/v2")
    assert status == 200
    assert metadata["name"] == "kerasvae"
    assert metadata["extensions"] == ["binary_tensor_data"]


def test_metadata_of_the_models(server):
    status, metadata = server.get("/v2/models/small")
    assert status == 200
    assert metadata["versions"] == ["1", "10"]
    assert metadata["inputs"][0]["datatype"] == "UINT8"
    assert metadata["inputs"][0]["shape"] == [-1, *SHAPE]
    shapes = {output["name"]: (output["datatype"], output["shape"]) for output in metadata["outputs"]}
    latents = [-1, LATENTS]
    assert shapes == {"mean": ("FP32", latents), "logvar": ("FP32", latents), "outside": ("BOOL", latents)}
    described_latents = metadata["parameters"]["latents"]
    assert [latent["name"] for latent in described_latents] == ["z0", "z1", "z2"]
    assert described_latents[0]["factor"] == {"name": "x", "mutual_information": 0.4, "share": 0.2, "sign": -1}
    assert set(described_latents[1]["quantiles"]) >= set(metadata["parameters"]["range_quantiles"])
    assert metadata["parameters"]["version"] == "10"
    assert server.get("/v2/models/small/versions/1")[1]["parameters"]["version"] == "1"
    _, metadata = server.get("/v2/models/other-traverse")
    assert {tensor["name"]: tensor["shape"] for tensor in metadata["inputs"]} == {
        "image": [1, 8, 8, 1],
        "latents": [1, 2],
        "latent": [1],
        "values": [-1],
    }


def test_encode(server):
    status, answer = server.infer("small", ("image", "UINT8", IMAGES), version="1", id="mine")
    assert status == 200
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("small", "1", "mine")
    found = outputs(answer)
    np.testing.assert_allclose(found["mean"], FIRST.mean(IMAGES), atol=1e-5)
    np.testing.assert_allclose(found["logvar"], FIRST.logvar(IMAGES), atol=1e-5)
    quantiles = [
        latent["quantiles"] for latent in server.get("/v2/models/small/versions/1")[1]["parameters"]["latents"]
    ]
    low, high = ([latent[end] for latent in quantiles] for end in ("0.001", "0.999"))
    np.testing.assert_array_equal(found["outside"], (found["mean"] < low) | (found["mean"] > high))


def test_the_newest_version_answers_unless_one_is_named(server):
    _, answer = server.infer("small", ("image", "UINT8", IMAGES))
    assert answer["model_version"] == "10"
    np.testing.assert_allclose(outputs(answer)["mean"], SECOND.mean(IMAGES), atol=1e-5)


def test_data_may_be_nested_and_pixels_may_be_floats(server):
    nested = {"name": "image", "datatype": "FP32", "shape": list(IMAGES.shape), "data": (IMAGES * 0.999).tolist()}
    status, answer = server.infer("small", nested)
    assert status == 200
    np.testing.assert_allclose(outputs(answer)["mean"], SECOND.mean(np.rint(IMAGES * 0.999)), atol=1e-5)


def test_a_bundle_without_data_flags_nothing(server):
    images = np.zeros((1, 8, 8, 1), np.uint8)
    _, answer = server.infer("other", ("image", "UINT8", images))
    assert set(outputs(answer)) == {"mean", "logvar"}


def test_only_the_outputs_asked_for_are_returned(server):
    _, answer = server.infer("small", ("image", "UINT8", IMAGES), outputs=[{"name": "logvar"}])
    assert set(outputs(answer)) == {"logvar"}


def test_decode(server):
    status, answer = server.infer("small-decode", ("latents", "FP32", CODES), version="1")
    assert status == 200
    assert answer["outputs"][0]["datatype"] == "UINT8"
    np.testing.assert_array_equal(outputs(answer)["image"], np.rint(FIRST.decode(CODES)))


@pytest.mark.parametrize("latent", [("latent", "INT64", [2]), ("latent", "BYTES", ["z2"])])
def test_traverse(server, latent):
    values = [-1.0, 0.0, 2.0]
    expected = np.repeat(CODES[1:], 3, axis=0)
    expected[:, 2] = values
    inputs = [("latents", "FP32", CODES[1:]), latent, ("values", "FP32", values)]
    status, answer = server.infer("small-traverse", *inputs, version="1")
    assert status == 200
    np.testing.assert_array_equal(outputs(answer)["image"], np.rint(FIRST.decode(expected)))


def test_traverse_an_image(server):
    code = FIRST.mean(IMAGES[:1]).astype(np.float32)
    inputs = [("image", "UINT8", IMAGES[:1]), ("latent", "INT32", [0]), ("values", "FP64", [float(code[0, 0])])]
    status, answer = server.infer("small-traverse", *inputs, version="1")
    assert status == 200
    # The code is the encoder's float32 one: half a level, where rounding may go either way.
    assert np.abs(outputs(answer)["image"] - FIRST.decode(code)).max() <= 0.51


def binary_request(*tensors, **more):
    """Body and headers in the binary extension."""
    head = {"inputs": [], **more}
    for name, datatype, array in tensors:
        head["inputs"].append(
            {
                "name": name,
                "datatype": datatype,
                "shape": list(array.shape),
                "parameters": {"binary_data_size": array.nbytes},
            }
        )
    head = json.dumps(head).encode()
    body = head + b"".join(array.tobytes() for _, _, array in tensors)
    return body, {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}


def test_the_binary_extension(server):
    body, headers = binary_request(("image", "UINT8", IMAGES), parameters={"binary_data_output": True})
    status, headers, answer = server.request("POST", "/v2/models/small/versions/1/infer", body, headers)
    assert status == 200
    length = int(headers["Inference-Header-Content-Length"])
    (mean, logvar, outside) = json.loads(answer[:length])["outputs"]
    assert [output["parameters"]["binary_data_size"] for output in (mean, logvar, outside)] == [60, 60, 15]
    found = np.frombuffer(answer[length : length + 60], "<f4").reshape(mean["shape"])
    np.testing.assert_allclose(found, FIRST.mean(IMAGES), atol=1e-5)
    assert len(answer) == length + 135


def test_one_output_as_bytes_and_one_in_json(server):
    wanted = [{"name": "mean", "parameters": {"binary_data": True}}, {"name": "outside"}]
    body, headers = binary_request(("image", "UINT8", IMAGES), outputs=wanted)
    _, headers, answer = server.request("POST", "/v2/models/small/infer", body, headers)
    length = int(headers["Inference-Header-Content-Length"])
    first, second = json.loads(answer[:length])["outputs"]
    assert first["parameters"] == {"binary_data_size": len(answer) - length}
    assert np.shape(second["data"]) == (15,)


def test_a_compressed_body(server):
    body = gzip.compress(json.dumps({"inputs": [described("image", "UINT8", IMAGES)]}).encode())
    status, _, answer = server.request("POST", "/v2/models/small/infer", body, {"Content-Encoding": "gzip"})
    assert status == 200
    np.testing.assert_allclose(outputs(json.loads(answer))["mean"], SECOND.mean(IMAGES), atol=1e-5)


def test_requests_at_once_are_computed_together_and_each_gets_its_own(server):
    images = np.random.default_rng(4).integers(0, 256, (60, *SHAPE), dtype=np.uint8)
    parts = [images[start : start + 1 + start % 3] for start in range(58)]

    def encode(part):
        # Of other datatypes, so that joining them as they came would be wrong.
        datatype = "FP32" if len(part) == 2 else "UINT8"
        status, answer = server.infer("small", ("image", datatype, part), version="1")
        return status, outputs(answer)["mean"]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(encode, parts))
    for part, (status, mean) in zip(parts, answers, strict=True):
        assert status == 200
        np.testing.assert_allclose(mean, FIRST.mean(part), atol=1e-5)


def test_one_request_of_a_batch_that_cannot_be_computed_fails_alone(server):
    too_large = np.full((1, 2), 3e38, np.float32)
    codes = np.float32([[1, -0.5]])

    def decode(codes):
        return server.infer("other-decode", ("latents", "FP32", codes))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(decode, [too_large, codes, codes, too_large, codes, codes, codes, codes] * 3))
    assert [status for status, _ in answers] == [400, 200, 200, 400, 200, 200, 200, 200] * 3
    for status, answer in answers:
        if status == 200:
            np.testing.assert_array_equal(outputs(answer)["image"], np.rint(OTHER.decode(codes)))
        else:
            assert "codes must be such that the decoder gives numbers" in answer["error"]


def test_metrics(server):
    server.infer("small", ("image", "UINT8", IMAGES), version="1")
    server.infer("small", ("image", "UINT8", IMAGES[:, :1]), version="1")
    metrics = server.metrics()
    for line in (
        'model_infer_request_success_total{model="small",version="1"}',
        'model_infer_request_failure_total{model="small",version="1"}',
        'kerasvae_batch_size_count{model="small",version="1"}',
        'kerasvae_images_outside_total{model="small",version="1"}',
        "rest_server_requests_total{",
        "process_resident_memory_bytes",
    ):
        assert line in metrics


def test_the_index_lists_all_versions(server):
    _, _, answer = server.request("POST", "/v2/repository/index", "{}", {"Content-Type": "application/json"})
    listed = {(item["name"], item["version"], item["state"]) for item in json.loads(answer)}
    assert {("small", "1", "READY"), ("small", "10", "READY"), ("other-decode", "beta", "READY")} <= listed
    assert len(listed) == 9


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_the_protocols_client(server, transport):
    client_module = importlib.import_module(f"tritonclient.{transport}")
    port = server.port if transport == "http" else server.grpc_port
    client = client_module.InferenceServerClient(f"127.0.0.1:{port}")
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("small", "1")
    metadata = client.get_model_metadata("small-decode")
    versions = metadata["versions"] if transport == "http" else metadata.versions
    assert list(versions) == ["1", "10"]

    def infer(model, arrays, names, version="1"):
        inputs = []
        for name, array in arrays.items():
            inputs.append(client_module.InferInput(name, array.shape, DATATYPES[array.dtype.kind]))
            inputs[-1].set_data_from_numpy(array)
        wanted = [client_module.InferRequestedOutput(name) for name in names]
        return client.infer(model, inputs, version, wanted)

    found = infer("small", {"image": IMAGES}, ["mean", "outside"])
    np.testing.assert_allclose(found.as_numpy("mean"), FIRST.mean(IMAGES), atol=1e-5)
    assert found.as_numpy("outside").dtype == bool
    assert found.as_numpy("logvar") is None
    found = infer("small-decode", {"latents": CODES}, ["image"])
    np.testing.assert_array_equal(found.as_numpy("image"), np.rint(FIRST.decode(CODES)))
    arrays = {"latents": CODES[:1], "latent": np.array([b"z1"], object), "values": np.float32([1, 2])}
    found = infer("small-traverse", arrays, ["image"]).as_numpy("image")
    np.testing.assert_array_equal(found, np.rint(FIRST.decode([[0, 1, 0], [0, 2, 0]])))
    with pytest.raises(Exception, match=r"must have shape \[1 to 32, 4, 6, 3\], got \[5, 1, 6, 3\]"):
        infer("small", {"image": IMAGES[:, :1]}, ["mean"])
    with pytest.raises(Exception, match="Model nothing not found"):
        infer("nothing", {"image": IMAGES}, ["mean"], version="")
    client.close()


DATATYPES = {"u": "UINT8", "f": "FP32", "i": "INT64", "O": "BYTES"}
