"""What a run of a study is measured by: scores, losses and statistics of its codes, from one encoding."""

from __future__ import annotations

import math

import numpy as np
from keras import ops
from scipy.special import entr

from kerasvae import metrics
from kerasvae.metrics.divergences import COLLAPSED, mean_divergences

# Nats of mean KL above which a latent counts as active, in the number of active latents.
ACTIVE = 0.1
# Images at a time; and batches, at most, that the losses are the mean of.
_CHUNK, _BATCHES = 256, 64
_PREDICTORS = {"lr": "logistic_regression", "gbt": "boosted_trees"}


class Posteriors:
    """Posteriors of a data set's images by index; each image is encoded once, when it is first asked for.

    Of images with random parts there is one of each index, the data set's default.

    Args:
        model: a trained model.
        data: a ground-truth data set.
    """

    def __init__(self, model, data):
        self.model, self.data = model, data
        self._mean = np.zeros((len(data), model.latents))
        self._logvar = np.zeros_like(self._mean)
        self._known = np.zeros(len(data), bool)

    def __call__(self, indices) -> tuple[np.ndarray, np.ndarray]:
        """Means and log-variances, float64 (n, latents), of the images of the given indices."""
        indices = np.asarray(indices)
        missing = np.unique(indices[~self._known[indices]])
        for start in range(0, len(missing), 16 * _CHUNK):
            part = missing[start : start + 16 * _CHUNK]
            self._mean[part], self._logvar[part] = self.model.encode(
                self.data.images(part), batch_size=_CHUNK, return_logvar=True
            )
            self._known[part] = True
        return self._mean[indices], self._logvar[indices]


def study_scores(model, data, row: dict, jobs: int | None = None) -> tuple[dict, dict]:
    """Every number of a trained model, and the codes that others are computed from when all runs are there.

    The images are `code_images` of the row, drawn at random without repetition by `scores_seed`: the same for all rows
    of a data set. Metrics that end in "@sampled" are of codes drawn from the posteriors, the others of their means.

    Args:
        model: trained.
        data: its data set.
        row: of `kerasvae.tuning.studies`.
        jobs: threads.

    Returns:
        {metric: number}, named as in `kerasvae.analysis.study`; and {"indices": (images,), "mean": float32 (images,
        latents), "kl": (latents,)}. A number that is not finite is left out.
    """
    posteriors, rng = Posteriors(model, data), np.random.default_rng(row["scores_seed"])
    chosen = rng.permutation(len(data))[: row["code_images"]]
    mean, logvar = posteriors(chosen)
    kl = mean_divergences(mean, logvar)
    found = {
        **_losses(model, data, row, chosen),
        **_of_posteriors(mean, logvar, data.factors(chosen), row),
        **_of_samples(mean, data, chosen, row, jobs),
        **_of_latents(mean, logvar, kl, row),
    }
    for suffix, noise in (("", None), ("@sampled", np.random.default_rng((row["scores_seed"], 1)))):
        codes = mean if noise is None else _drawn(mean, logvar, noise)
        for name in ("mig", "modularity"):
            found[name + suffix] = float(getattr(metrics, name)(codes, data.factors(chosen)))
        for name in ("beta_vae_score", "factor_vae_score"):
            found[name + suffix] = _of_chosen_factors(name, posteriors, data, row, noise)
        found[f"sap{suffix}"] = _sap(codes, data.factors(chosen), row)
    found["loss.kl"] = float(kl.sum())
    found["loss.elbo"] += found["loss.kl"]
    found |= {f"kl.z{latent}": float(value) for latent, value in enumerate(kl)}
    return (
        {name: value for name, value in found.items() if math.isfinite(value)},
        {"indices": chosen, "mean": mean.astype("float32"), "kl": kl},
    )


