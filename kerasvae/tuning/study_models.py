"""The models of the rows of a study: one for each compiled program, begun anew for each row."""

from __future__ import annotations

import keras

from kerasvae import losses, networks
from kerasvae.models import DIPVAE, AnnealedVAE, BetaTCVAE, BetaVAE, FactorVAE
from kerasvae.networks import NETWORKS
from kerasvae.schedules import Linear

# Method -> its class, and the fields of a row that are numbers of the objective.
METHODS = {
    "vae": (BetaVAE, ("beta",)),
    "beta_vae": (BetaVAE, ("beta",)),
    "annealed_vae": (AnnealedVAE, ("gamma", "capacity")),
    "factor_vae": (FactorVAE, ("gamma",)),
    "beta_tc_vae": (BetaTCVAE, ("alpha", "beta", "gamma")),
    "dip_vae_i": (DIPVAE, ("lambda_od", "lambda_d")),
    "dip_vae_ii": (DIPVAE, ("lambda_od", "lambda_d")),
}
# Which of them grows from 0, and the field that says in how many steps.
_GROWS = {
    "vae": ("beta", "warmup_steps"),
    "beta_vae": ("beta", "warmup_steps"),
    "factor_vae": ("gamma", "warmup_steps"),
    "beta_tc_vae": ("gamma", "warmup_steps"),
    "annealed_vae": ("capacity", "capacity_steps"),
}
# What a program is compiled for; everything else of a row is state, or is used after training.
_PROGRAM = (
    "dataset", "grid_spacing", "grid_size", "square_size", "image_size", "num_squares", "rgb", "source", "networks",
    "hidden", "latents", "likelihood", "estimator", "discriminator_update", "discriminator_width",
    "discriminator_layers", "discriminator_beta_1", "discriminator_beta_2", "batch_size", "optimizer", "beta_1",
    "beta_2", "epsilon",
)  # fmt: skip
# Programs kept in a process.
_KEPT = 6
_models = {}


def study_model(row: dict, data, **compiled):
    """The compiled model of a row, as if newly built: one that was made for another row of the same program, if any.

    Weights, optimizer, counters, seed and the objective's numbers are set to what a new model would begin with, bit for
    bit; what was compiled is kept. A model that was returned before for such a row is the same object.

    Args:
        row: of `kerasvae.tuning.studies`.
        data: its data set.
        **compiled: of `VAE.compile`: steps_per_execution, jit_compile.

    Returns:
        A model that has not been trained.
    """
    key = (*program_of(row), id(data), *sorted(compiled.items()))
    if key in _models:
        model, optimizer_state, _ = _models[key] = _models.pop(key)
        begin_anew(model, optimizer_state, row)
        return model
    while len(_models) >= _KEPT:
        del _models[next(iter(_models))]
    model = build_model(row, data, **compiled)
    # With the data, whose identity is part of the key.
    _models[key] = model, [variable.numpy() for variable in model.optimizer.variables], data
    return model


def program_of(row: dict) -> tuple:
    """Equal for rows whose models are one compiled program."""
    kind = row["method"] if METHODS[row["method"]][0] is DIPVAE else ""
    return (METHODS[row["method"]][0], kind, *(row[name] for name in _PROGRAM))


def clear_models() -> None:
    """Forget the models that the process keeps."""
    _models.clear()


def build_model(row: dict, data, **compiled):
    """A new compiled model of a row; arguments as for `study_model`.

    Raises:
        ValueError: for a field that its class does not allow.
    """
    method = row["method"]
    model_class = METHODS[method][0]
    own = {"dip_vae_i": {"kind": "i"}, "dip_vae_ii": {"kind": "ii"}}.get(method, {})
    if model_class is BetaTCVAE:
        own = {"dataset_size": len(data), "estimator": row["estimator"]}
    encoder, decoder, *others = build_networks(row, data.image_shape)
    if model_class is FactorVAE:
        own = {"discriminator": others[0], "update": row["discriminator_update"]}
    loss = losses.BernoulliNLL()
    model = model_class(encoder, decoder, loss, reduction="sum", seed=row["seed"], **own, **objective_numbers(row))
    optimizer = keras.optimizers.Adam(row["learning_rate"], row["beta_1"], row["beta_2"], epsilon=row["epsilon"])
    if model_class is FactorVAE:
        rates = (row[f"discriminator_{name}"] for name in ("learning_rate", "beta_1", "beta_2"))
        compiled["discriminator_optimizer"] = keras.optimizers.Adam(*rates, epsilon=row["epsilon"])
    model.compile(optimizer, **compiled)
    return model


def begin_anew(model, optimizer_state, row: dict) -> None:
    """Set everything that training changes, or rows of one program differ in, to what `build_model` begins with."""
    parts = [model.encoder, model.decoder, *([model.discriminator] if isinstance(model, FactorVAE) else [])]
    for network, drawn in zip(parts, build_networks(row, model.image_shape), strict=True):
        network.set_weights(drawn.get_weights())
    for variable, value in zip(model.optimizer.variables, optimizer_state, strict=True):
        variable.assign(value)
    if isinstance(model, FactorVAE):
        (optimizer, _), (of_discriminator, _) = model._shares()
        of_discriminator.learning_rate = row["discriminator_learning_rate"]
    else:
        optimizer = model.optimizer
    optimizer.learning_rate = row["learning_rate"]
    model.seed = row["seed"]
    model.noise_seed.assign(row["seed"] % (2**31 - 1))
    for counter in (model.step, model.evaluation_step):
        counter.assign(0)
    for name, value in objective_numbers(row).items():
        setattr(model, name, value)
    model.stop_training = False
    model.reset_metrics()


def objective_numbers(row: dict) -> dict:
    """The arguments of a row's objective that are run-time values: numbers, and one that grows along a line.

    Without steps to grow in it is the line from the value to itself: another schedule would be another program.
    """
    numbers = {name: float(row[name]) for name in METHODS[row["method"]][1]}
    if row["method"] in _GROWS:
        name, field = _GROWS[row["method"]]
        grows = row[field] > 0
        numbers[name] = Linear(0.0 if grows else numbers[name], numbers[name], steps=max(row[field], 1))
    return numbers


def build_networks(row: dict, image_shape) -> list[keras.Model]:
    """Encoder and decoder, and for FactorVAE the discriminator, with the weights of the row's seed."""
    seed, latents = 3 * row["seed"], row["latents"]
    if row["networks"] == "mlp":
        hidden = tuple(int(width) for width in row["hidden"].split(","))
        built = [
            networks.mlp_encoder(image_shape, latents, hidden=hidden, seed=seed),
            networks.mlp_decoder(image_shape, latents, hidden=hidden[::-1], seed=seed + 1),
        ]
    else:
        encoder, decoder = NETWORKS[row["networks"]]
        built = [encoder(image_shape, latents, seed=seed), decoder(image_shape, latents, seed=seed + 1)]
    if row["method"] == "factor_vae":
        widths = (row["discriminator_width"],) * row["discriminator_layers"]
        built.append(networks.mlp_discriminator(latents, hidden=widths, seed=seed + 2))
    return built
