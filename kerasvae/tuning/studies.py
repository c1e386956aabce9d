"""The two published studies as lists of rows: each row says everything that determines a run.

"Understanding disentangling in VAE" (`poster`) and Locatello et al. 2019, "Challenging Common Assumptions in the
Unsupervised Learning of Disentangled Representations" (`challenging_assumptions`). Both return flat dictionaries with
the same fields, fit for `kerasvae.tuning.search` with a `kerasvae.tuning.StudyRun`; leave rows out or change their
fields as you like. A field that does not apply is "none".

Fields:
    study, size, preset: as given.
    method: vae, beta_vae, annealed_vae, factor_vae, beta_tc_vae, dip_vae_i or dip_vae_ii.
    strength: the one value that the study varies, and strength_name, its name.
    dataset: mini_sprites, xysquares, dsprites, color_dsprites, noisy_dsprites, scream_dsprites, smallnorb, cars3d or
        shapes3d; grid_spacing, grid_size, square_size, image_size, num_squares, rgb: of xysquares; source: of the
        dsprites.
    networks: mlp (hidden: widths of the encoder's layers, the decoder has them the other way round), conv (as in
        disentanglement_lib) or burgess (as in the poster); latents; likelihood: bernoulli.
    alpha, beta, gamma, lambda_od, lambda_d, capacity: weights of the objective; warmup_steps: in which beta (vae,
        beta_vae) or gamma (factor_vae, beta_tc_vae) grows from 0, 0 for none; capacity_steps: in which the capacity
        does. estimator: of the total correlation.
    discriminator_update, discriminator_width, discriminator_layers, discriminator_learning_rate, discriminator_beta_1,
        discriminator_beta_2: of factor_vae.
    batch_size, steps, log_every (steps from one row of the history to the next); optimizer adam, learning_rate, beta_1,
        beta_2, epsilon.
    reconstruction_from: the code that `loss.reconstruction` is of, mean or sample.
    code_images: images that are encoded for the scores of a sample, at most all. train, test: of them, those that
        predictors learn from and are tested on. points_train, points_test: of the BetaVAE and FactorVAE scores.
        stages: of boosted trees. downstream: numbers of samples to learn from, such as "10,100". sampled_codes: drawn
        for the statistics of sampled codes, at least; scores_seed: of all of these draws.
    seed: at least 1, of weights, noise and batches.

Sizes of `poster`: "tiny", "mini", "medium" and "paper"; of `challenging_assumptions`: "tiny", "sprint", "small",
"medium" and "paper". The tiny ones are for a laptop with two cores: fully connected networks on MiniSprites, and on
XYSquares of two squares of 4 pixels at 4 x 4 places each; nothing is downloaded. The others need a GPU.
"""

from __future__ import annotations

import itertools

from kerasvae.tuning.grids import NONE
from kerasvae.tuning.rows import check_rows

