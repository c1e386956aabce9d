"""SharedRowOracle alone, without processes or ports: whose row is whose, and what has ended."""

import keras_tuner as kt
import pytest
from keras_tuner.engine.trial import Trial

from kerasvae import files, tuning
from kerasvae.tuning import holds, results, shared_oracle
from kerasvae.tuning.rows import row_name
from kerasvae.tuning.shared_oracle import SharedRowOracle

ROWS = tuning.rows(seed=[1, 2, 3, 4, 5, 6])


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
