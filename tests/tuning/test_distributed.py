"""Chief and workers: each row once, whoever is killed, stopped or sent away, and nothing left running."""

import os
import signal
import sys
import time
import types

import pytest
from study_processes import ROWS, STEPS, ends, is_alive

from kerasvae import tuning

pytestmark = pytest.mark.slow


def test_a_killed_worker_and_a_killed_chief_cost_nothing(study):
    (study.folder / "nap").write_text("0.2")
    workers = [study.start("worker", timeout=1) for _ in range(2)]
    chief = study.start("chief", timeout=1)
    study.until(lambda: len(study.at_work()) == 2)
    # A worker dies with a row: after the time-out another goes on with it.
    (victim,) = (seed for seed, pid in study.at_work().items() if pid == workers[0].pid)
    study.until(lambda: (study.folder / "rows" / f"seed={victim}" / "checkpoint").is_file())
    workers[0].kill()
    workers.append(study.start("worker", timeout=1))
    study.until(lambda: sum(line[1] == str(victim) for line in study.log("begin")) == 2)
    # The chief dies: the rows at work go on, and the new chief lets them.
    assert chief.is_alive() and study.at_work()
    chief.kill()
    chief.join()
    chief = study.start("chief", timeout=1)
    ends(chief)
    ends(workers[1])
    ends(workers[2])
    study.check_finished()
    begun = [line[1:3] for line in study.log("begin")]
    assert len(begun) == len(ROWS) + 1
    assert all(int(done) > 0 for seed, done in begun[2:] if seed == str(victim))
    assert all(done == "0" for seed, done in begun if seed != str(victim))
    # A line a row from the chiefs and from the workers that were not killed; nothing is between them.
    lines = [line for line in study.output().splitlines() if "mig" in line]
    assert {line.split("  ")[1] for line in lines} == {f"seed={seed}" for seed in study.seeds}


def test_all_killed_at_once_again_and_again(study):
    (study.folder / "nap").write_text("0.2")
    for _ in range(3):
        begun = len(study.log("begin"))
        processes = [study.start("chief", timeout=1), study.start("worker"), study.start("worker")]
        study.until(lambda begun=begun: len(study.log("begin")) >= begun + 2)
        assert all(process.is_alive() for process in processes)
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
    finished = [line[1] for line in study.log("end")]
    (study.folder / "nap").write_text("0.01")
    processes = [study.start("chief", timeout=1), study.start("worker"), study.start("worker")]
    for process in processes:
        ends(process)
    study.check_finished()
    # No row begins again once it has ended, and none from the start once it has a checkpoint.
    log = study.log()
    for seed in finished:
        last_end = max(number for number, line in enumerate(log) if line[:2] == ["end", seed])
        assert not any(line[:2] == ["begin", seed] for line in log[last_end:])


def test_a_worker_that_sleeps_keeps_its_row(study):
    chief, sleeper, other = study.start("chief", timeout=1), study.start("worker", timeout=1), None
    study.until(lambda: len(study.at_work()) == 1)
    os.kill(sleeper.pid, signal.SIGSTOP)
    other = study.start("worker", timeout=1)
    # The chief waits for it, well beyond the time-out, with all other rows done.
    study.until(lambda: len(study.log("end")) == len(ROWS) - 1)
    time.sleep(1.5)
    assert chief.is_alive() and other.is_alive() and len(study.log("begin")) == len(ROWS)
    os.kill(sleeper.pid, signal.SIGCONT)
    for process in (chief, sleeper, other):
        ends(process)
    study.check_finished()
    assert len(study.log("begin")) == len(ROWS)


def test_failed_rows_are_reported_by_the_chief_and_retried(study):
    (study.folder / "fails").write_text("2")
    chief, helper = study.start("chief"), study.start("worker", verbose=0)
    ends(chief, 1)
    ends(helper)
    assert "1 of 6 rows failed" in study.output() and "seed=2: ArithmeticError: no luck" in study.output()
    assert study.output().count("2/6  seed=2  FAILED: ArithmeticError: no luck") == 1
    (study.folder / "fails").unlink()
    chief, helper = study.start("chief"), study.start("worker")
    ends(chief)
    ends(helper)
    study.check_finished()


