import json
import os

import numpy as np
import pytest
from serving.small_bundles import Linear, write_bundle, write_description

from kerasvae.serving import Bundle, BundleError, read_manifest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

KEYS = {
    "format": "a bundle",
    "format_version": 2,
    "name": "../small",
    "version": ".hidden",
    "description": None,
    "files": [],
    "input": {"name": "image"},
    "latents": 0,
    "outputs": {},
    "decoder": {"input": {}},
    "preprocessing": {"formula": ""},
    "latent_summary": [],
    "range_quantiles": ["0.001"],
    "data": {"name": "noise"},
    "scores": {"mig": "good"},
    "model": {"class": "VAE", "steps": -1},
    "versions": {"kerasvae": 1},
    "created": 2026,
    "test": {},
}


@pytest.fixture
def folder(tmp_path):
    write_bundle(tmp_path / "small")
    return tmp_path / "small"


def change(folder, edit):
    """Rewrite bundle.json after `edit` changed it."""
    content = json.loads((folder / "bundle.json").read_text())
    edit(content)
    write_description(folder, content)


def at(content, way, value):
    """Put a value at the end of a way of names and indices."""
    *others, last = way
    for step in others:
        content = content[step]
    content[last] = value


def refused(folder, message, **options):
    with pytest.raises(BundleError) as caught:
        read_manifest(folder, **options)
    assert str(caught.value).startswith(str(folder)) and message in str(caught.value)


def test_what_a_bundle_says(folder):
    manifest = read_manifest(folder)
    assert (manifest.name, manifest.version, manifest.image_shape, manifest.latents) == ("small", "1", (4, 6, 3), 3)
    assert manifest.latent_names == ("z0", "z1", "z2") and manifest.active.tolist() == [False, True, True]
    assert (manifest.fit, manifest.background) == ("crop", 255)
    summary = manifest.content["latent_summary"]
    expected = [[latent["quantiles"][end] for latent in summary] for end in ("0.001", "0.999")]
    np.testing.assert_array_equal(manifest.quantile_range, expected)
    linear, test = Linear(), manifest.test
    np.testing.assert_allclose(test.mean, linear.mean(test.images), rtol=1e-6)
    np.testing.assert_allclose(test.decoded, linear.decode(test.latents), rtol=1e-5)
    assert isinstance(manifest.folder, type(folder)) and len(manifest.digest) == 64


def test_without_data(tmp_path):
    write_bundle(tmp_path, with_data=False)
    manifest = read_manifest(tmp_path)
    assert manifest.active is None and manifest.quantile_range is None


def test_what_a_later_writer_adds_is_no_trouble(folder):
    change(folder, lambda content: content.update(colour="red"))
    (folder / ".listing").touch()
    read_manifest(folder)


@pytest.mark.parametrize("key", KEYS)
def test_each_key_is_wanted_and_checked(folder, key):
    original = (folder / "bundle.json").read_text()
    change(folder, lambda content: content.update({key: KEYS[key]}))
    refused(folder, f"bundle.json: {key}")
    (folder / "bundle.json").write_text(original)
    change(folder, lambda content: content.pop(key))
    refused(folder, f"bundle.json: {key} is missing")