POSTER_SIZES = ("tiny", "mini", "medium", "paper")
ASSUMPTIONS_SIZES = ("tiny", "sprint", "small", "medium", "paper")
PRESETS = ("poster-2019-03", "released-2019-05")
# Locatello et al. 2019: all strengths of the paper, and the choice of the smaller sizes.
STRENGTHS = {
    "beta_vae": ("beta", (1.0, 2.0, 4.0, 6.0, 8.0, 16.0)),
    "factor_vae": ("gamma", (10.0, 20.0, 30.0, 40.0, 50.0, 100.0)),
    "beta_tc_vae": ("beta", (1.0, 2.0, 4.0, 6.0, 8.0, 10.0)),
    "dip_vae_i": ("lambda_od", (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)),
    "dip_vae_ii": ("lambda_od", (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)),
    "annealed_vae": ("capacity", (5.0, 10.0, 25.0, 50.0, 75.0, 100.0)),
}
_THREE = {
    "beta_vae": (1.0, 4.0, 16.0),
    "factor_vae": (10.0, 40.0, 100.0),
    "beta_tc_vae": (1.0, 4.0, 10.0),
    "dip_vae_i": (1.0, 5.0, 50.0),
    "dip_vae_ii": (1.0, 5.0, 50.0),
    "annealed_vae": (5.0, 25.0, 100.0),
}
_FOUR = {
    "beta_vae": (1.0, 4.0, 8.0, 16.0),
    "factor_vae": (10.0, 30.0, 50.0, 100.0),
    "beta_tc_vae": (1.0, 4.0, 6.0, 10.0),
    "dip_vae_i": (1.0, 5.0, 20.0, 50.0),
    "dip_vae_ii": (1.0, 5.0, 20.0, 50.0),
    "annealed_vae": (5.0, 25.0, 50.0, 100.0),
}
_TINY = {
    "beta_vae": (1.0, 2.0, 4.0, 8.0),
    "beta_tc_vae": (2.0, 4.0, 8.0, 16.0),
    "dip_vae_ii": (1.0, 5.0, 20.0, 50.0),
}
_SQUARES = ("grid_spacing", "grid_size", "square_size", "image_size", "num_squares", "rgb")
# Spacing of half a square's side, so that neighbouring positions overlap and distances tell something.
_TINY_SQUARES = dict(zip(_SQUARES, (2, 4, 4, 16, 2, True), strict=True))
_SPACED_SQUARES = dict(zip(_SQUARES, (4, 8, 8, 64, 3, True), strict=True))
_SOURCES = {name: "rendered" for name in ("dsprites", "color_dsprites", "noisy_dsprites", "scream_dsprites")}
_LAPTOP = {"networks": "mlp", "hidden": "256,128,64", "latents": 6, "learning_rate": 0.002}
_TINY_SCORES = {
    "code_images": 768, "train": 600, "test": 168, "points_train": 600, "points_test": 400, "stages": 20,
    "downstream": "10,100,300",
}  # fmt: skip
_TINY_SQUARES_SCORES = {**_TINY_SCORES, "code_images": 256, "train": 192, "test": 64, "downstream": "10,100"}
_SMALL_SCORES = {
    "code_images": 10_000, "train": 2000, "test": 2000, "points_train": 600, "points_test": 400, "stages": 50,
    "downstream": "10,100,1000",
}  # fmt: skip
_FULL_SCORES = {
    "code_images": 15_000, "train": 10_000, "test": 5000, "points_train": 10_000, "points_test": 5000, "stages": 100,
    "downstream": "10,100,1000,10000",
}  # fmt: skip


def challenging_assumptions(size: str = "paper") -> list[dict]:
    """Locatello et al. 2019: six methods, their strengths and many seeds.

    paper: 7 data sets x 6 methods x 6 strengths x 50 seeds, 12 600 rows of 300 000 steps; FactorVAE γ, DIP-VAE λ_d of
        10 (I) and 1 (II) times λ_od, AnnealedVAE γ 1000 with the capacity growing over 100 000 steps; 10 latents,
        batches of 64, Adam 1e-4, Bernoulli likelihood.
    medium: 5 data sets x 6 methods x 4 strengths x 5 seeds, 600 rows of 100 000 steps.
    small: dSprites, Noisy-dSprites and XYSquares (neighbouring positions overlap by half a square), 6 methods x 3
        strengths x 5 seeds, 270 rows of 30 000 steps.
    sprint: dSprites, 6 methods x 3 strengths x 3 seeds, 54 rows of 20 000 steps.
    tiny: MiniSprites and XYSquares, β-VAE, β-TCVAE and DIP-VAE-II x 4 strengths x 5 seeds, 120 rows of 3500 steps
        (XYSquares 2500), fully connected networks, 6 latents, Adam 2e-3.

    Of up to 100 000 steps the learning rate is 5e-4 instead of 1e-4, which needs 300 000, and the capacity grows in a
    third of them. "sprint" and "small" learn from 2000 samples, with 50 stages of boosted trees, and take 600 and 400
    points for the BetaVAE and FactorVAE scores, so that their scores are not quite those of the larger sizes.

    Args:
        size: "tiny", "sprint", "small", "medium" or "paper" (default).

    Returns:
        The rows, data sets outermost, then methods, strengths and seeds.

    Raises:
        ValueError: for another size.

    Source: Locatello et al. 2019, appendix; disentanglement_lib. Its FactorVAE updates both networks at once.
    """
    _check_size(size, ASSUMPTIONS_SIZES)
    all_strengths = {method: values for method, (_, values) in STRENGTHS.items()}
    datasets, strengths, seeds, steps, scores = {
        "tiny": (("mini_sprites", "xysquares"), _TINY, 5, 3500, _TINY_SCORES),
        "sprint": (("dsprites",), _THREE, 3, 20_000, _SMALL_SCORES),
        "small": (("dsprites", "noisy_dsprites", "xysquares"), _THREE, 5, 30_000, _SMALL_SCORES),
        "medium": (
            ("dsprites", "noisy_dsprites", "xysquares", "color_dsprites", "shapes3d"), _FOUR, 5, 100_000, _FULL_SCORES,
        ),
        "paper": (
            (
                "dsprites", "color_dsprites", "noisy_dsprites", "scream_dsprites", "smallnorb", "cars3d", "shapes3d",
            ), all_strengths, 50, 300_000, _FULL_SCORES,
        ),
    }[size]  # fmt: skip
    rows = []
    for dataset, method in itertools.product(datasets, strengths):
        others = {"steps": steps, **scores, "learning_rate": 1e-4 if size == "paper" else 5e-4}
        if size == "tiny":
            others |= _LAPTOP
            if dataset == "xysquares":
                others |= {"steps": 2500, **_TINY_SQUARES_SCORES}
        # A row of the history is also a checkpoint, for which tiny runs are too short.
        others["log_every"] = others["steps"] // (2 if size == "tiny" else 10)
        if method == "annealed_vae":
            others["capacity_steps"] = 100_000 if size == "paper" else others["steps"] // 3
        for strength, seed in itertools.product(strengths[method], range(1, seeds + 1)):
            given = dict(study="challenging_assumptions", size=size, preset=NONE, seed=seed)
            rows.append(_row(dataset, method, STRENGTHS[method][0], strength, **given, **others))
    return check_rows(rows)