def test_a_full_disk_ends_the_search_and_fails_no_row(study):
    (study.folder / "full").touch()
    chief, helper = study.start("chief"), study.start("worker")
    ends(chief, 1)
    ends(helper, 1)
    assert "No space left on device" in study.output() and "make room" in study.output()
    assert not list(study.folder.rglob("error.txt"))
    # What was done of the row is not lost either.
    (study.folder / "full").unlink()
    chief, helper = study.start("chief"), study.start("worker")
    ends(chief)
    ends(helper)
    study.check_finished()
    assert [line[1:3] for line in study.log("begin")][:2] == [["1", "0"], ["1", str(STEPS)]]


def test_while_a_chief_is_there_others_and_strangers_are_sent_away(study, tmp_path):
    chief = study.start("chief")
    study.until(lambda: "waiting for workers" in study.output())
    host_port = {"chief": study.address, "role": "worker", "verbose": 0}
    with pytest.raises(ValueError, match="the chief and this worker have different rows: seed=6; seed=7"):
        tuning.search(study.program.run, tuning.rows(seed=[1, 2, 3, 4, 5, 7]), study.folder, **host_port)
    with pytest.raises(ValueError, match="a worker needs the chief's own folder"):
        tuning.search(study.program.run, ROWS, tmp_path / "other", **host_port)
    others = tuning.rows(seed=[7, 8])
    tuning.search(lambda row, folder, verbose: {"mig": 1.0}, others, tmp_path / "another", verbose=0)
    with pytest.raises(RuntimeError, match=r"hands out rows of another study than that in .*, such as seed=1"):
        tuning.search(study.program.run, others, tmp_path / "another", **host_port)
    for options in ({}, {"workers": 2}, {"chief": "127.0.0.1:1", "role": "chief"}):
        with pytest.raises(RuntimeError, match="another process is searching"):
            tuning.search(study.program.run, ROWS, study.folder, verbose=0, **options)
    assert chief.is_alive() and not study.log()


def test_worker_processes_are_replaced_and_end_with_the_chief(study):
    """Beside the chief: one is killed, then Ctrl-C; then the chief is killed."""
    (study.folder / "nap").write_text("0.25")
    parent = study.start(workers=2)
    study.until(lambda: len(study.at_work()) == 2)
    seed, pid = next(iter(study.at_work().items()))
    study.until(lambda: (study.folder / "rows" / f"seed={seed}" / "checkpoint").is_file())
    os.kill(pid, signal.SIGKILL)
    # At once, without a time-out.
    study.until(lambda: sum(line[1] == str(seed) for line in study.log("begin")) == 2)
    at_work = study.at_work()
    os.kill(parent.pid, signal.SIGINT)
    ends(parent, 130)
    # Ctrl-C ends the children before the parent.
    assert at_work and not any(map(is_alive, at_work.values()))

    parent = study.start("chief", workers=1)
    study.until(lambda: len(study.at_work()) == 1)
    at_work = study.at_work()
    parent.kill()
    parent.join()
    study.until(lambda: not any(map(is_alive, at_work.values())))

    # One process goes on where several were.
    (study.folder / "nap").write_text("0.01")
    ends(study.start())
    study.check_finished()
    # No line twice; one whose chief ended before it could say it is among those "finished before".
    said = [line for line in study.output().splitlines() if "/6  seed" in line and "  waits: " not in line]
    lines = [line.split("  ")[0] for line in said]
    assert len(set(lines)) == len(lines) >= 4, said and set(lines) <= {f"{number}/6" for number in range(1, 7)}
    logs = [path.read_text() for path in (study.folder / "logs").iterdir()]
    assert len(logs) == 2 and "said by run" in logs[0] + logs[1]


@pytest.mark.slow
def test_worker_processes_that_cannot_begin_end_the_search(tmp_path, monkeypatch):
    module = types.ModuleType("only_here")
    exec("def run(row, folder, verbose): return {'mig': 1.0}", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(RuntimeError, match=r"exit code 1 before its first row: ModuleNotFoundError: .*'only_here'"):
        tuning.search(module.run, ROWS[:1], tmp_path, workers=2, verbose=0)
    assert not list(tmp_path.rglob("result.json"))
