"""What happens around the steps: `compile`, `fit` and `evaluate`, with the data checked before anything is computed."""

from __future__ import annotations

import keras

from kerasvae.models.device_images import device_images_of
from kerasvae.models.images import channel_constants, check_data, pipeline_attribute


class Training:
    """The part of every objective that prepares for training and evaluation, and starts them."""

    def compile(self, optimizer=None, *, steps_per_execution=1, jit_compile="auto", run_eagerly=False):
        """Prepare for `fit`.

        Args:
            optimizer: a Keras optimizer or its name. Default `Adam(1e-3, epsilon=1e-8)`, "Overlooked Implications",
                supplement C.2 (Keras's own epsilon is 1e-7).
            steps_per_execution: training steps in one dispatch, at least 1; same numbers, less overhead. JAX and
                TensorFlow only. Callbacks on batches see one call for each dispatch.
            jit_compile: use XLA: True, False or "auto" (always on JAX, with a GPU on TensorFlow).
            run_eagerly: run step by step in Python, for debugging.

        Raises:
            TypeError: for `loss` or `metrics`: the reconstruction loss is an argument of the model.
        """
        optimizer = keras.optimizers.Adam(1e-3, epsilon=1e-8) if optimizer is None else optimizer
        super().compile(
            optimizer,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            run_eagerly=run_eagerly,
        )
        # Without its variables an optimizer cannot be restored by `load_weights`: Keras would skip it.
        self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, batch_size=None, epochs=1, **kwargs):
        """Train; as `keras.Model.fit`, with the data checked first.

        Args:
            x: batches of images (pairs for the objectives that take them): an array, a `tf.data.Dataset`, a
                `keras.utils.PyDataset`, or a generator of tuples `(images,)`; without targets.
            y: must stay None.
            batch_size, epochs, **kwargs: as for `keras.Model.fit`.

        Raises:
            ValueError: naming the argument, before anything is trained, when the data are empty, do not fit the model,
                hold NaN or infinity (in the first batch of a pipeline), or never end and `steps_per_epoch` is missing.
        """
        check_data(self, (x, y), "x", kwargs.get("steps_per_epoch"), batch_size)
        if kwargs.get("validation_data") is not None:
            check_data(self, kwargs["validation_data"], "validation_data", kwargs.get("validation_steps"))
            self._take_indices_of(kwargs["validation_data"], training=False)
        self._take_indices_of(x, training=True)
        if not self.knows_pixel_constants and (constants := pipeline_attribute(x, "standardization")) is not None:
            self.pixel_mean, self.pixel_std = channel_constants(*constants, self.image_shape[-1])
            self.knows_pixel_constants = True
        if not isinstance(x, dict) and not hasattr(x, "dtype"):
            # Keras can shuffle arrays alone, and warns otherwise.
            kwargs.setdefault("shuffle", False)
        return super().fit(x, batch_size=batch_size, epochs=epochs, **kwargs)

    def evaluate(self, x=None, y=None, batch_size=None, **kwargs):
        """Losses on other data; as `keras.Model.evaluate`, with the data checked as by `fit`."""
        if not kwargs.get("_use_cached_eval_dataset"):  # how `fit` calls it after each epoch, on data it has checked
            check_data(self, (x, y), "x", kwargs.get("steps"), batch_size)
            self._take_indices_of(x, training=False)
        return super().evaluate(x, batch_size=batch_size, **kwargs)

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
