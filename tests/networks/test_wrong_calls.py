"""Wrong calls of the networks, and what is said of each."""

import numpy as np
from wrong_calls import WrongCall, check, wrong_calls

import kerasvae as kv
from kerasvae import networks

SHAPE = (16, 16, 1)
DATA = kv.datasets.MiniSprites()


def shape(name, value, *words, network=networks.conv_encoder):
    return WrongCall(name, lambda: network(value, 3), ValueError, ("image_shape", *words))


def latents(name, value, network=networks.mlp_encoder):
    words = ("latents must be an integer, at least 1", repr(value))
    return WrongCall(name, lambda: network(SHAPE, value), ValueError, words)


def seed(name, value, network=networks.mlp_decoder):
    words = ("seed must be None or an integer, at least 0", repr(value))
    return WrongCall(name, lambda: network(SHAPE, 3, seed=value), ValueError, words)


def hidden(name, value, *words, network=networks.mlp_encoder):
    return WrongCall(name, lambda: network(SHAPE, 3, hidden=value), ValueError, ("hidden", *words))


def other(row, network, words, /, **arguments):
    return WrongCall(row, lambda: network(SHAPE, 3, **arguments), ValueError, words)


FORM = "must be (height, width, channels)"


@wrong_calls(
    shape("a data set in place of its shape", DATA, FORM, "pass its image_shape"),
    shape("a pipeline-like array in place of a shape", np.zeros((2, 16, 16, 1)), FORM),
    shape("two numbers", (16, 16), FORM, "(16, 16)"),
    shape("four numbers", (None, 16, 16, 1), FORM, "None"),
    shape("one number", 16, FORM, "got 16"),
    shape("text", "16x16", FORM, "'16x16'"),
    shape("three letters", "abc", FORM, "'abc'"),
    shape("numbers as text", ("16", "16", "1"), FORM, "'16'"),
    shape("floats", (16.0, 16.0, 1.0), FORM, "16.0"),
    shape("booleans", (16, 16, True), FORM, "True"),
    shape("nothing", None, FORM, "None"),
    shape("no channel", (16, 16, 0), FORM, "1 to 16 channels"),
    shape("negative", (-16, 16, 1), FORM, "-16"),
    shape("channels first", (3, 64, 64), FORM, "1 to 16 channels", "(3, 64, 64)"),
    shape("17 channels", (16, 16, 17), "1 to 16 channels", "17", network=networks.mlp_decoder),
    shape("NaN", (float("nan"), 16, 1), FORM, "nan"),
    shape("too low", (7, 16, 1), "at least 8", "mlp networks", "(7, 16, 1)"),
    shape("too narrow", (16, 4, 1), "at least 8", network=networks.conv_decoder),
    shape("too small for burgess", (4, 4, 1), "at least 8", network=networks.burgess_encoder),
    shape("too small for burgess's decoder", (16, 7, 1), "at least 8", network=networks.burgess_decoder),
    WrongCall("swapped arguments", lambda: networks.conv_encoder(9, SHAPE), ValueError, ("image_shape", FORM, "9")),
    WrongCall("swapped in a decoder", lambda: networks.mlp_decoder(9, SHAPE), ValueError, ("image_shape", FORM)),
    WrongCall("missing latents", lambda: networks.conv_encoder(SHAPE), TypeError, ("latents",)),
    WrongCall("missing everything", lambda: networks.conv_decoder(), TypeError, ("image_shape", "latents")),
    latents("no latents", 0),
    latents("negative latents", -3, networks.conv_decoder),
    latents("latents as a float", 3.0, networks.conv_encoder),
    latents("latents as text", "3", networks.burgess_decoder),
    latents("latents as a truth value", True, networks.burgess_encoder),
    latents("latents as a list", [3]),
    latents("latents as nothing", None, networks.mlp_decoder),
    WrongCall(
        "latents of a discriminator",
        lambda: networks.mlp_discriminator(0),
        ValueError,
        ("latents must be an integer, at least 1", "got 0"),
    ),
    seed("negative seed", -1),
    seed("seed as a float", 1.5, networks.conv_encoder),
    seed("seed as a truth value", True, networks.burgess_encoder),
    seed("seed as text", "1", networks.conv_decoder),
    hidden("one width that is no list", 256, "must be a list of integers", "256"),
    hidden("widths as text", "256", "must be a list of integers", "'256'"),
    hidden("no widths but nothing", None, "must be a list of integers", "None", network=networks.mlp_decoder),
    hidden("a width of 0", (16, 0), "hidden[1] must be an integer, at least 1", "got 0"),
    hidden("a width that is a float", (16.0,), "hidden[0]", "16.0", network=networks.mlp_decoder),
    hidden("a width that is a truth value", (True,), "hidden[0]", "True"),
    hidden("a generator of widths", (n for n in (1, 2)), "must be a list of integers"),
    WrongCall(
        "a discriminator's width",
        lambda: networks.mlp_discriminator(3, hidden=(0,)),
        ValueError,
        ("hidden[0] must be an integer, at least 1", "got 0"),
    ),
    other(
        "an unknown activation",
        networks.mlp_encoder,
        ("activation must be", "keras.activations", "'zzz'"),
        activation="zzz",
    ),
    other("a number as activation", networks.mlp_decoder, ("activation must be", "3"), activation=3),
    other("an unknown padding", networks.conv_encoder, ("padding", '"same" or "authors"', "'valid'"), padding="valid"),
    other("padding as a number", networks.conv_encoder, ("padding", '"same" or "authors"', "2"), padding=2),
    other("a name that is no text", networks.conv_encoder, ("name must be text", "3"), name=3),
    other("an empty name", networks.conv_decoder, ("name must be text", "''"), name=""),
    other("a name with a slash", networks.mlp_encoder, ("name must be text without '/'", "'a/b'"), name="a/b"),
    other("a burgess name", networks.burgess_encoder, ("name must be text", "None"), name=None),
)
def test_wrong_calls(wrong):
    check(wrong)
