"""Calls of losses, schedules and functions of posteriors that must be refused, and what the answer says."""

import numpy as np
from wrong_calls import WrongCall, check, wrong_calls

from kerasvae import math
from kerasvae.losses import BernoulliNLL, BoxBlurMSE, MeanAbsoluteError, MeanSquaredError
from kerasvae.schedules import Constant, Cosine, Cyclical, Linear, Piecewise

IMAGES = np.zeros((2, 4, 4, 1), "float32")
TWO, THREE = np.zeros((4, 2), "float32"), np.zeros((4, 3), "float32")
WORDS = np.array([["a", "b"]])


def call(name, function, error, *words):
    return WrongCall(name, function, error, words)


LOSSES = [
    call("radius negative", lambda: BoxBlurMSE(radius=-1), ValueError, "radius", "at least 0", "-1"),
    call("radius fraction", lambda: BoxBlurMSE(radius=1.5), ValueError, "radius must be an integer", "1.5"),
    call("radius bool", lambda: BoxBlurMSE(radius=True), ValueError, "radius must be an integer", "True"),
    call("radius word", lambda: BoxBlurMSE("31"), ValueError, "radius must be an integer", "'31'"),
    call("radius none", lambda: BoxBlurMSE(radius=None), ValueError, "radius must be an integer", "None"),
    call("weight negative", lambda: BoxBlurMSE(weight=-1.0), ValueError, "weight", "at least 0", "-1.0"),
    call("weight nan", lambda: BoxBlurMSE(weight=float("nan")), ValueError, "weight", "finite", "nan"),
    call("weight bool", lambda: BoxBlurMSE(weight=True), ValueError, "weight", "finite number", "True"),
    call("weight list", lambda: BoxBlurMSE(weight=[1.0]), ValueError, "weight", "[1.0]"),
    call("pixel weight infinite", lambda: BoxBlurMSE(pixel_weight=float("inf")), ValueError, "pixel_weight", "inf"),
    call("pixel weight word", lambda: BoxBlurMSE(pixel_weight="1"), ValueError, "pixel_weight", "'1'"),
    *(
        call(f"{loss.__name__} {name}", lambda loss=loss, pair=pair: loss().call(*pair), error, loss.__name__, *words)
        for loss in (MeanSquaredError, MeanAbsoluteError, BernoulliNLL, BoxBlurMSE)
        for name, pair, error, words in (
            ("channels", (IMAGES, np.zeros((2, 4, 4, 3))), ValueError, ("same shape", "(2, 4, 4, 1)", "(2, 4, 4, 3)")),
            ("vectors", (TWO, TWO), ValueError, ("batch, height, width, channels", "(4, 2)")),
            ("words", (IMAGES, WORDS), TypeError, ("y_pred", "batch of images")),
            ("none", (None, IMAGES), TypeError, ("y_true", "NoneType")),
            ("loss in place of images", (loss(), IMAGES), TypeError, ("y_true", loss.__name__)),
        )
    ),
]

SCHEDULES = [
    call("constant word", lambda: Constant("1"), ValueError, "value must be a finite number", "'1'"),
    call("constant schedule", lambda: Constant(Constant(1)), ValueError, "value must be a finite number", "Constant"),
    call("linear steps 0", lambda: Linear(0, 1, 0), ValueError, "steps must be at least 1", "0"),
    call("linear steps word", lambda: Linear(0, 1, "10"), ValueError, "steps must be a finite number", "'10'"),
    call("linear delay negative", lambda: Linear(0, 1, 5, delay=-3), ValueError, "delay must be at least 0", "-3"),
    call("linear start none", lambda: Linear(None, 1, 5), ValueError, "start must be a finite number", "None"),
    call("linear start array", lambda: Linear(np.zeros(2), 1, 5), ValueError, "start must be a finite number"),
    call("cosine end nan", lambda: Cosine(0, float("nan"), 5), ValueError, "end must be a finite number", "nan"),
    call("cyclical ramp 2", lambda: Cyclical(0, 1, 5, ramp=2), ValueError, "ramp", "at most 1", "2"),
    call("cyclical fraction", lambda: Cyclical(0, 1, 2.5), ValueError, "period must be a whole number", "2.5"),
    call("piecewise one number", lambda: Piecewise(5, [0, 1]), ValueError, "boundaries must be a list", "5"),
    call("piecewise values number", lambda: Piecewise([5], 1.0), ValueError, "values must be a list", "1.0"),
    call("piecewise word", lambda: Piecewise("5", [0, 1]), ValueError, "boundaries must be a list", "'5'"),
    call("piecewise swapped", lambda: Piecewise([0.0, 1.0, 2.0], [5, 9]), ValueError, "values", "4", "got 2"),
    call("step negative", lambda: Linear(0, 1, 5)(-1), ValueError, "step", "at least 0", "-1"),
    call("step nan", lambda: Linear(0, 1, 5)(float("nan")), ValueError, "step", "nan"),
    call("step bool", lambda: Linear(0, 1, 5)(True), ValueError, "step", "True"),
    call("step word", lambda: Linear(0, 1, 5)("7"), TypeError, "step must be a number", "'7'"),
    call("step none", lambda: Constant(1)(None), TypeError, "step must be a number", "None"),
    call("step too far", lambda: Cyclical(0, 1, 5)(2**40), ValueError, "step", "2**31 - 1", "1099511627776"),
]