@pytest.mark.parametrize(
    ("way", "value", "message"),
    [
        (["format_version"], True, "format_version must be 1, got True"),
        (["format_version"], 1.0, "format_version must be 1, got 1.0"),
        (["input", "shape"], [None, 4, 6], "input.shape must be a list of 4"),
        (["input", "shape", 0], 8, "input.shape[0] must be null, got 8"),
        (["input", "shape", 1], 10**9, "input.shape[1] must be an integer from 1 to 16384"),
        (["input", "shape", 3], 4, "input.shape[3] must be 1 or 3, got 4"),
        (["input", "dtype"], "float32", 'input.dtype must be "uint8"'),
        (["input", "range"], [0, 1], "input.range must be [0, 255]"),
        (["outputs", "mean", "shape"], [None, 4], "outputs.mean.shape must be [null, 3]"),
        (["decoder", "input", "name"], "z", 'decoder.input.name must be "latents"'),
        (["decoder", "output", "shape"], [None, 4, 6, 1], "decoder.output.shape must be [null, 4, 6, 3]"),
        (["preprocessing", "std", 1], 0.0, "preprocessing.std[1] must be a number above 0"),
        (["preprocessing", "mean"], [0.5], "preprocessing.mean must be a list of 3"),
        (["preprocessing", "files", "fit"], "tile", "preprocessing.files.fit must be"),
        (["preprocessing", "files", "background"], 256, "preprocessing.files.background must be an integer"),
        (["latent_summary", 1, "index"], 0, "latent_summary[1].index must be 1, got 0"),
        (["latent_summary", 1, "name"], "z0", "latent_summary must be of latents with different names"),
        (["latent_summary", 1, "name"], "a\nb", "latent_summary[1].name must be text"),
        (["latent_summary", 1, "active"], 1, "latent_summary[1].active must be true or false"),
        (["latent_summary", 1, "kl"], None, "latent_summary[1].kl must be a number"),
        (["latent_summary", 1, "kl"], 10**400, "latent_summary[1].kl must be a number"),
        (["latent_summary", 1, "quantiles", "0.001"], 1e9, "no larger at '0.001' than at '0.999'"),
        (["latent_summary", 0, "factor", "sign"], 2, "latent_summary[0].factor.sign must be -1 or 0 or 1"),
        (["range_quantiles", 0], "0.002", "with '0.002', which range_quantiles names"),
        (["data", "factor_sizes"], [], "data.factor_sizes must be a list of 1"),
        (["test", "tolerance"], 100, "test.tolerance must be a number, at least 0, at most 0.01"),
        (["test", "image", "shape"], [2, 4, 6, 1], "test.image.shape must be [2, 4, 6, 3]"),
        (["test", "image", "shape"], [10**12, 4, 6, 3], "test.image.shape[0] must be an integer from 1 to 4096"),
        (["test", "image", "base64"], "AAAA", "144 bytes, as the shape says, in base64"),
        (["test", "image", "base64"], "?", "test.image.base64 must be base64"),
        (["test", "image", "base64"], "A===", "test.image.base64 must be base64"),
        (["test", "mean"], [[1.0, 2.0, 3.0]], "test.mean must be a list of 2"),
        (["test", "mean", 0, 0], 1e39, "test.mean must be numbers that float32 can hold"),
        (["files", "encoder.onnx", "sha256"], "A" * 64, "files.encoder.onnx.sha256 must be 64 hexadecimal digits"),
        (["files", "encoder.onnx", "bytes"], -1, "files.encoder.onnx.bytes must be an integer"),
    ],
)
def test_fields_that_are_wrong(folder, way, value, message):
    change(folder, lambda content: at(content, way, value))
    refused(folder, message)


def test_summaries_and_data_go_together(folder):
    change(folder, lambda content: content.update(data=None))
    refused(folder, "latent_summary[0].kl must be null, got 0.5")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none(folder, number):
    text = (folder / "bundle.json").read_text()
    (folder / "bundle.json").write_text(text.replace('"mig": 0.5', f'"mig": {number}'))
    refused(folder, f"bundle.json is damaged, or no strict JSON (it holds {number}")


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: b"",
        lambda text: b"\xff" + text,
        lambda text: b"[" * 100_000,
        lambda text: text.replace(b'"version": "1"', b'"version": "1", "version": "2"'),
        lambda text: text.replace(b'"latents": 3', b'"latents": ' + b"9" * 5000),
    ],
    ids=["half", "empty", "no UTF-8", "depth", "twice", "digits"],
)
def test_json_that_is_damaged(folder, damage):
    path = folder / "bundle.json"
    path.write_bytes(damage(path.read_bytes()))
    refused(folder, "bundle.json is damaged, or no strict JSON")


@pytest.mark.parametrize("content", [[], 3, "bundle", None])
def test_json_of_another_kind(folder, content):
    (folder / "bundle.json").write_text(json.dumps(content))
    refused(folder, "bundle.json: it must be an object")


def test_folders_that_are_no_bundles(tmp_path, folder):
    refused(tmp_path / "nowhere", "there is no such folder")
    refused(tmp_path, "there is no bundle.json in it")
    with (folder / "bundle.json").open("r+b") as stream:
        stream.truncate(65 * 1024**2)
    refused(folder, "bundle.json is larger than 64 MiB")
    (folder / "bundle.json").unlink()
    (folder / "bundle.json").mkdir()
    refused(folder, "bundle.json cannot be read")


