"""The studies' rows against what was published, one model for many rows, and what a run leaves behind."""

import functools
import json

import numpy as np
import pytest

from kerasvae import files, runs
from kerasvae.analysis import study
from kerasvae.tuning import studies, study_run
from kerasvae.tuning.results import row_folder
from kerasvae.tuning.rows import check_rows, row_name
from kerasvae.tuning.study_models import (
    METHODS,
    build_model,
    clear_models,
    study_model,
)
from kerasvae.tuning.study_run import CODES, FIELDS, SCORES, StudyRun
from kerasvae.tuning.study_scores import Posteriors
from kerasvae.tuning.study_tables import SEARCH, StudyCodes, run_study, study_table

SIZES = [("poster", size) for size in studies.POSTER_SIZES]
SIZES += [("challenging_assumptions", size) for size in studies.ASSUMPTIONS_SIZES]
RUN = StudyRun(steps_per_execution=1, on_device=False, checkpoint_every=2)
QUICK = {
    "hidden": "8", "latents": 3, "steps": 6, "log_every": 2, "batch_size": 32, "points_train": 60, "points_test": 40,
    "stages": 2, "downstream": "10,20", "sampled_codes": 300,
}  # fmt: skip


def quick_row(method="beta_vae", **others):
    rows = studies.poster("tiny") + [
        {**row, "size": "tiny"} for row in studies.challenging_assumptions("sprint") if row["method"] in METHODS
    ]
    row = next(row for row in rows if row["method"] == method)
    tiny = next(row for row in studies.challenging_assumptions("tiny") if row["dataset"] == "xysquares")
    fields = {name: tiny[name] for name in tiny if tiny[name] != row[name] and name not in OWN}
    return {**row, **fields, **QUICK, **others}


OWN = (
    "method", "strength", "strength_name", "alpha", "beta", "gamma", "lambda_od", "lambda_d", "capacity", "estimator",
    "warmup_steps", "capacity_steps", "discriminator_update", "discriminator_width", "discriminator_layers",
    "discriminator_learning_rate", "discriminator_beta_1", "discriminator_beta_2",
)  # fmt: skip


@functools.cache
def rows_of(name, size):
    return studies.STUDIES[name](size)


# Rows ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_rows_are_flat_explicit_and_different(name, size):
    rows = rows_of(name, size)
    # Each setting once: of the published size there are thousands of seeds.
    rows = [row for row in rows if row["seed"] < 3]
    assert rows == check_rows(rows)
    assert all(tuple(row) == FIELDS for row in rows)
    assert all(row[row["strength_name"]] == row["strength"] for row in rows)
    assert all(row["steps"] % row["log_every"] == 0 for row in rows)
    assert len({row_name(row) for row in rows}) == len(rows)


@pytest.mark.parametrize(
    ("name", "size", "count", "steps"),
    [
        ("challenging_assumptions", "sprint", 54, {20_000}),
        ("challenging_assumptions", "small", 270, {30_000}),
        ("challenging_assumptions", "medium", 600, {100_000}),
        ("challenging_assumptions", "paper", 12_600, {300_000}),
        ("challenging_assumptions", "tiny", 120, {3500, 2500}),
        ("poster", "tiny", 15, {3500}),
        ("poster", "mini", 15, {35_000}),
        ("poster", "medium", 30, {115_000}),
        ("poster", "paper", 30, {460_800}),
    ],
)
def test_sizes(name, size, count, steps):
    rows = rows_of(name, size)
    assert len(rows) == count and {row["steps"] for row in rows} == steps
    if size == "tiny":
        assert {row["dataset"] for row in rows} <= {"mini_sprites", "xysquares"}


