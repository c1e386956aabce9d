"""Labels beyond 2^53, the whole numbers of float64: exact or refused."""

import numpy as np
import pytest

from kerasvae.metrics import dci, explicitness, irs, mig, modularity, sap
from kerasvae.metrics.checks import check_codes, check_factors, check_numbers

RNG = np.random.default_rng(0)
FACTORS = np.stack([RNG.integers(0, 5, 300), RNG.integers(0, 3, 300)], axis=1)
CODES = FACTORS @ [[1.0, 0.3], [0.2, 1.0]] + RNG.normal(0, 0.1, (300, 2))
FAR = 2**53 + 1


@pytest.mark.parametrize("offset", [0, FAR, -FAR, 2**62, -(2**63)])
@pytest.mark.parametrize(
    "score",
    [
        irs,
        lambda codes, factors: sap(codes, factors, continuous=True),
        sap,
        mig,
        modularity,
        explicitness,
        lambda codes, factors: dci(codes, factors, stages=3),
    ],
    ids=["irs", "sap continuous", "sap", "mig", "modularity", "explicitness", "dci"],
)
def test_shifted_labels_score_the_same(score, offset):
    assert float(score(CODES, FACTORS + offset)) == pytest.approx(float(score(CODES, FACTORS)), abs=1e-12)


def test_unsigned_labels():
    shifted = FACTORS.astype(np.uint64) + np.uint64(2**63 - 10)
    assert float(irs(CODES, shifted)) == pytest.approx(float(irs(CODES, FACTORS)), abs=1e-12)
    with pytest.raises(ValueError, match=rf"factors must be below 2\*\*63, got {2**63}"):
        check_factors(np.array([[0], [2**63]], np.uint64))


@pytest.mark.parametrize("score", [irs, lambda codes, factors: sap(codes, factors, continuous=True)])
def test_values_too_far_apart_to_be_numbers_are_refused(score):
    far = FACTORS * [2**52, 1]
    with pytest.raises(ValueError, match=rf"span at most 2\*\*53 .* factor 0 runs from 0 to {2**54}"):
        score(CODES, far)
    assert float(mig(CODES, far)) == float(mig(CODES, FACTORS))  # labels may be anything


def test_numbers_within_float64_are_themselves():
    np.testing.assert_array_equal(check_numbers(np.array([[-3, 2**53], [7, 0]])), [[-3.0, 2.0**53], [7.0, 0.0]])
    np.testing.assert_array_equal(check_numbers(np.array([[FAR], [FAR + 3]])), [[0.0], [3.0]])


def test_whole_numbers_as_codes():
    assert check_codes(np.array([[2**53]]))[0, 0] == 2.0**53
    with pytest.raises(ValueError, match=rf"codes must be floats, or integers up to 2\*\*53 .* got one of {FAR}"):
        check_codes(np.array([[FAR]]))
