"""What `fit`, `evaluate`, `predict` and `encode` may be given: checked before anything is computed."""

from __future__ import annotations

import itertools
import math

import keras
import numpy as np
from keras import ops

from kerasvae.batch_stream import BatchStream
from kerasvae.models.images import check_finite, check_images, scale_warning, standardize
from kerasvae.models.reconstruction import predicts_probabilities, target_range

_KINDS = (
    "an array of images (pairs: a dictionary of two), a pipeline of kerasvae.datasets, a tf.data.Dataset, a "
    "keras.utils.PyDataset or a generator of tuples (images,)"
)


def check_kind(data, argument: str) -> None:
    """ValueError naming `argument` unless `data` is of a kind that batches of images can come from."""
    if isinstance(data, tuple) and len(data) == 1:
        data = data[0]
    if data is None:
        raise ValueError(f"{argument} must be given: {_KINDS}")
    if hasattr(data, "factor_names") and hasattr(data, "images"):
        raise ValueError(
            f"{argument} must be batches, got the data set {data!r}: give kerasvae.datasets.images({argument}, "
            "batch_size=64, steps=1000), or pairs(...) to AdaGVAE"
        )
    if hasattr(data, "dtype") and hasattr(data, "shape"):
        return
    if isinstance(data, dict):
        for key, part in data.items():
            if not (hasattr(part, "dtype") and hasattr(part, "shape")):
                raise ValueError(f"{argument}[{key!r}] must be an array, got {type(part).__name__}")
        return
    sequence = isinstance(data, str | bytes | list | tuple)
    kinds = ("element_spec", "num_batches", "batch_sampler", "__getitem__", "__next__")
    if sequence or not any(hasattr(data, name) for name in kinds):
        raise ValueError(f"{argument} must be {_KINDS}; got {type(data).__name__}: {_shortened(data)}")


