"""draw_results and print_results."""

import sys

import pytest

from kerasvae import tuning

RESULTS = [
    {
        "beta": beta,
        "latents": latents,
        "seed": seed,
        "mig": beta * latents / seed,
        "status": "COMPLETED",
        "seconds": 1.0,
    }
    for beta in (0.001, 0.01, 0.1)
    for latents in (2, 9)
    for seed in (1, 2)
]


def test_a_picture_without_pyplot(tmp_path):
    before = "matplotlib.pyplot" in sys.modules
    path = tmp_path / "new" / "mig.png"
    tuning.draw_results([*RESULTS, {"beta": 1.0, "latents": 2, "seed": 1, "status": "FAILED"}], path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [found.name for found in path.parent.iterdir()] == ["mig.png"]
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_other_axes(tmp_path):
    tuning.draw_results(RESULTS, tmp_path / "a.png", x="latents", y="seconds", lines="beta")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_nothing_to_draw_is_said(tmp_path):
    with pytest.raises(ValueError, match="results must hold rows with 'beta', 'dci' and 'latents'"):
        tuning.draw_results(RESULTS, tmp_path / "a.png", y="dci")


def test_a_table_with_every_row(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    tuning.print_results([*RESULTS, {"beta": 1.0, "latents": 2, "seed": 1, "status": "FAILED", "seconds": None}])
    out = capsys.readouterr().out
    assert out.count("COMPLETED") == 12 and out.count("FAILED") == 1
    assert "0.0045" in out
