"""tf.data pipelines over ground-truth data sets, in an order that is a function of (seed, step)."""

from __future__ import annotations

import numbers

import numpy as np

from kerasvae.datasets.sampling import batch_indices, check_changed, pair_factors


def images(data, batch_size: int, steps: int | None = None, seed: int = 1, *, start: int = 0, standardize: bool = True):
    """Batches of images, shuffled, as a `tf.data.Dataset` of float32 (batch_size, height, width, channels).

    Args:
        data: a ground-truth data set.
        batch_size: images a batch, at least 1; it may exceed the data set. Every batch is full.
        steps: number of batches counted from step 0; None for an endless pipeline (`fit` then needs `steps_per_epoch`).
        seed: of the order, an integer, at least 0.
        start: first step: `start=int(model.step)` goes on where a saved model stopped, with what an uninterrupted run
            would have seen from there.
        standardize: (image/255 - mean)/std with the data set's constants; False for image/255 (for `BernoulliNLL`).

    Returns:
        A `tf.data.Dataset`, prefetched. `fit` learns the constants from it, so that `encode` takes raw images.

    Raises:
        ValueError: for data that are empty, or a batch_size, steps, seed or start not allowed.
    """

    def batch(step):
        return data.images(batch_indices(len(data), batch_size, seed, step))

    return _pipeline(data, batch, ("image",), batch_size, steps, seed, start, standardize)


def pairs(
    data,
    batch_size: int,
    steps: int | None = None,
    seed: int = 1,
    changed="uniform",
    *,
    start: int = 0,
    standardize: bool = True,
):
    """Batches of pairs of images that differ in some factors: a `tf.data.Dataset` of `{"first", "second"}`.

    Args:
        data, batch_size, steps, seed, start, standardize: as for `images`; batch_size counts pairs.
        changed: "uniform" (default): k of the F factors differ, k uniform in 1..F; an integer k: exactly k differ; or
            "authors": what the code behind "Overlooked Implications" drew, see `sampling.pair_factors`.

    Returns:
        A `tf.data.Dataset` of dictionaries of two float32 (batch_size, height, width, channels).

    Raises:
        ValueError: as for `images`, and for another `changed`.
    """
    check_changed(data, changed)

    def batch(step):
        factors = pair_factors(data, batch_size, seed, step, changed)
        return np.concatenate([data.render(part) for part in factors])

    return _pipeline(data, batch, ("first", "second"), batch_size, steps, seed, start, standardize)


def _pipeline(data, batch, keys, batch_size, steps, seed, start, standardize):
    for argument, value, least in (
        ("batch_size", batch_size, 1),
        ("steps", 1 if steps is None else steps, 1),
        ("seed", seed, 0),
        ("start", start, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
            raise ValueError(f"{argument} must be an integer, at least {least}, got {value!r}")
    if len(data) == 0:
        raise ValueError(f"data must hold at least one image, got {data!r}")
    if steps is not None and start >= steps:
        raise ValueError(f"start must be below steps ({steps}), got {start}")
    import tensorflow as tf

    shape = height, width, channels = data.image_shape
    mean, std = (data.mean, data.std) if standardize else (np.zeros(channels), np.ones(channels))
    # One number for each value of an image's row: a last axis of 1 to 4 channels is too short to be vectorised.
    scale, offset = (np.tile(constants.astype("float32"), width) for constants in (1.0 / (255.0 * std), -mean / std))

    def load(step):
        raw = tf.numpy_function(lambda step: batch(int(step)), [step], tf.uint8, stateful=False)
        raw = tf.ensure_shape(raw, (len(keys) * batch_size, *shape))
        rows = tf.reshape(raw, (len(keys) * batch_size, height, width * channels))
        standardized = tf.reshape(tf.cast(rows, tf.float32) * scale + offset, (len(keys) * batch_size, *shape))
        if len(keys) == 1:
            return standardized
        return dict(zip(keys, tf.split(standardized, len(keys)), strict=True))

    dataset = tf.data.Dataset.range(start, tf.int64.max if steps is None else steps).map(load)
    if steps is None:
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))
    # Nothing here is left to tune, and an iterator that is closed waits for the tuner to wake, a second and more.
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = dataset.prefetch(2).with_options(options)
    # `fit` reads the constants here, also after take, map or prefetch.
    dataset.standardization = (tuple(map(float, mean)), tuple(map(float, std)))
    return dataset
