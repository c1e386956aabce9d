"""HyperVAE: objectives, their arguments, losses and latents as hyper-parameters of an ordinary Keras Tuner search."""

from __future__ import annotations

import contextlib
import secrets

import keras
import keras_tuner as kt
import numpy as np

from kerasvae import datasets
from kerasvae.callbacks import DisentanglementScores
from kerasvae.checks import check_choice, check_integer
from kerasvae.datasets.ground_truth import check_data_set
from kerasvae.metrics import SCORES
from kerasvae.metrics.evaluate import resolve
from kerasvae.metrics.score import info_of
from kerasvae.metrics.udr import udr
from kerasvae.models import AdaGVAE
from kerasvae.models.networks import network_functions
from kerasvae.models.vae import VAE
from kerasvae.tuning.search_space import ask, check_space, ends_of
from kerasvae.tuning.train_and_score import arguments_of
from kerasvae.tuning.trial_callbacks import Diverged, FiniteScores, ModelsUDR, ObjectiveInLogs, Posteriors

UDR = "udr"
# The values of β in "Overlooked Implications", for the mean form.
BETAS = (1e-4, 1.0, "log")
# Apart, so that the further models of one trial's UDR are not the models of another trial.
SEED_DISTANCE = 2**20
TAKEN = ("objective", "loss", "latents", "seed")
# What is wrong with the program, its arguments or the disk is wrong with every trial.
PROGRAM_ERRORS = (ValueError, TypeError, AttributeError, LookupError, ImportError, NotImplementedError, OSError)


