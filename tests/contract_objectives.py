"""Every objective, with the float64 NumPy form of its formula.

A new objective adds one line. Its `penalty` is the float64 NumPy form of its `regularization`, in nats per image, from
posterior means and log-variances (after its own `posterior`), written from the formula and not from the code.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable

import numpy as np
from formulas import ada_posterior, dip, kl, mlvae_posterior, mmd, noise, tc_parts, total_correlation

import kerasvae as kv

SHAPE, LATENTS, HIDDEN = (6, 5, 2), 3, 7


@dataclasses.dataclass(frozen=True)
class Objective:
    """One objective: its class, arguments, and float64 NumPy form.

    `penalty(mean, logvar, z, model)` is the regularization; `weights` names the arguments that it is linear in, if they
    are all there is to it; `share` is the part of a batch that encoder and decoder learn from.
    """

    cls: type
    arguments: dict
    penalty: Callable
    pairs: bool = False
    posterior: Callable = lambda mean, logvar: (mean, logvar)
    weights: tuple = ()
    share: float = 1.0

    def model(self, reconstruction=None, **arguments):
        arguments = {"seed": 3, **copy.deepcopy(self.arguments), **arguments}
        if self.cls is kv.FactorVAE:
            arguments["discriminator"] = kv.networks.mlp_discriminator(LATENTS, hidden=(4, 3), seed=4)
        return self.cls(
            kv.networks.mlp_encoder(SHAPE, LATENTS, hidden=(HIDDEN,), seed=1),
            kv.networks.mlp_decoder(SHAPE, LATENTS, hidden=(HIDDEN,), seed=2),
            reconstruction,
            **arguments,
        )

    def data(self, count=24, seed=0):
        rng = np.random.default_rng(seed)
        first = rng.normal(size=(count, *SHAPE)).astype("float32")
        if not self.pairs:
            return first
        second = (0.5 * first + rng.normal(size=first.shape)).astype("float32")
        return {"first": first, "second": second}

    def __str__(self):
        return "-".join([self.cls.__name__, *(f"{name}={value}" for name, value in self.arguments.items())])


OBJECTIVES = [
    Objective(kv.VAE, {}, lambda mean, logvar, z, model: kl(mean, logvar)),
    Objective(kv.BetaVAE, {"beta": 0.7}, lambda mean, logvar, z, model: 0.7 * kl(mean, logvar), weights=("beta",)),
    Objective(
        kv.AdaGVAE,
        {"beta": 0.3},
        lambda mean, logvar, z, model: 0.3 * kl(mean, logvar),
        pairs=True,
        posterior=ada_posterior,
        weights=("beta",),
    ),
    Objective(
        kv.AdaMLVAE,
        {"beta": 0.3},
        lambda mean, logvar, z, model: 0.3 * kl(mean, logvar),
        pairs=True,
        posterior=mlvae_posterior,
        weights=("beta",),
    ),
    Objective(
        kv.AnnealedVAE,
        {"gamma": 2.0, "capacity": 0.5},
        lambda mean, logvar, z, model: 2.0 * abs(kl(mean, logvar) - 0.5),
        weights=("gamma",),
    ),
    Objective(
        kv.BetaTCVAE,
        {"dataset_size": 50, "alpha": -0.5, "beta": 3.0, "gamma": 0.7},
        lambda mean, logvar, z, model: np.dot([-0.5, 3.0, 0.7], tc_parts(z, mean, logvar, 50, "mws")),
        weights=("alpha", "beta", "gamma"),
    ),
    Objective(
        kv.BetaTCVAE,
        {"dataset_size": 50, "alpha": 1.0, "beta": 3.0, "gamma": 0.7, "estimator": "mss"},
        lambda mean, logvar, z, model: np.dot([1.0, 3.0, 0.7], tc_parts(z, mean, logvar, 50, "mss")),
        weights=("alpha", "beta", "gamma"),
    ),
    Objective(
        kv.DIPVAE,
        {"kind": "i", "lambda_od": 2.0},
        lambda mean, logvar, z, model: kl(mean, logvar) + dip(mean, logvar, "i", 2.0, 20.0),
    ),
    Objective(
        kv.DIPVAE,
        {"kind": "ii", "lambda_od": 2.0, "lambda_d": 3.0},
        lambda mean, logvar, z, model: kl(mean, logvar) + dip(mean, logvar, "ii", 2.0, 3.0),
    ),
    Objective(
        kv.InfoVAE,
        {"alpha": 0.3, "lambda_mmd": 5.0},
        lambda mean, logvar, z, model: 0.7 * kl(mean, logvar) + 4.3 * mmd(z, noise(z.shape, stream=2)),
    ),
    Objective(
        kv.FactorVAE,
        {"gamma": 2.0, "update": "simultaneous"},
        lambda mean, logvar, z, model: kl(mean, logvar) + 2.0 * total_correlation(z, model),
    ),
    Objective(
        kv.FactorVAE,
        {"gamma": 2.0, "update": "alternating"},
        lambda mean, logvar, z, model: kl(mean, logvar) + 2.0 * total_correlation(z, model),
        share=0.5,
    ),
]


# Arguments that change a formula and nothing else: of these the step alone is checked.
VARIANTS = [
    Objective(
        kv.BetaTCVAE,
        {"dataset_size": 50, "alpha": 1.0, "beta": 3.0, "gamma": 0.7, "estimator": "mss_legacy"},
        lambda mean, logvar, z, model: np.dot([1.0, 3.0, 0.7], tc_parts(z, mean, logvar, 50, "mss_legacy")),
    ),
]

# Those whose compiled steps were never seen to differ in a bit.
EXACT = (kv.VAE, kv.BetaVAE, kv.AdaGVAE, kv.AdaMLVAE)
