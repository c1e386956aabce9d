import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from serving.small_bundles import Linear, decoder_model, encoder_model, listed, write_bundle, write_description

import kerasvae
from kerasvae.serving import Bundle, BundleError, ImageError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def linear():
    return Linear()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, linear):
    folder = tmp_path_factory.mktemp("bundles") / "small"
    write_bundle(folder, linear)
    return folder


@pytest.fixture(scope="module")
def bundle(folder):
    return Bundle(folder, threads=1)


def noise(count, seed=0, shape=(4, 6, 3)):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype="uint8")


def test_attributes(bundle, folder):
    assert (bundle.name, bundle.version, bundle.path) == ("small", "1", folder)
    assert (bundle.image_shape, bundle.latents, bundle.latent_names) == ((4, 6, 3), 3, ("z0", "z1", "z2"))
    assert bundle.active.tolist() == [False, True, True] and bundle.quantile_range.shape == (2, 3)
    assert bundle.manifest["model"]["class"] == "VAE"
    assert repr(bundle) == "<Bundle 'small' version '1': (4, 6, 3) to 3 latents>"


@pytest.mark.parametrize("batch_size", [1, 3, 7, 8, 256])
def test_codes_in_closed_form(bundle, linear, batch_size):
    images = noise(7)
    codes = bundle.encode(images, batch_size)
    assert codes.mean.dtype == codes.logvar.dtype == np.float32 and len(codes) == 7
    np.testing.assert_allclose(codes.mean, linear.mean(images), atol=1e-5)
    np.testing.assert_allclose(codes.logvar, linear.logvar(images), atol=1e-5)


def test_images_of_all_kinds(bundle, linear, tmp_path):
    images = noise(3)
    expected = linear.mean(images)
    Image.fromarray(images[1]).save(tmp_path / "a.png")
    for given, rows in (
        (images / 255, slice(None)),
        (images.astype("float32"), slice(None)),
        (list(images), slice(None)),
        (images[1], [1]),
        (tmp_path / "a.png", [1]),
        (str(tmp_path / "a.png"), [1]),
        ([tmp_path / "a.png"] * 2, [1, 1]),
    ):
        options = {"range": (0, 1)} if given is not images and np.asarray(given).dtype == float else {}
        np.testing.assert_allclose(bundle.encode(given, **options).mean, expected[rows], atol=1e-5)
    # Larger images of blocks of equal pixels, stretched by whole numbers, are the same but at the blocks' edges.
    grey = np.full((40, 60), 77, "uint8")
    np.testing.assert_allclose(bundle.encode(grey).mean, linear.mean(np.full((1, 4, 6, 3), 77)), atol=1e-5)
    assert bundle.encode(images[:0]).mean.shape == (0, 3)


def test_codes_outside_the_range_of_the_data(bundle, linear):
    low, high = bundle.quantile_range
    # The images of the largest and the least code of latent 0.
    largest = np.where(linear.weights[:, 0] > 0, 255, 0).astype("uint8").reshape(4, 6, 3)
    images = np.concatenate([noise(50), largest[None], 255 - largest[None]])
    codes, mean = bundle.encode(images), linear.mean(images)
    np.testing.assert_array_equal(codes.outside, (mean < low) | (mean > high))
    np.testing.assert_array_equal(codes.any_outside, codes.outside.any(axis=1))
    assert codes.outside[-2:, 0].all() and codes.any_outside.sum() < 20
    np.testing.assert_array_equal(bundle.outside(np.array([low, high], "float64")), False)


def test_without_data_there_is_no_range(tmp_path):
    write_bundle(tmp_path, with_data=False)
    codes = Bundle(tmp_path, threads=1).encode(noise(2))
    assert codes.outside is None and codes.any_outside is None


