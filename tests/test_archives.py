"""Archives and compressed files that claim to hold more than they can, and those that are only compressed well."""

import gzip
import io
import json
import struct
import tracemalloc
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from kerasvae import archives, metrics
from kerasvae.analysis.study import load
from kerasvae.models.loading import load as load_model

LARGE = 300 * 1024**2


@pytest.fixture(scope="module")
def deflated():
    """LARGE zero bytes, deflated: a megabyte many times over, and the empty block that ends it."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)) * (LARGE >> 20) + b"\3\0"


def zip_file(path, members, deflated=None, name=None, claimed=LARGE):
    """A zip file of members {name: bytes} and of one more, `name`, whose contents are deflated, of a claimed size."""
    with zipfile.ZipFile(path, "w") as archive:
        for member, contents in members.items():
            archive.writestr(member, contents)
        if deflated:
            info = zipfile.ZipInfo(name)
            archive.writestr(info, deflated)
            # The directory is written at the end, of what stands here.
            info.compress_type, info.file_size, info.CRC = zipfile.ZIP_DEFLATED, claimed, 0
    if deflated:
        with path.open("r+b") as file:
            file.seek(info.header_offset + 8)
            file.write(struct.pack("<HHHIII", 8, 0, 0, 0, len(deflated), claimed))
    return path


@pytest.fixture
def little_memory():
    """Fails a test that takes more than 60 MB at a time."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6, f"{peak / 1e6:.0f} MB"


PARTS = {"config.json": b"{}", "metadata.json": b"{}", "model.weights.h5": b"nothing"}


@pytest.mark.parametrize("name", ["model.weights.h5", "config.json", "more/deeper.bin"])
def test_a_model_that_claims_far_more_than_it_has(tmp_path, deflated, little_memory, name):
    path = tmp_path / "model.keras"
    zip_file(path, {part: text for part, text in PARTS.items() if part != name}, deflated, name)
    with pytest.raises(ValueError, match=rf"filepath: '{path}' is not a whole .* \(its .* claim to hold 300 MiB"):
        load_model(path)


def test_a_model_that_claims_less_than_it_has(tmp_path, deflated, little_memory):
    path = zip_file(tmp_path / "model.keras", {"config.json": b"{}"}, deflated, "model.weights.h5", claimed=1000)
    with pytest.raises(ValueError, match=r"filepath: .* is not a whole .keras file"):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../outside.json", "leads out of it"),
        ("/outside.json", "leads out of it"),
        ("a/../../b", "leads out of it"),
        ("C:outside.json", "leads out of it"),
        ("a\\..\\b", "leads out of it"),
    ],
)
def test_names_that_lead_out_of_an_archive(tmp_path, name, reason):
    path = zip_file(tmp_path / "model.keras", PARTS | {name: b"x"})
    with pytest.raises(ValueError, match=f"filepath: .*{reason}"):
        load_model(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_of_one_name(tmp_path):
    path = zip_file(tmp_path / "model.keras", PARTS)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", b"{}")
    with pytest.raises(ValueError, match=r"'config\.json' is in it twice"):
        load_model(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_ways_to_compress(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "codes.npz", "w", method) as archive:
        archive.writestr("codes.npy", npy(np.zeros((9, 2))))
        archive.writestr("factors.npy", npy(np.zeros((9, 2), int)))
    with pytest.raises(ValueError, match=r"'codes\.npy' in it is compressed in a way that is not read"):
        metrics.score_file(tmp_path / "codes.npz")


def encrypted(path):
    """Say of all members that they are encrypted."""
    data = bytearray(path.read_bytes())
    for start, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(start)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(start, place + 4)
    path.write_bytes(data)
    return path


def test_encrypted_archives(tmp_path):
    with pytest.raises(ValueError, match=r"filepath: .*model.keras' .*'config.json' in it is encrypted"):
        load_model(encrypted(zip_file(tmp_path / "model.keras", PARTS)))
    with pytest.raises(ValueError, match=r"path .*codes.npz': 'codes.npy' in it is encrypted; write it without a pass"):
        metrics.score_file(encrypted(zip_file(tmp_path / "codes.npz", {"codes.npy": npy(np.zeros((3, 2)))})))


def test_weights_that_are_small_in_the_file_alone(tmp_path, little_memory):
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.create_dataset("vars/0", (LARGE,), "uint8", chunks=(1 << 20,), compression="gzip", fillvalue=0)
    path = zip_file(tmp_path / "model.keras", PARTS | {"model.weights.h5": content.getvalue()})
    with pytest.raises(ValueError, match=r"filepath: .*model.weights.h5 in it claims to hold 300 MiB in .* KiB"):
        load_model(path)


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def header(shape, dtype="<f8"):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(10**13, 2), (10**13,), (2**40, 2**40), (3, 2**62)])
def test_arrays_that_claim_more_numbers_than_they_have(tmp_path, little_memory, shape):
    path = zip_file(tmp_path / "codes.npz", {"codes.npy": header(shape), "factors.npy": npy(np.zeros((3, 2), int))})
    with pytest.raises(ValueError, match=rf"path must be .*'{path}': codes claims the shape \({shape[0]},"):
        metrics.score_file(path)


