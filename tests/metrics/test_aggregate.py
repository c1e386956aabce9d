import numpy as np
import pytest

from kerasvae.metrics import aam_from_matrix, aggregate, dci, entropy, mig, modularity, sap

RNG = np.random.default_rng(0)
FACTORS = np.stack([RNG.integers(0, 3, 200), RNG.integers(0, 4, 200)], axis=1)
CODES = FACTORS @ RNG.normal(size=(2, 3)) + RNG.normal(size=(200, 3))


def test_each_score_from_its_own_matrix():
    score = mig(CODES, FACTORS)
    information = score.parts["mutual_information"]
    gap = aggregate(information, "mig", entropy(FACTORS))
    assert float(gap) == float(score) and gap.name == "mig"
    np.testing.assert_array_equal(gap.parts["per_factor"], score.parts["per_factor"])
    assert float(aggregate(information, "modularity")) == float(modularity(CODES, FACTORS))
    assert float(aggregate(information, "aam")) == aam_from_matrix(information)["aam"]
    score = sap(CODES, FACTORS)
    assert float(aggregate(score.parts["matrix"], "sap")) == float(score)
    score = dci(CODES, FACTORS, stages=2)
    for how, part in (("disentanglement", "per_latent"), ("completeness", "per_factor")):
        other = aggregate(score.parts["importance"], how)
        assert float(other) == score.parts[how]
        np.testing.assert_array_equal(other.parts[part], score.parts[f"{how}_{part}"])


@pytest.mark.parametrize("how", ["disentanglement", "completeness", "mig", "sap", "modularity", "aam"])
def test_perfect_duplicated_and_nothing(how):
    entropies = np.ones(3) if how == "mig" else None
    assert float(aggregate(np.eye(3)[[1, 0, 2]], how, entropies)) == pytest.approx(1)
    duplicated = float(aggregate(np.eye(3)[[0, 1, 2, 0, 1, 2]], how, entropies))
    expected = {"disentanglement": 1, "modularity": 1, "completeness": 1 - np.log(2) / np.log(6)}.get(how, 0)
    assert duplicated == pytest.approx(expected, abs=1e-8)
    assert float(aggregate(np.zeros((2, 3)), how, entropies)) == pytest.approx(0, abs=1e-12)


def test_refuses():
    with pytest.raises(ValueError, match=r"how must be .disentanglement..*got 'dci'"):
        aggregate(np.eye(2), "dci")
    for how, entropies in (("mig", None), ("sap", np.ones(2))):
        with pytest.raises(ValueError, match="entropies must be given with 'mig' and with nothing else"):
            aggregate(np.eye(2), how, entropies)
    with pytest.raises(ValueError, match="matrix must be finite and at least 0"):
        aggregate(-np.eye(2), "sap")
