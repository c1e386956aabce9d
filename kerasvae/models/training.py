"""What happens around the steps: `compile`, `fit`, `evaluate`, `predict`, with the data checked before all else."""

from __future__ import annotations

import contextlib
import itertools
import math
import warnings

import keras
import numpy as np
from keras import ops

from kerasvae.batch_stream import BatchStream
from kerasvae.checks import check_integer
from kerasvae.models.device_images import device_images_of
from kerasvae.models.divergence import Divergence
from kerasvae.models.executions import Executions
from kerasvae.models.images import channel_constants
from kerasvae.models.training_data import (
    batches_of,
    check_data,
    check_kind,
    check_no_weights,
    is_endless,
    is_pipeline,
    pipeline_attribute,
    warn_of_decoder,
)


class Training:
    """The part of every objective that prepares for training and evaluation, and starts them."""

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
        _refuse_other_arguments(type(self).__name__, kwargs)
        check_integer(steps_per_execution, "steps_per_execution", 1)
        if jit_compile != "auto" and not isinstance(jit_compile, bool):
            raise ValueError(f'jit_compile must be True, False or "auto", got {jit_compile!r}')
        optimizer = keras.optimizers.Adam(1e-3, epsilon=1e-8) if optimizer is None else optimizer
        super().compile(
            checked_optimizer(optimizer, "optimizer"),
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            run_eagerly=run_eagerly,
            auto_scale_loss=auto_scale_loss,
        )
        # Without its variables an optimizer cannot be restored by `load_weights`: Keras would skip it.
        self.optimizer.build(self.trainable_variables)

    def adapt(self, data) -> None:
        """Take over the channel constants of data, with which raw images (uint8) are standardised from now on.

        Args:
            data: a data set of `kerasvae.datasets`, one of its pipelines, or uint8 images (n, height, width, channels),
                whose mean and standard deviation per channel are taken.

        Raises:
            ValueError: for anything else.
        """
        if hasattr(data, "dtype") and "uint8" in str(data.dtype) and len(data.shape) == 4 and len(data):
            images = ops.convert_to_numpy(data)
            mean, std = images.mean(axis=(0, 1, 2)) / 255.0, images.std(axis=(0, 1, 2)) / 255.0
            constants = mean, np.where(std > 0.0, std, 1.0)
        elif hasattr(data, "mean") and hasattr(data, "std") and hasattr(data, "factor_names"):
            constants = data.mean, data.std
        else:
            constants = pipeline_attribute(data, "standardization")
        if constants is None:
            raise ValueError(
                "data must be a data set of kerasvae.datasets, one of its pipelines, or uint8 images (n, height, "
                f"width, channels), got {type(data).__name__}"
            )
        self.pixel_mean, self.pixel_std = channel_constants(*constants, self.image_shape[-1])
        self.knows_pixel_constants = True
        # Compiled functions hold the old ones.
        self.train_function = self.test_function = self.predict_function = None

    def fit(self, x=None, y=None, batch_size=None, epochs=1, **kwargs):
        """Train; as `keras.Model.fit`, with the data checked first.

        Args:
            x: batches of images (pairs for the objectives that take them): an array, a `tf.data.Dataset`, a
                `keras.utils.PyDataset`, or a generator of tuples `(images,)`; without targets. An array is shuffled in
                an order that the model's seed and step determine.
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
        check_kind(x, "x")
        batch = check_data(self, (x, y), "x", numbers["steps_per_epoch"], batch_size)
        if kwargs.get("validation_data") is not None:
            check_data(self, kwargs["validation_data"], "validation_data", numbers["validation_steps"])
            self._take_indices_of(kwargs["validation_data"], training=False)
        warn_of_decoder(self)
        self._take_indices_of(x, training=True)
        constants = pipeline_attribute(x, "standardization")
        if not self.knows_pixel_constants and constants is not None:
            self.pixel_mean, self.pixel_std = channel_constants(*constants, self.image_shape[-1])
            self.knows_pixel_constants = True
            self.predict_function = None
        if constants is None:
            self._notice_standardised(batch)
        watch = Divergence(self)
        kwargs["callbacks"] = watch.among(kwargs.get("callbacks"))
        if isinstance(x, dict) or hasattr(x, "dtype"):
            x, batch_size = self._in_seeded_order(x, batch_size, kwargs)
        if not isinstance(x, dict) and not hasattr(x, "dtype"):
            # Keras can shuffle arrays alone, and warns otherwise.
            kwargs["shuffle"] = False
        with self._exact_steps(x, kwargs):
            return super().fit(x, batch_size=batch_size, epochs=epochs, **kwargs)

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """Losses on other data; as `keras.Model.evaluate`, with the data checked as by `fit`."""
        if kwargs.get("_use_cached_eval_dataset"):  # how `fit` calls it after each epoch, on data it has checked
            return super().evaluate(x, batch_size=batch_size, **kwargs)
        if not self.compiled:
            raise ValueError("compile the model before evaluate: model.compile()")
        check_no_weights(sample_weight=kwargs.pop("sample_weight", None))
        check_integer(batch_size, "batch_size", 1, optional=True)
        check_integer(kwargs.get("steps"), "steps", 1, optional=True)
        check_kind(x, "x")
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

    def warn_once(self, kind: str, message: str) -> None:
        """A UserWarning, unless this model has given one of this kind before."""
        if kind not in self._warned:
            self._warned.add(kind)
            warnings.warn(message, UserWarning, stacklevel=4)

    def _in_seeded_order(self, arrays, batch_size, kwargs):
        """Arrays as batches in an order that seed and step determine; as they are where Keras is not to shuffle them.

        Keras's order is another in each run. Among several devices it knows how to divide arrays, but not such batches.
        """
        replicas = getattr(getattr(self, "distribute_strategy", None), "num_replicas_in_sync", 1)
        if kwargs.get("shuffle", True) is False or kwargs.get("validation_split") or replicas > 1:
            return arrays, batch_size
        if keras.distribution.distribution() is not None:
            return arrays, batch_size
        arrays = keras.tree.map_structure(ops.convert_to_numpy, arrays)
        images = len(next(iter(arrays.values())) if isinstance(arrays, dict) else arrays)
        size = 32 if batch_size is None else int(batch_size)
        batches, start, orders = math.ceil(images / size), int(self.step.numpy()), {}

        def batch(step):
            epoch, number = divmod(step - start, batches)
            if epoch not in orders:
                orders.clear()
                # By the step it begins at: a model that was saved after an epoch goes on as if it had not been.
                orders[epoch] = np.random.default_rng([self.seed, start + epoch * batches]).permutation(images)
            chosen = orders[epoch][number * size : (number + 1) * size]
            return keras.tree.map_structure(lambda array: array[chosen], arrays)

        if kwargs.get("steps_per_epoch") is None:
            kwargs["steps_per_epoch"] = batches
        return BatchStream(batch, start, None), None

    def _exact_steps(self, x, kwargs):
        """A context in which `fit` takes exactly `steps_per_epoch` steps in an epoch; Keras rounds up to executions."""
        steps, together = kwargs.get("steps_per_epoch"), self.steps_per_execution
        # `kerasvae.runs.train` sees to it itself.
        callbacks = getattr(kwargs["callbacks"], "callbacks", kwargs["callbacks"])
        known = any(isinstance(each, Executions) for each in callbacks)
        if steps is None or steps % together == 0 or known:
            return contextlib.nullcontext()
        if is_pipeline(x) and not is_endless(x):
            raise ValueError(
                f"steps_per_epoch must be a multiple of steps_per_execution ({together}) for data that end, got "
                f"{steps}: leave it out to take all of them, or give an endless pipeline"
            )
        executions = Executions(self)
        callbacks.insert(1, executions)
        return executions

    def _notice_standardised(self, batch) -> None:
        """Note whether the model learns from images whose constants it cannot know: raw ones it would take wrongly."""
        part = next(iter(batch.values())) if isinstance(batch, dict) else batch
        if not self.knows_pixel_constants and part is not None and "float" in str(part.dtype):
            sample = ops.convert_to_numpy(part[:256])
            self.lacks_constants = bool(sample.min() < 0.0 or sample.max() > 1.0)

    def _take_indices_of(self, pipeline, training):
        """Have the step find the images of a pipeline's indices, or take its images as they are."""
        device_images = device_images_of(pipeline, self.device_images.values())
        if device_images is not self.device_images[training]:
            self.device_images[training] = device_images
            # The compiled function knows the old one.
            setattr(self, "train_function" if training else "test_function", None)

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


def checked_optimizer(optimizer, argument: str):
    """The optimizer that an object or a name stands for; ValueError naming `argument` for anything else."""
    try:
        return keras.optimizers.get(optimizer)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{argument} must be a Keras optimizer, such as keras.optimizers.Adam(1e-3), or its name, got {optimizer!r}"
        ) from error


def _refuse_other_arguments(model: str, arguments) -> None:
    instead = {
        "loss": f"the reconstruction loss is an argument of the model: {model}(encoder, decoder, reconstruction=...)",
        "metrics": "scores of the codes are a callback of fit: kv.callbacks.DisentanglementScores(data, ['mig'])",
    }
    for name, value in arguments.items():
        if name in ("loss", "metrics", "loss_weights", "weighted_metrics"):
            if value is None:
                continue
            told = instead["metrics" if name == "weighted_metrics" else "loss" if name == "loss_weights" else name]
            raise TypeError(f"compile() takes no {name}: {told}")
        raise TypeError(
            f"compile() takes no {name!r}; it takes optimizer, steps_per_execution, jit_compile, run_eagerly and "
            "auto_scale_loss"
        )