def test_arrays_of_zeros_without_end(tmp_path, deflated, little_memory):
    # The header, then as many zeros as it says.
    start, others = header((LARGE // 8,)), {"factors.npy": npy(np.zeros((3, 2), int))}
    contents = struct.pack("<BHH", 0, len(start), len(start) ^ 0xFFFF) + start + deflated
    path = zip_file(tmp_path / "codes.npz", others, contents, "codes.npy", LARGE + len(start))
    with pytest.raises(ValueError, match=rf"'{path}': its .* claim to hold 300 MiB, more than such arrays can"):
        metrics.score_file(path)
    # An array that is not wanted is not looked at.
    assert archives.read_npz(path, ["factors"])[1] == ["factors", "codes"]
    with pytest.raises(ValueError, match="claim to hold 300 MiB, where 200 MiB are allowed"):
        archives.read_npz(path, ["codes"], most=200 * 1024**2)


def test_arrays_that_only_shrink_well(tmp_path):
    factors = np.stack(np.unravel_index(np.arange(60_000), (60, 50, 20)), axis=1)
    np.savez_compressed(tmp_path / "a.npz", factors=factors, masks=np.zeros((1000, 64, 64), bool), other=[1])
    assert factors.nbytes + 1000 * 64 * 64 > 20 * (tmp_path / "a.npz").stat().st_size
    arrays, names = archives.read_npz(tmp_path / "a.npz", ["factors", "masks", "nothing"])
    assert names == ["factors", "masks", "other"] and list(arrays) == ["factors", "masks"]
    np.testing.assert_array_equal(arrays["factors"], factors)
    assert arrays["masks"].shape == (1000, 64, 64) and not arrays["masks"].any()


def test_arrays_that_are_damaged_or_no_numbers(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, codes=np.arange(4000.0))
    whole = path.read_bytes()
    path.write_bytes(whole[:2000] + bytes([whole[2000] ^ 1]) + whole[2001:])
    with pytest.raises(ValueError, match="Bad CRC-32"):
        archives.read_npz(path, ["codes"])
    path.write_bytes(whole[:2000])
    with pytest.raises(ValueError, match="not a zip file"):
        archives.read_npz(path, ["codes"])
    np.savez(path, codes=np.array([{}, None]))
    with pytest.raises(ValueError, match=r"codes is an array of Python objects \(dtype object\), numbers are wanted"):
        archives.read_npz(path, ["codes"])


RUNS = "method,seed,mig\n" + "".join(f"beta_vae,{seed},0.{seed}\n" for seed in range(9))


@pytest.mark.parametrize("name", ["results.csv", "results.csv.gz", "results.json", "results.json.gz"])
def test_text_that_inflates_without_end(tmp_path, little_memory, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(RUNS.encode()) + gzip.compress(b"beta_vae,1,0.5\n" * 70_000) * 100)
    with pytest.raises(ValueError, match=rf"source: '{path}' is compressed, and its .* inflate to more than .* MiB"):
        load(path)


def test_text_that_only_shrinks_well(tmp_path):
    runs = [{"method": "vae", "seed": seed, "mig": 0.5, "hp.note": "the same for all " * 20} for seed in range(900)]
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps(runs).encode()))
    assert len(load(tmp_path / "a.json.gz")) == 900
