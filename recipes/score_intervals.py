"""How often the 95 % bootstrap intervals of the scores hold what they are of.

Many samples are drawn of one known distribution of codes and factors; each is scored with an interval. It may be wanted
of two numbers: the mean score of samples of this size, and the score of a sample so large that it has no bias.

    python recipes/score_intervals.py --samples 250 --trials 200 --resamples 100

The first two rows are of 200 trials of 60 resamples; the others of 100 of 60, but dci and explicitness of 60 of
60, and sap and distance_correlations of 20 of 20, which is rough:

    score                           mean   large  covers mean  covers large
    mig                           0.4166  0.4581         0.95          0.40
    modularity                    0.8520  0.9677         0.95          0.01
    gaussian_total_correlation    0.0662  0.0527         0.97          0.96
    sap continuous                0.6898  0.6927         0.98          0.96
    gaussian_wasserstein          0.0762  0.0640         0.95          0.96
    linearity                     0.7439  0.7445         0.93          0.94
    flatness                      0.4011  0.4019         0.95          0.93
    mutual_information_score      0.6084  0.0291         0.96          0.00
    irs                           0.4789  0.5234         0.89          0.34
    sap                           0.2277  0.3191         0.95          0.05
    explicitness                  0.9056  0.9146         0.98          0.77
    dci (10 stages)               0.5258  0.7973         0.97          0.00
    aam                           0.8803  0.9479         0.99          0.02
    mmig                          0.3368  0.3347         0.94          0.93
    beta_vae_score                0.9365  0.9368         0.98          0.97
    factor_vae_score              0.9266  0.9250         0.94          0.92
    distance_correlations         0.8502  0.8510         1.00          1.00

Of 60 samples the intervals of mig covered the mean in 0.90, those of modularity in 0.95 (100 trials of 60).
"""

import argparse

import numpy as np

import kerasvae as kv

SIZES = (4, 3, 5)
WEIGHTS = np.array([[1.0, 0.0, 0.2, 0.0], [0.3, 1.0, 0.0, 0.0], [0.0, 0.2, 0.7, 0.0]])
ROWS = ["mig", "modularity", "irs", "sap", "sap continuous", "explicitness", "dci"]
ALONE = ["gaussian_total_correlation", "gaussian_wasserstein", "mutual_information_score"]
POSTERIORS = ["aam", "mmig"]
CHOSEN = ["beta_vae_score", "factor_vae_score", "flatness", "linearity", "distance_correlations"]


def encode(factors, rng):
    """Codes of factor values with noise of which the last of four latents holds nothing else."""
    return factors @ WEIGHTS + rng.normal(0, 0.5, (len(factors), 4))


def draw(count, rng):
    factors = np.stack([rng.integers(size, size=count) for size in SIZES], axis=1)
    return encode(factors, rng), factors


def score_of(name):
    """The score as a function of (rows, test rows), as an evaluation calls it; and whether it takes test rows."""
    function = kv.metrics.SCORES[name.split()[0]]
    options = {"continuous": True} if "continuous" in name else {"stages": 10} if name == "dci" else {}
    tested = name in ("sap", "explicitness", "dci")

    def score(rows, test):
        codes, *factors = rows
        if name in ALONE:
            factors = []
        elif name in POSTERIORS:
            factors.insert(0, np.full(codes.shape, 2 * np.log(0.5)))  # log-variances, those of the noise
        return float(function(codes, *factors, **options, **({"test": test} if tested else {})))

    return (
        score,
        tested,
        function.info.bounds,
    )


def of_rows(name, samples, trials, resamples, seed):
    score, tested, bounds = score_of(name)
    rng = np.random.default_rng(seed)
    values, intervals = [], []
    for trial in range(trials):
        rows, test = draw(samples, rng), draw(samples, rng) if tested else None
        values.append(score(rows, test))
        replicates = kv.metrics.bootstrap.bootstrap_rows(score, rows, test, trial, resamples)
        intervals.append(kv.metrics.bootstrap.bootstrap_interval(values[-1], replicates, bounds))
    large = [draw(40 * samples, rng) for _ in range(2)]
    return np.array(values), np.array(intervals), score(*large)


def of_choices(name, samples, trials, resamples, seed):
    """Scores that choose their factor values: of as many points or walks."""
    sized = {"train": samples, "test": samples} if "vae" in name else {"repeats": samples}
    rng = np.random.default_rng(seed)
    options = {"batch_size": 8} if "vae" in name else {}

    def score(trial, factor=1, **more):
        sizes = {key: factor * size for key, size in sized.items()}
        return kv.metrics.SCORES[name](
            lambda factors: encode(factors, rng), SIZES, seed=trial, **sizes, **options, **more
        )

    scores = [score(trial, bootstrap=resamples) for trial in range(trials)]
    return np.array([float(each) for each in scores]), np.array([each.interval for each in scores]), float(score(0, 40))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for option, default in (("samples", 250), ("trials", 200), ("resamples", 100), ("seed", 0)):
        parser.add_argument(f"--{option}", type=int, default=default)
    parser.add_argument("--scores", nargs="*", default=[*ROWS, *ALONE, *POSTERIORS, *CHOSEN])
    options = vars(parser.parse_args())
    print(f"kerasvae {kv.__version__}: {options}")
    print(f"{'score':28}{'mean':>8}{'large':>8}{'covers mean':>13}{'covers large':>14}")
    for name in options.pop("scores"):
        values, intervals, large = (of_choices if name in CHOSEN else of_rows)(name, **options)
        covered = [np.mean((intervals[:, 0] <= true) & (true <= intervals[:, 1])) for true in (values.mean(), large)]
        print(f"{name:28}{values.mean():8.4f}{large:8.4f}{covered[0]:13.2f}{covered[1]:14.2f}", flush=True)
