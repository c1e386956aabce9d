import keras
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

from kerasvae.networks import burgess_decoder, burgess_encoder, conv_decoder, conv_encoder, mlp_decoder, mlp_encoder

ENCODERS = [conv_encoder, burgess_encoder, mlp_encoder]
DECODERS = [conv_decoder, burgess_decoder, mlp_decoder]
NETWORKS = [*ENCODERS, *DECODERS]
# That all of them allow.
SHAPE = (32, 32, 1)


@pytest.fixture
def mixed_bfloat16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("padding, dense, total", [("same", 262_400, 765_525), ("authors", 409_856, 912_981)])
def test_table_3_parameters(padding, dense, total):
    encoder = conv_encoder((64, 64, 3), latents=9, padding=padding)
    decoder = conv_decoder((64, 64, 3), latents=9)
    # input channels · 4 · 4 · filters + filters; 1024 (or 1600) · 256 + 256; two heads of 256 · 9 + 9.
    expected = {"conv_1": 1568, "conv_2": 16_416, "conv_3": 32_832, "conv_4": 65_600, "dense": dense, "mean": 2313}
    for name, count in expected.items():
        assert parameters(layer(encoder, name)) == count, name
    expected = {"dense_1": 2560, "dense_2": 263_168, "upconv_1": 65_600, "upconv_2": 32_800, "upconv_3": 16_416}
    for name, count in {**expected, "reconstruction": 1539}.items():
        assert parameters(layer(decoder, name)) == count, name
    assert encoder.count_params() + decoder.count_params() == total


@pytest.mark.parametrize(
    "padding, image_shape, maps",
    [
        ("same", (64, 64, 3), [(32, 32), (16, 16), (8, 8), (4, 4)]),
        ("authors", (64, 64, 3), [(33, 33), (17, 17), (9, 9), (5, 5)]),
        ("same", (32, 48, 1), [(16, 24), (8, 12), (4, 6), (2, 3)]),
        ("authors", (32, 48, 1), [(17, 25), (9, 13), (5, 7), (3, 4)]),
        ("same", (16, 16, 4), [(8, 8), (4, 4), (2, 2), (1, 1)]),
    ],
)
def test_encoder_maps(padding, image_shape, maps):
    encoder = conv_encoder(image_shape, latents=3, padding=padding)
    sizes = [tuple(layer(encoder, f"conv_{number}").output.shape[1:3]) for number in (1, 2, 3, 4)]
    assert sizes == maps
    assert layer(encoder, "flatten").output.shape == (None, maps[-1][0] * maps[-1][1] * 64)


@pytest.mark.parametrize("image_shape", [(16, 32, 1), (48, 16, 2), (16, 16, 3), (32, 16, 4)])
def test_conv_sizes_and_channels(image_shape):
    check_encoder(conv_encoder(image_shape, latents=5), image_shape, 5)
    check_decoder(conv_decoder(image_shape, latents=5), image_shape, 5)


