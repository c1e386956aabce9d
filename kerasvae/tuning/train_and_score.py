"""train_and_score: what a row of a study does by default."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import numbers
from collections.abc import Callable

import keras
import numpy as np

from kerasvae import datasets, metrics, runs
from kerasvae.checks import shown
from kerasvae.datasets.ground_truth import check_data_set
from kerasvae.metrics.evaluate import resolve
from kerasvae.models import AdaGVAE
from kerasvae.models.networks import network_functions
from kerasvae.models.vae import VAE


def train_and_score(
    data,
    *,
    steps: int,
    objective=AdaGVAE,
    loss=None,
    networks="conv",
    latents: int = 9,
    batch_size: int = 256,
    pipeline=None,
    optimizer=None,
    steps_per_execution: int = 1,
    scores=("mig", "dci"),
    train: int = 10_000,
    test: int = 5_000,
    checkpoint_every: int = 500,
):
    """A `TrainingRun`: a function for `search` that trains a row's model in the row's folder and scores it.

    The row says what the model is:

        seed: of the initial weights, the order of the data and the latent noise. Default 1.
        latents: number of latents. Default: the argument.
        objective, loss: names of those in the dictionaries given as arguments.
        beta, or any other argument of the objective's class: passed on. Default: the class's.

    Args:
        data: a ground-truth data set.
        steps: training steps of a row, at least 1.
        objective: a `VAE` class, or a dictionary of name to class. Default `AdaGVAE`.
        loss: a `keras.losses.Loss`, or a dictionary of name to loss. Default: the class's.
        networks: "conv" (default; image sides of 8 and more), "mlp", or two functions of (image_shape, latents,
            seed=…) that return the encoder and the decoder.
        latents: for rows without the field, at least 1. Default 9.
        batch_size: images or pairs a step, at least 1. Default 256.
        pipeline: function of (data, batch_size, steps=…, seed=…, start=…) that returns batches. Default:
            `kerasvae.datasets.pairs` for objectives that learn from pairs, `kerasvae.datasets.images` for others.
        optimizer: function without arguments that returns an optimizer. Default: that of `VAE.compile`.
        steps_per_execution: as for `VAE.compile`.
        scores, train, test: as for `kerasvae.metrics.evaluate`, but for "all", with seed 1 for every row.
        checkpoint_every: steps from one checkpoint to the next, at least 1: what a kill can cost.

    Returns:
        A `TrainingRun`, which can be pickled if the arguments can: for `search` with several workers, give functions
        from the top of a module, no lambdas.

    Raises:
        ValueError: for an argument not allowed; and, from the run's `check`, for a row that names what there is not,
            or whose model cannot be built.
    """
    for argument, value in (
        ("steps", steps),
        ("latents", latents),
        ("batch_size", batch_size),
        ("steps_per_execution", steps_per_execution),
        ("train", train),
        ("test", test),
        ("checkpoint_every", checkpoint_every),
    ):
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
            raise ValueError(f"{argument} must be an integer, at least 1, got {value!r}")
    check_data_set(data)
    objectives = objective if isinstance(objective, dict) else {None: objective}
    losses = loss if isinstance(loss, dict) else {None: loss}
    for argument, named in (("objective", objectives), ("loss", losses)):
        if not named:
            raise ValueError(f"{argument} must name at least one, got an empty dictionary")
    for value in objectives.values():
        if not isinstance(value, type) or not issubclass(value, VAE):
            raise ValueError(f"objective must be a VAE class or a dictionary of name to class, got {objective!r}")
    for value in losses.values():
        if not isinstance(value, keras.losses.Loss) and (value is not None or isinstance(loss, dict)):
            raise ValueError(f"loss must be a keras.losses.Loss or a dictionary of name to loss, got {loss!r}")
    builders = network_functions(networks)
    if pipeline is not None and not callable(pipeline):
        raise ValueError(f"pipeline must be a function of (data, batch_size, ...), or None, got {shown(pipeline)}")
    if optimizer is not None and (not callable(optimizer) or isinstance(optimizer, keras.optimizers.Optimizer)):
        raise ValueError(f"optimizer must be a function that returns a new optimizer, got {shown(optimizer)}")
    if isinstance(scores, str) or not isinstance(scores, list | tuple | dict) or not scores:
        raise ValueError(f"scores must be a list of names and functions, or a dictionary, got {scores!r}")
    try:
        resolve(scores)
    except TypeError as error:
        raise ValueError(str(error)) from error
    if not isinstance(scores, dict):
        scores = {_name(score): score if callable(score) else {} for score in scores}
    common = {
        "data": f"{type(data).__name__}, {len(data)} images of {'×'.join(map(str, data.image_shape))}",
        "networks": networks if isinstance(networks, str) else [_name(builder) for builder in builders],
        "default_latents": latents,
        "batch_size": batch_size,
        "steps": steps,
        "pipeline": pipeline and _name(pipeline),
        "optimizer": optimizer and keras.saving.serialize_keras_object(optimizer())["config"],
        "scores": {name: _name(what) if callable(what) else what for name, what in scores.items()},
        "train": train,
        "test": test,
    }
    return TrainingRun(
        data=data,
        steps=steps,
        objective=objectives,
        loss=losses,
        networks=tuple(builders),
        latents=latents,
        batch_size=batch_size,
        pipeline=pipeline,
        optimizer=optimizer,
        steps_per_execution=steps_per_execution,
        scores={**scores, "active_latents": active_latents},
        train=train,
        test=test,
        checkpoint_every=checkpoint_every,
        common=common,
    )


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class TrainingRun:
    """What `train_and_score` returns: a function of (row, folder, verbose=0), for `search`.

    It returns the scores by name and `reconstruction_nats` and `kl_nats` (nats per image, of `test` images or pairs
    that are drawn otherwise than in training) and `active_latents` (the latents whose mean varies by more than 0.01
    over the images; Burda et al. 2016). `check(row)` builds a row's model, and `settings` says what determines the
    results besides a row.

    Args:
        data, steps, latents, batch_size, pipeline, optimizer, steps_per_execution, train, test, checkpoint_every: as
            for `train_and_score`.
        objective, loss: by name; under None where rows name none.
        networks: the two functions.
        scores: by name, as for `kerasvae.metrics.evaluate`.
        common: JSON-able, the settings that all rows share.
    """

    data: object
    steps: int
    objective: dict
    loss: dict
    networks: tuple[Callable, Callable]
    latents: int
    batch_size: int
    pipeline: Callable | None
    optimizer: Callable | None
    steps_per_execution: int
    scores: dict
    train: int
    test: int
    checkpoint_every: int
    common: dict

    @property
    def settings(self) -> dict:
        """What determines results besides a row."""
        losses = {name: keras.saving.serialize_keras_object(value) for name, value in self.loss.items()}
        return {
            **self.common,
            **{f"objective {name or ''}".strip(): value.__name__ for name, value in self.objective.items()},
            **{f"loss {name or ''}".strip(): value for name, value in losses.items()},
        }

    def check(self, row: dict):
        """The compiled model of a row; ValueError where there is none."""
        if not isinstance(row, dict):
            raise ValueError(f"row must be a dictionary, got {shown(row)}")
        row = dict(row)
        model_class = _chosen(self.objective, row, "objective")
        reconstruction = _chosen(self.loss, row, "loss")
        seed, size = row.pop("seed", 1), row.pop("latents", self.latents)
        if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 1:
            raise ValueError(f"rows: seed must be an integer, at least 1, got {seed!r}")
        known = arguments_of(model_class)
        if unknown := sorted(set(row) - known):
            raise ValueError(f"rows: {model_class.__name__} has no arguments {unknown}, only {sorted(known)}")
        # `fit` takes over the channel constants of the pipeline.
        arguments = {"pixel_mean": None, "pixel_std": None, **row, "reconstruction": reconstruction, "seed": seed}
        model = model_class.for_data(self.data, size, self.networks, **arguments)
        model.compile(self.optimizer() if self.optimizer else None, steps_per_execution=self.steps_per_execution)
        return model

    def __call__(self, row: dict, folder, verbose: int = 0) -> dict:
        # Models of earlier rows would otherwise stay in memory.
        keras.utils.clear_session()
        model_class, seed = _chosen(self.objective, dict(row), "objective"), row.get("seed", 1)
        batches = self.pipeline or (datasets.pairs if model_class.images_per_example > 1 else datasets.images)
        model = runs.train(
            functools.partial(self.check, row),
            functools.partial(batches, self.data, self.batch_size, steps=self.steps, seed=seed),
            folder,
            steps=self.steps,
            checkpoint_every=self.checkpoint_every,
            settings={
                **self.common,
                **row,
                "objective": model_class.__name__,
                "loss": keras.saving.serialize_keras_object(_chosen(self.loss, dict(row), "loss")),
            },
            resume=True,
            verbose=verbose,
        )
        result = metrics.evaluate(model.encode, self.data, self.scores, train=self.train, test=self.test)
        # Another seed, so that the images come in an order that the training did not see.
        drawn = batches(self.data, self.batch_size, steps=-(-self.test // self.batch_size), seed=seed + 2**31)
        terms = model.evaluate(drawn, return_dict=True, verbose=0)
        return {
            **{name: float(score) for name, score in result.items()},
            "reconstruction_nats": float(terms["reconstruction_nats"]),
            "kl_nats": float(terms["kl_nats"]),
            "active_latents": int(float(result["active_latents"])),
        }


def active_latents(codes, factors) -> int:
    """How many latents vary: those whose code has a variance above 0.01 (Burda et al. 2016)."""
    return int(np.sum(np.var(codes, axis=0) > 0.01))


def arguments_of(model_class) -> set[str]:
    """Names of the arguments of an objective that a row may set: those of its class and of the ones it builds on."""
    owners = [owner for owner in model_class.__mro__ if issubclass(owner, VAE)]
    names = {name for owner in owners for name in inspect.signature(owner.__init__).parameters}
    return names - {"self", "args", "kwargs", "encoder", "decoder", "reconstruction", "seed", "name"}


def _chosen(named: dict, row: dict, field: str):
    """What the row's `field` names, taken out of the row; the only one there is if it need not name any."""
    if None in named:
        if field in row:
            raise ValueError(f"rows: {field} is a field, so {field} must be a dictionary of name to what it stands for")
        return named[None]
    if row.get(field) not in named:
        raise ValueError(f"rows: {field} must be one of {sorted(named)}, got {row.get(field)!r}")
    return named[row.pop(field)]


def _name(function) -> str:
    if isinstance(function, str):
        return function
    if isinstance(function, functools.partial):
        return f"{_name(function.func)}{function.args}{function.keywords}"
    return getattr(function, "__qualname__", type(function).__name__)
