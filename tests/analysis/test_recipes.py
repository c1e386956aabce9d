"""The recipes run from the command line's words to their files, at a small size."""

import json
import runpy
import sys
from pathlib import Path

import pytest

import kerasvae.analysis  # noqa: F401

RECIPES = Path(__file__).parents[2] / "recipes"


def run(monkeypatch, name, *words):
    monkeypatch.setattr(sys, "argv", [name, *map(str, words)])
    runpy.run_path(str(RECIPES / name), run_name="__main__")


def test_factor_importance(monkeypatch, tmp_path, capsys):
    run(monkeypatch, "factor_importance.py", "--pairs", 20, "--protocol", "authors", "--out", tmp_path)
    printed = capsys.readouterr().out
    assert "published mean" in printed and str(tmp_path / "distances.png") in printed
    read = json.loads((tmp_path / "distances.json").read_text())
    assert read["protocol"] == "authors" and read["pairs"] == 20
    assert (tmp_path / "distances.png").is_file()


def test_loss_audit(monkeypatch, tmp_path, capsys):
    words = ["--spacing", 4, "--radius", 7, "--weight", 225, "--radii", 3, "--weights", 1, 9, "--pairs", 4]
    run(monkeypatch, "loss_audit.py", *words, "--out", tmp_path)
    assert "Audit of XYSquares, spacing 4, BoxBlurMSE(radius=7, weight=225)" in capsys.readouterr().out
    read = json.loads((tmp_path / "audit.json").read_text())
    assert [(cell["radius"], cell["weight"]) for cell in read["scan"]] == [(3, 1.0), (3, 9.0)]
    assert (tmp_path / "audit.png").is_file()


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("factor_importance.py", ["--dataset", "dsprites", "--spacing", 3], "--spacing is for --dataset xysquares"),
        ("loss_audit.py", ["--loss", "mse", "--radius", 3], "--radius and --weight are for --loss boxblur"),
    ],
)
def test_options_that_do_not_go_together(monkeypatch, capsys, name, words, message):
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, name, *words)
    assert message in capsys.readouterr().err
