"""Models trained together: what each would have become alone, and what cannot go together."""

import keras
import numpy as np
import pytest

import kerasvae as kv
from kerasvae.models import TogetherProgram, fit_together

jax_alone = pytest.mark.skipif(keras.config.backend() != "jax", reason="models are trained together on JAX alone")
DATA = kv.datasets.XYSquares(grid_size=3, grid_spacing=2, square_size=2, image_size=8, num_squares=1, rgb=False)
TABLE = kv.datasets.ImageTable(
    DATA.images(np.arange(len(DATA))), DATA.factor_names, DATA.factor_sizes, DATA.mean, DATA.std
)


def mlp(seed, hidden):
    return (
        kv.networks.mlp_encoder(DATA.image_shape, 2, hidden=(hidden,), seed=2 * seed),
        kv.networks.mlp_decoder(DATA.image_shape, 2, hidden=(hidden,), seed=2 * seed + 1),
    )


def conv(seed, filters):
    """Networks whose layers Keras names, otherwise for each model."""
    weights = {"kernel_initializer": keras.initializers.GlorotNormal(seed=seed)}
    x = image = keras.Input(DATA.image_shape)
    x = keras.layers.Flatten()(keras.layers.Conv2D(filters, 4, 4, activation="relu", **weights)(x))
    heads = {head: keras.layers.Dense(2, **weights)(x) for head in ("mean", "logvar")}
    x = codes = keras.Input((2,))
    x = keras.layers.Reshape((2, 2, filters))(keras.layers.Dense(4 * filters, **weights)(x))
    return keras.Model(image, heads), keras.Model(codes, keras.layers.Conv2DTranspose(1, 4, 4, **weights)(x))


def build(seed, objective=kv.BetaVAE, fused=1, learning_rate=1e-3, networks=mlp, hidden=4, **options):
    encoder, decoder = networks(seed, hidden)
    if objective is kv.FactorVAE:
        options["discriminator"] = kv.networks.mlp_discriminator(2, hidden=(4,), seed=seed)
    model = objective(encoder, decoder, seed=seed, **options)
    model.compile(keras.optimizers.Adam(learning_rate, epsilon=1e-8), steps_per_execution=fused)
    return model


def batches(seed, objective=kv.BetaVAE, steps=2, data=DATA, **options):
    pipeline = kv.datasets.pairs if objective.images_per_example > 1 else kv.datasets.images
    return pipeline(data, 16, steps, seed, **{"on_device": True, "form": "pydataset", **options})


def variables(model):
    return [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]


def state(model):
    return [keras.ops.convert_to_numpy(variable) for variable in variables(model)]


def assert_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * max(np.abs(b).max(initial=0), 0.1))


@jax_alone
@pytest.mark.parametrize(
    ("objective", "options"),
    [
        (kv.BetaVAE, [{"beta": b, "learning_rate": r, "fused": 2} for b, r in ((0.01, 1e-3), (4.0, 1e-2))]),
        (kv.BetaVAE, [{"beta": kv.schedules.Linear(0, 1, steps=n), "networks": conv} for n in (3, 30)]),
        (kv.AdaGVAE, [{"beta": 0.01, "threshold": 0.2}, {"beta": 4.0, "threshold": 0.8}]),
        (kv.FactorVAE, [{"gamma": 1.0}, {"gamma": 10.0}]),
    ],
)
def test_each_is_what_it_would_be_alone(objective, options):
    models = [build(seed, objective, **option) for seed, option in enumerate(options, start=1)]
    # In the first case the last block of an epoch is shorter.
    steps = 3 if "fused" in options[0] else 2
    data, starts = [batches(seed, objective, steps) for seed in (1, 2)], [state(model) for model in models]
    # As if the second had been trained before.
    place = next(place for place, variable in enumerate(variables(models[1])) if variable is models[1].step)
    models[1].step.assign(7)
    starts[1][place] = 7
    histories = fit_together(models, data, epochs=2, verbose=0)
    # One model and program for all, as what they differ in is state.
    alone = build(3, objective, **options[0])
    for model, start, each, history in zip(models, starts, data, histories, strict=True):
        for variable, value in zip(variables(alone), start, strict=True):
            variable.assign(value)
        expected = alone.fit(each, epochs=2, verbose=0)
        assert_equal(state(model), state(alone))
        assert history.history.keys() == expected.history.keys() and model.history is history
        for name in expected.history:
            np.testing.assert_allclose(history.history[name], expected.history[name], rtol=1e-5, atol=1e-6)
        assert max(np.abs(a - b).max() for a, b in zip(start[:4], state(model), strict=False)) > 1e-3
    assert [int(model.step) for model in models] == [2 * steps, 2 * steps + 7]


