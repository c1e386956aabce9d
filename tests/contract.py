"""What every objective owes: checks that `tests/models/test_contract.py` runs for each of `OBJECTIVES`."""

from __future__ import annotations

import copy
import functools
import json

import keras
import numpy as np
import pytest
from contract_objectives import EXACT, HIDDEN, LATENTS, OBJECTIVES, SHAPE
from formulas import kl, noise

import kerasvae as kv
from kerasvae import tuning

# A compiled step computes what an eager one does (`check_mode`), and tracing takes TensorFlow longer than a few steps.
QUICK = {"run_eagerly": keras.config.backend() == "tensorflow"}


def fit(model, data, batch_size=8, **arguments):
    """Train without shuffling and without a bar; the history."""
    return model.fit(data, batch_size=batch_size, shuffle=False, verbose=0, **arguments).history


def freeze(model):
    """Compile so that training moves nothing."""
    still = {"discriminator_optimizer": keras.optimizers.SGD(0.0)} if isinstance(model, kv.FactorVAE) else {}
    model.compile(keras.optimizers.SGD(0.0), **still, **QUICK)
    return model


def state(model) -> list[np.ndarray]:
    """Everything a resumed run must have: weights, optimizer, counters."""
    variables = [*model.weights, *(model.optimizer.variables if model.compiled else [])]
    return [variable.numpy() for variable in variables]


def assert_same(first, second):
    """Bit for bit."""
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def numpy_loss(objective, model, weights, images, epsilon, reduction) -> tuple[float, float, float]:
    """Loss, reconstruction and KL in float64 NumPy, from the networks' weights: written from the formulas."""
    variables = [*model.encoder.trainable_variables, *model.decoder.trainable_variables]
    named = {variable.path: value for variable, value in zip(variables, weights, strict=True)}
    layers = ("encoder_dense_1", "encoder_mean", "encoder_logvar", "decoder_dense_1", "decoder_pixels")
    (w1, b1), (wm, bm), (wl, bl), (v1, c1), (v2, c2) = (
        (named[f"{layer}/kernel"], named[f"{layer}/bias"]) for layer in layers
    )
    flat = images.astype("float64").reshape(len(images), -1)
    hidden = np.maximum(flat @ w1 + b1, 0)
    mean, logvar = objective.posterior(hidden @ wm + bm, hidden @ wl + bl)
    z = mean + np.exp(logvar / 2) * epsilon
    decoded = np.maximum(z @ v1 + c1, 0) @ v2 + c2
    reconstruction = ((flat - decoded) ** 2).sum(axis=1).mean()
    penalty = objective.penalty(mean, logvar, z, model)
    if reduction == "sum":
        return reconstruction + penalty, reconstruction, kl(mean, logvar)
    return reconstruction / flat.shape[1] + penalty / LATENTS, reconstruction, kl(mean, logvar)


def check_step_is_the_gradient_of_the_formula(objective, reduction):
    """One step of gradient descent moves the weights by the float64 gradient of the formula, and logs its terms."""
    model = objective.model(reduction=reduction)
    start = objective.model(reduction=reduction)  # keeps the weights that the step moves
    model.compile(keras.optimizers.SGD(1.0), **QUICK)
    data = objective.data(8)
    variables = [*model.encoder.trainable_variables, *model.decoder.trainable_variables]
    weights = [variable.numpy().astype("float64") for variable in variables]
    history = fit(model, data)
    gradient = [before - variable.numpy() for before, variable in zip(weights, variables, strict=True)]
    images = np.concatenate(list(data.values())) if objective.pairs else data[: round(8 * objective.share)]
    epsilon = noise((len(images), LATENTS))

    def loss(weights):
        return numpy_loss(objective, start, weights, images, epsilon, reduction)

    expected, reconstruction, divergence = loss(weights)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)
    assert history["reconstruction_nats"][0] == pytest.approx(reconstruction, rel=1e-5)
    assert history["kl_nats"][0] == pytest.approx(divergence, rel=1e-5)
    parts = history["reconstruction_loss"][0] + history["regularization_loss"][0]
    assert parts == pytest.approx(history["loss"][0], rel=1e-6)
    rng = np.random.default_rng(1)
    scale = np.sqrt(sum((part**2).sum() for part in gradient))
    for _ in range(10):
        direction = [rng.normal(size=part.shape) for part in weights]
        ahead, behind = (
            loss([w + sign * 1e-6 * d for w, d in zip(weights, direction, strict=True)])[0] for sign in (1, -1)
        )
        slope = sum((g * d).sum() for g, d in zip(gradient, direction, strict=True))
        assert slope == pytest.approx((ahead - behind) / 2e-6, rel=1e-3, abs=1e-4 * scale)