def poster(size: str = "paper", preset: str = "poster-2019-03") -> list[dict]:
    """The poster "Understanding disentangling in VAE": VAE, β-VAE of 4 and 50, the capacity form, and FactorVAE.

    paper: dSprites, 6 methods x 5 seeds (β-TCVAE besides, which the poster has not), 460 800 steps (40 epochs) or, as
        released, 345 600 (30).
    medium: the same with 115 000 steps (10 epochs).
    mini: 5 methods x 3 seeds, 15 rows of 35 000 steps (3 epochs).
    tiny: the same on MiniSprites, 3500 steps, fully connected networks, 6 latents, Adam 2e-3. The capacity grows to 12
        nats: as much more than the logarithm of the number of images as 25 is for dSprites. The discriminator has 3
        layers of 128 and Adam 1e-3.

    Presets, both from the authors' code at a time:
        "poster-2019-03": no warm-up; FactorVAE γ 36; capacity form γ 1000, Adam 5e-4.
        "released-2019-05": the regularisation grows over 10 000 of 345 600 steps; FactorVAE γ 6.4; capacity form γ 100,
            Adam 1e-3. β = 50, which was not released, is done in the same way.
    In both the networks of Burgess et al., 10 latents, batches of 64 (FactorVAE 128, of which each network learns from
    one half), Adam 5e-4 (FactorVAE and its discriminator 1e-4). Shorter sizes shorten warm-up and capacity's growth in
    proportion, the latter to 30 % of the steps.

    Args:
        size: "tiny", "mini", "medium" or "paper" (default).
        preset: "poster-2019-03" (default) or "released-2019-05".

    Returns:
        The rows, methods outermost, then seeds.

    Raises:
        ValueError: for another size or preset.
    """
    _check_size(size, POSTER_SIZES)
    if preset not in PRESETS:
        raise ValueError(f"preset must be {' or '.join(map(repr, PRESETS))}, got {preset!r}")
    released, tiny = preset == PRESETS[1], size == "tiny"
    steps = {"tiny": 3500, "mini": 35_000, "medium": 115_000, "paper": 345_600 if released else 460_800}[size]
    rate = _LAPTOP["learning_rate"] if tiny else 5e-4
    warmup = {"warmup_steps": round(steps * 10_000 / 345_600) if released else 0}
    ramp = {"capacity_steps": 100_000 if size == "paper" else round(0.3 * steps)}
    discriminator = {
        "discriminator_update": "alternating",
        **(
            {"discriminator_width": 128, "discriminator_layers": 3, "discriminator_learning_rate": 1e-3} if tiny else {}
        ),
    }
    runs = [
        ("vae", "beta", 1.0, warmup),
        ("beta_vae", "beta", 4.0, warmup),
        ("beta_vae", "beta", 50.0, warmup),
        (
            "annealed_vae", "capacity", 12.0 if tiny else 25.0,
            {"gamma": 100.0 if released else 1000.0, "learning_rate": 1e-3 if released and not tiny else rate, **ramp},
        ),
        (
            "factor_vae", "gamma", 6.4 if released else 36.0,
            {**warmup, **discriminator, "batch_size": 128, "learning_rate": rate if tiny else 1e-4},
        ),
    ]  # fmt: skip
    if size in ("medium", "paper"):
        runs.append(("beta_tc_vae", "beta", 6.4, warmup))
    common = {"networks": "burgess", "latents": 10, **_FULL_SCORES, "reconstruction_from": "mean", "steps": steps}
    if size == "mini":
        common |= _SMALL_SCORES
    if tiny:
        common |= {**_LAPTOP, **_TINY_SCORES}
    common |= {"log_every": {"tiny": 100, "mini": 1000, "medium": 2500, "paper": 11_520}[size], "learning_rate": rate}
    given = {"study": "poster", "size": size, "preset": preset}
    dataset = "mini_sprites" if tiny else "dsprites"
    return check_rows(
        _row(dataset, method, name, strength, **given, **{**common, **own}, seed=seed)
        for (method, name, strength, own), seed in itertools.product(
            runs, range(1, 4 if size in ("tiny", "mini") else 6)
        )
    )


