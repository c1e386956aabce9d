"""VAE: encoder, decoder and reconstruction loss, and the seam that every other objective overrides."""

from __future__ import annotations

import itertools
import math
import secrets
import threading
import warnings

import keras
import numpy as np
from keras import ops

from kerasvae import files
from kerasvae.batch_stream import BatchStream
from kerasvae.checks import check_choice, check_integer, shown
from kerasvae.math import kl_standard_normal
from kerasvae.models.device_images import device_images_of
from kerasvae.models.fit_callbacks import Divergence, exact_steps
from kerasvae.models.hyperparameter import hyperparameters
from kerasvae.models.images import channel_constants, check_finite, check_images, constants_of, standardize
from kerasvae.models.keras_internals import is_evaluation_by_fit
from kerasvae.models.networks import check_networks, network_functions, warn_of_unseeded_networks
from kerasvae.models.optimizers import checked_optimizer, refuse_other_arguments
from kerasvae.models.reconstruction import image_link, per_image_or_element, reconstruction_loss, target_range
from kerasvae.models.train_step import TrainStep
from kerasvae.models.training_data import (
    batches_of,
    check_data,
    check_kind,
    check_no_weights,
    in_seeded_order,
    is_endless,
    is_pipeline,
    looks_standardised,
    warn_of_decoder,
    warn_of_images,
)
from kerasvae.random_numbers import standard_normal