@jax_alone
def test_one_program_for_all_blocks_betas_and_groups(tmp_path):
    program = TogetherProgram()
    models = [build(seed, beta=0.1 * seed, fused=2) for seed in (1, 2, 3)]
    data = [batches(seed, data=TABLE, steps=None) for seed in (1, 2, 3)]
    fit_together(models, data, epochs=2, steps_per_epoch=4, verbose=0, program=program)
    steps = program.steps
    assert program.steps._cache_size() == 1
    models[0].beta = 7.0
    fit_together(models, data, epochs=3, steps_per_epoch=6, verbose=0, program=program)
    others = [build(seed, beta=0.1 * seed, fused=2) for seed in (4, 5, 6)]
    fit_together(others, data, steps_per_epoch=4, verbose=0, program=program)
    assert program.steps is steps and steps._cache_size() == 1
    # One table for all, which no file holds.
    assert len({id(model.device_images[True]) for model in [*models, *others]}) == 1
    # For models of another kind, or after its owner has changed the one it was made from, it is compiled again.
    models[0].encoder.trainable = False
    fit_together([build(seed, fused=2) for seed in (4, 5, 6)], data, steps_per_epoch=2, verbose=0, program=program)
    assert program.steps is not steps
    # What has been trained together is a model as any other.
    others[1].save(tmp_path / "model.keras")
    loaded = kv.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(state(loaded)[0], state(others[1])[0])
    assert (loaded.beta, int(loaded.step)) == (0.5, 4)
    evaluated = [model.evaluate(batches(9), verbose=0, return_dict=True)["loss"] for model in (loaded, others[1])]
    assert evaluated[0] == pytest.approx(evaluated[1], rel=1e-6)
    loaded.fit(batches(1), verbose=0)
    assert int(loaded.step) == 6


class Stop(keras.callbacks.Callback):
    """Stops a model after an epoch, and remembers its state."""

    def __init__(self, epoch=None, batch=None):
        super().__init__()
        self.epoch, self.batch, self.state, self.calls = epoch, batch, None, []

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append((batch, logs["loss"]))
        if batch == self.batch:
            self.stop()

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("epoch", logs["loss"]))
        if epoch == self.epoch:
            self.stop()

    def stop(self):
        self.state, self.model.stop_training = state(self.model), True