@pytest.mark.parametrize("batch_size", [1, 4, 256])
def test_decoded_images_in_closed_form(bundle, linear, batch_size):
    codes = np.random.default_rng(0).normal(size=(9, 3))
    expected = linear.decode(codes)
    found = bundle.decode(codes, "float32", batch_size)
    assert found.dtype == np.float32 and found.shape == (9, 4, 6, 3)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    rounded = bundle.decode(codes, batch_size=batch_size)
    assert rounded.dtype == np.uint8
    np.testing.assert_array_equal(rounded, np.rint(found))
    np.testing.assert_array_equal(bundle.decode(codes[0].tolist()), rounded[:1])
    assert bundle.decode(codes[:0]).shape == (0, 4, 6, 3)


def test_traversals(bundle, linear):
    image, values = noise(1)[0], np.linspace(-1, 1, 5)
    codes = np.repeat(bundle.encode(image).mean, 5, axis=0)
    codes[:, 1] = values
    expected = bundle.decode(codes)
    for start in (image, image[None], bundle.encode(image).mean, bundle.encode(image).mean[0]):
        for latent in (1, "z1", np.int64(1)):
            np.testing.assert_array_equal(bundle.traverse(start, latent, values), expected)
    found = bundle.traverse(image / 255, "z1", values, "float32", range=(0, 1))
    np.testing.assert_allclose(found, linear.decode(codes), atol=1e-3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda bundle: bundle.encode(noise(2), 0), ValueError, "batch_size must be an integer, at least 1, got 0"),
        (lambda bundle: bundle.encode(noise(2), 2.0), ValueError, "batch_size must be an integer"),
        (lambda bundle: bundle.encode(noise(2), pixel_limit=0), ValueError, "pixel_limit must be an integer"),
        (lambda bundle: bundle.encode(noise(2) / 1.0 - 1), ValueError, "images must lie in 0..255"),
        (lambda bundle: bundle.encode("nowhere.png"), ImageError, "'nowhere.png' cannot be used: No such file"),
        (lambda bundle: bundle.decode(np.zeros((2, 4))), ValueError, r"codes must be \(n, 3\) or \(3,\), got \(2, 4\)"),
        (lambda bundle: bundle.decode(np.float64(3)), ValueError, r"got \(\)"),
        (lambda bundle: bundle.decode([[0, np.nan, 0]]), ValueError, "codes must be finite"),
        (
            lambda bundle: bundle.decode([[0, 1e39, 0]]),
            ValueError,
            "codes must be finite numbers that float32 can hold",
        ),
        (lambda bundle: bundle.decode([["a", "b", "c"]]), TypeError, "codes must be numbers"),
        (lambda bundle: bundle.decode(np.zeros(3), "int8"), ValueError, 'dtype must be "uint8" or "float32"'),
        (lambda bundle: bundle.traverse(np.zeros(3), 3, [0]), ValueError, "from 0 to 2 or one of z0, z1, z2, got 3"),
        (lambda bundle: bundle.traverse(np.zeros(3), -1, [0]), ValueError, "latent must be an index"),
        (lambda bundle: bundle.traverse(np.zeros(3), True, [0]), ValueError, "latent must be an index"),
        (lambda bundle: bundle.traverse(np.zeros(3), "x", [0]), ValueError, "got 'x'"),
        (lambda bundle: bundle.traverse(np.zeros(3), 0, [np.inf]), ValueError, "values must be finite numbers"),
        (lambda bundle: bundle.traverse(np.zeros(3), 0, 1.0), ValueError, "values must be finite numbers"),
        (lambda bundle: bundle.traverse(noise(2), 0, [0]), ValueError, "one image or one code, got 2 images"),
    ],
)
def test_arguments_that_are_refused(bundle, call, error, message):
    with pytest.raises(error, match=message):
        call(bundle)


def test_codes_that_no_image_comes_of(tmp_path, linear):
    write_bundle(tmp_path, linear, files={"decoder.onnx": decoder_model(linear, clipped=False)})
    bundle = Bundle(tmp_path, verify=False, threads=1)
    with pytest.raises(ValueError, match="codes must be such that the decoder gives numbers for them"):
        bundle.decode([[3e38, 0.0, 0.0]])


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads(folder, threads):
    with pytest.raises(ValueError, match="threads must be an integer, at least 1"):
        Bundle(folder, threads=threads)


