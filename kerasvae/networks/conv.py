"""The convolutional encoder and decoder of "Overlooked Implications", supplement Table 3."""

from __future__ import annotations

import keras
from keras import layers

from kerasvae.checks import check_choice, check_integer
from kerasvae.networks.arguments import check_image_shape, check_name, glorot_normal

LEAST_SIDE = 8


def conv_encoder(
    image_shape, latents: int, *, padding: str = "same", seed: int | None = None, name: str = "encoder"
) -> keras.Model:
    """Four strided convolutions, a dense layer, and two heads: an image to its posterior's `mean` and `logvar`.

    Convolutions 32, 32, 64, 64 with 4×4 kernels and stride 2, dense 256, all ReLU; then two linear heads.

    Args:
        image_shape: (height, width, channels); height and width at least 8, 1 to 16 channels. The paper's are 64×64
            with 1 or 3. Where a side is odd, padding adds one row or column of zeros more: 28×28 images give maps of
            14, 7, 4 and 2.
        latents: number of latents, at least 1.
        padding: "same" (maps of 32, 16, 8, 4 for 64×64 images, as in disentanglement_lib), or "authors": two pixels on
            each side (33, 17, 9, 5), which is what the paper's code does and its Table 3 does not say.
        seed: for reproducible initial weights; None draws from Keras's global generator.
        name: of the model.

    Returns:
        A functional `keras.Model` from `image` (batch, height, width, channels) to `{"mean", "logvar"}`, each (batch,
        latents) and float32 under every dtype policy. Weights start Glorot normal (Keras truncates it, the paper's
        code does not; the variance is the same), biases 0.

    Raises:
        ValueError: for a shape, number of latents, padding or seed that is not allowed.

    Source: "Overlooked Implications", supplement Table 3, after Higgins et al. 2017.
    """
    shape = check_image_shape(image_shape, least=LEAST_SIDE)
    latents = check_integer(latents, "latents", 1)
    name = check_name(name)
    check_choice(padding, "padding", ("same", "authors"))
    weights = glorot_normal(seed)
    # Layers carry the network's name: the paths of a VAE's variables would otherwise be the same in both networks.
    image = layers.Input(shape, name="image")
    x = image
    for number, filters in enumerate((32, 32, 64, 64), start=1):
        if padding == "authors":
            x = layers.ZeroPadding2D(2, name=f"{name}_pad_{number}")(x)
        x = layers.Conv2D(
            filters,
            4,
            strides=2,
            padding="same" if padding == "same" else "valid",
            activation="relu",
            kernel_initializer=weights(),
            name=f"{name}_conv_{number}",
        )(x)
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = layers.Dense(256, activation="relu", kernel_initializer=weights(), name=f"{name}_dense")(x)
    return keras.Model(image, posterior_heads(x, latents, weights, name), name=name)


def conv_decoder(image_shape, latents: int, *, seed: int | None = None, name: str = "decoder") -> keras.Model:
    """The encoder's mirror: two dense layers and four strided transposed convolutions, from latents to an image.

    Dense 256 and height/16 · width/16 · 64, rounded up, transposed convolutions 64, 32, 32, channels with 4×4 kernels
    and stride 2; ReLU between, no activation at the end.

    Args:
        image_shape: (height, width, channels); height and width at least 8, 1 to 16 channels. The maps have the sizes
            of the encoder's with padding "same": where doubling gives a row or a column too many, the last is cropped,
            which is the mirror of the padding (28×28 images: maps of 2, 4, 7 and 14).
        latents: number of latents, at least 1.
        seed: for reproducible initial weights; None draws from Keras's global generator.
        name: of the model.

    Returns:
        A functional `keras.Model` from `latents` (batch, latents) to (batch, height, width, channels), float32 under
        every dtype policy.

    Raises:
        ValueError: for a shape, number of latents or seed that is not allowed.

    Source: "Overlooked Implications", supplement Table 3.
    """
    shape = check_image_shape(image_shape, least=LEAST_SIDE)
    latents = check_integer(latents, "latents", 1)
    name = check_name(name)
    weights = glorot_normal(seed)
    *targets, (rows, columns) = halved(shape, 4)
    z = layers.Input((latents,), name="latents")
    x = layers.Dense(256, activation="relu", kernel_initializer=weights(), name=f"{name}_dense_1")(z)
    x = layers.Dense(rows * columns * 64, activation="relu", kernel_initializer=weights(), name=f"{name}_dense_2")(x)
    x = layers.Reshape((rows, columns, 64), name=f"{name}_reshape")(x)
    for number, filters in enumerate((64, 32, 32), start=1):
        x = layers.Conv2DTranspose(
            filters,
            4,
            strides=2,
            padding="same",
            activation="relu",
            kernel_initializer=weights(),
            name=f"{name}_upconv_{number}",
        )(x)
        x = cropped(x, targets[-number], f"{name}_crop_{number}")
    reconstruction = layers.Conv2DTranspose(
        shape[2],
        4,
        strides=2,
        padding="same",
        kernel_initializer=weights(),
        dtype="float32",
        name=f"{name}_reconstruction",
    )(x)
    reconstruction = cropped(reconstruction, targets[0], f"{name}_reconstruction_crop", dtype="float32")
    return keras.Model(z, reconstruction, name=name)


def halved(shape, times: int) -> list[tuple[int, int]]:
    """Rows and columns of an image, and of the maps of `times` convolutions of stride 2 with padding "same"."""
    sizes = [tuple(shape[:2])]
    for _ in range(times):
        sizes.append(tuple(-(-size // 2) for size in sizes[-1]))
    return sizes


def cropped(maps, size, name: str, **arguments):
    """The maps without what is beyond `size` (rows, columns) at the bottom and at the right."""
    beyond = [have - wanted for have, wanted in zip(maps.shape[1:3], size, strict=True)]
    if not any(beyond):
        return maps
    return layers.Cropping2D([(0, rest) for rest in beyond], name=name, **arguments)(maps)


def posterior_heads(features, latents: int, weights, name: str) -> dict:
    """The two linear heads `mean` and `logvar` on top of `features`, float32 under every dtype policy."""
    return {
        head: layers.Dense(latents, kernel_initializer=weights(), dtype="float32", name=f"{name}_{head}")(features)
        for head in ("mean", "logvar")
    }