@jax_alone
@pytest.mark.parametrize("where", [{"epoch": 0}, {"batch": 1}])
def test_a_model_that_stops_stays_as_it_is(where):
    models, stop = [build(seed) for seed in (1, 2, 3)], Stop(**where)
    data = [batches(seed, steps=None) for seed in (1, 2, 3)]
    histories = fit_together(models, data, epochs=3, steps_per_epoch=4, callbacks=[[], [stop], []], verbose=0)
    for a, b in zip(state(models[1]), stop.state, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [int(model.step) for model in models] == [12, 4 if "epoch" in where else 2, 12]
    assert [len(history.epoch) for history in histories] == [3, 1, 3]
    assert stop.calls[-1][1] == pytest.approx(stop.calls[-2][1], rel=1e-6)
    alone = build(3)
    alone.fit(batches(3, steps=12), verbose=0)
    assert_equal(state(models[2]), state(alone))


@jax_alone
def test_most_having_stopped_the_others_have_a_smaller_program(monkeypatch):
    shapes, run = [], TogetherProgram.__call__
    monkeypatch.setattr(
        TogetherProgram,
        "__call__",
        lambda self, state, *others: shapes.append(len(state[0][0])) or run(self, state, *others),
    )
    models, data = [build(seed) for seed in (1, 2, 3)], [batches(seed, steps=None) for seed in (1, 2, 3)]
    callbacks = [[Stop(epoch=0)], [Stop(epoch=0)], []]
    fit_together(models, data, epochs=2, steps_per_epoch=2, callbacks=callbacks, verbose=0)
    assert shapes == [3, 3, 1, 1]
    assert [int(model.step) for model in models] == [2, 2, 4]


class Log(keras.callbacks.Callback):
    def __init__(self, name, calls):
        super().__init__()
        self.name, self.calls = name, calls

    def on_train_batch_begin(self, batch, logs=None):
        # What is read in the middle of an epoch is up to date, and reading it changes nothing.
        self.calls.append((self.name, batch, int(self.model.step), state(self.model)[0].sum()))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append((self.name, sorted(logs)))
        logs["val_other"] = 1.0


@jax_alone
def test_callbacks_are_called_in_turn_and_see_the_state():
    calls, models = [], [build(seed, fused=2) for seed in (1, 2)]
    callbacks = [[Log("a", calls), Log("b", calls)], [Log("c", calls)]]
    data = [batches(seed, steps=6) for seed in (1, 2)]
    histories = fit_together(models, data, callbacks=callbacks, verbose=0)
    assert [call[:3] for call in calls[:-3]] == [(name, at, at) for at in (0, 2, 4) for name in ("a", "c", "b")]
    assert [name for name, _ in calls[-3:]] == ["a", "c", "b"]
    assert "val_other" not in calls[-3][1] and "val_other" in calls[-1][1]
    assert [history.history.get("val_other") for history in histories] == [[1.0], [1.0]]
    for seed, model in zip((1, 2), models, strict=True):
        alone = build(seed)
        alone.fit(batches(seed, steps=6), verbose=0)
        assert_equal(state(model), state(alone))


@jax_alone
def test_an_interrupted_model_keeps_what_it_has_learnt(capsys):
    models, data = [build(seed) for seed in (1, 2)], [batches(seed, steps=None) for seed in (1, 2)]

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if batch == 4:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_together(models, data, steps_per_epoch=6, callbacks=[[], [Interrupt()]], verbose=0)
    assert [int(model.step) for model in models] == [4, 4]
    fit_together(models, data, steps_per_epoch=2, verbose=1)
    assert "2/2" in capsys.readouterr().out
    assert all(np.isfinite(values).all() for model in models for values in state(model))


@jax_alone
def test_pipelines_of_images_and_of_tf_data():
    pytest.importorskip("tensorflow")
    models, alone = [build(seed) for seed in (1, 2)], [build(seed) for seed in (1, 2)]
    data = [batches(seed, on_device=False, form="tf.data") for seed in (1, 2)]
    fit_together(models, data, verbose=0)
    for model, other, seed in zip(models, alone, (1, 2), strict=True):
        other.fit(batches(seed), verbose=0)
        assert_equal(state(model), state(other))
        assert model.pixel_mean == tuple(DATA.mean)


@jax_alone
def test_mixed_precision_and_loss_scales():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        models = [build(seed, beta=0.1 * seed) for seed in (1, 2)]
        assert isinstance(models[0].optimizer, keras.optimizers.LossScaleOptimizer)
        start = state(models[1])
        fit_together(models, [batches(seed) for seed in (1, 2)], verbose=0)
        alone = build(3)
        for variable, value in zip(variables(alone), start, strict=True):
            variable.assign(value)
        alone.fit(batches(2), verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    for a, b in zip(models[1].get_weights(), alone.get_weights(), strict=True):
        # Two steps of at most the learning rate, where half the digits tell the gradients' sign.
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)
    assert [int(model.step) for model in models] == [2, 2]


def refused(models, data, message, **options):
    with pytest.raises(ValueError, match=message):
        fit_together(models, data, verbose=0, **options)
    assert all(int(model.step) == 0 for model in models)


@jax_alone
def test_what_cannot_go_together_is_refused():
    first, data = build(1), [batches(1), batches(2)]
    for other, what in (
        (build(2, hidden=5), "encoder.*: 4 and 5"),
        (build(2, beta=kv.schedules.Linear(0, 1, 5)), "beta: 'Constant of 1' and 'Linear of 4'"),
        (build(2, reduction="sum"), "reduction: 'mean' and 'sum'"),
        (build(2, objective=kv.AnnealedVAE), "class: "),
        (build(2, fused=3), "steps_per_execution: 1 and 3"),
        (build(2, reconstruction=kv.losses.MeanAbsoluteError()), "reconstruction.class_name: "),
    ):
        refused([first, other], data, rf"models\[1\] differs from models\[0\] in {what}")
    second = build(2)
    refused([first, first], data, "same object is among them twice")
    refused([], [], "models must be at least one")
    refused([first, second], data[:1], "data must be one for each of 2 models, got 1")
    refused([first, second], data, "callbacks must be one for each of 2 models, got 1", callbacks=[[]])
    refused([first, second], [data[0], np.zeros((4, 16, 16, 1))], r"data\[1\] must be a tf.data.Dataset or a PyDataset")
    refused([first, second], [data[0], batches(2, steps=4)], "data must have one known length.* got lengths 2, 4")
    refused([first, second], [data[0], batches(2, steps=None)], r"data\[1\] never ends")
    refused([first, second], [data[0], batches(2, data=TABLE)], r"data\[1\] is of another")
    refused([first, second], [data[0], kv.datasets.images(DATA, 8, 2, on_device=True)], r"data\[1\] \(8,\)")
    refused([first, second], [data[0], batches(2, objective=kv.AdaGVAE)], "learns from single images")
    for keras_options in ({"run_eagerly": True}, None):
        other = build(2)
        if keras_options:
            other.compile(**keras_options)
        else:
            other.compiled = False
        refused([first, other], data, r"models\[1\] must be compiled, and not with run_eagerly=True")
    with pytest.raises(ValueError, match=r"data\[1\] ended after 1 of 2 steps"):
        fit_together([first, second], [batches(1), batches(2, steps=1)], steps_per_epoch=2, verbose=0)
    # And go on as they were.
    assert all(np.isfinite(values).all() for model in (first, second) for values in state(model))


@pytest.mark.skipif(keras.config.backend() == "jax", reason="JAX can")
def test_other_backends_say_that_they_cannot():
    refused([build(1, fused=1)], [batches(1)], f"on the backend jax alone, this is {keras.config.backend()}")
