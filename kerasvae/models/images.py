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
    if len(known) != 4 and dtype == "int32":
        raise ValueError(
            f"{argument} must be {allowed}; got indices, int32 of shape {tuple(known)}: give the pipeline with "
            "on_device=True itself, not what take, map or others make of it"
        )
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


def scale_warning(images, argument: str) -> str | None:
    """What to say of images (NumPy, not empty) whose values hint at another scale than their dtype stands for."""
    low, high = float(images.min()), float(images.max())
    if images.dtype == np.uint8:
        if high != 1.0:
            return None
        return (
            f"{argument}: uint8 images are taken for pixels 0..255, but these hold 0 and 1 alone, nearly black to the "
            f"model: multiply them by 255"
        )
    # Standardised images have a mean near 0, and seldom more than 20 standard deviations.
    if (low < 0.0 or high <= 32.0) and max(-low, high) <= 100.0:
        return None
    return (
        f"{argument}: floating images are taken to be standardised (or in 0..1), but the values of these go from "
        f"{low:g} to {high:g}: if they are pixels 0..255 give them as uint8, which the model standardises, or divide "
        "by 255"
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
    """`pixel_mean` and `pixel_std` as tuples, one number per channel; ValueError unless finite, and std positive."""
    constants = []
    for argument, value, default in (("pixel_mean", mean, 0.0), ("pixel_std", std, 1.0)):
        array = np.asarray(default if value is None else value, "float64")
        array = np.broadcast_to(array, (channels,)) if array.shape in ((), (1,)) else array
        if array.shape != (channels,) or not np.isfinite(array).all():
            raise ValueError(f"{argument} must hold one finite number per channel ({channels}), got {value!r}")
        constants.append(tuple(float(number) for number in array))
    if min(constants[1]) <= 0:
        raise ValueError(f"pixel_std must be greater than 0 in every channel, got {std!r}")
    return constants[0], constants[1]


def constants_of(data):
    """Channel constants (mean, std) of a data set, one of its pipelines, or uint8 images; ValueError for others."""
    if hasattr(data, "dtype") and "uint8" in str(data.dtype) and len(data.shape) == 4 and len(data):
        images = ops.convert_to_numpy(data)
        mean, std = images.mean(axis=(0, 1, 2)) / 255.0, images.std(axis=(0, 1, 2)) / 255.0
        return mean, np.where(std > 0.0, std, 1.0)
    if hasattr(data, "mean") and hasattr(data, "std") and hasattr(data, "factor_names"):
        return data.mean, data.std
    if getattr(data, "standardization", None) is not None:
        return data.standardization
    raise ValueError(
        "data must be a data set of kerasvae.datasets, one of its pipelines, or uint8 images (n, height, width, "
        f"channels), got {type(data).__name__}"
    )