def test_files_that_are_missing_or_altered(folder):
    encoder = folder / "encoder.onnx"
    contents = encoder.read_bytes()
    encoder.write_bytes(contents[:-1])
    refused(
        folder, f"encoder.onnx is cut short or altered: it has {len(contents) - 1} bytes instead of {len(contents)}"
    )
    encoder.write_bytes(contents[:-1] + bytes([contents[-1] ^ 1]))
    refused(folder, "encoder.onnx was altered: its SHA-256 is")
    read_manifest(folder, check_hashes=False)
    encoder.unlink()
    refused(folder, "the file encoder.onnx is missing", check_hashes=False)
    encoder.mkdir()
    refused(folder, "the file encoder.onnx is missing")


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../small/encoder.onnx",
        "a/../../b",
        "a//b",
        "./a",
        "a\\b",
        "C:b",
        "",
        "a\0b",
        "bundle.json",
        "bundle.json.sha256",
    ],
)
def test_paths_that_lead_elsewhere(folder, name):
    change(folder, lambda content: content["files"].update({name: content["files"]["encoder.onnx"]}))
    refused(folder, "a path within the folder is wanted")


def test_a_description_that_was_altered(folder):
    description, checksum = folder / "bundle.json", folder / "bundle.json.sha256"
    written, stated = description.read_bytes(), checksum.read_text()
    # Text and numbers that nothing else could tell from the right ones.
    for old, new in ((b"linear networks", b"linear networkz"), (b'"mig": 0.5', b'"mig": 0.6'), (b'"z1"', b'"x1"')):
        assert written.count(old) == 1
        description.write_bytes(written.replace(old, new))
        refused(folder, "bundle.json was altered: its SHA-256 is")
        read_manifest(folder, check_hashes=False)
    description.write_bytes(written)
    for text in ("", stated[1:], stated.upper(), stated.replace("bundle.json", "a"), stated + "more", "0" * 10**6):
        checksum.write_text(text)
        refused(folder, "is not what it was written as")
    checksum.write_text(f"{'0' * 64}  bundle.json\n")
    refused(folder, "bundle.json was altered: its SHA-256 is")
    checksum.unlink()
    refused(folder, "bundle.json.sha256, which shows whether bundle.json was altered, is missing")
    for line in (stated, stated.replace("  ", " *"), stated.strip(), stated.replace("\n", "\r\n")):
        checksum.write_bytes(line.encode())
        read_manifest(folder)


def test_a_description_that_is_no_file(folder, tmp_path):
    description = folder / "bundle.json"
    description.rename(tmp_path / "elsewhere.json")
    os.mkfifo(description)
    refused(folder, "bundle.json cannot be read (it is no file)")
    description.unlink()
    for target in ("/dev/zero", tmp_path / "elsewhere.json"):
        description.symlink_to(target)
        refused(folder, "bundle.json is a link that leads out of the folder")
        description.unlink()
    description.symlink_to("bundle.json")
    refused(folder, "bundle.json cannot be read (")


def test_links(folder, tmp_path):
    encoder, linked = folder / "encoder.onnx", tmp_path / "linked"
    # Within the folder they are as good as files, and the folder itself may be a link.
    encoder.rename(folder / "network")
    encoder.symlink_to("network")
    linked.symlink_to(folder)
    assert read_manifest(linked).read("encoder.onnx") == (folder / "network").read_bytes()
    (folder / "network").rename(tmp_path / "outside.onnx")
    encoder.unlink()
    encoder.symlink_to(tmp_path / "outside.onnx")
    refused(folder, "encoder.onnx is a link that leads out of the folder")
    with pytest.raises(BundleError, match="leads out of the folder"):
        Bundle(folder, verify=False)


def test_a_folder_of_a_longer_name_is_outside(folder, tmp_path):
    other = tmp_path / "small-2"
    os.rename(folder, other)
    folder.mkdir()
    for file in ("bundle.json", "bundle.json.sha256"):
        (other / file).rename(folder / file)
    for file in ("encoder.onnx", "decoder.onnx"):
        (folder / file).symlink_to(other / file)
    refused(folder, "encoder.onnx is a link that leads out of the folder")
