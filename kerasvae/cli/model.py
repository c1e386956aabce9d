"""The compiled model that settings name."""

from __future__ import annotations

import keras

from kerasvae import losses, networks
from kerasvae.models import DIPVAE, VAE, AdaGVAE, AdaMLVAE, AnnealedVAE, BetaTCVAE, BetaVAE, FactorVAE, InfoVAE
from kerasvae.schedules import Linear

OBJECTIVES = {
    "vae": VAE,
    "betavae": BetaVAE,
    "annealedvae": AnnealedVAE,
    "factorvae": FactorVAE,
    "betatcvae": BetaTCVAE,
    "dipvae": DIPVAE,
    "infovae": InfoVAE,
    "adagvae": AdaGVAE,
    "adamlvae": AdaMLVAE,
}
# Settings that are arguments of the objectives that have them.
ARGUMENTS = (
    "beta",
    "gamma",
    "capacity",
    "update",
    "alpha",
    "estimator",
    "kind",
    "lambda_od",
    "lambda_d",
    "lambda_mmd",
    "averaging",
    "distance",
    "threshold",
)
LOSSES = {
    "mse": losses.MeanSquaredError,
    "mae": losses.MeanAbsoluteError,
    "bernoulli": losses.BernoulliNLL,
    "boxblur": losses.BoxBlurMSE,
}
NETWORKS = {
    "conv": (networks.conv_encoder, networks.conv_decoder),
    "burgess": (networks.burgess_encoder, networks.burgess_decoder),
    "mlp": (networks.mlp_encoder, networks.mlp_decoder),
}


def build_loss(settings: dict):
    """The reconstruction loss of the settings `loss`, `blur_radius` and `blur_weight`; None for what it has not got."""
    loss = LOSSES[settings["loss"]]
    return loss() if settings["blur_radius"] is None else loss(settings["blur_radius"], settings["blur_weight"])


def build_model(data, settings: dict):
    """The compiled model of a run's settings for its data set; ValueError for what its classes refuse."""
    seed, latents = settings["seed"], settings["latents"]
    encoder, decoder = NETWORKS[settings["networks"]]
    objective = OBJECTIVES[settings["objective"]]
    # Where one is None, the objective has no such argument or works out its default.
    arguments = {name: number_or_ramp(settings[name]) for name in ARGUMENTS if settings[name] is not None}
    if objective is BetaTCVAE:
        arguments["dataset_size"] = len(data)
    model = objective(
        encoder(data.image_shape, latents, seed=2 * seed),
        decoder(data.image_shape, latents, seed=2 * seed + 1),
        build_loss(settings),
        reduction=settings["reduction"],
        seed=seed,
        **arguments,
    )
    least, most = model.batch_limits()
    if not least <= settings["batch_size"] <= most:
        limits = f"at least {least}" + (f" and at most {most}, the number of images," if most == len(data) else "")
        raise ValueError(
            f"--batch-size must be {limits} for --objective {settings['objective']}, got {settings['batch_size']}"
        )
    model.compile(
        keras.optimizers.Adam(settings["learning_rate"], epsilon=1e-8),
        steps_per_execution=settings["steps_per_execution"],
    )
    return model


def number_or_ramp(value):
    """What an objective takes for a setting: a ramp START:STOP:STEPS becomes a schedule."""
    if not isinstance(value, str) or ":" not in value:
        return value
    start, stop, steps = value.split(":")
    return Linear(float(start), float(stop), steps=int(steps))
