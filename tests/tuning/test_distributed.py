"""Chief and workers: each row once, whoever is killed, stopped or sent away, and nothing left running."""

import csv
import errno
import multiprocessing
import os
import pickle
import signal
import socket
import sys
import textwrap
import time
import types
from pathlib import Path

import keras_tuner as kt
import pytest
from keras_tuner.engine.trial import Trial

from kerasvae import files, tuning
from kerasvae.tuning import distributed, holds, results, shared_oracle, worker
from kerasvae.tuning.holds import LostRowError, RowHold, RowWatch
from kerasvae.tuning.rows import row_name
from kerasvae.tuning.shared_oracle import SharedRowOracle

ROWS = tuning.rows(seed=[1, 2, 3, 4, 5, 6])
STEPS = 4
WAIT = 120.0

# Rows take STEPS naps and leave a checkpoint after each. A file of its own, so that all processes can import it.
PROGRAM = textwrap.dedent("""
    import os, sys, time, traceback
    from pathlib import Path
    from kerasvae import tuning

    STEPS = 4

    def note(folder, *words):
        with open(Path(folder) / "log", "a") as file:
            file.write(" ".join(map(str, words)) + "\\n")

    def run(row, folder, verbose):
        study, checkpoint = folder.parents[1], folder / "checkpoint"
        done = int(checkpoint.read_text()) if checkpoint.is_file() else 0
        note(study, "begin", row["seed"], done, os.getpid())
        for step in range(done, STEPS):
            time.sleep(float((study / "nap").read_text()))
            checkpoint.with_suffix(".new").write_text(str(step + 1))
            checkpoint.with_suffix(".new").rename(checkpoint)
        if row["seed"] == 2 and (study / "fails").exists():
            raise ArithmeticError("no luck")
        if (study / "full").exists():
            raise OSError(28, "No space left on device", "checkpoint")
        print("said by run")
        note(study, "end", row["seed"])
        return {"mig": row["seed"] / 7}

    def main(folder, output, seeds, options):
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1), os.dup2(file, 2)
        try:
            tuning.search(run, tuning.rows(seed=seeds), folder, **options)
        except KeyboardInterrupt:
            os._exit(130)
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
""")


class Study:
    """A folder, and processes that search in it; they are forks of one that has imported the package."""

    def __init__(self, folder, context, program, nap=0.05, rows=ROWS):
        self.folder, self.context, self.program, self.processes = folder, context, program, []
        self.seeds = [row["seed"] for row in rows]
        folder.mkdir()
        (folder / "nap").write_text(str(nap))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"

    def start(self, role=None, **options):
        if role:
            options = {"role": role, "chief": self.address, "workers": 0 if role == "chief" else 1, **options}
        arguments = (str(self.folder), str(self.folder / "output"), self.seeds, options)
        process = self.context.Process(target=self.program.main, args=arguments)
        process.start()
        self.processes.append(process)
        return process

    def log(self, word=""):
        path = self.folder / "log"
        lines = [line.split() for line in path.read_text().splitlines()] if path.is_file() else []
        return [line for line in lines if line[0].startswith(word)]

    def output(self):
        path = self.folder / "output"
        return path.read_text() if path.is_file() else ""

    def until(self, condition, what=""):
        deadline = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < deadline, (what, self.log(), self.output())
            time.sleep(0.01)

    def at_work(self):
        """Rows that began after they last ended, with the process that does them."""
        last = {}
        for line in self.log():
            last[int(line[1])] = int(line[3]) if line[0] == "begin" else None
        return {seed: pid for seed, pid in last.items() if pid and is_alive(pid)}

    def check_finished(self):
        """Every row ended once, and went on from where it was."""
        assert sorted(int(line[1]) for line in self.log("end")) == self.seeds, self.log()
        with open(self.folder / "results.csv", encoding="utf-8", newline="") as file:
            table = [(int(row["seed"]), float(row["mig"]), row["status"]) for row in csv.DictReader(file)]
        assert table == [(seed, seed / 7, "COMPLETED") for seed in self.seeds]


def is_alive(pid):
    try:
        os.kill(pid, 0)
        # A zombie counts as dead.
        return not Path("/proc/self").exists() or ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    (folder / "row_program.py").write_text(PROGRAM)
    sys.path.insert(0, str(folder))
    import row_program

    yield row_program
    sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kerasvae.tuning"])
    return context


@pytest.fixture
def study(tmp_path, context, program):
    study = Study(tmp_path / "study", context, program)
    yield study
    for process in study.processes:
        process.kill()
        process.join()


def ends(process, code=0, seconds=WAIT):
    process.join(seconds)
    assert process.exitcode == code


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
    (study.folder / "fails").touch()
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
    """`workers=2`: one is killed, then Ctrl-C; then the chief is killed."""
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

    parent = study.start(workers=2)
    study.until(lambda: len(study.at_work()) == 2)
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


