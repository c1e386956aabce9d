"""FactorVAE score."""

from collections.abc import Sequence

import numpy as np

from kerasvae.checks import check_integer, check_number, check_seed
from kerasvae.metrics.bootstrap import bootstrap_interval, check_bootstrap, replicate_generators
from kerasvae.metrics.generated_codes import check_generator, chunks, draw_factors, encoded
from kerasvae.metrics.score import CHOSEN_FACTORS, EncodeFactors, Score, ScoreInfo


@ScoreInfo(
    needs=CHOSEN_FACTORS,
    bounds=(0.0, 1.0),
    higher_is_better=True,
    fast={"train": 700, "test": 350, "variance_samples": 1000},
)
def factor_vae_score(
    encode_factors: EncodeFactors,
    factor_sizes: Sequence[int],
    *,
    train: int = 10_000,
    test: int = 5_000,
    batch_size: int = 64,
    variance_samples: int = 10_000,
    prune_threshold: float = 0.05,
    seed: int = 1,
    bootstrap: int = 0,
) -> Score:
    """FactorVAE score: how often the latent that varies least shows which factor a batch of images shares.

    For one vote a factor is drawn and a batch of images that share its value; the vote is the pair of that factor
    and the latent whose variance in the batch is the smallest share of its variance over all images. A latent
    stands for the factor that most of its training votes are for. Score: share of fresh votes whose factor is
    the one their latent stands for. 1 for a perfect code, whatever the latents' scales, shifts and order.

    Args:
        encode_factors: function of factor values, int64 (n, F) with column k in 0..factor_sizes[k] - 1, that
            returns their codes (n, D), finite and within float32's range. It is called with up to 2^14 rows,
            variance_samples + batch_size (train + test) in all.
        factor_sizes: number of values of each factor, (F,). Factors of one value are never the shared one.
        train: votes that latents get their factor from, at least 1. Default: 10 000.
        test: votes that are counted, at least 1. Default: 5 000.
        batch_size: images per vote, at least 2. Default: 64.
        variance_samples: images that the latents' variances are taken from, at least 2. Default: 10 000.
        prune_threshold: latents of a smaller standard deviation take no part, at least 0; constant ones never do.
            Where none is left the score is 0. Default: 0.05.
        seed: of the draws, 0..2^32-1. Default: 1.
        bootstrap: resamples of the votes for the 95 % interval, 0 (none) or at least 2. Default: 0.

    Returns:
        Score: accuracy of the test votes. Parts: `train` and `test`, the two accuracies; `latents`, the indices of
        those left after pruning, and `latents_left`, their number; `votes`, training votes, (latents left, F);
        `factor_of_latent`, (latents left,): 0 for a latent that no training vote was for, as in published code;
        `factors`, the indices of those that are shared.

    Raises:
        TypeError, ValueError: `encode_factors` is no function or returns no finite codes (n, D), no factor of more than
            one value, or an option that is not allowed.

    Source: Kim & Mnih 2018, "Disentangling by Factorising", Section 4, with the pruning of Locatello et al. 2019.

    Example:

    >>> factor_vae_score(lambda factors: factors, (4, 4, 4), train=500, test=500)
    Score(factor_vae_score=1)
    """
    seed, bootstrap = check_seed(seed), check_bootstrap(bootstrap)
    train, test = check_integer(train, "train", 1), check_integer(test, "test", 1)
    batch_size = check_integer(batch_size, "batch_size", 2)
    variance_samples = check_integer(variance_samples, "variance_samples", 2)
    check_number(prune_threshold, "prune_threshold", least=0)
    encode, sizes, active = check_generator(encode_factors, factor_sizes)
    rng = np.random.default_rng(seed)
    draws = np.concatenate([encode(draw_factors(rng, sizes, count)) for count in chunks(variance_samples, 1)])
    variances = _variances(draws[None])[0]
    latents = np.flatnonzero((variances > 0) & (np.sqrt(variances) >= prune_threshold))
    interval, on_train, on_test, votes = None, 0.0, 0.0, np.zeros((0, len(sizes)), np.int64)
    if len(latents):
        votes, tested = (
            _votes(encode, sizes, active, count, batch_size, variances, latents, rng) for count in (train, test)
        )
        on_train, on_test = _accuracy(votes, votes), _accuracy(votes, tested)
        if bootstrap:
            replicates = [
                _accuracy(*(_resampled(counts, rng) for counts in (votes, tested)))
                for rng in replicate_generators(seed, bootstrap)
            ]
            interval = bootstrap_interval(on_test, replicates)
    parts = {
        "train": on_train,
        "test": on_test,
        "latents": tuple(latents.tolist()),
        "latents_left": len(latents),
        "votes": votes,
        "factor_of_latent": votes.argmax(axis=1),
        "factors": active,
    }
    return Score("factor_vae_score", on_test, parts, interval=interval)


def _variances(codes):
    """Of the last but one axis, ddof 1; exactly 0 for equal codes, where a mean's rounding would leave a rest."""
    codes = codes - codes[..., :1, :]
    codes -= codes.mean(axis=-2, keepdims=True)
    return np.einsum("...nd,...nd->...d", codes, codes) / (codes.shape[-2] - 1)


def _votes(encode, sizes, active, count, batch_size, variances, latents, rng):
    """How many votes there are of each latent left for each factor: integers, (latents left, F)."""
    counts = np.zeros(len(latents) * len(sizes), np.int64)
    for size in chunks(count, batch_size):
        shared = np.array(active)[rng.integers(len(active), size=size)]
        factors = draw_factors(rng, sizes, size * batch_size).reshape(size, batch_size, -1)
        rows = np.arange(size)
        factors[rows, :, shared] = factors[rows, 0, shared][:, None]
        shares = _variances(encoded(encode, factors)[..., latents]) / variances[latents]
        counts += np.bincount(shares.argmin(axis=1) * len(sizes) + shared, minlength=len(counts))
    return counts.reshape(len(latents), len(sizes))


def _accuracy(votes, tested):
    right = np.take_along_axis(tested, votes.argmax(axis=1)[:, None], axis=1)
    return float(right.sum() / tested.sum())


def _resampled(votes, rng):
    return rng.multinomial(votes.sum(), (votes / votes.sum()).ravel()).reshape(votes.shape)
