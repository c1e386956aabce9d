"""VAE: encoder, decoder and reconstruction loss, and the seam that every other objective overrides."""

from __future__ import annotations

import math
import secrets
import threading

import keras
import numpy as np
from keras import ops

from kerasvae.checks import check_choice, check_integer, shown
from kerasvae.math import kl_standard_normal
from kerasvae.models.coding import Coding
from kerasvae.models.hyperparameter import hyperparameters
from kerasvae.models.images import channel_constants, check_images, standardize
from kerasvae.models.networks import check_networks, network_functions, warn_of_unseeded_networks
from kerasvae.models.noise import standard_normal
from kerasvae.models.reconstruction import image_link, per_image_or_element, reconstruction_loss, target_range
from kerasvae.models.saving import Saving
from kerasvae.models.train_step import TrainStep
from kerasvae.models.training import Training


@keras.saving.register_keras_serializable(package="kerasvae")
class VAE(Training, TrainStep, Coding, Saving, keras.Model):
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
            on, (image/255 - mean)/std: a number, or one per channel. `fit` takes them over from the pipelines of
            `kerasvae.datasets` when they are not given, and `adapt` sets them; otherwise 0 and 1.
            `knows_pixel_constants` tells whether they are more than that assumption.
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
        self._training = False
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
                model. Default None draws one, which `model.seed` tells.
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

    # The seam: what an objective may override ------------------------------------------------------------------------

    def logged_terms(self) -> tuple[str, ...]:
        """Names of the terms in the logs beside `loss`; those an objective adds it reports with `self.track`."""
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

    # The objective ---------------------------------------------------------------------------------------------------

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The objective on one batch, a scalar, with the logs updated and the counter advanced."""
        images = self._images(x, training)
        mean, logvar = self.posterior(images, training=training, x=x)
        self._training = training
        z = mean + ops.exp(0.5 * logvar) * self.noise(mean)
        predicted = ops.cast(self.decoder(z, training=training), "float32")
        errors = per_image_or_element(self.reconstruction, images, predicted)
        reconstruction = ops.mean(errors) * math.prod(self.image_shape)
        terms = self._step.terms = {"kl_nats": ops.mean(ops.sum(kl_standard_normal(mean, logvar), axis=-1))}
        penalty = self._scalar(self.regularization(mean, logvar, z), "regularization must return")
        if self.reduction == "mean":
            reconstruction, penalty = reconstruction / math.prod(self.image_shape), penalty / self.latents
        loss = reconstruction + penalty
        terms |= {"reconstruction_loss": reconstruction, "regularization_loss": penalty}
        # Weighted by the batch size, or a ragged last batch would count too much in the epoch's mean.
        weight = ops.shape(images)[0] // self.images_per_example
        for name, value in terms.items():
            self.trackers[name].update_state(value, sample_weight=weight)
        counter = self.step if training else self.evaluation_step
        counter.assign(counter + 1)
        return loss

    def _images(self, x, training):
        """`gather_images`, of a batch of indices too."""
        device_images = self.device_images[bool(training)]
        return self.gather_images(x if device_images is None else device_images(x))

    def track(self, name, value):
        """Report a scalar term of this batch to the logs, under a name that `logged_terms` lists."""
        if name not in self.trackers:
            raise ValueError(
                f"{type(self).__name__}: track({name!r}) reports a term that logged_terms() does not list; it lists "
                f"{[*self.trackers]}"
            )
        self._step.terms[name] = self._scalar(value, f"track({name!r}) takes")

    def _scalar(self, value, what):
        """The value; ValueError unless it is a scalar."""
        shape = tuple(ops.shape(value)) if hasattr(value, "shape") or isinstance(value, list | tuple) else ()
        if shape != ():
            raise ValueError(
                f"{type(self).__name__}: {what} a scalar, the batch's mean of a value per image; got shape {shape}"
            )
        return value

    def scalar(self, name):
        """Value of a hyper-parameter, such as "beta", at the current step, a float32 scalar tensor."""
        return hyperparameters(type(self))[name].at(self, self.step)

    def noise(self, like, purpose=0):
        """N(0, 1) for each element of `like`, (images, latents), a function of (seed, step).

        Each of many replicas gets its part of the global batch's noise. `purpose` tells the uses of one step apart: 0
        is the sample of the posterior.
        """
        step = self.step if self._training else self.evaluation_step
        # Evaluation has a counter and streams of its own, so that validating does not change the training.
        return standard_normal(self.noise_seed, step, self._lanes(like), 2 * purpose + (not self._training))

    def _lanes(self, like):
        """The position of each element of `like`, (images, latents), in the global batch."""
        replica, replicas = self.replica()
        batch = ops.shape(like)[0] // self.images_per_example
        rows = ops.arange(self.images_per_example)[:, None] * (replicas * batch) + replica * batch + ops.arange(batch)
        rows = ops.cast(ops.reshape(rows, (-1, 1)), "int32")
        return rows * self.latents + ops.arange(self.latents, dtype="int32")

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
