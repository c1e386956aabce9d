"""Wrong calls of models: each is refused before anything is trained, in words that help."""

import keras
import numpy as np
import pytest
from wrong_calls import WrongCall, check, wrong_calls

import kerasvae as kv

DATA = kv.datasets.MiniSprites()
SHAPE = DATA.image_shape
IMAGES = DATA.standardize(DATA.images(np.arange(8)))
ENCODER = kv.networks.mlp_encoder(SHAPE, 2, hidden=(4,), seed=1)
DECODER = kv.networks.mlp_decoder(SHAPE, 2, hidden=(4,), seed=2)


def make(cls=kv.BetaVAE, *arguments, compiled=True, **named):
    model = cls(ENCODER, DECODER, *arguments, **named)
    if compiled:
        model.compile(run_eagerly=True)
    return model


def fit(*arguments, cls=kv.BetaVAE, **named):
    return lambda: make(cls).fit(*arguments, verbose=0, **named)


def factor_vae(**arguments):
    return make(kv.FactorVAE, discriminator=kv.networks.mlp_discriminator(2, hidden=(3,), seed=1), **arguments)


class Vector(kv.VAE):
    """Its regularization is one value per latent."""

    def regularization(self, mean, logvar, z):
        return keras.ops.mean(mean**2, axis=0)


class Untold(kv.VAE):
    """Tracks what `logged_terms` does not list."""

    def regularization(self, mean, logvar, z):
        self.track("foo", keras.ops.mean(mean))
        return super().regularization(mean, logvar, z)


class Summed(keras.losses.Loss):
    """Sums over the batch."""

    def call(self, y_true, y_pred):
        return keras.ops.sum(keras.ops.square(y_true - y_pred), axis=0)


class NoMean(kv.datasets.GroundTruthData):
    """A data set without `mean`."""

    factor_names, factor_sizes, image_shape = ("x",), (4,), (8, 8, 1)
    std = np.ones(1)

    def render(self, factors):
        return np.zeros((len(factors), 8, 8, 1), "uint8")


class Floats(NoMean):
    """A data set that renders float32."""

    mean = np.zeros(1)

    def render(self, factors):
        return np.zeros((len(factors), 8, 8, 1), "float32")


class Mismatched(Floats):
    """A data set with one factor and two sizes."""

    factor_sizes = (4, 4)


class OneMean(Floats):
    """A data set whose mean is one number for all channels."""

    mean = 0.5


