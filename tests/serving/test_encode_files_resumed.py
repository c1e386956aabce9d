"""Codes of files after an interruption."""

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from serving.photos import check_troubles
from serving.small_bundles import Linear, write_bundle

import kerasvae
from kerasvae.serving import Bundle, code_files, encode_files, unfinished_codes
from kerasvae.serving.unfinished_codes import UnfinishedCodes

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".parquet"])
@pytest.mark.parametrize("batches", [1, 3])
def test_an_interrupted_run_ends_with_the_same_bytes(encode, photos, tmp_path, monkeypatch, suffix, batches):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    whole = encode(f"whole{suffix}", logvar=True)
    monkeypatch.setattr(unfinished_codes, "_SECONDS_BETWEEN_COMMITS", 0.0)
    call, calls = Bundle.encode_prepared, []

    def interrupted(self, images):
        calls.append(len(images))
        if len(calls) > batches:
            raise KeyboardInterrupt
        return call(self, images)

    monkeypatch.setattr(Bundle, "encode_prepared", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encode(f"codes{suffix}", logvar=True)
    assert not (tmp_path / f"codes{suffix}").exists()
    with pytest.raises(
        FileExistsError, match=rf"an interrupted run left {4 * batches} results in .*unfinished': go on"
    ):
        encode(f"codes{suffix}", logvar=True)
    monkeypatch.setattr(Bundle, "encode_prepared", call)
    encoded = encode(f"codes{suffix}", logvar=True, resume=True)
    assert encoded.out.read_bytes() == whole.out.read_bytes()
    assert encoded.errors.read_bytes() == whole.errors.read_bytes()
    assert not list(tmp_path.glob("*.unfinished*"))


KILLED = """
import os, signal, sys
from kerasvae.serving import Bundle, encode_files
call, calls = Bundle.encode_prepared, []
def killed(self, images):
    calls.append(1)
    if len(calls) == 6:  # the first is the bundle's test
        os.kill(os.getpid(), signal.SIGKILL)
    return call(self, images)
Bundle.encode_prepared = killed
sys.modules["kerasvae.serving.unfinished_codes"]._SECONDS_BETWEEN_COMMITS = 0.0
encode_files(sys.argv[1], sys.argv[2], sys.argv[3], recursive=True, batch_size=4, threads=1)
"""


def test_a_killed_run_is_resumed(encode, bundle, photos, tmp_path):
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(bundle.path), str(photos), str(tmp_path / "codes.csv")],
        env={**os.environ, "PYTHONPATH": str(Path(kerasvae.__file__).parents[1])},
        capture_output=True,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    with sqlite3.connect(f"file:{tmp_path / 'codes.csv.unfinished'}?immutable=1", uri=True) as database:
        assert database.execute("select count(*) from results").fetchone() == (16,)
    database.close()
    encoded = encode(files=[str(photos)], resume=True)
    check_troubles(encoded, photos)
    assert encoded.out.read_bytes() == encode("whole.csv", files=[str(photos)]).out.read_bytes()


def test_interrupted_between_the_last_result_and_the_file(encode, monkeypatch):
    whole = encode("whole.csv").out.read_bytes()
    write = code_files.write

    def full(path, suffix, table):
        write(path, suffix, table)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(code_files, "write", full)
    with pytest.raises(OSError, match="No space left"):
        encode()
    monkeypatch.setattr(code_files, "write", write)
    monkeypatch.delattr(Bundle, "encode_prepared")  # nothing is encoded again
    assert encode(resume=True).out.read_bytes() == whole


def test_a_disk_that_fills_up_costs_no_results(encode, monkeypatch, tmp_path):
    whole = encode("whole.csv").out.read_bytes()
    add = unfinished_codes.UnfinishedCodes.add

    def in_little_room(self, results):
        self._database.execute("pragma max_page_count = 1")  # as few as there are
        add(self, [(np.zeros(5000, "float32"), None, None), *results] if self.done >= 8 else results)

    monkeypatch.setattr(unfinished_codes.UnfinishedCodes, "add", in_little_room)
    with pytest.raises(OSError, match=r"codes\.csv\.unfinished': database or disk is full"):
        encode()
    monkeypatch.setattr(unfinished_codes.UnfinishedCodes, "add", add)
    assert encode(resume=True).out.read_bytes() == whole


def test_resuming_another_run(encode, photos, tmp_path, monkeypatch):
    def stop(self, images):
        raise KeyboardInterrupt

    whole = encode("whole.csv").out.read_bytes()
    encode_prepared = Bundle.encode_prepared
    calls = iter([encode_prepared, encode_prepared, stop])
    monkeypatch.setattr(Bundle, "encode_prepared", lambda self, images: next(calls)(self, images))
    with pytest.raises(KeyboardInterrupt):
        encode()
    monkeypatch.setattr(Bundle, "encode_prepared", encode_prepared)
    for options, message in (
        ({"batch_size": 5}, "began with batch_size 4, not 5"),
        ({"logvar": True}, "began with logvar False, not True"),
        ({"recursive": False}, "began with recursive True, not False"),
        ({"files": [photos / "a"]}, "began with files"),
        ({"pixel_limit": 10**6}, "began with pixel_limit 89478485, not 1000000"),
    ):
        with pytest.raises(ValueError, match=message):
            encode(resume=True, **options)
    write_bundle(tmp_path / "other", Linear(seed=1))
    with pytest.raises(ValueError, match=r"began with bundle 'small 1 \(.*\)', not 'small 1 \(.*\)'"):
        encode_files(
            tmp_path / "other", [photos], tmp_path / "codes.csv", batch_size=4, recursive=True, threads=2, resume=True
        )
    # What may differ, because no result depends on it.
    assert encode(resume=True, threads=1, progress=False).out.read_bytes() == whole
    assert encode(resume=True).out.read_bytes() == whole  # nothing to resume: from the start


def test_a_list_without_results_is_made_again(encode, photos, tmp_path, monkeypatch):
    def stop(self, images):
        raise KeyboardInterrupt

    encode_prepared, unfinished = Bundle.encode_prepared, tmp_path / "codes.csv.unfinished"
    monkeypatch.setattr(Bundle, "encode_prepared", stop)
    with pytest.raises(KeyboardInterrupt):
        encode(files=[photos / "00.png"])
    assert not unfinished.exists()
    monkeypatch.setattr(Bundle, "encode_prepared", encode_prepared)
    # What a kill leaves at that point.
    UnfinishedCodes(unfinished, {}, ["gone.png"], resume=False)._database.close()
    assert unfinished.is_file()
    assert encode(files=[photos / "a"]).count == 8
