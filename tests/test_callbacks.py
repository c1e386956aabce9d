import copy
import csv
import itertools

import keras
import keras_tuner as kt
import numpy as np
import pytest
from small_runs import DATA, IMAGES, fit, make

import kerasvae as kv
from kerasvae.callbacks import (
    Checkpoint,
    DisentanglementScores,
    HistoryFile,
    LatentKL,
    LatentTraversals,
    read_history,
)


def steps_of(path):
    return int(np.asarray(kv.load(path).step.numpy()))


def counting_score(name="drawn"):
    """A score that is 1, 2, 3 ... as it is called."""
    calls = itertools.count(1)
    return {name: lambda codes, factors: next(calls)}


def nothing_partial(folder):
    return not list(folder.glob(".*"))


# DisentanglementScores ------------------------------------------------------------------------------------------------


def test_scores_are_repeated_between_evaluations_and_the_first_and_last_are_scored():
    history = fit(make(), DisentanglementScores(DATA, counting_score(), every=3, train=20, test=4), epochs=5)
    assert history.history["val_drawn"] == [1, 1, 2, 2, 3]


def test_scores_are_those_of_evaluate():
    model = make()
    history = fit(model, DisentanglementScores(DATA, ["mig"], seed=3, train=50, test=4))
    expected = kv.metrics.evaluate(model.encode, DATA, ["mig"], seed=3, train=50, test=4)
    assert history.history["val_mig"] == [float(expected["mig"])]


@kv.metrics.ScoreInfo(needs="codes", bounds=(0.0, float("inf")), higher_is_better=False)
def widest(codes):
    return np.abs(codes).max()


def test_a_score_that_describes_itself_is_given_what_it_needs():
    model = make()
    history = fit(model, DisentanglementScores(DATA, [widest], train=50, test=4))
    expected = kv.metrics.evaluate(model.encode, DATA, [widest], train=50, test=4)
    assert history.history["val_widest"] == [float(expected["widest"])] and float(expected["widest"]) > 0


def test_later_callbacks_read_the_scores(tmp_path):
    scores = DisentanglementScores(DATA, counting_score(), train=20, test=4)
    stop = keras.callbacks.EarlyStopping("val_drawn", mode="min", patience=2)
    history = fit(make(), scores, stop, keras.callbacks.CSVLogger(tmp_path / "log.csv"), epochs=10)
    # The score only grows, so that two epochs after the first are waited for.
    assert history.history["val_drawn"] == [1, 2, 3]
    with open(tmp_path / "log.csv", newline="") as file:
        assert [float(row["val_drawn"]) for row in csv.DictReader(file)] == [1, 2, 3]


def test_another_model_does_not_inherit_scores():
    scores = DisentanglementScores(DATA, counting_score(), every=5, train=20, test=4)
    fit(make(), scores, epochs=1)
    assert fit(make(), scores, epochs=3).history["val_drawn"] == [2, 2, 3]


@pytest.mark.parametrize(
    ("callback", "names"),
    [
        (lambda folder: DisentanglementScores(DATA, {"mig": {"bins": 5}}, every=2), {"data"}),
        (lambda folder: LatentTraversals(folder / "a.png", IMAGES), {"images"}),
        (lambda folder: LatentKL(DATA, every=2), {"data", "images"}),
        (lambda folder: LatentKL(IMAGES), {"images"}),
    ],
    ids=["scores", "traversals", "kl", "kl of images"],
)
def test_a_deep_copy_shares_the_data_and_nothing_else_that_changes(tmp_path, callback, names):
    callback = callback(tmp_path)
    callback.set_params({"epochs": 3})
    copied, other = copy.deepcopy([callback, callback])
    assert copied is other is not callback and type(copied) is type(callback)
    assert vars(copied).keys() == vars(callback).keys()
    for field, value in vars(callback).items():
        if field in names:
            assert vars(copied)[field] is value
        else:
            assert vars(copied)[field] == value
            assert vars(copied)[field] is not value or isinstance(value, str | int | float | None), field