def test_calls_from_several_threads(folder, bundle):
    """Each of many calls at once has the codes and images of the same call alone."""
    shared = Bundle(folder, threads=2)
    images = [noise(1 + k % 5, seed=k) for k in range(64)]

    def call(batch):
        codes = shared.encode(batch, batch_size=2)
        return codes.mean, shared.decode(codes.mean), shared.traverse(batch[0], k := len(batch) % 3, [0.0, 1.0]), k

    with ThreadPoolExecutor(8) as pool:
        for batch, (mean, decoded, traversal, latent) in zip(images, pool.map(call, images), strict=True):
            expected = bundle.encode(batch, batch_size=2)
            np.testing.assert_array_equal(mean, expected.mean)
            np.testing.assert_array_equal(decoded, bundle.decode(expected.mean))
            np.testing.assert_array_equal(traversal, bundle.traverse(batch[0], latent, [0.0, 1.0]))


def test_an_open_bundle_needs_its_folder_no_more(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    bundle = Bundle(tmp_path / "copy", threads=1)
    shutil.rmtree(tmp_path / "copy")
    assert len(bundle.encode(noise(2))) == 2


def refused(folder, message, **options):
    with pytest.raises(BundleError) as caught:
        Bundle(folder, threads=1, **options)
    assert str(caught.value).startswith(str(folder)) and message in str(caught.value)


def test_networks_that_are_not_what_the_manifest_says(tmp_path, linear):
    wide = Linear((4, 8, 3))
    for files, message in (
        ({"encoder.onnx": None}, "it holds no encoder.onnx; write the bundle with the format onnx"),
        ({"decoder.onnx": None}, "it holds no decoder.onnx"),
        ({"encoder.onnx": b"no network"}, "onnxruntime cannot load encoder.onnx"),
        ({"encoder.onnx": b""}, "onnxruntime cannot load encoder.onnx"),
        ({"encoder.onnx": decoder_model(linear)}, "encoder.onnx must have the inputs image, it has latents"),
        (
            {"encoder.onnx": encoder_model(linear, outputs=("mean", "variance"))},
            "encoder.onnx must have the outputs mean, logvar, it has mean, variance",
        ),
        (
            {"encoder.onnx": encoder_model(linear, input_type=onnx.TensorProto.FLOAT)},
            "input image of encoder.onnx must be uint8",
        ),
        (
            {"encoder.onnx": encoder_model(wide)},
            "of any number of (4, 6, 3), it is tensor(uint8) of shape ['n', 4, 8, 3]",
        ),
        ({"encoder.onnx": encoder_model(linear, batch=1)}, "of shape [1, 4, 6, 3]"),
        ({"decoder.onnx": decoder_model(wide)}, "output image of decoder.onnx must be float32"),
        ({"encoder.onnx": encoder_model(Linear(latents=4))}, "output mean of encoder.onnx"),
    ):
        write_bundle(tmp_path / "b", linear, files=files)
        refused(tmp_path / "b", message)
        refused(tmp_path / "b", message, verify=False)
        shutil.rmtree(tmp_path / "b")


def test_weights_in_another_file_are_not_looked_for(tmp_path, linear):
    """The hash of the network would not cover them."""
    model = onnx.load_from_string(encoder_model(linear))
    (weights,) = (tensor for tensor in model.graph.initializer if tensor.name == "weights")
    (tmp_path / "weights.bin").write_bytes(weights.raw_data)
    onnx.external_data_helper.set_external_data(weights, location="weights.bin")
    weights.ClearField("raw_data")
    write_bundle(tmp_path, linear, files={"encoder.onnx": model.SerializeToString()})
    refused(tmp_path, "onnxruntime cannot load encoder.onnx")


def test_a_warning_points_to_its_cause(bundle):
    with pytest.warns(UserWarning, match="nearly black") as caught:
        bundle.encode(np.full((4, 6, 3), 0.5))
    assert caught[0].filename == __file__


def test_networks_with_other_weights_fail_the_test(tmp_path, linear):
    other = Linear(seed=1)
    write_bundle(tmp_path / "a", linear, files={"encoder.onnx": encoder_model(other)})
    refused(tmp_path / "a", "encoder.onnx does not pass the bundle's test: mean differs by")
    write_bundle(tmp_path / "b", linear, files={"decoder.onnx": decoder_model(other)})
    refused(tmp_path / "b", "decoder.onnx does not pass the bundle's test: image differs by")
    Bundle(tmp_path / "b", verify=False, threads=1)
    # A weight that gives NaN.
    other.weights = np.full_like(linear.weights, np.nan)
    write_bundle(tmp_path / "c", linear, files={"encoder.onnx": encoder_model(other)})
    refused(tmp_path / "c", "mean differs by nan")


def test_the_tolerance_is_relative_to_the_largest_output(tmp_path, linear):
    largest = np.abs(linear.mean(noise(2, seed=1))).max()

    def move(by):
        def change(content):
            content["test"]["mean"][0][0] += by

        return change

    def write(folder, by):
        write_bundle(folder, linear, change=move(by))
        mean = np.array(json.loads((folder / "bundle.json").read_text())["test"]["mean"])
        return 1e-4 * (1 + np.abs(mean).max())

    allowed = write(tmp_path / "a", 0.0)
    assert allowed < 1e-4 * (2 + 10 * largest)
    write(tmp_path / "b", 0.9 * allowed)
    Bundle(tmp_path / "b", threads=1)
    write(tmp_path / "c", 1.1 * allowed)
    refused(tmp_path / "c", "mean differs by")


def test_a_file_exchanged_after_the_check_is_refused(folder, tmp_path, monkeypatch, linear):
    """What is opened is what was checked, also when the folder is replaced in between."""
    from kerasvae.serving import bundle as module

    shutil.copytree(folder, tmp_path / "b")
    read = module.read_manifest

    def read_and_exchange(*arguments, **options):
        manifest = read(*arguments, **options)
        contents = bytearray((tmp_path / "b" / "encoder.onnx").read_bytes())
        contents[-1] ^= 1
        (tmp_path / "b" / "encoder.onnx").write_bytes(contents)
        return manifest

    monkeypatch.setattr(module, "read_manifest", read_and_exchange)
    refused(tmp_path / "b", "encoder.onnx was altered")


WITHOUT_KERAS = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("keras", "tensorflow", "jax", "torch", "sklearn", "matplotlib", "scipy", "pyarrow"):
            raise ImportError(name + " is not installed")
sys.meta_path.insert(0, Refuse())
import kerasvae.serving
assert "onnxruntime" not in sys.modules
import numpy as np
bundle = kerasvae.serving.Bundle(sys.argv[1])
print(bundle.encode(np.zeros((2, 9, 5))).mean.shape, bundle.traverse(np.zeros(3), "z1", [0, 1]).shape)
"""


def test_it_works_where_keras_is_not_installed(folder):
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_KERAS, str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(kerasvae.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert (process.returncode, process.stdout) == (0, "(2, 3) (2, 4, 6, 3)\n"), process.stderr


def test_without_onnxruntime(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"kerasvae\.serving needs onnxruntime, .*: pip install onnxruntime"):
        Bundle(folder)


def test_a_file_that_is_not_used_counts_too(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "b")
    content = json.loads((tmp_path / "b" / "bundle.json").read_text())
    content["files"]["tf_saved_model/saved_model.pb"] = listed(b"weights")
    write_description(tmp_path / "b", content)
    refused(tmp_path / "b", "the file tf_saved_model/saved_model.pb is missing")
    (tmp_path / "b" / "tf_saved_model").mkdir()
    (tmp_path / "b" / "tf_saved_model" / "saved_model.pb").write_bytes(b"weights")
    Bundle(tmp_path / "b", threads=1)
