"""search: results in row order, failures reported and retried, and a study that survives anything."""

import csv
import json
import signal
import sys
from pathlib import Path

import pytest
from study_processes import ends

from kerasvae import files, tuning

ROWS = tuning.rows(beta=[0.1, 0.2], seed=[1, 2])


class Run:
    """Scores a row without training, and remembers which it did."""

    def __init__(self, fails=()):
        self.seen, self.fails = [], list(fails)

    def __call__(self, row, folder, verbose):
        self.seen.append(row)
        assert folder.is_dir()
        if row in self.fails:
            raise ArithmeticError(f"no luck with {row['beta']}")
        return {"mig": row["beta"] * row["seed"], "latents_used": 3}


def read_csv(folder):
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def search(run, folder, rows=ROWS, **options):
    return tuning.search(run, rows, folder, **{"verbose": 0, **options})


def test_results_and_table_in_row_order(tmp_path):
    results = search(Run(), tmp_path / "new" / "study")
    assert [{field: result[field] for field in ("beta", "seed")} for result in results] == ROWS
    assert [result["mig"] for result in results] == [0.1, 0.2, 0.2, 0.4]
    assert all(result["status"] == "COMPLETED" and result["seconds"] >= 0 for result in results)
    table = read_csv(tmp_path / "new" / "study")
    assert list(table[0]) == ["beta", "seed", "mig", "latents_used", "status", "seconds"]
    assert [{name: str(value) for name, value in result.items()} for result in results] == table


def test_quiet_means_quiet_and_one_line_a_row_otherwise(tmp_path, capfd):
    search(Run(), tmp_path, ROWS[:2])
    with pytest.raises(tuning.FailedRowsError):
        search(Run(fails=ROWS[2:]), tmp_path)
    assert capfd.readouterr() == ("", "")
    search(Run(), tmp_path, verbose=1)
    lines = capfd.readouterr().out.strip().splitlines()
    assert lines[0] == "2 of 4 rows were finished before"
    assert [line.split("  ")[:3] for line in lines[1:]] == [
        ["3/4", "beta=0.2 seed=1", "mig 0.2"],
        ["4/4", "beta=0.2 seed=2", "mig 0.4"],
    ]


def test_a_line_names_the_fields_that_differ(tmp_path, capfd):
    for number, rows in enumerate([tuning.rows(loss=["mse"], seed=[1, 2]), tuning.rows(loss=["mse"], seed=[3])]):
        tuning.search(lambda row, folder, verbose: {"mig": 1.0}, rows, tmp_path / str(number))
    lines = [line.split("  ")[:2] for line in capfd.readouterr().out.strip().splitlines()]
    assert lines == [["1/2", "seed=1"], ["2/2", "seed=2"], ["1/1", "loss=mse seed=3"]]


def test_finished_rows_are_not_run_again(tmp_path):
    first, again = Run(), Run()
    results = search(first, tmp_path)
    assert search(again, tmp_path) == results
    assert first.seen == ROWS
    assert again.seen == []


def test_a_row_whose_folder_was_deleted_is_run_again(tmp_path):
    search(Run(), tmp_path)
    (tmp_path / "rows" / "beta=0.1,seed=2" / "result.json").unlink()
    again = Run()
    assert len(search(again, tmp_path)) == 4
    assert again.seen == [ROWS[1]]


@pytest.mark.parametrize("role", [None, "worker"])
def test_rows_that_cannot_be_done_are_no_part_of_the_study(tmp_path, role):
    class Checked(Run):
        def check(self, row):
            if row["beta"] > 0.1:
                raise OSError("no such data set")

    # A worker whose machine lacks something must not have every row fail.
    options = {"role": role, "chief": "127.0.0.1:1"} if role else {}
    with pytest.raises(OSError, match="no such data set"):
        search(Checked(), tmp_path, **options)
    assert not (tmp_path / "study.json").exists() and not (tmp_path / "rows").exists()
    run = Checked()
    assert len(search(run, tmp_path, ROWS[:2])) == len(run.seen) == 2


@pytest.mark.parametrize("content", ["", '{"row": {"beta"', "null", "{}", '{"row": {}, "metrics": {}, "seconds": 1}'])
def test_a_damaged_result_is_done_again(tmp_path, content):
    before = search(Run(), tmp_path)
    (tmp_path / "rows" / "beta=0.2,seed=1" / "result.json").write_text(content)
    again = Run()
    after = search(again, tmp_path)
    assert again.seen == [ROWS[2]]
    assert [{**row, "seconds": 0} for row in after] == [{**row, "seconds": 0} for row in before]