class HyperVAE(kt.HyperModel):
    """Models to be tuned by Keras Tuner: `kt.RandomSearch(HyperVAE(data), hyper.objective, max_trials=20)`.

    Works with GridSearch, RandomSearch, BayesianOptimization and Hyperband. `tuner.search()` takes no data; a trial
    trains for `epochs` epochs, or as many as the tuner or `tuner.search(epochs=…)` asks for. An epoch is
    `steps_per_epoch` training steps, so that Hyperband's `max_epochs=27` is 27 · steps_per_epoch steps. A trial is
    scored after every epoch and counts with its best, whose weights `get_best_models()` has and Hyperband goes on from.

    The hyper-parameters are "objective", "loss", "beta", "latents", "seed" and those of `arguments`. Each is given as

        (low, high, "log") or (low, high, "linear"): a range, of which GridSearch tries 10 values; or
        a list of values to choose from, floats rounded to 6 significant digits; or
        one value, for all trials.

    A trial whose loss, codes or score are not finite has failed. So has one that runs out of memory, or dies of
    another error of the backend; Keras Tuner goes on and says nothing, until it gives up after three in a row, or as
    many as its argument `max_consecutive_failed_trials` allows: look with `check_trials(tuner)`. Anything else that
    goes wrong would go wrong in every trial, and ends the search.

    Args:
        data: a data set, with ground-truth factors unless `score` is "udr".
        objectives: a `VAE` class, or a dictionary of name to class. Default `AdaGVAE`. Those that learn from pairs get
            pairs.
        losses: a `keras.losses.Loss`, or a dictionary of name to loss. Default: each class's own.
        betas: of the objectives that have an argument `beta`, in the form (mean or sum) that is the class's default.
            Default: (1e-4, 1.0, "log"), which is meant for the mean form.
        latents: number of latents, at least 1. Default 9.
        arguments: further hyper-parameters: a dictionary of the name of an argument of the objectives to its values,
            such as {"gamma": (1.0, 100.0, "log")}. Objectives that have no such argument do without it.
        seed: of initial weights, order of data and noise, at least 1. Default 1. As a list, a hyper-parameter. None:
            each training draws its own, so that Keras Tuner's `executions_per_trial`, which with a seed would repeat
            the same run, averages over seeds.
        score: what to tune for: the name of a score in `kerasvae.metrics.evaluate`, default "mig", or "udr"; or
            several, as a list of names and functions or a dictionary of name to options, of which the first is the
            tuner's objective. The logs hold them as `val_mig` and so on.
        direction: "max", or "min" for a score that is better when small. Default None: what the score's `info` says
            (see `kerasvae.metrics.ScoreInfo`), and "max" where it says nothing.
        train, test: samples for the scores, at least 2 and 1. Default 2000 and 1000: MIG and DCI from so few are
            biased, so compare the best models by `evaluate` with its own defaults. UDR takes `train` images.
        udr_models: models that a trial trains for "udr", at least 2. Default 5; it takes that many times as long.
        epochs, steps_per_epoch: default 10 and 1000.
        networks, batch_size, optimizer, steps_per_execution: as in `train_and_score`.
        pipeline: function of (data, batch_size, steps=…, seed=…, start=…) that returns batches, or a dictionary of
            the names of the objectives to such functions. Default: `kerasvae.datasets.pairs` for objectives that learn
            from pairs, `kerasvae.datasets.images` for others. functools.partial(…, on_device=True) is faster on a GPU.

    Attributes:
        objective: Keras Tuner's: the name of the score and its direction.

    UDR needs no factors: models of the same hyper-parameters that differ in nothing but their seed should learn the
    same. A trial trains `udr_models` of them, with the seeds seed + k · 2²⁰, for the same steps; `val_udr` is the mean
    of their scores, as it is to rank hyper-parameters, and the first of them is the trial's model. When Hyperband
    lets a trial go on, the others are trained anew from the beginning.

    Raises:
        ValueError: for an argument that is not allowed, or a model that cannot be built.

    Example:

    ```python
    hyper = kv.tuning.HyperVAE(
        data, objectives={"ada": kv.AdaGVAE, "beta": kv.BetaVAE}, betas=(1e-4, 1.0, "log"), latents=[5, 9, 25]
    )
    tuner = kt.BayesianOptimization(hyper, hyper.objective, max_trials=20, directory="runs", project_name="bayes")
    tuner.search()
    kv.tuning.print_results(kv.tuning.check_trials(tuner))
    model = tuner.get_best_models()[0]
    ```
    """

    def __init__(
        self,
        data,
        objectives=AdaGVAE,
        losses=None,
        betas=None,
        latents=9,
        *,
        arguments=None,
        seed=1,
        score="mig",
        direction: str | None = None,
        train: int = 2000,
        test: int = 1000,
        udr_models: int = 5,
        epochs: int = 10,
        steps_per_epoch: int = 1000,
        networks="conv",
        batch_size: int = 256,
        pipeline=None,
        optimizer=None,
        steps_per_execution: int = 1,
        name=None,
    ):
        check_data_set(data)
        for argument, value, least in (
            ("train", train, 2),
            ("test", test, 1),
            ("udr_models", udr_models, 2),
            ("epochs", epochs, 1),
            ("steps_per_epoch", steps_per_epoch, 1),
            ("batch_size", batch_size, 1),
            ("steps_per_execution", steps_per_execution, 1),
        ):
            check_integer(value, argument, least)
        check_choice(direction, "direction", ("min", "max"), optional=True)
        if optimizer is not None and (not callable(optimizer) or isinstance(optimizer, keras.optimizers.Optimizer)):
            raise ValueError(f"optimizer must be a function that returns a new optimizer, got {optimizer!r}")
        self.data, self.train, self.test, self.udr_models = data, train, test, udr_models
        self.epochs, self.steps_per_epoch, self.batch_size = epochs, steps_per_epoch, batch_size
        self.optimizer, self.steps_per_execution = optimizer, steps_per_execution
        self.objectives, self.losses = _check_objectives(objectives), _check_losses(losses)
        self.networks = network_functions(networks)
        self.pipelines = self._check_pipelines(pipeline)
        self.latents = check_space("latents", latents, whole=True)
        self.seeds = None if seed is None else check_space("seed", seed, whole=True)
        self.arguments = self._check_arguments(betas, arguments)
        self.scores, self.udr_options = _check_scores(score, data)
        first = next(iter(score)) if isinstance(score, list | tuple | dict) else score
        first = first if isinstance(first, str) else next(iter(self.scores))
        self.objective = kt.Objective(f"val_{first}", direction or _direction(first, self.scores))
        super().__init__(name=name)
        self._constants = {name: self._standardization(name) for name in self.objectives}
        self._check_models()

    def build(self, hp):
        """The compiled model of Keras Tuner's hyper-parameters `hp`, with the data set's channel constants."""
        with _fatal_errors():
            return self._build_from(self._values(hp))

    def fit(self, hp, model, *args, callbacks=(), epochs=None, initial_epoch=0, verbose="auto", **kwargs):
        """Train a trial's model; called by Keras Tuner with what `tuner.search` was given.

        Args:
            hp, model: the trial's hyper-parameters, and what `build` made of them.
            callbacks, verbose, **kwargs: as for `VAE.fit`, such as validation_data.
            epochs, initial_epoch: the number of the last epoch, and how many are done. Default: the constructor's.

        Returns:
            The History.

        Raises:
            keras_tuner.errors.FailedTrialError: when the model has diverged.
            keras_tuner.errors.FatalError: for what would go wrong in every trial.
        """
        taken = sorted({"x", "y", "batch_size", "steps_per_epoch"} & set(kwargs))
        if args or taken:
            raise kt.errors.FatalValueError(
                f"search takes no data, batch_size or steps_per_epoch: HyperVAE was given them, got {taken or args!r}"
            )
        tuners = [callback.tuner for callback in callbacks if hasattr(callback, "tuner")]
        if self.seeds is not None and any(getattr(tuner, "executions_per_trial", 1) > 1 for tuner in tuners):
            raise kt.errors.FatalValueError(
                "executions_per_trial must be 1 unless HyperVAE has seed=None: with a seed it repeats the same run"
            )
        epochs = self.epochs if epochs is None else epochs
        # Last, as callbacks that were given may log what is tuned for.
        after = [ObjectiveInLogs(tuner.oracle.objective, self.objective.name) for tuner in tuners]
        with _fatal_errors():
            before = []
            if self.udr_options is not None:
                before.append(self._udr_callback(hp, model, epochs, initial_epoch, verbose))
            if self.scores:
                before.append(DisentanglementScores(self.data, self.scores, train=self.train, test=self.test))
            return self._train(
                model,
                self._values(hp)["objective"],
                [Diverged(self.data), *before, FiniteScores(), *callbacks, *after],
                initial_epoch=initial_epoch,
                epochs=epochs,
                verbose=verbose,
                **kwargs,
            )

    def _values(self, hp) -> dict:
        """What the trial's model is made of: objective, loss, latents, seed, and the arguments that its class has."""
        objective = ask(hp, "objective", list(self.objectives))
        values = {"objective": objective, "loss": None, "seed": None}
        if self.losses:
            values["loss"] = ask(hp, "loss", list(self.losses))
        values["latents"] = ask(hp, "latents", self.latents)
        if self.seeds is not None:
            values["seed"] = ask(hp, "seed", self.seeds)
        for argument, space in self.arguments.items():
            owners = self._owners(argument)
            if len(owners) == len(self.objectives):
                values[argument] = ask(hp, argument, space)
            else:
                with hp.conditional_scope("objective", owners):
                    value = ask(hp, argument, space)
                if objective in owners:
                    values[argument] = value
        return values

    def _build_from(self, values):
        values = dict(values)
        objective, loss, latents, seed = (values.pop(field) for field in ("objective", "loss", "latents", "seed"))
        model_class = self.objectives[objective]
        seed = 1 + secrets.randbelow(SEED_DISTANCE) if seed is None else seed
        # The weights that Keras Tuner saves do not hold the channel constants: a model has them from its construction.
        arguments = {**self._constants[objective], **values, "reconstruction": self.losses.get(loss), "seed": seed}
        model = model_class.for_data(self.data, latents, self.networks, **arguments)
        model.compile(self.optimizer() if self.optimizer else None, steps_per_execution=self.steps_per_execution)
        return model

    def _train(self, model, objective, callbacks, *, initial_epoch, epochs, steps_per_epoch=None, **kwargs):
        steps_per_epoch = steps_per_epoch or self.steps_per_epoch
        # Weights of an earlier epoch go on with the data that come after it.
        start = int(model.step.numpy())
        steps = start + steps_per_epoch * (epochs - initial_epoch)
        batches = self.pipelines[objective](self.data, self.batch_size, steps=steps, seed=model.seed, start=start)
        return model.fit(
            batches,
            initial_epoch=initial_epoch,
            epochs=epochs,
            steps_per_epoch=steps_per_epoch,
            callbacks=callbacks,
            **kwargs,
        )

    def _udr_callback(self, hp, model, epochs, initial_epoch, verbose):
        """Train the further models of a trial for as long as its own will be, and compare them after every epoch."""
        values, start = self._values(hp), int(model.step.numpy())
        indices = np.random.default_rng(1).integers(len(self.data), size=self.train)
        images, recorders = self.data.images(indices), []
        for number in range(1, self.udr_models):
            further = self._build_from({**values, "seed": model.seed + number * SEED_DISTANCE})
            diverged, recorder = Diverged(self.data), Posteriors(images)
            if start:
                self._train(
                    further,
                    values["objective"],
                    [diverged],
                    initial_epoch=0,
                    epochs=1,
                    steps_per_epoch=start,
                    verbose=verbose,
                )
            self._train(
                further,
                values["objective"],
                [diverged, recorder],
                initial_epoch=initial_epoch,
                epochs=epochs,
                verbose=verbose,
            )
            recorders.append(recorder)
        return ModelsUDR(images, recorders, initial_epoch, self.udr_options)

    def _standardization(self, objective) -> dict:
        """The channel constants of an objective's pipeline, as arguments of its class."""
        batches = self.pipelines[objective](self.data, self.batch_size, steps=1, seed=1, start=0)
        constants = getattr(batches, "standardization", None)
        return dict(zip(("pixel_mean", "pixel_std"), constants or (None, None), strict=True))

    def _owners(self, argument) -> list[str]:
        return [name for name, model_class in self.objectives.items() if argument in arguments_of(model_class)]

    def _check_arguments(self, betas, arguments) -> dict:
        if arguments is not None and not isinstance(arguments, dict):
            raise ValueError(f"arguments must be a dictionary of name to values, got {arguments!r}")
        arguments = dict(arguments or {})
        if taken := sorted({"beta", *TAKEN} & set(arguments)):
            raise ValueError(f"arguments must not hold {taken}: HyperVAE has arguments of its own for them")
        if betas is not None or self._owners("beta"):
            arguments["beta"] = BETAS if betas is None else betas
        for argument in arguments:
            if not self._owners(argument):
                where, names = "betas" if argument == "beta" else "arguments", list(self.objectives)
                raise ValueError(f"{where}: none of the objectives {names} has an argument {argument!r}")
        return {
            argument: check_space("betas" if argument == "beta" else f"arguments[{argument!r}]", values)
            for argument, values in arguments.items()
        }

    def _check_pipelines(self, pipeline) -> dict:
        own = {
            name: datasets.pairs if model_class.images_per_example > 1 else datasets.images
            for name, model_class in self.objectives.items()
        }
        given = pipeline if isinstance(pipeline, dict) else dict.fromkeys(own, pipeline) if pipeline else {}
        if not set(given) <= set(own) or not all(map(callable, given.values())):
            raise ValueError(
                f"pipeline must be a function or a dictionary of names among {list(own)} to functions, got {pipeline!r}"
            )
        return {**own, **given}

    def _check_models(self):
        """Build every objective with the ends of every range, and with every loss, before the search does."""
        losses = list(self.losses) or [None]
        for number, objective in enumerate(self.objectives):
            spaces = {name: space for name, space in self.arguments.items() if objective in self._owners(name)}
            for end in (0, 1):
                values = {name: ends_of(space)[end] for name, space in spaces.items()}
                for loss in losses if number == end == 0 else losses[:1]:
                    latents = ends_of(self.latents)[end]
                    self._build_from({"objective": objective, "loss": loss, "latents": latents, "seed": 1, **values})