FUNCTIONS = [
    call("kl shapes", lambda: math.kl_standard_normal(TWO, THREE), ValueError, "logvar", "(4, 2)", "(4, 3)"),
    call("kl words", lambda: math.kl_standard_normal(WORDS, TWO), TypeError, "mean", "real numbers"),
    call("kl none", lambda: math.kl_standard_normal(TWO, None), TypeError, "logvar", "real numbers", "None"),
    call("kl bool", lambda: math.kl_standard_normal(TWO > 0, TWO), TypeError, "mean", "real numbers"),
    call("pair shapes", lambda: math.kl_normal(TWO, TWO, TWO, THREE), ValueError, "logvar2", "(4, 3)"),
    call("symmetric shapes", lambda: math.symmetric_kl(TWO, TWO, THREE, THREE), ValueError, "mean2", "(4, 3)"),
    call("how", lambda: math.average_posteriors(TWO, TWO, TWO, TWO, TWO > 0, "mean"), ValueError, "how", "'mean'"),
    call("shared vector", lambda: math.shared_latents(np.zeros(3)), ValueError, "distance", "(batch, latents)", "(3,)"),
    call("threshold", lambda: math.shared_latents(TWO, 1.5), ValueError, "threshold", "between 0 and 1", "1.5"),
    call("threshold word", lambda: math.shared_latents(TWO, "half"), ValueError, "threshold", "'half'"),
    call("estimator", lambda: math.kl_decomposition(TWO, TWO, TWO, 9, "x"), ValueError, "estimator", "'x'", "mws"),
    call("size 0", lambda: math.kl_decomposition(TWO, TWO, TWO, 0), ValueError, "dataset_size", "at least 1", "0"),
    call("size small", lambda: math.kl_decomposition(TWO, TWO, TWO, 3), ValueError, "dataset_size", "batch, 4", "3"),
    call("size fraction", lambda: math.kl_decomposition(TWO, TWO, TWO, 9.5), ValueError, "dataset_size", "9.5"),
    call("batch of 1", lambda: math.kl_decomposition(*[TWO[:1]] * 3, 9), ValueError, "z", "at least 2", "1"),
    call("decomposition shapes", lambda: math.kl_decomposition(THREE, TWO, TWO, 9), ValueError, "mean", "(4, 3)"),
    call("dip kind", lambda: math.dip_penalty(TWO, TWO, 1, 1.0, 1.0), ValueError, "kind", '"i" or "ii"', "1"),
    call("dip shapes", lambda: math.dip_penalty(TWO, THREE, "i", 1.0, 1.0), ValueError, "logvar", "(4, 3)"),
    call("dip vector", lambda: math.dip_penalty(np.zeros(3), np.zeros(3), "i", 1, 1), ValueError, "mean", "(3,)"),
    call("prior latents", lambda: math.maximum_mean_discrepancy(TWO, THREE), ValueError, "prior", "2 latents", "3"),
    call("permute vector", lambda: math.permute_latents(np.zeros(3), 1), ValueError, "z", "(batch, latents)", "(3,)"),
    call("permute numbers", lambda: math.permute_latents(TWO, THREE), ValueError, "seed", "z's shape", "(4, 3)"),
    call("permute seed", lambda: math.permute_latents(TWO, "1"), TypeError, "seed", "SeedGenerator", "'1'"),
    call("beta shape", lambda: math.convert_beta(1.0, 64, 9, "sum"), ValueError, "image_shape", "64"),
    call("beta shape word", lambda: math.convert_beta(1.0, "64x64x3", 9, "sum"), ValueError, "image_shape", "64x64x3"),
    call("beta latents", lambda: math.convert_beta(1.0, (4, 4, 1), "9", "sum"), ValueError, "latents", "'9'"),
    call("beta bool", lambda: math.convert_beta(True, (4, 4, 1), 9, "sum"), ValueError, "beta", "True"),
    call("beta to", lambda: math.convert_beta(1.0, (4, 4, 1), 9, "max"), ValueError, "to must be", "'max'"),
]


@wrong_calls(*LOSSES, *SCHEDULES, *FUNCTIONS)
def test_wrong_calls(wrong):
    check(wrong)
