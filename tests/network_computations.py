"""What the tests of networks ask them, and the same computed independently in float64."""

import keras
import numpy as np


def layer(model, name):
    return model.get_layer(f"{model.name}_{name}")


def parameters(layer):
    return sum(int(np.prod(weight.shape)) for weight in layer.get_weights())


def predict(model, inputs):
    output = model(inputs)
    if isinstance(output, dict):
        return {name: keras.ops.convert_to_numpy(value) for name, value in output.items()}
    return keras.ops.convert_to_numpy(output)


def inputs_of(model, batch=2, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, *model.inputs[0].shape[1:])).astype("float32")


def randomise(model, seed=0):
    """Give every weight, biases too, random values of a size that keeps the outputs near 1."""
    rng = np.random.default_rng(seed)
    model.set_weights(
        [
            rng.normal(size=w.shape) * (0.1 if w.ndim == 1 else 1.4 * np.prod(w.shape[:-1]) ** -0.5)
            for w in model.get_weights()
        ]
    )


def check_encoder(model, image_shape, latents):
    assert model.name == "encoder" and model.inputs[0].name == "image"
    assert model.inputs[0].shape == (None, *image_shape)
    outputs = predict(model, inputs_of(model))
    assert {name: output.shape for name, output in outputs.items()} == {"mean": (2, latents), "logvar": (2, latents)}


def check_decoder(model, image_shape, latents):
    assert model.name == "decoder" and model.inputs[0].name == "latents"
    assert model.inputs[0].shape == (None, latents)
    assert predict(model, inputs_of(model)).shape == (2, *image_shape)
    assert model.layers[-1].name == "decoder_reconstruction"


def convolution(x, kernel, bias, pad):
    """4×4 convolution of stride 2 with `pad` zeros on each side, in float64."""
    x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    rows, columns = ((size - 4) // 2 + 1 for size in x.shape[1:3])
    out = np.zeros((len(x), rows, columns, kernel.shape[-1])) + bias
    for i, j in np.ndindex(4, 4):
        out += x[:, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2] @ kernel[i, j]
    return out


def transposed_convolution(x, kernel, bias):
    """The adjoint of `convolution` with one zero on each side; the kernel is (4, 4, out, in)."""
    batch, rows, columns, _ = x.shape
    out = np.zeros((batch, 2 * rows + 2, 2 * columns + 2, kernel.shape[2]))
    for i, j in np.ndindex(4, 4):
        out[:, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2] += x @ kernel[i, j].T
    return out[:, 1:-1, 1:-1] + bias


def relu(x):
    return np.maximum(x, 0)
