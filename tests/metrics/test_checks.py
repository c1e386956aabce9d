"""What all scores refuse, by the shared check and through each score."""

import ast
import doctest
import importlib
import pathlib
import sys

import numpy as np
import pytest

import kerasvae.metrics.score
from kerasvae.checks import check_integer, check_seed
from kerasvae.metrics import (
    dci,
    dci_from_importance,
    explicitness,
    irs,
    mig,
    mig_from_matrix,
    modularity,
    mutual_information,
    sap,
)
from kerasvae.metrics.checks import check_sample

CODES = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0], [3.0, 1.0]])
FACTORS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


def with_entry(value):
    codes = CODES.copy()
    codes[2, 1] = value
    return codes


BAD_SAMPLES = [
    (CODES[:, 0], FACTORS, ValueError, r"codes must have shape \(samples, latents\).*got \(4,\)"),
    (CODES[:, :0], FACTORS, ValueError, r"codes must have shape.*got \(4, 0\)"),
    (CODES[None], FACTORS, ValueError, r"codes must have shape.*got \(1, 4, 2\)"),
    (CODES, FACTORS[:, 0], ValueError, r"factors must have shape \(samples, factors\).*got \(4,\)"),
    (CODES, FACTORS[:, :0], ValueError, r"factors must have shape.*got \(4, 0\)"),
    (CODES, FACTORS[:3], ValueError, "codes and factors must hold the same samples, got 4 and 3 rows"),
    (CODES[:1], FACTORS[:1], ValueError, "at least 2 samples, got 1"),
    (with_entry(np.nan), FACTORS, ValueError, r"codes must be finite, got nan.* 1 of 4 rows, latents \[1\]"),
    (with_entry(-np.inf), FACTORS, ValueError, "codes must be finite"),
    (CODES.astype(complex), FACTORS, TypeError, "codes must be real numbers, got dtype complex128"),
    (CODES > 0, FACTORS, TypeError, "codes must be real numbers, got dtype bool"),
    (CODES.astype(str), FACTORS, TypeError, "codes must be real numbers"),
    (CODES, FACTORS.astype(float), TypeError, "factors must be integers.*float64"),
    (CODES, FACTORS > 0, TypeError, "factors must be integers.*bool"),
    (CODES, FACTORS * 0 + 3, ValueError, "factors must hold a factor that is not constant, all 2 are"),
]


@pytest.mark.parametrize("score", [check_sample, mig, dci, modularity, explicitness, sap, irs])
@pytest.mark.parametrize("codes, factors, error, match", BAD_SAMPLES)
def test_bad_samples(score, codes, factors, error, match):
    with pytest.raises(error, match=match):
        score(codes, factors)


def test_good_samples():
    factors = np.array([[0, 9, -4], [1, 9, 7], [0, 9, 7]], np.int8)
    codes, cast, active = check_sample([[1], [2], [3]], factors)
    assert codes.dtype == np.float64 and cast.dtype == np.int64 and active == (0, 2)
    assert check_sample(np.float16([[1], [2]]), np.uint8([[0], [1]]))[2] == (0,)


def test_input_is_left_alone():
    codes, factors = CODES.copy(), FACTORS.copy()
    for array in (codes, factors):
        array.setflags(write=False)  # any write would raise
    mig(codes, factors)
    dci(codes, factors, stages=1)
    for score in (modularity, sap, irs):
        score(codes, factors)
    sap(codes, factors, continuous=True)
    explicitness(codes, factors, test=(codes, factors))
    matrix = np.eye(2)
    matrix.setflags(write=False)
    mig_from_matrix(matrix, np.ones(2))
    dci_from_importance(matrix)


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda: mig(CODES, FACTORS, bins=1), ValueError, "bins must be an integer, at least 2, got 1"),
        (lambda: mig(CODES, FACTORS, bins=20.0), ValueError, "bins must be an integer.*got 20.0"),
        (lambda: mutual_information(CODES, FACTORS[:3]), ValueError, "same samples"),
        (lambda: mutual_information([[-1.7e308], [1.7e308]], [[0], [1]]), ValueError, "codes must span at most"),
        (lambda: mig_from_matrix(np.ones(3), np.ones(3)), ValueError, r"matrix must have shape.*got \(3,\)"),
        (lambda: mig_from_matrix(-np.eye(2), np.ones(2)), ValueError, "matrix must be finite and at least 0"),
        (lambda: mig_from_matrix(np.eye(2), np.ones(3)), ValueError, r"entropies must have shape \(2,\)"),
        (lambda: mig_from_matrix(np.eye(2), np.zeros(2)), ValueError, "entropies must be .* not all 0"),
        (lambda: mig_from_matrix(np.eye(2), [1, np.nan]), ValueError, "entropies must be finite"),
        (lambda: dci_from_importance([[0.5, np.nan]]), ValueError, "importance must be finite and at least 0"),
        (lambda: dci_from_importance([[]]), ValueError, r"importance must have shape.*got \(1, 0\)"),
        (lambda: check_integer(True, "bins", 0), ValueError, "bins must be an integer.*got True"),
        (lambda: check_seed(2**32), ValueError, "seed must be an integer in 0..4294967295"),
    ],
)
def test_bad_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call()


FILES = sorted(pathlib.Path(kerasvae.metrics.score.__file__).parent.glob("*.py"))


def imported(nodes):
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_imports(file):
    """Scores are for any encoder: no Keras at all, and what is slow to import only inside functions."""
    tree = ast.parse(file.read_text())
    anywhere, on_top = set(imported(ast.walk(tree))), set(imported(tree.body))
    assert not {module.split(".")[0] for module in anywhere} & {"keras", "tensorflow", "jax", "torch"}
    assert not {module.split(".")[0] for module in on_top} & {"sklearn", "scipy", "joblib"}
    own = [module for module in anywhere if module.startswith("kerasvae")]
    assert all(
        module.startswith(("kerasvae.metrics", "kerasvae.archives", "kerasvae.checks", "kerasvae.files"))
        for module in own
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_examples_in_docstrings(file):
    name = "kerasvae.metrics" + ("" if file.stem == "__init__" else f".{file.stem}")
    importlib.import_module(name)
    # Through sys.modules: the package's attribute of that name may be the function.
    assert doctest.testmod(sys.modules[name], raise_on_error=True).failed == 0
