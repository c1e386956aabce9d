"""Claims of the two studies on tables that are made to meet some and to miss others."""

import itertools

import numpy as np
import pytest

from kerasvae.analysis import study
from kerasvae.tuning.study_claims import assumptions_claims, poster_claims


def test_claims_of_the_poster_on_made_up_runs():
    rows = []
    made = {
        ("vae", 1.0): (10, 25, 6, 1.0, 0.1), ("beta_vae", 4.0): (20, 15, 6, 1.2, 0.2),
        ("factor_vae", 36.0): (30, 20, 5, 2.0, 0.3), ("annealed_vae", 12.0): (80, 12.2, 4, 10.0, 0.2),
        ("beta_vae", 50.0): (70, 3, 2, 0.5, 0.0),
    }  # fmt: skip
    for ((method, strength), values), seed in itertools.product(made.items(), range(1, 5)):
        names = ("loss.reconstruction", "loss.kl", "unsup.active_latents", "unsup.var_dim_kl", "aam")
        numbers = {name: value * (1 + 0.001 * seed) for name, value in zip(names, values, strict=True)}
        numbers["unsup.active_latents"] = values[2]
        latents = {f"kl.z{latent}": 1.0 for latent in range(6)}
        rows.append({"dataset": "d", "method": method, "strength": strength, "seed": seed, **numbers, **latents})
    found = poster_claims(study.load(rows))
    of = {row["what"]: row for row in found.rows()}
    assert of["Reconstruction error: β-VAE 4 − VAE"]["met"] is True
    assert of["Reconstruction error: β-VAE 4 − VAE"]["estimate"] == pytest.approx(10, rel=0.01)
    assert of["Reconstruction error: β-VAE 50 − capacity"]["met"] is False
    assert of["KL: capacity"]["met"] is True and of["KL: capacity"]["limit"] == "11.5 to 12.5"
    assert of["Active latents: VAE"]["met"] is True
    assert [row["met"] for row in found.rows() if row["what"].startswith("mmig")] == [None, None]
    failing = {row["what"] for row in found.rows() if row["met"] is False}
    assert failing == {"Reconstruction error: β-VAE 50 − capacity"}


def test_claims_of_locatello_on_made_up_runs():
    rng, rows = np.random.default_rng(0), []
    for dataset, method, strength, seed in itertools.product("ab", ("beta_vae", "dip_vae_ii"), (1, 2, 4), range(1, 7)):
        good, noise = rng.normal(), rng.normal(size=4)
        rows.append({
            "dataset": dataset, "method": method, "strength": strength, "seed": seed,
            "beta_vae_score": good, "factor_vae_score": good + 0.01 * noise[0], "mig": good + 0.01 * noise[1],
            "dci.disentanglement": -good, "loss.reconstruction": good, "loss.kl": noise[2],
            "unsup.gaussian_tc": strength + 0.1 * noise[3], "unsup.gaussian_tc@sampled": -strength + 10 + noise[0],
        })  # fmt: skip
    found = assumptions_claims(study.load(rows), replicates=100)
    met = {}
    for row in found.rows():
        met.setdefault((row["claim"].split()[0], row["what"]), set()).add(row["met"])
    assert met["1", "BetaVAE score, FactorVAE score"] == {True}
    assert met["1", "MIG, DCI disentanglement"] == {False}
    both = {(row["claim"][0], row["dataset"], row["what"]): row["met"] for row in found.rows()}
    assert not any(
        value
        for (number, _, what), value in both.items()
        if number == "2" and what.startswith("Reconstruction error, ")
    )
    assert all(value for (number, _, what), value in both.items() if number == "2" and what.startswith("KL, "))
    assert both["3", "a", "methods with a correlation above 0.5, of 2"] and both["3", "a", "dip_vae_ii"]
    assert all(value for (number, *_), value in both.items() if number == "4")
    assert len([key for key in both if key[0] == "6"]) == 1


def test_no_runs_that_are_ok():
    table = study.load([{"method": "vae", "strength": 1.0, "seed": 1, "mig": 0.1, "status": "failed"}])
    with pytest.raises(ValueError, match="no runs that are ok"):
        poster_claims(table)
    with pytest.raises(ValueError, match="no runs that are ok"):
        assumptions_claims(table)
