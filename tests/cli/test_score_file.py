"""`kerasvae score CODES.npz`: codes that anything may have made, scored without Keras."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasvae import cli
from kerasvae.metrics.score_file import evaluate_codes

SCORE_FILE = """
import json, sys
from kerasvae import cli
status = cli.main(["score", *sys.argv[1:]])
heavy = sorted({"keras", "tensorflow", "jax", "torch"} & set(sys.modules))
print(json.dumps({"status": status, "heavy": heavy}))
"""


@pytest.fixture
def codes(tmp_path):
    """A file of codes that are noisy factors, and its arrays."""
    factors = np.stack(np.unravel_index(np.arange(60), (3, 4, 5)), axis=1)
    arrays = {"codes": factors + 0.1 * np.random.default_rng(0).normal(size=factors.shape), "factors": factors}
    np.savez(tmp_path / "codes.npz", **arrays)
    return tmp_path / "codes.npz", arrays


def test_codes_in_a_file_are_scored_without_keras(codes):
    path, arrays = codes
    arguments = [str(path), "--scores", "mig", "dci", "flatness", "--seed", "3", "--bootstrap", "2", "--json"]
    process = subprocess.run(
        [sys.executable, "-c", SCORE_FILE, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    *report, last = process.stdout.splitlines()
    assert json.loads(last) == {"status": 0, "heavy": []}
    expected = evaluate_codes(**arrays, scores=["mig", "dci", "flatness"], seed=3, bootstrap=2)
    assert json.loads("\n".join(report)) == json.loads(json.dumps(expected.to_json()))


def test_codes_in_a_file_as_a_table(codes, capsys):
    path, arrays = codes
    test = {"test_codes": arrays["codes"][::2], "test_factors": arrays["factors"][::2]}
    np.savez(path, **arrays, **test, logvar=np.full((60, 3), -3.0))
    assert cli.main(["score", str(path), "--scores", "mig", "sap", "aam", "--jobs", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in ("mig", "sap", "aam"):
        assert any(name in line for line in lines)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"codes": np.zeros((4, 2))}, "lacks 'factors'"),
        ({"codes": np.zeros((4, 2)), "factors": np.zeros((4, 2))}, "factors must be integers"),
        ({"codes": np.full((4, 2), np.nan), "factors": np.eye(4, 2, dtype=int)}, "codes must be finite"),
        (None, "must be an npz file of arrays of numbers"),
    ],
    ids=["missing", "floats", "nan", "text"],
)
def test_files_that_cannot_be_scored(tmp_path, capsys, arrays, message):
    path = tmp_path / "codes.npz"
    path.write_text("codes") if arrays is None else np.savez(path, **arrays)
    assert cli.main(["score", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("kerasvae: error: ") and message in err and err.count("\n") == 1