def _losses(model, data, row, chosen) -> dict:
    """Losses in nats per image on whole batches of the training's size; `loss.elbo` still without its KL."""
    size = row["batch_size"]
    batches = [chosen[start : start + size] for start in range(0, len(chosen) - size + 1, size)][:_BATCHES]
    model.evaluation_step.assign(0)
    model.reset_metrics()
    of_means = []
    for batch in batches or [chosen]:
        images = ops.convert_to_tensor(data.images(batch).astype("float32") / 255.0)
        model.compute_loss(x=images, training=False)
        logits = ops.convert_to_tensor(model.run_network(model.decoder, model.encode(data.images(batch))))
        of_means.append(float(ops.mean(model.reconstruction.call(images, logits))) * math.prod(data.image_shape))
    of_sample, total = (float(model.get_metrics_result()[name]) for name in ("reconstruction_nats", "loss"))
    model.reset_metrics()
    chosen_loss = of_sample if row["reconstruction_from"] == "sample" else float(np.mean(of_means))
    return {"loss.reconstruction": chosen_loss, "loss.elbo": of_sample, "loss.total": total}


def _of_posteriors(mean, logvar, factors, row) -> dict:
    options = {"seed": row["scores_seed"]}
    return {name: float(getattr(metrics, name)(mean, logvar, factors, **options)) for name in ("aam", "mmig")}


def _of_samples(mean, data, chosen, row, jobs) -> dict:
    """Scores and tasks that are learned from some images and tested on others."""
    train, test = _split(mean, data.factors(chosen), row)
    options = {"test": test, "stages": row["stages"], "seed": row["scores_seed"], "jobs": jobs}
    dci = metrics.dci(*train, **options)
    sizes = [int(size) for size in row["downstream"].split(",")]
    tasks = metrics.downstream(*train, sizes, predictors=tuple(_PREDICTORS.values()), **options)
    return {
        "dci.disentanglement": float(dci),
        "dci.completeness": float(dci.parts["completeness"]),
        "downstream.chance": tasks.parts["chance"],
        # How many times as often as by chance the trees of the most samples tell a factor.
        **{
            f"dci.times_chance.{data.factor_names[factor]}": float(accuracy * data.factor_sizes[factor])
            for factor, accuracy in zip(
                tasks.parts["factors"], tasks.parts["per_factor"]["boosted_trees"][-1], strict=True
            )
        },
        **{
            f"downstream.{short}.{size}": float(accuracy)
            for short, predictor in _PREDICTORS.items()
            for size, accuracy in zip(sizes, tasks.parts["accuracy"][predictor], strict=True)
        },
    }


def _sap(codes, factors, row) -> float:
    train, test = _split(codes, factors, row)
    return float(metrics.sap(*train, test=test, seed=row["scores_seed"]))


def _split(codes, factors, row):
    stop = row["train"] + row["test"]
    return (codes[: row["train"]], factors[: row["train"]]), (codes[row["train"] : stop], factors[row["train"] : stop])


def _of_latents(mean, logvar, kl, row) -> dict:
    """What latents have to do with each other, and how many there are: no labels."""
    # Of few images one draw each would show little but the estimate's own bias.
    repeats = -(-row["sampled_codes"] // len(mean))
    noise = np.random.default_rng((row["scores_seed"], 2))
    sampled = _drawn(np.repeat(mean, repeats, axis=0), np.repeat(logvar, repeats, axis=0), noise)
    alive = mean[:, kl > COLLAPSED]
    between = metrics.gaussian_total_correlation
    return {
        "unsup.gaussian_tc": float(between(mean)),
        "unsup.gaussian_tc@sampled": float(between(sampled)),
        "unsup.gaussian_tc_active": float(between(alive)) if alive.shape[1] > 1 else 0.0,
        "unsup.mutual_info": float(metrics.mutual_information_score(mean)),
        "unsup.mutual_info@sampled": float(metrics.mutual_information_score(sampled)),
        "unsup.active_latents": int((kl > ACTIVE).sum()),
        "unsup.var_dim_kl": float(kl.var()),
        # Of no scale: in how many latents the KL would lie if it were shared out evenly.
        "active_latents.effective": float(np.exp(entr(kl / kl.sum()).sum())) if kl.sum() > 0 else 0.0,
    }


def _of_chosen_factors(name, posteriors, data, row, noise) -> float:
    def encode_factors(factors):
        mean, logvar = posteriors(data.index(factors))
        return mean if noise is None else _drawn(mean, logvar, noise)

    options = {"train": row["points_train"], "test": row["points_test"], "seed": row["scores_seed"]}
    return float(getattr(metrics, name)(encode_factors, data.factor_sizes, **options))


def _drawn(mean, logvar, rng):
    return mean + np.exp(logvar / 2) * rng.standard_normal(mean.shape)