def test_keras_tuner_copies_callbacks_and_not_their_data(tmp_path, monkeypatch):
    """A real search: what it trains with is a copy, and the scores of each trial are its own."""
    seen, on_train_begin = [], DisentanglementScores.on_train_begin

    def noted(self, logs=None):
        seen.append(self)
        on_train_begin(self, logs)

    def build(hp):
        model = make(run_eagerly=True)
        model.beta = hp.Float("beta", 0.1, 10.0)
        return model

    monkeypatch.setattr(DisentanglementScores, "on_train_begin", noted)
    monkeypatch.setattr(type(DATA), "__deepcopy__", None, raising=False)
    scores = DisentanglementScores(DATA, counting_score(), train=20, test=4)
    tuner = kt.RandomSearch(build, kt.Objective("val_drawn", "max"), 2, seed=1, directory=tmp_path)
    tuner.search(IMAGES, batch_size=8, epochs=2, callbacks=[scores], verbose=0)
    assert len(seen) == 2 and scores not in seen and all(each.data is DATA for each in seen)
    assert scores.last == {} and [each.last for each in seen] == [{"val_drawn": 2.0}, {"val_drawn": 4.0}]
    assert [trial.score for trial in tuner.oracle.get_best_trials(2)] == [4.0, 2.0]


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2", None])
@pytest.mark.parametrize(
    "callback",
    [
        lambda folder, every: DisentanglementScores(DATA, every=every),
        lambda folder, every: LatentKL(IMAGES, every=every),
        lambda folder, every: LatentTraversals(folder / "a.png", IMAGES, every=every),
        lambda folder, every: Checkpoint(folder / "a.keras", every),
    ],
    ids=["scores", "kl", "traversals", "checkpoint"],
)
def test_every_that_is_not_allowed(tmp_path, callback, every):
    with pytest.raises(ValueError, match=r"every must be an integer, at least 1, got"):
        callback(tmp_path, every)


# LatentTraversals


def test_traversals_are_written_every_so_many_epochs_and_at_the_end(tmp_path):
    fit(make(), LatentTraversals(tmp_path / "t-{epoch:02d}-{step}.png", IMAGES, every=2, columns=3), epochs=5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t-02-8.png", "t-04-16.png", "t-05-20.png"]
    assert (tmp_path / "t-05-20.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("a.jpg", 9, r"path must end in \.png, got"),
        ("a-{loss}.png", 9, r"path may hold the fields \{epoch\} and \{step\} alone"),
        ("a.png", 1, "columns must be an integer, at least 2, got 1"),
    ],
)
def test_traversals_that_could_not_be_drawn_are_refused_before_training(tmp_path, name, columns, message):
    with pytest.raises(ValueError, match=message):
        LatentTraversals(tmp_path / name, IMAGES, columns=columns)


@pytest.mark.parametrize(
    "callback",
    [
        lambda path: LatentTraversals(path.with_suffix(".png"), IMAGES),
        lambda path: Checkpoint(path.with_suffix(".keras")),
        lambda path: HistoryFile(path),
    ],
    ids=["traversals", "checkpoint", "history"],
)
def test_a_place_that_cannot_be_written_is_refused_before_training(tmp_path, callback):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match=r"path: cannot write .*file"):
        callback(tmp_path / "file" / "a.csv")


# Checkpoint------


class StepsSaved(keras.callbacks.Callback):
    """The steps of the models that a file has held, looked at whenever a dispatch ends."""

    def __init__(self, path):
        super().__init__()
        self.path, self.before, self.steps = path, None, []

    def on_train_batch_end(self, batch, logs=None):
        now = (self.path.stat().st_ino, self.path.stat().st_mtime_ns) if self.path.exists() else None
        if now != self.before:
            self.before = now
            self.steps.append(steps_of(self.path))


@pytest.mark.parametrize(("fused", "expected"), [(1, [3, 6]), (2, [4])])
def test_checkpoint_every_so_many_steps(tmp_path, fused, expected):
    if fused > 1 and keras.backend.backend() == "torch":
        pytest.skip("Keras has no steps_per_execution on Torch")
    path = tmp_path / "model.keras"
    seen = StepsSaved(path)
    fit(make(steps_per_execution=fused), Checkpoint(path, every=3), seen, batch_size=2)
    assert seen.steps == expected
    assert steps_of(path) == 8
    assert nothing_partial(tmp_path)