def check_config_round_trip(objective):
    model = objective.model()
    config = model.get_config()
    again = type(model).from_config(copy.deepcopy(config))
    assert again.get_config() == config
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model)).get_config() == config


def check_saved_model_goes_on(objective, folder):
    """A model saved in the middle and loaded in safe mode ends bit for bit like the one that went on."""
    data = objective.data(16)
    model = objective.model()
    model.compile(keras.optimizers.SGD(1e-4, momentum=0.9), **QUICK)
    fit(model, data)
    model.save(folder / "model.keras")
    model.save_weights(folder / "model.weights.h5")
    loaded = keras.saving.load_model(folder / "model.keras")
    assert type(loaded) is type(model)
    networks = ("encoder", "decoder", "discriminator")  # Keras turns tuples in these to lists
    configs = [{k: v for k, v in each.get_config().items() if k not in networks} for each in (loaded, model)]
    assert configs[0] == configs[1]
    fresh = objective.model()
    fresh.compile(keras.optimizers.SGD(1e-4, momentum=0.9), **QUICK)
    fresh.load_weights(folder / "model.weights.h5")
    for other in (loaded, fresh):
        assert_same(state(other), state(model))
    histories = [fit(each, data) for each in (model, loaded, fresh)]
    for history, other in zip(histories[1:], (loaded, fresh), strict=True):
        assert history == histories[0]
        assert_same(state(other), state(model))
    assert not list(folder.glob(".*"))


# How a model may be trained besides the usual way: a dtype policy, arguments of `compile`, and how near the loss of 10
# steps comes to the usual one's.
MODES = {
    "fused": (None, {"steps_per_execution": 3}, 1e-4),
    "eager": (None, {"run_eagerly": True}, 1e-4),
    "float16": ("mixed_float16", {}, 0.05),
}
# For models of some kinds, as XLA takes its time; recipes/modes.py has them all.
COMBINED_MODES = {
    "fused-xla": (None, {"steps_per_execution": 5, "jit_compile": True}, 1e-4),
    "float16-fused-xla": ("mixed_float16", {"steps_per_execution": 5, "jit_compile": True}, 0.05),
    "float16-eager": ("mixed_float16", {"run_eagerly": True}, 0.05),
}


_USUAL = {}


def trained_as_usual(objective):
    """History, and state before and after, of 2 epochs of 5 steps; the last execution of a fused epoch is shorter."""
    if str(objective) not in _USUAL:
        model = objective.model()
        before = state(model)
        model.compile(keras.optimizers.Adam(0.01))
        _USUAL[str(objective)] = fit(model, objective.data(40), epochs=2), before, state(model)
    return _USUAL[str(objective)]


def check_mode(objective, mode):
    """Every objective trains in every mode, to the usual losses and weights as near as the precision allows."""
    policy, arguments, rounding = {**MODES, **COMBINED_MODES}[mode]
    history, before, after = trained_as_usual(objective)
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy or usual)
    try:
        model = objective.model()
    finally:
        keras.config.set_dtype_policy(usual)
    assert_same(state(model), before)
    model.compile(keras.optimizers.Adam(0.01), **arguments)
    if policy == "mixed_float16":
        # The first steps would otherwise be left out, until the scale is small enough for losses in nats.
        model.optimizer.dynamic_scale.assign(16.0)
    got = fit(model, objective.data(40), epochs=2)
    assert int(model.step) == 10
    if mode == "fused" and objective.cls in EXACT:
        rounding = 0.0
    for name in history:
        np.testing.assert_allclose(got[name], history[name], rtol=rounding, atol=rounding)
    if policy is None:
        for a, b in zip(state(model), after, strict=True):
            # Where more is compiled together a batch's statistics may be summed in another order.
            np.testing.assert_allclose(a, b, rtol=rounding, atol=rounding)


