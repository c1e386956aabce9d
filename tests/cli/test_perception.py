"""`kerasvae factor-importance` and `kerasvae loss-audit`: what `kerasvae.perception` gives, printed and written."""

import json

import pytest

import kerasvae as kv
from kerasvae import cli, perception

SMALL = ["--num-squares", "1", "--grey", "--pairs", "20", "--seed", "4"]
TITLE = "XYSquares, num squares 1, grey"
SQUARES = kv.datasets.XYSquares(num_squares=1, rgb=False)


def read(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize("protocol", ["independent", "authors"])
def test_factor_importance(tmp_path, capsys, protocol):
    arguments = ["factor-importance", *SMALL, "--protocol", protocol, "--out", str(tmp_path)]
    assert cli.main(arguments) == 0
    expected = perception.perceived_distances(
        SQUARES, kv.losses.MeanSquaredError(), 20, 4, protocol=protocol, name=TITLE
    )
    assert read(tmp_path / "distances.json") == expected.to_json()
    assert (tmp_path / "distances.png").is_file()
    assert capsys.readouterr().out == f"{expected}\n{tmp_path / 'distances.json'}\n{tmp_path / 'distances.png'}\n"


def test_published_numbers_stand_beside_the_default(tmp_path, capsys):
    assert cli.main(["factor_importance", "--pairs", "3", "--out", str(tmp_path)]) == 0
    assert "published mean" in capsys.readouterr().out


def test_loss_audit(tmp_path, capsys):
    blur = ["--blur-radius", "7", "--blur-weight", "225", "--radii", "3", "--weights", "1", "9", "--threshold", "0.5"]
    assert cli.main(["audit", *SMALL, *blur, "--out", str(tmp_path), "--json"]) == 0
    expected = perception.audit(
        SQUARES, kv.losses.BoxBlurMSE(7, 225.0), 20, 4, threshold=0.5, radii=[3], weights=[1, 9], name=TITLE
    )
    assert json.loads(capsys.readouterr().out) == read(tmp_path / "audit.json") == expected.to_json()
    assert (tmp_path / "audit.png").is_file()


def test_a_folder_that_cannot_be_written_is_refused_first(tmp_path, capsys):
    (tmp_path / "file").touch()
    for command in ("factor-importance", "loss-audit"):
        with pytest.raises(SystemExit) as caught:
            cli.main([command, "--out", str(tmp_path / "file" / "folder")])
        err = capsys.readouterr().err
        assert caught.value.code == 2 and err.count("\n") == 1
        assert err.startswith(f"kerasvae {command}: error: argument --out: cannot write ")