@pytest.mark.parametrize("encoder, decoder", [(conv_encoder, conv_decoder), (burgess_encoder, burgess_decoder)])
@pytest.mark.parametrize(
    "image_shape", [(28, 28, 1), (8, 8, 5), (9, 8, 16), (33, 17, 2), (31, 100, 3), (65, 64, 1), (8, 64, 12)]
)
def test_the_decoder_mirrors_the_encoder_at_any_size(encoder, decoder, image_shape):
    encoder, decoder = encoder(image_shape, latents=2), decoder(image_shape, latents=2)
    check_encoder(encoder, image_shape, 2)
    assert predict(decoder, inputs_of(decoder)).shape == (2, *image_shape)
    down = [tuple(each.output.shape[1:3]) for each in encoder.layers if "_conv_" in each.name]
    assert down[0] == tuple((size + 1) // 2 for size in image_shape[:2])
    # What each transposed convolution is given, the last first.
    up = [layer(decoder, "reshape").output.shape[1:3]]
    for each in decoder.layers:
        if "_upconv_" in each.name:
            up.append(each.output.shape[1:3])
        elif "_crop_" in each.name:
            up[-1] = each.output.shape[1:3]
    assert up[::-1] == down


@pytest.mark.parametrize("padding", ["same", "authors"])
@pytest.mark.parametrize("image_shape", [(28, 28, 1), (8, 9, 5)])
def test_authors_padding_at_any_size(padding, image_shape):
    check_encoder(conv_encoder(image_shape, latents=2, padding=padding), image_shape, 2)


@pytest.mark.parametrize("channels, parameters", [(1, 763_475), (3, 765_525)])
def test_of_the_paper_s_size_the_networks_are_the_paper_s(channels, parameters):
    # Of one channel: 2 · 16 · 32 weights less in the first convolution, 2 · (16 · 32 + 1) in the last.
    encoder, decoder = conv_encoder((64, 64, channels), 9), conv_decoder((64, 64, channels), 9)
    assert encoder.count_params() + decoder.count_params() == parameters
    kinds = [[type(each).__name__ for each in network.layers] for network in (encoder, decoder)]
    assert kinds == [
        ["InputLayer", *["Conv2D"] * 4, "Flatten", *["Dense"] * 3],
        ["InputLayer", *["Dense"] * 2, "Reshape", *["Conv2DTranspose"] * 4],
    ]


@pytest.mark.parametrize("image_shape", [(1, 1, 1), (5, 7, 2), (6, 3, 3), (8, 8, 4)])
def test_mlp_sizes_and_channels(image_shape):
    check_encoder(mlp_encoder(image_shape, latents=1, hidden=(4,)), image_shape, 1)
    check_decoder(mlp_decoder(image_shape, latents=1, hidden=(4,)), image_shape, 1)


@pytest.mark.parametrize("network", NETWORKS)
def test_name(network):
    assert network(SHAPE, 2, name="other").name == "other"


@pytest.mark.parametrize("encoder, decoder", list(zip(ENCODERS, DECODERS, strict=True)))
def test_variables_tell_the_networks_apart(encoder, decoder):
    models = encoder(SHAPE, 2), decoder(SHAPE, 2)
    for model in models:
        assert all(weight.path.startswith(f"{model.name}_") for weight in model.weights)
    paths = [weight.path for model in models for weight in model.weights]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("padding, pad", [("same", 1), ("authors", 2)])
def test_conv_encoder_by_independent_computation(padding, pad):
    model = conv_encoder((16, 32, 2), latents=3, padding=padding)
    randomise(model)
    images = inputs_of(model)
    x = images.astype("float64")
    for name in ("conv_1", "conv_2", "conv_3", "conv_4"):
        x = relu(convolution(x, *layer(model, name).get_weights(), pad))
    kernel, bias = layer(model, "dense").get_weights()
    x = relu(x.reshape(2, -1) @ kernel + bias)
    outputs = predict(model, images)
    for head in ("mean", "logvar"):
        kernel, bias = layer(model, head).get_weights()
        np.testing.assert_allclose(outputs[head], x @ kernel + bias, atol=1e-4)


def test_conv_decoder_by_independent_computation():
    model = conv_decoder((32, 16, 3), latents=4)
    randomise(model)
    z = inputs_of(model)
    x = z.astype("float64")
    for name in ("dense_1", "dense_2"):
        kernel, bias = layer(model, name).get_weights()
        x = relu(x @ kernel + bias)
    x = x.reshape(2, 2, 1, 64)
    for name in ("upconv_1", "upconv_2", "upconv_3"):
        x = relu(transposed_convolution(x, *layer(model, name).get_weights()))
    x = transposed_convolution(x, *layer(model, "reconstruction").get_weights())
    assert x.min() < -0.1 and np.abs(x).max() > 0.2
    np.testing.assert_allclose(predict(model, z), x, atol=1e-4 * np.abs(x).max())


@pytest.mark.parametrize("encoder, decoder", [(conv_encoder, conv_decoder), (burgess_encoder, burgess_decoder)])
def test_odd_sides_by_independent_computation(encoder, decoder):
    shape = (11, 14, 2)
    encoder, decoder = encoder(shape, latents=3), decoder(shape, latents=3)
    for model in (encoder, decoder):
        randomise(model)
    images, z = inputs_of(encoder), inputs_of(decoder)
    x, sizes = images.astype("float64"), []
    for each in [each for each in encoder.layers if "_conv_" in each.name]:
        sizes.append(x.shape[1:3])
        x = np.pad(x, ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))
        x = relu(convolution(x, *each.get_weights(), 1))
    maps, x = x.shape, x.reshape(2, -1)
    for each in [each for each in encoder.layers if "_dense" in each.name]:
        kernel, bias = each.get_weights()
        x = relu(x @ kernel + bias)
    outputs = predict(encoder, images)
    for head in ("mean", "logvar"):
        kernel, bias = layer(encoder, head).get_weights()
        np.testing.assert_allclose(outputs[head], x @ kernel + bias, atol=1e-4)
    y = z.astype("float64")
    for each in [each for each in decoder.layers if "_dense_" in each.name]:
        kernel, bias = each.get_weights()
        y = relu(y @ kernel + bias)
    y = y.reshape(maps)
    last = layer(decoder, "reconstruction")
    for each in [each for each in decoder.layers if "_upconv_" in each.name or each is last]:
        rows, columns = sizes.pop()
        y = transposed_convolution(y, *each.get_weights())[:, :rows, :columns]
        y = y if each is last else relu(y)
    assert y.shape == (2, *shape) and np.abs(y).max() > 0.2
    np.testing.assert_allclose(predict(decoder, z), y, atol=1e-4 * np.abs(y).max())


