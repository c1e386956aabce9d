"""A table of results such as a study has, drawn at random: settings with effects, seeds, scores that agree in part."""

import numpy as np

STRENGTHS = {
    "beta_vae": ("beta", (1, 2, 4, 6, 8, 16)),
    "factor_vae": ("gamma", (10, 20, 30, 40, 50, 100)),
    "beta_tc_vae": ("beta", (1, 2, 4, 6, 8, 10)),
    "dip_vae_i": ("lambda_od", (1, 2, 5, 10, 20, 50)),
    "dip_vae_ii": ("lambda_od", (1, 2, 5, 10, 20, 50)),
    "annealed_vae": ("c_max", (5, 10, 25, 50, 75, 100)),
}
DATASETS = ("dsprites", "color_dsprites", "noisy_dsprites", "scream_dsprites", "smallnorb", "cars3d", "shapes3d")
# Mean, and how much of the shared quality and of their own noise is in each.
SCORES = {
    "beta_vae_score": (0.84, 0.07, 0.05),
    "factor_vae_score": (0.68, 0.10, 0.07),
    "mig": (0.20, 0.09, 0.04),
    "dci.disentanglement": (0.26, 0.11, 0.04),
    "modularity": (0.82, 0.005, 0.05),
    "sap": (0.05, 0.02, 0.02),
}


def study_columns(datasets=3, strengths=3, seeds=5, seed=0) -> dict:
    """Columns of a wide table of 6 methods: 270 runs as it is, 12 600 of 7 data sets, 6 strengths and 50 seeds."""
    draws = np.random.default_rng(seed)
    chosen = {method: (name, _spread(values, strengths)) for method, (name, values) in STRENGTHS.items()}
    settings = [(method, name, value) for method, (name, values) in chosen.items() for value in values]
    shape = datasets, len(settings), seeds
    rank = np.array([strengths and chosen[method][1].index(value) for method, _, value in settings])
    rank = rank / max(strengths - 1, 1)
    weak = np.array([1 - r if method == "annealed_vae" else r for r, (method, *_) in zip(rank, settings, strict=True)])
    methods = np.array([list(chosen).index(method) for method, *_ in settings])
    # Settings transfer between neighbouring data sets better than between others.
    of_setting = draws.normal(size=len(settings)) * 0.45 + draws.normal(size=6)[methods] * 0.5
    own = np.cumsum(draws.normal(size=(datasets, len(settings))), axis=0) * 0.3
    quality = (of_setting + own)[:, :, None] + draws.normal(size=shape) * 0.65
    columns = {
        "dataset": np.repeat(DATASETS[:datasets], len(settings) * seeds).tolist(),
        "method": [method for _ in range(datasets) for method, *_ in settings for _ in range(seeds)],
        "strength": [value for _ in range(datasets) for *_, value in settings for _ in range(seeds)],
        "strength_name": [name for _ in range(datasets) for _, name, _ in settings for _ in range(seeds)],
        "seed": list(range(seeds)) * (datasets * len(settings)),
    }
    easy = draws.normal(size=(datasets, 1, 1)) * 0.02
    for name, (mean, gain, noise) in SCORES.items():
        values = mean + easy + gain * quality + noise * draws.normal(size=shape)
        columns[name] = np.clip(values, 0, 1).round(4)
    strong = weak[None, :, None]
    columns["loss.reconstruction"] = 40 + 60 * strong + 6 * draws.normal(size=shape) + 3 * quality
    columns["loss.kl"] = np.maximum(26 - 16 * strong + 2 * draws.normal(size=shape), 0.5)
    columns["loss.total"] = columns["loss.reconstruction"] + (1 + 5 * strong) * columns["loss.kl"]
    dip = np.isin(methods, [3])[None, :, None]
    noise = np.exp(0.35 * draws.normal(size=shape))
    columns["unsup.gaussian_tc"] = np.exp(np.where(dip, -2.2 - strong, -2.2 + 2.6 * strong)) * noise
    columns["unsup.gaussian_tc@sampled"] = np.exp(-3.2 - 2.2 * strong) * np.exp(0.3 * draws.normal(size=shape))
    columns["unsup.gaussian_tc_active"] = np.exp(-4.0 - 3.6 * strong) * np.exp(0.5 * draws.normal(size=shape))
    columns["unsup.active_latents"] = np.round(10 - 5 * strong + 0.6 * draws.normal(size=shape))
    columns["udr"] = np.clip(0.4 + 0.1 * quality + 0.08 * draws.normal(size=shape), 0, 1)
    for predictor, rise in (("lr", 0.06), ("gbt", 0.1)):
        for place, samples in enumerate((10, 100, 1000, 10000)):
            values = 0.24 + rise * place * 1.4 + 0.02 * quality * place + 0.02 * draws.normal(size=shape)
            columns[f"downstream.{predictor}.{samples}"] = np.clip(values, 0, 1)
    columns["downstream.chance"] = np.full(shape, 0.19)
    return {name: values.ravel().tolist() if hasattr(values, "ravel") else values for name, values in columns.items()}


def _spread(values, count):
    return [values[place] for place in np.linspace(0, len(values) - 1, count).round().astype(int)]