def check_overflow(objective):
    """Under float16 a step whose gradients overflow moves nothing but the scale of the loss, and training goes on."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = objective.model()
    finally:
        keras.config.set_dtype_policy(policy)
    model.compile(keras.optimizers.Adam(0.01))
    before = [variable.numpy() for variable in model.trainable_variables]
    model.optimizer.dynamic_scale.assign(2.0**127)
    fit(model, objective.data(8))
    assert_same([variable.numpy() for variable in model.trainable_variables], before)
    assert float(model.optimizer.dynamic_scale) < 2.0**127
    model.optimizer.dynamic_scale.assign(2.0**8)
    fit(model, objective.data(8))
    moved = [(variable.numpy() != old).any() for variable, old in zip(model.trainable_variables, before, strict=True)]
    assert np.mean(moved) > 0.5


def check_reductions_agree(objective):
    """Both reductions are one objective up to a factor, which SGD's rate undoes: with converted weights they agree."""
    pixels = int(np.prod(SHAPE))
    data = objective.data(8)
    models = []
    for reduction, rate in (("mean", 0.1), ("sum", 0.1 / pixels)):
        converted = {
            name: objective.arguments[name] * kv.math.convert_beta(1.0, SHAPE, LATENTS, to="sum")
            for name in objective.weights
        }
        model = objective.model(reduction=reduction, **(converted if reduction == "sum" else {}))
        model.compile(keras.optimizers.SGD(rate), **QUICK)
        fit(model, data, epochs=3)
        models.append(model)
    for a, b in zip(models[0].trainable_variables, models[1].trainable_variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-4, atol=2e-6)


def check_bfloat16(objective):
    """Mixed precision keeps weights and loss in float32 and changes the loss by rounding only."""
    data = objective.data(8)
    full = freeze(objective.model())
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = objective.model()
    finally:
        keras.config.set_dtype_policy(policy)
    mixed.set_weights(full.get_weights())
    freeze(mixed)
    assert {keras.backend.standardize_dtype(v.dtype) for v in mixed.trainable_variables} == {"float32"}
    assert mixed.encoder.layers[2].compute_dtype == "bfloat16"
    expected, got = fit(full, data), fit(mixed, data)
    for name in expected:
        assert got[name][0] == pytest.approx(expected[name][0], rel=0.03), name
    assert mixed.encode(data["first"] if objective.pairs else data).dtype == np.float32


def check_losses(objective):
    """Every reconstruction loss trains, and the logged value is that loss times the number of elements."""
    others = [kv.losses.MeanAbsoluteError(), kv.losses.BernoulliNLL(), keras.losses.Huber()]
    # Loss and objective know nothing of each other: the objectives take turns with the losses that are no BoxBlurMSE.
    for loss in (kv.losses.BoxBlurMSE(radius=2, weight=9.0), others[OBJECTIVES.index(objective) % len(others)]):
        model = objective.model(loss)
        model.compile(keras.optimizers.Adam(0.03), **QUICK)
        data = objective.data(8)
        if isinstance(loss, kv.losses.BernoulliNLL):
            data = keras.tree.map_structure(lambda part: (part > 0).astype("float32"), data)
        history = fit(model, data, epochs=3)
        assert all(np.isfinite(values).all() for values in history.values())
        assert history["reconstruction_nats"][-1] < history["reconstruction_nats"][0]
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(model))
        assert again.reconstruction.get_config() == loss.get_config()


