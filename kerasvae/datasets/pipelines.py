"""Pipelines over ground-truth data sets, in an order that is a function of (seed, step).

Each is a `tf.data.Dataset` or, where TensorFlow is not installed, a `keras.utils.PyDataset`, with the same batches.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kerasvae.batch_stream import BatchStream
from kerasvae.checks import check_integer
from kerasvae.datasets.ground_truth import GroundTruthData, check_data_set
from kerasvae.datasets.sampling import batch_indices, check_changed, pair_indices
from kerasvae.extras import require


def images(
    data,
    batch_size: int,
    steps: int | None = None,
    seed: int = 1,
    *,
    start: int = 0,
    standardize: bool = True,
    on_device: bool = False,
    form: str | None = None,
):
    """Batches of images, shuffled: float32 (batch_size, height, width, channels).

    Args:
        data: a ground-truth data set.
        batch_size: images a batch, at least 1; it may exceed the data set. Every batch is full.
        steps: number of batches counted from step 0; None for an endless pipeline (`fit` then needs `steps_per_epoch`).
        seed: of the order, an integer, at least 0.
        start: first step: `start=int(model.step)` goes on where a saved model stopped, with what an uninterrupted run
            would have seen from there.
        standardize: (image/255 - mean)/std with the data set's constants; False for image/255 (for `BernoulliNLL`).
        on_device: the batches hold indices, int32 (batch_size,), and the model renders the images, or looks them up in
            a table, within its step on the device that it trains on. `fit` and `evaluate` see to it; the results are
            the same.
        form: "tf.data", "pydataset" (`keras.utils.PyDataset`, for JAX and Torch without TensorFlow), or None
            (default): tf.data where TensorFlow is installed.

    Returns:
        A `tf.data.Dataset`, prefetched, or a `keras.utils.PyDataset`. `fit` learns the constants from it, so that
        `encode` takes raw images.

    Raises:
        ValueError: for data that are empty, or an argument that is not allowed.
    """
    check_data_set(data)

    def indices(step):
        return (batch_indices(len(data), batch_size, seed, step),)

    return _pipeline(
        data, _Batches(data, indices, ("image",), batch_size), steps, seed, start, standardize, on_device, form
    )


def pairs(
    data,
    batch_size: int,
    steps: int | None = None,
    seed: int = 1,
    changed="uniform",
    *,
    radius: int | None = None,
    start: int = 0,
    standardize: bool = True,
    on_device: bool = False,
    form: str | None = None,
):
    """Batches of pairs of images that differ in some factors: dictionaries `{"first", "second"}`.

    Args:
        data, batch_size, steps, seed, start, standardize, on_device, form: as for `images`; batch_size counts pairs.
        changed: "uniform" (default): k of the F factors differ, k uniform in 1..F; an integer k: exactly k differ; a
            tuple (least, most): k uniform between them; "authors": what the code behind "Overlooked Implications" drew;
            or "random": any two images. See `sampling.pair_factors`; `differing_factors` reports what they amount to.
        radius: the most steps by which a changed factor moves along its values; None (default) for any.

    Returns:
        As `images`, of dictionaries of two float32 (batch_size, height, width, channels).

    Raises:
        ValueError: as for `images`, and for data without a complete grid unless changed="random".
    """
    check_data_set(data)
    check_changed(data, changed, radius)

    def indices(step):
        return pair_indices(data, batch_size, seed, step, changed, radius)

    batches = _Batches(data, indices, ("first", "second"), batch_size)
    return _pipeline(data, batches, steps, seed, start, standardize, on_device, form)


def labelled(
    data,
    batch_size: int,
    steps: int | None = None,
    seed: int = 1,
    *,
    start: int = 0,
    standardize: bool = True,
    form: str | None = None,
):
    """Batches of images with their factors, to train classifiers: tuples (images, factors).

    Args:
        data, batch_size, steps, seed, start, standardize, form: as for `images`; the data must have factors.

    Returns:
        As `images`, of tuples of float32 (batch_size, height, width, channels) and int32 (batch_size, F).

    Raises:
        ValueError: as for `images`, and for data without factors.
    """
    check_data_set(data)
    if len(data.factor_names) == 0:
        raise ValueError(f"data must have factors to be labelled, got {data!r}")

    def indices(step):
        return (batch_indices(len(data), batch_size, seed, step),)

    batches = _Batches(data, indices, ("image",), batch_size, labels=True)
    return _pipeline(data, batches, steps, seed, start, standardize, False, form)


class _Batches(NamedTuple):
    """The batches of a pipeline by step, before standardisation."""

    data: object
    indices: Callable
    keys: tuple[str, ...]
    batch_size: int
    labels: bool = False

    def index_batch(self, step) -> np.ndarray:
        """int32 (keys · batch_size,), or (keys · batch_size, 2) with the draws of random parts."""
        indices = np.concatenate(self.indices(step))
        if not self.data.random:
            return indices.astype("int32")
        return np.stack([indices, self.draws(step)], axis=1).astype("int32")

    def draws(self, step) -> np.ndarray:
        """A number of its own for each image that is ever drawn; the images of a key lie together."""
        numbers = np.arange(step * self.batch_size, (step + 1) * self.batch_size) * len(self.keys)
        # A hash of 32 bits makes the random parts of them.
        return (np.concatenate([numbers + key for key in range(len(self.keys))])) % 2**31

    def image_batch(self, step) -> tuple[np.ndarray, ...]:
        """uint8 (keys · batch_size, height, width, channels), and int32 (batch_size, F) where there are labels."""
        indices = np.concatenate(self.indices(step))
        images = self.data.images(indices, self.draws(step)) if self.data.random else self.data.images(indices)
        return (images, self.data.factors(indices).astype("int32")) if self.labels else (images,)

    def split(self, stacked, split):
        """What a step yields from the images of all keys, one after the other."""
        return stacked if len(self.keys) == 1 else dict(zip(self.keys, split(stacked, len(self.keys)), strict=True))


def _pipeline(data, batches, steps, seed, start, standardize, on_device, form):
    for argument, value, least in (
        ("batch_size", batches.batch_size, 1),
        ("steps", 1 if steps is None else steps, 1),
        ("seed", seed, 0),
        ("start", start, 0),
    ):
        check_integer(value, argument, least)
    if len(data) == 0:
        raise ValueError(f"data must hold at least one image, got {data!r}")
    if steps is not None and start >= steps:
        raise ValueError(f"start must be below steps ({steps}), got {start}")
    if form not in (None, "tf.data", "pydataset"):
        raise ValueError(f'form must be "tf.data", "pydataset" or None, got {form!r}')
    if on_device and len(data) >= 2**31:
        raise ValueError(f"on_device must be False for more than 2147483647 images, got {data!r}")
    if on_device and data.random and type(data).device_images is GroundTruthData.device_images:
        raise ValueError(f"on_device must be False for data with random parts and no `device_images`, got {data!r}")
    channels = data.image_shape[-1]
    mean, std = (data.mean, data.std) if standardize else (np.zeros(channels), np.ones(channels))
    if form is None:
        form = "tf.data" if importlib.util.find_spec("tensorflow") else "pydataset"
    build = _tf_data if form == "tf.data" else _py_dataset
    pipeline = build(batches, steps, start, mean, std, on_device)
    # `fit` reads these here, also after take, map or prefetch.
    pipeline.standardization = (tuple(map(float, mean)), tuple(map(float, std)))
    pipeline.rendered_from = data if on_device else None
    return pipeline


def _row_constants(mean, std, width):
    """Center and scale: one number for each value of an image's row, as 1 to 4 channels are too few to be vectorised.

    The order, (pixel - center)·scale, is one that no compiler can merge, so that every backend gives the same bits.
    """
    return (np.tile(constants.astype("float32"), width) for constants in (255.0 * mean, 1.0 / (255.0 * std)))


def _py_dataset(batches, steps, start, mean, std, on_device):
    height, width, channels = batches.data.image_shape
    center, scale = _row_constants(mean, std, width)

    def batch(step):
        if on_device:
            return batches.split(batches.index_batch(step), np.split)
        raw, *labels = batches.image_batch(step)
        standardized = raw.reshape(len(raw), height, width * channels).astype("float32")
        standardized -= center
        standardized *= scale
        split = batches.split(standardized.reshape(raw.shape), np.split)
        return (split, *labels) if labels else split

    return BatchStream(batch, start, steps)


def _tf_data(batches, steps, start, mean, std, on_device):
    require('form "tf.data" (unlike "pydataset")', ["tensorflow"])
    import tensorflow as tf

    shape = height, width, channels = batches.data.image_shape
    count = len(batches.keys) * batches.batch_size
    center, scale = _row_constants(mean, std, width)

    def load(step):
        if on_device:
            index = tf.numpy_function(lambda step: batches.index_batch(int(step)), [step], tf.int32, stateful=False)
            return batches.split(tf.ensure_shape(index, (count, 2) if batches.data.random else (count,)), tf.split)
        types = [tf.uint8, tf.int32] if batches.labels else [tf.uint8]
        raw, *labels = tf.numpy_function(lambda step: batches.image_batch(int(step)), [step], types, stateful=False)
        rows = tf.cast(tf.reshape(raw, (count, height, width * channels)), tf.float32)
        split = batches.split(tf.reshape((rows - center) * scale, (count, *shape)), tf.split)
        return (split, tf.ensure_shape(labels[0], (count, len(batches.data.factor_names)))) if labels else split

    dataset = tf.data.Dataset.range(start, tf.int64.max if steps is None else steps).map(load)
    if steps is None:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    # Nothing here is left to tune, and an iterator that is closed waits for the tuner to wake, a second and more.
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(2).with_options(options)