def _shortened(value) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def check_no_weights(**arguments) -> None:
    """ValueError naming the first argument that is not None: an objective has no use for it."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(
                f"{name} must be None: a VAE learns from images alone, each of which counts the same; to have some "
                "count more, repeat them in the data"
            )


def is_pipeline(data) -> bool:
    """Whether it is a tf.data.Dataset or a PyDataset, whose batches can be drawn again and again."""
    return hasattr(data, "element_spec") or (hasattr(data, "num_batches") and hasattr(data, "__getitem__"))


def is_endless(data) -> bool:
    """Whether a pipeline says that it never ends."""
    if hasattr(data, "element_spec"):
        return int(data.cardinality()) == -1
    return hasattr(data, "num_batches") and data.num_batches is None


def batches_of(data):
    """The batches of a pipeline, one after the other, without targets."""
    if hasattr(data, "element_spec"):
        batches = data
    else:
        numbers = itertools.count() if data.num_batches is None else range(data.num_batches)
        batches = (data[number] for number in numbers)
    for batch in batches:
        yield keras.utils.unpack_x_y_sample_weight(batch)[0]


def first_batch(data, argument: str):
    """The first batch of a tf.data.Dataset, PyDataset or array, or None where looking would consume it.

    Raises:
        ValueError: naming `argument` when there is none, or when the halves of pairs differ in number.
    """
    if isinstance(data, dict) or hasattr(data, "dtype"):
        _check_lengths(data, argument)
        return data
    if not is_pipeline(data):
        return None
    if hasattr(data, "element_spec"):
        batch = next(iter(data), None)
    else:
        batch = data[0] if data.num_batches != 0 else None
    if batch is None:
        raise ValueError(f"{argument} is empty: it must hold at least one batch of images")
    return batch


def _check_lengths(batch, argument):
    parts = batch if isinstance(batch, dict) else {None: batch}
    lengths = {key: len(part) for key, part in parts.items() if len(getattr(part, "shape", ())) > 0}
    if not lengths or min(lengths.values()) == 0:
        raise ValueError(f"{argument} is empty: it must hold at least one image")
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{argument}[{key!r}] {length}" for key, length in lengths.items())
        raise ValueError(f"{argument} must hold as many first as second images, got {given}")


def check_data(model, data, argument: str, steps: int | None, batch_size: int | None = None):
    """Check what is given to `fit` or `evaluate` before anything is computed, and warn of what looks wrong.

    Args:
        model: the model; its `gather_images` says what a batch must be.
        data: array, dictionary of arrays, pipeline, or a tuple of one of these and targets (which are refused).
        argument: what the caller calls the data, for the error.
        steps: number of batches that will be drawn, or None.
        batch_size: images in a batch of an array, or None for Keras's 32.

    Returns:
        The first batch (the whole of an array), as images, or None where looking would consume it.

    Raises:
        ValueError: naming `argument`, when the data are empty, do not fit the model, hold NaN or infinity (in the first
            batch of a pipeline), or never end and `steps` is None.
    """
    data = model.unpack(data)
    check_kind(data, argument)
    if steps is None and is_endless(data):
        raise ValueError(
            f"{argument} never ends: give steps to the pipeline, or say how many (steps_per_epoch to fit, steps to "
            "evaluate, validation_steps)"
        )
    batch = first_batch(data, argument)
    if batch is None:
        return None
    batch = model.unpack(batch)
    _check_lengths(batch, argument)
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
    rendered = getattr(data, "rendered_from", None)
    if rendered is not None:
        # A batch of indices: what stands for them here are the images of the first.
        images = rendered.images(np.zeros(1, "int64"))
        batch = {**batch, "first": images, "second": images} if isinstance(batch, dict) else images
    if isinstance(batch, dict) == (model.images_per_example == 2):
        # Otherwise `gather_images` says what is wanted.
        for key, part in batch.items() if isinstance(batch, dict) else [(None, batch)]:
            if key in (None, "first", "second"):
                check_images(part, model.image_shape, argument if key is None else f"{argument}[{key!r}]")
    for part in batch.values() if isinstance(batch, dict) else [batch]:
        check_finite(part, argument)
    model.gather_images({key: part[:1] for key, part in batch.items()} if isinstance(batch, dict) else batch[:1])
    warn_of_images(model, batch, argument, getattr(data, "standardization", None))
    return batch


def in_seeded_order(arrays, batch_size: int, seed: int, start: int):
    """Arrays as endless batches, each epoch in an order that seed and step determine.

    Args:
        arrays: images, or a dictionary of arrays of the same length.
        batch_size: images in a batch; the last of an epoch may hold fewer.
        seed, start: the model's seed and step.

    Returns:
        A `BatchStream` and the number of batches in an epoch.
    """
    arrays = keras.tree.map_structure(ops.convert_to_numpy, arrays)
    images = len(next(iter(arrays.values())) if isinstance(arrays, dict) else arrays)
    batches, orders = math.ceil(images / batch_size), {}

    def batch(step):
        epoch, number = divmod(step - start, batches)
        if epoch not in orders:
            orders.clear()
            # By the step it begins at: a model that was saved after an epoch goes on as if it had not been.
            orders[epoch] = np.random.default_rng([seed, start + epoch * batches]).permutation(images)
        chosen = orders[epoch][number * batch_size : (number + 1) * batch_size]
        return keras.tree.map_structure(lambda array: array[chosen], arrays)

    return BatchStream(batch, start, None), batches


def looks_standardised(batch) -> bool:
    """Whether images, or the first of pairs, are floating and outside 0..1; False for None."""
    part = next(iter(batch.values())) if isinstance(batch, dict) else batch
    if part is None or "float" not in str(part.dtype):
        return False
    sample = ops.convert_to_numpy(part[:256])
    return bool(sample.min() < 0.0 or sample.max() > 1.0)


def warn_of_images(model, batch, argument: str, constants=None) -> None:
    """Warn, once per model and kind, of images that the model is given on another scale than it or its loss takes.

    Args:
        model: the model.
        batch: images, or a dictionary of pairs.
        argument: what the caller calls them.
        constants: of the pipeline, as `(mean, std)`, where the batch is one of its own; None for others.
    """
    images = ops.convert_to_numpy((batch["first"] if isinstance(batch, dict) else batch)[:256])
    if images.size == 0:
        return
    if constants is None and (message := scale_warning(images, argument)):
        model.warn_once("scale", message)
    if images.dtype == np.uint8 and constants is None and model.lacks_constants:
        model.warn_once(
            "unknown constants",
            f"{argument}: the model was trained on floating images outside 0..1, standardised by constants that it "
            "does not know, so it takes these uint8 images for others than it has seen: call model.adapt(data), or "
            "make the model with pixel_mean and pixel_std",
        )
    known = (model.pixel_mean, model.pixel_std)
    if constants is not None and model.knows_pixel_constants and not np.allclose(constants, known, atol=1e-6):
        model.warn_once(
            "constants",
            f"{argument} standardises images with mean {_rounded(constants[0])} and std {_rounded(constants[1])}, but "
            f"the model's pixel_mean is {_rounded(known[0])} and its pixel_std {_rounded(known[1])}, with which it "
            "takes uint8 images: make the model with the constants of its data, or give standardize=False to the "
            "pipeline of a model without them",
        )
    images = ops.convert_to_numpy(standardize(images, *(known if constants is None else constants)))
    lowest, highest = target_range(model.reconstruction)
    if images.min() < lowest - 1e-3 or images.max() > highest + 1e-3:
        name = type(model.reconstruction).__name__
        allowed = f"in {lowest:g}..{highest:g}" if math.isfinite(highest) else f"at least {lowest:g}"
        model.warn_once(
            "targets",
            f"reconstruction: {name} is made for images {allowed}, but those of {argument} go from {images.min():.3g} "
            f"to {images.max():.3g} as the model takes them: give standardize=False to the pipeline (uint8 images: "
            "make the model without pixel_mean and pixel_std), with BernoulliNLL as the loss for images in 0..1, or "
            "take another loss",
        )


def warn_of_decoder(model) -> None:
    """Warn, once per model, of a decoder whose outputs are no probabilities though the loss takes them for such."""
    if predicts_probabilities(model.reconstruction):
        codes = np.random.default_rng(0).standard_normal((8, model.latents)).astype("float32")
        predicted = model.run_network(model.decoder, codes)
        if predicted.min() < 0.0 or predicted.max() > 1.0:
            name = type(model.reconstruction).__name__
            model.warn_once(
                "probabilities",
                f"reconstruction: {name} takes the decoder's outputs for probabilities, but they go from "
                f"{predicted.min():.3g} to {predicted.max():.3g}: take {name}(from_logits=True) or BernoulliNLL(), or "
                "a decoder that ends in a sigmoid",
            )


def _rounded(values) -> list[float]:
    return [round(float(value), 4) for value in values]
