"""The convolutional encoder and decoder of Burgess et al. 2018, which disentangling-vae made common."""

from __future__ import annotations

import functools

import keras
from keras import layers

from kerasvae.checks import check_integer
from kerasvae.networks.arguments import check_image_shape, check_name, glorot_normal
from kerasvae.networks.conv import LEAST_SIDE, cropped, halved, posterior_heads


def burgess_encoder(image_shape, latents: int, *, seed: int | None = None, name: str = "encoder") -> keras.Model:
    """Strided convolutions of 32 channels, two dense layers of 256, and two heads: an image to its posterior.

    Convolutions with 4×4 kernels and stride 2 halve the image until its maps are 4×4: four for 64×64 images, three for
    32×32. Then dense 256 and 256, all ReLU, and two linear heads.

    Args:
        image_shape: (height, width, channels); height and width at least 8, 1 to 16 channels. The paper's are 64×64.
            Other images are halved until the longer side is at most 4: 28×28 gives maps of 14, 7 and 4, where padding
            adds one row or column of zeros more for a side that is odd.
        latents: number of latents, at least 1; mostly 10 in the paper.
        seed: for reproducible initial weights; None draws from Keras's global generator.
        name: of the model.

    Returns:
        A functional `keras.Model` from `image` (batch, height, width, channels) to `{"mean", "logvar"}`, each (batch,
        latents) and float32 under every dtype policy. Weights start Glorot normal, biases 0.

    Raises:
        ValueError: for a shape, number of latents or seed that is not allowed.

    Source: Burgess et al. 2018, "Understanding disentangling in beta-VAE", appendix A, for 64×64 images; with three
    convolutions for 32×32 images in disentangling-vae, whose padding of one pixel on each side ("same", here) the paper
    does not state. The paper's head gives the logarithm of the standard deviation, half of this one's `logvar`.
    disentangling-vae has one dense layer for both heads, their units in turn, and starts from He uniform weights and
    PyTorch's random biases.
    """
    shape = check_image_shape(image_shape, least=LEAST_SIDE)
    latents = check_integer(latents, "latents", 1)
    name = check_name(name)
    weights = glorot_normal(seed)
    image = x = layers.Input(shape, name="image")
    convolution = functools.partial(layers.Conv2D, 32, 4, strides=2, padding="same", activation="relu")
    for number in range(1, _halvings(shape) + 1):
        x = convolution(kernel_initializer=weights(), name=f"{name}_conv_{number}")(x)
    x = layers.Flatten(name=f"{name}_flatten")(x)
    for number in (1, 2):
        x = layers.Dense(256, activation="relu", kernel_initializer=weights(), name=f"{name}_dense_{number}")(x)
    return keras.Model(image, posterior_heads(x, latents, weights, name), name=name)


def burgess_decoder(image_shape, latents: int, *, seed: int | None = None, name: str = "decoder") -> keras.Model:
    """The mirror of `burgess_encoder`: three dense layers and transposed convolutions, from latents to an image.

    Dense 256, 256 and 512, the last as 4×4 maps of 32 channels; transposed convolutions with 4×4 kernels and stride 2,
    of 32 channels and in the end those of the image: four for 64×64 images, three for 32×32. ReLU between, no
    activation at the end.

    Args:
        image_shape: (height, width, channels); height and width at least 8, 1 to 16 channels. The maps have the sizes
            of the encoder's: where doubling gives a row or a column too many, the last is cropped.
        latents: number of latents, at least 1.
        seed: for reproducible initial weights; None draws from Keras's global generator.
        name: of the model.

    Returns:
        A functional `keras.Model` from `latents` (batch, latents) to (batch, height, width, channels), float32 under
        every dtype policy: for `kerasvae.losses.BernoulliNLL` the logits, for losses of pixels the image.

    Raises:
        ValueError: for a shape, number of latents or seed that is not allowed.

    Source: Burgess et al. 2018, appendix A, and disentangling-vae, which ends with the sigmoid that `BernoulliNLL` has
    within itself; see `burgess_encoder`.
    """
    shape = check_image_shape(image_shape, least=LEAST_SIDE)
    latents = check_integer(latents, "latents", 1)
    name = check_name(name)
    weights = glorot_normal(seed)
    *targets, (rows, columns) = halved(shape, _halvings(shape))
    z = x = layers.Input((latents,), name="latents")
    for number, width in enumerate((256, 256, 32 * rows * columns), start=1):
        x = layers.Dense(width, activation="relu", kernel_initializer=weights(), name=f"{name}_dense_{number}")(x)
    x = layers.Reshape((rows, columns, 32), name=f"{name}_reshape")(x)
    upconvolution = functools.partial(layers.Conv2DTranspose, kernel_size=4, strides=2, padding="same")
    for number in range(1, len(targets)):
        x = upconvolution(32, activation="relu", kernel_initializer=weights(), name=f"{name}_upconv_{number}")(x)
        x = cropped(x, targets[-number], f"{name}_crop_{number}")
    reconstruction = upconvolution(
        shape[2], kernel_initializer=weights(), dtype="float32", name=f"{name}_reconstruction"
    )(x)
    reconstruction = cropped(reconstruction, targets[0], f"{name}_reconstruction_crop", dtype="float32")
    return keras.Model(z, reconstruction, name=name)


def _halvings(shape) -> int:
    """How many halvings bring the longer side to 4 or less."""
    count = 0
    while max(halved(shape, count)[-1]) > 4:
        count += 1
    return count
