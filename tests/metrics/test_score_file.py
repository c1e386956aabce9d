import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import kerasvae
from kerasvae.metrics import mig
from kerasvae.metrics.factor_vae_score import factor_vae_score
from kerasvae.metrics.score_file import evaluate_codes, score_and_print, score_file

SIZES = (3, 4, 5)
GRID = np.stack(np.unravel_index(np.arange(60), SIZES), axis=1)
CODES = GRID @ np.random.default_rng(0).normal(size=(3, 4))
ARRAYS = ["dci", "explicitness", "irs", "mig", "modularity", "sap"]
ALONE = ["gaussian_total_correlation", "gaussian_wasserstein", "mutual_information_score"]
CHOSEN = ["beta_vae_score", "factor_vae_score", "flatness", "linearity", "distance_correlations"]


def test_a_complete_grid_in_any_order_has_all_scores():
    rows = np.random.default_rng(1).permutation(60)
    labels = np.array([7, 2, 90, 5, -3])[GRID]  # sorted they are no longer in order, and have gaps
    result = evaluate_codes(CODES[rows], labels[rows], logvar=np.full((60, 4), -9.0), preset="fast")
    assert set(result) == {*ARRAYS, *ALONE, *CHOSEN, "aam", "mmig"} and not result.left_out
    places = [np.unique(column, return_inverse=True)[1] for column in labels.T]
    table = np.empty((*SIZES, 4))
    table[tuple(places)] = CODES
    expected = factor_vae_score(lambda v: table[tuple(v.T)], SIZES, train=700, test=350, variance_samples=1000)
    assert result["factor_vae_score"].to_json() == expected.to_json()
    assert result["mig"].to_json() == mig(CODES[rows], labels[rows]).to_json()
    assert result.settings["sizes"]["mig"] == {"train": 60} and "complete grid" in result.settings["data"]


@pytest.mark.parametrize("rows", [range(59), [*range(60), 3], [*range(59), 3]])
def test_other_rows_have_the_scores_of_arrays(rows):
    rows = list(rows)
    result = evaluate_codes(CODES[rows], GRID[rows])
    assert list(result) == [*ARRAYS, *ALONE]
    assert set(result.left_out) == {*CHOSEN, "aam", "mmig"}
    assert "each combination" in result.left_out["flatness"] and "log-variances" in result.left_out["aam"]
    with pytest.raises(ValueError, match=r"scores\['flatness'\] cannot be computed: .*each combination"):
        evaluate_codes(CODES[rows], GRID[rows], ["flatness"])


def test_all_rows_count_and_the_test_pair_is_used():
    factors = np.random.default_rng(0).integers(0, 3, (3000, 2))
    codes, test = factors.astype(float), (factors[:7].astype(float), factors[:7])
    result = evaluate_codes(codes, factors, ["mig", "sap"], test=test)
    assert result.settings["sizes"] == {"mig": {"train": 3000}, "sap": {"train": 3000, "test": 7}}
    assert result["mig"].to_json() == mig(codes, factors).to_json()
    few = evaluate_codes(codes, factors, ["mig", "sap"], preset="fast", bootstrap=3)
    assert few.settings["sizes"] == {"mig": {"train": 2000}, "sap": {"train": 2000}}
    assert few["mig"].to_json()["parts"] == mig(codes[:2000], factors[:2000]).to_json()["parts"]
    assert few["mig"].interval is not None


@pytest.mark.parametrize(
    "arguments, options, error, match",
    [
        ((CODES * np.nan, GRID), {}, ValueError, "codes must be finite"),
        ((CODES, GRID * 1.0), {}, TypeError, "factors must be integers"),
        ((CODES, GRID[:-1]), {}, ValueError, "same samples"),
        ((CODES, GRID), {"logvar": CODES[:, :2]}, ValueError, "logvar must have the shape of mean"),
        ((CODES, GRID), {"test": (CODES[:, :2], GRID)}, ValueError, "test must have the 4 latents"),
        ((CODES, GRID), {"preset": "slow"}, ValueError, "preset must be"),
        ((CODES, GRID, ["sap3"]), {}, ValueError, "got 'sap3'"),
        ((CODES, GRID), {"seed": 0.5}, ValueError, "seed must be an integer"),
    ],
)
def test_what_is_refused(arguments, options, error, match):
    with pytest.raises(error, match=match):
        evaluate_codes(*arguments, **options)


def test_a_file(tmp_path, capsys):
    path = tmp_path / "codes.npz"
    arrays = {"codes": CODES, "factors": GRID, "logvar": CODES * 0 - 9, "test_codes": CODES, "test_factors": GRID}
    np.savez(path, extra=np.eye(2), **arrays)
    expected = evaluate_codes(CODES, GRID, ["mig", "sap", "aam"], test=(CODES, GRID), logvar=arrays["logvar"])
    assert score_file(path, ["mig", "sap", "aam"]).to_json() == expected.to_json()
    score_and_print(path=path, scores=("mig", "sap", "aam"))
    assert f"{float(expected['mig']):.4f}" in capsys.readouterr().out
    score_and_print(path=path, scores=("mig", "sap", "aam"), as_json=True)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(expected.to_json()))


def test_files_that_are_refused(tmp_path):
    path = tmp_path / "codes.npz"
    with pytest.raises(FileNotFoundError, match=r"path must be an npz file, got .*codes.npz', which is no file"):
        score_file(path)
    for arrays, match in (
        ({"codes": CODES}, "lacks 'factors', has"),
        ({"z": CODES, "factors": GRID}, "lacks 'codes'"),
        ({"codes": CODES, "factors": GRID, "test_codes": CODES}, "both test_codes and test_factors or neither"),
        ({"codes": CODES, "factors": np.array([{}, {}])}, "path must be an npz file of arrays of numbers"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(ValueError, match=match):
            score_file(path)
    for content in (b"codes", b"", path.read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="path must be an npz file of arrays of numbers"):
            score_file(path)
    np.save(tmp_path / "single.npy", CODES)
    with pytest.raises(ValueError, match="a single array"):
        score_file(tmp_path / "single.npy")


def test_no_keras_is_imported(tmp_path):
    # What the command does: the package is there but its __init__, which imports Keras, has not run.
    np.savez(tmp_path / "codes.npz", codes=CODES, factors=GRID)
    assert importlib.util.find_spec("kerasvae") is not None
    code = textwrap.dedent(
        """
        import importlib.util, sys
        sys.modules["kerasvae"] = importlib.util.module_from_spec(importlib.util.find_spec("kerasvae"))
        from kerasvae.metrics.score_file import score_and_print
        score_and_print(path=sys.argv[1], scores=["mig", "irs"])
        print(sorted({name.split(".")[0] for name in sys.modules} & {"keras", "tensorflow", "jax", "torch"}))
        """
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(kerasvae.__file__).parents[1])}
    process = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "codes.npz")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stdout.splitlines()[-1] == "[]" and "irs" in process.stdout
