"""Arguments of a search with several workers, refused before anything is written where they cannot be."""

import os
import pickle
import socket
import sys
import types

import pytest
from study_processes import ROWS

from kerasvae import tuning
from kerasvae.tuning import distributed, worker


def run_nothing(row, folder, verbose):
    """A run that can be pickled, as workers need it."""
    return {"mig": 1.0}


def check_nothing_written(said, folder, error=ValueError, run=run_nothing, **options):
    with pytest.raises(error, match=said):
        tuning.search(run, ROWS, folder, verbose=0, **options)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "workers must be an integer, at least 1"),
        ({"workers": True}, "workers must be an integer"),
        ({"workers": 1.5}, "workers must be an integer"),
        ({"workers": -1, "chief": "here:5000", "role": "chief"}, "workers must be an integer"),
        ({"workers": 2, "chief": "here:5000", "role": "worker"}, 'workers must be 1 with role="worker", got 2'),
        ({"chief": "here:5000"}, 'role must be "chief" or "worker"'),
        ({"chief": "here:5000", "role": "boss"}, "role must be"),
        ({"role": "worker"}, 'chief must be "HOST:PORT" where role is given'),
        ({"chief": "here", "role": "chief"}, 'chief must be "HOST:PORT", such as'),
        ({"chief": "here:0", "role": "chief"}, "chief must be"),
        ({"chief": "here:70000", "role": "chief"}, "chief must be"),
        ({"chief": 5000, "role": "chief"}, "chief must be"),
        ({"timeout": 0.5}, "timeout must be a number of seconds"),
        ({"timeout": float("inf")}, "timeout must be"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(tmp_path, options, said):
    check_nothing_written(said, tmp_path / "study", **options)


def test_a_run_that_cannot_be_pickled_is_refused(tmp_path, monkeypatch):
    def inner(row, folder, verbose):
        return {"mig": 1.0}

    for run in (inner, lambda row, folder, verbose: {"mig": 1.0}):
        check_nothing_written("run must be picklable", tmp_path / "study", run=run, workers=2)
    main = types.ModuleType("__main__")
    exec("def run(row, folder, verbose): return {'mig': 1.0}", main.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", main)
    check_nothing_written("run must be defined in a file", tmp_path / "study", run=main.run, workers=2)
    # Alone, anything goes.
    assert len(tuning.search(inner, ROWS, tmp_path / "alone", verbose=0)) == 6


def test_a_program_without_a_guard_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(worker.STARTING, "1")
    check_nothing_written('under `if __name__ == "__main__":`', tmp_path / "study", error=RuntimeError)


def test_an_unknown_host_and_one_that_is_no_chief_are_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"chief: no host 'nowhere\.invalid' is known to this machine"):
        tuning.search(run_nothing, ROWS, tmp_path, chief="nowhere.invalid:5000", role="worker", verbose=0)
    monkeypatch.setattr(worker, "GREETING", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(RuntimeError, match=f"chief: what listens at {address} is no chief"):
            tuning.search(run_nothing, ROWS, tmp_path, chief=address, role="worker", verbose=0)


def test_a_chief_that_does_not_come_is_waited_for_aloud(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "PATIENCE", 0.0)
    monkeypatch.setattr(worker, "ASK_EVERY", 0.01)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        options = {"chief": f"127.0.0.1:{taken.getsockname()[1]}", "role": "worker", "verbose": 0}
        said = []
        with pytest.raises(RuntimeError, match="has not answered for 0 s; start the chief again"):
            tuning.search(run_nothing, ROWS, tmp_path, on_wait=said.append, **options)
        assert said == [f"waiting for the chief at {options['chief']}"]


def test_a_port_in_use_is_named_before_the_study_begins(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"chief: cannot listen on {address}"):
            tuning.search(run_nothing, ROWS, tmp_path, chief=address, role="chief", workers=0, verbose=0)
    assert not (tmp_path / "study.json").exists()


def test_variables_of_keras_tuner_are_not_arguments(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker")
    assert len(tuning.search(lambda row, folder, verbose: {"mig": 1.0}, ROWS, tmp_path, verbose=0)) == 6
    assert os.environ["KERASTUNER_ORACLE_PORT"] == "1"


def test_integers_that_cannot_be_sent_are_refused(tmp_path):
    rows = tuning.rows(size=[1, 2**63])
    with pytest.raises(ValueError, match="rows: size must fit into 64 bits"):
        tuning.search(run_nothing, rows, tmp_path / "study", workers=2)
    assert len(tuning.search(lambda row, folder, verbose: {"mig": 1.0}, rows, tmp_path, verbose=0)) == 2


def test_the_worker_names_are_no_chiefs_and_the_bytes_come_back():
    assert all("chief" not in worker.new_tuner_id() for _ in range(100))
    assert pickle.loads(distributed.pickled(len)) is len