def test_mlp_by_independent_computation():
    encoder = mlp_encoder((3, 4, 2), latents=2, hidden=(7, 5), activation="tanh")
    decoder = mlp_decoder((3, 4, 2), latents=2, hidden=(7, 5))
    for model in (encoder, decoder):
        randomise(model)
    images, z = inputs_of(encoder), inputs_of(decoder)
    x, y = images.reshape(2, -1).astype("float64"), z.astype("float64")
    for name in ("dense_1", "dense_2"):
        kernel, bias = layer(encoder, name).get_weights()
        x = np.tanh(x @ kernel + bias)
        kernel, bias = layer(decoder, name).get_weights()
        y = relu(y @ kernel + bias)
    outputs = predict(encoder, images)
    for head in ("mean", "logvar"):
        kernel, bias = layer(encoder, head).get_weights()
        np.testing.assert_allclose(outputs[head], x @ kernel + bias, atol=1e-5)
    kernel, bias = layer(decoder, "pixels").get_weights()
    np.testing.assert_allclose(predict(decoder, z), (y @ kernel + bias).reshape(2, 3, 4, 2), atol=1e-5)


def test_mlp_hidden_widths():
    encoder = mlp_encoder((4, 4, 1), latents=2, hidden=(6, 3))
    assert [parameters(layer(encoder, name)) for name in ("dense_1", "dense_2", "mean")] == [17 * 6, 7 * 3, 4 * 2]
    linear = mlp_encoder((4, 4, 1), latents=2, hidden=())
    assert linear.count_params() == 2 * 17 * 2
    assert mlp_decoder((4, 4, 1), latents=2, hidden=()).count_params() == 3 * 16


def kernels(model):
    return [weight for weight in model.get_weights() if weight.ndim > 1]


@pytest.mark.parametrize("network", NETWORKS)
def test_seeds(network):
    one, same, other = (network(SHAPE, 3, seed=seed) for seed in (5, np.int64(5), 6))
    for a, b, c in zip(*(kernels(model) for model in (one, same, other)), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)
    # The seed is for the whole network, not for each of its layers again.
    starts = [kernel.ravel()[0] / kernel.std() for kernel in kernels(one)]
    assert len(set(starts)) == len(starts)


