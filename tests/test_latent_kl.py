"""The mean KL of each latent in the logs."""

import csv
import itertools
import pickle

import keras
import numpy as np
import pytest
from small_runs import DATA, IMAGES, fit, make, untraced

import kerasvae as kv
from kerasvae.callbacks import HistoryFile, LatentKL, read_history


@pytest.fixture(scope="module")
def untrained():
    """A model, whose weights a test must leave as they are."""
    return make()


def measured(callback, model, epochs=1):
    """The logs of each epoch, with nothing learnt in between."""
    callback.set_model(model)
    callback.set_params({"epochs": epochs})
    callback.on_train_begin()
    logs = [{} for _ in range(epochs)]
    for epoch, each in enumerate(logs):
        callback.on_epoch_end(epoch, each)
    return logs


def kl_of(model, images=IMAGES):
    """The closed form of the mean KL of each latent from N(0, 1), in float64."""
    posterior = model.encoder(keras.ops.convert_to_tensor(images))
    mean, logvar = (keras.ops.convert_to_numpy(posterior[name]).astype("float64") for name in ("mean", "logvar"))
    deviation = np.exp(logvar / 2)
    return (-np.log(deviation) + (deviation**2 + mean**2) / 2 - 1 / 2).mean(axis=0)


def kl_in(logs):
    return [logs[f"kl.z{latent}"] for latent in range(3)]


def knows_nothing(model, mean=(0.0, 0.0, 0.0), logvar=(0.0, 0.0, 0.0)):
    """Have every image's posterior be the same."""
    model.encoder.set_weights([np.zeros_like(weight) for weight in model.encoder.get_weights()])
    model.encoder.get_layer("encoder_mean").bias.assign(mean)
    model.encoder.get_layer("encoder_logvar").bias.assign(logvar)
    return model


@pytest.mark.parametrize(
    "images", [IMAGES, IMAGES.astype("float64"), keras.ops.convert_to_tensor(IMAGES), DATA.images(range(16)), DATA]
)
def test_kl_is_the_closed_form(untrained, images):
    (logs,) = measured(LatentKL(images), untrained)
    assert list(logs) == ["kl.z0", "kl.z1", "kl.z2", "active_latents"]
    np.testing.assert_allclose(kl_in(logs), kl_of(untrained), rtol=1e-4)
    assert min(kl_in(logs)) > 0.001


