"""Networks that read further files are refused, wherever in them the files are named."""

import os

import numpy as np
import pytest
from serving.small_bundles import Linear, encoder_model, write_bundle

from kerasvae.serving import Bundle, BundleError
from kerasvae.serving.onnx_files import external_tensor

onnx = pytest.importorskip("onnx")


def outside(name="stolen", location="weights.bin", listed_only=False):
    """A tensor whose numbers lie in another file."""
    tensor = onnx.numpy_helper.from_array(np.zeros(4, "float32"), name)
    tensor.ClearField("raw_data")
    if not listed_only:
        tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def constant(tensor, name="made"):
    return onnx.helper.make_node("Constant", [], [name], value=tensor)


def branch(nodes):
    return onnx.helper.make_graph(nodes, "branch", [], [onnx.helper.make_tensor_value_info("made", 1, [4])])


def sparse(tensor):
    found = onnx.SparseTensorProto(dims=[4])
    found.values.CopyFrom(tensor)
    found.indices.CopyFrom(onnx.numpy_helper.from_array(np.arange(4), "places"))
    return found


def with_attribute(name, value):
    node = onnx.helper.make_node("Anything", [], ["made"])
    node.attribute.append(onnx.helper.make_attribute(name, value))
    return node


def nested(tensor, depth):
    graph = branch([constant(tensor)])
    for _ in range(depth):
        graph = branch([onnx.helper.make_node("If", ["image"], ["made"], then_branch=graph, else_branch=branch([]))])
    return graph.node[0]


def add_function(model, tensor):
    model.functions.append(
        onnx.helper.make_function("own", "Own", [], ["made"], [constant(tensor)], [onnx.helper.make_opsetid("", 13)])
    )


def add_default(model, tensor):
    add_function(model, onnx.numpy_helper.from_array(np.zeros(4, "float32"), "inside"))
    model.functions[0].attribute_proto.append(onnx.helper.make_attribute("value", tensor))


def add_training(model, tensor):
    model.training_info.add().algorithm.CopyFrom(branch([constant(tensor)]))


PLACES = {
    "initializer": lambda model, tensor: model.graph.initializer.append(tensor),
    "sparse initializer": lambda model, tensor: model.graph.sparse_initializer.append(sparse(tensor)),
    "constant": lambda model, tensor: model.graph.node.insert(0, constant(tensor)),
    "tensors of an attribute": lambda model, tensor: model.graph.node.append(with_attribute("several", [tensor])),
    "sparse tensor of an attribute": lambda model, tensor: model.graph.node.append(with_attribute("a", sparse(tensor))),
    "sparse tensors of one": lambda model, tensor: model.graph.node.append(with_attribute("a", [sparse(tensor)])),
    "graph of a graph": lambda model, tensor: model.graph.node.append(nested(tensor, 1)),
    "five graphs deep": lambda model, tensor: model.graph.node.append(nested(tensor, 5)),
    "graphs of an attribute": lambda model, tensor: model.graph.node.append(
        with_attribute("several", [branch([]), branch([constant(tensor)])])
    ),
    "function": add_function,
    "default of a function": add_default,
    "training": add_training,
}


@pytest.mark.parametrize("listed_only", [False, True])
@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_numbers_in_another_file_are_found(place, listed_only):
    model = onnx.load_from_string(encoder_model(Linear()))
    place(model, onnx.numpy_helper.from_array(np.zeros(4, "float32"), "inside"))
    assert external_tensor(model.SerializeToString()) is None
    place(model, outside(listed_only=listed_only))
    assert external_tensor(model.SerializeToString()) == "stolen"


def test_a_bundle_that_reads_from_the_working_folder_is_refused(tmp_path, monkeypatch):
    linear = Linear()
    model = onnx.load_from_string(encoder_model(linear))
    weights = next(tensor for tensor in model.graph.initializer if tensor.name == "weights")
    (tmp_path / "weights.bin").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "weights.bin"
    write_bundle(tmp_path / "bundle", linear, files={"encoder.onnx": model.SerializeToString()})
    (tmp_path / "bundle" / "weights.bin").write_bytes((tmp_path / "weights.bin").read_bytes())
    monkeypatch.chdir(tmp_path)
    for verify in (True, False):
        with pytest.raises(BundleError, match=r"encoder\.onnx without another file, in which .* of 'weights' lie"):
            Bundle(tmp_path / "bundle", verify=verify)


def test_what_is_no_onnx_model():
    whole = encoder_model(Linear())
    assert external_tensor(whole) is None and external_tensor(b"") is None
    for contents, reason in (
        (whole[:-20], "cut short"),
        (b"no network", "no ONNX model|cut short"),
        (b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "no ONNX model"),
        (b"\x3a" + b"\xff" * 8 + b"\x01", "cut short"),
        (b"\x38\x05", "no ONNX model"),
        (b"\0\0\0\0ORTM" + bytes(20), "onnxruntime's own format"),
    ):
        with pytest.raises(ValueError, match=reason):
            external_tensor(contents)
    # A graph in a graph without end, as bytes.
    deep = b""
    for _ in range(200):
        for key in (0x32, 0x2A, 0x0A):
            length, size = len(deep), b""
            while length > 127:
                size += bytes([length & 127 | 128])
                length >>= 7
            deep = bytes([key]) + size + bytes([length]) + deep
    with pytest.raises(ValueError, match="nested too deeply"):
        external_tensor(b"\x3a" + bytes([len(deep) & 127 | 128, len(deep) >> 7]) + deep)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link out", "loop"])
def test_files_of_a_bundle_that_are_no_files(tmp_path, kind):
    write_bundle(tmp_path / "bundle")
    path = tmp_path / "bundle" / "encoder.onnx"
    contents = path.read_bytes()
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link out":
        (tmp_path / "encoder.onnx").write_bytes(contents)
        path.symlink_to(tmp_path / "encoder.onnx")
    else:
        path.symlink_to({"device": "/dev/zero", "loop": "encoder.onnx"}[kind])
    for verify in (True, False):
        with pytest.raises(
            BundleError, match=r"encoder\.onnx (is missing|is a link that leads out of the folder|is no)"
        ):
            Bundle(tmp_path / "bundle", verify=verify)