@keras.saving.register_keras_serializable(package="kerasvae")
class VAE(TrainStep, keras.Model):
    """Variational autoencoder: maximises the evidence lower bound (β = 1).

        loss = reconstruction + KL(q(z|x) ‖ N(0, I))

    Args:
        encoder: functional `keras.Model` from images (height, width, channels) to `{"mean", "logvar"}`, or to the two
            in this order.
        decoder: functional `keras.Model` from (latents,) to the encoder's image shape.
        reconstruction: a `keras.losses.Loss`, such as those of `kerasvae.losses`, or the name of one of Keras's, such
            as "mse"; its `call` gives one value per image or element, which is averaged over the image. Default
            `MeanSquaredError()`.
        reduction: "sum": per image, the reconstruction summed over height, width and channels and the KL summed over
            latents (the evidence lower bound in nats when the loss is a log-likelihood); or "mean": the mean over
            elements and the mean over latents ("beta normalisation" of "Overlooked Implications", supplement B.1).
            `kerasvae.math.convert_beta` converts between them. Default "sum", for which β = 1 is the bound.
        seed: of the latent noise and of the order in which `fit` takes an array's images, an integer, at least 0; None
            draws one. Both are functions of (seed, step).
        pixel_mean, pixel_std: channel constants in units of 0..1 that turn uint8 images into what the model is trained
            on, (image/255 - mean)/std: a number, or one per channel. `for_data` and `adapt` set them, and `fit` takes
            them over from a pipeline of `kerasvae.datasets` when they are not given; otherwise 0 and 1.
            `knows_pixel_constants` says whether they are more than that assumption.
        name: of the model.

    Wherever images go in (`fit`, `evaluate`, `predict`, `model(x)`, `encode`, `reconstruct`), they are floating and
    standardised already, or uint8, 0..255, which is standardised on the device. `model(x)` and `predict` give what
    `reconstruct` does: images decoded from the mean of the posterior. The logs hold `loss`, its two parts
    `reconstruction_loss` and `regularization_loss`, which add up to it, and whatever the reduction, in nats per image,
    `reconstruction_nats` (the reconstruction summed over the image, a number of nats where the loss is a
    log-likelihood) and `kl_nats`.

    To write another objective override `regularization`, declare numeric arguments with `Hyperparameter` and other
    arguments in `get_config`.

    Raises:
        ValueError: when encoder, decoder and reconstruction do not fit each other, or for a value not allowed.

    Warns:
        UserWarning: when `seed` is given but the networks' weights or layers are random without a seed of their own.

    Source: Kingma & Welling 2013.
    """

    images_per_example = 1

    def __init__(
        self,
        encoder,
        decoder,
        reconstruction=None,
        *,
        reduction="sum",
        seed=None,
        pixel_mean=None,
        pixel_std=None,
        name=None,
        **kwargs,
    ):
        encoder, image_shape, latents = check_networks(encoder, decoder)
        reconstruction = reconstruction_loss(reconstruction)
        check_choice(reduction, "reduction", ("mean", "sum"))
        if seed is not None:
            check_integer(seed, "seed", 0, optional=True)
            warn_of_unseeded_networks(encoder=encoder, decoder=decoder)
        # `call` decides what is cast: Keras would turn the images of a model in mixed precision to its half.
        super().__init__(name=name, autocast=False, **kwargs)
        self.image_shape, self.latents = image_shape, latents
        self.encoder, self.decoder, self.reconstruction = encoder, decoder, reconstruction
        self.reduction = reduction
        self.knows_pixel_constants = pixel_mean is not None or pixel_std is not None
        self.pixel_mean, self.pixel_std = channel_constants(pixel_mean, pixel_std, self.image_shape[-1])
        # Counters of the model's own: schedules and noise are functions of them, and they are saved.
        self.step, self.evaluation_step = (
            self.add_weight(
                shape=(), dtype="int", trainable=False, initializer="zeros", aggregation="only_first_replica", name=name
            )
            for name in ("step", "evaluation_step")
        )
        self.noise_seed = self.add_weight(shape=(), dtype="int", trainable=False, initializer="zeros", name="seed")
        self.set_seed(secrets.randbelow(2**31) if seed is None else seed)
        # What a step hands on: the replicas of a tf.distribute strategy are threads that take turns.
        self._step = threading.local()
        self.device_images = {True: None, False: None}  # by `training`, for pipelines that yield indices
        self.trackers = {name: keras.metrics.Mean(name=name) for name in self.logged_terms()}
        # The networks are built, so the model is: saving, tuners and callbacks rely on it. `build()` would also lock
        # the model, before a subclass has added its own weights.
        self.built = True
        self._warned = set()
        self.lacks_constants = False  # whether it was trained on floats, standardised by constants it does not know

    @classmethod
    def for_data(
        cls, data, latents: int = 9, networks="conv", *, reconstruction=None, seed: int | None = None, **kwargs
    ):
        """A model for a data set: its networks made for its images, its channel constants known; not yet compiled.

        Example:

        ```python
        data = kv.datasets.XYSquares()
        model = kv.BetaVAE.for_data(data, latents=9, reconstruction=kv.losses.BoxBlurMSE(), beta=0.01, seed=1)
        model.compile("adam")
        model.fit(kv.datasets.images(data, batch_size=64, steps=1000))
        ```

        Args:
            data: a data set of `kerasvae.datasets`, or any object with `image_shape` (height, width, channels) and the
                channel constants `mean` and `std` of its images in 0..1. An array becomes one by `FromArrays`.
            latents: number of latents, at least 1. Default 9, as in "Overlooked Implications".
            networks: "conv" (default), "burgess" or "mlp" of `kerasvae.networks`, or two functions of your own that
                return an encoder and a decoder, each of (image_shape, latents, seed=...).
            reconstruction: as for the class. For a loss of images in 0..1, such as `BernoulliNLL`, the constants are 0
                and 1: give such models pipelines with `standardize=False`.
            seed: of networks, noise and the order of images, an integer, at least 0: the same seed gives the same
                model. Default None draws one, which is `model.seed`.
            **kwargs: other arguments of the class, such as `beta`. Those that follow from the data, `pixel_mean`,
                `pixel_std` and β-TCVAE's `dataset_size`, are worked out unless given.

        Raises:
            ValueError: when `data` is no data set, `networks` names none, or for a value not allowed.
        """
        shape, mean, std = (getattr(data, name, None) for name in ("image_shape", "mean", "std"))
        if isinstance(data, type) or shape is None or mean is None or std is None:
            raise ValueError(
                "data must be a data set with image_shape, mean and std, such as kerasvae.datasets.XYSquares() or "
                f"FromArrays(images), got {shown(data)}"
            )
        functions = network_functions(networks)
        latents = check_integer(latents, "latents", 1)
        seed = secrets.randbelow(2**31) if seed is None else check_integer(seed, "seed", 0)
        reconstruction = reconstruction_loss(reconstruction)
        if target_range(reconstruction)[0] >= 0:
            mean, std = 0.0, 1.0
        encoder, decoder = (
            function(tuple(shape), latents, seed=2 * seed + number) for number, function in enumerate(functions)
        )
        known = {"pixel_mean": mean, "pixel_std": std, **cls.arguments_of_data(data)}
        return cls(encoder, decoder, reconstruction, seed=seed, **{**known, **kwargs})

    @classmethod
    def arguments_of_data(cls, data) -> dict:
        """Arguments of the class that follow from a data set, for `for_data`."""
        return {}

    def set_seed(self, seed: int) -> None:
        """Give the noise, and the order of images, another seed; the compiled step stays as it is."""
        check_integer(seed, "seed", 0, optional=True)
        self.seed = int(seed)
        self.noise_seed.assign(self.seed % (2**31 - 1))

    def adapt(self, data) -> None:
        """Take over the channel constants of data, with which raw images (uint8) are standardised from now on.

        Args:
            data: a data set of `kerasvae.datasets`, one of its pipelines, or uint8 images (n, height, width, channels),
                whose mean and standard deviation per channel are taken.

        Raises:
            ValueError: for anything else.
        """
        self.pixel_mean, self.pixel_std = channel_constants(*constants_of(data), self.image_shape[-1])
        self.knows_pixel_constants = True
        # Compiled functions hold the old ones.
        self.train_function = self.test_function = self.predict_function = None

    # The seam: what an objective may override ------------------------------------------------------------------------

    def logged_terms(self) -> tuple[str, ...]:
        """Names of the terms in the logs next to `loss`; those an objective adds it reports with `self.track`."""
        return ("reconstruction_loss", "regularization_loss", "kl_nats")

    def gather_images(self, x):
        """The images of a batch, standardised, (images_per_example · batch, height, width, channels)."""
        if isinstance(x, dict):
            raise ValueError(
                f"{type(self).__name__} learns from single images, but the data yield a dictionary with the keys "
                f"{sorted(x)}: use kerasvae.datasets.images(...), or AdaGVAE for pairs"
            )
        check_images(x, self.image_shape, "x")
        return standardize(x, self.pixel_mean, self.pixel_std)

    def posterior(self, images, training=False, x=None):
        """Posterior of each of the gathered images: mean and log-variance, each (images, latents), float32.

        `x` is the batch as the data yield it, for objectives that find more in it than images.
        """
        outputs = self.encoder(images, training=training)
        return ops.cast(outputs["mean"], "float32"), ops.cast(outputs["logvar"], "float32")

    def regularization(self, mean, logvar, z):
        """The term added to the reconstruction: a scalar in nats per image, averaged over the batch.

        Args:
            mean, logvar, z: posterior and one sample of it for every gathered image, each (images, latents).
        """
        return ops.mean(ops.sum(kl_standard_normal(mean, logvar), axis=-1))

    def batch_limits(self) -> tuple[int, int]:
        """The smallest and the largest number of images (or pairs) that a batch may hold."""
        return 1, 2**31

    def updates(self):
        """What one training step does, in turn: pairs of a loss, a function of (x, training), and its shares.

        A share is an optimizer (`optimizer` itself or one within it) and the variables that it moves by the gradient of
        that loss. An objective with one optimizer has one update with one share.
        """
        return [(self.compute_loss, [(self.optimizer, self.trainable_variables)])]

    def loss_scale(self, shares):
        """The `LossScaleOptimizer` around the optimizers of some shares, which then have to scale by it, or None."""
        around = isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        return self.optimizer if around and shares[0][0] is not self.optimizer else None

    # What an objective may use ---------------------------------------------------------------------------------------

    def scalar(self, name):
        """Value of a hyper-parameter, such as "beta", at the current step, a float32 scalar tensor."""
        return hyperparameters(type(self))[name].at(self, self.step)

    def track(self, name, value):
        """Report a scalar term of this batch to the logs, under a name that `logged_terms` lists."""
        if name not in self.trackers:
            raise ValueError(
                f"{type(self).__name__}: track({name!r}) reports a term that logged_terms() does not list; it lists "
                f"{[*self.trackers]}"
            )
        self._step.terms[name] = self._checked_scalar(value, f"track({name!r}) takes")

    @property
    def in_training(self) -> bool:
        """Within `regularization`: whether the batch is one of training, not of evaluation."""
        return self._step.training

    def noise(self, like, training, purpose=0):
        """N(0, 1) for each element of `like`, (images, latents), a function of (seed, step).

        Each of many replicas gets its part of the global batch's noise.

        Args:
            like: the tensor whose shape it has.
            training: whether the step is one of training: evaluation has a counter and streams of its own, so that
                validating does not change the training.
            purpose: distinguishes the uses of one step; 0 is the sample of the posterior.
        """
        step = self.step if training else self.evaluation_step
        return standard_normal(self.noise_seed, step, self._lanes(like), 2 * purpose + (not training))

    def _lanes(self, like):
        """The position of each element of `like`, (images, latents), in the global batch."""
        replica, replicas = self.replica()
        batch = ops.shape(like)[0] // self.images_per_example
        rows = ops.arange(self.images_per_example)[:, None] * (replicas * batch) + replica * batch + ops.arange(batch)
        rows = ops.cast(ops.reshape(rows, (-1, 1)), "int32")
        return rows * self.latents + ops.arange(self.latents, dtype="int32")

    # The objective ---------------------------------------------------------------------------------------------------

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The objective on one batch, a scalar, with the logs updated and the counter advanced."""
        images = self._images(x, training)
        mean, logvar = self.posterior(images, training=training, x=x)
        z = mean + ops.exp(0.5 * logvar) * self.noise(mean, training)
        predicted = ops.cast(self.decoder(z, training=training), "float32")
        errors = per_image_or_element(self.reconstruction, images, predicted)
        reconstruction = ops.mean(errors) * math.prod(self.image_shape)
        self._step.training = training
        terms = self._step.terms = {"kl_nats": ops.mean(ops.sum(kl_standard_normal(mean, logvar), axis=-1))}
        penalty = self._checked_scalar(self.regularization(mean, logvar, z), "regularization must return")
        if self.reduction == "mean":
            reconstruction, penalty = reconstruction / math.prod(self.image_shape), penalty / self.latents
        terms |= {"reconstruction_loss": reconstruction, "regularization_loss": penalty}
        # Weighted by the batch size, or a ragged last batch would count too much in the epoch's mean.
        weight = ops.shape(images)[0] // self.images_per_example
        for name, value in terms.items():
            self.trackers[name].update_state(value, sample_weight=weight)
        counter = self.step if training else self.evaluation_step
        counter.assign(counter + 1)
        return reconstruction + penalty

    def _images(self, x, training):
        """`gather_images`, of a batch of indices too."""
        device_images = self.device_images[bool(training)]
        return self.gather_images(x if device_images is None else device_images(x))

    def _checked_scalar(self, value, what):
        """The value; ValueError unless it is a scalar."""
        shape = tuple(ops.shape(value)) if hasattr(value, "shape") or isinstance(value, list | tuple) else ()
        if shape != ():
            raise ValueError(
                f"{type(self).__name__}: {what} a scalar, the batch's mean of a value per image; got shape {shape}"
            )
        return value

    @property
    def metrics(self):
        return list(self.trackers.values())

    def get_metrics_result(self):
        """The logs: means since the last reset, with what follows from them."""
        terms = {name: tracker.result() for name, tracker in self.trackers.items()}
        reconstruction = terms["reconstruction_loss"]
        return {
            "loss": reconstruction + terms["regularization_loss"],
            "reconstruction_nats": reconstruction * (math.prod(self.image_shape) if self.reduction == "mean" else 1),
            **terms,
        }

    # Images and codes ------------------------------------------------------------------------------------------------

    def __call__(self, images, *args, **kwargs):
        # Of tensors, which the compiled step passes on, nothing can be seen.
        if isinstance(next(iter(images.values())) if isinstance(images, dict) and images else images, np.ndarray):
            self.check_images(images, "images")
        return super().__call__(images, *args, **kwargs)

    def call(self, images, training=False):
        """Images decoded from the mean of the posterior of each image; of pairs as a dictionary, a dictionary."""
        if isinstance(images, dict):
            # Checked as in training; of a pair, each image is encoded on its own, as `encode` does.
            self.gather_images(images)
            return {key: self.call(images[key], training=training) for key in ("first", "second")}
        check_images(images, self.image_shape, "images")
        images = standardize(images, self.pixel_mean, self.pixel_std)
        mean, _ = VAE.posterior(self, images, training=training)
        return self.expected_image(ops.cast(self.decoder(mean, training=training), "float32"))

    def expected_image(self, predicted):
        """The images that the decoder's outputs stand for: a loss may predict logits (`BernoulliNLL`)."""
        link = image_link(self.reconstruction)
        return predicted if link is None else link(predicted)

    def encode(self, images, batch_size=256, return_logvar=False):
        """Codes of images: the means of their posteriors.

        Args:
            images: (n, height, width, channels): uint8 0..255, standardised here, or floating, already standardised;
                pairs of images, `{"first", "second"}`, each of which is encoded on its own; or a pipeline that ends.
            batch_size: images in one call of the encoder, at least 1; a pipeline has its own.
            return_logvar: also return the log-variances.

        Returns:
            NumPy float32 (n, latents), or two of them, means and log-variances; of pairs a dictionary of such.

        Raises:
            ValueError: for another shape or dtype, images that hold NaN or infinity, or a pipeline that never ends.

        Warns:
            UserWarning: of images on another scale than their dtype stands for.
        """
        if is_pipeline(images):
            return _joined([self.encode(batch, batch_size, return_logvar) for batch in self._pipeline_images(images)])
        if isinstance(images, dict):
            self.check_images(images, "images")
            return {key: self.encode(images[key], batch_size, return_logvar) for key in ("first", "second")}
        images = images if hasattr(images, "shape") else np.asarray(images)
        self.check_images(images, "images")
        images = ops.convert_to_numpy(images)
        batches = (standardize(batch, self.pixel_mean, self.pixel_std) for batch in _batches(images, batch_size))
        outputs = [self.run_network(self.encoder, batch) for batch in batches]
        none = [np.zeros((0, self.latents), "float32")]
        means, logvars = (np.concatenate([output[key] for output in outputs] or none) for key in ("mean", "logvar"))
        return (means, logvars) if return_logvar else means

    def decode(self, latents, batch_size=256):
        """Images of codes: NumPy float32 (n, height, width, channels), in the units the model was trained on.

        Args:
            latents: (n, latents), finite.
            batch_size: codes in one call of the decoder, at least 1.

        A loss whose prediction is not itself an image (`BernoulliNLL` predicts logits) turns it into one.
        """
        latents = np.asarray(latents, "float32")
        if latents.ndim != 2 or latents.shape[1] != self.latents or not np.isfinite(latents).all():
            raise ValueError(f"latents must be finite, of shape (n, {self.latents}), got shape {latents.shape}")
        outputs = [self.run_network(self.decoder, batch) for batch in _batches(latents, batch_size)]
        predicted = np.concatenate(outputs or [np.zeros((0, *self.image_shape), "float32")])
        return ops.convert_to_numpy(self.expected_image(ops.convert_to_tensor(predicted)))

    def reconstruct(self, images, batch_size=256):
        """Images decoded from the mean codes of `images`; arguments as for `encode`, result as for `decode`."""
        codes = self.encode(images, batch_size)
        if isinstance(codes, dict):
            return {key: self.decode(part, batch_size) for key, part in codes.items()}
        return self.decode(codes, batch_size)

    def sample(self, count, seed=0, batch_size=256):
        """`count` images decoded from draws of N(0, I) made by NumPy with `seed`; result as for `decode`."""
        check_integer(count, "count", 1)
        check_integer(seed, "seed", 0, optional=True)
        return self.decode(np.random.default_rng(seed).standard_normal((count, self.latents)), batch_size)

    def check_images(self, images, argument: str) -> None:
        """ValueError unless they are images, or pairs of them, that the model takes; a warning of a doubtful scale."""
        if isinstance(images, dict):
            if not {"first", "second"} <= set(images):
                raise ValueError(f'{argument} must hold pairs, {{"first", "second"}}, got the keys {sorted(images)}')
            for key in ("first", "second"):
                self.check_images(images[key], f"{argument}[{key!r}]")
            return
        check_images(images, self.image_shape, argument)
        check_finite(images, argument)
        warn_of_images(self, images, argument)

    def _pipeline_images(self, pipeline):
        """The batches of a pipeline, as images."""
        if is_endless(pipeline):
            raise ValueError("images never end: give steps to the pipeline")
        source = device_images_of(pipeline, self.device_images.values())
        for batch in batches_of(pipeline):
            images = batch if source is None else source(batch)
            yield keras.tree.map_structure(ops.convert_to_numpy, images)

    # Training and evaluation -----------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer=None,
        *,
        steps_per_execution=1,
        jit_compile="auto",
        run_eagerly=False,
        auto_scale_loss=True,
        **kwargs,
    ):
        """Prepare for `fit`.

        Args:
            optimizer: a Keras optimizer or its name. Default `Adam(1e-3, epsilon=1e-8)`, "Overlooked Implications",
                supplement C.2 (Keras's own epsilon is 1e-7).
            steps_per_execution: training steps in one dispatch, at least 1; same numbers, less overhead. JAX and
                TensorFlow only. Callbacks on batches see one call for each dispatch.
            jit_compile: use XLA: True, False or "auto" (always on JAX, with a GPU on TensorFlow).
            run_eagerly: run step by step in Python, for debugging.
            auto_scale_loss: under the dtype policy "mixed_float16", scale the loss so that small gradients are not
                lost; a step whose gradients overflow is left out.

        Raises:
            TypeError: for `loss`, `metrics` or other arguments: the reconstruction loss is an argument of the model.
            ValueError: for a value not allowed.
        """
        refuse_other_arguments(type(self).__name__, kwargs)
        check_integer(steps_per_execution, "steps_per_execution", 1)
        if jit_compile != "auto" and not isinstance(jit_compile, bool):
            raise ValueError(f'jit_compile must be True, False or "auto", got {jit_compile!r}')
        super().compile(
            checked_optimizer(optimizer, "optimizer"),
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            run_eagerly=run_eagerly,
            auto_scale_loss=auto_scale_loss,
        )
        # Without its variables an optimizer cannot be restored by `load_weights`: Keras would skip it.
        self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, batch_size=None, epochs=1, **kwargs):
        """Train; as `keras.Model.fit`, with the data checked first.

        Args:
            x: batches of images (pairs for the objectives that take them): an array, a `tf.data.Dataset`, a
                `keras.utils.PyDataset`, or a generator of tuples `(images,)`; without targets. An array is shuffled in
                an order that the model's seed and step determine. From a pipeline of `kerasvae.datasets` a model that
                was given no channel constants takes them over (not from what `take` or `map` make of one: call
                `adapt`).
            y: must stay None.
            batch_size, epochs, **kwargs: as for `keras.Model.fit`, without `sample_weight` and `class_weight`.

        Returns:
            A `keras.callbacks.History`.

        Raises:
            ValueError: naming the argument, before anything is trained, when the data are empty, do not fit the model,
                hold NaN or infinity (in the first batch of a pipeline), or never end and `steps_per_epoch` is missing;
                for weights of samples or classes; for a number out of range.
            FloatingPointError: when the loss becomes NaN or infinite, naming the step. The model's weights are lost
                then; go on from a checkpoint.

        Warns:
            UserWarning: of images on another scale than the model or its loss takes; of a posterior that degenerates.
        """
        if not self.compiled:
            raise ValueError("compile the model before fit: model.compile() takes Adam(1e-3, epsilon=1e-8)")
        check_no_weights(sample_weight=kwargs.pop("sample_weight", None), class_weight=kwargs.pop("class_weight", None))
        numbers = {name: kwargs.get(name) for name in ("steps_per_epoch", "validation_steps", "validation_batch_size")}
        for name, value in {"batch_size": batch_size, **numbers}.items():
            check_integer(value, name, 1, optional=True)
        for name, value in {"epochs": epochs, "initial_epoch": kwargs.get("initial_epoch")}.items():
            check_integer(value, name, 0, optional=True)
        batch = check_data(self, (x, y), "x", numbers["steps_per_epoch"], batch_size)
        if kwargs.get("validation_data") is not None:
            check_data(self, kwargs["validation_data"], "validation_data", numbers["validation_steps"])
            self._take_indices_of(kwargs["validation_data"], training=False)
        warn_of_decoder(self)
        self._take_indices_of(x, training=True)
        constants = getattr(x, "standardization", None)
        if constants is None and not self.knows_pixel_constants:
            self.lacks_constants |= looks_standardised(batch)
        elif not self.knows_pixel_constants:
            self.adapt(x)
        kwargs["callbacks"] = Divergence(self).among(kwargs.get("callbacks"))
        if isinstance(x, dict) or hasattr(x, "dtype"):
            if self._orders_arrays(kwargs):
                size = 32 if batch_size is None else int(batch_size)
                x, batches = in_seeded_order(x, size, self.seed, int(self.step.numpy()))
                kwargs["steps_per_epoch"], batch_size = numbers["steps_per_epoch"] or batches, None
        if not isinstance(x, dict) and not hasattr(x, "dtype"):
            # Keras can shuffle arrays alone, and warns otherwise.
            kwargs["shuffle"] = False
        with exact_steps(self, x, kwargs.get("steps_per_epoch"), kwargs["callbacks"]):
            return super().fit(x, batch_size=batch_size, epochs=epochs, **kwargs)

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """Losses on other data; as `keras.Model.evaluate`, with the data checked as by `fit`."""
        if is_evaluation_by_fit(kwargs):  # which has checked the data
            return super().evaluate(x, batch_size=batch_size, **kwargs)
        if not self.compiled:
            raise ValueError("compile the model before evaluate: model.compile()")
        check_no_weights(sample_weight=kwargs.pop("sample_weight", None))
        check_integer(batch_size, "batch_size", 1, optional=True)
        check_integer(kwargs.get("steps"), "steps", 1, optional=True)
        check_data(self, (x, y), "x", kwargs.get("steps"), batch_size)
        warn_of_decoder(self)
        self._take_indices_of(x, training=False)
        return super().evaluate(x, batch_size=batch_size, **kwargs)

    def predict(self, x=None, batch_size=None, **kwargs):
        """Reconstructions of images, as `model(x)` gives them; as `keras.Model.predict`, with the data checked.

        Args:
            x: as for `fit`; targets are left aside. Of pairs (dictionaries) each image is reconstructed on its own.
            batch_size, **kwargs: as for `keras.Model.predict`.

        Returns:
            NumPy float32 (n, height, width, channels), of pairs `{"first", "second"}` of such.
        """
        check_integer(batch_size, "batch_size", 1, optional=True)
        check_integer(kwargs.get("steps"), "steps", 1, optional=True)
        check_kind(x, "x")
        if kwargs.get("steps") is None and is_endless(x):
            raise ValueError("x never ends: give steps to the pipeline or to predict")
        if hasattr(x, "dtype") or isinstance(x, dict):
            self.check_images(x, "x")
        elif (source := device_images_of(x, self.device_images.values())) is not None:
            # Indices become images out here: Keras's compiled function would contain their table.
            indices = list(itertools.islice(batches_of(x), kwargs.pop("steps", None)))
            x = BatchStream(
                lambda number: keras.tree.map_structure(ops.convert_to_numpy, source(indices[number])), 0, len(indices)
            )
        return super().predict(x, batch_size=batch_size, **kwargs)

    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """One step on one batch; as `keras.Model.train_on_batch`, without targets and weights."""
        check_no_weights(y=y, sample_weight=sample_weight, class_weight=class_weight)
        return super().train_on_batch(x, return_dict=return_dict)

    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """The losses of one batch; as `keras.Model.test_on_batch`, without targets and weights."""
        check_no_weights(y=y, sample_weight=sample_weight)
        return super().test_on_batch(x, return_dict=return_dict)

    @staticmethod
    def unpack(data):
        """The images of what a pipeline yields; ValueError for targets or weights, which a VAE has no use for."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if y is not None or sample_weight is not None:
            raise ValueError(
                "y and sample_weight must be None: a VAE reconstructs its own input, so the data must yield images "
                "alone (or pairs as a dictionary), not tuples of images and targets"
            )
        return x

    def warn_once(self, kind: str, message: str) -> None:
        """A UserWarning, unless this model has given one of this kind before."""
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(message, UserWarning, stacklevel=4)

    def _orders_arrays(self, arguments) -> bool:
        """Whether `fit` shuffles arrays itself: Keras's order is another in each run.

        Among several devices Keras knows how to divide arrays, but not batches that are in order already.
        """
        replicas = getattr(getattr(self, "distribute_strategy", None), "num_replicas_in_sync", 1)
        kept = arguments.get("shuffle", True) is False or arguments.get("validation_split")
        return not kept and replicas == 1 and keras.distribution.distribution() is None

    def _take_indices_of(self, pipeline, training):
        """Have the step find the images of a pipeline's indices, or take its images as they are."""
        device_images = device_images_of(pipeline, self.device_images.values())
        if device_images is not self.device_images[training]:
            self.device_images[training] = device_images
            # The compiled function knows the old one.
            setattr(self, "train_function" if training else "test_function", None)

    # Files -----------------------------------------------------------------------------------------------------------
    # Noise and schedules are functions of the counters, so there is no generator state to save.

    def save(self, filepath, *args, **kwargs):
        """Write the whole model, with optimizer and counters, to a `.keras` file; it appears whole or not at all.

        Raises:
            ValueError: for another suffix, or weights that are NaN or infinite.
            OSError: when the file cannot be written.
        """
        with self._replacing(filepath, ".keras") as temporary:
            super().save(temporary, *args, **kwargs)

    def save_weights(self, filepath, *args, **kwargs):
        """Write weights, optimizer and counters to a `.weights.h5` file, as `save` does."""
        with self._replacing(filepath, ".weights.h5") as temporary:
            super().save_weights(temporary, *args, **kwargs)

    def _replacing(self, filepath, suffix):
        if not str(filepath).endswith(suffix):
            raise ValueError(f"filepath must end in {suffix}, got {str(filepath)!r}")
        self.check_finite_weights("the model cannot be saved")
        return files.replacing(filepath, "filepath")

    def export(self, filepath, format="tf_saved_model", verbose=False, input_signature=None, **kwargs):
        """Write what `model(x)` computes, images in and reconstructions out; as `keras.Model.export`.

        `kerasvae.export.encoder` writes the encoder, which is what is served as a rule.

        Args:
            filepath, format, verbose, **kwargs: as for `keras.Model.export`.
            input_signature: as for `keras.Model.export`. Default None: `image`, a batch of any size, uint8 0..255 for a
                model that knows its channel constants, otherwise float32 as it was trained on.

        Raises:
            ValueError: for a format that the backend cannot write, or weights that are NaN or infinite.
        """
        if format == "tf_saved_model" and keras.config.backend() == "torch":
            raise ValueError(
                "format: tf_saved_model cannot be written from the torch backend: save the model as .keras, load it "
                "with KERAS_BACKEND=tensorflow and export there"
            )
        self.check_finite_weights("the model cannot be exported")
        if input_signature is None:
            dtype = "uint8" if self.knows_pixel_constants else "float32"
            input_signature = [keras.InputSpec(shape=(None, *self.image_shape), dtype=dtype, name="image")]
        return super().export(filepath, format=format, verbose=verbose, input_signature=input_signature, **kwargs)

    def check_finite_weights(self, what: str) -> None:
        """ValueError, beginning with `what`, if weights are NaN or infinite: the training has diverged."""
        for variable in self.weights:
            values = ops.convert_to_numpy(variable)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ValueError(
                    f"{what}: {int((~np.isfinite(values)).sum())} of {values.size} numbers of its weight "
                    f"{variable.path} are NaN or infinite, so the training has diverged"
                )

    def save_own_variables(self, store):
        store["step"] = np.asarray(self.step.numpy())
        store["evaluation_step"] = np.asarray(self.evaluation_step.numpy())

    def load_own_variables(self, store):
        self.step.assign(int(np.asarray(store["step"])))
        self.evaluation_step.assign(int(np.asarray(store["evaluation_step"])))

    def get_config(self):
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "reconstruction": keras.saving.serialize_keras_object(self.reconstruction),
            "reduction": self.reduction,
            "seed": self.seed,
            "pixel_mean": list(self.pixel_mean) if self.knows_pixel_constants else None,
            "pixel_std": list(self.pixel_std) if self.knows_pixel_constants else None,
            **{name: keras.saving.serialize_keras_object(getattr(self, name)) for name in hyperparameters(type(self))},
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        arguments = {
            key: keras.saving.deserialize_keras_object(value, custom_objects=custom_objects)
            if isinstance(value, dict) and "class_name" in value
            else value
            for key, value in config.items()
        }
        # What a seed cannot repeat is no matter for a model whose weights are about to be loaded.
        seed = arguments.pop("seed", None)
        model = cls(**arguments)
        if seed is not None:
            model.set_seed(seed)
        return model

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        self.compile(**{key: config[key] for key in ("optimizer", "steps_per_execution", "jit_compile", "run_eagerly")})


def _batches(array, batch_size):
    check_integer(batch_size, "batch_size", 1)
    return (array[start : start + batch_size] for start in range(0, len(array), batch_size))


def _joined(parts):
    """The results of batches, arrays or tuples or dictionaries of arrays, as one."""
    if not parts:
        raise ValueError("images must hold at least one batch, got an empty pipeline")
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)