def test_without_the_state_of_keras_tuner_nothing_is_lost(tmp_path):
    before = search(Run(), tmp_path)
    for path in (tmp_path / "tuner").rglob("*.json"):
        path.write_text("{")
    again = Run()
    assert search(again, tmp_path) == before
    assert again.seen == []


def test_failed_rows_are_reported_and_retried_and_do_not_stop_others(tmp_path, capfd):
    rows = tuning.rows(beta=[0.1, 0.2], seed=[1, 2, 3, 4])
    fails = [row for row in rows if row["beta"] == 0.1]
    run = Run(fails)
    with pytest.raises(tuning.FailedRowsError) as caught:
        search(run, tmp_path, rows, verbose=1)
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.rows == fails
    assert "4 of 8 rows failed" in str(caught.value)
    assert "beta=0.1,seed=1: ArithmeticError: no luck with 0.1 (" in str(caught.value)
    assert "FAILED: ArithmeticError" in capfd.readouterr().out
    assert [row["status"] for row in read_csv(tmp_path)] == ["FAILED"] * 4 + ["COMPLETED"] * 4
    assert read_csv(tmp_path)[0] == {
        "beta": "0.1", "seed": "1", "mig": "", "latents_used": "", "status": "FAILED", "seconds": "",
    }  # fmt: skip
    error = (tmp_path / "rows" / "beta=0.1,seed=1" / "error.txt").read_text()
    assert error.startswith("Traceback") and "test_search.py" in error
    again = Run(fails[:1])
    with pytest.raises(tuning.FailedRowsError, match="1 of 8 rows failed"):
        search(again, tmp_path, rows)
    assert again.seen == fails
    results = search(Run(), tmp_path, rows)
    assert [row["status"] for row in results] == ["COMPLETED"] * 8
    assert not list(tmp_path.rglob("error.txt"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["mig", "loss"])
def test_a_metric_that_is_not_finite_fails_the_row(tmp_path, name, value):
    def run(row, folder, verbose):
        return {"mig": 1.0, **({name: value} if row == ROWS[1] else {})}

    with pytest.raises(tuning.FailedRowsError, match=f"metric '{name}' of row beta=0.1,seed=2 must be finite"):
        search(run, tmp_path)
    assert [row["status"] for row in read_csv(tmp_path)] == ["COMPLETED", "FAILED", "COMPLETED", "COMPLETED"]


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (None, "run must return"),
        (0.5, "run must return"),
        ({"mig": "high"}, "run must return"),
        ({"dci": 0.5}, r"objective must be one of run's metrics \['dci'\], got 'mig'"),
        ({"mig": 0.5, "beta": 1.0}, r"otherwise than the fields of a row: \['beta'\]"),
        ({"mig": 0.5, "seconds": 1.0}, "otherwise than the fields"),
    ],
)
def test_metrics_of_the_wrong_kind_end_the_search_at_once(tmp_path, metrics, said):
    seen = []

    def run(row, folder, verbose):
        seen.append(row)
        return metrics

    with pytest.raises(ValueError, match=said):
        search(run, tmp_path)
    assert len(seen) == 1


def test_ctrl_c_passes_through_and_the_study_goes_on(tmp_path):
    class Interrupted(Run):
        def __call__(self, row, folder, verbose):
            if row == ROWS[2]:
                raise KeyboardInterrupt
            return super().__call__(row, folder, verbose)

    with pytest.raises(KeyboardInterrupt):
        search(Interrupted(), tmp_path)
    assert len(read_csv(tmp_path)) == 2
    again = Run()
    assert len(search(again, tmp_path)) == 4
    assert again.seen == ROWS[2:]


def test_rows_may_be_added_but_not_taken_away(tmp_path):
    search(Run(), tmp_path, ROWS)
    more, run = tuning.rows(beta=[0.05, 0.1, 0.2], seed=[1, 2]), Run()
    assert [row["beta"] for row in search(run, tmp_path, more)] == [0.05, 0.05, 0.1, 0.1, 0.2, 0.2]
    assert run.seen == more[:2]
    with pytest.raises(ValueError, match=r"2 rows that are missing now: beta=0.05,seed=1; beta=0.05,seed=2"):
        search(Run(), tmp_path, ROWS)


def test_other_settings_are_refused(tmp_path):
    run = Run()
    run.settings = {"steps": 100, "loss mse": [1]}
    search(run, tmp_path)
    run.settings = {"steps": 100, "loss mae": [2]}
    search(run, tmp_path)
    run.settings = {"steps": 200, "loss mse": [1]}
    with pytest.raises(ValueError, match=r"began with other settings: steps 100 \(now 200\)"):
        search(run, tmp_path)


