"""RowOracle: each row once, in order; goes on from whatever trial files a kill leaves behind."""

import json

import keras_tuner as kt
import pytest

from kerasvae.tuning import RowOracle, rows

ROWS = rows(beta=[0.1, 0.2], seed=[1, 2, 3])


class Tuner(kt.Tuner):
    """A tuner as anybody may write it, which stops before row number `stop`."""

    def __init__(self, oracle, folder, stop=None):
        self.seen, self.stop = [], stop
        super().__init__(oracle, directory=str(folder), project_name="tuner")
        oracle.verbose = 0

    def run_trial(self, trial):
        if len(self.seen) == self.stop:
            raise KeyboardInterrupt
        self.seen.append(dict(trial.hyperparameters.values))
        return {"mig": trial.hyperparameters.get("beta")}


def begin(folder, rows=ROWS, stop=None):
    tuner = Tuner(RowOracle(rows), folder, stop)
    if stop is None:
        tuner.search()
    else:
        with pytest.raises(KeyboardInterrupt):
            tuner.search()
    return tuner


def trial_file(folder, number):
    return folder / "tuner" / f"trial_{number:04d}" / "trial.json"


def test_every_row_in_order(tmp_path):
    tuner = begin(tmp_path)
    assert tuner.seen == ROWS
    assert [trial.status for trial in tuner.oracle.trials.values()] == ["COMPLETED"] * 6
    assert tuner.oracle.get_best_trials()[0].hyperparameters.get("beta") == 0.2


def test_a_finished_list_is_not_run_again(tmp_path):
    first = begin(tmp_path)
    again = begin(tmp_path)
    assert again.seen == []
    assert {key: trial.score for key, trial in again.oracle.trials.items()} == {
        key: trial.score for key, trial in first.oracle.trials.items()
    }


@pytest.mark.parametrize("stop", range(1, 6))
def test_goes_on_after_an_interruption(tmp_path, stop):
    before, after = begin(tmp_path, stop=stop), begin(tmp_path)
    assert before.seen + after.seen == ROWS


def test_goes_on_when_killed_between_the_metrics_and_the_end_of_a_trial(tmp_path):
    begin(tmp_path, stop=3)
    # What is on disk after `update_trial` and before `end_trial`: metrics, and a trial that still runs.
    state = json.loads(trial_file(tmp_path, 2).read_text())
    state["status"], state["score"] = "RUNNING", None
    trial_file(tmp_path, 2).write_text(json.dumps(state))
    after = begin(tmp_path)
    assert after.seen == ROWS[2:]
    observations = after.oracle.trials["0002"].metrics.get_history("mig")
    assert [observation.value for observation in observations] == [[0.1]]


@pytest.mark.parametrize("content", ["", '{"trial_id": "00', "null", "[]", "{}", '{"trial_id": "0001"}'])
@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_damaged_trial_file_costs_that_row_only(tmp_path, number, content):
    begin(tmp_path, stop=3)
    trial_file(tmp_path, number).write_text(content)
    after = begin(tmp_path)
    assert after.seen == ([ROWS[number]] if number < 3 else []) + ROWS[3:]
    assert sorted(after.oracle.trials) == [f"{number:04d}" for number in range(6)]
    assert all(trial.status == "COMPLETED" for trial in after.oracle.trials.values())


@pytest.mark.parametrize("content", [None, "", '{"ongoing_tr', "null", "{}"])
def test_nothing_depends_on_the_oracle_file(tmp_path, content):
    begin(tmp_path, stop=4)
    path = tmp_path / "tuner" / "oracle.json"
    path.unlink() if content is None else path.write_text(content)
    assert begin(tmp_path).seen == ROWS[4:]


def test_a_missing_trial_file_costs_that_row_only(tmp_path):
    begin(tmp_path)
    trial_file(tmp_path, 1).unlink()
    again = begin(tmp_path)
    assert again.seen == [ROWS[1]]
    assert len(again.oracle.trials) == 6


def test_an_empty_trial_folder_is_no_trial(tmp_path):
    begin(tmp_path, stop=2)
    trial_file(tmp_path, 2).unlink()
    assert begin(tmp_path).seen == ROWS[2:]


def test_rows_may_be_added_and_reordered(tmp_path):
    begin(tmp_path, stop=3)
    more = rows(beta=[0.05, 0.1, 0.2], seed=[3, 2, 1])
    after = begin(tmp_path, more)
    # The row of the trial that was running comes first, then those never begun.
    waiting = [row for row in more if row not in ROWS[:4]]
    assert after.seen == [ROWS[3], *waiting]
    assert len(after.oracle.trials) == 9


def test_duplicates_and_bad_objectives_are_refused():
    with pytest.raises(ValueError, match=r"rows\[1\] and rows\[6\] are both beta=0.1,seed=2"):
        RowOracle([*ROWS, ROWS[1]])
    for objective in ("mig", ("mig", "up"), ("mig",), None, (1, "max")):
        with pytest.raises(ValueError, match="objective must be"):
            RowOracle(ROWS, objective)
    assert RowOracle(ROWS, kt.Objective("loss", "min")).objective.name == "loss"


def test_many_failures_do_not_stop_the_others(tmp_path):
    class Failing(Tuner):
        def run_trial(self, trial):
            super().run_trial(trial)
            raise ArithmeticError("no")

    failing = Failing(RowOracle(ROWS), tmp_path)
    failing.search()
    assert failing.seen == ROWS
    assert begin(tmp_path).seen == ROWS