def test_the_paper_size_is_the_published_study():
    rows = rows_of("challenging_assumptions", "paper")
    strengths = {}
    for row in rows:
        strengths.setdefault(row["method"], {}).setdefault(row["strength"], set()).add((row["dataset"], row["seed"]))
    assert {method: list(found) for method, found in strengths.items()} == {
        "beta_vae": [1, 2, 4, 6, 8, 16],
        "factor_vae": [10, 20, 30, 40, 50, 100],
        "beta_tc_vae": [1, 2, 4, 6, 8, 10],
        "dip_vae_i": [1, 2, 5, 10, 20, 50],
        "dip_vae_ii": [1, 2, 5, 10, 20, 50],
        "annealed_vae": [5, 10, 25, 50, 75, 100],
    }
    assert all(len(each) == 350 for found in strengths.values() for each in found.values())
    common = {"batch_size": 64, "learning_rate": 1e-4, "latents": 10, "networks": "conv", "train": 10_000, "test": 5000}
    assert all({name: row[name] for name in common} == common for row in rows)
    of = {row["method"]: row for row in rows if row["strength"] in (5, 10, 16)}
    assert of["dip_vae_i"]["lambda_d"] == 10 * of["dip_vae_i"]["strength"]
    assert of["dip_vae_ii"]["lambda_d"] == of["dip_vae_ii"]["strength"]
    assert (of["annealed_vae"]["gamma"], of["annealed_vae"]["capacity_steps"]) == (1000, 100_000)
    discriminator = ("update", "width", "layers", "learning_rate", "beta_1", "beta_2")
    assert [of["factor_vae"][f"discriminator_{name}"] for name in discriminator] == [
        "simultaneous", 1000, 6, 1e-4, 0.5, 0.9,
    ]  # fmt: skip


def test_presets_of_the_poster_differ_as_the_code_did():
    week, released = (
        {(row["method"], row["strength"]): row for row in studies.poster("paper", preset)} for preset in studies.PRESETS
    )
    assert {method for method, _ in week} == {"vae", "beta_vae", "annealed_vae", "factor_vae", "beta_tc_vae"}
    assert {row["warmup_steps"] for row in week.values()} == {0, "none"}
    assert {row["warmup_steps"] for row in released.values()} == {10_000, "none"}
    assert ("factor_vae", 36.0) in week and ("factor_vae", 6.4) in released
    capacity = ("annealed_vae", 25.0)
    assert (week[capacity]["gamma"], week[capacity]["learning_rate"]) == (1000, 5e-4)
    assert (released[capacity]["gamma"], released[capacity]["learning_rate"]) == (100, 1e-3)
    assert {row["steps"] for row in released.values()} == {345_600}
    assert {row["networks"] for row in week.values()} == {"burgess"}
    mini = {row["method"]: row for row in studies.poster("mini", studies.PRESETS[1])}
    assert mini["vae"]["warmup_steps"] == 1013 and mini["annealed_vae"]["capacity_steps"] == 10_500


def test_another_size_or_preset():
    with pytest.raises(ValueError, match=r"size must be 'tiny', 'sprint'.* or 'paper', got 'poster'"):
        studies.challenging_assumptions("poster")
    with pytest.raises(ValueError, match=r"preset must be 'poster-2019-03' or .*, got 'x'"):
        studies.poster("tiny", "x")


def test_every_tiny_method_can_be_done():
    rows = [*studies.poster("tiny"), *studies.challenging_assumptions("tiny")]
    for row in {row["method"]: row for row in rows}.values():
        RUN.check(row)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "gan"}, r"row\['method'\] must be 'vae'"),
        ({"steps": 0}, r"row\['steps'\] must be an integer, at least 1, got 0"),
        ({"strength": 3.0}, r"row\['strength'\] must be the row's 'beta', 4.0, got 3.0"),
        ({"estimator": "mws"}, r"row\['estimator'\] must be 'none'"),
        ({"hidden": "8,x"}, r"row\['hidden'\] must be whole numbers"),
        ({"downstream": "10,5000"}, r"row\['downstream'\] must be at most train"),
        ({"train": 9999}, r"row\['code_images'\] must be at least train \+ test"),
        ({"beta": -1.0, "strength": -1.0}, "beta must be at least 0"),
        ({"dataset": "scream_dsprites", "networks": "conv"}, "background must be given"),
        ({"colour": 1}, "fields of kerasvae.tuning.studies alone, got colour"),
    ],
)
def test_a_row_that_cannot_be_done(change, message):
    with pytest.raises(ValueError, match=message):
        RUN.check(quick_row() | change)


def test_arguments_of_the_run():
    with pytest.raises(ValueError, match="checkpoint_every must be an integer, at least 1, got 0"):
        StudyRun(checkpoint_every=0)


# Models --------------------------------------------------------------------------------------------------------------


def state_of(model):
    variables = [*model.trainable_variables, *model.non_trainable_variables, *model.optimizer.variables]
    return [np.array(variable.numpy()) for variable in variables]