@contextlib.contextmanager
def _fatal_errors():
    """Have Keras Tuner end the search for errors of the program, and not for others."""
    try:
        yield
    except (kt.errors.FatalError, kt.errors.FailedTrialError):
        raise
    except PROGRAM_ERRORS as error:
        kinds = {ValueError: kt.errors.FatalValueError, TypeError: kt.errors.FatalTypeError}
        fatal = next((kinds[kind] for kind in kinds if isinstance(error, kind)), kt.errors.FatalRuntimeError)
        raise fatal(f"{type(error).__name__}: {error}") from error


def _check_objectives(objectives) -> dict:
    if isinstance(objectives, type):
        objectives = {objectives.__name__: objectives}
    if (
        not isinstance(objectives, dict)
        or not objectives
        or not all(isinstance(name, str) for name in objectives)
        or not all(isinstance(value, type) and issubclass(value, VAE) for value in objectives.values())
    ):
        raise ValueError(f"objectives must be a VAE class or a dictionary of name to class, got {objectives!r}")
    return dict(objectives)


def _check_losses(losses) -> dict:
    if isinstance(losses, keras.losses.Loss):
        losses = {type(losses).__name__: losses}
    named = isinstance(losses, dict) and losses and all(isinstance(name, str) for name in losses)
    if losses is not None and not (named and all(isinstance(loss, keras.losses.Loss) for loss in losses.values())):
        raise ValueError(f"losses must be a keras.losses.Loss or a dictionary of name to loss, got {losses!r}")
    return dict(losses or {})


