"""Calls of scores and evaluations that must be refused, and what the answer says."""

import numpy as np
from grid_of_pictures import Grid, identity
from wrong_calls import WrongCall, check, wrong_calls

from kerasvae import metrics
from kerasvae.metrics import evaluate, evaluate_codes, sample_codes

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(0, 4, (60, 2))
CODES = FACTORS + RNG.normal(0, 0.3, (60, 2))
NAN = np.where(np.arange(60)[:, None] == 7, np.nan, CODES)
LOGVAR = np.full(CODES.shape, -4.0)
WORDS = np.full(CODES.shape, "a")
DATA = Grid()


def call(name, function, error, *words):
    return WrongCall(name, function, error, words)


def continuous(codes, factors):
    return metrics.sap(codes, factors, continuous=True)


SCORES = {
    "mig": metrics.mig,
    "dci": lambda codes, factors: metrics.dci(codes, factors, stages=1),
    "modularity": metrics.modularity,
    "explicitness": metrics.explicitness,
    "sap": metrics.sap,
    "sap continuous": continuous,
    "irs": metrics.irs,
    "downstream": metrics.downstream,
}
OF_SAMPLES = [
    call(f"{name} {what}", lambda score=score, given=given: score(*given), error, *words)
    for name, score in SCORES.items()
    for what, given, error, words in (
        ("swapped", (FACTORS, CODES), TypeError, ("factors must be integers", "float64")),
        ("lengths", (CODES, FACTORS[:59]), ValueError, ("codes and factors", "same samples", "60", "59")),
        ("nan", (NAN, FACTORS), ValueError, ("codes must be finite", "row 7, latent 0")),
        ("one sample", (CODES[:1], FACTORS[:1]), ValueError, ("at least", "got 1")),
        ("words", (WORDS, FACTORS), TypeError, ("codes must be real numbers",)),
        ("vector", (CODES[:, 0], FACTORS), ValueError, ("codes must have shape (samples, latents)", "(60,)")),
        ("one factor as a vector", (CODES, FACTORS[:, 0]), ValueError, ("factors must have shape", "(60,)")),
        ("constant", (CODES, 0 * FACTORS), ValueError, ("constant",)),
        ("none", (None, FACTORS), TypeError, ("codes must be real numbers", "NoneType")),
        ("ragged", ([[1.0], [1.0, 2.0]], FACTORS), ValueError, ("codes must be an array", "list")),
        ("data set", (DATA, FACTORS), TypeError, ("codes must be real numbers", "Grid")),
    )
]

OF_POSTERIORS = [
    call(f"{score.__name__} {what}", lambda score=score, given=given: score(*given), error, *words)
    for score in (metrics.aam, metrics.mmig)
    for what, given, error, words in (
        ("without log-variances", (CODES, None, FACTORS), ValueError, ("logvar", "histogram")),
        ("log-variances of another shape", (CODES, LOGVAR[:, :1], FACTORS), ValueError, ("logvar", "(60, 1)")),
        ("variances", (CODES, LOGVAR + 300, FACTORS), ValueError, ("logvar", "-200 and 200", "296", "point 0")),
        ("swapped", (CODES, FACTORS, LOGVAR), TypeError, ("factors must be integers",)),
        ("nan", (NAN, LOGVAR, FACTORS), ValueError, ("mean must be finite", "row 7")),
    )
]

GENERATORS = [
    call(f"{score.__name__} {what}", lambda score=score, given=given: score(*given), error, *words)
    for score in (
        metrics.beta_vae_score,
        metrics.factor_vae_score,
        metrics.flatness,
        metrics.linearity,
        metrics.distance_correlations,
    )
    for what, given, error, words in (
        ("codes", (CODES, (4, 4)), TypeError, ("encode_factors must be a function", "ndarray")),
        ("swapped", ((4, 4), identity), ValueError, ("factor_sizes must be a list of integers",)),
        ("one number", (identity, 4), ValueError, ("factor_sizes must be a list of integers", "4")),
        ("constant", (identity, (1, 1)), ValueError, ("factor_sizes", "more than one value", "(1, 1)")),
        ("nan", (lambda f: f * np.nan, (4, 4)), ValueError, ("codes that encode_factors returns", "finite")),
        ("vector", (lambda f: f[:, 0], (4, 4)), ValueError, ("codes that encode_factors returns", "shape")),
    )
]


def returns(what):
    return lambda images: what(identity(images))


