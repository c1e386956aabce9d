"""The grids against supplement Table 4 and, for what it leaves out, the settings of the authors' runs."""

import itertools

import pytest

from kerasvae.datasets import XYSquares
from kerasvae.losses import BoxBlurMSE
from kerasvae.tuning import grids
from kerasvae.tuning.experiments import DATASETS, FIELDS, ExperimentRun
from kerasvae.tuning.rows import check_rows, row_name

EVERY = [(name, scale, flavour) for name in grids.GRIDS for scale in grids.SCALES for flavour in grids.FLAVOURS]
COMMON = {
    "reduction": "mean",
    "beta_warmup": 0,
    "networks": "conv",
    "batch_size": 256,
    "optimizer": "adam",
    "learning_rate": 0.001,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
    "score_preset": "fast",
    "mig_every": 2400,
    "dci_every": 7200,
    "final_preset": "full",
}
SQUARES = {"grid_size": 8, "square_size": 8, "image_size": 64, "num_squares": 3, "rgb": True}
# β of the reduction "sum" over that of "mean": pixels a latent.
FACTORS = {("xysquares", 9): 1365.333, ("xysquares", 25): 491.52, ("dsprites", 9): 455.1111, ("dsprites", 25): 163.84}


def products(rows, *fields):
    return [tuple(row[field] for field in fields) for row in rows]


@pytest.mark.parametrize(("name", "scale", "flavour"), EVERY)
def test_rows_are_flat_explicit_and_different(name, scale, flavour):
    rows = grids.GRIDS[name](scale, flavour)
    assert rows == check_rows(rows)
    assert all(tuple(row) == FIELDS for row in rows)
    assert all(isinstance(value, str | int | float) for row in rows for value in row.values())
    assert {(row["scale"], row["flavour"]) for row in rows} == {(scale, flavour)}
    assert len({row_name(row) for row in rows}) == len(rows)
    # Another call gives other dictionaries, which may be changed.
    assert grids.GRIDS[name](scale, flavour)[0] is not rows[0]


@pytest.mark.parametrize("flavour", grids.FLAVOURS)
@pytest.mark.parametrize("name", grids.GRIDS)
def test_what_all_paper_rows_share(name, flavour):
    for row in grids.GRIDS[name](flavour=flavour):
        assert {field: row[field] for field in COMMON} == COMMON
        if row["dataset"] == "xysquares":
            assert {field: row[field] for field in SQUARES} == SQUARES
        if (factor := FACTORS.get((row["dataset"], row["latents"]))) is not None:
            assert row["beta_sum"] == pytest.approx(factor * row["beta"], rel=1e-5)


def test_adversarial_is_table_4():
    rows = grids.adversarial()
    assert len(rows) == 160
    assert products(rows, "dataset", "framework", "latents", "beta", "seed") == list(
        itertools.product(
            ["dsprites", "shapes3d", "cars3d", "smallnorb", "xysquares"],
            ["betavae", "adagvae"],
            [9, 25],
            [0.000316, 0.001, 0.00316, 0.01, 0.0316, 0.1, 0.316, 1.0],
            [1],
        )
    )
    assert {(row["steps"], row["loss"]) for row in rows} == {(115_200, "mse")}
    assert {row["grid_spacing"] for row in rows if row["dataset"] == "xysquares"} == {8}
    assert all(row["image_size"] == "none" for row in rows if row["dataset"] != "xysquares")


def test_overlap_is_table_4():
    rows = grids.overlap()
    assert len(rows) == 160
    assert products(rows, "grid_spacing", "framework", "beta", "seed") == list(
        itertools.product(range(8, 0, -1), ["betavae", "adagvae"], [0.001, 0.00316], range(1, 6))
    )
    assert {(row["dataset"], row["steps"], row["latents"], row["loss"]) for row in rows} == {
        ("xysquares", 57_600, 9, "mse")
    }


def test_offsets_of_each_spacing_are_the_authors():
    arguments = DATASETS["xysquares"][1]
    offsets = {
        row["grid_spacing"]: XYSquares(**{name: row[name] for name in arguments}).offset for row in grids.overlap()
    }
    assert offsets == {8: 0, 7: 3, 6: 7, 5: 10, 4: 14, 3: 17, 2: 21, 1: 24}


def test_augmented_loss_is_table_4():
    rows = grids.augmented_loss()
    assert len(rows) == 40
    assert products(rows, "loss", "framework", "beta", "seed") == list(
        itertools.product(["mse", "boxblur"], ["betavae", "adagvae"], [0.0001, 0.0316], range(1, 6))
    )
    assert {(row["dataset"], row["steps"], row["latents"], row["grid_spacing"]) for row in rows} == {
        ("xysquares", 57_600, 25, 8)
    }
    assert set(products(rows, "loss", "blur_radius", "blur_weight")) == {
        ("mse", "none", "none"),
        ("boxblur", 31, 3969.0),
    }
    # Table 4 is also what the loss has as its default.
    assert (BoxBlurMSE().radius, BoxBlurMSE().weight) == (31, 3969.0)