@pytest.mark.parametrize("network", NETWORKS)
def test_no_seed_draws_from_the_global_generator(network):
    models = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(seed)
        models.append(kernels(network(SHAPE, 3)))
    for a, b, c in zip(*models, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_initial_weights_are_glorot_normal():
    encoder, decoder = conv_encoder((64, 64, 3), 9, seed=0), conv_decoder((64, 64, 3), 9, seed=0)
    for model, name, fans in (
        (encoder, "conv_4", 16 * (64 + 64)),
        (encoder, "dense", 1024 + 256),
        (decoder, "dense_2", 256 + 1024),
        (decoder, "upconv_2", 16 * (64 + 32)),
        (burgess_encoder((64, 64, 3), 9, seed=0), "dense_1", 512 + 256),
        (burgess_decoder((64, 64, 3), 9, seed=0), "upconv_2", 16 * (32 + 32)),
    ):
        kernel, bias = layer(model, name).get_weights()
        assert kernel.std() == pytest.approx(np.sqrt(2 / fans), rel=0.02)
        # A uniform distribution of this variance ends at 1.73 standard deviations, the truncated normal at 2.27.
        assert 2.2 < np.quantile(np.abs(kernel), 0.9999) / kernel.std() < 2.3
        assert not bias.any()


@pytest.mark.parametrize("network", ENCODERS)
def test_encoder_heads_are_float32_under_mixed_precision(network, mixed_bfloat16):
    model = network(SHAPE, 2, seed=0)
    assert {name: output.dtype for name, output in model.output.items()} == {"mean": "float32", "logvar": "float32"}
    assert layer(model, "mean").compute_dtype == layer(model, "logvar").compute_dtype == "float32"
    assert {x.compute_dtype for x in model.layers if "_conv_" in x.name or "_dense" in x.name} == {"bfloat16"}
    outputs = predict(model, inputs_of(model))
    assert outputs["mean"].dtype == outputs["logvar"].dtype == np.float32


@pytest.mark.parametrize("network", DECODERS)
def test_decoder_output_is_float32_under_mixed_precision(network, mixed_bfloat16):
    model = network(SHAPE, 2, seed=0)
    assert model.output.dtype == "float32"
    last = layer(model, "pixels") if network is mlp_decoder else model.layers[-1]
    assert last.compute_dtype == "float32" and layer(model, "dense_1").compute_dtype == "bfloat16"
    image = predict(model, inputs_of(model))
    assert image.dtype == np.float32
    # Not merely cast at the end: bfloat16 has 8 bits, so that the low 16 bits of each number would be 0.
    assert (image.view("uint32") & 0xFFFF).any()


@pytest.mark.parametrize("network", NETWORKS)
def test_saved_network_loads(network, tmp_path):
    model = network(SHAPE, 2, seed=0)
    model.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert loaded.inputs[0].name == model.inputs[0].name
    before, after = predict(model, inputs_of(model)), predict(loaded, inputs_of(model))
    if network in ENCODERS:
        assert set(after) == {"mean", "logvar"}
        np.testing.assert_array_equal(before["mean"], after["mean"])
        np.testing.assert_array_equal(before["logvar"], after["logvar"])
    else:
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(
    "image_shape",
    [
        (16, 16),
        (16, 16, 1, 1),
        (16, 16, 17),
        (16, 16, 0),
        (0, 16, 1),
        (-16, 16, 1),
        (16.0, 16, 1),
        16,
        None,
        ("a", 16, 1),
    ],
)
def test_image_shapes_that_are_refused(network, image_shape):
    with pytest.raises(ValueError, match="image_shape must be"):
        network(image_shape, 2)


@pytest.mark.parametrize("network", [conv_encoder, conv_decoder, burgess_encoder, burgess_decoder])
@pytest.mark.parametrize("image_shape", [(7, 28, 1), (16, 4, 1), (1, 1, 3)])
def test_conv_sizes_that_are_refused(network, image_shape):
    with pytest.raises(ValueError, match=r"height and width must be at least 8 .*mlp networks"):
        network(image_shape, 2)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("latents", [0, -1, 2.0, True, None])
def test_latents_that_are_refused(network, latents):
    with pytest.raises(ValueError, match="latents must be an integer, at least 1"):
        network(SHAPE, latents)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", [-1, 1.5, True, "0"])
def test_seeds_that_are_refused(network, seed):
    with pytest.raises(ValueError, match="seed must be None or an integer, at least 0"):
        network(SHAPE, 2, seed=seed)


@pytest.mark.parametrize("network", [mlp_encoder, mlp_decoder])
def test_mlp_arguments_that_are_refused(network):
    for hidden, position in (((4, 0), 1), ((2.5,), 0), ((True, 4), 0)):
        with pytest.raises(ValueError, match=rf"hidden\[{position}\] must be an integer, at least 1"):
            network((4, 4, 1), 2, hidden=hidden)
    with pytest.raises(ValueError, match="no-such-activation"):
        network((4, 4, 1), 2, activation="no-such-activation")


def test_padding_that_is_refused():
    with pytest.raises(ValueError, match='padding must be "same" or "authors", got \'valid\''):
        conv_encoder((16, 16, 1), 2, padding="valid")
