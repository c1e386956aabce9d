"""Images made or looked up within the step, from the indices that a pipeline with `on_device=True` yields."""

from __future__ import annotations

import contextlib

import keras
from keras import ops

from kerasvae.models.images import standardize


class DeviceImages:
    """A data set's images on the device that the model trains on.

    Args:
        data: a data set with `device_table()` and `device_images(indices, table, draws)`.
        mean, std: channel constants that standardise its images.

    The table is an attribute that Keras does not track, so that no checkpoint holds it, and a tensor, so that
    TensorFlow's compiled step refers to it; JAX's takes it as an argument (`holding`), as what a JAX program refers to
    it contains.
    """

    def __init__(self, data, mean, std):
        self.data, self.mean, self.std = data, mean, std
        table = data.device_table()
        self.table = None if table is None else keras.tree.map_structure(ops.convert_to_tensor, table)

    def __call__(self, x):
        """The standardised images of a batch of indices, or of a dictionary of such batches."""
        if not isinstance(x, dict):
            return self._images(x)
        # Both images of the pairs at once: half as much to compile.
        first, second = ops.split(self._images(ops.concatenate([x["first"], x["second"]])), 2)
        return {**x, "first": first, "second": second}

    def _images(self, rows):
        if len(rows.shape) > 2:
            return rows  # images after all, as `train_on_batch` may be given
        indices, draws = (rows, None) if len(rows.shape) == 1 else (rows[:, 0], rows[:, 1])
        return standardize(self.data.device_images(indices, self.table, draws), self.mean, self.std)

    @contextlib.contextmanager
    def holding(self, table):
        """With another tensor, such as a tracer, in the table's place."""
        before, self.table = self.table, table
        try:
            yield
        finally:
            self.table = before


def device_images_of(pipeline, known):
    """The `DeviceImages` of what `fit` or `evaluate` are given: None for images, one of `known` for the same data."""
    data = getattr(pipeline, "rendered_from", None)
    if data is None:
        return None
    for each in known:
        if each is not None and each.data is data and (each.mean, each.std) == pipeline.standardization:
            return each
    return DeviceImages(data, *pipeline.standardization)