def test_kl_is_that_of_each_epoch_s_end_and_for_the_callbacks_after_it(tmp_path):
    expected = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: expected.append(kl_of(model)))
    before, after = HistoryFile(tmp_path / "before.csv"), HistoryFile(tmp_path / "after.csv")
    log = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    model, alone = untraced(), untraced()
    history = fit(model, note, before, LatentKL(DATA), after, log, epochs=2, shuffle=False).history
    np.testing.assert_allclose(np.transpose(kl_in(history)), expected, rtol=1e-4)
    assert not np.allclose(*expected, rtol=1e-3)
    columns = {"kl.z0", "kl.z1", "kl.z2", "active_latents"}
    assert not columns & set(read_history(tmp_path / "before.csv")[0])
    rows = read_history(tmp_path / "after.csv")
    with open(tmp_path / "log.csv", newline="") as file:
        logged = list(csv.DictReader(file))
    for name in columns:
        assert [row[name] for row in rows] == [float(row[name]) for row in logged] == history[name]
    # The training does not know of it.
    fit(alone, epochs=2, shuffle=False)
    for a, b in zip(alone.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_data_set_s_images_are_standardised_for_a_model_without_constants():
    model = make()
    model.pixel_mean, model.pixel_std, model.knows_pixel_constants = (0.0,), (1.0,), False
    (of_data,), (raw,) = (measured(LatentKL(images), model) for images in (DATA, DATA.images(range(16))))
    np.testing.assert_allclose(kl_in(of_data), kl_of(model), rtol=1e-4)
    np.testing.assert_allclose(kl_in(raw), kl_of(model, DATA.images(range(16)).astype("float32") / 255), rtol=1e-4)


def test_a_collapsed_model_has_a_kl_of_exactly_0():
    (logs,) = measured(LatentKL(DATA), knows_nothing(make()))
    assert logs == {"kl.z0": 0.0, "kl.z1": 0.0, "kl.z2": 0.0, "active_latents": 0}


def test_active_latents_are_those_above_the_threshold():
    model = knows_nothing(make(), mean=[0.0, 0.1, 0.2])
    for options, count in (({}, 1), ({"threshold": 0.004}, 2), ({"threshold": 0}, 2), ({"threshold": 0.03}, 0)):
        (logs,) = measured(LatentKL(DATA, **options), model)
        np.testing.assert_allclose(kl_in(logs), [0.0, 0.005, 0.02], rtol=1e-6)
        assert logs["active_latents"] == count


def test_a_diverged_model_has_a_kl_that_is_no_number():
    (logs,) = measured(LatentKL(DATA), knows_nothing(make(), logvar=[1e6, np.nan, 0.0]))
    assert np.isinf(logs["kl.z0"]) and np.isnan(logs["kl.z1"]) and logs["kl.z2"] == 0


def test_kl_is_measured_every_so_many_epochs_and_in_the_first_and_last(untrained, monkeypatch):
    times = itertools.count(1)
    monkeypatch.setattr(LatentKL, "_mean_kl", lambda self: np.array([next(times)]))
    callback = LatentKL(DATA, every=3)
    assert [logs["kl.z0"] for logs in measured(callback, untrained, epochs=8)] == [1, 1, 2, 2, 2, 3, 3, 4]
    # Another fit starts from 0.
    assert [logs["kl.z0"] for logs in measured(callback, untrained, epochs=2)] == [5, 6]


def test_kl_is_of_a_sample_drawn_once():
    for images, all_of_them in ((DATA, DATA.images(range(16))), (IMAGES, IMAGES)):
        drawn = [LatentKL(images, samples=samples, seed=1).images for samples in (5, 15, 16, 1000)]
        assert [len(each) for each in drawn] == [5, 15, 16, 16]
        # Each at most once.
        assert all(len(np.unique(each, axis=0)) == len(each) for each in drawn)
        assert sorted(map(bytes, drawn[-1])) == sorted(map(bytes, all_of_them))
        np.testing.assert_array_equal(LatentKL(images, samples=5, seed=1).images, drawn[0])
        assert not np.array_equal(LatentKL(images, samples=5, seed=2).images, drawn[0])
    assert len(LatentKL(np.zeros((2000, 2, 2, 1), "uint8")).images) == 1024


def test_a_pickled_callback_measures_the_same(untrained):
    callback = LatentKL(DATA, samples=9)
    assert measured(pickle.loads(pickle.dumps(callback)), untrained) == measured(callback, untrained)


@pytest.mark.slow
def test_kl_goes_on_after_an_interruption_as_if_there_had_been_none(tmp_path):
    def batches(start):
        for step in itertools.count(start):
            yield (IMAGES[np.random.default_rng(step).permutation(16)[:4]],)

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    def train(folder, *callbacks):
        options = {"steps": 7, "steps_per_epoch": 2, "checkpoint_every": 1, "resume": True, "verbose": 0}
        return kv.runs.train(untraced, batches, folder, callbacks=[LatentKL(DATA), *callbacks], **options)

    train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", Interrupt())
    train(tmp_path / "parts")
    rows = read_history(tmp_path / "parts" / "history.csv")
    assert rows == read_history(tmp_path / "whole" / "history.csv")
    assert [row["step"] for row in rows] == [2, 4, 6, 7] and all("kl.z2" in row for row in rows)
    figure = kv.plots.kl_over_training({"run": rows})
    assert {tuple(line.get_xdata()) for line in figure.axes[0].lines} == {(2, 4, 6, 7)}


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (
            IMAGES[0],
            {},
            r"images must be a ground-truth data set or images \(n, height.* got float32 of shape \(16, 16",
        ),
        (IMAGES[:0], {}, r"at least one, got float32 of shape \(0, 16, 16, 1\)"),
        (IMAGES.astype("int64"), {}, "got int64 of shape"),
        ("images", {}, "images must be a ground-truth data set or images"),
        (None, {}, "images must be a ground-truth data set or images"),
        (np.where(np.arange(16)[:, None, None, None] > 13, np.nan, IMAGES), {}, "of 16, 2 hold NaN .* at index 14"),
        (DATA, {"samples": 0}, "samples must be an integer, at least 1, got 0"),
        (DATA, {"samples": 2.5}, "samples must be an integer, at least 1, got 2.5"),
        (DATA, {"samples": True}, "samples must be an integer, at least 1, got True"),
        (DATA, {"seed": -1}, "seed must be an integer, at least 0, got -1"),
        (DATA, {"threshold": -0.1}, "threshold must be a finite number, at least 0, got -0.1"),
        (DATA, {"threshold": float("nan")}, "threshold must be a finite number, at least 0, got nan"),
        (DATA, {"threshold": "0.1"}, "threshold must be a finite number, at least 0, got '0.1'"),
    ],
)
def test_kl_that_cannot_be_measured_is_refused_before_training(images, options, message):
    with pytest.raises(ValueError, match=message):
        LatentKL(images, **options)


def test_kl_of_a_model_that_images_do_not_fit_is_refused_before_training():
    model = make()
    with pytest.raises(
        ValueError, match=r"images must be a batch of images \(batch, 16, 16, 1\).* got shape \(4, 8, 8, 1"
    ):
        fit(model, LatentKL(np.zeros((4, 8, 8, 1), "uint8")))
    assert int(model.step.numpy()) == 0
    plain = keras.Sequential([keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    plain.compile(loss="mse")
    with pytest.raises(TypeError, match="LatentKL is for models of this package, got Sequential"):
        plain.fit(IMAGES, np.zeros(len(IMAGES)), verbose=0, callbacks=[LatentKL(IMAGES)])