def test_worker_processes_that_cannot_begin_end_the_search(tmp_path, monkeypatch):
    module = types.ModuleType("only_here")
    exec("def run(row, folder, verbose): return {'mig': 1.0}", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(RuntimeError, match=r"exit code 1 before its first row: ModuleNotFoundError: .*'only_here'"):
        tuning.search(module.run, ROWS[:1], tmp_path, workers=2, verbose=0)
    assert not list(tmp_path.rglob("result.json"))


def check_nothing_written(said, folder, error=ValueError, run=len, **options):
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


def test_a_port_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(OSError, match=f"chief: cannot listen on {address}"):
            tuning.search(len, ROWS, tmp_path, chief=address, role="chief", workers=0, verbose=0)


def test_variables_of_keras_tuner_are_not_arguments(tmp_path, monkeypatch):
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", "127.0.0.1")
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", "1")
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "worker")
    assert len(tuning.search(lambda row, folder, verbose: {"mig": 1.0}, ROWS, tmp_path, verbose=0)) == 6
    assert os.environ["KERASTUNER_ORACLE_PORT"] == "1"


def test_a_disk_that_is_full_for_keras_tuner_itself(tmp_path, monkeypatch):
    def save_json(path, value):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(sys.modules["keras_tuner.src.utils"], "save_json", save_json)
    with pytest.raises(OSError, match=r"folder: the study in .* could not write .*No space left.*make room"):
        tuning.search(lambda row, folder, verbose: {"mig": 1.0}, ROWS, tmp_path, verbose=0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_rows_that_cannot_write_have_not_failed(tmp_path, number):
    def run(row, folder, verbose):
        if row == ROWS[1]:
            try:
                raise OSError(number, os.strerror(number))
            except OSError as error:
                raise RuntimeError("the checkpoint could not be written") from error
        return {"mig": 1.0}

    with pytest.raises(OSError, match="what is finished stays finished"):
        tuning.search(run, ROWS, tmp_path, verbose=0)
    assert not list(tmp_path.rglob("error.txt"))
    assert [path.parent.name for path in tmp_path.rglob("result.json")] == ["seed=1"]


def test_integers_that_cannot_be_sent_are_refused(tmp_path):
    rows = tuning.rows(size=[1, 2**63])
    with pytest.raises(ValueError, match="rows: size must fit into 64 bits"):
        tuning.search(len, rows, tmp_path / "study", workers=2)
    assert len(tuning.search(lambda row, folder, verbose: {"mig": 1.0}, rows, tmp_path, verbose=0)) == 2


# The oracle alone: no processes, no ports.


def oracle_of(folder, timeout=60.0, rows=ROWS):
    oracle = SharedRowOracle(rows, ("mig", "max"), folder, timeout)
    oracle._set_project_dir(str(folder), "tuner")
    oracle.verbose = 0
    return oracle


def finish(folder, row, mig=0.5):
    files.write_json(
        results.row_folder(folder, row) / "result.json", {"row": row, "metrics": {"mig": mig}, "seconds": 1}
    )


def ended(trial, status="COMPLETED"):
    """The trial as it comes over the wire."""
    trial = Trial.from_proto(trial.to_proto())
    trial.status = status
    return trial


def values(trial):
    return trial.hyperparameters.values


def test_nobody_is_sent_home_while_a_row_is_out(tmp_path):
    oracle = oracle_of(tmp_path, rows=ROWS[:2])
    first, second = oracle.create_trial("a"), oracle.create_trial("b")
    assert [values(first), values(second)] == ROWS[:2]
    finish(tmp_path, ROWS[0])
    oracle.end_trial(ended(first))
    assert oracle.create_trial("a").status == "IDLE"
    oracle.look_after(living=["a"], dead=["b"])
    again = oracle.create_trial("a")
    assert (again.status, values(again)) == ("RUNNING", ROWS[1])
    assert oracle.create_trial("a") is again
    finish(tmp_path, ROWS[1], mig=0.123456789012345)
    oracle.end_trial(ended(again))
    assert oracle.is_finished()
    assert [oracle.create_trial(name).status for name in "ab"] == ["STOPPED", "STOPPED"]
    assert oracle.get_best_trials()[0].score == 0.5
    assert oracle.get_best_trials(2)[1].score == 0.123456789012345
    assert list(oracle.ended) == ROWS[:2] and oracle.failure is None


def test_a_result_counts_whoever_wrote_it_and_reports_twice_do_not(tmp_path):
    oracle = oracle_of(tmp_path, rows=ROWS[:1])
    trial = oracle.create_trial("a")
    finish(tmp_path, ROWS[0])
    oracle.look_after(dead=["a"])
    assert oracle.is_finished() and not oracle.ongoing_trials
    oracle.end_trial(ended(trial))
    oracle.end_trial(ended(trial, "INVALID"))
    assert oracle.end_order == ["0000"] and oracle.trials["0000"].status == "COMPLETED"


def test_a_report_is_matched_by_the_row_not_by_the_number(tmp_path):
    oracle = oracle_of(tmp_path)
    trial, _ = oracle.create_trial("a"), oracle.create_trial("b")
    report = ended(trial, "INVALID")
    report.trial_id = "0001"
    oracle.end_trial(report)
    assert oracle.trials["0000"].status == "FAILED" and oracle.trials["0001"].status == "RUNNING"


def test_a_row_in_which_workers_die_has_failed(tmp_path):
    oracle = oracle_of(tmp_path, rows=ROWS[:1])
    for name in "abc":
        assert oracle.create_trial(name).status == "RUNNING"
        oracle.look_after(dead=[name])
    assert shared_oracle.DEATHS == 3 and oracle.is_finished()
    assert oracle.trials["0000"].status == "FAILED" and oracle.failure is None
    assert "LostWorkerError: 3 workers died" in (results.row_folder(tmp_path, ROWS[0]) / "error.txt").read_text()


def test_a_silent_worker_is_lost_after_the_time_out_and_not_before(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(shared_oracle.time, "monotonic", lambda: now[0])
    oracle = oracle_of(tmp_path, timeout=10)
    number = oracle.create_trial("a").trial_id
    path = results.row_folder(tmp_path, ROWS[0]) / holds.FILE
    path.parent.mkdir(parents=True)
    for beat in range(5):
        path.write_text(f'{{"machine": "another", "beat": {beat}}}')
        now[0] += 9
        oracle.look_after()
    assert oracle.ongoing_trials["a"].trial_id == number
    now[0] += 9
    oracle.look_after()
    assert "a" in oracle.ongoing_trials
    now[0] += 2
    oracle.look_after()
    assert "a" not in oracle.ongoing_trials
    assert oracle.create_trial("b").trial_id == number


def test_a_new_chief_leaves_rows_to_those_who_beat(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(shared_oracle.time, "monotonic", lambda: now[0])
    before = oracle_of(tmp_path)
    for name in "ab":
        before.create_trial(name)
    path = results.row_folder(tmp_path, ROWS[0]) / holds.FILE
    path.parent.mkdir(parents=True)
    path.write_text('{"machine": "another", "beat": 1}')
    oracle = oracle_of(tmp_path, timeout=10)
    oracle.reload()
    oracle.take_in_hand()
    # The second row has no living worker, the first may have.
    assert [values(oracle.create_trial(name)) for name in "cd"] == [ROWS[1], ROWS[2]]
    now[0] += 11
    oracle.look_after(living=["c", "d"])
    assert values(oracle.create_trial("e")) == ROWS[0]


def test_a_result_that_does_not_appear_ends_the_search(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(shared_oracle.time, "monotonic", lambda: now[0])
    oracle = oracle_of(tmp_path, timeout=10)
    for name, row in zip("ab", ROWS[:2], strict=True):
        oracle.end_trial(ended(oracle.create_trial(name)))
        assert not oracle.end_order and row_name(row) not in oracle.ended
    finish(tmp_path, ROWS[0])
    oracle.look_after()
    assert list(oracle.ended) == ROWS[:1]
    now[0] += 11
    oracle.look_after()
    assert "on a file system that they share" in str(oracle.failure)


def test_a_result_without_the_objective_ends_the_search(tmp_path):
    oracle = oracle_of(tmp_path)
    trial = oracle.create_trial("a")
    files.write_json(
        results.row_folder(tmp_path, ROWS[0]) / "result.json", {"row": ROWS[0], "metrics": {"dci": 1}, "seconds": 1}
    )
    with pytest.raises(kt.errors.FatalValueError, match=r"objective must be one of run's metrics \['dci'\]"):
        oracle.end_trial(ended(trial))
    assert isinstance(oracle.failure, kt.errors.FatalValueError)


# Holds: what is seen of another machine, where locks may not reach.


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


def test_a_process_that_died_on_this_machine_needs_no_time_out(tmp_path):
    (tmp_path / holds.FILE).write_text(f'{{"machine": "{holds.machine()}", "beat": "1"}}')
    assert RowWatch(tmp_path).look() == "free"


def test_the_beat_goes_on_and_a_row_given_away_is_let_go(tmp_path):
    path = tmp_path / holds.FILE
    began = time.monotonic()
    with pytest.raises(LostRowError, match="was given to another worker"), RowHold(tmp_path, 0.2) as hold:
        first = path.read_bytes()
        while path.read_bytes() == first and time.monotonic() < began + WAIT:
            time.sleep(0.01)
        assert len(path.read_bytes()) == len(first)
        path.write_text("another's")
        time.sleep(WAIT)
    assert hold.lost and time.monotonic() < began + WAIT
    assert path.read_text() == "another's"


def test_a_row_given_away_leaves_no_result(tmp_path):
    def run(row, folder, verbose):
        (folder / holds.FILE).write_text("another's")
        return {"mig": 1.0}

    with pytest.raises(RuntimeError, match="was given to another worker"):
        tuning.search(run, ROWS, tmp_path, verbose=0)
    assert not list(tmp_path.rglob("result.json")) and not list(tmp_path.rglob("error.txt"))


def test_the_worker_names_are_no_chiefs_and_the_bytes_come_back():
    assert all("chief" not in worker.new_tuner_id() for _ in range(100))
    assert pickle.loads(distributed.pickled(len)) is len