def test_checkpoint_counts_steps_in_each_epoch_and_is_written_at_its_end(tmp_path):
    path = tmp_path / "model.keras"
    seen = StepsSaved(path)
    fit(make(), Checkpoint(path, every=3), seen, epochs=2)
    assert seen.steps == [3, 4, 7]
    assert steps_of(path) == 8


def test_checkpoint_is_whole_beside_callbacks_that_keras_calls_from_another_thread(tmp_path):
    class Idle(keras.callbacks.Callback):
        async_safe = True

        def on_train_batch_end(self, batch, logs=None):
            pass

    model, path = make(), tmp_path / "model.keras"
    fit(model, Checkpoint(path, every=1), Idle())
    np.testing.assert_array_equal(kv.load(path).encode(IMAGES), model.encode(IMAGES))


def test_checkpoint_holds_the_model_of_its_step(tmp_path):
    model = make()
    fit(model, Checkpoint(tmp_path / "model.keras"))
    loaded = kv.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.encode(IMAGES), model.encode(IMAGES))
    assert int(np.asarray(loaded.optimizer.iterations.numpy())) == 4


def test_a_failure_while_saving_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    path, model = tmp_path / "model.keras", make()
    fit(model, Checkpoint(path))

    def fail(self, filepath, *args, **kwargs):
        filepath.write_bytes(b"half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "save", fail)
    with pytest.raises(KeyboardInterrupt):
        fit(model, Checkpoint(path))
    assert steps_of(path) == 4
    assert nothing_partial(tmp_path)


def test_checkpoint_of_another_suffix():
    with pytest.raises(ValueError, match=r"path must end in \.keras, got 'model\.h5'"):
        Checkpoint("model.h5")


# HistoryFile-----


def test_history_rows_are_the_logs_keyed_by_step(tmp_path):
    path = tmp_path / "history.csv"
    scores = DisentanglementScores(DATA, counting_score(), train=20, test=4)
    history = fit(make(), scores, HistoryFile(path), epochs=3)
    rows = read_history(path)
    assert [row["step"] for row in rows] == [4, 8, 12]
    assert path.read_text().startswith("step,")
    for name in ("loss", "kl_nats", "reconstruction_nats", "val_drawn"):
        assert [row[name] for row in rows] == pytest.approx(history.history[name], rel=1e-12)
    assert nothing_partial(tmp_path)


@pytest.mark.slow
def test_history_drops_what_the_checkpoint_has_not_reached(tmp_path):
    path, checkpoint = tmp_path / "history.csv", tmp_path / "model.keras"
    model = make()
    fit(model, HistoryFile(path), Checkpoint(checkpoint), epochs=2)
    before = read_history(path)
    fit(model, HistoryFile(path))
    assert [row["step"] for row in read_history(path)] == [4, 8, 12]
    # Killed after the row of step 12, before its checkpoint: the run goes on from step 8.
    fit(kv.load(checkpoint), HistoryFile(path), epochs=2)
    rows = read_history(path)
    assert [row["step"] for row in rows] == [4, 8, 12, 16]
    assert rows[:2] == before
    # A new model starts again.
    fit(make(), HistoryFile(path))
    assert [row["step"] for row in read_history(path)] == [4]


def test_history_of_columns_that_come_later(tmp_path):
    path, model = tmp_path / "history.csv", make()
    fit(model, HistoryFile(path))
    fit(model, DisentanglementScores(DATA, counting_score(), train=20, test=4), HistoryFile(path))
    first, second = read_history(path)
    assert "val_drawn" not in first and second["val_drawn"] == 1


def test_history_that_is_not_one(tmp_path):
    assert read_history(tmp_path / "missing.csv") == []
    for name, text in {"no step": "epoch,loss\n1,2\n", "words": "step,loss\n1,two\n", "more": "step\n1,2\n"}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=f"path must be a CSV file of numbers with a column step, got .*{name}"):
            read_history(tmp_path / name)