@pytest.mark.parametrize("method", METHODS)
def test_a_model_begun_anew_is_a_new_one_bit_for_bit(method):
    row = quick_row(method)
    other = {**row, "seed": 7, "learning_rate": 0.01, row["strength_name"]: 3.0, "strength": 3.0}
    other |= {name: 40 for name in ("warmup_steps", "capacity_steps") if row[name] != "none"}
    data = RUN.data(row)
    model = study_model(row, data, run_eagerly=True)
    # What training changes; the objective's numbers it does not.
    changed = [*model.trainable_variables, *model.optimizer.variables, model.step, model.evaluation_step]
    for number, variable in enumerate(changed):
        variable.assign(np.full(variable.shape, 1 + number % 3))
    assert study_model(other, data, run_eagerly=True) is model
    new = build_model(other, data, run_eagerly=True)
    for ours, theirs in zip(state_of(model), state_of(new), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert model.seed == new.seed
    for name in METHODS[method][1]:
        assert getattr(model, name) == getattr(new, name)
    rates = [[float(o.learning_rate) for o in getattr(m.optimizer, "optimizers", [m.optimizer])] for m in (model, new)]
    assert rates[0] == rates[1] and 0.01 in np.round(rates[0], 6)


@pytest.mark.slow
def test_rows_of_one_method_share_a_program_and_end_as_with_models_of_their_own(tmp_path):
    first, second = quick_row(), quick_row("vae", seed=5, warmup_steps=3, learning_rate=0.01)
    found, programs = [], []
    for number, row in enumerate((first, second)):
        found.append(RUN(row, tmp_path / str(number)))
        model = study_model(row, RUN.data(row), **RUN._compiled(row)[1])
        programs.append((id(model), id(model.train_function)))
    assert programs[0] == programs[1]
    clear_models()
    alone = RUN(second, tmp_path / "alone")
    without = ("seconds_training",)
    assert {n: v for n, v in alone.items() if n not in without} == {
        n: v for n, v in found[1].items() if n not in without
    }


def test_other_methods_data_and_shapes_have_other_models():
    row = quick_row()
    data = RUN.data(row)
    model = study_model(row, data, run_eagerly=True)
    assert study_model({**row, "latents": 4}, data, run_eagerly=True) is not model
    assert study_model(quick_row("dip_vae_i"), data, run_eagerly=True) is not study_model(
        quick_row("dip_vae_ii"), data, run_eagerly=True
    )
    assert study_model(row, data, run_eagerly=True) is model


# A run ---------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_a_run_leaves_and_how_its_numbers_hang_together(tmp_path):
    row = quick_row(reconstruction_from="sample")
    found = RUN(row, tmp_path)
    assert json.loads((tmp_path / SCORES).read_text())["metrics"] == found
    with np.load(tmp_path / CODES) as stored:
        codes = dict(stored)
    data, model = RUN.data(row), runs.load_model(tmp_path)
    mean, logvar = model.encode(data.images(codes["indices"]), return_logvar=True)
    np.testing.assert_allclose(codes["mean"], mean, atol=1e-6)
    assert sorted(codes["indices"]) == list(range(256))
    kl = (0.5 * (mean.astype("float64") ** 2 + np.exp(logvar.astype("float64")) - logvar - 1)).mean(axis=0)
    np.testing.assert_allclose([found[f"kl.z{latent}"] for latent in range(3)], kl, rtol=1e-4, atol=1e-7)
    assert found["loss.kl"] == pytest.approx(kl.sum(), rel=1e-4)
    assert found["unsup.var_dim_kl"] == pytest.approx(kl.var(), rel=1e-3)
    assert found["unsup.active_latents"] == (kl > 0.1).sum()
    shares = kl / kl.sum()
    assert found["active_latents.effective"] == pytest.approx(np.prod(shares**-shares), rel=1e-3)
    assert found["loss.elbo"] == pytest.approx(found["loss.reconstruction"] + found["loss.kl"])
    # All images once, so that the loss of β-VAE is its parts'.
    assert found["loss.total"] == pytest.approx(found["loss.reconstruction"] + 4 * found["loss.kl"], rel=1e-4)
    roles = {name: study.role_of(name).role for name in found}
    assert all(study.role_of(name).known for name in found if name not in ("diverged",))
    assert {name for name, role in roles.items() if role == "score" and "@" not in name and name != "diverged"} == {
        "beta_vae_score", "factor_vae_score", "mig", "dci.disentanglement", "dci.completeness", "modularity", "sap",
        "aam", "mmig",
    }  # fmt: skip
    history = (tmp_path / runs.HISTORY).read_text().splitlines()
    assert history[0].startswith("step,") and "kl.z2" in history[0] and len(history) == 4
    # Called again it has nothing to do.
    (tmp_path / runs.MODEL).unlink()
    assert RUN(row, tmp_path) == found


@pytest.mark.slow
def test_reconstruction_of_means_and_fewer_files(tmp_path):
    row = quick_row(reconstruction_from="mean")
    found = StudyRun(steps_per_execution=1, on_device=False, keep_models=False)(row, tmp_path)
    assert found["loss.reconstruction"] != found["loss.elbo"] - found["loss.kl"]
    assert not (tmp_path / runs.MODEL).exists() and (tmp_path / CODES).exists()


@pytest.mark.slow
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(tmp_path, monkeypatch):
    row = quick_row("annealed_vae")
    whole = RUN(row, tmp_path / "whole")
    on_epoch_end = study_run.LatentKL.on_epoch_end

    def interrupted(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt
        on_epoch_end(self, epoch, logs)

    monkeypatch.setattr(study_run.LatentKL, "on_epoch_end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        RUN(row, tmp_path / "parts")
    monkeypatch.undo()
    assert not (tmp_path / "parts" / SCORES).exists() and (tmp_path / "parts" / runs.CHECKPOINT).exists()
    parts = RUN(row, tmp_path / "parts")
    assert {**parts, "seconds_training": 0} == {**whole, "seconds_training": 0}


def test_images_are_encoded_once():
    class Model:
        latents, calls = 2, []

        def encode(self, images, batch_size, return_logvar):
            self.calls.append(len(images))
            total = images.reshape(len(images), -1).sum(axis=1).astype("float32")
            return np.stack([total, -total], axis=1), np.zeros((len(images), 2), "float32")

    row = quick_row()
    model, data = Model(), RUN.data(row)
    posteriors = Posteriors(model, data)
    mean, logvar = posteriors(np.array([3, 5, 3]))
    expected = data.images([3, 5, 3]).reshape(3, -1).sum(axis=1)
    np.testing.assert_array_equal(mean[:, 0], expected)
    posteriors(np.array([5, 7]))
    assert model.calls == [2, 1] and (logvar == 0).all()


# The table -----------------------------------------------------------------------------------------------------------


def test_the_table_of_a_study_half_done(tmp_path):
    rows = [row for row in studies.challenging_assumptions("tiny") if row["strength"] in (1.0, 8.0)]
    rows = [row for row in rows if row["dataset"] == "mini_sprites"][:13]
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(200, 3))
    for number, row in enumerate(rows[:11]):
        folder = row_folder(tmp_path / SEARCH, row)
        metrics = {"diverged": 0, "mig": 0.1 * number, **{f"kl.z{latent}": 1.0 for latent in range(3)}}
        metrics = {"diverged": 1, "diverged_at": 3} if number == 9 else metrics
        if number == 10:
            files.write_text(folder / "error.txt", "ValueError: no")
            continue
        files.write_json(folder / "result.json", {"row": row, "metrics": metrics, "seconds": 2.5})
        if number != 9:
            with files.replacing(folder / CODES) as temporary:
                np.savez(temporary, mean=shared[:, rng.permutation(3)].astype("float32"))
    table = study_table(tmp_path, rows)
    assert sorted(table.status) == ["diverged", "failed", *["ok"] * 9, *["running"] * 2]
    assert len(table.ok().settings) == 2 and not table.hyper_parameters
    # The same codes but for their order: a weight of 1 less the penalty of the lasso, and no other.
    np.testing.assert_allclose(table.ok().column("udr"), 0.9, atol=1e-6)
    assert set(table.ok().column("steps")) == {3500} and set(table.ok().column("seconds")) == {2.5}
    assert len(StudyCodes(tmp_path / SEARCH, rows)) == 9


@pytest.mark.slow
def test_a_study_is_run_by_search_and_counts_what_diverged(tmp_path):
    rows = [quick_row(seed=seed, learning_rate=rate) for seed, rate in ((1, 0.002), (2, 1e30))]
    table, failures = run_study(rows, tmp_path, RUN, verbose=0)
    assert failures is None and sorted(table.status) == ["diverged", "ok"]
    assert study.load(tmp_path / "results.csv").equals(table)