EVALUATE = [
    call("evaluate swapped", lambda: evaluate(DATA, identity), TypeError, "encode", "Grid"),
    call(
        "evaluate data in place of model", lambda: evaluate(DATA, DATA), TypeError, "encode must be a function", "Grid"
    ),
    call("evaluate codes", lambda: evaluate(CODES, DATA), TypeError, "encode must be a function", "ndarray"),
    call("evaluate no data", lambda: evaluate(identity, None), TypeError, "data", "NoneType"),
    call("evaluate factors as data", lambda: evaluate(identity, FACTORS), TypeError, "data", "ndarray"),
    call("evaluate a path", lambda: evaluate(identity, "dsprites"), TypeError, "data", "str"),
    call(
        "evaluate bootstrap -1", lambda: evaluate(identity, DATA, bootstrap=-1), ValueError, "bootstrap", "at least 0"
    ),
    call("evaluate bootstrap 1", lambda: evaluate(identity, DATA, bootstrap=1), ValueError, "bootstrap", "at least 2"),
    call("evaluate bootstrap true", lambda: evaluate(identity, DATA, bootstrap=True), ValueError, "bootstrap", "True"),
    call("evaluate one name", lambda: evaluate(identity, DATA, "mig"), TypeError, "scores", "'all'", "'mig'"),
    call("evaluate misspelt", lambda: evaluate(identity, DATA, ["migg"]), ValueError, "scores", "'mig'", "'migg'"),
    call("evaluate no scores", lambda: evaluate(identity, DATA, []), ValueError, "scores", "at least one"),
    call("evaluate option", lambda: evaluate(identity, DATA, {"mig": {"bin": 3}}), TypeError, "scores['mig']", "bin"),
    call(
        "evaluate preset", lambda: evaluate(identity, DATA, preset="small"), ValueError, "preset", '"full"', "'small'"
    ),
    call("evaluate representation", lambda: evaluate(identity, DATA, representation=1), ValueError, "representation"),
    call("evaluate batch 0", lambda: evaluate(identity, DATA, batch_size=0), ValueError, "batch_size", "at least 1"),
    call("evaluate seed", lambda: evaluate(identity, DATA, seed=None), ValueError, "seed must be an integer", "None"),
    call("evaluate jobs 0", lambda: evaluate(identity, DATA, jobs=0), ValueError, "jobs", "at least 1", "0"),
    call("evaluate train 1", lambda: evaluate(identity, DATA, train=1), ValueError, "train", "at least 2", "1"),
    call("evaluate test word", lambda: evaluate(identity, DATA, test="5000"), ValueError, "test", "'5000'"),
    call(
        "evaluate aam of codes", lambda: evaluate(identity, DATA, ["aam"]), ValueError, "scores['aam']", "log-variances"
    ),
    call("evaluate divergences", lambda: evaluate(identity, DATA, divergences="kl"), ValueError, "divergences", "'kl'"),
    call(
        "encode gives images",
        lambda: evaluate(lambda x: x, DATA),
        ValueError,
        "codes that encode returns",
        "shape",
        "1, 2, 1",
    ),
    call(
        "encode gives few rows",
        lambda: evaluate(returns(lambda z: z[:3]), DATA),
        ValueError,
        "one row per image",
        "(3, 2)",
    ),
    call(
        "encode gives a tensor for each image",
        lambda: evaluate(returns(lambda z: [z, z, z]), DATA),
        ValueError,
        "codes that encode returns",
        "shape",
    ),
    call(
        "encode gives a dictionary",
        lambda: evaluate(returns(lambda z: {"z": z}), DATA),
        TypeError,
        "'mean' and 'logvar'",
        "['z']",
    ),
    call(
        "encode gives nan",
        lambda: evaluate(returns(lambda z: z * np.nan), DATA),
        ValueError,
        "finite",
        "first nan in image",
    ),
    call("encode gives words", lambda: evaluate(returns(lambda z: z.astype(str)), DATA), TypeError, "real numbers"),
    call("encode gives nothing", lambda: evaluate(lambda x: None, DATA), TypeError, "real numbers", "NoneType"),
    call("sample_codes representation", lambda: sample_codes(identity, DATA, representation="z"), ValueError, "'z'"),
    call("sample_codes train", lambda: sample_codes(identity, DATA, train=1), ValueError, "train", "at least 2"),
    call("evaluate_codes swapped", lambda: evaluate_codes(FACTORS, CODES), TypeError, "factors must be integers"),
    call("evaluate_codes test", lambda: evaluate_codes(CODES, FACTORS, test=CODES), TypeError, "test must be a pair"),
    call("evaluate_codes lengths", lambda: evaluate_codes(CODES, FACTORS[1:]), ValueError, "same samples", "60", "59"),
    call("evaluate_codes preset", lambda: evaluate_codes(CODES, FACTORS, preset="x"), ValueError, "preset", "'x'"),
]

OPTIONS = [
    call("bins 1", lambda: metrics.mig(CODES, FACTORS, bins=1), ValueError, "bins", "at least 2", "1"),
    call("bins word", lambda: metrics.irs(CODES, FACTORS, bins="20"), ValueError, "bins must be an integer", "'20'"),
    call("quantile", lambda: metrics.irs(CODES, FACTORS, quantile=99), ValueError, "quantile", "at most 1", "99"),
    call("quantile bool", lambda: metrics.irs(CODES, FACTORS, quantile=True), ValueError, "quantile", "True"),
    call("learning rate", lambda: metrics.dci(CODES, FACTORS, learning_rate=0), ValueError, "learning_rate", "above 0"),
    call("learning rate bool", lambda: metrics.dci(CODES, FACTORS, learning_rate=True), ValueError, "learning_rate"),
    call("jobs", lambda: metrics.dci(CODES, FACTORS, jobs=-1), ValueError, "jobs", "at least 1", "-1"),
    call("posterior", lambda: metrics.mig(CODES, FACTORS, posterior=CODES), TypeError, "posterior must be a pair"),
    call("aggregate how", lambda: metrics.aggregate(np.eye(2), "max"), ValueError, "how", '"sap"', "'max'"),
    call("aggregate negative", lambda: metrics.aggregate(-np.eye(2), "sap"), ValueError, "matrix", "at least 0"),
    call("aggregate words", lambda: metrics.aggregate([["a"]], "sap"), TypeError, "matrix must be real numbers"),
    call("udr one model", lambda: metrics.udr([CODES]), ValueError, "at least 2 models", "1"),
    call("udr array", lambda: metrics.udr(CODES), TypeError, "codes must be a list", "ndarray"),
    call("total correlation word", lambda: metrics.gaussian_total_correlation("codes"), TypeError, "codes", "real"),
    call("information bins", lambda: metrics.mutual_information(CODES, FACTORS, 0), ValueError, "bins", "0"),
    call("entropy of floats", lambda: metrics.entropy(CODES), TypeError, "factors must be integers"),
]


@wrong_calls(*OF_SAMPLES, *OF_POSTERIORS, *GENERATORS, *EVALUATE, *OPTIONS)
def test_wrong_calls(wrong):
    check(wrong)