def test_another_objective_needs_no_new_runs(tmp_path):
    search(Run(), tmp_path)
    again = Run()
    search(again, tmp_path, objective=("latents_used", "min"))
    assert again.seen == []


def test_every_row_is_checked_before_the_first_is_run(tmp_path):
    run = Run()

    def check(row):
        if row == ROWS[-1]:
            raise ValueError("rows: the last is wrong")

    run.check = check
    with pytest.raises(ValueError, match="the last is wrong"):
        search(run, tmp_path)
    assert run.seen == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"run": None}, "run must be a function"),
        ({"rows": [ROWS[0], ROWS[0]]}, "rows must differ"),
        ({"objective": "mig"}, "objective must be"),
        ({"verbose": 3}, "verbose must be"),
        ({"verbose": True}, "verbose must be"),
        ({"on_wait": "print"}, "on_wait must be"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, change, said):
    arguments = {"run": Run(), "rows": ROWS, "folder": tmp_path / "study", "verbose": 0, **change}
    with pytest.raises(ValueError, match=said):
        tuning.search(**arguments)
    assert not (tmp_path / "study").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="folder: cannot write"):
        search(Run(), tmp_path / "file" / "study")


def test_two_searches_in_one_folder_are_refused(tmp_path):
    def run(row, folder, verbose):
        with pytest.raises(RuntimeError, match="another process is searching"):
            search(Run(), tmp_path)
        return {"mig": 1.0}

    assert len(search(run, tmp_path)) == 4


class Killed(BaseException):
    pass


@pytest.mark.parametrize("half", [False, True])
def test_dying_at_any_write_loses_and_repeats_nothing(tmp_path, monkeypatch, half):
    """Every file that Keras Tuner or the package writes is the last one once: not begun, or written by half."""
    keras_tuner_files = sys.modules["keras_tuner.src.utils"]
    save_json, write_text, left = keras_tuner_files.save_json, files.write_text, [0]

    def dies():
        left[0] -= 1
        return left[0] == 0

    def dying_save_json(path, value):
        if dies():
            if half:
                text = json.dumps(value)
                Path(path).write_text(text[: len(text) // 2])
            raise Killed
        return save_json(path, value)

    def dying_write_text(path, text, argument="path"):
        # This one writes beside the file and renames, so half a file is a leftover beside it.
        if dies():
            if half:
                Path(path).with_name(f".partial-1-{Path(path).name}").write_text(text[: len(text) // 2])
            raise Killed
        write_text(path, text, argument)

    monkeypatch.setattr(keras_tuner_files, "save_json", dying_save_json)
    monkeypatch.setattr(files, "write_text", dying_write_text)
    rows, deaths = ROWS[:2], 0
    while True:
        deaths += 1
        folder, before, after = tmp_path / str(deaths), Run(), Run()
        left[0] = deaths
        try:
            search(before, folder, rows)
            break
        except Killed:
            left[0] = 0
        results = search(after, folder, rows)
        assert [(result["seed"], result["mig"]) for result in results] == [(1, 0.1), (2, 0.2)]
        assert [(row["seed"], row["status"]) for row in read_csv(folder)] == [("1", "COMPLETED"), ("2", "COMPLETED")]
        assert search(Run(), folder, rows) == results
        # Only the row that was being done may be done again.
        repeated = [row for row in after.seen if row in before.seen]
        assert before.seen + [row for row in after.seen if row not in repeated] == rows
        assert repeated in ([], before.seen[-1:])
    assert deaths > 15


@pytest.mark.slow
def test_kill_9_in_the_middle_of_a_row_loses_and_repeats_nothing(study):
    def log():
        return [" ".join(line[:2]) for line in study.log()]

    process = study.start()
    study.until(lambda: "begin 3" in log())
    process.kill()
    ends(process, -signal.SIGKILL)
    assert log() == ["begin 1", "end 1", "begin 2", "end 2", "begin 3"]
    (study.folder / "fails").write_text("6")
    ends(study.start(), 1)
    assert "1 of 6 rows failed" in study.output()
    assert [row["status"] for row in read_csv(study.folder)] == ["COMPLETED"] * 5 + ["FAILED"]
    (study.folder / "fails").unlink()
    ends(study.start())
    assert log()[5:] == ["begin 3", "end 3", "begin 4", "end 4", "begin 5", "end 5", "begin 6", "begin 6", "end 6"]
    study.check_finished()
