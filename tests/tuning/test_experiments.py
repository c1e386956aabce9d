"""A row of an experiment: what it is made of, what it leaves, and that a kill changes nothing."""

import functools
import pickle
import shutil

import keras
import numpy as np
import pytest
from PIL import Image

import kerasvae as kv
from kerasvae import files, tuning
from kerasvae.tuning import experiment_tables, experiments, grids
from kerasvae.tuning.experiment_callbacks import read_progress
from kerasvae.tuning.results import row_folder
from kerasvae.tuning.row_files import DamagedRowError, read_scores

ROW = {
    **grids.augmented_loss("small")[-1],
    "latents": 2,
    "grid_size": 3,
    "networks": "mlp",
    "padding": "none",
    "batch_size": 4,
    "steps": 6,
    "beta_warmup": 4,
    "mig_every": 2,
    "dci_every": 4,
}
ROW["beta_sum"] = ROW["beta"] * ROW["image_size"] ** 2 / 2
RUN = tuning.ExperimentRun(checkpoint_every=1, pictures=False)


@pytest.fixture(scope="module", autouse=True)
def small_networks():
    """Networks of a few weights, and no tracing, which would cost more than a few steps do."""
    functions = (kv.networks.mlp_encoder, kv.networks.mlp_decoder)
    small = tuple(functools.partial(function, hidden=(4,)) for function in functions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(kv.networks.NETWORKS, "mlp", small)
        if keras.config.backend() == "tensorflow":
            patch.setattr(kv.VAE, "compile", functools.partialmethod(kv.VAE.compile, run_eagerly=True))
        yield


class StopAtStep(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        # On JAX two steps are one dispatch.
        if int(self.model.step) >= self.step:
            raise KeyboardInterrupt


def width(path):
    with Image.open(path) as image:
        return image.size[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, small_networks):
    """The folder of a row that was not interrupted, and its metrics."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, tuning.ExperimentRun(checkpoint_every=1)(ROW, folder)


@pytest.mark.slow
def test_a_row_leaves_everything_in_its_folder(whole):
    folder, metrics = whole
    assert set(metrics) == {
        "mig", "dci", "best_mig", "best_dci", "active_latents", "reconstruction_nats", "kl_nats", "seconds_training",
    }  # fmt: skip
    history = kv.callbacks.read_history(folder / "history.csv")
    assert [row["step"] for row in history] == [2, 4, 6]
    assert ["val_mig" in row for row in history] == [True, True, True]
    # In the middle, where it is due, and at the end, where it always is.
    assert ["val_dci" in row for row in history] == [False, True, True]
    assert metrics["best_mig"] == max(row["val_mig"] for row in history)
    assert metrics["best_dci"] == max(row["val_dci"] for row in history[1:])
    report = files.read_json(folder / "scores.json")
    assert report["final"]["mig"] == metrics["mig"]
    assert report["best"]["mig"]["step"] in (2, 4, 6)
    assert report["versions"]["keras"] == keras.__version__
    assert report["versions"]["backend"] == keras.config.backend()
    assert files.read_json(folder / "settings.json").items() >= ROW.items()
    for picture in experiments.PICTURES:
        assert width(folder / picture) > 100
    model = kv.load(folder / "model.keras")
    assert isinstance(model, kv.AdaGVAE) and (model.latents, int(model.step)) == (2, 6)
    score = kv.metrics.evaluate(model, RUN._data(ROW), ["mig"], preset="fast", seed=ROW["seed"])["mig"]
    assert float(score) == pytest.approx(metrics["mig"], abs=1e-6)
    assert read_progress(folder).items() >= {"step": 6, "steps": 6, "stage": "done"}.items()
    if keras.config.backend() == "tensorflow":
        assert report["encoder"] == "encoder" and (folder / "encoder").is_dir()


def interrupt(folder, step):
    train = kv.runs.train
    with pytest.MonkeyPatch.context() as patch:

        def interrupted(*arguments, callbacks, **options):
            return train(*arguments, callbacks=[*callbacks, StopAtStep(step)], **options)

        patch.setattr(kv.runs, "train", interrupted)
        with pytest.raises(KeyboardInterrupt):
            RUN(ROW, folder)


@pytest.mark.slow
@pytest.mark.parametrize("step", [3, 6])
def test_a_killed_row_ends_as_one_that_was_not(whole, tmp_path, step):
    interrupt(tmp_path, step)
    spent = read_progress(tmp_path)["seconds"]
    metrics = RUN(ROW, tmp_path)
    folder, expected = whole
    assert {**metrics, "seconds_training": 0} == {**expected, "seconds_training": 0}
    assert (tmp_path / "history.csv").read_text() == (folder / "history.csv").read_text()
    models = [kv.load(path / "model.keras") for path in (folder, tmp_path)]
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(a, b)
    assert read_progress(tmp_path)["seconds"] > spent


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory, small_networks):
    folder = tmp_path_factory.mktemp("interrupted")
    interrupt(folder, 5)
    return folder


@pytest.mark.slow
def test_a_row_that_lost_its_history_begins_anew(whole, interrupted, tmp_path):
    folder = shutil.copytree(interrupted, tmp_path / "row")
    header = (folder / "history.csv").read_text().splitlines()[0]
    (folder / "history.csv").write_text(header + "\n")
    with pytest.warns(UserWarning, match="row row begins anew, as .* lacks the epoch that ended with step 2"):
        metrics = RUN(ROW, folder)
    assert {**metrics, "seconds_training": 0} == {**whole[1], "seconds_training": 0}
    assert (folder / "history.csv").read_text() == (whole[0] / "history.csv").read_text()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("checkpoint.keras", b"PK", "checkpoint.keras' is not whole"),
        ("settings.json", b"", "settings.json' cannot be read"),
        ("settings.json", b"[]", "settings.json' holds no settings"),
        ("history.csv", b"\xff\n", "history.csv' cannot be read"),
        ("history.csv", b"step,loss,val_mig\n2,0.5", "history.csv' is cut short"),
    ],
)
def test_damaged_files_are_noticed(interrupted, tmp_path, name, content, said):
    folder = shutil.copytree(interrupted, tmp_path / "row")
    RUN._plan(ROW, folder)
    (folder / name).write_bytes(content)
    with pytest.raises(DamagedRowError, match=said):
        RUN._plan(ROW, folder)


def test_a_finished_model_needs_its_history(whole, tmp_path):
    folder = shutil.copytree(whole[0], tmp_path / "row")
    RUN._train(ROW, folder, 0)
    (folder / "history.csv").unlink()
    with pytest.raises(DamagedRowError, match="lacks the epoch that ended with step 2"):
        RUN._train(ROW, folder, 0)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"final": {"mig": 0.5}, "best": {}}'])
def test_damaged_scores_are_not_shown(whole, tmp_path, content):
    folder = tmp_path / "rows" / row_folder("", ROW).name
    folder.mkdir(parents=True)
    files.write_json(folder / "result.json", {"row": ROW, "metrics": whole[1], "seconds": 1.0})
    shutil.copy(whole[0] / "scores.json", folder)
    assert tuning.experiment_results(tmp_path, [ROW])[0]["status"] == "finished"
    (folder / "scores.json").write_text(content)
    results = tuning.experiment_results(tmp_path, [ROW])
    assert (results[0]["status"], "mig" in results[0]) == ("damaged", False)
    assert experiment_tables.unfinished(results) == {"damaged": [1]}
    assert read_scores(folder) is None


def test_scores_that_are_there_are_not_computed_again(whole, monkeypatch):
    folder, metrics = whole
    monkeypatch.setattr(kv.metrics, "evaluate", lambda *a, **k: pytest.fail("computed again"))
    assert RUN(ROW, folder) == metrics


def test_it_can_be_pickled_and_settings_do_not_depend_on_it():
    run = tuning.ExperimentRun(jobs=2, on_device=True)
    assert pickle.loads(pickle.dumps(run)) == run
    assert run.settings == RUN.settings == {}


def test_models_are_what_rows_say():
    row = next(row for row in grids.augmented_loss(flavour="authors") if row["loss"] == "boxblur")
    row = {**row, "framework": "adagvae", "averaging": "authors", "distance": "symmetric", "threshold": 0.5}
    model = experiments.build_model({**row, "seed": 3}, (64, 64, 3))
    assert isinstance(model, kv.AdaGVAE)
    assert (model.averaging, model.reduction, model.beta, model.seed) == ("authors", "mean", 0.0001, 3)
    assert (model.reconstruction.radius, model.reconstruction.weight) == (31, 3969.0)
    warmed = experiments.build_model({**row, "beta_warmup": 100}, (64, 64, 3))
    assert warmed.beta == kv.schedules.Linear(0.0, 0.0001, steps=100)
    # Padding of two pixels a side: 33, 17, 9, 5, and 5 · 5 · 64 numbers for the dense layer.
    assert model.encoder.get_layer("encoder_dense").kernel.shape == (1600, 256)
    optimizer = model.optimizer
    assert (float(optimizer.learning_rate), optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (
        pytest.approx(1e-3), 0.9, 0.999, 1e-8,
    )  # fmt: skip
    # Two numbers in 10^4 of a normal distribution lie beyond 2 of Keras's 1.137 times wider deviations or more.
    kernel = keras.ops.convert_to_numpy(model.encoder.get_layer("encoder_dense").kernel)
    deviation = np.sqrt(2 / (1600 + 256))
    assert kernel.std() == pytest.approx(deviation, rel=0.01)
    assert np.abs(kernel).max() > 2 * deviation / 0.87962566103423978
    # Mean and log-variance as one layer with 50 outputs; a transposed convolution's fans are window · channels.
    for name, fans in (("mean", 256 + 50), ("logvar", 256 + 50)):
        head = keras.ops.convert_to_numpy(model.encoder.get_layer(f"encoder_{name}").kernel)
        assert head.std() == pytest.approx(np.sqrt(2 / fans), rel=0.05)
    layer = keras.ops.convert_to_numpy(model.decoder.get_layer("decoder_upconv_2").kernel)
    assert layer.std() == pytest.approx(np.sqrt(2 / (16 * (64 + 32))), rel=0.02)
    keras_weights = experiments.build_model({**row, "initializer": "glorot_normal"}, (64, 64, 3))
    kernel = keras.ops.convert_to_numpy(keras_weights.encoder.get_layer("encoder_dense").kernel)
    assert kernel.std() == pytest.approx(deviation, rel=0.01)
    if keras.config.backend() != "torch":  # whose truncated normal Keras draws a little wider
        assert np.abs(kernel).max() <= 2 * deviation / 0.87962566103423978 * (1 + 1e-6)


def test_pairs_and_images_are_drawn_as_rows_say():
    data = RUN._data(ROW)
    pairs = next(iter(experiments.batches({**ROW, "changed": "authors", "batch_size": 64}, data)))
    expected = next(iter(kv.datasets.pairs(data, 64, seed=ROW["seed"], changed="authors")))
    for key in ("first", "second"):
        np.testing.assert_array_equal(pairs[key], expected[key])
    single = {**ROW, "framework": "betavae", **dict.fromkeys(("averaging", "distance", "threshold", "changed"), "none")}
    np.testing.assert_array_equal(
        next(iter(experiments.batches(single, data, start=3))),
        next(iter(kv.datasets.images(data, 4, seed=ROW["seed"], start=3))),
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "mnist"}, "row\\['dataset'\\] must be 'xysquares' or"),
        ({"framework": "vae"}, "row\\['framework'\\] must be"),
        ({"framework": "betavae"}, "row\\['averaging'\\] must be 'none', got 'gvae'"),
        ({"loss": "mse"}, "row\\['blur_radius'\\] must be 'none', got"),
        ({"padding": "same"}, "row\\['padding'\\] must be 'none', got 'same'"),
        ({"reduction": "sum"}, "row\\['reduction'\\] must be 'mean'"),
        ({"beta_sum": 7.0}, "row\\['beta_sum'\\] must be .* for its beta"),
        ({"steps": 0}, "row\\['steps'\\] must be an integer, at least 1, got 0"),
        ({"dropout": 0.5}, "row must have the fields .* alone, got dropout"),
        ({"averaging": "median"}, "averaging must be one of"),
        ({"blur_radius": -1}, "radius must be an integer, at least 0, got -1"),
        ({"grid_size": 99}, "grid_size must be at most"),
    ],
)
def test_rows_that_cannot_be_done_are_refused(changes, message):
    RUN.check(ROW)
    with pytest.raises(ValueError, match=message):
        RUN.check({**ROW, **changes})
    with pytest.raises(ValueError, match="it lacks epsilon"):
        RUN.check({name: value for name, value in ROW.items() if name != "epsilon"})


@pytest.mark.parametrize("name", ["jobs", "steps_per_execution", "checkpoint_every"])
def test_arguments_are_checked(name):
    with pytest.raises(ValueError, match=f"{name} must be an integer, at least 1, got 0"):
        tuning.ExperimentRun(**{name: 0})


def test_whole_dispatches_in_an_epoch(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    for gpu, expected in ((True, [48, 30, 7, 1]), (False, [8, 6, 7, 1])):
        monkeypatch.setattr(experiments, "has_gpu", lambda gpu=gpu: gpu)
        assert [tuning.ExperimentRun()._steps_per_execution(epoch) for epoch in (2400, 150, 7, 53)] == expected
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    assert tuning.ExperimentRun()._steps_per_execution(2400) == 1
    assert tuning.ExperimentRun(steps_per_execution=5)._steps_per_execution(2400) == 5


def test_best_scores_are_the_first_largest():
    history = [
        {"step": 2, "loss": 9.0, "val_mig": 0.2},
        {"step": 4, "loss": 8.0, "val_mig": 0.5, "val_dci": 0.1},
        {"step": 6, "loss": 7.0, "val_mig": 0.5},
    ]
    assert experiments.best_scores(history) == {
        "mig": {"score": 0.5, "step": 4},
        "dci": {"score": 0.1, "step": 4},
    }