@wrong_calls(
    # Construction
    WrongCall("loss name", lambda: make(kv.VAE, "mce"), ValueError, ("reconstruction", "'mce'", '"mse"')),
    WrongCall("loss class", lambda: make(kv.VAE, kv.losses.BoxBlurMSE), ValueError, ("reconstruction", "BoxBlurMSE(")),
    WrongCall(
        "loss function",
        lambda: make(kv.VAE, keras.losses.get("mse")),
        ValueError,
        ("reconstruction", "cannot be saved"),
    ),
    WrongCall("loss lambda", lambda: make(kv.VAE, lambda a, b: a), ValueError, ("reconstruction", "cannot be saved")),
    WrongCall("loss number", lambda: make(kv.VAE, 3), ValueError, ("reconstruction", "got 3")),
    WrongCall(
        "swapped networks", lambda: kv.VAE(DECODER, ENCODER), ValueError, ("encoder", "(height, width, channels)")
    ),
    WrongCall("no networks", lambda: kv.VAE(None, None), ValueError, ("encoder", "kerasvae.networks", "None")),
    WrongCall(
        "builders", lambda: kv.VAE(kv.networks.mlp_encoder, DECODER), ValueError, ("encoder", "kerasvae.networks")
    ),
    WrongCall("reduction", lambda: make(reduction="avg"), ValueError, ("reduction", "'avg'", '"mean"')),
    WrongCall("seed of True", lambda: make(seed=True), ValueError, ("seed", "True", "at least 0")),
    WrongCall("beta of text", lambda: make(beta="1"), ValueError, ("beta", "'1'", "finite number")),
    WrongCall("beta below 0", lambda: make(beta=-1.0), ValueError, ("beta", "-1.0", "at least 0")),
    WrongCall("beta of NaN", lambda: make(beta=float("nan")), ValueError, ("beta", "nan", "finite")),
    WrongCall("dataset_size", lambda: make(kv.BetaTCVAE, dataset_size=1.5), ValueError, ("dataset_size", "1.5")),
    WrongCall("no dataset_size", lambda: make(kv.BetaTCVAE), TypeError, ("dataset_size",)),
    WrongCall("kind", lambda: make(kv.DIPVAE, kind="iii"), ValueError, ("kind", "'iii'")),
    WrongCall("threshold", lambda: make(kv.AdaGVAE, threshold=2.0), ValueError, ("threshold", "2", "at most 1")),
    WrongCall("update", lambda: factor_vae(update="both"), ValueError, ("update", "'both'", "alternating")),
    WrongCall(
        "discriminator", lambda: make(kv.FactorVAE, discriminator=ENCODER), ValueError, ("discriminator", "2 logits")
    ),
    # compile
    WrongCall("compile loss", lambda: make().compile(loss="mse"), TypeError, ("loss", "reconstruction=")),
    WrongCall(
        "compile metrics", lambda: make().compile(metrics=["mig"]), TypeError, ("metrics", "DisentanglementScores")
    ),
    WrongCall("compile typo", lambda: make().compile(optimiser="adam"), TypeError, ("'optimiser'", "optimizer")),
    WrongCall("optimizer name", lambda: make().compile("adamm"), ValueError, ("optimizer", "'adamm'", "Adam(1e-3)")),
    WrongCall("optimizer number", lambda: make().compile(1e-3), ValueError, ("optimizer", "0.001", "Adam(1e-3)")),
    WrongCall(
        "discriminator_optimizer",
        lambda: factor_vae().compile(discriminator_optimizer="adamm"),
        ValueError,
        ("discriminator_optimizer", "'adamm'", "Adam(1e-3)"),
    ),
    WrongCall(
        "no steps at once",
        lambda: make().compile(steps_per_execution=0),
        ValueError,
        ("steps_per_execution", "at least 1", "got 0"),
    ),
    WrongCall(
        "steps at once below 0",
        lambda: make().compile(steps_per_execution=-1),
        ValueError,
        ("steps_per_execution", "at least 1", "got -1"),
    ),
    WrongCall("jit", lambda: make().compile(jit_compile="yes"), ValueError, ("jit_compile", "'yes'", '"auto"')),
    # fit
    WrongCall("not compiled", lambda: make(compiled=False).fit(IMAGES), ValueError, ("compile", "model.compile()")),
    WrongCall("evaluate not compiled", lambda: make(compiled=False).evaluate(IMAGES), ValueError, ("model.compile()",)),
    WrongCall("no data", fit(), ValueError, ("x must be given", "kerasvae.datasets")),
    WrongCall("data set", fit(DATA), ValueError, ("x must be batches", "MiniSprites", "kerasvae.datasets.images(x")),
    WrongCall("data class", fit(kv.datasets.XYSquares), ValueError, ("x must be", "type")),
    WrongCall("path", fit("photos"), ValueError, ("x must be", "photos")),
    WrongCall("list", fit([IMAGES, IMAGES]), ValueError, ("x must be an array", "list")),
    WrongCall(
        "strings in pairs", fit({"first": "a", "second": "b"}), ValueError, ("x['first'] must be an array", "str")
    ),
    WrongCall("targets", fit(IMAGES, IMAGES), ValueError, ("y and sample_weight must be None",)),
    WrongCall("sample_weight", fit(IMAGES, sample_weight=np.zeros(8)), ValueError, ("sample_weight must be None",)),
    WrongCall("class_weight", fit(IMAGES, class_weight={0: 1.0}), ValueError, ("class_weight must be None",)),
    WrongCall("batch_size 0", fit(IMAGES, batch_size=0), ValueError, ("batch_size", "at least 1", "got 0")),
    WrongCall("batch_size 1.5", fit(IMAGES, batch_size=1.5), ValueError, ("batch_size", "integer", "1.5")),
    WrongCall("batch_size True", fit(IMAGES, batch_size=True), ValueError, ("batch_size", "integer", "True")),
    WrongCall("epochs -1", fit(IMAGES, epochs=-1), ValueError, ("epochs", "at least 0", "-1")),
    WrongCall("epochs text", fit(IMAGES, epochs="3"), ValueError, ("epochs", "integer", "'3'")),
    WrongCall("no steps", fit(IMAGES, steps_per_epoch=0), ValueError, ("steps_per_epoch", "at least 1", "got 0")),
    WrongCall(
        "steps below 0", fit(IMAGES, steps_per_epoch=-3), ValueError, ("steps_per_epoch", "at least 1", "got -3")
    ),
    WrongCall(
        "no steps of an endless pipeline",
        fit(kv.datasets.images(DATA, 4), steps_per_epoch=0),
        ValueError,
        ("steps_per_epoch", "at least 1", "got 0"),
    ),
    WrongCall("endless", fit(kv.datasets.images(DATA, 4)), ValueError, ("x never ends", "steps_per_epoch")),
    WrongCall(
        "no validation steps",
        fit(IMAGES, validation_data=IMAGES, validation_steps=0),
        ValueError,
        ("validation_steps", "at least 1", "got 0"),
    ),
    WrongCall(
        "validation data set", fit(IMAGES, validation_data=DATA), ValueError, ("validation_data must be batches",)
    ),
    WrongCall("validation shape", fit(IMAGES, validation_data=IMAGES[:, :8]), ValueError, ("validation_data", "shape")),
    WrongCall("one image", fit(IMAGES[0]), ValueError, ("x must be a batch of images", "shape")),
    WrongCall("integers", fit(IMAGES.astype("int32")), ValueError, ("x must be a batch of images", "int32", "uint8")),
    WrongCall("booleans", fit(IMAGES > 0), ValueError, ("x must be a batch of images", "bool", "uint8")),
    WrongCall(
        "labelled", fit(kv.datasets.labelled(DATA, 4, steps=2)), ValueError, ("y and sample_weight must be None",)
    ),
    WrongCall("pairs to a VAE", fit(kv.datasets.pairs(DATA, 4, steps=2)), ValueError, ("single images", "AdaGVAE")),
    WrongCall("images to Ada", fit(IMAGES, cls=kv.AdaGVAE), ValueError, ("pairs", "kerasvae.datasets.pairs")),
    WrongCall(
        "unequal halves",
        fit({"first": IMAGES, "second": IMAGES[:6]}, cls=kv.AdaGVAE),
        ValueError,
        ("x must hold as many", "x['first'] 8", "x['second'] 6"),
    ),
    WrongCall(
        "one half", fit({"first": IMAGES}, cls=kv.AdaGVAE), ValueError, ("first", "second", "kerasvae.datasets.pairs")
    ),
    WrongCall(
        "small batch",
        lambda: make(kv.BetaTCVAE, dataset_size=768).fit(IMAGES, batch_size=1),
        ValueError,
        ("x: a batch must hold at least 2 images", "BetaTCVAE"),
    ),
    WrongCall(
        "vector",
        lambda: make(Vector).fit(IMAGES, verbose=0),
        ValueError,
        ("Vector", "regularization", "scalar", "(2,)"),
    ),
    WrongCall(
        "untold term", lambda: make(Untold).fit(IMAGES, verbose=0), ValueError, ("Untold", "'foo'", "logged_terms")
    ),
    WrongCall("summed", lambda: make(kv.VAE, Summed()).fit(IMAGES, verbose=0), ValueError, ("Summed", "per image")),
    # evaluate, predict, one batch
    WrongCall(
        "evaluate weights", lambda: make().evaluate(IMAGES, sample_weight=np.ones(8)), ValueError, ("sample_weight",)
    ),
    WrongCall(
        "evaluate no steps", lambda: make().evaluate(IMAGES, steps=0), ValueError, ("steps", "at least 1", "got 0")
    ),
    WrongCall("evaluate data set", lambda: make().evaluate(DATA), ValueError, ("x must be batches", "MiniSprites")),
    WrongCall("predict data set", lambda: make().predict(DATA), ValueError, ("x must be batches", "MiniSprites")),
    WrongCall(
        "predict shape", lambda: make().predict(IMAGES[:, :8]), ValueError, ("x must be a batch of images", "shape")
    ),
    WrongCall("predict no batch", lambda: make().predict(IMAGES, batch_size=0), ValueError, ("batch_size", "got 0")),
    WrongCall(
        "batch weights",
        lambda: make().train_on_batch(IMAGES, sample_weight=np.ones(8)),
        ValueError,
        ("sample_weight must be None",),
    ),
    WrongCall(
        "batch classes", lambda: make().train_on_batch(IMAGES, class_weight={0: 1}), ValueError, ("class_weight",)
    ),
    WrongCall("batch targets", lambda: make().test_on_batch(IMAGES, IMAGES), ValueError, ("y must be None",)),
    # encode, decode, sample, save
    WrongCall("encode path", lambda: make().encode("a.png"), ValueError, ("images must be a batch of images",)),
    WrongCall("encode keys", lambda: make().encode({"a": IMAGES}), ValueError, ("images", "pairs", "['a']")),
    WrongCall(
        "encode batch", lambda: make().encode(IMAGES, batch_size=-1), ValueError, ("batch_size", "at least 1", "-1")
    ),
    WrongCall(
        "decode images", lambda: make().decode(IMAGES), ValueError, ("latents must be", "(n, 2)", "(8, 16, 16, 1)")
    ),
    WrongCall("sample", lambda: make().sample(2.0), ValueError, ("count", "at least 1", "2.0")),
    WrongCall("sample seed", lambda: make().sample(2, seed=-1), ValueError, ("seed", "at least 0", "-1")),
    WrongCall("save suffix", lambda: make().save("model.h5"), ValueError, ("filepath", "model.h5", ".keras")),
    WrongCall("load nothing", lambda: kv.load("nothing.keras"), FileNotFoundError, ("filepath", "nothing.keras")),
    # Pipelines of data sets of one's own
    WrongCall(
        "an array for data",
        lambda: kv.datasets.images(IMAGES, 4),
        ValueError,
        ("data", "an array of shape", "FromArrays"),
    ),
    WrongCall(
        "a path for data",
        lambda: kv.datasets.images("photos", 4),
        ValueError,
        ("data", "'photos'", "XYSquares()"),
    ),
    WrongCall(
        "a class for data", lambda: kv.datasets.pairs(kv.datasets.XYSquares, 4), ValueError, ("data", "class XYSquares")
    ),
    WrongCall(
        "no mean", lambda: kv.datasets.images(NoMean(), 4), ValueError, ("NoMean must set `mean`", "(channels,)")
    ),
    WrongCall(
        "mean missing elsewhere", lambda: NoMean().mean, AttributeError, ("NoMean must set `mean`", "(channels,)")
    ),
    WrongCall(
        "float images", lambda: kv.datasets.images(Floats(), 4), ValueError, ("Floats.render", "uint8", "float32")
    ),
    WrongCall(
        "sizes", lambda: kv.datasets.labelled(Mismatched(), 4), ValueError, ("Mismatched", "factor_sizes", "(4, 4)")
    ),
    WrongCall("one mean", lambda: kv.datasets.pairs(OneMean(), 4), ValueError, ("OneMean.mean", "(1,)", "0.5")),
    WrongCall(
        "batch size of text", lambda: kv.datasets.images(DATA, "4"), ValueError, ("batch_size", "'4'", "at least 1")
    ),
    WrongCall(
        "start", lambda: kv.datasets.images(DATA, 4, steps=3, start=3), ValueError, ("start", "below steps (3)", "3")
    ),
    WrongCall("form", lambda: kv.datasets.images(DATA, 4, form="torch"), ValueError, ("form", "'torch'", "tf.data")),
    WrongCall("changed", lambda: kv.datasets.pairs(DATA, 4, changed=9), ValueError, ("changed", "9")),
)
def test_wrong_call(wrong):
    check(wrong)


def test_nothing_was_trained():
    model = make()
    for data in (DATA, IMAGES[0], {"first": IMAGES, "second": IMAGES}):
        with pytest.raises(ValueError, match=r"x|VAE"):
            model.fit(data, verbose=0)
    assert int(model.step) == 0
