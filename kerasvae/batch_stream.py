"""Batches by step as a `keras.utils.PyDataset`: pipelines without TensorFlow."""

from __future__ import annotations

import keras


class BatchStream(keras.utils.PyDataset):
    """The batches of a function of the step, from `start` up to `steps`, or for ever.

    Args:
        batch: function from a step to a batch.
        start: first step.
        steps: step before which it ends, or None.

    `len` is the number of batches, and `stream[i]` the batch of step `start + i`.
    """

    def __init__(self, batch, start: int, steps: int | None):
        super().__init__()
        self.batch, self.start, self.steps = batch, start, steps

    @property
    def num_batches(self) -> int | None:
        return None if self.steps is None else self.steps - self.start

    def __len__(self) -> int:
        if self.steps is None:
            raise TypeError("an endless stream has no length: give `steps` to the pipeline")
        return self.steps - self.start

    def __getitem__(self, index: int):
        return self.batch(self.start + index)
