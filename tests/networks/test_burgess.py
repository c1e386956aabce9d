"""The networks of Burgess et al. 2018; what they share with the others is in test_networks.py."""

import numpy as np
import pytest
from network_computations import (
    check_decoder,
    check_encoder,
    convolution,
    inputs_of,
    layer,
    parameters,
    predict,
    randomise,
    relu,
    transposed_convolution,
)

from kerasvae.networks import burgess_decoder, burgess_encoder


def test_burgess_parameters():
    encoder, decoder = burgess_encoder((64, 64, 1), latents=10), burgess_decoder((64, 64, 1), latents=10)
    # input channels · 4 · 4 · filters + filters; 512 · 256 + 256, 256 · 256 + 256; two heads of 256 · 10 + 10.
    expected = {"conv_1": 544, "conv_2": 16_416, "conv_3": 16_416, "conv_4": 16_416}
    expected |= {"dense_1": 131_328, "dense_2": 65_792, "mean": 2570, "logvar": 2570}
    for name, count in expected.items():
        assert parameters(layer(encoder, name)) == count, name
    assert encoder.count_params() == sum(expected.values()) == 252_052
    expected = {"dense_1": 2816, "dense_2": 65_792, "dense_3": 131_584}
    expected |= {"upconv_1": 16_416, "upconv_2": 16_416, "upconv_3": 16_416, "reconstruction": 513}
    for name, count in expected.items():
        assert parameters(layer(decoder, name)) == count, name
    assert decoder.count_params() == sum(expected.values()) == 249_953


@pytest.mark.parametrize("side, convolutions", [(32, 3), (64, 4)])
@pytest.mark.parametrize("channels, latents", [(1, 10), (3, 1), (4, 2)])
def test_burgess_sizes_and_channels(side, convolutions, channels, latents):
    shape = (side, side, channels)
    encoder, decoder = burgess_encoder(shape, latents=latents), burgess_decoder(shape, latents=latents)
    check_encoder(encoder, shape, latents)
    check_decoder(decoder, shape, latents)
    sides = [side >> number for number in range(convolutions + 1)]
    maps = [layer(encoder, f"conv_{number + 1}").output.shape for number in range(convolutions)]
    assert maps == [(None, each, each, 32) for each in sides[1:]] and sides[-1] == 4
    maps = [layer(decoder, f"upconv_{number + 1}").output.shape for number in range(convolutions - 1)]
    assert maps == [(None, each, each, 32) for each in sides[-2:0:-1]]
    # One convolution of 32 channels less for half the side.
    assert encoder.count_params() == 16 * 32 * channels + 32 + (convolutions - 1) * 16_416 + 197_120 + 514 * latents
    assert decoder.count_params() == 257 * 256 + 257 * 512 + 256 * (latents + 1) + (convolutions - 1) * 16_416 + (
        513 * channels
    )


@pytest.mark.parametrize("side, convolutions", [(32, 3), (64, 4)])
def test_burgess_by_independent_computation(side, convolutions):
    encoder, decoder = burgess_encoder((side, side, 2), latents=3), burgess_decoder((side, side, 2), latents=3)
    for model in (encoder, decoder):
        randomise(model)
    images, z = inputs_of(encoder), inputs_of(decoder)
    x = images.astype("float64")
    for number in range(convolutions):
        x = relu(convolution(x, *layer(encoder, f"conv_{number + 1}").get_weights(), 1))
    x = x.reshape(2, -1)
    for name in ("dense_1", "dense_2"):
        kernel, bias = layer(encoder, name).get_weights()
        x = relu(x @ kernel + bias)
    outputs = predict(encoder, images)
    for head in ("mean", "logvar"):
        kernel, bias = layer(encoder, head).get_weights()
        np.testing.assert_allclose(outputs[head], x @ kernel + bias, atol=1e-4)
    y = z.astype("float64")
    for name in ("dense_1", "dense_2", "dense_3"):
        kernel, bias = layer(decoder, name).get_weights()
        y = relu(y @ kernel + bias)
    y = y.reshape(2, 4, 4, 32)
    for number in range(convolutions - 1):
        y = relu(transposed_convolution(y, *layer(decoder, f"upconv_{number + 1}").get_weights()))
    y = transposed_convolution(y, *layer(decoder, "reconstruction").get_weights())
    # Logits, or pixels: no sigmoid at the end.
    assert y.min() < -0.1 and np.abs(y).max() > 0.2
    np.testing.assert_allclose(predict(decoder, z), y, atol=1e-4 * np.abs(y).max())


@pytest.mark.parametrize(
    "image_shape, maps",
    [
        ((28, 28, 1), [(14, 14), (7, 7), (4, 4)]),
        ((8, 8, 3), [(4, 4)]),
        ((128, 128, 3), [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]),
        ((8, 64, 1), [(4, 32), (2, 16), (1, 8), (1, 4)]),
    ],
)
def test_other_sizes_are_halved_until_the_longer_side_is_4_or_less(image_shape, maps):
    encoder = burgess_encoder(image_shape, 2)
    assert [tuple(each.output.shape[1:3]) for each in encoder.layers if "_conv_" in each.name] == maps