STUDIES = {"poster": poster, "challenging_assumptions": challenging_assumptions}


def _check_size(size, allowed) -> None:
    if size not in allowed:
        raise ValueError(f"size must be {', '.join(map(repr, allowed[:-1]))} or {allowed[-1]!r}, got {size!r}")


def _row(dataset, method, strength_name, strength, *, study, size, preset, seed, **others) -> dict:
    """All fields of a row: those given, the usual ones of its method for the rest, and those that follow."""
    squares = _TINY_SQUARES if size == "tiny" else _SPACED_SQUARES
    factor, tc, annealed = method == "factor_vae", method == "beta_tc_vae", method == "annealed_vae"
    dip = method in ("dip_vae_i", "dip_vae_ii")
    return {
        "study": study,
        "size": size,
        "preset": preset,
        "dataset": dataset,
        **{name: squares[name] if dataset == "xysquares" else NONE for name in _SQUARES},
        "source": _SOURCES.get(dataset, NONE),
        "method": method,
        "strength_name": strength_name,
        "strength": strength,
        "networks": "conv",
        "hidden": NONE,
        "latents": 10,
        "likelihood": "bernoulli",
        "alpha": 1.0 if tc else NONE,
        "beta": NONE,
        "gamma": 1000.0 if annealed else 1.0 if tc else NONE,
        "lambda_od": NONE,
        "lambda_d": (10.0 if method == "dip_vae_i" else 1.0) * strength if dip else NONE,
        "capacity": NONE,
        "warmup_steps": NONE if annealed or dip else 0,
        "capacity_steps": NONE,
        "estimator": "mws" if tc else NONE,
        "discriminator_update": "simultaneous" if factor else NONE,
        "discriminator_width": 1000 if factor else NONE,
        "discriminator_layers": 6 if factor else NONE,
        "discriminator_learning_rate": 1e-4 if factor else NONE,
        "discriminator_beta_1": 0.5 if factor else NONE,
        "discriminator_beta_2": 0.9 if factor else NONE,
        "batch_size": 64,
        "steps": None,
        "log_every": None,
        "optimizer": "adam",
        "learning_rate": None,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-8,
        "reconstruction_from": "sample",
        "code_images": None,
        "train": None,
        "test": None,
        "points_train": None,
        "points_test": None,
        "stages": None,
        "downstream": None,
        "sampled_codes": 10_000,
        "scores_seed": 1,
        "seed": seed,
        **others,
        strength_name: strength,
    }