def test_beta_in_the_sum_form_has_the_published_values():
    betas = {row["beta"]: row["beta_sum"] for row in grids.adversarial() if row["dataset"] == "xysquares"}
    at_25 = {0.001: 0.49152, 0.01: 4.9152, 0.1: 49.152, 1.0: 491.52}
    assert {beta: betas[beta] for beta in at_25} == pytest.approx(at_25)
    at_9 = {row["beta"]: row["beta_sum"] for row in grids.overlap()}
    assert at_9 == pytest.approx({0.001: 1.36533, 0.00316: 4.31445}, rel=1e-5)


@pytest.mark.parametrize("name", grids.GRIDS)
def test_flavours_differ_in_what_the_authors_code_did_otherwise(name):
    corrected, authors = (grids.GRIDS[name](flavour=flavour) for flavour in ("corrected", "authors"))
    for ours, theirs in zip(corrected, authors, strict=True):
        pairs = ours["framework"] == "adagvae"
        differing = {field: (ours[field], theirs[field]) for field in ours if ours[field] != theirs[field]}
        assert differing == {
            **({"averaging": ("gvae", "authors"), "changed": ("uniform", "authors")} if pairs else {}),
            "padding": ("same", "authors"),
            "initializer": ("glorot_normal", "authors"),
            "reported": ("final", "best"),
            "flavour": ("corrected", "authors"),
        }
        assert (ours["distance"], ours["threshold"]) == (("symmetric", 0.5) if pairs else ("none", "none"))


@pytest.mark.parametrize("name", grids.GRIDS)
def test_small_grids_have_the_same_axes_and_can_be_done(name):
    paper, small = grids.GRIDS[name]("paper"), grids.GRIDS[name]("small")
    for field in ("framework", "loss", "grid_spacing") if name == "overlap" else ("framework", "loss"):
        assert {row[field] for row in small} == {row[field] for row in paper}
    expected = {"xyobject", "xysquares"} if name == "adversarial" else {"xysquares"}
    assert {row["dataset"] for row in small} == expected
    run = ExperimentRun()
    for row in small:
        run.check(row)
        if row["loss"] == "boxblur":
            # Two squares at opposite ends of the image are still in one box.
            assert row["blur_radius"] >= row["image_size"] // 2 - 1
            # Table 4's, whatever the size of the image.
            assert row["blur_weight"] == 3969


def test_small_grids_are_what_their_descriptions_say():
    adversarial, overlap, augmented_loss = (grids.GRIDS[name]("small") for name in grids.GRIDS)
    assert products(adversarial, "dataset", "framework", "beta", "seed") == list(
        itertools.product(["xyobject", "xysquares"], ["betavae", "adagvae"], [0.03, 0.3], [6, 7, 8])
    )
    assert products(overlap, "grid_spacing", "framework", "beta", "seed") == list(
        itertools.product(range(8, 0, -1), ["betavae", "adagvae"], [0.2, 0.3], [11, 12])
    )
    assert products(augmented_loss, "loss", "framework", "beta", "seed") == list(
        itertools.product(["mse", "boxblur"], ["betavae", "adagvae"], [0.1, 2.0], range(11, 16))
    )
    for grid, steps, latents, warmups, networks in (
        (adversarial, 1500, 4, (300, 500), "conv"),
        (overlap, 4000, 3, (1000, 1000), "mlp"),
        (augmented_loss, 6000, 2, (100, 3000), "mlp"),
    ):
        # Whatever is compared is trained alike: only the framework decides how long β grows.
        for row in grid:
            assert (row["steps"], row["latents"], row["networks"], row["final_preset"]) == (
                steps,
                latents,
                networks,
                "fast",
            )
            assert row["beta_warmup"] == warmups[row["framework"] == "adagvae"]


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("adversarial", {"xyobject": 9 * 9, "xysquares": 8 * 8}),
        ("overlap", {"xysquares": 4 * 4}),
        ("augmented_loss", {"xysquares": 8 * 8}),
    ],
)
def test_neighbours_of_the_small_data_sets_overlap_where_they_should(name, sizes):
    for row in grids.GRIDS[name]("small"):
        data_class, arguments = DATASETS[row["dataset"]]
        data = data_class(**{argument: row[argument] for argument in arguments})
        assert len(data) == sizes[row["dataset"]]
        # Of the first and the second place; whether they share pixels is what makes squares adversarial.
        first, second = data.images([0, 1]) > 0
        assert bool((first & second).any()) == (row["grid_spacing"] < row["square_size"])


@pytest.mark.parametrize("grid", grids.GRIDS.values())
def test_another_scale_or_flavour_is_refused(grid):
    with pytest.raises(ValueError, match="scale must be 'paper' or 'small', got 'medium'"):
        grid("medium")
    with pytest.raises(ValueError, match="flavour must be 'corrected' or 'authors', got 'sweet'"):
        grid(flavour="sweet")