def check_epoch_means(objective):
    """The logs of an epoch with a ragged last batch are means over images, not over batches."""
    data = objective.data(12)
    means = fit(freeze(objective.model()), data, batch_size=8)
    parts = []
    for start, stop in ((0, 8), (8, 12)):
        part = {key: value[start:stop] for key, value in data.items()} if objective.pairs else data[start:stop]
        # The step counter goes on from `parts`, as it did within the epoch.
        probe = freeze(objective.model())
        probe.step.assign(len(parts))
        parts.append((stop - start, fit(probe, part)))
    for name in means:
        expected = sum(count * history[name][0] for count, history in parts) / 12
        assert means[name][0] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def check_uint8(objective):
    """uint8 images train as their standardised form does, and encode to the same codes."""
    rng = np.random.default_rng(5)
    raw = rng.integers(0, 256, size=(8, *SHAPE), dtype="uint8")
    constants = {"pixel_mean": [0.4, 0.5], "pixel_std": [0.2, 0.3]}
    standardized = ((raw / 255.0 - constants["pixel_mean"]) / constants["pixel_std"]).astype("float32")
    results = []
    for images in (raw, standardized):
        model = objective.model(**constants)
        model.compile(keras.optimizers.SGD(0.01), **QUICK)
        data = {"first": images, "second": images[::-1].copy()} if objective.pairs else images
        results.append((fit(model, data)["loss"][0], model.encode(images)))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-4, atol=1e-5)


def check_export(objective, folder):
    """The exported encoder takes raw images and gives the model's own codes."""
    images = np.random.default_rng(6).integers(0, 256, size=(3, *SHAPE), dtype="uint8")
    model = objective.model(pixel_mean=[0.4, 0.5], pixel_std=[0.2, 0.3])
    path = kv.export.encoder(model, folder / "encoder", format="tf_saved_model")
    outputs = kv.export.run(path, images, "tf_saved_model")
    mean, logvar = model.encode(images, return_logvar=True)
    np.testing.assert_allclose(outputs["mean"], mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(outputs["logvar"], logvar, rtol=1e-5, atol=1e-5)
    description = json.loads((folder / "encoder.json").read_text())
    assert description["model"] == {"class": objective.cls.__name__, "steps": 0}


def check_tuner(objective, folder):
    """A row of a study that names the objective and its arguments trains that model and scores it."""
    data = kv.datasets.XYSquares(grid_spacing=2, grid_size=4, square_size=4, image_size=16, num_squares=1, rgb=False)
    networks = kv.networks.mlp_encoder, kv.networks.mlp_decoder
    run = tuning.train_and_score(
        data,
        objective={objective.cls.__name__: objective.cls},
        networks=[functools.partial(network, hidden=(HIDDEN,)) for network in networks],
        steps=2,
        batch_size=4,
        scores=["mig"],
        train=16,
        test=4,
    )
    row = {"objective": objective.cls.__name__, "latents": 2, "seed": 3, **objective.arguments}
    run.check(row)
    result = run(row, folder)
    model = kv.runs.load_model(folder)
    assert type(model) is objective.cls and int(model.step) == 2
    settings = {"latents": 2, "seed": 3, **objective.arguments}
    assert {name: getattr(model, name) for name in settings} == settings
    assert set(result) == {"mig", "reconstruction_nats", "kl_nats", "active_latents"}
    assert np.isfinite(list(result.values())).all()
    assert result["mig"] == float(kv.metrics.evaluate(model.encode, data, ["mig"], train=16, test=4)["mig"])


def check_bad_input(objective):
    """Whatever does not fit is refused, naming the argument, before a step is taken."""
    model = objective.model()
    model.compile()
    good = objective.data(8)
    first = good["first"] if objective.pairs else good
    broken = first.copy()
    broken[3, 0, 0, 0] = np.nan

    def paired(images):
        return {"first": images, "second": images} if objective.pairs else images

    for data, message in (
        (first if objective.pairs else {"first": first, "second": first}, "pairs" if objective.pairs else "single"),
        (paired(first[..., :1]), "shape"),
        (paired(first[0]), "shape"),
        (paired(first.astype("int64")), "dtype"),
        (paired(broken), "x must be finite: 1 of 8 images .* index 3"),
        (paired(first[:0]), "x is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit(data, verbose=0)
    with pytest.raises(ValueError, match="y and sample_weight"):
        model.fit(paired(first), paired(first), verbose=0)
    assert int(model.step) == 0