def _direction(name: str, scores: dict) -> str:
    """ "min" for a score that says that it is better when small."""
    score = scores.get(name, udr)
    return "min" if info_of(score if callable(score) else SCORES[name]).higher_is_better is False else "max"


def _check_scores(score, data) -> tuple[dict, dict | None]:
    """Scores for `evaluate`, and the options of UDR or None; see `HyperVAE` for what is raised."""
    if isinstance(score, str):
        score = [score]
    if not isinstance(score, list | tuple | dict) or not score:
        raise ValueError(f"score must be a name, a list of names and functions, or a dictionary, got {score!r}")
    options = None
    if UDR in score:
        options = dict(score[UDR]) if isinstance(score, dict) else {}
        score = {name: what for name, what in score.items() if name != UDR} if isinstance(score, dict) else score
        score = [each for each in score if each != UDR] if isinstance(score, list | tuple) else score
        noise = np.random.default_rng(1).normal(size=(2, 50, 2))
        try:
            udr(list(noise), [np.ones(2)] * 2, **options)
        except (TypeError, ValueError) as error:
            raise ValueError(f"score: {error}") from error
    if not score:
        return {}, options
    try:
        tasks = resolve(score)
    except (TypeError, ValueError) as error:
        raise ValueError(f'score: {error}; "udr" needs no factors') from error
    if not len(data.factor_names):
        raise ValueError(f'score must be "udr" for data without factors, got {score!r}')
    return {task.name: (score[task.name] if isinstance(score, dict) else task.function) for task in tasks}, options
