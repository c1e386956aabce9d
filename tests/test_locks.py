"""One writer at a time, whoever dies how."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kerasvae.locks import file_lock, folder_lock, remove_unfinished

HOLD = """
import sys, time
from kerasvae.locks import folder_lock
with folder_lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of `tmp_path`."""
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], env=variables, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_another_process_is_kept_out_until_it_dies(tmp_path, holder):
    with pytest.raises(BlockingIOError, match=rf"^folder: '{tmp_path}' is in use by process {holder.pid} on .* since"):
        folder_lock(tmp_path).__enter__()
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".lock").exists()
    with folder_lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_another_thread_is_kept_out(tmp_path):
    caught = []

    def enter():
        try:
            folder_lock(tmp_path).__enter__()
        except BlockingIOError as error:
            caught.append(str(error))

    with folder_lock(tmp_path):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
    assert "is in use by thread 'MainThread' of this process since" in caught[0]


def test_a_file_s_lock_lies_beside_it(tmp_path):
    with file_lock(tmp_path / "codes.csv", "out"):
        assert [path.name for path in tmp_path.iterdir()] == [".codes.csv.lock"]
        with file_lock(tmp_path / "other.csv"), pytest.raises(BlockingIOError, match=r"^out: .*codes\.csv' is in use"):
            file_lock(tmp_path / "codes.csv", "out").__enter__()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")
@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_a_fork_does_not_keep_the_lock(tmp_path):
    reading, writing = os.pipe()
    lock = folder_lock(tmp_path).__enter__()
    if (child := os.fork()) == 0:
        os.read(reading, 1)
        os._exit(0)
    try:
        lock.__exit__(None, None, None)
        with folder_lock(tmp_path):
            pass
    finally:
        os.write(writing, b"x")
        os.waitpid(child, 0)


def test_a_removed_folder_is_noticed(tmp_path):
    folder = tmp_path / "run"
    with folder_lock(folder) as lock:
        lock.check()
        (folder / ".lock").unlink()
        (folder / "history.csv").touch()
        with pytest.raises(FileNotFoundError, match=r"folder: .*run' was removed .* of it are left: history\.csv"):
            lock.check()
        (folder / "history.csv").unlink()
        folder.rmdir()
        with pytest.raises(FileNotFoundError, match="nothing of it is left"):
            lock.check()
        # Another run's.
        with folder_lock(folder), pytest.raises(FileNotFoundError, match="was removed"):
            lock.check()
    assert not list(folder.iterdir())


def test_temporary_files_of_the_dead_are_removed(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    dead, own = process.pid, os.getpid()
    (tmp_path / f".partial-{dead}-bundle").mkdir()
    (tmp_path / f".partial-{dead}-bundle" / "a").touch()
    kept = [f".partial-{own}-scores.json", ".partial-x-model.keras", ".hidden-1-2", "photo.png"]
    gone = [
        f".partial-{own}-model.keras",
        f".partial-{own}-.partial-{own}-model.keras",
        f".probe-{dead}-scores.json",
        f".replaced-{dead}-photo.png",
    ]
    for name in kept + gone:
        (tmp_path / name).touch()
    remove_unfinished(tmp_path, ["model.keras"])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)


def test_a_folder_that_had_stepped_aside_is_put_back(tmp_path):
    (tmp_path / ".replaced-1-bundle").mkdir()
    (tmp_path / ".replaced-1-bundle" / "old").touch()
    remove_unfinished(tmp_path, ["bundle"])
    assert [path.name for path in tmp_path.rglob("*")] == ["bundle", "old"]
