"""The published tables load, are symmetric where they must be, and come back in their own units."""

import numpy as np
import pytest

from kerasvae.analysis.study import POSTER_UNIT, in_poster_units, load, published_table, published_tables

SLIDES, POSTER = "locatello2019-slides", "dubois2019-poster"


@pytest.mark.parametrize(
    ("name", "axes", "size"),
    [("metric_correlations", ("metric_a", "metric_b"), 6), ("transfer", ("dataset_a", "dataset_b"), 7)],
)
def test_correlations_are_symmetric_with_a_diagonal_of_one(name, axes, size):
    down, across, array = published_table(SLIDES, name).matrix(*axes)
    assert down == across and array.shape == (size, size)
    np.testing.assert_array_equal(array, array.T)
    assert (np.diag(array) == 1).all() and (np.abs(array) <= 1).all()


def test_entries_that_the_text_of_the_study_names():
    metrics = published_table(SLIDES, "metric_correlations")
    assert metrics.row(metric_a="mig", metric_b="dci.disentanglement")["estimate"] == 0.76
    transfer = published_table(SLIDES, "transfer")
    assert transfer.row(dataset_a="smallnorb", dataset_b="shapes3d")["estimate"] == -0.09
    down, across, array = published_table(SLIDES, "downstream_correlations").matrix("metric", "task")
    assert array.shape == (6, 10) and array[down.index("mig"), across.index("downstream.lr.10000")] == -0.01


def test_second_hand_numbers_are_marked():
    odds = published_table(SLIDES, "selection_odds")
    assert odds.row(data="same", metric="same")["estimate"] == 0.807
    assert odds.select(provenance="reported").rows()[0]["estimate"] == 0.62
    assert set(published_table(SLIDES, "variance_shares")["provenance"]) == {"reported"}
    with pytest.raises(ValueError, match="study must be one of"):
        published_tables("mine")
    with pytest.raises(KeyError, match="no frame 'table_1'"):
        published_table(SLIDES, "table_1")


def test_the_poster_in_nats_and_in_its_units():
    table = load(POSTER)
    assert len(table) == 5 and table.studies == (POSTER,)
    # A capacity of 25 nats is what the second β-VAE aims at.
    capacity = table.select(method="annealed_vae")
    assert capacity.column("loss.kl")[0] == pytest.approx(25, abs=0.5)
    assert in_poster_units("loss.kl", 25) == pytest.approx(0.025, abs=5e-5) and POSTER_UNIT == pytest.approx(
        999.02, abs=0.01
    )
    assert in_poster_units("unsup.var_dim_kl", capacity.column("unsup.var_dim_kl")[0]) == pytest.approx(1.5e-5)
    assert in_poster_units("mig", 0.3) == 0.3
    # Rows that agree with themselves: reconstruction and KL make up the loss.
    factor = table.select(method="factor_vae")
    total = factor.column("loss.kl") + factor.column("loss.reconstruction")
    assert total == pytest.approx(factor.column("loss.total"))
