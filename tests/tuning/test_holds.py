"""Holds: who does a row, and what is seen of it, also from another machine, where locks may not reach."""

import signal
import time

import pytest
from study_processes import WAIT

from kerasvae import tuning
from kerasvae.tuning import holds
from kerasvae.tuning.holds import LostRowError, RowHold, RowWatch

ROWS = tuning.rows(seed=[1, 2, 3])


def test_a_hold_is_seen_and_then_not(tmp_path):
    watch = RowWatch(tmp_path)
    assert watch.look() == "free"
    with RowHold(tmp_path, 60) as hold:
        hold.check()
        assert b"worker" in (tmp_path / holds.FILE).read_bytes()
    assert (watch.look(), (tmp_path / holds.FILE).read_bytes()) == ("free", b"")


@pytest.mark.parametrize("locks", [True, False])
def test_beats_of_another_machine_are_signs_of_life(tmp_path, monkeypatch, locks):
    if not locks:
        monkeypatch.setattr(holds, "_lock", lambda file: None)
    watch, path = RowWatch(tmp_path), tmp_path / holds.FILE
    machine = "another" if locks else holds.machine()
    for beat in range(2):
        path.write_text(f'{{"machine": "{machine}", "beat": "{beat}"}}')
        assert [watch.look() for _ in range(3)] == ["held", "silent", "silent"]
    path.write_text("")
    assert watch.look() == "free"


def test_what_a_killed_holder_was_writing_is_taken_away(tmp_path):
    for name in (".partial-1-checkpoint.keras", ".probe-1-model.keras", "checkpoint.keras"):
        (tmp_path / name).touch()
    (tmp_path / ".partial-2-encoder").mkdir()
    (tmp_path / ".partial-2-encoder" / "weights").touch()
    with RowHold(tmp_path, 60):
        assert sorted(path.name for path in tmp_path.iterdir()) == [holds.FILE, "checkpoint.keras"]


def test_a_process_that_died_on_this_machine_needs_no_time_out(tmp_path):
    (tmp_path / holds.FILE).write_text(f'{{"machine": "{holds.machine()}", "beat": "1"}}')
    assert RowWatch(tmp_path).look() == "free"


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["foreground", "background"])
def ctrl_c(request):
    """What the process does about it; in the background of a script, nothing."""
    before = signal.signal(signal.SIGINT, request.param)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_beat_goes_on_and_a_row_given_away_is_let_go(tmp_path, ctrl_c):
    path = tmp_path / holds.FILE
    began = time.monotonic()
    with pytest.raises(LostRowError, match="was given to another worker"), RowHold(tmp_path, 0.2) as hold:
        first = path.read_bytes()
        while path.read_bytes() == first and time.monotonic() < began + WAIT:
            time.sleep(0.01)
        assert len(path.read_bytes()) == len(first)
        path.write_text("another's")
        while time.monotonic() < began + WAIT:
            time.sleep(0.01)
    assert hold.lost and time.monotonic() < began + WAIT
    assert path.read_text() == "another's"


def test_a_row_given_away_leaves_no_result(tmp_path):
    def run(row, folder, verbose):
        (folder / holds.FILE).write_text("another's")
        return {"mig": 1.0}

    with pytest.raises(RuntimeError, match="was given to another worker"):
        tuning.search(run, ROWS, tmp_path, verbose=0)
    assert not list(tmp_path.rglob("result.json")) and not list(tmp_path.rglob("error.txt"))
