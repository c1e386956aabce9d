"""What a model accepts as images: one rule for `fit`, `evaluate` and `encode`.

uint8 images are raw, 0..255, and are standardised with the model's channel constants; floating images are taken to be
standardised already.
"""

from __future__ import annotations

import numpy as np
from keras import ops


def check_images(images, image_shape, argument: str) -> None:
    """ValueError naming `argument` unless `images` (array, tensor or spec) is a batch of images of `image_shape`."""
    shape = getattr(images, "shape", None)
    dtype = getattr(images, "dtype", None)
    allowed = f"a batch of images (batch, {', '.join(map(str, image_shape))}), uint8 0..255 or standardised floating"
    if shape is None or dtype is None:
        raise ValueError(f"{argument} must be {allowed}; got {type(images).__name__}")
    dtype = getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")
    known = [None] * 4 if getattr(shape, "rank", 4) is None else list(shape)
    if len(known) != 4 or any(a is not None and a != b for a, b in zip(known[1:], image_shape, strict=True)):
        raise ValueError(f"{argument} must be {allowed}; got shape {tuple(known)}")
    if dtype != "uint8" and "float" not in dtype:
        raise ValueError(f"{argument} must be {allowed}; got dtype {dtype}")


def check_finite(images, argument: str) -> None:
    """ValueError naming `argument` if a floating array holds NaN or infinity, with the first such image."""
    images = ops.convert_to_numpy(images)
    if "float" not in images.dtype.name:
        return
    bad = ~np.isfinite(images).all(axis=tuple(range(1, images.ndim)))
    if bad.any():
        raise ValueError(
            f"{argument} must be finite: {int(bad.sum())} of {len(images)} images hold NaN or infinity, "
            f"the first at index {int(np.argmax(bad))}"
        )


def standardize(images, mean, std):
    """uint8 (batch, height, width, channels) to float32 (images/255 - mean)/std, as a tensor; floating as float32."""
    if "uint8" not in str(images.dtype):
        return ops.cast(images, "float32")
    center, scale = center_and_scale(mean, std)
    return ops.multiply(ops.subtract(ops.cast(images, "float32"), center), scale)


def center_and_scale(mean, std) -> tuple[np.ndarray, np.ndarray]:
    """float32 per-channel numbers with (pixel/255 - mean)/std = (pixel - center)·scale.

    In this order no compiler can merge the two operations, which would round differently: every backend, and every
    pipeline of `kerasvae.datasets`, gives the same bits.
    """
    mean, std = np.asarray(mean, "float64"), np.asarray(std, "float64")
    return (255.0 * mean).astype("float32"), (1.0 / (255.0 * std)).astype("float32")


def channel_constants(mean, std, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """`pixel_mean` and `pixel_std` as tuples, one number a channel; ValueError unless finite, and std positive."""
    constants = []
    for argument, value, default in (("pixel_mean", mean, 0.0), ("pixel_std", std, 1.0)):
        array = np.asarray(default if value is None else value, "float64")
        array = np.broadcast_to(array, (channels,)) if array.shape in ((), (1,)) else array
        if array.shape != (channels,) or not np.isfinite(array).all():
            raise ValueError(f"{argument} must hold one finite number a channel ({channels}), got {value!r}")
        constants.append(tuple(float(number) for number in array))
    if min(constants[1]) <= 0:
        raise ValueError(f"pixel_std must be greater than 0 in every channel, got {std!r}")
    return constants[0], constants[1]


def first_batch(data, argument: str):
    """The first batch of a tf.data.Dataset, PyDataset or array, or None where looking would consume it.

    Raises:
        ValueError: naming `argument` when there is none, or when the data never end and `fit` was not told when to.
    """
    if isinstance(data, dict) or hasattr(data, "dtype"):
        lengths = [len(part) for part in (data.values() if isinstance(data, dict) else [data])]
        if not lengths or min(lengths) == 0:
            raise ValueError(f"{argument} is empty: it must hold at least one image")
        return data
    if hasattr(data, "element_spec"):
        batch = next(iter(data), None)
    elif hasattr(data, "__getitem__") and hasattr(data, "num_batches"):
        batch = data[0] if data.num_batches != 0 else None
    else:
        return None
    if batch is None:
        raise ValueError(f"{argument} is empty: it must hold at least one batch of images")
    return batch


def pipeline_attribute(data, name: str):
    """What a pipeline of `kerasvae.datasets` carries under a name, also after `take`, `map` or `prefetch`, or None."""
    waiting = [data]
    while waiting:
        dataset = waiting.pop()
        found = getattr(dataset, name, None)
        if found is not None:
            return found
        waiting.extend(dataset._inputs() if hasattr(dataset, "_inputs") else ())
    return None


def check_data(model, data, argument: str, steps: int | None, batch_size: int | None = None) -> None:
    """Check what is given to `fit` or `evaluate` before anything is computed.

    Args:
        model: the model; its `gather_images` says what a batch must be.
        data: array, dictionary of arrays, pipeline, or a tuple of one of these and targets (which are refused).
        argument: what the caller calls the data, for the error.
        steps: number of batches that will be drawn, or None.
        batch_size: images a batch of an array will hold, or None for Keras's 32.

    Raises:
        ValueError: naming `argument`, when the data are empty, do not fit the model, hold NaN or infinity (in the first
            batch of a pipeline), or never end and `steps` is None.
    """
    data = model.unpack(data)
    endless = (
        int(data.cardinality()) == -1
        if hasattr(data, "element_spec")
        else hasattr(data, "num_batches") and data.num_batches is None
    )
    if steps is None and endless:
        raise ValueError(
            f"{argument} never ends: give steps to the pipeline, or say how many (steps_per_epoch to fit, steps to "
            "evaluate, validation_steps)"
        )
    batch = first_batch(data, argument)
    if batch is None:
        return
    batch = model.unpack(batch)
    count = len(next(iter(batch.values())) if isinstance(batch, dict) else batch)
    if batch is data:
        full = 32 if batch_size is None else batch_size
        sizes = {min(count, full), count % full or min(count, full)}
    else:
        sizes = {count}
    least, most = model.batch_limits()
    if min(sizes) < least or max(sizes) > most:
        raise ValueError(
            f"{argument}: a batch must hold at least {least} images"
            + (f" and at most {most}" if most < 2**31 else "")
            + f" for {type(model).__name__}, the batches hold {' and '.join(map(str, sorted(sizes)))}"
        )
    rendered = pipeline_attribute(data, "rendered_from")
    if rendered is not None:
        # A batch of indices: what stands for them here are the images of the first.
        images = rendered.images(np.zeros(1, "int64"))
        batch = {**batch, "first": images, "second": images} if isinstance(batch, dict) else images
    for part in batch.values() if isinstance(batch, dict) else [batch]:
        check_finite(part, argument)
    model.gather_images({key: part[:1] for key, part in batch.items()} if isinstance(batch, dict) else batch[:1])
