import errno
import json
import os
import socket
import sys

import numpy as np
import pytest

from kerasvae import files


class BrokenError(Exception):
    pass


def everything(folder):
    """Relative paths of all files and folders in `folder`, with the text of the files."""
    return {
        str(path.relative_to(folder)): path.read_text() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def write_folder(path, **texts):
    path.mkdir()
    for name, text in texts.items():
        (path / name).write_text(text)


def test_new_file(tmp_path):
    with files.replacing(tmp_path / "a.txt") as temporary:
        assert temporary.parent == tmp_path and temporary.name != "a.txt"
        temporary.write_text("new")
        assert not (tmp_path / "a.txt").exists()
    assert everything(tmp_path) == {"a.txt": "new"}


def test_temporary_name_keeps_the_suffix(tmp_path):
    # Keras chooses the format by the suffix.
    with files.replacing(tmp_path / "model.weights.h5") as temporary:
        assert temporary.name.endswith(".weights.h5")
        temporary.touch()


def test_file_is_replaced_at_the_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files.replacing(str(path)) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert everything(tmp_path) == {"a.txt": "new"}


def test_replacement_is_one_rename(tmp_path):
    # Whoever has the old file open still reads the old one, whole.
    path = tmp_path / "a.txt"
    path.write_text("old")
    with open(path) as reader:
        files.write_text(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(BrokenError), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise BrokenError
    assert everything(tmp_path) == {"a.txt": "old"}


def test_failure_without_an_old_file_leaves_nothing(tmp_path):
    with pytest.raises(BrokenError), files.replacing(tmp_path / "a") as temporary:
        write_folder(temporary, part="half")
        raise BrokenError
    assert everything(tmp_path) == {}


def test_interruption_is_a_failure(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), files.replacing(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert everything(tmp_path) == {"a.txt": "old"}


@pytest.mark.parametrize("exchange", [True, False], ids=["in one step", "where the system cannot exchange"])
def test_folder_is_replaced_as_a_whole(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(files, "_exchanged", lambda *_: False)
    path = tmp_path / "run"
    write_folder(path, one="old", two="old")
    with files.replacing(path) as temporary:
        write_folder(temporary, one="new")
        assert (path / "one").read_text() == "old"
    assert everything(tmp_path) == {"run": None, "run/one": "new"}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="folders are exchanged on Linux alone")
def test_a_folder_is_never_missing_while_it_is_replaced(tmp_path, monkeypatch):
    path = tmp_path / "run"
    write_folder(path, one="old")

    def fail(*_):
        raise AssertionError("the folder was renamed, not exchanged")

    with files.replacing(path) as temporary:
        write_folder(temporary, one="new")
        monkeypatch.setattr(files.os, "replace", fail)
    assert everything(tmp_path) == {"run": None, "run/one": "new"}


def test_failure_leaves_the_old_folder(tmp_path):
    path = tmp_path / "run"
    write_folder(path, one="old")
    with pytest.raises(BrokenError), files.replacing(path) as temporary:
        write_folder(temporary, one="half")
        raise BrokenError
    assert everything(tmp_path) == {"run": None, "run/one": "old"}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_nothing_written_leaves_what_was_there(tmp_path, kind):
    path = tmp_path / "a"
    path.write_text("old") if kind == "file" else write_folder(path, one="old")
    before = everything(tmp_path)
    with pytest.raises(OSError), files.replacing(path):
        pass
    assert everything(tmp_path) == before


def test_a_file_does_not_replace_a_folder(tmp_path):
    path = tmp_path / "results"
    write_folder(path, one="old")
    with pytest.raises(OSError, match=r"output: .*results' is a folder, which no file replaces"):
        files.write_text(path, "new", "output")
    assert everything(tmp_path) == {"results": None, "results/one": "old"}


def test_a_folder_does_not_replace_a_file(tmp_path):
    path = tmp_path / "results"
    path.write_text("old")
    with pytest.raises(OSError, match=r"output: .*results' is a file"), files.replacing(path, "output") as temporary:
        write_folder(temporary, one="new")
    assert everything(tmp_path) == {"results": "old"}


def test_folder_behind_a_link_is_left_alone(tmp_path):
    write_folder(tmp_path / "elsewhere", one="old")
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with files.replacing(tmp_path / "run") as temporary:
        write_folder(temporary, one="new")
    assert (tmp_path / "run" / "one").read_text() == "new"
    assert (tmp_path / "elsewhere" / "one").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "run"]


@pytest.mark.parametrize("killed_after", ["writing", "setting aside"])
def test_remains_of_a_killed_process_do_no_harm(tmp_path, monkeypatch, killed_after):
    path = tmp_path / "run"
    write_folder(path, one="old")
    monkeypatch.setattr(files.os, "getpid", lambda: 7)
    name = {"writing": ".partial-7-run", "setting aside": ".replaced-7-run"}[killed_after]
    write_folder(tmp_path / name, stale="stale")
    with files.replacing(path) as temporary:
        write_folder(temporary, one="new")
    assert everything(tmp_path) == {"run": None, "run/one": "new"}


def test_parents_are_made(tmp_path):
    files.write_text(tmp_path / "a" / "b" / "c.txt", "text")
    assert everything(tmp_path) == {"a": None, "a/b": None, "a/b/c.txt": "text"}


def test_text_is_utf_8(tmp_path):
    files.write_text(tmp_path / "a.txt", "β = 4\n")
    assert (tmp_path / "a.txt").read_bytes() == b"\xce\xb2 = 4\n"


def test_json(tmp_path):
    value = {"name": "run", "scores": [1, 0.1, None, True]}
    files.write_json(tmp_path / "a.json", value)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == value and text.endswith("}\n") and '\n  "name"' in text


@pytest.mark.parametrize("value, error", [(float("nan"), ValueError), (object(), TypeError)])
def test_json_that_is_refused_leaves_the_old_file(tmp_path, value, error):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(error):
        files.write_json(path, {"ok": 1, "bad": value})
    assert everything(tmp_path) == {"a.json": "old"}


WRITERS = {
    "replacing": lambda path: files.replacing(path, "filepath").__enter__(),
    "check_writable": lambda path: files.check_writable(path, "filepath"),
    "write_text": lambda path: files.write_text(path, "text", "filepath"),
    "write_json": lambda path: files.write_json(path, {}, "filepath"),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("below", ["regular/a.txt", "regular/deep/a.txt"])
def test_place_that_cannot_be_written(tmp_path, write, below):
    (tmp_path / "regular").write_text("old")
    with pytest.raises(OSError, match=f"^filepath: cannot write '.*{below}'.*name a place") as caught:
        write(tmp_path / below)
    assert isinstance(caught.value.__cause__, OSError)
    assert everything(tmp_path) == {"regular": "old"}


def test_default_argument_is_path(tmp_path):
    (tmp_path / "regular").touch()
    with pytest.raises(OSError, match=r"^path: cannot write"):
        files.write_text(tmp_path / "regular" / "a", "text")


def test_check_writable_leaves_no_trace_but_the_folders(tmp_path):
    path = tmp_path / "new" / "a.txt"
    assert files.check_writable(str(path)) == path
    assert everything(tmp_path) == {"new": None}
    path.write_text("old")
    files.check_writable(path)
    assert everything(tmp_path) == {"new": None, "new/a.txt": "old"}


def odd_things(folder):
    """(path, reason) of what is no regular file."""
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(folder / "socket"))
    (folder / "loop").symlink_to("loop")
    (folder / "nowhere").symlink_to("gone")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "to pipe").symlink_to("pipe")
    yield folder / "folder", "it is a folder"
    yield folder / "pipe", "it is no file but a pipe"
    yield folder / "to pipe", "it is no file but a pipe"
    yield folder / "socket", "it is no file but a socket"
    yield folder / "zero", "it is no file but a device"
    yield folder / "loop", "Too many levels of symbolic links"
    yield folder / "nowhere", "it is a link to nothing"
    yield folder / ("a" * 300), "File name too long"
    yield f"{folder}/nul\0", "embedded null byte"
    yield "/dev/null", "it is no file but a device"


def test_what_is_no_regular_file(tmp_path):
    for path, reason in odd_things(tmp_path):
        assert reason in files.why_no_file(path)
        with pytest.raises(FileNotFoundError, match=r"^bundle: there is no file ") as caught:
            files.regular_file(path, "bundle")
        assert reason in str(caught.value) and repr(str(path)) in str(caught.value)
        with pytest.raises(FileNotFoundError, match=r"^path: there is no file "):
            files.read_json(path)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        assert files.why_no_file(tmp_path / name) is None and files.regular_file(tmp_path / name).name == name
    with pytest.raises(FileNotFoundError, match=r"^path: there is no file '[^']*/missing'$"):
        files.regular_file(tmp_path / "missing")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\0", "\xff"], ids=["empty", "cut", "deep", "zero", "letter"])
def test_json_that_cannot_be_read(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"'.*a\.json' is (damaged, or no JSON|no JSON that can be read)"):
        files.read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[1, 2, 3]")
    with pytest.raises(ValueError, match=r"'.*a\.json' has more than 8 bytes"):
        files.read_json(tmp_path / "a.json", most=8)


REFUSALS = {
    "without a path": lambda temporary: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    "of the temporary path": lambda temporary: OSError(errno.EROFS, os.strerror(errno.EROFS), str(temporary)),
    "of a file in a folder": lambda temporary: PermissionError(errno.EACCES, "denied", temporary / "a" / "b.npy"),
    "name too long": lambda temporary: OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), str(temporary)),
    "of HDF5": lambda temporary: OSError(f"cannot write '{temporary}' (errno = 28, 'No space left on device')"),
    "of HDF5 when it closes": lambda temporary: RuntimeError("Can't decrement (errno = 28, 'No space left on device')"),
    "of NumPy": lambda temporary: OSError("4096 requested and 0 written"),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_whoever_cannot_write_the_path_is_named(tmp_path, refusal):
    path = tmp_path / "deep" / "a.npy"
    with pytest.raises(OSError) as caught, files.replacing(path, "out") as temporary:
        cause = refusal(temporary)
        raise cause
    number = getattr(cause, "errno", None) or errno.ENOSPC
    assert str(caught.value).startswith(f"out: cannot write '{path}' ({os.strerror(number)}); ")
    assert caught.value.errno == number and caught.value.__cause__ is cause
    assert everything(tmp_path) == {"deep": None}


def test_errors_of_something_else_stay_what_they_are(tmp_path):
    for error in (
        OSError("no network"),
        FileNotFoundError(errno.ENOENT, "none", "b"),
        OSError(errno.EACCES, "no", "b"),
    ):
        with pytest.raises(OSError) as caught, files.replacing(tmp_path / "a"):
            raise error
        assert caught.value is error


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no device that is always full")
def test_a_full_disk_is_named_by_all_that_write(tmp_path):
    def full(path):
        path.symlink_to("/dev/full")
        return path

    def save(path):
        with path.open("wb") as stream:
            np.save(stream, np.zeros(100_000))

    for write in (lambda path: path.write_text("a" * 100_000), save):
        with pytest.raises(OSError, match=r"^path: cannot write '.*/a.npy' \(No space left on device\); make room$"):
            with files.replacing(tmp_path / "a.npy") as temporary:
                write(full(temporary))
        assert everything(tmp_path) == {}
